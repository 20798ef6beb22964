"""`revere bench ocpp`: what the charging link reaches through sockets, beside the Python peer in the same run.

::

    core 0: the server under test  ◀── sockets ──▶  core 1: a crowd of light stations
                                                    PostgreSQL, where facts are committed, takes what is left

Figures of wall time: quote them from a quiet machine. No TLS but where certificates are said.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from revere.app.pki import make_pki
from revere.app.reach import crowd, served
from revere.app.reach.fleet import station_name
from revere.core.errors import RevereError
from revere.core.time import WallClock, wall_now
from revere.store.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

NEWS_S: Final = 300.0
LINE_MAX_BYTES: Final = 1 << 20
PEER_PYTHON: Final = Path(".peers/python/bin/python")
"""Where `make peers` puts it."""
PEER_SERVER: Final = Path(__file__).with_name("peer.py")
SETPOINT_ROUNDS: Final = 5
COMMIT_RATE_PER_S: Final = 5_000.0
STORM_PATIENCE_S: Final = 10.0
"""How long a station of the storm waits for its socket to open: the libraries' usual default."""


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How large the benches are; tests make them small."""

    stations: int = 1_000
    seconds: float = 10.0
    rate_per_s: float = COMMIT_RATE_PER_S
    idle: int = 5_000
    storm: int = 10_000
    certificates: int = 10_000
    setpoint: int = 10_000
    peer: bool = True


class Child:
    """A process of the bench: orders in, news out."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self._process = process
        self._errors = errors

    async def news(self) -> dict[str, Any]:
        """What it says next; raises with its last words when it has died."""
        assert self._process.stdout is not None
        async with asyncio.timeout(NEWS_S):
            line = await self._process.stdout.readline()
        if not line:
            raise RevereError("a part of the bench ended", where="bench ocpp", got=self._errors.read_text()[-2_000:])
        found: dict[str, Any] = json.loads(line)
        return found

    async def ask(self, order: str) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())
        return await self.news()


@contextlib.asynccontextmanager
async def child(arguments: Sequence[str]) -> AsyncIterator[Child]:
    """A process that ends with us."""
    with tempfile.NamedTemporaryFile(prefix="revere-bench-") as errors:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LINE_MAX_BYTES,
        )
        try:
            yield Child(process, Path(errors.name))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _cores() -> tuple[int | None, int | None]:
    """The server's and the crowd's; nothing is bound where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[-1]) if len(cores) > 1 else (None, None)


def _module(name: str, spec: msgspec.Struct) -> list[str]:
    return [sys.executable, "-m", name, msgspec.json.encode(spec).decode()]


@contextlib.asynccontextmanager
async def _ours(spec: served.Spec) -> AsyncIterator[tuple[Child, dict[str, Any]]]:
    spec.core = _cores()[0]
    async with child(_module(served.__name__, spec)) as server:
        yield server, await server.news()


@contextlib.asynccontextmanager
async def _peers() -> AsyncIterator[tuple[Child, dict[str, Any]]]:
    core = _cores()[0]
    python = str(PEER_PYTHON) if PEER_PYTHON.exists() else sys.executable
    async with child([python, str(PEER_SERVER), *([] if core is None else [str(core)])]) as server:
        yield server, await server.news()


@contextlib.asynccontextmanager
async def _crowd(spec: crowd.Spec) -> AsyncIterator[Child]:
    spec.core = _cores()[1]
    async with child(_module(crowd.__name__, spec)) as stations:
        yield stations


def _has_peer(sizes: Sizes) -> bool:
    return sizes.peer and (PEER_PYTHON.exists() or importlib.util.find_spec("ocpp") is not None)


async def _events(server: Child, port: int, sizes: Sizes, *, rate_per_s: float = 0.0) -> dict[str, Any]:
    """Transaction events against a server; what the crowd and the server saw."""
    spec = crowd.Spec(port=port, count=sizes.stations, mode="events", seconds=sizes.seconds, rate_per_s=rate_per_s)
    async with _crowd(spec) as stations:
        await stations.news()  # ready
        await stations.news()  # measuring
        before = await server.ask("stats")
        found: dict[str, Any] = (await stations.news())["events"]
        after = await server.ask("stats")
        await stations.ask("stop")
    used_s = after["cpu_s"] - before["cpu_s"]
    return found | {"server_cores": round(used_s / sizes.seconds, 2)}


def _prefixed(prefix: str, figures: dict[str, Any], *names: str) -> dict[str, Any]:
    return {f"{prefix}{name}": figures[name] for name in names if name in figures}


async def sockets(sizes: Sizes) -> dict[str, Any]:
    """Transaction events of a thousand stations, each the next when the last is answered; nothing stored."""
    names = ("per_s", "p50_ms", "p99_ms", "server_cores", "crowd_cores", "errors", "lost")
    async with _ours(served.Spec(count=sizes.stations)) as (server, said):
        ours = await _events(server, said["port"], sizes)
    figures = {"stations": sizes.stations, **_prefixed("", ours, *names)}
    if not _has_peer(sizes):
        return figures | {"peer": "PyPI ocpp is not installed"}
    async with _peers() as (server, said):
        theirs = await _events(server, said["port"], sizes)
    return figures | _prefixed("peer_", theirs, *names) | {"times_the_peer": _ratio(ours["per_s"], theirs["per_s"])}


def _ratio(ours: float, theirs: float) -> float | None:
    return round(ours / theirs, 2) if theirs else None


async def commit(sizes: Sizes) -> dict[str, Any]:
    """The same, each committed to PostgreSQL before its answer: as many as go, then at a set rate with and without."""
    async with _postgres() as postgres:
        stored = served.Spec(count=sizes.stations, dsn=postgres.dsn, owner_dsn=postgres.owner_dsn)
        async with _ours(stored) as (server, said):
            most = await _events(server, said["port"], sizes)
        async with _ours(stored) as (server, said):
            paced = await _events(server, said["port"], sizes, rate_per_s=sizes.rate_per_s)
    async with _ours(served.Spec(count=sizes.stations)) as (server, said):
        bare = await _events(server, said["port"], sizes, rate_per_s=sizes.rate_per_s)
    return {
        "stations": sizes.stations,
        **_prefixed("", most, "per_s", "p50_ms", "p99_ms", "server_cores", "errors", "lost"),
        **_prefixed("paced_", paced, "per_s", "p50_ms", "p99_ms", "late", "server_cores"),
        **_prefixed("unstored_", bare, "per_s", "p50_ms", "p99_ms", "late"),
        "added_p99_ms": round(paced.get("p99_ms", 0.0) - bare.get("p99_ms", 0.0), 2),
    }


@contextlib.asynccontextmanager
async def _postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A cluster of our own, everything on the disk before it answers."""
    folder = _folder()
    try:
        postgres = await EmbeddedPostgres.start(Path(folder.name) / "postgres", throwaway=False, clock=WallClock())
        try:
            yield postgres
        finally:
            await postgres.stop()
    finally:
        folder.cleanup()


def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="revere-")
    Path(folder.name).chmod(0o711)  # the cluster's own user passes through
    return folder


async def memory(sizes: Sizes) -> dict[str, Any]:
    """Memory of booted stations that say nothing: all that the server's process holds for them, KiB each."""
    async with _ours(served.Spec(count=sizes.idle)) as (server, said):
        ours = await _held(server, said, sizes.idle)
    figures = {"stations": sizes.idle, "station_kib": ours}
    if not _has_peer(sizes):
        return figures
    async with _peers() as (server, said):
        theirs = await _held(server, said, sizes.idle)
    return figures | {"peer_station_kib": theirs, "times_the_peer": _ratio(ours, theirs)}


async def _held(server: Child, said: dict[str, Any], count: int) -> float:
    async with _crowd(crowd.Spec(port=said["port"], count=count, mode="idle")) as stations:
        ready = (await stations.news())["ready"]
        assert ready["booted"] == count, ready
        found = await server.ask("stats")
        await stations.ask("stop")
    held_kib: int = found["rss_kib"] - said["bare_kib"]
    return round(held_kib / count, 1)


async def storm(sizes: Sizes) -> dict[str, Any]:
    """Everybody connects at once, gives up an opening after 10 s and comes again: when the last is booted."""
    async with _ours(served.Spec(count=sizes.storm)) as (server, said):
        figures = await _stormed(server, said, sizes.storm)
    if _has_peer(sizes):
        async with _peers() as (server, said):
            theirs = await _stormed(server, said, sizes.storm)
        figures |= _prefixed("peer_", theirs, "booted", "last_booted_s")
    if sizes.certificates:
        figures |= {f"certificates_{name}": value for name, value in (await _with_certificates(sizes)).items()}
    return figures


async def _stormed(server: Child, said: dict[str, Any], count: int, certificates: str = "") -> dict[str, Any]:
    spec = crowd.Spec(
        port=said["port"],
        count=count,
        mode="storm",
        open_timeout_s=STORM_PATIENCE_S if not certificates else 3 * STORM_PATIENCE_S,
        certificates=certificates,
    )
    async with _crowd(spec) as stations:
        ready = (await stations.news())["ready"]
        found = await server.ask("stats")
        await stations.ask("stop")
    kept = _prefixed("", ready, "booted", "last_booted_s", "half_booted_s", "refused")
    return {"stations": count, **kept, "server_cpu_s": found["cpu_s"], "rss_mib": found["rss_kib"] // 1024}


async def _with_certificates(sizes: Sizes) -> dict[str, Any]:
    names = [station_name(number) for number in range(sizes.certificates)]
    with tempfile.TemporaryDirectory(prefix="revere-") as folder:
        make_pki(Path(folder), None, names, days=2, now=wall_now())
        async with _ours(served.Spec(count=sizes.certificates, certificates=folder)) as (server, said):
            return await _stormed(server, said, sizes.certificates, folder)


async def setpoint(sizes: Sizes) -> dict[str, Any]:
    """One set-point to everybody at once, several times over: when the last has answered."""
    async with (
        _ours(served.Spec(count=sizes.setpoint)) as (server, said),
        _crowd(crowd.Spec(port=said["port"], count=sizes.setpoint, mode="idle")) as stations,
    ):
        await stations.news()
        rounds = [await server.ask(f"setpoint {-20 - number}") for number in range(SETPOINT_ROUNDS)]
        await stations.ask("stop")
    return {
        "stations": sizes.setpoint,
        "first_last_s": rounds[0]["last_s"],
        "last_s": max(one["last_s"] for one in rounds),
        "p99_s": max(one["p99_s"] for one in rounds),
        "not_accepted": sum(one["not_accepted"] for one in rounds),
        "why": sorted({why for one in rounds for why in one["why"]}),
    }


ROWS: Final[dict[str, Callable[[Sizes], Coroutine[Any, Any, dict[str, Any]]]]] = {
    "sockets": sockets,
    "commit": commit,
    "memory": memory,
    "storm": storm,
    "setpoint": setpoint,
}
