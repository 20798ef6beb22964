"""The generated wire structs against the official schemas: the same messages, the same rules, both ways."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect
from ocpp_schemas import (
    MESSAGES,
    MODULES,
    ROOT,
    SCHEMAS,
    breaks,
    documents,
    fullest,
    instances,
    ocpp_structs,
    plain,
    struct,
    validator,
)

from revere.links.ocppj.bounds import Counters
from revere.links.ocppj.framing import Call, CallFailed, FrameRefused, parse_frame
from revere.links.ocppj.payload import PayloadReader

QUICK = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
COUNTS = {"v16": (39, 0), "v201": (64, 0), "v21": (90, 1)}
RULES = {
    "NUL": r"NUL character in a frame",
    "no such day or second": r"Invalid RFC3339 encoded datetime",
    "64 bits": r"Expected `int` [<>]= -?9223372036854775807|Number out of range",
    "address": r"Expected `str` matching regex",
    "bounded by the text": r"Expected `int` >= [01]\b|Expected `str` of length >= 1",
}
"""What we refuse although the schema lets it pass, by what the station is told."""


@pytest.mark.parametrize("edition", ocpp_structs.EDITIONS, ids=lambda edition: edition.folder)
def test_the_generated_files_are_what_the_tool_would_write(edition: Any) -> None:
    written = (ROOT / edition.module).read_text("utf-8")
    assert written == ocpp_structs.render(edition), "run `make structs`"


def test_a_schema_that_says_something_new_stops_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    schema: Any = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"x": {"type": "string", "pattern": "a"}},
    }
    monkeypatch.setattr(ocpp_structs, "schemas", lambda _: {"NewRequest": schema, "NewResponse": schema})
    with pytest.raises(SystemExit, match=r"NewRequest\.x: the schema says \['pattern'\]"):
        ocpp_structs.render(ocpp_structs.EDITIONS[2])
    del schema["properties"]["x"]["pattern"]
    with pytest.raises(SystemExit, match=r"Transaction\.transactionId is named here and in no schema"):
        ocpp_structs.render(ocpp_structs.EDITIONS[2])


@pytest.mark.parametrize("version", MODULES)
def test_the_registries_name_every_message_once(version: str) -> None:
    module = MODULES[version]
    named = [kind.__name__ for pair in module.CALLS.values() for kind in pair] + list(module.SENDS)
    assert sorted(named) == sorted(SCHEMAS[version])
    assert (len(module.CALLS), len(module.SENDS)) == COUNTS[version]
    request, response = ("", "Response") if version == "v16" else ("Request", "Response")
    for action, (asked, answered) in module.CALLS.items():
        assert (asked.__name__, answered.__name__) == (action + request, action + response)


@pytest.mark.parametrize(("version", "name"), MESSAGES)
@given(st.data())
@QUICK
def test_all_that_our_structs_can_say_holds_against_the_schema(version: str, name: str, data: st.DataObject) -> None:
    value = data.draw(instances(struct(version, name)))
    said = plain(value)
    faults = [f"{error.instance_path}: {error.message}" for error in validator(version, name).iter_errors(said)]
    assert not faults, (said, faults[:3])
    assert msgspec.convert(said, struct(version, name)) == value


@pytest.mark.parametrize(("version", "name"), MESSAGES)
@given(st.data())
@QUICK
def test_all_that_the_schema_allows_is_read_or_refused_by_a_named_rule(
    version: str, name: str, data: st.DataObject
) -> None:
    document = data.draw(documents(version, name))
    assert validator(version, name).is_valid(document)
    counters = Counters()
    refusal, value = "", None
    try:
        frame = parse_frame(json.dumps([2, "1", "Anything", document]).encode())
        assert isinstance(frame, Call)
        value = PayloadReader(struct(version, name)).read(frame.payload, counters)
    except (FrameRefused, CallFailed) as error:
        refusal = error.what
    if refusal:
        assert any(re.match(rule, refusal) for rule in RULES.values()), refusal
        return
    if counters != Counters():  # a sample of such a second was left out
        assert counters == Counters(payloads_mended=1, samples_refused=counters.samples_refused)
        assert counters.samples_refused
        return
    shape = inspect.type_info(struct(version, name))
    assert _meaning(plain(value), shape) == _meaning(document, shape)


def _meaning(value: Any, shape: inspect.Type) -> Any:
    """A document without what may be left unsaid: defaults, fields of one's own, how a time is written."""
    if isinstance(shape, inspect.UnionType):
        shape = next(kind for kind in shape.types if not isinstance(kind, inspect.NoneType))
    if isinstance(shape, inspect.StructType):
        known = {field.encode_name: field for field in shape.fields}
        return {
            key: _meaning(entry, known[key].type)
            for key, entry in value.items()
            if key in known and entry != known[key].default
        }
    if isinstance(shape, inspect.VarTupleType):
        return [_meaning(entry, shape.item_type) for entry in value]
    if isinstance(shape, inspect.DateTimeType):
        return msgspec.convert(value, dt.datetime)
    return value


@pytest.mark.parametrize("version", MODULES)
def test_every_rule_of_every_schema_is_enforced(version: str) -> None:
    """Each rule broken once, in an otherwise full message: the schema refuses it, and so do we."""
    broken = 0
    for name in SCHEMAS[version]:
        for long in (False, True):
            whole = fullest(version, name, long=long)
            assert validator(version, name).is_valid(whole), name
            msgspec.convert(whole, struct(version, name))
        decoder = msgspec.json.Decoder(struct(version, name))
        for attempt in breaks(version, name):
            where = f"{name} {attempt.where} {attempt.rule}"
            assert not validator(version, name).is_valid(attempt.document), where
            with pytest.raises(msgspec.ValidationError):
                decoder.decode(json.dumps(attempt.document))
            broken += 1
    assert broken == {"v16": 709, "v201": 3842, "v21": 9052}[version]
