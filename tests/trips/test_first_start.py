"""A house that starts for the first time in an event: nothing is given behind an unread meter, and people hear it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from revere.control.view import ConsoleView
from revere.core import facts as f
from tests.trips.rig import Trip, small, take_trip


async def _under_way(trip: Trip) -> None:
    heart = trip.house.heart

    def booted() -> bool:
        return sum(evse.session_id is not None and evse.soc is not None for evse in trip.house.image.evses.values()) > 1

    await trip.until_true(booted, within_s=120)
    view = heart.picture(trip.clock.now())
    assert view.available_discharge_kw == 0
    (waiting,) = [one for one in view.held_back if one.reason == "unmetered"]
    assert waiting.words.startswith("waiting for the building's meter at ")
    assert [site.load_known for site in view.sites] == [False] * len(view.sites)

    await trip.until_true(lambda: view_now(trip).available_discharge_kw > 0, within_s=700)
    known_at = trip.clock.now()
    giving_s = await trip.until_true(lambda: view_now(trip).power_kw < -20, within_s=90)
    plans = [fact.at for fact in await trip.facts(f.PlanMade) if fact.at >= known_at - dt.timedelta(seconds=10)]
    assert plans, "a load that becomes known calls for a plan"
    assert giving_s <= 60, "within a minute of the meter, not with the next five-minute plan"
    told = [fact for fact in await trip.facts(f.AlarmRaised) if fact.key.startswith("promise:")]
    assert {fact.text.partition(";")[0] for fact in told} == {
        "Promised nothing for 16:00 to 19:00 (it was under way before it could be planned)"
    }
    assert any("waiting for the building's meter" in fact.text for fact in told)
    assert len(told) == 1, "a promise of nothing is one story, whatever holds it back meanwhile"


def view_now(trip: Trip) -> ConsoleView:
    """The page's picture now."""
    return trip.house.heart.picture(trip.clock.now())


def test_a_first_start_in_an_event_says_what_it_waits_for_and_gives_as_soon_as_it_may(
    fresh_dsn: Callable[[], str],
) -> None:
    take_trip(small(), fresh_dsn(), dt.time(16, 31), _under_way)
