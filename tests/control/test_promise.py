"""What is promised, and what an operator hears when the plan cannot keep it."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from revere.control.bounds import EFFICIENCY
from revere.control.promise import BrokenPromise, Missing, broken_promises, planned_relief
from revere.control.snapshot import Snapshot, take_snapshot
from revere.core import facts as f
from revere.core.ids import GridEventId, SiteId, StationId, VehicleId
from revere.plan.schedule import Plan, schedule
from tests.control.scenes import (
    NOON,
    ZONE,
    House,
    called,
    connected,
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
    from collections.abc import Callable

    from revere.control.image import Image

E1 = GridEventId("e1")
START = NOON + minutes(60)


def promised(kw: float = 60.0, start: dt.datetime = START) -> Image:
    """A bus at each of two schools, 48 kW each for three hours once they are full; a promise of 30 kW each."""
    image = ready_image(
        fleet((site("north"), site("south")), (station("cs1", "north"), station("cs2", "south")), ()), soc=0.8
    )
    for fact in (called(start=start), opted()):
        image.apply(fact)
    by_site = {"north": kw / 2, "south": kw / 2}
    image.apply(f.Nominated(at=NOON, grid_event_id=E1, nominated_kw=kw, lowest_mean_kw=kw / 0.9, by_site_kw=by_site))
    return image


def plan_of(image: Image, now: dt.datetime = NOON) -> tuple[Snapshot, Plan]:
    snapshot = take_snapshot(image, now, lambda _site, edges: np.full(len(edges) - 1, 20.0), contracts_of(image))
    return snapshot, schedule(snapshot.problem)


def broken(image: Image, now: dt.datetime = NOON) -> list[BrokenPromise]:
    return list(broken_promises(image, *plan_of(image, now)))


def _nothing(image: Image) -> None:
    """All as it was when the promise was made."""


def _stop(image: Image) -> None:
    image.apply(f.DischargeStopped(at=NOON, by="x", site_id=SiteId("north")))


def _dark(image: Image) -> None:
    image.apply(f.GridLost(at=NOON, site_id=SiteId("north"), ts=NOON))


def _session_stopped(image: Image) -> None:
    image.apply(f.StatusReported(at=NOON, station_id=StationId("cs1"), evse_id=1, status="occupied", ts=NOON))
    image.apply(unplug("cs1", NOON))


def _silent(image: Image) -> None:
    image.apply(dropped("cs1"))


def _blind(image: Image) -> None:
    image.evses["cs1/1"].soc_at = NOON - minutes(16)


def _refuses(image: Image) -> None:
    image.evses["cs1/1"].discharge_max_kw = 0.0


def _empty(image: Image) -> None:
    """Not to be filled again in time: the vehicle takes 1 kW."""
    image.evses["cs1/1"].soc, image.evses["cs1/1"].charge_max_kw = 0.2, 1.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_nothing, None),
        (_stop, "North 30 kW: discharge stopped (bus-cs1)"),
        (_dark, "North 30 kW: no grid (bus-cs1)"),
        (_silent, "North 30 kW: out of reach (bus-cs1)"),
        (_blind, "North 30 kW: charge state unknown (bus-cs1)"),
        (_refuses, "North 30 kW: vehicle gives nothing (bus-cs1)"),
        (_empty, "kW: less energy than was planned"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_told_with_its_cause(change: Callable[[Image], None], why: str | None) -> None:
    image = promised()
    change(image)
    found = broken(image)
    assert len(found) == (why is not None)
    for one in found:
        text = one.text(ZONE)
        assert one.lowest_kw == pytest.approx(0.8 * 200 * EFFICIENCY / 3.1, rel=0.02), "the other bus, filled and flat"
        assert text.startswith(
            f"Promised 60 kW for 13:00 to 16:00; the plan gives {one.lowest_kw:.0f} kW at its lowest, "
            "too little from 13:00. Missing: "
        )
        assert text.endswith(str(why))
        assert len(text) < 400


def _unmetered(image: Image) -> None:
    image.sites[SiteId("north")].building_kw = None


def _both_empty(image: Image) -> None:
    for one in image.evses.values():
        one.soc, one.charge_max_kw = 0.2, 0.0


def _both_unmetered(image: Image) -> None:
    for one in image.sites.values():
        one.building_kw = None


@pytest.mark.parametrize(
    ("start_min", "nominated", "change", "said"),
    [
        (0, True, _both_unmetered, "(when it was planned at 12:00); the plan gives 0 kW at its lowest. Held back: Nor"),
        (-30, False, _both_unmetered, "(it was under way before it could be planned); the plan gives 0 kW"),
        (0, True, _nothing, "(when it was planned at 12:00); the plan gives 72 kW at its lowest"),
        (0, True, _both_empty, "0 kW at its lowest. Held back: nothing above the floors and the departures was left"),
        (60, False, _both_unmetered, None),
    ],
    ids=["promised nothing", "first start under way", "the meters are back", "empty", "not yet promised"],
)  # fmt: skip
def test_who_is_promised_nothing_hears_why(
    start_min: float, nominated: bool, change: Callable[[Image], None], said: str | None
) -> None:
    image = promised(0.0 if nominated else 60.0, NOON + minutes(start_min))
    if not nominated:
        image.events[E1].nominated_kw = image.events[E1].nominated_at = None
    change(image)
    found = [one.text(ZONE) for one in broken(image)]
    assert len(found) == (said is not None)
    for text in found:
        assert text.startswith("Promised nothing for ")
        assert str(said) in text
        assert len(text) <= 400


def test_an_unread_meter_is_the_reason_where_a_promise_breaks_now_and_none_for_later() -> None:
    now, later = promised(70.0, start=NOON), promised(70.0, start=NOON + minutes(60))
    for image in (now, later):
        _unmetered(image)
    assert [str(missing) for one in broken(now) for missing in one.missing] == [
        "North 35 kW: waiting for the building's meter (bus-cs1)"
    ]
    assert broken(later) == []


def test_an_alarm_names_as_many_sites_as_fit() -> None:
    why = (("not plugged in", ("bus-a-cs01", "bus-a-cs02", "bus-a-cs03")),)
    missing = tuple(
        Missing(site_id=SiteId(f"s{n}"), name=f"School {n} of a town with a long name", kw=60.0, why=why)
        for n in range(9)
    )
    event = promised().events[E1]
    text = BrokenPromise(event=event, nominated_kw=900.0, lowest_kw=360.0, since=START, missing=missing).text(ZONE)
    assert "School 0 of a town with a long name 60 kW: not plugged in (bus-a-cs01, bus-a-cs02 and 1 more)" in text
    assert text.endswith("; 7 more sites")
    assert len(text) <= 400


def test_a_session_that_was_stopped_in_an_event_is_named_as_the_cause() -> None:
    image = promised(kw=0.0, start=NOON)
    _session_stopped(image)
    (found,) = broken(image)
    assert "plugged in, no session (bus-cs1)" in found.text(ZONE)


def test_who_should_have_left_and_charges_is_not_told_as_unplugged() -> None:
    route = trip("route", "11:50", "14:30", 10.0)
    image = ready_image(
        fleet(
            (site("north"),),
            (station("cs1", "north"), station("cs2", "north")),
            (vehicle("cs1", route), vehicle("cs2")),
        )
    )
    for fact in (called(start=START), opted()):
        image.apply(fact)
    image.events[E1].nominated_kw, image.events[E1].nominated_by_site_kw = 70.0, {"north": 70.0}
    (found,) = broken(image)
    assert "due to leave, still plugged in (bus-cs1)" in found.text(ZONE)
    assert "not plugged in" not in found.text(ZONE)


def test_who_is_late_is_missing_until_it_is_back() -> None:
    route = trip("route", "11:00", "13:40", 10.0)
    image = ready_image(
        fleet(
            (site("north"),),
            (station("cs1", "north"), station("cs2", "north")),
            (vehicle("cs1", route), vehicle("cs2")),
        )
    )
    image.apply(unplug("cs1", NOON - minutes(60)))
    for fact in (called(start=START), opted()):
        image.apply(fact)
    image.events[E1].nominated_kw, image.events[E1].nominated_by_site_kw = 70.0, {"north": 70.0}
    (found,) = broken(image)
    assert "North" in found.text(ZONE)
    assert "not plugged in (bus-cs1)" in found.text(ZONE)
    snapshot, plan = plan_of(image)
    begins, means_kw = planned_relief(snapshot, plan, image.events[E1])
    back = 9  # the roster's return is at 13:40, the plug two minutes later
    assert len(begins) == 36
    assert begins[back] == START + minutes(45)
    assert means_kw[: back - 1].max() <= 60.0 + 1e-6
    assert means_kw[back:].min() >= 70.0


def test_a_bus_that_comes_back_within_a_step_gives_nothing_before_it_is_there() -> None:
    """The promise is the lowest five minutes, not the lowest quarter hour."""
    route = trip("route", "11:00", "13:05", 10.0)
    image = ready_image(fleet((), (), (vehicle("cs1", route),)))
    image.apply(unplug("cs1", NOON - minutes(60)))
    for fact in (called(start=START), opted()):
        image.apply(fact)
    snapshot, plan = plan_of(image)
    _, means_kw = planned_relief(snapshot, plan, image.events[E1])
    first = int(np.argmax(snapshot.problem.commitments[0].steps))
    assert plan.commitment_kw[0, first] > 10.0, "the mean of the quarter hour"
    assert means_kw[:2] == pytest.approx([0.0, means_kw[2] * 3 / 5])
    assert means_kw[2] == pytest.approx(15 / 8 * plan.commitment_kw[0, first])


def test_in_the_event_only_what_is_left_of_it_counts() -> None:
    image = promised(start=NOON - minutes(61))
    snapshot, plan = plan_of(image)
    begins, means_kw = planned_relief(snapshot, plan, image.events[E1])
    assert begins[:2] == [NOON, NOON + minutes(4)]
    assert len(means_kw) == 24
    assert means_kw.min() >= 60.0
    assert broken(image) == []


def test_where_nothing_was_promised_charging_breaks_nothing_more() -> None:
    """A bus that must charge in the event: relief below 0 against a promise of 0, which is told as such."""
    image = promised(0.0, start=NOON)
    image.apply(f.DischargeStopped(at=NOON, by="x"))
    image.apply(f.DepartureSet(at=NOON, vehicle_id=VehicleId("bus-cs1"), departs=START, soc_required=0.99, by="x"))
    snapshot, plan = plan_of(image)
    assert planned_relief(snapshot, plan, image.events[E1])[1].min() < -10
    (nothing,) = broken(image)
    assert nothing.text(ZONE).startswith(
        "Promised nothing for 12:00 to 15:00 (when it was planned at 12:00); the plan "
    )
    assert "North 60 kW: discharge stopped (bus-cs1)" in nothing.text(ZONE)


@pytest.mark.parametrize(
    "fact", [called(start=START, modification=1, cancelled=True), opted(opt="out"), called(start=START, hours=48.0)]
)
def test_what_is_not_owed_or_not_yet_planned_is_not_told(fact: f.Fact) -> None:
    image = promised()
    _stop(image)
    image.apply(fact)
    assert broken(image) == []


def test_it_is_told_once_told_anew_when_the_story_changes_and_cleared_when_it_is_over() -> None:
    async def play() -> list[tuple[int, list[str]]]:
        house = House(promised())
        seen = []

        async def plan() -> None:
            await house.heart.make_plan()
            await house.write()
            texts = [alarm.text for key, alarm in house.image.alarms.items() if key.startswith("promise:")]
            seen.append((len(house.journal.of(f.AlarmRaised)), texts))

        await plan()
        await house.inbox.record([dropped("cs1")])
        await plan()
        await plan()
        await house.inbox.record([f.GridLost(at=NOON, site_id=SiteId("south"), ts=NOON)])
        await plan()
        await house.inbox.record([connected("cs1", NOON, 2), f.GridRestored(at=NOON, site_id=SiteId("south"), ts=NOON)])
        house.clock.at += minutes(31)
        for evse in house.image.evses.values():
            evse.soc_at = house.clock.at
        for place in house.image.sites.values():
            place.building_at = house.clock.at
        await plan()
        return seen

    met, told, again, both, over = asyncio.run(play())
    assert met == (0, [])
    assert told[0] == again[0] == 1
    assert told[1] == again[1]
    assert "out of reach" in told[1][0]
    assert both[0] == 2
    assert len(both[1]) == 1
    assert "no grid" in both[1][0]
    assert over == (2, [])
