"""The charge point's own list of tags in 1.6's words, kept in step as a 2.x station's is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.links.ocpp16 import translate, wire
from revere.links.ocppj import token_list

if TYPE_CHECKING:
    from revere.core.assets import ListedToken
    from revere.core.commands import Answer
    from revere.core.orders import SendLocalList
    from revere.links.ocpp16.session import Session16

ENABLED: Final = "LocalAuthListEnabled"
PER_MESSAGE: Final = "SendLocalListMaxLength"
TAG_MAX_CHARS: Final = 20


def _entry(entry: ListedToken, *, put: bool) -> wire.AuthorizationData:
    return wire.AuthorizationData(idTag=entry.token, idTagInfo=translate.tag_info(entry.found) if put else None)


def _words(session: Session16) -> token_list.Words:
    async def version() -> int:
        request = wire.GetLocalListVersion()
        return (await session.ask("GetLocalListVersion", request, wire.GetLocalListVersionResponse)).value.listVersion

    async def give(batch: token_list.Batch) -> str:
        entries = [_entry(e, put=True) for e in batch.put] + [_entry(e, put=False) for e in batch.out]
        request = wire.SendLocalList(
            listVersion=batch.version,
            updateType="Full" if batch.full else "Differential",
            localAuthorizationList=tuple(entries) or None,
        )
        status = (await session.ask("SendLocalList", request, wire.SendLocalListResponse)).value.status
        return "" if status == "Accepted" else status

    size = token_list.per_message(session.line.memory.variables, PER_MESSAGE)
    return token_list.Words(line=session.line, version=version, give=give, per_message=size, longest=TAG_MAX_CHARS)


async def keep(session: Session16) -> list[str]:
    """At boot, where the charge point keeps a list."""
    enabled = session.line.memory.variables.get(ENABLED, "").lower() == "true"
    return await token_list.keep(_words(session)) if enabled else []


async def send(session: Session16, order: SendLocalList) -> Answer:
    """For a person."""
    return await token_list.send(_words(session), order)
