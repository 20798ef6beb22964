"""Recording: group commit, order, revisions, what is refused, what survives a crash."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import math
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from revere.core.errors import Refused, RevereError, Unavailable
from revere.core.facts import Fact, MeterReading, PlanMade, encode_fact
from revere.core.time import WallClock
from revere.store import connection, journal
from revere.store.postgres import EmbeddedPostgres
from revere.store.store import Store

from .samples import T0, TENANT, plan, reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

HOUR = dt.timedelta(hours=1)


def with_store(dsn: str, work: Callable[[Store], Awaitable[None]], *, clock: WallClock | None = None) -> None:
    """Run ``work(store)`` against a database and close the store."""

    async def run() -> None:
        store = await Store.open(dsn, clock or WallClock(), TENANT, require_durable=False)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


async def query(dsn: str, sql: str, *args: object) -> list[Any]:
    conn = await asyncpg.connect(dsn)
    try:
        return list(await conn.fetch(sql, *args))
    finally:
        await conn.close()


async def facts_of(store: Store, **filters: Any) -> list[Fact]:
    return [fact async for fact in store.journal(**filters)]


def test_many_callers_share_one_commit_and_see_it_on_return(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        callers = [asyncio.create_task(store.record([reading(station=i)])) for i in range(70)]
        await asyncio.sleep(0)
        assert not any(caller.done() for caller in callers)
        assert store.pending_facts == 70
        await asyncio.gather(*callers)
        rows = await query(pg_dsn, "SELECT count(*) AS n, count(DISTINCT batch_id) AS batches FROM journal")
        assert (rows[0]["n"], rows[0]["batches"]) == (70, 1)
        assert (await query(pg_dsn, "SELECT count(*) AS n FROM sample"))[0]["n"] == 280
        assert store.counters.batches == 1
        assert store.pending_facts == 0

    with_store(pg_dsn, work)


def test_a_full_batch_does_not_wait_for_the_window(pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BATCH_WINDOW_S", 3600.0)

    async def work(store: Store) -> None:
        await asyncio.wait_for(
            asyncio.gather(*(store.record([plan(n)]) for n in range(journal.BATCH_MAX_FACTS))), timeout=10
        )
        assert store.counters.batches == 1

    with_store(pg_dsn, work)


class Ahead(WallClock):
    """A clock that is put forward by hand."""

    ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


def test_the_window_of_what_came_during_a_commit_began_when_it_came(
    pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "BATCH_WINDOW_S", 3600.0)
    clock = Ahead()

    async def work(store: Store) -> None:
        full = [asyncio.create_task(store.record([plan(n)])) for n in range(journal.BATCH_MAX_FACTS)]
        await asyncio.sleep(0)
        late = asyncio.create_task(store.record([plan(9_999)]))
        await asyncio.sleep(0)
        assert not any(caller.done() for caller in full), "the first batch is under way"
        clock.ahead_s = 3600.0
        await asyncio.wait_for(asyncio.gather(*full, late), timeout=10)
        assert store.counters.batches == 2

    with_store(pg_dsn, work, clock=clock)


def test_order_of_arrival_is_order_in_the_journal(pg_dsn: str) -> None:
    offered = [reading(n) if n % 3 else plan(n) for n in range(600)]

    async def work(store: Store) -> None:
        await asyncio.gather(*(store.record([fact]) for fact in offered))
        assert await facts_of(store) == offered
        assert await facts_of(store, kinds=["PlanMade"]) == [fact for fact in offered if isinstance(fact, PlanMade)]
        since = T0 + dt.timedelta(minutes=500)
        assert await facts_of(store, since=since) == [fact for fact in offered if fact.at >= since]
        expected = hashlib.sha256(b"".join(encode_fact(fact) + b"\n" for fact in offered)).hexdigest()
        assert await store.journal_hash() == expected

    with_store(pg_dsn, work)


def test_the_hash_differs_by_content_and_order(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        hashes = [await store.journal_hash()]
        for n in (1, 1, 2):
            await store.record([plan(n)])
            hashes.append(await store.journal_hash())
        assert len(set(hashes)) == 4

    with_store(pg_dsn, work)


@pytest.mark.parametrize(
    ("values", "revs"),
    [
        pytest.param([10.0], [(1, 10.0)], id="first"),
        pytest.param([10.0, 10.0], [(1, 10.0)], id="same again is dropped"),
        pytest.param([10.0, 11.0], [(1, 10.0), (2, 11.0)], id="another value is a new rev"),
        pytest.param([10.0, 11.0, 10.0], [(1, 10.0), (2, 11.0)], id="an old one sent again changes nothing"),
        pytest.param([10.0, 11.0, 11.0, 12.0], [(1, 10.0), (2, 11.0), (3, 12.0)], id="three"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_revisions(pg_dsn: str, values: list[float], revs: list[tuple[int, float]], together: bool) -> None:
    facts = [reading(power_kw=value, import_wh=None, export_wh=None, soc=None) for value in values]

    async def work(store: Store) -> None:
        for part in [facts] if together else [[fact] for fact in facts]:
            await store.record(part)
        rows = await query(pg_dsn, "SELECT rev, value FROM sample ORDER BY rev")
        assert [tuple(row) for row in rows] == revs
        newest = await store.series("st0/1", "ac_inlet", "power_kw", T0, T0 + HOUR)
        assert (newest.value, newest.rev) == ([revs[-1][1]], [revs[-1][0]])
        assert store.counters.samples == len(revs)
        assert store.counters.samples_repeated == len(values) - len(revs)

    with_store(pg_dsn, work)


def test_late_and_quarantined_values_say_so(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.record([reading(quarantined="clock off by 90 s")])
        await store.record([reading(late_s=7200.0)])
        rows = await query(
            pg_dsn, "SELECT rev, received_at, cause, quarantined FROM sample WHERE series_id = 1 ORDER BY rev"
        )
        assert [tuple(row) for row in rows] == [
            (1, T0, "clock off by 90 s", True),
            (2, T0 + dt.timedelta(hours=2), "periodic", False),
        ]

    with_store(pg_dsn, work)


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(reading(power_kw=math.nan, import_wh=None, export_wh=None, soc=None), id="not a number"),
        pytest.param(reading(import_wh=2**60, export_wh=None, power_kw=None, soc=None), id="not exact"),
        pytest.param(
            reading(ts=dt.datetime(1970, 1, 1, tzinfo=dt.UTC), at=T0, power_kw=None, import_wh=None, export_wh=None),
            id="a clock in 1970",
        ),
    ],
)
def test_what_cannot_be_a_sample_is_journaled_and_counted(pg_dsn: str, fact: MeterReading) -> None:
    async def work(store: Store) -> None:
        await store.record([fact])
        assert len(await facts_of(store)) == 1
        assert (await query(pg_dsn, "SELECT count(*) AS n FROM sample"))[0]["n"] == 0
        assert store.counters.samples_refused == 1

    with_store(pg_dsn, work)


def test_bounds_are_refused_before_anything_is_queued(pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(Refused, match="too many facts"):
            await store.record([plan(0)] * (journal.RECORD_MAX_FACTS + 1))
        with pytest.raises(Refused, match="too large"):
            await store.record([reading(asset_id="x" * journal.FACT_MAX_BYTES)])
        monkeypatch.setattr(journal, "PENDING_MAX_FACTS", 2)
        with pytest.raises(Unavailable, match="wait for the database"):
            await store.record([plan(0)] * 3)
        assert store.counters.refused_full == 3
        assert store.pending_facts == 0
        assert await facts_of(store) == []

    with_store(pg_dsn, work)


def test_one_poisoned_fact_fails_its_caller_alone(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        results = await asyncio.gather(
            store.record([reading(1)]),
            store.record([reading(2, asset_id="nul\x00/1")]),
            store.record([reading(3)]),
            return_exceptions=True,
        )
        assert results[0] is None
        assert isinstance(results[1], RevereError)
        assert results[2] is None
        assert await facts_of(store) == [reading(1), reading(3)]

    with_store(pg_dsn, work)


@pytest.mark.parametrize(
    ("table", "column"),
    [("journal", "kind"), ("sample", "rev"), ("journal_2023_09", "kind"), ("sample_2023_09", "rev")],
)
def test_records_cannot_be_changed_even_by_their_owner(pg_dsn: str, owner_dsn: str, table: str, column: str) -> None:
    async def work(store: Store) -> None:
        await store.record([reading()])
        for statement in ("UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await query(owner_dsn, statement.format(table, column, column))
        assert await facts_of(store) == [reading()]
        assert (await query(pg_dsn, "SELECT count(*) AS n FROM sample"))[0]["n"] == 4

    with_store(pg_dsn, work)


def test_each_month_has_its_partition(pg_dsn: str) -> None:
    months = [dt.datetime(2023, month, 15, tzinfo=dt.UTC) for month in (8, 9, 10)]

    async def work(store: Store) -> None:
        await store.record([reading(at=ts, ts=ts) for ts in months])
        rows = await query(
            pg_dsn, "SELECT tableoid::regclass::text AS part, count(*) AS n FROM journal GROUP BY 1 ORDER BY 1"
        )
        assert [tuple(row) for row in rows] == [(f"journal_2023_{month}", 1) for month in ("08", "09", "10")]

    with_store(pg_dsn, work)


class HeldClock(WallClock):
    """Wall time that knows whether a hold is open."""

    holds = 0
    opened = 0

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        self.holds += 1
        self.opened += 1
        try:
            yield
        finally:
            self.holds -= 1


def test_every_wait_on_the_database_is_inside_a_hold(pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HeldClock()
    unheld: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        real = getattr(asyncpg.Connection, name)

        async def checked(self: Any, sql: str, *args: Any, _real: Any = real, **options: Any) -> Any:
            if clock.holds == 0:
                unheld.append(sql)
            return await _real(self, sql, *args, **options)

        monkeypatch.setattr(asyncpg.Connection, name, checked)

    async def work(store: Store) -> None:
        await store.record([reading(), plan(1)])
        await facts_of(store)
        await store.journal_hash()
        await store.fleet_power(T0, T0 + HOUR, 300)
        await store.post([])
        await store.verify_ledger()
        await store.load_fleet()
        await store.users()

    with_store(pg_dsn, work, clock=clock)
    assert clock.opened > 8
    assert clock.holds == 0
    assert unheld == []


def test_connections_cut_under_load_lose_and_double_nothing(pg_dsn: str) -> None:
    callers, each, cuts = 10, 30, 8

    async def work(store: Store) -> None:
        recorded = 0
        progress = asyncio.Condition()

        async def caller(station: int) -> None:
            nonlocal recorded
            for n in range(each):
                await store.record([reading(n, station=station)])
                async with progress:
                    recorded += 1
                    progress.notify_all()

        async def cutter() -> None:
            for cut in range(cuts):
                async with progress:
                    await progress.wait_for(lambda cut=cut: recorded >= cut * callers * each // cuts)
                await query(
                    pg_dsn,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'revere writer' AND datname = current_database()",
                )

        await asyncio.gather(cutter(), *(caller(i) for i in range(callers)))
        assert store.reconnects >= cuts - 1
        facts = [encode_fact(fact) for fact in await facts_of(store)]
        assert len(facts) == callers * each
        assert len(set(facts)) == callers * each

    with_store(pg_dsn, work)


@pytest.mark.parametrize(("way", "more"), [("fetchval", [1]), ("fetchrow", [1, 2])])
def test_a_commit_whose_answer_was_lost_is_not_repeated(
    pg_dsn: str, monkeypatch: pytest.MonkeyPatch, way: str, more: list[int]
) -> None:
    async def work(store: Store) -> None:
        await store.record([reading(0)])
        real = getattr(asyncpg.Connection, way)
        lost = 0

        async def lose_one_answer(self: Any, sql: str, *args: Any, **options: Any) -> Any:
            nonlocal lost
            answer = await real(self, sql, *args, **options)
            if "INSERT INTO journal" in sql and not lost:
                lost += 1
                raise ConnectionResetError
            return answer

        monkeypatch.setattr(asyncpg.Connection, way, lose_one_answer)
        await store.record([reading(n) for n in more])
        assert lost == 1
        assert await facts_of(store) == [reading(n) for n in (0, *more)]

    with_store(pg_dsn, work)


def test_a_forgotten_connection_is_ended_before_the_next_writes(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.record([reading(0)])
        forgotten = store._connection._conn
        store._connection._conn = None
        await store.record([reading(1)])
        rows = await query(
            pg_dsn,
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'revere writer'"
            " AND datname = current_database()",
        )
        assert [row["pid"] for row in rows] == [store._connection._conn.get_server_pid()]
        forgotten.terminate()

    with_store(pg_dsn, work)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: stops a process of the server's own user")
def test_a_server_that_hangs_counts_as_gone(pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "WRITE_DEADLINE_S", 0.5)
    monkeypatch.setattr(journal, "TRY_S", 0.1)
    monkeypatch.setattr(journal, "SILENCE_S", 0.2)
    monkeypatch.setattr(connection, "WATCH_EVERY_S", 0.05)

    async def work(store: Store) -> None:
        await store.record([plan(1)])
        backend = store._connection._conn.get_server_pid()
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable):
                await asyncio.wait_for(store.record([plan(2)]), timeout=10)
        finally:
            os.kill(backend, signal.SIGCONT)
        monkeypatch.setattr(journal, "WRITE_DEADLINE_S", 10.0)
        await store.record([plan(3)])
        assert await facts_of(store) == [plan(1), plan(2), plan(3)]

    with_store(pg_dsn, work)


def test_kill_9_of_the_server_loses_nothing_acknowledged(pg_folder: Path) -> None:
    callers, each, kills = 12, 40, 3
    clock = WallClock()

    async def run() -> None:
        server = await EmbeddedPostgres.start(pg_folder / "crash", throwaway=False, clock=clock)
        store = await Store.open(server.dsn, clock, TENANT, require_durable=True, owner_dsn=server.owner_dsn)
        acknowledged: list[bytes] = []
        progress = asyncio.Condition()

        async def caller(station: int) -> None:
            for n in range(each):
                fact = reading(n, station=station)
                await store.record([fact])
                async with progress:
                    acknowledged.append(encode_fact(fact))
                    progress.notify_all()

        writing = asyncio.gather(*(caller(i) for i in range(callers)))
        try:
            for kill in range(1, kills + 1):
                async with progress:
                    await progress.wait_for(lambda kill=kill: len(acknowledged) >= kill * callers * each // (kills + 1))
                server.kill()
                before = len(acknowledged)
                server = await EmbeddedPostgres.start(pg_folder / "crash", throwaway=False, clock=clock)
                assert before < callers * each
            await writing
            kept = [encode_fact(fact) for fact in await facts_of(store)]
            assert len(acknowledged) == callers * each
            assert sorted(kept) == sorted(acknowledged)
            assert store.reconnects >= kills
            assert (await query(server.dsn, "SELECT count(*) AS n FROM sample"))[0]["n"] == callers * each * 4
        finally:
            writing.cancel()
            await store.close()
            await server.stop()

    asyncio.run(run())


def test_a_database_that_stays_away_is_said_and_the_facts_are_kept(
    pg_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "WRITE_DEADLINE_S", 0.4)
    monkeypatch.setattr(journal, "TRY_S", 0.1)
    clock = WallClock()

    async def run() -> None:
        server = await EmbeddedPostgres.start(pg_folder / "away", throwaway=False, clock=clock)
        store = await Store.open(server.dsn, clock, TENANT, require_durable=True, owner_dsn=server.owner_dsn)
        try:
            await store.record([plan(1)])
            server.kill()
            ended: list[Exception | None] = []
            with pytest.raises(Unavailable, match=r"does not answer.*Taken, and written when the database is back"):
                await asyncio.wait_for(store.submit([plan(2)], ended.append), timeout=10)
            assert (store.pending_facts, ended) == (1, [])
            assert store.counters.timed_out == 1
            server = await EmbeddedPostgres.start(pg_folder / "away", throwaway=False, clock=clock)
            await store.record([plan(3)])
            assert await facts_of(store) == [plan(1), plan(2), plan(3)]
            assert ended == [None], "told once, though nobody waited any more"
        finally:
            await store.close()
            await server.stop()

    asyncio.run(run())
