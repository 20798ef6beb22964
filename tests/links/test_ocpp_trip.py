"""A station's whole day in short: boot, provisioning, a transaction, setpoints, the end."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from ocpp_rig import BOOT, BOOT_16, NOW, Bench, HandStation, bench, config, play

from revere.core.commands import ReportingCommand, SetpointCommand
from revere.core.facts import (
    EnergyNeeds,
    MeterReading,
    ScheduleRead,
    SessionEnded,
    SessionStarted,
    StationBooted,
    StationConnected,
    StationDisconnected,
    StationProvisioned,
    StatusReported,
)
from revere.core.ids import CommandId, SessionId, StationId

ST = StationId("ST-1")


def setpoint(
    kw: float, *, session: str = "ST-1:tx-1", charge: float = 60.0, discharge: float = 60.0
) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c1"),
        station_id=ST,
        evse_id=1,
        session_id=SessionId(session),
        setpoint_kw=kw,
        charge_limit_kw=charge,
        discharge_limit_kw=discharge,
    )


def event(kind: str, seq: int, **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind,
        "timestamp": "2026-07-16T19:30:00Z",
        "triggerReason": "CablePluggedIn",
        "seqNo": seq,
        "transactionInfo": {"transactionId": "tx-1"},
        "evse": {"id": 1, "connectorId": 1},
        **more,
    }


async def plugged_in(b: Bench) -> HandStation:
    station = await b.station()
    answer = await station.call("BootNotification", BOOT)
    assert answer[2]["status"] == "Accepted"
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    await station.call("TransactionEvent", event("Started", 0, idToken={"idToken": "BUS-7", "type": "MacAddress"}))
    return station


def test_boot_to_setpoint_and_out() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            assert b.server.connected() == frozenset({ST})
            assert [type(f) for f in b.sink.facts[:2]] == [StationConnected, StationBooted]
            default = (await station.until_asked("SetChargingProfile"))["chargingProfile"]
            assert default["chargingProfilePurpose"] == "TxDefaultProfile"
            assert default["stackLevel"] == 0
            schedule = default["chargingSchedule"][0]
            assert schedule["startSchedule"] == "2026-07-16T04:00:00Z"
            assert schedule["chargingSchedulePeriod"][2] == {
                "startPeriod": 57_600,
                "limit": 2500.0,
                "operationMode": "ChargingOnly",
            }
            [started] = b.sink.of(SessionStarted)
            assert (started.session_id, started.token, started.evse_id) == ("ST-1:tx-1", "BUS-7", 1)

            answer = await b.server.set_power(setpoint(-42.5))
            assert answer.status == "accepted"
            assert answer.sent_wall_s > 0
            sent = await station.until_asked("SetChargingProfile", 2)
            assert sent == {
                "evseId": 1,
                "chargingProfile": {
                    "id": 101,
                    "stackLevel": 10,
                    "chargingProfilePurpose": "TxProfile",
                    "chargingProfileKind": "Dynamic",
                    "transactionId": "tx-1",
                    "maxOfflineDuration": 300,
                    "invalidAfterOfflineDuration": True,
                    "chargingSchedule": [
                        {
                            "id": 101,
                            "chargingRateUnit": "W",
                            "chargingSchedulePeriod": [
                                {
                                    "startPeriod": 0,
                                    "operationMode": "CentralSetpoint",
                                    "limit": 60000.0,
                                    "dischargeLimit": -60000.0,
                                    "setpoint": -42500.0,
                                }
                            ],
                        }
                    ],
                },
            }
            assert (await b.server.set_power(setpoint(7.25, discharge=0.0))).status == "accepted"
            assert await station.until_asked("UpdateDynamicSchedule") == {
                "chargingProfileId": 101,
                "scheduleUpdate": {"limit": 60000.0, "dischargeLimit": 0.0, "setpoint": 7250.0},
            }
            await station.call("TransactionEvent", event("Ended", 1, triggerReason="EVDeparted"))
            assert [f.session_id for f in b.sink.of(SessionEnded)] == ["ST-1:tx-1"]
            await station.close()
            await b.sink.until(lambda: bool(b.sink.of(StationDisconnected)))
            assert b.server.connected() == frozenset()
            assert (await b.server.set_power(setpoint(1.0))).status == "offline"

    play(story)


def test_setpoint_rules() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            for bad in (setpoint(-61.0), setpoint(61.0), setpoint(1.0, session="ST-2:tx-1")):
                answer = await b.server.set_power(bad)
                assert answer.status == "rejected"
            assert sum(1 for action, _ in station.asked if action == "SetChargingProfile") == 1

            station.reactions["SetChargingProfile"] = {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}
            answer = await b.server.set_power(setpoint(5.0))
            assert (answer.status, answer.why) == ("rejected", "TxNotFound")
            answer = await b.server.set_power(setpoint(5.0))
            assert answer.status == "too_early"
            assert "a new profile may be sent in" in answer.why
            assert b.server.counters.setpoints_rate_limited == 1

    play(story)


def test_lost_profile_is_sent_again_but_not_within_a_minute() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(5.0))).status == "accepted"
            station.reactions["UpdateDynamicSchedule"] = {
                "status": "Rejected",
                "statusInfo": {"reasonCode": "NoProfile"},
            }
            answer = await b.server.set_power(setpoint(6.0))
            assert answer.status == "too_early"
            assert "may be sent in" in answer.why
            b.server._memories[ST].profile_sent_s[1, "TxProfile"] -= 60.5  # the station's own minute may not be over
            assert (await b.server.set_power(setpoint(6.0))).status == "too_early"
            b.server._memories[ST].profile_sent_s[1, "TxProfile"] -= 2.0
            assert (await b.server.set_power(setpoint(6.0))).status == "accepted"
            assert (await station.until_asked("SetChargingProfile", 3))["chargingProfile"]["id"] == 101

    play(story)


def test_after_a_restart_of_ours_the_profile_that_the_station_keeps_is_updated() -> None:
    early = {"status": "Rejected", "statusInfo": {"reasonCode": "RateLimitExceeded"}}

    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            station.reactions["SetChargingProfile"] = early
            assert (await b.server.set_power(setpoint(5.0))).status == "accepted"
            assert (await station.until_asked("UpdateDynamicSchedule"))["chargingProfileId"] == 101
            station.reactions["UpdateDynamicSchedule"] = {"status": "Rejected"}
            assert (await b.server.set_power(setpoint(6.0))).status == "too_early"

    play(story)


def test_an_update_that_comes_too_early_is_sent_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revere.links.ocpp2.blocks.smart_charging.UPDATE_RETRY_S", 0.01)
    early = {"status": "Rejected", "statusInfo": {"reasonCode": "RateLimitExceeded"}}

    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(5.0))).status == "accepted"
            station.reactions["UpdateDynamicSchedule"] = early
            answer = await b.server.set_power(setpoint(6.0))
            assert (answer.status, answer.why) == ("rejected", "RateLimitExceeded")
            assert sum(1 for action, _ in station.asked if action == "UpdateDynamicSchedule") == 2
            assert b.server.counters.setpoints_rate_limited == 2

    play(story)


def test_a_station_without_updates_gets_whole_profiles_slowly() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            station.refusals.add("UpdateDynamicSchedule")
            for kw in (5.0, 6.0):
                answer = await b.server.set_power(setpoint(kw))
            assert answer.status == "too_early"
            b.server._memories[ST].profile_sent_s[1, "TxProfile"] -= 63.0
            assert (await b.server.set_power(setpoint(6.0))).status == "accepted"
            await station.until_asked("SetChargingProfile", 3)

    play(story)


def test_after_a_reboot_the_profile_is_tried_before_it_is_sent_again() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(5.0))).status == "accepted"
            await station.close()
            b.server._memories[ST].rates_kept_s -= 61.0
            station = await b.station(reactions={"UpdateDynamicSchedule": {"status": "Rejected"}})
            await station.call("BootNotification", BOOT)
            await b.sink.until(lambda: len(b.sink.of(StationProvisioned)) == 2)
            assert (await b.server.set_power(setpoint(5.0))).status == "accepted"
            actions = [
                action for action, _ in station.asked if action in ("UpdateDynamicSchedule", "SetChargingProfile")
            ]
            assert actions == ["SetChargingProfile", "UpdateDynamicSchedule", "SetChargingProfile"]

    play(story)


def test_the_fallback_is_sent_again_when_the_clocks_change() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            await station.call("Heartbeat", {})
            b.clock.at = dt.datetime(2026, 11, 2, 12, 0, tzinfo=dt.UTC)
            b.server._memories[ST].default_sent_s -= 61.0
            await station.call("Heartbeat", {})
            profile = (await station.until_asked("SetChargingProfile", 2))["chargingProfile"]
            assert profile["chargingProfilePurpose"] == "TxDefaultProfile"
            assert profile["chargingSchedule"][0]["startSchedule"] == "2026-11-02T05:00:00Z"

    play(story)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp1.6"])
def test_a_refused_fallback_is_named_and_tried_again(protocol: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol, reactions={"SetChargingProfile": {"status": "Rejected"}})
            await station.call("BootNotification", BOOT if protocol == "ocpp2.1" else BOOT_16)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert b.sink.of(StationProvisioned)[0].problems[0].startswith("charge-only default profile refused")
            del station.reactions["SetChargingProfile"]
            b.server._memories[ST].default_sent_s -= 61.0
            await station.call("Heartbeat", {})
            await b.sink.until(lambda: len(b.sink.of(StationProvisioned)) == 2)
            before, after = b.sink.of(StationProvisioned)
            assert after.problems == before.problems[1:]

    play(story)


def test_a_slow_commit_of_the_boot_is_not_taken_for_a_quiet_reconnect() -> None:
    async def story() -> None:
        async with bench(config("ST-1"), config("ST-2")) as b:
            station, other = await b.station("ST-1"), await b.station("ST-2")
            b.sink.gate.clear()
            waiting = await station.begin("BootNotification", BOOT)
            await (await station.socket.ping())  # the boot has reached the server
            assert (await other.call("Heartbeat", {}))[0] == 3
            b.server._links[ST]._resume()  # what the timer does
            assert b.server.connected() == frozenset()
            b.sink.gate.set()
            await waiting
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert b.server.connected() == frozenset({ST})

    play(story)


def test_charge_only_station_gets_a_limit() -> None:
    async def story() -> None:
        async with bench(config(discharge_kw=0.0)) as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(-3.0))).status == "accepted"
            profile = (await station.until_asked("SetChargingProfile", 2))["chargingProfile"]
            assert profile["chargingSchedule"][0]["chargingSchedulePeriod"] == [
                {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": 0.0}
            ]

    play(story)


def test_provisioning_reads_back_and_names_what_differs() -> None:
    readings = "Energy.Active.Import.Register,Energy.Active.Export.Register,Power.Active.Import,Power.Active.Export,SoC"
    held = {
        "TxStartedMeasurands": readings,
        "TxUpdatedMeasurands": readings,
        "TxEndedMeasurands": readings,
        "TxUpdatedInterval": "60",
        "Measurands": readings,
        "Interval": "900",
        "UpdateRateLimit": "120",
    }

    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            station.reactions["GetBaseReport"] = {"status": "Accepted"}
            station.live["GetVariables"] = lambda asked: {
                "getVariableResult": [
                    {
                        **wanted,
                        "attributeStatus": "Accepted" if wanted["variable"]["name"] in held else "UnknownVariable",
                        "attributeValue": held.get(wanted["variable"]["name"], ""),
                    }
                    for wanted in asked["getVariableData"]
                ]
            }
            await station.call("BootNotification", BOOT)
            request_id = (await station.until_asked("GetBaseReport"))["requestId"]
            for seq, tbc in ((0, True), (1, False)):
                await station.call(
                    "NotifyReport",
                    {
                        "requestId": request_id,
                        "generatedAt": "2026-07-16T19:30:00Z",
                        "seqNo": seq,
                        "tbc": tbc,
                        "reportData": [
                            {
                                "component": {"name": "V2XChargingCtrlr", "evse": {"id": 1}},
                                "variable": {"name": f"Variable{seq}"},
                                "variableAttribute": [{"value": f"value {seq}"}],
                            }
                        ],
                    },
                )
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            [fact] = b.sink.of(StationProvisioned)
            assert fact.problems == ("AlignedDataCtrlr.Interval: reads '900', was set to '300'",)
            assert fact.variables["V2XChargingCtrlr@1.Variable1"] == "value 1"
            assert fact.variables["SmartChargingCtrlr.UpdateRateLimit"] == "120"
            wanted = {
                (d["component"]["name"], d["variable"]["name"]): d["attributeValue"]
                for action, payload in station.asked
                if action == "SetVariables"
                for d in payload["setVariableData"]
            }
            assert wanted == {
                **{("SampledDataCtrlr", f"Tx{point}Measurands"): readings for point in ("Started", "Updated", "Ended")},
                ("SampledDataCtrlr", "TxUpdatedInterval"): "60",
                ("AlignedDataCtrlr", "Measurands"): readings,
                ("AlignedDataCtrlr", "Interval"): "300",
            }

    play(story)


def test_reporting_remote_start_stop_clear_and_composite() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            command = ReportingCommand(station_id=ST, sample_interval_s=10)
            assert (await b.server.set_reporting(command)).status == "accepted"
            data = (await station.until_asked("SetVariables", 2))["setVariableData"]
            assert [(d["variable"]["name"], d["attributeValue"]) for d in data] == [("TxUpdatedInterval", "10")]
            assert (await b.server.remote_start(ST, 1, "BUS-7")).status == "accepted"
            assert (await station.until_asked("RequestStartTransaction"))["evseId"] == 1
            assert (await b.server.remote_stop(ST, "ST-1:tx-1")).status == "accepted"
            assert await station.until_asked("RequestStopTransaction") == {"transactionId": "tx-1"}
            assert (await b.server.clear_setpoint(ST, 1)).status == "accepted"
            assert await station.until_asked("ClearChargingProfile") == {"chargingProfileId": 101}
            station.reactions["GetCompositeSchedule"] = {
                "status": "Accepted",
                "schedule": {
                    "evseId": 1,
                    "duration": 3600,
                    "scheduleStart": "2026-07-16T19:30:00Z",
                    "chargingRateUnit": "W",
                    "chargingSchedulePeriod": [
                        {"startPeriod": 0, "setpoint": -42500, "limit": 60000},
                        {"startPeriod": 900, "limit": 2500},
                    ],
                },
            }
            assert await b.server.composite_limits_kw(ST, 1, 3600) == [
                (NOW, -42.5),
                (NOW + dt.timedelta(seconds=900), 2.5),
            ]

    play(story)


COMPOSITE: dict[str, dict[str, Any]] = {
    "ocpp2.1": {
        "status": "Accepted",
        "schedule": {
            "evseId": 1,
            "duration": 3600,
            "scheduleStart": "2026-07-16T19:30:00Z",
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "setpoint": -42500}, {"startPeriod": 900, "limit": 2500}],
        },
    },
    "ocpp1.6": {  # without the start that the standard calls optional
        "status": "Accepted",
        "connectorId": 1,
        "chargingSchedule": {
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7000}, {"startPeriod": 900, "limit": 2500}],
        },
    },
}
"""What a station says that it follows, by hand."""


@pytest.mark.parametrize(("protocol", "now_kw"), [("ocpp2.1", -42.5), ("ocpp1.6", 7.0)])
def test_what_a_station_follows_is_read_before_anything_is_asked_of_it_anew(
    protocol: str, now_kw: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revere.links.ocppj.connection.RESUME_AFTER_S", 0.01)

    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            reactions: dict[str, Any] = {"GetCompositeSchedule": COMPOSITE[protocol]}
            station = await b.station(protocol=protocol, reactions=reactions)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            asked = [action for action, _ in station.asked if action != "GetVariables"]  # reading changes nothing
            assert asked[:2] == ["GetCompositeSchedule", "SetChargingProfile"]
            [read] = b.sink.of(ScheduleRead)
            assert (read.station_id, read.evse_id) == (ST, 1)
            assert read.steps == ((NOW, now_kw), (NOW + dt.timedelta(seconds=900), 2.5))
            await station.close()
            await b.station(protocol=protocol, reactions=reactions)  # it has only lost its line: read again
            await b.sink.until(lambda: len(b.sink.of(ScheduleRead)) == 2)
            assert len(b.sink.of(StationProvisioned)) == 1

    play(story)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp1.6"])
def test_a_station_that_says_nothing_of_its_schedule_is_provisioned_all_the_same(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revere.links.ocppj.connection.RESUME_AFTER_S", 0.01)
    monkeypatch.setattr("revere.links.ocppj.calls.SETPOINT_TIMEOUT_S", 0.05)

    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            await b.station(protocol=protocol, reactions={"GetCompositeSchedule": None})
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert b.sink.of(ScheduleRead) == []

    play(story)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp1.6"])
def test_a_fallback_is_put_back_in_the_place_of_any_other_default(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revere.links.ocppj.connection.RESUME_AFTER_S", 0.01)

    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            station.asked.clear()
            assert (await b.server.restore_fallback(ST)).why == "sent a moment ago"
            assert station.asked == []
            b.server._memories[ST].default_sent_s -= 61.0
            assert (await b.server.restore_fallback(ST)).status == "accepted"
            [cleared, (action, installed)] = station.asked
            purpose = {"chargingProfilePurpose": "TxDefaultProfile"}
            wanted = {"chargingProfileCriteria": purpose} if protocol == "ocpp2.1" else purpose
            assert cleared == ("ClearChargingProfile", wanted)
            assert action == "SetChargingProfile"
            assert "TxDefaultProfile" in str(installed)

    play(story)


def test_needs_and_status() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            answer = await station.call(
                "NotifyEVChargingNeeds",
                {
                    "evseId": 1,
                    "chargingNeeds": {
                        "requestedEnergyTransfer": "DC_BPT",
                        "controlMode": "DynamicControl",
                        "departureTime": "2026-07-17T06:10:00-04:00",
                        "dcChargingParameters": {
                            "evMaxCurrent": 200,
                            "evMaxVoltage": 800,
                            "evEnergyCapacity": 155_000,
                            "stateOfCharge": 64,
                        },
                        "v2xChargingParameters": {
                            "maxChargePower": 60_000,
                            "maxDischargePower": -55_000,
                            "evMinV2XEnergyRequest": -60_000,
                            "evMaxEnergyRequest": 40_000,
                        },
                    },
                },
            )
            assert answer[2] == {"status": "Accepted"}
            assert b.sink.of(EnergyNeeds) == [
                EnergyNeeds(
                    at=NOW,
                    station_id=ST,
                    evse_id=1,
                    charge_max_kw=60.0,
                    discharge_max_kw=55.0,
                    capacity_kwh=155.0,
                    soc=0.64,
                    departure=dt.datetime(2026, 7, 17, 10, 10, tzinfo=dt.UTC),
                    to_least_kwh=-60.0,
                    to_most_kwh=40.0,
                )
            ]
            await station.call(
                "StatusNotification",
                {"timestamp": "2026-07-16T19:30:00Z", "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1},
            )
            assert b.sink.of(StatusReported)[0].status == "occupied"

    play(story)


def test_16_boot_to_limit_and_out() -> None:
    async def story() -> None:
        async with bench(config("CP-6", "ocpp1.6")) as b:
            station = await b.station("CP-6", "ocpp1.6")
            assert (await station.call("BootNotification", BOOT_16))[2]["status"] == "Accepted"
            default = (await station.until_asked("SetChargingProfile"))["csChargingProfiles"]
            assert default["chargingProfilePurpose"] == "TxDefaultProfile"
            start = {"connectorId": 1, "idTag": "BUS-9", "meterStart": 1200, "timestamp": "2026-07-16T19:30:00Z"}
            first = await station.call("StartTransaction", start)
            again = await station.call("StartTransaction", start)
            number = first[2]["transactionId"]
            assert again[2] == first[2]
            assert first[2]["idTagInfo"] == {"status": "Accepted"}
            [started] = b.sink.of(SessionStarted)
            command = setpoint(5.5, session=started.session_id)
            command = msgspec.structs.replace(command, station_id=StationId("CP-6"))
            assert (await b.server.set_power(command)).status == "accepted"
            profile = (await station.until_asked("SetChargingProfile", 2))["csChargingProfiles"]
            assert profile["transactionId"] == number
            assert profile["validTo"] == "2026-07-16T19:45:00Z"
            assert profile["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 5500.0}]
            below = msgspec.structs.replace(command, setpoint_kw=-3.0)
            assert (await b.server.set_power(below)).status == "accepted"
            profile = (await station.until_asked("SetChargingProfile", 3))["csChargingProfiles"]
            assert profile["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 0.0}]
            stop = {"meterStop": 4200, "timestamp": "2026-07-16T19:30:30Z", "transactionId": number}
            for _ in range(2):
                await station.call("StopTransaction", {**stop, "reason": "EVDisconnected"})
            assert [(r.context, r.import_wh) for r in b.sink.of(MeterReading)] == [("begin", 1200), ("end", 4200)]
            assert [f.reason for f in b.sink.of(SessionEnded)] == ["EVDisconnected"]
            assert b.server.counters.duplicates == 2

    play(story)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp1.6"])
def test_a_quiet_reconnect_counts_as_booted(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revere.links.ocppj.connection.RESUME_AFTER_S", 0.01)

    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            await b.station(protocol=protocol)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert b.server.connected() == frozenset({ST})
            assert b.sink.of(StationBooted) == []

    play(story)
