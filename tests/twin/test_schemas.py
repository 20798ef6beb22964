"""Everything a station says, checked against the standard's own schemas (of the independent package ``ocpp``)."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from revere.twin.loop import TwinClock, run_twin
from revere.twin.world import World

from .central import Central
from .small import START, inputs_of, small

SCENARIO = small()


@functools.cache
def validator(version: str, action: str, kind: str) -> Any:
    """The schema of a request or response."""
    spec = importlib.util.find_spec("ocpp")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / version / "schemas"
    name = f"{action}.json" if version == "v16" and kind == "Request" else f"{action}{kind}.json"
    return jsonschema_rs.validator_for(json.loads((folder / name).read_text(encoding="utf-8-sig")))


def check(version: str, action: str, payload: dict[str, Any], kind: str = "Request") -> None:
    """Fail with the first fault of a payload."""
    faults = [
        f"{error.instance_path}: {error.message}" for error in validator(version, action, kind).iter_errors(payload)
    ]
    assert not faults, f"{action}{kind} {faults[:3]}"


ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("GetBaseReport", "v21", {"requestId": 1, "reportBase": "FullInventory"}),
    (
        "GetVariables",
        "v21",
        {
            "getVariableData": [
                {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}},
                {"component": {"name": "Nobody"}, "variable": {"name": "X"}},
            ]
        },
    ),
    (
        "SetVariables",
        "v21",
        {
            "setVariableData": [
                {
                    "component": {"name": "AlignedDataCtrlr"},
                    "variable": {"name": "Interval"},
                    "attributeValue": "300",
                },
                {
                    "component": {"name": "SampledDataCtrlr"},
                    "variable": {"name": "TxUpdatedInterval"},
                    "attributeValue": "x",
                },
            ]
        },
    ),
    ("GetCompositeSchedule", "v21", {"duration": 600, "evseId": 1}),
    ("ClearChargingProfile", "v21", {"chargingProfileId": 5}),
    ("RequestStopTransaction", "v21", {"transactionId": "none"}),
    ("TriggerMessage", "v21", {"requestedMessage": "MeterValues"}),
    ("UpdateDynamicSchedule", "v21", {"chargingProfileId": 1, "scheduleUpdate": {"setpoint": 1}}),
]
ASKED_16: list[tuple[str, dict[str, Any]]] = [
    ("GetConfiguration", {}),
    ("ChangeConfiguration", {"key": "ClockAlignedDataInterval", "value": "300"}),
    ("GetCompositeSchedule", {"connectorId": 1, "duration": 600}),
    ("ClearChargingProfile", {"id": 5}),
    ("RemoteStopTransaction", {"transactionId": 1}),
    ("TriggerMessage", {"requestedMessage": "MeterValues"}),
]


@pytest.fixture(scope="module")
def said() -> list[tuple[str, str, dict[str, Any]]]:
    """(version, action, payload) of ten hours with an outage, a lost link and every question asked."""

    async def main(clock: TwinClock) -> list[tuple[str, str, dict[str, Any]]]:
        central = Central(clock)
        world = World(SCENARIO, inputs_of(SCENARIO), 1, clock)
        secrets = {station.id: "s" for station in SCENARIO.fleet.stations}
        await world.start(await central.start(), secrets)
        await asyncio.sleep(60)
        for action, version, payload in ASKED:
            check(version, action, payload)
            check(version, action, await central.call("school-cs01", action, payload), "Response")
        for action, payload in ASKED_16:
            check("v16", action, payload)
            check("v16", action, await central.call("hall-cs01", action, payload), "Response")
        world.stations["school-cs02"].line.drop(400.0)
        world.stations["hall-cs01"].line.drop(400.0)
        await asyncio.sleep(10 * 3600)
        await world.stop()
        await central.stop()
        return [("v16" if s == "hall-cs01" else "v21", action, payload) for _, s, action, payload in central.log]

    return run_twin(main, START)


def test_the_schemas_do_refuse() -> None:
    with pytest.raises(AssertionError, match="TransactionEventRequest"):
        check("v21", "TransactionEvent", {"eventType": "Begun"})
    with pytest.raises(AssertionError, match="StatusNotification"):
        check("v16", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Away"})


def test_every_message_is_valid(said: list[tuple[str, str, dict[str, Any]]]) -> None:
    for version, action, payload in said:
        check(version, action, payload)


def test_every_kind_of_message_was_said(said: list[tuple[str, str, dict[str, Any]]]) -> None:
    assert {action for version, action, _ in said if version == "v21"} >= {
        "Authorize",
        "BootNotification",
        "Heartbeat",
        "MeterValues",
        "NotifyDERAlarm",
        "NotifyEVChargingNeeds",
        "NotifyEvent",
        "NotifyReport",
        "StatusNotification",
        "TransactionEvent",
    }
    assert {action for version, action, _ in said if version == "v16"} >= {
        "Authorize",
        "BootNotification",
        "Heartbeat",
        "MeterValues",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
