"""Who leaves when, with how much: rosters and orders read as journeys on the clock."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from revere.core.assets import Programme, Vehicle, runs_on
from revere.core.time import at_local, local

if TYPE_CHECKING:
    from revere.control.image import Override

RETURN_SLACK = dt.timedelta(minutes=2)
"""From the roster's return to the plug. Rosters are kept on average; who comes late is what a promise is cut for."""
UNPLUG_BEFORE = dt.timedelta(minutes=5)
ORDER_AWAY = dt.timedelta(hours=2)
LATE_STEP = dt.timedelta(minutes=10)
DAYS_KEPT = 100_000
"""Vehicle days whose journeys are remembered."""
LEAVES_LATE = dt.timedelta(minutes=45)
"""How long a vehicle that should have left keeps what it needs, and charges; after that it is taken not to go."""
OVERDUE_LEAST = dt.timedelta(minutes=15)
"""An overdue vehicle charges for the whole of the step that begins now: a shorter span would thin out its power."""


@dataclass(frozen=True, slots=True)
class Journey:
    """One absence: ``needed_kwh`` must be in the battery at ``depart``; ``energy_kwh`` is used on the way."""

    name: str
    depart: dt.datetime
    back: dt.datetime
    energy_kwh: float
    needed_kwh: float


def journeys(
    vehicle: Vehicle, programme: Programme, override: Override | None, start: dt.datetime, end: dt.datetime
) -> list[Journey]:
    """Absences that overlap ``[start, end)``, in order. An order (override) comes on top of the roster.

    ``needed_kwh`` = soc_min x capacity + trip energy x departure margin, at most a full battery.
    """
    found: list[Journey] = []
    day = local(start, programme.zone).date() - dt.timedelta(days=1)
    last = local(end, programme.zone).date()
    while day <= last:
        of_day = _of_day(vehicle, programme, day)
        found += [j for j in of_day if j.depart < end and j.back + RETURN_SLACK > start]
        day += dt.timedelta(days=1)
    base_kwh = vehicle.soc_min * vehicle.capacity_kwh
    full_kwh = vehicle.soc_max * vehicle.capacity_kwh
    if override is not None and start <= override.departs < end:
        needed = min(override.soc_required * vehicle.capacity_kwh, full_kwh)
        used = max(needed - base_kwh, 0.0)
        found = _with_order(found, Journey("order", override.departs, override.departs + ORDER_AWAY, used, needed))
    return sorted(found, key=lambda journey: journey.depart)


@lru_cache(maxsize=DAYS_KEPT)
def _of_day(vehicle: Vehicle, programme: Programme, day: dt.date) -> tuple[Journey, ...]:
    """The roster's absences that begin on a local day. Asked for every minute, so remembered."""
    base_kwh = vehicle.soc_min * vehicle.capacity_kwh
    full_kwh = vehicle.soc_max * vehicle.capacity_kwh
    found = []
    for trip in vehicle.trips:
        if not runs_on(trip, day, programme):
            continue
        back_day = day if trip.back > trip.depart else day + dt.timedelta(days=1)
        depart, back = at_local(day, trip.depart, programme.zone), at_local(back_day, trip.back, programme.zone)
        needed_kwh = min(base_kwh + trip.energy_kwh * vehicle.departure_margin, full_kwh)
        found.append(Journey(trip.name, depart, back, trip.energy_kwh, needed_kwh))
    return tuple(found)


def _with_order(found: list[Journey], order: Journey) -> list[Journey]:
    """Add an order; a roster trip that it overlaps keeps its own energy when that is more."""
    kept = [j for j in found if j.back <= order.depart or j.depart >= order.back]
    for j in found:
        if j not in kept:
            order = Journey(
                f"order ({j.name})",
                min(order.depart, j.depart),
                max(order.back, j.back),
                max(order.energy_kwh, j.energy_kwh),
                max(order.needed_kwh, j.needed_kwh),
            )
    return [*kept, order]


@dataclass(frozen=True, slots=True)
class Presence:
    """When a vehicle is at its plug within a horizon, and what it uses in between.

    ``overdue``: the time for which one that should have left may yet stand there: it charges and gives nothing.
    """

    plugged: tuple[tuple[dt.datetime, dt.datetime], ...]
    journeys: tuple[Journey, ...]
    away_until: dt.datetime | None
    energy_used_kwh: float
    overdue: tuple[dt.datetime, dt.datetime] | None = None

    def next_departures(self) -> tuple[Journey, ...]:
        """The departures to be ready for: the next one, after one that is overdue."""
        return self.journeys[: 2 if self.overdue else 1]


def presence(
    found: list[Journey],
    is_plugged: bool,
    now: dt.datetime,
    end: dt.datetime,
    since: dt.datetime | None = None,
    *,
    stands: bool = False,
) -> Presence:
    """Read the roster against what the plug says.

    A vehicle that is away is taken to come back at its journey's return (or, when late, in ten minutes),
    plus some slack; one that is plugged in during a journey of the roster has not left, or is back early: it leaves
    late where it has been plugged in ``since`` before the departure, and until then is charged for this departure and
    the next one as if it left at once: how long it stands nobody knows.
    One that ``stands`` there without a session is not counted on now either, but has its departure before it.
    ``energy_used_kwh`` is what the running journey takes from the last known energy.
    """
    periods: list[tuple[dt.datetime, dt.datetime]] = []
    current = next((j for j in found if j.depart - 2 * UNPLUG_BEFORE <= now < j.back), None)
    late = next((j for j in reversed(found) if j.back <= now), None)
    coming = [j for j in found if j.depart > now and j is not current]
    away_until = None
    used = 0.0
    if is_plugged:
        cursor = now
        if current is not None and (current.depart > now or _leaves_late(current, now, since)):
            coming.insert(0, current)
    else:
        if stands and current is not None and current.depart > now:
            coming.insert(0, current)
            current = None
        running = current or late
        used = running.energy_kwh if running else 0.0
        due = running.back + RETURN_SLACK if running else now
        cursor = away_until = due if due > now else now + LATE_STEP
    for journey in coming:
        leaves = journey.depart - UNPLUG_BEFORE
        if leaves > cursor:
            periods.append((cursor, leaves))
        cursor = max(cursor, journey.back + RETURN_SLACK)
    if cursor < end:
        periods.append((cursor, end))
    overdue = None
    if is_plugged and current is not None and current in coming and current.depart <= now:
        until = max(current.depart + LEAVES_LATE, now + OVERDUE_LEAST)
        ends = [current.back, *(journey.depart - UNPLUG_BEFORE for journey in coming[1:2])]
        overdue = now, max(min(until, *ends), now)
    return Presence(tuple(periods), tuple(coming), away_until, used, overdue)


def _leaves_late(journey: Journey, now: dt.datetime, since: dt.datetime | None) -> bool:
    return since is not None and since < journey.depart <= now < journey.depart + LEAVES_LATE
