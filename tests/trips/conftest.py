"""Databases for the trips: as many fresh ones as a trip needs, in the test process's throw-away cluster."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from revere.store.postgres import EmbeddedPostgres

_numbers = itertools.count(1)


async def _execute(dsn: str, sql: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(sql)
    finally:
        await conn.close()


@pytest.fixture(scope="module")
def fresh_dsn(pg: EmbeddedPostgres) -> Iterator[Callable[[], str]]:
    """Each call gives the DSN of another empty database; the stores that open it bring the schema."""
    made: list[str] = []

    def make() -> str:
        made.append(f"trip_{next(_numbers)}")
        asyncio.run(_execute(pg.dsn, f"CREATE DATABASE {made[-1]}"))
        return pg.dsn_of(made[-1])

    yield make
    for name in made:
        asyncio.run(_execute(pg.dsn, f"DROP DATABASE {name} WITH (FORCE)"))
