"""Block E: how a transaction starts, ends, is interrupted, comes late; and what the house makes a session of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from oca.cases import case
from oca.states import Visit, sessions
from oca.station import NOBODY, ST, TOKEN, Scene, reconnect, scene
from ocpp_rig import play

from revere.core.facts import (
    AlarmCleared,
    AlarmRaised,
    MeterReading,
    SecurityEventReported,
    SignedValueReceived,
)
from revere.core.orders import AskTransaction


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that comes back without a boot is taken for the same at once."""
    monkeypatch.setattr("revere.links.ocppj.connection.RESUME_AFTER_S", 0.01)


EVSE = {"evse": {"id": 1, "connectorId": 1}}
BEGUN, GONE = "+tx-1 BUS-7", "-tx-1 EVDisconnected"
ACCEPTED = {"idTokenInfo": {"status": "Accepted"}}


async def shown(s: Scene) -> None:
    """The token is asked for before the transaction."""
    assert await s.call("Authorize", {"idToken": TOKEN}) == ACCEPTED


def story(play_it: Any) -> None:
    async def whole() -> None:
        async with scene() as s:
            await play_it(s, Visit(s))

    play(whole)


# Starts ---------------------------------------------------------------------------------------------------


@case("TC_E_01_CSMS", steps="1-2 authorized; 3-4 occupied; 5-6 started when the power path closes; 7-8 charging")
def test_tc_e_01() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await shown(s)
        await visit.tell_status("Occupied")
        assert await visit.say("ChargingStateChanged", "SuspendedEVSE", token=TOKEN, **EVSE) == ACCEPTED
        assert await visit.say("ChargingStateChanged", "Charging") == {}
        assert sessions(s) == [BEGUN]

    story(steps)


@case("TC_E_02_CSMS", steps="1-2 authorized; 3-4 occupied; 5-6 started when energy flows")
def test_tc_e_02() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await shown(s)
        await visit.tell_status("Occupied")
        assert await visit.say("ChargingStateChanged", "Charging", token=TOKEN, **EVSE) == ACCEPTED
        assert sessions(s) == [BEGUN]

    story(steps)


@case("TC_E_03_CSMS", steps="before: cable in; 1 authorized; 2 charging")
def test_tc_e_03() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.plug_in()
        await visit.transfer()
        assert sessions(s) == ["+tx-1 ", BEGUN]

    story(steps)


@case("TC_E_04_CSMS", steps="1 authorized, no session yet; 2 cable in, charging")
def test_tc_e_04() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.authorize()
        assert sessions(s) == []
        await visit.transfer()
        assert sessions(s) == [BEGUN]

    story(steps)


@case("TC_E_09_CSMS", steps="1-2 occupied; 3-4 started by the cable, without a token")
def test_tc_e_09() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.plug_in()
        assert sessions(s) == ["+tx-1 "]

    story(steps)


@case("TC_E_10_CSMS", steps="1-2 authorized; 3-4 started by the token, without EVSE or vehicle: accepted, no session")
def test_tc_e_10() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.authorize()
        assert sessions(s) == []

    story(steps)


@case("TC_E_11_CSMS", steps="1-2 authorized; 3-4 occupied; 5-6 started with a signed value, kept; 7-8 charging")
def test_tc_e_11() -> None:
    signed = {"signedMeterData": "T0NNRg==", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": "MFk="}
    begin = {"value": 0.0, "context": "Transaction.Begin", "location": "Inlet", "signedMeterValue": signed}
    meter = [{"timestamp": "2026-07-16T19:30:00Z", "sampledValue": [begin]}]

    async def steps(s: Scene, visit: Visit) -> None:
        await shown(s)
        await visit.tell_status("Occupied")
        assert await visit.say("SignedDataReceived", token=TOKEN, meterValue=meter, **EVSE) == ACCEPTED
        await visit.say("ChargingStateChanged", "Charging")
        assert sessions(s) == [BEGUN]
        assert [(kept.signed, kept.public_key) for kept in s.b.sink.of(SignedValueReceived)] == [("T0NNRg==", "MFk=")]
        assert [(reading.context, reading.import_wh) for reading in s.b.sink.of(MeterReading)] == [("begin", 0)]

    story(steps)


@case("TC_E_12_CSMS", steps="1-2 started by a vehicle in the bay: answered, no session before its cable")
def test_tc_e_12() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        assert await visit.say("EVDetected") == {}
        assert sessions(s) == []

    story(steps)


@case("TC_E_38_CSMS", steps="before: authorized; 1 cable in; 2-3 the vehicle is not ready")
def test_tc_e_38() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.authorize()
        await visit.plug_in()
        assert await visit.say("ChargingStateChanged", "SuspendedEV") == {}
        assert sessions(s) == [BEGUN]

    story(steps)


# Ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "trigger", "state", "stopped", "heard"),
    [
        ("transfer", "StopAuthorized", None, "Local", [BEGUN, "-tx-1 Local"]),
        ("transfer", "ChargingStateChanged", "SuspendedEV", "StoppedByEV", [BEGUN, "-tx-1 StoppedByEV"]),
        ("suspend", "EVCommunicationLost", "Idle", "EVDisconnected", [BEGUN, GONE]),
        ("transfer", "RemoteStop", None, "Remote", [BEGUN, "-tx-1 Remote"]),
        ("transfer", "ResetCommand", None, "ImmediateReset", [BEGUN, "-tx-1 ImmediateReset"]),
        ("transfer", "AbnormalCondition", None, "PowerLoss", [BEGUN, "-tx-1 PowerLoss"]),
        ("authorize", "EVConnectTimeout", None, "Timeout", []),
    ],
)
def test_every_end_has_its_reason(before: str, trigger: str, state: str | None, stopped: str, heard: list[str]) -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await getattr(visit, before)()
        assert await visit.say(trigger, state, stopped=stopped) == {}
        assert sessions(s) == heard

    story(steps)


@case("TC_E_07_CSMS", steps="before: charging; 1-2 ended by the driver's stop, as the power path opens")
def test_tc_e_07() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        assert await visit.say("StopAuthorized", stopped="Local", token=TOKEN) == ACCEPTED
        assert sessions(s) == [BEGUN, "-tx-1 Local"]

    story(steps)


@case("TC_E_08_CSMS", steps="before: stop authorized; 1-2 ended when energy stops, the cable still in")
def test_tc_e_08() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        await visit.stop()
        assert await visit.say("ChargingStateChanged", "EVConnected", stopped="Local") == {}
        assert sessions(s) == [BEGUN, "-tx-1 Local"]

    story(steps)


@case("TC_E_14_CSMS", steps="before: stopped, cable in; 1 cable out at the station's side: available, ended")
def test_tc_e_14() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        await visit.finish()
        await visit.unplug()
        assert sessions(s) == [BEGUN, GONE]

    story(steps)


@case("TC_E_15_CSMS", steps="before: charging; 1-2 ended by the driver's authorized stop")
def test_tc_e_15() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        assert await visit.say("StopAuthorized", stopped="Local") == {}
        assert sessions(s) == [BEGUN, "-tx-1 Local"]

    story(steps)


@case("TC_E_16_CSMS", steps="1-2 started with a bad token answered Unknown; 3-4 the station ends it: never a session")
def test_tc_e_16() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        answer = await visit.say("Authorized", "EVConnected", token=NOBODY)
        assert answer == {"idTokenInfo": {"status": "Unknown"}}
        assert await visit.say("Deauthorized", stopped="DeAuthorized") == {}
        assert sessions(s) == []

    story(steps)


@case("TC_E_17_CSMS", steps="before: suspended; 1-2 ended because the vehicle's side was disconnected")
def test_tc_e_17() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.suspend()
        assert await visit.say("EVCommunicationLost", "Idle", stopped="EVDisconnected") == {}
        assert sessions(s) == [BEGUN, GONE]

    story(steps)


@case("TC_E_19_CSMS", steps="before: cable out, transaction open; 1-2 ended when the vehicle leaves the bay")
def test_tc_e_19() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        await visit.finish()
        await visit.tell_status("Available")
        await visit.say("EVCommunicationLost", "Idle")
        assert await visit.say("EVDeparted", stopped="Local") == {}
        assert sessions(s) == [BEGUN, GONE]

    story(steps)


@case("TC_E_20_CSMS", steps="before: suspended; 1 cable out at the vehicle's side: available, ended")
def test_tc_e_20() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.suspend()
        await visit.unplug()
        assert sessions(s) == [BEGUN, GONE]

    story(steps)


@case("TC_E_21_CSMS", steps="before: charging; 1-2 RequestStopTransaction names it; 3-4 ended with reason Remote")
def test_tc_e_21() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        assert (await s.b.server.remote_stop(ST, "ST-1:tx-1")).status == "accepted"
        assert s.last("RequestStopTransaction") == {"transactionId": "tx-1"}
        assert await visit.say("RemoteStop", stopped="Remote") == {}
        assert sessions(s) == [BEGUN, "-tx-1 Remote"]

    story(steps)


@case("TC_E_22_CSMS", steps="before: charging; 1-2 ended because the vehicle takes no more")
def test_tc_e_22() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        assert await visit.say("ChargingStateChanged", "SuspendedEV", stopped="StoppedByEV") == {}
        assert sessions(s) == [BEGUN, "-tx-1 StoppedByEV"]

    story(steps)


@case("TC_E_39_CSMS", steps="before: authorized; 1-2 ended by timeout: no vehicle came, no session was")
def test_tc_e_39() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.authorize()
        assert await visit.say("EVConnectTimeout", stopped="Timeout") == {}
        assert sessions(s) == []

    story(steps)


@case(
    "TC_E_26_CSMS",
    steps="before: suspended; 1-4 cable out, transaction kept; 5-8 cable in, charging: two sessions",
)
def test_tc_e_26() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.suspend()
        await visit.say("EVCommunicationLost", "Idle")
        await visit.tell_status("Available")
        assert sessions(s) == [BEGUN, GONE]
        await visit.say("CablePluggedIn", "EVConnected")
        await visit.say("ChargingStateChanged", "Charging")
        assert sessions(s) == [BEGUN, GONE, BEGUN]

    story(steps)


@case("TC_E_53_CSMS", steps="1-2 a whole visit from number 0; 3-4 the next from number 0 too: no gap, no duplicate")
def test_tc_e_53() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.whole()
        await Visit(s, "tx-2").whole()
        assert sessions(s) == [BEGUN, GONE, "+tx-2 BUS-7", "-tx-2 EVDisconnected"]
        counters = s.b.server.counters
        assert (counters.duplicates, counters.seq_gaps) == (0, 0)

    story(steps)


# Status, backlog, gaps ------------------------------------------------------------------------------------

METER = [{"timestamp": "2026-07-16T19:30:00Z", "sampledValue": [{"value": 5, "location": "Inlet"}]}]


async def ask(s: Scene, session_id: str, reaction: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    answer, request = await s.ordered(AskTransaction(session_id=session_id), "GetTransactionStatus", reaction)
    assert answer.status == "accepted"
    return dict(answer.details), request


async def come_back(s: Scene) -> None:
    """The line is lost and found; a station that does not boot is asked again after a moment."""
    await reconnect(s)
    async with asyncio.timeout(5):
        while ST not in s.b.server.connected():
            await asyncio.sleep(0.005)


async def ask_then_hear_late(
    session_id: str, reaction: dict[str, Any], told: dict[str, str], asked: dict[str, Any]
) -> None:
    async with scene() as s:
        visit = Visit(s)
        await visit.transfer()
        await come_back(s)
        assert await ask(s, session_id, reaction) == (told, asked)
        assert await visit.say("MeterValuePeriodic", meterValue=METER, offline=True) == {}
        assert [reading.import_wh for reading in s.b.sink.of(MeterReading)] == [5]
        assert sessions(s) == [BEGUN]


@case("TC_E_29_CSMS", steps="1-2 line lost and found; 3-4 status of the transaction: runs, waits; 5-6 the late update")
def test_tc_e_29() -> None:
    reaction = {"ongoingIndicator": True, "messagesInQueue": True}
    told = {"runs": "yes", "messages_wait": "yes"}
    play(lambda: ask_then_hear_late("ST-1:tx-1", reaction, told, {"transactionId": "tx-1"}))


@case("TC_E_33_CSMS", steps="1-2 line lost and found; 3-4 status without id: messages wait; 5-6 the late update")
def test_tc_e_33() -> None:
    play(lambda: ask_then_hear_late("", {"messagesInQueue": True}, {"messages_wait": "yes"}, {}))


@case("TC_E_30_CSMS", steps="before: charging; 1-2 status of the transaction: runs, nothing waits")
def test_tc_e_30() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        said = {"ongoingIndicator": True, "messagesInQueue": False}
        assert await ask(s, "ST-1:tx-1", said) == (
            {"runs": "yes", "messages_wait": "no"},
            {"transactionId": "tx-1"},
        )

    story(steps)


@case("TC_E_34_CSMS", steps="1-2 status without id: nothing waits")
def test_tc_e_34() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        assert await ask(s, "", {"messagesInQueue": False}) == ({"messages_wait": "no"}, {})

    story(steps)


@case(
    "TC_E_31_CSMS",
    steps="1-4 ended while offline, two numbers missing; 5-6 asked at once; 7-10 both come, alarm over",
)
def test_tc_e_31() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        await come_back(s)
        s.station.reactions["GetTransactionStatus"] = {"ongoingIndicator": False, "messagesInQueue": True}
        await visit.say("EVCommunicationLost", "Idle", stopped="EVDisconnected", skip=2, offline=True)
        await s.b.sink.until(lambda: bool(s.b.sink.of(AlarmRaised)))
        assert s.last("GetTransactionStatus") == {"transactionId": "tx-1"}
        [alarm] = s.b.sink.of(AlarmRaised)
        assert "message 3 to 4 is missing; the station still holds messages" in alarm.text
        visit.seq = 3
        await visit.say("StopAuthorized", offline=True)
        await visit.say("ChargingStateChanged", "EVConnected", offline=True, meterValue=METER)
        await s.b.sink.until(lambda: bool(s.b.sink.of(AlarmCleared)))
        assert [cleared.key for cleared in s.b.sink.of(AlarmCleared)] == [alarm.key]
        assert [reading.import_wh for reading in s.b.sink.of(MeterReading)] == [5]
        assert sessions(s) == [BEGUN, GONE]  # what came late opens nothing again
        assert s.count("GetTransactionStatus") == 1

    story(steps)


@pytest.mark.parametrize(
    ("reaction", "says"),
    [
        ({"messagesInQueue": False, "ongoingIndicator": True}, "it is lost"),
        ({"messagesInQueue": "perhaps"}, "does not say"),
    ],
)
def test_what_is_lost_is_told(reaction: dict[str, Any], says: str) -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        s.station.reactions["GetTransactionStatus"] = reaction
        for _ in range(3):
            await visit.say("MeterValuePeriodic", "Charging", skip=1)
        await s.b.sink.until(lambda: bool(s.b.sink.of(AlarmRaised)))
        assert [says in alarm.text for alarm in s.b.sink.of(AlarmRaised)] == [True]

    story(steps)


def test_a_first_number_may_be_any() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        visit.seq = 7
        await visit.say("CablePluggedIn", "Charging")
        assert s.b.server.counters.seq_gaps == 0
        assert s.count("GetTransactionStatus") == 0

    story(steps)


# What must not be -----------------------------------------------------------------------------------------


def test_another_station_s_transaction_is_refused_and_audited_and_stays_as_it_is() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        s.b.directory.running.add("ST-2:theirs")
        foreign = Visit(s, "theirs")
        foreign.seq = 4
        for stopped in (None, "Local", "Local"):
            assert await foreign.say("MeterValuePeriodic", "Idle", stopped=stopped, meterValue=METER) == {}
        assert sessions(s) == []
        assert s.b.sink.of(MeterReading) == []
        [event] = s.b.sink.of(SecurityEventReported)
        assert (event.type, event.station_id, event.source) == ("ForeignTransaction", ST, "door")
        assert s.b.server.counters.refused == 3
        await visit.transfer()  # its own go on
        assert sessions(s) == [BEGUN]

    story(steps)


def test_a_name_that_only_one_station_can_have_given_begins_at_no_other() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        theirs = "7d0c2d2e-9a51-4f0c-8f52-0a7d1f6f3b11"
        s.b.directory.running.add(f"ST-2:{theirs}")
        foreign = Visit(s, theirs)
        for stopped in (None, None, "Local"):  # Started, Updated, Ended
            said = await foreign.say("ChargingStateChanged", "Charging", stopped=stopped, token=TOKEN, meterValue=METER)
            assert said == {"idTokenInfo": {"status": "Accepted"}}
        assert sessions(s) == s.b.sink.of(MeterReading) == []
        assert [event.type for event in s.b.sink.of(SecurityEventReported)] == ["ForeignTransaction"]
        assert s.b.server.counters.refused == 3
        await visit.transfer()  # its own go on
        assert sessions(s) == [BEGUN]

    story(steps)


def test_two_stations_may_count_their_transactions_alike() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        s.b.directory.running.add("ST-2:tx-1")
        await visit.whole()
        assert sessions(s) == [BEGUN, GONE]
        assert s.b.sink.of(SecurityEventReported) == []

    story(steps)


def test_a_session_from_before_our_restart_goes_on_and_ends() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        s.b.directory.running |= {"ST-1:tx-1", "ST-2:tx-1"}
        visit.seq = 9
        await visit.say("MeterValuePeriodic", meterValue=METER)
        await visit.say("EVCommunicationLost", "Idle", stopped="EVDisconnected")
        assert sessions(s) == [GONE]
        assert len(s.b.sink.of(MeterReading)) == 1

    story(steps)


def test_a_start_that_never_came_is_made_up_for_by_what_the_vehicle_does() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        visit.seq = 3
        await visit.say("MeterValuePeriodic", "Charging", token=TOKEN)
        assert sessions(s) == [BEGUN]

    story(steps)


def test_energy_alone_shows_a_vehicle_where_the_station_says_no_state() -> None:
    power = [{"value": 7000, "measurand": "Power.Active.Import", "location": "Inlet"}]

    async def steps(s: Scene, visit: Visit) -> None:
        await visit.authorize()
        for meter in (METER, [{"timestamp": METER[0]["timestamp"], "sampledValue": power}]):
            assert sessions(s) == []
            await visit.say("MeterValuePeriodic", meterValue=meter)
        assert sessions(s) == [BEGUN]

    story(steps)


def test_a_cable_pulled_while_the_token_is_asked_for_leaves_no_session() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        s.b.sink.gate.clear()  # nothing is committed, so nothing is answered
        visits = [
            ("TransactionEvent", "Started", "CablePluggedIn", {"chargingState": "EVConnected"}, {}),
            ("Authorize", "", "", {}, {}),
            ("TransactionEvent", "Updated", "Authorized", {}, {"idToken": TOKEN}),
            ("TransactionEvent", "Ended", "EVCommunicationLost", {"chargingState": "Idle"}, {}),
        ]
        answers = []
        for number, (action, kind, trigger, info, more) in enumerate(visits):
            payload: dict[str, Any] = {"idToken": TOKEN}
            if kind:
                payload = {"eventType": kind, "triggerReason": trigger, "seqNo": number, **more}
                payload |= {"timestamp": "2026-07-16T19:30:00Z", "transactionInfo": {"transactionId": "tx-1", **info}}
            answers.append(await s.station.begin(action, payload))
        s.b.sink.gate.set()
        frames = await asyncio.gather(*answers)
        assert [frame[0] for frame in frames] == [3, 3, 3, 3]
        assert sessions(s) == ["+tx-1 ", BEGUN, GONE]

    story(steps)
