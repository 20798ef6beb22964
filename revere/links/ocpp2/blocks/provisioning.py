"""Block B: boot, the device model, and what must hold at a station before it is trusted.

Everything is set, then read back: a station that answers Accepted and keeps another value is named
in the problems of :class:`StationProvisioned`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.errors import Refused
from revere.core.orders import ResetStation, SetNetworkProfile
from revere.links.ocpp2 import profile_ids, translate
from revere.links.ocpp2.blocks import local_list, smart_charging
from revere.links.ocpp2.blocks.device_model import PER_REQUEST, get_request, set_request, take_report, variable_name
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import registration
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut
from revere.links.ocppj.line import Answered
from revere.links.ocppj.samples import EXPORT_POWER, EXPORT_REGISTER, MEASURANDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.commands import Answer
    from revere.core.ports import StationConfig
    from revere.links.models import ChargerModel
    from revere.links.ocpp2.dialog import Dialog

REPORT_WAIT_S: Final = 60.0
CHARGE_ONLY_MEASURANDS: Final = tuple(m for m in MEASURANDS if m not in (EXPORT_REGISTER, EXPORT_POWER))


class Setting(msgspec.Struct, frozen=True):
    """A variable to set and read back; ``fallback`` is tried where the first value is refused."""

    component: str
    variable: str
    value: str
    fallback: str = ""

    @property
    def name(self) -> str:
        """``Component.Variable``."""
        return f"{self.component}.{self.variable}"


READ_ONLY: Final = (
    profile_ids.RESERVED,
    ("SmartChargingCtrlr", "UpdateRateLimit"),
    ("SmartChargingCtrlr", "SupportsDynamicProfiles"),
    local_list.ENABLED,
    local_list.PER_MESSAGE,
)
"""Read first at boot where the station has them, for profiles rest on them: (component, variable)."""
TX_INTERVAL: Final = ("SampledDataCtrlr", "TxUpdatedInterval")


def settings(config: StationConfig, model: ChargerModel | None = None) -> list[Setting]:
    """What this station must sample: both registers, power and soc, at each point of a session and clock-aligned.

    A station that only charges may refuse the export measurands and is then asked without them. What its ``model``
    says besides comes last.
    """
    more = () if model is None else model.variables
    measurands = ",".join(MEASURANDS)
    fallback = "" if config.discharge_kw > 0 else ",".join(CHARGE_ONLY_MEASURANDS)
    return [
        *(
            Setting("SampledDataCtrlr", f"Tx{point}Measurands", measurands, fallback)
            for point in ("Started", "Updated", "Ended")
        ),
        Setting("SampledDataCtrlr", "TxUpdatedInterval", str(config.sample_interval_s)),
        Setting("AlignedDataCtrlr", "Measurands", measurands, fallback),
        Setting("AlignedDataCtrlr", "Interval", str(config.aligned_interval_s)),
        *(Setting(own.component, own.variable, own.value) for own in more),
    ]


def same_value(wanted: str, found: str) -> bool:
    """Whether two values mean the same; lists of members in any order, spaces aside."""
    if wanted == found:
        return True
    if "," not in wanted:
        return False
    return sorted(part.strip() for part in wanted.split(",")) == sorted(part.strip() for part in found.split(","))


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
    request = set_request([("SecurityCtrlr", "BasicAuthPassword", secret)])
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


async def _apply_settings(dialog: Dialog) -> list[str]:
    problems: list[str] = []
    retry: list[tuple[str, str, str]] = []
    chosen = {(s.component, s.variable): s for s in settings(dialog.line.config, dialog.line.model)}
    wanted = [(s.component, s.variable, s.value) for s in chosen.values()]
    for attempt in (wanted, retry):
        for start in range(0, len(attempt), PER_REQUEST):
            request = set_request(attempt[start : start + PER_REQUEST])
            reply = await dialog.ask("SetVariables", request, wire.SetVariablesResponse)
            for result in reply.value.setVariableResult:
                key = (result.component.name, result.variable.name)
                if result.attributeStatus == "Accepted" or key not in chosen:
                    continue
                if attempt is wanted and chosen[key].fallback:
                    retry.append((*key, chosen[key].fallback))
                else:
                    problems.append(f"{'.'.join(key)}: {result.attributeStatus}")
    return problems


async def _read_abilities(dialog: Dialog) -> list[str]:
    reply = await dialog.ask("GetVariables", get_request(READ_ONLY), wire.GetVariablesResponse)
    for result in reply.value.getVariableResult:
        if result.attributeStatus == "Accepted" and result.attributeValue is not None:
            dialog.line.memory.variables.put(variable_name(result.component, result.variable), result.attributeValue)
    return []


async def _read_back(dialog: Dialog) -> list[str]:
    problems: list[str] = []
    variables = dialog.line.memory.variables
    chosen = {s.name: s for s in settings(dialog.line.config, dialog.line.model)}
    wanted = [(s.component, s.variable) for s in chosen.values()]
    for start in range(0, len(wanted), PER_REQUEST):
        request = get_request(wanted[start : start + PER_REQUEST])
        reply = await dialog.ask("GetVariables", request, wire.GetVariablesResponse)
        for result in reply.value.getVariableResult:
            name = variable_name(result.component, result.variable)
            setting = chosen.get(name)
            if result.attributeStatus == "Accepted" and result.attributeValue is not None:
                variables.put(name, result.attributeValue)
            if setting is None:
                continue
            found = result.attributeValue or ""
            allowed = [setting.value, setting.fallback] if setting.fallback else [setting.value]
            if not any(same_value(value, found) for value in allowed):
                problems.append(f"{name}: reads {found[:80]!r}, was set to {setting.value!r}")
    return problems


async def _take_report(dialog: Dialog) -> list[str]:
    answer = await take_report(dialog, "FullInventory", REPORT_WAIT_S)
    return [] if answer.status == "accepted" else [f"device model {answer.why}"]


ROUTES: Final[Routes] = {
    "BootNotification": Route(wire.BootNotificationRequest, _boot),
}
ORDERS: Final[Orders] = {ResetStation: reset, SetNetworkProfile: set_network_profile}
