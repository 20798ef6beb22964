"""Calls by hand: a drill is never paid, a withdrawn call never stood, a declined one counts what the rule says.

The site gives 30 kW at every moment: an event of three hours is 30 kW x 200 $ = 600,000 cents.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from revere.control.calling import CallingDesk
from revere.control.desk import CallEvent, OptEvent, WithdrawEvent
from revere.control.event_rows import event_rows
from revere.control.events import BOOKS_OPEN, LATE_WAIT
from revere.core import facts as f
from revere.core.errors import Refused
from revere.core.ids import GridEventId
from tests.control.books import Desk
from tests.control.scenes import NOON, called, contracts_of, minutes, opted

DAY = dt.timedelta(days=1)
START, END = NOON + minutes(180), NOON + minutes(360)
BEFORE, DURING, CLOSED = START - minutes(60), START + minutes(60), END + minutes(8)
DUE = CLOSED + minutes(1) + LATE_WAIT
REAL, E1 = called(start=START), GridEventId("e1")
PHONE = called(start=START, source="operator:ana")
DRILL = called("d1", start=START, source="operator:ana", drill=True)
NEXT = called("e2", start=START + DAY)


def desk_of(desk: Desk) -> CallingDesk:
    return CallingDesk(desk.image, desk.inbox, contracts_of(desk.image))


def told(desk: Desk) -> list[tuple[str, float | None]]:
    return [(fact.grid_event_id, fact.performance_kw) for fact in desk.journal.of(f.EventReported)]


def lines(desk: Desk) -> list[tuple[str | None, str, int]]:
    return [(line.entry.grid_event_id, line.entry.kind, line.entry.cents) for line in desk.books.lines]


def test_a_drill_is_measured_and_journaled_but_moves_no_season_and_no_ledger() -> None:
    async def play(*facts: f.Fact) -> Desk:
        desk = Desk(*facts)
        for moment in (CLOSED, DUE, CLOSED + DAY, DUE + DAY):
            await desk.at(moment)
        return desk

    with_drill = asyncio.run(play(DRILL, opted("d1"), NEXT, opted("e2")))
    without = asyncio.run(play(NEXT, opted("e2")))
    assert told(with_drill) == [("d1", 30.0), ("e2", 30.0)]
    assert lines(with_drill) == lines(without) == [("e2", "performance", 600_000)]
    assert with_drill.utility.reports == ["e2"], "nobody called, so nobody is told"


@pytest.mark.parametrize(
    ("call", "withdrawn"),
    [
        (REAL, True),
        (called("e1", START + minutes(170)), True),
        (called("e1", END), False),
        (called("e1", start=START, cancelled=True), False),
        (called("e1", start=START, drill=True), False),
        (called("e1", start=START, program_id="elsewhere"), False),
    ],
    ids=["same hours", "overlaps", "just after", "cancelled", "another drill", "reaches no site of the drill"],
)
def test_a_drill_gives_way_to_a_call(call: f.Fact, withdrawn: bool) -> None:
    async def play() -> Desk:
        desk = Desk(DRILL, call)
        for _ in range(2):
            await desk.desk.decide(BEFORE)
        return desk

    desk = asyncio.run(play())
    assert desk.image.events[GridEventId("d1")].cancelled is withdrawn
    said = [fact.why for fact in desk.journal.of(f.GridEventReceived)]
    assert [("e1 calls" in why) for why in said] == [True] * withdrawn


@pytest.mark.parametrize(
    ("at", "answer", "reported", "posted"),
    [
        (BEFORE, "withdrawn before it began", [], []),
        (DURING, "giving ends now. What was given until 16:00 stays in the registers and is not paid.", [], []),
        (
            CLOSED + minutes(1),
            "taken back by corrections",
            [("e1", 30.0)],
            [("e1", "performance", 600_000), ("e1", "correction", -600_000)],
        ),
    ],
    ids=["before", "during", "after it was settled"],
)
def test_a_withdrawn_call_never_stood(
    at: dt.datetime, answer: str, reported: list[Any], posted: list[tuple[str, str, int]]
) -> None:
    async def play() -> tuple[str, Desk]:
        desk = Desk(PHONE, opted())
        if at >= CLOSED:
            await desk.at(CLOSED)
        receipt = await desk_of(desk).withdraw(WithdrawEvent(grid_event_id="e1", by="eve", why="wrong day"), at)
        for moment in (CLOSED + minutes(2), DUE, DUE + minutes(5)):
            await desk.at(moment)
        return receipt.detail, desk

    detail, desk = asyncio.run(play())
    assert answer in detail
    assert told(desk) == reported
    assert lines(desk) == posted
    (row,) = event_rows(desk.image, contracts_of(desk.image), at)
    assert (row.cancelled, row.cancelled_by, row.why, row.called_by, row.by_hand) == (
        True, "eve", "wrong day", "ana", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("known", "asked", "at", "word"),
    [
        (REAL, {}, BEFORE, "the utility's to cancel"),
        (PHONE, {"grid_event_id": "none"}, BEFORE, "no such event"),
        (PHONE, {"why": " a "}, BEFORE, "needs a reason"),
        (called(start=START, source="operator:ana", cancelled=True), {}, BEFORE, "withdrawn already"),
        (PHONE, {}, END + BOOKS_OPEN + minutes(1), "books of that season are closed"),
    ],
)
def test_what_cannot_be_withdrawn(known: f.Fact, asked: dict[str, Any], at: dt.datetime, word: str) -> None:
    async def play() -> list[f.Fact]:
        desk = Desk(known)
        request = WithdrawEvent(**{"grid_event_id": "e1", "by": "eve", "why": "wrong day", **asked})
        with pytest.raises(Refused, match=word):
            await desk_of(desk).withdraw(request, at)
        return desk.journal.facts

    assert asyncio.run(play()) == []


@pytest.mark.parametrize(
    ("left_at", "told_kw", "cents"),
    [(BEFORE, None, [600_000, -300_000]), (DURING, 30.0, [600_000, 0])],
    ids=["declined before it began", "left under way"],
)
def test_a_declined_call_counts_what_the_rule_says_and_one_left_under_way_what_registers_show(
    left_at: dt.datetime, told_kw: float | None, cents: list[int]
) -> None:
    """The rulebook counts a declined event 0 (assumed): half of two events' mean of 30 kW is gone."""

    async def play() -> Desk:
        first = called("e0", start=START - DAY)
        desk = Desk(first, opted("e0", at=START - DAY), REAL, opted())
        await desk.at(CLOSED - DAY)
        desk.image.apply(opted(opt="out", at=left_at))
        for moment in (CLOSED, CLOSED + minutes(1), DUE, DUE + DAY):
            await desk.at(moment)
        return desk

    desk = asyncio.run(play())
    assert told(desk) == [("e0", 30.0), ("e1", told_kw)]
    assert desk.books.cents() == cents
    assert desk.utility.reports == ["e0"] + ["e1"] * (told_kw is not None)


@pytest.mark.parametrize(
    ("event", "at", "opt_in", "words"),
    [
        (REAL, BEFORE, False, ("counts 0 kW in the season's mean under CI-DAILY", "assumed: no source says")),
        (REAL, DURING, False, ("the mean is taken over the whole event",)),
        (DRILL, BEFORE, False, ("It is a drill: that costs nothing",)),
        (called(start=START, program_id="unruled"), BEFORE, False, ("no rule pays for it",)),
        (REAL, BEFORE, True, ("takes part in e1",)),
        (called("e5", start=START + 3 * DAY), DURING, False, ("out of e5",)),
    ],
)
def test_the_answer_to_an_opt_says_what_it_costs_for_any_event_that_has_not_ended(
    event: f.GridEventReceived, at: dt.datetime, opt_in: bool, words: tuple[str, ...]
) -> None:
    async def play() -> tuple[str, str]:
        desk = Desk(called("other", start=START - DAY), event)
        request = OptEvent(grid_event_id=event.grid_event_id, opt_in=opt_in, by="eve", why="a bus is late")
        receipt = await desk_of(desk).opt(request, at)
        known = desk.image.events[event.grid_event_id]
        return receipt.detail, f"{known.opt} {known.opted_by} {known.opted_why}"

    detail, kept = asyncio.run(play())
    assert all(word in detail for word in words), detail
    assert kept == f"{'in' if opt_in else 'out'} eve a bus is late"


def call(**changes: Any) -> CallEvent:
    return CallEvent(**{"program_id": "cs-daily", "start": START, "end": END, "by": "ana", **changes})


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (call(), "The event manual-"),
        (call(end=START + minutes(60)), "It will not be paid as it stands: CI-DAILY: 60 min is not 120 to 180 min"),
        (call(drill=True), "nothing is paid for it"),
        (call(start=START + 3 * DAY - minutes(360), end=END + 3 * DAY - minutes(360), drill=True), "The drill drill-"),
    ],
)
def test_a_recorded_call_says_what_it_is_and_what_the_rule_has_against_it(request_: CallEvent, words: str) -> None:
    async def play() -> tuple[str, f.GridEventReceived]:
        desk = Desk(called("e9", start=NOON - 9 * DAY))
        receipt = await desk_of(desk).call(request_, NOON)
        (fact,) = desk.journal.of(f.GridEventReceived)
        assert receipt.reference == fact.grid_event_id
        return receipt.detail, fact

    detail, fact = asyncio.run(play())
    assert words in detail
    assert (fact.drill, fact.source) == (request_.drill, "operator:ana")


@pytest.mark.parametrize(
    ("known", "request_", "refused"),
    [(PHONE, call(), True), (PHONE, call(drill=True), True), (DRILL, call(drill=True), True), (DRILL, call(), False)],
    ids=["call on call", "drill on call", "drill on drill", "call on drill"],
)
def test_what_is_called_for_hours_that_are_taken(known: f.Fact, request_: CallEvent, refused: bool) -> None:
    async def play() -> None:
        await desk_of(Desk(known)).call(request_, NOON)

    if refused:
        with pytest.raises(Refused, match="already covers"):
            asyncio.run(play())
    else:
        asyncio.run(play())


@pytest.mark.parametrize(
    ("event", "now", "shown"),
    [
        (REAL, BEFORE, ("upcoming", False, False)),
        (DRILL, DURING, ("running", True, True)),
        (PHONE, END, ("over", False, True)),
        (REAL, END + dt.timedelta(days=7), None),
    ],
)
def test_the_list_shows_what_is_ahead_under_way_and_of_the_last_week(
    event: f.Fact, now: dt.datetime, shown: tuple[str, bool, bool] | None
) -> None:
    image = Desk(event).image
    rows = event_rows(image, contracts_of(image), now)
    assert [(row.phase, row.drill, row.by_hand) for row in rows] == ([] if shown is None else [shown])
