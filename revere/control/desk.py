"""The desk: what a person (by page, API or command line) may ask of the running heart."""

from __future__ import annotations

import datetime as dt
from typing import Literal, Protocol

import msgspec

from revere.control.view import CommissioningView, ConsoleView, ScheduleView, StationView
from revere.core.device_model import DeviceVariable
from revere.core.orders import Order
from revere.core.portrait import FrameShown


class StopDischarge(msgspec.Struct, frozen=True, kw_only=True):
    """One person, one action: no discharge (everywhere, or at one site) until released."""

    by: str
    why: str = ""
    site_id: str | None = None


class ReleaseDischarge(msgspec.Struct, frozen=True, kw_only=True):
    """Lift the stop."""

    by: str
    why: str
    site_id: str | None = None


class SetDeparture(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle must be ready at a moment with a state of charge (0 to 1)."""

    vehicle_id: str
    departs: dt.datetime
    soc_required: float
    by: str


class CallEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A GridEvent recorded by hand: a call that came by telephone, or a drill, which nobody pays."""

    program_id: str
    start: dt.datetime
    end: dt.datetime
    by: str
    drill: bool = False


class WithdrawEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Take a call by hand back, as if it had never stood."""

    grid_event_id: str
    by: str
    why: str


class OptEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Take part in an event or not, and why."""

    grid_event_id: str
    opt_in: bool
    by: str
    why: str


class AcknowledgeAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """A person has seen an alarm."""

    key: str
    by: str


class AcceptCharger(msgspec.Struct, frozen=True, kw_only=True):
    """A station was exchanged: the charger with this serial number is the right one from now on."""

    station_id: str
    serial: str
    by: str


class TellStation(msgspec.Struct, frozen=True, kw_only=True):
    """Start or stop a station's session, clear our profile there, give it a new secret, revoke its certificates."""

    station_id: str
    action: Literal["start", "stop", "clear", "secret", "revoke"]
    by: str


class OrderStation(msgspec.Struct, frozen=True, kw_only=True):
    """Anything else that may be asked of one station."""

    station_id: str
    order: Order
    by: str


class SetLock(msgspec.Struct, frozen=True, kw_only=True):
    """A technician works at one station or site: 0 kW there, and no command but a stop."""

    by: str
    why: str
    station_id: str | None = None
    site_id: str | None = None


class CommissionSite(msgspec.Struct, frozen=True, kw_only=True):
    """Check that a site can be left to its fallback; ``waive_until`` and ``why`` where it cannot and may give yet."""

    site_id: str
    by: str
    waive_until: dt.datetime | None = None
    why: str = ""


class LiftLock(msgspec.Struct, frozen=True, kw_only=True):
    """Another person than the technician has looked: the locks there that others set are lifted."""

    by: str
    why: str
    station_id: str | None = None
    site_id: str | None = None


class ChangeCard(msgspec.Struct, frozen=True, kw_only=True):
    """A driver's card is added (or given these values), blocked, or forgotten."""

    by: str
    token: str
    action: Literal["add", "block", "remove"]
    name: str = ""
    group: str = ""
    until: dt.datetime | None = None
    stations: tuple[str, ...] = ()


class StartCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """New firmware for stations of one kind: those named, in that order, or all of the kind."""

    version: str
    location: str
    by: str
    stations: tuple[str, ...] = ()
    vendor: str = ""
    model: str = ""
    signing_certificate: str = ""
    signature: str = ""


class TellCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """Begin with no further station until resumed, go on, or never more. What a station has begun, it ends."""

    campaign_id: str
    order: Literal["pause", "resume", "abort"]
    by: str
    why: str = ""


Ask = (
    AcknowledgeAlarm
    | TellStation
    | OrderStation
    | StopDischarge
    | ReleaseDischarge
    | SetDeparture
    | CallEvent
    | WithdrawEvent
    | OptEvent
    | AcceptCharger
    | SetLock
    | LiftLock
    | StartCampaign
    | TellCampaign
    | CommissionSite
    | ChangeCard
)


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. ``detail`` is a sentence for the person who asked, ``details`` what a station told besides."""

    accepted: bool
    detail: str
    reference: str = ""
    details: tuple[tuple[str, str], ...] = ()


class Desk(Protocol):
    """Reached from the web's thread: both calls are safe from any thread."""

    def view(self) -> ConsoleView | None:
        """The last published picture, None before the first tick."""
        ...

    async def station(self, station_id: str) -> StationView:
        """What is known of one station. Raises ``Refused`` for an unknown one."""
        ...

    async def variables(self, station_id: str) -> tuple[tuple[str, DeviceVariable], ...]:
        """Its device model, as it told it last, by name."""
        ...

    async def commissioning(self, site_id: str) -> CommissioningView:
        """What a site's fallback means for its service and its routes, and what was decided. Raises ``Refused``."""
        ...

    async def frames(self, station_id: str) -> tuple[FrameShown, ...]:
        """Its last messages, both ways, without secrets, the oldest first."""
        ...

    async def schedule(self, station_id: str) -> ScheduleView:
        """What it says now that it will follow. Raises ``Unavailable`` or ``Refused`` where it does not say."""
        ...

    async def ask(self, request: Ask) -> Receipt:
        """Do it and say what became of it. Raises ``Refused`` or ``Unavailable`` with the reason."""
        ...
