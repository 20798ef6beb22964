"""Reports that a station sends in parts after it has accepted to: kept until the last part, or until nobody waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from revere.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS_MAX: Final = 500
"""Rows of one report that are kept."""
REPORT_WAIT_S: Final = 20.0


class Gathering:
    """The reports under way on one connection, by their request's number."""

    def __init__(self) -> None:
        self._number = 0
        self._open: dict[int, tuple[list[Any], asyncio.Event]] = {}

    def begin(self) -> int:
        """The number of a new report, to be asked for under it."""
        self._number += 1
        self._open[self._number] = ([], asyncio.Event())
        return self._number

    def add(self, number: int, rows: Sequence[Any], *, more: bool) -> bool:
        """Take a part; False for a report that nobody has asked for."""
        found = self._open.get(number)
        if found is None:
            return False
        kept, done = found
        kept += rows[: PARTS_MAX - len(kept)]
        if not more:
            done.set()
        return True

    async def rows(self, number: int) -> list[Any]:
        """All rows once the last part is there; raises :class:`Unavailable` where it does not come."""
        kept, done = self._open[number]
        try:
            async with asyncio.timeout(REPORT_WAIT_S):
                await done.wait()
        except TimeoutError:
            raise Unavailable("the report has not come whole", got=f"{len(kept)} rows") from None
        finally:
            self.end(number)
        return kept

    def end(self, number: int) -> None:
        """Nobody waits for it any more."""
        self._open.pop(number, None)
