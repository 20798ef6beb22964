"""Least privilege: the application reads and adds; the database itself refuses it everything else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from revere.core.errors import RevereError
from revere.core.time import WallClock
from revere.store.postgres import APPLICATION, DATABASE, OWNER, SUPERUSER
from revere.store.rights import FUNCTIONS, RECORDS, TABLES
from revere.store.schema import migrate
from revere.store.store import Store

from .samples import TENANT, reading
from .test_journal import query, with_store
from .test_ledger import line
from .test_registry import fleet

if TYPE_CHECKING:
    from revere.store.postgres import EmbeddedPostgres


def open_as(dsn: str) -> None:
    """Open a store and close it again."""

    async def run() -> None:
        store = await Store.open(dsn, WallClock(), TENANT, require_durable=False)
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0}"])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("ledger", "cents"),
        ("journal", "kind"),
        ("sample", "rev"),
        ("journal_2023_09", "kind"),
        ("sample_2023_09", "rev"),
    ],
)
def test_the_application_can_change_no_record(pg_dsn: str, statement: str, table: str, column: str) -> None:
    async def work(store: Store) -> None:
        await store.record([reading()])
        await store.post([line(0)])
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await query(pg_dsn, statement.format(table, column))
        assert await store.verify_ledger() == 1
        assert await store.excess_rights() == []

    with_store(pg_dsn, work)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (n int)",
        "CREATE TEMP TABLE sample (n int)",
        "CREATE SCHEMA mine",
        "DROP TABLE ledger",
        "ALTER TABLE ledger DISABLE TRIGGER append_only",
        "DROP TRIGGER append_only ON ledger",
        "CREATE OR REPLACE FUNCTION revere_refuse_change() RETURNS trigger LANGUAGE sql AS ''",
        "UPDATE alembic_version SET version_num = '0001'",
        "ALTER ROLE revere_app SUPERUSER",
        "SET ROLE revere_owner",
        "COPY ledger TO PROGRAM 'true'",
    ],
)
def test_the_application_can_define_nothing(pg: EmbeddedPostgres, statement: str) -> None:
    async def run() -> None:
        store = await Store.open(pg.dsn, WallClock(), TENANT, require_durable=False, owner_dsn=pg.owner_dsn)
        await store.close()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await query(pg.dsn, statement)

    asyncio.run(run())


def test_the_roles_are_plain_and_the_owner_is_not_the_superuser(pg: EmbeddedPostgres) -> None:
    rows = asyncio.run(
        query(
            pg.dsn_of(DATABASE, SUPERUSER),
            "SELECT rolname, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS special"
            " FROM pg_roles WHERE rolname = ANY ($1::text[]) ORDER BY rolname",
            [OWNER, APPLICATION],
        )
    )
    assert [tuple(row) for row in rows] == [(APPLICATION, False), (OWNER, False)]


def test_every_table_has_its_rights_written_down(owner_dsn: str) -> None:
    rows = asyncio.run(
        query(
            owner_dsn,
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace",
        )
    )
    assert {row["relname"] for row in rows} == set(TABLES)
    assert all(set(TABLES[table]) == {"SELECT", "INSERT"} for table in RECORDS)


def test_the_owner_alone_works_too_and_is_told_apart(owner_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.save_fleet(fleet())
        await store.record([reading()])
        excess = await store.excess_rights()
        assert "UPDATE ON ledger" in excess
        assert "CREATE ON SCHEMA public" in excess

    with_store(owner_dsn, work)


@pytest.mark.parametrize(
    ("revoked", "said"),
    [
        ("INSERT ON ledger", r"lacks rights .*revere_app without INSERT ON ledger.*GRANT INSERT ON ledger"),
        ("SELECT ON alembic_version", r"lacks rights .*SELECT ON alembic_version"),
        ("EXECUTE ON FUNCTION revere_partition(text, date)", r"without EXECUTE ON FUNCTION revere_partition"),
    ],
)
def test_a_missing_right_is_named_at_the_start_and_given_by_the_owner(
    pg_dsn: str, owner_dsn: str, revoked: str, said: str
) -> None:
    asyncio.run(query(owner_dsn, f"REVOKE {revoked} FROM {APPLICATION}"))
    with pytest.raises(RevereError, match=said):
        open_as(pg_dsn)

    async def give() -> None:
        conn = await asyncpg.connect(owner_dsn)
        try:
            await migrate(conn, APPLICATION)
        finally:
            await conn.close()

    asyncio.run(give())
    open_as(pg_dsn)


def documented() -> str:
    """The page that tells an administrator what to do."""
    return (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "database.md").read_text()


def test_the_documented_rights_are_those_that_are_needed() -> None:
    rows = re.findall(r"^\| (`.+`) \| ([A-Z, ]+) \|$", documented(), re.MULTILINE)
    told = {name: tuple(needs.split(", ")) for names, needs in rows for name in re.findall("`(.+?)`", names)}
    assert told == TABLES | dict.fromkeys(FUNCTIONS, ("EXECUTE",))


def test_the_documented_way_works_on_a_server_of_your_own(pg: EmbeddedPostgres) -> None:
    (recipe,) = re.findall(r"```sql\n(.+?)```", documented(), re.DOTALL)
    recipe = re.sub(r"\brevere\b", "own_revere", recipe.replace("revere_", "own_"))
    dsn = {
        role: re.sub(r"//.*?@", f"//{role}:{word}@", pg.dsn_of("own_revere"))
        for role, word in (("own_owner", "one secret"), ("own_app", "another secret"))
    }

    async def run() -> None:
        conn = await asyncpg.connect(pg.dsn_of("postgres", SUPERUSER))
        try:
            for statement in recipe.strip().split("\n"):
                await conn.execute(statement)
            store = await Store.open(
                dsn["own_app"], WallClock(), TENANT, require_durable=False, owner_dsn=dsn["own_owner"]
            )
            await store.record([reading()])
            assert await store.excess_rights() == []
            await store.close()
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await query(dsn["own_app"], "CREATE TEMP TABLE mine (n int)")
        finally:
            await conn.execute("DROP DATABASE IF EXISTS own_revere WITH (FORCE)")
            await conn.execute("DROP ROLE IF EXISTS own_app, own_owner")
            await conn.close()

    asyncio.run(run())


def test_an_application_without_its_owner_is_told_what_to_run(pg: EmbeddedPostgres, empty_database: str) -> None:
    dsn = pg.dsn_of(empty_database)
    with pytest.raises(RevereError, match=r"not at this release's schema \(got schema none.*revere migrate"):
        open_as(dsn)

    async def as_owner() -> None:
        await Store.open(dsn, WallClock(), TENANT, require_durable=False, owner_dsn=dsn)

    with pytest.raises(RevereError, match=r"may not bring the schema up.*permission denied.*REVERE_OWNER_DSN"):
        asyncio.run(as_owner())
