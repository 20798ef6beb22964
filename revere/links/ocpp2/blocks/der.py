"""Block R: what a station's inverter does for the grid, set, listed and cleared by a person's order; and its alarms.

::

    order ─▶ SetDERControl ─▶ Accepted, what gave way      NotSupported, NotFound, Rejected: told as they are
    station ─▶ NotifyDERStartStop, NotifyDERAlarm ─▶ facts, alarms, the grid lost or back
    ListDerControls ─▶ GetDERControl ─▶ ReportDERControl, part by part
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import msgspec

from revere.core import der
from revere.core.errors import Refused, RevereError, Unavailable
from revere.core.facts import DerControlReported, GridLost, GridRestored
from revere.core.v2x_orders import ClearDerControls, ListDerControls, SetDerControl
from revere.links.ocpp2 import abilities, translate, translate_der
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog


# What the station says ------------------------------------------------------------------------------------


async def _alarm(dialog: Dialog, request: wire.NotifyDERAlarmRequest) -> Answered:
    line = dialog.line
    now = line.clock.now()
    alarms = translate.der_alarm(line.config, request, now, grid_lost=line.memory.grid_lost)
    before = line.memory.grid_lost
    for alarm in alarms:  # before the commit, which may be late: the end may be told earlier
        if isinstance(alarm, GridLost | GridRestored):
            line.memory.grid_lost = isinstance(alarm, GridLost)
    try:
        await line.record([*line.observe_fresh(request.timestamp, now), *alarms])
    except RevereError:
        line.memory.grid_lost |= before  # a loss binds even so
        raise
    return Answered(wire.NotifyDERAlarmResponse())


async def _start_stop(dialog: Dialog, request: wire.NotifyDERStartStopRequest) -> Answered:
    fact = DerControlReported(
        at=dialog.line.clock.now(),
        station_id=dialog.line.config.station_id,
        control_id=request.controlId,
        started=request.started,
        ts=request.timestamp.astimezone(dt.UTC),
        superseded=request.supersededIds or (),
    )
    await dialog.line.record([fact])
    return Answered(wire.NotifyDERStartStopResponse())


async def _report(dialog: Dialog, request: wire.ReportDERControlRequest) -> Answered:
    if not dialog.gathering.add(request.requestId, translate_der.held(request), more=bool(request.tbc)):
        dialog.line.counters.unsolicited += 1
    return Answered(wire.ReportDERControlResponse())


# What a person asks ---------------------------------------------------------------------------------------


async def set_control(dialog: Dialog, order: SetDerControl) -> Answer:
    """R04: a default, or a scheduled control; what gave way to it is told (its own id: it came in superseded)."""
    if (order.starts is None) != (order.lasts_s is None):
        raise Refused("a scheduled control has a start and a length, a default neither", got=order.control_id)
    why = der.fault(order.control, scheduled=order.starts is not None)
    why = why or abilities.der_refusal(dialog.line.memory.variables, order)
    if why:
        raise Refused(why, got=der.type_of(order.control))
    reply = await dialog.ask("SetDERControl", translate_der.set_request(order), wire.SetDERControlResponse)
    answer = dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)
    gone = reply.value.supersededIds or ()
    return msgspec.structs.replace(answer, details=tuple(("superseded", control_id) for control_id in gone))


async def list_controls(dialog: Dialog, order: ListDerControls) -> Answer:
    """R04.FR.30 to .37: the controls that stand, each as one line; none found is no failure."""
    number = dialog.gathering.begin()
    request = wire.GetDERControlRequest(
        requestId=number,
        isDefault=order.default,
        controlType=None if order.type is None else translate_der.TYPES[order.type],
        controlId=order.control_id,
    )
    try:
        reply = await dialog.ask("GetDERControl", request, wire.GetDERControlResponse)
        status = reply.value.status
        answer = dialog.line.answer(status, reason(reply.value.statusInfo), reply.sent_wall_s, also=("NotFound",))
        if status != "Accepted":
            return answer
        rows: list[translate_der.Held] = await dialog.gathering.rows(number)
    except Unavailable as error:
        return dialog.line.answer("Rejected", error.text())
    finally:
        dialog.gathering.end(number)
    return msgspec.structs.replace(answer, details=tuple((row.control_id, _line(row)) for row in rows))


def _line(row: translate_der.Held) -> str:
    """A control in one line, as a person reads it."""
    kind = "default" if row.default else f"from {row.starts:%Y-%m-%dT%H:%M:%SZ} for {row.lasts_s or 0:g} s"
    if not row.default and row.starts is None:
        kind = "scheduled"
    state = ", superseded" if row.superseded else ""
    return f"{der.type_of(row.control)}, {kind}{state}: {msgspec.json.encode(row.control).decode()}"


async def clear_controls(dialog: Dialog, order: ClearDerControls) -> Answer:
    """R04.FR.44, the rest *inferred*: what is not there to clear is NotFound, and told so."""
    request = wire.ClearDERControlRequest(
        isDefault=order.default,
        controlType=None if order.type is None else translate_der.TYPES[order.type],
        controlId=order.control_id,
    )
    reply = await dialog.ask("ClearDERControl", request, wire.ClearDERControlResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


ROUTES: Final[Routes] = {
    "NotifyDERAlarm": Route(wire.NotifyDERAlarmRequest, _alarm),
    "NotifyDERStartStop": Route(wire.NotifyDERStartStopRequest, _start_stop),
    "ReportDERControl": Route(wire.ReportDERControlRequest, _report),
}
ORDERS: Final[Orders] = {
    SetDerControl: set_control,
    ListDerControls: list_controls,
    ClearDerControls: clear_controls,
}
