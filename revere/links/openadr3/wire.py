"""OpenADR 3.1.1 objects as they lie on the wire, with the standard's own names.

Source: the Alliance's OpenAPI file, version 3.1.1, components/schemas. Only what a polling VEN needs.
Times and durations stay text here: ``translate`` parses them and says why it refuses one. Unknown
fields are let through (the standard allows private ones); lengths are bounded as the standard bounds them.
"""
# ruff: noqa: N815 - the fields carry the standard's own names

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

import msgspec

BODY_MAX_BYTES = 1 << 20
PAGE_LIMIT = 50
INTERVALS_MAX = 1_000
TARGETS_MAX = 1_000

BEARER = r"^[A-Za-z0-9._~+/-]+=*$"
"""RFC 6750: nothing that could end a header line."""

ObjectID = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern="^[a-zA-Z0-9_-]*$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
DateTime = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Duration = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Value = float | int | str | bool | dict[str, Any]


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the wire structs. Absent fields are left out when encoding: the schema forbids most nulls."""


class IntervalPeriod(Wire, frozen=True, kw_only=True):
    """When an interval starts and how long it lasts; the event's own is the default of its intervals."""

    start: DateTime | None = None
    duration: Duration | None = None
    randomizeStart: Duration | None = None


class ValuesMap(Wire, frozen=True, kw_only=True):
    """One or more values of a payload type."""

    type: Name
    values: Annotated[list[Value], msgspec.Meta(max_length=1_000)]


class Interval(Wire, frozen=True, kw_only=True):
    """A window of time and what is said about it; ``id`` is a number of the client, not a sequence."""

    id: int
    payloads: Annotated[list[ValuesMap], msgspec.Meta(max_length=100)]
    intervalPeriod: IntervalPeriod | None = None


class Program(Wire, frozen=True, kw_only=True):
    """A program that the VTN offers."""

    id: ObjectID
    programName: Name


class Event(Wire, frozen=True, kw_only=True):
    """A utility's call. ``duration`` longer than the intervals would loop them.

    ``status`` is not the standard's (which deletes a cancelled event): some servers add it.
    """

    id: ObjectID
    programID: ObjectID
    modificationDateTime: DateTime
    createdDateTime: DateTime
    eventName: str | None = None
    duration: Duration | None = None
    priority: Annotated[int, msgspec.Meta(ge=0)] | None = None
    targets: Annotated[list[Name], msgspec.Meta(max_length=TARGETS_MAX)] | None = None
    intervalPeriod: IntervalPeriod | None = None
    intervals: Annotated[list[Interval], msgspec.Meta(max_length=INTERVALS_MAX)] | None = None
    status: str | None = None


class ReportPayloadDescriptor(Wire, frozen=True, kw_only=True, omit_defaults=False):
    """What a report's payload type means: units and how it was read."""

    objectType: str = "REPORT_PAYLOAD_DESCRIPTOR"
    payloadType: Name
    readingType: Name
    units: Name


class ReportResource(Wire, frozen=True, kw_only=True):
    """A resource's part of a report; ``AGGREGATED_REPORT`` names the sum over several."""

    resourceName: Name
    intervals: list[Interval]


class Report(Wire, frozen=True, kw_only=True):
    """The body that a VEN posts to ``/reports`` (schema ``reportRequest``)."""

    eventID: ObjectID
    clientName: Name
    reportName: str
    payloadDescriptors: list[ReportPayloadDescriptor]
    resources: list[ReportResource]


class ReportAnswer(Wire, frozen=True, kw_only=True):
    """What of a stored report we read back."""

    id: ObjectID
    eventID: ObjectID
    clientName: Name
    reportName: str | None = None


class Token(Wire, frozen=True, kw_only=True):
    """Answer of the token endpoint (RFC 6749, snake case)."""

    access_token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=BEARER)]
    token_type: str
    expires_in: Annotated[int, msgspec.Meta(ge=0)] | None = None


W = TypeVar("W", bound=Wire)


def parse_body(body: bytes) -> Any:
    """JSON of an HTTP body as plain values, nulls dropped from objects; raises ``ValueError``.

    Python's reader is used on purpose: it lets ``NaN`` through, so that one object with nonsense in it is
    refused by itself (``translate`` checks numbers) and the others of the list still count.
    Peers write ``"intervalPeriod": null`` although the schema forbids it: an absent field means the same.
    """
    if len(body) > BODY_MAX_BYTES:
        raise ValueError(f"body of {len(body)} bytes, at most {BODY_MAX_BYTES}")
    try:
        return _without_nulls(json.loads(body))
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def as_wire(value: Any, kind: type[W]) -> W:
    """``value`` of :func:`parse_body` as a wire struct; raises ``msgspec.ValidationError`` with the path."""
    return msgspec.convert(value, kind)
