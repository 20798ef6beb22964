"""When a decision may stand: nothing that could change it has happened since, and it was at rest.

::

    tick    0 s     5 s     10 s  ... 30 s
            decide  stands  stands ... decide     while nothing moves
            decide  decide  decide ... decide     in an event, on a ramp, after any news

Energy limits are drawn for a lease of minutes, so that a decision half a minute old breaks none.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from revere.core import facts as f
from revere.plan.dispatch import Why

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from revere.control.ticker import Decision
    from revere.plan.schedule import Plan

STANDS_FOR = dt.timedelta(seconds=30)
MOVES_SHARE = 0.01
MOVES_KW = 0.5
"""A reading is news when its power has moved by more than this, or by this share of the value that was known."""
UNDER_WAY = frozenset({int(Why.RAMP), int(Why.DWELL), int(Why.RETURN_RAMP)})
OUR_OWN = (
    f.CommandIssued,
    f.CommandEnded,
    f.PlanMade,
    f.AlarmCleared,
    f.ClockSkewMeasured,
    f.SignedValueReceived,
    f.StreamValuesReceived,
    f.StationOrdered,
    f.NumberGiven,
)
"""Facts of deciding itself. A new plan is seen by itself, a station that does not follow by its alarm."""


class Calm:
    """Watches the facts between two decisions."""

    def __init__(self) -> None:
        self._power_kw: dict[tuple[str, str], float] = {}
        self._news = True
        self._plan: Plan | None = None
        self._decided_at: dt.datetime | None = None

    def note(self, fact: f.Fact) -> None:
        """Take a committed fact: a reading is news when its power moved, our own doing is none, all else is."""
        if isinstance(fact, f.MeterReading):
            self._news = self._moved(fact) or self._news
        elif not isinstance(fact, OUR_OWN):
            self._news = True

    def disturb(self) -> None:
        """Something that is no committed fact calls for a decision."""
        self._news = True

    def _moved(self, reading: f.MeterReading) -> bool:
        """Whether the power differs from what was news last; a reading without power says nothing about it."""
        if reading.power_kw is None:
            return True
        key = (reading.asset_id, reading.place)
        known_kw = self._power_kw.get(key)
        moved = known_kw is None or abs(reading.power_kw - known_kw) > max(MOVES_KW, MOVES_SHARE * abs(known_kw))
        if moved:
            self._power_kw[key] = reading.power_kw
        return moved

    def holds(self, now: dt.datetime, plan: Plan | None) -> bool:
        """Whether the last decision may stand at ``now`` under ``plan``."""
        since = self._decided_at
        return not self._news and plan is self._plan and since is not None and now - since < STANDS_FOR

    def decided(
        self, now: dt.datetime, plan: Plan | None, decision: Decision, changed: npt.NDArray[np.bool_], *, busy: bool
    ) -> None:
        """Remember a decision. One that moved anything, is on its way or was made while ``busy`` is not calm."""
        self._news = busy or bool(changed.any()) or not UNDER_WAY.isdisjoint(decision.setpoints.why.tolist())
        self._decided_at, self._plan = now, plan
