"""Bring a database's schema up to this release.

Alembic writes each step's SQL offline and asyncpg runs it, so that no second database driver is needed.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from revere.core.errors import RevereError

SERVER_VERSION_MIN = 150000
_LOCK_KEY = 7_348_200_101
MIGRATE_TIMEOUT_S = 600.0


async def migrate(conn: Any) -> None:
    """Apply the missing schema steps, each release's in one transaction; one process at a time.

    Raises :class:`RevereError` where the server is older than PostgreSQL 15, or the schema newer than this program.
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
    finally:
        if not conn.is_closed():
            if conn.is_in_transaction():
                await conn.execute("ROLLBACK")
            await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK_KEY)


async def schema_version(conn: Any) -> str | None:
    """The schema step that the database stands at, or None for an empty one."""
    if await conn.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found = await conn.fetchval("SELECT version_num FROM alembic_version")
    return None if found is None else str(found)


def upgrade_sql(current: str | None) -> str:
    """The SQL from step ``current`` (None: nothing) to the newest step; empty where there is nothing to do."""
    from alembic import command  # heavy, and needed once per process
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    buffer = io.StringIO()
    config = Config(output_buffer=buffer)
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    if current == head:
        return ""
    if current is not None and current not in {step.revision for step in script.walk_revisions()}:
        raise RevereError(
            "the database was written by a newer release",
            got=f"schema {current}",
            expected=f"schema {head} or older",
            remedy="Start the newer release, or restore a dump made by this one.",
        )
    command.upgrade(config, f"{current or 'base'}:head", sql=True)
    return buffer.getvalue()
