"""Migrations, the oldest server that we promise, loose servers, backup and restore."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from revere.core.errors import Refused, RevereError
from revere.core.time import WallClock
from revere.store import postgres
from revere.store.backup import backup, restore
from revere.store.postgres import EmbeddedPostgres
from revere.store.schema import migrate, schema_version, upgrade_sql
from revere.store.store import Store

from .samples import T0, TENANT, plan, reading
from .test_journal import query
from .test_ledger import line
from .test_registry import fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def empty_dsn(pg: EmbeddedPostgres) -> Iterator[str]:
    asyncio.run(query(pg.dsn, "CREATE DATABASE empty_one"))
    yield pg.dsn_of("empty_one")
    asyncio.run(query(pg.dsn, "DROP DATABASE empty_one WITH (FORCE)"))


async def fill(store: Store) -> tuple[str, str]:
    """A little of everything; returns the two hashes."""
    await store.record([reading(n, station=n % 3) for n in range(50)] + [plan(n) for n in range(5)])
    await store.record([reading(0, power_kw=3.0)])
    await store.post([line(n) for n in range(4)])
    await store.save_fleet(fleet())
    return await store.journal_hash(), await store.ledger_hash()


def test_up_from_nothing_and_again(empty_dsn: str) -> None:
    async def run() -> None:
        conn = await asyncpg.connect(empty_dsn)
        try:
            assert await schema_version(conn) is None
            await migrate(conn)
            version = await schema_version(conn)
            assert version is not None
            assert upgrade_sql(version) == ""
            await migrate(conn)
        finally:
            await conn.close()

    asyncio.run(run())


def test_two_processes_may_start_at_once(empty_dsn: str) -> None:
    async def run() -> None:
        stores = await asyncio.gather(
            *(Store.open(empty_dsn, WallClock(), TENANT, require_durable=False) for _ in range(4))
        )
        for store in stores:
            await store.close()

    asyncio.run(run())


def test_a_newer_schema_is_refused(pg_dsn: str) -> None:
    async def run() -> None:
        await query(pg_dsn, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(RevereError, match=r"newer release.*got schema 9999"):
            await Store.open(pg_dsn, WallClock(), TENANT, require_durable=False)

    asyncio.run(run())


def test_production_refuses_a_server_that_may_forget(pg_dsn: str) -> None:
    with pytest.raises(RevereError, match="fsync = off, full_page_writes = off, synchronous_commit = off"):
        asyncio.run(Store.open(pg_dsn, WallClock(), TENANT, require_durable=True))


def test_a_wrong_password_is_said_without_showing_it(pg: EmbeddedPostgres, pg_dsn: str) -> None:
    password = (pg.data_dir / "password").read_text()
    with pytest.raises(RevereError, match="refuses the user or password") as caught:
        asyncio.run(Store.open(pg_dsn.replace(password, "wrong-one"), WallClock(), TENANT, require_durable=False))
    assert "wrong-one" not in str(caught.value)


def test_a_restored_copy_has_the_same_hashes(pg: EmbeddedPostgres, pg_dsn: str, empty_dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "revere.backup"

    async def run() -> None:
        store = await Store.open(pg_dsn, WallClock(), TENANT, require_durable=False)
        hashes = await fill(store)
        revs = (await store.series("st0/1", "ac_inlet", "power_kw", T0, T0.replace(hour=23))).rev
        await backup(pg_dsn, file, pg.bin_dir)
        await store.close()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await restore(empty_dsn, file, pg.bin_dir)
        copy = await Store.open(empty_dsn, WallClock(), TENANT, require_durable=False)
        try:
            assert (await copy.journal_hash(), await copy.ledger_hash()) == hashes
            assert await copy.verify_ledger() == 4
            assert (await copy.series("st0/1", "ac_inlet", "power_kw", T0, T0.replace(hour=23))).rev == revs
            assert await copy.load_fleet() == fleet()
            await copy.record([plan(99)])  # the numbering goes on
            assert [fact async for fact in copy.journal()][-1] == plan(99)
            with pytest.raises(asyncpg.RestrictViolationError):
                await query(empty_dsn, "DELETE FROM journal")
        finally:
            await copy.close()
        with pytest.raises(Refused, match="not empty"):
            await restore(empty_dsn, file, pg.bin_dir)

    asyncio.run(run())


def test_a_failed_backup_leaves_no_file(pg: EmbeddedPostgres, tmp_path: Path) -> None:
    with pytest.raises(RevereError, match=r"pg_dump.*nowhere"):
        asyncio.run(backup(pg.dsn_of("nowhere"), tmp_path / "x", pg.bin_dir))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_backup_is_refused(pg: EmbeddedPostgres, empty_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("SELECT 1;")
    with pytest.raises(Refused, match="not a backup"):
        asyncio.run(restore(empty_dsn, tmp_path / "x", pg.bin_dir))


@pytest.mark.skipif(not (DEBIAN_15 / "initdb").exists(), reason="no PostgreSQL 15 on this machine")
def test_the_oldest_server_does_it_all(pg_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_binaries", lambda *_: DEBIAN_15)
    clock = WallClock()

    async def run() -> None:
        server = await EmbeddedPostgres.start(pg_folder / "fifteen", throwaway=True, clock=clock)
        try:
            assert str((await query(server.dsn, "SHOW server_version_num"))[0][0]).startswith("15")
            store = await Store.open(server.dsn, clock, TENANT, require_durable=False)
            try:
                await fill(store)
                assert await store.verify_ledger() == 4
                assert len(await store.fleet_power(T0, T0.replace(hour=23), 300)) == 10
                assert await store.refresh_hours(T0, T0.replace(hour=23)) > 0
                assert await store.load_fleet() == fleet()
            finally:
                await store.close()
            with pytest.raises(asyncpg.RestrictViolationError):
                await query(server.dsn, "UPDATE journal_2023_09 SET kind = 'x'")
        finally:
            await server.stop()

    asyncio.run(run())
