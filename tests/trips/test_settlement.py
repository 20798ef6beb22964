"""Settlement where the world is not tidy: values that come after closing, a call that comes twice."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable

import pytest

from revere.core import facts as f
from revere.core.facts import evse_asset
from tests.trips.rig import Trip, small, take_trip

HOME = "home-cs01"


async def _backlog(trip: Trip) -> None:
    """The home's link dies in the event and comes back half an hour after closing, its values kept at the station."""
    await trip.until(trip.at(dt.time(17, 15)))
    trip.world.stations[HOME].line.drop(2.25 * 3600)
    await trip.until(trip.at(dt.time(19, 20)))
    (first,) = await trip.facts(f.EventReported)
    lines = await trip.house.store.ledger()
    assert first.held["home"].startswith("4500 of 10800 asset seconds measured")
    assert {line.entry.site_id for line in lines} == {"fire-station", "school"}
    start, end = trip.at(dt.time(16)), trip.at(dt.time(19))
    true_kw = float(trip.world.judge.relief_kw(start, end, ("school", "fire-station", "home")).mean())
    assert first.performance_kw == pytest.approx(true_kw, rel=0.005), "an offline home falls back and gives no more"

    await trip.until(trip.at(dt.time(20, 0)))
    _, second = await trip.facts(f.EventReported)
    assert second.performance_kw == pytest.approx(true_kw, abs=0.01)
    assert abs(first.performance_kw - true_kw) > 0.1
    assert second.held == {}
    (added,) = (await trip.house.store.ledger())[len(lines) :]
    ((one, two),) = (await trip.house.store.registers_at([evse_asset(HOME, 1)], [start, end], tolerance_s=2.0)).values()
    assert one is not None
    assert two is not None
    assert (added.entry.site_id, added.entry.kind) == ("home", "performance")
    assert added.entry.export_wh == (two.export_wh or 0) - (one.export_wh or 0)
    told = [report["resources"][0]["intervals"] for report in trip.world.utility.reports]
    sums = [sum(interval["payloads"][0]["values"][0] for interval in intervals) / 36 for intervals in told]
    assert sums == pytest.approx([-first.performance_kw, -second.performance_kw], abs=0.05)

    await trip.crash_and_restart()
    await trip.until(trip.at(dt.time(20, 30)))
    assert len(await trip.house.store.ledger()) == len(lines) + 1
    assert len(await trip.facts(f.EventReported)) == 2


def test_values_out_of_a_backlog_are_paid_and_reported_without_another_event(fresh_dsn: Callable[[], str]) -> None:
    take_trip(small(), fresh_dsn(), dt.time(15, 45), _backlog)


async def _twice(trip: Trip) -> None:
    """The utility posts the same hours again under another id, and a third call that it cancels."""
    await trip.until(trip.at(dt.time(15, 50)))
    start, length = trip.at(dt.time(16)), dt.timedelta(hours=3)
    trip.world.utility.call(start, length, name="again")
    third = trip.world.utility.call(start, length, name="a mistake")
    await trip.until(trip.at(dt.time(16, 30)))
    trip.world.utility.cancel(third)
    await trip.until(trip.at(dt.time(19, 20)))
    first, again = await trip.facts(f.EventReported)
    assert (first.grid_event_id, again.grid_event_id) == ("event-1", "event-2")
    assert first.held == {}
    assert first.performance_kw > 20
    assert again.performance_kw == 0
    assert set(again.held) == {"fire-station", "home", "school"}
    assert all("counts for event-1" in reason for reason in again.held.values())
    by_site = defaultdict(set)
    for line in await trip.house.store.ledger():
        by_site[line.entry.site_id].add(line.entry.grid_event_id)
    assert by_site == {"fire-station": {"event-1"}, "home": {"event-1"}, "school": {"event-1"}}
    assert len(trip.world.utility.reports) == 1


def test_a_call_that_comes_twice_is_paid_once(fresh_dsn: Callable[[], str]) -> None:
    take_trip(small(), fresh_dsn(), dt.time(15, 45), _twice)
