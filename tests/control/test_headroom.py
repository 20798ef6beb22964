"""What could be given now, and why the rest could not: the two add up, and every kW of the rest has its reason."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.control.bounds import LOAD_FRESH
from revere.control.headroom import headroom
from revere.control.snapshot import read_slots
from revere.control.watch import LOAD_TOLD_AFTER
from revere.core import facts as f
from revere.core.ids import SiteId, StationId
from tests.control.scenes import (
    NOON,
    House,
    called,
    dropped,
    fleet,
    minutes,
    ready_image,
    site,
    station,
    trip,
    unplug,
    vehicle,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.control.headroom import Headroom
    from revere.control.image import Image

SCHOOL, NORTH = SiteId("school"), SiteId("north")
ROUTE = trip("route", "11:00", "14:30", 40.0)


def image_of(*trips: Any) -> Image:
    stations = (station("cs1", "school"), station("cs2", "north"))
    return ready_image(fleet((site("school"), site("north")), stations, (vehicle("cs1", *trips), vehicle("cs2"))))


def room(image: Image, now: dt.datetime = NOON) -> Headroom:
    return headroom(image, read_slots(image, now), now)


def _unmetered(image: Image) -> None:
    image.sites[SCHOOL].building_kw = None


def _meter_silent(image: Image) -> None:
    image.sites[SCHOOL].building_at = NOON - LOAD_FRESH


def _suspected(image: Image) -> None:
    image.apply(f.OutageSuspected(at=NOON, site_id=SCHOOL, ts=NOON, why="x"))


def _weaker(image: Image) -> None:
    image.evses["cs1/1"].discharge_max_kw = 45.0


def _empty(image: Image) -> None:
    image.evses["cs1/1"].soc = 0.2


def _no_session(image: Image) -> None:
    image.apply(f.StatusReported(at=NOON, station_id=StationId("cs1"), evse_id=1, status="occupied", ts=NOON))
    image.apply(unplug("cs1", NOON))


CHANGES: dict[str, tuple[Callable[[Image], None], str, float]] = {
    "nothing": (lambda image: None, "", 0.0),
    "meter not yet read": (_unmetered, "waiting for the building's meter at School", 60.0),
    "meter silent": (_meter_silent, "waiting for the building's meter at School", 60.0),
    "stopped": (
        lambda image: image.apply(f.DischargeStopped(at=NOON, by="x", site_id=SCHOOL)),
        "discharge is stopped at School",
        60.0,
    ),
    "dead": (lambda image: image.apply(f.GridLost(at=NOON, site_id=SCHOOL, ts=NOON)), "no grid at School", 60.0),
    "silent": (_suspected, "the grid is not proven live at School", 60.0),
    "out of reach": (lambda image: image.apply(dropped("cs1")), "1 bus at chargers out of reach", 60.0),
    "unplugged": (lambda image: image.apply(unplug("cs1", NOON)), "1 bus not plugged in", 60.0),
    "no session": (_no_session, "1 bus plugged in without a session", 60.0),
    "empty": (_empty, "1 bus with nothing above the floor", 60.0),
    "gives less": (_weaker, "1 bus limited below what the charger could give", 15.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_available_has_its_reason_and_its_kw(name: str) -> None:
    change, words, kw = CHANGES[name]
    image = image_of()
    change(image)
    found = room(image)
    assert [(one.words, one.kw) for one in found.held] == ([(words, kw)] if words else [])
    assert found.available_kw == 120.0 - kw


def test_who_is_on_the_road_is_told_with_the_return() -> None:
    image = image_of(ROUTE)
    image.apply(unplug("cs1", NOON - minutes(55)))
    (away,) = room(image).held
    assert (away.words, away.vehicles, away.kw) == ("1 bus on the road, back by 14:30", 1, 60.0)
    assert away.until == NOON + minutes(150)


@pytest.mark.parametrize(
    ("starts_min", "words"),
    [(150, "1 bus on the road, back by 14:30"), (120, "1 bus on the road, after the event's start, the last by 14:30")],
)
def test_an_event_ahead_parts_those_who_are_back_for_it_from_those_who_are_not(starts_min: float, words: str) -> None:
    image = image_of(ROUTE)
    image.apply(unplug("cs1", NOON - minutes(55)))
    image.apply(called(start=NOON + minutes(starts_min)))
    assert [one.words for one in room(image).held] == [words]


def test_a_charger_that_is_not_there_says_nothing_of_its_vehicle() -> None:
    """At a start no charger is connected yet: nobody is said to be on the road."""
    image = image_of(ROUTE)
    for fact in (unplug("cs1", NOON - minutes(55)), dropped("cs1")):
        image.apply(fact)
    assert [one.words for one in room(image).held] == ["1 bus at chargers out of reach"]


@given(st.lists(st.sampled_from(sorted(CHANGES)), max_size=4))
def test_available_and_held_back_are_the_nameplate(names: list[str]) -> None:
    image = image_of()
    for name in names:
        CHANGES[name][0](image)
    found = room(image)
    assert found.available_kw + sum(one.kw for one in found.held) == pytest.approx(120.0)
    assert sum(one.vehicles for one in found.held) <= 2


def test_homes_are_a_number_and_many_sites_are_cut() -> None:
    names = [f"s{n}" for n in range(5)]
    sites = [*(site(name) for name in names), *(site(f"h{n}", kind="home") for n in range(4))]
    stations = [station(f"cs-{one.id}", one.id) for one in sites]
    image = ready_image(fleet(sites, stations))
    for item in image.sites.values():
        item.building_kw = None
    (one,) = room(image).held
    assert one.words == "waiting for the building's meter at S0, S1, S2, 2 more sites and 4 homes"


def test_a_load_that_becomes_known_calls_for_a_plan_and_one_that_goes_on_does_not() -> None:
    async def play() -> list[bool]:
        house = House(ready_image(fleet()))
        heard = house.heart.image.on_building
        assert heard is not None
        asked = []
        for after_min in (0, 5, 15, 26):
            house.heart._replan.clear()
            heard(SCHOOL, NOON + minutes(after_min), 20.0)
            asked.append(house.heart._replan.is_set())
        return asked

    assert asyncio.run(play()) == [True, False, False, True]


def test_a_meter_that_stays_away_is_an_alarm_and_its_return_the_end_of_it() -> None:
    async def play() -> list[tuple[bool, ...]]:
        house = House(ready_image(fleet()))
        item, found = house.image.sites[SCHOOL], []
        item.building_kw = None
        for after, known in ((0, False), (14, False), (15, False), (16, True), (40, True)):
            if known:
                item.building_kw, item.building_at = 20.0, NOON + minutes(after)
            house.heart.watch.look(NOON + minutes(after))
            await house.write()
            found.append("load:school" in house.image.alarms)
        return found

    assert minutes(15) == LOAD_TOLD_AFTER
    assert asyncio.run(play()) == [False, False, True, False, False]


def test_no_alarm_where_nothing_could_be_given_anyway() -> None:
    async def play(*facts: f.Fact) -> list[str]:
        house = House(ready_image(fleet()))
        house.image.sites[SCHOOL].building_kw = None
        for fact in facts:
            house.image.apply(fact)
        for after in (0, 15, 30):
            house.heart.watch.look(NOON + minutes(after))
            await house.write()
        return [key for key in house.image.alarms if key.startswith("load:")]

    assert asyncio.run(play(dropped("cs1"))) == []
    assert asyncio.run(play(f.GridLost(at=NOON, site_id=SCHOOL, ts=NOON))) == []


def test_the_picture_shows_what_is_held_back_and_whose_load_is_unknown() -> None:
    async def play() -> tuple[float, list[str], list[bool]]:
        image = image_of()
        _unmetered(image)
        view = House(image).heart.picture(NOON)
        return view.available_discharge_kw, [one.reason for one in view.held_back], [s.load_known for s in view.sites]

    assert asyncio.run(play()) == (60.0, ["unmetered"], [False, True])


def test_a_locked_charger_is_held_back_by_its_lock() -> None:
    image = image_of()
    image.apply(f.Locked(at=NOON, station_id=StationId("cs1"), by="ana", why="work"))
    assert [one.words for one in room(image).held] == ["1 bus at chargers that a technician has locked"]
