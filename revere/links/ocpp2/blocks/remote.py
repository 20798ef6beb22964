"""Block F: sessions started and ended from here, reports triggered, cables let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.errors import Refused
from revere.core.orders import Report, StartSession, StopSession, TriggerReport, UnlockConnector
from revere.links.ocpp2.blocks.routes import Orders, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import transaction_id_of

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog


async def remote_start(dialog: Dialog, evse_id: int | None, token: str) -> Answer:
    """Start a session for a token, told as what it is registered: a vehicle's contract is no card."""
    line, memory = dialog.line, dialog.line.memory
    kind = line.directory.authorize(token, line.config.station_id, line.clock.now()).kind
    memory.remote_starts += 1
    request = wire.RequestStartTransactionRequest(
        idToken=wire.IdToken(idToken=token, type=kind), remoteStartId=memory.remote_starts, evseId=evse_id
    )
    reply = await dialog.ask("RequestStartTransaction", request, wire.RequestStartTransactionResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def remote_stop(dialog: Dialog, session_id: str, *, first: bool = False) -> Answer:
    """End a session; ``first`` where that is how a discharge ends."""
    transaction_id = transaction_id_of(dialog.line.config.station_id, session_id)
    request = wire.RequestStopTransactionRequest(transactionId=transaction_id)
    reply = await dialog.call("RequestStopTransaction", request, wire.RequestStopTransactionResponse, setpoint=first)
    assert reply is not None  # nothing makes it unwanted
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def start_session(dialog: Dialog, order: StartSession) -> Answer:
    """F01, F02: the same by a person's wish, for a token that may charge here."""
    dialog.line.check_token(order.token)
    return await remote_start(dialog, order.evse_id, order.token)


async def stop_session(dialog: Dialog, order: StopSession) -> Answer:
    """F03: the same by a person's wish."""
    return await remote_stop(dialog, order.session_id)


_REPORTS: Final[dict[Report, wire.MessageTriggerEnum]] = {
    "boot": "BootNotification",
    "heartbeat": "Heartbeat",
    "status": "StatusNotification",
    "meter-values": "MeterValues",
    "transaction": "TransactionEvent",
    "log-status": "LogStatusNotification",
    "firmware-status": "FirmwareStatusNotification",
    "published-firmware-status": "PublishFirmwareStatusNotification",
    "certificate-request": "SignChargingStationCertificate",
}


async def trigger(dialog: Dialog, order: TriggerReport) -> Answer:
    """F06: have the station send one of its own messages now. A status is a connector's, so it is asked of one."""
    evse_id, connector_id = order.evse_id, order.connector_id
    if evse_id is None and (connector_id is not None or order.report == "status"):
        raise Refused("name the EVSE", got=f"{order.report} without evse_id", expected="evse_id and connector_id")
    if order.report == "status" and connector_id is None:
        connector_id = 1
    evse = None if evse_id is None else wire.EVSE(id=evse_id, connectorId=connector_id)
    request = wire.TriggerMessageRequest(requestedMessage=_REPORTS[order.report], evse=evse)
    reply = await dialog.ask("TriggerMessage", request, wire.TriggerMessageResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def unlock(dialog: Dialog, order: UnlockConnector) -> Answer:
    """F05: let go of a cable that is stuck."""
    request = wire.UnlockConnectorRequest(evseId=order.evse_id, connectorId=order.connector_id)
    reply = await dialog.ask("UnlockConnector", request, wire.UnlockConnectorResponse)
    value = reply.value
    status = "Accepted" if value.status == "Unlocked" else value.status
    return dialog.line.answer(status, reason(value.statusInfo), reply.sent_wall_s)


ROUTES: Final[Routes] = {}
ORDERS: Final[Orders] = {
    StartSession: start_session,
    StopSession: stop_session,
    TriggerReport: trigger,
    UnlockConnector: unlock,
}
