"""The fleet schedule: one linear program over all sites, solved by HiGHS, judged by a replay, never empty.

Cold, the dual simplex starts from nothing; a re-plan five minutes later runs the primal simplex from the last basis,
carried over by asset and clock time (``matrix.LinearProgram`` keys), and needs a twentieth of the work. If the solver
fails, runs out of its budget or returns something that the replay rejects, the last plan is used if it still holds,
else vehicles charge for their departures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import highspy
import numpy as np
import numpy.typing as npt

from revere.plan.greedy import charge_for_departure
from revere.plan.matrix import CHARGE, DISCHARGE, ENERGY, FLOOR, LEVEL, SITE, LinearProgram, build, kind_of
from revere.plan.problem import Bools, Commitment, Departure, FleetProblem, Floats, Ints
from revere.plan.replay import TOLERANCE_KWH, Cost, Violations, price_plan, replay

__all__ = [
    "Commitment", "Cost", "Departure", "FleetProblem", "Plan", "Scheduler", "Violations",
    "price_plan", "replay", "schedule",
]  # fmt: skip

ITERATIONS_MAX = 200_000
SECONDS_MAX = 20.0
SAME_TIME_KW = 1e-7
BOTH_KW = 1e-4
PASSES_MAX = 4
"""Bound on solving again with unwanted powers forbidden, more of them each time (see ``_unwanted``)."""

Statuses = npt.NDArray[np.int8]
LOWER, BASIC, UPPER, FREE = range(4)
_STATUSES = np.array(
    [
        highspy.HighsBasisStatus.kLower, highspy.HighsBasisStatus.kBasic,
        highspy.HighsBasisStatus.kUpper, highspy.HighsBasisStatus.kZero,
    ],
    dtype=object,
)  # fmt: skip
"""HiGHS's own statuses in the order of ours."""
Options = tuple[tuple[str, float], ...]
DUAL: Options = (("simplex_strategy", 1), ("primal_simplex_bound_perturbation_multiplier", 1.0))
"""From nothing, after presolve, and where bounds have become tighter."""
PRIMAL: Options = (("simplex_strategy", 4), ("primal_simplex_bound_perturbation_multiplier", 0.0))
"""From the last plan's basis. A vehicle that came or went changes columns more than rows, so the primal simplex needs
a third of the dual's iterations, and half the time; without perturbation there is nothing to clean up after."""
WARM_ITERATIONS_MAX = 10_000
"""Unperturbed, the primal simplex may go round in circles; past this the dual goes on from where it stands."""
Status = Literal["optimal", "previous", "charge_only"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
    """Which columns and rows stood where at the last optimum, by key: LOWER, BASIC, UPPER or FREE.

    Read from the basic variables and the values: asking HiGHS for thousands of status objects cost as much as solving.
    """

    column_key: Ints
    column_status: Statuses
    row_key: Ints
    row_status: Statuses


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A schedule that the replay has passed.

    ``charge_kw`` and ``discharge_kw`` are magnitudes ``[V, T]``, ``net_kw`` their difference (charging positive),
    ``energy_kwh`` ``[V, T + 1]`` as replayed. ``shortfall_kwh`` runs parallel to ``problem.departures``.
    ``commitment_kw`` ``[K, T]`` is relief at the commitment's sites (also outside its window), ``level_kw`` ``[K]``
    what is promised. ``overload_kw`` ``[S, T]`` is the building alone above its import limit. ``objective_usd``
    includes slack penalties; ``cost`` is money only. ``bound_usd`` is a proven lower bound (None: none known) and
    ``gap`` the share by which the plan lies above it: over 0 where powers had to be forbidden (``_unwanted``).
    """

    charge_kw: Floats
    discharge_kw: Floats
    net_kw: Floats
    energy_kwh: Floats
    objective_usd: float
    bound_usd: float | None
    gap: float | None
    cost: Cost
    status: Status
    why: str
    shortfall_kwh: Floats
    trip_short_kwh: Floats
    commitment_kw: Floats
    level_kw: Floats
    overload_kw: Floats
    iterations: int
    basis: Basis | None = None

    def shortfalls(self, problem: FleetProblem, above_kwh: float = 1e-3) -> dict[str, float]:
        """Departures that cannot be met: label (or vehicle number) -> missing kWh."""
        pairs = zip(problem.departures, self.shortfall_kwh, strict=True)
        return {d.label or str(d.vehicle): float(short) for d, short in pairs if short > above_kwh}


class Scheduler:
    """The planner of one fleet: it remembers the last plan, so that the next starts from its basis.

    ``iterations_max`` makes a run repeatable anywhere; ``seconds_max`` bounds a production tick.
    """

    def __init__(self, *, iterations_max: int = ITERATIONS_MAX, seconds_max: float = SECONDS_MAX) -> None:
        self.iterations_max = iterations_max
        self.seconds_max = seconds_max
        self.last: Plan | None = None

    def plan(self, problem: FleetProblem) -> Plan:
        """Schedule ``problem``, starting from the last plan's basis where it fits."""
        self.last = schedule(
            problem, warm=self.last, iteration_limit=self.iterations_max, seconds=self.seconds_max
        )  # fmt: skip
        return self.last


def schedule(
    problem: FleetProblem,
    *,
    warm: Plan | None = None,
    iteration_limit: int = ITERATIONS_MAX,
    seconds: float | None = None,
) -> Plan:
    """The best plan for ``problem``: least cost, departures first, inside every limit.

    ``warm`` gives the solver its basis, and is the answer again if the solver fails and it still holds.
    ``seconds`` is None in twin time, where only iterations may bound the work. Never raises for a hard
    problem; a problem that cannot be meant was refused when it was built.
    """
    lp = build(problem)
    basis = keep = warm.basis if warm else None
    bound, why = None, ""
    total, left_s = 0, seconds
    level = np.asarray([np.nan if c.nominated_kw is None else c.nominated_kw for c in problem.commitments])
    for attempt in range(PASSES_MAX):
        limit = max(0, iteration_limit - total)
        x, objective, iterations, spent_s, basis, why = _solve(
            lp, basis, limit, left_s, PRIMAL if attempt == 0 else DUAL
        )
        total += iterations
        keep = keep if attempt else basis  # the next plan's first pass is like this one's first
        left_s = None if left_s is None else max(0.0, left_s - spent_s)
        if x is None:
            break
        bound = objective if bound is None else bound  # what is forbidden below only raises the cost
        net = _net_kw(problem, lp, x)
        forbidden = _unwanted(problem, lp, x, net, attempt=attempt)
        judged = replay(problem, net)
        if judged.ok and not forbidden.any():
            chosen = [i for i, c in enumerate(problem.commitments) if c.nominated_kw is None and c.steps.any()]
            level[chosen] = np.maximum(0.0, x[lp.at[LEVEL]])
            level = _flat(problem, net, level)  # a window beyond the horizon promises nothing
            return _plan(problem, net, judged, level, "optimal", "", objective, bound, total, keep)
        why = f"the replay found {judged.breaches()}"
        lp.upper[forbidden] = 0.0
    net = charge_for_departure(problem)
    judged = replay(problem, net)
    assert judged.ok, judged.breaches()
    status: Status = "charge_only"
    if warm is not None and warm.net_kw.shape == net.shape:
        again = replay(problem, warm.net_kw)
        if again.ok and again.departure_short_kwh.sum() <= judged.departure_short_kwh.sum() + TOLERANCE_KWH:
            net, judged, status = warm.net_kw, again, "previous"
    return _plan(problem, net, judged, _flat(problem, net, level), status, why, None, bound, total, keep)


def _unwanted(p: FleetProblem, lp: LinearProgram, x: Floats, net: Floats, *, attempt: int) -> Bools:
    """Columns to forbid ``[columns]``: both directions at once, and discharge that ends below the floor.

    A linear program cannot exclude either: it would burn energy, or empty one battery that is below its floor
    into another one, wherever a binding limit makes that pay. It is rare, so it is excluded only where it happens:
    first in those steps, then for those vehicles, at last for all that may be below their floor.
    """
    columns = np.zeros(len(lp.cost), dtype=bool)
    charge, discharge = np.zeros(net.size), np.zeros(net.size)
    charge[lp.charge_cells], discharge[lp.discharge_cells] = x[lp.at[CHARGE]], x[lp.at[DISCHARGE]]
    soft = lp.at[FLOOR] >= 0
    stored = (x[lp.at[ENERGY]] - np.where(soft, x[lp.at[FLOOR]], 0.0)).reshape(net.shape)
    before = np.concatenate([p.start_kwh()[:, None], stored[:, :-1]], axis=1)
    gain = charge.reshape(net.shape) * p.charge_efficiency[:, None]
    gain -= discharge.reshape(net.shape) / p.discharge_efficiency[:, None]
    after = (before + gain * p.step_h).ravel()
    floor = np.repeat(p.floor_kwh, p.steps)
    both = (charge > BOTH_KW) & (discharge > BOTH_KW)
    drained = (discharge > BOTH_KW) & (after < floor - TOLERANCE_KWH)
    bad = (both & (net.ravel() >= 0)) | drained
    if attempt > 0 and bad.any():
        vehicles = bad.reshape(net.shape).any(axis=1)
        if attempt > 1:
            least = lp.lower[lp.at[ENERGY]] - np.where(soft, lp.upper[lp.at[FLOOR]], 0.0)
            vehicles |= (least < floor - TOLERANCE_KWH).reshape(net.shape).any(axis=1)
        bad = np.repeat(vehicles, p.steps)
    columns[lp.at[DISCHARGE]] = bad[lp.discharge_cells]
    columns[lp.at[CHARGE]] = (both & (net.ravel() < 0))[lp.charge_cells]
    return columns


def _flat(problem: FleetProblem, net_kw: Floats, level_kw: Floats) -> Floats:
    """Promised levels, where none was nominated the lowest relief of the window (never below 0)."""
    chosen = level_kw.copy()
    for i in np.flatnonzero(np.isnan(chosen)):
        c = problem.commitments[i]
        relief = problem.relief_kw(c, net_kw)[c.steps]
        chosen[i] = max(0.0, float(relief.min())) if len(relief) else 0.0
    return chosen


def _plan(
    p: FleetProblem, net: Floats, judged: Violations, level: Floats, status: Status, why: str,
    objective: float | None, bound: float | None, iterations: int, basis: Basis | None,
) -> Plan:  # fmt: skip
    cost = price_plan(p, net, level, judged)
    relief = np.asarray([p.relief_kw(c, net) for c in p.commitments]).reshape(len(p.commitments), p.steps)
    gap = None if bound is None or objective is None else max(0.0, objective - bound) / max(1.0, abs(objective))
    return Plan(
        charge_kw=np.maximum(net, 0.0), discharge_kw=np.maximum(-net, 0.0), net_kw=net, energy_kwh=judged.energy_kwh,
        objective_usd=cost.total_usd if objective is None else objective, bound_usd=bound,
        gap=gap, cost=cost, status=status, why=why,
        shortfall_kwh=judged.departure_short_kwh, trip_short_kwh=judged.trip_short_kwh, commitment_kw=relief,
        level_kw=level, overload_kw=np.maximum(0.0, p.site_load_kw - p.import_limit_kw), iterations=iterations,
        basis=basis,
    )  # fmt: skip


def _net_kw(p: FleetProblem, lp: LinearProgram, x: Floats) -> Floats:
    """Signed powers from the solution, clipped to the bounds that rounding may pass by 1e-9."""
    net = np.zeros(p.vehicles * p.steps)
    net[lp.charge_cells] += np.clip(x[lp.at[CHARGE]], lp.lower[lp.at[CHARGE]], lp.upper[lp.at[CHARGE]])
    net[lp.discharge_cells] -= np.clip(x[lp.at[DISCHARGE]], lp.lower[lp.at[DISCHARGE]], lp.upper[lp.at[DISCHARGE]])
    net[np.abs(net) < SAME_TIME_KW] = 0.0
    return net.reshape(p.vehicles, p.steps)


def _solve(
    lp: LinearProgram, warm: Basis | None, iteration_limit: int, seconds: float | None, strategy: Options
) -> tuple[Floats | None, float, int, float, Basis | None, str]:
    """Run HiGHS: (solution or None, objective with the constant, iterations, seconds, basis, why there is none)."""
    highs = highspy.Highs()  # type: ignore[no-untyped-call]  # the stub lacks it
    for name, value in (("output_flag", False), ("threads", 1), ("solver", "simplex"), ("random_seed", 0)):
        highs.setOptionValue(name, value)
    if seconds is not None:
        highs.setOptionValue("time_limit", seconds)
    if _pass(highs, lp) == highspy.HighsStatus.kError:
        return None, np.nan, 0, 0.0, None, "the solver refused the model"
    iterations = 0
    if warm is not None:
        highs.setBasis(_basis_for(lp, warm))
        iterations = _run(highs, strategy, min(iteration_limit, WARM_ITERATIONS_MAX))
    round_in_circles = highs.getModelStatus() == highspy.HighsModelStatus.kIterationLimit
    if warm is None or (round_in_circles and iterations < iteration_limit):
        iterations += _run(highs, DUAL, iteration_limit - iterations)
    status, spent_s = highs.getModelStatus(), float(highs.getRunTime())
    if status != highspy.HighsModelStatus.kOptimal:
        return None, np.nan, iterations, spent_s, None, f"the solver ended with {highs.modelStatusToString(status)}"
    solution = highs.getSolution()
    x = np.asarray(solution.col_value)
    if not np.isfinite(x).all():
        return None, np.nan, iterations, spent_s, None, "the solver returned a value that is no number"
    objective = float(highs.getInfo().objective_function_value) + lp.constant_usd
    return x, objective, iterations, spent_s, _basis_of(lp, highs, x, np.asarray(solution.row_value)), ""


def _run(highs: highspy.Highs, strategy: Options, iteration_limit: int) -> int:
    """Solve by ``strategy`` from the basis that is there; returns the iterations that it took."""
    for name, value in (*strategy, ("simplex_iteration_limit", iteration_limit)):
        highs.setOptionValue(name, value)
    highs.run()
    return max(0, int(highs.getInfo().simplex_iteration_count))


def _pass(highs: highspy.Highs, lp: LinearProgram) -> highspy.HighsStatus:
    """Hand the program over as arrays: HiGHS's own attributes would be filled number by number."""
    columns, rows = len(lp.cost), len(lp.row_lower)
    return highs.passModel(
        columns, rows, len(lp.value), int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize), 0.0,
        lp.cost, lp.lower, lp.upper, lp.row_lower, lp.row_upper, lp.start, lp.index, lp.value,
        np.zeros(columns, dtype=np.int32),
    )  # fmt: skip


def _basis_of(lp: LinearProgram, highs: highspy.Highs, x: Floats, activity: Floats) -> Basis:
    """The optimum's basis. What is not basic lies at the bound that its value is nearer to."""
    _, variables = highs.getBasicVariables()  # type: ignore[attr-defined]  # the stub lacks it
    basic = np.asarray(variables, dtype=np.int64)
    column, row = _at_bound(x, lp.lower, lp.upper), _at_bound(activity, lp.row_lower, lp.row_upper)
    column[basic[basic >= 0]] = BASIC
    row[-1 - basic[basic < 0]] = BASIC
    assert (column == BASIC).sum() + (row == BASIC).sum() == len(row), "a basic variable was named twice"
    return Basis(column_key=lp.column_key, column_status=column, row_key=lp.row_key, row_status=row)


def _at_bound(value: Floats, lower: Floats, upper: Floats) -> Statuses:
    """LOWER or UPPER by the nearer bound (LOWER where both are as near), FREE where there is none."""
    with np.errstate(invalid="ignore"):
        status = np.where(upper - value < value - lower, UPPER, LOWER).astype(np.int8)
    status[np.isinf(lower) & np.isinf(upper)] = FREE
    return status


def _basis_for(lp: LinearProgram, warm: Basis) -> highspy.HighsBasis:
    """The last basis carried to this program by key; what is new rests: its balances hold, its limits are slack."""
    column = _carry(lp.column_key, warm.column_key, warm.column_status)
    row = _carry(lp.row_key, warm.row_key, warm.row_status)
    column[column < 0] = np.where(_balanced(lp.column_key[column < 0]), BASIC, LOWER)
    row[row < 0] = np.where(_balanced(lp.row_key[row < 0]), LOWER, BASIC)
    basis = highspy.HighsBasis()
    basis.col_status = _STATUSES[column].tolist()
    basis.row_status = _STATUSES[row].tolist()
    basis.alien = True
    basis.valid = True
    return basis


def _balanced(key: Ints) -> Bools:
    """Whether a column follows from its row: what is stored from the balance, what a site draws from its sum."""
    return np.isin(kind_of(key), (ENERGY, SITE))


def _carry(key: Ints, old_key: Ints, old_status: Statuses) -> Statuses:
    """The status of each key, -1 for one that was not known."""
    carried = np.full(len(key), -1, dtype=np.int8)
    if len(old_key):
        order = np.argsort(old_key, kind="stable")
        at = np.minimum(np.searchsorted(old_key[order], key), len(old_key) - 1)
        found = old_key[order][at] == key
        carried[found] = old_status[order][at][found]
    return carried
