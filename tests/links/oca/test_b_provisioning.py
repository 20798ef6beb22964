"""Block B of the Open Charge Alliance's list: boot, variables, reports, resets, network profiles."""

from __future__ import annotations

from typing import Any

import pytest
from cases import case
from ocpp_rig import play
from station import ST, STAMP, TOKEN, Scene, event, notified, reconnect, scene, status

from revere.core.facts import AlarmCleared, AlarmRaised, StationBooted, StationHeld, StationProvisioned
from revere.core.orders import (
    Order,
    ReadVariables,
    ResetStation,
    SetNetworkProfile,
    TakeInventory,
    VariableName,
    VariableSetting,
    WriteVariables,
)
from revere.links.models import ChargerModel, our_models

OFFLINE = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}
REMOTE = {"component": {"name": "AuthCtrlr"}, "variable": {"name": "AuthorizeRemoteStart"}}
RESET_DONE = {"status": "Accepted"}
SCHEDULED = {"status": "Scheduled"}


async def back_up(s: Scene, reason: str, word: str = "Available") -> None:
    """It boots again, is accepted, and tells its connectors."""
    boots = len(s.b.sink.of(StationBooted))
    assert (await s.boot(reason))["status"] == "Accepted"
    await s.tells(word)
    assert [fact.reason for fact in s.b.sink.of(StationBooted)][boots:] == [reason]
    assert ST in s.b.server.connected()


@case("TC_B_01_CSMS", steps="1-2 boot at power-up answered Accepted; 3-4 status of both connectors answered")
def test_tc_b_01() -> None:
    async def story() -> None:
        async with scene(booted=False) as s:
            answer = await s.boot()
            assert answer["status"] == "Accepted"
            assert answer["interval"] > 0
            for evse_id in (1, 2):
                await s.tells("Available", evse_id)
            assert s.statuses() == {1: "available", 2: "available"}

    play(story)


@case(
    "TC_B_02_CSMS",
    steps="1-2 first boot answered Pending with an interval, settings and inventory asked meanwhile; 3-4 the next boot "
    "after it Accepted; 5-6 status answered",
)
def test_tc_b_02() -> None:
    async def story() -> None:
        async with scene(booted=False, first_boot=True) as s:
            s.station.reactions["TriggerMessage"] = {"status": "NotImplemented"}
            answer = await s.boot()
            assert (answer["status"], answer["interval"]) == ("Pending", 60)
            await s.station.until_asked("TriggerMessage")
            assert {action for action, _ in s.station.asked} == {
                "SetVariables",
                "GetVariables",
                "GetBaseReport",
                "TriggerMessage",
            }
            assert [fact.standing for fact in s.b.sink.of(StationHeld)] == ["Pending"]
            assert s.b.sink.of(StationBooted) == []
            assert ST not in s.b.server.connected()
            await back_up(s, "PowerUp")
            await s.station.until_asked("SetChargingProfile")

    play(story)


@case(
    "TC_B_30_CSMS",
    steps="1-2 first boot answered Pending; 3-4 status in both of the standard's ways answered with SecurityError and "
    "not recorded; the same after a Rejected boot and before any boot",
)
@pytest.mark.parametrize("standing", ["Pending", "Rejected", None])
def test_tc_b_30(standing: str | None) -> None:
    async def story() -> None:
        models = (*our_models(), refusing()) if standing == "Rejected" else None
        async with scene(booted=False, first_boot=True, models=models) as s:
            if standing is not None:
                assert (await s.boot())["status"] == standing
            before = len(s.b.sink.facts)
            connector = {"name": "Connector", "evse": {"id": 1, "connectorId": 1}}
            for action, payload in (
                ("StatusNotification", status()),
                ("NotifyEvent", notified(connector, "AvailabilityState", "Available")),
                ("Heartbeat", {}),
                ("Authorize", {"idToken": TOKEN}),
                ("TransactionEvent", event("Started", 0)),
            ):
                assert await s.refused(action, payload) == "SecurityError"
            assert len(s.b.sink.facts) == before
            assert s.b.server.counters.unadmitted == 5
            assert (await s.order(ResetStation())).status == "offline"

    play(story)


@case(
    "TC_B_31_CSMS",
    steps="1-2 first boot answered Pending; 3-4 a boot is triggered before the interval is over; 5-6 the triggered "
    "boot Accepted; 7-8 status answered",
)
def test_tc_b_31() -> None:
    async def story() -> None:
        async with scene(booted=False, first_boot=True) as s:
            assert (await s.boot())["status"] == "Pending"
            assert await s.station.until_asked("TriggerMessage") == {"requestedMessage": "BootNotification"}
            await back_up(s, "Triggered")
            await s.b.sink.until(lambda: bool(s.b.sink.of(StationProvisioned)))
            assert s.count("GetBaseReport") == 1  # what was read while it waited is not read again

    play(story)


def refusing() -> ChargerModel:
    """A kind of charger that may not work here."""
    return ChargerModel(
        name="bad-firmware", protocols=("ocpp2.0.1",), way="charge-only", vendor="acme", refused="feeds a dead grid"
    )


def test_a_charger_that_its_model_refuses_is_rejected_and_a_person_hears_why() -> None:
    async def story() -> None:
        async with scene(booted=False, models=(*our_models(), refusing())) as s:
            answer = await s.boot()
            assert (answer["status"], answer["interval"]) == ("Rejected", 3600)
            [alarm] = s.b.sink.of(AlarmRaised)
            assert (alarm.severity, "feeds a dead grid" in alarm.text) == ("critical", True)
            assert ST not in s.b.server.connected()
            s.b.server._models = our_models()
            await reconnect(s)
            await back_up(s, "PowerUp")
            assert [fact.key for fact in s.b.sink.of(AlarmCleared)] == [alarm.key]

    play(story)


@case("TC_B_06_CSMS", steps="1 one variable asked by name; 2 its value told to the operator")
def test_tc_b_06() -> None:
    async def story() -> None:
        async with scene() as s:
            order = ReadVariables(variables=(VariableName(component="OCPPCommCtrlr", variable="OfflineThreshold"),))
            told = {"getVariableResult": [{"attributeStatus": "Accepted", "attributeValue": "77", **OFFLINE}]}
            answer, asked = await s.ordered(order, "GetVariables", told)
            assert asked == {"getVariableData": [OFFLINE]}
            assert (answer.status, answer.details) == ("accepted", (("OCPPCommCtrlr.OfflineThreshold", "77"),))

    play(story)


@case("TC_B_07_CSMS", steps="1 two variables of two components in one request; 2 both values told to the operator")
def test_tc_b_07() -> None:
    async def story() -> None:
        async with scene() as s:
            names = (
                VariableName(component="OCPPCommCtrlr", variable="OfflineThreshold"),
                VariableName(component="AuthCtrlr", variable="AuthorizeRemoteStart"),
            )
            told = {
                "getVariableResult": [
                    {"attributeStatus": "Accepted", "attributeValue": "77", **OFFLINE},
                    {"attributeStatus": "Accepted", "attributeValue": "true", **REMOTE},
                ]
            }
            answer, asked = await s.ordered(ReadVariables(variables=names), "GetVariables", told)
            assert asked == {"getVariableData": [OFFLINE, REMOTE]}
            assert dict(answer.details) == {
                "OCPPCommCtrlr.OfflineThreshold": "77",
                "AuthCtrlr.AuthorizeRemoteStart": "true",
            }

    play(story)


@case(
    "TC_B_09_CSMS", steps="1 one variable set to 123, attribute Actual; 2 the station's Accepted told to the operator"
)
def test_tc_b_09() -> None:
    async def story() -> None:
        async with scene() as s:
            setting = VariableSetting(component="OCPPCommCtrlr", variable="OfflineThreshold", value="123")
            told = {"setVariableResult": [{"attributeStatus": "Accepted", **OFFLINE}]}
            answer, asked = await s.ordered(WriteVariables(settings=(setting,)), "SetVariables", told)
            assert asked == {"setVariableData": [{"attributeValue": "123", **OFFLINE}]}
            assert answer.status == "accepted"

    play(story)


@case(
    "TC_B_10_CSMS",
    steps="1 two variables of two components set in one request; 2 each answer told, a refused one named",
)
def test_tc_b_10() -> None:
    async def story() -> None:
        async with scene() as s:
            settings = (
                VariableSetting(component="OCPPCommCtrlr", variable="OfflineThreshold", value="123"),
                VariableSetting(component="AuthCtrlr", variable="AuthorizeRemoteStart", value="false"),
            )
            told: dict[str, Any] = {
                "setVariableResult": [
                    {"attributeStatus": "Accepted", **OFFLINE},
                    {"attributeStatus": "RebootRequired", **REMOTE},
                ]
            }
            answer, asked = await s.ordered(WriteVariables(settings=settings), "SetVariables", told)
            assert asked == {
                "setVariableData": [{"attributeValue": "123", **OFFLINE}, {"attributeValue": "false", **REMOTE}]
            }
            assert answer.status == "accepted"
            assert ("AuthCtrlr.AuthorizeRemoteStart", "RebootRequired") in answer.details
            told["setVariableResult"][1]["attributeStatus"] = "Rejected"
            answer, _ = await s.ordered(WriteVariables(settings=settings), "SetVariables", told)
            assert (answer.status, answer.why) == ("rejected", "AuthCtrlr.AuthorizeRemoteStart: Rejected")

    play(story)


async def _inventory(s: Scene, order: TakeInventory, base: str) -> None:
    """The station accepts, reports in two parts, and the operator sees both."""
    s.station.reactions["GetBaseReport"] = {"status": "Accepted"}
    asking = s.soon(s.order(order))
    asked = await s.station.until_asked("GetBaseReport", s.count("GetBaseReport") + 1)
    assert asked["reportBase"] == base
    assert asked["requestId"] >= 0
    for seq, (row, value) in enumerate(((OFFLINE, "77"), (REMOTE, "true"))):
        part = {
            "requestId": asked["requestId"],
            "generatedAt": STAMP,
            "seqNo": seq,
            "tbc": seq == 0,
            "reportData": [{**row, "variableAttribute": [{"value": value}]}],
        }
        assert await s.call("NotifyReport", part) == {}
    answer = await asking
    shown = {"OCPPCommCtrlr.OfflineThreshold": "77", "AuthCtrlr.AuthorizeRemoteStart": "true"}
    assert (answer.status, dict(answer.details)) == ("accepted", shown)
    assert s.b.sink.of(StationProvisioned)[-1].variables.items() >= shown.items()


@case(
    "TC_B_12_CSMS",
    steps="1 configuration inventory asked, request id from 0; 2 accepted; both parts of the report answered and shown",
)
def test_tc_b_12() -> None:
    async def story() -> None:
        async with scene() as s:
            await _inventory(s, TakeInventory(base="configuration"), "ConfigurationInventory")

    play(story)


@case(
    "TC_B_13_CSMS",
    steps="1 full inventory asked, request id from 0; 2 accepted; both parts of the report answered and shown",
)
def test_tc_b_13() -> None:
    async def story() -> None:
        async with scene() as s:
            await _inventory(s, TakeInventory(), "FullInventory")

    play(story)


@case("TC_B_20_CSMS", steps="1-2 OnIdle reset of the idle station accepted; 3-4 boot accepted; 5-6 status answered")
def test_tc_b_20() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, asked = await s.ordered(ResetStation(), "Reset", RESET_DONE)
            assert (asked, answer.status) == ({"type": "OnIdle"}, "accepted")
            await back_up(s, "RemoteReset")

    play(story)


@case(
    "TC_B_21_CSMS",
    steps="1-2 OnIdle reset while charging is Scheduled; 3-6 stop by the driver and the ended event answered; "
    "7-8 boot after the scheduled reset accepted; 9-10 status answered",
)
def test_tc_b_21() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.charging()
            answer, asked = await s.ordered(ResetStation(), "Reset", SCHEDULED)
            assert asked == {"type": "OnIdle"}
            assert (answer.status, answer.why) == ("accepted", "Scheduled")
            await s.stopped()
            await s.left()
            await back_up(s, "ScheduledReset")
            assert s.ended() == ["EVDisconnected"]

    play(story)


@case(
    "TC_B_22_CSMS",
    steps="1-2 Immediate reset while charging accepted; 3-4 transaction ended by the reset, without a token, answered; "
    "5-6 boot accepted; 7-8 status of the occupied connector answered",
)
def test_tc_b_22() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.charging()
            answer, asked = await s.ordered(ResetStation(when="now"), "Reset", RESET_DONE)
            assert (asked, answer.status) == ({"type": "Immediate"}, "accepted")
            reset = {"stoppedReason": "ImmediateReset"}
            assert await s.tx("Ended", "ResetCommand", "EVConnected", info=reset) == {}
            await back_up(s, "RemoteReset", "Occupied")
            await s.tells("Available", 2)
            assert s.ended() == ["ImmediateReset"]
            assert s.statuses() == {1: "occupied", 2: "available"}

    play(story)


@case("TC_B_25_CSMS", steps="1-2 OnIdle reset of EVSE 1 alone, accepted")
def test_tc_b_25() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, asked = await s.ordered(ResetStation(evse_id=1), "Reset", RESET_DONE)
            assert (asked, answer.status) == ({"type": "OnIdle", "evseId": 1}, "accepted")

    play(story)


@case("TC_B_26_CSMS", steps="1-2 OnIdle reset of the charging EVSE is Scheduled; 3-6 stop and ended event answered")
def test_tc_b_26() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.charging()
            answer, asked = await s.ordered(ResetStation(evse_id=1), "Reset", SCHEDULED)
            assert asked == {"type": "OnIdle", "evseId": 1}
            assert (answer.status, answer.why) == ("accepted", "Scheduled")
            await s.stopped()
            await s.left()
            assert s.ended() == ["EVDisconnected"]

    play(story)


@case("TC_B_27_CSMS", steps="1-2 Immediate reset of the charging EVSE accepted; 3-4 transaction ended by it, answered")
def test_tc_b_27() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.charging()
            answer, asked = await s.ordered(ResetStation(when="now", evse_id=1), "Reset", RESET_DONE)
            assert (asked, answer.status) == ({"type": "Immediate", "evseId": 1}, "accepted")
            await s.tx("Ended", "ResetCommand", "EVConnected", info={"stoppedReason": "ImmediateReset"})
            assert s.ended() == ["ImmediateReset"]
            assert ST in s.b.server.connected()

    play(story)


NETWORK = SetNetworkProfile(slot=1, url="wss://csms.example.org/ocpp", security_profile=2, answer_within_s=45)


@case(
    "TC_B_42_CSMS",
    steps="1 network profile for slot 1 with address, interface, time-out and security profile; 2 accepted",
)
def test_tc_b_42() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, asked = await s.ordered(NETWORK, "SetNetworkProfile", {"status": "Accepted"})
            assert asked == {
                "configurationSlot": 1,
                "connectionData": {
                    "ocppVersion": "OCPP20",
                    "ocppTransport": "JSON",
                    "ocppCsmsUrl": "wss://csms.example.org/ocpp",
                    "messageTimeout": 45,
                    "securityProfile": 2,
                    "ocppInterface": "Wired0",
                },
            }
            assert answer.status == "accepted"

    play(story)


@case("TC_B_44_CSMS", steps="1 network profile sent; 2 the station's Failed told to the operator; the station goes on")
def test_tc_b_44() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, _ = await s.ordered(NETWORK, "SetNetworkProfile", {"status": "Failed"})
            assert (answer.status, answer.why) == ("rejected", "Failed")
            await s.tells("Available")

    play(story)


@pytest.mark.parametrize(
    ("order", "action"),
    [(ResetStation(), "Reset"), (NETWORK, "SetNetworkProfile"), (TakeInventory(), "GetBaseReport")],
)
def test_an_error_of_the_station_is_told_and_harms_nothing(order: Order, action: str) -> None:
    async def story() -> None:
        async with scene() as s:
            s.station.refusals.add(action)
            answer = await s.order(order)
            assert (answer.status, answer.why) == ("rejected", "NotImplemented: ")
            await s.tells("Available")

    play(story)
