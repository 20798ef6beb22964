"""One nonsense answer of a station leaves all its other functions running."""

from __future__ import annotations

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
