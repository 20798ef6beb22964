"""Coordinated plans: against HiGHS on random fleets and the reference problem, by their conditions, at their worst."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.app.planning import in_file_order, load_problem, summary
from revere.core.errors import RevereError
from revere.plan import kernels
from revere.plan.account import account
from revere.plan.coordinate import coordinate, plan_fleet
from revere.plan.exact import solve_exactly
from revere.plan.sited import reachable
from tests.plan.fleets import random_fleet

if TYPE_CHECKING:
    from types import ModuleType

BENCH = Path(__file__).resolve().parents[3] / "shared" / "bench"
GAP = 1e-3


@pytest.mark.parametrize("seed", range(8))
def test_the_optimum_lies_between_the_bound_and_the_plan(seed: int) -> None:
    fleet = random_fleet(seed)
    exact = solve_exactly(reachable(fleet)[0])
    assert exact is not None
    optimum_usd = account(fleet, exact[0]).cost_usd
    assert optimum_usd == pytest.approx(exact[1], rel=1e-6)
    plan = coordinate(fleet, gap=GAP)
    assert plan.account.ok
    assert not plan.account.missed()
    assert plan.bound_usd <= optimum_usd * (1 + 1e-6)
    assert optimum_usd <= plan.account.cost_usd * (1 + 1e-6)
    assert plan.gap < GAP


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The reference problem and its judge, which share no code with the planner."""
    if not (BENCH / "scene.py").is_file():
        pytest.skip("no reference problem beside the repository")
    pytest.importorskip("scipy", reason="the reference problem needs scipy")
    spec = importlib.util.spec_from_file_location("reference_scene", BENCH / "scene.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("vehicles", "seed", "optimum_usd", "gap"),
    [
        (10, 0, 238.906074, 1e-6),
        (10, 3, 293.576736, 1e-6),
        (100, 0, 1795.145595, 5e-4),
        (100, 2, 1884.657440, 1e-4),
        (1000, 1, 21099.802996, 5e-4),
    ],
)
def test_the_reference_optimum_is_reached(
    reference: ModuleType, tmp_path: Path, vehicles: int, seed: int, optimum_usd: float, gap: float
) -> None:
    scene = reference.make_scene(vehicles, 96, seed)
    fields = {f"scene_{name}": value for name, value in reference.dataclasses.asdict(scene).items()}
    np.savez(tmp_path / "problem.npz", **fields)
    fleet, order = load_problem(tmp_path / "problem.npz")
    plan = plan_fleet(fleet, gap=gap)
    judged = reference.evaluate(scene, in_file_order(plan, order))
    told = summary(plan, order)
    assert judged["cost_usd"] == pytest.approx(told["objective"], rel=1e-9)
    assert judged["worst_energy_short_kwh"] < 1e-4
    assert max(judged[name] for name in judged if name.startswith("worst_") and name.endswith("_kw")) < 1e-6
    assert told["bound"] <= optimum_usd * (1 + 1e-6)
    assert optimum_usd * (1 - 1e-6) <= told["objective"] <= optimum_usd * (1 + max(gap, 1e-6))
    assert (told["worst_violation_kw"] < 1e-6, told["missed"], told["gap"] <= gap) == (True, 0, True)


@given(st.integers(0, 10_000), st.floats(0.005, 0.5))
@settings(max_examples=60, deadline=None)
def test_an_answer_from_the_last_bends_is_the_answer_from_none(seed: int, weight: float) -> None:
    """One vehicle whose wish moves a little, call after call: with its memory and without."""
    fleet = reachable(random_fleet(seed, sites=1, per_site=1, feeders=1, calls=()))[0]
    rng = np.random.default_rng(seed)
    batteries = kernels.Batteries(
        fleet.step_h, fleet.charge_max_kw, fleet.discharge_max_kw, fleet.trip_kwh, fleet.floor_kwh,
        fleet.ceiling_kwh, fleet.start_kwh, fleet.charge_efficiency, fleet.discharge_efficiency,
        fleet.wear_usd_per_kwh,
    )  # fmt: skip
    shape = (1, fleet.steps)
    wish = rng.normal(0, 20, shape)
    kept = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int8), np.zeros(shape)
    for _ in range(6):
        wish += rng.normal(0, 1, shape)
        kernels.answer_prices(batteries, fleet.first_vehicle, wish, np.array([weight]), *kept)
        fresh = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int8), np.zeros(shape)
        kernels.answer_prices(batteries, fleet.first_vehicle, wish, np.array([weight]), *fresh)
        assert kept[0] == pytest.approx(fresh[0], abs=1e-3)
        judged = account(fleet, kept[0])
        assert judged.power_over_kw <= 1e-9
        assert not judged.missed()


def test_a_target_out_of_reach_is_charged_for_and_told() -> None:
    fleet = random_fleet(1)
    floor = fleet.floor_kwh.copy()
    floor[3, 2] = fleet.ceiling_kwh[3, 2]
    start = fleet.start_kwh.copy()
    start[3] = 0.0
    hard = random_fleet(1, floor_kwh=floor, start_kwh=start)
    plan = coordinate(hard, gap=GAP)
    assert plan.net_kw[3, :3] == pytest.approx(hard.charge_max_kw[3, :3])
    first = next(one for one in plan.account.missed() if one.vehicle == 3)
    most_kwh = (hard.charge_max_kw[3, :3] * hard.step_h[:3] * hard.charge_efficiency[3]).sum()
    assert plan.missing_kwh[3, 2] == pytest.approx(floor[3, 2] - most_kwh)
    assert first.short_kwh >= plan.missing_kwh[3, 2] - 1e-3
    assert plan.account.ok


def test_a_site_that_cannot_keep_limit_and_target_keeps_the_limit() -> None:
    fleet = random_fleet(2)
    limit = fleet.import_limit_kw.copy()
    limit[1] = fleet.load_kw[1].max() + 1.0  # one kW for five vehicles, which must all be half full at the end
    start = fleet.start_kwh.copy()
    start[5:10] = 0.05 * fleet.ceiling_kwh[5:10, 0]
    hard = random_fleet(2, import_limit_kw=limit, start_kwh=start)
    plan = coordinate(hard, gap=GAP, rounds_max=60)
    assert plan.account.ok
    assert {one.vehicle for one in plan.account.missed()} <= set(range(5, 10))
    assert plan.net_kw[5:10].sum() > 0
    assert plan.bound_usd <= plan.account.cost_usd


def test_a_building_above_its_own_limit_leaves_its_vehicles_nothing() -> None:
    fleet = random_fleet(3)
    limit = fleet.import_limit_kw.copy()
    limit[0] = fleet.load_kw[0] - 5.0
    plan = coordinate(random_fleet(3, import_limit_kw=limit), gap=GAP, rounds_max=60)
    assert plan.account.site_over_kw <= 1e-6
    assert plan.net_kw[:5].sum(axis=0).max() <= 1e-6


@pytest.mark.parametrize("seconds", [0.0, 1e-6])
def test_at_its_bound_of_time_the_best_safe_plan_comes_back(seconds: float) -> None:
    fleet = random_fleet(4)
    plan = coordinate(fleet, gap=0.0, seconds_max=seconds)
    assert plan.account.ok
    assert plan.rounds <= 25


def test_the_same_fleet_gets_the_same_plan_on_any_number_of_threads() -> None:
    import numba

    fleet, threads = random_fleet(5, sites=12), numba.get_num_threads()
    plans = []
    try:
        for count in {1, threads}:
            numba.set_num_threads(count)
            plans.append(coordinate(fleet, gap=GAP).net_kw)
    finally:
        numba.set_num_threads(threads)
    assert all((plan == plans[0]).all() for plan in plans)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start_kwh": np.full(20, np.nan)}, "start_kwh[0]"),
        ({"wear_usd_per_kwh": -1.0}, "wear_usd_per_kwh"),
        ({"first_vehicle": np.array([0, 5, 4, 15, 20])}, "first_vehicle"),
        ({"feeder_of_site": np.array([0, 1, 2, 0])}, "feeder_of_site"),
        ({"export_usd_per_kwh": np.full((4, 36), 9.0)}, "export_usd_per_kwh[0, 0]"),
        ({"floor_kwh": np.full((20, 36), 1e6)}, "floor_kwh[0, 0]"),
        ({"import_limit_kw": np.full((4, 36), -1.0)}, "import_limit_kw[0, 0]"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(RevereError) as refused:
        random_fleet(0, **changes)
    assert said in refused.value.text()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"no zip"), "an .npz of numbers"),
        (lambda path: np.savez(path, scene_step_h=0.25), "no scene_site_of_vehicle"),
        (lambda path: np.savez(path, scene_site_of_vehicle=np.array(["a"], dtype=object)), "an .npz of numbers"),
        (lambda path: np.savez(path, scene_site_of_vehicle=np.array(["a"])), "scene_site_of_vehicle of"),
    ],
)
def test_a_file_that_is_no_problem_is_refused(tmp_path: Path, spoil: object, said: str) -> None:
    path = tmp_path / "problem.npz"
    spoil(path)  # type: ignore[operator]
    with pytest.raises(RevereError) as refused:
        load_problem(path)
    assert said in refused.value.text()


def test_the_command_writes_its_figures_and_the_plan(tmp_path: Path, reference: ModuleType) -> None:
    import json

    from revere.cli import app

    scene = reference.make_scene(60, 96, 5)
    fields = {f"scene_{name}": value for name, value in reference.dataclasses.asdict(scene).items()}
    np.savez_compressed(tmp_path / "problem.npz", **fields)
    words = ["plan", "solve", str(tmp_path / "problem.npz")]
    app(
        [*words, "--json", str(tmp_path / "out.json"), "--plan", str(tmp_path / "plan.npz")],
        result_action="return_value",
    )
    told = json.loads((tmp_path / "out.json").read_text())
    with np.load(tmp_path / "plan.npz") as arrays:
        judged = reference.evaluate(scene, arrays["net_kw"])
    assert told["objective"] == pytest.approx(judged["cost_usd"], rel=1e-9)
    assert set(told) >= {"objective", "bound", "gap", "seconds", "worst_violation_kw", "missed"}
    assert told["gap"] <= 5e-4
