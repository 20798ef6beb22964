"""Every message that we can send holds against the official JSON schemas (PyPI ``ocpp``, an oracle)."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import ocpp
import pytest
from ocpp_rig import NOW, config
from v2x_orders import MODES

from revere.core.commands import SetpointCommand
from revere.core.ids import CommandId, SessionId, StationId
from revere.links.models import our_models
from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks import device_model
from revere.links.ocpp2.settings import settings
from revere.links.ocpp2.wire import v21 as w2
from revere.links.ocpp16 import translate as translate16
from revere.links.ocpp16 import wire as w16

SCHEMAS = Path(ocpp.__file__).parent


def check(version: str, name: str, payload: msgspec.Struct) -> None:
    schema = json.loads((SCHEMAS / version / "schemas" / f"{name}.json").read_text(encoding="utf-8-sig"))
    jsonschema_rs.validator_for(schema).validate(json.loads(msgspec.json.encode(payload)))


def command(kw: float) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c1"),
        station_id=StationId("ST-1"),
        evse_id=1,
        session_id=SessionId("ST-1:tx-1"),
        setpoint_kw=kw,
        charge_limit_kw=19.2,
        discharge_limit_kw=19.2,
    )


NATIVE = next(model for model in our_models() if model.name == "native-2.1")
SETTINGS = settings(config(), NATIVE, {"V2XChargingCtrlr@1.SupportedOperationModes": MODES})
TOKEN_OK = w2.IdTokenInfo(status="Accepted")
CALLS_21: list[tuple[str, Any]] = [
    ("SetChargingProfile", translate.default_profile(config().default_profile, NOW, modes=True)),
    ("SetChargingProfile", translate.central_profile(command(-7.123456), "tx-1", bidirectional=True)),
    ("SetChargingProfile", translate.central_profile(command(7.1), "tx-1", bidirectional=False)),
    (
        "UpdateDynamicSchedule",
        w2.UpdateDynamicScheduleRequest(
            chargingProfileId=101, scheduleUpdate=translate.schedule_update(command(-19.2), bidirectional=True)
        ),
    ),
    (
        "SetVariables",
        device_model.set_request([(s.place, s.value) for s in SETTINGS.values()]),
    ),
    ("GetVariables", device_model.get_request([s.place for s in SETTINGS.values()])),
    ("GetBaseReport", w2.GetBaseReportRequest(requestId=1, reportBase="FullInventory")),
    ("ClearChargingProfile", w2.ClearChargingProfileRequest(chargingProfileId=101)),
    ("GetCompositeSchedule", w2.GetCompositeScheduleRequest(duration=60, evseId=1, chargingRateUnit="W")),
    (
        "RequestStartTransaction",
        w2.RequestStartTransactionRequest(idToken=w2.IdToken(idToken="B", type="Central"), remoteStartId=1, evseId=1),
    ),
    ("RequestStopTransaction", w2.RequestStopTransactionRequest(transactionId="tx-1")),
]
ANSWERS_21: list[tuple[str, Any]] = [
    ("BootNotification", w2.BootNotificationResponse(currentTime=NOW, interval=300, status="Accepted")),
    ("Heartbeat", w2.HeartbeatResponse(currentTime=NOW + dt.timedelta(microseconds=1500))),
    ("StatusNotification", w2.StatusNotificationResponse()),
    ("NotifyReport", w2.NotifyReportResponse()),
    ("Authorize", w2.AuthorizeResponse(idTokenInfo=TOKEN_OK)),
    ("TransactionEvent", w2.TransactionEventResponse()),
    ("TransactionEvent", w2.TransactionEventResponse(idTokenInfo=w2.IdTokenInfo(status="Invalid"))),
    ("MeterValues", w2.MeterValuesResponse()),
    ("NotifyEVChargingNeeds", w2.NotifyEVChargingNeedsResponse(status="Accepted")),
    ("NotifyEVChargingSchedule", w2.NotifyEVChargingScheduleResponse(status="Accepted")),
    ("NotifyDERAlarm", w2.NotifyDERAlarmResponse()),
    ("NotifyEvent", w2.NotifyEventResponse()),
    ("SecurityEventNotification", w2.SecurityEventNotificationResponse()),
    ("NotifyChargingLimit", w2.NotifyChargingLimitResponse()),
    ("DataTransfer", w2.DataTransferResponse(status="UnknownVendorId")),
]
TAG_OK = w16.IdTagInfo(status="Accepted")
CALLS_16: list[tuple[str, Any]] = [
    ("SetChargingProfile", translate16.default_profile(config().default_profile, NOW)),
    ("SetChargingProfile", translate16.central_profile(command(7.0), 7, NOW, bidirectional=False)),
    ("ChangeConfiguration", w16.ChangeConfiguration(key="MeterValueSampleInterval", value="60")),
    ("GetConfiguration", w16.GetConfiguration()),
    ("RemoteStartTransaction", w16.RemoteStartTransaction(idTag="B", connectorId=1)),
    ("RemoteStopTransaction", w16.RemoteStopTransaction(transactionId=7)),
    ("ClearChargingProfile", w16.ClearChargingProfile(id=101)),
    ("GetCompositeSchedule", w16.GetCompositeSchedule(connectorId=1, duration=60, chargingRateUnit="W")),
]
CALLS_16 += [
    ("SetChargingProfile", translate16.central_profile(command(n * 0.12347), 7, NOW, bidirectional=True))
    for n in range(-150, 150)
]
ANSWERS_16: list[tuple[str, Any]] = [
    ("BootNotification", w16.BootNotificationResponse(status="Accepted", currentTime=NOW, interval=300)),
    ("Heartbeat", w16.HeartbeatResponse(currentTime=NOW)),
    ("StatusNotification", w16.StatusNotificationResponse()),
    ("Authorize", w16.AuthorizeResponse(idTagInfo=TAG_OK)),
    ("StartTransaction", w16.StartTransactionResponse(idTagInfo=TAG_OK, transactionId=7)),
    ("StopTransaction", w16.StopTransactionResponse(idTagInfo=TAG_OK)),
    ("MeterValues", w16.MeterValuesResponse()),
    ("DataTransfer", w16.DataTransferResponse(status="UnknownVendorId")),
]


@pytest.mark.parametrize(("action", "payload"), CALLS_21)
def test_21_calls(action: str, payload: msgspec.Struct) -> None:
    check("v21", f"{action}Request", payload)


@pytest.mark.parametrize(("action", "payload"), ANSWERS_21)
def test_21_answers(action: str, payload: msgspec.Struct) -> None:
    check("v21", f"{action}Response", payload)


@pytest.mark.parametrize(("action", "payload"), CALLS_16)
def test_16_calls(action: str, payload: msgspec.Struct) -> None:
    check("v16", action, payload)


@pytest.mark.parametrize(("action", "payload"), ANSWERS_16)
def test_16_answers(action: str, payload: msgspec.Struct) -> None:
    check("v16", f"{action}Response", payload)
