"""What the protocol needs of a socket, and the same of the ``websockets`` library.

Small on purpose: another library (picows is twice as fast) is another thirty lines.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from websockets.exceptions import ConnectionClosed

from revere.links.ocppj.bounds import SEND_TIMEOUT_S

if TYPE_CHECKING:
    from websockets.asyncio.connection import Connection


class Disconnected(Exception):
    """The socket is gone. An end, not an error: stations come and go."""


class Transport(Protocol):
    """One WebSocket with whole text messages."""

    async def receive(self) -> bytes:
        """The next message. Raises :class:`Disconnected`."""
        ...

    async def send(self, frame: bytes) -> None:
        """Hand a text message to the socket. Raises :class:`Disconnected`."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye and wait for it, a bounded time."""
        ...


class WebSocketTransport:
    """A ``websockets`` connection, of a server or a client."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket

    async def receive(self) -> bytes:
        """The next message as bytes: the JSON parser checks the UTF-8."""
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as error:
            raise Disconnected(str(error)) from error

    async def send(self, frame: bytes) -> None:
        """Send as text; a peer that reads nothing for :data:`SEND_TIMEOUT_S` is given up."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._socket.send(frame, text=True)
        except ConnectionClosed as error:
            raise Disconnected(str(error)) from error
        except TimeoutError as error:
            self._socket.transport.abort()
            raise Disconnected("the station does not read") from error

    async def close(self, code: int, reason: str) -> None:
        """Closing handshake; the library aborts after its close timeout."""
        await self._socket.close(code, reason[:100])
