"""Block N in 2.1, periodic event streams: opened and closed by the station, their values kept as they come."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Final

from revere.core.facts import StreamValuesReceived
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered
from revere.links.ocppj.streams import STREAMS_MAX, VALUES_MAX, OpenStream

if TYPE_CHECKING:
    from revere.links.ocpp2.dialog import Dialog

TOO_MANY: Final = wire.StatusInfo(reasonCode="TooManyElements", additionalInfo=f"at most {STREAMS_MAX} streams")


async def _open(dialog: Dialog, request: wire.OpenPeriodicEventStreamRequest) -> Answered:
    streams, data = dialog.line.memory.streams, request.constantStreamData
    if data.id not in streams and len(streams) >= STREAMS_MAX:
        return Answered(wire.OpenPeriodicEventStreamResponse(status="Rejected", statusInfo=TOO_MANY))
    streams[data.id] = OpenStream(data.variableMonitoringId)
    return Answered(wire.OpenPeriodicEventStreamResponse(status="Accepted"))


async def _close(dialog: Dialog, request: wire.ClosePeriodicEventStreamRequest) -> Answered:
    dialog.line.memory.streams.pop(request.id, None)
    return Answered(wire.ClosePeriodicEventStreamResponse())


async def take(dialog: Dialog, told: wire.NotifyPeriodicEventStream) -> None:
    """Keep the values of an open stream; what breaks a rule is dropped and counted."""
    line = dialog.line
    stream = line.memory.streams.get(told.id)
    if stream is None or not stream.due(asyncio.get_running_loop().time()):
        line.counters.dropped_sends += 1
        return
    line.counters.stream_values_dropped += max(0, len(told.data) - VALUES_MAX)
    since = told.basetime.astimezone(dt.UTC)
    fact = StreamValuesReceived(
        at=line.clock.now(),
        station_id=line.config.station_id,
        stream=told.id,
        monitor=stream.monitor,
        ts=since,
        values=tuple((element.t, element.v) for element in told.data[:VALUES_MAX]),
        pending=told.pending,
    )
    await line.record([fact])


ROUTES: Final[Routes] = {
    "OpenPeriodicEventStream": Route(wire.OpenPeriodicEventStreamRequest, _open),
    "ClosePeriodicEventStream": Route(wire.ClosePeriodicEventStreamRequest, _close),
}
