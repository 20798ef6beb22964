"""The published files by their oracles, what they hide, and what the plant gets from them."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from revere.core.assets import runs_on
from revere.core.errors import RevereError
from revere.core.scenario import Scenario, parse_scenario
from revere.core.time import at_local
from revere.twin import importers
from revere.twin.realdata import RealData, hottest_day, like_date, read_real, real_inputs

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("REVERE_SHARED") or ROOT.parent / "shared")
DATA = SHARED / "data"
ZONE = "America/New_York"
STEPS_H = 12

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the published files (../shared/data) are not here")


def scenario() -> Scenario:
    return parse_scenario((ROOT / "scenarios" / "massachusetts.toml").read_text(), "massachusetts.toml")


@pytest.fixture(scope="module")
def real() -> RealData:
    start = at_local(dt.date(2023, 9, 6), dt.time(0), ZONE)
    return read_real(scenario(), start, 3, DATA, np.random.default_rng(1))


def _adds_up(report: importers.ImportReport) -> bool:
    return report.rows_read == report.used + sum(report.refused.values())


@pytest.mark.parametrize(
    ("year", "label", "peak_mw"),
    [
        (2021, "2021-06-29T18:00", 25_101),
        (2022, "2022-07-20T19:00", 24_233),
        (2023, "2023-09-07T18:00", 23_475),
        (2024, "2024-07-16T19:00", 24_255),
    ],
)
def test_demand_peaks_are_those_of_the_oracle(year: int, label: str, peak_mw: int) -> None:
    demand, _ = importers.read_demand(DATA)
    hour, measured_mw = demand.peak_of_year(year)
    assert (hour, round(measured_mw)) == (dt.datetime.fromisoformat(label), peak_mw)
    assert demand.peak_of_day(hour.date()) == (hour, measured_mw)


def test_demand_refuses_imputed_hours_and_says_which_clock_it_found() -> None:
    _, report = importers.read_demand(DATA)
    assert (report.rows_read, report.used) == (38_236, 36_519)
    assert report.refused == {"imputed by the compiler, not measured": 1_717}
    assert "prevailing local time" in report.notes[0]


def test_the_clock_test_tells_a_fixed_offset_from_local_time() -> None:
    demand, _ = importers.read_demand(DATA)
    zone, standard = ZoneInfo(ZONE), dt.timezone(importers.STANDARD_OFFSET)
    moved = {
        hour.replace(tzinfo=zone).astimezone(standard).replace(tzinfo=None): value
        for hour, value in demand.by_hour_mw.items()
    }
    assert "one fixed offset" in importers._demand_clock(importers.Demand(by_hour_mw=moved))


def test_shapes_sum_to_one_and_follow_the_calendar_of_2023() -> None:
    shapes, report = importers.read_shapes(DATA)
    for name, shape in shapes.items():
        assert shape.sum() == pytest.approx(1, abs=1e-9), name
    assert _adds_up(report)
    assert "starts on a Sunday" in report.notes[0]
    assert dt.date(2023, 1, 1).strftime("%A") == "Sunday"
    holidays = importers.file_holidays(shapes["small office"])
    assert {(day.month, day.day) for day in holidays} == {
        (1, 16), (2, 20), (5, 29), (7, 4), (9, 4), (10, 9), (11, 23), (12, 25)
    }  # fmt: skip
    assert all(day.weekday() < 5 for day in holidays)


def test_a_file_of_another_calendar_or_clock_is_refused(tmp_path: Path) -> None:
    shutil.copytree(DATA / "buildings", tmp_path / "buildings", copy_function=shutil.copyfile)
    (tmp_path / "buildings").chmod(0o755)
    for rows, reason in ((24, "starts on a Saturday"), (1, "sum 1"), (0, "shares >= 0")):
        for stem in importers.SHAPE_FILES.values():
            name = f"crb8760_norm_Chicago_{stem}.dat"
            words = (DATA / "buildings" / name).read_text().split()
            match rows:
                case 24:
                    words = words[-24:] + words[:-24]
                case 1:
                    words[0] = "0.5"
                case _:
                    words[0] = "nan"
            (tmp_path / "buildings" / name).write_text("\n".join(words))
        with pytest.raises(RevereError, match=reason):
            importers.read_shapes(tmp_path)


def test_sessions_are_refused_by_reason_and_counted() -> None:
    sessions, reports = importers.read_sessions(DATA)
    caltech, office = reports
    assert (caltech.rows_read, caltech.used, caltech.refused) == (27_558, 26_404, {"with a negative idle time": 1_154})
    assert (office.rows_read, office.used, office.refused) == (1_481, 1_464, {"longer than 24 h": 17})
    assert len(sessions) == caltech.used + office.used
    assert all(session.arrive < session.leave and session.energy_kwh > 0 for session in sessions)
    weekday_arrivals = [s.arrive.hour for s in sessions[caltech.used :] if s.arrive.weekday() < 5]
    assert 8 <= np.median(weekday_arrivals) <= 10, "the office's GMT times were moved to its own zone"


def test_dirty_rows_are_counted_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "iso_ne"
    folder.mkdir()
    (folder / "isone_demand_hourly_2021_2025.csv").write_text(
        "datetime,demand_mw,is_imputed,impute_method\n"
        "2023-09-07 18:00:00,100,False,original\n"
        "2023-09-07 18:00:00,101,False,original\n"
        "2023-13-07 18:00:00,100,False,original\n"
        "2023-09-07 19:00:00+00:00,100,False,original\n"
        "2023-09-07 20:00:00,nan,False,original\n"
        "2023-09-07 21:00:00\n"
        "2023-09-07 22:00:00,100,True,lag168\n"
    )
    demand, report = importers.read_demand(tmp_path)
    assert list(demand.by_hour_mw.values()) == [100.0]
    assert _adds_up(report)
    assert report.refused == {
        "with a label used twice": 1,
        "with a time or number that does not parse": 3,
        "with an impossible demand": 1,
        "imputed by the compiler, not measured": 1,
    }
    with pytest.raises(RevereError, match="no measured demand hour"):
        demand.peak_of_year(2024)


def test_the_bus_list_has_one_empty_row_among_its_755() -> None:
    buses, report = importers.read_buses(DATA)
    assert (report.rows_read, report.used, report.refused) == (755, 754, {"empty": 1})
    assert len({bus.id for bus in buses}) == 754
    assert sorted(sum(bus.yard == yard for bus in buses) for yard in {bus.yard for bus in buses}) == [
        120,
        153,
        240,
        241,
    ]


def test_weather_carbon_and_the_hottest_september_day() -> None:
    weather, _ = importers.read_weather(DATA)
    assert (weather.temperature_c.min(), weather.temperature_c.max()) == (-20.0, 37.2)
    hottest = hottest_day(weather, 9)
    assert weather.days[hottest] == (9, 14)
    assert weather.temperature_c[hottest * 24 : hottest * 24 + 24].max() == pytest.approx(31.1)
    carbon, report = importers.read_carbon(DATA)
    assert report.used == 8_760
    assert carbon[0] == pytest.approx(0.81 * 0.45359237)


@pytest.mark.parametrize(
    ("day", "off", "expected"),
    [
        ("2023-09-07", False, "2023-09-07"),
        ("2024-07-16", False, "2023-07-18"),
        ("2024-07-02", False, "2023-06-27"),
        ("2024-02-29", False, "2023-03-02"),
        ("2023-09-04", True, "2023-09-03"),
        ("2024-12-31", False, "2023-12-26"),
        ("2025-01-01", True, "2023-01-01"),
    ],
)
def test_days_find_the_nearest_like_date(day: str, off: bool, expected: str) -> None:
    holidays = importers.file_holidays(importers.read_shapes(DATA)[0]["small office"])
    like = like_date(dt.date.fromisoformat(day), holidays, off=off)
    assert like == dt.date.fromisoformat(expected)
    assert like.weekday() == (6 if off else dt.date.fromisoformat(day).weekday())


def test_the_event_day_of_the_run(real: RealData) -> None:
    inputs = real.inputs
    assert real.demand_peak == real.demand_year_peak == (dt.datetime.fromisoformat("2023-09-07T18:00"), 23_475.475)
    assert real.weather_day == (9, 14)
    assert inputs.temperature_c[288:576].max() == pytest.approx(31.1, abs=0.1)
    hottest = inputs.start + dt.timedelta(seconds=int(inputs.temperature_c.argmax()) * inputs.step_s)
    assert hottest.astimezone(ZoneInfo(ZONE)).date() == dt.date(2023, 9, 7)
    assert all(_adds_up(report) for report in real.reports)
    for report in real.reports:
        assert report.text() in inputs.notes


def test_the_summer_school_case_and_a_year_of_sun() -> None:
    base = scenario()
    summer = msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, event_day=dt.date(2024, 7, 16)))
    second = read_real(summer, at_local(dt.date(2024, 7, 15), dt.time(0), ZONE), 3, DATA, np.random.default_rng(1))
    assert second.demand_peak == second.demand_year_peak
    assert (second.demand_peak[0].isoformat(), round(second.demand_peak[1])) == ("2024-07-16T19:00:00", 24_255)
    year = read_real(base, at_local(dt.date(2023, 1, 1), dt.time(0), ZONE), 365, DATA, np.random.default_rng(1))
    for row, site in enumerate(base.fleet.sites):
        assert year.inputs.load_kw[row].max() == pytest.approx(site.load_peak_kw), "the year's highest hour is the peak"
        if site.solar_kw:
            kwh_per_kw = year.inputs.solar_kw[row].sum() * year.inputs.step_s / 3600 / site.solar_kw
            assert 1_150 < kwh_per_kw < 1_450, "what fixed panels give around Boston"


def test_buildings_keep_local_hours_and_their_peak(real: RealData) -> None:
    for row, site in enumerate(scenario().fleet.sites):
        load = real.inputs.load_kw[row].reshape(3, 24, STEPS_H)
        assert load.max() <= site.load_peak_kw + 1e-9, site.id
        assert load.max() > 0.4 * site.load_peak_kw, site.id
        if site.kind == "school":
            noon, night, opens, shuts = (load[1, hour].mean() for hour in (12, 2, 7, 20))
            assert noon > 3 * night, site.id
            assert opens > 2 * night, site.id
            assert shuts > 2 * night, (
                f"{site.id}: shut at 21 by the wall clock, which is 20 in the file's standard time"
            )
            assert load[1, 21].mean() < 1.2 * night, site.id


def test_solar_follows_the_sun_and_never_passes_its_nameplate(real: RealData) -> None:
    local_noon = slice(288 + 12 * STEPS_H, 288 + 14 * STEPS_H)
    for row, site in enumerate(scenario().fleet.sites):
        solar = real.inputs.solar_kw[row]
        assert solar.max() <= site.solar_kw
        assert solar[288 : 288 + 5 * STEPS_H].max() == 0
        if site.solar_kw:
            assert solar[local_noon].mean() > 0.6 * site.solar_kw
            morning, evening = solar[288 + 8 * STEPS_H], solar[288 + 18 * STEPS_H]
            assert solar[288:576].max() > 2 * max(morning, evening)


def test_municipal_cars_leave_no_earlier_and_drive_no_further_than_their_roster_promises(real: RealData) -> None:
    fleet = scenario().fleet
    vehicles = {vehicle.id: vehicle for vehicle in fleet.vehicles}
    trips = real.inputs.trips_override
    assert len(trips) == 16
    for ident, journeys in trips.items():
        car = vehicles[ident]
        (roster,) = car.trips
        assert len(journeys) == sum(
            runs_on(roster, dt.date(2023, 9, 6) + dt.timedelta(days=k), fleet.programme) for k in range(-1, 5)
        )
        for depart, back, energy_kwh in journeys:
            planned = at_local(depart.astimezone(ZoneInfo(ZONE)).date(), roster.depart, ZONE)
            assert dt.timedelta(0) <= depart - planned < dt.timedelta(minutes=60)
            assert depart < back < depart + dt.timedelta(hours=12)
            assert 0 < energy_kwh <= roster.energy_kwh * car.departure_margin
    assert len({journeys[0] for journeys in trips.values()}) > 10, "cars differ"


def test_one_seed_gives_one_input_and_boston_buses_get_the_citys_numbers(real: RealData) -> None:
    start = at_local(dt.date(2023, 9, 6), dt.time(0), ZONE)
    again = real_inputs(scenario(), start, 3, DATA, np.random.default_rng(1))
    other = real_inputs(scenario(), start, 3, DATA, np.random.default_rng(2))
    assert again.trips_override == real.inputs.trips_override
    assert other.trips_override != real.inputs.trips_override
    assert np.array_equal(again.load_kw, other.load_kw), "only journeys are drawn"
    assert real.bus_names
    assert all(ident.startswith("boston-bus") for ident in real.bus_names)


@pytest.mark.parametrize(
    "name",
    [
        "buildings/crb8760_norm_Chicago_Warehouse.dat",
        "weather/tmy3_boston_logan.csv",
        "iso_ne/isone_demand_hourly_2021_2025.csv",
        "ev_sessions/acn_office001.json",
        "bus/bps-buses.xlsx",
        "emissions/AVERT_2023_CO2_lb_per_kwh.csv",
    ],
)
def test_a_missing_or_broken_file_is_named_with_the_way_out(name: str, tmp_path: Path) -> None:
    for source in ("buildings", "weather", "iso_ne", "ev_sessions", "bus", "emissions"):
        (tmp_path / source).mkdir()
        for path in (DATA / source).iterdir():
            (tmp_path / source / path.name).symlink_to(path)
    (tmp_path / name).unlink()
    start = at_local(dt.date(2023, 9, 6), dt.time(0), ZONE)
    with pytest.raises(RevereError, match="missing") as caught:
        real_inputs(scenario(), start, 1, tmp_path, np.random.default_rng(1))
    assert caught.value.where == name
    assert "--data" in caught.value.remedy
    (tmp_path / name).write_text("not,what\nwas,published\n")
    with pytest.raises(RevereError, match="cannot be used"):
        real_inputs(scenario(), start, 1, tmp_path, np.random.default_rng(1))
