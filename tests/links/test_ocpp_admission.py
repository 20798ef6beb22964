"""When everybody comes back at once: turns for those who prove who they are, and nobody locked out."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp_rig import Bench, basic, bench, config, play
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from revere.links.ocppj import admission, threshold
from revere.links.ocppj.admission import Admission
from revere.links.ocppj.bounds import ADMISSION_BURST, ADMISSION_WAIT_MAX_S, ADMISSIONS_PER_S, Counters
from revere.links.ocppj.line import HEARTBEAT_S, heartbeat_s
from revere.links.ocppj.threshold import Threshold

NOW_S = 1_000.0
AT_ONCE = int(ADMISSION_BURST)
WAITING = int(ADMISSION_WAIT_MAX_S * ADMISSIONS_PER_S)


def test_ten_thousand_at_once_get_ten_thousand_turns() -> None:
    counters = Counters()
    gate = Admission(counters)
    waits = [gate.wait_s(NOW_S) for _ in range(10_000)]
    assert waits[:AT_ONCE] == [0.0] * AT_ONCE
    turns = [wait_s for wait_s in waits if wait_s]
    assert len(turns) == pytest.approx(WAITING, abs=1)
    assert turns == sorted(turns)
    assert turns[-1] <= ADMISSION_WAIT_MAX_S
    away = waits.count(None)
    assert (counters.handshakes_waited, counters.handshakes_put_off) == (len(turns), away)
    later = [gate.retry_after_s(NOW_S) for _ in range(away)]
    assert later == sorted(later)
    assert all(later.count(second) <= ADMISSIONS_PER_S + 1 for second in set(later))
    assert ADMISSION_WAIT_MAX_S <= later[0] < later[-1] < 30.0
    came_back = [gate.wait_s(NOW_S + second) for second in later]
    assert None not in came_back, "whoever comes when told comes in"


@given(st.lists(st.floats(0, 5), min_size=1, max_size=300), st.sampled_from([0.1, 1.0, 7.0]))
def test_no_more_come_in_than_the_bucket_holds(gaps_s: list[float], window_s: float) -> None:
    """In any window at most the burst and what flows in meanwhile; and none waits beyond the bound."""
    gate, now_s, turns_s = Admission(Counters()), NOW_S, []
    for gap_s in gaps_s:
        now_s += gap_s / 1_000
        for _ in range(20):
            wait_s = gate.wait_s(now_s)
            if wait_s is not None:
                assert 0 <= wait_s <= ADMISSION_WAIT_MAX_S
                turns_s.append(now_s + wait_s)
    turns_s.sort()
    for start_s in turns_s[::50]:
        inside = sum(1 for turn_s in turns_s if start_s <= turn_s < start_s + window_s)
        assert inside <= ADMISSION_BURST + ADMISSIONS_PER_S * window_s + 1


def test_after_a_storm_the_bucket_is_full_again() -> None:
    gate = Admission(Counters())
    for _ in range(10_000):
        gate.wait_s(NOW_S)
    rested_s = NOW_S + ADMISSION_WAIT_MAX_S + ADMISSION_BURST / ADMISSIONS_PER_S
    assert [gate.wait_s(rested_s) for _ in range(AT_ONCE)] == [0.0] * AT_ONCE
    assert gate.retry_after_s(rested_s) == pytest.approx(ADMISSION_WAIT_MAX_S, abs=1.1)


async def _open(b: Bench, station_id: str, password: str | None = None) -> int:
    """The status of an opening: 101, or what refused it."""
    headers = basic(station_id) if password is None else basic(station_id, password)
    try:
        socket = await connect(
            b.url(station_id),
            subprotocols=[Subprotocol("ocpp2.1")],
            additional_headers=headers,
            compression=None,
            proxy=None,
        )
    except InvalidStatus as error:
        refusal = error.response
    else:
        await socket.close()
        return 101
    assert (int(refusal.headers.get("Retry-After", 0)) >= 1) == (refusal.status_code == 503)
    return refusal.status_code


def test_strangers_take_no_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of wrong secrets, for known ids and unknown ones, costs the genuine stations nothing."""
    monkeypatch.setattr(admission, "ADMISSION_BURST", 2.0)
    monkeypatch.setattr(admission, "ADMISSIONS_PER_S", 0.001)

    async def story() -> None:
        async with bench(config("ST-1"), config("ST-2")) as b:
            refused = await asyncio.gather(*(_open(b, f"ST-{n % 4}", "wrong") for n in range(24)))
            assert set(refused) == {401}
            assert [await _open(b, "ST-1"), await _open(b, "ST-2")] == [101, 101]
            assert b.server.counters.handshakes_put_off == 0

    play(story)


def test_the_excess_waits_and_then_is_asked_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "ADMISSION_BURST", 2.0)
    monkeypatch.setattr(admission, "ADMISSIONS_PER_S", 10.0)
    monkeypatch.setattr(admission, "ADMISSION_WAIT_MAX_S", 0.35)

    async def story() -> None:
        names = [f"ST-{n}" for n in range(12)]
        async with bench(*(config(name) for name in names)) as b:
            found = await asyncio.gather(*(_open(b, name) for name in names))
            counters = b.server.counters
            assert counters.handshakes_put_off == found.count(503) > 0
            assert counters.handshakes_waited >= 3
            assert found.count(101) == len(names) - found.count(503)
            assert counters.logins_refused == 0, "a genuine station that waits is no guess at a secret"

    play(story)


def test_heartbeats_of_stations_that_booted_together_part() -> None:
    asked = [heartbeat_s(f"S{number:05}") for number in range(2_000)]
    assert HEARTBEAT_S * 0.9 <= min(asked) < max(asked) <= HEARTBEAT_S * 1.1
    assert max(asked.count(second) for second in set(asked)) < 2_000 / 60 * 2
    assert heartbeat_s("S00001") == heartbeat_s("S00001")


# Before the door ----------------------------------------------------------------------------------------


class Knock:
    """A caller at the threshold (a port's fake: it notes what is done with it)."""

    def __init__(self, name: str, log: list[str], *, gone: bool = False) -> None:
        self.name, self.log, self.gone = name, log, gone

    def come_in(self) -> None:
        self.log.append(f"{self.name} in")

    def hung_up(self) -> bool:
        return self.gone

    def turn_away(self, retry_after_s: int | None) -> None:
        self.log.append(f"{self.name} away {retry_after_s}")


def test_few_are_worked_at_the_newest_of_the_waiting_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "OPENINGS_AT_ONCE", 2)

    async def story() -> None:
        log: list[str] = []
        counters = Counters()
        door = Threshold(counters, lambda _: 9)
        first, second, *others = [Knock(name, log, gone=name == "d") for name in "abcde"]
        for caller in (first, second, *others):
            door.arrive(caller)
        assert log == ["a in", "b in"]
        door.leave(first)
        door.leave(first)  # again is no harm
        assert log[2:] == ["e in"]
        door.leave(second)
        assert log[3:] == ["d away None", "c in"]
        assert counters.hung_up_waiting == 1
        door.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("each_takes_s", "held_s"),
    [(0.0, 1.0), (0.1, 1.0), (1.0, 4.0), (60.0, 8.0)],
    ids=["at rest", "quick", "a slow machine", "bounded"],
)
def test_a_silent_caller_holds_its_place_as_long_as_openings_take(each_takes_s: float, held_s: float) -> None:
    """A hundred openings that took so long, then one that says nothing."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        door = Threshold(Counters(), lambda _: 9)
        for number in range(100):
            caller = Knock(f"{number}", [])
            door.arrive(caller)
            door._busy[caller] = (door._busy[caller][0], loop.time() - each_takes_s)
            door.leave(caller)
        silent = Knock("silent", [])
        door.arrive(silent)
        assert door._busy[silent][0].when() - loop.time() == pytest.approx(held_s, abs=0.1)
        door.close()

    asyncio.run(story())


def test_who_has_waited_longest_is_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "OPENINGS_AT_ONCE", 1)
    monkeypatch.setattr(threshold, "ADMISSION_WAIT_MAX_S", -1.0)

    async def story() -> None:
        log: list[str] = []
        counters = Counters()
        door = Threshold(counters, lambda _: 9)
        for name in "abc":
            door.arrive(Knock(name, log))
        assert log == ["a in", "b away 9"]
        assert counters.handshakes_put_off == 1
        door.close()
        assert log[2:] == ["c away None", "a away None"]

    asyncio.run(story())


def test_a_silent_caller_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "OPENINGS_AT_ONCE", 1)
    monkeypatch.setattr(threshold, "SLOT_S", 0.05)

    async def story() -> None:
        async with bench() as b:
            silent = [await asyncio.open_connection("127.0.0.1", b.port) for _ in range(3)]
            assert await _open(b, "ST-1") == 101
            for _, writer in silent:
                writer.close()

    play(story)


def test_callers_that_hung_up_cost_no_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "OPENINGS_AT_ONCE", 1)
    monkeypatch.setattr(threshold, "SLOT_S", 0.2)

    async def story() -> None:
        async with bench() as b:
            _, holds = await asyncio.open_connection("127.0.0.1", b.port)
            for _ in range(5):
                _, gives_up = await asyncio.open_connection("127.0.0.1", b.port)
                gives_up.write(b"GET /ocpp/ST-1 HTTP/1.1\r\n")
                gives_up.close()
                await gives_up.wait_closed()
            assert await _open(b, "ST-1") == 101
            while b.server.counters.hung_up_waiting < 5:
                assert await _open(b, "ST-1") == 101
            assert b.server.counters.logins_refused == 0
            holds.close()

    play(story)


def test_the_longest_wait_ends_with_a_503_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold, "OPENINGS_AT_ONCE", 1)
    monkeypatch.setattr(threshold, "SLOT_S", 0.3)
    monkeypatch.setattr(threshold, "ADMISSION_WAIT_MAX_S", 0.1)

    async def story() -> None:
        async with bench() as b:
            _, holds = await asyncio.open_connection("127.0.0.1", b.port)
            reader, waits = await asyncio.open_connection("127.0.0.1", b.port)
            waits.write(b"GET /ocpp/ST-1 HTTP/1.1\r\n\r\n")
            answer = await reader.read()
            head = answer.decode().split("\r\n")
            assert head[0] == "HTTP/1.1 503 Service Unavailable"
            assert int(head[1].removeprefix("Retry-After: ")) >= 1
            assert b.server.counters.handshakes_put_off == 1
            for writer in (holds, waits):
                writer.close()

    play(story)
