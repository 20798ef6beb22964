"""An operator's orders as frames, an edition to a column, and what a station's answer becomes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ocpp_rig import BOOT, BOOT_16, HandStation, bench, config, play
from ocpp_schemas import validator

from revere.core.facts import StationProvisioned
from revere.core.ids import StationId
from revere.core.orders import (
    ClearCache,
    Order,
    ReadVariables,
    ResetStation,
    SetAvailability,
    SetNetworkProfile,
    TakeInventory,
    TriggerReport,
    UnlockConnector,
    VariableName,
    VariableSetting,
    WriteVariables,
    kind_of,
)

ST = StationId("ST-1")
FOLDERS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
OFFLINE = VariableName(component="OCPPCommCtrlr", variable="OfflineThreshold")
KEY = VariableName(variable="HeartbeatInterval")
WSS = "wss://csms.example.org/ocpp"
Frames = list[tuple[str, dict[str, Any]]]


def v2(name: str, variable: str, **more: Any) -> dict[str, Any]:
    return {"component": {"name": name}, "variable": {"name": variable}, **more}


TABLE_2: list[tuple[Order, str, dict[str, Any]]] = [
    (ResetStation(), "Reset", {"type": "OnIdle"}),
    (ResetStation(when="now", evse_id=2), "Reset", {"type": "Immediate", "evseId": 2}),
    (
        ReadVariables(variables=(OFFLINE,)),
        "GetVariables",
        {"getVariableData": [v2("OCPPCommCtrlr", "OfflineThreshold")]},
    ),
    (
        WriteVariables(settings=(VariableSetting(component="AuthCtrlr", variable="Enabled", value="true", evse_id=1),)),
        "SetVariables",
        {
            "setVariableData": [
                {
                    "attributeValue": "true",
                    "component": {"name": "AuthCtrlr", "evse": {"id": 1}},
                    "variable": {"name": "Enabled"},
                }
            ]
        },
    ),
    (SetAvailability(operative=False), "ChangeAvailability", {"operationalStatus": "Inoperative"}),
    (
        SetAvailability(operative=True, evse_id=1, connector_id=2),
        "ChangeAvailability",
        {"operationalStatus": "Operative", "evse": {"id": 1, "connectorId": 2}},
    ),
    (ClearCache(), "ClearCache", {}),
    (TriggerReport(report="heartbeat"), "TriggerMessage", {"requestedMessage": "Heartbeat"}),
    (
        TriggerReport(report="status", evse_id=1),
        "TriggerMessage",
        {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}},
    ),
    (UnlockConnector(evse_id=1), "UnlockConnector", {"evseId": 1, "connectorId": 1}),
]
TABLE_16: list[tuple[Order, str, dict[str, Any]]] = [
    (ResetStation(), "Reset", {"type": "Soft"}),
    (ResetStation(when="now"), "Reset", {"type": "Hard"}),
    (ReadVariables(variables=(KEY,)), "GetConfiguration", {"key": ["HeartbeatInterval"]}),
    (
        WriteVariables(settings=(VariableSetting(variable="HeartbeatInterval", value="60"),)),
        "ChangeConfiguration",
        {"key": "HeartbeatInterval", "value": "60"},
    ),
    (TakeInventory(), "GetConfiguration", {}),
    (SetAvailability(operative=False), "ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
    (SetAvailability(operative=True, evse_id=1), "ChangeAvailability", {"connectorId": 1, "type": "Operative"}),
    (ClearCache(), "ClearCache", {}),
    (TriggerReport(report="boot"), "TriggerMessage", {"requestedMessage": "BootNotification"}),
    (TriggerReport(report="log-status"), "ExtendedTriggerMessage", {"requestedMessage": "LogStatusNotification"}),
    (UnlockConnector(evse_id=1), "UnlockConnector", {"connectorId": 1}),
]
ALL = [
    ("ocpp2.1", ResetStation(when="resume"), "Reset", {"type": "ImmediateAndResume"}),
    *(("ocpp2.1", *row) for row in TABLE_2),
    *(("ocpp2.0.1", *row) for row in TABLE_2),
    *(("ocpp1.6", *row) for row in TABLE_16),
]
YES = {
    "GetVariables": {
        "getVariableResult": [
            {"attributeStatus": "Accepted", "attributeValue": "60", **v2("OCPPCommCtrlr", "OfflineThreshold")}
        ]
    },
    "UnlockConnector": {"status": "Unlocked"},
    "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}]},
}


async def booted(b: Any, protocol: str) -> HandStation:
    station: HandStation = await b.station(protocol=protocol)
    await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    station.asked.clear()
    station.reactions.update(YES)
    return station


@pytest.mark.parametrize(
    ("protocol", "order", "action", "payload"), ALL, ids=[f"{p}-{kind_of(o)}-{i}" for i, (p, o, *_) in enumerate(ALL)]
)
def test_an_order_is_one_frame_that_the_schema_knows(
    protocol: str, order: Order, action: str, payload: dict[str, Any]
) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await booted(b, protocol)
            answer = await b.server.carry_out(ST, order)
            assert (answer.status, answer.why) == ("accepted", "")
            assert station.asked == [(action, payload)]
            name = action if protocol == "ocpp1.6" else f"{action}Request"
            validator(FOLDERS[protocol], name).validate(payload)

    play(story)


@pytest.mark.parametrize(("protocol", "word"), [("ocpp2.1", "OCPP21"), ("ocpp2.0.1", "OCPP20")])
def test_a_network_profile_is_stored_in_its_slot(protocol: str, word: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await booted(b, protocol)
            order = SetNetworkProfile(slot=2, url=WSS, security_profile=2)
            assert (await b.server.carry_out(ST, order)).status == "accepted"
            [(action, payload)] = station.asked
            assert action == "SetNetworkProfile"
            assert payload == {
                "configurationSlot": 2,
                "connectionData": {
                    "ocppVersion": word,
                    "ocppTransport": "JSON",
                    "ocppCsmsUrl": WSS,
                    "messageTimeout": 30,
                    "securityProfile": 2,
                    "ocppInterface": "Wired0",
                },
            }
            validator(FOLDERS[protocol], "SetNetworkProfileRequest").validate(payload)

    play(story)


SECRET = VariableSetting(component="SecurityCtrlr", variable="BasicAuthPassword", value="x")
NEVER: list[tuple[str, Order, str]] = [
    ("ocpp2.1", WriteVariables(settings=(SECRET,)), "secret"),
    ("ocpp1.6", WriteVariables(settings=(VariableSetting(variable="AuthorizationKey", value="x"),)), "secret"),
    ("ocpp2.0.1", ReadVariables(variables=(KEY,)), "component"),
    ("ocpp2.0.1", SetAvailability(operative=True, connector_id=1), "connector is at an EVSE"),
    ("ocpp2.0.1", TriggerReport(report="status"), "name the EVSE"),
    ("ocpp2.0.1", SetNetworkProfile(slot=1, url=WSS, security_profile=1), "disagree"),
    ("ocpp2.0.1", SetNetworkProfile(slot=1, url="ws://x.org", security_profile=3), "disagree"),
    ("ocpp1.6", SetNetworkProfile(slot=1, url=WSS, security_profile=2), "no message for it"),
    ("ocpp1.6", ReadVariables(variables=(OFFLINE,)), "by one name"),
    ("ocpp1.6", ResetStation(evse_id=1), "whole charge point"),
    ("ocpp1.6", ResetStation(when="resume"), "cannot go on"),
    ("ocpp2.0.1", ResetStation(when="resume"), "ocpp2.0.1 has no words for it"),
    ("ocpp1.6", SetAvailability(operative=True, evse_id=1, connector_id=2), "no connector within"),
    ("ocpp1.6", TriggerReport(report="transaction", evse_id=1), "no such message"),
]


@pytest.mark.parametrize(
    ("protocol", "order", "why"), NEVER, ids=[f"{p}-{kind_of(o)}-{i}" for i, (p, o, _) in enumerate(NEVER)]
)
def test_what_cannot_be_asked_is_refused_here_and_sends_nothing(protocol: str, order: Order, why: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await booted(b, protocol)
            answer = await b.server.carry_out(ST, order)
            assert answer.status == "rejected"
            assert why in answer.why
            assert station.asked == []

    play(story)


@pytest.mark.parametrize(
    ("order", "action", "reaction", "status", "why"),
    [
        (ResetStation(), "Reset", {"status": "Scheduled"}, "accepted", "Scheduled"),
        (
            ResetStation(),
            "Reset",
            {"status": "Rejected", "statusInfo": {"reasonCode": "NotNow", "additionalInfo": "a firmware update runs"}},
            "rejected",
            "NotNow: a firmware update runs",
        ),
        (ClearCache(), "ClearCache", {"status": "Rejected"}, "rejected", "Rejected"),
        (UnlockConnector(evse_id=1), "UnlockConnector", {"status": "UnlockFailed"}, "rejected", "UnlockFailed"),
        (
            TriggerReport(report="heartbeat"),
            "TriggerMessage",
            {"status": "NotImplemented"},
            "rejected",
            "NotImplemented",
        ),
        (TakeInventory(), "GetBaseReport", {"status": "NotSupported"}, "rejected", "not reported: NotSupported"),
    ],
)
def test_a_stations_answer_is_told_as_it_was(
    order: Order, action: str, reaction: dict[str, Any], status: str, why: str
) -> None:
    async def story() -> None:
        async with bench() as b:
            station = await booted(b, "ocpp2.1")
            station.reactions[action] = reaction
            answer = await b.server.carry_out(ST, order)
            assert (answer.status, answer.why) == (status, why)
            station.refusals.add(action)
            assert (await b.server.carry_out(ST, order)).status == "rejected"

    play(story)


def test_what_was_read_is_told_and_a_secret_never() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await booted(b, "ocpp2.1")
            station.reactions["GetVariables"] = {
                "getVariableResult": [
                    {"attributeStatus": "Accepted", "attributeValue": "60", **v2("OCPPCommCtrlr", "OfflineThreshold")},
                    {
                        "attributeStatus": "Accepted",
                        "attributeValue": "s3cret",
                        **v2("SecurityCtrlr", "BasicAuthPassword"),
                    },
                    {"attributeStatus": "UnknownVariable", **v2("OCPPCommCtrlr", "Nothing")},
                ]
            }
            answer = await b.server.carry_out(ST, ReadVariables(variables=(OFFLINE, OFFLINE, OFFLINE)))
            assert answer.details == (("OCPPCommCtrlr.OfflineThreshold", "60"),)
            assert (answer.status, answer.why) == ("rejected", "OCPPCommCtrlr.Nothing: UnknownVariable")

    play(story)


def test_a_soft_reset_of_16_waits_for_no_session_so_it_is_not_asked() -> None:
    async def story() -> None:
        async with bench(config(protocol="ocpp1.6")) as b:
            station = await booted(b, "ocpp1.6")
            start = {"connectorId": 1, "idTag": "BUS-7", "meterStart": 0, "timestamp": "2026-07-16T19:30:00Z"}
            number = (await station.call("StartTransaction", start))[2]["transactionId"]
            refused = await b.server.carry_out(ST, ResetStation())
            assert "a session runs" in refused.why
            stop = {"transactionId": number, "meterStop": 1, "timestamp": "2026-07-16T19:30:00Z"}
            await station.call("StopTransaction", stop)
            assert (await b.server.carry_out(ST, ResetStation())).status == "accepted"
            assert station.asked == [("Reset", {"type": "Soft"})]

    play(story)


def test_nobody_is_there() -> None:
    async def story() -> None:
        async with bench() as b:
            assert (await b.server.carry_out(ST, ClearCache())).status == "offline"

    play(story)


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "reset-station", "when": "later"},
        {"kind": "reset-station", "evse": 1},
        {"kind": "reset-station", "evse_id": 0},
        {"kind": "read-variables", "variables": []},
        {"kind": "read-variables", "variables": [{"variable": "x" * 51}]},
        {"kind": "read-variables", "variables": [{"variable": "a\nb"}]},
        {"kind": "write-variables", "settings": [{"variable": "a", "value": "\x00"}]},
        {"kind": "set-network-profile", "slot": 1, "url": "http://x.org", "security_profile": 1},
        {"kind": "self-destruct"},
        {},
    ],
)
def test_an_order_out_of_bounds_is_no_order(bad: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, Order)
