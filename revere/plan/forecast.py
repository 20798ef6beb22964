"""Building load for the horizon from the last similar days, and how much relief to promise.

Same local hour, same kind of day, the newest days first; on day one the building type's own shape stands in.
Each hour mixes the two by how many days were seen, so that a single odd day does not rule::

    forecast = (n * mean of the last n similar days + PRIOR_DAYS * prior) / (n + PRIOR_DAYS)
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from revere.plan.problem import Floats, check_array, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS_MAX = 10
"""Similar days looked at."""
PRIOR_DAYS = 0.5
"""The prior shape weighs as half a day of measurement."""
DAY_S = 86_400.0
SLOTS = 96
"""Quarter hours of a local day: the second axis of a history."""
SLOT_S = DAY_S / SLOTS
NOMINATION_SHARE = 0.9
"""The lowest 5-minute mean less 10 % is promised."""


def step_shares(edges_local: Sequence[dt.datetime]) -> Floats:
    """How much of each step lies in which quarter hour of a local day ``[T, 96]``, by elapsed time; rows add up to 1.

    A step that passes midnight goes on in the same day, since its own kind of day is all that is known of it.
    """
    if len(edges_local) < 2:
        raise refuse("edges_local", f"{len(edges_local)} edges", "at least two")
    if any(edge.tzinfo is None for edge in edges_local):
        raise refuse("edges_local", "a time without a zone", "local times that know their zone")
    start_s = np.array([edge.hour * 3600 + edge.minute * 60 + edge.second for edge in edges_local[:-1]], dtype=float)
    length_s = np.diff(np.array([edge.timestamp() for edge in edges_local]))
    if (length_s <= 0).any():
        bad = int(np.argmax(length_s <= 0))
        raise refuse("edges_local", f"{edges_local[bad]} to {edges_local[bad + 1]}", "edges that go forward")
    days = int(np.ceil((start_s + length_s).max(initial=1.0) / DAY_S))
    slot_s = np.arange(days * SLOTS) * SLOT_S
    low = np.maximum(start_s[:, None], slot_s)
    high = np.minimum((start_s + length_s)[:, None], slot_s + SLOT_S)
    inside = np.maximum(high - low, 0.0).reshape(len(start_s), days, SLOTS).sum(axis=1)
    shares: Floats = inside / length_s[:, None]
    return shares


def typical_day(days: Floats, prior_kw: Floats) -> Floats:
    """Expected kW ``[96]``, building minus solar, of a day like ``days`` ``[N, 96]``: the newest of one kind.

    ``nan`` is not measured, never 0; ``prior_kw`` ``[96]`` is the building type's own day.
    """
    check_array("prior_kw", prior_kw, (SLOTS,))
    seen = np.isfinite(days)
    total = np.where(seen, days, 0.0).sum(axis=0)
    typical: Floats = (total + PRIOR_DAYS * prior_kw) / (seen.sum(axis=0) + PRIOR_DAYS)
    return typical


def worst_load_kw(history: Floats, prior_shape_kw: Floats, share: float = 0.98) -> Floats:
    """A high quantile per quarter hour ``[96]`` for when a forecast or a meter is missing, never below the prior."""
    if not len(history):
        return prior_shape_kw.copy()
    seen = np.where(np.isfinite(history), history, -np.inf)
    worst: Floats = np.maximum(np.quantile(seen, share, axis=0, method="higher"), prior_shape_kw)
    return worst


def relief_means_kw(
    net_kw: Floats, edges_s: Floats, plugged_s: Sequence[Sequence[tuple[float, float]]], bins_s: Floats
) -> Floats:
    """Mean relief of a plan in each bin ``[B]``, kW: a step's energy flows only while its vehicle is plugged in.

    ``net_kw`` ``[V, T]`` are means over the steps between ``edges_s`` ``[T + 1]``, charging positive. ``plugged_s``
    ``[V]`` holds each vehicle's spans, ``bins_s`` ``[B + 1]`` lies inside the horizon; all are seconds::

        step   |--------- 15 min, mean 20 kW --------|
        there              |xxxxxxxxxxxxxxxxxxxxxxxxx|
        gives  |     0     |          30 kW          |
        bins   |     0     |    30 kW   |   30 kW    |
    """
    if bins_s[0] < edges_s[0] or bins_s[-1] > edges_s[-1] or (np.diff(bins_s) <= 0).any():
        raise refuse("bins_s", bins_s.tolist(), "seconds that rise, inside the planning horizon")
    cuts = np.unique(np.concatenate([bins_s, edges_s[(edges_s > bins_s[0]) & (edges_s < bins_s[-1])]]))
    step = np.searchsorted(edges_s, cuts[:-1], side="right") - 1
    given_kws = np.zeros(len(cuts) - 1)
    for net, spans in zip(net_kw, plugged_s, strict=True):
        there_s = np.diff(_plugged_until_s(edges_s, spans))
        flowing_kw = np.where(there_s > 0, net * np.diff(edges_s) / np.maximum(there_s, 1e-9), 0.0)
        given_kws -= flowing_kw[step] * np.diff(_plugged_until_s(cuts, spans))
    bins = np.searchsorted(bins_s, cuts[:-1], side="right") - 1
    means: Floats = np.bincount(bins, given_kws, len(bins_s) - 1) / np.diff(bins_s)
    return means


def _plugged_until_s(at_s: Floats, spans: Sequence[tuple[float, float]]) -> Floats:
    """Seconds plugged in before each moment; ``spans`` follow one another."""
    ends = np.array([moment for span in spans for moment in span])
    if not len(ends):
        return np.zeros(len(at_s))
    lengths = np.diff(ends, prepend=ends[0])
    lengths[2::2] = 0.0
    until: Floats = np.interp(at_s, ends, np.cumsum(lengths))
    return until


def nominate_kw(lowest_kw: float, share: float = NOMINATION_SHARE) -> float:
    """What we promise: the plan's lowest 5-minute mean less 10 %, whole kW downwards, never negative."""
    check_array("lowest_kw", np.asarray(lowest_kw, dtype=float), ())
    return float(max(0.0, np.floor(lowest_kw * share + 1e-9)))
