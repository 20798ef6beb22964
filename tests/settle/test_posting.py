"""Postings of a season: counted by hand, stable under copies and order, corrected and never edited."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.core.errors import Refused
from revere.core.money import to_cents
from revere.settle.connectedsolutions import EventMean
from revere.settle.ledger import LedgerLine
from revere.settle.performance import RegisterReading
from revere.settle.posting import Settlement, SiteSeason, cents_of, expected_season_value, settle_season
from settle.season import BOOK, BUS, SECOND_BUS, SETTLED_AT, called, season_of, steady

TWO_EVENTS = season_of(called(7), called(8))
TWO_DAYS = steady(called(7), 60) + steady(called(8), -12)


def settle(season: SiteSeason, readings: list[RegisterReading], posted: list[LedgerLine] | None = None) -> Settlement:
    return settle_season(season, readings, now=SETTLED_AT, clock_synchronised=True, posted=posted or [])


def test_an_event_posts_the_difference_that_it_makes() -> None:
    # 60 kW x 200 $ = 12,000 $; then the mean of 60 and -12 is 24 kW = 4,800 $: the second day cost 7,200 $.
    result = settle(TWO_EVENTS, TWO_DAYS)
    assert [line.cents for line in result.lines] == [1_200_000, -720_000]
    assert [(line.import_wh, line.export_wh) for line in result.lines] == [(0, 180_000), (36_000, 0)]
    assert {line.kind for line in result.lines} == {"performance"}
    assert {line.state for line in result.lines} == {"expected"}
    assert {line.statement_id for line in result.lines} == {"acton:2023-09"}
    assert {line.rule for line in result.lines} == {"CI-DAILY@2021-06-01"}
    assert len(result.lines[0].evidence) == 37
    first = result.lines[0].evidence[0]
    assert (first.asset_id, first.ts, first.import_rev, first.export_rev) == ("depot-1/1", called(7).start, 0, 0)
    assert result.value.cents == 480_000
    assert "provisional: the mean over 2 events so far" in result.value.note


def test_settling_again_posts_nothing_and_copies_or_order_change_nothing() -> None:
    result = settle(TWO_EVENTS, TWO_DAYS)
    shuffled = [*TWO_DAYS, *TWO_DAYS[::2]]
    Random(5).shuffle(shuffled)
    again = settle(season_of(called(8), called(7)), shuffled)
    assert msgspec.json.encode(again.lines) == msgspec.json.encode(result.lines)
    assert settle(TWO_EVENTS, shuffled, list(result.lines)).lines == ()


def test_late_data_posts_a_correction_and_moves_the_later_event_too() -> None:
    posted = list(settle(TWO_EVENTS, TWO_DAYS).lines)
    late = TWO_DAYS + steady(called(7), 48, rev=1)
    corrections = settle_season(
        TWO_EVENTS, late, now=dt.datetime(2023, 10, 5, tzinfo=dt.UTC), clock_synchronised=True, posted=posted
    ).lines
    # 48 kW alone: 9,600 $ (2,400 less); the mean of 48 and -12 is 18 kW = 3,600 $, so day two cost 6,000 (1,200 less).
    assert [line.kind for line in corrections] == ["correction", "correction"]
    assert [line.cents for line in corrections] == [-240_000, 120_000]
    assert [(line.import_wh, line.export_wh) for line in corrections] == [(0, -36_000), (0, 0)]
    assert {line.statement_id for line in corrections} == {"acton:2023-10"}
    everything = [*posted, *corrections]
    assert sum(line.cents for line in everything) == settle(TWO_EVENTS, late).value.cents == 360_000
    assert settle(TWO_EVENTS, late, everything).lines == ()


def test_opting_out_counts_zero_but_an_unmeasured_event_is_held() -> None:
    out = settle(season_of(called(7), called(8, opt="out")), steady(called(7), 60))
    assert [line.cents for line in out.lines] == [1_200_000, -600_000]
    assert out.lines[1].evidence == ()
    held = settle(season_of(called(7), called(8)), steady(called(7), 60))
    assert [line.cents for line in held.lines] == [1_200_000]
    assert [item.grid_event_id for item in held.held] == ["e0908"]
    assert "0 of 10800 asset seconds measured" in held.held[0].reason


def test_where_the_rule_does_not_say_what_declining_counts_it_counts_nothing() -> None:
    season = season_of(called(7), called(8, opt="out"))
    version = msgspec.structs.replace(season.rule.version, declined_counts_kw=None)
    silent = msgspec.structs.replace(season, rule=msgspec.structs.replace(season.rule, version=version))
    out = settle(silent, steady(called(7), 60))
    assert [line.cents for line in out.lines] == [1_200_000]
    assert [(one.grid_event_id, one.reason) for one in out.held] == [
        ("e0908", "declined: the rule does not say what that counts")
    ]


def test_a_posted_event_that_is_not_believed_any_more_is_taken_back() -> None:
    posted = list(settle(TWO_EVENTS, TWO_DAYS).lines)
    doubted = [
        msgspec.structs.replace(item, import_rev=1, export_rev=1, quarantined="clock 75 s off")
        for item in steady(called(7), 60)
    ]
    result = settle(TWO_EVENTS, TWO_DAYS + doubted, posted)
    # Only the day at -12 kW is left, and a season below zero pays nothing.
    assert [line.cents for line in result.lines] == [-1_200_000, 720_000]
    assert result.lines[0].export_wh == -180_000
    assert result.value.cents == 0
    assert "clock 75 s off" in result.held[0].reason
    assert settle(TWO_EVENTS, TWO_DAYS + doubted, [*posted, *result.lines]).lines == ()


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (called(4), "Labor Day"),
        (called(7, hours=1), "60 min"),
        (called(7, hours=5), "300 min"),
        (called(7, month=5), "outside 06-01 to 09-30"),
    ],
)
def test_an_event_that_the_rule_does_not_allow_is_held_with_the_reason(event: object, word: str) -> None:
    result = settle(season_of(event), steady(event, 60))  # type: ignore[arg-type]
    assert result.lines == ()
    assert word in result.held[0].reason
    assert result.value.payment.mean_kw is None


def test_a_baseline_that_cannot_be_computed_holds_and_is_never_taken_as_zero() -> None:
    season = season_of(called(7))
    version = msgspec.structs.replace(season.rule.version, baseline="10of10_additive")
    curtailed = msgspec.structs.replace(season, rule=msgspec.structs.replace(season.rule, version=version))
    result = settle(curtailed, steady(called(7), 60))
    assert (result.lines, result.measured) == ((), ())
    assert "10of10_additive, which is not computed yet" in result.held[0].reason


def test_events_over_the_count_are_held() -> None:
    days = [called(day, month) for month in (6, 7, 8) for day in range(1, 29)]
    season = season_of(*days)
    no_holidays = msgspec.structs.replace(season, calendar=msgspec.structs.replace(season.calendar, day=()))
    result = settle(no_holidays, [item for event in days for item in steady(event, 12)])
    assert len(result.settled) == 60
    assert len(result.held) == 24
    assert all("60 events were called, at most 60" in item.reason for item in result.held)


def test_an_event_that_has_not_ended_is_left_alone() -> None:
    result = settle(season_of(called(20)), steady(called(20), 60))
    assert (result.lines, result.held) == ((), ())


def test_nothing_settles_while_our_clock_is_unsynchronised() -> None:
    with pytest.raises(Refused, match="unsynchronised"):
        settle_season(TWO_EVENTS, TWO_DAYS, now=SETTLED_AT, clock_synchronised=False)


def test_shares_are_lines_of_their_own_and_add_up() -> None:
    season = season_of(called(7), called(8), split=("0.7", "0.2", "0.1"))
    result = settle(season, steady(called(7), 60) + steady(called(8), 48))
    by_kind = {
        kind: sum(line.cents for line in result.lines if line.kind == kind)
        for kind in ("performance", "provider_share", "programme_share")
    }
    assert by_kind == {"performance": 756_000, "provider_share": 216_000, "programme_share": 108_000}
    assert sum(by_kind.values()) == result.value.cents
    assert sum(line.export_wh for line in result.lines) == 324_000  # no kWh twice
    assert settle(season, steady(called(7), 60) + steady(called(8), 48), list(result.lines)).lines == ()


@settings(max_examples=30, deadline=None)
@given(
    days=st.lists(st.integers(-5, 5), min_size=1, max_size=6),
    parts=st.tuples(st.integers(1, 100), st.integers(0, 100)).map(
        lambda two: (two[0], (100 - two[0]) * two[1] // 100, 100 - two[0] - (100 - two[0]) * two[1] // 100)
    ),
)
def test_money_adds_up_at_every_moment(days: list[int], parts: tuple[int, int, int]) -> None:
    events = [called(11 + number) for number in range(len(days))]
    split = (f"{parts[0] / 100:.2f}", f"{parts[1] / 100:.2f}", f"{parts[2] / 100:.2f}")
    readings = [item for event, kw in zip(events, days, strict=True) for item in steady(event, 12 * kw, SECOND_BUS)]
    posted: list[LedgerLine] = []
    for count in range(1, len(days) + 1):
        season = season_of(*events[:count], split=split, assets=(SECOND_BUS,))
        result = settle(season, readings, posted)
        posted += result.lines
        mean = Fraction(12 * sum(days[:count]), count)
        assert sum(line.cents for line in posted) == result.value.cents == cents_of(max(mean * 200, Fraction(0)))
        relief_wh = sum(line.export_wh - line.import_wh for line in posted)
        assert relief_wh == sum(36_000 * kw for kw in days[:count])


def test_the_value_of_a_season_says_how_provisional_it_is() -> None:
    rule = BOOK.version("CI-DAILY")
    none_yet = expected_season_value(rule, [], dt.date(2023, 7, 1))
    assert (none_yet.cents, none_yet.payment.mean_kw) == (0, None)
    assert "at most 60 events" in none_yet.note
    value = expected_season_value(rule, [EventMean(kw=Fraction(1, 3))], dt.date(2023, 9, 20))
    assert value.cents == 6667
    assert "the mean over 1 event so far" in value.note


@given(st.integers(-10_000_000, 10_000_000))
def test_cents_agree_with_the_house_rounding(tenth_cents: int) -> None:
    usd = Decimal(tenth_cents).scaleb(-3)
    assert cents_of(Fraction(usd)) == to_cents(usd)


def test_sites_of_another_program_do_not_mix() -> None:
    other = msgspec.structs.replace(settle(TWO_EVENTS, TWO_DAYS).lines[0], site_id="elsewhere")
    assert len(settle(TWO_EVENTS, TWO_DAYS, [other]).lines) == 2
    assert settle(season_of(called(7), assets=(BUS,)), TWO_DAYS).lines[0].cents == 1_200_000


JULY_WEEKDAYS = (5, 6, 7, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21, 24, 25, 26, 27, 28, 31)
AUGUST = range(1, 22)


@pytest.mark.parametrize(
    ("row", "version", "days", "cents"),
    [
        ("CS-1", "RES-v2", [((7, day), 3, 5) for day in JULY_WEEKDAYS] + [((8, day), 3, 5) for day in AUGUST], 137_500),
        ("CS-2e", "RES-v2", [((7, 5), 2, 10), ((7, 6), 3, 5)], 206_250),
        ("CS-4", "CI-DAILY", [((7, 5), 3, 50), ((7, 6), 3, -10)], 400_000),
        ("CS-4b", "CI-DAILY", [((7, 5), 3, -5)], 0),
        (
            "CS-5",
            "CI-TARGETED-EVERSOURCE",
            [((7, 5), 3, 60), ((7, 6), 3, 60), ((7, 7), 3, 60), ((7, 8), 3, 30), ((7, 10), 3, 60)],
            273_000,
        ),
    ],
)
def test_worked_examples_as_register_readings(
    row: str, version: str, days: list[tuple[tuple[int, int], int, int]], cents: int
) -> None:
    events = [called(day, month, hours) for (month, day), hours, _ in days]
    readings = [item for event, (*_, kw) in zip(events, days, strict=True) for item in steady(event, kw)]
    result = settle(season_of(*events, version=version), readings)
    assert len(result.settled) == len(days), result.held
    assert result.value.cents == sum(line.cents for line in result.lines) == cents, row


def test_a_revision_that_moves_no_total_is_still_named() -> None:
    posted = list(settle(TWO_EVENTS, TWO_DAYS).lines)
    middle = TWO_DAYS[18]
    revised = msgspec.structs.replace(middle, export_rev=1, export_wh=(middle.export_wh or 0) + 10)
    result = settle(TWO_EVENTS, [*TWO_DAYS, revised], posted)
    assert [(line.kind, line.cents, line.import_wh, line.export_wh) for line in result.lines] == [
        ("correction", 0, 0, 0)
    ]
    assert (18, 1) in [(number, item.export_rev) for number, item in enumerate(result.lines[0].evidence)]
    assert settle(TWO_EVENTS, [*TWO_DAYS, revised], [*posted, *result.lines]).lines == ()
