"""One nonsense answer of a station leaves all its other functions running."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ocpp_rig import BOOT, BOOT_16, NOW, HandStation, bench, config, play

from revere.core.commands import SetpointCommand
from revere.core.facts import StationProvisioned
from revere.core.ids import CommandId, SessionId, StationId
from revere.core.orders import ClearCache

ST = StationId("ST-1")
STAMP = NOW.isoformat()
NONSENSE = [
    {},
    {"status": 7},
    {"status": "Perhaps"},
    {"status": None, "setVariableResult": "all", "getVariableResult": [{}], "configurationKey": 3},
    [],
    "Accepted",
    10**400,
]
ASKED = {
    "ocpp2.1": ["SetChargingProfile", "SetVariables", "GetVariables", "GetBaseReport", "GetCompositeSchedule"],
    "ocpp2.0.1": ["SetChargingProfile", "SetVariables", "GetVariables", "GetBaseReport", "GetCompositeSchedule"],
    "ocpp1.6": ["SetChargingProfile", "ChangeConfiguration", "GetConfiguration", "GetCompositeSchedule"],
}


async def works(b: Any, station: HandStation, protocol: str, setpoint_works: bool) -> None:
    """What a station may still say, and be told."""
    started: dict[str, Any] = {"connectorId": 1, "idTag": "BUS-7", "meterStart": 1, "timestamp": STAMP}
    session = "tx-1"
    if protocol == "ocpp1.6":
        session = str((await station.call("StartTransaction", started))[2]["transactionId"])
    else:
        event = {"eventType": "Started", "timestamp": STAMP, "triggerReason": "CablePluggedIn", "seqNo": 0}
        event |= {"transactionInfo": {"transactionId": "tx-1"}, "evse": {"id": 1}}
        assert (await station.call("TransactionEvent", event))[0] == 3
    assert (await station.call("Heartbeat", {}))[0] == 3
    command = SetpointCommand(
        command_id=CommandId("c1"),
        station_id=ST,
        evse_id=1,
        session_id=SessionId(f"ST-1:{session}"),
        setpoint_kw=5.0,
        charge_limit_kw=60.0,
        discharge_limit_kw=0.0,
    )
    assert ((await b.server.set_power(command)).status == "accepted") == setpoint_works
    assert (await b.server.carry_out(ST, ClearCache())).status == "accepted"


@pytest.mark.parametrize(("protocol", "action"), [(edition, a) for edition, actions in ASKED.items() for a in actions])
@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: str(value)[:12])
def test_one_nonsense_answer_leaves_the_other_functions_running(protocol: str, action: str, nonsense: Any) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol)
            station.live[action] = lambda _asked: nonsense
            answer = await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
            assert answer[2]["status"] == "Accepted"
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            problems = b.sink.of(StationProvisioned)[-1].problems
            if action != "GetCompositeSchedule":
                assert problems  # told by name
            await works(b, station, protocol, setpoint_works=action != "SetChargingProfile")
            assert b.server.counters.connections == 1
            assert b.server.counters.takeovers == 0

    play(story)


NO_ANSWERS = [
    '[3,"ID"]',
    '[4,"ID","NotImplemented"]',
    '[4,"ID",null,null,{}]',
    '[3,"ID",{"status":"\\u0000"}]',
    '[3,"ID",{"status":NaN}]',
    '[3,"ID",{"status":"Accepted"},{}]',
    '[3,"ID",' + "[" * 5_000 + "]" * 5_000 + "]",
    '[3,5,{"status":"Accepted"}]',
]
SHAPELESS = NO_ANSWERS[0], NO_ANSWERS[5]


@pytest.mark.parametrize("protocol", ASKED)
@pytest.mark.parametrize("text", NO_ANSWERS, ids=lambda text: text[:34])
def test_an_answer_that_is_no_frame_fails_its_call_alone(protocol: str, text: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol)
            await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            station.reactions["ClearCache"] = None
            asking = asyncio.create_task(b.server.carry_out(ST, ClearCache()))
            await station.until_asked("ClearCache")
            message_id = f"r{len(station.asked)}"
            await station.socket.send(text.replace("ID", message_id))
            if text.startswith("[3,5"):  # whose answer it is cannot be read: the call still waits for its own
                await station.socket.send(f'[4,"{message_id}","GenericError","",{{}}]')
            async with asyncio.timeout(2):
                assert (await asking).status == "rejected"
            del station.reactions["ClearCache"]
            await works(b, station, protocol, setpoint_works=True)
            told = [error[:3] for error in station.errors if error[0] == 5]
            ours = protocol == "ocpp2.1" and text.startswith('[3,"ID"')
            code = "RpcFrameworkError" if text in SHAPELESS else "FormatViolation"
            assert told == ([[5, message_id, code]] if ours else [])
            assert (b.server.counters.connections, b.server.counters.frames_refused) == (1, 1)

    play(story)
