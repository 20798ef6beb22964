"""Baselines: what a device would have taken if nobody had called.

Only ``none`` is here: storage at its own meter would have stood still, so the whole of its net energy counts
(programme.md b1, assumption for V2X). Baselines of past days for curtailment join it under a name of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    Baseline = Callable[[str, dt.datetime, dt.datetime], int]


def none_wh(_asset_id: str, _start: dt.datetime, _end: dt.datetime) -> int:
    """The device-meter baseline in Wh of ``[start, end)``, import positive: storage at its own meter, so nothing."""
    return 0


BASELINES: Mapping[str, Baseline] = {"none": none_wh}
