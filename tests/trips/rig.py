"""A house and its world in twin time, opened at any moment of a scenario, for the trips."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from revere.app.beside import commission_all
from revere.app.house import House, UtilityAccess, open_house
from revere.control.directory import new_station_secret, secret_mac
from revere.core.addresses import AllowedAddresses
from revere.core.facts import Fact
from revere.core.scenario import Scenario, parse_scenario
from revere.core.time import at_local
from revere.store.store import Store
from revere.twin.inputs import synthetic_inputs
from revere.twin.loop import TwinClock, run_twin
from revere.twin.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.links.ocppj.door import DoorRules

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "scenarios" / "small.toml"
ONE_HOME = ROOT / "scenarios" / "one_home.toml"
STEP_S = 5.0
FILES = "https://files.example.org"
"""The one host with which stations may exchange files."""


def small(*, edit: Callable[[str], str] = lambda text: text) -> Scenario:
    """The small programme, its text changed by ``edit``."""
    return parse_scenario(edit(SMALL.read_text(encoding="utf-8")), SMALL.name)


@dataclass(kw_only=True)
class Trip:
    """A running house with its plant. ``house`` is another one after :meth:`crash_and_restart`."""

    scenario: Scenario
    clock: TwinClock
    dsn: str
    key: bytes
    passwords: dict[str, str]
    world: World
    house: House

    def at(self, clock: dt.time, day: int = 0) -> dt.datetime:
        """A local time of the event day (or ``day`` days later), UTC."""
        date = self.scenario.run.event_day + dt.timedelta(days=day)
        return at_local(date, clock, self.scenario.fleet.programme.zone)

    async def until(self, moment: dt.datetime) -> None:
        """Let twin time pass; the failure of a part that should run for ever ends the test."""
        while (left_s := (moment - self.clock.now()).total_seconds()) > 0:
            await asyncio.sleep(min(left_s, 60.0))
            failure = self.house.failure()
            if failure is not None:
                raise failure

    async def until_true(self, condition: Callable[[], bool], *, within_s: float) -> float:
        """Twin seconds until ``condition`` holds, looked at every 5 s; fails after ``within_s``."""
        started = self.clock.now()
        while not condition():
            waited_s = (self.clock.now() - started).total_seconds()
            assert waited_s < within_s, f"not within {within_s:g} s of twin time"
            await asyncio.sleep(STEP_S)
        return (self.clock.now() - started).total_seconds()

    async def facts(self, *kinds: type) -> list[Any]:
        """Journaled facts of these kinds, in order, once all that is decided is written."""
        while self.house.heart.scribe.waiting:
            await asyncio.sleep(0.05)
        found: list[Fact] = [fact async for fact in self.house.store.journal(kinds=[kind.__name__ for kind in kinds])]
        return found

    async def crash_and_restart(self) -> None:
        """Lose the house as by kill -9 (nothing is closed in order, nothing in memory survives) and open another."""
        old = self.house
        for task in old.tasks:
            task.cancel()
        await asyncio.gather(*old.tasks, return_exceptions=True)
        await old.server.close()
        await old.store.close()
        self.house = await _open(self.scenario, self.clock, self.dsn, self.key, self.passwords, self.world, old.port)


async def _open(
    scenario: Scenario,
    clock: TwinClock,
    dsn: str,
    key: bytes,
    passwords: dict[str, str],
    world: World,
    port: int,
    door: DoorRules | None = None,
) -> House:
    store = await Store.open(dsn, clock, scenario.fleet.programme.id, require_durable=False)
    await store.save_fleet(scenario.fleet)
    house = await open_house(
        store,
        scenario.fleet,
        clock,
        key=key,
        macs={station: secret_mac(key, station, password) for station, password in passwords.items()},
        utility=UtilityAccess(
            base_url=await world.utility.start(),
            client_id=world.utility.client_id,
            client_secret=world.utility.client_secret,
        ),
        port=port,
        door=door,
        files=AllowedAddresses([FILES]),
        ping_interval_s=None,
        publish=False,
    )
    await commission_all(house)
    return house


def take_trip(
    scenario: Scenario,
    dsn: str,
    start: dt.time,
    work: Callable[[Trip], Awaitable[T]],
    *,
    day: int = 0,
    seed: int = 1,
    door: DoorRules | None = None,
) -> T:
    """Open house and world over ``dsn`` at a local time of the event day (+ ``day``), do ``work``, close both."""
    epoch = at_local(scenario.run.event_day + dt.timedelta(days=day), start, scenario.fleet.programme.zone)

    async def live(clock: TwinClock) -> T:
        rng = np.random.default_rng([seed, 1])
        world = World(scenario, synthetic_inputs(scenario, epoch, 2.0, rng), seed, clock)
        key = secrets.token_bytes(32)
        passwords = {str(station.id): new_station_secret() for station in scenario.fleet.stations}
        house = await _open(scenario, clock, dsn, key, passwords, world, 0, door)
        trip = Trip(scenario=scenario, clock=clock, dsn=dsn, key=key, passwords=passwords, world=world, house=house)
        try:
            await world.start(f"ws://127.0.0.1:{house.port}/ocpp", passwords)
            return await work(trip)
        finally:
            await world.stop()
            await trip.house.close()

    return run_twin(live, epoch)
