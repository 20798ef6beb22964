"""A station's line to its central system: dial, Basic auth, frames, one call at a time, an outbox.

::

    call() ─────┐
    outbox ─────┴▶ one CALL at a time ──▶ socket ──▶ central system
    CALLs from there ──▶ latency ──▶ handler ──▶ CALLRESULT / CALLERROR

Messages of a transaction survive a lost link (``keep``) and are sent again in order; others are dropped
and counted. Everything on the way of a sample is a plain callback on websockets' sans-I/O client, because
a day of seventy stations is 200,000 calls. The framing shares no code with the control room's.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from revere.core.time import UTC
from revere.twin.loop import TwinClock

CALL_TIMEOUT_S: Final = 30.0
OUTBOX_MAX: Final = 5_000
INBOX_MAX: Final = 64
FRAME_MAX_BYTES: Final = 1 << 20
ATTEMPTS_MAX: Final = 3
ATTEMPT_WAIT_S: Final = 10.0
BACKOFF_MIN_S: Final = 5.0
BACKOFF_DOUBLINGS: Final = 4
BACKOFF_RANDOM_S: Final = 10.0
CALL, RESULT, ERROR = 2, 3, 4

Payload = dict[str, Any]


class LinkDown(Exception):
    """The socket closed, or an answer did not come in time."""


class CallRefused(Exception):
    """The central system answered with CALLERROR."""


class BadRequest(Exception):
    """We answer with CALLERROR of this code."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code, self.why = code, why


@dataclass(slots=True)
class Message:
    """Something to send; ``keep`` = belongs to a transaction and survives a lost link.

    ``asked``: the central system has asked for it, so that it goes even before the station was accepted.
    """

    action: str
    payload: Payload
    keep: bool = False
    asked: bool = False
    on_result: Callable[[Payload], None] | None = None
    future: asyncio.Future[Payload] | None = None
    attempts: int = 0


@dataclass(kw_only=True)
class LineCounters:
    """What went over the line."""

    connects: int = 0
    drops: int = 0
    frames_sent: int = 0
    frames_received: int = 0
    calls_answered: int = 0
    calls_refused: int = 0
    replayed: int = 0
    dropped: int = 0
    given_up: int = 0
    dial_failures: int = 0
    timeouts: int = 0


class Wire(asyncio.Protocol):
    """One WebSocket connection: bytes in, texts out, by websockets' sans-I/O client."""

    def __init__(self, client: ClientProtocol, authorization: str, on_text: Callable[[bytes], None]) -> None:
        self._client = client
        self._authorization = authorization
        self._on_text = on_text
        self._parts: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the upgrade request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        request = self._client.connect()
        request.headers["Authorization"] = self._authorization
        self._client.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Finish the handshake, then hand over each text."""
        client = self._client
        client.receive_data(data)
        for item in client.events_received():
            if isinstance(item, Frame):
                self._frame(item)
            elif not self.opened.done():
                refusal = client.handshake_exc
                if refusal is not None:
                    self.opened.set_exception(OSError(f"upgrade refused: {refusal}"))
                else:
                    self.opened.set_result(None)
        self._flush()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY) and frame.fin:
            self._on_text(bytes(frame.data))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._on_text(whole)

    def _flush(self) -> None:
        assert self._transport is not None
        for data in self._client.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def send(self, text: bytes) -> None:
        """Send one text frame."""
        if self._client.state is State.OPEN:
            self._client.send_text(text)
            self._flush()

    def eof_received(self) -> None:
        """The other side has finished."""
        self._client.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if not self.opened.done():
            self.opened.set_exception(OSError(f"closed before the upgrade: {exc}"))
        if not self.closed.done():
            self.closed.set_result(None)

    def abort(self) -> None:
        """Cut it."""
        if self._transport is not None:
            self._transport.abort()

    def hang_up(self) -> None:
        """Close politely."""
        if self._client.state is State.OPEN:
            self._client.send_close(1001)
            self._flush()


@dataclass(kw_only=True)
class Line:
    """The line of one station. ``booting`` runs after each connect and returns when accepted."""

    station_id: str
    url: str
    secret: str
    subprotocol: str
    clock: TwinClock
    rng: np.random.Generator
    latency_s: float
    answer: Callable[[str, Payload], Payload]
    booting: Callable[[], Awaitable[None]]
    link_changed: Callable[[bool], None]
    offline_mark: Callable[[Payload], None]
    counters: LineCounters = field(default_factory=LineCounters)

    def __post_init__(self) -> None:
        """Start without a link."""
        self.online = False
        self.accepted = False
        self.deaf_to: dict[str, int] = {}
        """How many of the next CALLs of an action are never answered, nor obeyed: a station that hangs."""
        self._wire: Wire | None = None
        self._outbox: deque[Message] = deque()
        self._urgent: deque[Message] = deque()
        self._under_way: Message | None = None
        self._under_way_id = ""
        self._timeout: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._number = 0
        self._answers_due = 0
        self._last_answer_s = 0.0
        self._silent_until_s = 0.0
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(list[Any]).decode

    # ---- the link ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Dial, serve, and dial again with a growing, randomised pause, until cancelled."""
        failures = 0
        while True:
            silent_s = self._silent_until_s - self.clock.monotonic_s()
            if silent_s > 0:
                await asyncio.sleep(silent_s)
            try:
                await self._connection()
                failures = 0
            except (OSError, TimeoutError):
                self.counters.dial_failures += 1
                failures += 1
            pause_s = BACKOFF_MIN_S * 2 ** min(failures, BACKOFF_DOUBLINGS)
            await asyncio.sleep(pause_s + float(self.rng.uniform(0.0, BACKOFF_RANDOM_S)))

    async def _connection(self) -> None:
        uri = parse_uri(f"{self.url.rstrip('/')}/{self.station_id}")
        client = ClientProtocol(uri, subprotocols=[Subprotocol(self.subprotocol)], max_size=FRAME_MAX_BYTES)
        token = base64.b64encode(f"{self.station_id}:{self.secret}".encode()).decode()
        wire = Wire(client, f"Basic {token}", self._on_text)
        async with asyncio.timeout(CALL_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: wire, uri.host, uri.port, ssl=True if uri.secure else None)
        boot: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await wire.opened
            self._wire, self.online = wire, True
            self.counters.connects += 1
            boot = asyncio.create_task(self._boot())
            await asyncio.wait([boot, wire.closed], return_when=asyncio.FIRST_COMPLETED)
            if not wire.closed.done():
                boot.result()  # a boot that failed for our own reasons is loud
                await wire.closed
        except LinkDown:
            self.counters.dial_failures += 1
        finally:
            self._down()
            if boot is not None:
                boot.cancel()
                await asyncio.gather(boot, return_exceptions=True)
            wire.hang_up()
            wire.abort()

    async def _boot(self) -> None:
        await self.booting()
        self.accepted = True
        self.link_changed(True)
        self._pump()

    def _down(self) -> None:
        was_online, self.online, self.accepted, self._wire = self.online, False, False, None
        if self._timeout is not None:
            self._timeout.cancel()
        lost, self._under_way = self._under_way, None
        for message in (lost, *self._urgent):
            if message is not None and message.future is not None and not message.future.done():
                message.future.set_exception(LinkDown("the link went down"))
        self._urgent.clear()
        kept = deque(message for message in self._outbox if message.keep)
        self.counters.dropped += len(self._outbox) - len(kept)
        self._outbox = kept
        for message in kept:
            self.offline_mark(message.payload)
        if was_online:
            self.counters.drops += 1
            self.link_changed(False)

    def drop(self, silent_s: float) -> None:
        """Cut the link as a failing modem does, and stay away for ``silent_s``."""
        self._silent_until_s = max(self._silent_until_s, self.clock.monotonic_s() + silent_s)
        self.accepted = False
        if self._wire is not None:
            self._wire.abort()

    # ---- frames in -----------------------------------------------------------------------------

    def _on_text(self, raw: bytes) -> None:
        self.counters.frames_received += 1
        try:
            frame = self._decode(raw)
            kind, message_id = frame[0], frame[1]
            if kind == RESULT:
                self._finish(message_id, frame[2], None)
            elif kind == ERROR:
                self._finish(message_id, {}, CallRefused(f"{frame[2]}: {frame[3]}"))
            elif kind == CALL:
                self._asked(message_id, frame[2], frame[3])
        except (msgspec.DecodeError, IndexError):
            self.counters.calls_refused += 1

    def _asked(self, message_id: str, action: str, payload: Payload) -> None:
        if self.deaf_to.get(action, 0) > 0:
            self.deaf_to[action] -= 1
            return
        if self._answers_due >= INBOX_MAX:
            self.counters.calls_refused += 1
            return
        self._answers_due += 1
        now_s = self.clock.monotonic_s()
        latency_s = float(self.rng.uniform(0.5, 1.5)) * self.latency_s
        self._last_answer_s = max(self._last_answer_s, now_s + latency_s)
        loop = asyncio.get_running_loop()
        loop.call_at(self._last_answer_s, self._answer, self._wire, message_id, action, payload)

    def _answer(self, wire: Wire | None, message_id: str, action: str, payload: Payload) -> None:
        self._answers_due -= 1
        if wire is None or wire is not self._wire:
            return
        try:
            reply: list[Any] = [RESULT, message_id, self.answer(action, payload)]
            self.counters.calls_answered += 1
        except BadRequest as bad:
            reply = [ERROR, message_id, bad.code, bad.why[:255], {}]
            self.counters.calls_refused += 1
        wire.send(self._encode(reply))
        self.counters.frames_sent += 1

    # ---- calls ---------------------------------------------------------------------------------

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send a CALL before all others and wait for its result. Raises :class:`LinkDown` or :class:`CallRefused`."""
        if self._wire is None:
            raise LinkDown("no link")
        future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self._urgent.append(Message(action, payload, future=future))
        self._pump()
        return await future

    def post(self, message: Message) -> None:
        """Queue a message. Offline, only what belongs to a transaction is kept, marked as offline."""
        if not self.online:
            if not message.keep:
                self.counters.dropped += 1
                return
            self.offline_mark(message.payload)
        if len(self._outbox) >= OUTBOX_MAX:
            self.counters.dropped += 1
            return
        self._outbox.append(message)
        self._pump()

    def _pump(self) -> None:
        """Send the next message, if none is under way."""
        if self._wire is None or self._under_way is not None:
            return
        if self._urgent:
            message = self._urgent.popleft()
        else:
            waiting = self._outbox
            if self._patience is not None:  # what belongs to no transaction goes past one that is refused for now
                waiting = deque(one for one in waiting if not one.keep)
            if not waiting or not (self.accepted or waiting[0].asked):
                return
            message = waiting[0]
        message.attempts += 1
        self._number += 1
        self._under_way, self._under_way_id = message, str(self._number)
        self._timeout = asyncio.get_running_loop().call_later(CALL_TIMEOUT_S, self._too_late, self._wire)
        self._wire.send(self._encode([CALL, self._under_way_id, message.action, message.payload]))
        self.counters.frames_sent += 1

    def _too_late(self, wire: Wire) -> None:
        """An answer that never comes means a dead link."""
        self.counters.timeouts += 1
        wire.abort()

    def _finish(self, message_id: str, result: Payload, error: CallRefused | None) -> None:
        message = self._under_way
        if message is None or message_id != self._under_way_id:
            self.counters.calls_refused += 1
            return
        self._under_way = None
        if self._timeout is not None:
            self._timeout.cancel()
        if message.future is not None:
            if not message.future.done():
                if error is None:
                    message.future.set_result(result)
                else:
                    message.future.set_exception(error)
        elif error is not None and message.keep and message.attempts < ATTEMPTS_MAX:
            wait_s = ATTEMPT_WAIT_S * message.attempts
            self._patience = asyncio.get_running_loop().call_later(wait_s, self._patient)
        else:
            if self._outbox[0] is message:
                self._outbox.popleft()
            else:
                self._outbox = deque(one for one in self._outbox if one is not message)
            self.counters.given_up += error is not None
            self.counters.replayed += bool(message.payload.get("offline"))
            if error is None and message.on_result is not None:
                message.on_result(result)
        self._pump()

    def _patient(self) -> None:
        self._patience = None
        self._pump()

    def patch(self, change: Callable[[Payload], None]) -> None:
        """Change every queued payload, as when a transaction gets its number late."""
        for message in self._outbox:
            change(message.payload)

    def holds(self, transaction_id: str | None) -> bool:
        """Whether messages of a transaction, or of any, wait to be sent; the one on its way counts until its answer."""
        found = (message.payload.get("transactionInfo") for message in self._outbox if message.keep)
        return any(info is not None and transaction_id in (None, info["transactionId"]) for info in found)

    @property
    def backlog(self) -> int:
        """Messages that wait to be sent."""
        return len(self._outbox)


@dataclass(kw_only=True)
class StationTime:
    """A station's own clock: true time plus a skew that its heartbeats slew towards 0."""

    clock: TwinClock
    skew_s: float
    slew_s: float = 0.05

    def now_s(self) -> float:
        """Unix seconds as the station believes."""
        return self.true_s() + self.skew_s

    def true_s(self) -> float:
        """True Unix seconds, for the physics."""
        return round(self.clock.epoch_s + self.clock.monotonic_s(), 6)

    def stamp(self, at_s: float | None = None) -> str:
        """RFC 3339 of a moment on the station's clock (now if not given)."""
        moment = dt.datetime.fromtimestamp(self.now_s() if at_s is None else at_s, UTC)
        return moment.isoformat(timespec="milliseconds")[:-6] + "Z"  # its +00:00

    def told(self, text: str) -> None:
        """Slew towards the central system's time, at most ``slew_s`` per telling."""
        with contextlib.suppress(ValueError):
            error_s = dt.datetime.fromisoformat(text).timestamp() - self.now_s()
            self.skew_s += min(max(error_s, -self.slew_s), self.slew_s)
