"""Block B, the device model: variables read and set by name, and the reports in which a station tells all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

from revere.core.errors import Refused
from revere.core.orders import Attribute, Inventory, ReadVariables, TakeInventory, VariableName, WriteVariables
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.dialog import Report
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import security
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog

VARIABLES_MAX: Final = 500
"""Variables of a device-model report that are kept."""
VALUE_MAX_CHARS: Final = 500
PER_REQUEST: Final = 8
"""Variables set or read in one message: below the smallest ItemsPerMessage seen."""
INVENTORY_WAIT_S: Final = 8.0
"""A person does not wait longer for a report; what comes later is kept all the same."""
REBOOT: Final = "RebootRequired"

_ATTRIBUTES: Final[dict[Attribute, wire.AttributeEnum]] = {
    "actual": "Actual",
    "target": "Target",
    "least": "MinSet",
    "most": "MaxSet",
}
_BASES: Final[dict[Inventory, Literal["ConfigurationInventory", "FullInventory", "SummaryInventory"]]] = {
    "configuration": "ConfigurationInventory",
    "full": "FullInventory",
    "summary": "SummaryInventory",
}


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


# Reports --------------------------------------------------------------------------------------------


async def _report(dialog: Dialog, request: wire.NotifyReportRequest) -> Answered:
    line = dialog.line
    await line.record(line.observe(request.generatedAt, line.clock.now()))
    variables = line.memory.variables
    report = dialog.reports.get(request.requestId)
    for item in request.reportData or ():
        name = variable_name(item.component, item.variable)
        value = next((a.value for a in item.variableAttribute if a.type == "Actual"), None)
        if item.variable.name in security.SECRETS:
            continue
        if value is not None and (name in variables or len(variables) < VARIABLES_MAX):
            variables[name] = value[:VALUE_MAX_CHARS]
            if report is not None:
                report.told[name] = variables[name]
    if report is not None and not request.tbc:
        report.done.set()
    return Answered(wire.NotifyReportResponse())


async def take_report(dialog: Dialog, base: wire.ReportBaseEnum, wait_s: float) -> Answer:
    """Have the station report; accepted only when all of it has come."""
    dialog.report_id += 1
    number, report = dialog.report_id, Report()
    dialog.reports[number] = report
    try:
        request = wire.GetBaseReportRequest(requestId=number, reportBase=base)
        reply = await dialog.ask("GetBaseReport", request, wire.GetBaseReportResponse)
        value = reply.value
        if value.status != "Accepted":
            why = ": ".join(part for part in (f"not reported: {value.status}", reason(value.statusInfo)) if part)
            return dialog.line.answer(value.status, why, reply.sent_wall_s)
        async with asyncio.timeout(wait_s):
            await report.done.wait()
    except TimeoutError:
        return dialog.line.answer("Rejected", f"incomplete after {wait_s:.0f} s")
    finally:
        del dialog.reports[number]
    return dialog.line.answer("Accepted", sent_wall_s=reply.sent_wall_s, details=tuple(sorted(report.told.items())))


async def take_inventory(dialog: Dialog, order: TakeInventory) -> Answer:
    """B07, B08: a report by a person's wish; what it tells goes into the journal."""
    answer = await take_report(dialog, _BASES[order.base], INVENTORY_WAIT_S)
    if answer.status == "accepted":
        await dialog.line.record_provisioned(dialog.line.memory.problems)
    return answer


# By name --------------------------------------------------------------------------------------------


def place_of(name: VariableName, where: str) -> tuple[wire.Component, wire.Variable]:
    """A variable's name as OCPP 2 has it; ``where`` names the part of the order in errors."""
    if not name.component:
        raise Refused("a variable of OCPP 2 has a component", where=where, got=name.variable, expected="both names")
    if name.connector_id is not None and name.evse_id is None:
        raise Refused("a connector is at an EVSE", where=where, got=f"connector_id {name.connector_id} alone")
    evse = None if name.evse_id is None else wire.EVSE(id=name.evse_id, connectorId=name.connector_id)
    component = wire.Component(name=name.component, instance=name.component_instance, evse=evse)
    return component, wire.Variable(name=name.variable, instance=name.variable_instance)


async def read_variables(dialog: Dialog, order: ReadVariables) -> Answer:
    """B06: what the station says of each; accepted when it knew them all."""
    wanted = [(*place_of(name, "variables"), _ATTRIBUTES[name.attribute]) for name in order.variables]
    told: list[tuple[str, str]] = []
    unknown: list[str] = []
    for start in range(0, len(wanted), PER_REQUEST):
        request = wire.GetVariablesRequest(
            getVariableData=tuple(
                wire.GetVariableData(component=component, variable=variable, attributeType=attribute)
                for component, variable, attribute in wanted[start : start + PER_REQUEST]
            )
        )
        reply = await dialog.ask("GetVariables", request, wire.GetVariablesResponse)
        for result in reply.value.getVariableResult:
            name = variable_name(result.component, result.variable)
            if result.attributeStatus != "Accepted":
                unknown.append(f"{name}: {result.attributeStatus}")
            elif result.variable.name not in security.SECRETS:
                told.append((name, result.attributeValue or ""))
    return dialog.line.answer("Rejected" if unknown else "Accepted", "; ".join(unknown), details=tuple(told))


async def write_variables(dialog: Dialog, order: WriteVariables) -> Answer:
    """B05: set each; accepted when the station took them all, be it after its next start."""
    secret = next((s.variable for s in order.settings if s.variable in security.SECRETS), None)
    if secret is not None:
        raise Refused("a secret is not set this way", got=secret, remedy="revere station renew gives a new one")
    wanted = [(*place_of(s, "settings"), _ATTRIBUTES[s.attribute], s.value) for s in order.settings]
    told: list[tuple[str, str]] = []
    refused: list[str] = []
    for start in range(0, len(wanted), PER_REQUEST):
        request = wire.SetVariablesRequest(
            setVariableData=tuple(
                wire.SetVariableData(
                    component=component, variable=variable, attributeType=attribute, attributeValue=value
                )
                for component, variable, attribute, value in wanted[start : start + PER_REQUEST]
            )
        )
        reply = await dialog.ask("SetVariables", request, wire.SetVariablesResponse)
        for result in reply.value.setVariableResult:
            name = variable_name(result.component, result.variable)
            told.append((name, result.attributeStatus))
            if result.attributeStatus not in ("Accepted", REBOOT):
                why = reason(result.attributeStatusInfo)
                refused.append(f"{name}: {result.attributeStatus}{f' ({why})' if why else ''}")
    return dialog.line.answer("Rejected" if refused else "Accepted", "; ".join(refused), details=tuple(told))


ROUTES: Final[Routes] = {"NotifyReport": Route(wire.NotifyReportRequest, _report)}
ORDERS: Final[Orders] = {
    ReadVariables: read_variables,
    WriteVariables: write_variables,
    TakeInventory: take_inventory,
}
