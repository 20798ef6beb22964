"""What the protocol needs of a socket, and the same of the ``websockets`` library.

Small on purpose: another library (picows is twice as fast) is another fifty lines. Messages come and go by plain calls,
because a queue, a task's wake-up and a context manager for each cost more than all that we do with the message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from revere.links.ocppj.bounds import UNREAD_MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.protocol import Event

    from revere.core.ports import StationConfig

DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Disconnected(Exception):
    """The socket is gone. An end, not an error: stations come and go."""


class Transport(Protocol):
    """One WebSocket with whole text messages."""

    def listen(self, on_text: Callable[[bytes], None]) -> None:
        """Hand over each message from now on, what came early first. ``on_text`` must not raise."""
        ...

    def pause(self, wait_s: float) -> None:
        """Read nothing for a while: the kernel's buffer holds a flood back."""
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


class StationSocket(ServerConnection):
    """A server's socket that knows whose it is from the handshake on, and calls for each whole message.

    Handshake, pings, flow control and closing are the library's; its queue of received messages stays empty.
    """

    config: StationConfig | None = None

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._on_text: Callable[[bytes], None] | None = None
        self._early: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._resume: asyncio.TimerHandle | None = None

    def process_event(self, event: Event) -> None:
        """Take a message's frame for ourselves; the rest is the library's."""
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
        while self._early:
            on_text(self._early.popleft())
        self.transport.resume_reading()

    def pause(self, wait_s: float) -> None:
        """See :class:`Transport`."""
        if self._resume is None:
            self.transport.pause_reading()
            self._resume = asyncio.get_running_loop().call_later(wait_s, self._read_on)

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
        self.pause = socket.pause
        self.send = socket.send_frame

    async def ended(self) -> str:
        """See :class:`Transport`."""
        await self._socket.wait_closed()
        return str(self._socket.protocol.close_exc)

    async def close(self, code: int, reason: str) -> None:
        """Closing handshake; the library aborts after its close timeout."""
        await self._socket.close(code, reason[:100])
