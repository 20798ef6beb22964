"""A charger that only its vendor's cloud reaches: not controllable from the start, counted on by nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from revere.core import facts as f
from revere.core.assets import VENDOR_CLOUD
from revere.links.models import our_models
from tests.control.scenes import (
    NOON,
    House,
    called,
    fleet,
    minutes,
    opted,
    plug,
    reading,
    ready_image,
    site,
    station,
    unplug,
)

CHARGERS = (station("cs1", "school"), station("cs2", "other", charger_model=VENDOR_CLOUD))
FLEET = fleet((site("school"), site("other")), CHARGERS)


def test_the_registrys_word_is_a_model_of_ours() -> None:
    assert [model.controllable for model in our_models() if model.name == VENDOR_CLOUD] == [False]


@pytest.mark.parametrize("plugged", [True, False])
def test_no_plan_and_no_nomination_counts_on_it(plugged: bool) -> None:
    async def story() -> tuple[Any, ...]:
        house = House(ready_image(FLEET))
        if not plugged:
            house.image.apply(unplug("cs2", NOON))
        await house.inbox.record([called(start=NOON + minutes(120)), opted()])
        await house.heart.make_plan()
        await house.beat()
        nominated = house.journal.of(f.Nominated)[-1].by_site_kw
        row = next(row for row in house.heart.picture(house.clock.now()).station_rows if row.station_id == "cs2")
        return nominated.get("other", 0.0), nominated["school"], {one.station_id for one in house.link.sent}, row

    other_kw, school_kw, told, row = asyncio.run(story())
    assert (other_kw, school_kw > 20) == (0.0, True)
    assert "cs2" not in told
    assert row.controllable is False


def test_what_its_cloud_tells_of_it_is_kept() -> None:
    house = House(ready_image(FLEET))
    for fact in (plug("cs2", NOON, "s2"), reading("cs2", NOON + minutes(1), power_kw=7.0, soc=0.5)):
        house.image.apply(fact)
    evse = house.image.evses["cs2/1"]
    assert (evse.power_kw, evse.soc, evse.commanded()) == (7.0, 0.5, False)
