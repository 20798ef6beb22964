"""Logs and certificates by orders, from the desk to a strict station of each edition and back into the journal."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from revere.control.desk import OrderStation
from revere.core import facts as f
from revere.core.orders import DeleteCertificate, FetchLog, InstallCertificate, ListCertificates, Order
from revere.twin.trust import hashes_of
from tests.trips.rig import FILES, Trip, small, take_trip
from tests.twin.test_trust import pem, root

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.control.desk import Receipt

OLDER = ('model = "RES-60"\nprotocol = "ocpp2.1"', 'model = "RES-60"\nprotocol = "ocpp2.0.1"')


@pytest.mark.parametrize(
    ("protocol", "station_id"),
    [("ocpp2.1", "school-cs01"), ("ocpp2.0.1", "school-cs01"), ("ocpp1.6", "fire-station-cs02")],
)
def test_orders_reach_a_strict_station_and_come_back(
    fresh_dsn: Callable[[], str], protocol: str, station_id: str
) -> None:
    scenario = small(edit=lambda text: text.replace(*OLDER) if protocol == "ocpp2.0.1" else text)
    assert next(s.protocol for s in scenario.fleet.stations if s.id == station_id) == protocol
    found = root()

    async def work(trip: Trip) -> None:
        await trip.until_true(lambda: station_id in trip.house.server.connected(), within_s=300)
        await trip.until(trip.clock.now() + dt.timedelta(minutes=2))

        async def do(order: Order) -> Receipt:
            return await trip.house.office.do(OrderStation(station_id=station_id, order=order, by="op"))

        assert (await do(InstallCertificate(use="manufacturer-root", certificate=pem(found)))).accepted
        listed = await do(ListCertificates())
        assert listed.details == (("manufacturer-root", ":".join(hashes_of(found).values())),)
        assert (await do(DeleteCertificate(certificate=listed.details[0][1]))).accepted
        assert "holds none" in (await do(ListCertificates())).detail
        fetched = await do(FetchLog(location=f"{FILES}/in/", log="security"))
        assert fetched.accepted
        assert not (await do(FetchLog(location="https://evil.example.org/"))).accepted
        await trip.until(trip.clock.now() + dt.timedelta(minutes=2))
        said = await trip.facts(f.LogReported)
        number = int(dict(fetched.details)["request"])
        assert [(fact.status, fact.request_id) for fact in said] == [("Uploading", number), ("Uploaded", number)]

    take_trip(scenario, fresh_dsn(), dt.time(21, 30), work, day=1)
