"""The planning grid: fine steps near now and around what matters, hours beyond.

::

    now      +8 h                              +36 h
    |--|--|--|----|----|--|--|--|----|----| ... |
     15 min   1 h       15 min    1 h
                        around departures and events
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from revere.core.time import floor_to

if TYPE_CHECKING:
    from collections.abc import Iterable

FINE = dt.timedelta(minutes=15)
COARSE = dt.timedelta(hours=1)
SHORTEST = dt.timedelta(minutes=1)
"""A first step shorter than this would be over before its plan."""


def planning_edges(
    now: dt.datetime,
    marks: Iterable[dt.datetime],
    *,
    horizon: dt.timedelta = dt.timedelta(hours=36),
    fine_for: dt.timedelta = dt.timedelta(hours=8),
) -> list[dt.datetime]:
    """Edges of the steps, ``len = steps + 1``; the first is ``now``.

    Quarter-hour steps for ``fine_for``, then hours; an hour that holds a mark (a departure, an
    arrival, an event's edge) strictly inside keeps only the quarter-hour edges that bracket it.
    """
    end = floor_to(now + horizon, 3600)
    fine_end = floor_to(now + fine_for, 3600)
    edges = {now}
    tick = floor_to(now, 900) + FINE
    while tick <= fine_end:
        edges.add(tick)
        tick += FINE
    tick = fine_end
    while tick <= end:
        edges.add(tick)
        tick += COARSE
    for mark in marks:
        if now < mark < end:
            low = floor_to(mark, 900)
            edges.add(max(low, now))
            if low < mark:
                edges.add(low + FINE)
    return [now, *sorted(edge for edge in edges if edge >= now + SHORTEST)]
