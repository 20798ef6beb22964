"""A good order of each kind but for those of blocks Q and R, so that a peer sees each message of ours."""

from __future__ import annotations

from typing import Final

from revere.core.ids import SessionId
from revere.core.orders import (
    AskCustomer,
    AskTransaction,
    ClearCache,
    ClearMonitors,
    DeleteCertificate,
    FetchLog,
    InstallCertificate,
    ListCertificates,
    ListMonitors,
    Monitor,
    Order,
    PublishFirmware,
    QueryDeviceModel,
    ReadVariables,
    ResetStation,
    SendLocalList,
    SendVendorMessage,
    SetAvailability,
    SetMonitoringBase,
    SetMonitoringLevel,
    SetMonitors,
    SetNetworkProfile,
    StartSession,
    StopSession,
    TakeInventory,
    TriggerReport,
    UnlockConnector,
    UnpublishFirmware,
    UpdateFirmware,
    VariableName,
    VariableSetting,
    WriteVariables,
)
from tests.links.ocpp_rig import FILES, NOW

PEM: Final = "-----BEGIN CERTIFICATE-----\nUm9vdA==\n-----END CERTIFICATE-----\n"
HASHES: Final = "SHA256:aB1:0c:5F"
MD5: Final = "0123456789abcdef0123456789abcdef"
HOT: Final = Monitor(
    component="Connector", variable="Temperature", what="upper-threshold", value=80.0, severity=2, evse_id=1
)
OFFLINE: Final = VariableName(component="OCPPCommCtrlr", variable="OfflineThreshold")
MEASURANDS: Final = VariableName(
    component="V2XChargingCtrlr", variable="TxUpdatedMeasurands", variable_instance="CentralSetpoint", evse_id=1
)
LOGS: Final = ("diagnostics", "security", "data-collector")


def orders(session_id: SessionId) -> tuple[tuple[str, Order], ...]:
    """Each with its block; the last one ends the session."""
    files: tuple[Order, ...] = (
        UpdateFirmware(location=f"{FILES}/m.bin", retries=2, retry_interval_s=60, retrieve_at=NOW, install_at=NOW),
        UpdateFirmware(location=f"{FILES}/m.bin", signing_certificate=PEM, signature="c2lnbmVk"),
        PublishFirmware(location=f"{FILES}/m.bin", checksum=MD5),
        UnpublishFirmware(checksum=MD5),
    )
    diagnostics: tuple[Order, ...] = (
        *(FetchLog(location=f"{FILES}/in", log=log, oldest=NOW) for log in LOGS),
        SetMonitors(monitors=(HOT,)),
        ListMonitors(of=("threshold", "delta", "periodic"), variables=(OFFLINE,)),
        ClearMonitors(ids=(4, 5)),
        *(SetMonitoringBase(base=base) for base in ("all", "factory", "hardware")),
        SetMonitoringLevel(severity=4),
        AskCustomer(token="BUS-1", report=True, clear=True),
        AskCustomer(customer="C-1"),
        AskCustomer(certificate=HASHES, report=False, clear=True),
    )
    reports = ("boot", "heartbeat", "meter-values", "transaction", "log-status", "firmware-status")
    remote: tuple[Order, ...] = (
        *(TriggerReport(report=report) for report in (*reports, "published-firmware-status", "certificate-request")),
        TriggerReport(report="status", evse_id=1),
        UnlockConnector(evse_id=1),
        StartSession(token="BUS-1", evse_id=1),
        StartSession(token="BUS-1"),
        StopSession(session_id=session_id),
    )
    model: tuple[Order, ...] = (
        ReadVariables(variables=(OFFLINE, MEASURANDS)),
        WriteVariables(settings=(VariableSetting(component="OCPPCommCtrlr", variable="OfflineThreshold", value="60"),)),
        *(TakeInventory(base=base) for base in ("configuration", "full", "summary")),
        QueryDeviceModel(variables=(OFFLINE, MEASURANDS), components=("Connector",), state=("active", "problem")),
        SetNetworkProfile(slot=1, url="wss://csms.example.org/ocpp", security_profile=2),
        *(ResetStation(when=when) for when in ("idle", "now", "resume")),
        ResetStation(evse_id=1),
    )
    return (
        *(("B", order) for order in model),
        ("C", ClearCache()),
        ("D", SendLocalList()),
        ("E", AskTransaction(session_id=session_id)),
        ("E", AskTransaction()),
        ("G", SetAvailability(operative=False, evse_id=1, connector_id=1)),
        ("G", SetAvailability(operative=True)),
        *(("L", order) for order in files),
        ("M", InstallCertificate(use="v2g-root", certificate=PEM)),
        ("M", ListCertificates(uses=("csms-root", "v2g-chain"))),
        ("M", ListCertificates()),
        ("M", DeleteCertificate(certificate=HASHES)),
        *(("N", order) for order in diagnostics),
        ("P", SendVendorMessage(vendor="org.example", message="hello", content="{}")),
        *(("F", order) for order in remote),
    )
