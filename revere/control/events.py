"""A GridEvent's life in control: received, opted in, nominated, delivered, settled, reported.

What comes to be known of a closed event later (values out of a station's backlog, an outage, a call that was taken
back) settles it again by itself, as corrections, until its books close::

    end   + 7 min       late value   + 15 min                          + 183 days
    |-----|-------------|------------|---------------------------------|
          settled,                   settled again, and                books closed: a person's affair
          reported                   reported again if the figure changed
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Protocol

import structlog

from revere.control.closing import EDGE_TOLERANCE_S, WAIT_FOR_VALUES, Closed, close_events
from revere.control.promise import planned_relief
from revere.core import facts as f
from revere.core.errors import RevereError
from revere.core.ids import GridEventId
from revere.core.time import local
from revere.plan.forecast import nominate_kw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.control.closing import Books
    from revere.control.contracts import Contracts
    from revere.control.event_image import EventImage
    from revere.control.image import Image
    from revere.control.snapshot import Snapshot
    from revere.core.ids import ProgramId, SiteId
    from revere.core.ports import FactSink
    from revere.plan.problem import Bools
    from revere.plan.schedule import Plan

log = structlog.get_logger()

POLICY = "policy"
PROMISE_LATEST = dt.timedelta(hours=1)
KNOWN_SHARE = 0.8
CLOSE_RETRY_FIRST = dt.timedelta(seconds=30)
CLOSE_RETRY_LAST = dt.timedelta(hours=1)
"""An event that cannot be settled is tried again after 30 s, doubled up to an hour."""
LATE_WAIT = dt.timedelta(minutes=15)
"""Late values come in bursts, as a station empties its backlog: what follows within this is settled with the first."""
BOOKS_OPEN = dt.timedelta(days=183)
"""A season of four months, and the two in which it is paid (October to December, programme.md b1)."""


class Utility(Protocol):
    """Where an event's result is reported (filled by the OpenADR link)."""

    async def report_performance(
        self,
        grid_event_id: GridEventId,
        program_id: ProgramId,
        intervals: Sequence[tuple[dt.datetime, dt.datetime, float]],
    ) -> str:
        """Send relief by interval, kW; returns the report's id at the utility."""
        ...


class EventDesk:
    """Decides on events and closes them. Nothing here moves power."""

    def __init__(
        self, image: Image, sink: FactSink, books: Books | None, contracts: Contracts, utility: Utility | None
    ) -> None:
        self._image = image
        self._sink = sink
        self._books = books
        self._contracts = contracts
        self._utility = utility
        self._tries: dict[GridEventId, int] = {}
        self._try_at: dict[GridEventId, dt.datetime] = {}
        self._late: dict[GridEventId, dt.datetime] | None = None
        self._closed_until: dt.datetime | None = None
        self._zone = image.fleet.programme.zone
        self._baseline: tuple[tuple[ProgramId | None, dt.date], str] | None = None
        self.after_books = 0
        self.closed: dict[GridEventId, Closed] = {}
        self.lock = asyncio.Lock()

    def baseline(self, now: dt.datetime) -> str:
        """The baselines that the rules in force name: for the event of the hour, else for every program of today.

        ``none`` where all of them do without, empty where no rule is in force.
        """
        event = self._image.event_at(now)
        asked = (event.program_id if event else None, local(event.start if event else now, self._zone).date())
        if self._baseline is None or self._baseline[0] != asked:
            self._baseline = (asked, self._contracts.baseline(*asked))
        return self._baseline[1]

    async def decide(self, now: dt.datetime) -> None:
        """Opt in to what was called and not decided: the programme's standing policy is to take part.

        A drill gives way to a call: it is withdrawn where one reaches a site of its own in its hours.
        """
        for event in list(self._image.events.values()):
            if event.drill and event.live() and event.end > now:
                call = next((other for other in self._image.events.values() if self._displaces(other, event)), None)
                if call is not None:
                    why = f"{call.grid_event_id} calls for the same hours, and a call comes before a drill"
                    await self._sink.record([withdrawal(event, POLICY, why, now)])
                    continue
            if event.opt == "undecided" and not event.cancelled and event.end > now:
                why = "standing policy: take part; departures and reserves stay above it"
                await self._sink.record(
                    [f.OptDecided(at=now, grid_event_id=event.grid_event_id, opt="in", by=POLICY, why=why)]
                )

    def _displaces(self, call: EventImage, drill: EventImage) -> bool:
        """Whether a call takes the place of a drill."""
        same_hours = call.start < drill.end and drill.start < call.end
        together = same_hours and bool(self._image.members(call) & self._image.members(drill))
        return together and not call.drill and call.live()

    async def nominate(self, snapshot: Snapshot, plan: Plan, now: dt.datetime) -> None:
        """Promise for each undecided event the plan's lowest 5-minute mean, less ten per cent."""
        for row, event_id in enumerate(snapshot.event_ids):
            event = self._image.events[GridEventId(event_id)]
            if event.nominated_kw is not None or event.opt != "in" or now >= event.start:
                continue
            if event.end > snapshot.edges[-1] or not self._can_promise(event, snapshot, now):
                continue
            commitment = snapshot.problem.commitments[row]
            lowest = float(planned_relief(snapshot, plan, event)[1].min())
            nominated = nominate_kw(max(lowest, 0.0))
            by_site = _by_site(snapshot, plan, commitment.steps, nominated, lowest, self._members(event))
            await self._sink.record(
                [
                    f.Nominated(
                        at=now,
                        grid_event_id=event.grid_event_id,
                        nominated_kw=nominated,
                        lowest_mean_kw=round(lowest, 3),
                        by_site_kw=by_site,
                    )
                ]
            )

    def _can_promise(self, event: EventImage, snapshot: Snapshot, now: dt.datetime) -> bool:
        """Whether enough batteries are known and free to give: a promise is made once, and would be low for good.

        Right after a first start little is known; a stop may be lifted, a grid may come back. An hour before the
        event what there is must do.
        """
        if now >= event.start - PROMISE_LATEST:
            return True
        members = self._members(event)
        asked = [s for s in snapshot.slots if s.evse.station.site_id in members and s.evse.station.discharge_kw > 0]
        return sum(slot.known and slot.free for slot in asked) >= KNOWN_SHARE * len(asked)

    def _members(self, event: EventImage) -> frozenset[str]:
        return frozenset(self._image.members(event))

    def notice(self, fact: f.Fact) -> None:
        """Take note of a committed fact that may change what a closed event comes to; it is settled again soon.

        Called for every fact, so it leaves at once what is of now.
        """
        match fact:
            case f.MeterReading():
                registers = fact.import_wh is not None or fact.export_wh is not None
                if registers and fact.place == "ac_inlet" and not fact.quarantined and self._was_closed(fact.ts):
                    evse = self._image.evses.get(fact.asset_id)
                    if evse is not None:
                        self._mark_events(evse.station.site_id, fact.ts, fact.at, inside=True)
            case f.GridLost() | f.GridRestored() | f.TransferSwitchReported():
                if self._was_closed(fact.ts):
                    self._mark_events(fact.site_id, fact.ts, fact.at, inside=False)
            case f.GridEventReceived():
                event = self._image.events.get(fact.grid_event_id)
                if event is not None and event.received_at != fact.at:
                    self._mark_all(fact.at)
            case f.OptDecided():
                if fact.by != POLICY:
                    self._mark_all(fact.at)
            case f.EventReported():
                self._closed_until = None

    def _was_closed(self, ts: dt.datetime) -> bool:
        """Whether ``ts`` lies before the end of the last event that was closed."""
        if self._closed_until is None:
            ends = [event.end for event in self._image.events.values() if event.reported]
            tolerance = dt.timedelta(seconds=EDGE_TOLERANCE_S)
            self._closed_until = max(ends, default=dt.datetime.min.replace(tzinfo=dt.UTC)) + tolerance
        return ts <= self._closed_until

    def _mark_events(self, site_id: SiteId, ts: dt.datetime, at: dt.datetime, *, inside: bool) -> None:
        """Mark the closed events of a site that hold ``ts``, or also those after it (an outage reaches on)."""
        tolerance = dt.timedelta(seconds=EDGE_TOLERANCE_S)
        for event in self._image.events.values():
            reaches = ts <= event.end + tolerance and not (inside and ts < event.start - tolerance)
            if event.reported and reaches and site_id in self._image.members(event):
                self._mark(event, at)

    def _mark_all(self, at: dt.datetime) -> None:
        """Mark every closed event: a call that changed may give its time to another, or take it."""
        for event in self._image.events.values():
            if event.reported and at <= event.end + BOOKS_OPEN:
                self._mark(event, at)

    def _mark(self, event: EventImage, at: dt.datetime) -> None:
        if at > event.end + BOOKS_OPEN:
            self.after_books += 1
            log.warning("a closed event changed after its books", grid_event_id=event.grid_event_id)
        elif self._late is not None:  # before the first look all closed events are looked at anyway
            self._late.setdefault(event.grid_event_id, at + LATE_WAIT)

    async def close_due(self, now: dt.datetime, *, clock_synchronised: bool) -> None:
        """Settle and report events whose last values have had time to arrive, and again those that changed since."""
        if self._books is None:
            return
        if self._late is None:
            # An earlier life may have ended between a late value and its correction: look at each once more.
            closed = [e for e in self._image.events.values() if e.reported and now <= e.end + BOOKS_OPEN]
            self._late = {event.grid_event_id: now + LATE_WAIT for event in closed}
        due = [event for event in self._image.events.values() if self._is_due(event, now)]
        if not due:
            return
        for event in due:
            self._late.pop(event.grid_event_id, None)
        try:
            async with self.lock:
                closed_now = await close_events(
                    self._image, due, self._books, self._contracts.rulebook, now, clock_synchronised=clock_synchronised
                )
        except RevereError as error:
            for event in due:
                await self._failed(event, error, now)
            return
        for event in due:
            try:
                await self._tell(event, closed_now[event.grid_event_id], now)
            except RevereError as error:
                await self._failed(event, error, now)

    def _is_due(self, event: EventImage, now: dt.datetime) -> bool:
        assert self._late is not None
        event_id = event.grid_event_id
        if now < self._try_at.get(event_id, now):
            return False
        first = not event.cancelled and now >= event.end + WAIT_FOR_VALUES and not event.reported
        return first or (event.reported and now >= self._late.get(event_id, now + LATE_WAIT))

    async def _failed(self, event: EventImage, error: RevereError, now: dt.datetime) -> None:
        """Keep an event open: it is tried again after a pause, and a person can read why."""
        assert self._late is not None
        event_id = event.grid_event_id
        tries = self._tries[event_id] = self._tries.get(event_id, 0) + 1
        self._try_at[event_id] = now + min(CLOSE_RETRY_FIRST * 2 ** min(tries - 1, 20), CLOSE_RETRY_LAST)
        if event.reported and now <= event.end + BOOKS_OPEN:
            self._late.setdefault(event_id, now)
        log.warning("event not settled", grid_event_id=event_id, tries=tries, why=str(error))
        key, text = f"settle:{event_id}", f"{event_id} is not settled: {error}"[:400]
        if key not in self._image.alarms:
            await self._sink.record([f.AlarmRaised(at=now, key=key, severity="warning", subject=event_id, text=text)])

    async def _tell(self, event: EventImage, closed: Closed, now: dt.datetime) -> None:
        """Report what an event came to, if it is news, and journal it."""
        event_id = event.grid_event_id
        exact_kw = closed.performance_kw()
        performance_kw = None if exact_kw is None else round(exact_kw, 3)
        facts: list[f.Fact] = []
        if self._changed(event):
            return
        if not event.cancelled and not (event.reported and performance_kw == event.performance_kw):
            report_id = await self._report(event, closed)
            if self._changed(event):
                return
            held = {str(site_id): reason for site_id, reason in closed.held.items()}
            facts.append(
                f.EventReported(
                    at=now, grid_event_id=event_id, performance_kw=performance_kw, report_id=report_id, held=held
                )
            )
        if f"settle:{event_id}" in self._image.alarms:
            facts.append(f.AlarmCleared(at=now, key=f"settle:{event_id}"))
        if facts:
            await self._sink.record(facts)
        self._tries.pop(event_id, None)
        self._try_at.pop(event_id, None)
        self.closed[event_id] = closed

    def _changed(self, event: EventImage) -> bool:
        """Whether the call was moved or cancelled while it was settled: then it comes due again by itself."""
        now = self._image.events.get(event.grid_event_id, event)
        return (now.start, now.end, now.cancelled) != (event.start, event.end, event.cancelled)

    async def _report(self, event: EventImage, closed: Closed) -> str:
        """Tell the utility that called; ``none`` where nobody did or nothing was measured."""
        intervals = closed.intervals()
        if self._utility is None or event.by_hand() or not intervals:
            return "none"
        return await self._utility.report_performance(event.grid_event_id, event.program_id, intervals)


def withdrawal(event: EventImage, by: str, why: str, now: dt.datetime) -> f.GridEventReceived:
    """The fact that takes a call by hand back: as if it had never stood, whatever was given for it."""
    return f.GridEventReceived(
        at=now,
        grid_event_id=event.grid_event_id,
        program_id=event.program_id,
        start=event.start,
        end=event.end,
        modification=event.modification + 1,
        cancelled=True,
        source=f"{f.BY_HAND}{by}",
        drill=event.drill,
        why=why,
    )


def _by_site(
    snapshot: Snapshot, plan: Plan, steps: Bools, nominated_kw: float, lowest_kw: float, members: frozenset[str]
) -> dict[str, float]:
    """Share the promise over sites in proportion to their planned mean in the window."""
    problem = snapshot.problem
    site_kwh = -problem.site_sum(plan.net_kw) @ (problem.step_h * steps)
    given = {
        site_id: max(float(site_kwh[row]), 0.0) for row, site_id in enumerate(snapshot.site_ids) if site_id in members
    }
    total = sum(given.values())
    if total <= 0 or lowest_kw <= 0:
        return dict.fromkeys(given, 0.0)
    return {site_id: round(nominated_kw * kwh / total, 3) for site_id, kwh in given.items()}
