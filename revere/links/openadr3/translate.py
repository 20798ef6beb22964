"""OpenADR 3.1 events become grid events of the house; our performance becomes an OpenADR report.

Signs: the house counts relief positive; OpenADR's DEMAND and USAGE count consumption positive, so a
relief of 1,000 kW is reported as a DEMAND of -1,000 kW (:func:`performance_report`).
"""

from __future__ import annotations

import calendar
import datetime as dt
import hashlib
import itertools
import math
import re
from typing import TYPE_CHECKING

import msgspec

from revere.core.errors import RevereError
from revere.core.ids import GridEventId, ProgramId
from revere.core.time import iso, parse_iso
from revere.links.openadr3 import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

EVENT_MAX = dt.timedelta(days=7)
EVENT_AHEAD_MAX = dt.timedelta(days=400)
PARTS_MAX = 99
PLAIN_ID_MAX_CHARS = 45
SIMPLE_LEVEL_MAX = 3
AGGREGATED = "AGGREGATED_REPORT"
START_IS_NOW = frozenset({"0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"})

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)\Z")
_DURATION = re.compile(
    r"(-?)P(?=\d|T\d)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})([DW]))?"
    r"(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?\Z"
)
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


class EventRefused(RevereError):
    """An event that cannot be acted on: nonsense, or a form that this release does not know."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One unbroken window ``[start, end)`` in which the utility wants relief; ``part`` counts from 1."""

    event_id: str
    grid_event_id: GridEventId
    program_id: ProgramId
    start: dt.datetime
    end: dt.datetime


class Translated(msgspec.Struct, frozen=True, kw_only=True):
    """An event as understood: its windows (none for level 0 or a cancelled one) and its stamp."""

    event_id: str
    modified_ms: int
    calls: tuple[Call, ...]
    randomize_ignored: bool = False


def parse_time(text: str, where: str) -> dt.datetime:
    """The UTC moment of an RFC 3339 text; a time without a zone raises :class:`EventRefused`."""
    if not _RFC3339.match(text):
        raise EventRefused(
            "not a time with a zone", where=where, got=repr(text), expected="RFC 3339, such as 2023-09-07T20:00:00Z"
        )
    try:
        return parse_iso(text.upper())
    except (ValueError, OverflowError) as error:
        raise EventRefused(f"not a time ({error})", where=where, got=repr(text)) from error


def add_duration(start: dt.datetime, text: str, where: str) -> dt.datetime:
    """``start`` plus an ISO 8601 duration; years and months step the calendar, a day is 24 h.

    Raises :class:`EventRefused` for what is not a duration, and for a negative one.
    """
    found = _DURATION.match(text)
    if not found:
        raise EventRefused("not an ISO 8601 duration", where=where, got=repr(text), expected="such as PT3H")
    sign, years, months, days, unit, hours, minutes, seconds = found.groups()
    if sign:
        raise EventRefused("negative duration", where=where, got=repr(text), expected="more than 0")
    month = start.month - 1 + int(months or 0)
    year = start.year + int(years or 0) + month // 12
    month = month % 12 + 1
    try:
        day = min(start.day, calendar.monthrange(year, month)[1])
        return start.replace(year=year, month=month, day=day) + dt.timedelta(
            days=int(days or 0) * (7 if unit == "W" else 1),
            hours=int(hours or 0),
            minutes=int(minutes or 0),
            seconds=float(seconds or 0),
        )
    except (ValueError, OverflowError, IndexError) as error:
        raise EventRefused("endless duration", where=where, got=repr(text), expected=f"at most {EVENT_MAX}") from error


def translate_event(event: wire.Event, program_id: ProgramId, now: dt.datetime) -> Translated:
    """What ``event`` asks of us: contiguous intervals of SIMPLE level 1 to 3 merged into windows.

    ::

        intervals   |--1--|--2--|--0--|--1--|
        calls       [ first     )     [ .2  )

    The event's intervalPeriod starts its first interval and is every interval's default length; an
    interval's own overrides it, and what has no start follows the one before. A start of 0001-01-01
    ("now") is the moment at which the VTN last modified the event. Levels 1 to 3 all call for full
    relief. ``randomizeStart`` is not applied: what is paid is paid for the stated window.
    Raises :class:`EventRefused` with the reason.
    """
    where = f"event {event.id}"
    modified = parse_time(event.modificationDateTime, f"{where}: modificationDateTime")
    modified_ms = int(modified.timestamp() * 1000)
    if (event.status or "").lower() in {"cancelled", "canceled"}:
        return Translated(event_id=event.id, modified_ms=modified_ms, calls=())
    if not event.intervals:
        raise EventRefused("no intervals", where=where, got=0, expected="at least one with a SIMPLE payload")
    spans = _spans(event, modified)
    _check_loop(event, spans, where)
    windows = _merge([(start, end) for start, end, level in spans if level > 0])
    if len(windows) > PARTS_MAX:
        raise EventRefused("too many separate windows", where=where, got=len(windows), expected=f"at most {PARTS_MAX}")
    calls = []
    for part, (start, end) in enumerate(windows, 1):
        if end - start > EVENT_MAX:
            raise EventRefused("too long", where=where, got=end - start, expected=f"at most {EVENT_MAX}")
        if start - now > EVENT_AHEAD_MAX:
            raise EventRefused("too far ahead", where=where, got=iso(start), expected=f"within {EVENT_AHEAD_MAX}")
        ident = grid_event_id(event.id, part)
        calls.append(Call(event_id=event.id, grid_event_id=ident, program_id=program_id, start=start, end=end))
    randomize = any(period and period.randomizeStart for period in _periods(event))
    return Translated(event_id=event.id, modified_ms=modified_ms, calls=tuple(calls), randomize_ignored=randomize)


def _periods(event: wire.Event) -> list[wire.IntervalPeriod | None]:
    return [event.intervalPeriod, *(interval.intervalPeriod for interval in event.intervals or ())]


def _spans(event: wire.Event, modified: dt.datetime) -> list[tuple[dt.datetime, dt.datetime, int]]:
    """Start, end and SIMPLE level of each interval in time's order; overlaps are refused."""
    default = event.intervalPeriod or wire.IntervalPeriod()
    spans: list[tuple[dt.datetime, dt.datetime, int]] = []
    next_start: dt.datetime | None = None
    for index, interval in enumerate(event.intervals or ()):
        where = f"event {event.id}: intervals[{index}]"
        own = interval.intervalPeriod or wire.IntervalPeriod()
        start_text = own.start or (default.start if next_start is None else None)
        if start_text is not None:
            start = modified if start_text in START_IS_NOW else parse_time(start_text, f"{where}: start")
        elif next_start is not None:
            start = next_start
        else:
            raise EventRefused("no start", where=where, expected="a start of the event or of its first interval")
        duration = own.duration or default.duration
        if duration is None:
            raise EventRefused("no duration", where=where, expected="a duration of the event or of the interval")
        end = add_duration(start, duration, f"{where}: duration")
        if end <= start:
            raise EventRefused("empty interval", where=where, got=duration, expected="more than 0")
        spans.append((start, end, _simple_level(interval, where)))
        next_start = end
    spans.sort()
    for (_, earlier_end, _), (later_start, _, _) in itertools.pairwise(spans):
        if later_start < earlier_end:
            raise EventRefused(
                "intervals overlap",
                where=f"event {event.id}",
                got=iso(later_start),
                expected=f"{iso(earlier_end)} or later",
            )
    return spans


def _check_loop(event: wire.Event, spans: list[tuple[dt.datetime, dt.datetime, int]], where: str) -> None:
    """An event duration that only repeats the intervals' length is accepted; looping is not known here."""
    if event.duration is None:
        return
    start, end = spans[0][0], spans[-1][1]
    if add_duration(start, event.duration, f"{where}: duration") != end:
        raise EventRefused(
            "event duration differs from its intervals (looped intervals are not supported)",
            where=where,
            got=event.duration,
            expected=str(end - start),
            remedy="Ask the utility to list each interval",
        )


def _simple_level(interval: wire.Interval, where: str) -> int:
    """SIMPLE level 0 to 3 of an interval; other payload types beside it are context."""
    simple = [payload for payload in interval.payloads if payload.type == "SIMPLE"]
    if len(simple) != 1 or len(simple[0].values) != 1:
        types = ", ".join(payload.type for payload in interval.payloads) or "none"
        raise EventRefused(
            "not one SIMPLE value",
            where=where,
            got=types,
            expected="SIMPLE",
            remedy="Other payloads are not acted on yet",
        )
    level = simple[0].values[0]
    if isinstance(level, bool) or not isinstance(level, int | float) or not math.isfinite(level):
        raise EventRefused("SIMPLE level is not a number", where=where, got=repr(level), expected="0 to 3")
    if level != int(level) or not 0 <= level <= SIMPLE_LEVEL_MAX:
        raise EventRefused("SIMPLE level", where=where, got=level, expected="0, 1, 2 or 3")
    return int(level)


def _merge(windows: list[tuple[dt.datetime, dt.datetime]]) -> list[tuple[dt.datetime, dt.datetime]]:
    merged: list[tuple[dt.datetime, dt.datetime]] = []
    for start, end in windows:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def grid_event_id(event_id: str, part: int = 1) -> GridEventId:
    """The house's id of an event's window: the VTN's own id, with ``.2`` and so on for later windows.

    An id too long for the house, or one that starts with ``_`` or ``-``, becomes ``oadr3:`` and a hash.
    """
    plain = len(event_id) <= PLAIN_ID_MAX_CHARS and _PLAIN_ID.match(event_id)
    stem = event_id if plain else "oadr3:" + hashlib.sha256(event_id.encode()).hexdigest()[:32]
    return GridEventId(stem if part == 1 else f"{stem}.{part}")


def stem_of(ident: GridEventId) -> str:
    """The part of a grid event's id that all windows of one OpenADR event share (its ids hold no dot)."""
    return ident.partition(".")[0]


def performance_report(
    event_id: str, client_name: str, name: str, intervals: Sequence[tuple[dt.datetime, dt.datetime, float]]
) -> wire.Report:
    """A report of our performance: intervals ``(start, end, relief_kw)``, relief to the grid positive.

    OpenADR's sign is consumption positive, so each interval carries ``DEMAND`` = -relief in KW (mean) and
    ``USAGE`` = -relief x hours in KWH (summed): the net consumption of the enrolled resources against a
    baseline of zero, or their change against the baseline that the relief was computed from.
    Raises :class:`RevereError` for an empty, endless or reversed list and for values that are not finite.
    """
    if not 0 < len(intervals) <= wire.INTERVALS_MAX:
        raise RevereError("number of report intervals", got=len(intervals), expected=f"1 to {wire.INTERVALS_MAX}")
    rows = []
    for index, (start, end, relief_kw) in enumerate(intervals):
        length_s = (end - start).total_seconds()
        if start.tzinfo is None or length_s <= 0 or not math.isfinite(relief_kw):
            raise RevereError(
                "report interval", where=name, got=f"{start} to {end}: {relief_kw} kW", expected="end after start"
            )
        demand_kw = 0.0 - relief_kw
        rows.append(
            wire.Interval(
                id=index,
                intervalPeriod=wire.IntervalPeriod(start=iso(start), duration=_duration_text(length_s)),
                payloads=[
                    wire.ValuesMap(type="DEMAND", values=[round(demand_kw, 3)]),
                    wire.ValuesMap(type="USAGE", values=[round(demand_kw * length_s / 3600, 3)]),
                ],
            )
        )
    return wire.Report(
        eventID=event_id,
        clientName=client_name,
        reportName=name,
        payloadDescriptors=[
            wire.ReportPayloadDescriptor(payloadType="DEMAND", readingType="MEAN", units="KW"),
            wire.ReportPayloadDescriptor(payloadType="USAGE", readingType="SUMMED", units="KWH"),
        ],
        resources=[wire.ReportResource(resourceName=AGGREGATED, intervals=rows)],
    )


def _duration_text(length_s: float) -> str:
    return f"PT{length_s:.3f}".rstrip("0").rstrip(".") + "S"
