"""Block B: boot, the device model, and what must hold at a station before it is trusted.

Everything is set, then read back: a station that answers Accepted and keeps another value is named
in the problems of :class:`StationProvisioned`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.errors import Refused
from revere.core.orders import ResetStation, SetNetworkProfile
from revere.links.ocpp2 import profile_ids, translate
from revere.links.ocpp2.blocks import local_list, smart_charging
from revere.links.ocpp2.blocks.device_model import PER_REQUEST, get_request, set_request, take_report
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.settings import Setting, mode_lists, place, settings, variable_name
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import registration
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog
    from revere.links.ocpp2.settings import Place

UNKNOWN: Final = ("UnknownComponent", "UnknownVariable")
REPORT_WAIT_S: Final = 60.0


READ_ONLY: Final = (
    profile_ids.RESERVED,
    ("SmartChargingCtrlr", "UpdateRateLimit"),
    ("SmartChargingCtrlr", "SupportsDynamicProfiles"),
    local_list.ENABLED,
    local_list.PER_MESSAGE,
)
"""Read first at boot where the station has them, for profiles rest on them: (component, variable)."""


async def _boot(dialog: Dialog, request: wire.BootNotificationRequest) -> Answered:
    line = dialog.line
    memory = line.memory
    booted = translate.booted(line.config, request, line.clock.now())
    line.recognise(booted.vendor, booted.model, booted.firmware)
    verdict = registration.judge(line, booted)
    await line.record(verdict.facts)
    if verdict.standing == "Accepted":
        memory.watch.restart()
        line.booted_anew()
        memory.provisioned = False
    answer = wire.BootNotificationResponse(
        currentTime=line.clock.now(), interval=verdict.interval_s, status=verdict.standing
    )

    def answered() -> None:
        memory.standing = verdict.standing
        dialog.booted = verdict.standing == "Accepted"

    return Answered(answer, then=answered)


async def provision(dialog: Dialog) -> None:
    """Install the fallback, set and read back what must be sampled, take the device model."""
    memory = dialog.line.memory
    found = memory.inspection
    if found is None:
        problems = await _all_of(
            dialog,
            _read_abilities,
            smart_charging.ensure_default,
            _apply_settings,
            _read_back,
            _take_report,
            local_list.keep,
        )
    else:
        problems = [*await _all_of(dialog, smart_charging.ensure_default, local_list.keep), *found]
    await dialog.line.record_provisioned([*dialog.line.model_problems(), *problems])
    memory.provisioned, memory.inspection = True, None


async def inspect(dialog: Dialog) -> None:
    """B02: what may be asked of a station that is Pending; then it is to boot again, and will be accepted."""
    dialog.line.memory.inspection = tuple(
        await _all_of(dialog, _read_abilities, _apply_settings, _read_back, _take_report)
    )
    await ask_boot(dialog)


async def ask_boot(dialog: Dialog) -> None:
    """F06 for the boot: have the station say who it is. One that cannot be made to is told to a person."""
    request = wire.TriggerMessageRequest(requestedMessage="BootNotification")
    try:
        reply = await dialog.ask("TriggerMessage", request, wire.TriggerMessageResponse)
        why: str = "" if reply.value.status == "Accepted" else reply.value.status
    except (CallRefused, CallTimedOut) as error:
        why = str(error)
    if why and dialog.line.memory.standing is None:
        await registration.nobody_there(dialog.line, why)


async def _all_of(dialog: Dialog, *steps: Callable[[Dialog], Awaitable[list[str]]]) -> list[str]:
    """What is wrong by every step; one that fails keeps no other from being taken."""
    problems: list[str] = []
    for step in steps:
        try:
            problems += await step(dialog)
        except (CallRefused, CallTimedOut, CallOverflow) as error:
            problems.append(str(error))
    return problems


async def set_password(dialog: Dialog, secret: str) -> Answer:
    """A01: set the password of the station's next connection."""
    request = set_request([(place("SecurityCtrlr", "BasicAuthPassword"), secret)])
    reply = await dialog.ask("SetVariables", request, wire.SetVariablesResponse)
    found = reply.value.setVariableResult[0].attributeStatus
    status = "Accepted" if found == "RebootRequired" else found
    return dialog.line.answer(status, sent_wall_s=reply.sent_wall_s)


_RESETS: Final[dict[str, wire.ResetEnum]] = {"idle": "OnIdle", "now": "Immediate", "resume": "ImmediateAndResume"}


async def reset(dialog: Dialog, order: ResetStation) -> Answer:
    """B11, B12, B13: start anew. A station that waits for a session's end says Scheduled."""
    request = wire.ResetRequest(type=_RESETS[order.when], evseId=order.evse_id)
    reply = await dialog.ask("Reset", request, wire.ResetResponse)
    value = reply.value
    return dialog.line.answer(value.status, reason(value.statusInfo), reply.sent_wall_s, also=("Scheduled",))


async def set_network_profile(dialog: Dialog, order: SetNetworkProfile) -> Answer:
    """B09: a way to reach us for one of the station's slots."""
    secure = order.url.startswith("wss:")
    if secure != (order.security_profile > 1):
        raise Refused(
            "address and security profile disagree",
            got=f"{order.url[:60]} with profile {order.security_profile}",
            expected="ws:// with profile 1, wss:// with 2 or 3",
        )
    profile = wire.NetworkConnectionProfile(
        ocppVersion="OCPP21" if dialog.version.name == "ocpp2.1" else "OCPP20",  # 2.0.1 has no other word for itself
        ocppTransport="JSON",
        ocppCsmsUrl=order.url,
        messageTimeout=order.answer_within_s,
        securityProfile=order.security_profile,
        ocppInterface=order.interface,
    )
    request = wire.SetNetworkProfileRequest(configurationSlot=order.slot, connectionData=profile)
    reply = await dialog.ask("SetNetworkProfile", request, wire.SetNetworkProfileResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


def _settings(dialog: Dialog) -> dict[str, Setting]:
    return settings(dialog.line.config, dialog.line.model, dialog.line.memory.variables)


async def _apply_settings(dialog: Dialog) -> list[str]:
    problems: list[str] = []
    chosen = _settings(dialog)
    wanted = [(setting.place, setting.value) for setting in chosen.values()]
    retry: list[tuple[Place, str]] = []
    for attempt in (wanted, retry):
        for start in range(0, len(attempt), PER_REQUEST):
            request = set_request(attempt[start : start + PER_REQUEST])
            reply = await dialog.ask("SetVariables", request, wire.SetVariablesResponse)
            for result in reply.value.setVariableResult:
                setting = chosen.get(variable_name(result.component, result.variable))
                status = result.attributeStatus
                if setting is None or status == "Accepted" or (setting.optional and status in UNKNOWN):
                    continue
                if attempt is wanted and setting.fallback:
                    retry.append((setting.place, setting.fallback))
                else:
                    problems.append(f"{setting.name}: {status}")
    return problems


async def _read_abilities(dialog: Dialog) -> list[str]:
    wanted = [*(place(*name) for name in READ_ONLY), *mode_lists(dialog.line.model)]
    for start in range(0, len(wanted), PER_REQUEST):
        request = get_request(wanted[start : start + PER_REQUEST])
        reply = await dialog.ask("GetVariables", request, wire.GetVariablesResponse)
        for result in reply.value.getVariableResult:
            _keep(dialog, result)
    return []


def _keep(dialog: Dialog, result: wire.GetVariableResult) -> None:
    if result.attributeStatus == "Accepted" and result.attributeValue is not None:
        dialog.line.memory.variables.put(variable_name(result.component, result.variable), result.attributeValue)


async def _read_back(dialog: Dialog) -> list[str]:
    problems: list[str] = []
    chosen = _settings(dialog)
    wanted = [setting.place for setting in chosen.values()]
    for start in range(0, len(wanted), PER_REQUEST):
        request = get_request(wanted[start : start + PER_REQUEST])
        reply = await dialog.ask("GetVariables", request, wire.GetVariablesResponse)
        for result in reply.value.getVariableResult:
            _keep(dialog, result)
            setting = chosen.pop(variable_name(result.component, result.variable), None)
            if setting is None or (setting.optional and result.attributeStatus in UNKNOWN):
                continue
            found = result.attributeValue or ""
            if not setting.allows(found):
                problems.append(f"{setting.name}: reads {found[:80]!r}, was set to {setting.value!r}")
    return problems + [f"{name}: not told, was set to {setting.value!r}" for name, setting in chosen.items()]


async def _take_report(dialog: Dialog) -> list[str]:
    answer = await take_report(dialog, "FullInventory", REPORT_WAIT_S)
    return [] if answer.status == "accepted" else [f"device model {answer.why}"]


ROUTES: Final[Routes] = {
    "BootNotification": Route(wire.BootNotificationRequest, _boot),
}
ORDERS: Final[Orders] = {ResetStation: reset, SetNetworkProfile: set_network_profile}
