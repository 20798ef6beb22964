"""A strict 2.0.1 station: what it refuses, what it does with hand-written frames, and that it speaks 2.0.1 alone."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from revere.twin.loop import TwinClock
from revere.twin.world import World

from .central import Central
from .small import SMALL, small
from .test_schemas import check
from .test_stations import BUS, HALL, play, power_kw, transaction

TEXT = SMALL.replace(
    'protocol = "ocpp2.1"\nconnector = "cCCS1"\ncharge_kw = 60.0',
    'protocol = "ocpp2.0.1"\nconnector = "cCCS1"\ncharge_kw = 60.0',
)
OLDER = small(TEXT.split("[[outages]]")[0])
STORMY = small(TEXT)


def leased(transaction_id: str, limit_w: float, clock: TwinClock, **profile: Any) -> dict[str, Any]:
    """A limit for a quarter of an hour, as an energy manager would write it by hand."""
    now = clock.now()
    return {
        "evseId": 1,
        "chargingProfile": {
            "id": 101,
            "stackLevel": 5,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "transactionId": transaction_id,
            "validTo": (now + dt.timedelta(minutes=15)).isoformat(),
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "W",
                    "startSchedule": (now - dt.timedelta(minutes=1)).isoformat(),
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_w}],
                }
            ],
            **profile,
        },
    }


def default(limit_w: float) -> dict[str, Any]:
    return {
        "evseId": 0,
        "chargingProfile": {
            "id": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Recurring",
            "recurrencyKind": "Daily",
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "W",
                    "startSchedule": "2023-09-06T04:00:00Z",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_w}],
                }
            ],
        },
    }


def test_a_limit_below_0_discharges_until_its_end_and_then_the_default_holds() -> None:
    powers: dict[str, float] = {}

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        tx = transaction(central, BUS)
        assert (await central.call(BUS, "SetChargingProfile", default(5_000)))["status"] == "Accepted"
        assert (await central.call(BUS, "SetChargingProfile", leased(tx, -20_000, clock)))["status"] == "Accepted"
        await asyncio.sleep(30)
        powers["gives"] = power_kw(world, BUS)
        again = await central.call(BUS, "SetChargingProfile", leased(tx, -30_000, clock))
        assert (again["status"], again["statusInfo"]["reasonCode"]) == ("Rejected", "RateLimitExceeded")
        composite = await central.call(BUS, "GetCompositeSchedule", {"duration": 3600, "evseId": 1})
        limits = [p["limit"] for p in composite["schedule"]["chargingSchedulePeriod"]]
        assert limits[:2] == [-20_000, 5_000]
        await asyncio.sleep(900)
        powers["after its lease"] = power_kw(world, BUS)
        assert (await central.call(BUS, "SetChargingProfile", leased(tx, -10_000, clock)))["status"] == "Accepted"
        assert (await central.call(BUS, "ClearChargingProfile", {"chargingProfileId": 101}))["status"] == "Accepted"
        await asyncio.sleep(30)
        powers["cleared"] = power_kw(world, BUS)

    play(body, OLDER)
    assert powers == pytest.approx({"gives": -20.0, "after its lease": 5.0, "cleared": 5.0}, abs=0.3)


@pytest.mark.parametrize(
    ("what", "change", "answer"),
    [
        ("more than it can give", {"limit_w": -60_001.0}, "InvalidSchedule"),
        ("a Dynamic profile", {"chargingProfileKind": "Dynamic"}, "FormatViolation"),
        ("an offline lease of 2.1", {"maxOfflineDuration": 300}, "FormatViolation"),
        ("another transaction", {"transactionId": "nobody"}, "TxNotFound"),
        (
            "a default that gives",
            {"chargingProfilePurpose": "TxDefaultProfile", "transactionId": None},
            "InvalidSchedule",
        ),
        ("Relative with a start", {"chargingProfileKind": "Relative"}, "InvalidSchedule"),
        ("a stack too high", {"stackLevel": 99}, "InvalidStackLevel"),
    ],
)
def test_refusals(what: str, change: dict[str, Any], answer: str) -> None:
    found: list[str] = []

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        change_of = dict(change)
        frame = leased(transaction(central, BUS), change_of.pop("limit_w", -20_000.0), clock, **change_of)
        if frame["chargingProfile"]["transactionId"] is None:
            del frame["chargingProfile"]["transactionId"]
        said = await central.call(BUS, "SetChargingProfile", frame)
        found.append(said.get("error") or said["statusInfo"]["reasonCode"])
        assert power_kw(world, BUS) >= 0

    play(body, OLDER)
    assert found == [answer], what


def test_messages_and_modes_of_21_are_not_known() -> None:
    answers: list[str] = []

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        update = {"chargingProfileId": 101, "scheduleUpdate": {"setpoint": -5000}}
        answers.append((await central.call(BUS, "UpdateDynamicSchedule", update))["error"])
        frame = leased(transaction(central, BUS), 5_000, clock)
        frame["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]["operationMode"] = "ChargingOnly"
        answers.append((await central.call(BUS, "SetChargingProfile", frame))["error"])

    play(body, OLDER)
    assert answers == ["NotImplemented", "FormatViolation"]


def test_all_that_it_says_in_a_day_with_an_outage_is_201() -> None:
    asked = [
        ("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}),
        ("GetCompositeSchedule", {"duration": 600, "evseId": 1}),
        ("TriggerMessage", {"requestedMessage": "MeterValues"}),
    ]

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        for action, payload in asked:
            check("v201", action, payload)
            check("v201", action, await central.call(BUS, action, payload), "Response")
        await asyncio.sleep(10 * 3600)

    _, central = play(body, STORMY)
    said = [(action, payload) for _, station, action, payload in central.log if station.startswith("school")]
    for action, payload in said:
        check("v201", action, payload)
    feeds = [
        event["actualValue"]
        for action, payload in said
        if action == "NotifyEvent"
        for event in payload["eventData"]
        if event["component"]["name"] == "ElectricalFeed"
    ]
    assert feeds == ["false", "true"]
    assert {action for action, _ in said} >= {
        "NotifyReport",
        "TransactionEvent",
        "MeterValues",
        "NotifyEVChargingNeeds",
    }
    assert any(station == HALL for _, station, _, _ in central.log)
