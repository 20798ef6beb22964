"""The journal: every fact, appended in batches and never edited."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from revere.core.errors import Refused, Unavailable
from revere.core.facts import MeterReading, decode_fact, encode_fact
from revere.store.connection import WRITE_DEADLINE_S
from revere.store.driver import asyncpg
from revere.store.series import sample_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from revere.core.facts import Fact
    from revere.store.connection import Queries, WriterConnection
    from revere.store.partitions import Partitions
    from revere.store.series import SampleRow, SeriesIds, SeriesKey

BATCH_MAX_FACTS = 256
BATCH_WINDOW_S = 0.020
RECORD_MAX_FACTS = 4_096
"""Most facts in one call of ``record``."""
PENDING_MAX_FACTS = 50_000
"""Most facts that wait for the database; more are refused, and so not acknowledged."""
FACT_MAX_BYTES = 64 * 1024
PAGE_FACTS = 5_000
BATCH_IDS = 1 << 62
"""Batches are numbered from a random one: each number must be new to the journal's end, no more."""
TRY_S = 1.0
"""How often waiting callers are looked at while the database is away."""
SILENCE_S = 10.0
"""A server that takes longer over one batch counts as gone."""

_APPEND = """
WITH journaled AS (
    INSERT INTO journal (tenant_id, at, kind, body, batch_id)
    SELECT $1, f.at, f.kind, f.body, $2
    FROM unnest($3::timestamptz[], $4::text[], $5::bytea[]) WITH ORDINALITY AS f (at, kind, body, n)
    ORDER BY f.n
    RETURNING seq
)"""
_APPEND_FACTS = _APPEND + " SELECT max(seq), 0::bigint FROM journaled"
_OFFERED = """
    unnest(${0}::int[], ${1}::timestamptz[], ${2}::float8[], ${3}::timestamptz[], ${4}::text[], ${5}::bool[])
        AS r (series_id, ts, value, received_at, cause, quarantined)"""
_INSERT_NEW = (
    """
    INSERT INTO sample (series_id, ts, rev, value, received_at, cause, quarantined)
    SELECT r.series_id, r.ts, 1, r.value, r.received_at, r.cause, r.quarantined
    FROM"""
    + _OFFERED
    + """
    ON CONFLICT DO NOTHING
    RETURNING 1"""
)
_INSERT_REVISED = (
    """
    INSERT INTO sample (series_id, ts, rev, value, received_at, cause, quarantined)
    SELECT r.series_id, r.ts, coalesce(o.rev, 0) + 1, r.value, r.received_at, r.cause, r.quarantined
    FROM"""
    + _OFFERED
    + """
    LEFT JOIN LATERAL (
        SELECT max(s.rev) AS rev, bool_or(s.value = r.value AND s.quarantined = r.quarantined) AS same
        FROM sample s
        WHERE s.series_id = r.series_id AND s.ts = r.ts AND s.ts BETWEEN ${6} AND ${7}
    ) o ON true
    WHERE o.same IS NOT TRUE
    RETURNING 1"""
)
_APPEND_BOTH = (
    f"{_APPEND}, sampled AS ({_INSERT_NEW.format(6, 7, 8, 9, 10, 11)})"
    " SELECT (SELECT max(seq) FROM journaled), (SELECT count(*) FROM sampled)"
)
"""Nearly every stamp is new, so its first rev is tried without a look at what is there."""
_REVISE = f"WITH sampled AS ({_INSERT_REVISED.format(1, 2, 3, 4, 5, 6, 7, 8)}) SELECT count(*) FROM sampled"
"""The next rev of each stamp whose value differs from all that are kept; repeatable, and nothing for a known value."""


@cache
def _append_lone(samples: int) -> str:
    """Appends one fact with so many samples of one stamp, all new: nearly every batch of a quiet hour.

    Scalars instead of arrays, and no look for earlier revs: half the time of the general statement. A stamp that is
    known after all breaks the key, and then nothing of the statement stays.
    """
    values = ", ".join(f"(${9 + n}, $6, 1, ${9 + samples + n}, $2, $7, $8)" for n in range(samples))
    sampled = (
        "WITH sampled AS (INSERT INTO sample (series_id, ts, rev, value, received_at, cause, quarantined)"
        f" VALUES {values}) "
    )
    return (
        f"{sampled if samples else ''}INSERT INTO journal (tenant_id, at, kind, body, batch_id)"
        " VALUES ($1, $2, $3, $4, $5) RETURNING seq"
    )


_FIND_BATCH = "SELECT 1 FROM journal WHERE tenant_id = $1 AND seq > $2 AND batch_id = $3 LIMIT 1"


class JournalCounters(msgspec.Struct):
    """What passed through the journal since the store was opened."""

    facts: int = 0
    batches: int = 0
    samples: int = 0
    samples_repeated: int = 0
    """Dropped because the same value was kept already."""
    samples_refused: int = 0
    """Not finite, too large to be exact, or stamped too far from now: journaled, kept out of the series."""
    refused_full: int = 0
    timed_out: int = 0
    retries: int = 0


class _Submission:
    """One call of ``record``: its facts and who waits for them."""

    __slots__ = ("bodies", "done", "ended", "facts", "give_up_at")

    def __init__(
        self,
        facts: list[Fact],
        bodies: list[bytes],
        ended: Callable[[Exception | None], None],
        done: asyncio.Future[None],
        give_up_at: float,
    ) -> None:
        self.facts = facts
        self.bodies = bodies
        self.ended = ended
        self.done = done
        self.give_up_at = give_up_at

    def end(self, error: Exception | None = None) -> None:
        """Tell how it ended, then wake who waits (a fault in the telling is theirs to hear)."""
        try:
            self.ended(error)
        except Exception as fault:
            if self.done.done():
                raise
            error = fault
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class GroupCommit:
    """Commits facts of many callers together; a batch closes at 256 facts or after 20 ms.

    ::

        record(a) ──┐ 20 ms from the first
        record(b) ──┼────────────────────► one statement, one commit ──► a, b, c return
        record(c) ──┘ or 256 facts

    Order of arrival is order in the journal. A batch whose answer was lost carries an id, and is looked for before it
    is written again. Facts whose caller gave up stay queued: they happened, and are written when the database is back.
    """

    def __init__(self, connection: WriterConnection, partitions: Partitions, ids: SeriesIds) -> None:
        self.counters = JournalCounters()
        self._connection = connection
        self._partitions = partitions
        self._ids = ids
        self._waiting: deque[_Submission] = deque()
        self._waiting_facts = 0
        self._timer: asyncio.TimerHandle | None = None
        self._flusher: asyncio.Task[None] | None = None
        self._last_seq = 0
        self._batch_id = secrets.randbelow(BATCH_IDS)
        self._closed = False

    @property
    def pending_facts(self) -> int:
        """Facts that are not committed yet."""
        return self._waiting_facts

    async def begin(self) -> None:
        """Learn where the journal ends."""
        rows = await self._connection.fetch(
            "SELECT coalesce(max(seq), 0) AS seq FROM journal WHERE tenant_id = $1", self._connection.tenant
        )
        self._last_seq = rows[0]["seq"]

    async def record(self, facts: Sequence[Fact]) -> None:
        """Append ``facts``; returns when they are committed.

        Raises :class:`Unavailable` when the database stays away past the deadline or the queue is full, and
        :class:`Refused` for facts over the bounds.
        """
        if facts:
            await self.submit(facts, _nobody_asks)

    def submit(self, facts: Sequence[Fact], ended: Callable[[Exception | None], None]) -> asyncio.Future[None]:
        """Take ``facts`` for the next batch, or raise as ``record`` does; the answer ends when they are committed.

        ``ended`` is told of it before, also where the answer was given up: with None, or why they are refused for good.
        """
        if len(facts) > RECORD_MAX_FACTS:
            raise Refused("too many facts at once", where="store.record", got=len(facts), expected=RECORD_MAX_FACTS)
        if self._closed:
            raise Unavailable("the store is closed", where="store.record")
        if self._waiting_facts + len(facts) > PENDING_MAX_FACTS:
            self.counters.refused_full += len(facts)
            raise Unavailable("too many facts wait for the database", where="store.record", got=self._waiting_facts)
        bodies = [_body(fact) for fact in facts]
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        give_up_at = self._connection.clock.monotonic_s() + WRITE_DEADLINE_S
        self._waiting.append(_Submission(list(facts), bodies, ended, done, give_up_at))
        self._waiting_facts += len(facts)
        if self._flusher is None:
            if self._waiting_facts >= BATCH_MAX_FACTS:
                self._flush_now()
            elif self._timer is None:
                self._timer = loop.call_later(BATCH_WINDOW_S, self._flush_now)
        return done

    async def close(self) -> None:
        """Commit what waits (until the deadline) and accept no more."""
        self._closed = True
        if self._flusher is None and self._waiting:
            self._flush_now()
        if self._flusher is not None:
            await self._flusher
        if self._timer is not None:
            self._timer.cancel()

    def _flush_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flusher is None:
            self._flusher = asyncio.get_running_loop().create_task(self._flush(), name="store flush")

    async def _flush(self) -> None:
        """Write batches until less than one full batch waits; the window of the rest began when its first fact came."""
        try:
            while self._waiting:
                batch = self._take()
                await self._commit(batch)
                if self._waiting_facts < BATCH_MAX_FACTS and not self._closed:
                    break
        finally:
            self._flusher = None
            if self._waiting:
                loop = asyncio.get_running_loop()
                came_s = self._waiting[0].give_up_at - WRITE_DEADLINE_S
                left_s = came_s + BATCH_WINDOW_S - self._connection.clock.monotonic_s()
                self._timer = loop.call_later(max(0.0, left_s), self._flush_now)

    def _take(self) -> list[_Submission]:
        """The oldest submissions up to a full batch; a larger one is a batch by itself."""
        batch = [self._waiting.popleft()]
        count = len(batch[0].facts)
        while self._waiting and count + len(self._waiting[0].facts) <= BATCH_MAX_FACTS:
            batch.append(self._waiting.popleft())
            count += len(batch[-1].facts)
        return batch

    async def _commit(self, batch: list[_Submission]) -> None:
        """Write one batch and wake its callers; a fault of the statement is pinned on the submission that has it."""
        try:
            await self._write(batch)
        except Exception as error:  # noqa: BLE001 (handed to the caller whose facts they are)
            if len(batch) > 1:
                for submission in batch:
                    await self._commit([submission])
                return
            self._waiting_facts -= len(batch[0].facts)
            asyncio.get_running_loop().call_soon(batch[0].end, _refused(error))
            return
        for submission in batch:
            self._waiting_facts -= len(submission.facts)
            asyncio.get_running_loop().call_soon(submission.end)

    async def _write(self, batch: list[_Submission]) -> None:
        """One transaction, tried until the database has it; raises only for a fault of the facts themselves."""
        self._batch_id = (self._batch_id + 1) % BATCH_IDS
        work = _Batch(batch, self._batch_id)
        while True:
            try:
                offered, kept = await self._connection.run(
                    lambda conn: self._append(conn, work), deadline_s=TRY_S, silence_s=SILENCE_S
                )
                break
            except Unavailable as error:
                self.counters.retries += 1
                self._expire(batch, error)
                if self._closed and all(submission.done.done() for submission in batch):
                    raise
        self.counters.facts += len(work.bodies)
        self.counters.batches += 1
        self.counters.samples += kept
        self.counters.samples_repeated += offered - kept
        self.counters.samples_refused += work.samples_refused

    def _expire(self, batch: list[_Submission], error: Unavailable) -> None:
        """Tell callers past their deadline that nothing is acknowledged; their facts stay queued."""
        now_s = self._connection.clock.monotonic_s()
        for submission in (*batch, *self._waiting):
            if now_s >= submission.give_up_at and not submission.done.done():
                self.counters.timed_out += 1
                late = "Taken, and written when the database is back: look before you ask again"
                submission.done.set_exception(Unavailable(error.what, where=error.where, got=error.got, remedy=late))

    async def _append(self, conn: Any, work: _Batch) -> tuple[int, int]:
        """Run the statements of one batch; returns how many samples were offered and how many kept."""
        tenant = self._connection.tenant
        if work.tried and await conn.fetchval(_FIND_BATCH, tenant, self._last_seq, work.batch_id):
            # Its answer was lost, perhaps before the revised samples: offering all again adds only what is missing.
            ids = await self._ids.ensure(conn, [row.key for row in work.samples])
            for rows in waves(work.samples) if work.samples else ():
                await conn.fetchval(_REVISE, *_columns(rows, ids))
            return work.samples_offered, work.samples_offered
        work.tried = True
        await self._partitions.ensure(conn, "journal", work.at)
        if work.samples:
            await self._partitions.ensure(conn, "sample", [row.ts for row in work.samples])
        ids = await self._ids.ensure(conn, [row.key for row in work.samples])
        if len(work.bodies) == 1:
            try:
                self._last_seq = await self._append_one(conn, work, ids)
            except asyncpg.UniqueViolationError:
                pass  # a stamp that is known: offered below like any other
            else:
                return work.samples_offered, work.samples_offered
        journal = (tenant, work.batch_id, work.at, work.kind, work.bodies)
        if not work.samples:
            self._last_seq, _ = await conn.fetchrow(_APPEND_FACTS, *journal)
            return 0, 0
        first, *later = [_columns(wave, ids) for wave in waves(work.samples)]
        self._last_seq, kept = await conn.fetchrow(_APPEND_BOTH, *journal, *first[:6])
        if kept < len(first[0]):
            later.insert(0, first)
        for wave in later:
            kept += await conn.fetchval(_REVISE, *wave)
        return work.samples_offered, kept

    async def _append_one(self, conn: Any, work: _Batch, ids: dict[SeriesKey, int]) -> int:
        """Write a lone fact, its samples as first revs; returns its place in the journal."""
        rows = work.samples
        stamp = (rows[0].ts, rows[0].cause, rows[0].quarantined) if rows else ()
        seq: int = await conn.fetchval(
            _append_lone(len(rows)),
            self._connection.tenant,
            work.at[0],
            work.kind[0],
            work.bodies[0],
            work.batch_id,
            *stamp,
            *[ids[row.key] for row in rows],
            *[row.value for row in rows],
        )
        return seq


class _Batch:
    """What one transaction writes. Its id finds it again where the answer to the commit was lost."""

    def __init__(self, submissions: list[_Submission], batch_id: int) -> None:
        facts = [fact for submission in submissions for fact in submission.facts]
        self.batch_id = batch_id
        self.tried = False
        self.at = [fact.at for fact in facts]
        self.kind = [type(fact).__name__ for fact in facts]
        self.bodies = [body for submission in submissions for body in submission.bodies]
        self.samples: list[SampleRow] = []
        self.samples_refused = 0
        for fact in facts:
            if isinstance(fact, MeterReading):
                rows, refused = sample_rows(fact)
                self.samples += rows
                self.samples_refused += refused
        self.samples_offered = len(self.samples)


def _nobody_asks(_error: Exception | None) -> None:
    """For facts that only the caller waits for."""


def waves(samples: Sequence[SampleRow]) -> list[list[SampleRow]]:
    """Samples in groups without two values for one stamp, in order of arrival; exact repetitions are left out.

    One INSERT cannot see its own rows, so a second value of the same batch must wait for the next statement.
    """
    if len({(row.key, row.ts) for row in samples}) == len(samples):
        return [list(samples)]  # the rule
    groups: list[list[SampleRow]] = [[]]
    seen: dict[tuple[SeriesKey, dt.datetime], list[tuple[float, bool]]] = {}
    for row in samples:
        values = seen.setdefault((row.key, row.ts), [])
        if (row.value, row.quarantined) in values:
            continue
        if len(values) == len(groups):
            groups.append([])
        groups[len(values)].append(row)
        values.append((row.value, row.quarantined))
    return groups


def _columns(rows: Sequence[SampleRow], ids: dict[SeriesKey, int]) -> tuple[Any, ...]:
    keys, stamps, *others = zip(*rows, strict=True)
    return ([ids[key] for key in keys], stamps, *others, min(stamps), max(stamps))


def _refused(error: Exception) -> Exception:
    """The database's own complaint about facts, in the house's words; anything else stays what it is."""
    if isinstance(error, asyncpg.PostgresError | asyncpg.DataError):
        return Refused("the database refuses a fact", where="store.record", got=f"{type(error).__name__}: {error}")
    return error


def _body(fact: Fact) -> bytes:
    body = encode_fact(fact)
    if len(body) > FACT_MAX_BYTES:
        raise Refused("a fact is too large", where=type(fact).__name__, got=len(body), expected=FACT_MAX_BYTES)
    return body


class JournalReads:
    """What may be asked of the journal."""

    queries: Queries

    async def journal_hash(self) -> str:
        """SHA-256 (hex) over the canonical encoding of every fact in order, each ended by a newline."""
        digest = hashlib.sha256()
        async for row in self._pages("", ()):
            digest.update(row["body"])
            digest.update(b"\n")
        return digest.hexdigest()

    async def journal(
        self, since: dt.datetime | None = None, kinds: Iterable[str] | None = None
    ) -> AsyncIterator[Fact]:
        """Facts in the order of their recording, of those ``kinds`` (class names), learned at or after ``since``."""
        where = ""
        args: list[object] = []
        if since is not None:
            args.append(since)
            where += f" AND at >= ${len(args) + 3}"
        if kinds is not None:
            args.append(sorted(kinds))
            where += f" AND kind = ANY (${len(args) + 3}::text[])"
        async for row in self._pages(where, args):
            yield decode_fact(row["body"])

    async def _pages(self, where: str, args: Sequence[object]) -> AsyncIterator[Any]:
        after = 0
        while True:
            rows = await self.queries.fetch(
                f"SELECT seq, body FROM journal WHERE tenant_id = $1 AND seq > $2{where} ORDER BY seq LIMIT $3",
                self.queries.tenant,
                after,
                PAGE_FACTS,
                *args,
            )
            for row in rows:
                yield row
            if len(rows) < PAGE_FACTS:
                return
            after = rows[-1]["seq"]
