"""Performance from registers: signs, gaps, impossible meters, and independence of order."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.core.errors import RevereError
from revere.core.ids import GridEventId, SiteId
from revere.settle.performance import (
    EventPerformance,
    MeteredAsset,
    ReadingIndex,
    RegisterReading,
    fleet_performance_kw,
    interval_edges,
    measure_event,
    outside_outages,
    performance_kw,
    shown_kw,
)
from settle.season import BUS, SECOND_BUS, called, steady

EVENT = called(7)


def measure(
    readings: list[RegisterReading],
    assets: tuple[MeteredAsset, ...] = (BUS,),
    start: dt.datetime = EVENT.start,
    end: dt.datetime = EVENT.end,
) -> EventPerformance:
    return measure_event(
        site_id=SiteId("acton-depot"),
        grid_event_id=GridEventId("e"),
        start=start,
        end=end,
        assets=assets,
        readings=ReadingIndex(readings),
    )


@pytest.mark.parametrize("kw", [60, 36, -12, 0])
def test_relief_is_positive_and_charging_counts_against_us(kw: int) -> None:
    performance = measure(steady(EVENT, kw))
    assert performance.mean_kw == Decimal(kw)
    assert performance.covered_s == performance.asked_s == 3 * 3600
    assert len(performance.intervals) == 36
    assert {performance_kw(item) for item in performance.intervals} == {Fraction(kw)}
    assert performance.export_wh() - performance.import_wh() == 3 * kw * 1000


def test_assets_add_up_and_their_order_does_not_matter() -> None:
    readings = steady(EVENT, 60) + steady(EVENT, -12, SECOND_BUS)
    one = measure(readings, (BUS, SECOND_BUS))
    two = measure(list(reversed(readings)) + readings[::3], (SECOND_BUS, BUS))
    assert one == two
    assert one.exact_kw() == 48
    assert fleet_performance_kw([one, two]) == 96


def test_the_mean_is_over_time_not_over_intervals() -> None:
    # 20:02 to 20:10: 3 min at 0 kW, then 5 min at 48 kW: 4 kWh in 8 min = 30 kW (the mean of the two would be 24).
    start = dt.datetime(2023, 9, 7, 20, 2, tzinfo=dt.UTC)
    edges = interval_edges(start, start + dt.timedelta(minutes=8))
    assert [edge.minute for edge in edges] == [2, 5, 10]
    readings = [
        RegisterReading(asset_id=BUS.asset_id, ts=ts, import_wh=0, export_wh=wh)
        for ts, wh in zip(edges, (0, 0, 4000), strict=True)
    ]
    assert measure(readings, start=edges[0], end=edges[-1]).exact_kw() == 30


def test_a_gap_stays_a_gap() -> None:
    readings = steady(EVENT, 60)
    del readings[10]
    performance = measure(readings)
    assert [item.quality for item in performance.intervals].count("gap") == 2
    assert performance.covered_s == performance.asked_s - 600
    assert performance.mean_kw == 60
    assert performance.export_wh() == 180_000 - 10_000
    assert "no reading at 2023-09-07T20:50:00.000Z" in performance.faults()[0]


def test_what_was_not_measured_adds_nothing_to_what_was_delivered() -> None:
    # 60 kW, of which the last of three hours never came: paid is the mean of two, proved is their energy over three.
    readings = [item for item in steady(EVENT, 60) if item.ts <= EVENT.start + dt.timedelta(hours=2)]
    performance = measure(readings)
    assert performance.exact_kw() == 60
    assert performance.delivered_kw() == 40
    assert performance.unmeasured_s() == 3600
    assert fleet_performance_kw([performance, measure([])]) == 40


def test_what_an_island_gives_is_no_relief() -> None:
    # The clocks of meters and switch are a second apart: the edges themselves are still the grid's.
    lost = EVENT.start + dt.timedelta(minutes=60, seconds=-1)
    back = EVENT.start + dt.timedelta(minutes=120, seconds=1)
    performance = measure(outside_outages(steady(EVENT, 60), [(lost, back)]))
    assert (performance.delivered_kw(), performance.unmeasured_s()) == (40, 3600)
    assert {item.reason for item in performance.intervals if item.quality != "good"} == {"outage"}
    still_dead = measure(outside_outages(steady(EVENT, 60), [(lost, None)]))
    assert still_dead.delivered_kw() == 20


def test_nothing_measured_is_unknown_not_zero() -> None:
    performance = measure([])
    assert performance.mean_kw is None
    assert performance.exact_kw() is None
    assert performance.coverage() == 0
    partly = measure(steady(EVENT, 60), (BUS, SECOND_BUS))
    assert partly.mean_kw == 60
    assert partly.coverage() == Fraction(1, 2)


@pytest.mark.parametrize(
    ("change", "bad_intervals", "words"),
    [
        ({"export_wh": 0}, 2, "the export register went back"),
        ({"import_wh": 0}, 2, "the import register went back"),
        ({"export_wh": 4_000_000}, 2, "the rating allows 5600 Wh"),
        ({"export_wh": None}, 2, "the export register is missing"),
        ({"quarantined": "clock 75 s off"}, 2, "clock 75 s off"),
        ({"place": "dc_outlet"}, 2, "no reading"),
    ],
)
def test_what_a_meter_cannot_have_done_is_quarantined(
    change: dict[str, object], bad_intervals: int, words: str
) -> None:
    readings = steady(EVENT, 60)
    readings[10] = msgspec.structs.replace(readings[10], **change)
    performance = measure(readings)
    assert sum(item.quality != "good" for item in performance.intervals) == bad_intervals
    assert any(words in fault for fault in performance.faults())
    assert performance.mean_kw == 60


def test_a_reset_costs_one_interval_and_the_rest_counts() -> None:
    readings = [
        msgspec.structs.replace(item, export_wh=(item.export_wh or 0) - 1_060_000) if number > 12 else item
        for number, item in enumerate(steady(EVENT, 60))
    ]
    performance = measure(readings)
    assert [item.quality for item in performance.intervals].count("quarantined") == 1
    assert performance.covered_s == 3 * 3600 - 300
    assert performance.mean_kw == 60


def test_a_charge_only_meter_that_exports_is_not_believed() -> None:
    one_way = msgspec.structs.replace(BUS, export_rating_w=0)
    performance = measure(steady(EVENT, 60), (one_way,))
    assert performance.covered_s == 0
    assert performance.exact_kw() is None


def test_the_highest_revision_counts() -> None:
    late = steady(EVENT, 48, rev=1)
    performance = measure(late + steady(EVENT, 60))
    assert performance.mean_kw == 48
    assert {item.rev_end for item in performance.intervals} == {(1, 1)}


@pytest.mark.parametrize(("shift_s", "bad_intervals"), [(-2, 0), (0.4, 0), (2, 0), (2.5, 2), (-30, 2)])
def test_a_value_stamped_near_its_edge_is_the_value_at_the_edge(shift_s: float, bad_intervals: int) -> None:
    readings = steady(EVENT, 60)
    shifted = readings[10].ts + dt.timedelta(seconds=shift_s)
    readings[10] = msgspec.structs.replace(readings[10], ts=shifted)
    performance = measure(readings)
    assert sum(item.quality != "good" for item in performance.intervals) == bad_intervals
    assert (shifted in {item.ts for item in performance.readings}) == (bad_intervals == 0)


def test_of_two_values_near_an_edge_the_nearer_counts() -> None:
    readings = steady(EVENT, 60)
    decoy = msgspec.structs.replace(readings[-1], ts=EVENT.end + dt.timedelta(seconds=1), export_wh=1_182_000)
    near = msgspec.structs.replace(readings[-1], ts=EVENT.end - dt.timedelta(milliseconds=300))
    assert measure([*readings[:-1], near, decoy]).mean_kw == 60
    assert measure([*readings, decoy]).mean_kw == 60


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (EVENT.end, EVENT.start),
        (EVENT.start, EVENT.start),
        (EVENT.start, EVENT.start + dt.timedelta(days=2)),
        (EVENT.start.replace(tzinfo=None), EVENT.end.replace(tzinfo=None)),
    ],
)
def test_an_impossible_event_is_refused(start: dt.datetime, end: dt.datetime) -> None:
    with pytest.raises(RevereError):
        interval_edges(start, end)


@given(
    steps=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.booleans()), min_size=36, max_size=36),
    seed=st.randoms(use_true_random=False),
)
def test_the_mean_is_the_energy_of_good_intervals_over_their_time(
    steps: list[tuple[int, int, bool]], seed: object
) -> None:
    readings = []
    import_wh = export_wh = 7
    edges = interval_edges(EVENT.start, EVENT.end)
    for edge, (take_wh, give_wh, lost) in zip(edges, [(0, 0, False), *steps], strict=True):
        import_wh += take_wh
        export_wh += give_wh
        if not lost:
            readings.append(RegisterReading(asset_id=BUS.asset_id, ts=edge, import_wh=import_wh, export_wh=export_wh))
    present = [True, *(not lost for *_, lost in steps)]
    good = [step for step, one, two in zip(steps, present, present[1:], strict=False) if one and two]
    seed.shuffle(readings)  # type: ignore[attr-defined]
    performance = measure(readings)
    assert performance.covered_s == 300 * len(good)
    if good:
        relief_wh = sum(give_wh - take_wh for take_wh, give_wh, _ in good)
        assert performance.exact_kw() == Fraction(relief_wh * 12, 1000 * len(good))
    else:
        assert performance.exact_kw() is None


def test_shown_power_is_rounded_half_even_at_six_places() -> None:
    assert shown_kw(Fraction(1, 3)) == Decimal("0.333333")
    assert shown_kw(Fraction(-5, 10_000_000)) == Decimal("0.000000")
    assert shown_kw(Fraction(15, 10_000_000)) == Decimal("0.000002")
