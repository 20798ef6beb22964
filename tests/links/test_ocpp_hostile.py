"""Strangers, liars and floods: each costs its own connection at most."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import Any

import pytest
from ocpp_rig import (
    BOOT,
    NOW,
    PASSWORD,
    Bench,
    Directory,
    HandStation,
    MemorySink,
    StoppedClock,
    basic,
    bench,
    config,
    play,
)
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.core.commands import ReportingCommand, SetpointCommand
from revere.core.facts import (
    AlarmRaised,
    ClockSkewMeasured,
    MeterReading,
    SecurityEventReported,
    SessionStarted,
    StationBooted,
    StationConnected,
    StationDisconnected,
    StationProvisioned,
)
from revere.core.ids import CommandId, SessionId, StationId
from revere.links.ocppj.connection import FrameBudget
from revere.links.ocppj.framing import FrameRefused, parse_frame
from revere.links.ocppj.login import LoginBudget
from revere.links.ocppj.server import OcppServer
from tests.control.scenes import FakeJournal, connected, fleet
from tests.control.scenes import station as registered

HEARTBEAT = '[2,"a","Heartbeat",{}]'
VALUE = (
    '[2,"a","MeterValues",{"evseId":1,"meterValue":'
    '[{"timestamp":"2026-07-16T19:30:00Z","sampledValue":[{"value":0.5}]}]}]'
)
BOOTED = '[2,"a","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"V2G","vendorName":"v"}}]'
HOSTILE_CLOSED = {
    "deep": '[2,"a","Heartbeat",' + "[" * 5_000 + "]" * 5_000 + "]",
    "deep object": '[2,"a","Heartbeat",' + '{"a":' * 5_000 + "1" + "}" * 5_000 + "]",
    "NUL": '[2,"a","Heart\x00beat",{}]',
    "escaped NUL": '[2,"a","Heart\\u0000beat",{}]',
    "lone surrogate id": '[2,"\\ud800","Heartbeat",{}]',
    "object as action": '[2,"a",{"b":1},{}]',
    "long id": '[2,"' + "i" * 37 + '","Heartbeat",{}]',
    "100 kB id": '[2,"' + "i" * 100_000 + '","Heartbeat",{}]',
    "long frame": '[2,"a","Heartbeat",{"x":"' + "y" * 70_000 + '"}]',
    "not JSON": "hello",
    "object": "{}",
    "empty": "[]",
    "number as id": '[2,5,"Heartbeat",{}]',
    "huge kind": "[" + "9" * 5_000 + ',"a",{}]',
    "NaN value": VALUE.replace("0.5", "NaN"),
    "lone surrogate": '[2,"a","DataTransfer",{"vendorId":"\\ud800"}]',
    "NaN kind": '[NaN,"a",{}]',
    "call without payload": '[2,"a","Heartbeat"]',
    "error without text": '[4,"a","X"]',
}
HOSTILE_ANSWERED = {
    "5,000-digit integer": (
        '[2,"a","StatusNotification",{"timestamp":"2026-07-16T19:30:00Z","connectorStatus":"Available","connectorId":1,'
        '"evseId":' + "9" * 5_000 + "}]"
    ),
    "1e999": VALUE.replace("0.5", "1e999"),
    "naive time": VALUE.replace("00Z", "00"),
    "wrong enumeration": BOOTED.replace("PowerUp", "Bored"),
    "too long": BOOTED.replace("V2G", "m" * 21),
    "missing": '[2,"a","BootNotification",{"reason":"PowerUp"}]',
    "wrong type": '[2,"a","BootNotification",[]]',
    "unknown action": '[2,"a","MakeCoffee",{}]',
}
CODES = {
    "missing": "OccurrenceConstraintViolation",
    "too long": "PropertyConstraintViolation",
    "unknown action": "NotImplemented",
}


async def raw_socket(b: Bench, station_id: str = "ST-1") -> Any:
    return await connect(
        b.url(station_id),
        subprotocols=[Subprotocol("ocpp2.1")],
        additional_headers=basic(station_id),
        compression=None,
        proxy=None,
        ping_interval=None,
    )


@pytest.mark.parametrize("name", HOSTILE_CLOSED)
def test_hostile_frame_closes_its_connection_alone(name: str) -> None:
    async def story() -> None:
        async with bench(config("ST-1"), config("ST-2")) as b:
            other = await b.station("ST-2")
            socket = await raw_socket(b)
            await socket.send(HOSTILE_CLOSED[name])
            async with asyncio.timeout(5):
                await socket.wait_closed()
            assert socket.close_code == 1002
            assert b.server.counters.frames_refused == 1
            assert (await other.call("Heartbeat", {}))[0] == 3

    play(story)


@pytest.mark.parametrize("name", HOSTILE_ANSWERED)
def test_hostile_payload_gets_an_error_and_nothing_is_recorded(name: str) -> None:
    async def story() -> None:
        async with bench() as b:
            socket = await raw_socket(b)
            await socket.send(HOSTILE_ANSWERED[name])
            answer = json.loads(await socket.recv())
            assert answer[:2] == [4, "a"]
            assert answer[2] == CODES.get(name, answer[2])
            assert [type(f) for f in b.sink.facts] == [StationConnected]
            await socket.send(HEARTBEAT)
            assert json.loads(await socket.recv())[0] == 3
            await socket.close()

    play(story)


def test_unreadable_payloads_are_bounded() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            for _ in range(51):
                await station.call("MakeCoffee", {})
            assert await station.until_closed() == 1008

    play(story)


def test_report_may_be_long_and_others_may_not() -> None:
    padding = "x" * 100_000
    report = f'[2,"a","NotifyReport",{{"requestId":1,"generatedAt":"2026-07-16T19:30:00Z","seqNo":0,"z":"{padding}"}}]'
    parse_frame(report.encode())
    with pytest.raises(FrameRefused, match="frame too long"):
        parse_frame(report.replace("NotifyReport", "NotifyEvent", 1).encode())
    with pytest.raises(FrameRefused, match="frame too long"):
        parse_frame(report.replace(padding, padding * 11).encode())


def test_a_message_over_a_mebibyte_ends_at_the_socket() -> None:
    async def story() -> None:
        async with bench(config("ST-1"), config("ST-2")) as b:
            other = await b.station("ST-2")
            socket = await raw_socket(b)
            await socket.send('[2,"a","NotifyReport",{"x":"' + "y" * 2_000_000 + '"}]')
            async with asyncio.timeout(5):
                await socket.wait_closed()
            assert socket.close_code == 1009
            assert (await other.call("Heartbeat", {}))[0] == 3

    play(story)


def test_compression_is_refused() -> None:
    async def story() -> None:
        async with bench() as b:
            line = "Sec-WebSocket-Extensions: permessage-deflate"
            reader, writer = await asyncio.open_connection("127.0.0.1", b.port)
            writer.write(_request(b.port, "/ocpp/ST-1", _basic_line("ST-1", PASSWORD), line))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 101")
            assert b"permessage-deflate" not in answer
            writer.close()
            await writer.wait_closed()

    play(story)


def test_a_flooding_connection_is_read_slowly() -> None:
    budget = FrameBudget(0.0)
    waits = [budget.wait_s(0.0) for _ in range(600)]
    assert waits[:400] == [0.0] * 400
    assert waits[-1] == pytest.approx(2.0)
    assert budget.wait_s(10.0) == 0.0


def test_login_records_are_bounded_and_forgive() -> None:
    budget = LoginBudget()
    for _ in range(30):
        budget.note_failure(("a", "ST-1"), 0.0)
    assert budget.spent(("a", "ST-1"), 0.0)
    assert not budget.spent(("b", "ST-1"), 0.0)
    assert not budget.spent(("a", "ST-1"), 5.0)
    for n in range(5_000):
        budget.note_failure(("a", f"id-{n}"), 0.0)
    assert len(budget._failed) == 4_096


def test_fuzzed_frames_never_escape() -> None:
    """Every prefix of, and every single byte changed in, an ordinary frame is a frame or FrameRefused."""
    frame = b'[2,"a","StatusNotification",{"evseId":1,"t":"\\u00e9\xc3\xa9",":":[-1.5e3,null,true]}]'
    outcomes = {"ok": 0, "refused": 0}
    candidates = [frame[:n] for n in range(len(frame))]
    candidates += [frame[:n] + bytes([value]) + frame[n + 1 :] for n in range(len(frame)) for value in range(0, 256, 5)]
    for candidate in candidates:
        try:
            parse_frame(candidate)
            outcomes["ok"] += 1
        except FrameRefused:
            outcomes["refused"] += 1
    assert outcomes["ok"] > 100
    assert outcomes["refused"] > 1000


async def _raw_http(port: int, path: str, *headers: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_request(port, path, *headers))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def _request(port: int, path: str, *headers: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: ocpp2.1",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


def _basic_line(user: str, password: str) -> str:
    return f"Authorization: {basic(user, password)['Authorization']}"


def test_every_refused_login_gets_the_same_bytes() -> None:
    async def story() -> None:
        async with bench() as b:
            cases = [
                ("/ocpp/ST-1", _basic_line("ST-1", "wrong")),
                ("/ocpp/ST-404", _basic_line("ST-404", "wrong")),
                ("/ocpp/ST-404", _basic_line("ST-404", PASSWORD)),
                ("/ocpp/ST-1", _basic_line("ST-2", PASSWORD)),
                ("/ocpp/ST-1", _basic_line("ST-1", "")),
                ("/ocpp/ST-1", _basic_line("ST-1", PASSWORD + "\x00")),
                ("/ocpp/ST-1", _basic_line("ST-1", "p" * 200)),
                ("/ocpp/ST-1", "Authorization: Basic ====="),
                ("/ocpp/ST-1", "Authorization: Bearer abc"),
                ("/ocpp/ST-1", "X-Nothing: 1"),
                ("/ocpp/../ST-1", _basic_line("ST-1", PASSWORD)),
                ("/ocpp/ST%2f1", _basic_line("ST/1", PASSWORD)),
                ("/ocpp/" + "S" * 900, _basic_line("S", PASSWORD)),
                ("/ocpp/", _basic_line("", PASSWORD)),
            ]
            answers = [await _raw_http(b.port, path, header) for path, header in cases]
            assert answers[0].startswith(b"HTTP/1.1 401 Unauthorized\r\n")
            assert set(answers) == {answers[0]}
            events = b.sink.of(SecurityEventReported)
            assert {(e.station_id, e.type, e.detail) for e in events} == {
                ("ST-1", "LoginRefused", "wrong secret, from 127.0.0.1")
            }
            assert len(events) == 1  # nine tries, one reason; the rest is counted
            assert len(b.sink.of(AlarmRaised)) == len(b.sink.facts) - 1 == 1
            assert (await _raw_http(b.port, "/", _basic_line("ST-1", PASSWORD))).startswith(b"HTTP/1.1 404")
            assert b.server.counters.logins_refused == len(cases)
            await (await b.station()).close()

    play(story)


def test_guesses_are_counted_and_lock_out_nobody() -> None:
    async def story() -> None:
        async with bench(config("ST-1"), config("ST-2")) as b:
            for _ in range(40):
                answer = await _raw_http(b.port, "/ocpp/ST-1", _basic_line("ST-1", "wrong"))
                assert answer.startswith(b"HTTP/1.1 401")
            assert b.server.counters.logins_throttled >= 9
            for n in range(40):  # ids that nobody has count as one
                await _raw_http(b.port, f"/ocpp/ST-9{n}", _basic_line(f"ST-9{n}", "wrong"))
            assert b.server.counters.logins_throttled >= 18
            await (await b.station("ST-1")).close()
            await (await b.station("ST-2")).close()

    play(story)


def test_another_protocol_than_the_registered_one_is_refused() -> None:
    async def story() -> None:
        async with bench(config("ST-1", "ocpp2.1")) as b:
            with pytest.raises(InvalidStatus) as refused:
                await b.station("ST-1", "ocpp1.6")
            assert refused.value.response.status_code == 400
            assert b.server.counters.protocols_refused == 1
            assert b.sink.facts == []

    play(story)


async def _provisioned(b: Bench) -> HandStation:
    station = await b.station()
    await station.call("BootNotification", BOOT)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    return station


def test_a_newer_socket_wins_and_the_old_ones_end_removes_nothing() -> None:
    async def story() -> None:
        async with bench() as b:
            old = await _provisioned(b)
            old.reactions["SetVariables"] = None
            pending = asyncio.create_task(
                b.server.set_reporting(ReportingCommand(station_id=StationId("ST-1"), sample_interval_s=10))
            )
            await old.until_asked("SetVariables", 2)
            new = await b.station()
            assert (await pending).status == "offline"
            assert await old.until_closed() == 1000
            await new.call("BootNotification", BOOT)
            assert b.server.connected() == frozenset({StationId("ST-1")})
            assert (await new.call("Heartbeat", {}))[0] == 3
            ends = [
                (type(f), f.generation) for f in b.sink.facts if isinstance(f, StationConnected | StationDisconnected)
            ]
            assert ends == [(StationConnected, 1), (StationDisconnected, 1), (StationConnected, 2)]
            assert b.sink.of(StationDisconnected)[0].reason == "a newer connection took over"
            assert b.server.counters.takeovers == 1

    play(story)


def test_a_wrong_password_takes_nothing_over() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            await _raw_http(b.port, "/ocpp/ST-1", _basic_line("ST-1", "wrong"))
            assert (await station.call("Heartbeat", {}))[0] == 3
            assert b.server.counters.takeovers == 0

    play(story)


def test_many_takeovers_raise_one_alarm_and_lock_nobody_out() -> None:
    async def story() -> None:
        async with bench() as b:
            stations = [await b.station() for _ in range(9)]
            assert len(b.sink.of(AlarmRaised)) == 1
            assert (await stations[-1].call("Heartbeat", {}))[0] == 3

    play(story)


def test_unsolicited_answers_are_dropped_and_counted() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            for n in range(300):
                await station.socket.send(f'[3,"r{n}",{{"x":"{"y" * 1000}"}}]')
            await station.socket.send('[4,"r1","GenericError","",{}]')
            await station.socket.send('[6,"r1","NotifyPeriodicEventStream",{}]')
            await station.socket.send('[6,"r1","Heartbeat",{}]')
            await station.socket.send('[9,"r1",{}]')
            assert (await station.call("Heartbeat", {}))[0] == 3
            assert b.server.counters.dropped_results == 301
            assert (b.server.counters.dropped_sends, b.server.counters.payloads_refused) == (1, 1)

    play(story)


def test_a_flood_of_calls_costs_the_connection() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            b.sink.gate.clear()
            for _ in range(12):
                await station.begin("StatusNotification", STATUS)
            assert await station.until_closed() == 1008
            assert b.server.counters.flooded == 1

    play(story)


STATUS = {"timestamp": "2026-07-16T19:30:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}


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
            station = await _provisioned(b)
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
            station = await _provisioned(b)
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
