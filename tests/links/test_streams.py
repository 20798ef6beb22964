"""Periodic event streams: what is kept of what nobody answers, and by which rule the rest is dropped."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from ocpp_rig import BOOT, BOOT_16, NOW, Bench, HandStation, bench, config, play

from revere.core.facts import StreamValuesReceived, decode_fact, encode_fact
from revere.links.ocppj.streams import STREAMS_MAX, VALUES_MAX

STREAM = "NotifyPeriodicEventStream"


def values(count: int = 2, stream: int = 1) -> dict[str, Any]:
    data = [{"t": 0.5 * n, "v": f"{230 + n}"} for n in range(count)]
    return {"id": stream, "pending": 3, "basetime": "2026-07-16T21:30:00+02:00", "data": data}


async def opened(b: Bench, stream: int = 1) -> HandStation:
    station = await b.station()
    await station.call("BootNotification", BOOT)
    assert await open_one(station, stream) == "Accepted"
    return station


async def open_one(station: HandStation, stream: int) -> str:
    data = {"id": stream, "params": {"interval": 5}, "variableMonitoringId": 40 + stream}
    answer = (await station.call("OpenPeriodicEventStream", {"constantStreamData": data}))[2]
    return str(answer["status"])


async def send(station: HandStation, payload: dict[str, Any], action: str = STREAM) -> None:
    """A SEND, and a call after it, so that it has been taken once the call is answered."""
    await station.socket.send(json.dumps([6, "x1", action, payload]))
    assert (await station.call("Heartbeat", {}))[0] == 3


def story(play_it: Any) -> None:
    async def whole() -> None:
        async with bench() as b:
            await play_it(b)

    play(whole)


def test_values_of_an_open_stream_are_kept_as_they_came() -> None:
    async def steps(b: Bench) -> None:
        station = await opened(b)
        await send(station, values())
        want = StreamValuesReceived(
            at=NOW, station_id="ST-1", stream=1, monitor=41, ts=NOW, values=((0.0, "230"), (0.5, "231")), pending=3
        )
        assert [decode_fact(encode_fact(fact)) for fact in b.sink.of(StreamValuesReceived)] == [want]
        assert station.errors == []  # nobody answers

    story(steps)


@pytest.mark.parametrize(
    ("rule", "payload", "action"),
    [
        ("a stream that was not opened", values(stream=2), STREAM),
        ("a message that is none", values(), "Heartbeat"),
        ("a message of no edition", values(), "MakeCoffee"),
    ],
)
def test_what_breaks_a_rule_is_dropped_and_counted(rule: str, payload: dict[str, Any], action: str) -> None:
    async def steps(b: Bench) -> None:
        station = await opened(b)
        await send(station, payload, action)
        assert b.sink.of(StreamValuesReceived) == [], rule
        assert b.server.counters.dropped_sends == 1

    story(steps)


def test_a_stream_faster_than_once_a_second_and_values_beyond_the_bound_are_dropped() -> None:
    async def steps(b: Bench) -> None:
        station = await opened(b)
        for _ in range(3):
            await send(station, values(VALUES_MAX + 5))
        [kept] = b.sink.of(StreamValuesReceived)
        assert len(kept.values) == VALUES_MAX
        counters = b.server.counters
        assert (counters.dropped_sends, counters.stream_values_dropped) == (2, 5)

    story(steps)


@pytest.mark.parametrize("payload", [{}, {"id": 1}, values() | {"data": []}, values() | {"pending": -1}, {"id": "one"}])
def test_what_cannot_be_read_is_counted_and_nothing_else_stops(payload: dict[str, Any]) -> None:
    async def steps(b: Bench) -> None:
        station = await opened(b)
        await send(station, payload)
        assert b.server.counters.payloads_refused == 1
        assert b.sink.of(StreamValuesReceived) == []
        await send(station, values())
        assert len(b.sink.of(StreamValuesReceived)) == 1

    story(steps)


def test_a_flood_that_nobody_answers_is_dropped_and_costs_no_call() -> None:
    async def steps(b: Bench) -> None:
        station = await opened(b)
        b.sink.gate.clear()
        frame = json.dumps([6, "x1", STREAM, values()])
        for _ in range(60):
            await station.socket.send(frame)
        answer = await station.begin("Heartbeat", {})
        await asyncio.sleep(0.02)  # all of them wait for the commit of the first
        b.sink.gate.set()
        assert (await answer)[0] == 3
        assert len(b.sink.of(StreamValuesReceived)) == 1
        assert b.server.counters.dropped_sends == 59
        assert b.server.counters.flooded == 0

    story(steps)


def test_what_could_not_be_committed_is_counted() -> None:
    async def steps(b: Bench) -> None:
        station = await opened(b)
        b.sink.broken = True
        await send(station, values())
        assert b.server.counters.dropped_sends == 1

    story(steps)


def test_streams_are_bounded_closed_and_outlive_a_line() -> None:
    async def steps(b: Bench) -> None:
        station = await opened(b)
        words = [await open_one(station, stream) for stream in range(2, STREAMS_MAX + 3)]
        assert words == ["Accepted"] * (STREAMS_MAX - 1) + ["Rejected"] * 2
        assert await open_one(station, 1) == "Accepted"  # opened again
        await station.close()
        back = await b.station()
        await back.call("BootNotification", BOOT)
        await send(back, values())
        assert (await back.call("ClosePeriodicEventStream", {"id": 1}))[2] == {}
        await send(back, values())
        assert len(b.sink.of(StreamValuesReceived)) == 1
        assert b.server.counters.dropped_sends == 1

    story(steps)


@pytest.mark.parametrize(("protocol", "boot"), [("ocpp1.6", BOOT_16), ("ocpp2.0.1", BOOT)])
def test_editions_without_streams_drop_and_count(protocol: str, boot: dict[str, Any]) -> None:
    async def steps() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol)
            await station.call("BootNotification", boot)
            await send(station, values())
            assert b.server.counters.dropped_sends == 1

    play(steps)
