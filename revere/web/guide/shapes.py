"""What the guide says: figures with their exposure. None is absence and is printed as such, never as 0.

Powers are kW; *relief* is positive when the grid is relieved. Energy is whole Wh as meters count it. Money is whole
cents; *expected*, *confirmed* and *paid* are three parties' figures and stay apart. No figure is of a single home:
homes come in groups of at least ``HOMES_LEAST``.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

import msgspec

HOMES_LEAST = 5
"""Fewer homes than this are never shown as a group of their own."""
HOME_KW = 3.33
"""kW that the programme's announcement counts for a home: about 300 homes for 1 MW (programme.md a, derived)."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the guide's figures."""


class GroupSize(Figure, frozen=True, kw_only=True):
    """A group of participants (schools, municipal, homes) and its nameplates, kW magnitudes."""

    label: str
    sites: int
    stations: int
    v2x_stations: int
    vehicles: int
    charge_kw: float
    discharge_kw: float
    capacity_kwh: float


class UtilityRow(Figure, frozen=True, kw_only=True):
    """Sites that are not homes, by electric utility, and whether they can enrol in a program that pays."""

    utility: str
    schools: int
    municipal: int
    can_enrol: int
    why_not: tuple[str, ...]


class Barriers(Figure, frozen=True, kw_only=True):
    """What stood in the way, as counts of this programme's own equipment and accounts."""

    over_simplified: int
    """Discharging stations above 25 kW, which no Simplified interconnection admits."""
    stations: int
    no_export: int
    """School and municipal sites that may export nothing."""
    export_below_nameplate: int
    """School and municipal sites that may export less than their stations could."""
    not_enrolled: int
    public_sites: int
    connectors: tuple[tuple[str, int], ...]
    protocols: tuple[tuple[str, int], ...]
    charge_only: int


class ProgrammeFigures(Figure, frozen=True, kw_only=True):
    """Who takes part, with what, under which contract. ``homes_can_enrol`` is None where it would single homes out."""

    name: str
    zone: str
    groups: tuple[GroupSize, ...]
    utilities: tuple[UtilityRow, ...]
    homes: int
    homes_left_out: bool
    """Fewer than ``HOMES_LEAST`` take part: no figure holds anything of theirs, or it would be found by difference."""
    homes_can_enrol: int | None
    charge_kw: float
    discharge_kw: float
    programs: tuple[str, ...]
    barriers: Barriers


class IntervalFigure(Figure, frozen=True, kw_only=True):
    """Five minutes of an event: the fleet's relief from registers, and how many of its meters that rests on."""

    start: dt.datetime
    relief_kw: float | None
    meters: int
    of_meters: int


class GroupPower(Figure, frozen=True, kw_only=True):
    """What a group gave over an event, mean kW, relief positive."""

    label: str
    sites: int
    performance_kw: float | None


class Payment(Figure, frozen=True, kw_only=True):
    """Money of a group's participants for an event, by whose figure it is; None: no such figure exists yet."""

    label: str
    sites: int
    expected_cents: int | None
    confirmed_cents: int | None
    paid_cents: int | None


class RuleUsed(Figure, frozen=True, kw_only=True):
    """A version of a rule behind a payment: whether a source confirms it, and what is assumed where none does."""

    key: str
    programme: str
    rate_usd_per_kw: Decimal
    verified: bool
    source: str
    assumed: tuple[tuple[str, str], ...]


class EventFigures(Figure, frozen=True, kw_only=True):
    """One call from notice to expected payment; a ``drill`` is our own and no rule pays it.

    One that was ``withdrawn_at`` a moment is measured until then.
    """

    grid_event_id: str
    drill: bool
    programs: tuple[str, ...]
    source: str
    called_at: dt.datetime
    notice_h: float
    start: dt.datetime
    end: dt.datetime
    state: Literal["over", "running", "coming", "cancelled", "withdrawn"]
    withdrawn_at: dt.datetime | None
    why: str
    opt: str
    nominated_kw: float | None
    nominated_at: dt.datetime | None
    performance_kw: float | None
    lowest_kw: float | None
    reported_kw: float | None
    covered_s: int
    asked_s: int
    import_wh: int | None
    export_wh: int | None
    sites: int
    meters: int
    discharge_kw: float
    groups: tuple[GroupPower, ...]
    intervals: tuple[IntervalFigure, ...]
    payments: tuple[Payment, ...]
    rules: tuple[RuleUsed, ...]

    @property
    def homes_equivalent(self) -> int | None:
        """Homes that the mean relief stands for at ``HOME_KW`` each."""
        return None if self.performance_kw is None else int(self.performance_kw / HOME_KW)


class ReadyGroup(Figure, frozen=True, kw_only=True):
    """Departures of a group that came due: ready, short, or not known for want of data."""

    label: str
    departures: int
    ready: int
    short: int
    unknown: int
    unseen: int
    """Of the judged ones, those whose plug-out was not seen."""
    least_spare: float | None
    """The least battery above the need, fraction of a full battery; below 0 is short; None for homes: one's own."""
    median_spare: float | None


class ReadySite(Figure, frozen=True, kw_only=True):
    """The same for one school or municipal site."""

    name: str
    departures: int
    ready: int
    short: int
    unknown: int
    least_spare: float | None


class ShortDeparture(Figure, frozen=True, kw_only=True):
    """A vehicle of a school or town that left with less than it needed, kWh."""

    site: str
    vehicle: str
    departs: dt.datetime
    needed_kwh: float
    had_kwh: float


class Readiness(Figure, frozen=True, kw_only=True):
    """Did the vehicles leave with what they needed? ``spare_bins`` counts school buses by tenth of a battery."""

    groups: tuple[ReadyGroup, ...]
    sites: tuple[ReadySite, ...]
    short: tuple[ShortDeparture, ...]
    spare_bins: tuple[tuple[float, int], ...]
    why_unknown: tuple[tuple[str, int], ...]
    orders: int


class OutageFigure(Figure, frozen=True, kw_only=True):
    """One loss of the grid at a school or municipal site. ``given_wh`` None: no registers inside it."""

    site: str
    lost: dt.datetime
    restored: dt.datetime | None
    switch_open_s: float | None
    given_wh: int | None


class Outages(Figure, frozen=True, kw_only=True):
    """Losses of the grid; those of homes as a number alone, and only where enough homes take part."""

    sites: tuple[OutageFigure, ...]
    homes_lost: int | None
    with_switch: int
    site_count: int


class GroupMoney(Figure, frozen=True, kw_only=True):
    """Grants and energy payments of a group, cents."""

    label: str
    participants: int
    grants_cents: int
    granted: int


class Money(Figure, frozen=True, kw_only=True):
    """What was granted, and what the ledger holds in each state over all events. None: no line in that state."""

    grants: tuple[GroupMoney, ...]
    grants_cents: int
    expected_cents: int | None
    confirmed_cents: int | None
    paid_cents: int | None
    lines: int
    ledger_hash: str


class EquityRow(Figure, frozen=True, kw_only=True):
    """A school's or town's grant and the status of its block group."""

    name: str
    grant_cents: int
    status: str
    criteria: str


class Equity(Figure, frozen=True, kw_only=True):
    """How much of all grants goes to environmental-justice communities; unknown counts as not."""

    share: float | None
    more_than_one_third: bool | None
    ej_cents: int
    not_ej_cents: int
    unknown_cents: int
    total_cents: int
    unknown: int
    participants: int
    rows: tuple[EquityRow, ...]
    homes_text: str
    block_groups: int


class GroupAvailability(Figure, frozen=True, kw_only=True):
    """How long a group's stations were connected, of the seconds that they should have been.

    ``least`` is the worst station's share; None for homes, because it would be one home's own.
    """

    label: str
    stations: int
    never: int
    connected_s: float
    asked_s: float
    least: float | None
    drops: int


class Commands(Figure, frozen=True, kw_only=True):
    """What was asked of stations and how it ended; ``open`` has not ended yet."""

    issued: int
    confirmed: int
    rejected: int
    expired: int
    superseded: int
    open: int


class GroupData(Figure, frozen=True, kw_only=True):
    """Five-minute register values that should be there, and are; energy by the same registers."""

    label: str
    expected: int
    present: int
    import_wh: int | None
    export_wh: int | None


class RoundTrip(Figure, frozen=True, kw_only=True):
    """AC energy that comes back for AC energy put in, corrected for what the batteries kept."""

    efficiency: float | None
    sessions: int
    left_out: int
    import_wh: int
    export_wh: int
    stored_wh: int


class Quality(Figure, frozen=True, kw_only=True):
    """Availability, completeness, efficiency, clocks and alarms."""

    availability: tuple[GroupAvailability, ...]
    commands: Commands
    data: tuple[GroupData, ...]
    quarantined: int
    register_steps_back: int
    round_trip: RoundTrip
    skew_worst_s: float | None
    skew_stations: int
    alarms: tuple[tuple[str, int, int], ...]
    """Severity, raised, still open."""
    stops: int
    plans: int


class Unverified(Figure, frozen=True, kw_only=True):
    """Something that the figures rest on and that no source confirms."""

    what: str
    assumption: str


class GuideFigures(Figure, frozen=True, kw_only=True):
    """Everything the guide prints, of ``[start, end)``. ``simulated`` None: nobody said whether the plant is real."""

    made_at: dt.datetime
    start: dt.datetime
    end: dt.datetime
    simulated: bool | None
    programme: ProgrammeFigures
    events: tuple[EventFigures, ...]
    readiness: Readiness
    outages: Outages
    money: Money
    equity: Equity | None
    quality: Quality
    unverified: tuple[Unverified, ...]
    journal_hash: str
