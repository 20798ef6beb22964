"""Modes, priority, controls, others' limits: from the desk over real frames to the plant's meter."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from revere.control.desk import OrderStation, Receipt, StopDischarge
from revere.core import der
from revere.core import facts as f
from revere.core.errors import Refused
from revere.core.orders import Order
from revere.core.v2x_orders import (
    ClearDerControls,
    FrequencyPoint,
    ListChargingProfiles,
    ListDerControls,
    SendFrequencySignal,
    SetDerControl,
    SetOperationMode,
    SignalPoint,
    UsePriority,
)
from revere.twin.station21 import Station21
from tests.links.v2x_orders import FRAMES
from tests.trips.rig import Trip, small, take_trip

MORNING = dt.time(10, 30)


class Bus:
    """One two-way station of the school, plugged in."""

    def __init__(self, trip: Trip) -> None:
        self.trip = trip
        self.evse = trip.house.heart.image.evses[f.evse_asset("school-cs01", 1)]
        assert self.evse.session_id is not None
        station = trip.world.stations[self.evse.station.id]
        assert isinstance(station, Station21)
        self.station = station

    def kw(self) -> float:
        """By its own meter in the plant."""
        return self.station.read().power_kw

    async def ask(self, order: Order) -> Receipt:
        request = OrderStation(station_id=self.evse.station.id, order=order, by="ana")
        receipt = await self.trip.house.office.do(request)
        assert receipt.accepted, receipt.detail
        return receipt


async def ready(trip: Trip) -> Bus:
    await trip.until_true(lambda: len(trip.house.server.connected()) == len(trip.scenario.fleet.stations), within_s=600)
    await asyncio.sleep(300)
    return Bus(trip)


def curves(kw: float) -> dict[str, Any]:
    return {
        "baseline_kw": -2.0,
        "frequency_curve": (FrequencyPoint(hz=59.8, kw=-kw), FrequencyPoint(hz=60.2, kw=kw)),
        "signal_curve": (SignalPoint(signal=-10, kw=-kw), SignalPoint(signal=10, kw=kw)),
    }


def test_a_mode_follows_its_signal_until_one_person_stops_it(pg_dsn: str) -> None:
    """At 60 Hz: baseline and signal add up; the stop reaches the meter within ten seconds."""

    async def work(trip: Trip) -> None:
        bus = await ready(trip)
        until = trip.clock.now() + dt.timedelta(minutes=30)
        await bus.ask(SetOperationMode(mode="local-frequency", until=until, **curves(4.0)))
        await asyncio.sleep(20)
        assert bus.kw() == pytest.approx(-2.0, abs=0.1)
        await bus.ask(SendFrequencySignal(signal=-5))
        await asyncio.sleep(20)
        assert bus.kw() == pytest.approx(-4.0, abs=0.1)
        assert bus.evse.mode is not None
        profiles = dict((await bus.ask(ListChargingProfiles())).details)
        assert profiles["201"].startswith("TxProfile Absolute, level 11, at EVSE 1 by CSO until")
        await trip.house.office.do(StopDischarge(by="ana"))
        took_s = await trip.until_true(lambda: bus.kw() >= -0.1, within_s=15)
        assert took_s <= 10
        await asyncio.sleep(10)
        assert bus.evse.mode is None
        ended = [one for one in await trip.facts(f.StationOrdered) if one.by == "control"]
        assert {(one.kind, one.status) for one in ended} == {("end-operation-mode", "accepted")}
        with pytest.raises(Refused, match="discharge is stopped"):
            await bus.ask(SetOperationMode(mode="local-frequency", until=until, **curves(4.0)))

    take_trip(small(), pg_dsn, MORNING, work)


def test_a_mode_ends_at_its_time_and_our_setpoints_are_followed_again(pg_dsn: str) -> None:
    async def work(trip: Trip) -> None:
        bus = await ready(trip)
        until = trip.clock.now() + dt.timedelta(minutes=5)
        await bus.ask(SetOperationMode(mode="central-frequency", until=until, setpoint_kw=-3.0))
        await asyncio.sleep(20)
        assert bus.kw() == pytest.approx(-3.0, abs=0.1)
        await bus.ask(SetOperationMode(mode="central-frequency", until=until, setpoint_kw=-1.5))
        await asyncio.sleep(20)
        assert bus.kw() == pytest.approx(-1.5, abs=0.1)
        await trip.until(until + dt.timedelta(seconds=30))
        assert bus.evse.mode is None
        assert bus.evse.commanded()
        assert bus.kw() > -0.1
        assert len(await trip.facts(f.OperationModeEnded)) == 1

    take_trip(small(), pg_dsn, MORNING, work)


def test_priority_and_a_limit_from_outside(pg_dsn: str) -> None:
    async def work(trip: Trip) -> None:
        bus = await ready(trip)
        await bus.ask(UsePriority(active=True, charge_limit_kw=5.0))
        await asyncio.sleep(20)
        assert bus.kw() == pytest.approx(5.0, abs=0.2)
        assert not bus.evse.commanded()
        bus.station.v2x.press_priority(active=False)
        await asyncio.sleep(20)
        assert bus.evse.commanded()
        bus.station.v2x.limit_from_outside(3_000.0, -2_000.0)
        await asyncio.sleep(10)
        assert bus.evse.external.held_kw(trip.clock.now()) == (3.0, 2.0)
        with pytest.raises(Refused, match="more than the vehicle may give"):
            await bus.ask(
                SetOperationMode(
                    mode="central-frequency", until=trip.clock.now() + dt.timedelta(minutes=5), setpoint_kw=-4.0
                )
            )
        bus.station.v2x.lift_from_outside()
        await asyncio.sleep(10)
        assert bus.evse.external.sources(trip.clock.now()) == ()

    take_trip(small(), pg_dsn, MORNING, work)


def test_every_control_is_set_listed_and_cleared(pg_dsn: str) -> None:
    """What a strict station keeps is what was ordered, by a reading of its own and back by ours."""

    async def work(trip: Trip) -> None:
        bus = await ready(trip)
        for kind, _, control, _ in FRAMES:
            await bus.ask(SetDerControl(control_id=kind, control=control))
        listed = dict((await bus.ask(ListDerControls(default=True))).details)
        assert sorted(listed) == sorted(kind for kind, *_ in FRAMES)
        assert all(line.startswith(f"{der.type_of(control)}, default: ") for kind, _, control, _ in FRAMES
                   for line in [listed[kind]])  # fmt: skip
        droop = der.FreqDroop(priority=0, over_hz=60.1, under_hz=59.9, over_droop=0.1, under_droop=0.1, response_s=1.0)
        starts = trip.clock.now() + dt.timedelta(minutes=2)
        receipt = await bus.ask(SetDerControl(control_id="first", control=droop))
        assert receipt.details == (("superseded", "FreqDroop"),)
        await bus.ask(SetDerControl(control_id="soon", control=droop, starts=starts, lasts_s=60.0))
        await asyncio.sleep(300)
        told = [(one.control_id, one.started) for one in await trip.facts(f.DerControlReported)]
        assert told == [("soon", True), ("soon", False)]
        await bus.ask(ClearDerControls(default=True))
        assert (await bus.ask(ListDerControls())).details == ()

    take_trip(small(), pg_dsn, MORNING, work)
