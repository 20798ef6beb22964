"""Throw-away servers and databases for tests, with the roles that production has."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from revere.core.time import WallClock
from revere.store.postgres import APPLICATION, OWNER, SUPERUSER, EmbeddedPostgres
from revere.store.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count(1)
TEMPLATE = "revere_template"


async def _execute(server: EmbeddedPostgres, sql: str) -> None:
    conn = await asyncpg.connect(server.dsn_of("postgres", SUPERUSER))
    try:
        await conn.execute(sql)
    finally:
        await conn.close()


async def _make_template(server: EmbeddedPostgres) -> None:
    await _execute(server, f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}")
    conn = await asyncpg.connect(server.dsn_of(TEMPLATE, OWNER))
    try:
        await migrate(conn, APPLICATION)
    finally:
        await conn.close()


@contextmanager
def throwaway_server(folder: Path, bin_dir: Path | None = None) -> Iterator[EmbeddedPostgres]:
    """A server with a migrated template database; ``bin_dir`` names another PostgreSQL than the wheel's."""
    server = asyncio.run(EmbeddedPostgres.start(folder, throwaway=True, clock=WallClock(), bin_dir=bin_dir))
    try:
        asyncio.run(_make_template(server))
        yield server
    finally:
        asyncio.run(server.stop())


@contextmanager
def fresh_database(server: EmbeddedPostgres, *, migrated: bool = True) -> Iterator[str]:
    """The name of a fresh database, migrated or empty."""
    name = f"test_{next(_numbers)}"
    template = f"TEMPLATE {TEMPLATE} STRATEGY FILE_COPY" if migrated else ""
    asyncio.run(_execute(server, f"CREATE DATABASE {name} OWNER {OWNER} {template}"))
    try:
        yield name
    finally:
        asyncio.run(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))
