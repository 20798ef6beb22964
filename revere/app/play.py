"""Play a scenario: the whole house and the whole plant in one process, in twin time."""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

import revere
from revere.app.beside import of_the_twin, open_beside
from revere.app.house import House
from revere.app.summary import equity_view, event_figures, residual_pct, speed_figures
from revere.app.verdict import criteria
from revere.core.errors import Refused, ScenarioError
from revere.core.scenario import Scenario, parse_scenario
from revere.core.time import at_local, wall_s
from revere.program.block_groups import inputs_of, load_block_groups
from revere.store.postgres import EmbeddedPostgres
from revere.store.store import Store
from revere.twin.inputs import PlantInputs, synthetic_inputs
from revere.twin.loop import TwinClock, run_twin
from revere.twin.realdata import real_inputs
from revere.twin.world import World
from revere.web.guide.figures import gather
from revere.web.guide.groups import require_publishable
from revere.web.guide.render import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.assets import Fleet

PROGRESS_S = 900
SCENARIO_FOLDERS = tuple(Path(revere.__file__).parents[up] / "scenarios" for up in (0, 1))
"""Beside the package's modules where it is installed, beside the package in a checkout."""
DAYS_MIN, DAYS_MAX = 0.05, 366.0
SEED_MAX = 2**63 - 1
EVENT_DAY_MIN, EVENT_DAY_MAX = dt.date(2000, 1, 1), dt.date(2099, 12, 31)
"""Days whose calendars, zones and holidays mean something here."""
DATA_MAX_BYTES = 32 << 20
EJ_FILE = "ej/ma_ej_block_groups_2023.csv"


@dataclass(frozen=True, kw_only=True)
class PlayOptions:
    """How to play. ``progress`` is told (simulated seconds done, of how many).

    ``tell`` gets the summary as soon as it is whole: nothing that fails afterwards can lose it. ``look`` may read house
    and world after that, before both are closed.
    """

    days: float | None = None
    seed: int | None = None
    data_dir: Path | None = None
    event_day: dt.date | None = None
    progress: Callable[[float, float], None] | None = None
    guide_file: Path | None = None
    tell: Callable[[dict[str, Any]], None] | None = None
    look: Callable[[House, World], Awaitable[None]] | None = None


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; a bare name such as ``massachusetts`` is one of those that come with Revere.

    Raises :class:`ScenarioError` for a file that is missing or not a scenario.
    """
    if not path.exists() and path.name == str(path):
        ours = [folder / path.with_suffix(".toml").name for folder in SCENARIO_FOLDERS]
        path = next((file for file in ours if file.is_file()), path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(
            f"cannot be read: {error}",
            where=str(path),
            remedy="Name a TOML file, or one that is here with Revere: massachusetts",
        ) from error
    return parse_scenario(text, path.name)


def start_of(scenario: Scenario, event_day: dt.date) -> dt.datetime:
    """00:00 local time of the day before the event."""
    return at_local(event_day - dt.timedelta(days=1), dt.time(0, 0), scenario.fleet.programme.zone)


def on_day(scenario: Scenario, event_day: dt.date | None) -> Scenario:
    """The scenario with another event day."""
    if event_day is None:
        return scenario
    return msgspec.structs.replace(scenario, run=msgspec.structs.replace(scenario.run, event_day=event_day))


def play(scenario: Scenario, options: PlayOptions) -> dict[str, Any]:
    """Run to the end and return the summary."""
    check_extent(scenario, options.days, options.seed)
    scenario = of_the_twin(on_day(scenario, options.event_day))
    check_day(scenario.run.event_day)
    if options.data_dir is not None and (file := options.data_dir / EJ_FILE).is_file():
        scenario = msgspec.structs.replace(scenario, fleet=with_block_groups(scenario.fleet, file))
    if options.guide_file is not None:
        require_publishable(scenario.fleet)
    start = start_of(scenario, scenario.run.event_day)
    with tempfile.TemporaryDirectory(prefix="revere-") as folder:
        Path(folder).chmod(0o711)  # the database's own user must be able to pass; what is inside is closed
        return run_twin(lambda clock: _play(scenario, options, start, clock, Path(folder)), start)


def check_extent(scenario: Scenario, days: float | None = None, seed: int | None = None) -> None:
    """Refuse a length or a seed that cannot be played, before anything starts."""
    for key, value, low, high in (
        ("days", scenario.run.days if days is None else days, DAYS_MIN, DAYS_MAX),
        ("seed", scenario.run.seed if seed is None else seed, 0, SEED_MAX),
    ):
        check_range(key, value, low, high, where=f"--{key} or run.{key}")


def check_day(event_day: dt.date) -> None:
    """Refuse an event day that no calendar here is made for."""
    if not EVENT_DAY_MIN <= event_day <= EVENT_DAY_MAX:
        raise Refused(
            "the event day is out of range",
            where="--event-day or run.event_day",
            got=event_day.isoformat(),
            expected=f"{EVENT_DAY_MIN} to {EVENT_DAY_MAX}",
        )


def check_range(what: str, value: float, low: float, high: float, *, where: str) -> None:
    """Refuse a number outside ``[low, high]``, and one that is none."""
    if not low <= value <= high:
        raise Refused(f"{what} is out of range", where=where, got=value, expected=f"{low:g} to {high:g}")


def with_block_groups(fleet: Fleet, file: Path) -> Fleet:
    """The fleet with the criteria's inputs of its participants' block groups from the state's published CSV."""
    try:
        if (size := file.stat().st_size) > DATA_MAX_BYTES:
            raise ScenarioError("the block-group file is too large", where=str(file), got=size, expected=DATA_MAX_BYTES)
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot be read: {error}", where=str(file), remedy="Name the published CSV") from error
    wanted = [person.block_group for person in fleet.participants if person.block_group]
    return msgspec.structs.replace(fleet, block_groups=inputs_of(load_block_groups(text), wanted, file.name))


def read_inputs(scenario: Scenario, start: dt.datetime, days: float, seed: int, data_dir: Path | None) -> PlantInputs:
    """What drives the plant: synthetic days, or the published files in ``data_dir``."""
    rng = np.random.default_rng([seed, 1])
    if data_dir is None:
        return synthetic_inputs(scenario, start, days, rng)
    return real_inputs(scenario, start, days, data_dir, rng)


async def _play(
    scenario: Scenario, options: PlayOptions, start: dt.datetime, clock: TwinClock, folder: Path
) -> dict[str, Any]:
    wall_start = wall_s()
    days = options.days if options.days is not None else float(scenario.run.days)
    seed = options.seed if options.seed is not None else scenario.run.seed
    inputs = read_inputs(scenario, start, days + 0.5, seed, options.data_dir)
    postgres = await EmbeddedPostgres.start(folder / "postgres", throwaway=True, clock=clock)
    try:
        store = await Store.open(
            postgres.dsn, clock, scenario.fleet.programme.id, require_durable=False, owner_dsn=postgres.owner_dsn
        )
        await store.save_fleet(scenario.fleet)
        world = World(scenario, inputs, seed, clock)
        house, station_secrets = await open_beside(world, scenario, store, clock, publish=False)
        try:
            await world.start(f"ws://127.0.0.1:{house.port}/ocpp", station_secrets)
            await _until(house, clock, start, days, options)
            await world.stop()
            figures = await _figures(scenario, house, world, inputs, days, seed)
            figures["wall_s"] = round(wall_s() - wall_start, 2)
            if options.tell is not None:
                options.tell(figures)
            if options.guide_file is not None:
                render(await gather(house.store, world.clock.now()), options.guide_file)
            if options.look is not None:
                await options.look(house, world)
        finally:
            await house.close()
        return figures
    finally:
        await postgres.stop()


async def _until(house: House, clock: TwinClock, start: dt.datetime, days: float, options: PlayOptions) -> None:
    """Let time pass to the end, telling progress, stopping at the first part that fails."""
    total_s = days * 86400
    end = start + dt.timedelta(seconds=total_s)
    while (now := clock.now()) < end:
        await asyncio.sleep(min(PROGRESS_S, (end - now).total_seconds()))
        failure = house.failure()
        if failure is not None:
            raise failure
        if options.progress is not None:
            options.progress((clock.now() - start).total_seconds(), total_s)


async def _figures(
    scenario: Scenario,
    house: House,
    world: World,
    inputs: PlantInputs,
    days: float,
    seed: int,
) -> dict[str, Any]:
    judge = world.judge
    events = [event for event in house.image.events.values() if not (event.cancelled or event.drill)]
    event = min(events, key=lambda e: (e.start, e.grid_event_id), default=None)
    equity = equity_view(scenario.fleet)
    figures: dict[str, Any] = {
        "scenario": scenario.name,
        "event_day": scenario.run.event_day.isoformat(),
        "seed": seed,
        "simulated_s": days * 86400,
        "stations": len(scenario.fleet.stations),
        "vehicles": len(scenario.fleet.vehicles),
        "sites": len(scenario.fleet.sites),
        **event_figures(house, judge, event),
        **judge.summary(),
        **await residual_pct(house, judge),
        **speed_figures(house),
        "equity_share": round(equity.share, 6) if equity else None,
        "equity_more_than_one_third": equity.more_than_one_third if equity else None,
        "equity_unknown": equity.unknown if equity else None,
        "alarms_open": sorted(house.image.alarms),
        "inputs": dict(inputs.sources),
        "notes": list(inputs.notes),
    }
    while house.heart.scribe.waiting:
        await asyncio.sleep(0.05)
    figures["failed"] = [one.text() for one in criteria(figures) if one.outcome == "fails"]
    figures["journal_hash"] = await house.store.journal_hash()
    figures["ledger_hash"] = await house.store.ledger_hash()
    return figures
