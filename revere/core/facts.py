"""Facts: what happened, appended to the journal and never edited.

``at`` is when we learned it, by our own clock; ``ts`` is when the source says that it was.
Powers are kW with charging positive; registers are whole watt-hours as the meter counts them.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from revere.core.fact_base import FactBase
from revere.core.ids import CommandId, GridEventId, ProgramId, SessionId, SiteId, StationId, VehicleId
from revere.core.upkeep import CampaignEnded as CampaignEnded
from revere.core.upkeep import CampaignStarted as CampaignStarted
from revere.core.upkeep import CampaignStep as CampaignStep
from revere.core.upkeep import CampaignTold as CampaignTold
from revere.core.upkeep import FirmwarePublished as FirmwarePublished
from revere.core.upkeep import FirmwareReported as FirmwareReported
from revere.core.upkeep import FirmwareStatus as FirmwareStatus
from revere.core.upkeep import LogReported as LogReported
from revere.core.upkeep import MonitorReported as MonitorReported
from revere.core.upkeep import NumberGiven as NumberGiven
from revere.core.v2x_facts import DerControlReported as DerControlReported
from revere.core.v2x_facts import ExternalLimitLifted as ExternalLimitLifted
from revere.core.v2x_facts import ExternalLimitReported as ExternalLimitReported
from revere.core.v2x_facts import OperationModeEnded as OperationModeEnded
from revere.core.v2x_facts import OperationModeReported as OperationModeReported
from revere.core.v2x_facts import OperationModeSet as OperationModeSet
from revere.core.v2x_facts import PriorityChargingReported as PriorityChargingReported
from revere.core.v2x_facts import VehicleScheduleReported as VehicleScheduleReported

Place = Literal["ac_inlet", "dc_outlet", "site"]
ReadingContext = Literal["periodic", "clock", "begin", "end", "trigger"]
Standing = Literal["Accepted", "Pending", "Rejected"]
EvseStatus = Literal["available", "occupied", "reserved", "unavailable", "faulted"]


BY_HAND = "operator:"
"""How the source of a call begins that a person recorded; the name follows."""
OTHER_CHARGER = "another charger than the accepted one"
"""Why a reading is kept out of settlement alone: its registers are another meter's, but what flows now flows."""


class StationConnected(FactBase, frozen=True, tag=True, kw_only=True):
    """A station authenticated and opened its socket; ``generation`` counts its connections."""

    station_id: StationId
    protocol: str
    generation: int


class StationDisconnected(FactBase, frozen=True, tag=True, kw_only=True):
    """That socket closed."""

    station_id: StationId
    generation: int
    reason: str = ""


class StationBooted(FactBase, frozen=True, tag=True, kw_only=True):
    """BootNotification: who the station says it is."""

    station_id: StationId
    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""
    reason: str = ""


class StationHeld(FactBase, frozen=True, tag=True, kw_only=True):
    """A station has booted and may not work: not yet (Pending), or not at all (Rejected)."""

    station_id: StationId
    standing: Standing
    why: str
    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""


class IdentityAccepted(FactBase, frozen=True, tag=True, kw_only=True):
    """This is the charger that we take the station to be: learned at its first boot, or by a person's word."""

    station_id: StationId
    vendor: str
    model: str
    serial: str
    by: str


class IdentityRefused(FactBase, frozen=True, tag=True, kw_only=True):
    """Another charger than the accepted one booted with the station's secret: it is not commanded."""

    station_id: StationId
    vendor: str
    model: str
    serial: str


class StationProvisioned(FactBase, frozen=True, tag=True, kw_only=True):
    """What the device model reported and what was set and read back at boot."""

    station_id: StationId
    variables: dict[str, str]
    problems: tuple[str, ...] = ()


class StationRecognised(FactBase, frozen=True, tag=True, kw_only=True):
    """The kind of charger that a station was taken for.

    One that is not ``controllable`` is metered and never told; one without ``discharges`` is told to charge alone.
    """

    station_id: StationId
    model: str
    controllable: bool = True
    discharges: bool = True


class SignedValueReceived(FactBase, frozen=True, tag=True, kw_only=True):
    """A meter value as the meter signed it, kept byte for byte: nothing of ours is in ``signed`` or ``public_key``."""

    asset_id: str
    ts: dt.datetime
    measurand: str
    signed: str
    encoding: str
    method: str = ""
    public_key: str = ""
    session_id: SessionId | None = None


class MessageKept(FactBase, frozen=True, tag=True, kw_only=True):
    """What a station told or asked of something that Revere does not do: payments, displays, vehicles' contracts ..."""

    station_id: StationId
    action: str
    text: str


class StreamValuesReceived(FactBase, frozen=True, tag=True, kw_only=True):
    """Values of a periodic event stream, as the station told them: (seconds after ``ts``, value).

    ``monitor`` is the station's number of what it watches; ``pending`` values wait there still.
    """

    station_id: StationId
    stream: int
    monitor: int
    ts: dt.datetime
    values: tuple[tuple[float, str], ...]
    pending: int = 0


class ScheduleRead(FactBase, frozen=True, tag=True, kw_only=True):
    """What a station says it follows, read when it comes back before anything is asked of it anew.

    ``steps``: (from, kW): the setpoint where one holds, else the most that it would charge with.
    """

    station_id: StationId
    evse_id: int
    steps: tuple[tuple[dt.datetime, float], ...]


class StatusReported(FactBase, frozen=True, tag=True, kw_only=True):
    """An EVSE's availability."""

    station_id: StationId
    evse_id: int
    status: EvseStatus
    ts: dt.datetime


class ClockSkewMeasured(FactBase, frozen=True, tag=True, kw_only=True):
    """Station clock minus ours, seconds; over 60 s its readings are quarantined for settlement."""

    station_id: StationId
    skew_s: float


class SecurityEventReported(FactBase, frozen=True, tag=True, kw_only=True):
    """Something of security at a station: its own notification, or what our door refused under its id.

    ``type`` is OCPP's word where the station speaks; ``count`` is how many it stands for.
    """

    station_id: StationId
    type: str
    ts: dt.datetime
    source: Literal["station", "door"]
    detail: str = ""
    count: int = 1


class SessionStarted(FactBase, frozen=True, tag=True, kw_only=True):
    """Plug-in. ``token`` identifies the vehicle where the registry knows it."""

    station_id: StationId
    evse_id: int
    session_id: SessionId
    token: str
    ts: dt.datetime


class SessionEnded(FactBase, frozen=True, tag=True, kw_only=True):
    """Plug-out."""

    station_id: StationId
    session_id: SessionId
    ts: dt.datetime
    reason: str = ""


class EnergyNeeds(FactBase, frozen=True, tag=True, kw_only=True):
    """What the vehicle told its station (ISO 15118): power bounds (magnitudes), energy, departure.

    ``to_least_kwh`` and ``to_most_kwh`` lead from its energy then to the least at which it still gives and to the most
    that it takes: a negative least is what it may give.
    """

    station_id: StationId
    evse_id: int
    charge_max_kw: float | None = None
    discharge_max_kw: float | None = None
    capacity_kwh: float | None = None
    soc: float | None = None
    departure: dt.datetime | None = None
    to_least_kwh: float | None = None
    to_most_kwh: float | None = None
    scheduled: bool = False
    """It follows the schedule that it was offered (ISO 15118-20 scheduled control), no setpoint of the moment."""


class MeterReading(FactBase, frozen=True, tag=True, kw_only=True):
    """One stamped sample of a meter.

    ``asset_id`` is ``station/evse`` or a site's id. Absent quantities are None, never 0.
    ``power_kw`` charging positive; registers in Wh; ``soc`` 0 to 1; ``clock`` marks aligned values.
    """

    asset_id: str
    place: Place
    ts: dt.datetime
    context: ReadingContext
    import_wh: int | None = None
    export_wh: int | None = None
    power_kw: float | None = None
    soc: float | None = None
    session_id: SessionId | None = None
    quarantined: str = ""


class GridEventReceived(FactBase, frozen=True, tag=True, kw_only=True):
    """A call or a change of it: the highest ``modification`` counts.

    ``source`` is the utility's protocol, or ``BY_HAND`` and the name of the person who recorded it or took it back,
    with ``why``. A ``drill`` is an exercise of our own: no utility called, so nothing is settled for it.
    """

    grid_event_id: GridEventId
    program_id: ProgramId
    start: dt.datetime
    end: dt.datetime
    modification: int = 0
    cancelled: bool = False
    source: str = "openadr3"
    drill: bool = False
    why: str = ""


class Nominated(FactBase, frozen=True, tag=True, kw_only=True):
    """The kW that we promise for an event (relief positive), from which plan and by how much."""

    grid_event_id: GridEventId
    nominated_kw: float
    lowest_mean_kw: float
    by_site_kw: dict[str, float]


class OptDecided(FactBase, frozen=True, tag=True, kw_only=True):
    """Whether we take part, who decided and why."""

    grid_event_id: GridEventId
    opt: Literal["in", "out"]
    by: str
    why: str


class PlanMade(FactBase, frozen=True, tag=True, kw_only=True):
    """A fleet schedule was computed; times of computing are not facts and stay out."""

    objective_usd: float
    steps: int
    status: str
    shortfalls: dict[str, float] = msgspec.field(default_factory=dict)


class CommandIssued(FactBase, frozen=True, tag=True, kw_only=True):
    """We asked a station for something; ends as confirmed, rejected or expired."""

    command_id: CommandId
    station_id: StationId
    kind: str
    detail: dict[str, float | str] = msgspec.field(default_factory=dict)
    by: str = "control"


class CommandEnded(FactBase, frozen=True, tag=True, kw_only=True):
    """How it ended. ``confirmed`` for a setpoint means that readings agree, not that it was accepted."""

    command_id: CommandId
    outcome: Literal["confirmed", "rejected", "expired", "superseded"]
    why: str = ""
    said: Literal["", "accepted"] = ""
    """Whether the station had accepted it, whatever its meter showed."""


class StationOrdered(FactBase, frozen=True, tag=True, kw_only=True):
    """A person's order to a station: first ``asked``, then how it was answered. No payload and no secret is in it."""

    command_id: CommandId
    station_id: StationId
    kind: str
    by: str
    status: Literal["asked", "accepted", "rejected", "timeout", "offline", "too_early"]
    why: str = ""


class CardChanged(FactBase, frozen=True, tag=True, kw_only=True):
    """A person has added, blocked or removed a driver's card."""

    by: str
    token: str
    action: Literal["add", "block", "remove"]


class GridLost(FactBase, frozen=True, tag=True, kw_only=True):
    """A site's grid is dead (reported by alarm or meter)."""

    site_id: SiteId
    ts: dt.datetime
    source: str = ""


class GridRestored(FactBase, frozen=True, tag=True, kw_only=True):
    """The grid is back."""

    site_id: SiteId
    ts: dt.datetime


class OutageSuspected(FactBase, frozen=True, tag=True, kw_only=True):
    """A site fell silent as if its grid had died (the link may die with it): no proof, so nothing is settled by it."""

    site_id: SiteId
    ts: dt.datetime
    why: str


class GridProven(FactBase, frozen=True, tag=True, kw_only=True):
    """A suspected site is back and its grid is live, by what its meters show."""

    site_id: SiteId
    ts: dt.datetime
    why: str


class TransferSwitchReported(FactBase, frozen=True, tag=True, kw_only=True):
    """Whether the site is separated from the grid, as its switch reports."""

    site_id: SiteId
    open: bool
    ts: dt.datetime


class DepartureSet(FactBase, frozen=True, tag=True, kw_only=True):
    """Somebody asked for a vehicle to be ready: overrides the roster's next departure."""

    vehicle_id: VehicleId
    departs: dt.datetime
    soc_required: float
    by: str


class DischargeStopped(FactBase, frozen=True, tag=True, kw_only=True):
    """One person stopped all discharge (of the programme, or of one site)."""

    by: str
    why: str = ""
    site_id: SiteId | None = None


class DischargeReleased(FactBase, frozen=True, tag=True, kw_only=True):
    """The stop was lifted."""

    by: str
    why: str = ""
    site_id: SiteId | None = None


class Locked(FactBase, frozen=True, tag=True, kw_only=True):
    """A technician's lock on one station, or on all of a site: 0 kW, and no command but a stop until it is lifted."""

    by: str
    why: str
    station_id: StationId | None = None
    site_id: SiteId | None = None


class Unlocked(FactBase, frozen=True, tag=True, kw_only=True):
    """Lifted: every lock there that somebody else than ``by`` had set."""

    by: str
    why: str
    station_id: StationId | None = None
    site_id: SiteId | None = None


class SiteCommissioned(FactBase, frozen=True, tag=True, kw_only=True):
    """A site as registered (``digest``) may be left to its fallback, or a person waived that until a moment.

    ``over_kw``: what passes its import limit at worst. ``short_kwh``: what each vehicle lacks on the defaults alone.
    """

    site_id: SiteId
    by: str
    digest: str
    over_kw: float
    short_kwh: dict[str, float]
    waived_until: dt.datetime | None = None
    why: str = ""


class LockProven(FactBase, frozen=True, tag=True, kw_only=True):
    """A locked station's meter shows that it rests: from now on nothing but a stop reaches it."""

    station_id: StationId
    power_kw: float


class AlarmRaised(FactBase, frozen=True, tag=True, kw_only=True):
    """Something that a person should know; ``key`` makes it idempotent, ``count`` is how many it stands for."""

    key: str
    severity: Literal["info", "warning", "critical"]
    subject: str
    text: str
    count: int = 1


class AlarmCleared(FactBase, frozen=True, tag=True, kw_only=True):
    """It is over."""

    key: str


class AlarmAcknowledged(FactBase, frozen=True, tag=True, kw_only=True):
    """Somebody has seen it. What is told once and never taken back ends with that."""

    key: str
    by: str


class EventReported(FactBase, frozen=True, tag=True, kw_only=True):
    """We settled an event and reported its performance to the utility, kW, relief positive; again after late data.

    None where nothing was measured, as for a call that was declined before it began. ``held`` says by site why nothing
    is paid for it there (yet). A drill is measured alone.
    """

    grid_event_id: GridEventId
    performance_kw: float | None
    report_id: str
    held: dict[str, str] = msgspec.field(default_factory=dict)


StationFact = (
    StationConnected
    | StationDisconnected
    | StationBooted
    | IdentityAccepted
    | IdentityRefused
    | StationProvisioned
    | StationRecognised
    | ScheduleRead
    | StatusReported
    | ClockSkewMeasured
    | SessionStarted
    | SessionEnded
    | EnergyNeeds
    | ExternalLimitReported
    | ExternalLimitLifted
    | PriorityChargingReported
    | VehicleScheduleReported
    | DerControlReported
    | OperationModeSet
    | OperationModeEnded
    | OperationModeReported
    | FirmwareReported
)
"""What a station is, says of itself and has plugged in."""

TakesAway = GridLost | OutageSuspected | DischargeStopped | StationDisconnected | IdentityRefused
"""What takes a permission away. It binds from the moment it is heard; only its folding waits for the commit."""
RecordFact = (
    SecurityEventReported
    | SignedValueReceived
    | StreamValuesReceived
    | FirmwarePublished
    | LogReported
    | MessageKept
    | MonitorReported
    | NumberGiven
    | StationOrdered
    | StationHeld
    | CardChanged
)
"""For the record alone: what a person should know of them comes as an alarm, or is asked for."""
CampaignFact = CampaignStarted | CampaignTold | CampaignStep | CampaignEnded

Fact = (
    StationFact
    | CampaignFact
    | RecordFact
    | MeterReading
    | GridEventReceived
    | Nominated
    | OptDecided
    | PlanMade
    | CommandIssued
    | CommandEnded
    | GridLost
    | GridRestored
    | OutageSuspected
    | GridProven
    | TransferSwitchReported
    | DepartureSet
    | DischargeStopped
    | DischargeReleased
    | Locked
    | Unlocked
    | LockProven
    | SiteCommissioned
    | AlarmRaised
    | AlarmCleared
    | AlarmAcknowledged
    | EventReported
)

_encoder = msgspec.json.Encoder(order="deterministic", decimal_format="string")
_decoder: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)


def encode_fact(fact: Fact) -> bytes:
    """The canonical encoding: JSON with a fixed order of fields; the journal hash runs over it."""
    return _encoder.encode(fact)


def decode_fact(raw: bytes | str) -> Fact:
    """The fact of a canonical encoding; raises ``msgspec.ValidationError`` for anything else."""
    return _decoder.decode(raw)


def kind_and_place(fact: TakesAway) -> tuple[type, str, str | None]:
    """What is taken away and where: at a station, at a site, or (None) everywhere."""
    if isinstance(fact, StationDisconnected | IdentityRefused):
        return type(fact), "station", fact.station_id
    return type(fact), "site", fact.site_id


def evse_asset(station_id: str, evse_id: int) -> str:
    """The asset id under which an EVSE's readings are kept: ``station/evse``."""
    return f"{station_id}/{evse_id}"
