"""Hand-made WebSocket and OCPP frames of the crowd, as cheap as they can be."""

from __future__ import annotations

import json
from typing import Any, Final

from revere.app.bench_ocpp import transaction_event
from revere.links.ocppj.bounds import MESSAGE_ID_MAX_CHARS

TEXT: Final = 1
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
CALL: Final = ord("2")
RESULT: Final = ord("3")
_MASKED: Final = 0x80
_NO_MASK: Final = bytes(4)
"""A mask of zeros is a mask: the server takes it off as any other."""


def packed(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame."""
    length = len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, _MASKED | length))
    elif length < 65_536:
        head = bytes((0x80 | opcode, _MASKED | 126, length >> 8, length & 255))
    else:
        head = bytes((0x80 | opcode, _MASKED | 127)) + length.to_bytes(8, "big")
    return b"".join((head, _NO_MASK, payload))


def split(buffer: bytes) -> tuple[int, bytes | None, bytes]:
    """The first of a server's frames, (opcode, payload, the rest); payload None where it is not whole yet."""
    have = len(buffer)
    if have < 2:
        return 0, None, buffer
    length, start = buffer[1] & 127, 2
    if length == 126:
        length, start = int.from_bytes(buffer[2:4], "big"), 4
    elif length == 127:
        length, start = int.from_bytes(buffer[2:10], "big"), 10
    if have < start + length:
        return 0, None, buffer
    return buffer[0] & 15, buffer[start : start + length], buffer[start + length :]


def transaction_id(station: str) -> str:
    """A station's one transaction; its length makes the frame with a stamp in milliseconds as long as the bench's."""
    return station.ljust(27, "x")


def _event_template() -> bytes:
    """The bench's frame with places for id, transaction, stamp and number."""
    return (
        transaction_event()
        .replace(b"m" * MESSAGE_ID_MAX_CHARS, b"%(id)s", 1)
        .replace(b"2026-07-16T19:30:00Z", b"%(stamp)s")
        .replace(b'"seqNo":42', b'"seqNo":%(seq)d')
        .replace(b"acton-boxborough-cs01-1784230200-17", b"%(transaction)s")
    )


_EVENT: Final = _event_template()


def event(station: str, seq: int, stamp: str) -> bytes:
    """The bench's transaction event of 923 bytes, with this number and at this time."""
    return _EVENT % {
        b"id": str(seq).rjust(MESSAGE_ID_MAX_CHARS, "m").encode(),
        b"transaction": transaction_id(station).encode(),
        b"stamp": stamp.encode(),
        b"seq": seq,
    }


def started(station: str, token: str, stamp: str) -> bytes:
    """The first event of a transaction."""
    payload = {
        "eventType": "Started",
        "timestamp": stamp,
        "triggerReason": "Authorized",
        "seqNo": 0,
        "transactionInfo": {"transactionId": transaction_id(station), "chargingState": "Charging"},
        "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": token, "type": "ISO14443"},
    }
    return json.dumps([2, "start", "TransactionEvent", payload]).encode()


def reaction(message_id: str, action: str, asked: dict[str, Any]) -> bytes:
    """What a willing station answers; it has no device model to report."""
    answer: dict[str, Any] = {"status": "Accepted"}
    match action:
        case "SetVariables":
            answer = {
                "setVariableResult": [
                    {"attributeStatus": "Accepted", "component": one["component"], "variable": one["variable"]}
                    for one in asked["setVariableData"]
                ]
            }
        case "GetVariables":
            answer = {
                "getVariableResult": [
                    {"attributeStatus": "UnknownVariable", "component": one["component"], "variable": one["variable"]}
                    for one in asked["getVariableData"]
                ]
            }
        case "GetBaseReport":
            answer = {"status": "NotSupported"}
        case "GetCompositeSchedule":
            answer = {"status": "Rejected"}
    return json.dumps([3, message_id, answer]).encode()
