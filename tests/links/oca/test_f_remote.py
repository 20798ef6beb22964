"""Block F of the Open Charge Alliance's list: remote start, unlock, and every triggered message."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from cases import case
from ocpp_rig import play
from station import ST, STAMP, TOKEN, Scene, event, scene

from revere.core.assets import Authorization, TokenKind
from revere.core.facts import MeterReading, SessionStarted
from revere.core.orders import Order, StartSession, StopSession, TriggerReport, UnlockConnector

ACCEPTED = {"status": "Accepted"}
TRIGGERED = {"value": 12_345, "context": "Trigger", "measurand": "Energy.Active.Import.Register", "location": "Inlet"}
METER = [{"timestamp": STAMP, "sampledValue": [TRIGGERED]}]


async def _started(s: Scene, reaction: dict[str, Any], evse_id: int | None = 1, kind: TokenKind = "Central") -> int:
    """A remote start for the programme's token, registered as that kind; the id that we gave it."""
    s.b.directory.tokens[TOKEN["idToken"]] = Authorization(status="accepted", kind=kind)
    order = StartSession(token=TOKEN["idToken"], evse_id=evse_id)
    answer, asked = await s.ordered(order, "RequestStartTransaction", reaction)
    assert answer.status == "accepted"
    assert asked["idToken"] == {"idToken": TOKEN["idToken"], "type": kind}
    assert asked.get("evseId") == evse_id
    return int(asked["remoteStartId"])


async def _energy(s: Scene) -> None:
    await s.tells("Occupied")
    await s.tx("Updated", "CablePluggedIn", "EVConnected")
    await s.tx("Updated", "ChargingStateChanged", "Charging")


@case(
    "TC_F_01_CSMS",
    steps="cable first; 1-2 remote start accepted with the running transaction's id; 3-4 its event with our remote "
    "start id answered; 5 authorised and energy flows",
)
def test_tc_f_01() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.tells("Occupied")
            await s.tx("Started", "CablePluggedIn", "EVConnected")
            number = await _started(s, {**ACCEPTED, "transactionId": "tx-1"})
            await s.tx("Updated", "RemoteStart", info={"remoteStartId": number}, idToken=TOKEN)
            await s.tx("Updated", "ChargingStateChanged", "Charging")
            assert [fact.token for fact in s.b.sink.of(SessionStarted)][-1] == TOKEN["idToken"]

    play(story)


@case(
    "TC_F_02_CSMS",
    steps="1-2 remote start accepted before the cable; 3-4 the station asks for the token and hears Accepted; "
    "5-6 started event with our remote start id answered; 7 cable and energy",
)
def test_tc_f_02() -> None:
    async def story() -> None:
        async with scene() as s:
            number = await _started(s, ACCEPTED)
            assert (await s.call("Authorize", {"idToken": TOKEN}))["idTokenInfo"]["status"] == "Accepted"
            answer = await s.tx("Started", "RemoteStart", info={"remoteStartId": number}, idToken=TOKEN)
            assert answer["idTokenInfo"]["status"] == "Accepted"
            await _energy(s)
            assert len(s.b.sink.of(SessionStarted)) == 1

    play(story)


@case(
    "TC_F_03_CSMS",
    steps="1-2 remote start accepted before the cable, no EVSE named; 3-4 started event with our remote start id "
    "answered; 5 cable and energy; with each type of token that can be registered",
)
@pytest.mark.parametrize("kind", get_args(TokenKind))
def test_tc_f_03(kind: TokenKind) -> None:
    async def story() -> None:
        async with scene() as s:
            number = await _started(s, ACCEPTED, None, kind)
            token = {"idToken": TOKEN["idToken"], "type": kind}
            await s.tx("Started", "RemoteStart", info={"remoteStartId": number}, idToken=token)
            await _energy(s)
            assert len(s.b.sink.of(SessionStarted)) == 1

    play(story)


@case(
    "TC_F_04_CSMS",
    steps="1-2 remote start accepted; 3-4 started event answered; 5-6 the time-out of the cable answered, and the end "
    "that follows",
)
def test_tc_f_04() -> None:
    async def story() -> None:
        async with scene() as s:
            number = await _started(s, ACCEPTED)
            await s.tx("Started", "RemoteStart", info={"remoteStartId": number}, idToken=TOKEN)
            await s.tx("Updated", "EVConnectTimeout")
            await s.tx("Ended", "EVConnectTimeout", info={"stoppedReason": "Timeout"})
            assert (s.b.sink.of(SessionStarted), s.ended()) == ([], [])  # no vehicle came

    play(story)


@case("TC_F_06_CSMS", steps="1 unlock of connector 1 of EVSE 1; 2 Unlocked told to the operator")
def test_tc_f_06() -> None:
    async def story() -> None:
        async with scene() as s:
            order = UnlockConnector(evse_id=1, connector_id=1)
            answer, asked = await s.ordered(order, "UnlockConnector", {"status": "Unlocked"})
            assert (asked, answer.status) == ({"evseId": 1, "connectorId": 1}, "accepted")

    play(story)


async def _triggered(s: Scene, order: TriggerReport, expected: dict[str, Any]) -> None:
    answer, asked = await s.ordered(order, "TriggerMessage", ACCEPTED)
    assert (asked, answer.status) == (expected, "accepted")


def _registers(s: Scene) -> set[tuple[str, int | None, str]]:
    return {(fact.asset_id, fact.import_wh, fact.context) for fact in s.b.sink.of(MeterReading)}


@case(
    "TC_F_11_CSMS", steps="1-2 meter values of EVSE 1 triggered; 3-4 they come, are answered and recorded as triggered"
)
def test_tc_f_11() -> None:
    async def story() -> None:
        async with scene() as s:
            order = TriggerReport(report="meter-values", evse_id=1)
            await _triggered(s, order, {"requestedMessage": "MeterValues", "evse": {"id": 1}})
            assert await s.call("MeterValues", {"evseId": 1, "meterValue": METER}) == {}
            assert _registers(s) == {("ST-1/1", 12_345, "trigger")}

    play(story)


@case("TC_F_12_CSMS", steps="1-2 meter values triggered, no EVSE named; 3-4 those of each EVSE answered and recorded")
def test_tc_f_12() -> None:
    async def story() -> None:
        async with scene() as s:
            await _triggered(s, TriggerReport(report="meter-values"), {"requestedMessage": "MeterValues"})
            for evse_id in (1, 2):
                assert await s.call("MeterValues", {"evseId": evse_id, "meterValue": METER}) == {}
            assert _registers(s) == {("ST-1/1", 12_345, "trigger"), ("ST-1/2", 12_345, "trigger")}

    play(story)


@case(
    "TC_F_13_CSMS", steps="charging; 1-2 transaction event of EVSE 1 triggered; 3-4 it comes, is answered and recorded"
)
def test_tc_f_13() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.charging()
            order = TriggerReport(report="transaction", evse_id=1)
            await _triggered(s, order, {"requestedMessage": "TransactionEvent", "evse": {"id": 1}})
            await s.tx("Updated", "Trigger", "Charging", meterValue=METER)
            assert _registers(s) == {("ST-1/1", 12_345, "trigger")}

    play(story)


@case(
    "TC_F_14_CSMS",
    steps="charging at two EVSEs; 1-2 transaction events triggered, none named; 3-4 each answered and recorded",
)
def test_tc_f_14() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.charging()
            other = {"transactionInfo": {"transactionId": "tx-2"}, "evse": {"id": 2, "connectorId": 1}}
            await s.call("TransactionEvent", event("Started", 0, "Authorized", **other, idToken=TOKEN))
            await _triggered(s, TriggerReport(report="transaction"), {"requestedMessage": "TransactionEvent"})
            await s.tx("Updated", "Trigger", "Charging", meterValue=METER)
            await s.call("TransactionEvent", event("Updated", 1, "Trigger", **other, meterValue=METER))
            assert _registers(s) == {("ST-1/1", 12_345, "trigger"), ("ST-1/2", 12_345, "trigger")}

    play(story)


def _idle(order: TriggerReport, action: str) -> None:
    async def story() -> None:
        async with scene() as s:
            await _triggered(s, order, {"requestedMessage": action})
            assert await s.call(action, {"status": "Idle"}) == {}

    play(story)


@case("TC_F_15_CSMS", steps="1-2 status of the log upload triggered; 3-4 Idle comes and is answered")
def test_tc_f_15() -> None:
    _idle(TriggerReport(report="log-status"), "LogStatusNotification")


@case("TC_F_18_CSMS", steps="1-2 status of the firmware update triggered; 3-4 Idle comes and is answered")
def test_tc_f_18() -> None:
    _idle(TriggerReport(report="firmware-status"), "FirmwareStatusNotification")


@case("TC_F_20_CSMS", steps="1-2 heartbeat triggered; 3-4 it comes and hears our time")
def test_tc_f_20() -> None:
    async def story() -> None:
        async with scene() as s:
            await _triggered(s, TriggerReport(report="heartbeat"), {"requestedMessage": "Heartbeat"})
            assert await s.call("Heartbeat", {}) == {"currentTime": STAMP}

    play(story)


def _status(word: str) -> None:
    async def story() -> None:
        async with scene() as s:
            await s.tells(word)
            order = TriggerReport(report="status", evse_id=1)
            asked = {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}
            await _triggered(s, order, asked)
            await s.tells(word)
            assert s.statuses() == {1: word.lower()}

    play(story)


@case(
    "TC_F_23_CSMS",
    steps="1-2 status of EVSE 1 triggered while free; 3-4 Available answered in both of the standard's ways",
)
def test_tc_f_23() -> None:
    _status("Available")


@case(
    "TC_F_24_CSMS",
    steps="1-2 occupied; 3-4 status of EVSE 1 triggered; 5-6 Occupied answered in both of the standard's ways",
)
def test_tc_f_24() -> None:
    _status("Occupied")


@case(
    "TC_F_27_CSMS",
    steps="1 a message triggered; 2 the station's NotImplemented told to the operator; the station goes on",
)
def test_tc_f_27() -> None:
    async def story() -> None:
        async with scene() as s:
            order = TriggerReport(report="certificate-request")
            answer, _ = await s.ordered(order, "TriggerMessage", {"status": "NotImplemented"})
            assert (answer.status, answer.why) == ("rejected", "NotImplemented")
            await s.tells("Available")

    play(story)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (StartSession(token="NOBODY"), "may not charge here"),
        (StopSession(session_id="ST-2:tx-1"), "session of another station"),
    ],
)
def test_what_may_not_be_started_or_stopped_is_not_asked(order: Order, why: str) -> None:
    async def story() -> None:
        async with scene() as s:
            before = len(s.station.asked)
            answer = await s.order(order)
            assert answer.status == "rejected"
            assert why in answer.why
            assert len(s.station.asked) == before

    play(story)


def test_a_session_is_stopped_by_our_id_of_it() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.charging()
            order = StopSession(session_id=f"{ST}:tx-1")
            answer, asked = await s.ordered(order, "RequestStopTransaction", ACCEPTED)
            assert (asked, answer.status) == ({"transactionId": "tx-1"}, "accepted")

    play(story)
