"""Baselines: what a device would have taken if nobody had called.

A rule names one. ``none``: storage at its own meter would have stood still, so the whole of its net energy counts
(programme.md b1, assumption for V2X). ``10of10_additive``: the mean of ten like days before, moved by what is seen on
the day (curtailment, from memory); this release cannot compute it, so what it asks for is held and never taken as 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    Computed = Callable[[str, dt.datetime, dt.datetime], int]

Baseline = Literal["none", "10of10_additive"]


def none_wh(_asset_id: str, _start: dt.datetime, _end: dt.datetime) -> int:
    """The device-meter baseline in Wh of ``[start, end)``, import positive: storage at its own meter, so nothing."""
    return 0


BASELINES: Mapping[str, Computed] = {"none": none_wh}
"""Those that can be computed."""
