"""Block C: whether a token may charge here. The registry of vehicles and cards decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.assets import Authorization
from revere.core.orders import ClearCache
from revere.links.ocpp2.blocks import transfer
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.assets import AuthorizationStatus
    from revere.core.commands import Answer
    from revere.core.facts import Fact
    from revere.links.ocpp2.dialog import Dialog

STATUSES: Final[Mapping[AuthorizationStatus, wire.AuthorizationStatusEnum]] = {
    "accepted": "Accepted",
    "blocked": "Blocked",
    "expired": "Expired",
    "unknown": "Unknown",
    "not_here": "NotAtThisLocation",
    "not_now": "NotAtThisTime",
}
NO_AUTHORIZATION: Final = "NoAuthorization"
"""The type of a token that stands for nobody: a button, or a station that charges whom it likes."""


def judge(dialog: Dialog, token: wire.IdToken) -> tuple[Authorization, list[Fact]]:
    """What is known of a token, and what to tell of one that belongs to another station."""
    line = dialog.line
    if token.type == NO_AUTHORIZATION:
        return Authorization(status="accepted"), []
    found = line.directory.authorize(token.idToken, line.config.station_id, line.clock.now())
    return found, line.foreign_token(token.idToken) if found.status == "not_here" else []


def starts(dialog: Dialog, found: Authorization) -> Authorization:
    """The same for a start: C16, a master pass ends sessions and starts none."""
    master = found.accepted and found.group != "" and found.group == dialog.line.config.master_group
    return Authorization(status="unknown") if master else found


def token_info(found: Authorization) -> wire.IdTokenInfo:
    """What a station hears of a token; what it may remember ends with what the token is good for."""
    group = wire.IdToken(idToken=found.group, type="Central") if found.group else None
    return wire.IdTokenInfo(status=STATUSES[found.status], groupIdToken=group, cacheExpiryDateTime=found.until)


async def _authorize(dialog: Dialog, request: wire.AuthorizeRequest) -> Answered:
    found, facts = judge(dialog, request.idToken)
    await dialog.line.record(facts)
    allowed = transfer.allowed(dialog) if found.accepted else None
    return Answered(wire.AuthorizeResponse(idTokenInfo=token_info(found), allowedEnergyTransfer=allowed))


async def clear_cache(dialog: Dialog, _order: ClearCache) -> Answer:
    """C11: forget which tokens were accepted."""
    reply = await dialog.ask("ClearCache", wire.ClearCacheRequest(), wire.ClearCacheResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


ROUTES: Final[Routes] = {"Authorize": Route(wire.AuthorizeRequest, _authorize)}
ORDERS: Final[Orders] = {ClearCache: clear_cache}
