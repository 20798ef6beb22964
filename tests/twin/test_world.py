"""The world as a whole: synthetic inputs, a history that goes on, a paced run, secrets that are wrong, a clean end."""

from __future__ import annotations

import asyncio
import datetime as dt

import numpy as np
import pytest

from revere.core.commands import DefaultProfile
from revere.core.ids import StationId
from revere.twin.inputs import synthetic_inputs
from revere.twin.loop import TwinClock, run_twin
from revere.twin.world import World, fast_history

from .central import Central
from .small import SMALL, START, inputs_of, small

CALM = small(SMALL.split("[[outages]]")[0])
SECRETS = {station.id: "s" for station in CALM.fleet.stations}


# ---- inputs --------------------------------------------------------------------------------------


def test_synthetic_days_have_the_shape_of_their_buildings() -> None:
    inputs = synthetic_inputs(CALM, START, 4, np.random.default_rng(1))  # Thursday to Sunday
    school = inputs.load_kw[0].reshape(4, 24, 12).mean(axis=2)
    assert school[0, 12] == pytest.approx(100.0, rel=0.12)
    assert school[0, 3] < 0.35 * school[0, 12]
    assert school[2, 12] < 0.45 * school[0, 12], "a Saturday is not a school day"
    assert (inputs.load_kw <= 1.05 * np.array([[100.0], [40.0], [4.0]])).all()
    assert inputs.end - inputs.start == dt.timedelta(days=4)
    assert set(inputs.sources.values()) == {"synthetic"}


def test_the_sun_rises_over_massachusetts_when_it_should() -> None:
    sunny = small(SMALL.replace('load_shape = "school"', 'load_shape = "school"\nsolar_kw = 50.0'))
    solar = inputs_of(sunny).solar_kw[0]
    light = np.flatnonzero(solar > 0) / 12
    assert 6.0 < light[0] < 7.0, "sunrise in Boston on 7 September: 06:18"
    assert 18.5 < light[-1] < 19.5, "sunset: 19:06"
    assert 25 < solar.max() < 50
    assert inputs_of(sunny).solar_kw[1].max() == 0


def test_temperature_peaks_in_the_afternoon() -> None:
    inputs = inputs_of(CALM)
    assert 13 < np.argmax(inputs.temperature_c) / 12 < 17
    assert inputs.temperature_c.max() == pytest.approx(33.0, abs=1.5)


def test_inputs_repeat_by_seed() -> None:
    one, same = (synthetic_inputs(CALM, START, 1, np.random.default_rng(2)) for _ in range(2))
    other = synthetic_inputs(CALM, START, 1, np.random.default_rng(3))
    assert (one.load_kw == same.load_kw).all()
    assert (one.load_kw != other.load_kw).any()


# ---- history and world ---------------------------------------------------------------------------


def test_history_follows_the_default_profile_by_local_time() -> None:
    inputs = inputs_of(CALM)
    limits = DefaultProfile(limits_kw=((0, 6.0), (3 * 3600, 2.0)), zone="America/New_York")
    history = fast_history(
        CALM, inputs, START, START + dt.timedelta(hours=5), seed=3, defaults={StationId("school-cs01"): limits}
    )
    power = {r.ts: r.power_kw for r in history if r.asset_id == "school-cs01/1"}
    assert power[START + dt.timedelta(hours=1)] == pytest.approx(6.0)
    assert power[START + dt.timedelta(hours=4)] == pytest.approx(2.0)


def test_a_world_goes_on_where_its_history_ended() -> None:
    inputs = inputs_of(CALM)
    epoch = START + dt.timedelta(hours=1)
    history = fast_history(CALM, inputs, START, epoch, seed=3)
    last = {r.asset_id: r for r in history}

    async def main(clock: TwinClock) -> World:
        central = Central(clock)
        world = World(CALM, inputs, 3, clock, plant=history.plant)
        await world.start(await central.start(), SECRETS)
        await asyncio.sleep(600)
        await world.stop()
        await central.stop()
        aligned = [p for _, s, a, p in central.log if (s, a) == ("school-cs01", "TransactionEvent") and p["seqNo"] == 0]
        registers = aligned[0]["meterValue"][0]["sampledValue"]
        assert registers[0]["value"] >= (last["school-cs01/1"].import_wh or 0)
        return world

    world = run_twin(main, epoch)
    assert world.judge.sampled_s == pytest.approx(600.0 * 4, abs=8), "the history is not counted again"


def test_a_paced_world_follows_the_wall() -> None:
    async def main(clock: TwinClock) -> tuple[dict[str, int], float]:
        central = Central(clock)
        world = World(CALM, inputs_of(CALM), 3, clock)
        await world.start(await central.start(), SECRETS)
        await asyncio.sleep(120)
        await world.stop()
        await central.stop()
        return world.counters(), clock.monotonic_s()

    counters, took_s = run_twin(main, START, speed=240.0)
    assert counters["connects"] == 5
    assert 120 <= took_s < 600


def test_without_a_central_system_stations_dial_again_with_growing_pauses() -> None:
    async def main(clock: TwinClock) -> dict[str, int]:
        central = Central(clock)
        url = await central.start()
        await central.stop()  # the port is now closed
        world = World(CALM, inputs_of(CALM), 3, clock)
        await world.start(url, SECRETS)
        await asyncio.sleep(1800)
        await world.stop()
        return world.counters()

    counters = run_twin(main, START)
    assert counters["connects"] == 0
    assert 5 * 12 < counters["dial_failures"] < 5 * 40
    assert counters["frames_sent"] == 0


def test_stopping_leaves_no_task_behind() -> None:
    async def main(clock: TwinClock) -> set[str]:
        central = Central(clock)
        world = World(CALM, inputs_of(CALM), 3, clock)
        await world.start(await central.start(), SECRETS)
        await asyncio.sleep(300)
        await world.stop()
        await central.stop()
        await asyncio.sleep(60)
        return {repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert run_twin(main, START) == set()
