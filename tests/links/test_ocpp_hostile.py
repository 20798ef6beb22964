"""Strangers, liars and floods: each costs its own connection at most."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from ocpp_rig import (
    BOOT,
    PASSWORD,
    STATUS,
    Bench,
    basic,
    bench,
    config,
    play,
    provisioned,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from revere.core.commands import ReportingCommand
from revere.core.facts import (
    AlarmRaised,
    SecurityEventReported,
    StationConnected,
    StationDisconnected,
)
from revere.core.ids import StationId
from revere.links.ocppj.bounds import BAD_FRAMES_PER_MINUTE_MAX, LONG_FRAME_MAX_BYTES, SETPOINT_TIMEOUT_S
from revere.links.ocppj.framing import FrameRefused, parse_frame
from revere.links.ocppj.login import LoginBudget
from revere.links.ocppj.transport import ReadBudget

HEARTBEAT = '[2,"a","Heartbeat",{}]'
VALUE = (
    '[2,"a","MeterValues",{"evseId":1,"meterValue":'
    '[{"timestamp":"2026-07-16T19:30:00Z","sampledValue":[{"value":0.5}]}]}]'
)
BOOTED = '[2,"a","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"V2G","vendorName":"v"}}]'
HOSTILE_FRAMES = {
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


ID_UNREADABLE = {
    "lone surrogate id",
    "long id",
    "100 kB id",
    "not JSON",
    "object",
    "empty",
    "number as id",
    "huge kind",
    "NaN kind",
}
SHAPELESS = {"object as action", "call without payload"}


@pytest.mark.parametrize("name", HOSTILE_FRAMES)
def test_a_hostile_frame_is_told_so_and_many_close_their_connection_alone(name: str) -> None:
    async def story() -> None:
        async with bench(config("ST-1"), config("ST-2")) as b:
            other = await b.station("ST-2")
            socket = await raw_socket(b)
            await socket.send(HOSTILE_FRAMES[name])
            if name != "error without text":  # an answer is not answered
                answer = json.loads(await socket.recv())
                code = "RpcFrameworkError" if name in ID_UNREADABLE | SHAPELESS else "FormatViolation"
                assert answer[:3] == [4, "-1" if name in ID_UNREADABLE else "a", code]
            await socket.send(HEARTBEAT)
            assert json.loads(await socket.recv())[:2] == [3, "a"]
            for _ in range(BAD_FRAMES_PER_MINUTE_MAX):
                await socket.send(HOSTILE_FRAMES[name])
            with suppress(ConnectionClosed):
                async with asyncio.timeout(5):
                    while True:
                        await socket.recv()
            assert socket.close_code == 1002
            assert b.server.counters.frames_refused == BAD_FRAMES_PER_MINUTE_MAX + 1
            assert b.server.counters.nonsense == 1
            await b.sink.until(lambda: bool(b.sink.of(StationDisconnected)))
            assert "too many frames that are no OCPP message" in b.sink.of(StationDisconnected)[0].reason
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
    budget = ReadBudget()
    waits = [budget.wait_s(100.0, 1, 900) for _ in range(600)]
    assert waits[:400] == [0.0] * 400
    assert waits[-1] == pytest.approx(2.0)
    assert budget.wait_s(110.0, 1, 900) == 0.0


def test_many_bytes_in_few_frames_are_read_slowly_too() -> None:
    budget = ReadBudget()
    waits = [budget.wait_s(100.0, 1, LONG_FRAME_MAX_BYTES) for _ in range(27)]
    assert waits[:4] == [0.0] * 4
    assert waits[-1] == pytest.approx(23 / 16 * 60)
    assert waits[4] < SETPOINT_TIMEOUT_S, "an answer behind one long report is still in time"
    assert budget.wait_s(400.0, 4, 4 * LONG_FRAME_MAX_BYTES) == 0.0


def test_the_inventory_of_a_large_station_is_read_without_a_pause() -> None:
    entry = {
        "component": {"name": "SmartChargingCtrlr", "instance": "Main", "evse": {"id": 12, "connectorId": 2}},
        "variable": {"name": "LimitChangeSignificance", "instance": "CentralSetpoint"},
        "variableAttribute": [{"type": "Actual", "value": "0.5", "mutability": "ReadWrite", "persistent": True}],
        "variableCharacteristics": {
            "unit": "Percent",
            "dataType": "decimal",
            "maxLimit": 100,
            "supportsMonitoring": True,
        },
    }
    variables = 100 * 90  # what a hundred components, each with ninety variables, have to say
    assert ReadBudget().wait_s(100.0, variables // 50, variables * len(json.dumps(entry))) == 0.0


@pytest.mark.parametrize("said", ["reports", "pings", "fragments"])
def test_a_station_that_says_too_much_is_left_unread_and_keeps_its_connection(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revere.links.ocppj.transport.BYTE_BURST", 100_000.0)
    monkeypatch.setattr("revere.links.ocppj.transport.BYTES_PER_S_MAX", 1_000_000.0)
    report = {"requestId": 1, "generatedAt": "2026-07-16T19:30:00Z", "seqNo": 0, "z": "x" * 100_000}

    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            began_s = asyncio.get_running_loop().time()
            match said:
                case "reports":
                    for _ in range(3):
                        await station.call("NotifyReport", report)
                case "pings":
                    for number in range(430):
                        await station.socket.ping(f"{number:0125}")
                case "fragments":
                    text = json.dumps([2, "a", "NotifyReport", {**report, "z": "x" * 300_000}])
                    await station.socket.send([text[n : n + 1_000] for n in range(0, len(text), 1_000)])
            for _ in range(2):  # the first one may come in one piece with the flood
                assert (await station.call("Heartbeat", {}))[0] == 3
            assert asyncio.get_running_loop().time() - began_s > 0.15
            assert b.server.counters.reads_paused > 0
            assert b.server.counters.frames_refused == 0

    play(story)


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


def test_a_newer_socket_wins_and_the_old_ones_end_removes_nothing() -> None:
    async def story() -> None:
        async with bench() as b:
            old = await provisioned(b)
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
