"""Frames for people's eyes: read leniently, secrets masked.

Masked are passwords and keys of every kind, tokens but for their ends, certificates and their requests but for their
length, and names and passwords in addresses. A frame that cannot be read is not shown: nobody knows what is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from revere.core.portrait import FrameShown
from revere.links.ocppj import framing, security

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
HIDDEN: Final = "•••"
SECRET_KEYS: Final = frozenset({"password", "apnpassword", "basicauthpassword", "simpin", "secret", "pin"})
TOKEN_KEYS: Final = frozenset(
    {
        "idtag",
        "idtoken",
        "parentidtag",
        "grouptoken",
        "emaid",
        "additionalidtoken",
        "masterpassgroupid",
        "customeridentifier",
    }
)
LONG_KEYS: Final = frozenset(
    {"certificate", "certificatechain", "csr", "exirequest", "exiresponse", "signingcertificate", "ocspresult"}
)
PERSONAL: Final = "NotifyCustomerInformation"
"""What it carries is told to who asked for it alone."""
SECRET_VARIABLES: Final = frozenset(name.casefold() for name in security.SECRETS) | SECRET_KEYS
TOKEN_VARIABLES: Final = frozenset({"masterpassgroupid"})
_userinfo = re.compile(r"(?<=://)[^/@\s]+@")
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
    """A decoded message without its secrets."""
    if isinstance(node, list):
        return [masked(part, key) for part in node]
    if isinstance(node, dict):
        return _fields(node)
    if not isinstance(node, str):
        return HIDDEN if key in SECRET_KEYS and node is not None else node
    if key in SECRET_KEYS:
        return HIDDEN
    if key in TOKEN_KEYS:
        return ends_of(node)
    if key in LONG_KEYS:
        return f"({len(node)} characters)"
    return _userinfo.sub(f"{HIDDEN}@", node)


def ends_of(token: str) -> str:
    """A token's last two characters, to tell two apart; none of a short one."""
    return HIDDEN + (token[-2:] if len(token) >= 8 else "")


def _fields(node: dict[str, Any]) -> dict[str, Any]:
    """An object's fields; the values of a secret variable, and a VPN's key, are hidden wherever they stand."""
    named = node.get("variable")
    name = named.get("name") if isinstance(named, dict) else node.get("key")
    plain = name.casefold() if isinstance(name, str) else ""
    found = {}
    for field, value in node.items():
        low = field.casefold()
        if (plain in SECRET_VARIABLES and low in ("value", "attributevalue", "variableattribute")) or (
            low == "key" and "server" in node
        ):
            found[field] = HIDDEN
        elif plain in TOKEN_VARIABLES and isinstance(value, str) and low in ("value", "attributevalue"):
            found[field] = ends_of(value)
        else:
            found[field] = masked(value, low)
    return found
