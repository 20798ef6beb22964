"""An event desk over books in memory, for the tests of closing and correcting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from revere.control.events import EventDesk
from revere.control.inbox import Inbox
from revere.core.errors import Unavailable
from revere.store.ledger import PostedLine
from revere.store.series import RegisterPair
from tests.control.scenes import NOON, FakeJournal, called, contracts_of, fleet, minutes, opted, ready_image, seconds

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from revere.core import facts as f
    from revere.core.ids import GridEventId, ProgramId
    from revere.store.ledger import LedgerEntry


class MemoryBooks:
    """A store in memory (fills ``Books``): every meter gives 30 kW, but for what a test has taken out or changed."""

    def __init__(self) -> None:
        self.asked = 0
        self.lines: list[PostedLine] = []
        self.gone: set[dt.datetime] = set()
        self.revised_wh: dict[dt.datetime, int] = {}

    async def registers_at(
        self, asset_ids: Sequence[str], edges: Sequence[dt.datetime], *, tolerance_s: float = 0.0
    ) -> dict[str, list[RegisterPair | None]]:
        self.asked += 1
        return {asset: [None if edge in self.gone else self._pair(edge) for edge in edges] for asset in asset_ids}

    def _pair(self, edge: dt.datetime) -> RegisterPair:
        given_wh = 1_000_000 + 30_000 * int((edge - NOON).total_seconds()) // 3600
        revised_wh = self.revised_wh.get(edge)
        return RegisterPair(
            ts=edge,
            import_wh=0,
            export_wh=given_wh if revised_wh is None else revised_wh,
            import_rev=1,
            export_rev=1 if revised_wh is None else 2,
        )

    async def ledger(self, *, site_id: str | None = None, after_seq: int = 0) -> list[PostedLine]:
        return [line for line in self.lines if line.seq > after_seq and line.entry.site_id == site_id]

    async def post(self, lines: Sequence[LedgerEntry]) -> list[int]:
        assert not {line.key for line in lines} & {posted.entry.key for posted in self.lines}
        first = len(self.lines) + 1
        self.lines += [PostedLine(seq=first + n, entry=line, prev_hash="", hash="") for n, line in enumerate(lines)]
        return [line.seq for line in self.lines[first - 1 :]]

    def cents(self) -> list[int]:
        """Cents of each line, in order."""
        return [line.entry.cents for line in self.lines]


class Utility:
    """A VTN that may be away (fills ``Utility``)."""

    def __init__(self) -> None:
        self.away = False
        self.reports: list[str] = []
        self.told_kw: list[float] = []

    async def report_performance(
        self, grid_event_id: GridEventId, program_id: ProgramId, intervals: Sequence[Any]
    ) -> str:
        if self.away:
            raise Unavailable("the utility does not answer")
        self.reports.append(grid_event_id)
        self.told_kw.append(round(sum(kw for *_, kw in intervals) / len(intervals), 3))
        return f"r-{grid_event_id}"


class Desk:
    """An event desk over an image with one call that has just ended, unless other facts are given."""

    def __init__(self, *facts: f.Fact) -> None:
        self.image = ready_image(fleet())
        for fact in facts or (called(start=NOON - minutes(180)), opted()):
            self.image.apply(fact)
        self.journal = FakeJournal()
        self.utility = Utility()
        self.books = MemoryBooks()
        self.restart()

    def restart(self) -> None:
        """Another life over the same image, books and utility."""
        self.inbox = Inbox(self.journal, self.image)
        self.desk = EventDesk(self.image, self.inbox, self.books, contracts_of(self.image), self.utility)
        self.inbox.watch(self.desk.notice)

    async def at(self, moment: dt.datetime) -> None:
        """Look at what is due."""
        await self.desk.close_due(moment, clock_synchronised=True)

    async def every(self, step_s: float, total_s: float, *, synchronised: bool = True) -> None:
        for step in range(int(total_s / step_s)):
            await self.desk.close_due(NOON + minutes(8) + seconds(step * step_s), clock_synchronised=synchronised)
