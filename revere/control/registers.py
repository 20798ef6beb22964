"""What a meter's registers stood at: between its readings, at an edge, net of both directions."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import TYPE_CHECKING

from revere.control.screen import RATING_SLACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.control.image import EvseImage, SiteImage
    from revere.core import facts as f
    from revere.core.assets import Station

ALIGNED_KEEP = 6
REGISTERS_KEEP = 160
GAP_MAX_S = 400.0
EDGE_GAP_MAX_H = 0.3
RATING_SLACK_WH = 200.0


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


def building_mean(site: SiteImage, evses: Sequence[EvseImage]) -> tuple[dt.datetime, float] | None:
    """(end, kW) of the building over the newest interval of the main meter for which every EVSE's register is known.

    Registers at the edges of one interval make this exact where live kW of different moments would not be. None where
    nothing newer is known.
    """
    edges = sorted(site.aligned_net_wh)
    for start, end in zip(reversed(edges[:-1]), reversed(edges[1:]), strict=True):
        hours = (end - start).total_seconds() / 3600
        if end <= site.building_at or hours > EDGE_GAP_MAX_H:
            return None
        drawn_wh = _stations_wh(evses, start, end)
        if drawn_wh is not None:
            return end, (site.aligned_net_wh[end] - site.aligned_net_wh[start] - drawn_wh) / 1000 / hours
    return None


def _stations_wh(evses: Sequence[EvseImage], start: dt.datetime, end: dt.datetime) -> float | None:
    """What a site's EVSEs drew net between two edges, None where one of them is unknown."""
    total = 0.0
    for evse in evses:
        resting = evse.session_id is None
        # Before its session began a meter stood still.
        before = evse.registers.at(start, resting=resting or evse.session_since >= start)
        after = evse.registers.at(end, resting=resting)
        if before is None or after is None:
            if resting and not evse.power_kw:
                continue
            return None
        rating_kw = max(evse.station.charge_kw, evse.station.discharge_kw)
        hours = (end - start).total_seconds() / 3600
        if abs(after - before) > RATING_SLACK * rating_kw * 1000 * hours + RATING_SLACK_WH:
            return None  # a reset or a swapped meter
        total += after - before
    return total
