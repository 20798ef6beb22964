"""Block B: boot, the device model, and what must hold at a station before it is trusted.

Everything is set, then read back: a station that answers Accepted and keeps another value is named
in the problems of :class:`StationProvisioned`.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

import msgspec

from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks import smart_charging
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import security
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut
from revere.links.ocppj.line import HEARTBEAT_S, Answered
from revere.links.ocppj.samples import EXPORT_POWER, EXPORT_REGISTER, MEASURANDS

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.core.ports import StationConfig
    from revere.links.models import ChargerModel
    from revere.links.ocpp2.dialog import Dialog

VARIABLES_MAX: Final = 500
"""Variables of a device-model report that are kept."""
VALUE_MAX_CHARS: Final = 500
PER_REQUEST: Final = 8
"""Variables set or read in one message: below the smallest ItemsPerMessage seen."""
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
    ("SmartChargingCtrlr", "UpdateRateLimit"),
    ("SmartChargingCtrlr", "SupportsDynamicProfiles"),
)
"""Read at boot where the station has them: (component, variable)."""
TX_INTERVAL: Final = ("SampledDataCtrlr", "TxUpdatedInterval")


def settings(config: StationConfig, model: ChargerModel | None = None) -> list[Setting]:
    """What this station must sample: both registers, power and soc, in sessions and clock-aligned.

    A station that only charges may refuse the export measurands and is then asked without them. What its ``model``
    says besides comes last.
    """
    more = () if model is None else model.variables
    measurands = ",".join(MEASURANDS)
    fallback = "" if config.discharge_kw > 0 else ",".join(CHARGE_ONLY_MEASURANDS)
    return [
        Setting("SampledDataCtrlr", "TxUpdatedMeasurands", measurands, fallback),
        Setting("SampledDataCtrlr", "TxUpdatedInterval", str(config.sample_interval_s)),
        Setting("AlignedDataCtrlr", "Measurands", measurands, fallback),
        Setting("AlignedDataCtrlr", "Interval", str(config.aligned_interval_s)),
        *(Setting(own.component, own.variable, own.value) for own in more),
    ]


def set_request(wanted: list[tuple[str, str, str]]) -> wire.SetVariablesRequest:
    """SetVariables of (component, variable, value)."""
    return wire.SetVariablesRequest(
        setVariableData=tuple(
            wire.SetVariableData(
                attributeValue=value, component=wire.Component(name=component), variable=wire.Variable(name=variable)
            )
            for component, variable, value in wanted
        )
    )


def get_request(wanted: list[tuple[str, str]]) -> wire.GetVariablesRequest:
    """GetVariables of (component, variable)."""
    return wire.GetVariablesRequest(
        getVariableData=tuple(
            wire.GetVariableData(component=wire.Component(name=component), variable=wire.Variable(name=variable))
            for component, variable in wanted
        )
    )


def variable_name(component: wire.Component, variable: wire.Variable) -> str:
    """``Component.Variable``, with instance and EVSE where they are said: ``V2X@1.Modes[DC]``."""
    where = "" if component.evse is None else f"@{component.evse.id}"
    part = "" if component.instance is None else f"({component.instance})"
    which = "" if variable.instance is None else f"[{variable.instance}]"
    return f"{component.name}{part}{where}.{variable.name}{which}"


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
    await line.record([booted, *line.identify(booted)])
    memory.watch.restart()
    memory.profile_sent_s.clear()
    memory.default_sent_s = -math.inf
    memory.provisioned = False
    answer = wire.BootNotificationResponse(currentTime=line.clock.now(), interval=HEARTBEAT_S, status="Accepted")

    def accepted() -> None:
        dialog.booted = True

    return Answered(answer, then=accepted)


async def _report(dialog: Dialog, request: wire.NotifyReportRequest) -> Answered:
    line = dialog.line
    await line.record(line.observe(request.generatedAt, line.clock.now()))
    variables = line.memory.variables
    for item in request.reportData or ():
        name = variable_name(item.component, item.variable)
        value = next((a.value for a in item.variableAttribute if a.type == "Actual"), None)
        if item.variable.name in security.SECRETS:
            continue
        if value is not None and (name in variables or len(variables) < VARIABLES_MAX):
            variables[name] = value[:VALUE_MAX_CHARS]
    if request.requestId == dialog.report_id and not request.tbc:
        dialog.report_done.set()
    return Answered(wire.NotifyReportResponse())


async def provision(dialog: Dialog) -> None:
    """Install the fallback, set and read back what must be sampled, take the device model."""
    problems = dialog.line.model_problems()
    for step in (smart_charging.install_default, _apply_settings, _read_back, _take_report):
        try:
            problems += await step(dialog)
        except (CallRefused, CallTimedOut, CallOverflow) as error:
            problems.append(str(error))
    await dialog.line.record_provisioned(problems)
    dialog.line.memory.provisioned = True


async def set_password(dialog: Dialog, secret: str) -> Answer:
    """A01: set the password of the station's next connection."""
    request = set_request([("SecurityCtrlr", "BasicAuthPassword", secret)])
    reply = await dialog.ask("SetVariables", request, wire.SetVariablesResponse)
    found = reply.value.setVariableResult[0].attributeStatus
    status = "Accepted" if found == "RebootRequired" else found
    return dialog.line.answer(status, sent_wall_s=reply.sent_wall_s)


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


async def _read_back(dialog: Dialog) -> list[str]:
    problems: list[str] = []
    variables = dialog.line.memory.variables
    chosen = {s.name: s for s in settings(dialog.line.config, dialog.line.model)}
    wanted = [(s.component, s.variable) for s in chosen.values()] + list(READ_ONLY)
    for start in range(0, len(wanted), PER_REQUEST):
        request = get_request(wanted[start : start + PER_REQUEST])
        reply = await dialog.ask("GetVariables", request, wire.GetVariablesResponse)
        for result in reply.value.getVariableResult:
            name = variable_name(result.component, result.variable)
            setting = chosen.get(name)
            if result.attributeStatus == "Accepted" and result.attributeValue is not None:
                variables[name] = result.attributeValue
            if setting is None:
                continue
            found = result.attributeValue or ""
            allowed = [setting.value, setting.fallback] if setting.fallback else [setting.value]
            if not any(same_value(value, found) for value in allowed):
                problems.append(f"{name}: reads {found[:80]!r}, was set to {setting.value!r}")
    return problems


async def _take_report(dialog: Dialog) -> list[str]:
    dialog.report_id += 1
    dialog.report_done.clear()
    request = wire.GetBaseReportRequest(requestId=dialog.report_id, reportBase="FullInventory")
    reply = await dialog.ask("GetBaseReport", request, wire.GetBaseReportResponse)
    if reply.value.status != "Accepted":
        return [f"device model not reported: {reply.value.status}"]
    try:
        async with asyncio.timeout(REPORT_WAIT_S):
            await dialog.report_done.wait()
    except TimeoutError:
        return [f"device model incomplete after {REPORT_WAIT_S:.0f} s"]
    return []


ROUTES: Final[Routes] = {
    "BootNotification": Route(wire.BootNotificationRequest, _boot),
    "NotifyReport": Route(wire.NotifyReportRequest, _report),
}
