"""The store's tests run on the newest PostgreSQL, the wheel's, and on the oldest that we promise where it is here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from revere.store.postgres import OWNER
from tests.databases import fresh_database, throwaway_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from revere.store.postgres import EmbeddedPostgres

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session", params=["18", "15"])
def pg(request: pytest.FixtureRequest, pg_folder: Path) -> Iterator[EmbeddedPostgres]:
    """The running throw-away server of each version with a migrated template database."""
    if request.param == "18":
        with throwaway_server(pg_folder / "pg18") as server:
            yield server
    elif (DEBIAN_15 / "initdb").exists():
        with throwaway_server(pg_folder / "pg15", DEBIAN_15) as server:
            yield server
    else:
        pytest.skip("no PostgreSQL 15 on this machine (Debian: postgresql-15)")


@pytest.fixture
def owner_dsn(pg: EmbeddedPostgres, pg_database: str) -> str:
    """The owner's DSN of this test's database."""
    return pg.dsn_of(pg_database, OWNER)


@pytest.fixture
def empty_database(pg: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database without a schema."""
    with fresh_database(pg, migrated=False) as name:
        yield name
