"""Commissioning: without it no discharge, a waiver has a name and an end, another registry asks anew."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from revere.app.play import load_scenario
from revere.control.bounds import power_bounds_kw
from revere.control.building import fallback_profiles
from revere.control.commissioning import WAIVER_MAX, Commissioning, check_site
from revere.control.desk import CommissionSite
from revere.control.image import Image
from revere.control.office import Office
from revere.control.snapshot import read_slots
from revere.core import facts as f
from revere.core.errors import Refused
from revere.core.ids import SiteId
from tests.control.scenes import (
    NOON,
    House,
    called,
    fleet,
    minutes,
    opted,
    ready_image,
    site,
    station,
    trip,
    vehicle,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from revere.core.assets import Fleet

SCHOOL = SiteId("school")
CLEAN = fleet((site("school"),), (station("cs1", "school"),), (vehicle("cs1", trip("am", "07:00", "09:00", 40.0)),))
TIGHT = fleet(
    (site("school", import_limit_kw=35.0, load_peak_kw=30.0),),
    (station("cs1", "school"), station("cs2", "school")),
    tuple(vehicle(name, trip("am", "07:00", "15:00", 150.0)) for name in ("cs1", "cs2")),
)
SOON = NOON + dt.timedelta(days=30)


def opened(of: Fleet, *facts: f.Fact) -> House:
    """A house that looks after commissioning, as the app wires it."""
    house = House(ready_image(of))
    for fact in facts:
        house.image.apply(fact)
    profiles, _short = fallback_profiles(of)
    house.heart.commissioning = Commissioning(house.image, house.inbox, profiles)
    return house


def play(of: Fleet, story: Callable[[House, Office], Awaitable[Any]], *facts: f.Fact) -> Any:
    async def run() -> Any:
        house = opened(of, *facts)
        return await story(house, Office(house.heart, house.inbox, asyncio.get_running_loop()))

    return asyncio.run(run())


def ask(until: dt.datetime | None = None, why: str = "") -> CommissionSite:
    return CommissionSite(site_id="school", by="ann", waive_until=until, why=why)


def may_give_kw(house: House) -> float:
    evse = next(iter(house.image.evses.values()))
    assert evse.vehicle is not None
    return power_bounds_kw(evse, evse.vehicle, house.clock.now())[1]


def test_a_site_gives_nothing_until_it_is_commissioned() -> None:
    async def story(house: House, office: Office) -> tuple[Any, ...]:
        await house.heart.make_plan()
        await house.beat()
        before_kw = min((one.setpoint_kw for one in house.link.sent), default=0.0)
        receipt = await office.do(ask())
        await house.heart.make_plan()
        await house.beat()
        return before_kw, receipt.detail, house.link.sent[-1].setpoint_kw, house.journal.of(f.SiteCommissioned)

    before_kw, said, after_kw, facts = play(CLEAN, story, called(), opted())
    assert before_kw >= 0
    assert said == "School is commissioned: service and routes hold on its fallback."
    assert after_kw < -20
    assert [(one.by, one.short_kwh, one.waived_until) for one in facts] == [("ann", {}, None)]


def test_what_does_not_hold_is_refused_with_the_kwh_that_are_short() -> None:
    async def story(house: House, office: Office) -> str:
        with pytest.raises(Refused) as error:
            await office.do(ask())
        return error.value.text()

    said = play(TIGHT, story)
    assert "on its defaults alone these are short: bus-cs1 " in said
    assert "bus-cs2" in said
    assert "kWh" in said


def test_a_waiver_has_a_name_and_an_end() -> None:
    async def story(house: House, office: Office) -> tuple[Any, ...]:
        receipt = await office.do(ask(SOON, "a new transformer in May"))
        waived_kw = may_give_kw(house)
        state = (await office.commissioning("school")).state
        house.clock.at = SOON
        return receipt.detail, waived_kw, state, may_give_kw(house), (await office.commissioning("school")).state

    said, waived_kw, state, after_kw, later = play(TIGHT, story)
    assert said.startswith("School may discharge until 2023-10-07T16:00:00.000Z, although on its defaults alone")
    assert (waived_kw, state, after_kw, later) == (60.0, "waived", 0.0, "no")


@pytest.mark.parametrize(
    ("of", "request_", "word"),
    [
        (TIGHT, ask(SOON), "cannot be left to its fallback"),  # no reason
        (TIGHT, ask(SOON, "  "), "cannot be left to its fallback"),
        (TIGHT, ask(None, "why not"), "cannot be left to its fallback"),  # no end
        (TIGHT, ask(NOON, "x"), "a waiver's end"),
        (TIGHT, ask(NOON + WAIVER_MAX + minutes(1), "x"), "a waiver's end"),
        (TIGHT, ask(SOON.replace(tzinfo=None), "x"), "a waiver's end"),
        (CLEAN, ask(SOON, "x"), "nothing is to be waived"),
        (CLEAN, CommissionSite(site_id="nowhere", by="ann"), "no such site"),
    ],
)
def test_refusals_record_nothing(of: Fleet, request_: CommissionSite, word: str) -> None:
    async def story(house: House, office: Office) -> list[f.Fact]:
        with pytest.raises(Refused, match=word):
            await office.do(request_)
        return house.journal.facts

    assert play(of, story) == []


def test_a_restart_knows_it_and_another_registry_asks_anew() -> None:
    async def story(house: House, office: Office) -> list[f.Fact]:
        await office.do(ask())
        return house.journal.facts

    facts = play(CLEAN, story)
    assert may_give_kw(opened(CLEAN, *facts)) == 60.0
    other = fleet((site("school", import_limit_kw=190.0),), CLEAN.stations, CLEAN.vehicles)
    changed = opened(other, *facts)
    assert may_give_kw(changed) == 0.0
    assert changed.heart.commissioning is not None
    changed.heart.commissioning.watch(NOON, changed.heart.watch)
    (alarm,) = [fact for fact in changed.heart.scribe._spool if isinstance(fact, f.AlarmRaised)]
    assert "its registry has changed since" in alarm.text


def test_nobody_counts_on_a_site_that_is_not_commissioned() -> None:
    house = opened(CLEAN)
    picture = house.heart.picture(NOON)
    assert (picture.available_discharge_kw, picture.usable_kwh) == (0.0, 0.0)
    assert [held.reason for held in picture.held_back] == ["uncommissioned"]
    assert [row.commissioned for row in picture.sites] == [False]
    assert read_slots(house.image, NOON)[0].free  # charging for departures goes on


@pytest.mark.parametrize("name", ["massachusetts", "one_home", "small"])
def test_the_programmes_that_come_with_revere_hold_on_their_fallback(name: str, tmp_path: Path) -> None:
    of = load_scenario(tmp_path.__class__(name)).fleet
    image, (profiles, _short) = Image(of), fallback_profiles(of)
    wrong = {
        site_id: check.words()
        for site_id, item in image.sites.items()
        if not (check := check_site(item.site, image.site_evses[site_id], profiles, of.programme)).clean()
    }
    assert wrong == {}
