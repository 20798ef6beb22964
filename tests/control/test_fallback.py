"""The charge-only default: every site within its limit at every minute with all its stations left alone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from revere.control.building import STAGGER_MAX_S, default_limit_kw, fallback_profiles, prior_shape_kw
from revere.core.commands import DefaultProfile
from revere.core.scenario import Scenario, parse_scenario
from revere.core.time import at_local
from tests.control.scenes import ZONE, fleet, site, station, trip, vehicle

SCENARIOS = sorted((Path(__file__).resolve().parents[2] / "scenarios").glob("*.toml"))


def scenario(path: Path) -> Scenario:
    return parse_scenario(path.read_text(encoding="utf-8"), path.name)


def by_minute_kw(profile: DefaultProfile) -> np.ndarray:
    """The limit at each of the day's 1,440 minutes."""
    starts = np.array([start_s for start_s, _limit_kw in profile.limits_kw])
    limits_kw = np.array([limit_kw for _start_s, limit_kw in profile.limits_kw])
    return limits_kw[np.searchsorted(starts, np.arange(1440) * 60, side="right") - 1]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", ["work", "quiet"])
def test_all_defaults_together_with_the_worst_building_stay_within_the_limit(path: Path, kind: str) -> None:
    of = scenario(path).fleet
    profiles, _short = fallback_profiles(of)
    for one in of.sites:
        total_kw = sum(by_minute_kw(profiles[s.id]) for s in of.stations if s.site_id == one.id)
        worst_kw = np.repeat(prior_shape_kw(one, kind), 15)
        assert (total_kw + worst_kw).max() <= one.import_limit_kw, one.id


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_default_only_charges_within_its_station_and_strands_nobody(path: Path) -> None:
    of = scenario(path).fleet
    profiles, short_kwh = fallback_profiles(of)
    assert set(profiles) == {one.id for one in of.stations}
    for one in of.stations:
        limits_kw = [limit_kw for _start, limit_kw in profiles[one.id].limits_kw]
        starts = [start_s for start_s, _limit in profiles[one.id].limits_kw]
        assert starts[0] == 0
        assert starts == sorted(set(starts))
        assert starts[-1] < 86_400
        assert 0 <= min(limits_kw) <= max(limits_kw) <= one.charge_kw
        assert short_kwh[one.id] == 0


def test_a_fleet_left_alone_does_not_rise_as_one() -> None:
    """The steepest minute of the whole fleet's rise in the evening is a fraction of the rise itself."""
    of = scenario(next(path for path in SCENARIOS if path.stem == "massachusetts")).fleet
    profiles, _short = fallback_profiles(of)
    total_kw = sum(by_minute_kw(profile) for profile in profiles.values())
    evening = total_kw[20 * 60 : 23 * 60]
    assert evening[-1] - evening[0] > 100
    assert np.diff(evening).max() < 0.2 * (evening[-1] - evening[0])
    rises = {
        start_s % 3600
        for profile in profiles.values()
        for (start_s, limit_kw), (_before_s, before_kw) in zip(profile.limits_kw[1:], profile.limits_kw, strict=False)
        if limit_kw > before_kw
    }
    assert len(rises) > 10
    assert max(rises) < STAGGER_MAX_S


def test_a_lot_is_the_stations_own_after_every_restart() -> None:
    assert fallback_profiles(fleet()) == fallback_profiles(fleet())


def test_a_night_route_is_not_taken_for_a_parked_bus() -> None:
    """Out from 20:00 to 06:00, it must get its energy by day, or the lack is said."""
    night = trip("night", "20:00", "06:00", 150.0)
    of = fleet((site("school"),), (station("cs1", "school"),), (vehicle("cs1", night),))
    profiles, short_kwh = fallback_profiles(of)
    by_day_kwh = by_minute_kw(profiles[of.stations[0].id])[7 * 60 : 20 * 60].sum() / 60
    assert by_day_kwh * 0.9 >= 150.0 * 0.95
    assert short_kwh[of.stations[0].id] == 0


@pytest.mark.parametrize(("clock", "limit_kw"), [("00:00", 5.0), ("05:59", 5.0), ("06:00", 0.0), ("23:59", 7.0)])
@pytest.mark.parametrize("day", ["2023-09-07", "2023-11-05", "2023-03-12"])
def test_what_a_default_allows_by_the_local_clock(day: str, clock: str, limit_kw: float) -> None:
    profile = DefaultProfile(limits_kw=((0, 5.0), (6 * 3600, 0.0), (21 * 3600, 7.0)), zone=ZONE)
    now = at_local(dt.date.fromisoformat(day), dt.time.fromisoformat(clock), ZONE)
    assert default_limit_kw(profile, now) == limit_kw
