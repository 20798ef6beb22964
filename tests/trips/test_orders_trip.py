"""An operator's orders from the desk to strict stations of every edition, and the first boot of a whole programme."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from revere.control.desk import OrderStation, Receipt
from revere.core import facts as f
from revere.core.ids import StationId
from revere.core.orders import (
    ClearCache,
    Order,
    ReadVariables,
    ResetStation,
    SetAvailability,
    TakeInventory,
    TriggerReport,
    UnlockConnector,
    VariableName,
)
from revere.core.scenario import Scenario
from revere.links.ocppj.door import DoorRules
from tests.trips.rig import Trip, small, take_trip

MORNING = dt.time(11, 0)


def mixed() -> Scenario:
    """The small programme with its buses on 2.0.1; the fire station speaks 1.6, the homes 2.1."""
    return small(edit=lambda text: text.replace('protocol = "ocpp2.1"', 'protocol = "ocpp2.0.1"', 1))


async def ask(trip: Trip, station: str, order: Order) -> Receipt:
    receipt = await trip.house.office.do(OrderStation(station_id=station, order=order, by="ana"))
    assert receipt.accepted, receipt.detail
    return receipt


async def up(trip: Trip) -> None:
    await trip.until_true(lambda: len(trip.house.server.connected()) == len(trip.scenario.fleet.stations), within_s=600)


def test_every_edition_does_what_it_is_told(pg_dsn: str) -> None:
    async def work(trip: Trip) -> None:
        await up(trip)
        await asyncio.sleep(120)
        by_protocol = {s.protocol: s.id for s in trip.scenario.fleet.stations}
        assert set(by_protocol) == {"ocpp1.6", "ocpp2.0.1", "ocpp2.1"}
        for protocol, station in by_protocol.items():
            old = protocol == "ocpp1.6"
            inventory = dict((await ask(trip, station, TakeInventory())).details)
            name = "HeartbeatInterval" if old else "OCPPCommCtrlr.HeartbeatInterval"
            assert 240 <= int(inventory[name]) <= 360, "as its boot was told"
            asked = VariableName(variable="HeartbeatInterval", component="" if old else "OCPPCommCtrlr")
            read = await ask(trip, station, ReadVariables(variables=(asked,)))
            assert read.details == ((name, inventory[name]),)
            await ask(trip, station, ClearCache())
            await ask(trip, station, TriggerReport(report="heartbeat"))
            await ask(trip, station, SetAvailability(operative=False))
            await ask(trip, station, ResetStation(when="now"))
            await asyncio.sleep(15)
            assert station not in trip.house.server.connected()
            await up(trip)
            await asyncio.sleep(60)
            assert trip.house.heart.image.evses[f.evse_asset(station, 1)].status == "unavailable"
            await ask(trip, station, SetAvailability(operative=True))
            await asyncio.sleep(60)
            assert trip.house.heart.image.evses[f.evse_asset(station, 1)].status != "unavailable"
        orders = await trip.facts(f.StationOrdered)
        assert {fact.status for fact in orders} == {"asked", "accepted"}
        assert {fact.by for fact in orders} == {"ana"}
        refused = await trip.house.office.do(
            OrderStation(station_id=by_protocol["ocpp2.1"], order=UnlockConnector(evse_id=2), by="ana")
        )
        assert (refused.accepted, "UnknownConnector" in refused.detail) == (False, True)

    take_trip(mixed(), pg_dsn, MORNING, work)


@pytest.mark.parametrize("inspect_first", [True, False])
def test_a_new_programme_boots_looked_at_or_not(pg_dsn: str, inspect_first: bool) -> None:
    async def work(trip: Trip) -> None:
        await up(trip)
        await asyncio.sleep(120)
        stations = {station.id for station in trip.scenario.fleet.stations}
        held = await trip.facts(f.StationHeld)
        assert {fact.station_id for fact in held} == (stations if inspect_first else set())
        accepted = {fact.station_id: fact.at for fact in reversed(await trip.facts(f.IdentityAccepted))}
        assert set(accepted) == stations
        for fact in held:
            waited_s = (accepted[StationId(fact.station_id)] - fact.at).total_seconds()
            assert waited_s < 30, "its boot was triggered, not waited for"
        provisioned = await trip.facts(f.StationProvisioned)
        assert {fact.station_id for fact in provisioned} == stations
        assert [fact.problems for fact in provisioned if fact.problems] == []

    take_trip(mixed(), pg_dsn, MORNING, work, door=DoorRules(inspect_first=inspect_first))
