"""Looking into one station: what is known, what it says now, and no more questions than needed."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from revere.control.office import Office
from revere.core import facts as f
from revere.core.device_model import DeviceVariable
from revere.core.errors import Refused
from revere.core.ids import SessionId, StationId
from tests.control.scenes import NOON, House, fleet, minutes, ready_image, seconds, told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def play(story: Callable[[House, Office], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        house = House(ready_image(fleet()))
        return await story(house, Office(house.heart, house.inbox, asyncio.get_running_loop()))

    return asyncio.run(run())


def test_a_station_is_shown_with_its_link_its_image_and_what_it_was_told() -> None:
    async def story(house: House, office: Office) -> tuple[Any, ...]:
        house.image.apply(told("cs1", -20.0))
        house.image.apply(
            f.OperationModeReported(
                at=NOON,
                ts=NOON,
                station_id=StationId("cs1"),
                evse_id=1,
                session_id=SessionId("s1"),
                mode="central-setpoint",
            )
        )
        return await office.station("cs1"), await office.variables("cs1"), await office.frames("cs1")

    station, variables, frames = play(story)
    assert (station.vendor, station.serial, station.charger_model, station.variables) == ("V", "S", "native-21", 1)
    assert (station.connected_at, station.gives) == (NOON, True)
    assert [row.setpoint_kw for row in station.told] == [-20.0]
    assert (station.operation_mode, station.operation_mode_since) == ("central-setpoint", NOON)
    assert variables == (("EVSE@1.Power", DeviceVariable(value="60000")),)
    assert frames == ()


@pytest.mark.parametrize("what", ["station", "variables", "frames", "schedule"])
def test_an_unknown_station_is_refused_by_name(what: str) -> None:
    async def story(house: House, office: Office) -> None:
        with pytest.raises(Refused, match="no such station"):
            await getattr(office, what)("nowhere")

    play(story)


def test_a_page_that_many_look_at_asks_the_station_once_in_ten_seconds() -> None:
    async def story(house: House, office: Office) -> list[float]:
        seen = []
        for kw, after_s in ((-5.0, 0), (7.0, 6), (9.0, 6)):
            house.clock.at += seconds(after_s)
            house.link.follows["cs1"] = [(house.clock.at, kw), (house.clock.at + minutes(5), 0.0)]
            seen.append((await office.schedule("cs1")).steps[0].kw)
        fallback = (await office.schedule("cs1")).fallback
        assert fallback[0].start == house.clock.at
        assert all(a.kw != b.kw for a, b in itertools.pairwise(fallback))
        return seen

    assert play(story) == [-5.0, -5.0, 9.0]
