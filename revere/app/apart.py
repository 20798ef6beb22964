"""The twin as a process of its own: the stations of a scenario against a server elsewhere, in wall time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from revere.app.play import check_extent
from revere.app.stopping import stop_asked
from revere.core.errors import ScenarioError
from revere.core.time import wall_now
from revere.core.words import count
from revere.twin.inputs import synthetic_inputs
from revere.twin.loop import TwinClock, run_twin
from revere.twin.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from revere.core.scenario import Scenario

DAYS_AHEAD = 7.0
SECRETS_MAX_BYTES = 1 << 20


def read_secrets(file: Path) -> dict[str, str]:
    """Station secrets as ``revere station add --all --out FILE`` wrote them."""
    try:
        raw = file.read_bytes()
        if len(raw) > SECRETS_MAX_BYTES:
            raise ScenarioError("the secrets file is too large", where=str(file), got=len(raw))
        return msgspec.json.decode(raw, type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise ScenarioError(
            f"cannot be read: {error}", where=str(file), remedy="Make one: revere station add --all --out FILE"
        ) from error


def run_apart(
    scenario: Scenario, url: str, secrets_file: Path, *, seed: int | None, say: Callable[[str], None]
) -> None:
    """Connect every station that has a secret and let them live until SIGINT or SIGTERM."""
    check_extent(scenario, seed=seed)
    seed = scenario.run.seed if seed is None else seed
    secrets = read_secrets(secrets_file)
    missing = [station.id for station in scenario.fleet.stations if station.id not in secrets]
    if missing:
        raise ScenarioError(
            "stations without a secret", where=str(secrets_file), got=", ".join(missing[:5]), remedy="Add them"
        )
    epoch = wall_now()

    async def live(clock: TwinClock) -> None:
        rng = np.random.default_rng([seed, 1])
        inputs = synthetic_inputs(scenario, epoch.replace(minute=0, second=0, microsecond=0), DAYS_AHEAD, rng)
        world = World(scenario, inputs, seed, clock)
        await world.start(url, secrets)
        try:
            with stop_asked() as stop:
                say(f"dialling {url} from {count(len(scenario.fleet.stations), 'station')}; Ctrl-C ends")
                await stop.wait()
        finally:
            await world.stop()

    run_twin(live, epoch, speed=1.0)
