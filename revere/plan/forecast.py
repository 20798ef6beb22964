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
DAY_S = 86_400.0
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
    starts_s = np.array([edge.hour * 3600 + edge.minute * 60 + edge.second for edge in edges_local[:-1]], dtype=float)
    at_s = np.array([edge.timestamp() for edge in edges_local])
    lengths_s = np.diff(at_s)
    if (lengths_s <= 0).any():
        bad = int(np.argmax(lengths_s <= 0))
        raise refuse("edges_local", f"{edges_local[bad]} to {edges_local[bad + 1]}", "edges that go forward")
    kinds = np.asarray(kind_of_day)
    forecast = np.empty(steps)
    for kind, day in day_kw.items():
        mine = kinds == kind
        forecast[mine] = _means_over(day, starts_s[mine], lengths_s[mine])
    return forecast


def _typical_day(days: Floats, prior_kw: Floats) -> Floats:
    seen = np.isfinite(days)
    count = seen.sum(axis=0)
    total = np.where(seen, days, 0.0).sum(axis=0)
    typical: Floats = (total + PRIOR_DAYS * prior_kw) / (count + PRIOR_DAYS)
    return typical


def _means_over(day_kw: Floats, start_s: Floats, length_s: Floats) -> Floats:
    """Means of a day's quarter hours over steps that begin at a second of the local day, by elapsed time.

    A step that passes midnight goes on in the same day, since its own kind of day is all that is known of it.
    """
    days = int(np.ceil((start_s + length_s).max(initial=1.0) / DAY_S))
    grid_s = np.arange(days * SLOTS + 1) * (DAY_S / SLOTS)
    summed = np.concatenate([[0.0], np.cumsum(np.tile(day_kw, days))]) * (DAY_S / SLOTS)
    means: Floats = (np.interp(start_s + length_s, grid_s, summed) - np.interp(start_s, grid_s, summed)) / length_s
    return means


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
