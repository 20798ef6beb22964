"""The scribe: facts of our own making, journaled in order without making the tick wait."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from revere.core.errors import Unavailable
from revere.core.facts import TakesAway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.control.inbox import Inbox
    from revere.core.facts import Fact

SPOOL_MAX_FACTS = 20_000
SPOOL_SPARE_FACTS = 1_000
"""Room beyond that for what takes a permission away."""
CHUNK_FACTS = 256
RETRY_S = 2.0


class Scribe:
    """A bounded spool between control and the journal.

    Control must go on while the database is away (inside the stations' leases), and what it did meanwhile
    must still be written. Beyond ``SPOOL_MAX_FACTS`` the newest facts are dropped and counted in ``lost``.
    What takes a permission away binds when it is written here.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._spool: deque[Fact] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.lost = 0
        self.written = 0
        self.failures = 0

    @property
    def waiting(self) -> int:
        """Facts not yet committed."""
        return len(self._spool)

    def write(self, facts: Sequence[Fact]) -> None:
        """Take facts to be journaled in this order."""
        self._inbox.hold(facts)
        for fact in facts:
            spare = SPOOL_SPARE_FACTS if isinstance(fact, TakesAway) else 0
            if len(self._spool) >= SPOOL_MAX_FACTS + spare:
                self.lost += 1
            else:
                self._spool.append(fact)
        if self._spool:
            self._empty.clear()
            self._more.set()

    async def drained(self, within_s: float) -> None:
        """Wait until all that was taken is committed, for what must come after it. Raises ``Unavailable``."""
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError as error:
            raise Unavailable(
                "earlier facts are not committed yet", got=self.waiting, expected=0, remedy="The database is behind"
            ) from error

    async def run(self) -> None:
        """Journal for ever; facts that are not taken are offered again every two seconds."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._spool:
                chunk = [self._spool[i] for i in range(min(CHUNK_FACTS, len(self._spool)))]
                try:
                    await self._inbox.keep(chunk)
                except Unavailable:
                    self.failures += 1
                    await asyncio.sleep(RETRY_S)
                    continue
                for _ in chunk:
                    self._spool.popleft()
                self.written += len(chunk)
            self._empty.set()
