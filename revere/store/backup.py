"""Backup and restore by PostgreSQL's own ``pg_dump`` and ``pg_restore``: one file, everything in it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from revere.core.errors import Refused, RevereError
from revere.store.driver import asyncpg

if TYPE_CHECKING:
    from pathlib import Path

DUMP_DEADLINE_S = 6 * 3600.0
_MAGIC = b"PGDMP"
_STDERR_MAX_CHARS = 1500


async def backup(dsn: str, out: Path, pg_dump: Path) -> None:
    """Write all of the database, as of one moment, to ``out`` (mode 0600); the file appears when it is whole."""
    part = out.with_name(out.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        await _run(pg_dump, dsn, ["--format=custom", "--no-owner", "--no-privileges"], stdout=descriptor)
        os.fsync(descriptor)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    part.replace(out)


def check_backup(file: Path) -> None:
    """Refuse a file that is no backup, before anything is made for it."""
    try:
        with file.open("rb") as source:
            begins = source.read(len(_MAGIC))
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}", where=str(file), remedy="Name the backup's file") from error
    if begins != _MAGIC:
        raise Refused("this is not a backup", where=str(file), expected="a file written by `revere backup`")


async def restore(dsn: str, file: Path, pg_restore: Path) -> None:
    """Read a backup into an empty database, all of it or nothing.

    Raises :class:`Refused` where the database holds anything, or the file is not a backup.
    """
    check_backup(file)
    conn = await asyncpg.connect(dsn)
    try:
        tables = await conn.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await conn.close()
    if tables:
        raise Refused(
            "the database is not empty",
            where="restore",
            got=f"{tables} tables",
            expected="none",
            remedy="Restore into a new database or a new state folder.",
        )
    await _run(
        pg_restore,
        dsn,
        ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(file)],
        database_option=True,
    )


async def _run(
    program: Path, dsn: str, options: list[str], *, stdout: int | None = None, database_option: bool = False
) -> None:
    """Run a PostgreSQL tool; the password goes by environment, since other users can read command lines."""
    bare, password = _without_password(dsn)
    process = await asyncio.create_subprocess_exec(
        str(program),
        *options,
        *(["--dbname", bare] if database_option else [bare]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout if stdout is not None else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGPASSWORD": password, "PGAPPNAME": "revere backup"},
    )
    try:
        _, stderr = await asyncio.wait_for(process.communicate(), DUMP_DEADLINE_S)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode != 0:
        text = stderr.decode(errors="replace").strip()[-_STDERR_MAX_CHARS:]
        raise RevereError(f"{program.name} failed", where=program.name, got=text)


def _without_password(dsn: str) -> tuple[str, str]:
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn, ""
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}@{place}")), unquote(parts.password)
