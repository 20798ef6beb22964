"""PostgreSQL's own tools for a server that is not ours: which of those at hand may be used on it."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from revere.core.errors import RevereError
from revere.store.driver import asyncpg
from revere.store.postgres import wheel_bin

Tool = Literal["pg_dump", "pg_restore"]
DEBIAN = Path("/usr/lib/postgresql")
DEADLINE_S = 10.0
BY_HAND: dict[Tool, str] = {
    "pg_dump": 'pg_dump --format=custom --no-owner --no-privileges --file FILE --dbname "$REVERE_OWNER_DSN"',
    "pg_restore": "pg_restore --single-transaction --exit-on-error --no-owner --no-privileges"
    ' --dbname "$REVERE_OWNER_DSN" FILE, then: revere migrate',
}


async def tool_for(name: Tool, dsn: str) -> tuple[Path, int]:
    """A tool that fits the server at ``dsn``, and its major version.

    ``pg_dump`` reads servers of its own version and older ones; what it wrote is read by ``pg_restore`` of its version
    or newer. ``pg_restore`` is taken of the server's own version alone, for a newer one says what an older server does
    not know. Raises :class:`RevereError` with the command to give elsewhere where none at hand fits.
    """
    server = await server_major(dsn)
    known = await asyncio.to_thread(_at_hand, name)
    fits = sorted(major for major in known if major == server or (name == "pg_dump" and major > server))
    if fits:
        return known[fits[0]], fits[0]
    raise RevereError(
        f"no {name} here fits the database's server",
        where=name,
        got=", ".join(f"version {major}" for major in sorted(known)) or "none",
        expected=f"version {server}" + (" or newer" if name == "pg_dump" else ""),
        remedy=f"Install postgresql-client-{server}, or where the server's own tools are, give: {BY_HAND[name]}",
    )


async def server_major(dsn: str) -> int:
    """The major version of the server at ``dsn``."""
    conn = await asyncpg.connect(dsn)
    try:
        return int(await conn.fetchval("SHOW server_version_num")) // 10_000
    finally:
        await conn.close()


def _at_hand(name: Tool) -> dict[int, Path]:
    """Tools by major version: the wheel's, this machine's, those on the path."""
    paths = [wheel_bin() / name, *sorted(DEBIAN.glob(f"*/bin/{name}"))]
    found = shutil.which(name)
    if found is not None:
        paths.append(Path(found))
    by_major: dict[int, Path] = {}
    for path in paths:
        major = _major(path)
        if major is not None:
            by_major.setdefault(major, path)
    return by_major


def _major(path: Path) -> int | None:
    try:
        done = subprocess.run(
            [str(path), "--version"],
            check=True,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            env={"LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    said = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(said.group(1)) if said else None
