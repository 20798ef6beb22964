"""The demonstration's past: what the utility called and control promised a day before it opens."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from revere.app.beside import of_the_twin, open_beside
from revere.app.demo import OPENS_AT
from revere.app.past import Past
from revere.core import facts as f
from revere.core.time import at_local
from revere.store.store import Store
from revere.twin.loop import run_twin
from revere.twin.world import World
from tests.trips.rig import small

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.twin.loop import TwinClock


def test_the_promise_is_of_the_notice_and_the_house_keeps_it(fresh_dsn: Callable[[], str]) -> None:
    scenario, dsn = of_the_twin(small()), fresh_dsn()
    opens = at_local(scenario.run.event_day, OPENS_AT, scenario.fleet.programme.zone)

    async def play(clock: TwinClock) -> tuple[dict[str, list[Any]], Any]:
        store = await Store.open(dsn, clock, scenario.fleet.programme.id, require_durable=False)
        await store.save_fleet(scenario.fleet)
        past = Past(scenario, clock.now())
        world = World(scenario, past.inputs, scenario.run.seed, clock, plant=past.history.plant)
        await past.promise(store, world.utility)
        house, secrets = await open_beside(world, scenario, store, clock, publish=False)
        past.remind(house.image)
        try:
            await world.start(f"ws://127.0.0.1:{house.port}/ocpp", secrets)
            await asyncio.sleep(600)
            (event,) = house.image.events.values()
            kinds = (f.GridEventReceived, f.OptDecided, f.Nominated)
            told: dict[str, list[Any]] = {kind.__name__: [] for kind in kinds}
            async for fact in store.journal(kinds=list(told)):
                told[type(fact).__name__].append(fact)
            return told, event
        finally:
            await world.stop()
            await house.close()

    told, event = run_twin(play, opens)
    notice = event.start - dt.timedelta(hours=scenario.run.notice_hours)
    assert {kind: [fact.at for fact in facts] for kind, facts in told.items()} == {kind: [notice] for kind in told}
    (promise,) = told["Nominated"]
    assert promise.nominated_kw == pytest.approx(0.9 * promise.lowest_mean_kw, abs=1.0)
    assert promise.nominated_kw > 20
    assert (event.nominated_kw, event.nominated_at, event.opt) == (promise.nominated_kw, notice, "in")
