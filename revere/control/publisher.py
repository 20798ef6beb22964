"""The console's picture: built once per tick from the image, the plan and the last setpoints."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from revere.control.bounds import load_known
from revere.control.event_rows import event_rows, event_view
from revere.control.headroom import WORDS, headroom
from revere.control.image import MOVING_KW
from revere.control.outlook import outlook
from revere.control.snapshot import Slot, read_slots
from revere.control.view import (
    AlarmView,
    ConsoleView,
    LockView,
    ProgramRow,
    ReadinessRow,
    SiteRow,
    StationRow,
    StopView,
    shown,
)
from revere.core.assets import program_of
from revere.core.facts import evse_asset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.control.contracts import Contracts
    from revere.control.event_image import EventImage
    from revere.control.image import EvseImage, Image, SiteImage
    from revere.control.view import CampaignView, EquityView
    from revere.core.ids import SiteId, StationId
    from revere.plan.departure import Readiness
    from revere.plan.island import IslandPlan

POWER_STALE = dt.timedelta(minutes=3)
BUS_ROWS_FIRST = {"will_miss": 0, "at_risk": 1, "unknown": 2, "ready": 3, "no_session": 4, "no_trip": 5, "away": 6}


@dataclass(slots=True)
class Now:
    """What the heart knows at a tick besides the image."""

    now: dt.datetime
    tick: int
    speed: float
    database_ok: bool
    stale_s: float
    setpoints_kw: Mapping[str, float]
    reasons: Mapping[str, str]
    planned_kwh: Mapping[tuple[str, dt.datetime], float]
    plan_relief_kw: float | None
    relief_mean_kw: float | None
    relief_since: dt.datetime | None
    baseline: str = ""
    islands: Mapping[SiteId, IslandPlan] = field(default_factory=dict)
    equity: EquityView | None = None
    contracts: Contracts | None = None
    campaigns: tuple[CampaignView, ...] = ()


def build_view(image: Image, state: Now) -> ConsoleView:
    """The whole picture at ``state.now``."""
    now = state.now
    event = image.event_at(now)
    members = image.members(event) if event else frozenset()
    powers = {asset: _power(evse, now) for asset, evse in image.evses.items()}
    slots = read_slots(image, now)
    rows = sorted(
        (_readiness_row(image, slot, state) for slot in slots),
        key=lambda row: (
            BUS_ROWS_FIRST[row.verdict],
            row.kind != "bus",
            row.departure or dt.datetime.max.replace(tzinfo=dt.UTC),
        ),
    )
    total_kw = sum(power or 0.0 for power in powers.values())
    enrolled_kw = sum(powers[a] or 0.0 for a, e in image.evses.items() if e.station.site_id in members)
    room = headroom(image, slots, now)
    at_home = Counter(vehicle.station_id for vehicle in image.fleet.vehicles)
    return ConsoleView(
        now=now,
        tick=state.tick,
        programme=image.fleet.programme.name,
        zone=image.fleet.programme.zone,
        speed=state.speed,
        stale_s=state.stale_s,
        database="ok" if state.database_ok else "gone",
        power_kw=shown(total_kw, 3),
        relief_kw=shown(-enrolled_kw if event and event.start <= now < event.end else -total_kw, 3),
        baseline=state.baseline,
        baseline_kw=None,  # no rule's baseline is computed in this release
        discharge_nameplate_kw=shown(image.fleet.discharge_nameplate_kw(), 3),
        usable_kwh=shown(room.usable_kwh, 3),
        available_discharge_kw=shown(room.available_kw, 3),
        held_back=room.held,
        vehicles=len(image.fleet.vehicles),
        vehicles_in=sum(1 for evse in image.evses.values() if evse.session_id is not None),
        stations=len(image.evses),
        stations_online=sum(1 for evse in image.evses.values() if evse.online),
        at_risk=sum(1 for row in rows if row.verdict in {"at_risk", "will_miss"}),
        discharge_stopped=image.stopped,
        event=event_view(
            image, event, now, -enrolled_kw, state.relief_mean_kw, state.relief_since, state.plan_relief_kw
        )
        if event
        else None,
        readiness=tuple(rows),
        sites=tuple(_site_row(image, site, powers, state, event, at_home) for site in image.sites.values()),
        station_rows=tuple(_station_row(asset, evse, powers[asset], state) for asset, evse in image.evses.items()),
        alarms=tuple(
            AlarmView(
                key=a.key,
                severity=a.severity,
                subject=a.subject,
                text=a.text,
                since=a.at,
                acknowledged_by=image.acknowledged.get(a.key, ""),
            )
            for a in sorted(image.alarms.values(), key=lambda a: (a.severity != "critical", a.at, a.key))
        ),
        equity=state.equity,
        campaigns=state.campaigns,
        stop=_stop_view(image, powers),
        events=event_rows(image, state.contracts, now) if state.contracts else (),
        programs=tuple(ProgramRow(program_id=p.id, name=p.name) for p in image.fleet.programs),
    )


def _stop_view(image: Image, powers: Mapping[str, float | None]) -> StopView | None:
    """How far an order to stop all discharge has come, None when there is none."""
    at = image.stopped_at
    if at is None:
        return None
    giving = sum(1 for power in powers.values() if power is not None and power < -MOVING_KW)
    last = max((evse.rested_at for evse in image.evses.values() if evse.rested_at >= at), default=at)
    return StopView(at=at, still_giving=giving, quiet_s=None if giving else (last - at).total_seconds())


def _power(evse: EvseImage, now: dt.datetime) -> float | None:
    """Power as last metered, None once it is too old to be called now; an empty plug is 0."""
    if evse.session_id is None and evse.online:
        return 0.0
    if evse.power_kw is None or now - evse.power_at > POWER_STALE:
        return None
    return evse.power_kw


def _readiness_row(image: Image, slot: Slot, state: Now) -> ReadinessRow:
    evse, vehicle, now = slot.evse, slot.evse.vehicle, state.now
    assert vehicle is not None
    site = image.sites[evse.station.site_id].site
    journey = slot.presence.journeys[0] if slot.presence.journeys else None
    plugged = evse.session_id is not None
    planned_kwh = state.planned_kwh.get((vehicle.id, journey.depart)) if journey else None
    result = outlook(slot, now, planned_kwh)
    return ReadinessRow(
        vehicle_id=vehicle.id,
        vehicle=f"{vehicle.name} · {site.name}" if vehicle.kind == "bus" else vehicle.name,
        site_id=site.id,
        site=site.name,
        kind=vehicle.kind,
        state=_vehicle_state(evse, plugged),
        departure=journey.depart if journey else None,
        trip=journey.name if journey else "",
        needed_soc=journey.needed_kwh / vehicle.capacity_kwh if journey else None,
        soc=evse.soc if plugged else None,
        expected_soc=_fraction(result.expected_kwh if result else math.nan, vehicle.capacity_kwh),
        slack_min=_finite(result.slack_min) if result else None,
        short_kwh=_finite(result.short_kwh) or 0.0 if result else 0.0,
        verdict="no_session" if evse.sits_idle() else _verdict(result, plugged),
        why=_why(evse, result, plugged, slot, state),
    )


def _vehicle_state(evse: EvseImage, plugged: bool) -> Literal["away", "charging", "discharging", "idle", "offline"]:
    if not evse.online:
        return "offline"
    if not plugged:
        return "idle" if evse.sits_idle() else "away"
    power_kw = evse.power_kw or 0.0
    if power_kw > MOVING_KW:
        return "charging"
    return "discharging" if power_kw < -MOVING_KW else "idle"


def _verdict(
    result: Readiness | None, plugged: bool
) -> Literal["ready", "at_risk", "will_miss", "away", "unknown", "no_trip"]:
    if not plugged:
        return "away"
    if result is None:
        return "no_trip"
    if result.health == "unknown":
        return "unknown"
    if result.health == "late":
        return "will_miss"
    return "at_risk" if result.health == "tight" else "ready"


def _why(evse: EvseImage, result: Readiness | None, plugged: bool, slot: Slot, state: Now) -> str:
    if evse.sits_idle():
        return WORDS["no_session"]
    if not plugged:
        until = slot.presence.away_until
        return "out, no return known" if until is None else "out on its trip"
    setpoint = state.reasons.get(evse_asset(evse.station.id, 1), "")
    first = result.reason if result else "no trip planned"
    return f"{first}; {setpoint}" if setpoint else first


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _fraction(energy_kwh: float, capacity_kwh: float) -> float | None:
    return min(energy_kwh / capacity_kwh, 1.0) if math.isfinite(energy_kwh) else None


def _site_row(
    image: Image,
    item: SiteImage,
    powers: Mapping[str, float | None],
    state: Now,
    event: EventImage | None,
    vehicles: Counter[StationId],
) -> SiteRow:
    """A site now; ``vehicles`` counts those that live at each station."""
    site = item.site
    evses = image.site_evses[site.id]
    stations_kw = sum(powers[evse_asset(e.station.id, 1)] or 0.0 for e in evses)
    program = program_of(site, image.fleet.programs)
    island = state.islands.get(site.id)
    grid: Literal["live", "dead", "unknown"] = "unknown"
    if item.dead:
        grid = "dead"
    elif item.silent_since is None and (item.grid == "live" or item.net_kw is not None):
        grid = "live"
    return SiteRow(
        site_id=site.id,
        name=site.name,
        kind=site.kind,
        town=site.town,
        utility=site.utility,
        program=program.name if program else None,
        latitude=site.latitude,
        longitude=site.longitude,
        power_kw=item.net_kw,
        stations_kw=stations_kw,
        building_kw=item.building_kw,
        import_limit_kw=site.import_limit_kw,
        export_limit_kw=site.export_limit_kw,
        stations=len(evses),
        online=sum(1 for e in evses if e.online),
        vehicles_in=sum(1 for e in evses if e.session_id is not None),
        grid=grid,
        islanded=item.islanded,
        silent_since=item.silent_since,
        load_known=load_known(item, state.now),
        hours_left=_finite(island.hours_left) if island else None,
        discharge_stopped=item.stopped or image.stopped,
        commissioned=all(state.now < e.commissioned_until for e in evses if e.station.discharge_kw > 0),
        locked=sum(1 for e in evses if e.locks),
        vehicles=sum(vehicles[e.station.id] for e in evses),
        discharge_kw=shown(sum(e.station.discharge_kw for e in evses), 3),
        called=event is not None and site.id in image.members(event),
        nominated_kw=event.nominated_by_site_kw.get(site.id) if event is not None else None,
    )


def _station_row(asset_id: str, evse: EvseImage, power_kw: float | None, state: Now) -> StationRow:
    return StationRow(
        station_id=evse.station.id,
        site_id=evse.station.site_id,
        protocol=evse.protocol or evse.station.protocol,
        online=evse.online,
        status=evse.status,
        power_kw=power_kw,
        setpoint_kw=state.setpoints_kw.get(asset_id),
        why=state.reasons.get(asset_id, ""),
        soc=evse.soc if evse.session_id is not None else None,
        skew_s=evse.skew_s,
        last_reading=evse.last_reading,
        controllable=evse.controllable,
        locks=tuple(LockView(by=k.by, why=k.why, since=k.at, whole_site=k.whole_site) for k in evse.locks),
        lock_proven_at=evse.rest_proven_at,
    )
