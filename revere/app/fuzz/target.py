"""What a fuzzed frame goes through, and what must hold whatever it says.

* a frame is refused or read, never anything else;
* it means one thing: both ways of taking a frame apart agree, and what we read of a payload is what we read when
  another JSON reader has written it anew, each key once (of a repeated one the last);
* a call gets one answer with its own id, or its connection is closed for a named reason; what is no message gets
  one refusal at most;
* nothing that a station says makes a fact that the journal cannot hold;
* nothing is logged as a fault of ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from revere.app.reach.fleet import bench_fleet, directory
from revere.control.image import Image
from revere.core.facts import Fact, decode_fact, encode_fact
from revere.core.time import WallClock, parse_iso
from revere.links.ocpp2.version import V21, V201, Reader
from revere.links.ocpp2.wire import v21, v201
from revere.links.ocpp16 import wire as v16
from revere.links.ocppj.bounds import Counters
from revere.links.ocppj.connection import POLICY_VIOLATION, PROTOCOL_ERROR
from revere.links.ocppj.framing import Call, CallFailed, FrameRefused, Result, parse_frame
from revere.links.ocppj.payload import PayloadReader
from revere.links.ocppj.server import OcppServer
from revere.links.ocppj.transport import Disconnected

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from revere.core.assets import Protocol

TURNS_MAX: Final = 200
"""Turns of the loop within which a call must be answered, nothing being waited for."""
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
EDITIONS: Final[dict[Protocol, ModuleType]] = {"ocpp1.6": v16, "ocpp2.0.1": v201, "ocpp2.1": v21}
ANSWERS: Final[dict[Protocol, dict[str, PayloadReader[Any]]]] = {
    protocol: {action: PayloadReader(pair[1]) for action, pair in wire.CALLS.items()}
    for protocol, wire in EDITIONS.items()
}


def _calls(protocol: Protocol, wire: ModuleType) -> dict[str, PayloadReader[Any] | Reader[Any]]:
    if protocol == "ocpp2.0.1":  # read as 2.0.1, lifted into 2.1's words
        return {action: Reader(V201, getattr(v21, pair[0].__name__)) for action, pair in wire.CALLS.items()}
    if protocol == "ocpp2.1":
        sends = {action: PayloadReader(kind) for action, kind in wire.SENDS.items()}
        return {**{action: Reader(V21, pair[0]) for action, pair in wire.CALLS.items()}, **sends}
    return {action: PayloadReader(pair[0]) for action, pair in wire.CALLS.items()}


CALLS: Final = {protocol: _calls(protocol, wire) for protocol, wire in EDITIONS.items()}


class Broken(AssertionError):
    """What must hold did not, with the frame that shows it."""


class Tally(msgspec.Struct):
    """What became of the frames."""

    frames: int = 0
    refused_frames: int = 0
    refused_payloads: int = 0
    read: int = 0
    answered: int = 0
    closed: int = 0


def check_readers(raw: bytes, protocol: Protocol, answer_to: str, tally: Tally) -> None:
    """The pre-parser, the framing and the decoder of the action, or of the answer to ``answer_to``."""
    tally.frames += 1
    frame, slowly = _parsed(raw), _parsed(b" " + raw)  # the fast way wants its bracket first
    if frame != slowly and len(raw) < 65_536:
        raise Broken(f"two ways to take a frame apart: {frame!r} and {slowly!r}")
    reader: PayloadReader[Any] | Reader[Any] | None = None
    if isinstance(frame, Call):
        reader = CALLS[protocol].get(frame.action)
    elif isinstance(frame, Result):
        reader = ANSWERS[protocol].get(answer_to)
    if frame is None:
        tally.refused_frames += 1
    if reader is None:
        return
    assert isinstance(frame, Call | Result)
    payload = bytes(frame.payload)
    value = _read(reader, payload)
    tally.refused_payloads += value is None
    tally.read += value is not None
    once = None if value is None else _each_key_once(payload)
    if once is not None and _read(reader, once) != value:
        raise Broken(f"two meanings: {value!r} and, without repeated keys, {_read(reader, once)!r}")


def _parsed(raw: bytes) -> Any:
    try:
        return parse_frame(raw, long_answer=True)
    except FrameRefused as error:
        error.text()
        return None


def _read(reader: PayloadReader[Any] | Reader[Any], payload: bytes) -> Any:
    try:
        value = reader.read(payload, Counters())
    except CallFailed as error:
        msgspec.json.encode(error.what)  # it is what the station is told
        return None
    if _NUL.search(msgspec.json.encode(value)):
        raise Broken(f"a NUL got through: {value!r}")
    return value


def _each_key_once(payload: bytes) -> bytes | None:
    """The payload as another JSON reader has it, written anew; None where that one cannot read it."""
    try:
        return json.dumps(json.loads(payload.decode()), allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None


class Socket:
    """A socket in memory (``links.ocppj.transport.Transport``)."""

    def __init__(self) -> None:
        self.said: list[list[Any]] = []
        self.code: int | None = None
        self.on_text: Callable[[bytes], None] = lambda _: None
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def listen(self, on_text: Callable[[bytes], None]) -> None:
        """See ``Transport``."""
        self.on_text = on_text

    def send(self, frame: bytes) -> None:
        """See ``Transport``."""
        if self.code is not None:
            raise Disconnected("closed")
        self.said.append(json.loads(frame))

    async def ended(self) -> str:
        """See ``Transport``."""
        return await self._end

    async def close(self, code: int, reason: str) -> None:
        """See ``Transport``."""
        self.code = code if self.code is None else self.code
        if not self._end.done():
            self._end.set_result(reason)


class Journal:
    """Takes facts as the journal would, and keeps none."""

    async def record(self, facts: Sequence[Fact], *, however_late: bool = False) -> None:  # noqa: ARG002 (at once)
        """Every fact has a canonical encoding that reads back as itself."""
        for fact in facts:
            body = encode_fact(fact)
            if decode_fact(body) != fact or _NUL.search(body):
                raise Broken(f"not as it was said: {fact!r}")


class StoodClock(WallClock):
    """The same moment always, so that one seed tells one story."""

    def now(self) -> dt.datetime:
        """An afternoon in July."""
        return parse_iso("2026-07-16T19:30:00Z")


class _Faults(logging.Handler):
    """Keeps what is logged as a fault of ours."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


class Stations:
    """A live connection of each edition, made anew whenever a frame has closed it."""

    def __init__(self) -> None:
        fleet = bench_fleet(len(EDITIONS), protocols=tuple(EDITIONS))
        known = directory(fleet, Image(fleet))
        self._server = OcppServer(Journal(), known, StoodClock(), ping_interval_s=None)
        configs = [known.registered(station.id) for station in fleet.stations]
        self._configs = {config.protocol: config for config in configs if config is not None}
        self._live: dict[Protocol, tuple[Socket, asyncio.Task[None]]] = {}
        self._faults = _Faults()
        self._log = logging.getLogger("revere.links")
        self._before = (self._log.propagate, self._log.level)

    def __enter__(self) -> Stations:
        self._log.propagate = False
        self._log.setLevel(logging.ERROR)
        self._log.addHandler(self._faults)
        return self

    def __exit__(self, *_: object) -> None:
        self._log.propagate = self._before[0]
        self._log.setLevel(self._before[1])
        self._log.removeHandler(self._faults)

    async def feed(self, raw: bytes, protocol: Protocol, tally: Tally) -> list[tuple[str, str]]:
        """Have a station say ``raw``; what we asked it meanwhile, as (message id, action)."""
        socket, _ = await self._station(protocol)
        socket.said.clear()
        socket.on_text(raw)
        frame = _parsed(raw)
        wanted = isinstance(frame, Call) and frame.answered
        for _turn in range(TURNS_MAX):
            await asyncio.sleep(0)
            answers = [said for said in socket.said if said[0] in (3, 4)]
            if socket.code is not None or (answers and wanted) or (not wanted and _turn > 2):
                break
        self._judge(frame, answers, socket, tally)
        return [(said[1], said[2]) for said in socket.said if said[0] == 2]

    def _judge(self, frame: Any, answers: list[list[Any]], socket: Socket, tally: Tally) -> None:
        if self._faults.found:
            raise Broken(self._faults.found.pop())
        if socket.code is not None:
            tally.closed += 1
            if socket.code not in (PROTOCOL_ERROR, POLICY_VIOLATION):
                raise Broken(f"closed with {socket.code}")
            if not answers or frame is None:
                return
        if frame is None:
            if len(answers) > 1 or any(said[0] != 4 or not 0 < len(said[1]) <= 36 for said in answers):
                raise Broken(f"nonsense answered by {answers}")
            return
        wanted = 1 if isinstance(frame, Call) and frame.answered else 0
        if len(answers) != wanted or (wanted and answers[0][1] != frame.message_id):
            raise Broken(f"answered by {answers}")
        if wanted and answers[0][2] == "InternalError":
            raise Broken(f"our own fault: {answers[0]}")
        tally.answered += wanted

    async def _station(self, protocol: Protocol) -> tuple[Socket, asyncio.Task[None]]:
        live = self._live.get(protocol)
        if live is not None and live[0].code is None:
            return live
        if live is not None:
            await live[1]
        socket = Socket()
        link = self._server.make_link(socket, self._configs[protocol])
        task = asyncio.get_running_loop().create_task(link.run())
        self._live[protocol] = (socket, task)
        await asyncio.sleep(0)
        return self._live[protocol]

    async def close(self) -> None:
        """End what still lives."""
        for socket, task in self._live.values():
            await socket.close(1000, "done")
            await task
