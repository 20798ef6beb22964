"""A report that nobody has asked for is answered and counted, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from ocpp_rig import BOOT, BOOT_16, FILES, Bench, HandStation, bench, config, play

from revere.core.errors import Unavailable
from revere.core.facts import (
    ClockSkewMeasured,
    FirmwarePublished,
    FirmwareReported,
    LogReported,
    NumberGiven,
    StationProvisioned,
)
from revere.core.ids import StationId
from revere.core.orders import FetchLog, Order, PublishFirmware, UpdateFirmware

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


BIN = f"{FILES}/m.bin"
SIGNED = UpdateFirmware(location=BIN, signing_certificate="C", signature="c2ln")
PUBLISHED = {"status": "Published", "location": [BIN]}
PROGRESS: list[tuple[str, Order, str, str, dict[str, Any]]] = [
    # protocol, what was ordered by which message, and what the station then says how often it likes
    ("ocpp2.1", SIGNED, "UpdateFirmware", "FirmwareStatusNotification", {"status": "Installed"}),
    ("ocpp2.0.1", SIGNED, "UpdateFirmware", "FirmwareStatusNotification", {"status": "Downloading"}),
    ("ocpp2.1", FetchLog(location=BIN), "GetLog", "LogStatusNotification", {"status": "Uploaded"}),
    ("ocpp2.0.1", FetchLog(location=BIN), "GetLog", "LogStatusNotification", {"status": "UploadFailure"}),
    (
        "ocpp2.1",
        PublishFirmware(location=BIN, checksum="0" * 32),
        "PublishFirmware",
        "PublishFirmwareStatusNotification",
        PUBLISHED,
    ),
    ("ocpp1.6", SIGNED, "SignedUpdateFirmware", "SignedFirmwareStatusNotification", {"status": "Installed"}),
    ("ocpp1.6", FetchLog(location=BIN), "GetLog", "LogStatusNotification", {"status": "Uploaded"}),
]
PROGRESS_IDS = [f"{row[0]}-{row[3]}" for row in PROGRESS]


def recorded(b: Bench) -> list[int | None]:
    """The numbers of all progress that became a fact."""
    return [one.request_id for kind in (FirmwareReported, LogReported, FirmwarePublished) for one in b.sink.of(kind)]


async def booted(b: Bench, protocol: Any) -> HandStation:
    station = await b.station("ST-1", protocol)
    await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    return station


@pytest.mark.parametrize(("protocol", "order", "asks", "action", "payload"), PROGRESS, ids=PROGRESS_IDS)
def test_progress_counts_under_a_number_that_we_gave_and_under_no_other(
    protocol: str, order: Order, asks: str, action: str, payload: dict[str, Any]
) -> None:
    async def story() -> None:
        async with bench(config("ST-1", protocol)) as b:
            station = await booted(b, protocol)
            assert (await station.call(action, {**payload, "requestId": 9_999}))[2] == {}
            assert (b.server.counters.unsolicited, recorded(b)) == (1, [])
            station.reactions[asks] = {"status": "Accepted"}
            assert (await b.server.carry_out(ST, order)).status == "accepted"
            number = (await station.until_asked(asks))["requestId"]
            assert [one.request_id for one in b.sink.of(NumberGiven)] == [number]
            for said in (number, number + 1, number):
                assert (await station.call(action, {**payload, "requestId": said}))[2] == {}
            assert (b.server.counters.unsolicited, recorded(b)) == (2, [number, number])
            await station.close()
        async with bench(config("ST-1", protocol)) as later:  # a restart: what the journal says is all that is known
            later.directory.numbers.add((ST, number))
            station = await booted(later, protocol)
            for said in (number, number + 1):
                assert (await station.call(action, {**payload, "requestId": said}))[2] == {}
            assert (later.server.counters.unsolicited, recorded(later)) == (1, [number])
            await station.close()

    play(story)


@pytest.mark.parametrize(("protocol", "order", "asks", "action", "payload"), PROGRESS, ids=PROGRESS_IDS)
def test_no_number_is_told_before_it_is_kept(
    protocol: str, order: Order, asks: str, action: str, payload: dict[str, Any]
) -> None:
    async def story() -> None:
        async with bench(config("ST-1", protocol)) as b:
            station = await booted(b, protocol)
            b.sink.broken = True
            answer = await b.server.carry_out(ST, order)
            assert (answer.status, Unavailable("the database is away").text() in answer.why) == ("rejected", True)
            assert asks not in [asked for asked, _ in station.asked]
            await station.close()

    play(story)


@pytest.mark.parametrize(
    ("protocol", "action", "payload"),
    [
        (protocol, action, payload)
        for protocol, action in (
            ("ocpp2.1", "FirmwareStatusNotification"),
            ("ocpp2.1", "LogStatusNotification"),
            ("ocpp2.0.1", "FirmwareStatusNotification"),
            ("ocpp1.6", "SignedFirmwareStatusNotification"),
            ("ocpp1.6", "LogStatusNotification"),
        )
        for payload in ({"status": "Idle"}, {"status": "Idle", "requestId": 9_999})
    ],
)
def test_idle_needs_no_number(protocol: str, action: str, payload: dict[str, Any]) -> None:
    async def story() -> None:
        async with bench(config("ST-1", protocol)) as b:
            station = await booted(b, protocol)
            assert (await station.call(action, payload))[2] == {}
            assert (b.server.counters.unsolicited, recorded(b)) == (0, [payload.get("requestId")])
            await station.close()

    play(story)
