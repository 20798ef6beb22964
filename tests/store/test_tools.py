"""PostgreSQL's tools for a server that is not ours: chosen by version, or refused with the command to give."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from revere.app.admin import AdminDesk, back_up, restore_from
from revere.app.settings import Settings
from revere.core.errors import RevereError
from revere.core.time import WallClock
from revere.store import tools
from revere.store.postgres import OWNER
from revere.store.store import Store
from revere.store.tools import Tool, server_major, tool_for
from tests.store.release import fill
from tests.store.samples import TENANT

if TYPE_CHECKING:
    from revere.store.postgres import EmbeddedPostgres

PATHS = {major: Path(f"/pg/{major}") for major in (14, 15, 17, 18)}


@pytest.mark.parametrize(
    ("name", "server", "at_hand", "taken"),
    [
        ("pg_dump", 15, (14, 15, 18), 15),
        ("pg_dump", 15, (14, 17, 18), 17),
        ("pg_restore", 15, (15, 18), 15),
        ("pg_dump", 18, (15, 17), None),
        ("pg_restore", 15, (18,), None),
        ("pg_restore", 15, (), None),
    ],
)
def test_a_tool_fits_by_its_version_or_the_command_is_named(
    monkeypatch: pytest.MonkeyPatch, name: Tool, server: int, at_hand: tuple[int, ...], taken: int | None
) -> None:
    async def major(_dsn: str) -> int:
        return server

    monkeypatch.setattr(tools, "server_major", major)
    monkeypatch.setattr(tools, "_at_hand", lambda _name: {one: PATHS[one] for one in at_hand})
    if taken is not None:
        assert asyncio.run(tool_for(name, "")) == (PATHS[taken], taken)
        return
    with pytest.raises(RevereError) as refused:
        asyncio.run(tool_for(name, ""))
    text = refused.value.text()
    assert f"Install postgresql-client-{server}" in text
    assert f"{name} --" in text
    assert '--dbname "$REVERE_OWNER_DSN"' in text
    assert ", ".join(f"version {one}" for one in at_hand) or "got none" in text


def test_what_backup_writes_of_a_named_database_restore_reads_into_another(
    pg: EmbeddedPostgres,
    pg_dsn: str,
    owner_dsn: str,
    empty_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, state = tmp_path / "revere.dump", tmp_path / "state"

    async def dump() -> tuple[str, int]:
        store = await Store.open(pg_dsn, WallClock(), TENANT, require_durable=False)
        try:
            await fill(store)
            said = await back_up(AdminDesk(store, tmp_path, owner_dsn, None, served=False), file)
            return said, await server_major(owner_dsn)
        finally:
            await store.close()

    said, major = asyncio.run(dump())
    assert f"Written by pg_dump {major}: restore it with version {major} or newer." in said
    monkeypatch.setenv("REVERE_DSN", pg.dsn_of(empty_database))
    monkeypatch.setenv("REVERE_OWNER_DSN", pg.dsn_of(empty_database, OWNER))
    restored = asyncio.run(restore_from(Settings(programme=TENANT), state, file, durable=False))
    assert restored.split()[-1] == said.split()[-1]
    assert "server.key: the key is lacking" in restored, "the state folder is new"
    assert not state.exists()


def test_the_wheel_s_tools_are_always_at_hand() -> None:
    assert 18 in tools._at_hand("pg_dump")
