"""Monthly partitions of the journal and the series, made when the first row of a month comes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

from revere.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection

PARTITIONS_MAX = 600
"""Most monthly partitions that one process makes: 25 years of two tables."""

Partitioned = Literal["journal", "sample"]


class Partitions:
    """Remembers which months exist, so that a batch asks the database only about a new one."""

    def __init__(self) -> None:
        self._known: set[tuple[str, int, int]] = set()

    async def ensure(self, conn: Any, table: Partitioned, moments: Collection[dt.datetime]) -> None:
        """Make the partitions for all ``moments`` (aware, UTC, one at least); two processes may do it at once."""
        first, last = min(moments), max(moments)
        if (first.year, first.month) == (last.year, last.month) and (table, last.year, last.month) in self._known:
            return
        for key in sorted({(table, ts.year, ts.month) for ts in moments} - self._known):
            if len(self._known) >= PARTITIONS_MAX:
                raise Refused("too many months of data", where=table, got=len(self._known) + 1, expected=PARTITIONS_MAX)
            await conn.execute("SELECT revere_partition($1, $2)", table, dt.date(key[1], key[2], 1))
            self._known.add(key)
