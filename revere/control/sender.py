"""Setpoints and side tasks on their way to the stations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from revere.control.scribe import Scribe
    from revere.control.tracking import CommandTracker, OpenCommand
    from revere.core.commands import SetpointCommand
    from revere.core.ports import ChargingLink
    from revere.core.time import Clock


log = structlog.get_logger()


class Sender:
    """Hands setpoints and side tasks to the link without making the tick wait.

    Nothing queues here: the link keeps one setpoint in flight per EVSE, and there the newest wish wins.
    """

    def __init__(self, link: ChargingLink, tracker: CommandTracker, scribe: Scribe, clock: Clock) -> None:
        self._link = link
        self._tracker = tracker
        self._scribe = scribe
        self._clock = clock
        self._chores: set[asyncio.Task[object]] = set()

    def send(self, wire: SetpointCommand, command: OpenCommand, decided_wall_s: float) -> None:
        """Hand over a setpoint decided at ``decided_wall_s`` (wall seconds, for the figure of speed)."""
        self.chore(self._send(wire, command, decided_wall_s))

    async def _send(self, wire: SetpointCommand, command: OpenCommand, decided_wall_s: float) -> None:
        answer = await self._link.set_power(wire)
        self._scribe.write(self._tracker.answered(command, answer, decided_wall_s, self._clock.now()))

    def chore(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a task beside the tick (a setpoint, a change of reporting interval) without waiting for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)

    def _chore_done(self, task: asyncio.Task[object]) -> None:
        self._chores.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("a side task failed", why=repr(task.exception()))

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = list(self._chores)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
