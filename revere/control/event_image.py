"""GridEvents as last heard of, folded from facts: who called, what we answered and promised, what it came to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from revere.core import facts as f

if TYPE_CHECKING:
    from collections.abc import Collection

    from revere.core.ids import GridEventId, ProgramId


@dataclass(slots=True)
class EventImage:
    """One call under a program, its latest modification; ``received_at`` is when it was first heard of.

    ``source`` is who called, ``cancelled_by`` who took it back and ``why``; the same of our answer, ``opt``.
    """

    grid_event_id: GridEventId
    program_id: ProgramId
    start: dt.datetime
    end: dt.datetime
    modification: int
    cancelled: bool
    received_at: dt.datetime
    source: str
    drill: bool = False
    cancelled_at: dt.datetime | None = None
    cancelled_by: str = ""
    why: str = ""
    opt: str = "undecided"
    opted_at: dt.datetime | None = None
    opted_by: str = ""
    opted_why: str = ""
    nominated_kw: float | None = None
    nominated_at: dt.datetime | None = None
    nominated_by_site_kw: dict[str, float] = field(default_factory=dict)
    performance_kw: float | None = None
    reported: bool = False
    held: dict[str, str] = field(default_factory=dict)

    def live(self) -> bool:
        """Neither cancelled nor opted out of."""
        return not self.cancelled and self.opt != "out"

    def by_hand(self) -> bool:
        """Whether a person recorded it here: a call by telephone, or a drill."""
        return self.source.startswith(f.BY_HAND)

    def caller(self) -> str:
        """The person who recorded it, or the protocol by which the utility called."""
        return self.source.removeprefix(f.BY_HAND)

    def declined(self) -> bool:
        """Whether we were out of it before it began. Who leaves later has taken part: meters show by how much."""
        return self.opt == "out" and self.opted_at is not None and self.opted_at < self.start


def fold_call(events: dict[GridEventId, EventImage], fact: f.GridEventReceived | f.Nominated | f.OptDecided) -> None:
    """Take up a call, a change of it, our promise or our answer; an older modification changes nothing."""
    known = events.get(fact.grid_event_id)
    if isinstance(fact, f.GridEventReceived):
        if known is not None and fact.modification < known.modification:
            return
        event = EventImage(
            grid_event_id=fact.grid_event_id,
            program_id=fact.program_id,
            start=fact.start,
            end=fact.end,
            modification=fact.modification,
            cancelled=fact.cancelled,
            received_at=fact.at,
            source=fact.source,
            drill=fact.drill,
            why=fact.why,
        )
        if fact.cancelled:
            event.cancelled_at, event.cancelled_by = fact.at, fact.source.removeprefix(f.BY_HAND)
        if known is not None:
            event.received_at, event.source, event.drill = known.received_at, known.source, known.drill
            event.opt, event.opted_at = known.opt, known.opted_at
            event.opted_by, event.opted_why = known.opted_by, known.opted_why
            if (known.start, known.end) == (event.start, event.end):  # a call that moved is settled anew
                event.reported, event.performance_kw, event.held = known.reported, known.performance_kw, known.held
            event.nominated_kw, event.nominated_at = known.nominated_kw, known.nominated_at
            event.nominated_by_site_kw = known.nominated_by_site_kw
        events[fact.grid_event_id] = event
    elif known is not None and isinstance(fact, f.Nominated):
        known.nominated_kw, known.nominated_at = fact.nominated_kw, fact.at
        known.nominated_by_site_kw = fact.by_site_kw
    elif known is not None and isinstance(fact, f.OptDecided):
        known.opt, known.opted_at, known.opted_by, known.opted_why = fact.opt, fact.at, fact.by, fact.why


def event_at(events: Collection[EventImage], now: dt.datetime) -> EventImage | None:
    """The live event that runs now, else the next one, else the last one that ended today."""
    running = [e for e in events if e.live() and e.start <= now < e.end]
    if running:
        return min(running, key=lambda e: (e.start, e.grid_event_id))
    coming = [e for e in events if e.live() and e.start > now]
    if coming:
        return min(coming, key=lambda e: (e.start, e.grid_event_id))
    over = [e for e in events if e.live() and now - e.end < dt.timedelta(hours=18)]
    return max(over, key=lambda e: (e.end, e.grid_event_id), default=None)
