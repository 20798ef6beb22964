"""Block D: the station's own list of tokens, kept in step with the registry at each boot and by an operator's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.orders import SendLocalList
from revere.links.ocpp2.blocks.authorization import token_info
from revere.links.ocpp2.blocks.routes import Orders, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import token_list

if TYPE_CHECKING:
    from revere.core.assets import ListedToken
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog

ENABLED: Final = ("LocalAuthListCtrlr", "Enabled")
PER_MESSAGE: Final = ("LocalAuthListCtrlr", "ItemsPerMessage")
"""Read at boot: (component, variable)."""
TOKEN_MAX_CHARS: Final = 36


def _entry(entry: ListedToken, *, put: bool) -> wire.AuthorizationData:
    token = wire.IdToken(idToken=entry.token, type=entry.kind)
    return wire.AuthorizationData(idToken=token, idTokenInfo=token_info(entry.found) if put else None)


def _words(dialog: Dialog) -> token_list.Words:
    async def version() -> int:
        request = wire.GetLocalListVersionRequest()
        return (await dialog.ask("GetLocalListVersion", request, wire.GetLocalListVersionResponse)).value.versionNumber

    async def give(batch: token_list.Batch) -> str:
        entries = [_entry(e, put=True) for e in batch.put] + [_entry(e, put=False) for e in batch.out]
        request = wire.SendLocalListRequest(
            versionNumber=batch.version,
            updateType="Full" if batch.full else "Differential",
            localAuthorizationList=tuple(entries) or None,
        )
        value = (await dialog.ask("SendLocalList", request, wire.SendLocalListResponse)).value
        return "" if value.status == "Accepted" else reason(value.statusInfo) or value.status

    size = token_list.per_message(dialog.line.memory.variables, ".".join(PER_MESSAGE))
    return token_list.Words(line=dialog.line, version=version, give=give, per_message=size, longest=TOKEN_MAX_CHARS)


async def keep(dialog: Dialog) -> list[str]:
    """D01 at boot, where the station keeps a list."""
    enabled = dialog.line.memory.variables.get(".".join(ENABLED), "").lower() == "true"
    return await token_list.keep(_words(dialog)) if enabled else []


async def send(dialog: Dialog, order: SendLocalList) -> Answer:
    """D01 for a person."""
    return await token_list.send(_words(dialog), order)


ROUTES: Final[Routes] = {}
ORDERS: Final[Orders] = {SendLocalList: send}
