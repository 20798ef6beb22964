"""2.0.1 by the same blocks: hand-written frames, the law of lifting, and what 2.0.1 has no word for."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ocpp_rig import BOOT, NOW, Bench, HandStation, bench, config, play
from ocpp_schemas import instances, validator

from revere.core.commands import SetpointCommand
from revere.core.facts import (
    EnergyNeeds,
    Fact,
    GridLost,
    GridRestored,
    MeterReading,
    SessionEnded,
    SessionStarted,
    SignedValueReceived,
    StationBooted,
    StationProvisioned,
    decode_fact,
    encode_fact,
)
from revere.core.ids import CommandId, SessionId, StationId
from revere.links.ocpp2 import translate
from revere.links.ocpp2.session import _TABLES
from revere.links.ocpp2.version import V201, Reader
from revere.links.ocpp2.wire import v21, v201
from revere.links.ocppj.bounds import Counters
from revere.links.ocppj.framing import CallFailed

ST = StationId("ST-1")
STAMP = "2026-07-16T19:30:00Z"
TAKEN = sorted(_TABLES["ocpp2.0.1"])


def setpoint(kw: float) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c1"),
        station_id=ST,
        evse_id=1,
        session_id=SessionId("ST-1:tx-1"),
        setpoint_kw=kw,
        charge_limit_kw=60.0,
        discharge_limit_kw=60.0,
    )


def event(kind: str, seq: int, **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind,
        "timestamp": STAMP,
        "triggerReason": "CablePluggedIn",
        "seqNo": seq,
        "transactionInfo": {"transactionId": "tx-1"},
        "evse": {"id": 1, "connectorId": 1},
        **more,
    }


async def plugged_in(b: Bench) -> HandStation:
    station = await b.station(protocol="ocpp2.0.1")
    assert (await station.call("BootNotification", BOOT))[2]["status"] == "Accepted"
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    token = {"idToken": "BUS-7", "type": "MacAddress"}
    assert (await station.call("TransactionEvent", event("Started", 0, idToken=token)))[2] == {
        "idTokenInfo": {"status": "Accepted"}
    }
    return station


def both_ways() -> Any:
    return bench(config(protocol="ocpp2.0.1", discharge_kw=60.0))


def profiles(station: HandStation) -> list[dict[str, Any]]:
    return [payload["chargingProfile"] for action, payload in station.asked if action == "SetChargingProfile"]


def test_a_day_on_201_in_short() -> None:
    async def story() -> None:
        async with both_ways() as b:
            station = await plugged_in(b)
            assert len(b.sink.of(StationBooted)) == 1
            [default] = profiles(station)
            assert default["chargingProfilePurpose"] == "TxDefaultProfile"
            assert default["chargingSchedule"][0]["chargingSchedulePeriod"][2] == {"startPeriod": 57_600, "limit": 2500}
            assert (await b.server.set_power(setpoint(-42.5))).status == "accepted"
            assert profiles(station)[1] == {
                "id": 101,
                "stackLevel": 10,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Absolute",
                "transactionId": "tx-1",
                "validTo": "2026-07-16T19:35:00Z",
                "chargingSchedule": [
                    {
                        "id": 101,
                        "startSchedule": "2026-07-16T19:29:00Z",
                        "chargingRateUnit": "W",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -42500.0}],
                    }
                ],
            }
            sample = {"value": 42500, "measurand": "Power.Active.Export", "location": "Inlet"}
            meter = [{"timestamp": STAMP, "sampledValue": [sample]}]
            updated = event("Updated", 1, meterValue=meter, triggerReason="MeterValuePeriodic")
            for _ in range(2):
                assert (await station.call("TransactionEvent", updated))[2] == {}
            assert [reading.power_kw for reading in b.sink.of(MeterReading)] == [-42.5]
            await station.call("TransactionEvent", event("Ended", 5, triggerReason="EVDeparted", offline=True))
            assert [f.session_id for f in b.sink.of(SessionStarted)] == ["ST-1:tx-1"]
            assert [f.session_id for f in b.sink.of(SessionEnded)] == ["ST-1:tx-1"]
            assert (b.server.counters.duplicates, b.server.counters.seq_gaps) == (1, 1)

    play(story)


def test_profiles_go_out_once_a_minute_and_the_end_of_a_discharge_at_once() -> None:
    async def story() -> None:
        async with both_ways() as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(-10.0))).status == "accepted"
            answer = await b.server.set_power(setpoint(-20.0))
            assert answer.status == "too_early"
            assert "may be sent in" in answer.why
            assert (await b.server.set_power(setpoint(0.0))).status == "accepted"
            assert profiles(station)[-1]["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] == 0.0
            assert profiles(station)[-1]["validTo"] == "2026-07-16T19:45:00Z"
            assert (await b.server.set_power(setpoint(5.0))).status == "too_early"  # no discharge to end any more
            b.server._memories[ST].profile_sent_s[1, "TxProfile"] -= 63.0
            assert (await b.server.set_power(setpoint(-20.0))).status == "accepted"

    play(story)


def test_a_stop_that_comes_too_early_for_the_station_clears_the_lease() -> None:
    async def story() -> None:
        async with both_ways() as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(-10.0))).status == "accepted"
            early = {"status": "Rejected", "statusInfo": {"reasonCode": "RateLimitExceeded"}}
            station.reactions["SetChargingProfile"] = early
            answer = await b.server.set_power(setpoint(0.0))
            assert (answer.status, answer.why) == ("too_early", "RateLimitExceeded; its profile is cleared instead")
            assert station.asked[-1] == ("ClearChargingProfile", {"chargingProfileId": 101})

    play(story)


def test_a_stop_that_the_station_refuses_altogether_is_a_rejection() -> None:
    async def story() -> None:
        async with both_ways() as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(-10.0))).status == "accepted"
            station.reactions["SetChargingProfile"] = {"status": "Rejected"}
            station.reactions["ClearChargingProfile"] = {"status": "Unknown"}
            assert (await b.server.set_power(setpoint(0.0))).status == "rejected"

    play(story)


def test_a_station_that_only_charges_is_never_told_to_give() -> None:
    async def story() -> None:
        async with bench(config(protocol="ocpp2.0.1", discharge_kw=0.0)) as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(-10.0))).status == "accepted"
            assert profiles(station)[-1]["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] == 0.0

    play(story)


def test_needs_grid_and_what_it_follows() -> None:
    async def story() -> None:
        async with both_ways() as b:
            station = await plugged_in(b)
            dc = {"evMaxCurrent": 150, "evMaxVoltage": 800, "evMaxPower": 60_000, "stateOfCharge": 64}
            needs = {"requestedEnergyTransfer": "DC", "dcChargingParameters": dc}
            await station.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
            assert [(n.charge_max_kw, n.soc, n.discharge_max_kw) for n in b.sink.of(EnergyNeeds)] == [
                (60.0, 0.64, None)
            ]
            for active in ("false", "true"):
                told = {
                    "eventId": 1,
                    "timestamp": STAMP,
                    "trigger": "Delta",
                    "actualValue": active,
                    "eventNotificationType": "HardWiredNotification",
                    "component": {"name": "ElectricalFeed"},
                    "variable": {"name": "Active"},
                }
                frame = {"generatedAt": STAMP, "seqNo": 0, "eventData": [told]}
                assert (await station.call("NotifyEvent", frame))[2] == {}
            assert [len(b.sink.of(kind)) for kind in (GridLost, GridRestored)] == [1, 1]
            station.reactions["GetCompositeSchedule"] = {
                "status": "Accepted",
                "schedule": {
                    "evseId": 1,
                    "duration": 3600,
                    "scheduleStart": STAMP,
                    "chargingRateUnit": "W",
                    "chargingSchedulePeriod": [
                        {"startPeriod": 0, "limit": -42500},
                        {"startPeriod": 300, "limit": 2500},
                    ],
                },
            }
            assert await b.server.composite_limits_kw(ST, 1, 3600) == [
                (NOW, -42.5),
                (NOW + dt.timedelta(seconds=300), 2.5),
            ]

    play(story)


def test_what_only_21_says_is_not_known_on_201() -> None:
    async def story() -> None:
        async with both_ways() as b:
            station = await plugged_in(b)
            alarm = {"controlType": "LVMustTrip", "timestamp": STAMP, "gridEventFault": "UnderVoltage"}
            assert (await station.call("NotifyDERAlarm", alarm))[2] == "NotImplemented"
            assert (await station.call("UnpublishFirmware", {"checksum": "x"}))[2] == "NotSupported"
            assert (await station.call("Heartbeat", {}))[0] == 3

    play(story)


def test_a_block_that_fails_on_one_message_leaves_the_others_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> list[Fact]:
        raise KeyError("our own fault")

    async def story() -> None:
        async with both_ways() as b:
            station = await plugged_in(b)
            monkeypatch.setattr(translate, "readings", broken)
            meter = [{"timestamp": STAMP, "sampledValue": [{"value": 1}]}]
            answer = await station.call("MeterValues", {"evseId": 1, "meterValue": meter})
            assert answer[:1] + answer[2:3] == [4, "InternalError"]
            assert (await station.call("Heartbeat", {}))[2] == {"currentTime": STAMP}
            assert (await station.call("Authorize", {"idToken": {"idToken": "BUS-7", "type": "Central"}}))[2] == {
                "idTokenInfo": {"status": "Accepted"}
            }
            assert (await b.server.set_power(setpoint(-5.0))).status == "accepted"

    play(story)


# Lifting and lowering -------------------------------------------------------------------------------


def kept(own: Any, lifted: Any) -> bool:
    """Whether all that the one says is in the other."""
    if isinstance(own, msgspec.Struct):
        return all(kept(getattr(own, name), getattr(lifted, name)) for name in own.__struct_fields__)
    if isinstance(own, tuple):
        return len(own) == len(lifted) and all(map(kept, own, lifted))
    return bool(own == lifted) or (isinstance(lifted, float) and float(own) == lifted)  # beyond 2^53


@pytest.mark.parametrize("action", TAKEN)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_lifted_loses_nothing(action: str, data: st.DataObject) -> None:
    own = v201.CALLS[action][0]
    said = msgspec.json.encode(data.draw(instances(own)))
    refused = ""
    try:
        lifted = Reader(V201, v21.CALLS[action][0]).read(said, Counters())
    except CallFailed as error:
        refused = f"{error.code}: {error.what}"
    if refused:  # a number that 2.1 bounds and 2.0.1 leaves open
        assert re.match(r"PropertyConstraintViolation: Expected `int` [<>]= ", refused)
    else:
        assert kept(msgspec.json.decode(said, type=own), lifted)


def test_what_we_install_on_201_holds_against_its_schema() -> None:
    for request in (
        translate.default_profile(config().default_profile, NOW, modes=False),
        translate.leased_profile(setpoint(-7.1234), "tx-1", NOW, bidirectional=True),
    ):
        lowered = msgspec.json.decode(msgspec.json.encode(V201.lower(request)))
        validator("v201", "SetChargingProfileRequest").validate(lowered)


def test_what_201_has_no_word_for_never_leaves_the_house() -> None:
    with pytest.raises(msgspec.ValidationError):
        V201.lower(translate.central_profile(setpoint(-5.0), "tx-1", bidirectional=True))


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1"])
def test_what_a_meter_signed_is_kept_byte_for_byte_and_read_beside_it(protocol: Any) -> None:
    data = "T0NNRnx7IlJWIjoiMTIuMyJ9fA== \u00e9 \\u00e9 \t'\""
    signed = {"signedMeterData": data, "signingMethod": "ECDSA", "encodingMethod": "OCMF", "publicKey": "MFk=\n"}
    sample = {"value": 12_300, "location": "Inlet", "signedMeterValue": signed}

    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol)
            await station.call("BootNotification", BOOT)
            meter = [{"timestamp": STAMP, "sampledValue": [sample]}]
            await station.call("MeterValues", {"evseId": 1, "meterValue": meter})
            await station.call("TransactionEvent", event("Updated", 1, meterValue=meter))
            kept = [decode_fact(encode_fact(fact)) for fact in b.sink.of(SignedValueReceived)]
            values = {"at": NOW, "asset_id": "ST-1/1", "ts": NOW, "measurand": "Energy.Active.Import.Register"}
            values |= {"signed": data, "encoding": "OCMF", "method": "ECDSA", "public_key": "MFk=\n"}
            sessions = (None, SessionId("ST-1:tx-1"))
            assert kept == [SignedValueReceived(**values, session_id=session) for session in sessions]
            assert [r.import_wh for r in b.sink.of(MeterReading)] == [12_300, 12_300]

    play(story)
