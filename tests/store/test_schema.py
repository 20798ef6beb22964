"""Migrations, loose servers, backup and restore."""

from __future__ import annotations

import asyncio
import re
import stat
from typing import TYPE_CHECKING

import asyncpg
import pytest

from revere.core.errors import Refused, RevereError
from revere.core.time import WallClock
from revere.store.backup import backup, restore
from revere.store.postgres import OWNER, EmbeddedPostgres
from revere.store.schema import migrate, schema_version, upgrade_sql
from revere.store.series import QUANTITIES
from revere.store.store import Store

from .samples import T0, TENANT, plan, reading
from .test_journal import query
from .test_ledger import line
from .test_registry import fleet

if TYPE_CHECKING:
    from pathlib import Path


async def open_new(pg: EmbeddedPostgres, database: str) -> Store:
    """A store over a database that its owner still has to bring up."""
    return await Store.open(
        pg.dsn_of(database), WallClock(), TENANT, require_durable=False, owner_dsn=pg.dsn_of(database, OWNER)
    )


async def fill(store: Store) -> tuple[str, str]:
    """A little of everything; returns the two hashes."""
    await store.record([reading(n, station=n % 3) for n in range(50)] + [plan(n) for n in range(5)])
    await store.record([reading(0, power_kw=3.0)])
    await store.post([line(n) for n in range(4)])
    await store.save_fleet(fleet())
    return await store.journal_hash(), await store.ledger_hash()


def test_up_from_nothing_and_again(pg: EmbeddedPostgres, empty_database: str) -> None:
    async def run() -> None:
        conn = await asyncpg.connect(pg.dsn_of(empty_database, OWNER))
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


def test_two_processes_may_start_at_once(pg: EmbeddedPostgres, empty_database: str) -> None:
    async def run() -> None:
        stores = await asyncio.gather(*(open_new(pg, empty_database) for _ in range(4)))
        for store in stores:
            await store.close()

    asyncio.run(run())


def test_a_newer_schema_is_refused(pg_dsn: str, owner_dsn: str) -> None:
    async def run() -> None:
        await query(owner_dsn, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(RevereError, match=r"newer release.*got schema 9999"):
            await Store.open(pg_dsn, WallClock(), TENANT, require_durable=False)

    asyncio.run(run())


def test_production_refuses_a_server_that_may_forget(pg_dsn: str) -> None:
    with pytest.raises(RevereError, match="fsync = off, full_page_writes = off, synchronous_commit = off"):
        asyncio.run(Store.open(pg_dsn, WallClock(), TENANT, require_durable=True))


def test_a_wrong_password_is_said_without_showing_it(pg_dsn: str) -> None:
    wrong = re.sub(r":[^:@]+@", ":wrong-one@", pg_dsn)
    with pytest.raises(RevereError, match="refuses the user or password") as caught:
        asyncio.run(Store.open(wrong, WallClock(), TENANT, require_durable=False))
    assert "wrong-one" not in str(caught.value)


def test_a_restored_copy_is_the_same(
    pg: EmbeddedPostgres, pg_dsn: str, owner_dsn: str, empty_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "revere.backup"
    day = (T0, T0.replace(hour=23))

    async def content(store: Store) -> tuple[object, ...]:
        pages = [await store.series("st0/1", "ac_inlet", quantity, *day) for quantity in QUANTITIES]
        return await store.journal_hash(), await store.ledger_hash(), pages, await store.load_fleet()

    async def run() -> None:
        store = await Store.open(pg_dsn, WallClock(), TENANT, require_durable=False)
        await fill(store)
        original = await content(store)
        await backup(owner_dsn, file, pg.bin_dir / "pg_dump")
        await store.close()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await restore(pg.dsn_of(empty_database, OWNER), file, pg.bin_dir / "pg_restore")
        copy = await open_new(pg, empty_database)
        try:
            assert await content(copy) == original
            assert await copy.verify_ledger() == 4
            await copy.record([plan(99)])  # the numbering goes on
            assert [fact async for fact in copy.journal()][-1] == plan(99)
            assert await copy.post([line(4)]) == [5]
        finally:
            await copy.close()
        with pytest.raises(Refused, match="not empty"):
            await restore(pg.dsn_of(empty_database, OWNER), file, pg.bin_dir / "pg_restore")

    asyncio.run(run())


def test_a_failed_backup_leaves_no_file(pg: EmbeddedPostgres, tmp_path: Path) -> None:
    with pytest.raises(RevereError, match=r"pg_dump.*nowhere"):
        asyncio.run(backup(pg.dsn_of("nowhere"), tmp_path / "x", pg.bin_dir / "pg_dump"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_backup_is_refused(pg: EmbeddedPostgres, pg_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("SELECT 1;")
    with pytest.raises(Refused, match="not a backup"):
        asyncio.run(restore(pg_dsn, tmp_path / "x", pg.bin_dir / "pg_restore"))
