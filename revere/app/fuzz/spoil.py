"""Ways to spoil a valid document or frame: what broken, careless and hostile stations send.

::

    document ─ spoil_document ─▶ document ─ JSON ─ spoil_text ─▶ text ─ spoil_bytes ─▶ bytes
               wrong types, lost          the same key twice,      flips, cuts, what
               or unknown fields          huge numbers, depth,     belongs to no text
                                          NUL, lone surrogates
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random

WRONG: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 5.0, 1e308, 2**63, -(2**70), "", "Nonesuch", "x" * 11_000, [], {}, [[]], [None], {"a": 1},
    "2026-02-30T25:61:61Z", "2026-07-16T19:30:00", "NaN",
)  # fmt: skip
TOKENS: Final = (
    '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"a\\\\u0000"', "\x00", "NaN", "Infinity", "-Infinity", "1e999",
    "-1e999", "9" * 400, "-" + "9" * 4_400, "0.1e-400", "1E5", "5.0", "-0", "01", "null", "true", '""', "{}", "[]",
    "[" * 600 + "]" * 600, '{"a":' * 600 + "1" + "}" * 600, "[" * 70_000, '"' + "x" * 70_000 + '"', '"\\u00e9"', "/**/",
)  # fmt: skip
BYTES: Final = (b"\x00", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b'"', b"\\", b"{", b"]", b",", b"\xef\xbb\xbf", b" ")
_KEY: Final = re.compile(r'"((?:[^"\\]|\\.)*)":')
_VALUE: Final = re.compile(r'(?<=[:\[,])(?:"(?:[^"\\]|\\.)*"|[-0-9.eE+]+|true|false|null)(?=[,\]}])')
_json: Final = json.JSONDecoder()


def spoil_document(document: Any, rng: random.Random) -> Any:
    """The document with one thing about it changed, somewhere."""
    holder, key = _place(document, rng)
    if holder is None:
        return _wrong(rng)
    way = rng.randrange(5)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder["invented"] = _wrong(rng)
    elif way == 2 and isinstance(holder[key], list) and holder[key]:
        holder[key] = holder[key] * rng.choice((2, 5, 1_025))
    else:
        holder[key] = _wrong(rng)
    return document


def _wrong(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(WRONG))


def _place(document: Any, rng: random.Random) -> tuple[Any, Any]:
    """A random place in the document: what holds it and under which key or index."""
    holder, key, here = None, None, document
    while isinstance(here, dict | list) and here and (holder is None or rng.randrange(3)):
        holder = here
        key = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
        here = holder[key]
    return holder, key


def spoil_text(text: str, rng: random.Random) -> str:
    """JSON text with one thing that a tree cannot say."""
    way = rng.randrange(3)
    if way == 0:
        return _key_again(text, rng)
    found = [match.span() for match in _VALUE.finditer(text)]
    if not found:
        return text + rng.choice(TOKENS)
    start, end = rng.choice(found)
    return text[:start] + rng.choice(TOKENS) + text[end:]


def _key_again(text: str, rng: random.Random) -> str:
    """A key for a second time in its object, the odd value first or last, perhaps spelled with an escape."""
    keys = list(_KEY.finditer(text))
    if not keys:
        return text
    key = rng.choice(keys)
    spelled = key[1]
    if spelled and spelled[0].isalpha() and rng.randrange(2):
        spelled = f"\\u{ord(spelled[0]):04x}{spelled[1:]}"
    token = rng.choice(TOKENS[:24]) if rng.randrange(2) else json.dumps(rng.choice(WRONG))
    if rng.randrange(2):
        return f'{text[: key.start()]}"{spelled}":{token},{text[key.start() :]}'
    try:
        _, end = _json.raw_decode(text, key.end())
    except (ValueError, RecursionError):
        return text
    return f'{text[:end]},"{spelled}":{token}{text[end:]}'


def spoil_bytes(raw: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut, doubled or put in."""
    at = rng.randrange(len(raw) + 1)
    match rng.randrange(5):
        case 0 if raw:
            at = min(at, len(raw) - 1)
            return raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
        case 1:
            return raw[:at]
        case 2:
            return raw[:at] + raw[at + rng.randrange(1, 20) :]
        case 3:
            return raw[:at] + raw[max(0, at - rng.randrange(1, 60)) :]
    return raw[:at] + rng.choice(BYTES) + raw[at:]
