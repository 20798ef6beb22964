"""What the console shows: an immutable picture of the programme, published once per tick.

Everything here is for people and is safe to hand to a page; powers are kW with charging positive,
except where the name says ``relief`` (positive = help to the grid).
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec


class ViewBase(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the picture's parts."""


class EventView(ViewBase, frozen=True, kw_only=True):
    """The call that is running or next."""

    grid_event_id: str
    program: str
    start: dt.datetime
    end: dt.datetime
    phase: Literal["upcoming", "running", "over"]
    opt: Literal["in", "out", "undecided"]
    nominated_kw: float | None
    nominated_at: dt.datetime | None
    relief_now_kw: float | None
    relief_mean_kw: float | None
    plan_kw: float | None
    relief_mean_since: dt.datetime | None = None
    """Since when that mean is taken, where that is later than the start: the server came up in the event."""
    held: dict[str, str] = {}
    """Why nothing is paid for it (yet), by site."""
    drill: bool = False
    """An exercise of our own: measured, never paid."""


class EventRow(ViewBase, frozen=True, kw_only=True):
    """A call ahead, under way or of the last week, taken back or not. ``performance_kw`` is what registers show."""

    grid_event_id: str
    program_id: str
    program: str
    start: dt.datetime
    end: dt.datetime
    phase: Literal["upcoming", "running", "over"]
    drill: bool
    by_hand: bool
    called_by: str
    """The person, or the protocol by which the utility called."""
    opt: Literal["in", "out", "undecided"]
    opted_by: str
    opted_why: str
    nominated_kw: float | None
    performance_kw: float | None
    cancelled: bool
    cancelled_by: str
    why: str
    """Why it was taken back."""
    terms: str
    """The rules that pay it, with their rates and whether they are verified; empty for a drill and where none does."""
    leaving: str
    """What opting out would cost now."""


class ProgramRow(ViewBase, frozen=True, kw_only=True):
    """A program under which a call may be recorded."""

    program_id: str
    name: str


class ReadinessRow(ViewBase, frozen=True, kw_only=True):
    """Will this vehicle leave with what it needs?"""

    vehicle_id: str
    vehicle: str
    site_id: str
    site: str
    kind: Literal["bus", "car"]
    state: Literal["away", "charging", "discharging", "idle", "offline"]
    departure: dt.datetime | None
    trip: str
    needed_soc: float | None
    soc: float | None
    expected_soc: float | None
    slack_min: float | None
    short_kwh: float
    verdict: Literal["ready", "at_risk", "will_miss", "away", "unknown", "no_trip", "no_session"]
    why: str


class SiteRow(ViewBase, frozen=True, kw_only=True):
    """A grid connection now. ``power_kw`` is the net at the meter, ``stations_kw`` its stations' sum."""

    site_id: str
    name: str
    kind: str
    town: str
    utility: str
    program: str | None
    latitude: float | None
    longitude: float | None
    power_kw: float | None
    stations_kw: float
    building_kw: float | None
    import_limit_kw: float
    export_limit_kw: float
    stations: int
    online: int
    vehicles_in: int
    grid: Literal["live", "dead", "unknown"]
    islanded: bool
    hours_left: float | None
    discharge_stopped: bool
    silent_since: dt.datetime | None = None
    """Since when it is silent as if its grid had died, until that is proven or disproven."""
    load_known: bool = True
    """Whether its building's load is known; nothing is given behind a meter until it is."""
    commissioned: bool = True
    """Whether it may discharge: its fallback was checked, or a person waived that."""
    locked: int = 0
    """How many of its stations a technician has locked."""
    vehicles: int
    discharge_kw: float
    """What its stations can give, by their nameplates."""
    called: bool
    """Whether the event of the hour calls it; ``nominated_kw`` is its part of what was promised then."""
    nominated_kw: float | None = None


class LockView(ViewBase, frozen=True, kw_only=True):
    """A technician's lock on a station; ``whole_site`` where all stations of its site are locked with it."""

    by: str
    why: str
    since: dt.datetime
    whole_site: bool


class StationRow(ViewBase, frozen=True, kw_only=True):
    """A charger now, with the reason of its setpoint."""

    station_id: str
    site_id: str
    protocol: str
    online: bool
    status: str
    power_kw: float | None
    setpoint_kw: float | None
    why: str
    soc: float | None
    skew_s: float | None
    last_reading: dt.datetime | None
    controllable: bool = True
    """False where only its vendor's cloud can tell it anything."""
    locks: tuple[LockView, ...] = ()
    lock_proven_at: dt.datetime | None = None
    """When its meter first showed 0 kW under the lock; None: not proven that it rests."""


class TellingView(ViewBase, frozen=True, kw_only=True):
    """One thing that a station was told: what it said, and whether its meter proved it (setpoints alone are judged)."""

    command_id: str
    at: dt.datetime
    kind: str
    by: str
    setpoint_kw: float | None = None
    ended_at: dt.datetime | None = None
    said: Literal["accepted", "refused", "nothing"] | None = None
    """None while its answer is awaited."""
    proof: Literal["awaited", "confirmed", "not confirmed", "replaced", "not judged"] = "not judged"
    why: str = ""


class ScheduleStep(ViewBase, frozen=True, kw_only=True):
    """From this moment on: the setpoint where one holds, else the most that it would charge with; charging positive."""

    start: dt.datetime
    kw: float


class ScheduleView(ViewBase, frozen=True, kw_only=True):
    """What a station said at ``asked_at`` that it follows until ``end``; ``fallback`` is its charge-only default."""

    asked_at: dt.datetime
    end: dt.datetime
    steps: tuple[ScheduleStep, ...]
    fallback: tuple[ScheduleStep, ...]


class StationView(ViewBase, frozen=True, kw_only=True):
    """What is known of one station beyond its row: who it is, what it was told, what is wrong with it.

    ``stranger`` names another charger that answers in its place. ``variables`` counts what its device model told.
    """

    station_id: str
    vendor: str
    model: str
    serial: str
    firmware: str
    stranger: str
    booted_at: dt.datetime | None
    registered_protocol: str
    security_profile: int
    charge_kw: float
    discharge_kw: float
    controllable: bool
    gives: bool
    """Whether we can make it discharge, where its hardware does."""
    charger_model: str
    charger_model_why: str
    way: str
    profile_interval_s: float
    certificate_ends: dt.datetime | None
    connected_at: dt.datetime | None
    offline_at: dt.datetime | None
    problems: tuple[str, ...]
    operation_mode: str
    """In force in its session by its own word, empty where it does not say."""
    operation_mode_since: dt.datetime | None
    variables: int
    told: tuple[TellingView, ...]


class QuarterView(ViewBase, frozen=True, kw_only=True):
    """One quarter hour of a day: the worst building load, the sum of the defaults, what passes the import limit."""

    worst_load_kw: float
    defaults_kw: float
    over_kw: float


class ShortView(ViewBase, frozen=True, kw_only=True):
    """The most that a vehicle's departures lack on its station's default alone."""

    vehicle_id: str
    kwh: float


class CommissioningView(ViewBase, frozen=True, kw_only=True):
    """Whether a site may discharge, by the check of its fallback (96 quarter hours from local midnight) or a waiver."""

    site_id: str
    state: Literal["commissioned", "waived", "no"]
    by: str
    why: str
    at: dt.datetime | None
    until: dt.datetime | None
    clean: bool
    says: str
    import_limit_kw: float
    short: tuple[ShortView, ...]
    quarters: tuple[QuarterView, ...]


class AlarmView(ViewBase, frozen=True, kw_only=True):
    """Something that a person should know."""

    key: str
    severity: Literal["info", "warning", "critical"]
    subject: str
    text: str
    since: dt.datetime
    acknowledged_by: str = ""


class HeldBack(ViewBase, frozen=True, kw_only=True):
    """A part of the discharge nameplate that cannot be given now, and why; ``until`` when those away are due back."""

    reason: str
    words: str
    kw: float
    vehicles: int
    until: dt.datetime | None = None


class StopView(ViewBase, frozen=True, kw_only=True):
    """What became of an order to stop all discharge, by the stations' own meters.

    ``still_giving`` counts the stations whose last reading gives; ``quiet_s`` is the time from the order to the
    first reading without discharge of the last of them, None while one still gives.
    """

    at: dt.datetime
    still_giving: int
    quiet_s: float | None


class EquityView(ViewBase, frozen=True, kw_only=True):
    """Funds to participants in environmental-justice block groups, against all funds."""

    ej_usd: str
    total_usd: str
    share: float
    more_than_one_third: bool
    unknown: int


class CampaignRow(ViewBase, frozen=True, kw_only=True):
    """A station of a campaign: ``stage`` counts from 1; ``why`` it failed, or waits."""

    station_id: str
    stage: int
    step: Literal["waiting", "asked", "passed", "failed"]
    why: str


class CampaignView(ViewBase, frozen=True, kw_only=True):
    """A firmware campaign: one station, a tenth, all; ``stage`` is the one that runs.

    ``why`` it stands as it does; ``waits_for`` is what its next station waits for. ``stations`` are told of open
    campaigns; of one that is over those that failed.
    """

    campaign_id: str
    by: str
    since: dt.datetime
    vendor: str
    model: str
    version: str
    location: str
    state: Literal["running", "paused", "aborted", "stopped", "done"]
    why: str
    waits_for: str
    stage: int
    stages: int
    waiting: int
    under_way: int
    passed: int
    failed: int
    stations: tuple[CampaignRow, ...]


class ConsoleView(ViewBase, frozen=True, kw_only=True):
    """The whole picture at ``now``."""

    now: dt.datetime
    tick: int
    programme: str
    zone: str
    speed: float
    stale_s: float
    """How long the oldest fact, or a question of our own, has waited for the database, seconds of ``now``'s time."""
    database: Literal["ok", "gone"]
    power_kw: float
    relief_kw: float
    baseline: str
    """The baseline that the rule of the event names (or those of all programs): ``none``, or empty without a rule."""
    baseline_kw: float | None
    """None where the rule has no baseline, or one that is not computed."""
    discharge_nameplate_kw: float
    usable_kwh: float
    available_discharge_kw: float
    held_back: tuple[HeldBack, ...]
    """Why the rest of the nameplate is not available, the most first."""
    vehicles: int
    vehicles_in: int
    stations: int
    stations_online: int
    at_risk: int
    discharge_stopped: bool
    event: EventView | None
    readiness: tuple[ReadinessRow, ...]
    sites: tuple[SiteRow, ...]
    station_rows: tuple[StationRow, ...]
    alarms: tuple[AlarmView, ...]
    equity: EquityView | None
    stop: StopView | None = None
    campaigns: tuple[CampaignView, ...] = ()
    events: tuple[EventRow, ...] = ()
    programs: tuple[ProgramRow, ...] = ()


def shown(value: float, digits: int = 1) -> float:
    """A figure for people: rounded, and never minus zero."""
    return round(value, digits) + 0.0
