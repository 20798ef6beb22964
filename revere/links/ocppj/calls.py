"""Our calls to one connection: one in flight, a bounded queue, a timeout, answers matched by id.

A table lives as long as its connection. A newer socket of the same station has its own table, so
that a late answer on the old one can never be taken for one on the new.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from revere.core.time import wall_s
from revere.links.ocppj.bounds import CALL_TIMEOUT_S, CALLS_WAITING_MAX, Counters
from revere.links.ocppj.framing import (
    CallFailed,
    Failure,
    Result,
    call_frame,
    decode_payload,
    result_error_frame,
)
from revere.links.ocppj.transport import Disconnected, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class CallRefused(Exception):
    """The station answered with a CALLERROR, or with something unreadable."""


class CallTimedOut(Exception):
    """The station did not answer in time."""


class CallOverflow(Exception):
    """Too many calls wait already."""


class Reply(msgspec.Struct, Generic[T], frozen=True):
    """A station's answer and when the question was handed to the socket (performance counter, s)."""

    value: T
    sent_wall_s: float


class CallTable:
    """The calls of one connection.

    ``result_errors`` says whether the peer knows message type 5 (OCPP 2.1).
    """

    def __init__(self, transport: Transport, counters: Counters, *, result_errors: bool) -> None:
        self._transport = transport
        self._counters = counters
        self._result_errors = result_errors
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._next = 0
        self._pending: tuple[str, asyncio.Future[Result]] | None = None
        self._closed = False
        self._decoders: dict[type, msgspec.json.Decoder[object]] = {}

    async def call(
        self,
        action: str,
        payload: msgspec.Struct,
        answer: type[T],
        *,
        still_wanted: Callable[[], bool] | None = None,
    ) -> Reply[T] | None:
        """Ask the station and wait for its answer.

        ``still_wanted`` is asked when the line is free: False gives None and nothing is sent.
        Raises :class:`CallRefused`, :class:`CallTimedOut`, :class:`CallOverflow`, :class:`Disconnected`.
        """
        if self._waiting >= CALLS_WAITING_MAX:
            self._counters.calls_overflowed += 1
            raise CallOverflow(action)
        self._waiting += 1
        try:
            async with self._lock:
                if self._closed:
                    raise Disconnected("connection closed")
                if still_wanted is not None and not still_wanted():
                    return None
                return await self._exchange(action, payload, answer)
        finally:
            self._waiting -= 1

    async def _exchange(self, action: str, payload: msgspec.Struct, answer: type[T]) -> Reply[T]:
        self._next += 1
        message_id = f"r{self._next}"
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending = (message_id, future)
        try:
            await self._transport.send(call_frame(message_id, action, payload))
            sent_wall_s = wall_s()
            self._counters.frames_out += 1
            async with asyncio.timeout(CALL_TIMEOUT_S):
                result = await future
        except TimeoutError as error:
            self._counters.calls_timed_out += 1
            raise CallTimedOut(f"{action}: no answer in {CALL_TIMEOUT_S:.0f} s") from error
        finally:
            self._pending = None
        return Reply(await self._read(action, result, answer), sent_wall_s)

    async def _read(self, action: str, result: Result, answer: type[T]) -> T:
        decoder = self._decoders.setdefault(answer, msgspec.json.Decoder(answer))
        try:
            value = decode_payload(decoder, result.payload)
        except CallFailed as error:
            self._counters.payloads_refused += 1
            if self._result_errors:
                await self._transport.send(result_error_frame(result.message_id, error.code, error.what))
                self._counters.frames_out += 1
            raise CallRefused(f"{action}: unreadable answer: {error.what}") from error
        assert isinstance(value, answer)
        return value

    def settle(self, frame: Result | Failure) -> None:
        """Give an answer to the call that waits for it; anything unasked is dropped and counted."""
        pending = self._pending
        if isinstance(frame, Failure) and frame.of_result:
            self._counters.calls_refused += 1
            return
        if pending is None or pending[0] != frame.message_id or pending[1].done():
            self._counters.dropped_results += 1
            return
        if isinstance(frame, Result):
            pending[1].set_result(frame)
        else:
            self._counters.calls_refused += 1
            pending[1].set_exception(CallRefused(f"{frame.code}: {frame.description}"))

    def close(self) -> None:
        """The connection is gone: the call in flight fails, and so do all that wait."""
        self._closed = True
        if self._pending is not None and not self._pending[1].done():
            self._pending[1].set_exception(Disconnected("connection closed"))
