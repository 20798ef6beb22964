"""What the protocol needs of a socket, and the same of the ``websockets`` library.

Small on purpose: another library (picows is twice as fast) is another fifty lines. Messages come and go by plain calls,
because a queue, a task's wake-up and a context manager for each cost more than all that we do with the message.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from revere.links.ocppj.bounds import (
    BYTE_BURST,
    BYTES_PER_S_MAX,
    CLOSE_TIMEOUT_S,
    FRAME_BURST,
    FRAMES_PER_S_MAX,
    OPEN_TIMEOUT_S,
    UNOPENED_MAX_BYTES,
    UNREAD_MAX_BYTES,
    Counters,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from websockets.protocol import Event

    from revere.core.ports import StationConfig
    from revere.links.ocppj.threshold import Threshold

DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
CLOSE_WAIT: Final = 8
"""Linux's number for a TCP connection whose other end has closed."""
BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


_OPENED: Final = Request("", Headers())
"""What a socket remembers of its opening; the library asks only whether there was one."""


class Disconnected(Exception):
    """The socket is gone. An end, not an error: stations come and go."""


class Transport(Protocol):
    """One WebSocket with whole text messages."""

    def listen(self, on_text: Callable[[bytes], None]) -> None:
        """Hand over each message from now on, what came early first. ``on_text`` must not raise."""
        ...

    def send(self, frame: bytes) -> None:
        """Hand a text message to the socket. Raises :class:`Disconnected`."""
        ...

    async def ended(self) -> str:
        """Wait for the socket's end; why it came."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye and wait for it, a bounded time."""
        ...


class ReadBudget:
    """How much may be read now: two token buckets, of frames and of bytes, in loop time."""

    __slots__ = ("_at_s", "_bytes", "_frames")

    def __init__(self) -> None:
        self._frames = FRAME_BURST
        self._bytes = BYTE_BURST
        self._at_s = 0.0

    def wait_s(self, now_s: float, frames: int, size_bytes: int) -> float:
        """Take what was read; the seconds to wait before reading on."""
        passed_s = now_s - self._at_s
        self._at_s = now_s
        self._frames = min(FRAME_BURST, self._frames + passed_s * FRAMES_PER_S_MAX) - frames
        self._bytes = min(BYTE_BURST, self._bytes + passed_s * BYTES_PER_S_MAX) - size_bytes
        if self._frames >= 0.0 <= self._bytes:
            return 0.0
        return max(-self._frames / FRAMES_PER_S_MAX, -self._bytes / BYTES_PER_S_MAX)


class StationSocket(ServerConnection):
    """A server's socket that knows whose it is from the handshake on, and calls for each whole message.

    Handshake, pings and closing are the library's; its queue of received messages stays empty. A station that says too
    much, in messages, fragments or pings, is left unread for a while: the kernel's buffer holds it back.
    """

    config: StationConfig | None = None

    def __init__(
        self,
        *args: Any,
        threshold: Threshold | None = None,
        tls: ssl.SSLContext | None = None,
        counters: Counters | None = None,
        **named: Any,
    ) -> None:
        super().__init__(*args, **named)
        self._threshold = threshold
        self._tls = tls
        self._raw: asyncio.Transport | None = None
        """What was accepted, until its opening is worked at."""
        self._made = False
        self._before = b""
        """What TLS brought before we knew that it stands."""
        self._securing: asyncio.Task[None] | None = None
        self._on_text: Callable[[bytes], None] | None = None
        self._early: list[bytes] = []
        self._parts: list[bytes] = []
        self._budget = ReadBudget()
        self._frames_read = 0
        """Since the budget was asked last, pings and fragments too."""
        self._counters = counters or Counters()
        self._resume: asyncio.TimerHandle | None = None

    # Before the door (``threshold.Caller``) ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait, unread, until there is a place."""
        assert isinstance(transport, asyncio.Transport)
        if self._threshold is None:
            self._open(transport)
            return
        self._raw = transport
        # One turn of the loop later: the loops of Python before 3.11.4 begin to read after this call, paused or not.
        asyncio.get_running_loop().call_soon(self._wait_unread, transport, self._threshold)

    def _wait_unread(self, transport: asyncio.Transport, threshold: Threshold) -> None:
        if not transport.is_closing():
            transport.pause_reading()
            threshold.arrive(self)

    def come_in(self) -> None:
        """See ``threshold.Caller``."""
        assert self._raw is not None
        if self._raw.is_closing():
            self.through()
        elif self._tls is None:
            raw = self._raw
            self._open(raw)
            raw.resume_reading()
        else:
            self._securing = asyncio.get_running_loop().create_task(self._secure(self._raw, self._tls))

    async def _secure(self, raw: asyncio.Transport, tls: ssl.SSLContext) -> None:
        """TLS first, then the opening; what cannot be agreed on ends the socket without a word."""
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                raw,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=OPEN_TIMEOUT_S,
                ssl_shutdown_timeout=CLOSE_TIMEOUT_S,
            )
        except OSError:  # an SSLError is one
            secured = None
        if secured is None or secured.is_closing():
            raw.abort()
            self.through()
            return
        self._open(secured)
        if self._before:
            early, self._before = self._before, b""
            self.data_received(early)

    def _open(self, transport: asyncio.Transport) -> None:
        self._raw, self._made = None, True
        super().connection_made(transport)

    def through(self) -> None:
        """The opening is decided, one way or the other: its place is free."""
        if self._threshold is not None:
            self._threshold.leave(self)

    def hung_up(self) -> bool:
        """See ``threshold.Caller``: unread as it is, the kernel alone knows."""
        wire = None if self._raw is None else self._raw.get_extra_info("socket")
        if wire is None or self._raw is None or self._raw.is_closing():
            return True
        return bool(wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == CLOSE_WAIT)

    def turn_away(self, retry_after_s: int | None) -> None:
        """See ``threshold.Caller``."""
        raw, self._raw = self._raw, None
        if raw is None:
            return
        if retry_after_s is None or self._tls is not None:
            raw.abort()
            return
        raw.write(BUSY % retry_after_s)
        raw.write_eof()
        raw.resume_reading()  # closed at once, it would be unsaid: the caller hangs up
        self._resume = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, raw.abort)

    def data_received(self, data: bytes) -> None:
        """Bytes of the opening, then of frames."""
        if self._made:
            super().data_received(data)
            wait_s = self._budget.wait_s(self.loop.time(), self._frames_read, len(data))
            self._frames_read = 0
            if wait_s > 0.0:
                self._pause(wait_s)
        elif self._raw is not None and len(self._before) + len(data) <= UNOPENED_MAX_BYTES:
            self._before += data

    def eof_received(self) -> None:
        """The caller says no more."""
        if self._made:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.through()
        if self._resume is not None:
            self._resume.cancel()
        if self._made:
            super().connection_lost(exc)

    # Messages -------------------------------------------------------------------------------------------

    def process_event(self, event: Event) -> None:
        """Take a message's frame for ourselves; the rest is the library's."""
        self._frames_read += 1
        if not isinstance(event, Frame) or event.opcode not in DATA:
            super().process_event(event)
        elif event.fin and not self._parts:
            self._deliver(bytes(event.data))
        else:
            self._parts.append(bytes(event.data))  # the library bounds the sum (max_size)
            if event.fin:
                whole, self._parts = b"".join(self._parts), []
                self._deliver(whole)

    def _deliver(self, raw: bytes) -> None:
        if self._on_text is None:
            self._early.append(raw)
            self.transport.pause_reading()  # until somebody listens
        else:
            self._on_text(raw)

    def listen(self, on_text: Callable[[bytes], None]) -> None:
        """See :class:`Transport`."""
        self._on_text = on_text
        self.request, self.response = _OPENED, None  # their headers would stay as long as the socket does
        while self._early:
            on_text(self._early.pop(0))
        self.transport.resume_reading()

    def _pause(self, wait_s: float) -> None:
        if self._resume is None and not self.transport.is_closing():
            self._counters.reads_paused += 1
            self.transport.pause_reading()
            self._resume = self.loop.call_later(wait_s, self._read_on)

    def _read_on(self) -> None:
        self._resume = None
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def send_frame(self, frame: bytes) -> None:
        """See :class:`Transport`: a peer that lets more than ``UNREAD_MAX_BYTES`` pile up is given up."""
        if self.protocol.state is not State.OPEN:
            raise Disconnected(f"the socket is {self.protocol.state.name.lower()}")
        self.protocol.send_text(frame)
        self.send_data()
        if self.transport.get_write_buffer_size() > UNREAD_MAX_BYTES:
            self.transport.abort()
            raise Disconnected("the station does not read")


class WebSocketTransport:
    """A station's socket as the protocol sees it."""

    def __init__(self, socket: StationSocket) -> None:
        self._socket = socket
        self.listen = socket.listen
        self.send = socket.send_frame

    async def ended(self) -> str:
        """See :class:`Transport`."""
        await self._socket.wait_closed()
        return str(self._socket.protocol.close_exc)

    async def close(self, code: int, reason: str) -> None:
        """Closing handshake; the library aborts after its close timeout."""
        await self._socket.close(code, reason[:100])
