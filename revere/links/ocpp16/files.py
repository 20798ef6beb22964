"""1.6 with its security extension: firmware, logs, certificates and vendors' messages, both ways.

A charge point without the extension knows GetDiagnostics alone and is asked by that where it knows no GetLog; firmware
with a signature is never offered to it without.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from revere.core.errors import Refused
from revere.core.facts import FirmwareReported, LogReported
from revere.core.orders import (
    DeleteCertificate,
    FetchLog,
    InstallCertificate,
    ListCertificates,
    OrderBase,
    SendVendorMessage,
    UpdateFirmware,
)
from revere.links.ocpp16 import wire
from revere.links.ocppj.calls import CallRefused
from revere.links.ocppj.files import CANCELS, FIRMWARE_STATUS, REQUEST, hash_fields, hash_text
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.commands import Answer
    from revere.core.orders import CertificateUse
    from revere.links.ocpp16.session import Session16

_LOGS: Final[Mapping[str, wire.LogEnum]] = {"diagnostics": "DiagnosticsLog", "security": "SecurityLog"}
_ROOTS: Final[Mapping[CertificateUse, Literal["CentralSystemRootCertificate", "ManufacturerRootCertificate"]]] = {
    "csms-root": "CentralSystemRootCertificate",
    "manufacturer-root": "ManufacturerRootCertificate",
}
CERTIFICATE_MAX_CHARS: Final = 5500
DATA_MAX_CHARS: Final = 4096
_UNKNOWN: Final = ("NotImplemented", "NotSupported")


async def firmware_status(session: Session16, request: wire.FirmwareStatusNotification) -> Answered:
    """How far it is with firmware that it got without a signature: 1.6 names no order."""
    line = session.line
    status = FIRMWARE_STATUS[request.status]
    await line.record([FirmwareReported(at=line.clock.now(), station_id=line.config.station_id, status=status)])
    return Answered(wire.FirmwareStatusNotificationResponse())


async def signed_status(session: Session16, request: wire.SignedFirmwareStatusNotification) -> Answered:
    """The same of signed firmware, with the number of the order."""
    line = session.line
    if line.unasked(request.requestId, request.status):
        return Answered(wire.SignedFirmwareStatusNotificationResponse())
    fact = FirmwareReported(
        at=line.clock.now(),
        station_id=line.config.station_id,
        status=FIRMWARE_STATUS[request.status],
        request_id=request.requestId,
    )
    await line.record([fact])
    return Answered(wire.SignedFirmwareStatusNotificationResponse())


async def log_status(session: Session16, request: wire.LogStatusNotification) -> Answered:
    """How far it is with bringing a log."""
    await _log(session, request.status, request.requestId)
    return Answered(wire.LogStatusNotificationResponse())


async def diagnostics_status(session: Session16, request: wire.DiagnosticsStatusNotification) -> Answered:
    """The same where it was asked by GetDiagnostics."""
    await _log(session, request.status, None)
    return Answered(wire.DiagnosticsStatusNotificationResponse())


async def _log(session: Session16, status: str, request_id: int | None) -> None:
    line = session.line
    if line.unasked(request_id, status):
        return
    fact = LogReported(at=line.clock.now(), station_id=line.config.station_id, status=status, request_id=request_id)
    await line.record([fact])


async def update(session: Session16, order: UpdateFirmware) -> Answer:
    """Signed firmware by the extension's message. The core's own has no answer but that it arrived."""
    line = session.line
    now = line.clock.now()
    if not order.signature:
        if order.install_at is not None:
            raise Refused("1.6 cannot tell when to install unsigned firmware", got="install_at", expected="retrieve_at")
        plain = wire.UpdateFirmware(
            location=order.location,
            retrieveDate=order.retrieve_at or now,
            retries=order.retries,
            retryInterval=order.retry_interval_s,
        )
        heard = await session.ask("UpdateFirmware", plain, wire.UpdateFirmwareResponse)
        return line.answer("Accepted", sent_wall_s=heard.sent_wall_s)
    request_id = await line.number(order.request_id)
    request = wire.SignedUpdateFirmware(
        requestId=request_id,
        retries=order.retries,
        retryInterval=order.retry_interval_s,
        firmware=wire.Firmware(
            location=order.location,
            retrieveDateTime=order.retrieve_at or now,
            installDateTime=order.install_at,
            signingCertificate=order.signing_certificate,
            signature=order.signature,
        ),
    )
    reply = await session.ask("SignedUpdateFirmware", request, wire.SignedUpdateFirmwareResponse)
    details = ((REQUEST, str(request_id)),)
    return line.answer(reply.value.status, "", reply.sent_wall_s, also=CANCELS, details=details)


async def fetch_log(session: Session16, order: FetchLog) -> Answer:
    """GetLog, or GetDiagnostics where the charge point has no security extension."""
    if order.log not in _LOGS:
        raise Refused("1.6 has no such log", got=order.log, expected=", ".join(_LOGS))
    line = session.line
    request_id = await line.number()
    request = wire.GetLog(
        logType=_LOGS[order.log],
        requestId=request_id,
        retries=order.retries,
        retryInterval=order.retry_interval_s,
        log=wire.LogParameters(
            remoteLocation=order.location, oldestTimestamp=order.oldest, latestTimestamp=order.newest
        ),
    )
    try:
        reply = await session.ask("GetLog", request, wire.GetLogResponse)
    except CallRefused as error:
        if order.log == "diagnostics" and str(error).startswith(_UNKNOWN):
            return await _fetch_diagnostics(session, order)
        raise
    details = [(REQUEST, str(request_id)), *_file(reply.value.filename)]
    return line.answer(reply.value.status, "", reply.sent_wall_s, also=CANCELS, details=tuple(details))


async def _fetch_diagnostics(session: Session16, order: FetchLog) -> Answer:
    request = wire.GetDiagnostics(
        location=order.location,
        retries=order.retries,
        retryInterval=order.retry_interval_s,
        startTime=order.oldest,
        stopTime=order.newest,
    )
    reply = await session.ask("GetDiagnostics", request, wire.GetDiagnosticsResponse)
    found = _file(reply.value.fileName)
    why = "" if found else "it has nothing to bring"
    return session.line.answer("Accepted", why, reply.sent_wall_s, details=tuple(found))


def _file(name: str | None) -> list[tuple[str, str]]:
    return [("file", name)] if name else []


async def install_certificate(session: Session16, order: InstallCertificate) -> Answer:
    """A root that the charge point shall trust."""
    if len(order.certificate) > CERTIFICATE_MAX_CHARS:
        raise Refused(
            "1.6 carries no such long certificate", got=len(order.certificate), expected=CERTIFICATE_MAX_CHARS
        )
    request = wire.InstallCertificate(certificateType=_root(order.use), certificate=order.certificate)
    reply = await session.ask("InstallCertificate", request, wire.InstallCertificateResponse)
    return session.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)


def _root(use: CertificateUse) -> Literal["CentralSystemRootCertificate", "ManufacturerRootCertificate"]:
    if use not in _ROOTS:
        raise Refused("1.6 has no such certificate", got=use, expected=", ".join(_ROOTS))
    return _ROOTS[use]


async def list_certificates(session: Session16, order: ListCertificates) -> Answer:
    """Which roots it holds; 1.6 is asked for one use at a time."""
    details: list[tuple[str, str]] = []
    sent_wall_s = 0.0
    for use in order.uses or tuple(_ROOTS):
        request = wire.GetInstalledCertificateIds(certificateType=_root(use))
        reply = await session.ask("GetInstalledCertificateIds", request, wire.GetInstalledCertificateIdsResponse)
        sent_wall_s = sent_wall_s or reply.sent_wall_s
        details += [(use, hash_text(found)) for found in reply.value.certificateHashData or ()]
    why = "" if details else "it holds none of these"
    return session.line.answer("Accepted", why, sent_wall_s, details=tuple(details))


async def delete_certificate(session: Session16, order: DeleteCertificate) -> Answer:
    """By the hashes that the charge point itself has told."""
    data = msgspec.convert(hash_fields(order.certificate), wire.CertificateHashData)
    request = wire.DeleteCertificate(certificateHashData=data)
    reply = await session.ask("DeleteCertificate", request, wire.DeleteCertificateResponse)
    return session.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)


async def send_vendor_message(session: Session16, order: SendVendorMessage) -> Answer:
    """A message of its vendor's own."""
    request = wire.DataTransfer(vendorId=order.vendor, messageId=order.message or None, data=order.content or None)
    reply = await session.ask("DataTransfer", request, wire.DataTransferResponse)
    said = () if reply.value.data is None else (("data", reply.value.data[:DATA_MAX_CHARS]),)
    return session.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s, details=said)


ORDERS: Final[dict[type[OrderBase], Callable[[Session16, Any], Awaitable[Answer]]]] = {
    UpdateFirmware: update,
    FetchLog: fetch_log,
    InstallCertificate: install_certificate,
    ListCertificates: list_certificates,
    DeleteCertificate: delete_certificate,
    SendVendorMessage: send_vendor_message,
}
