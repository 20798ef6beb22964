"""Block J: meter values outside transactions, and how often the meter is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks.device_model import PER_REQUEST, set_request
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.settings import settings
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.core.commands import Answer, ReportingCommand
    from revere.links.ocpp2.dialog import Dialog


async def _meter_values(dialog: Dialog, request: wire.MeterValuesRequest) -> Answered:
    line = dialog.line
    now = line.clock.now()
    facts = line.observe_fresh(max(value.timestamp for value in request.meterValue), now)
    readings = translate.readings(
        line.config,
        request.evseId,
        request.meterValue,
        at=now,
        session_id=None,
        counters=line.counters,
        places=dialog.places,
    )
    signed = translate.signed_values(line.config, request.evseId, request.meterValue, at=now, session_id=None)
    await line.record([*facts, *line.quarantine(readings, now), *signed])
    return Answered(wire.MeterValuesResponse())


async def set_reporting(dialog: Dialog, command: ReportingCommand) -> Answer:
    """Change how often the meter is sampled in a session, in every mode that has an interval of its own."""
    line, told = dialog.line, dialog.line.memory.variables
    every = settings(line.config, line.model, told, command.sample_interval_s)
    paced = [setting for name, setting in every.items() if setting.paced and (not setting.optional or name in told)]
    statuses, sent_wall_s = set[str](), 0.0
    for start in range(0, len(paced), PER_REQUEST):
        chunk = paced[start : start + PER_REQUEST]
        request = set_request([(setting.place, setting.value) for setting in chunk])
        reply = await dialog.ask("SetVariables", request, wire.SetVariablesResponse)
        statuses |= {result.attributeStatus for result in reply.value.setVariableResult}
        sent_wall_s = sent_wall_s or reply.sent_wall_s
    return line.answer(", ".join(sorted(statuses)), sent_wall_s=sent_wall_s)


ROUTES: Final[Routes] = {"MeterValues": Route(wire.MeterValuesRequest, _meter_values)}
