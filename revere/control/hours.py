"""The hourly rollup of the series, kept by the house: each hour once it is over, again when late values touch it.

::

    readings --> touched: {hour: assets} --+ ten minutes past each hour: the hours that are over,
                                           | a few assets to a statement, a pause between two
    start ------ the hours since the last -+

Statements share the writer's connection with the commits, so each is short and none waits for another.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Protocol

import structlog

from revere.core.errors import RevereError
from revere.core.facts import MeterReading
from revere.core.time import floor_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from revere.core.facts import Fact
    from revere.core.time import Clock

HOUR = dt.timedelta(hours=1)
SETTLED = dt.timedelta(minutes=10)
"""So long after an hour's end its last values are still on their way."""
BACK_MAX = dt.timedelta(days=7)
"""How far back a start looks for hours that were never computed."""
ASSETS_PER_STATEMENT = 32
PAUSE_S = 0.2
TOUCHED_MAX = 200_000

log = structlog.get_logger()


class HourBooks(Protocol):
    """What the rollup needs of the store."""

    async def newest_hour(self) -> dt.datetime | None:
        """The newest hour in the rollup."""
        ...

    async def refresh_hours(self, start: dt.datetime, end: dt.datetime, asset_ids: Sequence[str] | None = None) -> int:
        """Compute the hours that ``[start, end)`` touches anew for those assets."""
        ...


class HourKeeper:
    """Notes which hours readings touch, and computes them when they are over.

    ``waiting`` counts (hour, asset) pairs; beyond ``TOUCHED_MAX`` the oldest hour is given up and ``dropped`` counts.
    """

    def __init__(self, books: HourBooks, clock: Clock) -> None:
        self._books = books
        self._clock = clock
        self._touched: dict[dt.datetime, dict[str, None]] = {}
        self.waiting = 0
        self.written = 0
        self.dropped = 0

    def note(self, fact: Fact) -> None:
        """Remember the hour and the meter of a committed reading (a watcher of the inbox)."""
        if isinstance(fact, MeterReading):
            self._touch(floor_to(fact.ts, 3600), [fact.asset_id])

    def _touch(self, hour: dt.datetime, assets: Iterable[str]) -> None:
        touched = self._touched.setdefault(hour, {})
        before = len(touched)
        touched.update(dict.fromkeys(assets))
        self.waiting += len(touched) - before
        while self.waiting > TOUCHED_MAX:
            lost = len(self._touched.pop(min(self._touched)))
            self.waiting -= lost
            self.dropped += lost

    async def resume(self, assets: Iterable[str]) -> None:
        """Take up the hours that an earlier life left: from the newest computed one on, a week at most."""
        now = self._clock.now()
        newest = await self._books.newest_hour()
        hour = floor_to(max(now - BACK_MAX, newest or now - BACK_MAX), 3600)
        known = list(assets)
        while hour < now:
            self._touch(hour, known)
            hour += HOUR

    async def run(self) -> None:
        """Compute what is over, ten minutes past each hour, until cancelled."""
        while True:
            await self.refresh()
            now = self._clock.now()
            await asyncio.sleep((floor_to(now - SETTLED, 3600) + HOUR + SETTLED - now).total_seconds())

    async def refresh(self) -> None:
        """Compute every touched hour that is over. With the database gone, what is left waits for the next hour."""
        over = floor_to(self._clock.now(), 3600)
        for hour in sorted(hour for hour in self._touched if hour < over):
            touched = self._touched.pop(hour, {})
            self.waiting -= len(touched)
            assets = sorted(touched)
            for first in range(0, len(assets), ASSETS_PER_STATEMENT):
                try:
                    some = assets[first : first + ASSETS_PER_STATEMENT]
                    self.written += await self._books.refresh_hours(hour, hour + HOUR, some)
                except RevereError as error:
                    log.warning("the hourly rollup waits", hour=hour.isoformat(), why=str(error))
                    self._touch(hour, touched)
                    return
                await asyncio.sleep(PAUSE_S)
