"""The mean relief on the screen: the event's, or marked with the moment from which a restarted server has taken it."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from revere.web.public import public_view
from tests.control.scenes import NOON, House, called, fleet, minutes, opted, ready_image, seconds


@pytest.mark.parametrize(("up_after_s", "since"), [(0, None), (30, None), (3600, NOON + seconds(3605))])
def test_a_mean_that_misses_the_beginning_says_since_when_it_is_taken(
    up_after_s: int, since: dt.datetime | None
) -> None:
    async def story() -> None:
        image = ready_image(fleet())
        for fact in (called(start=NOON), opted()):
            image.apply(fact)
        house = House(image, NOON + seconds(up_after_s))
        await house.heart.make_plan()
        for _ in range(3):
            await house.beat()
        view = house.heart.picture(house.clock.now())
        assert view.event is not None
        assert view.event.relief_mean_kw is not None
        assert view.event.relief_mean_since == public_view(view).relief_mean_since == since
        image.events[next(iter(image.events))].performance_kw = 40.0
        measured = house.heart.picture(NOON + minutes(190)).event
        assert measured is None or measured.relief_mean_since is None, "registers know the whole event"

    asyncio.run(story())
