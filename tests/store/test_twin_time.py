"""The store in twin time: the database takes no virtual time, and the same calls make the same journal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from revere.store.journal import BATCH_WINDOW_S
from revere.store.postgres import EmbeddedPostgres
from revere.store.store import Store
from revere.twin.loop import TwinClock, run_twin
from tests.databases import fresh_database

from .samples import T0, TENANT, reading

if TYPE_CHECKING:
    from pathlib import Path


def test_300_commits_take_their_windows_and_nothing_else(pg_dsn: str) -> None:
    async def main(clock: TwinClock) -> tuple[float, float, int]:
        start_s = clock.monotonic_s()
        store = await Store.open(pg_dsn, clock, TENANT, require_durable=False)
        open_s = clock.monotonic_s() - start_s
        alarm = asyncio.create_task(asyncio.sleep(3600))  # a timer that a leap would run into
        for n in range(300):
            await store.record([reading(n)])
        moved_s = clock.monotonic_s() - start_s - open_s
        assert not alarm.done()
        alarm.cancel()
        await store.journal_hash()
        batches = store.counters.batches
        await store.close()
        return open_s, moved_s, batches

    open_s, moved_s, batches = run_twin(main, T0)
    assert open_s == 0
    assert batches == 300
    assert moved_s == pytest.approx(300 * BATCH_WINDOW_S, abs=1e-6)


def test_the_same_day_twice_gives_the_same_hash(pg: EmbeddedPostgres) -> None:
    async def main(clock: TwinClock) -> str:
        store = await Store.open(pg.dsn_of(database), clock, TENANT, require_durable=False)

        async def station(number: int) -> None:
            for n in range(20):
                await asyncio.sleep(60 + number % 3)
                await store.record([reading(n, station=number, at=clock.now())])

        await asyncio.gather(*(station(number) for number in range(20)))
        found = await store.journal_hash()
        await store.close()
        return found

    hashes = []
    for _ in range(2):
        with fresh_database(pg) as database:
            hashes.append(run_twin(main, T0))
    assert hashes[0] == hashes[1]


def test_a_server_may_be_started_inside_twin_time(pg_folder: Path) -> None:
    async def main(clock: TwinClock) -> float:
        server = await EmbeddedPostgres.start(pg_folder / "in-twin", throwaway=True, clock=clock)
        await server.stop()
        return clock.monotonic_s()

    assert run_twin(main, T0) == 0
