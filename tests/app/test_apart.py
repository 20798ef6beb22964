"""The twin as a process of its own takes the seed that it is given, 0 too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from revere.app import apart
from revere.app.play import load_scenario
from tests.trips.rig import ONE_HOME


class Seen(Exception):
    """Ends the run where the world would be made."""


@pytest.mark.parametrize(("given", "taken"), [(0, 0), (7, 7), (None, 1)])
def test_a_seed_of_zero_is_a_seed(
    given: int | None, taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = load_scenario(ONE_HOME)
    assert scenario.run.seed == 1
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({station.id: "x" for station in scenario.fleet.stations}))

    def world(_scenario: Any, _inputs: Any, seed: int, _clock: Any) -> None:
        raise Seen(seed)

    monkeypatch.setattr(apart, "World", world)
    with pytest.raises(Seen, match=f"^{taken}$"):
        apart.run_apart(scenario, "ws://127.0.0.1:1/ocpp", secrets, seed=given, say=print)
