"""Nothing settles on a clock that nobody vouches for, and the operator hears why."""

from __future__ import annotations

import asyncio
import ctypes
from pathlib import Path

import pytest

from revere.app.kernelclock import STA_UNSYNC, TIME_ERROR, kernel_clock_synchronised
from revere.app.settings import load_settings
from revere.core.errors import ScenarioError
from tests.control.scenes import House, fleet, ready_image


class FakeLibrary:
    """A C library whose kernel answers as told."""

    def __init__(self, state: int, status: int) -> None:
        self._answer = state, status

    def adjtimex(self, pointer: object) -> int:
        state, status = self._answer
        pointer._obj.status = status  # type: ignore[attr-defined]
        assert pointer._obj.modes == 0  # type: ignore[attr-defined]
        return state


@pytest.mark.parametrize(
    ("state", "status", "synchronised"),
    [
        (0, 0, True),
        (0, 0x2001, True),
        (1, 0x11, True),
        (TIME_ERROR, STA_UNSYNC, False),
        (0, STA_UNSYNC, False),
        (-1, 0, False),
    ],
)
def test_the_kernels_word(monkeypatch: pytest.MonkeyPatch, state: int, status: int, synchronised: bool) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_kwargs: FakeLibrary(state, status))
    assert kernel_clock_synchronised() is synchronised


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_a_machine_that_cannot_say_is_not_taken_for_synchronised(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> object:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert kernel_clock_synchronised() is False


def test_this_machines_kernel_can_be_asked() -> None:
    assert kernel_clock_synchronised() in (True, False)


def test_a_person_may_vouch_for_it(tmp_path: Path) -> None:
    file = tmp_path / "revere.toml"
    file.write_text('clock = "trusted"\n')
    assert load_settings(file).clock == "trusted"
    file.write_text('clock = "yes"\n')
    with pytest.raises(ScenarioError, match="clock"):
        load_settings(file)


def test_the_operator_hears_of_it_once_and_of_its_end() -> None:
    async def play() -> list[list[str]]:
        house = House(ready_image(fleet()))
        seen = []
        for synchronised in (True, False, False, True):
            house.heart.watch.clock(house.clock.at, synchronised=synchronised)
            await house.write()
            seen.append(sorted(house.image.alarms))
        assert [type(fact).__name__ for fact in house.journal.facts] == ["AlarmRaised", "AlarmCleared"]
        return seen

    assert asyncio.run(play()) == [[], ["clock"], ["clock"], []]
