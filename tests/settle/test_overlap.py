"""Calls that overlap, come twice, move or are cancelled: no register interval is ever paid twice."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.core.ids import GridEventId, ProgramId
from revere.settle.performance import RegisterReading, interval_edges
from revere.settle.posting import CalledEvent, Settlement, SiteSeason, settle_season
from revere.settle.statement import audit, build_statement
from settle.season import BOOK, BUS, SETTLED_AT, called, season_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from revere.settle.ledger import LedgerLine

DAY = dt.datetime(2023, 9, 7, 18, tzinfo=dt.UTC)


def steady_day(kw: int = 60) -> list[RegisterReading]:
    """A bus that gives ``kw`` from 14:00 to 21:00 local of 7 September, read at every five minutes."""
    return [
        RegisterReading(asset_id=BUS.asset_id, ts=ts, import_wh=0, export_wh=kw * 1000 * n // 12)
        for n, ts in enumerate(interval_edges(DAY, DAY + dt.timedelta(hours=7)))
    ]


def settle(
    season: SiteSeason, posted: Iterable[LedgerLine] = (), now: dt.datetime = SETTLED_AT, kw: int = 60
) -> Settlement:
    return settle_season(season, steady_day(kw), now=now, clock_synchronised=True, posted=posted)


def paid_wh(lines: Iterable[LedgerLine]) -> dict[str, int]:
    """Wh given that stand on each event's lines."""
    total: Counter[str] = Counter()
    for line in lines:
        total[line.grid_event_id] += line.export_wh
    return dict(total)


E1 = called(7, name="e1")


@pytest.mark.parametrize(
    ("second", "wh", "words"),
    [
        (called(7, name="e2", received=5), {"e1": 180_000}, "10800 count for another call"),
        (called(7, name="e2", received=5, at=21), {"e1": 180_000}, "7200 count for another call"),
        (called(7, name="e2", received=5, at=22, hours=2), {"e1": 180_000, "e2": 60_000}, ""),
        (called(7, name="e2", received=5, at=19, hours=2), {"e1": 180_000, "e2": 60_000}, ""),
        (called(7, name="e2", received=-5, at=21), {"e2": 180_000}, "e1"),
        (called(7, name="e2", received=-5, at=21, hours=1), {"e1": 180_000}, "60 min"),
        (called(7, name="e2", received=-5, opt="out"), {"e1": 180_000, "e2": 0}, ""),
        (called(7, name="e2", received=-5, cancelled=True), {"e1": 180_000}, "cancelled by the utility"),
    ],
    ids=[
        "the same call again under another id",
        "two thirds overlapped: held",
        "half overlapped: paid for the rest",
        "earlier in the day, later received",
        "received first, starts later",
        "not allowed by the rule: claims nothing",
        "opted out: claims nothing",
        "cancelled: claims nothing",
    ],
)
def test_time_of_two_calls_counts_for_the_first_received(second: CalledEvent, wh: dict[str, int], words: str) -> None:
    result = settle(season_of(E1, second))
    assert paid_wh(result.lines) == wh
    assert bool(result.held) == bool(words)
    assert all(words in held.reason or words == held.grid_event_id for held in result.held)
    assert settle(season_of(second, E1), result.lines).lines == ()


def test_a_claimed_interval_says_whose_it_is_and_its_readings_are_no_evidence() -> None:
    second = called(7, name="e2", received=5, at=22, hours=2)
    result = settle(season_of(E1, second))
    (line,) = [line for line in result.lines if line.grid_event_id == "e2"]
    assert min(item.ts for item in line.evidence) == E1.end
    (late,) = [item.performance for item in result.settled if item.event.grid_event_id == "e2"]
    assert late is not None
    assert {item.reason for item in late.intervals if item.quality == "claimed"} == {"counts for e1"}
    assert (late.claimed_s(), late.covered_s, late.unmeasured_s()) == (3600, 3600, 0)


def test_an_interval_claimed_in_part_is_left_whole() -> None:
    first, second = called(7, name="a", at=19, hours=122 / 60), called(7, name="b", at=21, hours=2, received=5)
    result = settle_season(season_of(first, second), minute_readings(), now=SETTLED_AT, clock_synchronised=True)
    assert paid_wh(result.lines) == {"a": 122_000, "b": 115_000}


def test_a_call_keeps_its_time_while_it_still_runs() -> None:
    # e1 runs to 19:00 local; e2, received later, ends at 17:00. What e2 is paid then does not change when e1 ends.
    second = called(7, name="e2", received=5, at=19, hours=2)
    season = season_of(E1, second)
    early = settle(season, now=second.end + dt.timedelta(minutes=7))
    assert paid_wh(early.lines) == {"e2": 60_000}
    later = settle(season, early.lines)
    assert [(line.grid_event_id, line.kind) for line in later.lines] == [("e1", "performance")]


def test_a_repeated_call_is_not_counted_against_the_rules_most_events() -> None:
    days = [called(day, month) for month in (6, 7, 8) for day in range(1, 21)]
    season = season_of(*days, called(1, 6, name="again", received=5), called(7, name="last"))
    season = msgspec.structs.replace(season, calendar=msgspec.structs.replace(season.calendar, day=()))
    ends = [edge for event in season.events for edge in (event.start, event.end)]
    readings = [
        RegisterReading(asset_id=BUS.asset_id, ts=ts, import_wh=0, export_wh=12 * n)
        for n, ts in enumerate(sorted({edge for a, b in zip(ends[::2], ends[1::2], strict=True)
                                       for edge in interval_edges(a, b)}))
    ]  # fmt: skip
    result = settle_season(season, readings, now=SETTLED_AT, clock_synchronised=True)
    assert len(result.settled) == 60
    assert [item.grid_event_id for item in result.held] == ["again", "last"]
    assert "60 events were called" in result.held[1].reason


def test_a_cancelled_or_moved_call_is_taken_back_and_posted_anew() -> None:
    posted = list(settle(season_of(E1)).lines)
    cancelled = settle(season_of(msgspec.structs.replace(E1, cancelled=True)), posted)
    assert [(line.kind, line.export_wh, line.cents) for line in cancelled.lines] == [
        ("correction", -180_000, -1_200_000)
    ]
    hour = dt.timedelta(hours=1)
    moved = msgspec.structs.replace(E1, start=E1.start + hour, end=E1.end + hour)
    again = settle(season_of(moved), posted)
    assert [(line.kind, line.export_wh, line.cents) for line in again.lines] == [("correction", 0, 0)]
    assert max(item.ts for item in again.lines[0].evidence) == moved.end
    ahead = msgspec.structs.replace(E1, start=SETTLED_AT + hour, end=SETTLED_AT + 4 * hour)
    assert sum(line.cents for line in [*posted, *settle(season_of(ahead), posted).lines]) == 0


def test_what_another_program_has_paid_for_is_not_paid_again() -> None:
    other = msgspec.structs.replace(season_of(E1), program_id=ProgramId("targeted"))
    theirs = list(settle(other).lines)
    mine = settle(season_of(E1), theirs)
    assert mine.lines == ()
    assert "counts for e1 in targeted" in mine.held[0].reason
    back = [*theirs, *settle(msgspec.structs.replace(other, events=(
        msgspec.structs.replace(E1, cancelled=True),)), theirs).lines]  # fmt: skip
    assert paid_wh(settle(season_of(E1), back).lines) == {"e1": 180_000}


def test_an_endless_call_is_held_and_does_not_stop_the_others() -> None:
    endless = called(7, name="week", hours=100, received=-5)
    result = settle(season_of(E1, endless))
    assert paid_wh(result.lines) == {"e1": 180_000}
    assert result.held[0].grid_event_id == "week"
    assert "6000 min" in result.held[0].reason


def test_an_audit_agrees_with_overlapping_calls() -> None:
    running, over = season_of(E1, called(7, name="e2", received=5, at=19, hours=2)), SETTLED_AT
    for season, now in (
        (season_of(E1, called(7, name="e2", received=5, at=22, hours=2), called(7, name="e3", received=9)), over),
        (running, E1.start + dt.timedelta(hours=1, minutes=7)),
    ):
        lines = list(settle(season, now=now).lines)
        statement = build_statement(season.participant_id, "2023-09", lines, BOOK)
        result = audit(statement, steady_day(), [season], ledger=lines, now=now)
        assert result.agrees, result.mismatches
        doubled = [msgspec.structs.replace(line, export_wh=180_000) for line in lines if line.grid_event_id == "e2"]
        statement = build_statement(season.participant_id, "2023-09", doubled, BOOK)
        assert not audit(statement, steady_day(), [season], ledger=doubled, now=now).agrees


CALLS = st.builds(
    lambda start, length, received, opt, cancelled: (start, length, received, opt, cancelled),
    st.integers(0, 60),
    st.sampled_from((24, 30, 36)),
    st.integers(-30, 30),
    st.sampled_from(("in", "in", "in", "out")),
    st.sampled_from((False, False, False, True)),
)


def season_from(calls: list[tuple[int, int, int, str, bool]], program: str = "cs-daily") -> SiteSeason:
    """Calls on one day from 15:00 local, in steps of five minutes (and now and then a minute off)."""
    events = [
        called(7, name=f"e{n}", at=19 + start / 12 + (start % 7 == 0) / 60, hours=length / 12, opt=opt,
               received=received, cancelled=cancelled)
        for n, (start, length, received, opt, cancelled) in enumerate(calls)
    ]  # fmt: skip
    return msgspec.structs.replace(season_of(*events), program_id=ProgramId(program))


def minute_readings() -> list[RegisterReading]:
    """12 W-exact registers at every minute of the day, so that any edge has its value."""
    return [
        RegisterReading(asset_id=BUS.asset_id, ts=DAY + dt.timedelta(minutes=n), import_wh=0, export_wh=1000 * n)
        for n in range(9 * 60)
    ]


@settings(max_examples=150, deadline=None)
@given(
    versions=st.lists(st.lists(CALLS, min_size=1, max_size=5), min_size=1, max_size=3),
    data=st.data(),
)
def test_no_register_interval_is_paid_twice(
    versions: list[list[tuple[int, int, int, str, bool]]], data: st.DataObject
) -> None:
    """Whatever is called, moved, cancelled, in one program or two, and whenever it is settled.

    What stands on the ledger is the energy of one set of disjoint intervals, each paid to one event of one program.
    """
    posted: list[LedgerLine] = []
    readings = minute_readings()
    for calls in versions:
        now = DAY + dt.timedelta(minutes=5 * data.draw(st.integers(12, 108)))
        for program in data.draw(st.permutations(("cs-daily", "targeted"))):
            season = season_from(calls, program)
            gone = {line.grid_event_id for line in posted} - {event.grid_event_id for event in season.events}
            taken_back = tuple(called(7, name=name, cancelled=True) for name in sorted(gone))
            season = msgspec.structs.replace(season, events=(*season.events, *taken_back))
            result = settle_season(season, readings, now=now, clock_synchronised=True, posted=posted)
            assert all(line.program_id == program for line in result.lines)
            posted += result.lines
            again = settle_season(season, readings, now=now, clock_synchronised=True, posted=posted)
            assert again.lines == ()
    minutes = [minute for standing in _standing(posted) for minute in standing]
    assert len(minutes) == len(set(minutes))


def _standing(posted: list[LedgerLine]) -> list[set[int]]:
    """For each event of each program, the minutes of the day that its lines pay for.

    The registers rise by 1,000 Wh a minute: the lines' Wh must be the minutes between the readings that the last of
    them names, so that an interval that was left out cannot hide.
    """
    by_event: dict[tuple[str, GridEventId], list[LedgerLine]] = {}
    for line in posted:
        by_event.setdefault((line.program_id, line.grid_event_id), []).append(line)
    found = []
    for lines in by_event.values():
        wh = sum(line.export_wh for line in lines)
        stamps = sorted(int((item.ts - DAY).total_seconds()) // 60 for item in lines[-1].evidence)
        spans = [range(a, b) for a, b in itertools.pairwise(stamps) if b - a <= 5]
        minutes = {minute for span in spans for minute in span} if wh else set()
        assert wh == 1000 * len(minutes)
        found.append(minutes)
    return found
