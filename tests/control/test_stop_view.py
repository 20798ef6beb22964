"""The account of a stop: who still gives, and how long the last one took by its own meter."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from revere.control.image import Image
from revere.control.publisher import Now, build_view
from revere.control.view import StopView, shown
from revere.core import facts as f
from revere.core.ids import StationId
from revere.web.public import public_view
from tests.control.scenes import (
    NOON,
    House,
    called,
    connected,
    fleet,
    plug,
    reading,
    ready_image,
    seconds,
    station,
    unplug,
    vehicle,
)

ORDER = NOON + seconds(100)
GIVING, REST = -20.0, -0.1


def seen(*readings: tuple[str, float, float], released: bool = False) -> StopView | None:
    """The account after these readings (station, seconds after the order, kW) of two giving stations."""
    image = Image(fleet(stations=(station("cs1", "school"), station("cs2", "school"))))
    for name in ("cs1", "cs2"):
        image.apply(connected(name))
        image.apply(plug(name))
        image.apply(reading(name, ORDER - seconds(5), power_kw=GIVING))
    image.apply(f.DischargeStopped(at=ORDER, by="x", why=""))
    for name, after_s, power_kw in readings:
        image.apply(reading(name, ORDER + seconds(after_s), power_kw=power_kw))
    if released:
        image.apply(f.DischargeReleased(at=ORDER + seconds(30), by="x", why="ok"))
    return build_view(image, now_of(ORDER + seconds(20))).stop


def now_of(now: dt.datetime) -> Now:
    return Now(
        now=now,
        tick=1,
        speed=60.0,
        database_ok=True,
        stale_s=0.0,
        setpoints_kw={},
        reasons={},
        planned_kwh={},
        plan_relief_kw=None,
        relief_mean_kw=None,
        relief_since=None,
    )


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("occupied", ("idle", "no_session", "plugged in, no session")),
        ("available", ("away", "away", "out on its trip")),
    ],
)
def test_a_bus_whose_session_was_stopped_is_not_on_the_road_while_its_cable_is_in(
    status: Any, says: tuple[str, str, str]
) -> None:
    image = ready_image(fleet())
    image.apply(f.StatusReported(at=NOON, station_id=StationId("cs1"), evse_id=1, status=status, ts=NOON))
    image.apply(unplug("cs1", NOON))
    (row,) = build_view(image, now_of(NOON)).readiness
    assert (row.state, row.verdict, row.why) == says


@pytest.mark.parametrize(
    ("readings", "still_giving", "quiet_s"),
    [
        ((), 2, None),
        ((("cs1", 4, REST),), 1, None),
        ((("cs1", 4, REST), ("cs2", 7, REST)), 0, 7.0),
        ((("cs1", 4, REST), ("cs2", 7, 11.0)), 0, 7.0),  # charging is not giving
        ((("cs1", 4, REST), ("cs2", 7, REST), ("cs1", 14, REST)), 0, 7.0),  # later rest changes nothing
        ((("cs1", 4, REST), ("cs2", 7, REST), ("cs1", 14, GIVING)), 1, None),  # one that starts again is told
    ],
)
def test_a_stop_accounts_for_its_last_station(
    readings: tuple[tuple[str, float, float], ...], still_giving: int, quiet_s: float | None
) -> None:
    assert seen(*readings) == StopView(at=ORDER, still_giving=still_giving, quiet_s=quiet_s)


def test_a_release_ends_the_account() -> None:
    assert seen(("cs1", 4, REST), released=True) is None


def test_the_public_picture_tells_its_speed() -> None:
    image = Image(fleet(stations=(station("cs1", "school"),), vehicles=(vehicle("cs1"),)))
    assert public_view(build_view(image, now_of(NOON))).speed == 60.0


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(-0.0, 1, "0.0"), (-0.04, 1, "0.0"), (1967.9999999999973, 1, "1968.0"), (-12.345, 2, "-12.35")],
)
def test_what_people_see_is_rounded_and_never_minus_zero(value: float, digits: int, text: str) -> None:
    assert str(shown(value, digits)) == text


def test_the_public_picture_has_no_figure_of_a_computer() -> None:
    """Powers that add up to noise, as sums of thousands of readings do."""
    image = ready_image(fleet())
    image.evses["cs1/1"].power_kw = -0.1 - 0.2
    image.apply(called())
    view = public_view(House(image).heart.picture(NOON))
    for name in view.__struct_fields__:
        value = getattr(view, name)
        assert not isinstance(value, float) or len(repr(value)) <= 7, name
        assert value != 0 or not str(value).startswith("-"), name
