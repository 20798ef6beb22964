"""What the VTN said last and what we recorded of it: the difference becomes facts.

Pure: a complete or partial list of events and ``now`` in, facts out; ``learn`` is called once the facts
are committed, so that a failed commit is tried again by the next poll.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from revere.core.facts import GridEventReceived
from revere.links.openadr3.translate import grid_event_id, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from revere.core.ids import GridEventId
    from revere.links.openadr3.translate import Call, Translated

SOURCE = "openadr3"
KEEP_ENDED = dt.timedelta(days=90)


class EventBook:
    """The last recorded fact of every grid event of this link, cancelled ones included."""

    def __init__(self, known: Iterable[GridEventReceived] = ()) -> None:
        self._latest: dict[GridEventId, GridEventReceived] = {}
        self._event_ids: dict[str, str] = {}
        self._stamps_ms: dict[str, int] = {}
        for fact in known:
            last = self._latest.get(fact.grid_event_id)
            if fact.source == SOURCE and (last is None or fact.modification >= last.modification):
                self._latest[fact.grid_event_id] = fact

    def is_stale(self, event: Translated) -> bool:
        """Whether we have seen a later version of the event (a lagging replica answered)."""
        return event.modified_ms < self._stamps_ms.get(event.event_id, 0)

    def is_new_version(self, event: Translated) -> bool:
        """Whether this version was not seen before."""
        return event.modified_ms > self._stamps_ms.get(event.event_id, -1)

    def event_id(self, ident: GridEventId) -> str | None:
        """The VTN's id of a grid event, if it can be known."""
        stem = stem_of(ident)
        return self._event_ids.get(stem) or (None if stem.startswith("oadr3:") else stem)

    def changes(self, events: Sequence[Translated], now: dt.datetime) -> list[GridEventReceived]:
        """Facts for windows that are new, differ from what is recorded, or left their event.

        A window that is new to us and already over is no news.
        """
        facts: list[GridEventReceived] = []
        for event in events:
            if self.is_stale(event):
                continue
            for call in event.calls:
                last = self._latest.get(call.grid_event_id)
                if not (_same(last, call) if last else call.end <= now):
                    facts.append(_received(call, last, event.modified_ms, now))
            wanted = {call.grid_event_id for call in event.calls}
            stem = stem_of(grid_event_id(event.event_id))
            facts += [
                _cancelled(last, event.modified_ms, now)
                for ident, last in self._latest.items()
                if stem_of(ident) == stem and ident not in wanted and _open(last, now)
            ]
        return facts

    def vanished(self, present: Iterable[str], now: dt.datetime) -> list[GridEventReceived]:
        """Facts for open grid events that a *complete* list no longer holds: the utility deleted them."""
        stems = {stem_of(grid_event_id(event_id)) for event_id in present}
        return [
            _cancelled(last, 0, now)
            for ident, last in self._latest.items()
            if stem_of(ident) not in stems and _open(last, now)
        ]

    def learn(self, events: Iterable[Translated], facts: Iterable[GridEventReceived], now: dt.datetime) -> None:
        """Take over what was committed, and forget what ended long ago."""
        for fact in facts:
            self._latest[fact.grid_event_id] = fact
        fresh = {event.event_id: event.modified_ms for event in events}
        for event_id in fresh:
            self._event_ids[stem_of(grid_event_id(event_id))] = event_id
        for ident in [i for i, last in self._latest.items() if last.end < now - KEEP_ENDED]:
            del self._latest[ident]
        stems = {stem_of(ident) for ident in self._latest}
        self._event_ids = {stem: event_id for stem, event_id in self._event_ids.items() if stem in stems}
        held = set(self._event_ids.values()) | set(fresh)
        stamps = {event_id: ms for event_id, ms in self._stamps_ms.items() if event_id in held}
        self._stamps_ms = stamps | {event_id: max(ms, stamps.get(event_id, 0)) for event_id, ms in fresh.items()}


def _same(last: GridEventReceived, call: Call) -> bool:
    return (last.program_id, last.start, last.end, last.cancelled) == (call.program_id, call.start, call.end, False)


def _open(last: GridEventReceived, now: dt.datetime) -> bool:
    return not last.cancelled and last.end > now


def _received(call: Call, last: GridEventReceived | None, modified_ms: int, now: dt.datetime) -> GridEventReceived:
    return GridEventReceived(
        at=now,
        grid_event_id=call.grid_event_id,
        program_id=call.program_id,
        start=call.start,
        end=call.end,
        modification=_next_modification(last, modified_ms),
        source=SOURCE,
    )


def _cancelled(last: GridEventReceived, modified_ms: int, now: dt.datetime) -> GridEventReceived:
    return GridEventReceived(
        at=now,
        grid_event_id=last.grid_event_id,
        program_id=last.program_id,
        start=last.start,
        end=last.end,
        modification=_next_modification(last, modified_ms),
        cancelled=True,
        source=SOURCE,
    )


def _next_modification(last: GridEventReceived | None, modified_ms: int) -> int:
    """The VTN's stamp in milliseconds, or one more than ours where its stamp did not advance."""
    return modified_ms if last is None else max(modified_ms, last.modification + 1)
