"""Frames for people's eyes: read leniently, secrets masked by the one rule of :mod:`security`.

Masked are passwords and keys of every kind, tokens but for their ends, certificates and their requests but for their
length, and names and passwords in addresses. A frame that cannot be read is not shown: nobody knows what is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from revere.core.portrait import FrameShown
from revere.links.ocppj import framing, security
from revere.links.ocppj.security import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.links.ocppj.frames import Frame

Kind = Literal["call", "answer", "refusal", "send", "unreadable"]
KINDS: Final[dict[int, Kind]] = {
    framing.CALL: "call",
    framing.CALLRESULT: "answer",
    framing.CALLERROR: "refusal",
    framing.CALLRESULTERROR: "refusal",
    framing.SEND: "send",
}
STRUCTURE: Final = frozenset({"key", "configurationkey", "unknownkey"})
"""Fields that carry the names of 1.6's configuration keys, not keys; beside a server's name it is a VPN's."""
NAMES: Final = ("key", "name", "variable", "component")
"""Fields that say what the others of an object are about."""
VALUES: Final = frozenset({"value", "attributevalue", "actualvalue", "variableattribute", "target", "techinfo", "data"})
WORDS: Final = frozenset({"techinfo", "additionalinfo", "extrainfo", "data", "info"})
"""A maker's own words."""
LONG_KEYS: Final = frozenset(
    {"certificate", "certificatechain", "csr", "exirequest", "exiresponse", "signingcertificate", "ocspresult"}
)
PERSONAL: Final = "NotifyCustomerInformation"
"""What it carries is told to who asked for it alone."""
_parse = msgspec.json.Decoder(list[Any])
_head = re.compile(rb'^\s*\[\s*(\d+)\s*,\s*"([^"\\]{1,64})"\s*(?:,\s*"([^"\\]{1,64})")?')


def shown(frames: Sequence[Frame]) -> tuple[FrameShown, ...]:
    """Frames as a person may see them, in their order."""
    asked: dict[tuple[bool, str], str] = {}
    found = []
    for at, incoming, size, raw in frames:
        kind, message_id, action, text = _read(raw, whole=size == len(raw))
        if kind in ("call", "send"):
            asked[incoming, message_id] = action
        else:
            action = asked.pop((not incoming, message_id), "")
        found.append(FrameShown(at=at, incoming=incoming, kind=kind, action=action, size_bytes=size, text=text))
    return tuple(found)


def _read(raw: bytes, *, whole: bool) -> tuple[Kind, str, str, str]:
    """(kind, message id, action, text) of a frame, or of the head of a long one."""
    if not whole:
        head = _head.match(raw)
        if head is None or int(head[1]) not in KINDS:
            return "unreadable", "", "", ""
        return KINDS[int(head[1])], head[2].decode(errors="replace"), (head[3] or b"").decode(errors="replace"), ""
    try:
        parts = _parse.decode(raw)
        kind, message_id = KINDS[parts[0]], str(parts[1])
        action = str(parts[2]) if kind in ("call", "send") else ""
        if action == PERSONAL and isinstance(parts[3].get("data"), str):
            parts[3]["data"] = f"({len(parts[3]['data'])} characters)"
        text = msgspec.json.encode(masked(parts)).decode()
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ):
        return "unreadable", "", "", ""
    return kind, message_id, action, text


def masked(node: Any, key: str = "") -> Any:
    """A decoded message without its secrets; ``key`` is the field in which it stands."""
    if isinstance(node, dict):
        return _fields(node)
    if key not in STRUCTURE and node is not None and security.secret(key):
        return HIDDEN
    if isinstance(node, list):
        return [masked(part, key) for part in node]
    if not isinstance(node, str):
        return HIDDEN if node is not None and not isinstance(node, bool) and security.personal(key) else node
    if security.personal(key):
        return security.ends_of(node)
    if key in LONG_KEYS:
        return f"({len(node)} characters)"
    if node.lstrip()[:1] in ("{", "["):
        return _nested(node)
    return security.quoted(node) if key in WORDS else security.clean(node)


def _nested(text: str) -> str:
    """JSON within a string, as vendors' messages carry it, without its secrets; other words as a maker's own."""
    try:
        return msgspec.json.encode(masked(msgspec.json.decode(text))).decode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return security.quoted(text)


def _fields(node: dict[str, Any]) -> dict[str, Any]:
    """An object's fields; the values of a secret variable, and a VPN's key, are hidden wherever they stand."""
    about = ".".join(_named(value) for field, value in node.items() if field.casefold() in NAMES)
    hidden, personal = security.secret(about), security.personal(about)
    found: dict[str, Any] = {}
    for field, value in node.items():
        low = field.casefold()
        if isinstance(value, dict | list) and not value:
            found[field] = value
        elif (
            (hidden and low in VALUES)
            or (low == "key" and "server" in node)
            or (low not in STRUCTURE and value is not None and security.secret(field))
        ):
            found[field] = HIDDEN
        elif personal and low in VALUES:
            found[field] = _ends(value)
        else:
            found[field] = masked(value, low)
    return found


def _named(value: Any) -> str:
    """What a name says: itself, or the name and instance of a component or variable."""
    if isinstance(value, dict):
        return ".".join(str(part) for field, part in value.items() if field.casefold() in ("name", "instance"))
    return value if isinstance(value, str) else ""


def _ends(node: Any) -> Any:
    """What is told of a person or vehicle, each value by its ends."""
    if isinstance(node, dict):
        return {field: _ends(value) if field.casefold() in VALUES else value for field, value in node.items()}
    if isinstance(node, list):
        return [_ends(part) for part in node]
    if node is None:
        return None
    return security.ends_of(node) if isinstance(node, str) else HIDDEN
