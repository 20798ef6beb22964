"""The store's other doors, for threads beside the control loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.store.access import Access
from revere.store.connection import PoolConnection
from revere.store.journal import JournalReads
from revere.store.ledger import LedgerReads
from revere.store.registry import RegistryReads
from revere.store.series import SeriesReads

if TYPE_CHECKING:
    from revere.core.ids import TenantId


class Reads(JournalReads, SeriesReads, LedgerReads, RegistryReads):
    """Everything that can be read: the same SQL from the control loop's store and from a reader."""


class Reader(Reads):
    """Reads from another event loop (the web thread's): a small pool, opened by its first query."""

    def __init__(self, dsn: str, tenant: TenantId) -> None:
        self._pool = PoolConnection(dsn, tenant)
        self.queries = self._pool

    async def close(self) -> None:
        """Close the pool, in the loop that used it."""
        await self._pool.close()


class AccessDesk(Access):
    """Users and tokens from another event loop: signing in writes, so this one may."""

    def __init__(self, dsn: str, tenant: TenantId) -> None:
        self._pool = PoolConnection(dsn, tenant)
        self.queries = self._pool

    async def close(self) -> None:
        """Close the pool, in the loop that used it."""
        await self._pool.close()
