"""Valid OCPP documents made from our own structs: what a fuzzer starts from, so that it gets past the first check."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, Final

from msgspec import inspect

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    import msgspec

    Make = Callable[[random.Random], Any]

ITEMS_MAX: Final = 3
ABSENT_ONE_IN: Final = 2
EPOCH: Final = dt.datetime(2026, 7, 16, 19, 30, tzinfo=dt.UTC)
NEAR_S: Final = 400_000
STAMPS: Final = (
    "2026-07-16T19:30:00Z",
    "2026-07-16t19:30:00.125+00:00",
    "2026-07-16T12:00:00-07:30",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00",
    "1970-01-01T00:00:00Z",
)
TEXTS: Final = ("", "a", "BUS-1", "Wh", "é", "漢字", "𝄞", '"\\', "a b\tc\n", "1", "-5.5", "2026-07-16", "x" * 36)
URIS: Final = ("https://logs.example/in", "ftp://u:p@h.example:21/a%20b?c=1")
NUMBERS: Final = (0, 1, -1, 2, 255, 65_536, 10**9)
FLOATS: Final = (0.0, 0.5, -0.1, 42_500.5, 1e-9, -1e12, 1e300, 5.0)


@functools.cache
def maker(kind: type[msgspec.Struct]) -> Make:
    """Makes documents that ``kind`` allows, as plain dictionaries."""
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    fields = [(field.encode_name, _maker(field.type), field.required) for field in shape.fields]

    def make(rng: random.Random) -> dict[str, Any]:
        return {name: one(rng) for name, one, required in fields if required or not rng.randrange(ABSENT_ONE_IN + 1)}

    return make


def _maker(shape: inspect.Type) -> Make:
    match shape:
        case inspect.Metadata():
            return _maker(shape.type)
        case inspect.StructType():
            kind = shape.cls
            return lambda rng: maker(kind)(rng)
        case inspect.UnionType():
            return _maker(next(kind for kind in shape.types if not isinstance(kind, inspect.NoneType)))
        case inspect.VarTupleType():
            return _array(shape)
        case inspect.LiteralType():
            values = shape.values
            return lambda rng: rng.choice(values)
        case inspect.IntType():
            return _number(shape, NUMBERS)
        case inspect.FloatType():
            return _number(shape, FLOATS)
        case inspect.StrType():
            return _text(shape)
        case inspect.DateTimeType():
            return _stamp
        case inspect.BoolType():
            return lambda rng: rng.random() < 0.5
        case inspect.AnyType():
            return lambda rng: rng.choice((None, "text", 5, [1, {"a": None}], {"b": 1.5}))
    raise AssertionError(f"no way to make {shape}")


def _array(shape: inspect.VarTupleType) -> Make:
    low = shape.min_length or 0
    high = min(shape.max_length or low + ITEMS_MAX, low + ITEMS_MAX)
    item = _maker(shape.item_type)
    return lambda rng: [item(rng) for _ in range(rng.randint(low, high))]


def _number(shape: inspect.IntType | inspect.FloatType, usual: tuple[float, ...]) -> Make:
    low = -1e300 if shape.ge is None else shape.ge
    high = 1e300 if shape.le is None else shape.le
    choices = [value for value in usual if low <= value <= high]
    choices += [edge for edge in (shape.ge, shape.le) if edge is not None]
    return lambda rng: rng.choice(choices)


def _text(shape: inspect.StrType) -> Make:
    if shape.pattern is not None:
        return lambda rng: rng.choice(URIS)
    low, high = shape.min_length or 0, shape.max_length or 100

    def make(rng: random.Random) -> str:
        text = rng.choice(TEXTS)
        if not rng.randrange(20):
            text = "y" * high
        return text[:high].ljust(low, "z")

    return make


def _stamp(rng: random.Random) -> str:
    if rng.randrange(4):
        return (EPOCH + dt.timedelta(seconds=rng.randint(-NEAR_S, NEAR_S))).isoformat()
    return rng.choice(STAMPS)
