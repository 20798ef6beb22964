"""The server under test, in a process and on a core of its own: stations' server, inbox and image, as `serve` has them.

Run as ``python -m revere.app.reach.served SPEC``. Says ``{"port": …}`` and then answers orders: ``stats``,
``setpoint KW``, ``stop``.
"""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from revere.app import process
from revere.app.reach.fleet import bench_fleet, directory
from revere.app.reach.frames import transaction_id
from revere.app.reach.pipe import Orders, say
from revere.app.settings import OcppSettings
from revere.app.tls import StationTls
from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.core.commands import SetpointCommand
from revere.core.ids import CommandId, SessionId, TenantId
from revere.core.time import WallClock, cpu_s, wall_s
from revere.links.ocppj.line import session_id_of
from revere.links.ocppj.server import OcppServer
from revere.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from revere.control.inbox import Journal
    from revere.core.facts import Fact
    from revere.core.ids import StationId

PING_S = 20.0
"""As `revere serve` has it."""


class Spec(msgspec.Struct, kw_only=True):
    """What is served: how many stations, with which journal (``dsn`` empty: none), at which door."""

    count: int
    dsn: str = ""
    owner_dsn: str = ""
    certificates: str = ""
    core: int | None = None


class Nowhere:
    """A journal that counts facts and keeps none."""

    def __init__(self) -> None:
        self.counted = 0

    def submit(self, facts: Sequence[Fact], ended: Callable[[Exception | None], None]) -> asyncio.Future[None]:
        """Committed at the loop's next turn."""
        self.counted += len(facts)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        loop.call_soon(ended, None)
        loop.call_soon(done.set_result, None)
        return done


class Served:
    """The server and what a bench asks of it."""

    def __init__(self, spec: Spec, journal: Journal) -> None:
        fleet = bench_fleet(spec.count, security_profile=3 if spec.certificates else 1)
        image = Image(fleet)
        self._stations = [station.id for station in fleet.stations]
        self._tls = _tls(Path(spec.certificates)) if spec.certificates else None
        self._clock = WallClock()
        self.server = OcppServer(Inbox(journal, image), directory(fleet, image), self._clock, ping_interval_s=PING_S)

    async def listen(self) -> int:
        """The port."""
        return await self.server.serve("127.0.0.1", 0, tls=self._tls)

    def stats(self) -> dict[str, Any]:
        """What the process has used, and what the server counts."""
        counted = msgspec.structs.asdict(self.server.counters)
        return {
            "cpu_s": round(cpu_s(), 3),
            "rss_kib": rss_kib(),
            "connected": len(self.server.connected()),
            **{name: count for name, count in counted.items() if count},
        }

    async def setpoint(self, kw: float) -> dict[str, Any]:
        """One set-point to every station at once: when each had answered, seconds from the order."""
        began_s = wall_s()
        ended_s: list[float] = []
        refused: list[str] = []

        async def tell(station_id: StationId) -> None:
            answer = await self.server.set_power(
                SetpointCommand(
                    command_id=CommandId(f"c-{station_id}"),
                    station_id=station_id,
                    evse_id=1,
                    session_id=SessionId(session_id_of(station_id, transaction_id(station_id))),
                    setpoint_kw=kw,
                    charge_limit_kw=60.0,
                    discharge_limit_kw=60.0,
                )
            )
            ended_s.append(wall_s() - began_s)
            if answer.status != "accepted":
                refused.append(f"{answer.status}: {answer.why}")

        await asyncio.gather(*(tell(station_id) for station_id in self._stations))
        ended_s.sort()
        return {
            "last_s": round(ended_s[-1], 3),
            "p99_s": round(ended_s[int(len(ended_s) * 0.99)], 3),
            "half_s": round(ended_s[len(ended_s) // 2], 3),
            "not_accepted": len(refused),
            "why": sorted(set(refused))[:3],
        }


def rss_kib() -> int:
    """Memory of this process that is in use, KiB."""
    fields = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return next(int(field[1]) for field in fields if field[0] == "VmRSS:")


def _tls(folder: Path) -> ssl.SSLContext:
    settings = OcppSettings(
        tls_cert=folder / "server.pem", tls_key=folder / "server.key", tls_station_root=folder / "root.pem"
    )
    return StationTls(settings).context


async def _run(spec: Spec) -> None:
    gc.collect()
    bare_kib, store = rss_kib(), None
    clock = WallClock()
    if spec.dsn:
        store = await Store.open(
            spec.dsn, clock, TenantId("bench"), require_durable=True, owner_dsn=spec.owner_dsn or None
        )
    served = Served(spec, store or Nowhere())
    orders = await Orders.open()
    try:
        say({"port": await served.listen(), "bare_kib": bare_kib})
        while (order := await orders.next()) not in ("", "stop"):
            word, _, value = order.partition(" ")
            say(await served.setpoint(float(value)) if word == "setpoint" else served.stats())
    finally:
        await served.server.close()
        if store is not None:
            await store.close()


def main() -> None:
    """Read the specification and serve."""
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    if spec.core is not None:
        os.sched_setaffinity(0, {spec.core})
    process.many_sockets()
    asyncio.run(_run(spec))


if __name__ == "__main__":
    main()
