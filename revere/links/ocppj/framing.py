"""OCPP-J frames: what may come in, how it is parsed, how ours are written.

::

    [2, id, action, payload]   CALL          [5, id, code, text, details]  CALLRESULTERROR (2.1)
    [3, id, payload]           CALLRESULT    [6, id, action, payload]      SEND (2.1, no answer)
    [4, id, code, text, details]  CALLERROR

Cheap checks on the bytes come first, then one parser (msgspec: no lone surrogates, NaN or 1e999;
of a duplicate key the last counts, in every reading). The payload stays raw until its action's
struct decodes it. A well-made CALL is read in one go; anything else takes the slower way, which
knows what to say.
Source: OCPP 2.1 Part 4, sections 4.1 and 4.2.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from revere.core.errors import RevereError
from revere.links.ocppj.bounds import (
    ACTION_MAX_CHARS,
    FRAME_MAX_BYTES,
    LONG_FRAME_MAX_BYTES,
    MESSAGE_ID_MAX_CHARS,
)

CALL: Final = 2
CALLRESULT: Final = 3
CALLERROR: Final = 4
CALLRESULTERROR: Final = 5
SEND: Final = 6

ErrorCode = Literal[
    "FormatViolation",
    "FormationViolation",
    "GenericError",
    "InternalError",
    "MessageTypeNotSupported",
    "NotImplemented",
    "NotSupported",
    "OccurenceConstraintViolation",
    "OccurrenceConstraintViolation",
    "PropertyConstraintViolation",
    "ProtocolError",
    "RpcFrameworkError",
    "SecurityError",
    "TypeConstraintViolation",
]

LONG_CALLS: Final = frozenset({"NotifyReport", "ReportChargingProfiles", "NotifyEVChargingSchedule"})
LONG_ANSWERS: Final = frozenset({"GetCompositeSchedule"})
"""Actions whose calls, or whose answers, may have :data:`LONG_FRAME_MAX_BYTES`."""
_MessageId = Annotated[str, msgspec.Meta(min_length=1, max_length=MESSAGE_ID_MAX_CHARS)]
_Action = Annotated[str, msgspec.Meta(min_length=1, max_length=ACTION_MAX_CHARS)]
_call = msgspec.json.Decoder(tuple[Literal[2], _MessageId, _Action, msgspec.Raw])
_NUL: Final = 0
_BACKSLASH: Final = 0x5C
"""As numbers: a byte is sought by its number eight times faster than as a bytes object."""
_escaped_nul = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_head_of = re.compile(rb'\s*\[\s*(\d)\s*(?:,\s*("(?:[^"\\\x00-\x1f]|\\.){1,216}")\s*)?[,\]]')
"""Linear in what it reads. The longest id: 36 characters, each as an escape of six."""
HEAD_MAX_BYTES: Final = 256
_DESCRIPTION_MAX_CHARS: Final = 255
_parts = msgspec.json.Decoder(list[msgspec.Raw])
_kind = msgspec.json.Decoder(int)
_text = msgspec.json.Decoder(str)
_encoder = msgspec.json.Encoder()


class FrameRefused(RevereError):
    """A frame that is no OCPP message. A few cost their own exchange alone, many the connection."""

    code: ErrorCode = "FormatViolation"


class ShapeRefused(FrameRefused):
    """JSON, and no RPC message."""

    code = "RpcFrameworkError"


class CallFailed(RevereError):
    """A call that is understood as a frame and cannot be answered: becomes a CALLERROR."""

    def __init__(self, code: ErrorCode, what: str) -> None:
        self.code: ErrorCode = code
        super().__init__(what)


class Call(msgspec.Struct, frozen=True):
    """A request (``answered``), or an unconfirmed SEND."""

    message_id: str
    action: str
    payload: msgspec.Raw
    answered: bool = True


class Result(msgspec.Struct, frozen=True):
    """An answer to a call of ours."""

    message_id: str
    payload: msgspec.Raw


class Failure(msgspec.Struct, frozen=True):
    """A refusal of a call (``of_result`` False) or of a result of ours (True)."""

    message_id: str
    code: str
    description: str
    of_result: bool = False


class Ignored(msgspec.Struct, frozen=True):
    """A message type of a later standard, whose payload shall be ignored."""

    kind: int


Frame = Call | Result | Failure | Ignored


def _check_bytes(raw: bytes) -> None:
    if len(raw) > LONG_FRAME_MAX_BYTES:
        raise _too_long(raw, LONG_FRAME_MAX_BYTES)
    if _NUL in raw or (_BACKSLASH in raw and _escaped_nul.search(raw)):
        raise FrameRefused("NUL character in a frame")


def _too_long(raw: bytes, most: int) -> FrameRefused:
    return FrameRefused("frame too long", got=f"{len(raw)} bytes", expected=f"at most {most}")


def _short_text(raw: msgspec.Raw, max_chars: int, what: str) -> str:
    text = _text.decode(raw)
    if not 0 < len(text) <= max_chars:
        raise ShapeRefused(f"{what} of a wrong length", got=f"{len(text)} characters", expected=f"1 to {max_chars}")
    return text


def _assemble(parts: list[msgspec.Raw]) -> Frame:
    if len(parts) < 3:
        raise ShapeRefused("frame with too few elements", got=len(parts), expected="3 to 5")
    kind = _kind.decode(parts[0])
    if not CALL <= kind <= SEND:
        return Ignored(kind)
    message_id = _short_text(parts[1], MESSAGE_ID_MAX_CHARS, "message id")
    if kind in (CALL, SEND) and len(parts) == 4:
        action = _short_text(parts[2], ACTION_MAX_CHARS, "action")
        return Call(message_id, action, parts[3], kind == CALL)
    if kind == CALLRESULT and len(parts) == 3:
        return Result(message_id, parts[2])
    if kind in (CALLERROR, CALLRESULTERROR) and 4 <= len(parts) <= 5:
        code, description = _text.decode(parts[2]), _text.decode(parts[3])
        return Failure(message_id, code[:_DESCRIPTION_MAX_CHARS], description[:_DESCRIPTION_MAX_CHARS], kind == 5)
    raise ShapeRefused("wrong number of elements for its message type", got=f"{len(parts)} in a type {kind}")


def parse_frame(raw: bytes, *, long_answer: bool = False) -> Frame:
    """The frame in ``raw``; raises :class:`FrameRefused` for anything else, whatever it is.

    ``long_answer`` says that something was asked whose answer may be long.
    """
    _check_bytes(raw)
    frame = (_parse_call(raw) if raw.startswith(b"[2,") else None) or _parse(raw)
    if len(raw) > FRAME_MAX_BYTES:
        long_call = isinstance(frame, Call) and frame.action in LONG_CALLS
        if not (long_call or (long_answer and isinstance(frame, Result))):
            raise _too_long(raw, FRAME_MAX_BYTES)
    return frame


def _parse_call(raw: bytes) -> Call | None:
    """A well-made CALL in one go; None leaves it to :func:`_parse` to say what is wrong."""
    try:
        _, message_id, action, payload = _call.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return Call(message_id, action, payload)


def _parse(raw: bytes) -> Frame:
    refused = FrameRefused
    try:
        parts = _parts.decode(raw)
        refused = ShapeRefused
        return _assemble(parts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise refused("not an OCPP frame", got=f"{type(error).__name__}: {str(error)[:120]}") from error


def head(raw: bytes) -> tuple[int, str]:
    """Message type and id of a refused frame, from its first :data:`HEAD_MAX_BYTES`; 0 and "" where unreadable.

    No parser sees more of it than the id's own text.
    """
    found = _head_of.match(raw[:HEAD_MAX_BYTES])
    if found is None:
        return 0, ""
    try:
        message_id = _text.decode(found[2] or b'""')
    except (msgspec.DecodeError, UnicodeDecodeError):
        message_id = ""
    readable = len(message_id) <= MESSAGE_ID_MAX_CHARS and "\0" not in message_id
    return int(found[1]), message_id if readable else ""


def call_frame(message_id: str, action: str, payload: msgspec.Struct) -> bytes:
    """The bytes of a CALL."""
    return _encoder.encode((CALL, message_id, action, payload))


def result_frame(message_id: str, payload: msgspec.Struct) -> bytes:
    """The bytes of a CALLRESULT."""
    return _encoder.encode((CALLRESULT, message_id, payload))


def error_frame(message_id: str, code: ErrorCode, description: str) -> bytes:
    """The bytes of a CALLERROR."""
    return _encoder.encode((CALLERROR, message_id, code, description[:_DESCRIPTION_MAX_CHARS], {}))


def result_error_frame(message_id: str, code: ErrorCode, description: str) -> bytes:
    """The bytes of a CALLRESULTERROR: we could not read the station's answer (2.1 only)."""
    return _encoder.encode((CALLRESULTERROR, message_id, code, description[:_DESCRIPTION_MAX_CHARS], {}))
