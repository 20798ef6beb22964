"""A flipped sign in translation must make a run fail: the plant judges with a reading of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from revere.app.play import PlayOptions, play
from revere.links.ocpp2 import translate
from revere.links.ocppj import samples
from revere.links.ocppj.setpoints import watts
from tests.trips.rig import Trip, small, take_trip
from tests.trips.test_run_small import DAYS


@dataclass(frozen=True)
class Judged:
    """What the criteria are made of, by the tracker and by the plant alone (kW, relief positive)."""

    asked_kw: float
    delivered_kw: float
    confirmed: int
    expired: int


async def _an_hour_of_event(trip: Trip) -> Judged:
    await trip.until(trip.at(dt.time(17, 0)))
    heart, fleet = trip.house.heart, trip.scenario.fleet
    true_kw = trip.world.judge.relief_kw(trip.at(dt.time(16, 30)), trip.at(dt.time(17, 0)), ("school", "home"))
    enrolled = [s.site_id in ("school", "home") for s in fleet.stations]
    asked_kw = -sum(kw for kw, counts in zip(heart.ticker.last_kw, enrolled, strict=True) if counts)
    figures = heart.tracker.figures
    return Judged(float(asked_kw), float(true_kw.mean()), figures.confirmed, figures.expired)


@pytest.fixture(scope="module")
def right(fresh_dsn: Callable[[], str]) -> Judged:
    """The same hour with the sign as it is."""
    return take_trip(small(), fresh_dsn(), dt.time(15, 30), _an_hour_of_event)


def test_with_the_right_sign_the_hour_delivers_and_commands_are_confirmed(right: Judged) -> None:
    assert right.delivered_kw > 30
    assert right.asked_kw > 30
    assert right.expired < right.confirmed / 10


def test_a_flipped_setpoint_is_never_confirmed_and_does_not_deliver(
    right: Judged, fresh_dsn: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translate, "watts", lambda kw: watts(-kw))
    flipped = take_trip(small(), fresh_dsn(), dt.time(15, 30), _an_hour_of_event)
    assert flipped.delivered_kw < 1 < right.delivered_kw
    assert flipped.confirmed < right.confirmed / 2


def test_under_a_flipped_meter_sign_most_commands_expire(
    fresh_dsn: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = samples._Quantities.power_kw

    def flipped_kw(self: samples._Quantities) -> float | None:
        power_kw = honest(self)
        return None if power_kw is None else -power_kw

    monkeypatch.setattr(samples._Quantities, "power_kw", flipped_kw)
    flipped = take_trip(small(), fresh_dsn(), dt.time(15, 30), _an_hour_of_event)
    assert flipped.expired > flipped.confirmed


def test_a_whole_run_with_a_flipped_setpoint_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate, "watts", lambda kw: watts(-kw))
    shown = play(small(), PlayOptions(days=DAYS))
    assert any(line.startswith("delivered what was promised") for line in shown["failed"])


def test_a_whole_run_with_a_flipped_register_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken is counted as given: the run's own plant denies it."""
    places = samples.IMPORT_REGISTER, samples.EXPORT_REGISTER
    monkeypatch.setattr(samples, "IMPORT_REGISTER", places[1])
    monkeypatch.setattr(samples, "EXPORT_REGISTER", places[0])
    shown = play(small(), PlayOptions(days=DAYS))
    assert any(line.startswith(("registers and plant", "energy balance")) for line in shown["failed"])
