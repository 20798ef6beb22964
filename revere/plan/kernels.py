"""Compiled kernels of price coordination: a vehicle's answer to a price, a site's bill, and their lower bounds.

A vehicle answers a price by a *taut string*. Between two moments at which its battery touches a bound, one price of a
stored kWh rules all steps; where the energy would fall below a floor that price rises, where it would pass a ceiling
it falls, and where both would have to happen the string bends and a new price begins::

    ceiling ────────────────╮            ╭───────
                       ╱────╯bend (falls)│
    energy      ╱─────╯                  ╰╲
               ╱                           ╲___
    floor  ────────────────────────────────────╯bend (rises)

The bends of one call are nearly always those of the last. :func:`_same_bends` tries them first and proves by the
optimality conditions that they still hold; only else the whole string is walked again.

Powers are kW, charging positive; energies kWh; prices USD per kWh. Energy above the ceiling may be spilled, so that a
stored kWh is never worth less than nothing. The answers are checked afterwards by :mod:`revere.plan.account`, which
shares no code with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from revere.plan.problem import Floats, Ints

    Marks = npt.NDArray[np.int8]

INSIDE, AT_FLOOR, AT_CEILING, SPILLED, SHORT = 0, 1, 2, 3, 4
"""How the string stands at the end of a step: no bend there, or what bends it."""
CLOSE_KWH = 1e-6
ROUNDING_KWH = 1e-9
ROUNDING_USD = 1e-9
NEWTON_MAX = 40
NEWTON_AGAIN_MAX = 6
PEAK_STEPS_MAX = 60

compiled = numba.njit(cache=True, fastmath=True)
compiled_inline = numba.njit(cache=True, fastmath=True, inline="always")
compiled_parallel = numba.njit(cache=True, fastmath=True, parallel=True)


class Batteries(NamedTuple):
    """What vehicles are able to do, ``[V, T]``, ``[V]`` or ``[T]``; those of a site lie side by side."""

    step_h: Floats
    charge_max_kw: Floats
    discharge_max_kw: Floats
    trip_kwh: Floats
    floor_kwh: Floats
    ceiling_kwh: Floats
    start_kwh: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats
    wear_usd_per_kwh: float


class Bills(NamedTuple):
    """What sites pay and may draw, ``[S, T]`` or ``[S]``; limits hold for building and vehicles together."""

    step_h: Floats
    load_kw: Floats
    import_usd_per_kwh: Floats
    export_usd_per_kwh: Floats
    import_limit_kw: Floats
    export_limit_kw: Floats
    demand_usd_per_kw: Floats
    peak_so_far_kw: Floats


@compiled_inline
def _power_kw(b: Batteries, v: int, t: int, stored_usd: float, wish_kw: float, pull: float) -> float:
    """Power of vehicle ``v`` in step ``t`` at a price of stored energy: near its wish, either way or none."""
    kw = wish_kw + stored_usd * b.charge_efficiency[v] * pull
    if kw > 0.0:
        return min(kw, b.charge_max_kw[v, t])
    kw = wish_kw + (b.wear_usd_per_kwh + stored_usd / b.discharge_efficiency[v]) * pull
    if kw < 0.0:
        return max(kw, -b.discharge_max_kw[v, t])
    return 0.0


@compiled_inline
def _gain_kwh(b: Batteries, v: int, t: int, kw: float) -> float:
    """What a power adds to the battery in a step, trips aside."""
    return (kw * b.charge_efficiency[v] if kw > 0.0 else kw / b.discharge_efficiency[v]) * b.step_h[t]


@compiled
def _energy_at(
    b: Batteries, v: int, first: int, last: int, start_kwh: float, stored_usd: float, wish_kw: Floats, pull: float
) -> tuple[float, float]:
    """Energy at the end of ``last`` when all steps from ``first`` answer one price, and its slope by that price."""
    into, out_of = b.charge_efficiency[v], 1.0 / b.discharge_efficiency[v]
    charge, discharge = stored_usd * into * pull, (b.wear_usd_per_kwh + stored_usd * out_of) * pull
    kwh, slope = start_kwh, 0.0
    for t in range(first, last + 1):
        kw = wish_kw[t] + charge
        if kw > 0.0:
            if kw < b.charge_max_kw[v, t]:
                slope += into * into * pull * b.step_h[t]
            else:
                kw = b.charge_max_kw[v, t]
            kwh += into * kw * b.step_h[t]
        else:
            kw = wish_kw[t] + discharge
            if kw < 0.0:
                if kw > -b.discharge_max_kw[v, t]:
                    slope += out_of * out_of * pull * b.step_h[t]
                else:
                    kw = -b.discharge_max_kw[v, t]
                kwh += out_of * kw * b.step_h[t]
        kwh -= b.trip_kwh[v, t]
    return kwh, slope


@compiled
def _price_for(
    b: Batteries, v: int, first: int, last: int, start_kwh: float, wish_kw: Floats, pull: float,
    goal_kwh: float, low: float, low_kwh: float, high: float, high_kwh: float, guess: float,
) -> float:  # fmt: skip
    """The price that ends step ``last`` at ``goal_kwh``: Newton's steps, kept inside [low, high]."""
    price = guess
    if not low < price < high:
        price = low + (high - low) * (goal_kwh - low_kwh) / (high_kwh - low_kwh) if high_kwh > low_kwh else high
    for _ in range(NEWTON_MAX):
        kwh, slope = _energy_at(b, v, first, last, start_kwh, price, wish_kw, pull)
        if abs(kwh - goal_kwh) < CLOSE_KWH:
            return price
        if kwh < goal_kwh:
            low = price
        else:
            high = price
        if high - low < 1e-12:
            break
        price = price + (goal_kwh - kwh) / slope if slope > 0.0 else low
        if not low < price < high:
            price = 0.5 * (low + high)
    return 0.5 * (low + high)


@compiled
def _next_bend(
    b: Batteries, v: int, first: int, start_kwh: float, wish_kw: Floats, pull: float, highest: float, guess: Floats
) -> tuple[float, int, float, int]:
    """Walk from ``first`` until the string must bend: (price, its last step, the energy there, what bends it)."""
    steps = wish_kw.shape[0]
    low, high, low_at, high_at = 0.0, highest, -1, -1
    low_kwh, high_kwh = start_kwh, start_kwh
    for t in range(first, steps):
        low_kwh += _gain_kwh(b, v, t, _power_kw(b, v, t, low, wish_kw[t], pull)) - b.trip_kwh[v, t]
        high_kwh += _gain_kwh(b, v, t, _power_kw(b, v, t, high, wish_kw[t], pull)) - b.trip_kwh[v, t]
        floor, ceiling = b.floor_kwh[v, t], b.ceiling_kwh[v, t]
        if low_kwh < floor - ROUNDING_KWH:
            if high_kwh < floor - ROUNDING_KWH:
                if high_at >= 0:
                    return high, high_at, b.ceiling_kwh[v, high_at], AT_CEILING
                return highest, t, high_kwh, SHORT
            low = _price_for(
                b, v, first, t, start_kwh, wish_kw, pull, floor, low, low_kwh, high, high_kwh, guess[t]
            )  # fmt: skip
            low_at, low_kwh = t, floor
        if high_kwh > ceiling + ROUNDING_KWH:
            if low_kwh > ceiling + ROUNDING_KWH:
                if low_at >= 0:
                    return low, low_at, b.floor_kwh[v, low_at], AT_FLOOR
                return 0.0, t, ceiling, SPILLED
            high = _price_for(
                b, v, first, t, start_kwh, wish_kw, pull, ceiling, low, low_kwh, high, high_kwh, guess[t]
            )  # fmt: skip
            high_at, high_kwh = t, ceiling
    if low_at >= 0:
        return low, low_at, b.floor_kwh[v, low_at], AT_FLOOR
    return 0.0, steps - 1, low_kwh, INSIDE


@compiled
def _walk(b: Batteries, v: int, wish_kw: Floats, pull: float, kw: Floats, stored_usd: Floats, mark: Marks) -> None:
    """The powers nearest to the wish that keep the battery in its bounds; ``stored_usd`` holds guesses, then prices."""
    steps = wish_kw.shape[0]
    widest = 0.0
    for t in range(steps):
        widest = max(widest, b.charge_max_kw[v, t] - wish_kw[t])
    highest = widest / (pull * b.charge_efficiency[v]) + CLOSE_KWH  # above it every step charges at full power
    first, kwh = 0, b.start_kwh[v]
    while first < steps:
        price, last, end_kwh, bend = _next_bend(b, v, first, kwh, wish_kw, pull, highest, stored_usd)
        for t in range(first, last + 1):
            kw[t] = _power_kw(b, v, t, price, wish_kw[t], pull)
            stored_usd[t] = price
            mark[t] = INSIDE
        mark[last] = bend
        first, kwh = last + 1, end_kwh


@compiled
def _price_again(
    b: Batteries, v: int, first: int, last: int, start_kwh: float, wish_kw: Floats, pull: float,
    goal_kwh: float, guess: float,
) -> float:  # fmt: skip
    """The price between two bends from the last one, by plain Newton's steps; negative where they do not settle."""
    price = guess
    for _ in range(NEWTON_AGAIN_MAX):
        kwh, slope = _energy_at(b, v, first, last, start_kwh, price, wish_kw, pull)
        if abs(kwh - goal_kwh) < CLOSE_KWH:
            return price
        if slope <= 0.0:
            return -1.0
        price += (goal_kwh - kwh) / slope
    return -1.0


@compiled
def _same_bends(
    b: Batteries, v: int, wish_kw: Floats, pull: float, kw: Floats, stored_usd: Floats, mark: Marks
) -> bool:
    """Whether the last call's bends are this one's too; only then are ``kw`` and ``stored_usd`` the answer.

    The conditions of the optimum: every step inside its bounds, the price falling after a floor and rising after a
    ceiling, nothing but 0 after which the rest is free or spilled.
    """
    steps = wish_kw.shape[0]
    first, kwh, before, bend = 0, b.start_kwh[v], 0.0, INSIDE
    while first < steps:
        last = first
        while last < steps - 1 and mark[last] == INSIDE:
            last += 1
        now = mark[last]
        if now == SHORT:
            return False
        price = 0.0
        if now in (AT_FLOOR, AT_CEILING):
            goal = b.floor_kwh[v, last] if now == AT_FLOOR else b.ceiling_kwh[v, last]
            price = _price_again(b, v, first, last, kwh, wish_kw, pull, goal, stored_usd[last])
        if price < 0.0:
            return False
        if bend == AT_FLOOR and price > before + ROUNDING_USD:
            return False
        if bend in (AT_CEILING, SPILLED) and price < before - ROUNDING_USD:
            return False
        for t in range(first, last + 1):
            kw[t] = _power_kw(b, v, t, price, wish_kw[t], pull)
            stored_usd[t] = price
            kwh += _gain_kwh(b, v, t, kw[t]) - b.trip_kwh[v, t]
            ends_free = t < last or now == INSIDE
            if ends_free and (kwh < b.floor_kwh[v, t] - CLOSE_KWH or kwh > b.ceiling_kwh[v, t] + CLOSE_KWH):
                return False
        if now == SPILLED and kwh < b.ceiling_kwh[v, last] - ROUNDING_KWH:
            return False
        if now == AT_FLOOR:
            kwh = b.floor_kwh[v, last]
        elif now != INSIDE:
            kwh = b.ceiling_kwh[v, last]
        first, before, bend = last + 1, price, now
    return True


@compiled_parallel
def answer_prices(
    b: Batteries, first: Ints, wish_kw: Floats, weight: Floats, kw: Floats, stored_usd: Floats, mark: Marks,
    site_kw: Floats,
) -> None:  # fmt: skip
    """One round: at each site every vehicle in turn takes what the others leave of the site's wish.

    ``wish_kw`` ``[S, T]`` and ``weight`` ``[S]`` (USD per kW² h) say what each site's sum should be near to. ``kw``,
    ``stored_usd`` and ``mark`` ``[V, T]`` carry each vehicle's last answer, ``site_kw`` ``[S, T]`` their sums.
    """
    steps = wish_kw.shape[1]
    for s in numba.prange(first.shape[0] - 1):
        wish, old, total = np.empty(steps), np.empty(steps), site_kw[s].copy()
        for v in range(first[s], first[s + 1]):
            for t in range(steps):
                old[t] = kw[v, t]
                wish[t] = old[t] + wish_kw[s, t] - total[t]
            if not _same_bends(b, v, wish, 1.0 / weight[s], kw[v], stored_usd[v], mark[v]):
                _walk(b, v, wish, 1.0 / weight[s], kw[v], stored_usd[v], mark[v])
            for t in range(steps):
                total[t] += kw[v, t] - old[t]
        for t in range(steps):
            site_kw[s, t] = 0.0
        for v in range(first[s], first[s + 1]):
            for t in range(steps):
                site_kw[s, t] += kw[v, t]


@compiled
def _peak_kw(bills: Bills, s: int, cut_kw: Floats, draw_kw: Floats, weight: float, top_kw: float) -> float:
    """The peak at which the demand charge equals what cutting the steps above it costs; Newton inside a bracket."""
    low, high = bills.peak_so_far_kw[s], top_kw
    if high <= low:
        return low
    peak = high
    for _ in range(PEAK_STEPS_MAX):
        pull, slope = 0.0, 0.0
        for t in range(cut_kw.shape[0]):
            if cut_kw[t] > peak and draw_kw[t] >= peak:
                pull += weight * bills.step_h[t] * (cut_kw[t] - peak)
                slope += weight * bills.step_h[t]
        if pull > bills.demand_usd_per_kw[s]:
            low = peak
        else:
            high = peak
        if abs(pull - bills.demand_usd_per_kw[s]) < ROUNDING_USD or high - low < 1e-9:
            break
        peak = peak + (pull - bills.demand_usd_per_kw[s]) / slope if slope > 0.0 else low
        if not low < peak < high:
            peak = 0.5 * (low + high)
    return max(peak, bills.peak_so_far_kw[s])


@compiled_parallel
def answer_bills(bills: Bills, margin_kw: Floats, wish_kw: Floats, weight: Floats, kw: Floats) -> None:
    """Each site's own optimum near ``wish_kw`` ``[S, T]`` (kW of its vehicles): two-price bill, limits, demand charge.

    Limits are drawn ``margin_kw`` ``[S]`` tighter. Writes ``kw`` ``[S, T]``.
    """
    sites, steps = wish_kw.shape
    for s in numba.prange(sites):
        cut_kw, draw_kw = np.empty(steps), np.empty(steps)
        top = bills.peak_so_far_kw[s]
        for t in range(steps):
            grid = wish_kw[s, t] + bills.load_kw[s, t]
            cut_kw[t] = grid - bills.import_usd_per_kwh[s, t] / weight[s]
            draw = cut_kw[t]
            if draw < 0.0:
                draw = min(0.0, grid - bills.export_usd_per_kwh[s, t] / weight[s])
            most = max(bills.import_limit_kw[s, t] - margin_kw[s], bills.load_kw[s, t])
            least = min(margin_kw[s] - bills.export_limit_kw[s, t], bills.load_kw[s, t])
            draw_kw[t] = min(max(draw, least), most)
            top = max(top, draw_kw[t])
        peak = _peak_kw(bills, s, cut_kw, draw_kw, weight[s], top)
        for t in range(steps):
            kw[s, t] = min(draw_kw[t], peak) - bills.load_kw[s, t]


@compiled
def _insert(slope: Floats, length: Floats, count: int, new_slope: float, new_length: float) -> int:
    """Put a piece into a convex function's pieces, kept by ascending slope; the new count."""
    if new_length <= 0.0:
        return count
    i = count
    while i > 0 and slope[i - 1] > new_slope:
        slope[i], length[i] = slope[i - 1], length[i - 1]
        i -= 1
    slope[i], length[i] = new_slope, new_length
    return count + 1


@compiled
def _least_cost_usd(b: Batteries, v: int, price: Floats, slope: Floats, length: Floats) -> float:
    """Least cost of one vehicle alone at ``price`` ``[T]`` >= 0: exact, by a backward dynamic programme.

    The cost-to-go of the energy in the battery is convex and piecewise linear: pieces of ascending slope from
    ``low_kwh`` on, where it is worth ``value``. A step back adds two pieces (what charging costs, what discharging
    earns), shifts by the trip and clips to the bounds. ``slope`` and ``length`` are room for 4 T + 8 pieces.
    """
    steps = price.shape[0]
    low, high, value, count = b.floor_kwh[v, steps - 1], b.ceiling_kwh[v, steps - 1], 0.0, 1
    slope[0], length[0] = 0.0, high - low
    for t in range(steps - 1, -1, -1):
        low += b.trip_kwh[v, t]
        high += b.trip_kwh[v, t]
        into, out_of = b.charge_efficiency[v], b.discharge_efficiency[v]
        charge_kwh = b.charge_max_kw[v, t] * into * b.step_h[t]
        discharge_kwh = b.discharge_max_kw[v, t] * b.step_h[t] / out_of
        value += charge_kwh * price[t] / into
        low -= charge_kwh
        high += discharge_kwh
        count = _insert(slope, length, count, -price[t] / into, charge_kwh)
        count = _insert(slope, length, count, min(0.0, -(price[t] - b.wear_usd_per_kwh) * out_of), discharge_kwh)
        floor = b.floor_kwh[v, t - 1] if t > 0 else b.start_kwh[v]
        ceiling = b.ceiling_kwh[v, t - 1] if t > 0 else b.start_kwh[v]
        if high < ceiling:  # what does not fit is spilled
            slope[count], length[count] = 0.0, ceiling - high
            count, high = count + 1, ceiling
        drop, cut = 0, floor - low
        while drop < count and cut > 0.0:
            part = min(length[drop], cut)
            value += part * slope[drop]
            length[drop] -= part
            cut -= part
            if length[drop] <= 1e-12:
                drop += 1
        for i in range(drop, count):
            slope[i - drop], length[i - drop] = slope[i], length[i]
        count, low = count - drop, max(low, floor)
        room, i = ceiling - low, 0
        while i < count and room > length[i]:
            room -= length[i]
            i += 1
        if i < count:
            length[i] = max(0.0, room)
            count = i + 1
        high = ceiling
    return value


@compiled_parallel
def bound_batteries(b: Batteries, first: Ints, price: Floats, out: Floats) -> None:
    """``out`` ``[S]``: the least that each site's vehicles cost at ``price`` ``[S, T]`` >= 0, USD."""
    for s in numba.prange(first.shape[0] - 1):
        slope, length = np.empty(4 * price.shape[1] + 8), np.empty(4 * price.shape[1] + 8)
        out[s] = 0.0
        for v in range(first[s], first[s + 1]):
            out[s] += _least_cost_usd(b, v, price[s], slope, length)


@compiled
def _bill_at_peak(bills: Bills, s: int, reward: Floats, peak_kw: float) -> float:
    """Import part of a site's least cost when it may draw up to ``peak_kw``."""
    usd = bills.demand_usd_per_kw[s] * (peak_kw - bills.peak_so_far_kw[s])
    for t in range(reward.shape[0]):
        worth = reward[t] - bills.import_usd_per_kwh[s, t]
        if worth > 0.0:
            usd -= bills.step_h[t] * worth * min(peak_kw, bills.import_limit_kw[s, t])
    return usd


@compiled_parallel
def bound_bills(bills: Bills, reward: Floats, out: Floats) -> None:
    """``out`` ``[S]``: the least of bill and demand charge less ``reward`` ``[S, T]`` (USD per kWh that vehicles draw).

    Piecewise linear and convex in the peak, so the least lies at a limit or at the peak so far.
    """
    sites, steps = reward.shape
    for s in numba.prange(sites):
        usd = 0.0
        for t in range(steps):
            usd += bills.step_h[t] * reward[s, t] * bills.load_kw[s, t]
            spread = bills.export_usd_per_kwh[s, t] - reward[s, t]
            if spread > 0.0:
                usd -= bills.step_h[t] * spread * bills.export_limit_kw[s, t]
        least = _bill_at_peak(bills, s, reward[s], bills.peak_so_far_kw[s])
        tried = bills.peak_so_far_kw[s]
        for t in range(steps):
            limit = bills.import_limit_kw[s, t]
            if limit > bills.peak_so_far_kw[s] and limit != tried:
                tried = limit
                least = min(least, _bill_at_peak(bills, s, reward[s], limit))
        out[s] = usd + least


@compiled_parallel
def blend(average: Floats, newest: Floats, share: float) -> None:
    """Move a running average ``[N, T]`` towards the newest, in place."""
    for i in numba.prange(average.shape[0]):
        for t in range(average.shape[1]):
            average[i, t] += share * (newest[i, t] - average[i, t])
