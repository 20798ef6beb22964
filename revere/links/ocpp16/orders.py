"""What a person may ask of a 1.6 charge point: a connector is an EVSE of ours, configuration keys are its variables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from revere.core.errors import Refused
from revere.core.orders import (
    ClearCache,
    OrderBase,
    ReadVariables,
    Report,
    ResetStation,
    SendLocalList,
    SetAvailability,
    StartSession,
    StopSession,
    TakeInventory,
    TriggerReport,
    UnlockConnector,
    VariableName,
    WriteVariables,
)
from revere.links.ocpp16 import local_list, wire
from revere.links.ocppj import security
from revere.links.ocppj.samples import OWNED, OWNED_REMEDY

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp16.session import Session16

REBOOT: Final = "RebootRequired"
KEYS_PER_REQUEST: Final = 10


def _connector(evse_id: int | None, connector_id: int | None) -> int:
    """1.6's number, 0 for the whole charge point."""
    if connector_id not in (None, 1):
        raise Refused("1.6 knows no connector within an EVSE", got=connector_id, expected="evse_id alone")
    return evse_id or 0


def _key(name: VariableName) -> str:
    if name.component or name.evse_id is not None or name.variable_instance is not None or name.attribute != "actual":
        raise Refused("1.6 knows a configuration key by one name", got=name.component or name.variable)
    return name.variable


async def reset(session: Session16, order: ResetStation) -> Answer:
    """Hard at once, Soft otherwise. 1.6 cannot wait for a transaction's end: both would cut it off."""
    if order.evse_id is not None:
        raise Refused("1.6 resets the whole charge point", got=f"evse_id {order.evse_id}", expected="none")
    if order.when == "resume":
        raise Refused("1.6 cannot go on with a session after a reset", got="resume", expected="idle or now")
    if order.when == "idle" and session.charging():
        raise Refused("a session runs and 1.6 cannot wait for its end", remedy="Try again after it, or reset now")
    request = wire.Reset(type="Hard" if order.when == "now" else "Soft")
    reply = await session.ask("Reset", request, wire.ResetResponse)
    return session.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)


async def read_variables(session: Session16, order: ReadVariables) -> Answer:
    """GetConfiguration of some keys; accepted when it knew them all."""
    keys = [_key(name) for name in order.variables]
    told: list[tuple[str, str]] = []
    unknown: list[str] = []
    for start in range(0, len(keys), KEYS_PER_REQUEST):
        request = wire.GetConfiguration(key=tuple(keys[start : start + KEYS_PER_REQUEST]))
        reply = await session.ask("GetConfiguration", request, wire.GetConfigurationResponse)
        entries = reply.value.configurationKey or ()
        told += [(e.key, security.told_value(e.key, e.value or "")) for e in entries if not security.secret(e.key)]
        unknown += reply.value.unknownKey or ()
    why = f"unknown: {', '.join(unknown)}" if unknown else ""
    return session.line.answer("Rejected" if unknown else "Accepted", why, details=tuple(told))


async def write_variables(session: Session16, order: WriteVariables) -> Answer:
    """ChangeConfiguration of each; accepted when it took them all, be it after its next start."""
    if any(security.login_secret(setting.variable) for setting in order.settings):
        raise Refused("a secret is not set this way", remedy="revere station renew gives a new one")
    wanted = [(_key(setting), setting.value) for setting in order.settings]
    ours = session.settings()
    for key, value in wanted:
        if key in ours and value.replace(" ", "") not in ours[key]:
            raise Refused(OWNED, got=f"{key} = {value[:80]}", expected=ours[key][0], remedy=OWNED_REMEDY)
    told: list[tuple[str, str]] = []
    for key, value in wanted:
        request = wire.ChangeConfiguration(key=key, value=value)
        reply = await session.ask("ChangeConfiguration", request, wire.ChangeConfigurationResponse)
        told.append((key, reply.value.status))
    refused = [f"{key}: {status}" for key, status in told if status not in ("Accepted", REBOOT)]
    return session.line.answer("Rejected" if refused else "Accepted", "; ".join(refused), details=tuple(told))


async def take_inventory(session: Session16, _order: TakeInventory) -> Answer:
    """All keys; what they say goes into the journal."""
    await session.read_configuration()
    memory = session.line.memory
    await session.line.record_provisioned(memory.problems)
    return session.line.answer("Accepted", details=tuple(sorted(memory.variables.items())))


async def set_availability(session: Session16, order: SetAvailability) -> Answer:
    """In or out of service; what a transaction still holds is Scheduled for its end."""
    request = wire.ChangeAvailability(
        connectorId=_connector(order.evse_id, order.connector_id),
        type="Operative" if order.operative else "Inoperative",
    )
    reply = await session.ask("ChangeAvailability", request, wire.ChangeAvailabilityResponse)
    return session.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s, also=("Scheduled",))


async def clear_cache(session: Session16, _order: ClearCache) -> Answer:
    """Forget which tags were accepted."""
    reply = await session.ask("ClearCache", wire.ClearCache(), wire.ClearCacheResponse)
    return session.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)


async def start_session(session: Session16, order: StartSession) -> Answer:
    """RemoteStartTransaction for a tag that may charge here."""
    session.line.check_token(order.token)
    return await session.remote_start(order.evse_id, order.token)


async def stop_session(session: Session16, order: StopSession) -> Answer:
    """RemoteStopTransaction."""
    return await session.remote_stop(order.session_id)


_REPORTS: Final[dict[Report, wire.TriggerMessageRequestedMessage]] = {
    "boot": "BootNotification",
    "heartbeat": "Heartbeat",
    "status": "StatusNotification",
    "meter-values": "MeterValues",
    "firmware-status": "FirmwareStatusNotification",
}
_MORE_REPORTS: Final[dict[Report, wire.MessageTriggerEnum]] = {
    "log-status": "LogStatusNotification",
    "certificate-request": "SignChargePointCertificate",
}
"""Those of the security extension, by its own message."""


async def trigger(session: Session16, order: TriggerReport) -> Answer:
    """Have it send one of its own messages now."""
    connector = _connector(order.evse_id, order.connector_id) or None
    if order.report in _REPORTS:
        request = wire.TriggerMessage(requestedMessage=_REPORTS[order.report], connectorId=connector)
        reply = await session.ask("TriggerMessage", request, wire.TriggerMessageResponse)
        return session.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)
    if order.report not in _MORE_REPORTS:
        raise Refused("1.6 has no such message", got=order.report)
    more = wire.ExtendedTriggerMessage(requestedMessage=_MORE_REPORTS[order.report], connectorId=connector)
    told = await session.ask("ExtendedTriggerMessage", more, wire.ExtendedTriggerMessageResponse)
    return session.line.answer(told.value.status, sent_wall_s=told.sent_wall_s)


async def unlock(session: Session16, order: UnlockConnector) -> Answer:
    """Let go of a cable that is stuck."""
    request = wire.UnlockConnector(connectorId=_connector(order.evse_id, order.connector_id))
    reply = await session.ask("UnlockConnector", request, wire.UnlockConnectorResponse)
    status = "Accepted" if reply.value.status == "Unlocked" else reply.value.status
    return session.line.answer(status, sent_wall_s=reply.sent_wall_s)


ORDERS: Final[dict[type[OrderBase], Callable[[Session16, Any], Awaitable[Answer]]]] = {
    ResetStation: reset,
    ReadVariables: read_variables,
    WriteVariables: write_variables,
    TakeInventory: take_inventory,
    SetAvailability: set_availability,
    ClearCache: clear_cache,
    StartSession: start_session,
    StopSession: stop_session,
    TriggerReport: trigger,
    UnlockConnector: unlock,
    SendLocalList: local_list.send,
}
