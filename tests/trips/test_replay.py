"""One seed replays one run: the same facts in the same order, to the byte."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from revere.core import facts as f
from tests.trips.rig import Trip, small, take_trip

if TYPE_CHECKING:
    from collections.abc import Callable


async def _event_afternoon(trip: Trip) -> tuple[str, int]:
    """From before the event over the outage and its end; returns the journal's hash and its kinds."""
    await trip.until(trip.at(dt.time(17, 25)))
    kinds = {type(fact).__name__ for fact in await trip.facts(f.GridLost, f.GridRestored, f.CommandEnded, f.Nominated)}
    await trip.world.stop()
    assert kinds == {"GridLost", "GridRestored", "CommandEnded", "Nominated"}, "nothing happened that could differ"
    return await trip.house.store.journal_hash(), trip.house.image.facts_seen


def test_the_same_seed_gives_the_same_journal_and_another_seed_another(fresh_dsn: Callable[[], str]) -> None:
    first = take_trip(small(), fresh_dsn(), dt.time(15, 45), _event_afternoon, seed=7)
    again = take_trip(small(), fresh_dsn(), dt.time(15, 45), _event_afternoon, seed=7)
    other = take_trip(small(), fresh_dsn(), dt.time(15, 45), _event_afternoon, seed=8)
    assert again == first
    assert other[0] != first[0]
