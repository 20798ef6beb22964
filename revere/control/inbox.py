"""The inbox: commit first, then fold; whoever must be answered is answered last.

::

    fact --> screen --> journal --commit--> image --> watchers      the image is the journal, folded in its order
                |
                +-- takes a permission away: held in the image until it is folded, so that no commit is waited for
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from revere.control.screen import Screen
from revere.core import facts as f
from revere.core.errors import Unavailable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from revere.control.image import Image

WAITING_MAX = 20_000
SILENT_S = 2.0
"""A commit takes milliseconds; longer than this the page says that the database is gone."""


class Journal(Protocol):
    """Where facts become durable (filled by the store)."""

    def submit(self, facts: Sequence[f.Fact], ended: Callable[[Exception | None], None]) -> asyncio.Future[None]:
        """Take ``facts`` to be committed in the order of taking; raise ``Unavailable`` where they cannot be taken.

        ``ended`` is called once, before the answer: with None when they are committed, however late, with the reason
        when the database refuses them for good. The answer fails with ``Unavailable`` when the commit is late.
        """
        ...


class Inbox:
    """The only way into the journal and the image; fills the ``FactSink`` port.

    ``waiting`` counts facts between arrival and commit; beyond ``WAITING_MAX`` new ones are refused
    (their sender keeps them and sends them again), so a dead database cannot eat the memory. What takes a permission
    away is kept even so, one of a kind for each site and station, and goes before whatever is taken next.
    """

    def __init__(self, journal: Journal, image: Image) -> None:
        self._journal = journal
        self._image = image
        self.screen = Screen(image.fleet, image.alarms)
        self._watchers: list[Callable[[f.Fact], None]] = []
        self._warned: list[Callable[[f.TakesAway], None]] = []
        self._kept: dict[tuple[type, str, str | None], f.TakesAway] = {}
        self._under_way: dict[int, dt.datetime] = {}
        self._number = 0
        self._failing = False
        self.asked_at: dt.datetime | None = None
        """Since when the database has not answered a question of our own; None where none is open."""
        self.waiting = 0
        self.recorded = 0
        self.refused = 0

    def keeps_up(self, now: dt.datetime) -> bool:
        """Whether facts get committed: the last were taken, and no fact or question waits longer than ``SILENT_S``."""
        return not self._failing and self.behind_s(now) < SILENT_S

    def behind_s(self, now: dt.datetime) -> float:
        """How old the image is: so long has the oldest fact or question waited for the database, 0 where none waits.

        The age of the last fact would say how rarely stations speak, not how old the figures are.
        """
        oldest = next(iter(self._under_way.values()), now)
        return max((now - min(oldest, self.asked_at or now)).total_seconds(), 0.0)

    def watch(self, watcher: Callable[[f.Fact], None]) -> None:
        """Call ``watcher`` with each fact after it is committed and folded."""
        self._watchers.append(watcher)

    def warn(self, warned: Callable[[f.TakesAway], None]) -> None:
        """Call ``warned`` with each fact that binds before it is committed."""
        self._warned.append(warned)

    def hold(self, facts: Sequence[f.Fact]) -> None:
        """Let what takes a permission away bind now: its commit may be far."""
        for fact in facts:
            if isinstance(fact, f.TakesAway):
                self._image.held.take(fact)
                for warned in self._warned:
                    warned(fact)

    async def record(self, facts: Sequence[f.Fact], *, however_late: bool = False) -> None:
        """Screen ``facts``, commit them, fold them into the image, tell the watchers.

        Raises ``Unavailable`` when they are not taken, or (unless ``however_late``) not committed in time; those that
        were taken are folded when they are.
        """
        facts = self.screen.pass_on(facts)
        self.hold(facts)
        committed = asyncio.get_running_loop().create_future() if however_late else None
        try:
            answer = self._take(facts, committed)
        except Unavailable:
            self._keep_back(facts)
            raise
        await _end(answer, committed)

    async def keep(self, facts: Sequence[f.Fact]) -> None:
        """Return when ``facts`` are committed, however late; what is not taken stays with the caller."""
        facts = self.screen.pass_on(facts)
        self.hold(facts)
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await _end(self._take(facts, committed), committed)

    def _keep_back(self, facts: Sequence[f.Fact]) -> None:
        """Keep what must not get lost; of two of a kind at one place the first, which holds there already."""
        for fact in facts:
            if isinstance(fact, f.TakesAway) and self._kept.setdefault(f.kind_and_place(fact), fact) != fact:
                self._image.held.drop(fact)

    def _take(
        self, facts: Sequence[f.Fact], committed: asyncio.Future[None] | None = None
    ) -> asyncio.Future[None] | None:
        """Hand facts to the journal, what was kept back first; None where the screen left nothing of them."""
        if self.waiting + len(facts) > WAITING_MAX:
            self.refused += len(facts)
            raise Unavailable(
                "the inbox is full",
                got=self.waiting,
                expected=f"at most {WAITING_MAX}",
                remedy="The database is behind",
            )
        if self._kept:
            self._submit(list(self._kept.values())).add_done_callback(_unheeded)
            self._kept.clear()
        return self._submit(facts, committed) if facts else None

    def _submit(self, facts: Sequence[f.Fact], committed: asyncio.Future[None] | None = None) -> asyncio.Future[None]:
        number = self._number = self._number + 1

        def ended(error: Exception | None) -> None:
            self.waiting -= len(facts)
            self._under_way.pop(number, None)
            if error is None:
                self._fold(facts)
            else:
                self._forget(facts)
            if committed is not None and not committed.done():
                if error is None:
                    committed.set_result(None)
                else:
                    committed.set_exception(error)

        try:
            answer = self._journal.submit(facts, ended)
        except Unavailable:
            self._failing = True
            raise
        self.waiting += len(facts)
        self._under_way[number] = facts[-1].at
        return answer

    def _fold(self, facts: Sequence[f.Fact]) -> None:
        self._failing = False
        self.recorded += len(facts)
        for fact in facts:
            self._image.apply(fact)
            for watcher in self._watchers:
                watcher(fact)

    def _forget(self, facts: Sequence[f.Fact]) -> None:
        for fact in facts:
            if isinstance(fact, f.TakesAway):
                self._image.held.drop(fact)


async def _end(answer: asyncio.Future[None] | None, committed: asyncio.Future[None] | None) -> None:
    """Wait for the answer, or for the commit itself where that may come later."""
    if answer is not None and committed is not None:
        answer.add_done_callback(_unheeded)
        await committed
    elif answer is not None:
        await answer


def _unheeded(answer: asyncio.Future[None]) -> None:
    """Take note of how it ended where nobody waits for the answer."""
    if not answer.cancelled():
        answer.exception()
