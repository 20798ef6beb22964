"""Each release's dump (release.py) is restored and brought up to this one, and says what it said then."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from revere.core.facts import Fact
from revere.core.time import WallClock
from revere.store.postgres import OWNER
from revere.store.rights import TABLES
from revere.store.schema import newest_version
from revere.store.store import Store
from tests.databases import fresh_database

from .release import DUMPS, example, fill, one_of_each, seal
from .samples import T0, TENANT, plan, reading
from .test_journal import query
from .test_ledger import line

if TYPE_CHECKING:
    from revere.store.postgres import EmbeddedPostgres


def load(pg: EmbeddedPostgres, database: str, file: Path) -> None:
    """Run a plain dump as the owner, as an administrator would."""
    done = subprocess.run(
        [pg.bin_dir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-f", file, pg.dsn_of(database, OWNER)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


async def open_up(pg: EmbeddedPostgres, database: str) -> Store:
    """Open as a new release does at its first start."""
    return await Store.open(
        pg.dsn_of(database), WallClock(), TENANT, require_durable=False, owner_dsn=pg.dsn_of(database, OWNER)
    )


@pytest.mark.parametrize("file", sorted(DUMPS.glob("*.sql")), ids=lambda file: file.stem)
def test_a_dump_of_every_release_comes_up_whole(pg: EmbeddedPostgres, empty_database: str, file: Path) -> None:
    load(pg, empty_database, file)
    told = dict(re.findall(r"^-- (\w+) = (\w+)$", file.read_text(), re.MULTILINE))

    async def run() -> None:
        store = await open_up(pg, empty_database)
        try:
            assert await seal(store) == told
            assert await store.verify_ledger() == 4
            found = await store.load_fleet()
            assert found is not None
            assert [station.id for station in found.stations] == ["st2", "st1", "st3"]
            assert [user.name for user in await store.users()] == ["ada"]
            assert await store.find_token("a token", T0) is not None
            assert await store.station_macs() == {"st1": bytes(range(32))}
            hours = await store.hours("st0/1", "ac_inlet", "power_kw", T0.replace(minute=0), T0.replace(hour=23))
            assert [hour.samples for hour in hours] == [11, 4]
            await store.record([plan(9), reading(99)])  # life goes on, with the application's rights alone
            assert await store.post([line(4)]) == [5]
            assert await store.excess_rights() == []
        finally:
            await store.close()
        rows = await query(pg.dsn_of(empty_database), "SELECT version_num FROM alembic_version")
        assert rows[0][0] == newest_version()

    asyncio.run(run())


def test_what_is_made_today_fills_every_kind_of_record(pg: EmbeddedPostgres) -> None:
    assert {type(fact) for fact in one_of_each()} == set(get_args(Fact))
    assert example(tuple[str, ...], 3) == ("text 3", "text 4")

    async def run(database: str) -> None:
        store = await open_up(pg, database)
        try:
            await fill(store)
            assert [fact async for fact in store.journal()][: len(get_args(Fact))] == one_of_each()
        finally:
            await store.close()
        counts = {
            table: (await query(pg.dsn_of(database), f"SELECT count(*) AS n FROM {table}"))[0]["n"] for table in TABLES
        }
        assert [table for table, rows in counts.items() if not rows] == []

    with fresh_database(pg, migrated=False) as database:
        asyncio.run(run(database))


def test_there_is_a_dump_to_upgrade() -> None:
    assert list(DUMPS.glob("*.sql"))
