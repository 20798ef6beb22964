"""Figures of speed, each measured by a room's own way of working. Quote medians, on a quiet machine."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revere.core.errors import Refused
from revere.core.time import wall_s

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from revere.plan.problem import FleetProblem
    from revere.plan.schedule import Plan

    Say = Callable[[str], None]

REPEATS = 5
START_S = 1_694_116_800
GUIDED_FRAMES = 200_000


def measure(name: str | None, say: Say) -> dict[str, Any]:
    """Run one bench, those of one first word (``ocpp``), or all of them; figures by name."""
    chosen = {key: bench for key, bench in BENCHES.items() if name in (None, key, key.partition(".")[0])}
    if not chosen:
        raise Refused("no such bench", got=name, expected=", ".join(BENCHES))
    figures: dict[str, Any] = {}
    for key, bench in chosen.items():
        say(f"measuring {key} …")
        figures |= {f"{key}.{figure}": value for figure, value in bench().items()}
    return figures


def bench_twin() -> dict[str, Any]:
    """A simulated day of the Massachusetts programme, the event's."""
    from revere.app.play import PlayOptions, load_scenario, play

    scenario = load_scenario(Path("massachusetts"))
    summary = play(scenario, PlayOptions(days=2.0))
    return {
        "wall_s_per_day": round(summary["wall_s"] / 2, 2),
        "messages_per_day": summary["messages"] // 2,
        "plan_wall_mean_s": summary["plan_wall_mean_s"],
        "plan_wall_max_s": summary["plan_wall_max_s"],
        "tick_wall_mean_ms": summary["tick_wall_mean_ms"],
    }


def bench_plan() -> dict[str, Any]:
    """A first schedule of the programme's size, the next one five minutes later, certified plans of large fleets."""
    import numpy as np

    from revere.plan.schedule import Scheduler

    spent: dict[str, list[float]] = {"cold": [], "warm": []}
    pivots: dict[str, list[int]] = {"cold": [], "warm": []}
    for seed in range(REPEATS):
        full = _random_problem(np.random.default_rng(seed))
        problem, scheduler = _before_the_arrival(full), Scheduler()
        for kind in ("cold", "warm"):
            started = wall_s()
            plan = scheduler.plan(problem)
            spent[kind].append(wall_s() - started)
            pivots[kind].append(plan.iterations)
            problem = _five_minutes_on(full, plan)
    from revere.app.bench_fleets import plan_fleets

    return {
        **{f"{kind}_s": round(statistics.median(times), 4) for kind, times in spent.items()},
        **{f"{kind}_iterations": int(statistics.median(counts)) for kind, counts in pivots.items()},
        "vehicles": 70,
        **plan_fleets(),
    }


def _before_the_arrival(problem: FleetProblem) -> FleetProblem:
    """The problem with its first vehicle on the road."""
    import numpy as np

    away = np.arange(problem.charge_max_kw.shape[0]) == 0
    return replace(
        problem,
        charge_max_kw=np.where(away[:, None], 0.0, problem.charge_max_kw),
        discharge_max_kw=np.where(away[:, None], 0.0, problem.discharge_max_kw),
        departures=problem.departures[1:],
    )


def _five_minutes_on(problem: FleetProblem, plan: Plan) -> FleetProblem:
    """The next problem: energies as ``plan`` moved them, the first step shorter, the first vehicle plugged in."""
    gone = 1 / 12 / problem.step_h[0]
    step_h = problem.step_h.copy()
    step_h[0] -= 1 / 12
    moved_kwh = (plan.energy_kwh[:, 1] - plan.energy_kwh[:, 0]) * gone
    return replace(
        problem, step_h=step_h, start_s=problem.start_s + 300, energy_now_kwh=problem.energy_now_kwh + moved_kwh
    )


def _random_problem(rng: np.random.Generator) -> FleetProblem:
    """Seventy vehicles at ten sites for sixty steps, an evening event, each leaving in the morning."""
    import numpy as np

    from revere.plan.problem import Commitment, Departure, FleetProblem

    v, s, t = 70, 10, 60
    step_h = np.r_[np.full(32, 0.25), np.full(28, 1.0)]
    capacity = rng.choice([62.0, 100.0, 155.0, 226.0], v)
    power = rng.choice([10.0, 20.0, 60.0], v)
    steps = np.zeros(t, dtype=bool)
    steps[10:22] = True
    load = 60 + 40 * rng.random((s, t))
    return FleetProblem(
        step_h=step_h,
        start_s=START_S,
        vehicle_site=np.arange(v) % s,
        capacity_kwh=capacity,
        energy_now_kwh=capacity * rng.uniform(0.3, 0.9, v),
        floor_kwh=0.15 * capacity,
        ceiling_kwh=capacity,
        charge_max_kw=np.repeat(power[:, None], t, axis=1),
        discharge_max_kw=np.repeat(power[:, None], t, axis=1),
        charge_efficiency=np.full(v, 0.93),
        discharge_efficiency=np.full(v, 0.93),
        trip_kwh=np.zeros((v, t)),
        departures=tuple(Departure(vehicle=i, step=36, energy_kwh=float(0.6 * capacity[i])) for i in range(v)),
        site_load_kw=load,
        import_limit_kw=np.full((s, t), 400.0),
        export_limit_kw=np.full((s, t), 300.0),
        feeder_of_site=np.arange(s) % 2,
        feeder_import_limit_kw=np.full(2, 1500.0),
        feeder_export_limit_kw=np.full(2, 1000.0),
        price_usd_per_kwh=0.15 + 0.1 * rng.random((s, t)),
        export_credit_usd_per_kwh=np.zeros((s, t)),
        demand_usd_per_kw=np.full(s, 1.3),
        peak_so_far_kw=np.full(s, 80.0),
        commitments=(Commitment(id="e", sites=np.ones(s, bool), steps=steps, value_usd_per_kwh=1.5),),
    )


def bench_store() -> dict[str, Any]:
    """Readings committed one by one by seventy stations at once."""
    from revere.app.bench_store import readings_per_s

    with tempfile.TemporaryDirectory(prefix="revere-") as folder:
        Path(folder).chmod(0o711)
        return readings_per_s(Path(folder))


def bench_ocpp() -> dict[str, Any]:
    """OCPP messages read, checked in full and answered on one core, beside the Python peer's."""
    from revere.app.bench_ocpp import messages_per_s

    return messages_per_s()


def _reach(row: str) -> Callable[[], dict[str, Any]]:
    """A row of the charging link's reach through sockets, server and crowd in processes of their own."""

    def bench() -> dict[str, Any]:
        import asyncio

        from revere.app.reach import rows

        return asyncio.run(rows.ROWS[row](rows.Sizes()))

    return bench


def bench_fuzz() -> dict[str, Any]:
    """Hostile frames by the million, then some more that atheris chooses by what they reach in our code."""
    from revere.app.fuzz import guided, run

    figures = run.survive(run.FRAMES)
    if not guided.installed():
        return figures | {"guided": "atheris is not installed"}
    return figures | guided.guided(GUIDED_FRAMES)


BENCHES: dict[str, Callable[[], dict[str, Any]]] = {
    "twin": bench_twin,
    "plan": bench_plan,
    "ocpp.frame": bench_ocpp,
    **{f"ocpp.{row}": _reach(row) for row in ("sockets", "commit", "memory", "storm", "setpoint")},
    "store": bench_store,
    "fuzz": bench_fuzz,
}
