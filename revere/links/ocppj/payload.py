"""Payloads of calls and results: read strictly, then once more with the tolerance that real chargers need.

::

    bytes ─ strict ─▶ struct                          what the schema allows; the only path of a good station
              │ no
              └ mend ─ strict again ─▶ struct         counted
                          │ no
                          └▶ CallFailed               the complaint that mending left, with the standard's code

Mended, since neither can change what the rest means: fields that the standard does not know are left
out (never in a type that it leaves open), a whole number written as 5.0 is that number, a null where
a field may be absent is its absence, and a sample or meter value that is no good is left out, so
that one bad sample cannot lose the end of a session. A unit, a place or a sign is never guessed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
from msgspec import inspect

from revere.links.ocppj.bounds import SAMPLES_LOST_MAX
from revere.links.ocppj.framing import CallFailed

if TYPE_CHECKING:
    from revere.links.ocppj.bounds import Counters
    from revere.links.ocppj.framing import ErrorCode

T = TypeVar("T")

LOSABLE: Final = frozenset({"MeterValue", "SampledValue", "TransactionData", "TransactionDataSampledValue"})
"""Array elements that may be left out where they are no good: a missing reading is only missing."""


class PayloadReader(Generic[T]):
    """Reads the payloads of one message."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self, payload: bytes | msgspec.Raw, counters: Counters) -> T:
        """The payload as its struct; raises :class:`CallFailed` with the standard's code."""
        try:
            return self._decode(payload)
        except msgspec.ValidationError as error:
            return self._read_again(payload, error, counters)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise CallFailed("FormatViolation", f"{type(error).__name__}: {str(error)[:120]}") from error

    @functools.cached_property
    def _shape(self) -> inspect.Type:
        return inspect.type_info(self._kind)

    def _read_again(self, payload: bytes | msgspec.Raw, first: msgspec.ValidationError, counters: Counters) -> T:
        mending = _Mending()
        try:
            mended = mending.mend(msgspec.json.decode(payload), self._shape)
            value = msgspec.convert(mended, self._kind)
        except (msgspec.ValidationError, RecursionError, ValueError) as error:
            complaint = str(first if mending.samples else error)
            raise CallFailed(_code(complaint), complaint) from error
        counters.payloads_mended += 1
        counters.unknown_fields += mending.unknown_fields
        counters.samples_refused += mending.samples
        return value


def _code(complaint: str) -> ErrorCode:
    if "missing required field" in complaint:
        return "OccurrenceConstraintViolation"
    if complaint.startswith("Expected") and ", got" in complaint:
        return "TypeConstraintViolation"
    return "PropertyConstraintViolation"


@dataclass
class _Mending:
    """One payload's second reading: plain values in, plain values out."""

    unknown_fields: int = 0
    samples: int = 0

    def mend(self, value: object, shape: inspect.Type) -> object:
        if isinstance(shape, inspect.UnionType):
            shape = next(kind for kind in shape.types if not isinstance(kind, inspect.NoneType))
        if isinstance(shape, inspect.StructType) and isinstance(value, dict):
            return self._object(value, shape)
        if isinstance(shape, inspect.VarTupleType) and isinstance(value, list):
            return self._array(value, shape.item_type)
        if isinstance(shape, inspect.IntType) and isinstance(value, float) and value.is_integer():
            return int(value)
        return value

    def _object(self, value: dict[str, object], shape: inspect.StructType) -> dict[str, object]:
        known = {field.encode_name: field.type for field in shape.fields}
        mended = {name: self.mend(entry, known[name]) for name, entry in value.items() if name in known}
        if shape.forbid_unknown_fields:
            self.unknown_fields += len(value) - len(mended)
        return {name: entry for name, entry in mended.items() if entry != [] or value[name] == []}

    def _array(self, value: list[object], shape: inspect.Type) -> list[object]:
        mended = [self.mend(entry, shape) for entry in value]
        if not isinstance(shape, inspect.StructType) or shape.cls.__name__ not in LOSABLE:
            return mended
        good = []
        for entry in mended:
            if _converts(entry, shape.cls):
                good.append(entry)
            else:
                self.samples += 1
                if self.samples > SAMPLES_LOST_MAX:
                    raise ValueError(f"more than {SAMPLES_LOST_MAX} samples are no good")
        return good


def _converts(value: object, kind: type) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
