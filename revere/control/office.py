"""The operator's desk: what people ask, checked and done on control's own loop."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any, Literal, TypeVar, assert_never

import msgspec

from revere.control.bounds import fed
from revere.control.calling import CallingDesk, refuse_naive
from revere.control.desk import (
    AcceptCharger,
    AcknowledgeAlarm,
    Ask,
    CallEvent,
    ChangeCard,
    CommissionSite,
    LiftLock,
    OptEvent,
    OrderStation,
    Receipt,
    ReleaseDischarge,
    SetDeparture,
    SetLock,
    StartCampaign,
    StopDischarge,
    TellCampaign,
    TellStation,
    WithdrawEvent,
)
from revere.control.looking import Looking
from revere.control.outlook import departure_outlook
from revere.control.snapshot import read_slots
from revere.core import facts as f
from revere.core.assets import StationIdentity
from revere.core.commands import Answer
from revere.core.errors import Refused, Unavailable
from revere.core.ids import CommandId, SiteId, StationId, VehicleId
from revere.core.orders import Order, SetAvailability, SetNetworkProfile, kind_of
from revere.core.time import iso, local

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from revere.control.card_desk import CardDesk
    from revere.control.certificates import Certificates
    from revere.control.commissioning import Commissioning
    from revere.control.heart import Heart
    from revere.control.image import EvseImage
    from revere.control.inbox import Inbox
    from revere.control.rotation import Rotation
    from revere.control.upgrade import Upgrade
    from revere.control.view import CommissioningView, ConsoleView, ScheduleView, StationView
    from revere.core.device_model import DeviceVariable
    from revere.core.portrait import FrameShown

T = TypeVar("T")

ASK_DEADLINE_S = 15.0
STATION_ANSWERS_S = 12.0
DRAIN_S = 10.0
DEPARTURE_AHEAD_MAX = dt.timedelta(days=14)
WHY_MAX_CHARS = 400
LACKS_TOLD_KWH = 0.5


class Office:
    """Fills the ``Desk`` port. ``ask`` may be called from any thread; the work runs on control's loop."""

    def __init__(
        self,
        heart: Heart,
        inbox: Inbox,
        loop: asyncio.AbstractEventLoop,
        rotation: Rotation | None = None,
        upgrade: Upgrade | None = None,
        cards: CardDesk | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self._heart = heart
        self._inbox = inbox
        self._loop = loop
        self._rotation = rotation
        self._upgrade = upgrade
        self._cards = cards
        self._certificates = certificates
        self._calling = CallingDesk(heart.image, inbox, heart.contracts)
        self._looking = Looking(heart)
        self._view: ConsoleView | None = None
        self._serial = 0

    def publish(self, view: ConsoleView) -> None:
        """Take the picture of a tick (called by the heart)."""
        self._view = view

    def view(self) -> ConsoleView | None:
        """The last published picture."""
        return self._view

    async def station(self, station_id: str) -> StationView:
        """What is known of one station."""
        return await self._there(self._looking.station(station_id))

    async def variables(self, station_id: str) -> tuple[tuple[str, DeviceVariable], ...]:
        """Its device model."""
        return await self._there(self._looking.variables(station_id))

    async def commissioning(self, site_id: str) -> CommissioningView:
        """What its fallback means for a site."""
        return await self._there(self._commissioning_view(site_id))

    async def _commissioning_view(self, site_id: str) -> CommissioningView:
        return self._commissioning().view(site_id, self._heart.clock.now())

    def _commissioning(self) -> Commissioning:
        if self._heart.commissioning is None:
            raise Refused("sites are not commissioned here")
        return self._heart.commissioning

    async def frames(self, station_id: str) -> tuple[FrameShown, ...]:
        """Its last messages."""
        return await self._there(self._looking.frames(station_id))

    async def schedule(self, station_id: str) -> ScheduleView:
        """What it says that it will follow."""
        return await self._there(self._looking.schedule(station_id))

    async def ask(self, request: Ask) -> Receipt:
        """Do it on control's loop and come back with the receipt."""
        return await self._there(self.do(request))

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on control's loop, from whatever thread."""
        if asyncio.get_running_loop() is self._loop:
            return await work
        handed = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            async with asyncio.timeout(ASK_DEADLINE_S):
                return await asyncio.wrap_future(handed)
        except TimeoutError as error:
            raise Unavailable(
                "control did not answer",
                expected=f"within {ASK_DEADLINE_S:g} s",
                remedy="Look at the alarms; try again",
            ) from error

    async def do(self, request: Ask) -> Receipt:
        """The work itself, on control's loop."""
        now = self._heart.clock.now()
        match request:
            case StopDischarge():
                return self._stop(request, now)
            case ReleaseDischarge():
                return await self._release(request, now)
            case SetDeparture():
                return await self._departure(request, now)
            case CallEvent() | WithdrawEvent() | OptEvent():
                receipt = await self._calling.do(request, now)
                self._heart.show()  # who looks at the list next sees it there
                return receipt
            case AcceptCharger():
                return await self._accept(request, now)
            case TellStation():
                return await self._tell_station(request, now)
            case OrderStation():
                return await self._order_station(request, now)
            case SetLock():
                return await self._heart.locks.set(request, now)
            case CommissionSite():
                return await self._commissioning().commission(request, now)
            case LiftLock():
                return await self._heart.locks.lift(request, now)
            case StartCampaign():
                return await self._heart.campaigns.start(request, now)
            case TellCampaign():
                return await self._heart.campaigns.tell(request, now)
            case ChangeCard():
                if self._cards is None:
                    raise Refused("cards are not changed here", got=request.token)
                return await self._cards.change(request, now)
            case AcknowledgeAlarm():
                return await self._acknowledge(request, now)
            case _:
                assert_never(request)

    def _site(self, site_id: str | None) -> SiteId | None:
        if site_id is None:
            return None
        if site_id not in self._heart.image.sites:
            raise Refused("no such site", got=site_id, remedy="Look at the list of sites")
        return SiteId(site_id)

    def _stop(self, request: StopDischarge, now: dt.datetime) -> Receipt:
        """Stopping waits for nothing, not even the database: first the stations, then the journal."""
        site_id = self._site(request.site_id)
        fact = f.DischargeStopped(at=now, by=request.by, why=request.why[:WHY_MAX_CHARS], site_id=site_id)
        self._heart.scribe.write([fact])
        self._heart.hurry()
        where = "everywhere" if site_id is None else f"at {self._heart.image.sites[site_id].site.name}"
        return Receipt(accepted=True, detail=f"Discharge is stopped {where}. Charging for departures goes on.")

    async def _release(self, request: ReleaseDischarge, now: dt.datetime) -> Receipt:
        if not request.why.strip():
            raise Refused("a release needs a reason", remedy="Say in a few words why discharge may go on")
        site_id = self._site(request.site_id)
        await self._heart.scribe.drained(DRAIN_S)  # a stop that is still on its way would come after its release
        await self._inbox.record(
            [f.DischargeReleased(at=now, by=request.by, why=request.why[:WHY_MAX_CHARS], site_id=site_id)]
        )
        return Receipt(accepted=True, detail="Discharge may go on; stations follow within seconds.")

    async def _departure(self, request: SetDeparture, now: dt.datetime) -> Receipt:
        evse = next(
            (e for e in self._heart.image.evses.values() if e.vehicle and e.vehicle.id == request.vehicle_id), None
        )
        if evse is None or evse.vehicle is None:
            raise Refused("no such vehicle", got=request.vehicle_id)
        refuse_naive(request.departs)
        if not now < request.departs <= now + DEPARTURE_AHEAD_MAX:
            raise Refused(
                "the departure must lie ahead",
                got=iso(request.departs),
                expected=f"after {iso(now)}, within 14 days",
            )
        if not 0 < request.soc_required <= 1:
            raise Refused("soc_required is out of range", got=request.soc_required, expected="above 0, at most 1")
        vehicle = evse.vehicle
        await self._inbox.record(
            [
                f.DepartureSet(
                    at=now,
                    vehicle_id=VehicleId(vehicle.id),
                    departs=request.departs,
                    soc_required=request.soc_required,
                    by=request.by,
                )
            ]
        )
        energy_kwh = self._heart.image.energy_kwh(evse)
        result = departure_outlook(
            evse,
            now,
            request.departs,
            need_kwh=request.soc_required * vehicle.capacity_kwh,
            energy_kwh=energy_kwh,
            fed=fed(self._heart.image.sites[evse.station.site_id]),
        )
        if result.ok:
            return Receipt(accepted=True, detail=f"{vehicle.name} will be ready: {result.reason}.")
        return Receipt(
            accepted=True,
            detail=f"{vehicle.name} will probably not be ready: {result.reason}. It charges as best it can.",
        )

    async def _accept(self, request: AcceptCharger, now: dt.datetime) -> Receipt:
        """Take an exchanged charger for the right one, or say beforehand which one will come."""
        evse = self._evse_of(request.station_id)
        serial = request.serial.strip()
        said = evse.stranger or StationIdentity(vendor=evse.station.vendor, model=evse.station.model, serial=serial)
        if said.serial != serial:
            raise Refused(
                "another charger answers there",
                where=request.station_id,
                got=serial or "no serial number",
                expected=said.serial or "no serial number",
                remedy="Read the serial number on the charger itself",
            )
        await self._inbox.record(
            [
                f.IdentityAccepted(
                    at=now,
                    station_id=evse.station.id,
                    vendor=said.vendor,
                    model=said.model,
                    serial=serial,
                    by=request.by,
                ),
                f.AlarmCleared(at=now, key=f"identity:{request.station_id}"),
            ]
        )
        what = "is commanded from now on" if evse.online else "is expected at its next start"
        return Receipt(accepted=True, detail=f"{request.station_id}: {said.words()}, {what}.")

    def _evse_of(self, station_id: str) -> EvseImage:
        evse = next((e for e in self._heart.image.evses.values() if e.station.id == station_id), None)
        if evse is None:
            raise Refused("no such station", got=station_id, remedy="revere station list shows all")
        return evse

    async def _order_station(self, request: OrderStation, now: dt.datetime) -> Receipt:
        """Journal who asks what, ask it, journal and tell how the station answered."""
        evse, kind = self._evse_of(request.station_id), kind_of(request.order)
        self._heart.modes.judge(evse, request.order, self._heart.running_events(now), now)
        station_id = evse.station.id
        self._serial += 1
        command_id = CommandId(f"{kind}-{int(now.timestamp())}-{self._serial}")
        asked = f.StationOrdered(
            at=now, command_id=command_id, station_id=station_id, kind=kind, by=request.by, status="asked"
        )
        await self._inbox.record([asked])
        answer = await _in_time(self._carry_out(station_id, request.order))
        why = answer.why[:200]
        ended = msgspec.structs.replace(asked, at=self._heart.clock.now(), status=answer.status, why=why)
        await self._inbox.record([ended])
        accepted = answer.status == "accepted"
        said = f"has accepted {kind}" if accepted else f"did not do {kind}: {answer.status}"
        detail = f"{station_id} {said}{f' ({answer.why})' if answer.why else ''}."
        if accepted and isinstance(request.order, SetAvailability) and not request.order.operative:
            detail += self._what_waits(station_id, now)
        return Receipt(accepted=accepted, detail=detail, reference=command_id, details=answer.details)

    def _what_waits(self, station_id: StationId, now: dt.datetime) -> str:
        """Which departure a station out of service cannot serve, for whoever has just put it there; empty if none."""
        image = self._heart.image
        slot = next((slot for slot in read_slots(image, now) if slot.evse.station.id == station_id), None)
        if slot is None or not slot.presence.journeys:
            return ""
        vehicle, journey = slot.evse.vehicle, slot.presence.journeys[0]
        lacks_kwh = journey.needed_kwh - slot.energy_kwh
        if vehicle is None or not slot.known or lacks_kwh < LACKS_TOLD_KWH:
            return ""
        leaves = f"{local(journey.depart, image.fleet.programme.zone):%a %H:%M}"
        return f" {vehicle.name} leaves {leaves} and lacks {lacks_kwh:.0f} kWh: put it back in time."

    async def _carry_out(self, station_id: StationId, order: Order) -> Answer:
        """The order at its link; a way to us by a higher security profile is kept before the station hears of it."""

        async def ask() -> Answer:
            return await self._heart.link.carry_out(station_id, order)

        if not isinstance(order, SetNetworkProfile) or self._upgrade is None:
            return await ask()
        try:
            return await self._upgrade.tell(station_id, order, ask)
        except Refused as error:
            return Answer(status="rejected", why=error.text())

    async def _tell_station(self, request: TellStation, now: dt.datetime) -> Receipt:
        """Ask a station, journal who asked and what it said. What it then does, its own messages tell."""
        evse = self._evse_of(request.station_id)
        plan = self._station_call(request, evse)
        self._serial += 1
        command_id = CommandId(f"{request.action}-{int(now.timestamp())}-{self._serial}")
        issued = f.CommandIssued(
            at=now, command_id=command_id, station_id=evse.station.id, kind=request.action, by=request.by
        )
        await self._inbox.record([issued])
        answer = await _in_time(plan())
        accepted = answer.status == "accepted"
        outcome: Literal["confirmed", "expired", "rejected"] = "confirmed" if accepted else "rejected"
        if answer.status == "timeout":
            outcome = "expired"
        why = "" if accepted else f"{answer.status}: {answer.why}"
        ended = f.CommandEnded(at=self._heart.clock.now(), command_id=command_id, outcome=outcome, why=why[:200])
        await self._inbox.record([ended])
        said = "has accepted it; its own messages show what it does" if accepted else f"did not do it ({why})"
        if accepted and request.action == "revoke":
            closed = f", and {answer.why}" if answer.why else ""
            said = f"comes in by no certificate that was made until now{closed}. Make it a new one"
        return Receipt(accepted=accepted, detail=f"{evse.station.id} {said}.", reference=command_id)

    def _station_call(self, request: TellStation, evse: EvseImage) -> Callable[[], Awaitable[Answer]]:
        """The call that an action means, refused where it cannot mean any."""
        link, station_id, session_id = self._heart.link, evse.station.id, evse.session_id
        match request.action:
            case "start":
                if session_id is not None:
                    raise Refused("a session runs there already", got=session_id, remedy="Stop it first")
                if evse.vehicle is None:
                    raise Refused("no vehicle is registered at that station", got=station_id)
                token = evse.vehicle.token
                return lambda: link.remote_start(station_id, 1, token)
            case "stop":
                if session_id is None:
                    raise Refused("no session runs there", got=station_id)
                return lambda: link.remote_stop(station_id, session_id)
            case "secret":
                rotation = self._rotation
                if rotation is None:
                    raise Refused("secrets are not renewed here", got=station_id)
                rotation.check(station_id)
                return lambda: rotation.renew(station_id)
            case "revoke":
                certificates = self._certificates
                if certificates is None:
                    raise Refused("certificates are not revoked here", got=station_id)
                certificates.check(station_id)
                return lambda: certificates.revoke(station_id, request.by)
            case "clear":

                async def clear() -> Answer:
                    answer = await link.clear_setpoint(station_id, 1)
                    self._heart.tell_again(f.evse_asset(station_id, 1))
                    return answer

                return clear

    async def _acknowledge(self, request: AcknowledgeAlarm, now: dt.datetime) -> Receipt:
        if request.key not in self._heart.image.alarms:
            raise Refused("no such alarm is open", got=request.key, remedy="It may be over: look at the list again")
        await self._inbox.record([f.AlarmAcknowledged(at=now, key=request.key, by=request.by)])
        return Receipt(accepted=True, detail=f"Noted: {request.by} has seen it.")


async def _in_time(asking: Awaitable[Answer]) -> Answer:
    """A station's answer, or that it gave none: a person waits for it."""
    try:
        async with asyncio.timeout(STATION_ANSWERS_S):
            return await asking
    except TimeoutError:
        return Answer(status="timeout", why=f"no answer within {STATION_ANSWERS_S:g} s")
