"""Blocks K and Q at a strict 2.1 station, by hand-written frames and the plant's meter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from revere.twin.loop import TwinClock
from revere.twin.station21 import Station21
from revere.twin.world import World

from .central import Central
from .test_schemas import check
from .test_stations import BUS, play, power_kw, setpoint_frame, transaction

GIVE = {"operationMode": "CentralSetpoint", "setpoint": -42_000, "limit": 60_000, "dischargeLimit": -60_000}
FREQUENCY = {
    "operationMode": "LocalFrequency",
    "v2xBaseline": -5_000,
    "v2xFreqWattCurve": [{"frequency": 59.8, "power": -30_000}, {"frequency": 60.2, "power": 30_000}],
}
SIGNALS = {"v2xSignalWattCurve": [{"signal": -100, "power": -20_000}, {"signal": 100, "power": 20_000}]}
AT = {"timestamp": "2023-09-07T04:05:00Z"}


def bus(world: World) -> Station21:
    """The station of the first bus."""
    station = world.stations[BUS]
    assert isinstance(station, Station21)
    return station


async def asked(central: Central, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """A call and its answer, both held against the schema."""
    check("v21", action, payload)
    answer = await central.call(BUS, action, payload)
    check("v21", action, answer, "Response")
    return answer


def test_a_vehicle_that_nobody_allowed_to_give_does_not_until_it_is() -> None:
    def silent(station: str, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        return {"idTokenInfo": {"status": "Accepted"}} if action == "Authorize" else None

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        central.special = silent
        await asyncio.sleep(60)
        frame = setpoint_frame(transaction(central, BUS), **GIVE)
        refused = await asked(central, "SetChargingProfile", frame)
        assert refused["statusInfo"]["reasonCode"] == "InvalidOperationMode"
        strange = {"transactionId": "another", "allowedEnergyTransfer": ["DC_BPT"]}
        assert (await asked(central, "NotifyAllowedEnergyTransfer", strange))["status"] == "Rejected"
        allowed = {"transactionId": transaction(central, BUS), "allowedEnergyTransfer": ["DC", "DC_BPT"]}
        assert (await asked(central, "NotifyAllowedEnergyTransfer", allowed))["status"] == "Accepted"
        assert (await asked(central, "SetChargingProfile", frame))["status"] == "Accepted"
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(-42.0)

    play(body)


@pytest.mark.parametrize(
    ("signal", "kw"), [(-100, -25.0), (-50, -15.0), (0, -5.0), (40, 3.0), (100, 15.0), (500, 15.0)]
)
def test_a_signal_moves_the_power_along_its_curve(signal: int, kw: float) -> None:
    """60 Hz gives 0 on the frequency curve; baseline and signal add up."""

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        early = await asked(central, "AFRRSignal", AT | {"signal": signal})
        assert early["statusInfo"]["reasonCode"] == "NoSignalWattCurve"
        frame = setpoint_frame(transaction(central, BUS), **FREQUENCY, **SIGNALS)
        assert (await asked(central, "SetChargingProfile", frame))["status"] == "Accepted"
        assert (await asked(central, "AFRRSignal", AT | {"signal": signal}))["status"] == "Accepted"
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(kw, abs=0.04)

    play(body)


def priority_profile(limit_w: float) -> dict[str, Any]:
    """A PriorityCharging profile for EVSE 1."""
    period = {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": limit_w}
    schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    return {
        "evseId": 1,
        "chargingProfile": {
            "id": 401, "stackLevel": 0, "chargingProfilePurpose": "PriorityCharging",
            "chargingProfileKind": "Relative", "chargingSchedule": [schedule],
        },
    }  # fmt: skip


def test_priority_charges_over_a_setpoint_until_it_ends() -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        tx = transaction(central, BUS)
        assert (await asked(central, "SetChargingProfile", setpoint_frame(tx, **GIVE)))["status"] == "Accepted"
        use = {"transactionId": tx, "activate": True}
        assert (await asked(central, "UsePriorityCharging", use))["status"] == "NoProfile"
        assert (await asked(central, "SetChargingProfile", priority_profile(30_000)))["status"] == "Accepted"
        strange = use | {"transactionId": "another"}
        assert (await asked(central, "UsePriorityCharging", strange))["status"] == "Rejected"
        assert (await asked(central, "UsePriorityCharging", use))["status"] == "Accepted"
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(30.0)
        bus(world).v2x.press_priority(active=False)
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(-42.0)
        assert central.said(BUS, "NotifyPriorityCharging") == [{"transactionId": tx, "activated": False}]

    play(body)


def test_a_limit_from_outside_binds_and_is_told() -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        frame = setpoint_frame(transaction(central, BUS), **GIVE)
        assert (await asked(central, "SetChargingProfile", frame))["status"] == "Accepted"
        bus(world).v2x.limit_from_outside(20_000, -10_000)
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(-10.0)
        bus(world).v2x.lift_from_outside()
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(-42.0)
        for action in ("NotifyChargingLimit", "ClearedChargingLimit"):
            [payload] = central.said(BUS, action)
            check("v21", action, payload)

    play(body)


def test_an_external_setpoint_is_followed_within_our_limits() -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        period = {"operationMode": "ExternalSetpoint", "limit": 60_000, "dischargeLimit": -12_000}
        frame = setpoint_frame(transaction(central, BUS), **period)
        assert (await asked(central, "SetChargingProfile", frame))["status"] == "Accepted"
        bus(world).v2x.limit_from_outside(None, None, -30_000)
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(-12.0)

    play(body)


def test_a_dynamic_profile_with_an_interval_pulls_its_values() -> None:
    def pulled(station: str, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        update = {"status": "Accepted", "scheduleUpdate": {"setpoint": -18_000}}
        return update if action == "PullDynamicScheduleUpdate" else None

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        central.special = pulled
        await asyncio.sleep(60)
        frame = setpoint_frame(transaction(central, BUS), **GIVE)
        frame["chargingProfile"]["dynUpdateInterval"] = 30
        assert (await asked(central, "SetChargingProfile", frame))["status"] == "Accepted"
        await asyncio.sleep(45)
        assert power_kw(world, BUS) == pytest.approx(-18.0)
        await asyncio.sleep(60)
        pulls = central.said(BUS, "PullDynamicScheduleUpdate")
        assert pulls == [{"chargingProfileId": 101}] * 3

    play(body)


@pytest.mark.parametrize(
    ("asks", "status", "ids"),
    [
        ({"chargingProfile": {"chargingProfilePurpose": "TxProfile"}}, "Accepted", [101]),
        ({"chargingProfile": {"chargingProfileId": [1, 401]}, "evseId": 1}, "Accepted", [401]),
        ({"chargingProfile": {}, "evseId": 1}, "Accepted", [101, 401]),
        ({"chargingProfile": {"stackLevel": 9}}, "NoProfiles", []),
        ({"chargingProfile": {"chargingLimitSource": ["EMS"]}}, "NoProfiles", []),
        ({"chargingProfile": {}}, "NoProfiles", []),
    ],
)
def test_installed_profiles_are_reported(asks: dict[str, Any], status: str, ids: list[int]) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        tx = transaction(central, BUS)
        for frame in (setpoint_frame(tx, **GIVE), priority_profile(30_000)):
            assert (await asked(central, "SetChargingProfile", frame))["status"] == "Accepted"
        assert (await asked(central, "GetChargingProfiles", {"requestId": 5, **asks}))["status"] == status
        await asyncio.sleep(2)
        reports = central.said(BUS, "ReportChargingProfiles")
        for report in reports:
            check("v21", "ReportChargingProfiles", report)
        assert [p["id"] for report in reports for p in report["chargingProfile"]] == ids
        assert [report["tbc"] for report in reports] == [True] * (len(reports) - 1) + [False] * bool(reports)

    play(body)


def test_a_session_in_a_two_way_mode_is_sampled_as_that_mode_says() -> None:
    """As it leaves the factory: one register a minute, whatever SampledDataCtrlr says of sessions that only charge."""
    wanted = {"TxUpdatedMeasurands": "Power.Active.Export,SoC", "TxUpdatedInterval": "20"}

    async def body(_world: World, central: Central, _clock: TwinClock) -> None:
        await asyncio.sleep(60)
        await asked(central, "SetChargingProfile", setpoint_frame(transaction(central, BUS), **GIVE))

        async def samples() -> list[dict[str, Any]]:
            central.log.clear()
            await asyncio.sleep(605)
            said = central.said(BUS, "TransactionEvent")
            return [event for event in said if event["triggerReason"] == "MeterValuePeriodic"]

        before = await samples()
        place = {"name": "V2XChargingCtrlr", "evse": {"id": 1}}
        rows = [
            {"component": place, "variable": {"name": name, "instance": "CentralSetpoint"}, "attributeValue": value}
            for name, value in wanted.items()
        ]
        answer = await asked(central, "SetVariables", {"setVariableData": rows})
        assert [one["attributeStatus"] for one in answer["setVariableResult"]] == ["Accepted", "Accepted"]
        after = await samples()
        assert (len(before), len(after)) == (10, 30)
        for events, measurands in (
            (before, {"Energy.Active.Import.Register"}),
            (after, {"Power.Active.Export", "SoC"}),
        ):
            assert {v["measurand"] for e in events for v in e["meterValue"][0]["sampledValue"]} == measurands
            assert {event["transactionInfo"]["operationMode"] for event in events} == {"CentralSetpoint"}

    play(body)
