"""A station's line to its central system: dial, Basic auth, frames, one call at a time, an outbox.

::

    outbox ──▶ one CALL at a time ──▶ socket ──▶ central system
    CALLs from there ──▶ inbox (bounded) ──▶ latency ──▶ handler ──▶ CALLRESULT / CALLERROR

Messages of a transaction survive a lost link (``keep``) and are sent again in order; others are dropped
and counted. The framing is this room's own: it shares no code with the control room's.
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
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

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
    """Something to send; ``keep`` = belongs to a transaction and survives a lost link."""

    action: str
    payload: Payload
    keep: bool = False
    attempts: int = 0
    on_result: Callable[[Payload], None] | None = None


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


@dataclass(kw_only=True)
class Line:
    """The line of one station. ``booting(line)`` runs after each connect and returns when accepted."""

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
        self._ws: ClientConnection | None = None
        self._outbox: deque[Message] = deque()
        self._stirred = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[Payload]] = {}
        self._calling = asyncio.Lock()
        self._number = 0
        self._closing = False
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
            except (OSError, InvalidHandshake, TimeoutError):
                self.counters.dial_failures += 1
                failures += 1
            pause_s = BACKOFF_MIN_S * 2 ** min(failures, BACKOFF_DOUBLINGS)
            await asyncio.sleep(pause_s + float(self.rng.uniform(0.0, BACKOFF_RANDOM_S)))

    async def _connection(self) -> None:
        token = base64.b64encode(f"{self.station_id}:{self.secret}".encode()).decode()
        ws = await connect(
            f"{self.url.rstrip('/')}/{self.station_id}",
            subprotocols=[Subprotocol(self.subprotocol)],
            additional_headers={"Authorization": f"Basic {token}"},
            ping_interval=None,
            compression=None,
            proxy=None,
            max_size=FRAME_MAX_BYTES,
            open_timeout=CALL_TIMEOUT_S,
            close_timeout=5.0,
        )
        self._ws, self.online = ws, True
        self.counters.connects += 1
        inbox: asyncio.Queue[tuple[str, str, Payload]] = asyncio.Queue(INBOX_MAX)
        tasks: list[asyncio.Task[None]] = []
        try:
            tasks = [
                asyncio.create_task(self._read(ws, inbox)),
                asyncio.create_task(self._answer_calls(ws, inbox)),
                asyncio.create_task(self._boot_then_send()),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._down()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await ws.close()
            for result in results:
                if isinstance(result, Exception) and not isinstance(result, LinkDown | ConnectionClosed):
                    raise result

    def _down(self) -> None:
        was_online, self.online, self.accepted, self._ws = self.online, False, False, None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkDown("the link went down"))
        self._waiting.clear()
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
        if self._ws is not None:
            self._ws.transport.abort()

    async def _read(self, ws: ClientConnection, inbox: asyncio.Queue[tuple[str, str, Payload]]) -> None:
        async for raw in ws:
            self.counters.frames_received += 1
            try:
                frame = self._decode(raw)
                kind = frame[0]
                if kind == RESULT:
                    self._resolve(frame[1], frame[2])
                elif kind == ERROR:
                    self._fail(frame[1], f"{frame[2]}: {frame[3]}")
                elif kind == CALL:
                    inbox.put_nowait((frame[1], frame[2], frame[3]))
            except (msgspec.DecodeError, IndexError, TypeError, KeyError, asyncio.QueueFull):
                self.counters.calls_refused += 1

    def _resolve(self, message_id: str, payload: Payload) -> None:
        future = self._waiting.pop(message_id, None)
        if future is not None and not future.done():
            future.set_result(payload)

    def _fail(self, message_id: str, why: str) -> None:
        future = self._waiting.pop(message_id, None)
        if future is not None and not future.done():
            future.set_exception(CallRefused(why))

    async def _answer_calls(self, ws: ClientConnection, inbox: asyncio.Queue[tuple[str, str, Payload]]) -> None:
        while True:
            message_id, action, payload = await inbox.get()
            if self.latency_s > 0:
                await asyncio.sleep(float(self.rng.uniform(0.5, 1.5)) * self.latency_s)
            try:
                reply: list[Any] = [RESULT, message_id, self.answer(action, payload)]
                self.counters.calls_answered += 1
            except BadRequest as bad:
                reply = [ERROR, message_id, bad.code, bad.why[:255], {}]
                self.counters.calls_refused += 1
            await ws.send(self._encode(reply).decode())
            self.counters.frames_sent += 1

    # ---- calls ---------------------------------------------------------------------------------

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send a CALL and wait for its result. Raises :class:`LinkDown` or :class:`CallRefused`."""
        async with self._calling:
            if self._ws is None:
                raise LinkDown("no link")
            self._number += 1
            message_id = f"{self.counters.connects}-{self._number}"
            future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._waiting[message_id] = future
            try:
                await self._ws.send(self._encode([CALL, message_id, action, payload]).decode())
                self.counters.frames_sent += 1
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    return await future
            except (ConnectionClosed, TimeoutError) as error:
                raise LinkDown(str(error)) from error
            finally:
                self._waiting.pop(message_id, None)

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
        self._stirred.set()

    async def _boot_then_send(self) -> None:
        await self.booting()
        self.accepted = True
        self.link_changed(True)
        while True:
            while self._outbox:
                await self._send_first()
            self._stirred.clear()
            await self._stirred.wait()

    async def _send_first(self) -> None:
        message = self._outbox[0]
        message.attempts += 1
        try:
            result = await self.call(message.action, message.payload)
        except CallRefused:
            if message.attempts < ATTEMPTS_MAX and message.keep:
                await asyncio.sleep(ATTEMPT_WAIT_S * message.attempts)
                return
            self.counters.given_up += 1
            result = None
        if self._outbox and self._outbox[0] is message:
            self._outbox.popleft()
        if message.payload.get("offline"):
            self.counters.replayed += 1
        if result is not None and message.on_result is not None:
            message.on_result(result)

    def patch(self, change: Callable[[Payload], None]) -> None:
        """Change every queued payload, as when a transaction gets its number late."""
        for message in self._outbox:
            change(message.payload)

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
        return round(self.clock.epoch.timestamp() + self.clock.monotonic_s(), 6)

    def stamp(self, at_s: float | None = None) -> str:
        """RFC 3339 of a moment on the station's clock (now if not given)."""
        moment = dt.datetime.fromtimestamp(self.now_s() if at_s is None else at_s, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def told(self, text: str) -> None:
        """Slew towards the central system's time, at most ``slew_s`` per telling."""
        with contextlib.suppress(ValueError):
            error_s = dt.datetime.fromisoformat(text).timestamp() - self.now_s()
            self.skew_s += min(max(error_s, -self.slew_s), self.slew_s)
