"""Which charger answers: learned at the first boot, believed after it, never commanded when it is another one."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from ocpp_rig import PASSWORD, Bench, MemorySink, StoppedClock, play

from revere.control.building import fallback_profiles
from revere.control.desk import AcceptCharger
from revere.control.directory import Directory, secret_mac
from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.control.office import Office
from revere.core import facts as f
from revere.core.assets import StationIdentity
from revere.core.commands import SetpointCommand
from revere.core.errors import Refused
from revere.core.ids import CommandId, SessionId, StationId
from revere.links.ocppj.server import OcppServer
from tests.control.scenes import FakeJournal, House, fleet, station

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ST = StationId("ST-1")
KEY = b"k" * 32
ONE = {"model": "V2G-60", "vendorName": "Acme", "serialNumber": "A1"}
OTHER = {"model": "V2G-60", "vendorName": "Acme", "serialNumber": "B2"}


def identity(vendor: str = "Acme", model: str = "V2G-60", serial: str = "") -> StationIdentity:
    return StationIdentity(vendor=vendor, model=model, serial=serial)


@pytest.mark.parametrize(
    ("known", "said", "same"),
    [
        (identity(serial="A1"), identity(serial="A1"), True),
        (identity(serial="A1"), identity(serial="a1"), False),
        (identity(serial="A1"), identity("ACME", "another", "A1"), True),  # a firmware may rename the model
        (identity(serial="A1"), identity(), True),  # says no serial: vendor and model must do
        (identity(serial="A1"), identity(model="Other"), False),
        (identity(), identity("acme", "v2g-60", "A1"), True),
        (identity(serial="S" * 30), identity(serial="S" * 25), True),  # 1.6 carries 25 characters
        (identity(serial="S" * 30), identity(serial="S" * 24), False),
    ],
)
def test_a_charger_is_known_by_its_serial_number_where_both_have_one(
    known: StationIdentity, said: StationIdentity, same: bool
) -> None:
    assert known.same_as(said) is same


class Site:
    """The real directory, image and inbox behind the server; the journal is in memory."""

    def __init__(self, journal: FakeJournal, serial: str = "", protocol: str = "ocpp2.1") -> None:
        of = fleet(stations=[station(ST, "school", serial=serial, protocol=protocol)])
        self.journal = journal
        self.image = Image(of)
        for fact in journal.facts:
            self.image.apply(fact)
        self.inbox = Inbox(journal, self.image)
        profiles, _short = fallback_profiles(of)
        directory = Directory(of, KEY, {ST: secret_mac(KEY, ST, PASSWORD)}, profiles, self.image)
        self.server = OcppServer(self.inbox, directory, StoppedClock(), ping_interval_s=None)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Bench]:
        port = await self.server.serve("127.0.0.1", 0)
        try:
            yield Bench(self.server, MemorySink(), port, StoppedClock())
        finally:
            await self.server.close()

    async def accept(self, serial: str) -> str:
        house = House(self.image)
        office = Office(house.heart, self.inbox, asyncio.get_running_loop())
        return (await office.do(AcceptCharger(station_id=ST, serial=serial, by="an operator"))).detail

    @property
    def alarm(self) -> str:
        raised = self.image.alarms.get("identity:ST-1")
        return raised.text if raised else ""


def boot(protocol: str, who: dict[str, str]) -> dict[str, Any]:
    if protocol == "ocpp2.1":
        return {"reason": "PowerUp", "chargingStation": who}
    return {
        "chargePointVendor": who["vendorName"],
        "chargePointModel": who["model"],
        **({"chargePointSerialNumber": who["serialNumber"]} if "serialNumber" in who else {}),
    }


WISH = SetpointCommand(
    command_id=CommandId("c"),
    station_id=ST,
    evse_id=1,
    session_id=SessionId("ST-1:7"),
    setpoint_kw=5.0,
    charge_limit_kw=60.0,
    discharge_limit_kw=60.0,
)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp1.6"])
def test_an_exchanged_charger_charges_by_its_fallback_and_is_not_commanded_until_a_person_accepts_it(
    protocol: str,
) -> None:
    async def story() -> None:
        journal = FakeJournal()
        first = Site(journal, protocol=protocol)
        async with first.open() as b:
            one = await b.station("ST-1", protocol)
            await one.call("BootNotification", boot(protocol, ONE))
            [learned] = journal.of(f.IdentityAccepted)
            assert (learned.serial, learned.by) == ("A1", "first boot")
            assert (await b.server.set_power(WISH)).status == "accepted"
            await one.close()
            b.server._memories[StationId("ST-1")].rates_kept_s -= 61.0  # nobody exchanges a charger within a minute
            other = await b.station("ST-1", protocol)
            answer = await other.call("BootNotification", boot(protocol, OTHER))
            assert answer[2]["status"] == "Accepted"
            assert "Acme V2G-60, serial B2; known was Acme V2G-60, serial A1" in first.alarm
            assert first.alarm.endswith("revere station accept ST-1 B2")
            profile = str(await other.until_asked("SetChargingProfile"))
            assert "TxDefaultProfile" in profile, "its fallback lies in it"
            refused = await b.server.set_power(WISH)
            assert (refused.status, refused.why) == ("rejected", "another charger answers: Acme V2G-60, serial B2")
            assert (await b.server.remote_start(ST, 1, "EV-ST-1")).status == "rejected"
            await other.call("BootNotification", boot(protocol, OTHER))
            assert len(journal.of(f.IdentityRefused)) == 1, "told once"
        again = Site(journal, protocol=protocol)  # a restart of ours remembers
        evse = again.image.evses["ST-1/1"]
        evse.online = True
        assert not evse.commanded()
        with pytest.raises(Refused, match="another charger answers there"):
            await again.accept("B3")
        assert await again.accept("B2") == "ST-1: Acme V2G-60, serial B2, is commanded from now on."
        assert evse.commanded()
        assert again.alarm == ""

    play(story)


def test_the_right_charger_that_is_back_needs_nobody() -> None:
    async def story() -> None:
        site = Site(FakeJournal(), serial="A1")
        async with site.open() as b:
            socket = await b.station()
            await socket.call("BootNotification", boot("ocpp2.1", OTHER))
            assert site.image.evses["ST-1/1"].stranger is not None
            await socket.call("BootNotification", boot("ocpp2.1", ONE))
            assert site.image.evses["ST-1/1"].commanded()
            assert site.alarm == ""

    play(story)


def test_a_charger_that_is_announced_is_itself_at_its_first_boot() -> None:
    async def story() -> None:
        site = Site(FakeJournal(), serial="A1")
        assert await site.accept(" B2 ") == "ST-1: V M, serial B2, is expected at its next start."
        async with site.open() as b:
            socket = await b.station()
            await socket.call("BootNotification", boot("ocpp2.1", OTHER))
            assert site.image.evses["ST-1/1"].commanded()

    play(story)


def test_what_another_charger_meters_is_seen_and_kept_out_of_settlement() -> None:
    async def story() -> None:
        site = Site(FakeJournal(), serial="A1")
        async with site.open() as b:
            socket = await b.station()
            await socket.call("BootNotification", boot("ocpp2.1", OTHER))
            for kw in (7.0, 4000.0):
                await socket.call(
                    "MeterValues",
                    {
                        "evseId": 1,
                        "meterValue": [
                            {
                                "timestamp": "2026-07-16T19:30:00Z",
                                "sampledValue": [
                                    {"value": kw * 1000, "measurand": "Power.Active.Import", "location": "Inlet"},
                                    {"value": 5, "measurand": "Energy.Active.Import.Register", "location": "Inlet"},
                                ],
                            }
                        ],
                    },
                )
            read = site.journal.of(f.MeterReading)
            assert {reading.quarantined for reading in read if reading.import_wh is not None} == {f.OTHER_CHARGER}
            assert site.image.evses["ST-1/1"].power_kw == 7.0, "what flows now flows; what cannot be is not believed"
            assert site.image.evses["ST-1/1"].power_at == dt.datetime(2026, 7, 16, 19, 30, tzinfo=dt.UTC)

    play(story)
