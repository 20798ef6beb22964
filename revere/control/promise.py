"""What is promised for a GridEvent, and whether the plan still keeps it: how much is missing, from when, and why."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from revere.control.headroom import WORDS, obstacle
from revere.control.snapshot import METER_BACK
from revere.core.ids import GridEventId
from revere.core.time import local
from revere.core.words import count
from revere.plan.forecast import relief_means_kw

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from revere.control.event_image import EventImage
    from revere.control.image import Image
    from revere.control.snapshot import Slot, Snapshot
    from revere.core.ids import SiteId
    from revere.plan.schedule import Plan

    Floats = npt.NDArray[np.float64]

MEAN_OVER = dt.timedelta(minutes=5)
SHORT_SHARE = 0.01
SHORT_KW = 1.0
NAMES_TOLD = 2
MISSING_MAX_CHARS = 250
"""What of an alarm's 400 characters is left for who is missing."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What a site gives less than its share of the promise, kW at the worst moment, with the vehicles by reason."""

    site_id: SiteId
    name: str
    kw: float
    why: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        """As an operator reads it."""
        reasons = []
        for reason, names in self.why:
            rest = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
            reasons.append(f"{reason} ({', '.join(names[:NAMES_TOLD])}{rest})")
        return f"{self.name} {self.kw:.0f} kW: {', '.join(reasons)}"


@dataclass(frozen=True, kw_only=True)
class BrokenPromise:
    """A nomination that the plan does not reach: its lowest 5-minute mean and when it is first too low."""

    event: EventImage
    nominated_kw: float
    lowest_kw: float
    since: dt.datetime
    missing: tuple[Missing, ...]

    def text(self, zone: str) -> str:
        """The alarm's words: both kW, from when, who is missing."""
        what = "Drill: promised" if self.event.drill else "Promised"
        start, end, since = (f"{local(at, zone):%H:%M}" for at in (self.event.start, self.event.end, self.since))
        found: list[str] = []
        for site in self.missing:
            if len("; ".join([*found, str(site)])) > MISSING_MAX_CHARS:
                found.append(count(len(self.missing) - len(found), "more site"))
                break
            found.append(str(site))
        if self.nominated_kw <= 0:
            return f"{what} nothing for {start} to {end} ({self._when(zone)}); {self._nothing(found)}"
        lacking_kw = self.nominated_kw - self.lowest_kw - sum(site.kw for site in self.missing)
        if lacking_kw > SHORT_KW:
            found.append(f"{lacking_kw:.0f} kW: less energy than was planned")
        return (
            f"{what} {self.nominated_kw:.0f} kW for {start} to {end}; the plan gives {self.lowest_kw:.0f} kW "
            f"at its lowest, too little from {since}. Missing: {'; '.join(found)}"
        )

    def _when(self, zone: str) -> str:
        if self.event.nominated_at is None:
            return "it was under way before it could be planned"
        return f"when it was planned at {local(self.event.nominated_at, zone):%H:%M}"

    def _nothing(self, found: list[str]) -> str:
        """What the plan gives all the same, and what holds the rest back."""
        given = f"the plan gives {self.lowest_kw:.0f} kW at its lowest"
        if not found and self.lowest_kw < SHORT_KW:
            found = ["nothing above the floors and the departures was left for it"]
        return f"{given}. Held back: {'; '.join(found)}" if found else given

    def kind(self) -> tuple[object, ...]:
        """What makes it another story: how much is missing by tenths, which sites, why. Nothing promised is one."""
        if self.nominated_kw <= 0:
            return ("nothing",)
        return (
            round(10 * self.lowest_kw / self.nominated_kw),
            *sorted((m.site_id, tuple(reason for reason, _ in m.why)) for m in self.missing),
        )


def planned_relief(snapshot: Snapshot, plan: Plan, event: EventImage) -> tuple[list[dt.datetime], Floats]:
    """The plan's 5-minute means of relief from now or the event's start to its end: when each begins, kW ``[B]``."""
    first, last = max(event.start, snapshot.edges[0]), min(event.end, snapshot.edges[-1])
    edges = [first]
    while edges[-1] < last:
        done = (edges[-1] - event.start) // MEAN_OVER
        edges.append(min(event.start + (done + 1) * MEAN_OVER, last))
    row = snapshot.event_ids.index(event.grid_event_id)
    members = snapshot.problem.commitments[row].sites[snapshot.problem.vehicle_site]
    means_kw = relief_means_kw(
        plan.net_kw[members],
        np.array([edge.timestamp() for edge in snapshot.edges]),
        [
            [(start.timestamp(), end.timestamp()) for start, end in slot.presence.plugged]
            for slot, member in zip(snapshot.slots, members, strict=True)
            if member
        ],
        np.array([edge.timestamp() for edge in edges]),
    )
    return edges[:-1], means_kw


def broken_promises(image: Image, snapshot: Snapshot, plan: Plan) -> Iterator[BrokenPromise]:
    """Nominations that the plan falls short of, for events ahead (inside the horizon) and under way.

    A promise of nothing is one: somebody called, and should hear why.
    """
    for event_id in snapshot.event_ids:
        event = image.events[GridEventId(event_id)]
        promised_kw = event.nominated_kw
        if promised_kw is None and event.start <= snapshot.edges[0]:
            promised_kw = 0.0
        if promised_kw is None or not event.live() or event.opt != "in" or event.end > snapshot.edges[-1]:
            continue
        begins, means_kw = planned_relief(snapshot, plan, event)
        if promised_kw <= 0:
            yield BrokenPromise(
                event=event,
                nominated_kw=0.0,
                lowest_kw=max(float(means_kw.min()), 0.0),
                since=begins[0],
                missing=_missing(image, snapshot, plan, event, whole=True),
            )
            continue
        short = means_kw < promised_kw - max(SHORT_KW, SHORT_SHARE * promised_kw)
        if short.any():
            yield BrokenPromise(
                event=event,
                nominated_kw=promised_kw,
                lowest_kw=float(means_kw.min()),
                since=begins[int(np.argmax(short))],
                missing=_missing(image, snapshot, plan, event),
            )


def _missing(
    image: Image, snapshot: Snapshot, plan: Plan, event: EventImage, *, whole: bool = False
) -> tuple[Missing, ...]:
    """Sites below their share of the promise for a reason that can be named, the largest gap first.

    A site may also give less because another gives more; the solver lays energy out as it likes. ``whole``: below what
    their vehicles could give at first, where nothing is promised.
    """
    problem = snapshot.problem
    row = snapshot.event_ids.index(event.grid_event_id)
    steps = np.flatnonzero(problem.commitments[row].steps)
    given_kw = -problem.site_sum(plan.net_kw)[:, steps]
    worst = 0 if whole else int(np.argmin(plan.commitment_kw[row][steps]))
    slots: dict[SiteId, list[Slot]] = defaultdict(list)
    for slot in snapshot.slots:
        slots[slot.evse.station.site_id].append(slot)
    found = []
    members = image.members(event)
    for index, site_id in enumerate(snapshot.site_ids):
        asked_kw = event.nominated_by_site_kw.get(site_id, 0.0)
        if whole:
            asked_kw = sum(_rating_kw(slot) for slot in slots[site_id]) if site_id in members else 0.0
        here_kw = float(given_kw[index, worst])
        gap_kw = asked_kw - (max(here_kw, 0.0) if whole else here_kw)
        if gap_kw <= SHORT_KW:
            continue
        why: dict[str, list[str]] = defaultdict(list)
        for slot in slots[site_id]:
            reason = _reason(image, slot, snapshot.edges[0], snapshot.edges[steps[worst]])
            if reason:
                why[reason].append(str(slot.evse.vehicle.id if slot.evse.vehicle else slot.evse.station.id))
        if why:
            reasons = tuple((reason, tuple(names)) for reason, names in sorted(why.items()))
            found.append(Missing(site_id=site_id, name=image.sites[site_id].site.name, kw=gap_kw, why=reasons))
    return tuple(sorted(found, key=lambda m: (-m.kw, m.site_id)))


def _rating_kw(slot: Slot) -> float:
    vehicle = slot.evse.vehicle
    return 0.0 if vehicle is None else min(slot.evse.station.discharge_kw, vehicle.discharge_kw)


def _reason(image: Image, slot: Slot, now: dt.datetime, at: dt.datetime) -> str | None:
    """Why a vehicle that could give does not count at ``at``; None where nothing but its energy speaks against it."""
    if _rating_kw(slot) <= 0:
        return None
    found = obstacle(image, slot, now)
    if found in {"locked", "uncommissioned", "no_grid", "silent", "stopped"}:
        return WORDS[found]
    if not any(start <= at < end for start, end in slot.presence.plugged):
        if slot.evse.sits_idle():
            return WORDS["no_session"]
        overdue = slot.evse.session_id is not None and any(j.depart <= now for j in slot.presence.journeys)
        return "due to leave, still plugged in" if overdue else WORDS["unplugged"]
    if found is None or slot.evse.session_id is None or (found == "unmetered" and at >= now + METER_BACK):
        return None  # it will be there, and the meter too
    return WORDS[found]
