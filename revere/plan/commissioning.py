"""Whether a site may be left to its stations' fallback: its service holds it, and every route is met from it alone.

::

    import limit |-----------------------------------------|   in every quarter hour of a day:
                 |  worst building load | sum of defaults   |   load + defaults <= limit
                                                                at every departure of two weeks: battery >= need
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from revere.plan.problem import Floats, check_array

QUARTERS = 96
QUARTER = dt.timedelta(minutes=15)
DAY = dt.timedelta(days=1)
SLACK_KW = 0.05
SLACK_KWH = 0.05
EFFICIENCY = 0.9


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One journey on local wall-clock time since a Monday's midnight; what must be in the battery, what it takes."""

    leaves: dt.timedelta
    back: dt.timedelta
    needed_kwh: float
    energy_kwh: float


def quarter_hours(limits_kw: tuple[tuple[int, float], ...]) -> Floats:
    """A recurring day of (seconds after local midnight, kW) as the most of each quarter hour ``[96]``, kW."""
    most = np.zeros(QUARTERS)
    ends = [*(start_s for start_s, _ in limits_kw[1:]), 86_400]
    for (start_s, kw), end_s in zip(limits_kw, ends, strict=True):
        most[start_s // 900 : -(-end_s // 900)] = np.maximum(most[start_s // 900 : -(-end_s // 900)], kw)
    return most


def over_limit_kw(import_limit_kw: float, worst_load_kw: Floats, defaults_kw: Floats) -> Floats:
    """What the worst load and the sum of the defaults ``[station, 96]`` pass the limit by in each quarter hour, kW."""
    check_array("import_limit_kw", np.asarray(import_limit_kw, dtype=float), (), 0.0)
    check_array("worst_load_kw", worst_load_kw, (QUARTERS,))
    check_array("defaults_kw", defaults_kw, (len(defaults_kw), QUARTERS), 0.0)
    over = worst_load_kw + defaults_kw.sum(axis=0) - import_limit_kw
    found: Floats = np.where(over > SLACK_KW, over, 0.0)
    return found


def short_kwh(legs: list[Leg], limit_kw: tuple[tuple[int, float], ...], charge_kw: float, full_kwh: float) -> float:
    """The most that a departure lacks, kWh, where the vehicle charges by the default alone from a full battery on.

    ``limit_kw`` as in a default profile; ``charge_kw`` is the vehicle's own most. 0 where every route is met.
    """
    energy, since, worst = full_kwh, dt.timedelta(0), 0.0
    for leg in sorted(legs, key=lambda one: one.leaves):
        energy = min(full_kwh, energy + _charged_kwh(limit_kw, charge_kw, since, leg.leaves))
        worst = max(worst, leg.needed_kwh - energy)
        energy = max(energy - leg.energy_kwh, 0.0)
        since = max(since, leg.back)
    return worst if worst > SLACK_KWH else 0.0


def _charged_kwh(
    limit_kw: tuple[tuple[int, float], ...], charge_kw: float, start: dt.timedelta, end: dt.timedelta
) -> float:
    """Energy that reaches the battery between two moments of the recurring day, kWh."""
    total = 0.0
    ends = [*(start_s for start_s, _ in limit_kw[1:]), 86_400]
    for (from_s, kw), to_s in zip(limit_kw, ends, strict=True):
        held = _overlap_s(from_s, to_s, start, end)
        total += min(kw, charge_kw) * held / 3600 * EFFICIENCY
    return total


def _overlap_s(from_s: int, to_s: int, start: dt.timedelta, end: dt.timedelta) -> float:
    """Seconds of ``[start, end)`` that fall between two times of day."""

    def until(moment: dt.timedelta) -> float:
        days, rest = divmod(moment.total_seconds(), 86_400)
        return days * (to_s - from_s) + min(max(rest - from_s, 0.0), to_s - from_s)

    return max(until(end) - until(start), 0.0)
