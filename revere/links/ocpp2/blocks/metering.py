"""Block J: meter values outside transactions, and how often the meter is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.links.ocpp2 import translate
from revere.links.ocpp2.blocks.device_model import set_request
from revere.links.ocpp2.blocks.provisioning import TX_INTERVAL
from revere.links.ocpp2.blocks.routes import Route, Routes
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
    """Change how often the meter is sampled in a session."""
    component, variable = TX_INTERVAL
    request = set_request([(component, variable, str(command.sample_interval_s))])
    reply = await dialog.ask("SetVariables", request, wire.SetVariablesResponse)
    return dialog.line.answer(reply.value.setVariableResult[0].attributeStatus, sent_wall_s=reply.sent_wall_s)


ROUTES: Final[Routes] = {"MeterValues": Route(wire.MeterValuesRequest, _meter_values)}
