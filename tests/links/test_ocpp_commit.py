"""Nothing is acknowledged before it is committed; what comes twice, late, out of order or by a wrong clock."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import Any

import pytest
from ocpp_rig import (
    BOOT,
    NOW,
    STATUS,
    Bench,
    Directory,
    MemorySink,
    StoppedClock,
    bench,
    config,
    play,
    provisioned,
)

from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.core.commands import ReportingCommand, SetpointCommand
from revere.core.facts import (
    ClockSkewMeasured,
    MeterReading,
    SessionStarted,
    StationBooted,
    StationConnected,
    StationDisconnected,
)
from revere.core.ids import CommandId, SessionId, StationId
from revere.links.ocppj.server import OcppServer
from tests.control.scenes import FakeJournal, connected, fleet
from tests.control.scenes import station as registered


@pytest.mark.parametrize(
    ("action", "payload", "fact"),
    [
        ("BootNotification", BOOT, StationBooted),
        (
            "TransactionEvent",
            {
                "eventType": "Started",
                "timestamp": "2026-07-16T19:30:00Z",
                "triggerReason": "CablePluggedIn",
                "seqNo": 0,
                "transactionInfo": {"transactionId": "t"},
            },
            SessionStarted,
        ),
        (
            "MeterValues",
            {
                "evseId": 1,
                "meterValue": [
                    {"timestamp": "2026-07-16T19:30:00Z", "sampledValue": [{"value": 5, "location": "Inlet"}]}
                ],
            },
            MeterReading,
        ),
    ],
)
def test_nothing_is_acknowledged_before_it_is_committed(action: str, payload: dict[str, Any], fact: type) -> None:
    async def story() -> None:
        async with bench(config("ST-1"), config("ST-2")) as b:
            station, other = await b.station("ST-1"), await b.station("ST-2")
            b.sink.gate.clear()
            waiting = await station.begin(action, payload)
            for _ in range(5):  # the server answers what needs no commit, and reads on
                assert (await other.call("Heartbeat", {}))[0] == 3
            assert not waiting.done()
            assert b.sink.of(fact) == []
            b.sink.gate.set()
            assert (await waiting)[0] == 3
            assert len(b.sink.of(fact)) == 1

    play(story)


def test_what_cannot_be_committed_is_refused_and_taken_when_sent_again() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            b.sink.broken = True
            answer = await station.call("StatusNotification", STATUS)
            assert answer[2:4] == ["InternalError", "not recorded, send again"]
            b.sink.broken = False
            assert (await station.call("StatusNotification", STATUS))[0] == 3
            assert len(b.sink.of(ClockSkewMeasured)) == 1
            assert b.server.counters.unrecorded == 1

    play(story)


def test_a_connection_that_cannot_be_recorded_is_asked_to_come_back() -> None:
    async def story() -> None:
        async with bench() as b:
            b.sink.broken = True
            station = await b.station()
            assert await station.until_closed() == 1013
            b.sink.broken = False
            await (await b.station()).close()

    play(story)


def test_an_end_that_could_not_be_journaled_is_journaled_later() -> None:
    """Nobody sends it again, and a station that has gone must not count as online; the time is that of its end."""

    async def story() -> None:
        journal, image = FakeJournal(), Image(fleet(stations=[registered("ST-1", "school")]))
        clock = StoppedClock()
        inbox = Inbox(journal, image)
        server = OcppServer(inbox, Directory(config()), clock, ping_interval_s=None)
        b = Bench(server, MemorySink(), await server.serve("127.0.0.1", 0), clock)
        evse = image.evses["ST-1/1"]
        for takes_over in (False, True):
            journal.away = False
            first = await b.station()
            await first.call("Heartbeat", {})
            assert evse.online
            journal.away = True
            left_at = clock.at
            if takes_over:
                assert await (await b.station()).until_closed() == 1013  # not recorded, so not served
            failed = server.counters.unrecorded
            await first.close()
            while not takes_over and server.counters.unrecorded == failed:
                await asyncio.sleep(0.01)
            assert evse.online, "what is not committed is not folded"
            assert not evse.commanded(), "but it binds"
            clock.at += dt.timedelta(minutes=9)
            journal.away = False
            await inbox.record([connected("OTHER", clock.at)])  # whatever is taken next takes it along
            assert (evse.online, evse.offline_at) == (False, left_at)
            ends = [fact.generation for fact in journal.of(StationDisconnected)]
            assert ends == sorted(set(ends)), "each end once"
        await server.close()

    play(story)


def _event(seq: int, kind: str = "Updated", at: str = "2026-07-16T19:30:00Z", **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq,
        "transactionInfo": {"transactionId": "t"},
        "evse": {"id": 1},
        "meterValue": [{"timestamp": at, "sampledValue": [{"value": 100 + seq, "location": "Inlet"}]}],
        **more,
    }


def test_duplicates_and_gaps_of_transaction_events() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            for seq in (0, 1, 1, 3, 0, 2, 3):
                assert (await station.call("TransactionEvent", _event(seq, "Started" if seq == 0 else "Updated")))[
                    0
                ] == 3
            assert [r.import_wh for r in b.sink.of(MeterReading)] == [100, 101, 103, 102]
            assert len(b.sink.of(SessionStarted)) == 1
            assert (b.server.counters.duplicates, b.server.counters.seq_gaps) == (3, 1)
            await station.close()
            again = await b.station()  # the memory outlives the socket
            await again.call("TransactionEvent", _event(3))
            assert b.server.counters.duplicates == 4

    play(story)


def test_a_token_that_comes_later_names_the_session_again() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            await station.call("TransactionEvent", _event(0, "Started"))
            token = {"idToken": "BUS-3", "type": "ISO14443"}
            answer = await station.call("TransactionEvent", _event(1, idToken=token))
            assert answer[2] == {"idTokenInfo": {"status": "Accepted"}}
            stranger = await station.call("Authorize", {"idToken": {"idToken": "X", "type": "ISO14443"}})
            assert stranger[2] == {"idTokenInfo": {"status": "Unknown"}}
            assert [s.token for s in b.sink.of(SessionStarted)] == ["", "BUS-3"]
            assert len({s.session_id for s in b.sink.of(SessionStarted)}) == 1

    play(story)


def test_a_wrong_clock_is_measured_and_quarantines() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            await station.call("TransactionEvent", _event(9, at="2026-07-16T08:00:00Z", offline=True))
            await station.call("TransactionEvent", _event(0, at="2026-07-16T19:30:00Z"))
            for seq in range(1, 4):
                await station.call("TransactionEvent", _event(seq, at="2026-07-16T19:32:00Z"))
            await station.call("TransactionEvent", _event(4, at="2026-07-16T10:00:00Z", offline=True))
            assert [f.skew_s for f in b.sink.of(ClockSkewMeasured)] == [0.0, 60.0, 120.0]
            assert [r.quarantined for r in b.sink.of(MeterReading)] == ["", "", "clock", "clock", "clock", "clock"]

    play(story)


@pytest.mark.parametrize(
    ("what", "at", "offline", "marks"),
    [
        ("the first stamp after a jump back", "2026-07-16T19:20:00Z", False, "clock"),
        ("just over a minute", "2026-07-16T19:28:59Z", False, "clock"),
        ("a minute", "2026-07-16T19:29:00Z", False, ""),
        ("it waited offline", "2026-07-16T19:20:00Z", True, ""),
    ],
)
def test_a_clock_that_jumps_in_mid_session_is_doubted_at_once(what: str, at: str, offline: bool, marks: str) -> None:
    """The median of the last nine stamps would believe four more; a right stamp is believed again."""

    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            for seq in range(9):
                await station.call("TransactionEvent", _event(seq, at="2026-07-16T19:30:00Z"))
            await station.call("TransactionEvent", _event(9, at=at, offline=offline))
            await station.call("TransactionEvent", _event(10, at="2026-07-16T19:30:00Z"))
            assert [r.quarantined for r in b.sink.of(MeterReading)][-2:] == [marks, ""]

    play(story)


def test_a_station_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revere.links.ocppj.calls.SETPOINT_TIMEOUT_S", 0.05)

    async def story() -> None:
        async with bench() as b:
            station = await provisioned(b)
            station.reactions["SetChargingProfile"] = None
            answer = await b.server.set_power(_setpoint(1.0))
            assert answer.status == "timeout"
            station.reactions["SetVariables"] = {"setVariableResult": "nonsense"}
            command = ReportingCommand(station_id=StationId("ST-1"), sample_interval_s=10)
            assert (await b.server.set_reporting(command)).status == "rejected"
            assert (await station.call("Heartbeat", {}))[0] == 3
            assert station.errors[0][0] == 5  # CALLRESULTERROR: we say that we could not read it

    play(story)


def test_a_newer_setpoint_drops_the_one_that_waits() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await provisioned(b)
            station.reactions["SetVariables"] = None
            busy = asyncio.create_task(
                b.server.set_reporting(ReportingCommand(station_id=StationId("ST-1"), sample_interval_s=10))
            )
            await station.until_asked("SetVariables", 2)
            older = asyncio.create_task(b.server.set_power(_setpoint(1.0)))
            await asyncio.sleep(0)
            newer = asyncio.create_task(b.server.set_power(_setpoint(2.0)))
            await asyncio.sleep(0)
            await station.socket.send('[3,"r999",{"status":"Accepted"}]')  # nobody's answer
            assert (await station.call("Heartbeat", {}))[0] == 3
            assert b.server.counters.dropped_results == 1
            for task in (busy, older, newer):
                assert not task.done()
            result = {"attributeStatus": "Accepted", "component": {"name": "c"}, "variable": {"name": "v"}}
            message = [3, f"r{len(station.asked)}", {"setVariableResult": [result]}]
            await station.socket.send(json.dumps(message))
            assert [(await task).status for task in (busy, older, newer)] == ["accepted", "rejected", "accepted"]
            sent = (await station.until_asked("SetChargingProfile", 2))["chargingProfile"]
            assert sent["chargingSchedule"][0]["chargingSchedulePeriod"][0]["setpoint"] == 2000.0
            assert b.server.counters.setpoints_superseded == 1

    play(story)


def _setpoint(kw: float) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c"),
        station_id=StationId("ST-1"),
        evse_id=1,
        session_id=SessionId("ST-1:t"),
        setpoint_kw=kw,
        charge_limit_kw=10.0,
        discharge_limit_kw=10.0,
    )


def test_the_rig_itself_holds_commits() -> None:
    async def story() -> None:
        sink = MemorySink()
        sink.gate.clear()
        task = asyncio.create_task(
            sink.record([StationConnected(at=NOW, station_id=StationId("X"), protocol="p", generation=1)])
        )
        await asyncio.sleep(0)
        assert sink.facts == []
        sink.gate.set()
        await task
        assert len(sink.facts) == 1

    play(story)
