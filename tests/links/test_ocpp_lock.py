"""A technician's lock at the socket: whoever asks for whatever, a locked station gets a stop and nothing else."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, cast, get_args

import msgspec
import pytest
from ocpp_rig import BOOT, BOOT_16, Bench, Directory, HandStation, bench, config, play

from revere.core.commands import LockState, ReportingCommand, SetpointCommand
from revere.core.errors import Refused
from revere.core.facts import StationProvisioned
from revere.core.ids import CommandId, SessionId, StationId
from revere.core.orders import (
    ClearCache,
    Order,
    ReadVariables,
    ResetStation,
    SetAvailability,
    SetNetworkProfile,
    TakeInventory,
    TriggerReport,
    UnlockConnector,
    VariableName,
    VariableSetting,
    WriteVariables,
    kind_of,
)
from revere.core.ports import ChargingLink
from revere.links.ocpp2.profile_ids import FROM_ONE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ST = StationId("ST-1")
SESSION = SessionId("ST-1:7")
PROTOCOLS = ["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]
ENDS = {"RequestStopTransaction", "RemoteStopTransaction"}
POWERS = {"SetChargingProfile", "UpdateDynamicSchedule"}


def wish(kw: float) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c"),
        station_id=ST,
        evse_id=1,
        session_id=SESSION,
        setpoint_kw=kw,
        charge_limit_kw=60.0,
        discharge_limit_kw=0.0,
    )


ORDERS: tuple[Order, ...] = (
    ResetStation(),
    ReadVariables(variables=(VariableName(variable="Enabled", component="EVSE"),)),
    WriteVariables(settings=(VariableSetting(variable="Enabled", component="EVSE", value="true"),)),
    TakeInventory(),
    SetAvailability(operative=True),
    ClearCache(),
    TriggerReport(report="meter-values"),
    UnlockConnector(evse_id=1),
    SetNetworkProfile(slot=1, url="wss://example.org/", security_profile=2),
)
ARGUMENTS: dict[str, Any] = {
    "station_id": ST,
    "evse_id": 1,
    "token": "BUS1",
    "session_id": SESSION,
    "duration_s": 3600,
    "secret": "s" * 20,
}


def orders(link: ChargingLink) -> dict[str, Callable[[], Awaitable[object]]]:
    """Everything that control may ask of a station, read off the port, so that what comes later is in it."""
    found: dict[str, Callable[[], Awaitable[object]]] = {}
    for name, method in inspect.getmembers(ChargingLink, inspect.iscoroutinefunction):
        wanted = list(inspect.signature(method).parameters)[1:]
        if wanted == ["command"]:
            continue
        given = {key: ARGUMENTS[key] for key in wanted if key in ARGUMENTS}
        if set(given) == set(wanted):
            found[name] = lambda name=name, given=given: getattr(link, name)(**given)  # type: ignore[misc]
    bare = [kind for kind in get_args(Order) if all(field.required is False for field in msgspec.structs.fields(kind))]
    for order in (*ORDERS, *(kind() for kind in bare)):
        found[kind_of(order)] = lambda order=order: link.carry_out(ST, order)  # type: ignore[misc]
    found["set_power 0"] = lambda: link.set_power(wish(0.0))
    found["set_power 5"] = lambda: link.set_power(wish(5.0))
    found["set_reporting"] = lambda: link.set_reporting(ReportingCommand(station_id=ST, sample_interval_s=10))
    return found


async def awake(b: Bench, protocol: str) -> HandStation:
    station = await b.station(protocol=protocol)
    await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    return station


def numbers(payload: object) -> list[float]:
    """Every power in a frame."""
    if isinstance(payload, dict):
        here = [float(v) for k, v in payload.items() if k in ("limit", "setpoint") and isinstance(v, int | float)]
        return here + [n for value in payload.values() for n in numbers(value)]
    return [n for value in payload for n in numbers(value)] if isinstance(payload, list) else []


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("state", ["closing", "locked"])
def test_no_frame_but_a_stop_reaches_a_locked_station(protocol: str, state: LockState) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol, discharge_kw=0.0)) as b:
            station = await awake(b, protocol)
            cast("Directory", b.directory).locks[ST] = state
            before = len(station.asked)
            asked = orders(b.server)
            for ask in asked.values():
                try:
                    await ask()
                except Refused:
                    continue
            await station.call("Heartbeat", {})
            await asyncio.sleep(0)
            heard = station.asked[before:]
            paces = {"SetVariables", "ChangeConfiguration", "TriggerMessage"} if state == "closing" else set()
            ended = [frame for action, frame in heard if action == "ClearChargingProfile"]  # a mode over the set-point
            assert all(frame == {"chargingProfileId": FROM_ONE.mode(1)} for frame in ended)
            assert not ended or state == "closing"
            assert {action for action, _ in heard} - {"ClearChargingProfile"} <= ENDS | POWERS | paces
            assert all(numbers(frame) and set(numbers(frame)) == {0.0} for a, frame in heard if a in POWERS)
            assert ENDS & {action for action, _ in heard}
            assert POWERS & {action for action, _ in heard}
            assert (
                b.server.counters.calls_locked >= 3
            )  # a fallback sent a moment ago, and a profile too early, stop before it
            await station.close()

    play(story)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_locked_station_that_boots_is_provisioned_once_the_lock_is_lifted(protocol: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            locks = cast("Directory", b.directory).locks
            locks[ST] = "locked"
            station = await b.station(protocol=protocol)
            await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
            await station.call("Heartbeat", {})
            assert station.asked == []
            del locks[ST]
            await station.call("Heartbeat", {})
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert not any("locked" in problem for problem in b.sink.of(StationProvisioned)[0].problems)
            await station.close()

    play(story)


def test_what_waits_for_its_turn_when_the_lock_comes_is_held_back() -> None:
    async def story() -> None:
        async with bench(config()) as b:
            station = await awake(b, "ocpp2.1")
            station.reactions["RequestStartTransaction"] = None  # no answer: the line stays taken
            first = asyncio.create_task(b.server.remote_start(ST, 1, "BUS1"))
            await station.until_asked("RequestStartTransaction")
            waits = asyncio.create_task(b.server.remote_start(ST, 1, "BUS2"))
            await asyncio.sleep(0)
            cast("Directory", b.directory).locks[ST] = "closing"
            stopped = await b.server.set_power(wish(0.0))
            assert stopped.status == "accepted"
            assert (await first).status == "timeout"
            answer = await waits
            assert (answer.status, "locked" in answer.why) == ("rejected", True)
            assert sum(action == "RequestStartTransaction" for action, _ in station.asked) == 1
            await station.close()

    play(story)
