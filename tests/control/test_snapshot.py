"""From the image to the planner's arrays, by hand for two buses; one outlook for board, alarm and desk."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from revere.control.bounds import EFFICIENCY
from revere.control.outlook import outlook
from revere.control.snapshot import Snapshot, read_slots, take_snapshot
from revere.control.ticker import Ticker
from revere.control.tracking import CommandTracker
from revere.core import facts as f
from revere.core.ids import SiteId, StationId
from revere.plan.schedule import Scheduler
from tests.control.scenes import (
    NOON,
    House,
    called,
    contracts_of,
    dropped,
    fleet,
    minutes,
    opted,
    ready_image,
    site,
    station,
    trip,
    unplug,
    vehicle,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.control.image import Image
    from revere.core.assets import Fleet

ROUTE = trip("route", "15:00", "17:00", 40.0)
"""Three hours after noon in Boston."""


def two() -> Fleet:
    """A bus with a route at a school; one without at a light plant's site, whose charger only charges."""
    return fleet(
        (site("school"), site("light", utility_kind="municipal_light_plant", export_limit_kw=0.0)),
        (station("cs1", "school"), station("cs2", "light", charge_kw=11.0, discharge_kw=0.0)),
        (vehicle("cs1", ROUTE), vehicle("cs2", capacity_kwh=60.0, charge_kw=20.0)),
    )


def twenty(site_id: SiteId, edges: Sequence[dt.datetime]) -> np.ndarray:
    return np.full(len(edges) - 1, 20.0 if site_id == "school" else 5.0)


def snap(image: Image) -> Snapshot:
    return take_snapshot(image, NOON, twenty, contracts_of(image))


def ready(*facts: f.Fact) -> Image:
    image = ready_image(two())
    for fact in (called(start=NOON + minutes(60)), opted(), *facts):
        image.apply(fact)
    return image


def step_at(snapshot: Snapshot, minute: float) -> int:
    """The step that holds a moment."""
    return (
        int(np.searchsorted([e.timestamp() for e in snapshot.edges], (NOON + minutes(minute)).timestamp(), "right")) - 1
    )


def test_the_arrays_of_two_buses() -> None:
    snapshot = snap(ready())
    problem = snapshot.problem
    assert problem.vehicle_site.tolist() == [0, 1]
    assert problem.capacity_kwh.tolist() == [200.0, 60.0]
    assert problem.energy_now_kwh == pytest.approx([160.0, 48.0])
    assert problem.floor_kwh == pytest.approx([40.0, 12.0])
    assert problem.site_load_kw[:, 0].tolist() == [20.0, 5.0]
    usable_kw = (200 - 0.04 * 50) * 0.95  # as the arbiter counts: a step of the building, then the margin
    assert problem.import_limit_kw[:, 0] == pytest.approx([usable_kw, usable_kw])
    assert problem.export_limit_kw[:, 0] == pytest.approx([usable_kw, 0.0])
    assert problem.charge_max_kw[:, 0].tolist() == [60.0, 11.0]
    assert problem.discharge_max_kw[:, 0].tolist() == [60.0, 0.0]
    assert problem.step_h.sum() == pytest.approx((snapshot.edges[-1] - NOON).total_seconds() / 3600)


def test_on_its_route_a_bus_is_no_battery_and_its_departures_are_floors() -> None:
    snapshot = snap(ready())
    problem = snapshot.problem
    away = step_at(snapshot, 200)
    assert (problem.charge_max_kw[0, away], problem.discharge_max_kw[0, away]) == (0.0, 0.0)
    first, tomorrow = problem.departures
    assert (first.vehicle, first.step, first.label) == (0, step_at(snapshot, 180), "bus-cs1 route")
    assert first.energy_kwh == pytest.approx(0.2 * 200 + 40 * 1.25)
    assert snapshot.edges[first.step] == NOON + minutes(180)
    assert snapshot.edges[tomorrow.step] == NOON + minutes(180 + 1440)
    assert problem.trip_kwh.sum(axis=1).tolist() == [80.0, 0.0]


def test_a_light_plants_site_is_not_called() -> None:
    (commitment,) = snap(ready()).problem.commitments
    assert commitment.sites.tolist() == [True, False]


def test_the_window_of_a_call_is_whole_steps() -> None:
    snapshot = snap(ready())
    (commitment,) = snapshot.problem.commitments
    assert (snapshot.problem.step_h * commitment.steps).sum() == pytest.approx(3.0)


def _blind(image: Image) -> None:
    image.evses["cs1/1"].soc = None


def _old(image: Image) -> None:
    image.evses["cs1/1"].soc_at = NOON - minutes(20)


def _off_the_air(image: Image) -> None:
    image.apply(dropped("cs1"))


@pytest.mark.parametrize("change", [_blind, _old, _off_the_air])
def test_what_is_not_known_or_not_reached_is_not_counted_on(change: object) -> None:
    image = ready()
    change(image)  # type: ignore[operator]
    assert snap(image).problem.discharge_max_kw[0].max() == 0.0
    assert snap(image).problem.charge_max_kw[0].max() == 60.0


SCHOOL = SiteId("school")
LOST = f.GridLost(at=NOON, site_id=SCHOOL, ts=NOON)
BACK = f.GridRestored(at=NOON, site_id=SCHOOL, ts=NOON)


def needs(**limits: float) -> f.EnergyNeeds:
    return f.EnergyNeeds(at=NOON, station_id=StationId("cs1"), evse_id=1, **limits)


@pytest.mark.parametrize(
    ("facts", "charge_kw", "discharge_kw"),
    [
        ([], 60.0, 60.0),
        ([f.DischargeStopped(at=NOON, by="x")], 60.0, 0.0),
        ([f.DischargeStopped(at=NOON, by="x", site_id=SCHOOL)], 60.0, 0.0),
        ([f.DischargeStopped(at=NOON, by="x", site_id=SiteId("light"))], 60.0, 60.0),
        ([f.DischargeStopped(at=NOON, by="x"), f.DischargeReleased(at=NOON, by="x")], 60.0, 60.0),
        ([LOST], 0.0, 0.0),
        ([needs(charge_max_kw=20.0, discharge_max_kw=30.0)], 20.0, 30.0),
        ([needs(discharge_max_kw=0.0)], 60.0, 0.0),
        ([needs(charge_max_kw=500.0)], 60.0, 60.0),
    ],
    ids=["free", "stopped", "stopped here", "stopped elsewhere", "released", "no grid", "stated", "gives none", "more"],
)
def test_the_plan_counts_on_no_power_that_the_arbiter_would_refuse(
    facts: list[f.Fact], charge_kw: float, discharge_kw: float
) -> None:
    problem = snap(ready(*facts)).problem
    assert problem.charge_max_kw[0].max() == charge_kw
    assert problem.discharge_max_kw[0].max() == discharge_kw
    assert problem.charge_max_kw[1].max() == 11.0, "the other site is as it was"


@pytest.mark.parametrize(
    ("stated", "floor_kwh", "ceiling_kwh"),
    [
        ({}, 40.0, 200.0),
        ({"to_least_kwh": -60.0}, 100.0, 200.0),
        ({"to_least_kwh": -150.0}, 40.0, 200.0),  # our own floor is above it
        ({"to_most_kwh": 20.0}, 40.0, 180.0),
        ({"to_most_kwh": 500.0}, 40.0, 200.0),
        ({"soc": 0.5, "to_least_kwh": -20.0}, 80.0, 200.0),  # from the charge told with it
        ({"to_least_kwh": 100.0, "to_most_kwh": 10.0}, 170.0, 170.0),
        ({"to_most_kwh": -500.0}, 40.0, 40.0),  # no statement opens what the floor keeps
    ],
)
def test_a_vehicle_may_narrow_its_own_range(stated: dict[str, float], floor_kwh: float, ceiling_kwh: float) -> None:
    image = ready(needs(**stated))
    problem = snap(image).problem
    assert (problem.floor_kwh[0], problem.ceiling_kwh[0]) == pytest.approx((floor_kwh, ceiling_kwh))
    ticker = Ticker(image, CommandTracker())
    ticker.bounds.read(NOON, [], {})
    assert ticker.bounds.floor_kwh[0] == pytest.approx(floor_kwh), "the arbiter keeps the same floor"
    assert Scheduler().plan(problem).status == "optimal"


def test_after_an_outage_the_plan_waits_for_the_ramp() -> None:
    snapshot = snap(ready(LOST, BACK))
    minute = [(edge - NOON).total_seconds() / 60 for edge in snapshot.edges[:-1]]
    charge_kw = dict(zip(minute, snapshot.problem.charge_max_kw[0], strict=True))
    assert (charge_kw[0], charge_kw[15], charge_kw[30]) == (0.0, 60.0, 60.0)


def test_behind_a_silent_main_meter_nothing_is_given_for_half_an_hour() -> None:
    """It is taken to be heard again; the arbiter exports nothing before."""
    image = ready()
    image.sites[SCHOOL].building_at = NOON - minutes(12)
    snapshot = snap(image)
    minute = [(edge - NOON).total_seconds() / 60 for edge in snapshot.edges[:-1]]
    discharge_kw = dict(zip(minute, snapshot.problem.discharge_max_kw[0], strict=True))
    assert (discharge_kw[0], discharge_kw[15], discharge_kw[30]) == (0.0, 0.0, 60.0)
    assert snapshot.problem.charge_max_kw[0, 0] == 60.0


def test_what_the_plan_gives_the_arbiter_lets_through() -> None:
    """Limits that bind: four buses behind 100 kW of export, a building of 20 kW."""
    tight = fleet((site("school", export_limit_kw=100.0),), tuple(station(f"cs{n}", "school") for n in range(4)))
    image = ready_image(tight)
    for fact in (called(), opted()):
        image.apply(fact)
    snapshot = snap(image)
    plan = Scheduler().plan(snapshot.problem)
    ticker = Ticker(image, CommandTracker())
    kw = ticker.decide(NOON, snapshot, plan, list(image.events.values()), {}, {}).setpoints.kw
    assert plan.net_kw[:, 0].sum() == pytest.approx(-((100 - 0.04 * 50) * 0.95 + 20))
    assert kw.sum() == pytest.approx(plan.net_kw[:, 0].sum())


def test_an_unknown_charge_state_is_planned_as_empty() -> None:
    image = ready()
    _blind(image)
    assert snap(image).problem.energy_now_kwh[0] == 0.0


def test_a_bus_on_the_road_comes_back_with_less() -> None:
    image = ready(unplug("cs1", NOON + minutes(178)))
    now = NOON + minutes(200)
    snapshot = take_snapshot(image, now, twenty, contracts_of(image))
    assert snapshot.problem.energy_now_kwh[0] == pytest.approx(160.0 - 40.0)
    assert snapshot.problem.charge_max_kw[0, 0] == 0.0
    assert snapshot.slots[0].presence.away_until == NOON + minutes(302)


def test_a_bus_that_leaves_late_is_due_after_the_first_step_which_may_charge_it() -> None:
    image = ready()
    snapshot = take_snapshot(image, NOON + minutes(190), twenty, contracts_of(image))
    problem = snapshot.problem
    assert problem.departures[0].step == 1
    assert problem.trip_kwh[0, :3].tolist() == [0.0, 40.0, 0.0]
    assert (problem.charge_max_kw[0, 0], problem.discharge_max_kw[0, 0]) == (60.0, 0.0)


# ---- the outlook ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soc", "health", "short_kwh"),
    [(0.8, "ready", 0.0), (0.2, "on_time", 0.0)],
)
def test_will_it_leave(soc: float, health: str, short_kwh: float) -> None:
    image = ready_image(two(), soc=soc)
    result = outlook(read_slots(image, NOON)[0], NOON)
    assert result is not None
    assert (result.health, result.short_kwh) == (health, short_kwh)
    assert outlook(read_slots(image, NOON)[1], NOON) is None, "no journey ahead"


def test_what_is_short_is_said_with_kwh() -> None:
    image = ready_image(two(), soc=0.2)
    now = NOON + minutes(145)
    result = outlook(read_slots(image, now)[0], now)
    assert result is not None
    left_h = (180 - 5 - 2 - 145) / 60
    assert result.short_kwh == pytest.approx(90 - 40 - 60 * EFFICIENCY * left_h)


def test_without_a_grid_the_time_to_spare_counts_from_now_and_nothing_more_is_expected() -> None:
    image = ready(LOST)
    image.evses["cs1/1"].soc = 0.3
    result = outlook(read_slots(image, NOON)[0], NOON, planned_kwh=180.0)
    assert result is not None
    assert (result.health, result.ok, result.expected_kwh) == ("tight", True, 60.0)
    assert result.slack_min > 100
    assert "no grid" in result.reason


def test_a_station_silent_for_longer_than_a_lease_promises_nothing() -> None:
    image = ready_image(two(), soc=0.2)
    image.apply(dropped("cs1"))
    for minute, late in ((4, False), (6, True)):
        result = outlook(read_slots(image, NOON + minutes(minute))[0], NOON + minutes(minute))
        assert result is not None
        assert (result.health == "late") is late


def test_board_and_alarm_say_the_same() -> None:
    async def play() -> tuple[float, list[f.AlarmRaised], list[str]]:
        house = House(ready_image(two(), soc=0.2), NOON + minutes(145))
        for evse in house.image.evses.values():
            evse.soc_at = house.clock.at
        for _ in range(24):
            await house.beat(0)
        (row,) = [r for r in house.heart.picture(house.clock.at).readiness if r.vehicle_id == "bus-cs1"]
        await house.write()
        house.image.evses["cs1/1"].soc = 0.9
        for _ in range(12):
            await house.beat(0)
        await house.write()
        return row.short_kwh, house.journal.of(f.AlarmRaised), sorted(house.image.alarms)

    short_kwh, alarms, still_open = asyncio.run(play())
    assert short_kwh > 20
    assert f"{short_kwh:.1f} kWh short" in alarms[0].text
    assert len(alarms) == 1, "told once while the journal has not answered yet"
    assert still_open == []
