"""A GridEvent's life in control: received, opted in, nominated, delivered, settled, reported."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Protocol

import structlog

from revere.control.closing import WAIT_FOR_VALUES, Closed, close_event
from revere.core import facts as f
from revere.core.errors import RevereError
from revere.core.ids import GridEventId
from revere.plan.forecast import lowest_mean_kw, nominate_kw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.control.closing import Books
    from revere.control.image import EventImage, Image
    from revere.control.snapshot import Snapshot
    from revere.core.ids import ProgramId
    from revere.core.ports import FactSink
    from revere.plan.problem import Bools
    from revere.plan.schedule import Plan
    from revere.settle.rules import Rulebook

log = structlog.get_logger()

PROMISE_LATEST = dt.timedelta(hours=1)
KNOWN_SHARE = 0.8
CLOSE_RETRY_FIRST = dt.timedelta(seconds=30)
CLOSE_RETRY_LAST = dt.timedelta(hours=1)
"""An event that cannot be settled is tried again after 30 s, doubled up to an hour."""


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
        self, image: Image, sink: FactSink, books: Books | None, rulebook: Rulebook, utility: Utility | None
    ) -> None:
        self._image = image
        self._sink = sink
        self._books = books
        self._rulebook = rulebook
        self._utility = utility
        self._tries: dict[GridEventId, int] = {}
        self._try_at: dict[GridEventId, dt.datetime] = {}
        self.closed: dict[GridEventId, Closed] = {}
        self.lock = asyncio.Lock()

    async def decide(self, now: dt.datetime) -> None:
        """Opt in to what was called and not decided: the programme's standing policy is to take part."""
        for event in list(self._image.events.values()):
            if event.opt == "undecided" and not event.cancelled and event.end > now:
                why = "standing policy: take part; departures and reserves stay above it"
                await self._sink.record(
                    [f.OptDecided(at=now, grid_event_id=event.grid_event_id, opt="in", by="policy", why=why)]
                )

    async def nominate(self, snapshot: Snapshot, plan: Plan, now: dt.datetime) -> None:
        """Promise for each undecided event what the plan gives in its lowest step, less ten per cent."""
        for row, event_id in enumerate(snapshot.event_ids):
            event = self._image.events[GridEventId(event_id)]
            if event.nominated_kw is not None or event.opt != "in" or now >= event.start:
                continue
            if event.end > snapshot.edges[-1] or not self._can_promise(event, snapshot, now):
                continue
            commitment = snapshot.problem.commitments[row]
            lowest = lowest_mean_kw(plan.commitment_kw[row], snapshot.problem.step_h, commitment.steps)
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

    async def close_due(self, now: dt.datetime, *, clock_synchronised: bool) -> None:
        """Settle and report events whose last values have had time to arrive."""
        for event in list(self._image.events.values()):
            event_id = event.grid_event_id
            due = event.live() and now >= event.end + WAIT_FOR_VALUES and not event.reported
            if not due or self._books is None or now < self._try_at.get(event_id, now):
                continue
            tries = self._tries[event_id] = self._tries.get(event_id, 0) + 1
            self._try_at[event_id] = now + min(CLOSE_RETRY_FIRST * 2 ** min(tries - 1, 20), CLOSE_RETRY_LAST)
            try:
                await self._close(event, now, clock_synchronised)
            except RevereError as error:
                # Kept open: it is tried again after a pause, and a person can read why.
                log.warning("event not settled", grid_event_id=event_id, tries=tries, why=str(error))
                await self._alarm(event_id, str(error), now)

    async def _alarm(self, event_id: GridEventId, why: str, now: dt.datetime) -> None:
        key = f"settle:{event_id}"
        text = f"{event_id} is not settled: {why}"[:400]
        if key not in self._image.alarms:
            await self._sink.record([f.AlarmRaised(at=now, key=key, severity="warning", subject=event_id, text=text)])

    async def _close(self, event: EventImage, now: dt.datetime, clock_synchronised: bool) -> None:
        assert self._books is not None
        async with self.lock:
            closed = await close_event(
                self._image, event, self._books, self._rulebook, now, clock_synchronised=clock_synchronised
            )
        report_id = "none"
        if self._utility is not None and not event.source.startswith("operator:"):
            report_id = await self._utility.report_performance(event.grid_event_id, event.program_id, closed.intervals)
        facts: list[f.Fact] = [
            f.EventReported(
                at=now,
                grid_event_id=event.grid_event_id,
                performance_kw=round(closed.performance_kw, 3),
                report_id=report_id,
            )
        ]
        if f"settle:{event.grid_event_id}" in self._image.alarms:
            facts.append(f.AlarmCleared(at=now, key=f"settle:{event.grid_event_id}"))
        await self._sink.record(facts)
        self.closed[event.grid_event_id] = closed


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
