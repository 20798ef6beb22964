"""The ledger: posted once, never changed, and a change is seen."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest

from revere.core.errors import Refused, RevereError
from revere.core.time import WallClock
from revere.store.ledger import GENESIS, LedgerEntry
from revere.store.store import Store

from .samples import T0, TENANT
from .test_journal import query, with_store

if TYPE_CHECKING:
    pass


def line(n: int, **changes: Any) -> LedgerEntry:
    fields: dict[str, Any] = {
        "key": f"cs-2023/school/{n}",
        "posted_at": T0 + dt.timedelta(microseconds=n),
        "statement_id": f"2023-09/{n % 2}",
        "participant_id": "acton-boxborough",
        "site_id": "school",
        "grid_event_id": "ev1",
        "program_id": "cs-daily",
        "kind": "performance",
        "import_wh": 0,
        "export_wh": 123_456,
        "cents": -1_050 + n,
        "state": "expected",
        "rule": "cs-2021.2",
        "evidence": {"registers": [["st0/1", "2023-09-07T20:00:00Z", 1]], "kw": [0.1 + 0.2, 1.0, 2e15, -7], "ß": None},
    }
    return LedgerEntry(**(fields | changes))


def test_lines_chain_and_come_back_as_posted(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        assert await store.ledger_hash() == GENESIS
        assert await store.verify_ledger() == 0
        assert await store.post([line(n) for n in range(3)]) == [1, 2, 3]
        assert await store.post([line(3, site_id=None, import_wh=None, export_wh=None)]) == [4]
        posted = await store.ledger()
        assert [p.entry for p in posted] == [line(n) for n in range(3)] + [
            line(3, site_id=None, import_wh=None, export_wh=None)
        ]
        assert [p.prev_hash for p in posted] == [GENESIS, *(p.hash for p in posted[:-1])]
        assert await store.ledger_hash() == posted[-1].hash
        assert await store.verify_ledger() == 4
        assert [p.seq for p in await store.ledger(statement_id="2023-09/0", site_id="school")] == [1, 3]

    with_store(pg_dsn, work)


def test_the_same_line_again_posts_nothing_and_another_content_is_refused(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.post([line(0), line(1)])
        later = line(1, posted_at=T0 + dt.timedelta(days=1))
        assert await store.post([later, line(2)]) == [2, 3]
        with pytest.raises(Refused, match=r"other content.*-1 cents.*Post a correction"):
            await store.post([line(3), line(2, cents=-1)])
        assert len(await store.ledger()) == 3  # all or nothing
        assert await store.post([line(9, key="correction/1", kind="correction")]) == [4]

    with_store(pg_dsn, work)


def test_evidence_that_cannot_be_kept_is_refused(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        for number in (float("nan"), float("inf"), 1e17):
            with pytest.raises(Refused, match="cannot be kept"):
                await store.post([line(0, evidence={"kw": [number]})])
        assert await store.ledger() == []

    with_store(pg_dsn, work)


def test_lines_cannot_be_changed_even_by_their_owner(pg_dsn: str, owner_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.post([line(0)])
        for statement in ("UPDATE ledger SET cents = 0", "DELETE FROM ledger", "TRUNCATE ledger"):
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await query(owner_dsn, statement)
        assert await store.verify_ledger() == 1

    with_store(pg_dsn, work)


@pytest.mark.parametrize(
    ("tampering", "first_broken", "why"),
    [
        ("UPDATE ledger SET cents = cents + 1 WHERE seq = 2", 2, "changed after posting"),
        ("UPDATE ledger SET evidence = '{}' WHERE seq = 3", 3, "changed after posting"),
        ("UPDATE ledger SET posted_at = posted_at + interval '1 us' WHERE seq = 1", 1, "changed after posting"),
        ("UPDATE ledger SET hash = repeat('a', 64) WHERE seq = 4", 4, "changed after posting"),
        ("DELETE FROM ledger WHERE seq = 2", 3, "line is missing"),
        ("UPDATE ledger SET prev_hash = repeat('0', 64) WHERE seq = 3", 3, "does not follow"),
    ],
)
def test_a_change_behind_our_back_is_seen(
    pg_dsn: str, owner_dsn: str, tampering: str, first_broken: int, why: str
) -> None:
    async def work(store: Store) -> None:
        await store.post([line(n) for n in range(4)])
        await query(owner_dsn, "ALTER TABLE ledger DISABLE TRIGGER append_only")
        await query(owner_dsn, tampering)
        with pytest.raises(RevereError, match=f"ledger line {first_broken}: .*{why}"):
            await store.verify_ledger()

    with_store(pg_dsn, work)


def test_two_posters_make_one_chain(pg_dsn: str) -> None:
    async def run() -> None:
        stores = [await Store.open(pg_dsn, WallClock(), TENANT, require_durable=False) for _ in range(2)]

        async def poster(store: Store, first: int) -> None:
            for n in range(first, first + 20):
                await store.post([line(n)])

        try:
            await asyncio.gather(poster(stores[0], 0), poster(stores[1], 100), poster(stores[1], 10))
            assert await stores[0].verify_ledger() == 20 + 20 + 10
        finally:
            for store in stores:
                await store.close()

    asyncio.run(run())


def test_entries_are_frozen() -> None:
    with pytest.raises(AttributeError):
        line(0).cents = 5  # type: ignore[misc]
    assert msgspec.structs.asdict(line(0))["cents"] == -1_050


def test_statements_are_added_up_by_the_database_page_by_page(pg_dsn: str) -> None:
    """Shares of others are in no sum; a statement without a line of a state has no sum there, and it is not 0."""

    async def work(store: Store) -> None:
        def of(who: str, month: int, n: int, **changes: Any) -> LedgerEntry:
            fields = {"statement_id": f"{who}:2023-{month:02}", "participant_id": who, "key": f"{who}/{month}/{n}"}
            return line(n, **(fields | {"site_id": who, "cents": n} | changes))

        await store.post([of("a", 8, n) for n in range(1, 4)])
        await store.post([of("b", 9, 1, cents=-5), of("b", 9, 2, kind="provider_share"), of("b", 9, 3, site_id="c")])
        await store.post([of("c", 9, 1, state="paid", rule="cs-2"), of("c", 9, 2, state="confirmed", cents=0)])
        kinds = ("performance", "correction")
        found, after = [], None
        while page := await store.statements(kinds, after=after, limit=2):
            assert len(page) <= 2
            found += page
            after = page[-1].statement_id
        assert [(one.statement_id, one.lines, one.cents, one.site_ids) for one in found] == [
            ("c:2023-09", 2, {"confirmed": 0, "paid": 1}, ("c",)),
            ("b:2023-09", 3, {"expected": -2}, ("b", "c")),
            ("a:2023-08", 3, {"expected": 6}, ("a",)),
        ]
        assert found[0].rules == ("cs-2", "cs-2021.2")
        assert [one.statement_id for one in await store.statements(kinds, sites=["b"])] == []
        assert [one.statement_id for one in await store.statements(kinds, sites=["c", "b"])] == [
            "c:2023-09",
            "b:2023-09",
        ]
        assert await store.statements(kinds, statement_id="d:2023-09") == []

    with_store(pg_dsn, work)
