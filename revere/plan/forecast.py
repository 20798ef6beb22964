"""Building load for the horizon from the last similar days, and how much relief to promise.

Same local hour, same kind of day, the newest days first; on day one the building type's own shape stands in.
Each hour mixes the two by how many days were seen, so that a single odd day does not rule::

    forecast = (n * mean of the last n similar days + PRIOR_DAYS * prior) / (n + PRIOR_DAYS)
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from revere.plan.problem import Bools, Floats, check_array, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS_MAX = 10
"""Similar days looked at."""
PRIOR_DAYS = 0.5
"""The prior shape weighs as half a day of measurement."""
SLOTS = 96
"""Quarter hours of a local day: the second axis of a history."""
NOMINATION_SHARE = 0.9
"""The lowest 5-minute mean less 10 % is promised."""


def similar_days(history: Floats, kind: Sequence[str], wanted: str) -> Floats:
    """The last ``DAYS_MAX`` days ``[N, 96]`` of one kind (``school``, ``weekend`` ...), oldest first.

    ``history`` ``[days, 96]`` is oldest first, nan where nothing was measured; ``kind`` names each day.
    """
    check_array("history", np.where(np.isnan(history), 0.0, history), (len(kind), SLOTS))
    same = np.asarray([k == wanted for k in kind], dtype=bool)
    last: Floats = history[same][-DAYS_MAX:]
    return last


def load_forecast(
    edges_local: Sequence[dt.datetime],
    kind_of_day: Sequence[str],
    history: Floats,
    history_kind: Sequence[str],
    prior_shape_kw: Floats,
) -> Floats:
    """Expected kW per planning step ``[T]`` (building minus solar, may be negative).

    ``edges_local`` ``[T + 1]`` are the planning edges in local time, ``kind_of_day`` ``[T]`` the kind of each
    step's day, ``prior_shape_kw`` ``[96]`` the building type's day. A step's value is the mean of its quarters.
    """
    check_array("prior_shape_kw", prior_shape_kw, (SLOTS,))
    steps = len(edges_local) - 1
    if steps < 1 or len(kind_of_day) != steps:
        raise refuse(
            "edges_local", f"{len(edges_local)} edges, {len(kind_of_day)} kinds of day", "one more edge than kinds"
        )
    if any(edge.tzinfo is None for edge in edges_local):
        raise refuse("edges_local", "a time without a zone", "local times that know their zone")
    day_kw = {
        kind: _typical_day(similar_days(history, history_kind, kind), prior_shape_kw)
        for kind in sorted(set(kind_of_day))
    }
    forecast = np.empty(steps)
    for t in range(steps):
        forecast[t] = _mean_over(day_kw[kind_of_day[t]], edges_local[t], edges_local[t + 1])
    return forecast


def _typical_day(days: Floats, prior_kw: Floats) -> Floats:
    seen = np.isfinite(days)
    count = seen.sum(axis=0)
    total = np.where(seen, days, 0.0).sum(axis=0)
    typical: Floats = (total + PRIOR_DAYS * prior_kw) / (count + PRIOR_DAYS)
    return typical


def _mean_over(day_kw: Floats, start: dt.datetime, end: dt.datetime) -> float:
    """Mean of a day's quarter hours over ``[start, end)``, by the elapsed time, wrapping at midnight."""
    seconds = (end.astimezone(dt.UTC) - start.astimezone(dt.UTC)).total_seconds()
    if seconds <= 0:
        raise refuse("edges_local", f"{start} to {end}", "edges that go forward")
    at = start.hour * 3600 + start.minute * 60 + start.second
    total, left = 0.0, seconds
    while left > 0:
        slot = at // 900
        part = min(left, (slot + 1) * 900 - at)
        total += float(day_kw[slot % SLOTS]) * part
        left -= part
        at = int(at + part)
    return total / seconds


def worst_load_kw(history: Floats, prior_shape_kw: Floats, share: float = 0.98) -> Floats:
    """A high quantile per quarter hour ``[96]`` for when a forecast or a meter is missing, never below the prior."""
    if not len(history):
        return prior_shape_kw.copy()
    seen = np.where(np.isfinite(history), history, -np.inf)
    worst: Floats = np.maximum(np.quantile(seen, share, axis=0, method="higher"), prior_shape_kw)
    return worst


def lowest_mean_kw(relief_kw: Floats, step_h: Floats, window: Bools) -> float:
    """Lowest mean relief of a plan in the window: steps are never finer than 5 minutes, so the lowest step."""
    if not window.any():
        raise refuse("window", "no step", "an event inside the planning horizon")
    check_array("step_h", step_h, relief_kw.shape, 0.0)
    return float(relief_kw[window].min())


def nominate_kw(lowest_kw: float, share: float = NOMINATION_SHARE) -> float:
    """What we promise: the plan's lowest 5-minute mean less 10 %, whole kW downwards, never negative."""
    check_array("lowest_kw", np.asarray(lowest_kw, dtype=float), ())
    return float(max(0.0, np.floor(lowest_kw * share + 1e-9)))
