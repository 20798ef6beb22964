"""The store as the running house sees it: one object, one writer connection, everything committed on return."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Any

from revere.core.errors import Refused, RevereError
from revere.core.ids import TenantId
from revere.store import ledger, registry, series
from revere.store.access import Access
from revere.store.connection import LONG_TIMEOUT_S, WriterConnection
from revere.store.driver import asyncpg
from revere.store.journal import GroupCommit, JournalCounters
from revere.store.partitions import Partitions
from revere.store.reader import AccessDesk, Reader, Reads
from revere.store.rights import excess_rights
from revere.store.schema import MIGRATE_TIMEOUT_S, migrate, require_ready

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Sequence

    from revere.core.assets import Fleet
    from revere.core.facts import Fact
    from revere.core.time import Clock
    from revere.store.ledger import LedgerEntry
    from revere.store.registry import Asset
    from revere.store.series import HistoryRow

_ANSWER_TRY_S = 1.0
"""After a failure longer than this the question lets go of the connection, for facts that came meanwhile."""
_DURABLE_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")


class Store(Reads, Access):
    """Journal, series, ledger, registry and access of one tenant.

    A :class:`~revere.core.ports.FactSink` as far as committing goes: ``record`` returns when the facts are committed.
    All statements share one connection and run in the order of the asking, so long reads belong to :meth:`reader`.
    """

    def __init__(self, dsn: str, clock: Clock, tenant: TenantId) -> None:
        self.tenant = tenant
        self._dsn = dsn
        self._connection = WriterConnection(dsn, clock, tenant)
        self.queries = self._connection
        self._partitions = Partitions()
        self._series_ids = series.SeriesIds(tenant)
        self._commits = GroupCommit(self._connection, self._partitions, self._series_ids)

    @classmethod
    async def open(
        cls, dsn: str, clock: Clock, tenant: TenantId, *, require_durable: bool, owner_dsn: str | None = None
    ) -> Store:
        """Connect, make sure of the schema and our rights, and find the journal's end.

        ``owner_dsn`` signs in as the role that owns the tables: it brings the schema up to this release and gives
        ``dsn``'s role its rights. Without it the schema must be this release's.
        Raises :class:`RevereError` for a server older than 15, for a wrong password, for an older schema or a missing
        right, and, where ``require_durable``, for a server that answers before data are on the disk;
        :class:`Unavailable` where none answers.
        """
        store = cls(dsn, clock, tenant)
        try:
            if owner_dsn is not None:
                await bring_up(owner_dsn, dsn, clock)
            await store._connection.run(require_ready)
            if require_durable:
                await store._refuse_loose_server()
            await store._commits.begin()
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            await store.close()
            raise RevereError(
                "PostgreSQL refuses the user or password",
                where="store",
                remedy="Check REVERE_DSN, and REVERE_OWNER_DSN where it is set.",
            ) from error
        except asyncpg.InvalidCatalogNameError as error:
            await store.close()
            raise RevereError(
                "PostgreSQL has no such database",
                where="store",
                got=str(error),
                remedy="Make it, or correct REVERE_DSN.",
            ) from error
        except asyncpg.InsufficientPrivilegeError as error:
            await store.close()
            raise RevereError(
                "a database role lacks a right",
                where="store",
                got=str(error),
                remedy="docs/how-to/database.md says what each role needs.",
            ) from error
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Commit what waits and close the connection."""
        await self._commits.close()
        await self._connection.close()

    @property
    def counters(self) -> JournalCounters:
        """What passed through the journal since opening."""
        return self._commits.counters

    @property
    def pending_facts(self) -> int:
        """Facts that wait for their commit."""
        return self._commits.pending_facts

    @property
    def reconnects(self) -> int:
        """How often the database was lost and found again."""
        return self._connection.reconnects

    async def answers(self) -> None:
        """Return when the database answers where facts are written; :class:`Unavailable` where it fails at once.

        A server that hangs is waited for, as a commit would.
        """
        await self._connection.run(lambda conn: conn.execute("SELECT 1"), deadline_s=_ANSWER_TRY_S)

    async def excess_rights(self) -> list[str]:
        """Rights of our role by which records could be changed or things defined; none under an owner of its own."""

        async def ask(conn: Any) -> list[str]:
            return await excess_rights(conn, await conn.fetchval("SELECT current_user"))

        return await self._connection.run(ask)

    def reader(self) -> Reader:
        """A door for reading from another event loop or thread."""
        return Reader(self._dsn, self.tenant)

    def access_desk(self) -> AccessDesk:
        """A door for users and tokens from another event loop or thread."""
        return AccessDesk(self._dsn, self.tenant)

    async def record(self, facts: Sequence[Fact]) -> None:
        """Append facts to the journal, and readings to their series; returns when committed.

        Raises :class:`Unavailable` where the database stays away longer than ``WRITE_DEADLINE_S``.
        """
        await self._commits.record(facts)

    def submit(self, facts: Sequence[Fact], ended: Callable[[Exception | None], None]) -> asyncio.Future[None]:
        """The same without waiting: ``ended`` is told of the commit, however late (see ``GroupCommit.submit``)."""
        return self._commits.submit(facts, ended)

    async def load_history(self, rows: Iterable[HistoryRow]) -> int:
        """Load past values by COPY, as rev 1 with cause ``history``; returns how many.

        Raises :class:`Refused` where a stamp has a value already; the chunks before it stay.
        """
        remaining = iter(rows)
        loaded = 0
        while chunk := list(islice(remaining, series.HISTORY_CHUNK_ROWS)):
            await self._connection.run(
                lambda conn, chunk=chunk: self._copy(conn, chunk),  # type: ignore[misc]
                silence_s=LONG_TIMEOUT_S,
            )
            loaded += len(chunk)
        await self._connection.run(lambda conn: conn.execute("SELECT revere_analyze()"), silence_s=LONG_TIMEOUT_S)
        return loaded

    async def refresh_hours(self, start: dt.datetime, end: dt.datetime, asset_ids: Sequence[str] | None = None) -> int:
        """Compute the hourly rollup anew for the hours that ``[start, end)`` touches; returns rows written.

        Of ``asset_ids``, or of all assets. One short statement between the commits: ask for few assets at a time.
        """
        return await series.refresh_hours(self.queries, start, end, asset_ids)

    async def post(self, lines: Sequence[LedgerEntry]) -> list[int]:
        """Append lines to the ledger in one transaction; see :func:`revere.store.ledger.post`."""
        return await ledger.post(self.queries, lines)

    async def save_fleet(self, fleet: Fleet) -> None:
        """Make the registry equal to ``fleet``; what is not in it is marked as deleted."""
        await registry.save_fleet(self.queries, fleet, self._connection.clock.now())

    async def save_assets(self, assets: Sequence[Asset]) -> None:
        """Add or replace sites, stations, vehicles ... by their ids; what is not named stays."""
        await registry.save_assets(self.queries, assets)

    async def remove_asset(self, kind: type[Any], asset_id: str) -> bool:
        """Mark one asset as deleted; False where there is none."""
        return await registry.remove_asset(self.queries, kind, asset_id, self._connection.clock.now())

    async def _copy(self, conn: Any, chunk: list[HistoryRow]) -> None:
        await self._partitions.ensure(conn, "sample", [row.ts for row in chunk])
        ids = await self._series_ids.ensure(conn, {(row.asset_id, row.place, row.quantity): None for row in chunk})
        records = [
            (ids[row.asset_id, row.place, row.quantity], row.ts, 1, float(row.value), row.ts, "history", False)
            for row in chunk
        ]
        try:
            await conn.copy_records_to_table(
                "sample",
                records=records,
                columns=("series_id", "ts", "rev", "value", "received_at", "cause", "quarantined"),
            )
        except asyncpg.UniqueViolationError as error:
            raise Refused(
                "history is there already",
                where="store.load_history",
                got=str(error.detail or ""),
                remedy="Load it once.",
            ) from error

    async def _refuse_loose_server(self) -> None:
        rows = await self.queries.fetch(
            "SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[]) ORDER BY name", list(_DURABLE_SETTINGS)
        )
        loose = [f"{row['name']} = off" for row in rows if row["setting"] == "off"]
        if loose:
            raise RevereError(
                "this PostgreSQL may lose what it has acknowledged",
                where="store",
                got=", ".join(loose),
                expected="on",
                remedy="Switch these settings on; only the twin's throw-away database may run without.",
            )


async def bring_up(owner_dsn: str, dsn: str, clock: Clock) -> None:
    """As the owner: migrate the database and give the role of ``dsn`` what it needs."""
    application, owner = (WriterConnection(one, clock, TenantId("")) for one in (dsn, owner_dsn))
    try:
        role = await application.run(lambda conn: conn.fetchval("SELECT current_user"))
        await owner.run(lambda conn: migrate(conn, role), silence_s=MIGRATE_TIMEOUT_S)
    finally:
        await application.close()
        await owner.close()
