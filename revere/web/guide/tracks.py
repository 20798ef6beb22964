"""One EVSE's stored values over the guide's period, and what follows from them: completeness, energy, efficiency.

Stations are read one at a time and reduced at once, so that a year of a large fleet fits in memory.
"""

from __future__ import annotations

import bisect
import datetime as dt
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from revere.core.facts import evse_asset
from revere.settle.performance import EDGE_TOLERANCE, INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.core.assets import Station, Vehicle
    from revere.store.reader import Reads
    from revere.store.series import Quantity
    from revere.web.guide.chronicle import Plugged

ROUND_TRIP_LEAST_WH = 20_000
"""Less discharge than this says nothing about an efficiency."""


@dataclass(slots=True)
class Track:
    """Both registers and the soc of one EVSE, quarantined values left out and counted."""

    imports: dict[dt.datetime, int]
    exports: dict[dt.datetime, int]
    soc: dict[dt.datetime, float]
    quarantined: int
    soc_stamps: list[dt.datetime]

    def soc_before(self, moment: dt.datetime, oldest: dt.datetime) -> float | None:
        """The last soc in ``[oldest, moment]``; None where there is none."""
        place = bisect.bisect_right(self.soc_stamps, moment) - 1
        if place < 0 or self.soc_stamps[place] < oldest:
            return None
        return self.soc[self.soc_stamps[place]]


async def read_track(reader: Reads, station: Station, start: dt.datetime, end: dt.datetime) -> Track:
    """A station's values in ``[start, end]``, at its AC side."""
    asset = evse_asset(station.id, 1)
    found: list[dict[dt.datetime, float]] = []
    quarantined = 0
    quantities: tuple[Quantity, ...] = ("import_wh", "export_wh", "soc")
    for quantity in quantities:
        rows = await reader.series(asset, "ac_inlet", quantity, start, end + dt.timedelta(seconds=1))
        found.append({ts: v for ts, v, bad in zip(rows.ts, rows.value, rows.quarantined, strict=True) if not bad})
        quarantined += sum(rows.quarantined)
    imports, exports, soc = found
    return Track(
        imports={ts: int(value) for ts, value in imports.items()},
        exports={ts: int(value) for ts, value in exports.items()},
        soc=soc,
        quarantined=quarantined,
        soc_stamps=sorted(soc),
    )


def edges_expected(start: dt.datetime, end: dt.datetime) -> int:
    """How many five-minute marks lie in ``[start, end]``."""
    first = math.ceil(start.timestamp() / INTERVAL_S)
    last = math.floor(end.timestamp() / INTERVAL_S)
    return max(last - first + 1, 0)


def edges_present(track: Track, start: dt.datetime, end: dt.datetime, *, gives: bool) -> int:
    """How many of them have a register value that settlement could use (both registers where the station gives)."""
    imports = _edges(track.imports, start, end)
    return len(imports & _edges(track.exports, start, end)) if gives else len(imports)


def _edges(stamps: dict[dt.datetime, int], start: dt.datetime, end: dt.datetime) -> set[int]:
    tolerance_s = EDGE_TOLERANCE.total_seconds()
    low, high = start.timestamp(), end.timestamp()
    found = set()
    for ts in stamps:
        seconds = ts.timestamp()
        edge = round(seconds / INTERVAL_S)
        if abs(seconds - edge * INTERVAL_S) <= tolerance_s and low <= edge * INTERVAL_S <= high:
            found.add(edge)
    return found


def counted_wh(register: dict[dt.datetime, int]) -> tuple[int | None, int]:
    """What a register counted between its first and last value, Wh (None for under two), and its steps back."""
    if len(register) < 2:
        return None, 0
    total = back = 0
    values = [register[ts] for ts in sorted(register)]
    for before, after in itertools.pairwise(values):
        if after < before:
            back += 1
        else:
            total += after - before
    return total, back


@dataclass(slots=True)
class Stored:
    """Energy into and out of batteries over whole sessions, Wh, and how many sessions that is."""

    import_wh: int = 0
    export_wh: int = 0
    stored_wh: float = 0.0
    sessions: int = 0
    left_out: int = 0

    def add(self, track: Track, sessions: Sequence[Plugged], vehicle: Vehicle, end: dt.datetime) -> None:
        """Add a vehicle's sessions between the first and last moments at which all three values are known."""
        moments = sorted(track.imports.keys() & track.exports.keys() & track.soc.keys())
        for session in sessions:
            if session.token != vehicle.token:
                continue
            low = bisect.bisect_left(moments, session.start)
            high = bisect.bisect_right(moments, session.end or end) - 1
            if high <= low:
                self.left_out += 1
                continue
            first, last = moments[low], moments[high]
            import_wh = track.imports[last] - track.imports[first]
            export_wh = track.exports[last] - track.exports[first]
            if import_wh < 0 or export_wh < 0:
                self.left_out += 1
                continue
            self.import_wh += import_wh
            self.export_wh += export_wh
            self.stored_wh += (track.soc[last] - track.soc[first]) * vehicle.capacity_kwh * 1000.0
            self.sessions += 1

    def efficiency(self) -> float | None:
        """AC-to-AC round trip r², with the same loss assumed each way; None without enough discharge.

        What the batteries gained is r x import - export / r. Solved for r::

            import r² - gained r - export = 0

        Without a gain that is export / import.
        """
        if self.export_wh < ROUND_TRIP_LEAST_WH or self.import_wh <= 0:
            return None
        gained = self.stored_wh
        r = (gained + math.sqrt(gained**2 + 4.0 * self.import_wh * self.export_wh)) / (2.0 * self.import_wh)
        return r * r
