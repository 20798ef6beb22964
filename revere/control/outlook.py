"""Will this vehicle leave in time? One answer for the board, the alarms and the person who asks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from revere.control.bounds import EFFICIENCY, LEASE_OVER, UNPLUG_BEFORE, power_bounds_kw
from revere.control.snapshot import Slot
from revere.core.time import duration_text, local
from revere.plan.departure import Readiness, readiness

if TYPE_CHECKING:
    import datetime as dt

    from revere.control.image import EvseImage
    from revere.control.roster import Journey


def outlook(slot: Slot, now: dt.datetime, planned_kwh: float | None = None) -> Readiness | None:
    """The readiness for the next journey, None where none is ahead.

    ``planned_kwh`` is the schedule's energy at departure.
    """
    return journey_outlook(slot, slot.presence.journeys[0], now, planned_kwh) if slot.presence.journeys else None


def journey_outlook(slot: Slot, journey: Journey, now: dt.datetime, planned_kwh: float | None = None) -> Readiness:
    """The readiness for one of the vehicle's journeys."""
    return departure_outlook(
        slot.evse,
        now,
        journey.depart,
        need_kwh=journey.needed_kwh,
        energy_kwh=slot.energy_kwh if slot.known else None,
        coming=slot.presence.away_until is not None,
        fed=slot.fed,
        planned_kwh=planned_kwh,
    )


def departure_outlook(
    evse: EvseImage,
    now: dt.datetime,
    depart: dt.datetime,
    *,
    need_kwh: float,
    energy_kwh: float | None,
    coming: bool = False,
    fed: bool = True,
    planned_kwh: float | None = None,
) -> Readiness:
    """The readiness for one departure of the vehicle at an EVSE; it is unplugged a little before it leaves.

    A vehicle that is on its way back (``coming``) is taken to charge. One at a station that has been silent for longer
    than a lease is not: what its fallback gives it is nobody's promise. At a site without a grid (``fed`` false) the
    time to spare counts from now, and what is expected is what is there.
    """
    vehicle = evse.vehicle
    assert vehicle is not None
    result = readiness(
        now,
        depart - UNPLUG_BEFORE,
        need_kwh=need_kwh,
        energy_kwh=energy_kwh,
        soc_age_s=None if energy_kwh is None else (now - evse.soc_at).total_seconds(),
        charge_kw=power_bounds_kw(evse, vehicle, now)[0],
        efficiency=EFFICIENCY,
        capacity_kwh=vehicle.capacity_kwh,
        plugged=coming or (evse.session_id is not None and (evse.online or now - evse.power_at < LEASE_OVER)),
        planned_kwh=planned_kwh,
    )
    if result.health == "late" and evse.out_of_service(now):
        return replace(result, reason="its charger is out of service")
    if fed or energy_kwh is None or result.health not in ("on_time", "tight"):
        return result
    why = f"its site has no grid; if it came back now, {result.reason}"
    return replace(result, health="tight", expected_kwh=energy_kwh, reason=why)


def late_text(vehicle_id: str, trip: str, result: Readiness) -> str:
    """What an operator is told of a departure that cannot be met."""
    text = f"{vehicle_id} will be {result.short_kwh:.1f} kWh short for {trip!r}"
    if math.isfinite(result.slack_min):
        late_min = max(-result.slack_min, 0.0)
        return f"{text}; charging at full power it would be ready {duration_text(late_min)} late"
    return f"{text}: {result.reason}"


def idle_text(slot: Slot, journey: Journey, energy_kwh: float | None, zone: str) -> str:
    """What an operator is told of a vehicle that stands at its plug without a session before a departure."""
    evse, leaves = slot.evse, f"{local(journey.depart, zone):%H:%M}"
    assert evse.vehicle is not None
    has = f"it has {energy_kwh:.1f} kWh" if energy_kwh is not None else "what it has is not known"
    text = f"{evse.vehicle.id} is plugged in at {evse.station.id}, but has no session: it does not charge. "
    text += f"It needs {journey.needed_kwh:.1f} kWh by {leaves} for {journey.name!r}; {has}. "
    return text + "Somebody must look: show its card, or unplug it and plug it in again."
