"""What buildings will need: their measured days, and a type's own shape until there are any."""

from __future__ import annotations

import datetime as dt
import zlib
from typing import TYPE_CHECKING

import numpy as np

from revere.core.commands import DefaultProfile
from revere.core.time import local
from revere.plan.default_profile import site_defaults
from revere.plan.forecast import DAYS_MAX, SLOTS, step_shares, typical_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from revere.core.assets import Fleet, Programme, Site
    from revere.core.ids import SiteId, StationId

    Floats = npt.NDArray[np.float64]

HISTORY_DAYS = 28
SECONDS_A_DAY = 86_400
STAGGER_MAX_S = 3_000
"""Below an hour, the step of a default profile: a rise put off never meets the next change."""

# Share of the yearly peak by local hour on a warm working day: assumptions of ours, replaced by
# measurement after a day (weight of half a day, plan.forecast).
_HOURLY = {
    "school": (25, 25, 25, 25, 25, 30, 45, 65, 80, 88, 92, 95, 97, 98, 100, 92, 75, 60, 50, 42, 36, 30, 27, 25),
    "office": (30, 30, 30, 30, 30, 33, 45, 65, 80, 90, 94, 96, 97, 100, 100, 98, 92, 78, 60, 50, 42, 36, 32, 30),
    "warehouse": (35, 35, 35, 35, 35, 40, 60, 80, 90, 95, 98, 98, 100, 100, 98, 92, 75, 55, 45, 40, 38, 36, 35, 35),
    "home": (30, 27, 25, 24, 24, 26, 34, 42, 40, 38, 40, 43, 46, 50, 55, 62, 74, 90, 100, 98, 88, 72, 52, 38),
}
_QUIET_SHARE = {"school": 0.40, "office": 0.50, "warehouse": 0.60, "home": 1.0}


def kind_of_day(day: dt.date, programme: Programme) -> str:
    """``work`` or ``quiet`` (weekend, holiday): days of one kind look alike."""
    quiet = day.weekday() >= 5 or day in programme.holidays or day in programme.school_closed
    return "quiet" if quiet else "work"


def prior_shape_kw(site: Site, kind: str) -> Floats:
    """A building type's day in quarter hours ``[96]``, kW, scaled to the site's peak; solar is not taken off."""
    hourly = np.array(_HOURLY.get(site.load_shape, _HOURLY["office"]), dtype=float) / 100
    if kind == "quiet":
        hourly = hourly * _QUIET_SHARE.get(site.load_shape, 0.6)
    centres = np.arange(24) + 0.5
    at = (np.arange(SLOTS) + 0.5) / 4
    shape: Floats = np.interp(at, centres, hourly, period=24) * site.load_peak_kw
    return shape


class BuildingHistory:
    """Measured building load by site and local day, quarter hours, from aligned registers."""

    def __init__(self, fleet: Fleet) -> None:
        self._programme = fleet.programme
        self._sites = {site.id: site for site in fleet.sites}
        self._days: dict[SiteId, dict[dt.date, Floats]] = {site.id: {} for site in fleet.sites}
        self._count: dict[tuple[SiteId, dt.date, int], int] = {}
        self._typical: dict[tuple[SiteId, str], Floats] = {}
        self._grid: _Grid | None = None

    def add(self, site_id: SiteId, end: dt.datetime, mean_kw: float) -> None:
        """Take the mean load of the interval that ended at ``end``."""
        moment = local(end - dt.timedelta(seconds=1), self._programme.zone)
        days = self._days[site_id]
        day = days.get(moment.date())
        if day is None:
            day = days[moment.date()] = np.full(SLOTS, np.nan)
            if len(days) > HISTORY_DAYS:
                del days[min(days)]
        slot = moment.hour * 4 + moment.minute // 15
        key = (site_id, moment.date(), slot)
        seen = self._count.get(key, 0) if np.isfinite(day[slot]) else 0
        day[slot] = mean_kw if not seen else (day[slot] * seen + mean_kw) / (seen + 1)
        self._count[key] = seen + 1
        self._typical.pop((site_id, kind_of_day(moment.date(), self._programme)), None)
        if len(self._count) > 4 * SLOTS * HISTORY_DAYS * len(self._sites):
            self._count.clear()

    def forecast(self, site_id: SiteId, edges: Sequence[dt.datetime]) -> Floats:
        """Expected building load less solar per step ``[T]``, kW."""
        if self._grid is None or self._grid.edges is not edges:
            self._grid = _Grid(edges, self._programme)
        expected = np.empty(len(edges) - 1)
        for kind, rows, shares in self._grid.parts:
            expected[rows] = shares @ self._typical_day(site_id, kind)
        return expected

    def _typical_day(self, site_id: SiteId, kind: str) -> Floats:
        """The site's day of this kind, kept until a new measurement of such a day comes."""
        found = self._typical.get((site_id, kind))
        if found is None:
            days = self._days[site_id]
            chosen = sorted(day for day in days if kind_of_day(day, self._programme) == kind)[-DAYS_MAX:]
            history = np.array([days[day] for day in chosen]).reshape(len(chosen), SLOTS)
            found = typical_day(history, prior_shape_kw(self._sites[site_id], kind))
            self._typical[site_id, kind] = found
        return found


class _Grid:
    """A plan's edges in local time: all its sites are asked for the same ones."""

    def __init__(self, edges: Sequence[dt.datetime], programme: Programme) -> None:
        self.edges = edges
        in_zone = [local(edge, programme.zone) for edge in edges]
        shares = step_shares(in_zone)
        kinds = np.array([kind_of_day(edge.date(), programme) for edge in in_zone[:-1]])
        self.parts = [(str(kind), kinds == kind, shares[kinds == kind]) for kind in np.unique(kinds)]


def fallback_profiles(fleet: Fleet) -> tuple[dict[StationId, DefaultProfile], dict[StationId, float]]:
    """The charge-only default of every station, and the kWh a day that a roster lacks under it alone."""
    profiles: dict[StationId, DefaultProfile] = {}
    short: dict[StationId, float] = {}
    vehicles = {vehicle.station_id: vehicle for vehicle in fleet.vehicles}
    for site in fleet.sites:
        stations = [station for station in fleet.stations if station.site_id == site.id]
        if not stations:
            continue
        worst = prior_shape_kw(site, "work").reshape(24, 4).max(axis=1)
        need = np.zeros(len(stations))
        parked = np.ones((len(stations), 24), dtype=bool)
        for row, station in enumerate(stations):
            vehicle = vehicles.get(station.id)
            for trip in vehicle.trips if vehicle else ():
                need[row] += trip.energy_kwh
                hours = (trip.back.hour - trip.depart.hour) % 24 + 1  # over midnight too
                parked[row, (trip.depart.hour + np.arange(hours)) % 24] = False
        found = site_defaults(
            import_limit_kw=site.import_limit_kw,
            worst_load_kw=worst,
            station_charge_kw=np.array([station.charge_kw for station in stations]),
            need_kwh=need,
            parked=parked,
        )
        for row, station in enumerate(stations):
            limits_kw = _staggered(found.profiles[row], station.id)
            profiles[station.id] = DefaultProfile(limits_kw=limits_kw, zone=fleet.programme.zone)
            short[station.id] = float(found.short_kwh[row])
    return profiles, short


def default_limit_kw(profile: DefaultProfile, now: dt.datetime) -> float:
    """What a station may draw at ``now`` on its fallback alone, kW."""
    moment = local(now, profile.zone)
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    return [limit_kw for start_s, limit_kw in profile.limits_kw if start_s <= second][-1]


def _staggered(limits_kw: tuple[tuple[int, float], ...], station_id: str) -> tuple[tuple[int, float], ...]:
    """The profile with each rise put off by the station's own lot, so that a fleet left alone makes no new peak.

    A later rise only lowers the sum of a site's defaults, so what was safe stays safe. The lot is the station's for
    good: it must be the same after every restart of ours.
    """
    lot_s = zlib.crc32(station_id.encode()) % STAGGER_MAX_S // 60 * 60
    moved = [limits_kw[0]]
    for (start_s, limit_kw), after in zip(limits_kw[1:], [*limits_kw[2:], (SECONDS_A_DAY, 0.0)], strict=True):
        rises = limit_kw > moved[-1][1]
        begins_s = start_s + lot_s if rises and start_s + lot_s < after[0] else start_s
        moved.append((begins_s, limit_kw))
    return tuple(moved)
