"""A crowd of light stations in one process: a socket, a handshake and hand-made frames each, no library.

Run as a process of its own (``python -m revere.app.reach.crowd SPEC``), so that the server under test has a core to
itself; ``SPEC`` is a :class:`Spec` as JSON. Says ``{"ready": …}`` once all stations are booted and asked nothing more,
and what it measured when it is done or told ``stop``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import ssl
import sys
from asyncio import sslproto
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from revere.app import process
from revere.app.reach import frames
from revere.app.reach.fleet import MODEL, VENDOR, secret, serial, station_name, token
from revere.app.reach.pipe import Orders, say
from revere.core.time import cpu_s, iso, wall_now
from revere.links.ocppj.bounds import TLS_BUFFER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESSES: Final = 8
"""Source addresses 127.0.0.2 and on: one has 28,232 ports, and those of closed sockets rest for a minute."""
CONNECTING_MAX: Final = 100
QUIET_S: Final = 0.5
WARM_S: Final = 1.0
BOOT_PATIENCE_S: Final = 30.0
BACKOFF_MAX_S: Final = 10.0
TICK_S: Final = 0.002
ORDER_S: Final = 600.0
KEY: Final = base64.b64encode(bytes(range(16))).decode()
SWITCHING: Final = b"HTTP/1.1 101"


class Spec(msgspec.Struct, kw_only=True):
    """What a crowd shall do.

    ``storm``: all connect at once, give up an opening after ``open_timeout_s`` and come again. ``events``: each sends
    transaction events, the next when the last is answered, or ``rate_per_s`` of them over all. ``idle``: nothing more.
    """

    port: int
    count: int
    mode: Literal["events", "idle", "storm"]
    seconds: float = 5.0
    rate_per_s: float = 0.0
    open_timeout_s: float = 60.0
    deadline_s: float = 240.0
    certificates: str = ""
    """Folder of the test PKI where the stations show certificates."""
    core: int | None = None


class Refused(Exception):
    """The server did not switch protocols; ``retry_after_s`` as it asked, if it did."""

    def __init__(self, status: str, retry_after_s: float | None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(status)


class Caller(asyncio.Protocol):
    """One station's socket."""

    def __init__(self, crowd: Crowd, name: str) -> None:
        self.name = name
        self.transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.booted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_answer: Callable[[bytes], None] = self._on_boot
        self.seq = 0
        self.sent_s = 0.0
        self.waiting = False
        self._crowd = crowd
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        credentials = base64.b64encode(f"{self.name}:{secret(self.name)}".encode()).decode()
        transport.write(
            f"GET /ocpp/{self.name} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp2.1\r\n"
            f"Authorization: Basic {credentials}\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        for future in (self.opened, self.booted):
            if not future.done():
                future.set_exception(ConnectionError(f"closed: {exc}"))
                future.exception()  # whoever waits is told; nobody may
        self.waiting = False
        self._crowd.lost += 1

    def data_received(self, data: bytes) -> None:
        """Take frames apart; the server's are not masked."""
        buffer = self._buffer + data if self._buffer else data
        if not self.opened.done():
            head, end, buffer = buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            if not head.startswith(SWITCHING):
                self._refused(head.decode("latin-1"))
                return
            self.opened.set_result(None)
        while True:
            opcode, payload, rest = frames.split(buffer)
            if payload is None:
                break
            buffer = rest
            if opcode == frames.TEXT:
                self._on_text(payload)
            elif opcode == frames.PING:
                self._write(frames.packed(payload, frames.PONG))
            elif opcode == frames.CLOSE and self.transport is not None:
                self.transport.close()
        self._buffer = buffer

    def _refused(self, head: str) -> None:
        found = [line for line in head.lower().split("\r\n") if line.startswith("retry-after:")]
        retry_after_s = float(found[0].partition(":")[2]) if found else None
        self.opened.set_exception(Refused(head.split("\r\n")[0], retry_after_s))
        self.opened.exception()
        if self.transport is not None:
            self.transport.abort()

    def _on_text(self, payload: bytes) -> None:
        kind = payload[1]
        if kind == frames.CALL:
            _, message_id, action, asked = json.loads(payload)
            self._crowd.asked_s = asyncio.get_running_loop().time()
            self._write(frames.packed(frames.reaction(message_id, action, asked)))
            self._crowd.asked += 1
        else:
            self._crowd.errors += kind != frames.RESULT
            self.on_answer(payload)

    def _write(self, frame: bytes) -> None:
        if self.transport is not None:
            self.transport.write(frame)

    def boot(self) -> None:
        """Say who it is."""
        station = {"model": MODEL, "vendorName": VENDOR, "serialNumber": serial(self.name)}
        boot = [2, "boot", "BootNotification", {"reason": "PowerUp", "chargingStation": station}]
        self._write(frames.packed(json.dumps(boot).encode()))

    def _on_boot(self, payload: bytes) -> None:
        if json.loads(payload)[2].get("status") == "Accepted" and not self.booted.done():
            self.booted.set_result(None)

    def begin(self) -> None:
        """Start a transaction."""
        self.on_answer = self._crowd.counted(self)
        self.sent_s, self.waiting = asyncio.get_running_loop().time(), True
        self._write(frames.packed(frames.started(self.name, token(self.name), iso(wall_now()))))

    def event(self) -> None:
        """Send the next transaction event."""
        self.seq += 1
        self.sent_s, self.waiting = asyncio.get_running_loop().time(), True
        self._write(frames.packed(frames.event(self.name, self.seq, self._crowd.stamp())))


class Crowd:
    """All of them, and what they saw."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.asked = 0
        self.asked_s = 0.0
        self.errors = 0
        self.lost = 0
        self.refused = 0
        self.late = 0
        self._rng = random.Random(1)
        self._callers: list[Caller] = []
        self._certificates: list[ssl.SSLContext] = []
        self._delays_s: list[float] = []
        self._measuring = False
        self._stamp = ("", -1.0)

    def stamp(self) -> str:
        """The time of day, made anew each millisecond."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._stamp[1] > 0.001:
            self._stamp = (iso(wall_now()), now_s)
        return self._stamp[0]

    def counted(self, caller: Caller) -> Callable[[bytes], None]:
        """What a caller does with an answer: it counts, and where nothing sets the pace it sends the next."""
        loop, paced = asyncio.get_running_loop(), self.spec.rate_per_s > 0

        def on_answer(_: bytes) -> None:
            caller.waiting = False
            if self._measuring:
                self._delays_s.append(loop.time() - caller.sent_s)
            if not paced:
                caller.event()

        return on_answer

    async def _open(self, number: int) -> Caller:
        """Open one socket and boot; raises ``OSError``, ``TimeoutError`` or :class:`Refused`."""
        name = station_name(number)
        tls = self._certificates[number] if self._certificates else None
        loop = asyncio.get_running_loop()
        caller = Caller(self, name)
        try:
            async with asyncio.timeout(self.spec.open_timeout_s):
                await loop.create_connection(
                    lambda: caller,
                    "127.0.0.1",
                    self.spec.port,
                    local_addr=(f"127.0.0.{2 + number % ADDRESSES}", 0),
                    ssl=tls,
                    server_hostname="localhost" if tls else None,
                )
                await caller.opened
            async with asyncio.timeout(BOOT_PATIENCE_S):
                caller.boot()
                await caller.booted
        except BaseException:
            if caller.transport is not None:
                caller.transport.abort()
            raise
        return caller

    async def arrive(self) -> dict[str, Any]:
        """Everybody connects and boots, a hundred at a time or all at once; when, in seconds from the first."""
        storm = self.spec.mode == "storm"
        gate = asyncio.Semaphore(self.spec.count if storm else CONNECTING_MAX)
        if self.spec.certificates:  # read before the first call: a station has its own at hand
            names = [station_name(number) for number in range(self.spec.count)]
            self._certificates = [_client_tls(Path(self.spec.certificates), name) for name in names]
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        booted_s: list[float] = []

        async def come(number: int) -> None:
            tries = 0
            while True:
                try:
                    async with gate:
                        self._callers.append(await self._open(number))
                    booted_s.append(loop.time() - began_s)
                    return
                except Refused as error:
                    self.refused += 1
                    wait_s = error.retry_after_s
                except (OSError, TimeoutError):
                    wait_s = None
                tries += 1
                most_s = min(BACKOFF_MAX_S, 2.0**tries)
                spread = self._rng.random()
                await asyncio.sleep(most_s * spread if wait_s is None else wait_s + spread)

        tasks = [loop.create_task(come(number)) for number in range(self.spec.count)]
        _, left = await asyncio.wait(tasks, timeout=self.spec.deadline_s)
        for task in left:
            task.cancel()
        booted_s.sort()
        return {
            "booted": len(booted_s),
            "last_booted_s": round(booted_s[-1], 2) if booted_s else None,
            "half_booted_s": round(booted_s[len(booted_s) // 2], 2) if booted_s else None,
            "refused": self.refused,
        }

    async def quiet(self) -> None:
        """Wait until the server has asked nobody anything for a while."""
        loop = asyncio.get_running_loop()
        self.asked_s = max(self.asked_s, loop.time())
        while loop.time() - self.asked_s < QUIET_S:
            await asyncio.sleep(QUIET_S / 4)

    async def events(self) -> dict[str, Any]:
        """Transaction events for a while; how many were answered and how soon."""
        for caller in self._callers:
            caller.begin()
        pace = asyncio.get_running_loop().create_task(self._pace()) if self.spec.rate_per_s else None
        await asyncio.sleep(WARM_S)
        self._measuring, began_s, used_s = True, asyncio.get_running_loop().time(), cpu_s()
        say({"measuring": True})
        await asyncio.sleep(self.spec.seconds)
        self._measuring = False
        spent_s = asyncio.get_running_loop().time() - began_s
        if pace is not None:
            pace.cancel()
        delays_s = sorted(self._delays_s)
        if not delays_s:
            return {"per_s": 0, "errors": self.errors, "lost": self.lost}
        return {
            "per_s": round(len(delays_s) / spent_s),
            "p50_ms": round(1e3 * delays_s[len(delays_s) // 2], 2),
            "p99_ms": round(1e3 * delays_s[int(len(delays_s) * 0.99)], 2),
            "errors": self.errors,
            "lost": self.lost,
            "late": self.late,
            "crowd_cores": round((cpu_s() - used_s) / spent_s, 2),
        }

    async def _pace(self) -> None:
        """So many events a second over all stations in turn; one whose last is not answered yet is passed over."""
        loop = asyncio.get_running_loop()
        began_s, sent = loop.time(), 0
        while True:
            due = int((loop.time() - began_s) * self.spec.rate_per_s)
            for number in range(sent, due):
                caller = self._callers[number % len(self._callers)]
                if caller.waiting:
                    self.late += 1
                else:
                    caller.event()
            sent = due
            await asyncio.sleep(TICK_S)

    def leave(self) -> None:
        """Close every socket."""
        for caller in self._callers:
            if caller.transport is not None:
                caller.transport.abort()


def _client_tls(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "root.pem")
    context.load_cert_chain(folder / "stations" / f"{name}.pem", folder / "stations" / f"{name}.key")
    return context


async def _run(spec: Spec) -> None:
    orders = await Orders.open()
    crowd = Crowd(spec)
    arrived = await crowd.arrive()
    await crowd.quiet()
    say({"ready": arrived | {"asked": crowd.asked}})
    if spec.mode == "events":
        say({"events": await crowd.events()})
    async with asyncio.timeout(ORDER_S):
        await orders.next()
    say({"done": {"lost": crowd.lost, "errors": crowd.errors}})
    crowd.leave()


def main() -> None:
    """Read the specification and be the crowd."""
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    process.many_sockets()
    sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
    if spec.core is not None:
        os.sched_setaffinity(0, {spec.core})
    asyncio.run(_run(spec))


if __name__ == "__main__":
    main()
