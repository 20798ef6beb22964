"""What a meter's registers stood at: between its readings, at an edge, net of both directions."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from revere.core import facts as f
    from revere.core.assets import Station

ALIGNED_KEEP = 6
REGISTERS_KEEP = 160
GAP_MAX_S = 400.0


class Registers:
    """The newest register readings of a meter, to know what it stood at between them.

    ::

        known      o----------o-----o ........... (no session: it stands still)
        asked            ^ linear        ^ the last value
    """

    def __init__(self) -> None:
        self._known: deque[tuple[float, int]] = deque(maxlen=REGISTERS_KEEP)

    def add(self, ts: dt.datetime, net_wh: int) -> None:
        """Take a reading; one that comes late is put in its place, one that is told again is left out."""
        known, at = self._known, ts.timestamp()
        if not known or at > known[-1][0]:
            known.append((at, net_wh))
            return
        place = len(known)
        while place and known[place - 1][0] >= at:
            place -= 1
        if known[place][0] != at and len(known) < REGISTERS_KEEP:
            known.insert(place, (at, net_wh))

    def at(self, ts: dt.datetime, *, resting: bool) -> float | None:
        """Net Wh at ``ts``; beyond the newest reading only for a meter at rest, else None (unknown)."""
        at = ts.timestamp()
        later: tuple[float, int] | None = None
        for known in reversed(self._known):
            if known[0] == at:
                return float(known[1])
            if known[0] < at:
                if later is None:
                    return float(known[1]) if resting else None
                if later[0] - known[0] > GAP_MAX_S and later[1] != known[1] and not resting:
                    return None
                return known[1] + (later[1] - known[1]) * (at - known[0]) / (later[0] - known[0])
            later = known
        return float(later[1]) if later is not None and resting else None


def net_wh_of(fact: f.MeterReading, station: Station | None) -> int | None:
    """Import less export, Wh; None where a register is missing.

    A station that cannot discharge has no export register: what it gave is 0 by its rating, not unknown.
    """
    if fact.import_wh is None:
        return None
    if fact.export_wh is None:
        return fact.import_wh if station is not None and station.discharge_kw == 0 else None
    return fact.import_wh - fact.export_wh


def keep_aligned(aligned: dict[dt.datetime, int], ts: dt.datetime, net_wh: int) -> None:
    """Keep the newest aligned registers, on the whole minute that they were meant for."""
    seconds = round(ts.timestamp() / 60) * 60
    aligned[dt.datetime.fromtimestamp(seconds, dt.UTC)] = net_wh
    while len(aligned) > ALIGNED_KEEP:
        del aligned[min(aligned)]
