"""The official schemas as strategies and as lists of ways to break them; our structs as strategies."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import json
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import msgspec
from hypothesis import strategies as st
from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
ocpp_structs = import_module("ocpp_structs")

Json = Any
CHARACTERS: Final = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
TEXT: Final = st.text(CHARACTERS, max_size=20)
MODULES: Final[dict[str, ModuleType]] = {
    edition.folder: import_module(edition.module.removesuffix(".py").replace("/", "."))
    for edition in ocpp_structs.EDITIONS
}
SCHEMAS: Final[dict[str, dict[str, Json]]] = {
    edition.folder: ocpp_structs.schemas(edition) for edition in ocpp_structs.EDITIONS
}
MESSAGES: Final = [(version, name) for version, names in SCHEMAS.items() for name in names]


def struct(version: str, name: str) -> type[msgspec.Struct]:
    """Our struct of a message."""
    found: type[msgspec.Struct] = getattr(MODULES[version], name)
    return found


@functools.cache
def validator(version: str, name: str) -> Any:
    """The official schema, formats checked too."""
    return jsonschema_rs.validator_for(SCHEMAS[version][name], validate_formats=True)


# Our structs ------------------------------------------------------------------------------------------


@functools.cache
def instances(kind: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    """Whatever the annotations of a struct allow."""
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    required = {f.name: _of(f.type) for f in shape.fields if f.required}
    optional = {f.name: _of(f.type) for f in shape.fields if not f.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: kind(**given))


def _of(shape: inspect.Type) -> st.SearchStrategy[Any]:
    match shape:
        case inspect.Metadata():
            assert shape.extra == {"multiple_of": 0.1}
            return st.integers(-(10**9), 10**9).map(lambda n: n / 10)
        case inspect.StructType():
            return instances(shape.cls)
        case inspect.UnionType():
            [kind] = [kind for kind in shape.types if not isinstance(kind, inspect.NoneType)]
            return _of(kind)
        case inspect.VarTupleType():
            low = shape.min_length or 0
            high = min(shape.max_length or low + 3, low + 3)
            return st.lists(_of(shape.item_type), min_size=low, max_size=high).map(tuple)
        case inspect.TupleType():
            return st.tuples(*(_of(item) for item in shape.item_types))
        case inspect.LiteralType():
            return st.sampled_from(shape.values)
        case inspect.IntType():
            return st.integers(shape.ge, shape.le)
        case inspect.FloatType():
            return st.floats(shape.ge, shape.le, allow_nan=False, allow_infinity=False)
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern)
        case inspect.StrType():
            return st.text(CHARACTERS, min_size=shape.min_length or 0, max_size=shape.max_length)
        case inspect.DateTimeType():
            return st.datetimes(timezones=st.just(dt.UTC))
        case inspect.BoolType():
            return st.booleans()
        case inspect.AnyType():
            return TEXT | st.integers(-1000, 1000) | st.dictionaries(TEXT, st.booleans(), max_size=2)
    raise AssertionError(f"no strategy for {shape}")


# The schemas ------------------------------------------------------------------------------------------


@functools.cache
def documents(version: str, name: str) -> st.SearchStrategy[Json]:
    """Whatever the schema of a message allows."""
    return _document(SCHEMAS[version][name], SCHEMAS[version][name].get("definitions", {}))


def _target(schema: Json, definitions: Json) -> Json:
    return definitions[schema["$ref"].removeprefix("#/definitions/")] if "$ref" in schema else schema


STAMPS: Final = st.builds(
    lambda at, letter, fraction, zone: at.strftime(f"%Y-%m-%d{letter}%H:%M:%S").zfill(19) + fraction + zone,
    st.datetimes(timezones=st.just(dt.UTC)),
    st.sampled_from("Tt"),
    st.just("") | st.from_regex(r"\.[0-9]{1,12}", fullmatch=True),
    st.sampled_from(["Z", "z", "+00:00", "-00:00", "+05:30", "-23:59", "+23:59"]),
)
ODD_STAMPS: Final = ["2016-12-31T23:59:60Z", "0000-02-29T00:00:00Z", "9999-12-31T23:59:59.9999999Z"]


def _document(schema: Json, definitions: Json) -> st.SearchStrategy[Json]:
    schema = _target(schema, definitions)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            required = set(schema.get("required", ()))
            fields = {key: _document(value, definitions) for key, value in properties.items()}
            known = st.fixed_dictionaries(
                {key: value for key, value in fields.items() if key in required},
                optional={key: value for key, value in fields.items() if key not in required},
            )
            if schema.get("additionalProperties") is False:
                return known
            return st.builds(lambda more, own: {**more, **own}, st.dictionaries(TEXT, TEXT, max_size=2), known)
        case "array":
            low = schema.get("minItems", 0)
            high = min(schema.get("maxItems", low + 2), low + 2)
            return st.lists(_document(schema["items"], definitions), min_size=low, max_size=high)
        case "string":
            match schema.get("format"):
                case "date-time":
                    return STAMPS | st.sampled_from(ODD_STAMPS)
                case "uri":
                    return st.sampled_from(["ftp://u:p@h.example:21/a%20b?c=1", "urn:x:y", "https://[::1]/x", "a:b"])
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=schema.get("maxLength", 100))
        case "integer":
            low, high = schema.get("minimum"), schema.get("maximum")
            low, high = (None if low is None else int(low)), (None if high is None else int(high))
            return st.integers(low, high)
        case "number" if schema.get("multipleOf"):
            return st.integers(-(10**6), 10**6).map(lambda n: n / 10)
        case "number":
            return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
    return st.none() | TEXT | st.lists(st.integers(0, 9), max_size=2)


def fullest(version: str, name: str, *, long: bool = False) -> Json:
    """A message with every field; strings and arrays as long as they may be where ``long``."""
    whole = SCHEMAS[version][name]
    return _fullest(whole, whole.get("definitions", {}), long=long)


def _fullest(schema: Json, definitions: Json, *, long: bool) -> Json:
    schema = _target(schema, definitions)
    if "enum" in schema:
        return schema["enum"][-1]
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {key: _fullest(value, definitions, long=long) for key, value in properties.items()}
        case "array":
            count = schema.get("maxItems", 1) if long else 1
            return [_fullest(schema["items"], definitions, long=long)] * min(count, 1024)
        case "string":
            match schema.get("format"):
                case "date-time":
                    return "2026-07-16T19:30:00.125Z"
                case "uri":
                    return "https://logs.example/here"
            return "é" * schema.get("maxLength", 8) if long else "a"
        case "integer" | "number" as kind:
            value = schema.get("maximum", 5) if long else schema.get("minimum", schema.get("maximum", 2))
            return int(value) if kind == "integer" else float(value)
        case "boolean":
            return True
    return "anything"


@dataclass(frozen=True, kw_only=True)
class Break:
    """One way to break one rule of a schema."""

    rule: str
    where: str
    document: Json


def breaks(version: str, name: str) -> Iterator[Break]:
    """Every rule of a message's schema, broken once in an otherwise full message."""
    whole = SCHEMAS[version][name]
    root = [fullest(version, name)]
    for path, schema in _places(whole, whole.get("definitions", {}), (0,)):
        for rule, change in _changes(schema):
            document = copy.deepcopy(root)
            holder = functools.reduce(lambda value, key: value[key], path[:-1], document)
            holder[path[-1]] = change(holder[path[-1]])
            yield Break(rule=rule, where="/".join(map(str, path[1:])), document=document[0])


def _places(schema: Json, definitions: Json, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Json]]:
    schema = _target(schema, definitions)
    yield path, schema
    for key, value in schema.get("properties", {}).items():
        yield from _places(value, definitions, (*path, key))
    if "items" in schema:
        yield from _places(schema["items"], definitions, (*path, 0))


def _changes(schema: Json) -> Iterator[tuple[str, Any]]:
    if "enum" in schema:
        yield "enum", lambda _: "Nonesuch"
    if "maxLength" in schema:
        yield "maxLength", lambda _: "x" * (schema["maxLength"] + 1)
    if "minItems" in schema:
        yield "minItems", lambda value: value[: schema["minItems"] - 1]
    if "maxItems" in schema:
        yield "maxItems", lambda value: value * (schema["maxItems"] + 1)
    if "minimum" in schema:
        yield "minimum", lambda _: schema["minimum"] - 1
    if "maximum" in schema:
        yield "maximum", lambda _: schema["maximum"] + 1
    if schema.get("format") == "date-time":
        yield "format", lambda _: "16.07.2026 19:30"
    if schema.get("format") == "uri":
        yield "format", lambda _: "somewhere over there"
    if "type" in schema:
        wrong = {"string": 5, "integer": 1.5, "number": "1", "boolean": 1, "array": {}, "object": []}
        yield "type", lambda _: wrong[schema["type"]]
    for key in schema.get("required", ()):
        yield "required", lambda value, key=key: {k: v for k, v in value.items() if k != key}
    if schema.get("additionalProperties") is False and schema.get("type") == "object":
        yield "additionalProperties", lambda value: {**value, "invented": 1}


def plain(value: Any) -> Json:
    """What a struct says on the wire."""
    return json.loads(msgspec.json.encode(value))
