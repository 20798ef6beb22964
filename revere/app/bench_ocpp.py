"""How many OCPP 2.1 messages a second one core reads, checks in full and answers, without a socket.

Rates are per second of processor time, so that another's load on the machine does not count. The
peer is PyPI ``ocpp`` where it is installed, in the same run, by its own way of doing the same:
unpack, validate, handle, validate the answer, pack.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import statistics
from typing import TYPE_CHECKING, Any, Final

from revere.core.errors import RevereError
from revere.core.time import cpu_s
from revere.links.ocpp2.wire import v21
from revere.links.ocppj.bounds import Counters
from revere.links.ocppj.framing import Call, parse_frame, result_frame
from revere.links.ocppj.payload import PayloadReader

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS: Final = 5
OURS_EACH: Final = 100_000
PEERS_EACH: Final = 500
FRAME_BYTES: Final = 923

READERS: Final = {action: PayloadReader(request) for action, (request, _) in v21.CALLS.items()}


def messages_per_s() -> dict[str, Any]:
    """A TransactionEvent of 923 bytes with four samples: decoded, validated, answered. Medians."""
    frame, counters = transaction_event(), Counters()
    prove_checks(frame, counters)
    ours = _rate(lambda: answer(frame, counters), OURS_EACH)
    figures: dict[str, Any] = {"transaction_event_per_s": round(ours), "frame_bytes": len(frame)}
    if importlib.util.find_spec("ocpp") is None:
        return figures | {"peer": "PyPI ocpp is not installed"}
    peer = asyncio.run(_peer_rate(frame))
    return figures | {"peer_ocpp_per_s": round(peer), "times_the_peer": round(ours / peer)}


def transaction_event() -> bytes:
    """The frame: a bus that gives power, as its station says it each minute."""
    stamp = "2026-07-16T19:30:00Z"
    values = (
        ("Energy.Active.Import.Register", 1_204_500, "Wh"),
        ("Energy.Active.Export.Register", 88_123, "Wh"),
        ("Power.Active.Export", 42_500.5, "W"),
        ("SoC", 63.5, "Percent"),
    )
    samples = [
        {
            "value": value,
            "context": "Sample.Periodic",
            "measurand": measurand,
            "location": "Inlet",
            "unitOfMeasure": {"unit": unit},
        }
        for measurand, value, unit in values
    ]
    payload: dict[str, Any] = {
        "eventType": "Updated",
        "timestamp": stamp,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 42,
        "transactionInfo": {
            "transactionId": "acton-boxborough-cs01-1784230200-17",
            "chargingState": "Charging",
            "operationMode": "CentralSetpoint",
        },
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": stamp, "sampledValue": samples}],
    }
    bare = len(_packed("", payload))
    return _packed("m" * (FRAME_BYTES - bare), payload)


def _packed(message_id: str, payload: dict[str, Any]) -> bytes:
    return json.dumps([2, message_id, "TransactionEvent", payload], separators=(",", ":")).encode()


def answer(raw: bytes, counters: Counters) -> bytes:
    """The answer to one call, by the parts that a connection uses."""
    call = parse_frame(raw)
    assert isinstance(call, Call)
    READERS[call.action].read(call.payload, counters)
    return result_frame(call.message_id, v21.TransactionEventResponse())


def prove_checks(frame: bytes, counters: Counters) -> None:
    """The checks are on: a length, a range, an enumeration, a NUL and a missing field are each refused."""
    broken = (
        frame.replace(b"cs01", b"cs01" * 3),
        frame.replace(b'"seqNo":42', b'"seqNo":-1'),
        frame.replace(b"CentralSetpoint", b"SomeSetpoint"),
        frame.replace(b"Charging", b"Charg\\u0000ng"),
        frame.replace(b'"eventType":"Updated",', b""),
    )
    for attempt in broken:
        try:
            answer(attempt, counters)
        except RevereError:
            continue
        raise AssertionError(f"not refused: {attempt[:300]!r}")
    assert json.loads(answer(frame, counters))[0] == 3


def _rate(once: Callable[[], object], times: int) -> float:
    rates = []
    for _ in range(ROUNDS):
        started = cpu_s()
        for _ in range(times):
            once()
        rates.append(times / (cpu_s() - started))
    return statistics.median(rates)


async def _peer_rate(frame: bytes) -> float:
    messages: Any = importlib.import_module("ocpp.messages")
    routing: Any = importlib.import_module("ocpp.routing")
    v21_peer: Any = importlib.import_module("ocpp.v21")

    class Socket:
        """Takes the answers."""

        async def send(self, text: str) -> None:
            self.last = text

    class Peer(v21_peer.ChargePoint):  # type: ignore[misc]
        """Answers as we do."""

        @routing.on("TransactionEvent")  # type: ignore[untyped-decorator]
        async def heard(self, **_: Any) -> Any:
            return v21_peer.call_result.TransactionEvent()

    messages.ASYNC_VALIDATION = False  # its thread pool gains nothing under the interpreter lock
    socket, text = Socket(), frame.decode()
    peer = Peer("bench", socket)
    rates = []
    for _ in range(ROUNDS):
        started = cpu_s()
        for _ in range(PEERS_EACH):
            await peer.route_message(text)
        rates.append(PEERS_EACH / (cpu_s() - started))
    assert json.loads(socket.last)[0] == 3
    return statistics.median(rates)
