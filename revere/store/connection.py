"""How the house talks to PostgreSQL: one writer connection for the control loop, a small pool for other threads."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from revere.core.errors import RevereError, Unavailable
from revere.store.driver import asyncpg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.ids import TenantId
    from revere.core.time import Clock

WRITE_DEADLINE_S = 25.0
"""How long a caller waits for a database that is gone. A station's own call time-out is usually 30 s."""
RETRY_FIRST_S, RETRY_LAST_S = 0.05, 2.0
CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
WATCH_EVERY_S = 5.0
"""How often an overdue statement is looked for."""
LONG_TIMEOUT_S = 300.0
POOL_MAX_CONNECTIONS = 6
_PASSING_SQLSTATES = ("08", "40", "53", "57P", "25006")
"""Connection, conflict, resources (disk full, too many), shutdown, read-only stand-by: may pass, so try again."""

T = TypeVar("T")


class Queries(Protocol):
    """What the reading and writing parts of the store need: a tenant and a way to run statements."""

    tenant: TenantId

    async def fetch(self, sql: str, *args: object) -> list[Any]:
        """The rows of one statement."""
        ...

    async def atomically(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run ``work(connection)`` in one transaction; ``work`` may run again and must be repeatable."""
        ...


def passes(error: BaseException) -> bool:
    """Whether the fault is the connection's or the server's and may pass, rather than the statement's."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(_PASSING_SQLSTATES)
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError)


def unavailable(error: BaseException | None) -> Unavailable:
    """The error for people: the database does not answer. Holds no address and no secret."""
    return Unavailable(
        "the database does not answer",
        where="store",
        got=type(error).__name__ if error is not None else None,
        remedy="Nothing that was acknowledged is lost; look at PostgreSQL's log.",
    )


class WriterConnection:
    """The one connection of the control loop: statements run one at a time, in the order of the asking.

    When the database goes away, statements wait, reconnect with growing pauses and run again until
    ``WRITE_DEADLINE_S``; then :class:`Unavailable`. All that runs here is repeatable. A session lock keeps two
    connections of the same store from overlapping, so that a statement whose answer was lost is either visible to the
    next connection or gone for good.
    """

    def __init__(self, dsn: str, clock: Clock, tenant: TenantId) -> None:
        self.tenant = tenant
        self.clock = clock
        self.reconnects = 0
        self._dsn = dsn
        self._conn: Any = None
        self._connected_once = False
        self._turn = asyncio.Lock()
        self._lock_key = secrets.randbits(62)
        self._overdue_at_s: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    async def run(
        self,
        work: Callable[[Any], Awaitable[T]],
        *,
        deadline_s: float = WRITE_DEADLINE_S,
        silence_s: float = STATEMENT_TIMEOUT_S,
    ) -> T:
        """Run ``work(connection)`` when its turn comes, again after a lost connection, until the deadline.

        A server that says nothing for ``silence_s`` counts as gone.
        """
        give_up_at = self.clock.monotonic_s() + deadline_s
        async with self._turn:
            pause_s = RETRY_FIRST_S
            while True:
                try:
                    self._watch_for(silence_s)
                    async with self.clock.hold():
                        conn = self._conn
                        return await work(await self._ready() if conn is None or conn.is_closed() else conn)
                except Exception as error:
                    if not passes(error):
                        raise
                    self._drop_if_broken(error)
                    if self.clock.monotonic_s() + pause_s > give_up_at:
                        raise unavailable(error) from error
                finally:
                    self._overdue_at_s = None
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_LAST_S)

    async def fetch(self, sql: str, *args: object) -> list[Any]:
        """The rows of one statement."""
        return await self.run(lambda conn: conn.fetch(sql, *args), silence_s=READ_TIMEOUT_S)

    async def atomically(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run ``work(connection)`` in one transaction."""

        async def in_transaction(conn: Any) -> T:
            async with conn.transaction():
                return await work(conn)

        return await self.run(in_transaction)

    async def close(self) -> None:
        """Close the connection; a database that is gone is left alone."""
        async with self._turn:
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None
            if self._conn is not None and not self._conn.is_closed():
                async with self.clock.hold():
                    try:
                        await self._conn.close(timeout=CONNECT_TIMEOUT_S)
                    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                        self._conn.terminate()
            self._conn = None

    async def _ready(self) -> Any:
        if self._conn is not None and not self._conn.is_closed():
            return self._conn
        try:
            conn = await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_TIMEOUT_S,
                max_cached_statement_lifetime=0,
                server_settings={
                    "application_name": "revere writer",
                    "timezone": "UTC",
                    "plan_cache_mode": "force_generic_plan",
                },
            )
        except ValueError as error:  # says in its text what of the address, a password perhaps, it could not read
            raise RevereError(
                "the database's address cannot be read",
                where="REVERE_DSN or REVERE_OWNER_DSN",
                expected="postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
                remedy="Correct it; special signs in the password are written %XX",
            ) from error
        self._conn = conn
        try:
            await self._take_over(conn)
        except BaseException:
            conn.terminate()
            self._conn = None
            raise
        if self._connected_once:
            self.reconnects += 1
        self._connected_once = True
        return conn

    def _watch_for(self, silence_s: float) -> None:
        """Note when the statement is overdue.

        One timer looks at the note from time to time and no statement cancels it: cancelled timers, swept whenever
        the loop comes by, would change the order in which timers of the same moment fire.
        """
        self._overdue_at_s = self.clock.monotonic_s() + silence_s
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(WATCH_EVERY_S, self._look)

    def _look(self) -> None:
        self._watch = None
        if self._overdue_at_s is None:
            return
        if self.clock.monotonic_s() >= self._overdue_at_s and self._conn is not None:
            self._conn.terminate()  # the statement that waits gets a lost connection
        self._watch = asyncio.get_running_loop().call_later(WATCH_EVERY_S, self._look)

    async def _take_over(self, conn: Any) -> None:
        """Hold the session lock of this store; end a forgotten connection of ours that still holds it."""
        if await conn.fetchval("SELECT pg_try_advisory_lock($1)", self._lock_key):
            return
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (classid::bigint << 32) | objid::bigint = $1",
            self._lock_key,
        )
        await conn.execute("SELECT pg_advisory_lock($1)", self._lock_key)

    def _drop_if_broken(self, error: BaseException) -> None:
        """After a lost answer or a doubt about the session, start over with a new connection."""
        sqlstate = str(getattr(error, "sqlstate", "") or "")
        if self._conn is not None and not sqlstate.startswith(("40", "53")):
            self._conn.terminate()
            self._conn = None


class PoolConnection:
    """A few connections for readers in another event loop or thread; opens in the loop that first asks."""

    def __init__(self, dsn: str, tenant: TenantId) -> None:
        self.tenant = tenant
        self._dsn = dsn
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def fetch(self, sql: str, *args: object) -> list[Any]:
        """The rows of one statement; :class:`Unavailable` where the database is gone."""
        return await self._with(lambda conn: conn.fetch(sql, *args))

    async def atomically(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run ``work(connection)`` in one transaction."""

        async def in_transaction(conn: Any) -> T:
            async with conn.transaction():
                return await work(conn)

        return await self._with(in_transaction)

    async def close(self) -> None:
        """Close the pool, in the loop that opened it."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def _with(self, work: Callable[[Any], Awaitable[T]]) -> T:
        try:
            pool = await self._open()
            async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as conn:
                return await work(conn)
        except Exception as error:
            if isinstance(error, RevereError) or not passes(error):
                raise
            raise unavailable(error) from error

    async def _open(self) -> Any:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=POOL_MAX_CONNECTIONS,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=LONG_TIMEOUT_S,
                    server_settings={"application_name": "revere reader", "timezone": "UTC"},
                )
            return self._pool
