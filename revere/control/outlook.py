"""Will this vehicle leave in time? One answer for the board, the alarms and the person who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.control.bounds import LEASE_OVER, UNPLUG_BEFORE
from revere.control.snapshot import EFFICIENCY, Slot
from revere.plan.departure import Readiness, readiness

if TYPE_CHECKING:
    import datetime as dt

    from revere.control.image import EvseImage


def outlook(slot: Slot, now: dt.datetime, planned_kwh: float | None = None) -> Readiness | None:
    """The readiness for the next journey, None where none is ahead.

    ``planned_kwh`` is the schedule's energy at departure.
    """
    if not slot.presence.journeys:
        return None
    journey = slot.presence.journeys[0]
    return departure_outlook(
        slot.evse,
        now,
        journey.depart,
        need_kwh=journey.needed_kwh,
        energy_kwh=slot.energy_kwh if slot.known else None,
        coming=slot.presence.away_until is not None,
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
    planned_kwh: float | None = None,
) -> Readiness:
    """The readiness for one departure of the vehicle at an EVSE; it is unplugged a little before it leaves.

    A vehicle that is on its way back (``coming``) is taken to charge. One at a station that has been silent for longer
    than a lease is not: what its fallback gives it is nobody's promise.
    """
    vehicle = evse.vehicle
    assert vehicle is not None
    stated_kw = evse.charge_max_kw if evse.charge_max_kw is not None else vehicle.charge_kw
    return readiness(
        now,
        depart - UNPLUG_BEFORE,
        need_kwh=need_kwh,
        energy_kwh=energy_kwh,
        soc_age_s=None if energy_kwh is None else (now - evse.soc_at).total_seconds(),
        charge_kw=min(evse.station.charge_kw, vehicle.charge_kw, stated_kw),
        efficiency=EFFICIENCY,
        capacity_kwh=vehicle.capacity_kwh,
        plugged=coming or (evse.session_id is not None and (evse.online or now - evse.power_at < LEASE_OVER)),
        planned_kwh=planned_kwh,
    )
