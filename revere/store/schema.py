"""Bring a database's schema up to this release.

Alembic writes each step's SQL offline and asyncpg runs it, so that no second database driver is needed.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

from revere.core.errors import RevereError
from revere.store.driver import asyncpg
from revere.store.rights import give_rights, missing_rights

SERVER_VERSION_MIN = 150000
_LOCK_KEY = 7_348_200_101
MIGRATE_TIMEOUT_S = 600.0


async def migrate(conn: Any, app_role: str | None = None) -> None:
    """As the owner: apply the missing schema steps in one transaction and give ``app_role`` its rights.

    One process at a time. Raises :class:`RevereError` where the server is older than PostgreSQL 15, the schema newer
    than this program, or the role not the owner and there is something to do.
    """
    version = int(await conn.fetchval("SHOW server_version_num"))
    if version < SERVER_VERSION_MIN:
        raise RevereError("PostgreSQL is too old", got=version, expected=f"{SERVER_VERSION_MIN} or later")
    await conn.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY)
    try:
        current = await schema_version(conn)
        script = upgrade_sql(current)
        if script:
            await conn.execute(script)
        if app_role is not None:
            await give_rights(conn, app_role)
    except asyncpg.InsufficientPrivilegeError as error:
        raise RevereError(
            "this database role may not bring the schema up to this release",
            where="store",
            got=str(error),
            expected="the role that owns Revere's tables, or the right to make them",
            remedy="Name that role in REVERE_OWNER_DSN and run: revere migrate",
        ) from error
    finally:
        if not conn.is_closed():
            if conn.is_in_transaction():
                await conn.execute("ROLLBACK")
            await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK_KEY)


async def require_ready(conn: Any) -> None:
    """As the application: the schema is this release's and the role has its rights, or an error that says what not."""
    try:
        current = await schema_version(conn)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _rights_lacking(f"no SELECT ON alembic_version for {error}", "SELECT ON alembic_version") from error
    if upgrade_sql(current):
        raise RevereError(
            "the database is not at this release's schema",
            where="store",
            got=f"schema {current or 'none'}",
            expected=f"schema {newest_version()}",
            remedy="Run: revere migrate",
        )
    role = await conn.fetchval("SELECT current_user")
    missing = await missing_rights(conn, role)
    if missing:
        raise _rights_lacking(f"{role} without {', '.join(missing)}", missing[0])


def _rights_lacking(got: str, example: str) -> RevereError:
    return RevereError(
        "the application's database role lacks rights",
        where="store",
        got=got,
        expected="docs/how-to/database.md lists them",
        remedy=f"Run `revere migrate` with REVERE_OWNER_DSN set, or as the owner: GRANT {example} TO that role",
    )


async def schema_version(conn: Any) -> str | None:
    """The schema step that the database stands at, or None for an empty one."""
    if await conn.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found = await conn.fetchval("SELECT version_num FROM alembic_version")
    return None if found is None else str(found)


def newest_version() -> str:
    """The schema step of this release."""
    return _steps()[0]


@lru_cache(maxsize=1)
def _steps() -> tuple[str, ...]:
    """All schema steps, the newest first."""
    from alembic.script import ScriptDirectory

    return tuple(step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions())


def _config(buffer: io.StringIO | None = None) -> Any:
    from alembic.config import Config  # heavy, and needed once per process

    config = Config(output_buffer=buffer or io.StringIO())
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


def upgrade_sql(current: str | None) -> str:
    """The SQL from step ``current`` (None: nothing) to the newest step; empty where there is nothing to do."""
    if current == newest_version():
        return ""
    if current is not None and current not in _steps():
        raise RevereError(
            "the database was written by a newer release",
            got=f"schema {current}",
            expected=f"schema {newest_version()} or older",
            remedy="Start the newer release, or restore a dump made by this one.",
        )
    from alembic import command

    buffer = io.StringIO()
    command.upgrade(_config(buffer), f"{current or 'base'}:head", sql=True)
    return buffer.getvalue()
