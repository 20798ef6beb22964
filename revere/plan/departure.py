"""The departure barrier: the energy below which a vehicle may not be discharged now and still leave in time.

Working back from the departure at full power::

    need_kwh ............................................_____ departure
                                            taper ____/
                               full power  __/
    least_energy_kwh now  ____/

Batteries slow down near the top (the taper), so the last kWh take longer; the barrier integrates that backwards.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Literal

from revere.core.time import duration_text
from revere.plan.problem import refuse

SOC_AGE_MAX_S = 900.0
"""State of charge older than this proves nothing: no discharge (faults.md F9)."""
START_DELAY_S = 120.0
"""What a station may take from our command to full power; taken off the time that is left."""


@dataclass(frozen=True, kw_only=True)
class Taper:
    """How charging power falls near the top: full up to ``from_soc``, then linearly to ``end_share`` at 100 %."""

    from_soc: float = 0.85
    end_share: float = 0.2

    def __post_init__(self) -> None:
        """Refuse shapes that are no taper."""
        if not (0.0 <= self.from_soc < 1.0 and 0.0 < self.end_share <= 1.0):
            raise refuse("taper", f"from {self.from_soc}, end {self.end_share}", "0 <= from < 1, 0 < end <= 1")


NO_TAPER = Taper(from_soc=0.99, end_share=1.0)


def least_energy_kwh(
    now: dt.datetime,
    departure: dt.datetime,
    *,
    need_kwh: float,
    charge_kw: float,
    efficiency: float,
    capacity_kwh: float,
    taper: Taper = NO_TAPER,
    delay_s: float = START_DELAY_S,
) -> float:
    """Least energy, kWh, from which full power from now on still reaches ``need_kwh`` at ``departure``.

    At or after the departure it is ``need_kwh`` itself. Never below 0, never above ``need_kwh``.
    """
    _check(need_kwh, charge_kw, efficiency, capacity_kwh)
    need_kwh = min(need_kwh, capacity_kwh)
    left_h = max(0.0, (departure - now).total_seconds() - delay_s) / 3600.0
    rate = charge_kw * efficiency
    if rate <= 0.0:
        return need_kwh
    knee_kwh = taper.from_soc * capacity_kwh
    energy = need_kwh
    if energy > knee_kwh:
        to_knee_h = charge_hours(knee_kwh, energy, rate_kw=rate, capacity_kwh=capacity_kwh, taper=taper)
        if left_h < to_knee_h:
            return _back_from(energy, left_h, rate, capacity_kwh, taper)
        left_h -= to_knee_h
        energy = knee_kwh
    return max(0.0, energy - rate * left_h)


def charge_hours(from_kwh: float, to_kwh: float, *, rate_kw: float, capacity_kwh: float, taper: Taper) -> float:
    """Hours at full power from one stored energy to another; ``rate_kw`` is what arrives in the battery."""
    if to_kwh <= from_kwh:
        return 0.0
    if rate_kw <= 0.0:
        return math.inf
    knee = taper.from_soc * capacity_kwh
    straight = max(0.0, min(to_kwh, knee) - from_kwh) / rate_kw
    low, high = max(from_kwh, knee), to_kwh
    if high <= low:
        return straight
    slope = _slope(capacity_kwh, taper)
    if slope < 1e-12:
        return straight + (high - low) / rate_kw
    share_low, share_high = 1.0 - slope * (low - knee), 1.0 - slope * (high - knee)
    return straight + math.log(share_low / share_high) / (slope * rate_kw)


def energy_after_kwh(from_kwh: float, hours: float, *, rate_kw: float, capacity_kwh: float, taper: Taper) -> float:
    """Stored energy after charging at full power for ``hours``, never above capacity."""
    knee = taper.from_soc * capacity_kwh
    if rate_kw <= 0.0 or hours <= 0.0:
        return from_kwh
    if from_kwh < knee:
        straight_h = (knee - from_kwh) / rate_kw
        if hours <= straight_h:
            return from_kwh + rate_kw * hours
        from_kwh, hours = knee, hours - straight_h
    slope = _slope(capacity_kwh, taper)
    if slope < 1e-12:
        return min(capacity_kwh, from_kwh + rate_kw * hours)
    share = (1.0 - slope * (from_kwh - knee)) * math.exp(-slope * rate_kw * hours)
    return min(capacity_kwh, knee + (1.0 - share) / slope)


def _slope(capacity_kwh: float, taper: Taper) -> float:
    """Fall of the power share per kWh above the knee."""
    return (1.0 - taper.end_share) / ((1.0 - taper.from_soc) * capacity_kwh)


def _back_from(energy_kwh: float, hours: float, rate_kw: float, capacity_kwh: float, taper: Taper) -> float:
    """Energy ``hours`` before ``energy_kwh`` was reached, inside the taper."""
    slope = _slope(capacity_kwh, taper)
    if slope < 1e-12:
        return energy_kwh - rate_kw * hours
    knee = taper.from_soc * capacity_kwh
    share = (1.0 - slope * (energy_kwh - knee)) * math.exp(slope * rate_kw * hours)
    return knee + (1.0 - share) / slope


def _check(need_kwh: float, charge_kw: float, efficiency: float, capacity_kwh: float) -> None:
    for name, value in (("need_kwh", need_kwh), ("charge_kw", charge_kw)):
        if not (math.isfinite(value) and value >= 0.0):
            raise refuse(name, value, "a finite number >= 0")
    if not 0.0 < efficiency <= 1.0:
        raise refuse("efficiency", efficiency, "above 0, at most 1")
    if not (math.isfinite(capacity_kwh) and capacity_kwh > 0.0):
        raise refuse("capacity_kwh", capacity_kwh, "a finite number above 0")


Health = Literal["ready", "on_time", "tight", "late", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Will it leave in time? ``expected_kwh`` at departure, ``slack_min`` of waiting that it can still afford.

    ``slack_min`` is negative when it is too late; ``short_kwh`` is what will be missing at full power.
    ``ok`` is the go or no-go; an unknown state of charge is no go.
    """

    expected_kwh: float
    needed_kwh: float
    slack_min: float
    short_kwh: float
    ok: bool
    health: Health
    reason: str


TIGHT_MIN = 30.0
SHORT_KWH = 0.01
"""Below a hundredth of a kWh nothing is missing."""


def readiness(
    now: dt.datetime,
    departure: dt.datetime,
    *,
    need_kwh: float,
    energy_kwh: float | None,
    soc_age_s: float | None,
    charge_kw: float,
    efficiency: float,
    capacity_kwh: float,
    plugged: bool,
    back: dt.datetime | None = None,
    trip_kwh: float = 0.0,
    planned_kwh: float | None = None,
    taper: Taper = NO_TAPER,
) -> Readiness:
    """The readiness board's line for one vehicle.

    ``energy_kwh`` None is an unknown state of charge. A vehicle on the road (``plugged`` false) charges from
    ``back`` on, when ``trip_kwh`` more is gone. ``planned_kwh`` is the schedule's energy at departure: what is
    expected, be it less than what is there (the vehicle gives until then), but never more than full power can give.
    """
    _check(need_kwh, charge_kw, efficiency, capacity_kwh)
    need_kwh = min(need_kwh, capacity_kwh)
    if energy_kwh is None or not math.isfinite(energy_kwh):
        why = "state of charge unknown"
        return _line(expected=math.nan, need=need_kwh, slack_min=math.nan, short=math.nan, health="unknown", why=why)
    if not plugged:
        energy_kwh = max(0.0, energy_kwh - trip_kwh)
    start = now if plugged or back is None else max(now, back)
    delay_s = 0.0 if energy_kwh >= need_kwh else START_DELAY_S
    left_h = max(0.0, (departure - start).total_seconds() - delay_s) / 3600.0
    rate = charge_kw * efficiency if plugged or back is not None else 0.0
    best = energy_after_kwh(energy_kwh, left_h, rate_kw=rate, capacity_kwh=capacity_kwh, taper=taper)
    hours = charge_hours(energy_kwh, need_kwh, rate_kw=rate, capacity_kwh=capacity_kwh, taper=taper)
    slack_min = (left_h - hours) * 60.0 if math.isfinite(hours) else math.nan
    expected = best if planned_kwh is None else min(best, planned_kwh)
    short = max(0.0, need_kwh - best)
    if short > SHORT_KWH:
        why = f"{short:.1f} kWh short at full power" if rate > 0 else "not plugged in"
        return _line(expected=expected, need=need_kwh, slack_min=slack_min, short=short, health="late", why=why)
    if energy_kwh >= need_kwh:
        health: Health = "ready"
        why = "enough now"
    else:
        health = "on_time" if slack_min > TIGHT_MIN else "tight"
        why = f"{duration_text(slack_min)} to spare"
    if soc_age_s is None or not soc_age_s <= SOC_AGE_MAX_S:
        why = f"{why}; state of charge is old"
    return _line(expected=expected, need=need_kwh, slack_min=slack_min, short=0.0, health=health, why=why)


def _line(*, expected: float, need: float, slack_min: float, short: float, health: Health, why: str) -> Readiness:
    return Readiness(
        expected_kwh=expected, needed_kwh=need, slack_min=slack_min, short_kwh=short,
        ok=health not in ("late", "unknown"), health=health, reason=why,
    )  # fmt: skip


def discharge_proven(energy_kwh: float, soc_age_s: float, age_max_s: float = SOC_AGE_MAX_S) -> bool:
    """Whether the state of charge is known and fresh enough for discharge; NaN proves nothing."""
    return math.isfinite(energy_kwh) and 0.0 <= soc_age_s <= age_max_s
