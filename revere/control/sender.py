"""Setpoints on their way: one in flight per EVSE, the latest wish wins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from typing import Any

    from revere.control.scribe import Scribe
    from revere.control.tracking import CommandTracker, OpenCommand
    from revere.core.commands import Answer, SetpointCommand
    from revere.core.ports import ChargingLink
    from revere.core.time import Clock


log = structlog.get_logger()


class Sender:
    """Sends without making the tick wait; an older setpoint that has not left is replaced, not queued."""

    def __init__(self, link: ChargingLink, tracker: CommandTracker, scribe: Scribe, clock: Clock) -> None:
        self._link = link
        self._tracker = tracker
        self._scribe = scribe
        self._clock = clock
        self._next: dict[str, tuple[SetpointCommand, OpenCommand, float]] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._chores: set[asyncio.Task[object]] = set()
        self.replaced = 0

    def send(self, wire: SetpointCommand, command: OpenCommand, decided_wall_s: float) -> None:
        """Hand over a setpoint decided at ``decided_wall_s`` (wall seconds, for the figure of speed)."""
        asset = command.asset_id
        if asset in self._next:
            self.replaced += 1
        self._next[asset] = (wire, command, decided_wall_s)
        if asset not in self._busy:
            self._busy[asset] = asyncio.get_running_loop().create_task(self._work(asset), name=f"send {asset}")

    async def _work(self, asset: str) -> None:
        try:
            while asset in self._next:
                wire, command, decided_wall_s = self._next.pop(asset)
                answer: Answer = await self._link.set_power(wire)
                self._scribe.write(self._tracker.answered(command, answer, decided_wall_s, self._clock.now()))
        finally:
            del self._busy[asset]

    def chore(self, work: Coroutine[Any, Any, object]) -> None:
        """Run a side task (a change of reporting interval) without waiting for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)

    def _chore_done(self, task: asyncio.Task[object]) -> None:
        self._chores.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("a side task failed", why=repr(task.exception()))

    async def close(self) -> None:
        """Stop what is under way."""
        tasks: Sequence[asyncio.Task[object]] = [*self._busy.values(), *self._chores]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
