"""What must not happen in passing: an operator made an analyst, a good dump replaced by an empty one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from revere.app.admin import AdminDesk, back_up
from revere.app.people import add_user
from revere.core.errors import Refused
from revere.core.ids import TenantId
from revere.core.time import WallClock
from revere.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


def at_desk(dsn: str, folder: Path, work: Callable[[AdminDesk], Awaitable[T]]) -> T:
    async def play() -> T:
        store = await Store.open(dsn, WallClock(), TenantId("masscec"), require_durable=False)
        try:
            return await work(AdminDesk(store, folder, dsn, folder, served=False))
        finally:
            await store.close()

    return asyncio.run(play())


def test_a_known_persons_password_is_renewed_and_the_role_is_not(pg_dsn: str, tmp_path: Path) -> None:
    async def work(desk: AdminDesk) -> list[str | None]:
        await add_user(desk, "alice", "operator", "correct horse battery", None, None)
        first = await desk.store.user("alice")
        await add_user(desk, "alice", "operator", "another horse battery", None, None)
        second = await desk.store.user("alice")
        with pytest.raises(Refused, match="known already"):
            await add_user(desk, "alice", "analyst", "another horse battery", None, None)
        kept = await desk.store.user("alice")
        assert first is not None
        assert second is not None
        assert kept is not None
        assert first.password_hash != second.password_hash
        return [second.role, kept.role]

    assert at_desk(pg_dsn, tmp_path, work) == ["operator", "operator"]


def test_an_empty_registry_is_not_backed_up_over_a_good_dump(pg_dsn: str, tmp_path: Path) -> None:
    dump = tmp_path / "good.dump"
    dump.write_text("good")
    with pytest.raises(Refused, match="nothing is registered"):
        at_desk(pg_dsn, tmp_path, lambda desk: back_up(desk, dump))
    assert dump.read_text() == "good"
