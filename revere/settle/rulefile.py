"""Reading one TOML file of the rulebook strictly: every fault names file, key, both values and the way out."""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from decimal import Decimal
from typing import TypeVar

import msgspec

from revere.core.errors import RevereError

FILE_MAX_CHARS = 1_000_000
_PATH = re.compile(r"`\$(?P<path>[^`]*)`")

T = TypeVar("T", bound=msgspec.Struct)


class RulebookError(RevereError):
    """A rulebook file that must not be used."""


def bad(where: str, key: str, got: object, expected: object, remedy: str) -> RulebookError:
    """The refusal of one key of a rulebook file."""
    return RulebookError("the rulebook is refused", where=f"{where}: {key}", got=got, expected=expected, remedy=remedy)


def parse(name: str, text: str, kind: type[T]) -> T:
    """The struct of a file's text.

    Unknown keys are refused, and so are amounts that are not written as strings: a TOML number becomes a binary
    float, and money never does. Raises ``RulebookError``.
    """
    if len(text) > FILE_MAX_CHARS:
        raise bad(name, "file", f"{len(text)} characters", f"at most {FILE_MAX_CHARS}", "Split the file")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise bad(name, "syntax", str(fault), "TOML 1.0", "Correct the line named") from fault
    _check_keys(name, "", raw, kind)
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as fault:
        message = str(fault)
        match = _PATH.search(message)
        path = match["path"].lstrip(".") if match else ""
        expected = message.split(" - at ")[0]
        raise bad(name, path or "file", _value_at(raw, path), expected, "Correct the key named") from fault


def _check_keys(name: str, at: str, raw: object, kind: object) -> None:
    """Walk ``raw`` beside the struct's fields: unknown keys and unquoted amounts are refused."""
    if isinstance(raw, list):
        (item_kind, *_) = typing.get_args(kind) or (None,)
        for number, item in enumerate(raw):
            _check_keys(name, f"{at}[{number}]", item, item_kind)
        return
    if kind is Decimal or Decimal in typing.get_args(kind):
        if not isinstance(raw, str):
            raise bad(name, at, f"{raw!r}, unquoted", "an amount as a string", f'Write "{raw}"')
        return
    if not (isinstance(raw, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        path = f"{at}.{key}".lstrip(".")
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            remedy = f"Did you mean {near[0]}?" if near else "Remove it"
            raise bad(name, path, f"{key} = {value!r}", f"one of {', '.join(fields)}", remedy)
        _check_keys(name, path, value, fields[key])


def _value_at(raw: object, path: str) -> object:
    """The value under a path such as ``version[1].season``, None where there is none."""
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(raw, list) and step.isdigit() and int(step) < len(raw):
            raw = raw[int(step)]
        elif isinstance(raw, dict) and step in raw:
            raw = raw[step]
        else:
            return None
    return raw
