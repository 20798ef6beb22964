"""Load forecasts, nominations, and the stations' charge-only defaults."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.core.errors import RevereError
from revere.plan.default_profile import NIGHT_HOURS, PEAK_HOURS, SiteDefaults, site_defaults
from revere.plan.forecast import nominate_kw, relief_means_kw, step_shares, typical_day, worst_load_kw

BOSTON = ZoneInfo("America/New_York")
PRIOR = np.linspace(0, 95, 96)


def edges(*clock: str, day: str = "2023-09-07") -> list[dt.datetime]:
    return [dt.datetime.fromisoformat(f"{day}T{c}").replace(tzinfo=BOSTON) for c in clock]


def test_on_day_one_the_prior_shape_stands_in() -> None:
    shares = step_shares(edges("00:00", "00:15", "01:15"))
    assert (shares @ typical_day(np.empty((0, 96)), PRIOR)).tolist() == pytest.approx([0.0, (1 + 2 + 3 + 4) / 4])


def test_measured_days_outweigh_the_prior() -> None:
    """Days of 100 and 200 kW: (300 + 0.5 x 10) / 2.5 = 122 kW."""
    assert typical_day(np.array([[100.0] * 96, [200.0] * 96]), np.full(96, 10.0)) == pytest.approx(122.0)


def test_a_gap_in_the_measurements_is_missing_and_not_zero() -> None:
    history = np.full((1, 96), np.nan)
    history[0, 40:] = 50.0
    day = typical_day(history, np.full(96, 20.0))
    assert day[8] == pytest.approx(20.0)
    assert day[48] == pytest.approx((50 + 0.5 * 20) / 1.5)


def test_the_longest_and_shortest_day_of_the_year_keep_elapsed_time() -> None:
    for day, hours in (("2023-03-12", 23), ("2023-11-05", 25)):
        ends = [*edges("00:00", day=day), *edges("00:00", day=str(dt.date.fromisoformat(day) + dt.timedelta(days=1)))]
        seconds = (ends[1].astimezone(dt.UTC) - ends[0].astimezone(dt.UTC)).total_seconds()
        assert seconds == hours * 3600
        assert step_shares(ends).sum() == pytest.approx(1.0)


@given(
    start=st.integers(0, 1439),
    lengths=st.lists(st.integers(1, 600), min_size=1, max_size=20),
    day=st.sampled_from(["2023-03-12", "2023-09-07", "2023-11-05"]),
)
def test_every_step_lies_wholly_in_its_quarter_hours(start: int, lengths: list[int], day: str) -> None:
    first = edges("00:00", day=day)[0].astimezone(dt.UTC)
    minutes = np.cumsum([start, *lengths])
    shares = step_shares([(first + dt.timedelta(minutes=int(m))).astimezone(BOSTON) for m in minutes])
    assert shares.sum(axis=1) == pytest.approx(1.0)
    assert (shares >= 0).all()
    assert shares.max() <= 1.0 + 1e-12


def test_naive_or_backward_edges_are_refused() -> None:
    naive = [dt.datetime(2023, 9, 7), dt.datetime(2023, 9, 8)]  # noqa: DTZ001
    for wrong in (naive, edges("09:00", "08:00"), edges("09:00")):
        with pytest.raises(RevereError, match="edges_local"):
            step_shares(wrong)


def test_the_worst_load_ignores_gaps_and_keeps_the_prior_below_it() -> None:
    history = np.array([[np.nan] * 96, [50.0] * 96])
    assert (worst_load_kw(history, np.full(96, 20.0)) == 50.0).all()
    assert (worst_load_kw(history[:1], np.full(96, 20.0)) == 20.0).all()


@pytest.mark.parametrize(("lowest", "promised"), [(1200.0, 1080.0), (1111.2, 1000.0), (0.0, 0.0), (-50.0, 0.0)])
def test_ten_percent_less_than_the_lowest_mean_is_promised(lowest: float, promised: float) -> None:
    assert nominate_kw(lowest) == promised


QUARTERS_S = np.arange(0.0, 2701.0, 900.0)


@pytest.mark.parametrize(
    ("plugged_s", "means_kw"),
    [
        ([(0.0, 2700.0)], [20.0, 20.0, 20.0]),
        ([(1200.0, 2700.0)], [0.0, 30.0, 30.0]),
        ([(0.0, 300.0), (1350.0, 2700.0)], [0.0, 20.0, 40.0]),
        ([], [0.0, 0.0, 0.0]),
    ],
    ids=["always there", "comes after 5 min", "comes after 7.5 min", "away"],
)
def test_a_steps_energy_flows_while_its_vehicle_is_there(
    plugged_s: list[tuple[float, float]], means_kw: list[float]
) -> None:
    """A quarter hour at a mean of 20 kW, seen in three bins of five minutes."""
    bins_s = np.array([900.0, 1200.0, 1500.0, 1800.0])
    got = relief_means_kw(np.array([[5.0, -20.0, 7.0]]), QUARTERS_S, [plugged_s], bins_s)
    assert got == pytest.approx(np.array(means_kw))


def test_bins_may_straddle_steps_and_charging_counts_against_relief() -> None:
    net_kw = np.array([[-30.0, 0.0, 0.0], [0.0, 12.0, 0.0]])
    got = relief_means_kw(net_kw, QUARTERS_S, [[(0.0, 2700.0)]] * 2, np.array([600.0, 1200.0]))
    assert got == pytest.approx(np.array([(30.0 - 12.0) / 2]))


@pytest.mark.parametrize("bins_s", [[-1.0, 300.0], [0.0, 2701.0], [300.0, 300.0]])
def test_bins_beyond_the_horizon_are_refused(bins_s: list[float]) -> None:
    with pytest.raises(RevereError, match="bins_s"):
        relief_means_kw(np.zeros((1, 3)), QUARTERS_S, [[(0.0, 2700.0)]], np.array(bins_s))


def defaults(**given: Any) -> SiteDefaults:
    fields: dict[str, Any] = {
        "import_limit_kw": 300.0,
        "worst_load_kw": np.where((np.arange(24) > 6) & (np.arange(24) < 18), 200.0, 80.0),
        "station_charge_kw": np.full(4, 60.0),
        "need_kwh": np.array([60.0, 60.0, 60.0, 0.0]),
        "parked": np.ones((4, 24), bool),
    }
    return site_defaults(**{**fields, **given})


def test_nights_are_used_and_peak_hours_left_alone() -> None:
    got = defaults()
    assert got.short_kwh.tolist() == [0.0] * 4
    assert (got.limit_kw[:, list(PEAK_HOURS)] == 0.0).all()
    assert got.limit_kw[:, list(NIGHT_HOURS)].sum(axis=0) == pytest.approx(205.0, abs=0.5)
    assert all(profile[0][0] == 0 for profile in got.profiles)


def test_what_the_site_cannot_hold_is_said_in_kwh() -> None:
    got = defaults(import_limit_kw=100.0, worst_load_kw=np.full(24, 93.0), need_kwh=np.full(4, 50.0))
    assert got.limit_kw.sum(axis=0).max() <= 2.0 + 1e-9
    assert got.short_kwh.sum() == pytest.approx(200.0 - 24 * 2.0 * 0.9, abs=1.0)
    none = defaults(worst_load_kw=np.full(24, 400.0))
    assert none.limit_kw.max() == 0.0
    assert none.short_kwh.tolist() == [60.0, 60.0, 60.0, 0.0]


def test_a_vehicle_that_is_only_there_by_day_gets_daytime_power() -> None:
    parked = np.zeros((4, 24), bool)
    parked[:, 8:17] = True
    got = defaults(parked=parked, worst_load_kw=np.full(24, 100.0))
    assert got.short_kwh.max() == 0.0


@given(st.integers(0, 2**32 - 1))
def test_law_all_defaults_together_stay_below_the_limit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    limit, load = float(rng.uniform(0, 500)), rng.uniform(-50, 500, 24)
    power = rng.uniform(0, 80, n)
    got = site_defaults(
        import_limit_kw=limit,
        worst_load_kw=load,
        station_charge_kw=power,
        need_kwh=rng.uniform(0, 120, n) * (rng.random(n) < 0.8),
        parked=rng.random((n, 24)) < 0.7,
    )
    total = got.limit_kw.sum(axis=0)
    assert ((total + load <= limit + 1e-6) | (total == 0)).all()
    assert (got.limit_kw >= 0).all()
    assert (got.limit_kw <= power[:, None] + 1e-6).all()
    for row, profile in zip(got.limit_kw, got.profiles, strict=True):
        seconds = [s for s, _ in profile]
        assert seconds == sorted(set(seconds))
        spoken = [next(kw for s, kw in reversed(profile) if s <= hour * 3600) for hour in range(24)]
        assert spoken == pytest.approx(row.tolist(), abs=1e-6)
