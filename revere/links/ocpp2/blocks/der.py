"""Block R, as far as a station speaks by itself: its protection saw the grid go, or come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.core.facts import GridLost, GridRestored
from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.links.ocpp2.dialog import Dialog


async def _alarm(dialog: Dialog, request: wire.NotifyDERAlarmRequest) -> Answered:
    line = dialog.line
    now = line.clock.now()
    alarms = translate.der_alarm(line.config, request, now, grid_lost=line.memory.grid_lost)
    await line.record([*line.observe_fresh(request.timestamp, now), *alarms])
    for alarm in alarms:
        if isinstance(alarm, GridLost | GridRestored):
            line.memory.grid_lost = isinstance(alarm, GridLost)
    return Answered(wire.NotifyDERAlarmResponse())


ROUTES: Final[Routes] = {"NotifyDERAlarm": Route(wire.NotifyDERAlarmRequest, _alarm)}
