"""One tick: freeze the image into the arbiter's arrays and let it decide."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from revere.control.snapshot import EFFICIENCY
from revere.plan.departure import least_energy_kwh
from revere.plan.dispatch import EventTarget, FleetState, Rules, Setpoints, SiteState, arbitrate
from revere.plan.even import even_discharge

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from revere.control.image import EventImage, EvseImage, Image
    from revere.control.snapshot import Snapshot
    from revere.control.tracking import CommandTracker
    from revere.core.ids import SiteId
    from revere.plan.schedule import Plan

    Floats = npt.NDArray[np.float64]

RULES = Rules(lease_s=120.0, ramp_kw=60.0, dwell_s=30.0)
BARRIER_EFFICIENCY = 0.90
BARRIER_POWER_SHARE = 0.9
"""The barrier counts on a little less than a charger's best: taper, latency, a shared service."""
BARRIER_AHEAD = dt.timedelta(minutes=1)
"""The barrier of a minute ahead holds now: it only rises until the departure."""
READING_FRESH = dt.timedelta(minutes=20)
LOAD_STEP_SHARE = 0.04


@dataclass(slots=True)
class Standing:
    """What a vehicle's roster demands next, kept between plans."""

    depart: dt.datetime | None
    needed_kwh: float


@dataclass(frozen=True)
class Decision:
    """What a tick decided, in the order of ``assets``."""

    assets: tuple[str, ...]
    setpoints: Setpoints
    reasons: list[str]
    target_kw: float | None


class Ticker:
    """Holds the parts of the arrays that do not change and what the arbiter remembers between ticks."""

    def __init__(self, image: Image, tracker: CommandTracker) -> None:
        self._image = image
        self._tracker = tracker
        fleet = image.fleet
        self.assets = tuple(image.evses)
        self._evses: list[EvseImage] = list(image.evses.values())
        self._site_ids: tuple[SiteId, ...] = tuple(image.sites)
        rows = {site_id: row for row, site_id in enumerate(self._site_ids)}
        feeder_rows = {feeder.id: row for row, feeder in enumerate(fleet.feeders)}
        self._site = np.array([rows[evse.station.site_id] for evse in self._evses])
        self._feeder = np.array([feeder_rows[site.site.feeder_id] for site in image.sites.values()])
        self._feeder_import = np.array([feeder.import_limit_kw for feeder in fleet.feeders])
        self._feeder_export = np.array([feeder.export_limit_kw for feeder in fleet.feeders])
        self._import = np.array([site.site.import_limit_kw for site in image.sites.values()])
        self._export = np.array([site.site.export_limit_kw for site in image.sites.values()])
        self._peak = np.array([site.site.load_peak_kw for site in image.sites.values()])
        n = len(self.assets)
        self.last_kw: Floats = np.zeros(n)
        self._direction = np.zeros(n, dtype=np.int64)
        self._reversed_at = np.full(n, -np.inf)
        self._given_at = np.full(n, -np.inf)
        self.standing: dict[str, Standing] = {}

    def decide(
        self,
        now: dt.datetime,
        snapshot: Snapshot | None,
        plan: Plan | None,
        event: EventImage | None,
        island_kw: Mapping[str, float],
        return_share: Mapping[SiteId, float],
    ) -> Decision:
        """The arbiter's setpoints for this tick."""
        state = self._state(now, event)
        sites = self._sites(now, island_kw, return_share)
        plan_kw, relief_kw = self._plan_now(now, snapshot, plan, event)
        events: tuple[EventTarget, ...] = ()
        target_kw = None
        if event is not None:
            target_kw = max(event.nominated_kw or 0.0, relief_kw)
            members = self._image.members(event)
            events = (
                EventTarget(
                    id=event.grid_event_id,
                    sites=np.array([site_id in members for site_id in self._site_ids]),
                    target_kw=target_kw,
                    left_h=(event.end - now).total_seconds() / 3600,
                ),
            )
        spare_kwh = state.energy_kwh - np.maximum(state.floor_kwh, state.barrier_kwh)
        give_max_kw = np.where(state.plugged & state.dispatchable, state.discharge_max_kw, 0.0)
        plan_kw = even_discharge(plan_kw, state.site, len(self._site_ids), spare_kwh, give_max_kw)
        setpoints = arbitrate(state, plan_kw, sites, events=events, rules=RULES)
        return Decision(self.assets, setpoints, setpoints.reasons(), target_kw)

    def accept(self, decision: Decision, changed: npt.NDArray[np.bool_], now: dt.datetime) -> None:
        """Remember what was given to the stations."""
        at = now.timestamp()
        turned = decision.setpoints.direction != self._direction
        self._reversed_at[turned] = at
        self._direction = decision.setpoints.direction
        self._given_at[changed] = at
        self.last_kw = np.where(changed, decision.setpoints.kw, self.last_kw)

    def forget(self, row: int) -> None:
        """A new session starts from nothing."""
        self.last_kw[row] = 0.0
        self._direction[row] = 0
        self._given_at[row] = -np.inf

    def _plan_now(
        self, now: dt.datetime, snapshot: Snapshot | None, plan: Plan | None, event: EventImage | None
    ) -> tuple[Floats, float]:
        """The schedule's power for each EVSE now, and the relief that it means for the event's sites."""
        plan_kw = np.full(len(self.assets), np.nan)
        if snapshot is None or plan is None:
            return plan_kw, 0.0
        step = -1
        for edge in snapshot.edges:
            if edge > now:
                break
            step += 1
        if not 0 <= step < plan.net_kw.shape[1]:
            return plan_kw, 0.0
        rows = {id(slot.evse): row for row, slot in enumerate(snapshot.slots)}
        for place, evse in enumerate(self._evses):
            row = rows.get(id(evse))
            if row is not None:
                plan_kw[place] = plan.net_kw[row, step]
        relief_kw = 0.0
        if event is not None and event.grid_event_id in snapshot.event_ids:
            relief_kw = float(plan.commitment_kw[snapshot.event_ids.index(event.grid_event_id), step])
        return plan_kw, relief_kw

    def _state(self, now: dt.datetime, event: EventImage | None) -> FleetState:
        n = len(self._evses)
        numbers = {
            name: np.zeros(n)
            for name in (
                "charge", "discharge", "energy", "age", "capacity", "floor", "barrier", "measured", "urgency", "end",
            )
        }  # fmt: skip
        plugged = np.zeros(n, dtype=bool)
        dispatchable = np.zeros(n, dtype=bool)
        for row, evse in enumerate(self._evses):
            self._fill(numbers, row, evse, now, event)
            plugged[row] = evse.session_id is not None
            dispatchable[row] = evse.online and self._tracker.dispatchable(self.assets[row], now)
        at = now.timestamp()
        return FleetState(
            site=self._site,
            charge_max_kw=numbers["charge"],
            discharge_max_kw=numbers["discharge"],
            energy_kwh=numbers["energy"],
            soc_age_s=numbers["age"],
            capacity_kwh=numbers["capacity"],
            floor_kwh=numbers["floor"],
            barrier_kwh=numbers["barrier"],
            must_charge_kw=np.zeros(n),
            plugged=plugged,
            dispatchable=dispatchable,
            measured_kw=numbers["measured"],
            last_setpoint_kw=self.last_kw,
            charge_efficiency=np.full(n, EFFICIENCY),
            discharge_efficiency=np.full(n, EFFICIENCY),
            urgency_h=numbers["urgency"],
            direction=self._direction,
            reversed_s=at - self._reversed_at,
            settled_s=at - self._given_at,
            end_floor_kwh=numbers["end"],
            locked=np.zeros(n, dtype=bool),
        )

    def _fill(
        self, numbers: dict[str, Floats], row: int, evse: EvseImage, now: dt.datetime, event: EventImage | None
    ) -> None:
        """One EVSE's numbers; unknown is NaN."""
        vehicle = evse.vehicle
        numbers["energy"][row] = numbers["measured"][row] = np.nan
        numbers["age"][row] = numbers["urgency"][row] = np.inf
        numbers["capacity"][row] = vehicle.capacity_kwh if vehicle else 1.0
        numbers["charge"][row] = evse.station.charge_kw
        if vehicle is None:
            return
        charge_kw = min(evse.station.charge_kw, vehicle.charge_kw, evse.charge_max_kw or np.inf)
        numbers["charge"][row] = charge_kw
        limit = evse.discharge_max_kw if evse.discharge_max_kw is not None else np.inf
        numbers["discharge"][row] = min(evse.station.discharge_kw, vehicle.discharge_kw, limit)
        energy_kwh = self._image.energy_kwh(evse)
        if energy_kwh is not None:
            numbers["energy"][row] = energy_kwh
            numbers["age"][row] = max((now - evse.soc_at).total_seconds(), 0.0)
        if evse.power_kw is not None and now - evse.power_at < READING_FRESH:
            numbers["measured"][row] = evse.power_kw
        reserve_soc = self._image.sites[evse.station.site_id].site.backup_reserve_soc
        floor_kwh = max(vehicle.soc_min, reserve_soc) * vehicle.capacity_kwh
        numbers["floor"][row] = numbers["end"][row] = floor_kwh
        standing = self.standing.get(vehicle.id)
        if standing is None or standing.depart is None:
            return
        numbers["urgency"][row] = max((standing.depart - now).total_seconds(), 0.0) / 3600
        numbers["barrier"][row] = self._barrier(standing, charge_kw, vehicle.capacity_kwh, now + BARRIER_AHEAD)
        if event is not None and standing.depart > event.end:
            at_end = self._barrier(standing, charge_kw, vehicle.capacity_kwh, event.end)
            numbers["end"][row] = max(floor_kwh, at_end)

    @staticmethod
    def _barrier(standing: Standing, charge_kw: float, capacity_kwh: float, now: dt.datetime) -> float:
        assert standing.depart is not None
        return least_energy_kwh(
            now,
            standing.depart - dt.timedelta(minutes=5),
            need_kwh=standing.needed_kwh,
            charge_kw=charge_kw * BARRIER_POWER_SHARE,
            efficiency=BARRIER_EFFICIENCY,
            capacity_kwh=capacity_kwh,
        )

    def _sites(
        self, now: dt.datetime, island_kw: Mapping[str, float], return_share: Mapping[SiteId, float]
    ) -> SiteState:
        images = [self._image.sites[site_id] for site_id in self._site_ids]
        load = np.array(
            [
                i.building_kw if i.building_kw is not None and now - i.building_at < READING_FRESH else np.nan
                for i in images
            ]
        )
        # The building may move between meter values: charging sees a little more load, export a little less.
        return SiteState(
            feeder=self._feeder,
            load_kw=load,
            worst_load_kw=self._peak,
            import_limit_kw=np.maximum(self._import - LOAD_STEP_SHARE * self._peak, 0.0),
            export_limit_kw=np.maximum(self._export - LOAD_STEP_SHARE * self._peak, 0.0),
            stop=np.array([self._image.stopped or i.stopped for i in images]),
            dead=np.array([i.grid == "dead" and not i.islanded for i in images]),
            return_share=np.array([return_share.get(site_id, 1.0) for site_id in self._site_ids]),
            feeder_import_limit_kw=self._feeder_import,
            feeder_export_limit_kw=self._feeder_export,
            island_kw=np.array([island_kw.get(asset, np.nan) for asset in self.assets]),
        )
