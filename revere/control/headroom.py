"""What the fleet could give now, and why the rest of its nameplate could not: nothing is left without a reason.

::

    discharge nameplate 1,968 kW
    |== available 607 kW ==|-- 21 buses on the road, back by 16:02 --|-- waiting for a meter --|
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from revere.control.bounds import EFFICIENCY, energy_bounds_kwh, load_known, power_bounds_kw
from revere.control.roster import LATE_STEP, RETURN_SLACK
from revere.control.view import HeldBack
from revere.core.time import local
from revere.core.words import count

if TYPE_CHECKING:
    import datetime as dt

    from revere.control.image import Image
    from revere.control.snapshot import Slot
    from revere.core.ids import SiteId

NAMED_MAX = 3
REST_KW = 0.05

Reason = Literal[
    "locked",
    "uncommissioned",
    "no_grid",
    "silent",
    "stopped",
    "away",
    "unplugged",
    "no_session",
    "offline",
    "mode",
    "priority",
    "not_ours",
    "unmetered",
    "blind",
    "vehicle",
    "floor",
]
WORDS: dict[Reason, str] = {
    "locked": "locked by a technician",
    "uncommissioned": "not commissioned",
    "no_grid": "no grid",
    "silent": "grid not proven live",
    "stopped": "discharge stopped",
    "away": "not plugged in",
    "unplugged": "not plugged in",
    "no_session": "plugged in, no session",
    "offline": "out of reach",
    "mode": "in a mode of its own",
    "priority": "charging by priority",
    "not_ours": "not ours to command",
    "unmetered": "waiting for the building's meter",
    "blind": "charge state unknown",
    "vehicle": "vehicle gives nothing",
    "floor": "nothing above its floor",
}


@dataclass(frozen=True, slots=True)
class Headroom:
    """AC kWh above every floor, kW that could start now, and what holds the rest back, the most first."""

    usable_kwh: float
    available_kw: float
    held: tuple[HeldBack, ...]


def obstacle(image: Image, slot: Slot, now: dt.datetime) -> Reason | None:
    """Why a vehicle gives nothing now, its energy apart; None where nothing speaks against it."""
    evse, vehicle = slot.evse, slot.evse.vehicle
    site = image.sites[evse.station.site_id]
    found: Reason | None = None
    if evse.locks:
        found = "locked"
    elif now >= evse.commissioned_until:
        found = "uncommissioned"
    elif not slot.fed:
        found = "no_grid"
    elif site.silent_since is not None:
        found = "silent"
    elif not slot.free:
        found = "stopped"
    elif not evse.online:
        found = "offline"  # whether its vehicle is there is not known either
    elif evse.sits_idle():
        found = "no_session"
    elif evse.session_id is None:
        until = slot.presence.away_until
        found = "away" if until not in {None, now + LATE_STEP} else "unplugged"
    elif evse.mode is not None:
        found = "mode"
    elif evse.priority:
        found = "priority"
    elif not evse.commanded():
        found = "not_ours"
    elif not evse.soc_fresh(now):
        found = "blind"
    elif not load_known(site, now):
        found = "unmetered"
    elif vehicle is None or power_bounds_kw(evse, vehicle, now)[1] <= 0:
        found = "vehicle"
    return found


def headroom(image: Image, slots: tuple[Slot, ...], now: dt.datetime) -> Headroom:
    """The fleet's; available and held back add up to the discharge nameplate of the stations with a vehicle."""
    usable_kwh = available_kw = 0.0
    held: dict[tuple[Reason, str], list[tuple[Slot, float]]] = defaultdict(list)
    event = image.event_at(now)
    begins = event.start if event is not None and event.start > now else None
    for slot in slots:
        rating_kw = slot.evse.station.discharge_kw
        if slot.evse.vehicle is None or rating_kw <= 0:
            continue
        above_kwh = usable(image, slot, now)
        usable_kwh += above_kwh
        reason = obstacle(image, slot, now) or (None if above_kwh > 0 else "floor")
        give_kw = 0.0 if reason else power_bounds_kw(slot.evse, slot.evse.vehicle, now)[1]
        available_kw += give_kw
        if rating_kw - give_kw > REST_KW:
            part = _return_group(slot, begins) if reason == "away" else ""
            held[reason or "vehicle", part].append((slot, rating_kw - give_kw))
    found = [_held_back(image, reason, part, slots) for (reason, part), slots in held.items()]
    return Headroom(usable_kwh, available_kw, tuple(sorted(found, key=lambda one: (-one.kw, one.reason))))


def _back_at(slot: Slot) -> dt.datetime:
    """When a vehicle on the road is due by its roster."""
    assert slot.presence.away_until is not None
    return slot.presence.away_until - RETURN_SLACK


def _return_group(slot: Slot, begins: dt.datetime | None) -> str:
    """Who comes back together: buses, cars, and those that an event ahead will not wait for."""
    if begins is not None and _back_at(slot) > begins:
        return "late"
    return slot.evse.vehicle.kind if slot.evse.vehicle is not None else ""


def usable(image: Image, slot: Slot, now: dt.datetime) -> float:
    """AC kWh above a vehicle's floor, where we know its charge and may command it."""
    evse, vehicle = slot.evse, slot.evse.vehicle
    if (
        vehicle is None
        or evse.locks
        or now >= evse.commissioned_until
        or not evse.soc_fresh(now)
        or not evse.commanded()
        or evse.station.discharge_kw <= 0
    ):
        return 0.0
    floor_kwh, _ = energy_bounds_kwh(evse, vehicle, image.sites[evse.station.site_id].site)
    return max(slot.energy_kwh - floor_kwh, 0.0) * EFFICIENCY


def _held_back(image: Image, reason: Reason, part: str, parts: list[tuple[Slot, float]]) -> HeldBack:
    slots = [slot for slot, _ in parts]
    until = max(_back_at(slot) for slot in slots) if reason == "away" else None
    return HeldBack(
        reason=f"{reason}:{part}" if part else reason,
        words=_words(image, reason, part, slots, until),
        kw=round(sum(kw for _, kw in parts), 3),
        vehicles=len(parts),
        until=until,
    )


def _words(image: Image, reason: Reason, part: str, slots: list[Slot], until: dt.datetime | None) -> str:
    """A sentence's part that says who is held back and by what."""
    who = _who(slots)
    sites = _sites(image, [slot.evse.station.site_id for slot in slots])
    if reason == "away" and until is not None:
        when = "after the event's start, the last" if part == "late" else "back"
        return f"{who} on the road, {when} by {local(until, image.fleet.programme.zone):%H:%M}"
    return {
        "locked": f"{who} at chargers that a technician has locked",
        "uncommissioned": f"not commissioned: {sites}",
        "no_grid": f"no grid at {sites}",
        "silent": f"the grid is not proven live at {sites}",
        "stopped": f"discharge is stopped at {sites}",
        "unplugged": f"{who} not plugged in",
        "no_session": f"{who} plugged in without a session",
        "offline": f"{who} at chargers out of reach",
        "mode": f"{who} in a mode of its own by a person's order",
        "priority": f"{who} that a driver lets charge first",
        "not_ours": f"{who} at chargers that are not ours to command",
        "unmetered": f"waiting for the building's meter at {sites}",
        "blind": f"charge state of {who} not known yet",
        "vehicle": f"{who} limited below what the charger could give",
        "floor": f"{who} with nothing above the floor",
    }[reason]


def _who(slots: list[Slot]) -> str:
    buses = sum(1 for slot in slots if slot.evse.vehicle is not None and slot.evse.vehicle.kind == "bus")
    parts = [(buses, "bus", "buses"), (len(slots) - buses, "car", "cars")]
    return " and ".join(count(number, one, many) for number, one, many in parts if number)


def _sites(image: Image, site_ids: list[SiteId]) -> str:
    """Their names, homes as a number: there are many, and nobody reads them all."""
    sites = [image.sites[site_id].site for site_id in dict.fromkeys(site_ids)]
    homes = sum(1 for site in sites if site.kind == "home")
    names = [site.name for site in sites if site.kind != "home" or homes == 1]
    homes = 0 if homes == 1 else homes
    more = len(names) - NAMED_MAX
    shown = [*names[:NAMED_MAX], *([count(more, "more site")] if more > 0 else [])]
    shown += [f"{homes} homes"] if homes else []
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
