"""Blocks A, N and P where a station speaks by itself: security events, monitored variables, vendors' data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import security
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.links.ocpp2.dialog import Dialog


async def _events(dialog: Dialog, request: wire.NotifyEventRequest) -> Answered:
    now = dialog.line.clock.now()
    facts = dialog.line.observe(request.generatedAt, now)
    for event in request.eventData:
        fact = translate.notified(dialog.line.config, event, now)
        if fact is not None:
            facts.append(fact)
    await dialog.line.record(facts)
    return Answered(wire.NotifyEventResponse())


async def _security(dialog: Dialog, request: wire.SecurityEventNotificationRequest) -> Answered:
    now = dialog.line.clock.now()
    facts = security.told(dialog.line.config, request.type, request.timestamp, request.techInfo or "", now)
    await dialog.line.record(facts)
    return Answered(wire.SecurityEventNotificationResponse())


async def _data(_dialog: Dialog, _request: wire.DataTransferRequest) -> Answered:
    return Answered(wire.DataTransferResponse(status="UnknownVendorId"))


ROUTES: Final[Routes] = {
    "NotifyEvent": Route(wire.NotifyEventRequest, _events),
    "SecurityEventNotification": Route(wire.SecurityEventNotificationRequest, _security),
    "DataTransfer": Route(wire.DataTransferRequest, _data),
}
