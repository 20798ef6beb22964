"""The server's key: made where nobody needs another, else the one that the stations' secrets are kept under."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import pytest

from revere.app.admin import AdminDesk, new_secrets
from revere.app.keys import KEY_FILE, key_fault, mark_of, server_key
from revere.control.directory import secret_mac
from revere.core.errors import Refused
from revere.core.ids import StationId, TenantId
from revere.core.time import WallClock
from revere.store.store import Store
from tests.control.scenes import fleet, station

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

T = TypeVar("T")
STATIONS = ("cs1", "cs2")


def with_desk(dsn: str, folder: Path, work: Callable[[AdminDesk], Awaitable[T]]) -> T:
    """Do some work over a registry of two stations."""

    async def play() -> T:
        store = await Store.open(dsn, WallClock(), TenantId("t"), require_durable=False)
        try:
            await store.save_fleet(fleet(stations=[station(name, "school") for name in STATIONS]))
            return await work(AdminDesk(store, folder, dsn, None, served=False))
        finally:
            await store.close()

    return asyncio.run(play())


async def _every(desk: AdminDesk) -> str:
    return await new_secrets(desk, None, every=True, file=None)


def test_a_key_is_made_once_and_the_secrets_know_it(pg_dsn: str, tmp_path: Path) -> None:
    async def work(desk: AdminDesk) -> None:
        first = await server_key(desk.store, tmp_path, STATIONS)
        await _every(desk)
        assert await server_key(desk.store, tmp_path, STATIONS) == first
        assert set((await desk.store.key_marks()).values()) == {mark_of(first)}
        assert first not in (await desk.store.station_macs()).values()

    with_desk(pg_dsn, tmp_path, work)


@pytest.mark.parametrize("lost", ["gone", "another"])
def test_without_its_key_nothing_goes_on_until_it_is_back_or_all_secrets_are_new(
    pg_dsn: str, tmp_path: Path, lost: str
) -> None:
    async def work(desk: AdminDesk) -> None:
        await _every(desk)
        file = tmp_path / KEY_FILE
        right = file.read_bytes()
        if lost == "gone":
            file.unlink()
        else:
            file.write_bytes(bytes(32))
        for attempt in (server_key(desk.store, tmp_path, STATIONS), new_secrets(desk, "cs1", every=False, file=None)):
            with pytest.raises(Refused) as refused:
                await attempt
            text = refused.value.text()
            for words in (
                str(file),
                "expected the key of 2 of 2 secrets",
                "Put back",
                "revere station add --all --out",
            ):
                assert words in text
        assert file.exists() == (lost == "another"), "no new key is made in passing"
        file.write_bytes(right)
        file.chmod(0o600)
        assert await server_key(desk.store, tmp_path, STATIONS) == right
        file.unlink()
        await _every(desk)
        assert await server_key(desk.store, tmp_path, STATIONS) != right

    with_desk(pg_dsn, tmp_path, work)


def test_secrets_of_an_earlier_release_take_the_key_at_hand(pg_dsn: str, tmp_path: Path) -> None:
    async def work(desk: AdminDesk) -> None:
        await desk.store.save_station_secret(StationId("cs1"), secret_mac(b"k" * 32, "cs1", "secret"))
        assert await key_fault(desk.store, tmp_path, STATIONS) is not None, "there is no key at all"
        (tmp_path / KEY_FILE).write_bytes(b"k" * 32)
        (tmp_path / KEY_FILE).chmod(0o600)
        assert await server_key(desk.store, tmp_path, STATIONS) == b"k" * 32
        (tmp_path / KEY_FILE).write_bytes(b"j" * 32)
        assert await key_fault(desk.store, tmp_path, STATIONS) is not None

    with_desk(pg_dsn, tmp_path, work)


def test_a_station_that_is_registered_no_more_needs_no_key(pg_dsn: str, tmp_path: Path) -> None:
    async def work(desk: AdminDesk) -> None:
        await desk.store.save_station_secret(StationId("gone"), bytes(32), bytes(16))
        assert await key_fault(desk.store, tmp_path, STATIONS) is None

    with_desk(pg_dsn, tmp_path, work)
