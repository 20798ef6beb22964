"""Firmware, logs, certificates and monitors as frames of each edition, and hosts that are not named."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from ocpp_rig import BOOT, BOOT_16, FILES, HandStation, bench, config, play
from ocpp_schemas import validator

from revere.core.addresses import AllowedAddresses
from revere.core.errors import Refused, ScenarioError
from revere.core.facts import AlarmRaised, FirmwarePublished, FirmwareReported, LogReported, StationProvisioned
from revere.core.ids import StationId
from revere.core.orders import (
    AskCustomer,
    ClearMonitors,
    DeleteCertificate,
    FetchLog,
    InstallCertificate,
    ListCertificates,
    ListMonitors,
    Monitor,
    Order,
    PublishFirmware,
    SendVendorMessage,
    SetMonitoringBase,
    SetMonitoringLevel,
    SetMonitors,
    UnpublishFirmware,
    UpdateFirmware,
    VariableName,
    kind_of,
)

ST = StationId("ST-1")
FOLDERS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
STAMP = "2026-07-16T19:30:00Z"
NUMBER = 1784230200
"""The first number of an order: the rig's clock stands still."""
PEM = "-----BEGIN CERTIFICATE-----\nUm9vdA==\n-----END CERTIFICATE-----\n"
HASHES = {"hashAlgorithm": "SHA256", "issuerNameHash": "aB1", "issuerKeyHash": "0c", "serialNumber": "5F"}
MD5 = "0123456789abcdef0123456789abcdef"
BIN = f"{FILES}/m-2.0.bin"
HOT = Monitor(component="Connector", variable="Temperature", what="upper-threshold", value=80.0, severity=2, evse_id=1)
HOT_WIRE = {
    "component": {"name": "Connector", "evse": {"id": 1}},
    "variable": {"name": "Temperature"},
    "type": "UpperThreshold",
    "severity": 2,
}


def signed(**more: Any) -> UpdateFirmware:
    return UpdateFirmware(location=BIN, signing_certificate=PEM, signature="c2lnbmVk", **more)


FIRMWARE = {"location": BIN, "retrieveDateTime": STAMP, "signingCertificate": PEM, "signature": "c2lnbmVk"}
BARE = {"location": BIN, "retrieveDateTime": STAMP}
LOG = {"log": {"remoteLocation": FILES + "/in"}, "requestId": NUMBER}
TABLE_2: list[tuple[Order, str, dict[str, Any], dict[str, Any]]] = [
    (signed(), "UpdateFirmware", {"requestId": NUMBER, "firmware": FIRMWARE}, {"status": "Accepted"}),
    (
        UpdateFirmware(location=BIN, request_id=7, retries=2, retry_interval_s=60),
        "UpdateFirmware",
        {"requestId": 7, "retries": 2, "retryInterval": 60, "firmware": BARE},
        {"status": "AcceptedCanceled"},
    ),
    (
        PublishFirmware(location=BIN, checksum=MD5),
        "PublishFirmware",
        {"location": BIN, "checksum": MD5, "requestId": NUMBER},
        {"status": "Accepted"},
    ),
    (UnpublishFirmware(checksum=MD5), "UnpublishFirmware", {"checksum": MD5}, {"status": "Unpublished"}),
    (FetchLog(location=FILES + "/in"), "GetLog", {"logType": "DiagnosticsLog", **LOG}, {"status": "Accepted"}),
    (
        FetchLog(location=FILES + "/in", log="security"),
        "GetLog",
        {"logType": "SecurityLog", **LOG},
        {"status": "Accepted"},
    ),
    (
        SetMonitors(monitors=(HOT,)),
        "SetVariableMonitoring",
        {"setMonitoringData": [{**HOT_WIRE, "value": 80.0}]},
        {"setMonitoringResult": [{**HOT_WIRE, "status": "Accepted", "id": 4}]},
    ),
    (
        ClearMonitors(ids=(4, 5)),
        "ClearVariableMonitoring",
        {"id": [4, 5]},
        {"clearMonitoringResult": [{"status": "Accepted", "id": 4}, {"status": "NotFound", "id": 5}]},
    ),
    (
        ListMonitors(of=("delta",), variables=(VariableName(component="Connector", variable="Problem"),)),
        "GetMonitoringReport",
        {
            "requestId": 1,
            "monitoringCriteria": ["DeltaMonitoring"],
            "componentVariable": [{"component": {"name": "Connector"}, "variable": {"name": "Problem"}}],
        },
        {"status": "EmptyResultSet"},
    ),
    (
        SetMonitoringBase(base="factory"),
        "SetMonitoringBase",
        {"monitoringBase": "FactoryDefault"},
        {"status": "Accepted"},
    ),
    (SetMonitoringLevel(severity=4), "SetMonitoringLevel", {"severity": 4}, {"status": "Accepted"}),
    (
        AskCustomer(certificate="SHA256:aB1:0c:5F", report=False, clear=True),
        "CustomerInformation",
        {"requestId": 1, "report": False, "clear": True, "customerCertificate": HASHES},
        {"status": "Accepted"},
    ),
    (
        InstallCertificate(use="v2g-root", certificate=PEM),
        "InstallCertificate",
        {"certificateType": "V2GRootCertificate", "certificate": PEM},
        {"status": "Accepted"},
    ),
    (
        DeleteCertificate(certificate="SHA256:aB1:0c:5F"),
        "DeleteCertificate",
        {"certificateHashData": HASHES},
        {"status": "Accepted"},
    ),
]
PLAIN_16 = {"location": BIN, "retrieveDate": STAMP}
TABLE_16: list[tuple[Order, str, dict[str, Any], dict[str, Any]]] = [
    (signed(), "SignedUpdateFirmware", {"requestId": NUMBER, "firmware": FIRMWARE}, {"status": "Accepted"}),
    (UpdateFirmware(location=BIN), "UpdateFirmware", PLAIN_16, {}),
    (FetchLog(location=FILES + "/in"), "GetLog", {"logType": "DiagnosticsLog", **LOG}, {"status": "Accepted"}),
    (
        InstallCertificate(use="csms-root", certificate=PEM),
        "InstallCertificate",
        {"certificateType": "CentralSystemRootCertificate", "certificate": PEM},
        {"status": "Accepted"},
    ),
    (
        ListCertificates(uses=("manufacturer-root",)),
        "GetInstalledCertificateIds",
        {"certificateType": "ManufacturerRootCertificate"},
        {"status": "Accepted", "certificateHashData": [HASHES]},
    ),
    (
        DeleteCertificate(certificate="SHA256:aB1:0c:5F"),
        "DeleteCertificate",
        {"certificateHashData": HASHES},
        {"status": "Accepted"},
    ),
    (
        SendVendorMessage(vendor="org.example", content="3"),
        "DataTransfer",
        {"vendorId": "org.example", "data": "3"},
        {"status": "Accepted", "data": "yes"},
    ),
]
ALL = [
    *(("ocpp2.1", *row) for row in TABLE_2),
    *(("ocpp2.0.1", *row) for row in TABLE_2),
    *(("ocpp1.6", *row) for row in TABLE_16),
]


async def booted(b: Any, protocol: str) -> HandStation:
    station: HandStation = await b.station(protocol=protocol)
    await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    station.asked.clear()
    return station


@pytest.mark.parametrize(
    ("protocol", "order", "action", "payload", "reaction"),
    ALL,
    ids=[f"{p}-{kind_of(o)}-{i}" for i, (p, o, *_) in enumerate(ALL)],
)
def test_an_order_is_one_frame_that_the_schema_knows(
    protocol: str, order: Order, action: str, payload: dict[str, Any], reaction: dict[str, Any]
) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await booted(b, protocol)
            station.reactions[action] = reaction
            answer = await b.server.carry_out(ST, order)
            assert answer.status == "accepted", answer.why
            assert station.asked == [(action, payload)]
            name = action if protocol == "ocpp1.6" else f"{action}Request"
            validator(FOLDERS[protocol], name).validate(payload)

    play(story)


NEVER: list[tuple[str, Order, str]] = [
    ("ocpp2.1", UpdateFirmware(location="https://evil.example.org/x.bin"), "file_hosts"),
    ("ocpp2.0.1", PublishFirmware(location="http://files.example.org/x", checksum=MD5), "file_hosts"),
    ("ocpp1.6", FetchLog(location="https://evil.example.org/"), "file_hosts"),
    ("ocpp2.1", InstallCertificate(use="v2g-chain", certificate=PEM), "only roots"),
    ("ocpp2.0.1", InstallCertificate(use="oem-root", certificate=PEM), "no words"),
    ("ocpp2.0.1", FetchLog(location=BIN, log="data-collector"), "no words"),
    ("ocpp1.6", FetchLog(location=BIN, log="data-collector"), "no such log"),
    ("ocpp1.6", InstallCertificate(use="v2g-root", certificate=PEM), "no such certificate"),
    ("ocpp1.6", InstallCertificate(use="csms-root", certificate=PEM.replace("Um9v", "A" * 6000)), "no such long"),
    ("ocpp1.6", SetMonitoringLevel(severity=4), "no message for it"),
]


@pytest.mark.parametrize(
    ("protocol", "order", "why"), NEVER, ids=[f"{p}-{kind_of(o)}-{i}" for i, (p, o, _) in enumerate(NEVER)]
)
def test_what_cannot_be_asked_is_refused_here_and_sends_nothing(protocol: str, order: Order, why: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await booted(b, protocol)
            answer = await b.server.carry_out(ST, order)
            assert answer.status == "rejected"
            assert why in answer.why
            assert station.asked == []

    play(story)


@pytest.mark.parametrize("half", [{"signature": "c2lnbmVk"}, {"signing_certificate": PEM}])
def test_a_signature_and_its_certificate_come_together(half: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError, match="come together"):
        msgspec.convert({"kind": "update-firmware", "location": BIN, **half}, Order)


def test_a_16_charger_without_the_extension_brings_diagnostics_and_gets_no_signed_firmware_unsigned() -> None:
    async def story() -> None:
        async with bench(config(protocol="ocpp1.6")) as b:
            station = await booted(b, "ocpp1.6")
            station.refusals |= {"GetLog", "SignedUpdateFirmware"}
            station.reactions["GetDiagnostics"] = {"fileName": "d.zip"}
            answer = await b.server.carry_out(ST, FetchLog(location=BIN))
            assert (answer.status, answer.details) == ("accepted", (("file", "d.zip"),))
            assert station.asked[-1] == ("GetDiagnostics", {"location": BIN})
            assert (await b.server.carry_out(ST, FetchLog(location=BIN, log="security"))).status == "rejected"
            assert (await b.server.carry_out(ST, signed())).status == "rejected"
            assert [action for action, _ in station.asked].count("UpdateFirmware") == 0

    play(story)


@pytest.mark.parametrize(
    ("protocol", "action", "payload", "fact"),
    [
        (
            "ocpp1.6",
            "FirmwareStatusNotification",
            {"status": "Downloading"},
            ("FirmwareReported", "downloading", None),
        ),
        (
            "ocpp1.6",
            "SignedFirmwareStatusNotification",
            {"status": "InvalidSignature", "requestId": 3},
            ("FirmwareReported", "invalid_signature", 3),
        ),
        ("ocpp1.6", "DiagnosticsStatusNotification", {"status": "Uploaded"}, ("LogReported", "Uploaded", None)),
        (
            "ocpp1.6",
            "LogStatusNotification",
            {"status": "UploadFailure", "requestId": 3},
            ("LogReported", "UploadFailure", 3),
        ),
        (
            "ocpp2.1",
            "FirmwareStatusNotification",
            {"status": "InstallScheduled", "requestId": 3},
            ("FirmwareReported", "install_scheduled", 3),
        ),
        (
            "ocpp2.0.1",
            "PublishFirmwareStatusNotification",
            {"status": "Published", "location": ["http://10.0.0.2/m.bin"], "requestId": 3},
            ("FirmwarePublished", "Published", 3),
        ),
    ],
)
def test_what_a_station_tells_is_recorded_before_it_is_answered(
    protocol: str, action: str, payload: dict[str, Any], fact: tuple[str, str, int | None]
) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await booted(b, protocol)
            b.directory.numbers.add((ST, 3))
            b.sink.gate.clear()
            answer = await station.begin(action, payload)
            await asyncio.sleep(0.02)
            assert not answer.done()
            b.sink.gate.set()
            assert (await answer)[:1] + (await answer)[2:] == [3, {}]
            told = [one for kind in (FirmwareReported, LogReported, FirmwarePublished) for one in b.sink.of(kind)]
            assert [(type(one).__name__, one.status, one.request_id) for one in told] == [fact]

    play(story)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1"])
def test_monitors_are_listed_in_parts_and_weigh_what_they_tell(protocol: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await booted(b, protocol)
            listing = asyncio.create_task(b.server.carry_out(ST, ListMonitors()))
            asked = await station.until_asked("GetMonitoringReport")
            for seq, (number, more) in enumerate([(4, True), (5, False)]):
                one = {
                    "id": number,
                    "transaction": False,
                    "value": 80,
                    "type": "UpperThreshold",
                    "severity": number - 2,
                    **({"eventNotificationType": "CustomMonitor"} if protocol == "ocpp2.1" else {}),
                }
                where = {"component": {"name": "Connector"}, "variable": {"name": "Temperature"}}
                report = {
                    "requestId": asked["requestId"],
                    "seqNo": seq,
                    "tbc": more,
                    "generatedAt": STAMP,
                    "monitor": [{**where, "variableMonitoring": [one]}],
                }
                assert (await station.call("NotifyMonitoringReport", report))[2] == {}
            answer = await listing
            assert [name for name, _ in answer.details] == ["4: Connector.Temperature", "5: Connector.Temperature"]
            notice = {
                "eventId": 1,
                "timestamp": STAMP,
                "trigger": "Alerting",
                "actualValue": "91",
                "eventNotificationType": "CustomMonitor",
                "variableMonitoringId": 4,
                "component": {"name": "Connector"},
                "variable": {"name": "Temperature"},
            }
            events = {"generatedAt": STAMP, "seqNo": 0, "tbc": False, "eventData": [notice]}
            assert (await station.call("NotifyEvent", events))[2] == {}
            assert [alarm.severity for alarm in b.sink.of(AlarmRaised)] == ["critical"]

    play(story)


def test_one_monitor_that_is_not_set_is_told_by_name() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await booted(b, "ocpp2.1")
            other = {**HOT_WIRE, "type": "Delta", "status": "UnsupportedMonitorType"}
            station.reactions["SetVariableMonitoring"] = {
                "setMonitoringResult": [{**HOT_WIRE, "status": "Accepted", "id": 4}, other]
            }
            answer = await b.server.carry_out(ST, SetMonitors(monitors=(HOT, HOT)))
            assert (answer.status, answer.why) == ("rejected", "1 of 2 were not set")
            assert answer.details == (
                ("Connector@1.Temperature upper-threshold", "4"),
                ("Connector@1.Temperature delta", "UnsupportedMonitorType"),
            )

    play(story)


NAMED = AllowedAddresses(["https://files.example.org", "sftp://logs.example.org:2022", "HTTPS://[2001:db8::1]:8443/"])


@pytest.mark.parametrize(
    "address",
    [
        "https://files.example.org/a/b.bin?x=1",
        "https://FILES.example.org:443/a",
        "https://files.example.org./a",
        "sftp://logs.example.org:2022/in/",
        "https://[2001:db8::1]:8443/a",
    ],
)
def test_an_address_at_a_named_host_is_allowed(address: str) -> None:
    NAMED.check(address)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("https://evil.example.org/a", "may not exchange"),
        ("http://files.example.org/a", "may not exchange"),
        ("https://files.example.org:8443/a", "may not exchange"),
        ("sftp://logs.example.org/in", "may not exchange"),
        ("https://files.example.org.evil.org/a", "may not exchange"),
        ("https://files.example.org@evil.org/a", "name or password"),
        ("https://user:secret@files.example.org/a", "name or password"),
        ("https://evil.org\\@files.example.org/a", "not a plain address"),
        ("https://files.example.org/\n", "not a plain address"),
        ("https://files.example.org/ä", "not a plain address"),
        ("https://files.example.org/" + "a" * 500, "not a plain address"),
        ("file:///etc/passwd", "not an address"),
        ("https:///a", "not an address"),
        ("https://files.example.org:99999/a", "not an address"),
        ("https://[::1/a", "not an address"),
        ("//files.example.org/a", "not an address"),
        ("", "not a plain address"),
    ],
)
def test_any_other_is_refused_with_the_way_out_and_without_its_secret(address: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        NAMED.check(address)
    assert why in refused.value.text()
    assert "secret" not in refused.value.text()


def test_nothing_is_allowed_where_nothing_is_named() -> None:
    with pytest.raises(Refused, match=r"no host at all.*file_hosts"):
        AllowedAddresses().check("https://files.example.org/a")


@pytest.mark.parametrize(
    "host", ["files.example.org", "https://", "https://a.org/path", "https://u@a.org", "gopher://a"]
)
def test_a_setting_that_is_no_host_starts_nothing(host: str) -> None:
    with pytest.raises(ScenarioError, match="file_hosts"):
        AllowedAddresses([host])
