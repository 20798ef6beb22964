"""Sharing what is scarce: weighted water-filling over many groups at once, sorted, no iteration.

Every member gets ``min(want, level * weight)`` with one level per group, so that the group's room is used up and
nobody gets more than it wants::

    want  |      #
          |  #   #
    level |~~#~~~#~~~~~   <- the same water level (per weight) for all who want more
          |  #   #   #
          +----------------
"""

from __future__ import annotations

import numpy as np

from revere.plan.problem import Floats, Ints


def fill(want_kw: Floats, weight: Floats, group: Ints, room_kw: Floats) -> Floats:
    """Shares ``[V]``, kW magnitudes, whose sum per group is at most ``room_kw`` ``[G]``.

    ``want_kw`` >= 0, ``weight`` > 0. A group whose wants fit gets them untouched, bit for bit.
    """
    total = np.bincount(group, want_kw, len(room_kw))
    scarce = total > room_kw
    if not scarce.any():
        return want_kw.copy()
    share = want_kw.copy()
    member = np.flatnonzero(scarce[group] & (want_kw > 0))
    ratio = want_kw[member] / weight[member]
    order = member[np.lexsort((ratio, group[member]))]
    g, w, k = group[order], want_kw[order], weight[order]
    first = np.concatenate([[True], g[1:] != g[:-1]])
    segment = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    cum_want = np.cumsum(w)
    served = cum_want - w - (cum_want - w)[starts][segment]  # wants of those before me in my group
    cum_weight = np.cumsum(k)
    weight_before = cum_weight - k - (cum_weight - k)[starts][segment]
    weight_left = np.bincount(segment, k)[segment] - weight_before
    level = (np.maximum(room_kw[g], 0.0) - served) / np.maximum(weight_left, 1e-300)
    # The level falls at the first member that cannot be served in full; all after it stand in the same water.
    dry = level <= w / k
    first_dry = np.full(len(starts), len(order))
    np.minimum.at(first_dry, segment[dry], np.flatnonzero(dry))
    water = np.append(np.maximum(level, 0.0), np.inf)[first_dry]
    share[order] = np.minimum(w, water[segment] * k)
    # Rounding may overfill by an ulp; a limit is a limit.
    filled = np.bincount(group, share, len(room_kw))
    over = scarce & (filled > np.maximum(room_kw, 0.0)) & (filled > 0)
    factor = np.ones(len(room_kw))
    factor[over] = np.maximum(room_kw[over], 0.0) / filled[over] * (1.0 - 1e-12)
    scaled: Floats = share * factor[group]
    return scaled
