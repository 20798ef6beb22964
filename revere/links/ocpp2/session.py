"""One 2.x station's session: every message to its block, every wish of control's to its block.

Nothing is answered before ``line.record`` returned: an answer means that the facts are committed.
Messages are handled one after the other, as the standard sends them; one whose commit is late may be overtaken, so that
what the next one builds on is noted before the commit, and what a repetition is answered by after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from revere.core.errors import Refused
from revere.core.orders import kind_of
from revere.links.ocpp2.blocks import (
    authorization,
    availability,
    certificates,
    der,
    device_model,
    diagnostics,
    firmware,
    later,
    limits,
    local_list,
    metering,
    monitoring,
    offers,
    provisioning,
    remote,
    smart_charging,
    streams,
    transactions,
    v2x,
)
from revere.links.ocpp2.blocks.routes import Orders
from revere.links.ocpp2.dialog import Dialog
from revere.links.ocpp2.version import DRAFT21, V21, V201, Reader, Version
from revere.links.ocpp2.wire import v21
from revere.links.ocppj import registration
from revere.links.ocppj.framing import Call, CallFailed
from revere.links.ocppj.line import Answered, Line

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Awaitable, Callable

    from revere.core.commands import Answer, ReportingCommand, SetpointCommand
    from revere.core.orders import OrderBase

    Take = Callable[[Dialog, Any], Awaitable[Answered]]

BLOCKS: Final = (
    provisioning,
    device_model,
    authorization,
    local_list,
    transactions,
    remote,
    availability,
    metering,
    limits,
    v2x,
    der,
    firmware,
    certificates,
    diagnostics,
    monitoring,
    later,
    streams,
)


def _table(version: Version) -> dict[str, tuple[Reader[Any], Take]]:
    """The messages of an edition that we take: how each is read, and by whom."""
    routes = {action: route for block in BLOCKS for action, route in block.ROUTES.items()}
    return {
        action: (Reader(version, route.kind), route.take)
        for action, route in routes.items()
        if action in version.actions
    }


_ORDERS: Final[Orders] = {kind: do for block in BLOCKS for kind, do in getattr(block, "ORDERS", {}).items()}
STREAM: Final = "NotifyPeriodicEventStream"
_STREAM: Final = Reader(V21, v21.NotifyPeriodicEventStream)
_TABLES: Final = {version.name: _table(version) for version in (V21, V201, DRAFT21)}


class Session2:
    """The behaviour of a 2.x connection (``links.ocppj.line.Session``)."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._dialog = Dialog(line)

    @property
    def booted(self) -> bool:
        """Whether the station was accepted and may be asked."""
        return self._dialog.booted

    @booted.setter
    def booted(self, booted: bool) -> None:
        self._dialog.booted = booted

    async def handle(self, call: Call) -> Answered:
        """Record what the call says, then answer. Raises ``CallFailed`` or a ``RevereError`` of the sink."""
        version = self._dialog.version
        found = _TABLES[version.name].get(call.action)
        if found is None:
            self.line.counters.unknown_actions += 1
            if call.action in version.actions:
                raise CallFailed("NotSupported", f"{call.action} is not for us to answer")
            raise CallFailed("NotImplemented", f"{call.action} is not known here")
        if call.action != "BootNotification" and not self._asked_for(call.action):
            registration.check_admitted(self.line)
        reader, take = found
        answered = await take(self._dialog, reader.read(call.payload, self.line.counters))
        if self.line.memory.needs and registration.admitted(self.line):  # also those of a connection that is gone
            offers.take_up(self._dialog)
        return msgspec.structs.replace(answered, payload=version.lower(answered.payload))

    def _asked_for(self, action: str) -> bool:
        """Whether it is part of a report that we asked for while the station is Pending."""
        return action == "NotifyReport" and bool(self._dialog.reports)

    async def inspect(self) -> None:
        """Set and read a station that may not work yet, then have it boot again."""
        await provisioning.inspect(self._dialog)

    async def ask_boot(self) -> None:
        """Have a station that has not said who it is boot."""
        await provisioning.ask_boot(self._dialog)

    async def hear(self, call: Call) -> None:
        """Take a message that nobody answers: values of a stream, in 2.1; any other is dropped and counted."""
        if self._dialog.version is not V21 or call.action != STREAM:
            self.line.counters.dropped_sends += 1
            return
        registration.check_admitted(self.line)
        await streams.take(self._dialog, _STREAM.read(call.payload, self.line.counters))

    async def provision(self) -> None:
        """Install the fallback, set and read back what must be sampled, take the device model."""
        await provisioning.provision(self._dialog)

    async def restore_fallback(self) -> Answer:
        """Put the fallback back in the place of any other default."""
        return await smart_charging.restore_fallback(self._dialog)

    def default_profile_due(self) -> bool:
        """Whether the fallback's local day has moved with the clocks."""
        return smart_charging.default_profile_due(self._dialog)

    async def refresh_default_profile(self) -> None:
        """Install the fallback again where it is due."""
        await smart_charging.refresh_default_profile(self._dialog)

    async def set_power(self, command: SetpointCommand) -> Answer:
        """Give an EVSE a setpoint; a newer one drops an older one that still waits for the line."""
        return await smart_charging.set_power(self._dialog, command)

    async def set_reporting(self, command: ReportingCommand) -> Answer:
        """Change how often the meter is sampled in a session."""
        return await metering.set_reporting(self._dialog, command)

    async def set_password(self, secret: str) -> Answer:
        """Give the station the secret for its next connection."""
        return await provisioning.set_password(self._dialog, secret)

    async def remote_start(self, evse_id: int | None, token: str) -> Answer:
        """Start a session for a token."""
        return await remote.remote_start(self._dialog, evse_id, token)

    async def remote_stop(self, session_id: str) -> Answer:
        """End a session."""
        return await remote.remote_stop(self._dialog, session_id)

    async def carry_out(self, order: OrderBase) -> Answer:
        """Do what a person asked. Raises :class:`Refused` where this edition has no words for it."""
        do = _ORDERS.get(type(order))
        if do is None:
            raise Refused(f"{self._dialog.version.name} has no message for it", got=kind_of(order))
        try:
            return await do(self._dialog, order)
        except msgspec.ValidationError as error:
            raise Refused(f"{self._dialog.version.name} has no words for it", got=str(error)) from error

    async def clear_setpoint(self, evse_id: int) -> Answer:
        """Remove the central profile of an EVSE, so that the resident charge-only default holds."""
        return await smart_charging.clear_setpoint(self._dialog, evse_id)

    async def composite_limits_kw(self, evse_id: int, duration_s: int) -> list[tuple[dt.datetime, float]]:
        """What the station would do, as (from, kW). Raises :class:`Refused`."""
        return await smart_charging.composite_limits_kw(self._dialog, evse_id, duration_s)
