"""What comes to be known after closing: corrections by themselves, once, and a second report where the figure changed.

The site gives 30 kW from 15:00 to 18:00 local: 30 kW x 200 $ = 600,000 cents.
"""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from revere.control.events import BOOKS_OPEN, LATE_WAIT
from revere.core import facts as f
from revere.core.ids import GridEventId, SiteId
from tests.control.books import Desk
from tests.control.scenes import NOON, called, minutes, opted, reading, seconds

START, END = NOON + minutes(180), NOON + minutes(360)
CLOSED = END + minutes(8)
LATE = CLOSED + minutes(10)
DUE = LATE + LATE_WAIT
CALL = called(start=START)
SCHOOL = SiteId("school")


async def closed_desk(*facts: f.Fact, gap_min: int = 0) -> Desk:
    """A desk whose event was closed, without the values of the first ``gap_min`` minutes."""
    desk = Desk(*(facts or (CALL, opted())))
    desk.books.gone = {START + minutes(5 * n) for n in range(1, gap_min // 5)}
    await desk.at(CLOSED)
    return desk


def told(desk: Desk) -> list[float]:
    """The figures that were journaled as reported, in order."""
    return [fact.performance_kw for fact in desk.journal.of(f.EventReported)]


def value(ts: dt.datetime, at: dt.datetime = LATE, **changes: object) -> f.MeterReading:
    """A register value of the school's station that arrives late."""
    fields: dict[str, object] = {"import_wh": 0, "export_wh": 1, "context": "clock"}
    return reading("cs1", ts, at=at, **{**fields, **changes})


def test_a_gap_filled_out_of_a_backlog_is_proved_and_reported_again() -> None:
    async def play() -> Desk:
        desk = await closed_desk(gap_min=60)
        desk.books.gone = set()
        for n in range(1, 12):
            await desk.inbox.record([value(START + minutes(5 * n), at=LATE + seconds(n))])
        await desk.at(DUE - seconds(1))
        assert len(desk.books.lines) == 1
        for later_min in (1, 2, 60, 600):
            await desk.at(DUE + minutes(later_min))
        return desk

    desk = asyncio.run(play())
    assert told(desk) == [20.0, 30.0], "what no register proves is not claimed"
    assert desk.utility.told_kw == [30.0, 30.0]
    assert [(line.entry.kind, line.entry.cents, line.entry.export_wh) for line in desk.books.lines] == [
        ("performance", 600_000, 60_000), ("correction", 0, 30_000),
    ]  # fmt: skip
    assert desk.image.events[GridEventId("e1")].performance_kw == 30.0


def test_a_new_revision_moves_the_money() -> None:
    async def play() -> Desk:
        desk = await closed_desk()
        desk.books.revised_wh = {END: 1_000_000 + 30_000 * 6 + 1_500}
        await desk.inbox.record([value(END + seconds(1))])
        await desk.at(DUE)
        return desk

    desk = asyncio.run(play())
    assert desk.books.cents() == [600_000, 10_000]
    assert told(desk) == [30.0, 30.5]


@pytest.mark.parametrize(
    "fact",
    [
        value(CLOSED, at=CLOSED),
        value(START - minutes(1)),
        value(START + minutes(5), quarantined="clock 75 s off"),
        value(START + minutes(5), import_wh=None, export_wh=None, soc=0.5),
        value(START + minutes(5), place="dc_outlet"),
        called("e9", NOON + minutes(1440), at=LATE),
        f.GridLost(at=LATE, site_id=SCHOOL, ts=LATE),
    ],
    ids=["of now", "before the event", "quarantined", "no register", "another place", "a new call", "an outage now"],
)
def test_what_cannot_change_a_closed_event_does_not_settle_it_again(fact: f.Fact) -> None:
    async def play() -> tuple[int, int]:
        desk = await closed_desk()
        before = desk.books.asked
        await desk.inbox.record([fact])
        await desk.at(DUE + minutes(60))
        return before, desk.books.asked

    before, after = asyncio.run(play())
    assert before == after


def test_values_told_again_post_and_report_nothing() -> None:
    async def play() -> Desk:
        desk = await closed_desk()
        await desk.inbox.record([value(START + minutes(5)), value(END)])
        await desk.at(DUE)
        assert desk.books.asked == 2
        return desk

    desk = asyncio.run(play())
    assert (desk.books.cents(), told(desk), desk.utility.reports) == ([600_000], [30.0], ["e1"])


def test_a_restart_between_a_late_value_and_its_correction_loses_nothing_and_repeats_nothing() -> None:
    async def play() -> Desk:
        desk = await closed_desk()
        desk.books.revised_wh = {END: 1_000_000 + 30_000 * 6 + 1_500}
        await desk.inbox.record([value(END)])
        for life in range(3):
            desk.restart()
            await desk.at(DUE + minutes(60 * life))
            await desk.at(DUE + minutes(60 * life) + LATE_WAIT)
        return desk

    desk = asyncio.run(play())
    assert desk.books.cents() == [600_000, 10_000]
    assert told(desk) == [30.0, 30.5]
    assert desk.utility.reports == ["e1", "e1"]


def test_a_utility_that_is_away_hears_the_correction_later_and_once() -> None:
    async def play() -> Desk:
        desk = await closed_desk()
        desk.books.revised_wh = {END: 1_000_000 + 30_000 * 6 + 1_500}
        await desk.inbox.record([value(END)])
        desk.utility.away = True
        for minute in range(30):
            await desk.at(DUE + minutes(minute))
        assert list(desk.image.alarms) == ["settle:e1"]
        desk.utility.away = False
        for minute in range(30, 200):
            await desk.at(DUE + minutes(minute))
        return desk

    desk = asyncio.run(play())
    assert desk.books.cents() == [600_000, 10_000]
    assert desk.utility.told_kw == [30.0, 30.5]
    assert not desk.image.alarms


def test_an_outage_told_late_takes_its_time_out() -> None:
    async def play() -> Desk:
        desk = await closed_desk()
        lost, back, closed = START + minutes(59), START + minutes(116), START + minutes(121)
        await desk.inbox.record(
            [
                f.GridLost(at=LATE, site_id=SCHOOL, ts=lost),
                f.TransferSwitchReported(at=LATE, site_id=SCHOOL, open=True, ts=lost),
                f.GridRestored(at=LATE, site_id=SCHOOL, ts=back),
                f.TransferSwitchReported(at=LATE, site_id=SCHOOL, open=False, ts=closed),
            ]
        )
        await desk.at(DUE)
        return desk

    desk = asyncio.run(play())
    # Good: 15:00 to 15:55 and 17:05 to 18:00, 110 of 180 min; the mean of what was measured is still 30 kW.
    assert told(desk) == [30.0, round(30 * 110 / 180, 3)]
    assert [line.entry.export_wh for line in desk.books.lines] == [90_000, -35_000]


def test_a_closed_call_that_is_cancelled_is_taken_back_and_frees_its_time() -> None:
    async def play() -> Desk:
        again = called("e2", start=START, at=CALL.at + minutes(1))
        desk = await closed_desk(CALL, opted(), again, opted("e2"))
        assert desk.books.cents() == [600_000]
        assert told(desk) == [30.0, 0.0]
        assert "counts for e1" in desk.image.events[GridEventId("e2")].held["school"]
        await desk.inbox.record([called(start=START, at=LATE, modification=1, cancelled=True)])
        await desk.at(DUE)
        return desk

    desk = asyncio.run(play())
    assert [(line.entry.grid_event_id, line.entry.cents) for line in desk.books.lines] == [
        ("e1", 600_000), ("e1", -600_000), ("e2", 600_000),
    ]  # fmt: skip
    assert told(desk) == [30.0, 0.0, 30.0]
    assert desk.utility.reports == ["e1", "e2"], "of a cancelled call nothing more is reported"
    assert desk.image.events[GridEventId("e2")].held == {}


def test_a_closed_call_that_moves_is_settled_anew_at_its_new_end() -> None:
    async def play() -> Desk:
        desk = await closed_desk()
        await desk.inbox.record([called(start=START + minutes(60), at=LATE, modification=1)])
        await desk.at(END + minutes(66))
        assert len(desk.books.lines) == 1
        await desk.at(END + minutes(68))
        return desk

    desk = asyncio.run(play())
    assert desk.books.cents() == [600_000, 0]
    assert desk.books.lines[1].entry.evidence["readings"][-1][1] == (END + minutes(60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert desk.utility.reports == ["e1", "e1"]


def test_a_call_delivered_twice_is_settled_once() -> None:
    async def play() -> Desk:
        desk = await closed_desk()
        await desk.inbox.record([called(start=START, at=LATE, modification=1)])
        await desk.at(DUE)
        return desk

    desk = asyncio.run(play())
    assert (desk.books.cents(), desk.utility.reports) == ([600_000], ["e1"])


def test_after_its_books_an_event_is_left_alone_and_counted() -> None:
    async def play() -> tuple[Desk, int]:
        desk = await closed_desk()
        before = desk.books.asked
        desk.books.revised_wh = {END: 1_200_000}
        after = END + BOOKS_OPEN + minutes(1)
        await desk.inbox.record([value(END, at=after)])
        await desk.at(after + LATE_WAIT)
        assert desk.desk.after_books == 1
        desk.restart()
        await desk.at(after + LATE_WAIT)
        await desk.at(after + 2 * LATE_WAIT)
        return desk, before

    desk, before = asyncio.run(play())
    assert desk.books.asked == before
    assert desk.books.cents() == [600_000]


def test_a_late_value_after_the_season_is_settled_in_its_own_season() -> None:
    async def play() -> Desk:
        desk = await closed_desk()
        desk.books.revised_wh = {END: 1_000_000 + 30_000 * 6 + 1_500}
        november = NOON + dt.timedelta(days=70)
        await desk.inbox.record([value(END, at=november)])
        await desk.at(november + LATE_WAIT)
        return desk

    desk = asyncio.run(play())
    assert desk.books.cents() == [600_000, 10_000]
    assert desk.books.lines[1].entry.statement_id == "p-school:2023-11"
