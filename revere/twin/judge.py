"""The judge: what the plant alone counts. Missed departures, back-feed, limits passed, energy that closes.

Nothing here reads what the control room believes, except ``residual_pct``, whose point is to compare
Revere's stored registers with the plant's own books. Every zero comes with its exposure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from revere.core.errors import RevereError
from revere.core.facts import evse_asset
from revere.core.time import UTC, iso
from revere.core.words import count

if TYPE_CHECKING:
    from revere.core.assets import Fleet
    from revere.twin.inputs import PlantInputs

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DETAILS_MAX = 200
GRACE_S = 10.0
"""A limit may be passed for this long ..."""
HARD_SHARE = 1.10
"""... but never by more than a tenth."""
TOLERANCE_KW = 0.01
RESIDUAL_LEAST_KWH = 1.0
"""A station with less throughput than this has no residual in per cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedDeparture:
    """A vehicle that left without the energy for its trip above its floor."""

    vehicle_id: str
    at: str
    trip: str
    short_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The plant's books at a 5-minute edge, kWh per station."""

    stored_kwh: Floats
    trips_kwh: Floats
    losses_kwh: Floats
    import_kwh: Floats
    export_kwh: Floats


class LimitWatch:
    """Seconds above limits, for one family of places (sites or feeders); limits are magnitudes, kW.

    Stations that draw no more than ``idle_kw`` (their standby) add nothing.
    """

    def __init__(self, names: tuple[str, ...], import_kw: Floats, export_kw: Floats, idle_kw: Floats) -> None:
        self.names = names
        self.idle_kw = idle_kw + TOLERANCE_KW
        self.import_kw = import_kw
        self.export_kw = export_kw
        self.violation_s = np.zeros(len(names))
        self._over_s = np.zeros(len(names))
        self._counted_s = np.zeros(len(names))

    def sample(self, dt_s: float, total_kw: Floats, stations_kw: Floats) -> Flags:
        """Count ``dt_s`` where stations add to a total above its limit; returns the places newly in violation."""
        above = (total_kw > self.import_kw + TOLERANCE_KW) & (stations_kw > self.idle_kw)
        above |= (total_kw < -self.export_kw - TOLERANCE_KW) & (stations_kw < -TOLERANCE_KW)
        if not above.any():
            if self._over_s.any():
                self._over_s[:] = 0.0
                self._counted_s[:] = 0.0
            return above
        self._over_s = np.where(above, self._over_s + dt_s, 0.0)
        self._counted_s = np.where(above, self._counted_s, 0.0)
        hard = above & (
            (total_kw > HARD_SHARE * self.import_kw) | (total_kw < -HARD_SHARE * self.export_kw - TOLERANCE_KW)
        )
        long = self._over_s > GRACE_S
        add = np.where(long, self._over_s - self._counted_s, np.where(above & hard, dt_s, 0.0))
        fresh = (add > 0) & (self._counted_s == 0)
        self._counted_s += add
        self.violation_s += add
        return np.asarray(fresh)


@dataclass(kw_only=True)
class Judge:
    """The plant's own count over a run."""

    fleet: Fleet
    inputs: PlantInputs
    site_idle_kw: Floats
    feeder_idle_kw: Floats
    departures: int = 0
    missed: list[MissedDeparture] = field(default_factory=list)
    departures_lost: int = 0
    stranded_kwh: float = 0.0
    backfeed_on_dead_grid_s: float = 0.0
    clearing_s: float = 0.0
    outage_site_s: float = 0.0
    islanded_site_s: float = 0.0
    critical_unserved_kwh: float = 0.0
    building_over_limit_s: float = 0.0
    sampled_s: float = 0.0
    details: list[str] = field(default_factory=list)
    details_dropped: int = 0

    def __post_init__(self) -> None:
        """Lay out the watches and series."""
        sites, feeders = self.fleet.sites, self.fleet.feeders
        self.site_watch = LimitWatch(
            tuple(s.id for s in sites),
            np.array([s.import_limit_kw for s in sites]),
            np.array([s.export_limit_kw for s in sites]),
            self.site_idle_kw,
        )
        self.feeder_watch = LimitWatch(
            tuple(f.id for f in feeders),
            np.array([f.import_limit_kw for f in feeders]),
            np.array([f.export_limit_kw for f in feeders]),
            self.feeder_idle_kw,
        )
        self._assets = [evse_asset(station.id, 1) for station in self.fleet.stations]
        self._on_grid_kwh = np.zeros((len(sites), self.inputs.steps))
        self._start_s = self.inputs.start.timestamp()
        self.snapshots: dict[int, Snapshot] = {}

    @property
    def missed_departures(self) -> int:
        """Departures of vehicles that could not drive their trip."""
        return len(self.missed) + self.departures_lost

    @property
    def limit_violation_s(self) -> float:
        """Seconds in which stations added to a site or feeder above its limit, beyond the grace."""
        return float(self.site_watch.violation_s.sum() + self.feeder_watch.violation_s.sum())

    def departed(self, vehicle_id: str, at_s: float, trip: str, above_floor_kwh: float, needed_kwh: float) -> None:
        """Judge one departure: energy above the vehicle's floor against the trip's roster energy."""
        self.departures += 1
        if above_floor_kwh >= needed_kwh - 1e-6:
            return
        if len(self.missed) >= DETAILS_MAX:
            self.departures_lost += 1
            return
        self.missed.append(
            MissedDeparture(
                vehicle_id=vehicle_id, at=_stamp(at_s), trip=trip, short_kwh=round(needed_kwh - above_floor_kwh, 3)
            )
        )

    def sample(
        self,
        at_s: float,
        dt_s: float,
        *,
        building_kw: Floats,
        stations_kw: Floats,
        feeder_kw: Floats,
        connected: Flags,
    ) -> None:
        """Count one step. Arrays [site] and [feeder], mean kW over the step; ``connected`` = fed by the grid."""
        self.sampled_s += dt_s * (len(stations_kw) + len(feeder_kw))
        step = int((at_s - self._start_s) // self.inputs.step_s)
        building = np.where(connected, building_kw, 0.0)
        adding = np.where(connected, stations_kw, 0.0)
        self._on_grid_kwh[:, step] += adding * (dt_s / 3600)
        alone = (building > self.site_watch.import_kw) | (building < -self.site_watch.export_kw - TOLERANCE_KW)
        if alone.any():
            self.building_over_limit_s += dt_s * float(alone.sum())
        for watch, total, added in (
            (self.site_watch, building + adding, adding),
            (self.feeder_watch, feeder_kw, feeder_kw),
        ):
            fresh = watch.sample(dt_s, total, added)
            for place in np.flatnonzero(fresh) if fresh.any() else ():
                self.note(at_s, f"{watch.names[place]} at {total[place]:.1f} kW, stations {added[place]:.1f} kW")

    def dead_grid(
        self, at_s: float, dt_s: float, *, exporting: int, cleared: bool, islanded: bool, site_id: str
    ) -> None:
        """Count ``dt_s`` of a dead grid at one site with ``exporting`` stations feeding its wires.

        Before the inverters' own protection has had its time (IEEE 1547; ``cleared`` false) the seconds
        count as clearing, after it as back-feed.
        """
        self.outage_site_s += dt_s
        if islanded:
            self.islanded_site_s += dt_s
        elif exporting and cleared:
            self.backfeed_on_dead_grid_s += dt_s
            self.note(at_s, f"{site_id}: {count(exporting, 'station')} giving to a dead grid")
        elif exporting:
            self.clearing_s += dt_s

    def note(self, at_s: float, text: str) -> None:
        """Keep an unsafe detail, up to ``DETAILS_MAX``."""
        if len(self.details) < DETAILS_MAX:
            self.details.append(f"{_stamp(at_s)} {text}")
        else:
            self.details_dropped += 1

    def relief_kw(self, start: dt.datetime, end: dt.datetime, site_ids: tuple[str, ...] | None = None) -> Floats:
        """True mean relief per 5-minute step of ``[start, end)``, kW, discharge positive, summed over sites.

        What feeds an island relieves no grid and is left out.
        """
        first, last = (int((at.timestamp() - self._start_s) // self.inputs.step_s) for at in (start, end))
        rows = [i for i, site in enumerate(self.fleet.sites) if site_ids is None or site.id in site_ids]
        return np.asarray(-self._on_grid_kwh[rows, first:last].sum(axis=0) * (3600 / self.inputs.step_s))

    def residual_pct(
        self, stored: Mapping[str, tuple[int, int]], start: dt.datetime, end: dt.datetime
    ) -> dict[str, float]:
        """Energy that does not close, per cent of throughput, per station and for ``fleet``.

        ``stored`` holds (import Wh, export Wh) between the readings at ``start`` and ``end`` (5-minute
        edges) as Revere kept them, by ``station/evse``: |registers net - (battery + trips + losses)| /
        throughput. Stations that are not in ``stored`` or moved under 1 kWh have no figure of their own.
        """
        for at in (start, end):
            if round(at.timestamp()) not in self.snapshots:
                known = (
                    [_stamp(edge_s) for edge_s in (min(self.snapshots), max(self.snapshots))] if self.snapshots else []
                )
                raise RevereError("the plant has no books of this moment", got=at, expected=f"5-minute edges {known}")
        first, last = (self.snapshots[round(at.timestamp())] for at in (start, end))
        truth = (
            (last.stored_kwh - first.stored_kwh)
            + (last.trips_kwh - first.trips_kwh)
            + (last.losses_kwh - first.losses_kwh)
        )
        moved = (last.import_kwh - first.import_kwh) + (last.export_kwh - first.export_kwh)
        out: dict[str, float] = {}
        gap_kwh = moved_kwh = 0.0
        for row, asset in enumerate(self._assets):
            if asset not in stored:
                continue
            net_kwh = (stored[asset][0] - stored[asset][1]) / 1000
            gap_kwh += net_kwh - float(truth[row])
            moved_kwh += float(moved[row])
            if moved[row] >= RESIDUAL_LEAST_KWH:
                out[asset] = abs(net_kwh - float(truth[row])) / float(moved[row]) * 100
        if moved_kwh >= RESIDUAL_LEAST_KWH:
            out["fleet"] = abs(gap_kwh) / moved_kwh * 100
        return out

    def summary(self) -> dict[str, object]:
        """All figures by name, for the run's JSON."""
        return {
            "departures": self.departures,
            "missed_departures": self.missed_departures,
            "missed": [asdict(miss) for miss in self.missed],
            "stranded_kwh": round(self.stranded_kwh, 3),
            "outage_site_s": round(self.outage_site_s, 3),
            "islanded_site_s": round(self.islanded_site_s, 3),
            "critical_unserved_kwh": round(self.critical_unserved_kwh, 3),
            "backfeed_on_dead_grid_s": round(self.backfeed_on_dead_grid_s, 3),
            "inverter_clearing_s": round(self.clearing_s, 3),
            "limit_violation_s": round(self.limit_violation_s, 3),
            "building_over_limit_s": round(self.building_over_limit_s, 3),
            "sampled_s": round(self.sampled_s, 3),
            "unsafe_details": list(self.details),
            "unsafe_details_dropped": self.details_dropped,
        }


def _stamp(at_s: float) -> str:
    return iso(dt.datetime.fromtimestamp(at_s, UTC))
