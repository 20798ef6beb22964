"""A site that falls silent may have lost its grid: suspected, never settled by, nothing given until it is proven."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from revere.control.bounds import export_share, may_give
from revere.control.image import Image
from revere.control.silence import SUSPECTED_AFTER, WINDOW, Silence
from revere.control.snapshot import read_slots
from revere.core import facts as f
from revere.core.assets import Fleet
from revere.core.ids import SiteId, StationId
from tests.control.scenes import (
    NOON,
    House,
    connected,
    dropped,
    fleet,
    minutes,
    plug,
    reading,
    ready_image,
    seconds,
    site,
    station,
)

A = SiteId("a")
WITH_SWITCH = {"transfer_switch": True, "critical_load_kw": 5.0}


def places(**stations: int) -> Fleet:
    """Sites by name with so many stations each; every site has a transfer switch."""
    return fleet(
        [site(name, **WITH_SWITCH) for name in stations],
        [station(f"{name}{i}", name) for name, count in stations.items() for i in range(1, count + 1)],
    )


def silent(image: Image, *ends: tuple[str, float]) -> Image:
    """Links that end so many seconds after noon."""
    for name, after_s in ends:
        image.apply(dropped(name, NOON + seconds(after_s)))
    return image


def suspected(image: Image, after_s: float) -> list[str]:
    found = Silence(image).look(NOON + seconds(after_s))
    return [fact.site_id for fact in found if isinstance(fact, f.OutageSuspected)]


FOUR = {"a": 2, "b": 1, "c": 1, "d": 1}


@pytest.mark.parametrize(
    ("of", "ends", "after_s", "who"),
    [
        (FOUR, [("a1", 0), ("a2", 40)], 160, ["a"]),
        (FOUR, [("a1", 0), ("a2", 40)], 150, []),  # a hiccup yet
        (FOUR, [("a1", 0)], 600, []),  # one link of two
        (FOUR, [("b1", 0)], 120, ["b"]),  # its only link
        (FOUR, [("a1", 0), ("a2", 300)], 600, ["a"]),  # one had gone before, half of them fell
        ({**FOUR, "a": 3}, [("a1", 0), ("a2", 300), ("a3", 600)], 900, []),  # one after the other
        (FOUR, [("a1", 0), ("a2", 0), ("b1", 30)], 200, ["a", "b"]),  # two of four: a street
        (FOUR, [("a1", 0), ("a2", 0), ("b1", 0), ("c1", 0)], 200, []),  # three of four: our own line
        (FOUR, [("a1", 0), ("a2", 0), ("b1", 500), ("c1", 500)], 300, ["a"]),  # others fall much later
        ({"a": 2}, [("a1", 0), ("a2", 0)], 600, []),  # nobody to compare with
    ],
)
def test_all_links_of_a_site_at_once_while_others_are_well(
    of: dict[str, int], ends: list[tuple[str, float]], after_s: float, who: list[str]
) -> None:
    upto = [(name, at_s) for name, at_s in ends if at_s <= after_s]
    assert suspected(silent(ready_image(places(**of)), *upto), after_s) == who


@pytest.mark.parametrize(
    ("told_s", "status", "others", "after_s", "who"),
    [
        (-60, "install_rebooting", (), 300, []),
        (-60, "install_rebooting", (), 1300, ["b"]),
        (-60, "downloading", (), 300, ["b"]),
        (60, "install_rebooting", (), 300, ["b"]),
        (-60, "install_rebooting", ("a1", "a2"), 300, ["a"]),
    ],
)
def test_a_restart_for_new_firmware_is_no_outage(
    told_s: float, status: Any, others: tuple[str, ...], after_s: float, who: list[str]
) -> None:
    image = ready_image(places(**FOUR))
    image.apply(f.FirmwareReported(at=NOON + seconds(told_s), station_id=StationId("b1"), status=status))
    silent(image, ("b1", 0), *((name, 0) for name in others))
    assert suspected(image, after_s) == who


def test_the_words_name_the_site_since_when_and_how_many() -> None:
    image = silent(ready_image(places(**FOUR)), ("a1", 0), ("a2", 40))
    suspicion, alarm = Silence(image).look(NOON + minutes(5))
    assert isinstance(suspicion, f.OutageSuspected)
    assert suspicion.ts == NOON, "since the first of them"
    assert isinstance(alarm, f.AlarmRaised)
    assert alarm.text == (
        "A has been silent since 12:00: 2 links at once, while 3 other sites are well. Perhaps an outage: nothing is "
        "counted on it, and it gives nothing until its grid is proven live"
    )
    image.apply(suspicion)
    assert Silence(image).look(NOON + minutes(6)) == [], "told once"


def test_a_dead_grid_is_known_and_a_first_start_says_nothing() -> None:
    image = ready_image(places(**FOUR))
    image.apply(f.GridLost(at=NOON, site_id=A, ts=NOON))
    assert suspected(silent(image, ("a1", 0), ("a2", 0)), 600) == []
    assert suspected(Image(places(**FOUR)), 600) == []


def test_our_own_line_is_said_once_for_all_and_ends_when_they_are_back() -> None:
    image = silent(ready_image(places(**FOUR)), ("a1", 0), ("a2", 0), ("b1", 5), ("c1", 5))
    silence = Silence(image)
    assert silence.uplink_down(NOON + seconds(60)) == ""
    assert silence.uplink_down(NOON + minutes(3)) == (
        "3 of 4 sites fell silent at once at 12:00: perhaps our own line is down"
    )
    for name in ("a1", "a2", "b1", "c1"):
        image.apply(connected(name, NOON + minutes(4), 2))
    assert silence.uplink_down(NOON + minutes(5)) == ""


# ---- the return -----------------------------------------------------------------------------------


def doubted(**changes: Any) -> Image:
    """Site a fell silent at noon, is suspected, and its first link is back ten minutes later."""
    of = fleet([site("a", **{**WITH_SWITCH, **changes}), site("b")], [station("a1", "a"), station("b1", "b")])
    image = silent(ready_image(of), ("a1", 0))
    for fact in Silence(image).look(NOON + SUSPECTED_AFTER):
        image.apply(fact)
    assert image.sites[A].silent_since == NOON
    assert not may_give(image, image.sites[A])
    image.apply(connected("a1", NOON + minutes(10), 2))
    return image


def main_meter(kw: float, at_min: float) -> f.MeterReading:
    ts = NOON + minutes(at_min)
    return f.MeterReading(at=ts, asset_id="a", place="site", ts=ts, context="clock", power_kw=kw)


def switch(is_open: bool, at_min: float = 11) -> f.TransferSwitchReported:
    ts = NOON + minutes(at_min)
    return f.TransferSwitchReported(at=ts, site_id=A, open=is_open, ts=ts)


def charges(kw: float, at_min: float = 12) -> f.MeterReading:
    return reading("a1", NOON + minutes(at_min), power_kw=kw)


@pytest.mark.parametrize(
    ("changes", "shown", "proven"),
    [
        ({}, [], False),
        ({}, [main_meter(12.0, 9)], False),  # from before it was back
        ({}, [main_meter(12.0, 11)], True),
        ({}, [main_meter(-3.0, 11)], True),
        ({}, [main_meter(0.0, 11)], False),  # a dead grid carries nothing
        ({}, [charges(20.0)], False),  # behind a switch another vehicle may feed it
        ({"transfer_switch": False}, [charges(20.0)], True),
        ({"transfer_switch": False}, [charges(0.05)], False),
        ({}, [switch(True), main_meter(12.0, 12)], False),  # separated: nothing of this site is the grid's
        ({}, [switch(True), switch(False, 13), main_meter(12.0, 14)], True),
    ],
)
def test_a_live_grid_is_proven_by_what_flows_after_the_return(
    changes: dict[str, Any], shown: list[f.Fact], proven: bool
) -> None:
    image = doubted(**changes)
    for fact in shown:
        image.apply(fact)
    found = Silence(image).look(NOON + minutes(15))
    assert [type(fact) for fact in found] == ([f.GridProven] if proven else [])
    for fact in found:
        image.apply(fact)
    item = image.sites[A]
    assert may_give(image, item) is proven
    assert export_share(item, 0, NOON + minutes(12)) == 0.0, "the return's own wait counts from the first link"
    assert (export_share(item, 0, NOON + minutes(18)) > 0) is proven
    assert export_share(item, 0, NOON + minutes(45)) == (1.0 if proven else 0.0)
    assert item.outages == [], "a suspicion settles nothing"


def test_a_grid_state_told_late_makes_the_outage() -> None:
    image = doubted()
    lost, back = NOON - seconds(3), NOON + minutes(8)
    image.apply(f.GridLost(at=NOON + minutes(10), site_id=A, ts=lost))
    image.apply(f.GridRestored(at=NOON + minutes(10), site_id=A, ts=back))
    item = image.sites[A]
    assert item.outages == [(lost, back)]
    assert (item.silent_since, item.restored_at) == (None, NOON + minutes(10))
    assert may_give(image, item)


def test_a_return_told_without_its_loss_makes_the_silence_an_outage() -> None:
    image = doubted()
    image.apply(f.GridRestored(at=NOON + minutes(10), site_id=A, ts=NOON + minutes(8)))
    assert image.sites[A].outages == [(NOON, NOON + minutes(8))]
    assert image.sites[A].restored_at == NOON + minutes(10)


def test_a_site_that_goes_again_is_not_proven_by_what_it_said_between() -> None:
    image = doubted()
    image.apply(dropped("a1", NOON + minutes(11), 2))
    assert image.sites[A].heard_at is None
    image.apply(main_meter(12.0, 10.5))
    image.apply(connected("a1", NOON + minutes(20), 3))
    assert Silence(image).look(NOON + minutes(21)) == []


def test_an_unproven_site_gives_nothing_but_charges_and_its_plan_knows() -> None:
    async def play() -> list[Any]:
        image = doubted()
        image.sites[A].building_kw, image.sites[A].building_at = 20.0, NOON + minutes(10)
        house = House(image, NOON + minutes(11))
        image.apply(reading("a1", house.clock.at, soc=0.8, power_kw=0.0))
        image.apply(reading("b1", house.clock.at, soc=0.8, power_kw=0.0))
        free = {slot.evse.station.id: slot.free for slot in read_slots(image, house.clock.at)}
        ticker = house.heart.ticker
        decision = ticker.decide(house.clock.at, None, None, [], {}, {})
        low = dict(zip(decision.assets, decision.setpoints.low_kw, strict=True))
        high = dict(zip(decision.assets, decision.setpoints.high_kw, strict=True))
        return [
            free,
            low["a1/1"],
            high["a1/1"] > 50,
            low["b1/1"] < -50,
            house.heart.picture(house.clock.at).sites[0].grid,
        ]

    assert asyncio.run(play()) == [{"a1": False, "b1": True}, 0.0, True, True, "unknown"]


def test_the_heart_suspects_tells_replans_and_clears() -> None:
    async def play() -> list[Any]:
        of = fleet([site("a"), site("b")], [station("a1", "a"), station("b1", "b")])
        house = House(ready_image(of))
        house.image.apply(dropped("a1", house.clock.at))
        for _ in range(12 * 5):
            await house.beat()
        await house.write()
        seen: list[Any] = [len(house.journal.of(f.OutageSuspected)), "silent:a" in house.image.alarms]
        house.image.apply(connected("a1", house.clock.at, 2))
        house.image.apply(plug("a1", house.clock.at))
        house.image.apply(reading("a1", house.clock.at + seconds(1), power_kw=8.0))
        for _ in range(2):
            for _ in range(12):
                await house.beat()
            await house.write()
        return [*seen, len(house.journal.of(f.GridProven)), "silent:a" in house.image.alarms]

    assert asyncio.run(play()) == [1, True, 1, False]


def test_a_site_that_falls_silent_twice_has_its_alarm_cleared_twice() -> None:
    async def play() -> list[bool]:
        of = fleet([site("a"), site("b")], [station("a1", "a"), station("b1", "b")])
        house = House(ready_image(of))
        seen = []

        async def pass_minutes(count: int) -> None:
            for _ in range(count):
                for _ in range(12):
                    await house.beat()
                await house.write()

        for generation in (2, 3):
            house.image.apply(dropped("a1", house.clock.at, generation - 1))
            await pass_minutes(5)
            seen.append("silent:a" in house.image.alarms)
            house.image.apply(connected("a1", house.clock.at, generation))
            house.image.apply(plug("a1", house.clock.at))
            house.image.apply(reading("a1", house.clock.at + seconds(1), power_kw=8.0))
            await pass_minutes(2)
            seen.append("silent:a" in house.image.alarms)
        return seen

    assert asyncio.run(play()) == [True, False, True, False]


def test_the_window_is_longer_than_a_ping_and_its_wait() -> None:
    assert seconds(2 * 20) < WINDOW
