"""A report that nobody has asked for is answered and counted, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from ocpp_rig import BOOT, bench, config, play

from revere.core.facts import ClockSkewMeasured, StationProvisioned
from revere.core.ids import StationId

ST = StationId("ST-1")
STAMP = "2026-07-16T19:29:58Z"
ABOUT = {"component": {"name": "Connector"}, "variable": {"name": "Problem"}}
MONITOR = {"id": 7, "transaction": False, "value": 1, "type": "Delta", "severity": 0}
UNASKED: list[tuple[str, dict[str, Any]]] = [
    (
        "NotifyReport",
        {"generatedAt": STAMP, "seqNo": 0, "reportData": [{**ABOUT, "variableAttribute": [{"value": "true"}]}]},
    ),
    (
        "NotifyMonitoringReport",
        {"generatedAt": STAMP, "seqNo": 0, "monitor": [{**ABOUT, "variableMonitoring": [MONITOR]}]},
    ),
    ("NotifyCustomerInformation", {"generatedAt": STAMP, "seqNo": 0, "data": "Jane"}),
]


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("number", [0, 9_999])
@pytest.mark.parametrize(("action", "payload"), UNASKED)
def test_what_nobody_asked_for_changes_nothing(
    protocol: str, number: int, action: str, payload: dict[str, Any]
) -> None:
    async def story() -> None:
        async with bench(config("ST-1", protocol)) as b:
            station = await b.station("ST-1", protocol)
            await station.call("BootNotification", BOOT)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            memory = b.server._memories[ST]
            before, facts = memory.variables.rows(), list(b.sink.facts)
            said = {"requestId": number, **payload}
            if action == "NotifyMonitoringReport" and protocol == "ocpp2.1":
                kind = {"eventNotificationType": "CustomMonitor"}  # 2.1 wants it, 2.0.1 knows no such field
                said["monitor"] = [{**ABOUT, "variableMonitoring": [MONITOR | kind]}]
            assert (await station.call(action, said))[2] == {}
            assert b.server.counters.unsolicited == 1
            since = b.sink.facts[len(facts) :]
            assert (memory.variables.rows(), memory.monitors) == (before, {})
            assert all(isinstance(fact, ClockSkewMeasured) for fact in since), "its clock alone is read"
            await station.close()

    play(story)
