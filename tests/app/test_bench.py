"""What `revere bench` measures is what it says, from whatever folder it is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revere.app.bench import BENCHES, _before_the_arrival, _five_minutes_on, _random_problem, measure
from revere.app.play import load_scenario
from revere.core.errors import Refused, ScenarioError
from revere.plan.schedule import Scheduler

COMMANDS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"


def test_the_warm_problem_is_the_next_five_minutes_and_not_the_same_again() -> None:
    full = _random_problem(np.random.default_rng(0))
    first, scheduler = _before_the_arrival(full), Scheduler()
    cold = scheduler.plan(first)
    second = _five_minutes_on(full, cold)
    assert second.start_s - first.start_s == 300
    assert len(second.departures) == len(first.departures) + 1, "one vehicle has come"
    assert np.abs(second.energy_now_kwh - first.energy_now_kwh).max() > 0.1, "energy has moved"
    warm = scheduler.plan(second)
    assert 0 < warm.iterations < cold.iterations / 10


def test_the_benches_told_are_the_benches_there_are() -> None:
    assert f"{', '.join(BENCHES)} (default: all)" in COMMANDS.read_text()
    with pytest.raises(Refused, match=", ".join(BENCHES)):
        measure("none", lambda _: None)


def test_a_scenario_is_found_by_its_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("massachusetts", "small.toml", "one_home"):
        assert load_scenario(Path(name)).fleet.sites
    (tmp_path / "small").write_text("mine, and no scenario")
    for wrong in ("small", "none", "scenarios/small.toml"):
        with pytest.raises(ScenarioError):
            load_scenario(Path(wrong))
