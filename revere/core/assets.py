"""What a programme is made of: sites, feeders, stations, vehicles, participants, contracts.

Powers named ``*_limit_kw`` and nameplates are magnitudes (>= 0). Signed powers are positive when
charging. A missing export limit means no export; a missing import limit is refused.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from revere.core.ids import FeederId, ParticipantId, ProgramId, SiteId, StationId, TenantId, VehicleId
from revere.core.tariff import Tariff

SiteKind = Literal["school", "municipal", "home"]
UtilityKind = Literal["investor_owned", "municipal_light_plant"]
Days = Literal["school", "weekday", "weekend", "daily"]
Protocol = Literal["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]
SecurityProfile = Literal[0, 1, 2, 3]
"""OCPP's: 0 nothing (benches), 1 Basic secret, 2 the same by TLS, 3 TLS with the station's own certificate."""
LOAD_SHAPES = ("home", "office", "school", "warehouse")
"""Kinds of building whose day is known before it is measured."""
RULES = ("connectedsolutions_ci_daily", "connectedsolutions_ci_targeted", "connectedsolutions_res")
"""Rulebook entries that a program may be settled by."""


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every immutable noun."""


class Feeder(Struct, frozen=True, kw_only=True):
    """A distribution circuit shared by sites; the limits bound the sum of what their stations add."""

    id: FeederId
    name: str
    import_limit_kw: float
    export_limit_kw: float = 0.0


class Site(Struct, frozen=True, kw_only=True):
    """One grid connection and utility account.

    ``critical_load_kw`` is the mean load to keep alive in an outage. ``load_shape`` names the kind
    of building, whose peak is ``load_peak_kw``. ``block_group`` is the 2020 census block group.
    """

    id: SiteId
    name: str
    kind: SiteKind
    town: str
    utility: str
    utility_kind: UtilityKind
    utility_account: str
    feeder_id: FeederId
    participant_id: ParticipantId
    tariff_id: str
    import_limit_kw: float
    export_limit_kw: float = 0.0
    load_shape: str
    load_peak_kw: float
    solar_kw: float = 0.0
    transfer_switch: bool = False
    critical_load_kw: float = 0.0
    backup_reserve_soc: float = 0.0
    block_group: str = ""
    latitude: float | None = None
    longitude: float | None = None


SERIAL_MAX_CHARS = 25
"""OCPP 1.6 carries no longer serial number; a longer one is cut there."""


class StationIdentity(Struct, frozen=True, kw_only=True):
    """Which charger it is: what its maker wrote on it. Empty where it does not say."""

    vendor: str = ""
    model: str = ""
    serial: str = ""

    def same_as(self, said: StationIdentity) -> bool:
        """Whether ``said`` is this charger: by serial, or by vendor and model where one of the two has none."""
        if self.serial and said.serial:
            cut = len(said.serial) >= SERIAL_MAX_CHARS
            return self.serial == said.serial or (cut and self.serial.startswith(said.serial))
        return (self.vendor.casefold(), self.model.casefold()) == (said.vendor.casefold(), said.model.casefold())

    def words(self) -> str:
        """For people: ``Acme V2G-60, serial A1``."""
        return f"{self.vendor} {self.model}, {f'serial {self.serial}' if self.serial else 'without a serial number'}"


VENDOR_CLOUD = "vendor-cloud"
"""The charger model of a station that only its vendor's cloud reaches or commands: metered at best, never told."""


class Station(Struct, frozen=True, kw_only=True):
    """A charging station (in this release with one EVSE, number 1).

    ``charge_kw`` and ``discharge_kw`` are AC nameplate magnitudes; 0 discharge = charges only.
    An empty ``serial`` is learned at the first boot.
    ``meters_site`` marks the station that also reports the site's main meter (OCPP EVSE 0).
    """

    id: StationId
    site_id: SiteId
    vendor: str
    model: str
    serial: str = ""
    protocol: Protocol
    connector: str
    charge_kw: float
    discharge_kw: float = 0.0
    can_form_grid: bool = False
    meters_site: bool = False
    security_profile: SecurityProfile = 1
    next_security_profile: SecurityProfile | None = None
    """The higher one that it was told to come in by, until it has."""
    charger_model: str = ""
    """The kind of charger where it is named; else what it says at its boot decides."""


class Trip(Struct, frozen=True, kw_only=True):
    """A journey of the roster: leave, be away, use energy, come back. Local wall-clock times."""

    name: str
    days: Days
    depart: dt.time
    back: dt.time
    energy_kwh: float


class Vehicle(Struct, frozen=True, kw_only=True):
    """A battery on wheels and its roster.

    ``soc_min`` is the floor that no grid service goes below; ``departure_margin`` multiplies a
    trip's energy to give what must be in the battery above ``soc_min`` at departure.
    """

    id: VehicleId
    name: str
    kind: Literal["bus", "car"]
    make: str
    station_id: StationId
    token: str
    capacity_kwh: float
    charge_kw: float
    discharge_kw: float
    soc_min: float = 0.15
    soc_max: float = 1.0
    departure_margin: float = 1.25
    trips: tuple[Trip, ...] = ()


TokenKind = Literal["Central", "eMAID", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress"]
"""How a token is shown, in the standard's words: by a card's chip, a keypad, the vehicle, or from here."""


class Card(Struct, frozen=True, kw_only=True):
    """A driver's card, or another token, that starts a session without being a vehicle's own.

    ``group``: cards of one group end each other's sessions. No ``stations``: it is good at all of them. ``hours`` are
    local wall-clock times, from (included) until (not); they may span midnight.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=36)]
    name: str = ""
    kind: TokenKind = "ISO14443"
    group: Annotated[str, msgspec.Meta(max_length=36)] = ""
    blocked: bool = False
    valid_from: dt.datetime | None = None
    valid_until: dt.datetime | None = None
    stations: tuple[StationId, ...] = ()
    hours: tuple[dt.time, dt.time] | None = None


AuthorizationStatus = Literal["accepted", "blocked", "expired", "unknown", "not_here", "not_now"]


class Authorization(Struct, frozen=True, kw_only=True):
    """What a station hears of a token: whether it may charge there now, with whom, and how long that is to be believed.

    ``not_here``: it is good, but at another station; ``not_now``: at another time. ``kind``: as what it is registered;
    a token of our own making is ``Central``.
    """

    status: AuthorizationStatus
    kind: TokenKind = "Central"
    group: str = ""
    until: dt.datetime | None = None

    @property
    def accepted(self) -> bool:
        """Whether it may charge."""
        return self.status == "accepted"


class ListedToken(Struct, frozen=True, kw_only=True):
    """A token that a station should know by itself, and what it should say of it."""

    token: str
    kind: TokenKind
    found: Authorization


class Participant(Struct, frozen=True, kw_only=True):
    """A town, a district or a person who takes part."""

    id: ParticipantId
    name: str
    kind: SiteKind
    grant_usd: Decimal
    block_group: str = ""


class Program(Struct, frozen=True, kw_only=True):
    """A contract that pays for events, and the rule that says how."""

    id: ProgramId
    name: str
    rule: str
    utilities: tuple[str, ...]
    site_kinds: tuple[SiteKind, ...]
    openadr_program: str


class BlockGroupInputs(Struct, frozen=True, kw_only=True):
    """What the environmental-justice criteria look at in a census block group; shares 0 to 1, absent = unknown."""

    id: str
    income_usd: Decimal | None = None
    minority: Decimal | None = None
    limited_english: Decimal | None = None
    town_income_usd: Decimal | None = None
    statewide_income_usd: Decimal | None
    source: str


class Programme(Struct, frozen=True, kw_only=True):
    """The whole: whose it is, where its clock stands, which days school is shut.

    ``simulated`` says whether vehicles and buildings are the twin's; absent: nobody said, and the guide says so.
    ``master_group``: cards of this group end any session (the police's); they start none.
    """

    id: TenantId
    name: str
    zone: str
    school_closed: tuple[dt.date, ...] = ()
    holidays: tuple[dt.date, ...] = ()
    simulated: bool | None = None
    master_group: str = ""


class Fleet(Struct, frozen=True, kw_only=True):
    """Everything that the control room knows about its programme (nothing that only the plant knows)."""

    programme: Programme
    feeders: tuple[Feeder, ...]
    sites: tuple[Site, ...]
    stations: tuple[Station, ...]
    vehicles: tuple[Vehicle, ...]
    participants: tuple[Participant, ...]
    programs: tuple[Program, ...]
    tariffs: tuple[Tariff, ...]
    block_groups: tuple[BlockGroupInputs, ...] = ()
    cards: tuple[Card, ...] = ()

    def discharge_nameplate_kw(self) -> float:
        """Sum of the stations' discharge nameplates, kW, a magnitude."""
        return sum(station.discharge_kw for station in self.stations)


def runs_on(trip: Trip, day: dt.date, programme: Programme) -> bool:
    """Whether ``trip`` runs on local date ``day``."""
    weekday = day.weekday() < 5
    match trip.days:
        case "daily":
            return True
        case "weekday":
            return weekday
        case "weekend":
            return not weekday
        case "school":
            return weekday and day not in programme.school_closed and day not in programme.holidays


def program_of(site: Site, programs: tuple[Program, ...]) -> Program | None:
    """The grid-event program that the site may enrol in, decided by its meter account's utility.

    A municipal light plant's customer cannot enrol (programme.md, section 0.2).
    """
    if site.utility_kind != "investor_owned":
        return None
    for program in programs:
        if site.utility in program.utilities and site.kind in program.site_kinds:
            return program
    return None
