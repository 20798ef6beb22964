"""The fallback inside each station: charge only, safe even if every station of a site falls back at once.

The sum of a site's defaults plus its worst building load stays within the import limit in every hour. Hours of the
grid's peak are kept low, nights carry the routes' energy; a station's share follows what its vehicle needs overnight::

    limit |______            ______     import limit
          |      \\__________/           minus worst building load = room
     room |######..............######   # used by defaults (nights), . kept low (peak hours)
           0    6     12    18    24 h
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from revere.plan.fill import fill
from revere.plan.problem import Bools, Floats, Ints, check_array

HOURS = 24
PEAK_HOURS = (14, 15, 16, 17, 18, 19, 20)
"""Local hours in which losing us must not make a new peak."""
NIGHT_HOURS = (21, 22, 23, 0, 1, 2, 3, 4, 5)
PEAK_SHARE = 0.0
DAY_SHARE = 0.5
MARGIN_SHARE = 0.05
LIMIT_STEP_KW = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteDefaults:
    """Defaults of one site: per station ``(second of the local day, limit kW)`` from 0 on; kWh a day still missing.

    ``limit_kw`` ``[station, 24]`` holds the same by hour. ``short_kwh`` ``[station]`` is what the roster's daily
    energy lacks if both cannot hold: said at set-up, not found out at dawn.
    """

    profiles: tuple[tuple[tuple[int, float], ...], ...]
    limit_kw: Floats
    short_kwh: Floats


def site_defaults(
    *,
    import_limit_kw: float,
    worst_load_kw: Floats,
    station_charge_kw: Floats,
    need_kwh: Floats,
    parked: Bools,
    efficiency: float = 0.9,
) -> SiteDefaults:
    """Charge-only defaults for the stations of one site.

    ``worst_load_kw`` ``[24]`` is the highest building load by local hour, ``need_kwh`` ``[station]`` the energy a
    day that must reach the battery, ``parked`` ``[station, 24]`` when its vehicle is usually there.
    Filled in three passes (nights, other hours at half share, peak hours only if energy is still missing).
    """
    n = len(station_charge_kw)
    check_array("import_limit_kw", np.asarray(import_limit_kw, dtype=float), (), 0.0)
    check_array("worst_load_kw", worst_load_kw, (HOURS,))
    check_array("station_charge_kw", station_charge_kw, (n,), 0.0)
    check_array("need_kwh", need_kwh, (n,), 0.0)
    check_array("efficiency", np.asarray(efficiency, dtype=float), (), 0.3, 1.0)
    room = np.maximum(0.0, import_limit_kw * (1.0 - MARGIN_SHARE) - worst_load_kw)
    limit = np.zeros((n, HOURS))
    day_hours = tuple(h for h in range(HOURS) if h not in NIGHT_HOURS and h not in PEAK_HOURS)
    # Nights are given away whole: a returning bus charges at any night hour, whatever it needs.
    for hour in NIGHT_HOURS:
        limit[:, hour] = _share(station_charge_kw, need_kwh, room[hour])
    for hour in day_hours:
        limit[:, hour] = _share(station_charge_kw * DAY_SHARE, need_kwh, room[hour])
    for hour in PEAK_HOURS:
        limit[:, hour] = _share(station_charge_kw * PEAK_SHARE, need_kwh, room[hour])
    short = _short_kwh(limit, need_kwh, parked, efficiency)
    for hour in (*day_hours, *reversed(PEAK_HOURS)):
        wanting = np.where((short > 1e-9) & parked[:, hour], station_charge_kw - limit[:, hour], 0.0)
        if not (wanting > 0).any():
            continue
        extra = np.minimum(wanting, short / efficiency)
        left = max(0.0, float(room[hour] - limit[:, hour].sum()))
        limit[:, hour] += fill(extra, np.maximum(short, 1e-9), _one_group(n), np.array([left]))
        short = _short_kwh(limit, need_kwh, parked, efficiency)
    limit = np.floor(limit / LIMIT_STEP_KW + 1e-9) * LIMIT_STEP_KW
    return SiteDefaults(
        profiles=tuple(_steps(row) for row in limit),
        limit_kw=limit,
        short_kwh=_short_kwh(limit, need_kwh, parked, efficiency),
    )


def _one_group(n: int) -> Ints:
    return np.zeros(n, dtype=np.int64)


def _share(want_kw: Floats, need_kwh: Floats, room_kw: float) -> Floats:
    """Split an hour's room: by daily need, those without any at a tenth of the mean."""
    mean = float(need_kwh.mean()) if len(need_kwh) else 0.0
    weight = np.maximum(need_kwh, max(0.1 * mean, 1e-3))
    return fill(want_kw, weight, _one_group(len(want_kw)), np.array([room_kw]))


def _short_kwh(limit_kw: Floats, need_kwh: Floats, parked: Bools, efficiency: float) -> Floats:
    short: Floats = np.maximum(0.0, need_kwh - (limit_kw * parked).sum(axis=1) * efficiency)
    return short


def _steps(row_kw: Floats) -> tuple[tuple[int, float], ...]:
    """Hours of equal limit become one entry; the first is at second 0."""
    entries = [(0, round(float(row_kw[0]), 1))]
    for hour in range(1, HOURS):
        value = round(float(row_kw[hour]), 1)
        if value != entries[-1][1]:
            entries.append((hour * 3600, value))
    return tuple(entries)
