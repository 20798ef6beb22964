"""Block N, monitors: what a station watches for us, and what it tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.orders import (
    ClearMonitors,
    ListMonitors,
    Monitor,
    MonitorGroup,
    MonitorKind,
    SetMonitoringBase,
    SetMonitoringLevel,
    SetMonitors,
    VariableName,
)
from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks.device_model import place_of
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.settings import variable_name
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog

MONITORS_MAX: Final = 500
"""Monitors of a station whose severity is remembered."""
PER_REQUEST: Final = 8
_KINDS: Final[Mapping[MonitorKind, wire.MonitorEnum]] = {
    "upper-threshold": "UpperThreshold",
    "lower-threshold": "LowerThreshold",
    "delta": "Delta",
    "periodic": "Periodic",
    "periodic-clock-aligned": "PeriodicClockAligned",
    "target-delta": "TargetDelta",
    "target-delta-relative": "TargetDeltaRelative",
}
_WORDS: Final[Mapping[str, MonitorKind]] = {theirs: ours for ours, theirs in _KINDS.items()}
_GROUPS: Final[Mapping[MonitorGroup, wire.MonitoringCriterionEnum]] = {
    "threshold": "ThresholdMonitoring",
    "delta": "DeltaMonitoring",
    "periodic": "PeriodicMonitoring",
}
_BASES: Final[Mapping[str, wire.MonitoringBaseEnum]] = {
    "all": "All",
    "factory": "FactoryDefault",
    "hardware": "HardWiredOnly",
}


def _remember(dialog: Dialog, monitor: int, severity: int) -> None:
    monitors = dialog.line.memory.monitors
    if monitor in monitors or len(monitors) < MONITORS_MAX:
        monitors[monitor] = severity


def _asked(monitor: Monitor) -> wire.SetMonitoringData:
    return wire.SetMonitoringData(
        id=monitor.id,
        transaction=monitor.in_session,
        value=monitor.value,
        type=_KINDS[monitor.what],
        severity=monitor.severity,
        component=wire.Component(
            name=monitor.component,
            instance=monitor.component_instance,
            evse=None if monitor.evse_id is None else wire.EVSE(id=monitor.evse_id),
        ),
        variable=wire.Variable(name=monitor.variable, instance=monitor.variable_instance),
    )


async def set_monitors(dialog: Dialog, order: SetMonitors) -> Answer:
    """N04: watch variables; each has an answer of its own, and all must be good."""
    details: list[tuple[str, str]] = []
    refused = 0
    sent_wall_s = 0.0
    for start in range(0, len(order.monitors), PER_REQUEST):
        chunk = tuple(_asked(monitor) for monitor in order.monitors[start : start + PER_REQUEST])
        request = wire.SetVariableMonitoringRequest(setMonitoringData=chunk)
        reply = await dialog.ask("SetVariableMonitoring", request, wire.SetVariableMonitoringResponse)
        sent_wall_s = sent_wall_s or reply.sent_wall_s
        for result in reply.value.setMonitoringResult:
            name = f"{variable_name(result.component, result.variable)} {_WORDS[result.type]}"
            if result.status == "Accepted" and result.id is not None:
                _remember(dialog, result.id, result.severity)
                details.append((name, str(result.id)))
            else:
                refused += 1
                details.append((name, reason(result.statusInfo) or result.status))
    why = f"{refused} of {len(order.monitors)} were not set" if refused else ""
    return dialog.line.answer("Rejected" if refused else "Accepted", why, sent_wall_s, details=tuple(details))


async def clear_monitors(dialog: Dialog, order: ClearMonitors) -> Answer:
    """N06: watch no more. One that the station does not know is not there, which is what was wanted."""
    reply = await dialog.ask(
        "ClearVariableMonitoring",
        wire.ClearVariableMonitoringRequest(id=order.ids),
        wire.ClearVariableMonitoringResponse,
    )
    refused = 0
    for result in reply.value.clearMonitoringResult:
        refused += result.status == "Rejected"
        if result.status != "Rejected":
            dialog.line.memory.monitors.pop(result.id, None)
    details = tuple((str(result.id), result.status) for result in reply.value.clearMonitoringResult)
    why = f"{refused} of {len(order.ids)} stay: they are its hardware's own" if refused else ""
    return dialog.line.answer("Rejected" if refused else "Accepted", why, reply.sent_wall_s, details=details)


def _named(name: VariableName) -> wire.ComponentVariable:
    component, variable = place_of(name, "variables")
    return wire.ComponentVariable(component=component, variable=variable)


async def list_monitors(dialog: Dialog, order: ListMonitors) -> Answer:
    """N02: what it watches, in parts, awaited here."""
    request_id = dialog.gathering.begin()
    try:
        request = wire.GetMonitoringReportRequest(
            requestId=request_id,
            monitoringCriteria=tuple(_GROUPS[group] for group in order.of) or None,
            componentVariable=tuple(_named(one) for one in order.variables) or None,
        )
        reply = await dialog.ask("GetMonitoringReport", request, wire.GetMonitoringReportResponse)
        status = reply.value.status
        why = "it watches none of these" if status == "EmptyResultSet" else reason(reply.value.statusInfo)
        answer = dialog.line.answer(status, why, reply.sent_wall_s, also=("EmptyResultSet",))
        if status != "Accepted":
            return answer
        return msgspec.structs.replace(answer, details=tuple(await dialog.gathering.rows(request_id)))
    finally:
        dialog.gathering.end(request_id)


async def _report(dialog: Dialog, request: wire.NotifyMonitoringReportRequest) -> Answered:
    told = [
        (one, variable_name(item.component, item.variable))
        for item in request.monitor or ()
        for one in item.variableMonitoring
    ]
    parts = [(f"{one.id}: {name}", f"{_WORDS[one.type]} {one.value:g}, severity {one.severity}") for one, name in told]
    if dialog.gathering.add(request.requestId, parts, more=request.tbc):
        for one, _ in told:
            _remember(dialog, one.id, one.severity)
    else:
        dialog.line.counters.unsolicited += 1
    return Answered(wire.NotifyMonitoringReportResponse())


async def set_base(dialog: Dialog, order: SetMonitoringBase) -> Answer:
    """N03: which monitors are in force."""
    request = wire.SetMonitoringBaseRequest(monitoringBase=_BASES[order.base])
    reply = await dialog.ask("SetMonitoringBase", request, wire.SetMonitoringBaseResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def set_level(dialog: Dialog, order: SetMonitoringLevel) -> Answer:
    """N05: from which severity on it tells."""
    request = wire.SetMonitoringLevelRequest(severity=order.severity)
    reply = await dialog.ask("SetMonitoringLevel", request, wire.SetMonitoringLevelResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def _events(dialog: Dialog, request: wire.NotifyEventRequest) -> Answered:
    line = dialog.line
    now = line.clock.now()
    facts = line.observe(request.generatedAt, now)
    for event in request.eventData:
        monitor = event.variableMonitoringId
        known = line.memory.monitors.get(monitor) if monitor is not None else None
        facts += translate.notified(line.config, event, now, severity=known)
    await line.record(facts)
    return Answered(wire.NotifyEventResponse())


ROUTES: Final[Routes] = {
    "NotifyEvent": Route(wire.NotifyEventRequest, _events),
    "NotifyMonitoringReport": Route(wire.NotifyMonitoringReportRequest, _report),
}
ORDERS: Final[Orders] = {
    SetMonitors: set_monitors,
    ClearMonitors: clear_monitors,
    ListMonitors: list_monitors,
    SetMonitoringBase: set_base,
    SetMonitoringLevel: set_level,
}
