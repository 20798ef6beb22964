"""A site without the grid: how long its vehicles carry the critical load, and how it comes back.

Energy reserved for departures never goes to a building here: releasing it takes a named person's order, which
arrives as a smaller ``reserve_kwh``. Nothing is exported before the transfer switch says open and its meter
does not contradict it (faults.md F11 to F13)::

    grid lost --> switch unknown: 0 kW --> switch open: carry the load --> grid back
              --> 5 min stable, switch closed --> staggered ramp to normal
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np

from revere.plan.fill import fill
from revere.plan.problem import Bools, Floats, check_array, refuse

STABLE_BEFORE_RETURN_S = 300.0
"""Five minutes of stable grid before stations come back."""
STAGGER_S = 60.0
STAGGER_SITES = 10
RAMP_S = 300.0
DEAD_METER_KW = 0.5
"""A main meter that shows more than this on a lost grid contradicts an open switch."""


def isolated(*, grid_lost: bool, switch_open: bool | None, main_meter_kw: float | None = None) -> bool:
    """Whether the site is proven to be separated from the grid: the only state in which it may form its own.

    An unknown switch proves nothing; power through the main meter contradicts an open one.
    """
    if not grid_lost or switch_open is not True:
        return False
    if main_meter_kw is None:
        return True
    return math.isfinite(main_meter_kw) and abs(main_meter_kw) <= DEAD_METER_KW


@dataclass(frozen=True, kw_only=True, eq=False)
class IslandPlan:
    """What each vehicle of the site gives (negative) or takes (positive), kW ``[V]``, and for how long it lasts.

    ``hours_left`` is inf while solar carries the load, nan where the site is not isolated. ``shed_kw`` is the part
    of the critical load that batteries cannot carry: to be shed by priority, least critical first.
    """

    setpoint_kw: Floats
    hours_left: float
    energy_kwh: float
    shed_kw: float
    warn: bool
    why: str


def island_plan(
    *,
    critical_load_kw: float,
    solar_kw: float,
    energy_kwh: Floats,
    reserve_kwh: Floats,
    capacity_kwh: Floats,
    charge_max_kw: Floats,
    discharge_max_kw: Floats,
    discharge_efficiency: Floats,
    forming: Bools,
    is_isolated: bool,
    warn_h: float = 2.0,
) -> IslandPlan:
    """Split the critical load less solar over the site's plugged vehicles, each in proportion to what it can spare.

    ``reserve_kwh`` ``[V]`` stays in the battery (departure and floor). nan energy gives nothing. Without one
    grid-forming station that can give power there is no island.
    """
    n = len(energy_kwh)
    for name, value in (("critical_load_kw", critical_load_kw), ("solar_kw", solar_kw)):
        check_array(name, np.asarray(value, dtype=float), (), 0.0)
    for name, array in (("reserve_kwh", reserve_kwh), ("charge_max_kw", charge_max_kw)):
        check_array(name, array, (n,), 0.0)
    check_array("discharge_max_kw", discharge_max_kw, (n,), 0.0)
    check_array("discharge_efficiency", discharge_efficiency, (n,), 0.3, 1.0)
    idle = np.zeros(n)
    known = np.isfinite(energy_kwh)
    spare = np.where(known, np.maximum(0.0, np.where(known, energy_kwh, 0.0) - reserve_kwh), 0.0) * discharge_efficiency
    total = float(spare.sum())
    if not is_isolated:
        why = "transfer switch not confirmed open"
        return IslandPlan(
            setpoint_kw=idle, hours_left=math.nan, energy_kwh=total, shed_kw=critical_load_kw, warn=True, why=why
        )
    able = (spare > 0) & (discharge_max_kw > 0)
    if not (able & forming).any():
        why = "no grid-forming station with energy above its reserve"
        return IslandPlan(
            setpoint_kw=idle, hours_left=0.0, energy_kwh=total, shed_kw=critical_load_kw, warn=True, why=why
        )
    net = critical_load_kw - solar_kw
    everyone = np.zeros(n, dtype=np.int64)
    if net <= 0.0:
        room = np.where(known & (energy_kwh < capacity_kwh), charge_max_kw, 0.0)
        taken = fill(room, np.maximum(room, 1e-9), everyone, np.array([-net]))
        return IslandPlan(
            setpoint_kw=taken,
            hours_left=math.inf,
            energy_kwh=total,
            shed_kw=0.0,
            warn=False,
            why="solar carries the load",
        )
    want = np.where(able, discharge_max_kw, 0.0)
    # Weighted by what each can spare, so that all last equally long.
    given = fill(want, np.maximum(spare, 1e-9), everyone, np.array([net]))
    carried = float(given.sum())
    hours = total / carried if carried > 0 else 0.0
    shed = max(0.0, net - carried)
    why = f"{hours:.1f} h left" if shed <= 1e-6 else f"{shed:.1f} kW of the critical load must be shed"
    return IslandPlan(
        setpoint_kw=-given,
        hours_left=hours,
        energy_kwh=total,
        shed_kw=shed if shed > 1e-6 else 0.0,
        warn=hours < warn_h or shed > 1e-6,
        why=why,
    )


def return_ramp(now: dt.datetime, restored_at: dt.datetime | None, site_index: int) -> float:
    """Share of normal power, 0 to 1, after the grid came back: 5 stable minutes, then site after site, ramped.

    None means that the grid has not come back: 0. ``restored_at`` is the last return; every new loss restarts it.
    """
    if restored_at is None:
        return 0.0
    if site_index < 0:
        raise refuse("site_index", site_index, "0 or more")
    waited_s = (now - restored_at).total_seconds()
    start_s = STABLE_BEFORE_RETURN_S + STAGGER_S * (site_index % STAGGER_SITES)
    return min(1.0, max(0.0, (waited_s - start_s) / RAMP_S))
