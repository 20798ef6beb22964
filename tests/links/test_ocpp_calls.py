"""Whose turn it is on a station's line: a setpoint may be a stop, so it waits for nothing that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from ocpp_rig import BOOT, BOOT_16, PASSWORD, Bench, HandStation, basic, bench, config, play
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from revere.core.commands import Answer, ReportingCommand, SetpointCommand
from revere.core.facts import StationDisconnected, StationProvisioned
from revere.core.ids import CommandId, SessionId, StationId
from revere.links.ocppj.bounds import UNHEARD_MAX
from revere.links.ocppj.calls import Turns

ST = StationId("ST-1")
CALLS = "revere.links.ocppj.calls"


def setpoint(kw: float, discharge_kw: float = 10.0) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c"),
        station_id=ST,
        evse_id=1,
        session_id=SessionId("ST-1:7"),
        setpoint_kw=kw,
        charge_limit_kw=10.0,
        discharge_limit_kw=discharge_kw,
    )


def reporting(interval_s: int) -> ReportingCommand:
    return ReportingCommand(station_id=ST, sample_interval_s=interval_s)


async def booted(b: Bench, protocol: str = "ocpp2.1") -> HandStation:
    before = len(b.sink.of(StationProvisioned))
    station = await b.station(protocol=protocol)
    await station.call("BootNotification", BOOT if protocol == "ocpp2.1" else BOOT_16)
    await b.sink.until(lambda: len(b.sink.of(StationProvisioned)) > before)
    return station


def test_a_setpoint_goes_before_all_that_waits_and_what_hangs_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{CALLS}.CALL_YIELDS_S", 0.05)

    async def story() -> None:
        async with bench() as b:
            station = await booted(b)
            station.asked.clear()
            station.reactions["SetVariables"] = None
            hung = asyncio.create_task(b.server.set_reporting(reporting(10)))
            await station.until_asked("SetVariables")
            waits = asyncio.create_task(b.server.remote_start(ST, 1, "BUS-1"))
            await asyncio.sleep(0)
            answer = await b.server.set_power(setpoint(-5.0))
            assert answer.status == "accepted"
            assert ((await hung).status, (await waits).status) == ("timeout", "accepted")
            assert [action for action, _ in station.asked] == [
                "SetVariables", "SetChargingProfile", "RequestStartTransaction",
            ]  # fmt: skip

    play(story)


def test_without_a_setpoint_a_slow_answer_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{CALLS}.CALL_YIELDS_S", 0.0)
    monkeypatch.setattr(f"{CALLS}.SETPOINT_TIMEOUT_S", 0.0)

    async def story() -> Answer:
        async with bench() as b:
            await booted(b)
            return await b.server.set_reporting(reporting(10))

    assert asyncio.run(story()).status == "accepted"


def test_a_line_handed_to_somebody_who_has_gone_is_handed_on() -> None:
    async def story() -> list[str]:
        turns, had = Turns(), []

        async def take(name: str, *, first: bool = False) -> None:
            async with turns.turn(first=first):
                had.append(name)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(take(name)) for name in "abcd"]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(take("stop", first=True)))
        await asyncio.sleep(0)
        tasks[1].cancel()  # it waits
        await asyncio.sleep(0)
        tasks[2].cancel()  # it may just have been given the line
        await asyncio.gather(*tasks, return_exceptions=True)
        await take("last")
        return had

    assert asyncio.run(story()) == ["a", "stop", "d", "last"]


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp1.6"])
def test_an_older_setpoint_that_hangs_gives_way_to_a_newer_one(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.setattr(f"{CALLS}.CALL_YIELDS_S", 0.05)

    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await booted(b, protocol)
            station.asked.clear()
            b.server._memories[ST].profile_of[1] = "7"
            action = "UpdateDynamicSchedule" if protocol == "ocpp2.1" else "SetChargingProfile"
            station.reactions[action] = None
            hung = asyncio.create_task(b.server.set_power(setpoint(3.0)))
            await station.until_asked(action)
            between = asyncio.create_task(b.server.set_power(setpoint(2.0)))
            await asyncio.sleep(0)
            station.reactions[action] = {"status": "Accepted"}
            assert (await b.server.set_power(setpoint(0.0))).status == "accepted"
            assert ((await hung).status, (await between).why) == ("timeout", "superseded by a newer setpoint")
            assert [name for name, _ in station.asked] == [action, action]

    play(story)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(f"{CALLS}.SETPOINT_TIMEOUT_S", 0.02)
    return


async def _until_cut(b: Bench, station: HandStation, command: SetpointCommand) -> str:
    """Ask until we hang up; the reason that the journal gives."""
    station.reactions["SetChargingProfile"] = station.reactions["UpdateDynamicSchedule"] = None
    told = len(b.sink.of(StationDisconnected))
    for _ in range(UNHEARD_MAX):
        b.server._memories[ST].profile_sent_s.clear()
        assert (await b.server.set_power(command)).status == "timeout"
    await station.until_closed()
    await b.sink.until(lambda: len(b.sink.of(StationDisconnected)) > told)
    return b.sink.of(StationDisconnected)[-1].reason


@pytest.mark.usefixtures("impatient")
def test_a_station_that_hears_no_setpoint_is_cut_and_then_kept_out_until_its_lease_is_over() -> None:
    async def story() -> None:
        async with bench() as b:
            reason = await _until_cut(b, await booted(b), setpoint(0.0))
            assert reason == "3 setpoints without an answer"
            again = await booted(b)
            assert b.server.connected() == frozenset({ST})
            reason = await _until_cut(b, again, setpoint(0.0))
            assert reason.endswith("kept out until its lease is over")
            with pytest.raises(InvalidStatus) as refused:
                await connect(
                    b.url("ST-1"),
                    subprotocols=[Subprotocol("ocpp2.1")],
                    additional_headers=basic("ST-1", PASSWORD),
                    proxy=None,
                )
            assert refused.value.response.status_code == 503
            b.server._memories[ST].shut_until_s = 0.0
            await booted(b)
            assert (b.server.counters.cut, b.server.counters.kept_out) == (2, 1)

    play(story)


@pytest.mark.usefixtures("impatient")
def test_a_station_that_only_charges_is_never_kept_out() -> None:
    async def story() -> None:
        async with bench(config(discharge_kw=0.0)) as b:
            for _ in range(2):
                await _until_cut(b, await booted(b), setpoint(0.0, discharge_kw=0.0))
            await booted(b)
            assert (b.server.counters.cut, b.server.counters.kept_out) == (2, 0)

    play(story)


@pytest.mark.usefixtures("impatient")
def test_an_answer_of_any_kind_ends_the_count() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await booted(b)
            for reaction in (None, None, {"status": "Rejected"}, None, None):
                station.reactions["SetChargingProfile"] = reaction
                b.server._memories[ST].profile_sent_s.clear()
                await b.server.set_power(setpoint(1.0))
            assert b.server.counters.cut == 0
            assert b.server.connected() == frozenset({ST})

    play(story)
