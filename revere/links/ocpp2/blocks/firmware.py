"""Block L: new firmware, told to a station and reported back; a local controller that offers it to its site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.errors import Refused
from revere.core.facts import FirmwarePublished, FirmwareReported
from revere.core.orders import PublishFirmware, UnpublishFirmware, UpdateFirmware
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.files import CANCELS, FIRMWARE_STATUS, REQUEST
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog


async def _status(dialog: Dialog, request: wire.FirmwareStatusNotificationRequest) -> Answered:
    line = dialog.line
    if line.unasked(request.requestId, request.status):
        return Answered(wire.FirmwareStatusNotificationResponse())
    fact = FirmwareReported(
        at=line.clock.now(),
        station_id=line.config.station_id,
        status=FIRMWARE_STATUS[request.status],
        request_id=request.requestId,
        why=reason(request.statusInfo),
    )
    await line.record([fact])
    return Answered(wire.FirmwareStatusNotificationResponse())


async def _published(dialog: Dialog, request: wire.PublishFirmwareStatusNotificationRequest) -> Answered:
    line = dialog.line
    if line.unasked(request.requestId, request.status):
        return Answered(wire.PublishFirmwareStatusNotificationResponse())
    fact = FirmwarePublished(
        at=line.clock.now(),
        station_id=line.config.station_id,
        status=request.status,
        locations=request.location or (),
        request_id=request.requestId,
        why=reason(request.statusInfo),
    )
    await line.record([fact])
    return Answered(wire.PublishFirmwareStatusNotificationResponse())


async def update(dialog: Dialog, order: UpdateFirmware) -> Answer:
    """L01, L02: fetch new firmware and install it; its signature is checked by the station where there is one."""
    line = dialog.line
    now = line.clock.now()
    request_id = await line.number(order.request_id)
    request = wire.UpdateFirmwareRequest(
        requestId=request_id,
        retries=order.retries,
        retryInterval=order.retry_interval_s,
        firmware=wire.Firmware(
            location=order.location,
            retrieveDateTime=order.retrieve_at or now,
            installDateTime=order.install_at,
            signingCertificate=order.signing_certificate or None,
            signature=order.signature or None,
        ),
    )
    reply = await dialog.ask("UpdateFirmware", request, wire.UpdateFirmwareResponse)
    why = reason(reply.value.statusInfo)
    details = ((REQUEST, str(request_id)),)
    return line.answer(reply.value.status, why, reply.sent_wall_s, also=CANCELS, details=details)


async def publish(dialog: Dialog, order: PublishFirmware) -> Answer:
    """L03: a local controller fetches firmware and offers it to the stations behind it."""
    line = dialog.line
    request_id = await line.number()
    request = wire.PublishFirmwareRequest(location=order.location, checksum=order.checksum, requestId=request_id)
    reply = await dialog.ask("PublishFirmware", request, wire.PublishFirmwareResponse)
    why = reason(reply.value.statusInfo)
    return line.answer(reply.value.status, why, reply.sent_wall_s, details=((REQUEST, str(request_id)),))


async def unpublish(dialog: Dialog, order: UnpublishFirmware) -> Answer:
    """L04: offer it no more; what is being fetched from it stays until that is over."""
    request = wire.UnpublishFirmwareRequest(checksum=order.checksum)
    reply = await dialog.ask("UnpublishFirmware", request, wire.UnpublishFirmwareResponse)
    status = reply.value.status
    if status == "NoFirmware":
        raise Refused("it offers no such firmware", where=dialog.line.config.station_id, got=order.checksum)
    return dialog.line.answer(status, "", reply.sent_wall_s, also=("Unpublished",))


ROUTES: Final[Routes] = {
    "FirmwareStatusNotification": Route(wire.FirmwareStatusNotificationRequest, _status),
    "PublishFirmwareStatusNotification": Route(wire.PublishFirmwareStatusNotificationRequest, _published),
}
ORDERS: Final[Orders] = {UpdateFirmware: update, PublishFirmware: publish, UnpublishFirmware: unpublish}
