"""The world around the control room: the plant, its stations on real sockets, and the utility.

``World`` ties them to one clock and one seed. ``fast_history`` runs the same plant without the wire, for the
days before a demonstration begins; the world can then start where it ended.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from revere.core.assets import Fleet
from revere.core.commands import DefaultProfile
from revere.core.facts import MeterReading, evse_asset
from revere.core.time import UTC, local
from revere.twin.plant import STEP_S, Happening, Plant
from revere.twin.seeds import stream
from revere.twin.station import Station
from revere.twin.station16 import Station16
from revere.twin.station21 import Station21
from revere.twin.station201 import Station201
from revere.twin.utility import Utility

if TYPE_CHECKING:
    from revere.core.scenario import Scenario
    from revere.twin.inputs import PlantInputs
    from revere.twin.judge import Judge
    from revere.twin.loop import TwinClock

LINK_LOST_SHARE: Final = 0.3
"""Share of outages in which the site's links die with its grid."""
LINK_BACK_S: Final = 60.0
HISTORY_STEP_S: Final = 300


STATIONS: Final[dict[str, type[Station]]] = {
    "ocpp2.1": Station21,
    "ocpp2.0.1": Station201,
    "ocpp1.6": Station16,
}


class World:
    """Everything outside the control room. ``start`` lets it live, ``stop`` ends it without a trace."""

    def __init__(
        self, scenario: Scenario, inputs: PlantInputs, seed: int, clock: TwinClock, plant: Plant | None = None
    ) -> None:
        self.scenario, self.inputs, self.seed, self.clock = scenario, inputs, seed, clock
        if plant is None:
            plant = Plant(scenario, inputs, seed, clock.now())
        else:
            plant.judge_afresh()
        self.plant = plant
        self.utility = Utility(scenario=scenario, seed=seed, clock=clock)
        self.stations: dict[str, Station] = {}
        self._tick: asyncio.Task[None] | None = None
        self._epoch_s = clock.epoch.timestamp()

    @property
    def judge(self) -> Judge:
        """The plant's own count."""
        return self.plant.judge

    async def start(self, ocpp_url: str, secrets: Mapping[str, str]) -> None:
        """Give every station its secret and let it dial ``ocpp_url``/{station_id}; open the utility."""
        assert self._tick is None, "started twice"
        await self.utility.start()
        for row, asset in enumerate(self.scenario.fleet.stations):
            station = STATIONS[asset.protocol](
                self.plant, row, self.clock, ocpp_url, secrets[asset.id], self.seed, self.scenario.plant
            )
            self.stations[asset.id] = station
            self.plant.command(row, 0.0, self.plant.t_s)  # sessions begin anew when the stations boot
        self.plant.listen(self._happened)
        self._tick = asyncio.create_task(self._run())
        for station in self.stations.values():
            station.start()

    async def stop(self) -> None:
        """Hang up and end every task."""
        for station in self.stations.values():
            await station.stop()
        await self.utility.stop()
        if self._tick is not None:
            self._tick.cancel()
            await asyncio.gather(self._tick, return_exceptions=True)
            self._tick = None

    async def _run(self) -> None:
        """Move the plant every 5 s and exactly at every change of cable or grid."""
        end_s = self.inputs.end.timestamp()
        while True:
            grid_s = (math.floor(self.plant.t_s / STEP_S + 1e-9) + 1) * STEP_S
            next_s = min(grid_s, self.plant.next_change_s())
            if next_s >= end_s:
                return
            await asyncio.sleep(max(next_s - self._epoch_s - self.clock.monotonic_s(), 0.0))
            self.plant.advance(next_s)

    def _happened(self, what: Happening, row: int, at_s: float) -> None:
        """Pass a change on to the stations, after the plant has finished its step."""
        asyncio.get_running_loop().call_soon(self._tell, what, row, at_s)

    def _tell(self, what: Happening, row: int, at_s: float) -> None:
        stations = list(self.stations.values())
        match what:
            case "plugged":
                stations[row].plugged_in()
            case "unplugged":
                stations[row].unplugged()
            case "grid_dead":
                self._site_dead(row, at_s)
            case "switch_open" | "grid_alive" | "normal":
                for station in stations:
                    if station.site_row == row:
                        station.report_grid()
            case _:
                return

    def _site_dead(self, site: int, at_s: float) -> None:
        site_id = self.scenario.fleet.sites[site].id
        links_die = stream(self.seed, "outage-link", site_id, at_s).random() < LINK_LOST_SHARE
        for station in self.stations.values():
            if station.site_row != site:
                continue
            if links_die:
                station.line.drop(self.plant.outage_left_s(site) + LINK_BACK_S)
            station.report_grid()

    def counters(self) -> dict[str, int]:
        """What went over all lines, summed."""
        total: dict[str, int] = {}
        for station in self.stations.values():
            for name, value in vars(station.line.counters).items():
                total[name] = total.get(name, 0) + value
            for code, value in station.refusals.items():
                total[f"refused_{code}"] = total.get(f"refused_{code}", 0) + value
        return total


class History:
    """Days of the plant without the wire, under a charge-only default. Iterate it, then take ``plant``."""

    def __init__(
        self,
        scenario: Scenario,
        inputs: PlantInputs,
        start: dt.datetime,
        end: dt.datetime,
        seed: int,
        defaults: Mapping[str, DefaultProfile] | None = None,
    ) -> None:
        assert start < end <= inputs.end, (start, end, inputs.end)
        self.plant = Plant(scenario, inputs, seed, start)
        self._fleet: Fleet = scenario.fleet
        self._start_s, self._end_s = start.timestamp(), end.timestamp()
        self._limits = [
            _Limits(defaults.get(station.id) if defaults else None, station.charge_kw)
            for station in scenario.fleet.stations
        ]

    def __iter__(self) -> Iterator[MeterReading]:
        """Readings at each 5-minute edge, EVSE by EVSE and site by site."""
        edge_s = math.ceil(self._start_s / HISTORY_STEP_S) * float(HISTORY_STEP_S)
        while edge_s <= self._end_s:
            self._follow_defaults(edge_s)
            yield from self._readings(edge_s)
            edge_s += HISTORY_STEP_S
        self.plant.advance(self._end_s)

    def _follow_defaults(self, to_s: float) -> None:
        plant = self.plant
        while plant.t_s < to_s:
            until_s = min(to_s, plant.next_change_s()) if plant.next_change_s() > plant.t_s else to_s
            for row, limits in enumerate(self._limits):
                plant.command(row, limits.at_kw(plant.t_s) if plant.plugged[row] else 0.0, plant.t_s)
            plant.advance(until_s)

    def _readings(self, at_s: float) -> Iterator[MeterReading]:
        ts = dt.datetime.fromtimestamp(at_s, UTC)
        for row, station in enumerate(self._fleet.stations):
            evse = self.plant.evse(row, at_s)
            yield MeterReading(
                at=ts,
                asset_id=evse_asset(station.id, 1),
                place="ac_inlet",
                ts=ts,
                context="clock",
                import_wh=evse.import_wh,
                export_wh=evse.export_wh,
                power_kw=evse.power_kw,
                soc=round(evse.soc, 4) if evse.plugged else None,
            )
        for row, site in enumerate(self._fleet.sites):
            meter = self.plant.site_meter(row, at_s)
            yield MeterReading(
                at=ts,
                asset_id=site.id,
                place="site",
                ts=ts,
                context="clock",
                import_wh=meter.import_wh,
                export_wh=meter.export_wh,
                power_kw=meter.power_kw,
            )


class _Limits:
    """A station's limit by the local second of the day; without a default profile its full power."""

    def __init__(self, default: DefaultProfile | None, charge_kw: float) -> None:
        self._zone = default.zone if default else ""
        self._from_s = [after_s for after_s, _ in default.limits_kw] if default else [0]
        self._kw = [limit_kw for _, limit_kw in default.limits_kw] if default else [charge_kw]

    def at_kw(self, at_s: float) -> float:
        """The limit at a moment, kW."""
        if len(self._kw) == 1:
            return self._kw[0]
        clock = local(dt.datetime.fromtimestamp(at_s, UTC), self._zone)
        second = clock.hour * 3600 + clock.minute * 60 + clock.second
        return self._kw[int(np.searchsorted(self._from_s, second, side="right")) - 1]


def fast_history(
    scenario: Scenario,
    inputs: PlantInputs,
    start: dt.datetime,
    end: dt.datetime,
    *,
    seed: int,
    defaults: Mapping[Any, DefaultProfile] | None = None,
) -> History:
    """The same plant without the wire from ``start`` to ``end``: iterate for its readings at 5-minute edges.

    Stations charge by their ``defaults`` (station id to profile), or at full power as without any profile.
    Afterwards ``World(..., plant=history.plant)`` goes on from where it ended.
    """
    return History(scenario, inputs, start, end, seed, defaults)
