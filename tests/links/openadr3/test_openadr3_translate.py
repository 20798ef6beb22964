"""OpenADR events by hand-written bodies: what each one means in the house's words, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.core.errors import RevereError
from revere.core.ids import ID_MAX_CHARS, GridEventId, ProgramId, check_id
from revere.links.openadr3 import wire
from revere.links.openadr3.book import EventBook
from revere.links.openadr3.translate import (
    EventRefused,
    Translated,
    add_duration,
    grid_event_id,
    parse_time,
    performance_report,
    stem_of,
    translate_event,
)

NOW = dt.datetime(2023, 9, 6, 20, 0, tzinfo=dt.UTC)
PROGRAM = ProgramId("cs-daily")

DAILY = """
{
  "id": "evt-20230907", "createdDateTime": "2023-09-06T20:00:00Z", "modificationDateTime": "2023-09-06T20:00:00.250Z",
  "objectType": "EVENT", "programID": "44", "eventName": "Daily Dispatch", "priority": null, "targets": null,
  "duration": null, "reportDescriptors": null, "payloadDescriptors": null,
  "intervalPeriod": {"start": "2023-09-07T16:00:00-04:00", "duration": "PT3H", "randomizeStart": null},
  "intervals": [{"id": 0, "intervalPeriod": null, "payloads": [{"type": "SIMPLE", "values": [1]}]}]
}
"""


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def body(**changes: Any) -> dict[str, Any]:
    return {**json.loads(DAILY), **changes}


def level(number: float, ident: int = 0, **period: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": ident, "payloads": [{"type": "SIMPLE", "values": [number]}]}
    return row | ({"intervalPeriod": period} if period else {})


def read(raw: dict[str, Any] | str) -> Translated:
    text = raw if isinstance(raw, str) else json.dumps(raw)
    return translate_event(wire.as_wire(wire.parse_body(text.encode()), wire.Event), PROGRAM, NOW)


def windows(raw: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"{call.start:%dT%H:%M}", f"{call.end:%dT%H:%M}") for call in read(raw).calls]


def test_the_daily_dispatch_as_a_real_server_writes_it_nulls_and_all() -> None:
    event = read(DAILY)
    (call,) = event.calls
    assert (call.grid_event_id, call.program_id) == ("evt-20230907", "cs-daily")
    assert call.start == utc("2023-09-07T20:00:00")
    assert call.end == utc("2023-09-07T23:00:00")
    assert event.modified_ms == 1_694_030_400_250


HOURS = {"intervalPeriod": {"start": "2023-09-07T20:00:00Z", "duration": "PT1H"}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {**HOURS, "intervals": [level(1), level(2), level(1)]}, [("07T20:00", "07T23:00")], id="contiguous"
        ),
        pytest.param(
            {**HOURS, "intervals": [level(1), level(0), level(3)]},
            [("07T20:00", "07T21:00"), ("07T22:00", "07T23:00")],
            id="a normal hour between two calls",
        ),
        pytest.param({**HOURS, "intervals": [level(0), level(0)]}, [], id="level 0 is no event"),
        pytest.param(
            {"intervalPeriod": None, "intervals": [level(1, start="2023-09-07T20:30:00Z", duration="PT90M")]},
            [("07T20:30", "07T22:00")],
            id="the interval's own period",
        ),
        pytest.param(
            {**HOURS, "intervals": [level(1, duration="PT15M"), level(1)]},
            [("07T20:00", "07T21:15")],
            id="own duration, then the default one after it",
        ),
        pytest.param(
            {**HOURS, "intervals": [level(1, start="2023-09-07T22:00:00Z"), level(1, start="2023-09-07T20:00:00Z")]},
            [("07T20:00", "07T21:00"), ("07T22:00", "07T23:00")],
            id="not in order of time",
        ),
        pytest.param(
            {"intervalPeriod": {"start": "0001-01-01", "duration": "PT30M"}}, [("06T20:00", "06T20:30")], id="now"
        ),
        pytest.param(
            {"intervalPeriod": {"start": "2023-09-07T20:00:00Z", "duration": "P0Y0M0DT1H0M0S"}},
            [("07T20:00", "07T21:00")],
            id="zeros spelled out",
        ),
        pytest.param({**HOURS, "duration": "PT1H"}, [("07T20:00", "07T21:00")], id="event duration that says the same"),
        pytest.param({"status": "CANCELLED"}, [], id="a server's private status"),
    ],
)
def test_intervals_become_windows(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert windows(body(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"intervalPeriod": {"start": "2023-09-07T20:00:00Z", "duration": "-PT3H"}}, "negative duration"),
        ({"intervalPeriod": {"start": "2023-09-07T20:00:00", "duration": "PT3H"}}, "zone"),
        ({"intervalPeriod": {"start": "2023-13-07T20:00:00Z", "duration": "PT3H"}}, "not a time"),
        ({"intervalPeriod": {"start": "2023-09-07T20:00:00Z", "duration": "3 hours"}}, "ISO 8601"),
        ({"intervalPeriod": {"start": "2023-09-07T20:00:00Z", "duration": "P9999Y"}}, "endless"),
        ({"intervalPeriod": {"start": "2023-09-07T20:00:00Z", "duration": "P8D"}}, "too long"),
        ({"intervalPeriod": {"start": "2023-09-07T20:00:00Z", "duration": "PT0S"}}, "empty interval"),
        ({"intervalPeriod": {"start": "2033-09-07T20:00:00Z", "duration": "PT1H"}}, "too far ahead"),
        ({"intervalPeriod": {"start": "2023-09-07T20:00:00Z"}}, "no duration"),
        ({"intervalPeriod": None}, "no start"),
        ({"intervals": []}, "no intervals"),
        ({"intervals": [level(4)]}, "SIMPLE level"),
        ({"intervals": [level(-1)]}, "SIMPLE level"),
        ({"intervals": [level(0.5)]}, "SIMPLE level"),
        ({"intervals": [level(float("nan"))]}, "not a number"),
        ({"intervals": [level(True)]}, "not a number"),
        ({"intervals": [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT", "values": [-60.0]}]}]}, "SIMPLE"),
        ({"intervals": [{"id": 0, "payloads": []}]}, "SIMPLE"),
        ({**HOURS, "intervals": [level(1), level(1, start="2023-09-07T20:30:00Z")]}, "overlap"),
        ({**HOURS, "duration": "PT9H"}, "looped"),
        ({"modificationDateTime": "yesterday"}, "not a time"),
    ],
)
def test_nonsense_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(EventRefused, match=reason) as caught:
        read(body(**changes))
    assert "evt-20230907" in str(caught.value)


def test_targets_of_version_3_0_are_refused_by_name() -> None:
    with pytest.raises(wire.msgspec.ValidationError, match="targets"):
        read(body(targets=[{"type": "VEN_NAME", "values": ["us"]}]))


@given(st.lists(st.integers(1, 240), min_size=1, max_size=24), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_window_cut_into_pieces_in_any_order_is_one_window(minutes: list[int], random: Random) -> None:
    start = utc("2023-09-07T12:00:00")
    rows = []
    for length in minutes:
        rows.append(
            level(random.randint(1, 3), len(rows), start=f"{start:%Y-%m-%dT%H:%M:%SZ}", duration=f"PT{length}M")
        )
        start += dt.timedelta(minutes=length)
    random.shuffle(rows)
    (call,) = read(body(intervals=rows)).calls
    assert (call.start, call.end) == (utc("2023-09-07T12:00:00"), start)


def test_durations_step_the_calendar() -> None:
    start = utc("2024-01-31T12:00:00")
    for text, expected in {
        "P1M": "2024-02-29T12:00:00",
        "P1Y": "2025-01-31T12:00:00",
        "P11M": "2024-12-31T12:00:00",
        "P2W": "2024-02-14T12:00:00",
        "P1DT12H": "2024-02-02T00:00:00",
        "PT0.5S": "2024-01-31T12:00:00.500000",
    }.items():
        assert add_duration(start, text, "test") == utc(expected), text
    for text in ("P", "PT", "P1H", "PT1D", "1H", "P1.5D", "PT1H ", "P99999999999D"):
        with pytest.raises(EventRefused):
            add_duration(start, text, "test")


def test_times_need_a_zone() -> None:
    assert parse_time("2023-09-07t16:00:00.1234567-04:00", "test") == utc("2023-09-07T20:00:00.123456")
    for text in ("2023-09-07", "20230907T200000Z", "2023-W36-4T20:00:00Z", "2023-09-07T20:00Z", "2023-09-07T24:61:00Z"):
        with pytest.raises(EventRefused):
            parse_time(text, "test")


def test_every_id_of_the_standard_becomes_a_usable_one() -> None:
    for event_id in ("44", "_x", "-", "a" * 45, "b" * 128, "7f0c-" * 9):
        for part in (1, 2, 99):
            ident = grid_event_id(event_id, part)
            assert check_id(ident, "grid event id") == ident
            assert len(ident) <= ID_MAX_CHARS
            assert stem_of(ident) == grid_event_id(event_id)
    assert grid_event_id("b" * 128) != grid_event_id("b" * 127)


def test_hostile_bodies_are_bounded_before_they_are_parsed() -> None:
    for raw in (b"[" * 200_000, b" " * (wire.BODY_MAX_BYTES + 1), b"\xff\xfe", b"{", b"9" * 5_000):
        with pytest.raises(ValueError, match=r".+"):
            wire.parse_body(raw)


def test_modifications_rise_whatever_the_stamp_does() -> None:
    book = EventBook()

    def see(raw: dict[str, Any]) -> list[tuple[int, bool]]:
        event = read(raw)
        facts = book.changes([event], NOW)
        book.learn([event], facts, NOW)
        return [(fact.modification, fact.cancelled) for fact in facts]

    first = 1_694_030_400_250
    later = {"start": "2023-09-07T21:00:00Z", "duration": "PT1H"}
    assert see(body()) == [(first, False)]
    assert see(body()) == []
    assert see(body(intervalPeriod=later)) == [(first + 1, False)], "changed under the same stamp"
    assert see(body(modificationDateTime="2023-09-06T19:00:00Z")) == [], "an older version is stale"
    assert see(body(intervals=[level(0)])) == [(first + 2, True)], "level 0 takes the call back"
    assert see(body(modificationDateTime="2023-09-06T21:00:00Z")) == [(1_694_034_000_000, False)]
    gone = book.vanished([], NOW)
    assert [(fact.cancelled, fact.modification) for fact in gone] == [(True, 1_694_034_000_001)]
    assert book.vanished([], utc("2023-09-08T00:00:00")) == [], "an event that is over is not cancelled"


def test_relief_is_reported_as_negative_consumption() -> None:
    start = utc("2023-09-07T20:00:00")
    half = dt.timedelta(minutes=30)
    report = performance_report(
        "evt-1", "revere", "x", [(start, start + half, 1200.0), (start + half, start + 2 * half, -10.0)]
    )
    assert json.loads(wire.msgspec.json.encode(report.resources[0])) == {
        "resourceName": "AGGREGATED_REPORT",
        "intervals": [
            {
                "id": 0,
                "intervalPeriod": {"start": "2023-09-07T20:00:00.000Z", "duration": "PT1800S"},
                "payloads": [{"type": "DEMAND", "values": [-1200.0]}, {"type": "USAGE", "values": [-600.0]}],
            },
            {
                "id": 1,
                "intervalPeriod": {"start": "2023-09-07T20:30:00.000Z", "duration": "PT1800S"},
                "payloads": [{"type": "DEMAND", "values": [10.0]}, {"type": "USAGE", "values": [5.0]}],
            },
        ],
    }
    for bad in ([], [(start, start, 1.0)], [(start, start + half, float("nan"))]):
        with pytest.raises(RevereError):
            performance_report("evt-1", "revere", "x", bad)


def test_an_unknown_hashed_event_is_not_guessed() -> None:
    book = EventBook()
    assert book.event_id(GridEventId("evt-1.2")) == "evt-1"
    assert book.event_id(grid_event_id("b" * 128)) is None
    long = read(body(id="b" * 128))
    book.learn([long], book.changes([long], NOW), NOW)
    assert book.event_id(grid_event_id("b" * 128)) == "b" * 128
