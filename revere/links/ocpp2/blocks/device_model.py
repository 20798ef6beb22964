"""Block B, the device model: variables read and set by name, and the reports in which a station tells all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from revere.core.device_model import DeviceVariable, kind_of_variable
from revere.core.errors import Refused
from revere.core.orders import (
    Attribute,
    Inventory,
    QueryDeviceModel,
    ReadVariables,
    TakeInventory,
    VariableName,
    WriteVariables,
)
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.dialog import Report
from revere.links.ocpp2.settings import Place, settings, variable_name
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import security
from revere.links.ocppj.line import Answered
from revere.links.ocppj.samples import OWNED, OWNED_REMEDY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog

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


_STATES: Final[dict[str, wire.ComponentCriterionEnum]] = {
    "active": "Active",
    "available": "Available",
    "enabled": "Enabled",
    "problem": "Problem",
}


def set_request(wanted: Sequence[tuple[Place, str]]) -> wire.SetVariablesRequest:
    """SetVariables of (place, value)."""
    return wire.SetVariablesRequest(
        setVariableData=tuple(
            wire.SetVariableData(attributeValue=value, component=component, variable=variable)
            for (component, variable), value in wanted
        )
    )


def get_request(wanted: Sequence[Place]) -> wire.GetVariablesRequest:
    """GetVariables of places."""
    return wire.GetVariablesRequest(
        getVariableData=tuple(
            wire.GetVariableData(component=component, variable=variable) for component, variable in wanted
        )
    )


# Reports --------------------------------------------------------------------------------------------


def _told(item: wire.ReportData) -> DeviceVariable:
    """A row of a report in our words."""
    values = {attribute.type: attribute.value for attribute in item.variableAttribute}
    access = next((a.mutability for a in item.variableAttribute if a.type == "Actual"), "")
    own = item.variableCharacteristics
    kind = kind_of_variable(access=access)
    if own is not None:
        kind = kind_of_variable(
            access=access,
            data_type=own.dataType,
            unit=own.unit or "",
            least=own.minLimit,
            most=own.maxLimit,
            choices=own.valuesList or "",
        )
    return DeviceVariable(
        value=values.get("Actual"),
        target=values.get("Target"),
        least_set=values.get("MinSet"),
        most_set=values.get("MaxSet"),
        kind=kind,
    )


async def _report(dialog: Dialog, request: wire.NotifyReportRequest) -> Answered:
    line = dialog.line
    await line.record(line.observe(request.generatedAt, line.clock.now()))
    if not 1 <= request.requestId <= dialog.report_id:  # one that came too late for who asked is taken all the same
        line.counters.unsolicited += 1
        return Answered(wire.NotifyReportResponse())
    report = dialog.reports.get(request.requestId)
    for item in request.reportData or ():
        name = variable_name(item.component, item.variable)
        if not line.memory.variables.tell(name, _told(item)):
            continue
        kept = line.memory.variables.row(name)
        if report is not None and kept is not None:
            report.told[name] = kept
    if report is not None and not request.tbc:
        report.done.set()
    return Answered(wire.NotifyReportResponse())


async def take_report(dialog: Dialog, base: wire.ReportBaseEnum, wait_s: float) -> Answer:
    """B07: have the station report; accepted only when all of it has come."""

    def asked(number: int) -> wire.GetBaseReportRequest:
        return wire.GetBaseReportRequest(requestId=number, reportBase=base)

    answer, told = await _reported(dialog, "GetBaseReport", asked, wire.GetBaseReportResponse, wait_s)
    if answer.status == "accepted" and base == "FullInventory":
        dialog.line.memory.variables.keep(told)
    return answer


async def _reported(
    dialog: Dialog,
    action: str,
    asked: Callable[[int], msgspec.Struct],
    kind: type[wire.GetBaseReportResponse] | type[wire.GetReportResponse],
    wait_s: float,
) -> tuple[Answer, dict[str, DeviceVariable]]:
    """Ask for a report under a number of its own and wait for its last part."""
    dialog.report_id += 1
    number, report, line = dialog.report_id, Report(), dialog.line
    dialog.reports[number] = report
    try:
        reply = await dialog.ask(action, asked(number), kind)
        value = reply.value
        if value.status != "Accepted":
            why = ": ".join(part for part in (f"not reported: {value.status}", reason(value.statusInfo)) if part)
            return line.answer(value.status, why, reply.sent_wall_s), {}
        async with asyncio.timeout(wait_s):
            await report.done.wait()
    except TimeoutError:
        return line.answer("Rejected", f"incomplete after {wait_s:.0f} s"), report.told
    finally:
        del dialog.reports[number]
    return line.answer("Accepted", sent_wall_s=reply.sent_wall_s, details=_details(report.told)), report.told


def _details(told: dict[str, DeviceVariable]) -> tuple[tuple[str, str], ...]:
    """Values for a person to read; a target and a set range by lines of their own."""
    rows = []
    for name, row in sorted(told.items()):
        parts = ((name, row.value), (f"{name} target", row.target), (f"{name} least", row.least_set))
        rows += [(words, text) for words, text in (*parts, (f"{name} most", row.most_set)) if text is not None]
    return tuple(rows)


async def take_inventory(dialog: Dialog, order: TakeInventory) -> Answer:
    """B07: a report by a person's wish; what it tells goes into the journal."""
    answer = await take_report(dialog, _BASES[order.base], INVENTORY_WAIT_S)
    if answer.status == "accepted":
        await dialog.line.record_provisioned(dialog.line.memory.problems)
    return answer


async def query(dialog: Dialog, order: QueryDeviceModel) -> Answer:
    """B08: a part of the device model."""
    wanted = [wire.ComponentVariable(component=wire.Component(name=name)) for name in order.components]
    for one in order.variables:
        component, variable = place_of(one, "variables")
        wanted.append(wire.ComponentVariable(component=component, variable=variable))
    if not wanted and not order.state:
        raise Refused("a query of nothing", expected="variables, components or state", remedy="take-inventory asks all")

    def asked(number: int) -> wire.GetReportRequest:
        criteria = tuple(_STATES[state] for state in order.state)
        return wire.GetReportRequest(
            requestId=number, componentVariable=tuple(wanted) or None, componentCriteria=criteria or None
        )

    answer, _told = await _reported(dialog, "GetReport", asked, wire.GetReportResponse, INVENTORY_WAIT_S)
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
            elif not security.secret(name):
                told.append((name, security.told_value(name, result.attributeValue or "")))
                if result.attributeType == "Actual":
                    dialog.line.memory.variables.put(name, result.attributeValue or "")
    return dialog.line.answer("Rejected" if unknown else "Accepted", "; ".join(unknown), details=tuple(told))


async def write_variables(dialog: Dialog, order: WriteVariables) -> Answer:
    """B05: set each; accepted when the station took them all, be it after its next start.

    What is set at its boot is not set otherwise: it would stand until the next one, and readings would be missing.
    """
    secret = next((s.variable for s in order.settings if security.login_secret(s.variable)), None)
    if secret is not None:
        raise Refused("a secret is not set this way", got=secret, remedy="revere station renew gives a new one")
    ours = settings(dialog.line.config, dialog.line.model, dialog.line.memory.variables)
    wanted = [(*place_of(s, "settings"), _ATTRIBUTES[s.attribute], s.value) for s in order.settings]
    for component, variable, _attribute, value in wanted:
        owned = ours.get(variable_name(component, variable))
        if owned is not None and not owned.allows(value):
            raise Refused(OWNED, got=f"{owned.name} = {value[:80]}", expected=owned.value, remedy=OWNED_REMEDY)
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
    QueryDeviceModel: query,
}
