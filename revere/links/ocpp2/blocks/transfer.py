"""Block Q, who may give (Q01): a vehicle may choose a two-way transfer only where it is told so.

::

    Authorize ──────────▶ allowedEnergyTransfer      left out, it means charging only
    session begun offline, or a later change
    NotifyAllowedEnergyTransfer ◀── us               answered by a service renegotiation, or refused
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.links.ocpp2 import translate_v2x
from revere.links.ocpp2.blocks.routes import reason
from revere.links.ocpp2.wire import v21 as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog

ACTION: Final = "NotifyAllowedEnergyTransfer"


def allowed(dialog: Dialog) -> tuple[wire.EnergyTransferModeEnum, ...] | None:
    """What a known vehicle may choose from here; None where that is not said: it charges only."""
    if ACTION not in dialog.version.actions:
        return None
    return translate_v2x.allowed_transfer(dialog.line.config, dialog.line.memory.variables, gives=dialog.gives)


async def allow(dialog: Dialog, transaction_id: str, modes: Sequence[wire.EnergyTransferModeEnum]) -> Answer:
    """Tell a running session what its vehicle may choose from now on."""
    request = wire.NotifyAllowedEnergyTransferRequest(transactionId=transaction_id, allowedEnergyTransfer=tuple(modes))
    reply = await dialog.ask(ACTION, request, wire.NotifyAllowedEnergyTransferResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def allow_unheard(dialog: Dialog, transaction_id: str | None) -> bool:
    """Tell a session that refuses to give, once, that it may: one that began offline has never heard it."""
    known = dialog.line.memory.transactions.get(transaction_id or "")
    modes = allowed(dialog)
    if known is None or known.transfer_told or modes is None:
        return False
    known.transfer_told = True
    return (await allow(dialog, str(transaction_id), modes)).status == "accepted"
