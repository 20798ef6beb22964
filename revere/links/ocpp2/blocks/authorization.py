"""Block C: whether a token may charge here. The registry of vehicles decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.orders import ClearCache
from revere.links.ocpp2.blocks import transfer
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog


def token_info(dialog: Dialog, token: wire.IdToken) -> wire.IdTokenInfo:
    """What a station hears about a token."""
    known = dialog.line.directory.authorized(token.idToken, dialog.line.config.station_id)
    return wire.IdTokenInfo(status="Accepted" if known else "Invalid")


async def _authorize(dialog: Dialog, request: wire.AuthorizeRequest) -> Answered:
    info = token_info(dialog, request.idToken)
    allowed = transfer.allowed(dialog) if info.status == "Accepted" else None
    return Answered(wire.AuthorizeResponse(idTokenInfo=info, allowedEnergyTransfer=allowed))


async def clear_cache(dialog: Dialog, _order: ClearCache) -> Answer:
    """C11: forget which tokens were accepted."""
    reply = await dialog.ask("ClearCache", wire.ClearCacheRequest(), wire.ClearCacheResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


ROUTES: Final[Routes] = {"Authorize": Route(wire.AuthorizeRequest, _authorize)}
ORDERS: Final[Orders] = {ClearCache: clear_cache}
