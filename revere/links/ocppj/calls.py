"""Our calls to one connection: one in flight, a bounded queue, a timeout, answers matched by id.

::

    setpoints ─┐ first
    all else ──┴▶ one in flight ──▶ answered, refused, or given up: a setpoint after 5 s, all else after 30 s,
                                    both after 3 s where a newer setpoint waits

The standard lets a next CALL leave when the last was answered or has timed out; how long that takes is ours to
say. A table lives as long as its connection. A newer socket of the same station has its own table, so that a late
answer on the old one can never be taken for one on the new.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

import msgspec

from revere.core.errors import Refused
from revere.core.time import wall_s
from revere.links.ocppj.bounds import (
    CALL_TIMEOUT_S,
    CALL_YIELDS_S,
    CALLS_WAITING_MAX,
    SETPOINT_TIMEOUT_S,
    Counters,
)
from revere.links.ocppj.framing import (
    LONG_ANSWERS,
    CallFailed,
    ErrorCode,
    Failure,
    FrameRefused,
    Result,
    call_frame,
    result_error_frame,
)
from revere.links.ocppj.payload import PayloadReader
from revere.links.ocppj.transport import Disconnected, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from revere.core.commands import LockState

T = TypeVar("T")

Errand = Literal["stop", "end", "pace", ""]
"""What a call is for, where a lock lets it pass: bringing power to 0, ending a mode over it, having the meter read."""
STOPS: Final = frozenset(
    {
        "SetChargingProfile", "UpdateDynamicSchedule", "DataTransfer",  # of 0 kW
        "RequestStopTransaction", "RemoteStopTransaction",
    }
)  # fmt: skip
PACES: Final = frozenset({"SetVariables", "ChangeConfiguration", "TriggerMessage"})
_errand: ContextVar[Errand] = ContextVar("errand", default="")


def _passes(lock: LockState, action: str) -> bool:
    """Whether the running task's call may be sent under this lock."""
    if lock == "free":
        return True
    of = _errand.get()
    if lock == "closing" and (action in PACES if of == "pace" else of == "end" and action == "ClearChargingProfile"):
        return True
    return of == "stop" and action in STOPS


@contextmanager
def errand(of: Errand) -> Iterator[None]:
    """Say what the calls of this task are for while the block runs. Whoever says nothing stands before a lock."""
    token = _errand.set(of)
    try:
        yield
    finally:
        _errand.reset(token)


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


class Turns:
    """Whose turn it is on the line: setpoints go before everything else, each kind in its own order."""

    def __init__(self) -> None:
        self._taken = False
        self._first: list[asyncio.Future[None]] = []
        self._others: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def turn(self, *, first: bool) -> AsyncIterator[None]:
        """Wait for the line, keep it for the block."""
        if self._taken:
            await self._wait(self._first if first else self._others)
        self._taken = True
        try:
            yield
        finally:
            self._hand_over()

    async def _wait(self, queue: list[asyncio.Future[None]]) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # the line was handed over in the moment of the cancelling
                self._hand_over()
            raise

    def _hand_over(self) -> None:
        """Give the line to the next that still waits; it stays taken, so that nobody slips in between."""
        for queue in (self._first, self._others):
            while queue:
                mine = queue.pop(0)
                if not mine.done():
                    mine.set_result(None)
                    return
        self._taken = False


class Pending(msgspec.Struct):
    """The call in flight."""

    message_id: str
    future: asyncio.Future[Result]
    since_s: float
    setpoint: bool
    long_answer: bool
    """Whether its answer may be a long frame."""


class CallTable:
    """The calls of one connection.

    ``result_errors`` says whether the peer knows message type 5 (OCPP 2.1). ``lock``: a technician's, asked before
    every frame, so that what has waited for its turn meanwhile is held back too.
    """

    def __init__(
        self,
        transport: Transport,
        counters: Counters,
        *,
        result_errors: bool,
        lock: Callable[[], LockState] = lambda: "free",
    ) -> None:
        self._lock = lock
        self._transport = transport
        self._counters = counters
        self._result_errors = result_errors
        self.unheard = 0
        """Setpoints in a row that the station did not answer."""
        self._turns = Turns()
        self._waiting = 0
        self._next = 0
        self._pending: Pending | None = None
        self._closed = False
        self._readers: dict[type, PayloadReader[object]] = {}

    async def call(
        self,
        action: str,
        payload: msgspec.Struct,
        answer: type[T],
        *,
        still_wanted: Callable[[], bool] | None = None,
        setpoint: bool = False,
        hurry: bool = False,
    ) -> Reply[T] | None:
        """Ask the station and wait for its answer.

        ``still_wanted`` is asked when the line is free: False gives None and nothing is sent. A ``setpoint`` may be
        a stop: it goes before all that waits, and what is in flight is soon given up for it. ``hurry``: others wait
        behind this call, so it has no more time than a setpoint.
        Raises :class:`CallRefused`, :class:`CallTimedOut`, :class:`CallOverflow`, :class:`Disconnected`, and
        :class:`Refused` at a locked station.
        """
        if self._waiting >= CALLS_WAITING_MAX:
            self._counters.calls_overflowed += 1
            raise CallOverflow(action)
        self._waiting += 1
        if setpoint and self._pending is not None and not self._pending.setpoint:
            self.press()
        try:
            async with self._turns.turn(first=setpoint):
                if self._closed:
                    raise Disconnected("connection closed")
                if still_wanted is not None and not still_wanted():
                    return None
                if not _passes(self._lock(), action):
                    self._counters.calls_locked += 1
                    raise Refused("locked by a technician: nothing but a stop is sent", where=action)
                patience_s = SETPOINT_TIMEOUT_S if setpoint or hurry else CALL_TIMEOUT_S
                return await self._exchange(action, payload, answer, patience_s, setpoint=setpoint)
        finally:
            self._waiting -= 1

    async def _exchange(
        self, action: str, payload: msgspec.Struct, answer: type[T], patience_s: float, *, setpoint: bool
    ) -> Reply[T]:
        self._next += 1
        loop = asyncio.get_running_loop()
        pending = Pending(f"r{self._next}", loop.create_future(), loop.time(), setpoint, action in LONG_ANSWERS)
        self._pending = pending
        try:
            self._transport.send(call_frame(pending.message_id, action, payload))
            sent_wall_s = wall_s()
            self._counters.frames_out += 1
            async with asyncio.timeout(patience_s):
                result = await pending.future
        except TimeoutError as error:
            self._counters.calls_timed_out += 1
            self.unheard += setpoint
            raise CallTimedOut(f"{action}: no answer in {loop.time() - pending.since_s:.0f} s") from error
        finally:
            self._pending = None
        return Reply(self._read(action, result, answer), sent_wall_s)

    @property
    def long_answer_may_come(self) -> bool:
        """Whether a call waits whose answer may be a long frame."""
        pending = self._pending
        return pending is not None and pending.long_answer and not pending.future.done()

    def press(self) -> None:
        """A setpoint waits: what is in flight has :data:`CALL_YIELDS_S` from its sending, and no longer."""
        pending = self._pending
        if pending is not None:
            asyncio.get_running_loop().call_at(pending.since_s + CALL_YIELDS_S, self._give_up, pending)

    def _give_up(self, pending: Pending) -> None:
        if not pending.future.done():
            pending.future.set_exception(TimeoutError())

    def _read(self, action: str, result: Result, answer: type[T]) -> T:
        reader = self._readers.get(answer)
        if reader is None:
            reader = self._readers[answer] = PayloadReader(answer)
        try:
            value = reader.read(result.payload, self._counters)
        except CallFailed as error:
            self._counters.payloads_refused += 1
            self._refuse_result(result.message_id, error.code, error.what)
            raise CallRefused(f"{action}: unreadable answer: {error.what}") from error
        assert isinstance(value, answer)
        return value

    def _refuse_result(self, message_id: str, code: ErrorCode, what: str) -> None:
        if self._result_errors:
            self._transport.send(result_error_frame(message_id, code, what))
            self._counters.frames_out += 1

    def spoil(self, message_id: str, error: FrameRefused, *, result: bool) -> None:
        """Fail the call that a frame which is no message was meant to answer, and tell the station of a ``result``."""
        pending = self._pending
        if result and pending is not None and pending.message_id == message_id and not pending.future.done():
            self._refuse_result(message_id, error.code, error.what)
        self.settle(Failure(message_id, error.code, f"unreadable answer: {error.what}"))

    def settle(self, frame: Result | Failure) -> None:
        """Give an answer to the call that waits for it; anything unasked is dropped and counted."""
        pending = self._pending
        if isinstance(frame, Failure) and frame.of_result:
            self._counters.calls_refused += 1
            return
        if pending is None or pending.message_id != frame.message_id or pending.future.done():
            self._counters.dropped_results += 1
            self.unheard = 0  # late, but it does answer
            return
        if pending.setpoint:
            self.unheard = 0
        if isinstance(frame, Result):
            pending.future.set_result(frame)
        else:
            self._counters.calls_refused += 1
            pending.future.set_exception(CallRefused(f"{frame.code}: {frame.description}"))

    def close(self) -> None:
        """The connection is gone: the call in flight fails, and so do all that wait."""
        self._closed = True
        if self._pending is not None and not self._pending.future.done():
            self._pending.future.set_exception(Disconnected("connection closed"))
