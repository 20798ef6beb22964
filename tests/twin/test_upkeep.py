"""Resets, service, triggers and waiting to be accepted, by hand-written frames to each edition's strict station."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from revere.core.scenario import Scenario
from revere.twin.loop import TwinClock
from revere.twin.world import World

from .central import Central
from .test_schemas import check
from .test_station201 import OLDER
from .test_stations import BUS, CALM, HALL, play, power_kw, transaction

EDITIONS = [pytest.param(CALM, BUS, id="2.1"), pytest.param(OLDER, BUS, id="2.0.1"), pytest.param(CALM, HALL, id="1.6")]
NEWER = EDITIONS[:2]
IDLE_KW = 0.1


def statuses(central: Central, station: str) -> list[str]:
    key = "status" if station == HALL else "connectorStatus"
    return [payload[key] for payload in central.said(station, "StatusNotification")]


def ended(central: Central, station: str) -> list[str]:
    if station == HALL:
        return [payload["reason"] for payload in central.said(station, "StopTransaction")]
    events = central.said(station, "TransactionEvent")
    return [e["transactionInfo"]["stoppedReason"] for e in events if e["eventType"] == "Ended"]


def boots(central: Central, station: str) -> list[str]:
    return [payload.get("reason", "1.6") for payload in central.said(station, "BootNotification")]


def reset(station: str, *, now: bool = True, **more: Any) -> dict[str, Any]:
    if station == HALL:
        return {"type": "Hard" if now else "Soft"}
    return {"type": "Immediate" if now else "OnIdle", **more}


def service(station: str, word: str) -> dict[str, Any]:
    return {"connectorId": 0, "type": word} if station == HALL else {"operationalStatus": word}


async def call(central: Central, station: str, action: str, payload: dict[str, Any]) -> Any:
    answer = await central.call(station, action, payload)
    return answer.get("status", answer)


@pytest.mark.parametrize(("scenario", "station"), EDITIONS)
def test_a_reset_now_cuts_the_session_off_tells_its_end_and_boots(scenario: Scenario, station: str) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        assert power_kw(world, station) > 10
        assert await call(central, station, "Reset", reset(station)) == "Accepted"
        await asyncio.sleep(30)
        assert station not in central.links
        assert power_kw(world, station) < IDLE_KW
        assert ended(central, station) == ["HardReset" if station == HALL else "ImmediateReset"]
        await asyncio.sleep(120)
        assert boots(central, station)[1:] == ["1.6" if station == HALL else "RemoteReset"]
        assert power_kw(world, station) > 10, "still plugged: a new session"

    play(body, scenario)


@pytest.mark.parametrize(("scenario", "station"), NEWER)
def test_a_reset_when_idle_waits_for_the_sessions_end(scenario: Scenario, station: str) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        assert await call(central, station, "Reset", reset(station, now=False)) == "Scheduled"
        await asyncio.sleep(300)
        assert (boots(central, station), power_kw(world, station) > 10) == (["PowerUp"], True)
        stop = {"transactionId": transaction(central, station)}
        assert await call(central, station, "RequestStopTransaction", stop) == "Accepted"
        await asyncio.sleep(120)
        assert boots(central, station) == ["PowerUp", "ScheduledReset"]
        assert ended(central, station) == ["Remote"]

    play(body, scenario)


@pytest.mark.parametrize(("scenario", "station"), NEWER)
def test_an_evse_starts_anew_without_the_station(scenario: Scenario, station: str) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        assert await call(central, station, "Reset", reset(station, evseId=2)) == "Rejected"
        assert await call(central, station, "Reset", reset(station, evseId=1)) == "Accepted"
        await asyncio.sleep(60)
        assert (ended(central, station), boots(central, station)) == (["ImmediateReset"], ["PowerUp"])
        assert power_kw(world, station) > 10

    play(body, scenario)


@pytest.mark.parametrize("part", [{}, {"evseId": 1}])
def test_a_reset_that_resumes_goes_on_with_its_transaction(part: dict[str, int]) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        tx = transaction(central, BUS)
        assert await call(central, BUS, "Reset", {"type": "ImmediateAndResume", **part}) == "Accepted"
        await asyncio.sleep(4)
        assert power_kw(world, BUS) < 20, "its converter ramps down"
        await asyncio.sleep(120)
        assert boots(central, BUS)[1:] == ([] if part else ["RemoteReset"])
        assert power_kw(world, BUS) > 10
        assert (transaction(central, BUS), ended(central, BUS)) == (tx, [])
        said = [p for p in central.said(BUS, "TransactionEvent") if p["triggerReason"] in ("ResetCommand", "TxResumed")]
        assert [(p["triggerReason"], p["transactionInfo"]["chargingState"]) for p in said] == [
            ("ResetCommand", "SuspendedEVSE"),
            ("TxResumed", "Charging"),
        ]
        for payload in said:
            check("v21", "TransactionEvent", payload)

    play(body)


def test_201_knows_no_reset_that_resumes() -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        answer = await central.call(BUS, "Reset", {"type": "ImmediateAndResume"})
        assert answer["error"] == "FormatViolation"

    play(body, OLDER)


@pytest.mark.parametrize(("scenario", "station"), EDITIONS)
def test_out_of_service_waits_for_the_session_and_outlives_a_restart(scenario: Scenario, station: str) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        assert await call(central, station, "ChangeAvailability", service(station, "Inoperative")) == "Scheduled"
        await asyncio.sleep(60)
        assert power_kw(world, station) > 10
        assert await call(central, station, "Reset", reset(station)) == "Accepted"
        await asyncio.sleep(150)
        assert len(boots(central, station)) == 2
        assert statuses(central, station)[-1] == "Unavailable"
        assert power_kw(world, station) < IDLE_KW
        start: dict[str, Any] = {"idToken": {"idToken": "EV-school-cs01", "type": "Central"}, "remoteStartId": 1}
        name = "RequestStartTransaction"
        if station == HALL:
            name, start = "RemoteStartTransaction", {"idTag": "EV-hall-cs01"}
        assert await call(central, station, name, start) == "Rejected"
        assert await call(central, station, "ChangeAvailability", service(station, "Operative")) == "Accepted"
        await asyncio.sleep(60)
        assert power_kw(world, station) > 10

    play(body, scenario)


@pytest.mark.parametrize(("scenario", "station"), NEWER)
def test_each_scope_is_in_service_by_itself(scenario: Scenario, station: str) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        stop = {"transactionId": transaction(central, station)}
        await call(central, station, "RequestStopTransaction", stop)
        for evse in ({"id": 1}, {"id": 1, "connectorId": 1}):
            change = {"operationalStatus": "Inoperative", "evse": evse}
            assert await call(central, station, "ChangeAvailability", change) == "Accepted"
        change = {"operationalStatus": "Operative", "evse": {"id": 1}}
        assert await call(central, station, "ChangeAvailability", change) == "Accepted"
        assert world.stations[station].upkeep.out, "its connector is still out"
        change = {"operationalStatus": "Operative", "evse": {"id": 1, "connectorId": 1}}
        assert await call(central, station, "ChangeAvailability", change) == "Accepted"
        assert not world.stations[station].upkeep.out
        unknown = {"operationalStatus": "Operative", "evse": {"id": 3}}
        assert await call(central, station, "ChangeAvailability", unknown) == "Rejected"

    play(body, scenario)


TRIGGERS = [
    ({"requestedMessage": "Heartbeat"}, "Accepted", "Heartbeat"),
    ({"requestedMessage": "MeterValues", "evse": {"id": 1}}, "Accepted", "MeterValues"),
    ({"requestedMessage": "TransactionEvent"}, "Accepted", "TransactionEvent"),
    ({"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}, "Accepted", "StatusNotification"),
    ({"requestedMessage": "LogStatusNotification"}, "Accepted", "LogStatusNotification"),
    ({"requestedMessage": "FirmwareStatusNotification"}, "Accepted", "FirmwareStatusNotification"),
    ({"requestedMessage": "StatusNotification"}, "Rejected", None),
    ({"requestedMessage": "BootNotification"}, "Rejected", None),
    ({"requestedMessage": "Heartbeat", "evse": {"id": 7}}, "Rejected", None),
    ({"requestedMessage": "SignV2GCertificate"}, "NotImplemented", None),
]


@pytest.mark.parametrize(("scenario", "station"), NEWER)
@pytest.mark.parametrize(("payload", "status", "sent"), TRIGGERS)
def test_what_is_triggered_comes(
    scenario: Scenario, station: str, payload: dict[str, Any], status: str, sent: str | None
) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(70)
        before = len(central.log)
        assert await call(central, station, "TriggerMessage", payload) == status
        await asyncio.sleep(2)
        said = [(action, told) for _, who, action, told in central.log[before:] if who == station]
        assert [action for action, _ in said] == ([sent] if sent else [])
        for action, told in said:
            check("v21" if scenario is CALM else "v201", action, told)

    play(body, scenario)


def test_16_triggers_its_boot_at_any_time() -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(70)
        for message, status in (("BootNotification", "Accepted"), ("FirmwareStatusNotification", "Accepted")):
            assert await call(central, HALL, "TriggerMessage", {"requestedMessage": message}) == status
            await asyncio.sleep(2)
            assert central.said(HALL, message)
        assert len(boots(central, HALL)) == 2
        assert await call(central, HALL, "UnlockConnector", {"connectorId": 2}) == "NotSupported"
        assert await call(central, HALL, "UnlockConnector", {"connectorId": 1}) == "Unlocked"
        assert ended(central, HALL) == ["UnlockCommand"]
        assert await call(central, HALL, "ClearCache", {}) == "Accepted"

    play(body)


@pytest.mark.parametrize(("scenario", "station"), NEWER)
def test_locks_caches_networks_and_reports(scenario: Scenario, station: str) -> None:
    network = {
        "ocppVersion": "OCPP20",
        "ocppInterface": "Wired0",
        "ocppTransport": "JSON",
        "messageTimeout": 30,
        "ocppCsmsUrl": "wss://csms.example.org",
        "securityProfile": 2,
    }

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        lock = {"evseId": 1, "connectorId": 1}
        assert await call(central, station, "UnlockConnector", lock) == "OngoingAuthorizedTransaction"
        assert await call(central, station, "UnlockConnector", lock | {"evseId": 2}) == "UnknownConnector"
        assert await call(central, station, "ClearCache", {}) == "Accepted"
        for slot, changes, status in (
            (1, {}, "Accepted"),
            (9, {}, "Rejected"),
            (1, {"securityProfile": 0}, "Rejected"),
            (1, {"ocppTransport": "SOAP"}, "Failed"),
        ):
            asked = {"configurationSlot": slot, "connectionData": network | changes}
            assert await call(central, station, "SetNetworkProfile", asked) == status
        for criteria, status, least in (
            ({"componentCriteria": ["Enabled"]}, "Accepted", 10),
            ({"componentCriteria": ["Problem"]}, "EmptyResultSet", 0),
            ({"componentVariable": [{"component": {"name": "ClockCtrlr"}}]}, "Accepted", 1),
        ):
            before = len(central.said(station, "NotifyReport"))
            assert await call(central, station, "GetReport", {"requestId": 5, **criteria}) == status
            await asyncio.sleep(2)
            parts = central.said(station, "NotifyReport")[before:]
            assert sum(len(part["reportData"]) for part in parts) >= least
            assert bool(parts) == (status == "Accepted")

    play(body, scenario)


@pytest.mark.parametrize(("scenario", "station"), EDITIONS)
@pytest.mark.parametrize("triggered", [True, False])
def test_a_station_that_must_wait_says_nothing_but_what_is_asked(
    scenario: Scenario, station: str, triggered: bool
) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        def wait(who: str, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
            if (who, action) == (station, "BootNotification") and len(boots(central, station)) == 1:
                return {"status": "Pending", "currentTime": clock.now().isoformat(), "interval": 600}
            return None

        central.special = wait
        await asyncio.sleep(60)
        if station != HALL:
            report = {"requestId": 1, "reportBase": "FullInventory"}
            assert await call(central, station, "GetBaseReport", report) == "Accepted"
            await asyncio.sleep(5)
        assert {action for _, who, action, _ in central.log if who == station} == {
            "BootNotification",
            *(["NotifyReport"] if station != HALL else []),
        }
        assert power_kw(world, station) < IDLE_KW
        if triggered:
            assert (
                await call(central, station, "TriggerMessage", {"requestedMessage": "BootNotification"}) == "Accepted"
            )
        await asyncio.sleep(60 if triggered else 660)
        assert len(boots(central, station)) == 2
        assert power_kw(world, station) > 10

    play(body, scenario)
