"""Twin time: an event loop whose clock jumps to the next timer when nothing else can happen.

::

    ready callbacks ──▶ run them
    a hold is open, or bytes are between two of our own sockets ──▶ wait on the selector; time stands still
    nothing but timers left ──▶ time := the next timer's own time

Both ends of every station's socket live in this process, so a day of real traffic passes in seconds. The
code that runs in the loop is the production code: only the loop differs. With ``speed`` the loop is paced
instead (virtual = wall x speed, standing still during holds), for people who watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import heapq
import itertools
import selectors
import socket
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

from revere.core.errors import Unavailable
from revere.core.time import wall_s

T = TypeVar("T")
Address = tuple[Any, ...]

STALL_S = 5.0
"""Real seconds that bytes may be on their way between two sockets of one machine before we call it a fault."""
RESOLUTION_S = 1e-9


class CountedSocket:
    """A TCP socket that counts the bytes on their way to it; everything else is the socket's own."""

    def __init__(self, sock: socket.socket, loop: TwinLoop) -> None:
        self._sock = sock
        self._flights = loop.flights
        self.here: Address = sock.getsockname()
        self.there: Address = sock.getpeername()
        self.incoming = 0
        self._flights.opened(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send, and count what the kernel took as on its way to the other end."""
        sent = self._sock.send(data, flags)
        self._flights.sent(self, sent)
        return sent

    def sendmsg(self, buffers: Any, *rest: Any) -> int:
        """Send several buffers, counted as :meth:`send`."""
        sent = self._sock.sendmsg(buffers, *rest)
        self._flights.sent(self, sent)
        return sent

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive; the bytes have arrived."""
        data = self._sock.recv(size, flags)
        self._flights.received(self, len(data))
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """Receive into a buffer; the bytes have arrived."""
        got = self._sock.recv_into(buffer, size, flags)
        self._flights.received(self, got)
        return got

    def close(self) -> None:
        """Close, and forget what nobody will read any more."""
        self._flights.closed(self)
        self._sock.close()


class Flights:
    """Bytes between two TCP sockets of this process. Only flows whose both ends live here are counted."""

    def __init__(self) -> None:
        self.bytes = 0
        self.connecting = 0
        self._ends: dict[tuple[Address, Address], CountedSocket] = {}
        self._waiting: dict[tuple[Address, Address], int] = {}
        self._listening: set[Address] = set()

    def listening(self, address: Address) -> None:
        """Remember that ``address`` is served from this loop."""
        self._listening.add(address)

    def silent(self, address: Address) -> None:
        """Forget a served address, with what waits for it."""
        self._listening.discard(address)
        for key in [key for key in self._waiting if key[0] == address]:
            self.bytes -= self._waiting.pop(key)

    def serves(self, address: Address) -> bool:
        """Whether this loop listens on ``address``."""
        return address in self._listening or ("0.0.0.0", address[1]) in self._listening  # noqa: S104 (a comparison)

    def opened(self, end: CountedSocket) -> None:
        """Register an end, with the bytes that were sent before we accepted it."""
        self._ends[end.here, end.there] = end
        end.incoming = self._waiting.pop((end.here, end.there), 0)

    def sent(self, end: CountedSocket, count: int) -> None:
        """Count bytes as on their way to ``end``'s other end, if that is ours."""
        other = self._ends.get((end.there, end.here))
        if other is not None:
            other.incoming += count
        elif self.serves(end.there):
            key = (end.there, end.here)
            self._waiting[key] = self._waiting.get(key, 0) + count
        else:
            return
        self.bytes += count

    def received(self, end: CountedSocket, count: int) -> None:
        """Take arrived bytes off; the end of the stream takes off all."""
        count = min(count, end.incoming) if count else end.incoming
        end.incoming -= count
        self.bytes -= count

    def closed(self, end: CountedSocket) -> None:
        """Take off what nobody will read; what the other end has still to read stays."""
        if self._ends.get((end.here, end.there)) is end:
            del self._ends[end.here, end.there]
        self.received(end, 0)
        self.bytes -= self._waiting.pop((end.there, end.here), 0)

    def due(self, selector: selectors.BaseSelector) -> bool:
        """Whether bytes are on their way to somebody who is reading (a paused reader may take its time)."""
        if self.connecting or self._waiting:
            return True
        watched = selector.get_map()
        for end in self._ends.values():
            if end.incoming:
                key = watched.get(end.fileno())
                if key is not None and key.events & selectors.EVENT_READ:
                    return True
        return False


class VirtualSelector:
    """The loop's ``select(timeout)``: the place where twin time is made."""

    def __init__(self) -> None:
        self.real = selectors.DefaultSelector()
        self.loop: TwinLoop | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Ready files; where there are none, wait for the world or move time to the next timer."""
        loop = self.loop
        assert loop is not None
        if loop.speed is not None:
            frozen = timeout is None or (loop.holds and timeout > 0)
            return self.real.select(None if frozen or timeout is None else timeout / loop.speed)
        ready = self.real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if loop.holds or timeout is None:
            return self.real.select(None)
        if (loop.flights.bytes or loop.flights.connecting) and loop.flights.due(self.real):
            ready = self.real.select(STALL_S)
            if not ready:
                raise Unavailable(
                    "bytes between two sockets of the twin never arrived",
                    got=f"{loop.flights.bytes} bytes after {STALL_S:g} s",
                    remedy="A reader is stuck, or a socket was closed behind the loop's back.",
                )
            return ready
        loop.jump()
        return ready


class OrderedTimer(asyncio.TimerHandle):
    """A timer that knows which of two at the same moment was armed first."""

    __slots__ = ("_order",)

    def __init__(self, when: float, order: int, callback: Any, args: Any, loop: Any, context: Any) -> None:
        super().__init__(when, callback, args, loop, context)
        self._order = order

    def __lt__(self, other: Any) -> bool:
        """By moment, then by order of arming."""
        if self._when != other._when:  # type: ignore[attr-defined]
            return bool(self._when < other._when)  # type: ignore[attr-defined]
        return bool(self._order < other._order)


class TwinLoop(asyncio.SelectorEventLoop):
    """An event loop in twin time. ``holds`` > 0 while somebody waits for something outside the loop.

    Thread jobs (``run_in_executor``, ``to_thread``) hold time by themselves.
    """

    def __init__(self, speed: float | None = None) -> None:
        assert speed is None or speed > 0, speed
        self.speed = speed
        self.holds = 0
        self.jumps = 0
        self.flights = Flights()
        self._virtual_s = 0.0
        self._arming = itertools.count()
        self._anchor_s = wall_s()
        selector = VirtualSelector()
        super().__init__(selector)  # type: ignore[arg-type]
        selector.loop = self
        self._clock_resolution = RESOLUTION_S

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Arm a timer; timers of one moment fire in the order of arming.

        A plain heap does not keep that order once a timer among them is cancelled, and then one seed would not
        replay one run.
        """
        self._check_closed()  # type: ignore[attr-defined]
        timer = OrderedTimer(when, next(self._arming), callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        if self.speed is None or self.holds:
            return self._virtual_s
        return self._virtual_s + (wall_s() - self._anchor_s) * self.speed

    def jump(self) -> None:
        """Move to the next timer's own time (not to now + timeout: the rounding would spin)."""
        timers = self._scheduled  # type: ignore[attr-defined]
        if timers:
            self._virtual_s = max(self._virtual_s, timers[0]._when)
            self.jumps += 1

    def hold_open(self) -> None:
        """Stop time until as many :meth:`hold_close`."""
        if self.holds == 0:
            self._virtual_s = self.time()
        self.holds += 1

    def hold_close(self) -> None:
        """Let time go on."""
        assert self.holds > 0
        self.holds -= 1
        if self.holds == 0:
            self._anchor_s = wall_s()

    def hold(self) -> Hold:
        """Stop time while the block waits for something outside the loop."""
        return Hold(self)

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run ``func`` in a thread; time stands still until it is done."""
        self.hold_open()
        try:
            future = super().run_in_executor(executor, func, *args)
        except BaseException:
            self.hold_close()
            raise
        future.add_done_callback(lambda _: self.hold_close())
        return future

    def _start_serving(self, protocol_factory: Any, sock: socket.socket, *rest: Any, **named: Any) -> None:
        if sock.family == socket.AF_INET:
            self.flights.listening(sock.getsockname())
        super()._start_serving(protocol_factory, sock, *rest, **named)  # type: ignore[misc]

    def _stop_serving(self, sock: socket.socket) -> None:
        if sock.family == socket.AF_INET and sock.fileno() >= 0:
            self.flights.silent(sock.getsockname())
        super()._stop_serving(sock)  # type: ignore[misc]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; a connection to one of our own servers counts as on its way."""
        ours = sock.family == socket.AF_INET and self.flights.serves(address)
        self.flights.connecting += ours
        try:
            await super().sock_connect(sock, address)
        finally:
            self.flights.connecting -= ours

    def _make_socket_transport(self, sock: socket.socket, *rest: Any, **named: Any) -> Any:
        counted: Any = sock
        if sock.family == socket.AF_INET and sock.type == socket.SOCK_STREAM:
            with contextlib.suppress(OSError):  # the peer is gone already: nothing to count
                counted = CountedSocket(sock, self)
        return super()._make_socket_transport(counted, *rest, **named)  # type: ignore[misc]


class Hold:
    """``async with``: twin time stands still inside. A class, because every commit opens one."""

    __slots__ = ("_before", "_loop")

    def __init__(self, loop: TwinLoop) -> None:
        self._loop = loop
        self._before = 0.0

    async def __aenter__(self) -> None:
        self._loop.hold_open()
        self._before = self._loop.time()

    async def __aexit__(self, *_error: object) -> None:
        moved = self._loop.time() - self._before
        self._loop.hold_close()
        assert moved == 0, f"time moved {moved:g} s inside a hold"


class TwinClock:
    """The house's clock port over a twin loop: ``epoch`` (UTC) is the moment at loop time 0."""

    def __init__(self, loop: TwinLoop, epoch: dt.datetime) -> None:
        assert epoch.tzinfo is not None, "the epoch is naive"
        self.loop = loop
        self.epoch = epoch.astimezone(dt.UTC)
        self.epoch_s = self.epoch.timestamp()
        self._told_s, self._told = 0.0, self.epoch

    def now(self) -> dt.datetime:
        """The present twin moment, UTC. Asked several times in each moment, so the last answer is kept."""
        now_s = self.loop.time()
        if now_s != self._told_s:
            self._told_s, self._told = now_s, self.epoch + dt.timedelta(seconds=now_s)
        return self._told

    def monotonic_s(self) -> float:
        """Virtual seconds of the loop."""
        return self.loop.time()

    def hold(self) -> Hold:
        """Stop twin time inside the block."""
        return Hold(self.loop)


async def sleep_until(clock: TwinClock, at: dt.datetime) -> None:
    """Sleep to a twin moment; returns at once if it has passed."""
    wait_s = (at - clock.now()).total_seconds()
    if wait_s > 0:
        await asyncio.sleep(wait_s)


async def settle(loop: TwinLoop) -> None:
    """Let the loop run empty at this instant: no callback ready, no byte on its way."""
    while loop._ready or loop.flights.bytes:  # type: ignore[attr-defined]
        await asyncio.sleep(0)


def run_twin(
    main: Callable[[TwinClock], Awaitable[T] | Coroutine[Any, Any, T]],
    epoch: dt.datetime,
    speed: float | None = None,
) -> T:
    """Run ``main(clock)`` in twin time from ``epoch``; with ``speed`` at that many times wall time."""

    async def body() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TwinLoop)
        return await main(TwinClock(loop, epoch))

    with asyncio.Runner(loop_factory=lambda: TwinLoop(speed)) as runner:
        return runner.run(body())
