"""Real input for a run: published building loads, weather, demand, buses, sessions and carbon.

How a day of the run finds its data, which the run also says in its notes:

* building load: the nearest date of the files' 2023 calendar with the same weekday; a programme's holiday (or, for
  schools, a day without school) takes the nearest Sunday, and a holiday of the files is never taken for another day
* weather: the typical year has no such date, so it is matched by rank: the event day gets the hottest day of
  its month, and the days around keep that day's neighbours
* municipal cars: their roster's journeys, moved to plug-out and plug-in times of real workplace sessions
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from revere.core.assets import runs_on
from revere.core.errors import RevereError
from revere.core.time import UTC, at_local
from revere.twin import importers
from revere.twin.importers import CALENDAR_YEAR, STANDARD_OFFSET, YEAR_H, ChargingSession, ImportReport, Series, Weather
from revere.twin.inputs import DAYS_MAX, STEP_S, OverriddenTrip, PlantInputs
from revere.twin.seeds import stream

if TYPE_CHECKING:
    from pathlib import Path

    from revere.core.assets import Programme, Site, Trip, Vehicle
    from revere.core.ids import VehicleId
    from revere.core.scenario import Scenario

Hours = NDArray[np.int64]
"""Hour of a year for each step."""

SHAPES: dict[str, tuple[str, ...]] = {
    "school": ("primary school", "secondary school"),
    "office": ("small office",),
    "warehouse": ("warehouse",),
    "home": ("apartment",),
}
"""Which published buildings make a site's shape (several: their mean, each scaled to the same year)."""

LATITUDE_DEG, LONGITUDE_DEG = 42.36, -71.06
PANEL_TILT_DEG = 20.0
PANEL_YIELD = 0.86
GROUND_ALBEDO = 0.2
LEAVE_LATE_MIN = 60
RETURN_SHIFT_MIN = 90
SESSIONS_MIN = 20
JOURNEY_MIN = dt.timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class RealData:
    """Inputs of the plant with what was read for them.

    ``bus_names`` gives buses of Boston's sites a fleet number of the city's list. ``demand_peak`` is the
    event day's highest measured hour of the system (the file's own label, MW), ``demand_year_peak`` the year's.
    """

    inputs: PlantInputs
    reports: tuple[ImportReport, ...]
    demand_peak: tuple[dt.datetime, float]
    demand_year_peak: tuple[dt.datetime, float]
    weather_day: tuple[int, int]
    bus_names: dict[VehicleId, str]


def real_inputs(
    scenario: Scenario, start: dt.datetime, days: float, data_dir: Path, rng: np.random.Generator
) -> PlantInputs:
    """The plant's inputs from the published files in ``data_dir``; see :func:`read_real` for the reports."""
    return read_real(scenario, start, days, data_dir, rng).inputs


def read_real(
    scenario: Scenario, start: dt.datetime, days: float, data_dir: Path, rng: np.random.Generator
) -> RealData:
    """Read every file and build the series of ``days`` from ``start`` (UTC) on the plant's grid.

    ``rng`` gives one base draw, from which every vehicle has a stream of its own. Raises ``RevereError``
    naming the file that is missing or unusable, and the way out.
    """
    assert 0 < days <= DAYS_MAX, days
    start = start.astimezone(UTC)
    steps = math.ceil(days * 86_400 / STEP_S)
    programme, event_day = scenario.fleet.programme, scenario.run.event_day
    seed = int(rng.integers(2**32))
    shapes, shapes_report = importers.read_shapes(data_dir)
    weather, weather_report = importers.read_weather(data_dir)
    demand, demand_report = importers.read_demand(data_dir)
    sessions, session_reports = importers.read_sessions(data_dir)
    buses, buses_report = importers.read_buses(data_dir)
    carbon, carbon_report = importers.read_carbon(data_dir)
    reports = (shapes_report, weather_report, demand_report, *session_reports, buses_report, carbon_report)

    grid = _Grid(start, steps, programme, importers.file_holidays(shapes["small office"]))
    load = np.array([_load_kw(site, shapes, grid) for site in scenario.fleet.sites])
    weather_day, hours = _weather_hours(weather, grid, event_day)
    per_kw = _solar_share(weather)[hours]
    trips, trip_notes = _municipal_trips(scenario, start, steps, sessions, seed)
    demand_peak, year_peak = demand.peak_of_day(event_day), demand.peak_of_year(event_day.year)
    month, day = weather.days[weather_day]
    inputs = PlantInputs(
        start=start,
        site_ids=tuple(site.id for site in scenario.fleet.sites),
        load_kw=load,
        solar_kw=np.array([site.solar_kw * per_kw for site in scenario.fleet.sites]),
        temperature_c=_between_hours(weather.temperature_c, hours, grid),
        carbon_kg_per_kwh=carbon[grid.calendar_hours(closed=False)],
        sources={
            "load": shapes_report.source,
            "solar": weather_report.source,
            "temperature": weather_report.source,
            "carbon": carbon_report.source,
            "trips": "rosters; municipal cars by ACN sessions",
        },
        notes=(
            f"Weather by rank in the month: {event_day} has the typical year's hottest day, {month:02d}-{day:02d}.",
            f"Solar: panels tilted {PANEL_TILT_DEG:g} degrees to the south, isotropic sky, yield {PANEL_YIELD:.0%}.",
            _demand_note(demand_peak, year_peak),
            *trip_notes,
            *(report.text() for report in reports),
        ),
        trips_override=trips,
    )
    return RealData(
        inputs=inputs,
        reports=reports,
        demand_peak=demand_peak,
        demand_year_peak=year_peak,
        weather_day=(month, day),
        bus_names=_bus_names(scenario, buses),
    )


def _demand_note(day: tuple[dt.datetime, float], year: tuple[dt.datetime, float]) -> str:
    return (
        f"System demand on the event day peaked at {day[1]:,.0f} MW (label {day[0]:%H:%M}); "
        f"the year's measured peak is {year[1]:,.0f} MW (label {year[0]:%Y-%m-%d %H:%M})."
    )


@functools.cache
def like_date(day: dt.date, holidays: tuple[dt.date, ...], *, off: bool) -> dt.date:
    """The date of the files' calendar that stands for ``day``.

    ``off`` asks for a Sunday; else the nearest date with the same weekday that is no holiday of the files
    (the earlier of two equally near).
    """
    last = 28 if (day.month, day.day) == (2, 29) else day.day
    middle = dt.date(CALENDAR_YEAR, day.month, last)
    weekday = 6 if off else day.weekday()
    first, final = dt.date(CALENDAR_YEAR, 1, 1), dt.date(CALENDAR_YEAR, 12, 31)
    near = [middle + dt.timedelta(days=shift) for shift in range(-14, 15)]
    fits = [d for d in near if first <= d <= final and d.weekday() == weekday and (off or d not in holidays)]
    return min(fits, key=lambda d: (abs((d - middle).days), d))


class _Grid:
    """The run's steps, and the hour of the files' year (standard time) that each falls into."""

    def __init__(self, start: dt.datetime, steps: int, programme: Programme, holidays: tuple[dt.date, ...]) -> None:
        self.programme = programme
        self.holidays = holidays
        self.middles = [start + dt.timedelta(seconds=STEP_S * (index + 0.5)) for index in range(steps)]
        self._hours: dict[tuple[bool, bool], Hours] = {}

    def calendar_hours(self, *, closed: bool, school: bool = False) -> Hours:
        """Hour of the 2023 calendar for each step; ``closed`` gives holidays (and school-free days) a Sunday."""
        key = (closed, school)
        if key not in self._hours:
            self._hours[key] = np.array([self._hour(moment, closed, school) for moment in self.middles])
        return self._hours[key]

    def _hour(self, moment: dt.datetime, closed: bool, school: bool) -> int:
        zone = ZoneInfo(self.programme.zone)
        here = moment.astimezone(zone)
        off = closed and (
            here.date() in self.programme.holidays or (school and here.date() in self.programme.school_closed)
        )
        like = like_date(here.date(), self.holidays, off=off)
        there = dt.datetime.combine(like, here.time(), tzinfo=zone).astimezone(dt.timezone(STANDARD_OFFSET))
        new_year = dt.datetime(CALENDAR_YEAR, 1, 1, tzinfo=dt.timezone(STANDARD_OFFSET))
        return int((there - new_year).total_seconds() // 3600) % YEAR_H


def _load_kw(site: Site, shapes: dict[str, Series], grid: _Grid) -> Series:
    """The building's load, scaled so that the highest hour of the files' year is ``load_peak_kw``."""
    names = SHAPES.get(site.load_shape)
    if names is None:
        raise RevereError(
            "no published building for this shape",
            where=f"site {site.id}: load_shape",
            got=site.load_shape,
            expected=", ".join(sorted(SHAPES)),
        )
    shape = np.mean([shapes[name] for name in names], axis=0)
    hours = grid.calendar_hours(closed=True, school=site.kind == "school")
    return np.asarray(site.load_peak_kw * shape[hours] / shape.max())


def hottest_day(weather: Weather, month: int) -> int:
    """Index of the month's day with the highest temperature (of equals the one with the higher mean)."""
    daily = weather.temperature_c.reshape(-1, 24)
    days = [index for index, (its_month, _) in enumerate(weather.days) if its_month == month]
    return max(days, key=lambda index: (float(daily[index].max()), float(daily[index].mean())))


def _weather_hours(weather: Weather, grid: _Grid, event_day: dt.date) -> tuple[int, Hours]:
    """The typical year's day for the event day, and its hour for each step (standard time both)."""
    hottest = hottest_day(weather, event_day.month)
    standard = [moment.astimezone(dt.timezone(STANDARD_OFFSET)) for moment in grid.middles]
    hours = [((hottest + (at.date() - event_day).days) * 24 + at.hour) % YEAR_H for at in standard]
    return hottest, np.array(hours, dtype=np.int64)


def _between_hours(hourly: Series, hours: Hours, grid: _Grid) -> Series:
    """Values at the steps' middles, straight lines between the labels: a reading stands at its hour's end."""
    share = np.array([(moment.minute * 60 + moment.second) / 3600 for moment in grid.middles])
    return np.asarray(hourly[(hours - 1) % YEAR_H] * (1 - share) + hourly[hours] * share)


def _solar_share(weather: Weather) -> Series:
    """Output of fixed panels as a share of nameplate for each hour of the typical year, 0 to 1.

    Isotropic sky: direct beam by the angle of incidence, the sky's and the ground's diffuse part by the
    tilt; the sun stands where it is in the middle of the hour.
    """
    hour = np.arange(YEAR_H)
    day = hour // 24 + 1
    angle = 2 * math.pi * (day - 81) / 365
    declination = math.radians(23.45) * np.sin(angle)
    equation_min = 9.87 * np.sin(2 * angle) - 7.53 * np.cos(angle) - 1.5 * np.sin(angle)
    utc_hour = hour % 24 + 0.5 - STANDARD_OFFSET.total_seconds() / 3600
    hour_angle = np.radians(15 * (utc_hour - 12 + equation_min / 60) + LONGITUDE_DEG)
    latitude, tilt = math.radians(LATITUDE_DEG), math.radians(PANEL_TILT_DEG)
    facing = latitude - tilt  # panels tilted to the south see the sun as flat ones do so much nearer the equator
    incidence = np.sin(facing) * np.sin(declination) + np.cos(facing) * np.cos(declination) * np.cos(hour_angle)
    plane = (
        weather.dni_w_m2 * np.maximum(incidence, 0)
        + weather.dhi_w_m2 * (1 + math.cos(tilt)) / 2
        + weather.ghi_w_m2 * GROUND_ALBEDO * (1 - math.cos(tilt)) / 2
    )
    return np.asarray(np.clip(PANEL_YIELD * plane / 1000, 0.0, 1.0))


def _municipal_trips(
    scenario: Scenario, start: dt.datetime, steps: int, sessions: tuple[ChargingSession, ...], seed: int
) -> tuple[dict[VehicleId, tuple[OverriddenTrip, ...]], tuple[str, ...]]:
    """Journeys of the municipal sites' cars at the hours and energies of real weekday sessions.

    They begin a day before the inputs and end a day after, so that no car starts or ends without a next departure.
    """
    sites = {station.id: station.site_id for station in scenario.fleet.stations}
    municipal = {site.id for site in scenario.fleet.sites if site.kind == "municipal"}
    cars = [v for v in scenario.fleet.vehicles if v.kind == "car" and sites[v.station_id] in municipal]
    pool = _Pool([session for session in sessions if session.arrive.weekday() < 5])
    zone = ZoneInfo(scenario.fleet.programme.zone)
    first = start.astimezone(zone).date() - dt.timedelta(days=1)
    last = (start + dt.timedelta(seconds=steps * STEP_S)).astimezone(zone).date() + dt.timedelta(days=1)
    dates = [first + dt.timedelta(days=k) for k in range((last - first).days + 1)]
    trips: dict[VehicleId, tuple[OverriddenTrip, ...]] = {}
    for car in cars:
        rng = stream(seed, "acn", car.id)
        journeys: list[OverriddenTrip] = []
        for date in dates:
            roster = [trip for trip in car.trips if runs_on(trip, date, scenario.fleet.programme)]
            journeys += pool.day(car, roster, date, scenario.fleet.programme.zone, rng)
        trips[car.id] = tuple(journeys)
    drawn = sum(len(journeys) for journeys in trips.values())
    note = (
        f"{len(cars)} municipal cars make {drawn} journeys at plug-out, plug-in and energy of {len(pool.sessions):,} "
        f"weekday sessions near their roster's times (never leaving earlier than the roster); energy clipped in "
        f"{pool.clipped} to what the departure promise covers; the roster kept in {pool.kept_roster}."
    )
    return trips, (note,)


class _Pool:
    """Weekday sessions by the time of day at which cars leave and arrive."""

    def __init__(self, sessions: list[ChargingSession]) -> None:
        self.sessions = sessions
        self.clipped = 0
        self.kept_roster = 0
        self._leave_min = np.array([_minutes(session.leave.time()) for session in sessions])
        self._arrive_min = np.array([_minutes(session.arrive.time()) for session in sessions])

    def day(
        self, car: Vehicle, roster: list[Trip], date: dt.date, zone: str, rng: np.random.Generator
    ) -> list[OverriddenTrip]:
        """A day's journeys like the ``roster``'s; where two would overlap the roster's own are kept."""
        plain = [_as_planned(trip, date, zone) for trip in roster]
        drawn = [self._like(car, trip, planned, rng) for trip, planned in zip(roster, plain, strict=True)]
        if any(earlier[1] >= later[0] for earlier, later in itertools.pairwise(drawn)):
            self.kept_roster += len(plain)
            return plain
        return drawn

    def _like(self, car: Vehicle, trip: Trip, planned: OverriddenTrip, rng: np.random.Generator) -> OverriddenTrip:
        """``planned`` with one session's plug-out as departure, another's plug-in and energy as return."""
        depart, back, _ = planned
        depart_min, back_min = _minutes(trip.depart), _minutes(trip.back)
        leaving = np.flatnonzero((self._leave_min >= depart_min) & (self._leave_min < depart_min + LEAVE_LATE_MIN))
        arriving = np.flatnonzero(np.abs(self._arrive_min - back_min) <= RETURN_SHIFT_MIN)
        if len(leaving) < SESSIONS_MIN or len(arriving) < SESSIONS_MIN:
            self.kept_roster += 1
            return planned
        out, home = int(rng.choice(leaving)), int(rng.choice(arriving))
        depart += dt.timedelta(minutes=float(self._leave_min[out] - depart_min))
        back += dt.timedelta(minutes=float(self._arrive_min[home] - back_min))
        promised_kwh, energy_kwh = trip.energy_kwh * car.departure_margin, self.sessions[home].energy_kwh
        self.clipped += energy_kwh > promised_kwh
        return depart, max(back, depart + JOURNEY_MIN), min(energy_kwh, promised_kwh)


def _as_planned(trip: Trip, date: dt.date, zone: str) -> OverriddenTrip:
    """The roster's journey of a local date; one that is back before it leaves ends the next day."""
    depart = at_local(date, trip.depart, zone)
    back = at_local(date + dt.timedelta(days=trip.back <= trip.depart), trip.back, zone)
    return depart, back, trip.energy_kwh


def _minutes(clock: dt.time) -> float:
    return clock.hour * 60 + clock.minute + clock.second / 60


def _bus_names(scenario: Scenario, buses: tuple[importers.SchoolBus, ...]) -> dict[VehicleId, str]:
    """Fleet numbers of the largest yard's full-size buses for the buses of sites in Boston, in the list's order."""
    yards = [bus.yard for bus in buses]
    largest = max(sorted(set(yards)), key=yards.count) if yards else ""
    numbers = [bus.id for bus in buses if bus.yard == largest and bus.body == "Full"]
    towns = {site.id: site.town for site in scenario.fleet.sites}
    sites = {station.id: station.site_id for station in scenario.fleet.stations}
    ours = [v.id for v in scenario.fleet.vehicles if v.kind == "bus" and towns[sites[v.station_id]] == "Boston"]
    return {ident: f"Bus {number}" for ident, number in zip(ours, numbers, strict=False)}
