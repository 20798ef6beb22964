"""What stations say of their own security: kept, told, and none of their secrets with it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from ocpp_rig import BOOT, BOOT_16, NOW, bench, config, play

from revere.core.facts import AlarmRaised, SecurityEventReported, StationProvisioned, encode_fact

SECRET = "5ecret" * 6


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    ("kind", "extra", "severity"),
    [
        ("TamperDetectionActivated", {"techInfo": "lid open"}, "warning"),
        ("StartupOfTheDevice", {}, "info"),
        ("AWordOfTheMakersOwn", {"techInfo": "x"}, "info"),
    ],
)
def test_each_event_is_kept_and_each_type_told_once(
    protocol: str, kind: str, extra: dict[str, str], severity: str
) -> None:
    async def story() -> None:
        async with bench(config("ST-1", protocol, discharge_kw=0.0)) as b:
            station = await b.station("ST-1", protocol)
            await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
            payload = {"type": kind, "timestamp": "2026-07-16T15:29:00-04:00", **extra}
            for _ in range(2):
                assert (await station.call("SecurityEventNotification", payload))[2] == {}
            events = b.sink.of(SecurityEventReported)
            assert [(e.type, e.source, e.detail) for e in events] == [(kind, "station", extra.get("techInfo", ""))] * 2
            assert {e.ts for e in events} == {NOW - dt.timedelta(minutes=1)}
            alarms = [alarm for alarm in b.sink.of(AlarmRaised) if alarm.key == f"security:ST-1:{kind}"]
            assert [alarm.severity for alarm in alarms] == [severity] * 2
            await station.close()

    play(story)


def shown_16() -> dict[str, Any]:
    return {"GetConfiguration": {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": SECRET}]}}


def test_a_station_that_shows_its_secret_is_not_quoted() -> None:
    async def story() -> None:
        async with bench(config("CP-6", "ocpp1.6")) as b:
            station = await b.station("CP-6", "ocpp1.6", shown_16())
            await station.call("BootNotification", BOOT_16)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            assert not any(SECRET in encode_fact(fact).decode() for fact in b.sink.facts)
            await station.close()
        async with bench(config("ST-1")) as b:
            station = await b.station("ST-1", reactions={"GetBaseReport": {"status": "Accepted"}})
            await station.call("BootNotification", BOOT)
            number = (await station.until_asked("GetBaseReport"))["requestId"]
            for name, value in (("BasicAuthPassword", SECRET), ("Identity", "ST-1")):
                variable = {
                    "component": {"name": "SecurityCtrlr"},
                    "variable": {"name": name},
                    "variableAttribute": [{"value": value}],
                }
                report = {
                    "requestId": number,
                    "generatedAt": "2026-07-16T19:30:00Z",
                    "seqNo": 0,
                    "reportData": [variable],
                }
                report["tbc"] = name != "Identity"
                assert (await station.call("NotifyReport", report))[2] == {}
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            [provisioned] = b.sink.of(StationProvisioned)
            assert provisioned.variables == {"SecurityCtrlr.Identity": "ST-1"}
            await station.close()

    play(story)
