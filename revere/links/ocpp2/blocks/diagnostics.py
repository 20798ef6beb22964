"""Blocks A, N and P but for monitors: logs, security events, what a station keeps of a person, vendors' messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.errors import Refused
from revere.core.facts import LogReported
from revere.core.orders import AskCustomer, FetchLog, SendVendorMessage
from revere.links.ocpp2.blocks.certificates import hash_data
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import security
from revere.links.ocppj.files import CANCELS, REQUEST
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog

DATA_MAX_CHARS: Final = 4096
_LOGS: Final[Mapping[str, wire.LogEnum]] = {
    "diagnostics": "DiagnosticsLog",
    "security": "SecurityLog",
    "data-collector": "DataCollectorLog",
}


async def fetch_log(dialog: Dialog, order: FetchLog) -> Answer:
    """N01: bring a log. Its progress comes in messages with the number that is told here."""
    line = dialog.line
    request_id = await line.number()
    request = wire.GetLogRequest(
        logType=_LOGS[order.log],
        requestId=request_id,
        retries=order.retries,
        retryInterval=order.retry_interval_s,
        log=wire.LogParameters(
            remoteLocation=order.location, oldestTimestamp=order.oldest, latestTimestamp=order.newest
        ),
    )
    reply = await dialog.ask("GetLog", request, wire.GetLogResponse)
    details = [(REQUEST, str(request_id))]
    if reply.value.filename:
        details.append(("file", reply.value.filename))
    why = reason(reply.value.statusInfo)
    return line.answer(reply.value.status, why, reply.sent_wall_s, also=CANCELS, details=tuple(details))


async def _log(dialog: Dialog, request: wire.LogStatusNotificationRequest) -> Answered:
    line = dialog.line
    if line.unasked(request.requestId, request.status):
        return Answered(wire.LogStatusNotificationResponse())
    fact = LogReported(
        at=line.clock.now(),
        station_id=line.config.station_id,
        status=request.status,
        request_id=request.requestId,
        why=reason(request.statusInfo),
    )
    await line.record([fact])
    return Answered(wire.LogStatusNotificationResponse())


async def _security(dialog: Dialog, request: wire.SecurityEventNotificationRequest) -> Answered:
    now = dialog.line.clock.now()
    facts = security.told(dialog.line.config, request.type, request.timestamp, request.techInfo or "", now)
    await dialog.line.record(facts)
    return Answered(wire.SecurityEventNotificationResponse())


async def ask_customer(dialog: Dialog, order: AskCustomer) -> Answer:
    """N09, N10: what it keeps of a person, told to who asks alone: what stands in no journal can be erased."""
    line = dialog.line
    if not (order.report or order.clear):
        raise Refused("neither a report nor erasing was asked", expected="report or clear")
    if sum(map(bool, (order.token, order.customer, order.certificate))) != 1:
        raise Refused("name the person in one way", expected="one of token, customer and certificate")
    request_id = dialog.gathering.begin()
    try:
        request = wire.CustomerInformationRequest(
            requestId=request_id,
            report=order.report,
            clear=order.clear,
            idToken=wire.IdToken(idToken=order.token, type=order.token_type) if order.token else None,
            customerIdentifier=order.customer or None,
            customerCertificate=hash_data(order.certificate) if order.certificate else None,
        )
        reply = await dialog.ask("CustomerInformation", request, wire.CustomerInformationResponse)
        answer = line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)
        if answer.status != "accepted" or not order.report:
            return answer
        told = await dialog.gathering.rows(request_id)
        return msgspec.structs.replace(answer, details=tuple(("data", data) for data in told if data))
    finally:
        dialog.gathering.end(request_id)


async def _customer(dialog: Dialog, request: wire.NotifyCustomerInformationRequest) -> Answered:
    if not dialog.gathering.add(request.requestId, [request.data], more=request.tbc):
        dialog.line.counters.unsolicited += 1
    return Answered(wire.NotifyCustomerInformationResponse())


async def send_vendor_message(dialog: Dialog, order: SendVendorMessage) -> Answer:
    """P01: a message of its vendor's own."""
    request = wire.DataTransferRequest(
        vendorId=order.vendor, messageId=order.message or None, data=order.content or None
    )
    reply = await dialog.ask("DataTransfer", request, wire.DataTransferResponse)
    data = reply.value.data
    said = () if data is None else (("data", (data if isinstance(data, str) else str(data))[:DATA_MAX_CHARS]),)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s, details=said)


async def _data(_dialog: Dialog, _request: wire.DataTransferRequest) -> Answered:
    return Answered(wire.DataTransferResponse(status="UnknownVendorId"))


ROUTES: Final[Routes] = {
    "LogStatusNotification": Route(wire.LogStatusNotificationRequest, _log),
    "NotifyCustomerInformation": Route(wire.NotifyCustomerInformationRequest, _customer),
    "SecurityEventNotification": Route(wire.SecurityEventNotificationRequest, _security),
    "DataTransfer": Route(wire.DataTransferRequest, _data),
}
ORDERS: Final[Orders] = {
    FetchLog: fetch_log,
    AskCustomer: ask_customer,
    SendVendorMessage: send_vendor_message,
}
