"""The inbox: commit first, then fold, then answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from revere.control.screen import Screen
from revere.core.errors import Unavailable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from revere.control.image import Image
    from revere.core.facts import Fact

WAITING_MAX = 20_000
SILENT_S = 5.0
"""A commit takes milliseconds; longer than this the page says that the database is gone."""


class Journal(Protocol):
    """Where facts become durable (filled by the store)."""

    async def record(self, facts: Sequence[Fact]) -> None:
        """Return when ``facts`` are committed; raise ``Unavailable`` when they cannot be."""
        ...


class Inbox:
    """The only way into the journal and the image; fills the ``FactSink`` port.

    ``waiting`` counts facts between arrival and commit; beyond ``WAITING_MAX`` new ones are refused
    (their sender keeps them and sends them again), so a dead database cannot eat the memory.
    """

    def __init__(self, journal: Journal, image: Image) -> None:
        self._journal = journal
        self._image = image
        self.screen = Screen(image.fleet, image.alarms)
        self._watchers: list[Callable[[Fact], None]] = []
        self._under_way: dict[int, dt.datetime] = {}
        self._number = 0
        self._failing = False
        self.waiting = 0
        self.recorded = 0
        self.refused = 0

    def keeps_up(self, now: dt.datetime) -> bool:
        """Whether facts get committed: the last were, and none under way waits longer than ``SILENT_S``."""
        oldest = next(iter(self._under_way.values()), now)
        return not self._failing and (now - oldest).total_seconds() < SILENT_S

    def watch(self, watcher: Callable[[Fact], None]) -> None:
        """Call ``watcher`` with each fact after it is committed and folded."""
        self._watchers.append(watcher)

    async def record(self, facts: Sequence[Fact]) -> None:
        """Screen ``facts``, commit them, fold them into the image, tell the watchers."""
        facts = self.screen.pass_on(facts)
        if self.waiting + len(facts) > WAITING_MAX:
            self.refused += len(facts)
            raise Unavailable(
                "the inbox is full",
                got=self.waiting,
                expected=f"at most {WAITING_MAX}",
                remedy="The database is behind",
            )
        self.waiting += len(facts)
        self._number = number = self._number + 1
        if facts:
            self._under_way[number] = facts[-1].at
        try:
            await self._journal.record(facts)
            self._failing = False
        except Unavailable:
            self._failing = True
            raise
        finally:
            self.waiting -= len(facts)
            self._under_way.pop(number, None)
        self.recorded += len(facts)
        for fact in facts:
            self._image.apply(fact)
            for watcher in self._watchers:
                watcher(fact)
