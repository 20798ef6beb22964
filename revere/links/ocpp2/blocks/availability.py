"""Block G: heartbeats and what each connector says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.links.ocpp2.dialog import Dialog


async def _heartbeat(dialog: Dialog, _request: wire.HeartbeatRequest) -> Answered:
    return Answered(wire.HeartbeatResponse(currentTime=dialog.line.clock.now()))


async def _status(dialog: Dialog, request: wire.StatusNotificationRequest) -> Answered:
    now = dialog.line.clock.now()
    facts = dialog.line.observe(request.timestamp, now)
    await dialog.line.record([*facts, translate.status_reported(dialog.line.config, request, now)])
    return Answered(wire.StatusNotificationResponse())


ROUTES: Final[Routes] = {
    "Heartbeat": Route(wire.HeartbeatRequest, _heartbeat),
    "StatusNotification": Route(wire.StatusNotificationRequest, _status),
}
