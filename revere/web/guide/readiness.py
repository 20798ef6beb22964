"""Will the buses leave? Each departure of the roster, judged by the battery at plug-out.

::

    plugged in ──────────────┤ plug-out (or the roster's time, whichever is first)
                  last soc ──┘ compared with soc_min + trip energy x departure margin

A vehicle whose battery nobody read is *unknown*, never ready.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from revere.control.image import Override
from revere.control.roster import Journey, journeys
from revere.web.guide.groups import LABELS
from revere.web.guide.shapes import Readiness, ReadyGroup, ReadySite, ShortDeparture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.core.assets import Programme, Site, Vehicle
    from revere.core.facts import DepartureSet
    from revere.web.guide.chronicle import Plugged
    from revere.web.guide.tracks import Track

EARLY = dt.timedelta(minutes=30)
LATE = dt.timedelta(minutes=60)
"""A plug-out this long before or after the roster's time is that departure's."""
SOC_FRESH = dt.timedelta(minutes=15)
SOC_RESOLUTION = 0.005
"""Half a percent: what a battery that reports whole percents may be off by."""
ORDER_LOOK = dt.timedelta(hours=12)
SHORT_LISTED_MOST = 40

NOT_PLUGGED = "the vehicle was not plugged in before it was due"
NO_SOC = "no battery reading in the quarter of an hour before"


@dataclass(frozen=True, slots=True)
class Departed:
    """One departure and the verdict. ``had_kwh`` None: unknown, and ``why`` says so."""

    site: Site
    vehicle: Vehicle
    departs: dt.datetime
    needed_kwh: float
    had_kwh: float | None
    seen: bool
    why: str = ""

    @property
    def spare(self) -> float | None:
        """Battery above the need as a fraction of a full one."""
        return None if self.had_kwh is None else (self.had_kwh - self.needed_kwh) / self.vehicle.capacity_kwh

    @property
    def ready(self) -> bool:
        """Whether it had what it needed, within the battery's resolution."""
        return self.spare is not None and self.spare >= -SOC_RESOLUTION


def departures(
    vehicle: Vehicle, programme: Programme, orders: Sequence[DepartureSet], start: dt.datetime, end: dt.datetime
) -> list[Journey]:
    """Journeys that were due in ``[start, end]``: the roster's, with the orders that stood when they came due."""
    due = [j for j in journeys(vehicle, programme, None, start, end) if start <= j.depart <= end]
    own = [order for order in orders if order.vehicle_id == vehicle.id]
    for number, order in enumerate(own):
        replaced = any(later.at < order.departs for later in own[number + 1 :])
        if replaced or not start <= order.departs <= end:
            continue
        override = Override(order.departs, order.soc_required, order.by)
        near = journeys(vehicle, programme, override, order.departs - ORDER_LOOK, order.departs + ORDER_LOOK)
        asked = [j for j in near if j.name.startswith("order")]
        due = [j for j in due if all(j.back <= a.depart or j.depart >= a.back for a in asked)] + asked
    return sorted(due, key=lambda j: j.depart)


def judge(site: Site, vehicle: Vehicle, journey: Journey, sessions: Sequence[Plugged], track: Track) -> Departed:
    """The battery at plug-out, or at the roster's time where the vehicle stayed, against the need."""

    def verdict(had_kwh: float | None, seen: bool, why: str = "") -> Departed:
        return Departed(site, vehicle, journey.depart, journey.needed_kwh, had_kwh, seen, why)

    own = [s for s in sessions if s.token == vehicle.token and s.start < journey.depart + LATE]
    left = [s for s in own if s.end is not None and journey.depart - EARLY <= s.end <= journey.depart + LATE]
    stayed = [s for s in own if s.start <= journey.depart and (s.end is None or s.end > journey.depart + LATE)]
    if left:
        session = min(left, key=lambda s: abs((s.end or s.start) - journey.depart))
        moment = min(session.end or journey.depart, journey.depart)
    elif stayed:
        session, moment = stayed[-1], journey.depart
    else:
        return verdict(None, False, NOT_PLUGGED)
    soc = track.soc_before(moment, max(session.start, moment - SOC_FRESH))
    if soc is None:
        return verdict(None, bool(left), NO_SOC)
    return verdict(soc * vehicle.capacity_kwh, bool(left))


def readiness(found: Sequence[Departed], groups: dict[str, tuple[Site, ...]], orders: int) -> Readiness:
    """Add departures up by group and by school or municipal site; list the short ones that are not residents'."""
    by_site: dict[str, list[Departed]] = {}
    for one in found:
        by_site.setdefault(one.site.id, []).append(one)
    public = [site for members in groups.values() for site in members if site.kind != "home" and site.id in by_site]
    buses = [one.spare for one in found if one.site.kind == "school" and one.spare is not None]
    bins = Counter(math.floor(spare * 10 + 1e-9) / 10 for spare in buses)
    short = [one for one in found if one.had_kwh is not None and not one.ready and one.site.kind != "home"]
    return Readiness(
        groups=tuple(
            _group(label, [one for site in members for one in by_site.get(site.id, [])])
            for label, members in groups.items()
        ),
        sites=tuple(_site(site, by_site[site.id]) for site in public),
        short=tuple(
            ShortDeparture(
                site=one.site.name,
                vehicle=one.vehicle.name,
                departs=one.departs,
                needed_kwh=one.needed_kwh,
                had_kwh=one.had_kwh or 0.0,
            )
            for one in sorted(short, key=lambda one: one.departs)[:SHORT_LISTED_MOST]
        ),
        spare_bins=tuple(sorted(bins.items())),
        why_unknown=tuple(sorted(Counter(one.why for one in found if one.why).items())),
        orders=orders,
    )


def _group(label: str, found: list[Departed]) -> ReadyGroup:
    spares = [one.spare for one in found if one.spare is not None]
    return ReadyGroup(
        label=label,
        departures=len(found),
        ready=sum(one.ready for one in found),
        short=sum(one.spare is not None and not one.ready for one in found),
        unknown=sum(one.spare is None for one in found),
        unseen=sum(one.spare is not None and not one.seen for one in found),
        least_spare=None if label == LABELS["home"] else min(spares, default=None),
        median_spare=statistics.median(spares) if spares else None,
    )


def _site(site: Site, found: list[Departed]) -> ReadySite:
    group = _group(site.name, found)
    return ReadySite(
        name=site.name,
        departures=group.departures,
        ready=group.ready,
        short=group.short,
        unknown=group.unknown,
        least_spare=group.least_spare,
    )
