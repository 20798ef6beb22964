"""Which transactions a 1.6 charge point tells of as they happen.

1.6 does not say what has waited in the charge point's queue while the link was down, so an old stamp may be right. The
queue is sent in its order: once a transaction has told something of now on a connection, nothing of it waits any more,
and a stamp over a minute off is a wrong clock's. What we were slow to take, or did not take, is said again later, and
everything waits behind it: then we do not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.links.ocppj.bounds import LATE_NEXT_S
from revere.links.ocppj.line import SKEW_QUARANTINE_S, TRANSACTIONS_MAX

if TYPE_CHECKING:
    import datetime as dt

    from revere.core.facts import Fact, MeterReading
    from revere.links.ocppj.line import Line

Told = tuple[int, int | None]
"""A connector and its transaction; None where it tells of neither."""


class Abreast:
    """What one connection tells without delay."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._told: set[Told] = set()

    def judge(self, told: Told, stamp: dt.datetime, readings: list[MeterReading], now: dt.datetime) -> list[Fact]:
        """The readings of a message with that stamp, those of a wrong clock quarantined, and the clock's new skew."""
        live = stamp if told in self._told else None
        facts = self._line.observe_fresh(stamp, now) if live is None else self._line.observe(stamp, now)
        return [*facts, *self._line.quarantine(readings, now, live)]

    def taken(self, told: Told, stamp: dt.datetime, now: dt.datetime) -> None:
        """A message is committed: from now on it tells of now, if its stamp does."""
        if abs((stamp - now).total_seconds()) <= SKEW_QUARANTINE_S:
            if len(self._told) >= TRANSACTIONS_MAX:
                self._told.clear()
            self._told.add(told)

    def waited(self, for_s: float) -> None:
        """A message of whatever kind was answered after so long; infinite where it was not taken."""
        if for_s > LATE_NEXT_S:
            self._told.clear()
