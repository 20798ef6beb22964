"""What the blocks of one 2.x connection share: the station's line, the edition it speaks, our questions to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from revere.links.ocpp2.gather import Gathering
from revere.links.ocpp2.profile_ids import profile_ids
from revere.links.ocpp2.translate import PLACES
from revere.links.ocpp2.version import DRAFT21, VERSIONS
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut, Reply
from revere.links.ocppj.framing import CallFailed
from revere.links.ocppj.transport import Disconnected

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from revere.core.device_model import DeviceVariable
    from revere.core.facts import Place
    from revere.links.ocpp2.profile_ids import ProfileIds
    from revere.links.ocpp2.version import Version
    from revere.links.ocppj.line import Line

T = TypeVar("T", bound=msgspec.Struct)


class Report:
    """A report of the device model that a station sends in parts."""

    def __init__(self) -> None:
        self.told: dict[str, DeviceVariable] = {}
        self.done = asyncio.Event()


class Dialog:
    """One connection, in 2.1's words on our side whatever the edition on the line."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.booted = False
        self.reports: dict[int, Report] = {}
        """Those asked for and not yet at their end, by their number."""
        self.report_id = 0
        self.gathering = Gathering()
        self.offering: dict[int, None] = {}
        """EVSEs whose vehicle's schedule waits for its moment on this connection."""
        self._beside: set[asyncio.Task[None]] = set()

    @property
    def gives(self) -> bool:
        """Whether the vehicles here may give: agreed for the station, and its kind can be told so."""
        return self.line.config.discharge_kw > 0 and self.line.model.discharges

    def later(self, work: Coroutine[object, object, None]) -> None:
        """Ask something beside the station's messages; a refusal or a lost line ends it."""
        task = asyncio.get_running_loop().create_task(_quietly(work))
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    @property
    def profile_ids(self) -> ProfileIds:
        """The ids of our profiles here, above those that the station keeps for others."""
        return profile_ids(self.line.memory.variables)

    @property
    def version(self) -> Version:
        """The edition on the line: the registered one, or the draft that this kind of charger speaks over it."""
        return DRAFT21 if self.line.model.way == "draft21" else VERSIONS[self.line.config.protocol]

    @property
    def places(self) -> Mapping[str, Place]:
        """Where this kind of charger takes the samples that it calls Inlet or Outlet; unsaid is Outlet in OCPP 2."""
        own = self.line.model.places
        if not own:
            return PLACES
        outlet = own.get("Outlet", own.get("unsaid", PLACES["Outlet"]))
        return {**PLACES, "Inlet": own.get("Inlet", PLACES["Inlet"]), "Outlet": outlet}

    async def call(
        self,
        action: str,
        payload: msgspec.Struct,
        answer: type[T],
        *,
        still_wanted: Callable[[], bool] | None = None,
        setpoint: bool = False,
        hurry: bool = False,
    ) -> Reply[T] | None:
        """Ask the station, as :meth:`CallTable.call` does; None when the call is no longer wanted."""
        reply = await self.line.calls.call(
            action,
            self.version.lower(payload),
            self.version.own(answer),
            still_wanted=still_wanted,
            setpoint=setpoint,
            hurry=hurry,
        )
        if reply is None:
            return None
        try:
            return Reply(self.version.lift(reply.value, answer), reply.sent_wall_s)
        except CallFailed as error:
            raise CallRefused(f"{action}: unreadable answer: {error.what}") from error

    async def ask(self, action: str, payload: msgspec.Struct, answer: type[T], *, hurry: bool = False) -> Reply[T]:
        """The same for a call that nothing can make unwanted."""
        reply = await self.call(action, payload, answer, hurry=hurry)
        assert reply is not None  # only a call that may be unwanted comes back empty
        return reply


async def _quietly(work: Coroutine[object, object, None]) -> None:
    with suppress(CallRefused, CallTimedOut, CallOverflow, Disconnected):
        await work
