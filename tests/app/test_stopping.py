"""A signal in the very instant in which we say that we are up ends us in order."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from revere.app.stopping import SIGNALS, stop_asked


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_asks_for_the_stop_and_interrupts_nothing(number: signal.Signals) -> None:
    async def told() -> bool:
        with stop_asked() as stop:
            os.kill(os.getpid(), number)
            async with asyncio.timeout(30):
                await stop.wait()
            return stop.is_set()

    before = {one: signal.getsignal(one) for one in SIGNALS}
    assert asyncio.run(told())
    assert {one: signal.getsignal(one) for one in SIGNALS} == before
