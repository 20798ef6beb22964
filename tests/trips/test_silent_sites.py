"""A site whose links die with its grid, and all sites at once: what silence is read as, what the return must prove."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from revere.core import facts as f
from revere.core.ids import SiteId
from revere.core.scenario import Scenario
from tests.trips.rig import Trip, small, take_trip

if TYPE_CHECKING:
    from collections.abc import Callable

FIRE, LEAF = SiteId("fire-station"), "fire-station-cs01"


@pytest.fixture(autouse=True)
def _links_die_with_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revere.twin.world.LINK_LOST_SHARE", 1.0)


def quiet() -> Scenario:
    """The small programme; no link is lost but by an outage."""
    return small(edit=lambda text: text.replace("link_drops_per_station_day = 1.0", "link_drops_per_station_day = 0.0"))


async def _given(trip: Trip) -> list[dt.datetime]:
    """When the leaf was told to give, since the outage began."""
    return [
        fact.at
        for fact in await trip.facts(f.CommandIssued)
        if fact.station_id == LEAF and fact.detail["setpoint_kw"] < 0 and fact.at >= trip.at(dt.time(16, 20))
    ]


async def _gone(trip: Trip) -> None:
    """Until the middle of the outage: suspected, told, not counted on."""
    await trip.until(trip.at(dt.time(16, 40)))
    [suspected] = await trip.facts(f.OutageSuspected)
    assert suspected.site_id == FIRE
    assert suspected.at - trip.at(dt.time(16, 20)) < dt.timedelta(minutes=4)
    assert abs((suspected.ts - trip.at(dt.time(16, 20))).total_seconds()) < 5
    assert "2 links at once, while 3 other sites are well" in trip.house.image.alarms["silent:fire-station"].text
    assert trip.house.image.sites[FIRE].grid != "dead", "nobody has said so"
    snapshot = trip.house.heart.snapshot
    assert snapshot is not None
    assert [slot.free for slot in snapshot.slots if slot.evse.station.site_id == FIRE] == [False, False]


async def _told_late(trip: Trip) -> None:
    trip.world.stations[LEAF].keeps_log = True
    await _gone(trip)
    await trip.until(trip.at(dt.time(17, 40)))
    site = trip.house.image.sites[FIRE]
    [(lost, back)] = site.outages
    assert back is not None
    assert abs((lost - trip.at(dt.time(16, 20))).total_seconds()) < 5
    assert abs((back - trip.at(dt.time(17, 25))).total_seconds()) < 5, "to the closing of its switch"
    assert site.restored_at is not None
    opened, closed = await trip.facts(f.TransferSwitchReported)
    ramps_at = closed.at + dt.timedelta(minutes=5)
    given = await _given(trip)
    assert all(opened.at <= at <= closed.at or at > ramps_at for at in given), "only into its island, or by the ramp"
    assert "silent:fire-station" not in trip.house.image.alarms
    assert trip.world.judge.backfeed_on_dead_grid_s == 0


def test_an_outage_told_late_is_one_and_kept_out_of_settlement(fresh_dsn: Callable[[], str]) -> None:
    take_trip(quiet(), fresh_dsn(), dt.time(15, 30), _told_late)


async def _never_told(trip: Trip) -> None:
    trip.world.stations[LEAF].keeps_log = False
    await _gone(trip)
    took_s = await trip.until_true(lambda: trip.house.image.sites[FIRE].silent_since is None, within_s=4500)
    assert took_s > 2400
    [proven] = await trip.facts(f.GridProven)
    assert proven.why.startswith("its main meter shows ")
    opened, closed = await trip.facts(f.TransferSwitchReported)
    heard = trip.house.image.sites[FIRE].heard_at
    assert heard is not None
    assert trip.at(dt.time(17, 21)) <= heard < opened.at < closed.at < proven.at
    await trip.until(trip.at(dt.time(18, 30)))
    given = await _given(trip)
    assert any(at > proven.at for at in given), "after the proof it takes part again"
    assert all(opened.at <= at <= closed.at or at > proven.at for at in given), "only into its island, or proven"
    assert trip.house.image.sites[FIRE].outages == [], "a suspicion settles nothing"
    assert trip.world.judge.backfeed_on_dead_grid_s == 0


def test_a_suspicion_that_nobody_confirms_is_shown_and_settles_nothing(fresh_dsn: Callable[[], str]) -> None:
    take_trip(quiet(), fresh_dsn(), dt.time(15, 30), _never_told)


async def _our_own_line(trip: Trip) -> None:
    await trip.until(trip.at(dt.time(14, 40)))
    for station in trip.world.stations.values():
        station.line.drop(300.0)
    await trip.until_true(lambda: "uplink" in trip.house.image.alarms, within_s=240)
    assert trip.house.image.alarms["uplink"].text.startswith("4 of 4 sites fell silent at once at 14:40")
    await trip.until_true(lambda: "uplink" not in trip.house.image.alarms, within_s=400)
    # a home's router is off for a minute: a hiccup
    trip.world.stations["home-cs01"].line.drop(60.0)
    await asyncio.sleep(400)
    assert await trip.facts(f.OutageSuspected) == []


def test_our_own_line_down_is_no_outage_of_anybody(fresh_dsn: Callable[[], str]) -> None:
    take_trip(quiet(), fresh_dsn(), dt.time(14, 30), _our_own_line)
