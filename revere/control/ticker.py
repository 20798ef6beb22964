"""One tick: freeze the image into the arbiter's arrays and let it decide."""

from __future__ import annotations

import bisect
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from revere.control.bounds import (
    EFFICIENCY,
    LEASE_OVER,
    POWER_FRESH,
    RULES,
    Bounds,
    Standing,
    export_share,
    fed,
    load_known,
    site_limits_kw,
)
from revere.control.screen import station_range_kw
from revere.core.ids import GridEventId
from revere.plan.dispatch import EventTarget, FleetState, Setpoints, SiteState, arbitrate
from revere.plan.even import even_discharge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from revere.control.event_image import EventImage
    from revere.control.image import EvseImage, Image
    from revere.control.snapshot import Snapshot
    from revere.control.tracking import CommandTracker
    from revere.core.ids import ProgramId, SiteId, StationId
    from revere.plan.schedule import Plan

    Floats = npt.NDArray[np.float64]


NEW_PLAN_WITHIN = dt.timedelta(seconds=5)


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
        self._import, self._export = site_limits_kw([site.site for site in image.sites.values()])
        self._peak = np.array([site.site.load_peak_kw for site in image.sites.values()])
        n = len(self.assets)
        self.last_kw: Floats = np.zeros(n)
        self._direction = np.zeros(n, dtype=np.int64)
        self._reversed_at = np.full(n, -np.inf)
        self._given_at = np.full(n, -np.inf)
        self.standing: dict[str, Standing] = {}
        self.fallback_kw: Callable[[StationId, dt.datetime], float] = lambda _station_id, _now: 0.0
        self.bounds = Bounds(image, self._evses)
        self._zeros = np.zeros(n)
        self._range_kw = np.array([station_range_kw(evse.station) for evse in self._evses]).reshape(n, 2).T
        self._efficiency = np.full(n, EFFICIENCY)
        self._event_sites: dict[ProgramId, npt.NDArray[np.bool_]] = {}
        self._plan_rows: tuple[Snapshot | None, npt.NDArray[np.int64]] = (None, np.zeros(n, dtype=np.int64))

    def decide(
        self,
        now: dt.datetime,
        snapshot: Snapshot | None,
        plan: Plan | None,
        events: Sequence[EventImage],
        island_kw: Mapping[str, float],
        return_share: Mapping[SiteId, float],
    ) -> Decision:
        """The arbiter's setpoints for this tick; where running events share a site, the first has it."""
        state = self._state(now, events)
        sites = self._sites(now, island_kw, return_share)
        plan_kw, relief_kw = self._plan_now(now, snapshot, plan)
        targets: list[EventTarget] = []
        taken = np.zeros(len(self._site_ids), dtype=bool)
        for event in events:
            called = self._called(event) & ~taken
            taken |= called
            targets.append(
                EventTarget(
                    id=event.grid_event_id,
                    sites=called,
                    target_kw=max(event.nominated_kw or 0.0, relief_kw.get(event.grid_event_id, 0.0)),
                    left_h=(event.end - now).total_seconds() / 3600,
                )
            )
        plan_kw = self._even(plan_kw, state, sites, targets)
        setpoints = arbitrate(state, plan_kw, sites, events=tuple(targets), rules=RULES)
        return Decision(self.assets, setpoints, setpoints.reasons(), targets[0].target_kw if targets else None)

    def _even(self, plan_kw: Floats, state: FleetState, sites: SiteState, targets: Sequence[EventTarget]) -> Floats:
        """The plan's discharge shared by spare energy, over all sites of an event and else within each site.

        To an event a kWh of one depot is as good as one of another, so every new plan would lay them out anew.
        """
        spare_kwh = state.energy_kwh - np.maximum(state.floor_kwh, state.barrier_kwh)
        shut = (sites.dead | sites.stop)[state.site] | np.isfinite(sites.island_kw)
        group = state.site.copy()
        for number, target in enumerate(targets):
            member = target.sites[state.site] & ~shut
            group[member] = len(self._site_ids) + number
            spare_kwh[member] = (state.energy_kwh - np.maximum(state.barrier_kwh, state.end_floor_kwh))[member]
        give_max_kw = np.where(state.plugged & state.dispatchable & state.trusted, state.discharge_max_kw, 0.0)
        return even_discharge(plan_kw, group, len(self._site_ids) + len(targets), spare_kwh, give_max_kw)

    def _called(self, event: EventImage) -> npt.NDArray[np.bool_]:
        """Which sites the event calls."""
        found = self._event_sites.get(event.program_id)
        if found is None:
            members = self._image.members(event)
            found = np.array([site_id in members for site_id in self._site_ids], dtype=bool)
            self._event_sites[event.program_id] = found
        return found

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
        self.bounds.mark()
        self.last_kw[row] = 0.0
        self._direction[row] = 0
        self._given_at[row] = -np.inf

    def _plan_now(
        self, now: dt.datetime, snapshot: Snapshot | None, plan: Plan | None
    ) -> tuple[Floats, Mapping[str, float]]:
        """The schedule's power for each EVSE now, and the relief that it means for each event's sites."""
        plan_kw = np.full(len(self.assets), np.nan)
        if snapshot is None or plan is None:
            return plan_kw, {}
        step = _step_at(snapshot, now)
        if not 0 <= step < plan.net_kw.shape[1]:
            return plan_kw, {}
        if self._plan_rows[0] is not snapshot:
            rows = {id(slot.evse): row for row, slot in enumerate(snapshot.slots)}
            self._plan_rows = (snapshot, np.array([rows.get(id(evse), -1) for evse in self._evses]))
        rows_of = self._plan_rows[1]
        plan_kw = np.where(rows_of >= 0, plan.net_kw[rows_of, step], np.nan)
        relief_kw: dict[str, float] = {}
        for row, event_id in enumerate(snapshot.event_ids):
            event = self._image.events[GridEventId(event_id)]
            if event.live() and event.start <= now < event.end:
                relief_kw[event_id] = float(plan.commitment_kw[row, step])
            elif snapshot.problem.commitments[row].steps[step]:
                # Planned for a call that was cancelled, moved or declined since: nothing is given for it.
                plan_kw = np.where(self._called(event)[self._site], np.maximum(plan_kw, 0.0), plan_kw)
        return plan_kw, relief_kw

    def _state(self, now: dt.datetime, events: Sequence[EventImage]) -> FleetState:
        n = len(self._evses)
        at = now.timestamp()
        bounds = self.bounds
        bounds.read(now, events, self.standing)
        energy, age, measured = np.full(n, np.nan), np.full(n, np.inf), np.full(n, np.nan)
        plugged, dispatchable, trusted = np.zeros((3, n), dtype=bool)
        read_at = np.full(n, -np.inf)
        for row, evse in enumerate(self._evses):
            plugged[row] = evse.session_id is not None
            dispatchable[row] = evse.commanded()
            trusted[row] = self._tracker.trusted(self.assets[row], now)
            if evse.soc is not None and evse.vehicle is not None:
                energy[row] = evse.soc * evse.vehicle.capacity_kwh
                age[row] = max((now - evse.soc_at).total_seconds(), 0.0)
            if evse.power_kw is not None and now - evse.power_at < POWER_FRESH:
                measured[row] = evse.power_kw
                read_at[row] = evse.power_at.timestamp() - (evse.skew_s or 0.0)
            if plugged[row] and not evse.online and now - evse.power_at > LEASE_OVER:
                # Its lease is over: it charges on its own fallback, and that room is not for others.
                measured[row] = self.fallback_kw(evse.station.id, now)
        # Whatever its meter says, a station takes no more room than its nameplate can fill.
        measured = np.clip(measured, *self._range_kw)
        return FleetState(
            site=self._site,
            charge_max_kw=bounds.charge_kw,
            discharge_max_kw=bounds.discharge_kw,
            energy_kwh=energy,
            soc_age_s=age,
            capacity_kwh=bounds.capacity_kwh,
            floor_kwh=bounds.floor_kwh,
            barrier_kwh=bounds.barrier_kwh,
            must_charge_kw=self._zeros,
            plugged=plugged,
            dispatchable=dispatchable,
            trusted=trusted,
            measured_kw=measured,
            last_setpoint_kw=self.last_kw,
            charge_efficiency=self._efficiency,
            discharge_efficiency=self._efficiency,
            urgency_h=np.maximum(bounds.depart_s - at, 0.0) / 3600,
            direction=self._direction,
            reversed_s=at - self._reversed_at,
            settled_s=read_at - np.maximum(self._given_at, 0.0),
            end_floor_kwh=bounds.end_kwh,
            locked=np.array([bool(evse.locks) for evse in self._evses]),
        )

    def _sites(
        self, now: dt.datetime, island_kw: Mapping[str, float], return_share: Mapping[SiteId, float]
    ) -> SiteState:
        images = [self._image.sites[site_id] for site_id in self._site_ids]
        load = np.array([i.building_kw if load_known(i, now) else np.nan for i in images], dtype=np.float64)
        setpoints_kw = np.array([island_kw.get(asset, np.nan) for asset in self.assets])
        # Only a site that is proven isolated has an island's setpoints; any other without a grid is dead.
        carried = np.bincount(self._site, np.isfinite(setpoints_kw), len(images)) > 0
        return SiteState(
            feeder=self._feeder,
            load_kw=load,
            worst_load_kw=self._peak,
            import_limit_kw=self._import,
            export_limit_kw=self._export,
            stop=np.array([self._image.stopped or i.stopped for i in images]),
            dead=np.array([not fed(i) for i in images]) & ~carried,
            return_share=np.array([return_share.get(site_id, 1.0) for site_id in self._site_ids]),
            export_share=np.where(carried, 1.0, [export_share(item, row, now) for row, item in enumerate(images)]),
            feeder_import_limit_kw=self._feeder_import,
            feeder_export_limit_kw=self._feeder_export,
            island_kw=setpoints_kw,
        )


def _step_at(snapshot: Snapshot, now: dt.datetime) -> int:
    """The plan's step at ``now``; in a step's first moment the one before it, where no event begins or ends between.

    A new plan is made at each edge and is there with the next tick: what the old one meant for the new step would be
    said to every station for five seconds.
    """
    step = bisect.bisect_right(snapshot.edges, now) - 1
    if 0 < step < len(snapshot.edges) - 1 and now - snapshot.edges[step] < NEW_PLAN_WITHIN:
        same = all(c.steps[step] == c.steps[step - 1] for c in snapshot.problem.commitments)
        return step - 1 if same else step
    return step
