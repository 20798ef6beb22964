"""The plant: true batteries, converters, buildings, feeders and grid, exact between changes.

::

    committed                    open segment (<= 5 s, constant inputs)            next change
    ----------|==========================================================|------------|
              t0          read here: t0's books + share of the segment    t1

Reads interpolate in the open segment and change nothing; a command, a cable or the grid cuts it there.
Powers are AC kW with charging positive; times are Unix seconds; registers floor to whole Wh when read.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from revere.core.errors import RevereError
from revere.core.time import at_local
from revere.twin.hardware import ACTIVE_SHARE, JUMP_SHARE, SOC_FLOOR, Hardware, ramped
from revere.twin.journeys import Agenda, Journey, agenda_of
from revere.twin.judge import Judge, Snapshot
from revere.twin.seeds import stream

if TYPE_CHECKING:
    from revere.core.scenario import Scenario
    from revere.twin.inputs import PlantInputs

Floats = NDArray[np.float64]
Happening = Literal["unplugged", "departed", "plugged", "grid_dead", "tripped", "switch_open", "grid_alive", "normal"]
Listener = Callable[[Happening, int, float], None]

STEP_S = 5.0
SNAPSHOT_S = 300
TRIP_S = 0.2
"""An inverter leaves a dead grid within this time (IEEE 1547 hardware)."""
SWITCH_S = 0.5
"""A working transfer switch opens this long after the inverters have tripped."""
STABLE_S = 300.0
"""Hardware reconnects, and a switch closes, after this much stable grid."""
START_SOC = (0.5, 0.85)
ISLAND_SWING = (0.5, 1.5)
"""Bounds of the momentary critical load as a share of its mean."""


class EvseReading(NamedTuple):
    """What an EVSE's own meter and vehicle link say; power charging positive, registers in Wh."""

    power_kw: float
    import_wh: int
    export_wh: int
    soc: float
    plugged: bool


class SiteReading(NamedTuple):
    """What a site's main meter says: net power (import positive) and its two registers in Wh."""

    power_kw: float
    import_wh: int
    export_wh: int
    alive: bool


class Plant:
    """The physics of a scenario from ``at`` on. ``advance`` moves it; stations command and read it."""

    def __init__(
        self,
        scenario: Scenario,
        inputs: PlantInputs,
        seed: int,
        at: dt.datetime,
        soc: Mapping[str, float] | None = None,
    ) -> None:
        fleet = scenario.fleet
        assert tuple(site.id for site in fleet.sites) == inputs.site_ids, "inputs belong to another scenario"
        if not inputs.start <= at < inputs.end:
            raise RevereError("the plant starts outside its inputs", got=at, expected=f"{inputs.start} to {inputs.end}")
        self.fleet, self.inputs, self.seed = fleet, inputs, seed
        self.hardware = Hardware.of(fleet)
        self.station_index: dict[str, int] = {station.id: row for row, station in enumerate(fleet.stations)}
        self.site_index: dict[str, int] = {site.id: row for row, site in enumerate(fleet.sites)}
        owners = {vehicle.station_id: vehicle for vehicle in fleet.vehicles}
        self.vehicles = [owners[station.id] for station in fleet.stations]
        self.site_of = np.array([self.site_index[station.site_id] for station in fleet.stations])
        feeders = {feeder.id: row for row, feeder in enumerate(fleet.feeders)}
        self._feeder_of_site = np.array([feeders[site.feeder_id] for site in fleet.sites])
        self._start_s = inputs.start.timestamp()
        self._limit_s = inputs.end.timestamp()
        self._listeners: list[Listener] = []
        self.protection_works = np.ones(len(fleet.stations), dtype=bool)
        self._lay_out_state(at.timestamp(), soc)
        self.judge_afresh()
        self.agendas = [agenda_of(vehicle, scenario, inputs, seed) for vehicle in self.vehicles]
        self._changes: list[tuple[float, int, Happening, int, Journey | None]] = []
        self._order = itertools.count()
        self._plan_changes(scenario)
        self._open()

    def _lay_out_state(self, at_s: float, soc: Mapping[str, float] | None) -> None:
        count, sites = len(self.fleet.stations), len(self.fleet.sites)
        given = soc or {}
        drawn = [
            given[vehicle.id] if vehicle.id in given else stream(self.seed, "soc", vehicle.id).uniform(*START_SOC)
            for vehicle in self.vehicles
        ]
        self.t_s = at_s
        self.stored_kwh = np.array(drawn) * self.hardware.capacity_kwh
        self.wanted_kw = np.zeros(count)
        self.power_kw = self.hardware.standby_kw.copy()
        self.plugged = np.ones(count, dtype=bool)
        self.import_kwh, self.export_kwh = np.zeros(count), np.zeros(count)
        self.losses_kwh, self.trips_kwh = np.zeros(count), np.zeros(count)
        self.site_import_kwh, self.site_export_kwh = np.zeros(sites), np.zeros(sites)
        self.dead = np.zeros(sites, dtype=bool)
        self.tripped = np.zeros(sites, dtype=bool)
        self.open = np.zeros(sites, dtype=bool)
        self.switch_works = np.zeros(sites, dtype=bool)
        self._any_trouble = False
        mean_load = np.maximum(self.inputs.load_kw.mean(axis=1), 1e-9)
        critical = np.array([site.critical_load_kw for site in self.fleet.sites])
        self._critical_per_load = critical / mean_load
        self._critical_low, self._critical_high = critical * ISLAND_SWING[0], critical * ISLAND_SWING[1]

    # ---- what is going to happen ---------------------------------------------------------------

    def _plan_changes(self, scenario: Scenario) -> None:
        for row, agenda in enumerate(self.agendas):
            self._plan_journeys(row, agenda)
        zone = scenario.fleet.programme.zone
        for outage in scenario.outages:
            site = self.site_index[outage.site]
            day = scenario.run.event_day + dt.timedelta(days=outage.day)
            dead_s = at_local(day, outage.start, zone).timestamp()
            if dead_s <= self.t_s:
                continue
            alive_s = dead_s + outage.hours * 3600
            self.switch_works[site] = outage.switch_works and self.fleet.sites[site].transfer_switch
            self._push(dead_s, "grid_dead", site)
            self._push(dead_s + TRIP_S, "tripped", site)
            if self.switch_works[site]:
                self._push(dead_s + TRIP_S + SWITCH_S, "switch_open", site)
            self._push(alive_s, "grid_alive", site)
            self._push(alive_s + STABLE_S, "normal", site)

    def _plan_journeys(self, row: int, agenda: Agenda) -> None:
        for journey in agenda.journeys:
            if journey.back_s <= self.t_s:
                continue
            if journey.unplug_s <= self.t_s:  # already on the road when we start
                self.plugged[row] = False
            else:
                self._push(journey.unplug_s, "unplugged", row)
                self._push(journey.depart_s, "departed", row, journey)
            self._push(journey.back_s, "plugged", row, journey)

    def _push(self, at_s: float, what: Happening, row: int, journey: Journey | None = None) -> None:
        heapq.heappush(self._changes, (at_s, next(self._order), what, row, journey))

    def listen(self, listener: Listener) -> None:
        """Call ``listener(what, row, at_s)`` when a cable or the grid changes (row = station or site)."""
        self._listeners.append(listener)

    def next_change_s(self) -> float:
        """When the next cable or grid change happens, Unix seconds; infinity if none."""
        return self._changes[0][0] if self._changes else math.inf

    def outage_left_s(self, site: int) -> float:
        """Seconds until a dead site's grid is back, 0 if it is alive."""
        ends = [at_s for at_s, _, what, row, _ in self._changes if what == "grid_alive" and row == site]
        return min(ends) - self.t_s if self.dead[site] and ends else 0.0

    def next_journey(self, row: int, at_s: float) -> Journey | None:
        """The vehicle's next journey that leaves after ``at_s``."""
        return next((journey for journey in self.agendas[row].journeys if journey.depart_s > at_s), None)

    def judge_afresh(self) -> None:
        """Begin a new count, as when a run starts where a history ended."""
        idle_kw = self._by_site(self.hardware.standby_kw)
        self.judge = Judge(
            fleet=self.fleet, inputs=self.inputs, site_idle_kw=idle_kw, feeder_idle_kw=self._by_feeder(idle_kw)
        )
        if self.t_s % SNAPSHOT_S == 0:
            self._snapshot()

    # ---- moving --------------------------------------------------------------------------------

    def advance(self, to_s: float) -> None:
        """Move the plant to ``to_s`` exactly, through every change on the way."""
        while self.t_s < to_s:
            if to_s < self._segment_end_s:
                self._commit(to_s)
                self._open()
                return
            self._commit(self._segment_end_s)
            while self._changes and self._changes[0][0] <= self.t_s:
                at_s, _, what, row, journey = heapq.heappop(self._changes)
                self._happen(at_s, what, row, journey)
            self._open()

    def command(self, row: int, power_kw: float, at_s: float) -> None:
        """Make the station's converter aim at ``power_kw`` from ``at_s`` on (0 = idle)."""
        if power_kw != self.wanted_kw[row]:
            self.advance(at_s)
            self.wanted_kw[row] = power_kw
            self._open()

    def evse(self, row: int, at_s: float) -> EvseReading:
        """The meter and the vehicle at ``at_s``, at or after the committed time."""
        ahead_s = self._ahead(at_s)
        added_kwh = float(self._mean_kw[row]) * ahead_s / 3600
        stored = self.stored_kwh[row] + (self._battery_kw[row] * ahead_s / 3600 if ahead_s else 0.0)
        return EvseReading(
            power_kw=float(self._end_kw[row] if ahead_s else self.power_kw[row]),
            import_wh=_whole_wh(float(self.import_kwh[row]) + max(added_kwh, 0.0)),
            export_wh=_whole_wh(float(self.export_kwh[row]) + max(-added_kwh, 0.0)),
            soc=float(stored / self.hardware.capacity_kwh[row]),
            plugged=bool(self.plugged[row]),
        )

    def site_meter(self, row: int, at_s: float) -> SiteReading:
        """The site's main meter at ``at_s``. A dead or opened grid carries nothing."""
        ahead_s = self._ahead(at_s)
        net_kw = float(self._site_net_kw[row])
        added_kwh = net_kw * ahead_s / 3600
        return SiteReading(
            power_kw=net_kw,
            import_wh=_whole_wh(float(self.site_import_kwh[row]) + max(added_kwh, 0.0)),
            export_wh=_whole_wh(float(self.site_export_kwh[row]) + max(-added_kwh, 0.0)),
            alive=not self.dead[row],
        )

    def _ahead(self, at_s: float) -> float:
        """Seconds of the open segment until ``at_s``; a ramp is cut there, so that what remains is linear."""
        if at_s > self._segment_end_s or (self._ramping and at_s > self.t_s):
            self.advance(at_s)
        return max(at_s - self.t_s, 0.0)

    def _open(self) -> None:
        """Lay the next segment: what every converter does until the next change at the latest."""
        step = int((self.t_s - self._start_s) // self.inputs.step_s)
        if step >= self.inputs.steps:
            raise RevereError("the plant ran past its inputs", got=self.t_s, expected=f"before {self._limit_s}")
        edge_s = self._start_s + (step + 1) * self.inputs.step_s
        grid_s = (math.floor(self.t_s / STEP_S) + 1) * STEP_S
        self._segment_end_s = min(grid_s, edge_s, self.next_change_s())
        self._building_kw = self.inputs.load_kw[:, step] - self.inputs.solar_kw[:, step]
        wanted = np.where(self.plugged, self.wanted_kw, 0.0)
        low, high = self.hardware.bounds_kw(self.stored_kwh)
        target = self.hardware.possible_kw(wanted, low, high)
        # A full or empty battery does not wait for the ramp.
        self.power_kw = np.minimum(np.maximum(self.power_kw, low), np.maximum(high, self.hardware.standby_kw))
        if self._any_trouble:
            target = self._in_trouble(target, low, step)
        self._target_kw = target
        gap = np.abs(target - self.power_kw)
        self._ramping = bool((gap > JUMP_SHARE * self.hardware.rating_kw).any())
        self._integrate(self._segment_end_s - self.t_s)

    def _in_trouble(self, target: Floats, low_kw: Floats, step: int) -> Floats:
        """Powers at sites whose grid is dead or not yet trusted: 0, or the island's need."""
        off = self.tripped[self.site_of] & self.protection_works
        forming = off & self.open[self.site_of] & self.plugged & self.hardware.can_form_grid
        forming &= self.wanted_kw < -ACTIVE_SHARE * self.hardware.rating_kw
        forming &= self.stored_kwh > SOC_FLOOR * self.hardware.capacity_kwh
        ability = np.where(forming, -low_kw, 0.0)
        site_ability = self._by_site(ability)
        need = np.clip(self._critical_per_load * self.inputs.load_kw[:, step], self._critical_low, self._critical_high)
        share = np.minimum(need / np.maximum(site_ability, 1e-9), 1.0) * (site_ability > 0)
        self._unserved_kw = np.where(self.tripped, need * (self.dead | self.open) - share * site_ability, 0.0)
        target = np.where(off, -ability * share[self.site_of], target)
        self.power_kw = np.where(off, target, self.power_kw)  # a trip and a formed island are instantaneous
        return target

    def _integrate(self, dt_s: float) -> None:
        """Means over the open segment if it lasts ``dt_s``."""
        if self._ramping:
            end, import_kws, export_kws = ramped(self.power_kw, self._target_kw, self.hardware.rating_kw, dt_s)
            self._import_kw, self._export_kw = import_kws / dt_s, export_kws / dt_s
        else:
            end = self._target_kw
            self._import_kw, self._export_kw = np.maximum(end, 0.0), np.maximum(-end, 0.0)
        self._end_kw = end
        self._mean_kw = self._import_kw - self._export_kw
        self._loss_kw = self.hardware.loss_kw(self._import_kw + self._export_kw)
        self._battery_kw = self._mean_kw - self._loss_kw
        self._site_kw = self._by_site(self._mean_kw)
        if self._any_trouble:
            self._site_net_kw = np.where(self.dead | self.open, 0.0, self._building_kw + self._site_kw)
        else:
            self._site_net_kw = self._building_kw + self._site_kw

    def _commit(self, to_s: float) -> None:
        """Make the open segment history up to ``to_s``, with the judge looking on."""
        dt_s = to_s - self.t_s
        if dt_s <= 0:
            return
        if to_s < self._segment_end_s and self._ramping:
            self._integrate(dt_s)
        hours = dt_s / 3600
        self.stored_kwh = self.stored_kwh + self._battery_kw * hours
        self.import_kwh = self.import_kwh + self._import_kw * hours
        self.export_kwh = self.export_kwh + self._export_kw * hours
        self.losses_kwh = self.losses_kwh + self._loss_kw * hours
        self.site_import_kwh = self.site_import_kwh + np.maximum(self._site_net_kw, 0.0) * hours
        self.site_export_kwh = self.site_export_kwh + np.maximum(-self._site_net_kw, 0.0) * hours
        at_s, self.power_kw, self.t_s = self.t_s, self._end_kw, to_s
        connected = ~(self.dead | self.open)
        self.judge.sample(
            at_s,
            dt_s,
            building_kw=self._building_kw,
            stations_kw=self._site_kw,
            feeder_kw=self._by_feeder(np.where(connected, self._site_kw, 0.0) if self._any_trouble else self._site_kw),
            connected=connected,
        )
        if self._any_trouble:
            self._judge_trouble(at_s, dt_s)
        if to_s % SNAPSHOT_S == 0:
            self._snapshot()

    def _judge_trouble(self, at_s: float, dt_s: float) -> None:
        exporting = self._by_site((self._export_kw > 0).astype(float))
        for site in np.flatnonzero(self.dead):
            self.judge.dead_grid(
                at_s,
                dt_s,
                exporting=int(exporting[site]),
                cleared=bool(self.tripped[site]),
                islanded=bool(self.open[site]),
                site_id=self.fleet.sites[site].id,
            )
        self.judge.critical_unserved_kwh += float(np.maximum(self._unserved_kw, 0.0).sum()) * dt_s / 3600

    def _snapshot(self) -> None:
        self.judge.snapshots[round(self.t_s)] = Snapshot(
            stored_kwh=self.stored_kwh,
            trips_kwh=self.trips_kwh.copy(),
            losses_kwh=self.losses_kwh,
            import_kwh=self.import_kwh,
            export_kwh=self.export_kwh,
        )

    def _happen(self, at_s: float, what: Happening, row: int, journey: Journey | None) -> None:
        match what:
            case "unplugged":
                self.plugged[row] = False
                self.wanted_kw[row] = 0.0
                self.power_kw[row] = self.hardware.standby_kw[row]
            case "departed":
                assert journey is not None
                vehicle = self.vehicles[row]
                above = float(self.stored_kwh[row]) - vehicle.soc_min * vehicle.capacity_kwh
                self.judge.departed(vehicle.id, at_s, journey.name, above, journey.roster_kwh)
            case "plugged":
                assert journey is not None
                used = min(journey.used_kwh, float(self.stored_kwh[row]))
                self.judge.stranded_kwh += journey.used_kwh - used
                self.stored_kwh[row] -= used
                self.trips_kwh[row] += used
                self.plugged[row] = True
            case "grid_dead":
                self.dead[row] = True
            case "tripped":
                self.tripped[row] = True
            case "switch_open":
                self.open[row] = True
            case "grid_alive":
                self.dead[row] = False
            case "normal":
                self.tripped[row] = self.open[row] = False
        self._any_trouble = bool((self.dead | self.tripped | self.open).any())
        for listener in self._listeners:
            listener(what, row, at_s)

    def _by_site(self, per_station: Floats) -> Floats:
        sums = np.bincount(self.site_of, weights=per_station, minlength=len(self.fleet.sites))
        return sums.astype(np.float64, copy=False)

    def _by_feeder(self, per_site: Floats) -> Floats:
        sums = np.bincount(self._feeder_of_site, weights=per_site, minlength=len(self.fleet.feeders))
        return sums.astype(np.float64, copy=False)


def _whole_wh(energy_kwh: float) -> int:
    """Whole Wh as a register shows them; the tiny addend keeps 1.0 kWh from reading 999."""
    return int(energy_kwh * 1000 + 1e-6)
