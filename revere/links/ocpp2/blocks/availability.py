"""Block G: heartbeats, what each connector says of itself, and what is put out of service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.errors import Refused
from revere.core.orders import SetAvailability
from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog


async def _heartbeat(dialog: Dialog, _request: wire.HeartbeatRequest) -> Answered:
    return Answered(wire.HeartbeatResponse(currentTime=dialog.line.clock.now()))


async def _status(dialog: Dialog, request: wire.StatusNotificationRequest) -> Answered:
    now = dialog.line.clock.now()
    facts = dialog.line.observe(request.timestamp, now)
    await dialog.line.record([*facts, translate.status_reported(dialog.line.config, request, now)])
    return Answered(wire.StatusNotificationResponse())


async def set_availability(dialog: Dialog, order: SetAvailability) -> Answer:
    """G03, G04: in or out of service. What a session still holds is Scheduled for its end."""
    if order.connector_id is not None and order.evse_id is None:
        raise Refused("a connector is at an EVSE", got=f"connector_id {order.connector_id} alone", expected="evse_id")
    evse = None if order.evse_id is None else wire.EVSE(id=order.evse_id, connectorId=order.connector_id)
    request = wire.ChangeAvailabilityRequest(
        operationalStatus="Operative" if order.operative else "Inoperative", evse=evse
    )
    reply = await dialog.ask("ChangeAvailability", request, wire.ChangeAvailabilityResponse)
    value = reply.value
    return dialog.line.answer(value.status, reason(value.statusInfo), reply.sent_wall_s, also=("Scheduled",))


ROUTES: Final[Routes] = {
    "Heartbeat": Route(wire.HeartbeatRequest, _heartbeat),
    "StatusNotification": Route(wire.StatusNotificationRequest, _status),
}
ORDERS: Final[Orders] = {SetAvailability: set_availability}
