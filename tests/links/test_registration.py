"""Who may work: a station that only reconnects, one that never said who it is, and 1.6 before its acceptance."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ocpp_rig import BOOT, BOOT_16, bench, config, play

from revere.core.facts import AlarmCleared, AlarmRaised, StationBooted, StationHeld, StationProvisioned
from revere.core.ids import StationId
from revere.links.ocppj.door import DoorRules

ST = StationId("ST-1")
INSPECT = DoorRules(inspect_first=True)
HEARD = [("ocpp2.1", BOOT), ("ocpp2.0.1", BOOT), ("ocpp1.6", BOOT_16)]


def boots(protocol: str) -> dict[str, Any]:
    return dict(HEARD)[protocol]


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1", "ocpp1.6"])
def test_a_known_station_that_reconnects_need_not_boot(protocol: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol), rules=INSPECT) as b:
            station = await b.station(protocol=protocol)
            assert (await station.call("Heartbeat", {}))[0] == 3

    play(story)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp1.6"])
def test_an_unknown_station_is_asked_to_boot_and_a_person_hears_where_it_cannot(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revere.links.ocppj.connection.RESUME_AFTER_S", 0.01)

    async def story() -> None:
        async with bench(config(protocol=protocol), first_boot=True) as b:
            station = await b.station(protocol=protocol, reactions={"TriggerMessage": {"status": "Rejected"}})
            assert (await station.call("Heartbeat", {}))[2] == "SecurityError"
            assert await station.until_asked("TriggerMessage") == {"requestedMessage": "BootNotification"}
            await b.sink.until(lambda: bool(b.sink.of(AlarmRaised)))
            assert "start it anew" in b.sink.of(AlarmRaised)[0].text
            assert ST not in b.server.connected()
            assert (await station.call("BootNotification", boots(protocol)))[2]["status"] == "Accepted"
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert [fact.key for fact in b.sink.of(AlarmCleared)] == [b.sink.of(AlarmRaised)[0].key]

    play(story)


def test_a_new_16_charge_point_is_set_and_read_before_it_may_work() -> None:
    async def story() -> None:
        async with bench(config(protocol="ocpp1.6"), rules=INSPECT, first_boot=True) as b:
            station = await b.station(protocol="ocpp1.6")
            assert (await station.call("BootNotification", BOOT_16))[2]["status"] == "Pending"
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
            assert (await station.call("StatusNotification", status))[2] == "SecurityError"
            assert await station.until_asked("TriggerMessage") == {"requestedMessage": "BootNotification"}
            assert {action for action, _ in station.asked} == {
                "ChangeConfiguration",
                "GetConfiguration",
                "TriggerMessage",
            }
            assert (await station.call("BootNotification", BOOT_16))[2]["status"] == "Accepted"
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert (await station.call("StatusNotification", status))[0] == 3
            assert [type(fact) for fact in b.sink.facts if isinstance(fact, StationHeld | StationBooted)] == [
                StationHeld,
                StationBooted,
            ]

    play(story)


def test_what_is_set_in_vain_while_it_waits_is_a_problem_once_it_works() -> None:
    async def story() -> None:
        async with bench(rules=INSPECT, first_boot=True) as b:
            station = await b.station(reactions={"GetBaseReport": {"status": "Rejected"}})
            await station.call("BootNotification", BOOT)
            await station.until_asked("TriggerMessage")
            await asyncio.sleep(0)
            await station.call("BootNotification", BOOT)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            [fact] = b.sink.of(StationProvisioned)
            assert "device model not reported: Rejected" in fact.problems

    play(story)
