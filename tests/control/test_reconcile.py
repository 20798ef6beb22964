"""What a station follows against what it was told: who is wrong is corrected, told of, and read again."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from typing import Any

import pytest
from msgspec import structs

from revere.control.image import Image
from revere.control.reconcile import READ_AGAIN, READ_AGAIN_MAX, READS_PER_TICK, Reconciler
from revere.core import facts as f
from revere.core.ids import StationId
from tests.control.scenes import (
    NOON,
    House,
    connected,
    dropped,
    ended,
    fleet,
    follows,
    minutes,
    plug,
    reading,
    ready_image,
    seconds,
    station,
    told,
    unplug,
)

FALLBACK_KW = 12.0
V2G, AC = "cs1", "ac"
EARLIER = NOON - minutes(30)


def scene(*facts: f.Fact, at: dt.datetime = EARLIER) -> tuple[Image, Reconciler]:
    """A V2G and an AC station, both plugged, read before; then ``facts``."""
    image = ready_image(
        fleet(stations=[station(V2G, "school"), station(AC, "school", protocol="ocpp1.6", discharge_kw=0.0)]), at
    )
    for fact in (follows(V2G, FALLBACK_KW, at=at), follows(AC, FALLBACK_KW, at=at), *facts):
        image.apply(fact)
    return image, Reconciler(image, lambda _station, _at: FALLBACK_KW)


def away(station_id: str, spell_s: float) -> tuple[f.Fact, f.Fact]:
    """It was out of reach for so long and is back at noon."""
    return dropped(station_id, NOON - seconds(spell_s)), connected(station_id, NOON, 2)


GAVE = told(V2G, -60.0, NOON - minutes(10))
LIMITED = told(AC, 30.0, NOON - minutes(10))


@pytest.mark.parametrize(
    ("facts", "read", "wrong"),
    [
        # 2.1: a setpoint outlives the link by its lease of 5 min
        ([GAVE, *away(V2G, 60)], follows(V2G, -60.0), None),
        ([GAVE, *away(V2G, 60)], follows(V2G, -59.5), None),
        ([GAVE, *away(V2G, 60)], follows(V2G, FALLBACK_KW), "told"),
        ([GAVE, *away(V2G, 300)], follows(V2G, FALLBACK_KW), None),
        ([GAVE, *away(V2G, 300)], follows(V2G, -60.0), None),
        ([GAVE, *away(V2G, 600)], follows(V2G, FALLBACK_KW), None),
        ([GAVE, *away(V2G, 600)], follows(V2G, -60.0), "fallback"),  # gives long after its lease
        ([*away(V2G, 600), told(V2G, -60.0, NOON + seconds(5))], follows(V2G, -60.0, at=NOON + minutes(1)), None),
        # the last word counts, the one before only until the last is met
        ([GAVE, told(V2G, 0.0, NOON - minutes(3), 2), *away(V2G, 60)], follows(V2G, -60.0), None),
        (
            [GAVE, told(V2G, 0.0, NOON - minutes(3), 2), ended("confirmed", NOON, 2), *away(V2G, 60)],
            follows(V2G, -60.0),
            "told",
        ),
        (
            [GAVE, told(V2G, 0.0, NOON - minutes(3), 2), ended("rejected", NOON, 2), *away(V2G, 60)],
            follows(V2G, 0.0),
            "told",
        ),
        *(
            (
                [GAVE, told(V2G, 0.0, NOON - minutes(3), 2), ended("rejected", NOON, 2, why), *away(V2G, 60)],
                follows(V2G, 0.0),
                wrong,
            )
            for why, wrong in (
                ("timeout: no answer in 5 s", None),  # it may have heard it
                ("offline: connection closed", None),
                ("offline: station is not connected", "told"),
            )
        ),
        ([GAVE, ended("confirmed"), *away(V2G, 60)], follows(V2G, -60.0), None),
        # nothing told, or another session: the fallback
        ([*away(V2G, 60)], follows(V2G, FALLBACK_KW), None),
        ([*away(V2G, 60)], follows(V2G, 60.0), "fallback"),
        ([GAVE, unplug(V2G, NOON), *away(V2G, 60)], follows(V2G, -60.0), "fallback"),
        ([GAVE, unplug(V2G, NOON), plug(V2G, NOON, "s2"), *away(V2G, 60)], follows(V2G, FALLBACK_KW), None),
        # 1.6: a limit holds for 15 min, then the fallback, which shows below it
        ([LIMITED], follows(AC, 30.0, FALLBACK_KW), None),
        ([LIMITED], follows(AC, FALLBACK_KW, FALLBACK_KW), "told"),
        ([LIMITED], follows(AC, 30.0, 60.0), "fallback"),
        ([told(AC, 30.0, NOON - minutes(20))], follows(AC, FALLBACK_KW), None),
        ([told(AC, 30.0, NOON - minutes(20))], follows(AC, 30.0), "fallback"),
        ([told(AC, -5.0, NOON - minutes(1))], follows(AC, 0.0, FALLBACK_KW), None),
    ],
)
def test_a_station_may_follow_its_last_setpoint_within_the_lease_and_its_fallback_after_it(
    facts: list[f.Fact], read: f.ScheduleRead, wrong: str | None
) -> None:
    image, reconciler = scene(*facts)
    image.apply(read)
    found = reconciler.compare(read)
    assert (None if found is None else "fallback" if found.fallback else "told") == wrong
    assert bool(reconciler.wrong) is (wrong is not None)
    if found is not None:
        assert found.severity == ("critical" if read.steps[0][1] < 0 else "warning")
        assert found.tell


@pytest.mark.parametrize(
    ("told_kw", "before_min", "read_kw", "wrong"),
    [
        (-60.0, 1, -60.0, False),
        (-60.0, 10, -60.0, True),  # a discharge is leased for no more than 5 min
        (-60.0, 10, FALLBACK_KW, False),
        (30.0, 10, 30.0, False),
        (30.0, 20, 30.0, True),
    ],
)
def test_a_201_station_follows_its_lease_whether_it_was_away_or_not(
    told_kw: float, before_min: float, read_kw: float, wrong: bool
) -> None:
    image = ready_image(fleet(stations=[station(V2G, "school", protocol="ocpp2.0.1")]), EARLIER)
    reconciler = Reconciler(image, lambda _station, _at: FALLBACK_KW)
    read = follows(V2G, read_kw, FALLBACK_KW)
    for fact in (follows(V2G, FALLBACK_KW, at=EARLIER), told(V2G, told_kw, NOON - minutes(before_min)), read):
        image.apply(fact)
    assert (reconciler.compare(read) is not None) is wrong


def test_a_new_station_has_no_fallback_yet_and_nobody_is_told() -> None:
    image = Image(fleet())
    reconciler = Reconciler(image, lambda _station, _at: FALLBACK_KW)
    told_of = []
    for _ in range(2):
        image.apply(connected(V2G))
        image.apply(follows(V2G, 60.0))
        found = reconciler.compare(follows(V2G, 60.0))
        assert found is not None
        told_of.append(found.tell)
    assert told_of == [False, True], "that it still has none after we put one in is news"


def test_a_limit_above_the_nameplate_and_a_change_of_hour_are_no_difference() -> None:
    image, _ = scene()
    hours = Reconciler(image, lambda _station, at: 20.0 if at < NOON else 10.0)
    for kw, wrong in ((20.0, False), (10.0, False), (15.0, True)):
        assert (hours.compare(follows(V2G, kw, at=NOON + seconds(60))) is not None) is wrong
    unlimited = Reconciler(image, lambda _station, _at: 60.0)
    assert unlimited.compare(follows(V2G, 200.0)) is None


def test_who_is_wrong_comes_first_and_is_read_again_with_growing_pauses() -> None:
    names = [f"w{i}" for i in range(READS_PER_TICK + 2)]
    image = ready_image(fleet(stations=[station(name, "school") for name in names]))
    reconciler = Reconciler(image, lambda _station, _at: FALLBACK_KW)
    for name in names[1:]:
        reconciler.compare(follows(name, 60.0))
    order = reconciler.first([f"{name}/1" for name in names])
    assert list(order) == [1, 2, 3, 4, 5, 0]
    now, asked = NOON, []
    while now < NOON + minutes(240):
        due = reconciler.due(now)
        assert len(due) <= READS_PER_TICK
        asked += [now for name in due if name == "w1"]
        now += seconds(5)
    gaps = [b - a for a, b in itertools.pairwise([NOON, *asked])]
    assert gaps[0] == READ_AGAIN
    assert gaps[:5] == sorted(set(gaps[:5]))
    assert READ_AGAIN_MAX <= gaps[-1] <= READ_AGAIN_MAX + seconds(5)
    assert reconciler.compare(follows("w1", FALLBACK_KW)) is None
    assert "w1/1" not in reconciler.wrong


def test_a_session_stamped_by_a_fast_clock_still_knows_its_first_setpoint() -> None:
    """The session's own stamp lies after the setpoint that was given in it; ours does not."""
    image = Image(fleet())
    start = plug(V2G, NOON + seconds(2))
    for fact in (
        connected(V2G, NOON - minutes(1)),
        structs.replace(start, at=NOON),
        told(V2G, -9.0, NOON + seconds(1)),
    ):
        image.apply(fact)
    assert [kw for _, kw in image.evses["cs1/1"].told] == [-9.0]
    image.apply(told(V2G, 5.0, NOON - minutes(2), 2))  # of an earlier session, as a restart may fold it
    assert [kw for _, kw in image.evses["cs1/1"].told] == [-9.0]


# ---- in the heart ---------------------------------------------------------------------------------


async def _alarms(house: House) -> list[str]:
    await house.write()
    return [key for key in sorted(house.image.alarms) if key.startswith("schedule:")]


def test_a_difference_is_told_corrected_and_ends_with_the_next_reading() -> None:
    async def play() -> list[Any]:
        house = House(ready_image(fleet()))
        await house.inbox.record([follows(V2G, house.heart.ticker.fallback_kw(StationId(V2G), NOON))])
        await house.beat()
        await house.write()
        sent = len(house.link.sent)
        house.image.apply(dropped(V2G, house.clock.at))
        await house.inbox.record([connected(V2G, house.clock.at, 2), follows(V2G, -60.0, at=house.clock.at)])
        seen: list[Any] = [await _alarms(house)]
        alarm = house.image.alarms["schedule:cs1"]
        await house.beat()
        seen += [len(house.link.sent) - sent, alarm.severity]
        house.link.follows[V2G] = [(house.clock.at, house.link.sent[-1].setpoint_kw)]
        await house.beat(READ_AGAIN.total_seconds())
        await house.write()
        seen += [await _alarms(house), len(house.heart.reconciler.wrong), house.link.restored]
        return seen

    assert asyncio.run(play()) == [["schedule:cs1"], 1, "critical", [], 0, []]


def test_a_lost_fallback_is_put_back_and_a_station_that_does_not_say_is_asked_again() -> None:
    async def play() -> list[Any]:
        image = ready_image(fleet())
        image.apply(unplug(V2G, NOON))
        house = House(image)
        fallback_kw = house.heart.ticker.fallback_kw(StationId(V2G), NOON)
        await house.inbox.record([follows(V2G, fallback_kw), follows(V2G, 60.0)])
        await house.beat()
        await house.beat(READ_AGAIN.total_seconds())  # it does not answer
        raised = await _alarms(house)
        house.link.follows[V2G] = [(house.clock.at, fallback_kw)]
        await house.beat(2 * READ_AGAIN.total_seconds())
        await house.write()
        return [house.link.restored, raised, await _alarms(house)]

    assert asyncio.run(play()) == [[V2G], ["schedule:cs1"], []]


def test_it_is_known_after_a_restart_what_was_told() -> None:
    """A fresh image folds the journal's commands of the running session, and knows since when nothing was heard."""
    image = Image(fleet())
    for fact in (plug(V2G, NOON - minutes(60)), GAVE, reading(V2G, NOON - seconds(50)), connected(V2G, NOON, 9)):
        image.apply(fact)
    evse = image.evses["cs1/1"]
    assert (evse.told, evse.silent) == (((GAVE.at, -60.0),), seconds(50))
    reconciler = Reconciler(image, lambda _station, _at: FALLBACK_KW)
    assert reconciler.compare(follows(V2G, -60.0)) is None
    assert reconciler.compare(follows(V2G, 0.0)) is not None
