"""From the image to the planner's arrays: what is where, what leaves, what the building will need."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from revere.control.bounds import (
    EFFICIENCY,
    RULES,
    energy_bounds_kwh,
    fed,
    load_known,
    may_give,
    power_bounds_kw,
    return_share,
    site_limits_kw,
)
from revere.control.roster import Presence, journeys, presence
from revere.core.time import local
from revere.core.timeline import planning_edges
from revere.plan.dispatch import less_margin
from revere.plan.problem import Commitment, Departure, FleetProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from revere.control.contracts import Contracts
    from revere.control.event_image import EventImage
    from revere.control.image import EvseImage, Image
    from revere.core.assets import Fleet
    from revere.core.ids import SiteId

    Floats = npt.NDArray[np.float64]
    Forecast = Callable[[SiteId, Sequence[dt.datetime]], Floats]

METER_BACK = dt.timedelta(minutes=30)
LOOK_BACK = dt.timedelta(hours=4)
HORIZON = dt.timedelta(hours=36)
WEAR_USD_PER_KWH = 0.03
SHORTFALL_USD_PER_KWH = 8.0
EVEN_USD_PER_KW = 1.2
"""More than less power in the last step could earn: it frees 0.1 h of lease, worth up to 9.5 USD a kWh."""
ARRIVAL_UNKNOWN_SOC = 0.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A vehicle and its EVSE in the order of the arrays.

    ``known``: its energy was reported. ``fed``: its site has a grid. ``free``: nothing there forbids to give.
    """

    evse: EvseImage
    presence: Presence
    energy_kwh: float
    known: bool
    fed: bool
    free: bool


@dataclass(frozen=True)
class Snapshot:
    """A planning problem with the names behind its rows."""

    problem: FleetProblem
    edges: tuple[dt.datetime, ...]
    slots: tuple[Slot, ...]
    site_ids: tuple[SiteId, ...]
    event_ids: tuple[str, ...]


def read_slots(image: Image, now: dt.datetime) -> tuple[Slot, ...]:
    """Every vehicle with its station, what is known of its energy and where it will be."""
    slots = []
    for evse in image.evses.values():
        if evse.vehicle is None:
            continue
        found = journeys(
            evse.vehicle, image.fleet.programme, image.overrides.get(evse.vehicle.id), now - LOOK_BACK, now + HORIZON
        )
        plugged, stands = evse.session_id is not None, evse.sits_idle()
        where = presence(found, plugged, now, now + HORIZON, evse.session_since, stands=stands)
        energy_kwh = image.energy_kwh(evse)
        known = energy_kwh is not None
        if energy_kwh is None:
            energy_kwh = ARRIVAL_UNKNOWN_SOC * evse.vehicle.capacity_kwh
        if where.away_until is not None:
            energy_kwh = max(energy_kwh - where.energy_used_kwh, 0.0)
        site = image.sites[evse.station.site_id]
        energy_kwh = min(energy_kwh, evse.vehicle.capacity_kwh)
        slots.append(Slot(evse, where, energy_kwh, known, fed=fed(site), free=may_give(image, site)))
    return tuple(slots)


def take_snapshot(image: Image, now: dt.datetime, forecast: Forecast, contracts: Contracts) -> Snapshot:
    """Freeze the image into a :class:`FleetProblem` for the next 36 hours, events at what their contracts pay."""
    slots = read_slots(image, now)
    events = [e for e in image.events.values() if e.live() and e.end > now]
    events.sort(key=lambda e: (e.start, e.grid_event_id))
    marks = [j.depart for slot in slots for j in slot.presence.journeys]
    marks += [s.presence.away_until for s in slots if s.presence.away_until is not None]
    marks += [edge for e in events for edge in (e.start, e.end)]
    marks += [p for s in slots for span in s.presence.plugged for p in span if any(e.start < p < e.end for e in events)]
    edges = planning_edges(now, marks, horizon=HORIZON)
    site_ids = tuple(image.sites)
    problem = _problem(image, now, edges, slots, site_ids, events, forecast, contracts)
    return Snapshot(problem, tuple(edges), slots, site_ids, tuple(e.grid_event_id for e in events))


def _problem(
    image: Image,
    now: dt.datetime,
    edges: list[dt.datetime],
    slots: tuple[Slot, ...],
    site_ids: tuple[SiteId, ...],
    events: list[EventImage],
    forecast: Forecast,
    contracts: Contracts,
) -> FleetProblem:
    fleet = image.fleet
    rows = {site_id: row for row, site_id in enumerate(site_ids)}
    feeder_rows = {feeder.id: row for row, feeder in enumerate(fleet.feeders)}
    seconds = np.array([(edge - edges[0]).total_seconds() for edge in edges])
    steps = len(edges) - 1
    vehicle_site = np.array([rows[slot.evse.station.site_id] for slot in slots], dtype=np.int64)
    charge, discharge, trips, departures = _vehicles(slots, edges, now)
    carries = _grid_shares(image, edges)[vehicle_site]
    vehicles = [slot.evse.vehicle for slot in slots if slot.evse.vehicle is not None]
    sites = [item.site for item in image.sites.values()]
    capacity = np.array([vehicle.capacity_kwh for vehicle in vehicles])
    floor, ceiling = np.array(
        [
            energy_bounds_kwh(slot.evse, vehicle, sites[row])
            for slot, vehicle, row in zip(slots, vehicles, vehicle_site, strict=True)
        ]
    ).T.reshape(2, -1)
    mids = [edge + (after - edge) / 2 for edge, after in pairwise(edges)]
    load = np.array([forecast(site_id, edges) for site_id in site_ids])
    may_import, may_export = (np.repeat(_usable_kw(limit)[:, None], steps, axis=1) for limit in site_limits_kw(sites))
    price, credit, demand = _tariffs(fleet, mids)
    return FleetProblem(
        step_h=np.diff(seconds) / 3600,
        vehicle_site=vehicle_site,
        capacity_kwh=capacity,
        energy_now_kwh=np.array([slot.energy_kwh for slot in slots]),
        floor_kwh=floor,
        ceiling_kwh=ceiling,
        charge_max_kw=charge * carries,
        discharge_max_kw=discharge * carries * _metered(image, edges)[vehicle_site],
        charge_efficiency=np.full(len(slots), EFFICIENCY),
        discharge_efficiency=np.full(len(slots), EFFICIENCY),
        trip_kwh=trips,
        departures=departures,
        site_load_kw=load,
        import_limit_kw=may_import,
        export_limit_kw=may_export,
        feeder_of_site=np.array([feeder_rows[site.feeder_id] for site in sites]),
        feeder_import_limit_kw=_usable_kw(np.array([f.import_limit_kw for f in fleet.feeders])),
        feeder_export_limit_kw=_usable_kw(np.array([f.export_limit_kw for f in fleet.feeders])),
        price_usd_per_kwh=price,
        export_credit_usd_per_kwh=credit,
        demand_usd_per_kw=demand,
        peak_so_far_kw=np.maximum(load[:, 0], 0.0),
        wear_usd_per_kwh=WEAR_USD_PER_KWH,
        end_value_usd_per_kwh=0.12,
        commitments=tuple(_commitment(image, event, site_ids, edges, contracts) for event in events),
        start_s=int(edges[0].timestamp()),
        lease_h=RULES.lease_s / 3600,
    )


def _usable_kw(limit_kw: Floats) -> Floats:
    """What the arbiter will let through of limits."""
    return np.maximum(less_margin(limit_kw, RULES), 0.0)


def _grid_shares(image: Image, edges: list[dt.datetime]) -> Floats:
    """Share of normal power that each grid connection carries in each step ``[S, T]``, as far as is known now."""
    return np.array(
        [[return_share(item, index, edge) for edge in edges[:-1]] for index, item in enumerate(image.sites.values())]
    )


def _metered(image: Image, edges: list[dt.datetime]) -> Floats:
    """0 in the steps in which a site gives nothing because its meter is silent, which is taken to pass ``[S, T]``."""
    soon = np.array([edge < edges[0] + METER_BACK for edge in edges[:-1]])
    return np.array([np.where(soon & (not load_known(item, edges[0])), 0.0, 1.0) for item in image.sites.values()])


def _vehicles(
    slots: tuple[Slot, ...], edges: list[dt.datetime], now: dt.datetime
) -> tuple[Floats, Floats, Floats, tuple[Departure, ...]]:
    """Power bounds by presence, trip energy by step, departures as floors.

    An overdue vehicle gives nothing and leaves after the first step, which can still charge it.
    """
    steps = len(edges) - 1
    at = np.array([edge.timestamp() for edge in edges])
    share, overdue = np.zeros((len(slots), steps)), np.zeros((len(slots), steps))
    trips = np.zeros((len(slots), steps))
    charge_kw = np.zeros(len(slots))
    discharge_kw = np.zeros(len(slots))
    departures = []
    for row, slot in enumerate(slots):
        evse, vehicle = slot.evse, slot.evse.vehicle
        assert vehicle is not None
        for span in slot.presence.plugged:
            share[row] += _overlap(at, span)
        if slot.presence.overdue is not None:
            overdue[row] = _overlap(at, slot.presence.overdue)
        charge_kw[row], discharge_kw[row] = power_bounds_kw(evse, vehicle, now)
        plugged_blind = evse.session_id is not None and not evse.soc_fresh(now)
        if not slot.free or plugged_blind or not (evse.commanded() or evse.session_id is None):
            discharge_kw[row] = 0.0
        for journey in slot.presence.journeys:
            step = max(int(np.searchsorted(at, journey.depart.timestamp(), side="right")) - 1, 0)
            if journey.depart <= now:
                step = 1
            if step < steps:
                trips[row, step] += journey.energy_kwh
                departures.append(
                    Departure(
                        vehicle=row, step=step, energy_kwh=journey.needed_kwh, label=f"{vehicle.id} {journey.name}"
                    )
                )
    there, share = np.clip(share + overdue, 0.0, 1.0), np.clip(share, 0.0, 1.0)
    return there * charge_kw[:, None], share * discharge_kw[:, None], trips, tuple(departures)


def _overlap(at: Floats, span: tuple[dt.datetime, dt.datetime]) -> Floats:
    """Share of each step that lies in a span ``[T]``."""
    start, end = span
    held_s: Floats = np.minimum(at[1:], end.timestamp()) - np.maximum(at[:-1], start.timestamp())
    return np.clip(held_s, 0.0, None) / np.diff(at)


def _tariffs(fleet: Fleet, mids: list[dt.datetime]) -> tuple[Floats, Floats, Floats]:
    """Energy price and export credit by site and step, and the demand charge a day's peak stands for."""
    zone = fleet.programme.zone
    tariffs = {tariff.id: tariff for tariff in fleet.tariffs}
    moments = [local(mid, zone) for mid in mids]
    holidays = [moment.date() in fleet.programme.holidays for moment in moments]
    by_tariff = {
        tariff.id: np.array([float(tariff.price_usd_per_kwh(m, h)) for m, h in zip(moments, holidays, strict=True)])
        for tariff in fleet.tariffs
    }
    price = np.array([by_tariff[site.tariff_id] for site in fleet.sites])
    credit = np.array([float(tariffs[site.tariff_id].export_credit_usd_per_kwh) for site in fleet.sites])
    demand = np.array([float(tariffs[site.tariff_id].demand_usd_per_kw_month) for site in fleet.sites])
    # The month's charge is spread over the days that could set its peak, about 21 working days.
    return price, np.repeat(credit[:, None], len(mids), axis=1), demand / 21.0


def _commitment(
    image: Image, event: EventImage, site_ids: tuple[SiteId, ...], edges: list[dt.datetime], contracts: Contracts
) -> Commitment:
    """What an event asks and pays; a drill is weighed as the call that it practises."""
    members = image.members(event)
    worth = contracts.worth_usd_per_kwh(event)
    starts, ends = edges[:-1], edges[1:]
    return Commitment(
        id=event.grid_event_id,
        sites=np.array([site_id in members for site_id in site_ids]),
        steps=np.array([event.start < b and a < event.end for a, b in zip(starts, ends, strict=True)]),
        value_usd_per_kwh=np.array([worth.get(site_id, 0.0) for site_id in site_ids]),
        nominated_kw=event.nominated_kw,
        shortfall_usd_per_kwh=SHORTFALL_USD_PER_KWH,
        even_usd_per_kw=EVEN_USD_PER_KW,
    )
