"""Block F: sessions started and ended from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.links.ocpp2.blocks.routes import reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import transaction_id_of

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog


async def remote_start(dialog: Dialog, evse_id: int, token: str) -> Answer:
    """Start a session for a token."""
    memory = dialog.line.memory
    memory.remote_starts += 1
    request = wire.RequestStartTransactionRequest(
        idToken=wire.IdToken(idToken=token, type="Central"), remoteStartId=memory.remote_starts, evseId=evse_id
    )
    reply = await dialog.ask("RequestStartTransaction", request, wire.RequestStartTransactionResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def remote_stop(dialog: Dialog, session_id: str) -> Answer:
    """End a session."""
    transaction_id = transaction_id_of(dialog.line.config.station_id, session_id)
    request = wire.RequestStopTransactionRequest(transactionId=transaction_id)
    reply = await dialog.ask("RequestStopTransaction", request, wire.RequestStopTransactionResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)
