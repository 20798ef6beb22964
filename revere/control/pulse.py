"""The pulse: asks the database whether it answers while no fact does, and has the page say at once when that changes.

::

    facts wait --------------------------> their commit is the question
    none waits --every 1.5 s--> SELECT 1 --> the inbox knows since when it has waited for the answer
    every 0.25 s: does the inbox keep up? --changed--> publish the picture, tick or no tick
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from revere.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import NoReturn

    from revere.control.inbox import Inbox
    from revere.core.time import Clock

ASK_S = 1.5
LOOK_S = 0.25
"""With the inbox's ``SILENT_S`` and the pages' look at the picture, a database gone is on the page in under 5 s."""


class Pulse:
    """Runs where time is the wall's: in twin time a database that is gone stops the clock itself.

    ``answers`` returns when the database has answered, or raises ``Unavailable``; ``changed`` is called whenever the
    inbox begins or ceases to keep up.
    """

    def __init__(
        self, inbox: Inbox, clock: Clock, answers: Callable[[], Awaitable[None]], changed: Callable[[], None]
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._answers = answers
        self._changed = changed

    async def run(self) -> None:
        """Ask and look until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask(), name="pulse: ask")
            group.create_task(self._look(), name="pulse: look")

    async def _ask(self) -> NoReturn:
        while True:
            await asyncio.sleep(ASK_S)
            if not self._inbox.waiting:
                await self._until_answered()

    async def _until_answered(self) -> None:
        self._inbox.asked_at = self._clock.now()
        while True:
            try:
                await self._answers()
            except Unavailable:
                await asyncio.sleep(LOOK_S)
            else:
                self._inbox.asked_at = None
                return

    async def _look(self) -> NoReturn:
        kept_up = True
        while True:
            keeps_up = self._inbox.keeps_up(self._clock.now())
            if keeps_up is not kept_up:
                kept_up = keeps_up
                self._changed()
            await asyncio.sleep(LOOK_S)
