"""The arbiter: every five seconds, from wishes to setpoints that break nothing.

Order of precedence, strongest first::

    stop, lock > hardware > site and feeder limit > departure > island > reserve > GridEvent > tariff

Wishes (the plan, proposals, an event's target) are shaped first: split, ramped, kept from flapping. Limits come last
and cut whatever is left, so that no order of wishes can pass one. Charging is positive. Discharge at one
station may carry charging at another of the site only as far as its meter shows that it really flows.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

import numpy as np

from revere.plan.departure import SOC_AGE_MAX_S
from revere.plan.fill import fill
from revere.plan.problem import Bools, Floats, Ints, check_array, refuse

ROUNDS_MAX = 4
"""Bound on splitting an event's shortfall again after limits have cut some of the first split."""
PROPOSALS_MAX = 100_000
MUST_CHARGE_WEIGHT = 1000.0
URGENCY_MIN_H = 0.25


class Why(enum.IntEnum):
    """What decided a setpoint; ``label`` is the console's word for it."""

    TARIFF = 0
    GRID_EVENT = 1
    RESERVE = 2
    ISLAND = 3
    DEPARTURE = 4
    FEEDER_LIMIT = 5
    SITE_LIMIT = 6
    HARDWARE = 7
    SOC_UNKNOWN = 8
    STOP = 9
    LOCK = 10
    GRID_DEAD = 11
    RETURN_RAMP = 12
    RAMP = 13
    DWELL = 14
    MINIMUM = 15
    UNPLUGGED = 16
    UNPROVEN = 17
    UNTRUSTED = 18

    @property
    def label(self) -> str:
        """Short words for people."""
        return _LABELS[self]


_LABELS = {
    Why.TARIFF: "follows the tariff",
    Why.GRID_EVENT: "grid event",
    Why.RESERVE: "keeps its reserve",
    Why.ISLAND: "backs up its site",
    Why.DEPARTURE: "must be ready to leave",
    Why.FEEDER_LIMIT: "feeder limit",
    Why.SITE_LIMIT: "site limit",
    Why.HARDWARE: "station or vehicle limit",
    Why.SOC_UNKNOWN: "charge state unknown or old",
    Why.STOP: "discharge stopped by a person",
    Why.LOCK: "locked by a technician",
    Why.GRID_DEAD: "grid is dead",
    Why.RETURN_RAMP: "coming back after an outage",
    Why.RAMP: "changing gently",
    Why.DWELL: "waits before reversing",
    Why.MINIMUM: "below the least power",
    Why.UNPLUGGED: "nothing plugged in",
    Why.UNPROVEN: "was silent: its grid must be proven live",
    Why.UNTRUSTED: "does not follow, by its meter",
}
_WORDS = [_LABELS[why] for why in Why]
"""By number: a tick asks for the words of the whole fleet."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A wish for one EVSE with bounds: the layer says who outranks whom, an old wish is none."""

    evse: int
    kw: float
    low_kw: float
    high_kw: float
    layer: Why
    age_s: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Bounds of the arbiter. Powers in kW, times in seconds.

    ``lease_s`` is how long a setpoint may stand if we fall silent: a battery must not reach its floor within it.
    The safety margin is ``margin_share`` of a limit, at least ``margin_kw``. A vehicle that charges for its
    departure goes on until it has ``barrier_release_s`` of slack, or it would flap along the barrier. A vehicle stops
    by itself when it is full; it is given no more than fits into ``top_up_s``, so that others have the site's room.
    """

    margin_share: float = 0.05
    margin_kw: float = 1.0
    ramp_kw: float = 30.0
    deadband_kw: float = 0.5
    top_up_s: float = 60.0
    event_deadband_share: float = 0.005
    dwell_s: float = 60.0
    minimum_kw: float = 1.4
    lease_s: float = 60.0
    barrier_release_s: float = 600.0
    soc_age_max_s: float = SOC_AGE_MAX_S
    proposal_age_max_s: float = 900.0
    follow_share: float = 0.1
    follow_kw: float = 1.0
    settle_s: float = 30.0


_MAGNITUDES = ("charge_max_kw", "discharge_max_kw", "must_charge_kw", "floor_kwh", "barrier_kwh", "end_floor_kwh")


@dataclass(frozen=True, kw_only=True, eq=False)
class FleetState:
    """One EVSE per row with what is plugged in. ``nan`` is unknown, never 0.

    ``barrier_kwh``: least energy now that still makes the departure (``departure.least_energy_kwh``), 0 if none.
    ``end_floor_kwh``: the same at the end of the running event (and the reserve); default: floor and barrier now.
    ``dispatchable``: setpoints reach it. ``trusted``: its meter has not denied lately that it follows; where it has,
    only a departure is worth a setpoint, for a meter may be broken, and a trip is above proof.
    ``must_charge_kw``: power inside the barrier; inside it is also assumed when energy is at ``barrier_kwh``.
    ``urgency_h``: hours of slack to departure, inf if none. ``direction``: sign of the last power that flowed,
    ``reversed_s``: seconds since it changed; ``settled_s``: how long the last setpoint had stood
    when the meter was read.
    """

    site: Ints
    charge_max_kw: Floats
    discharge_max_kw: Floats
    energy_kwh: Floats
    soc_age_s: Floats
    capacity_kwh: Floats
    floor_kwh: Floats
    barrier_kwh: Floats
    must_charge_kw: Floats
    plugged: Bools
    dispatchable: Bools
    trusted: Bools
    measured_kw: Floats
    last_setpoint_kw: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats
    urgency_h: Floats
    direction: Ints
    reversed_s: Floats
    settled_s: Floats
    end_floor_kwh: Floats
    locked: Bools

    def __post_init__(self) -> None:
        """Refuse what the arbiter cannot reason about: NaN where a limit belongs."""
        v = (len(self.site),)
        for name in (
            "charge_max_kw",
            "discharge_max_kw",
            "floor_kwh",
            "barrier_kwh",
            "must_charge_kw",
            "end_floor_kwh",
        ):
            check_array(name, getattr(self, name), v, 0.0)
        check_array("capacity_kwh", self.capacity_kwh, v, 1e-3)
        for name in ("charge_efficiency", "discharge_efficiency"):
            check_array(name, getattr(self, name), v, 0.3, 1.0)


def fleet_state(*, site: Ints, charge_max_kw: Floats, discharge_max_kw: Floats, **known: object) -> FleetState:
    """A state in which whatever is not named is at rest or unknown: no soc, nothing measured, nobody leaves."""
    n = len(site)
    fields: dict[str, object] = {
        "energy_kwh": np.full(n, np.nan), "soc_age_s": np.full(n, np.inf), "capacity_kwh": np.full(n, 60.0),
        "floor_kwh": np.zeros(n), "barrier_kwh": np.zeros(n), "must_charge_kw": np.zeros(n),
        "plugged": np.ones(n, bool), "dispatchable": np.ones(n, bool), "trusted": np.ones(n, bool),
        "measured_kw": np.full(n, np.nan),
        "last_setpoint_kw": np.zeros(n),
        "charge_efficiency": np.full(n, 0.9), "discharge_efficiency": np.full(n, 0.9), "urgency_h": np.full(n, np.inf),
        "direction": np.zeros(n, np.int64), "reversed_s": np.full(n, np.inf), "settled_s": np.full(n, np.inf),
        "locked": np.zeros(n, bool), **known,
    }  # fmt: skip
    fields.setdefault("end_floor_kwh", np.maximum(np.asarray(fields["floor_kwh"]), np.asarray(fields["barrier_kwh"])))
    return FleetState(site=site, charge_max_kw=charge_max_kw, discharge_max_kw=discharge_max_kw, **fields)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteState:
    """One grid connection per row. ``load_kw`` is the building minus solar, nan when its meter is silent.

    Then ``worst_load_kw`` stands in for charging and nothing is exported. ``dead``: the grid is lost and the
    site is not proven isolated. ``island_kw`` ``[V]`` holds the island plan's setpoints, nan where none runs.
    ``return_share`` scales power after an outage, 0 to 1, ``export_share`` discharge alone after a suspected one.
    """

    feeder: Ints
    load_kw: Floats
    worst_load_kw: Floats
    import_limit_kw: Floats
    export_limit_kw: Floats
    stop: Bools
    dead: Bools
    return_share: Floats
    feeder_import_limit_kw: Floats
    feeder_export_limit_kw: Floats
    island_kw: Floats
    export_share: Floats | None = None

    def __post_init__(self) -> None:
        """Refuse missing limits by name."""
        s, f = (len(self.feeder),), (len(self.feeder_import_limit_kw),)
        for name in ("import_limit_kw", "export_limit_kw"):
            check_array(name, getattr(self, name), s, 0.0)
        check_array("worst_load_kw", self.worst_load_kw, s)
        check_array("return_share", self.return_share, s, 0.0, 1.0)
        for name in ("feeder_import_limit_kw", "feeder_export_limit_kw"):
            check_array(name, getattr(self, name), f, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class EventTarget:
    """A running grid event: relief that its sites' stations owe together, and for how much longer."""

    id: str
    sites: Bools
    target_kw: float
    left_h: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Setpoints:
    """The arbiter's answer ``[V]``: kW, what decided it, the range that hardware and energy allowed.

    ``relief_kw`` and ``missing_kw`` ``[K]`` per event: what is expected to be delivered, and what is lacking even
    after the shortfall was split again. ``follows``: false where a station does not do what it was told.
    """

    kw: Floats
    why: Ints
    low_kw: Floats
    high_kw: Floats
    direction: Ints
    follows: Bools
    relief_kw: Floats
    missing_kw: Floats

    def reasons(self) -> list[str]:
        """The words for each setpoint."""
        return [_WORDS[code] for code in self.why.tolist()]


@dataclass(kw_only=True)
class _Work:
    """Arrays under way."""

    kw: Floats
    why: Ints
    low: Floats
    high: Floats
    low_why: Ints
    high_why: Ints
    import_room: Floats
    export_room: Floats
    feeder_import_room: Floats
    feeder_export_room: Floats
    feeder: Ints
    islanded: Bools
    full: Bools = field(init=False)
    """Members at whose site or feeder an export limit has already cut."""

    def __post_init__(self) -> None:
        self.full = np.zeros(len(self.kw), dtype=bool)


def arbitrate(
    state: FleetState,
    plan_kw: Floats,
    sites: SiteState,
    *,
    events: tuple[EventTarget, ...] = (),
    proposals: tuple[Proposal, ...] = (),
    rules: Rules | None = None,
) -> Setpoints:
    """Setpoints for every EVSE, kW, charging positive. Events must not share sites.

    ``plan_kw`` is the schedule's power for this step; nan (no plan) means: only what departures demand.
    """
    rules = rules or Rules()
    work = _start(state, plan_kw, sites, rules)
    _apply_proposals(work, proposals, rules)
    follows, gap = _response(state, rules)
    _take_uncontrolled(work, state, follows)
    _clip(work)
    relief, missing = _deliver_events(work, state, events, follows, gap, rules)
    _calm(work, state, events, rules)
    _clip(work)
    _cut_export(work, state, steady_kw=rules.deadband_kw)
    _least_power(work, rules, discharging=True)
    _cut_import(work, state, steady_kw=rules.deadband_kw)
    _least_power(work, rules, discharging=False)
    work.kw[work.kw == 0.0] = 0.0  # no minus zero on the wire
    for k, target in enumerate(events):
        member = target.sites[state.site]
        relief[k] = -float((work.kw + gap)[member].sum())
        missing[k] = max(0.0, target.target_kw - relief[k])
    direction = np.where(work.kw != 0, np.sign(work.kw), state.direction).astype(np.int64)
    return Setpoints(
        kw=work.kw, why=work.why, low_kw=work.low, high_kw=work.high, direction=direction,
        follows=follows, relief_kw=relief, missing_kw=missing,
    )  # fmt: skip


def _start(s: FleetState, plan_kw: Floats, sites: SiteState, rules: Rules) -> _Work:
    """The tariff's wish and the range that hardware, people, energy and outages leave each EVSE."""
    n = len(s.site)
    if plan_kw.shape != (n,):
        raise refuse("plan_kw", f"shape {plan_kw.shape}", f"shape {(n,)}")
    high, low = s.charge_max_kw.copy(), -s.discharge_max_kw
    high_why, low_why = np.full(n, Why.HARDWARE), np.full(n, Why.HARDWARE)

    def cap(limit: Floats | float, where: Bools, why: Why) -> None:
        nonlocal high, high_why
        hit = where & (high > limit)
        high, high_why = np.where(hit, limit, high), np.where(hit, why, high_why)

    def lift(limit: Floats | float, where: Bools, why: Why) -> None:
        nonlocal low, low_why
        hit = where & (low < limit)
        low, low_why = np.where(hit, limit, low), np.where(hit, why, low_why)

    known = np.isfinite(s.energy_kwh)
    proven = known & (s.soc_age_s >= 0) & (s.soc_age_s <= rules.soc_age_max_s)
    energy = np.where(known, s.energy_kwh, 0.0)
    lease_h = rules.lease_s / 3600.0
    room_kw = np.maximum(0.0, s.capacity_kwh - energy) / (s.charge_efficiency * rules.top_up_s / 3600.0)
    cap(room_kw, known, Why.HARDWARE)
    lift(0.0, ~proven, Why.SOC_UNKNOWN)
    give_kw = np.maximum(0.0, energy - s.floor_kwh) * s.discharge_efficiency / lease_h
    lift(-give_kw, np.ones(n, dtype=bool), Why.RESERVE)
    # One lease of charging is added, so that the barrier is not crossed while this setpoint stands.
    ahead_h = np.where(s.last_setpoint_kw > 0, rules.barrier_release_s / 3600.0, lease_h)
    reach = s.barrier_kwh + np.where(s.barrier_kwh > 0, s.charge_max_kw * s.charge_efficiency * ahead_h, 0.0)
    lift(-np.maximum(0.0, energy - reach) * s.discharge_efficiency / lease_h, s.barrier_kwh > 0, Why.DEPARTURE)
    inside = (s.must_charge_kw > 0) | ((known | ~s.trusted) & (s.barrier_kwh > 0) & (energy <= reach))
    must = np.where(s.must_charge_kw > 0, s.must_charge_kw, s.charge_max_kw)
    lift(0.0, ~s.trusted, Why.UNTRUSTED)
    cap(0.0, ~s.trusted & ~inside, Why.UNTRUSTED)
    lift(np.minimum(must, high), inside, Why.DEPARTURE)
    lift(0.0, sites.stop[s.site], Why.STOP)
    share = sites.return_share[s.site]
    cap(high * share, share < 1, Why.RETURN_RAMP)
    lift(np.where(low < 0, low * share, low), share < 1, Why.RETURN_RAMP)
    if sites.export_share is not None:
        given = sites.export_share[s.site]
        lift(np.where(low < 0, low * given, low), given < 1, Why.UNPROVEN)
    for where, why in (
        (sites.dead[s.site], Why.GRID_DEAD),
        (~s.dispatchable, Why.HARDWARE),
        (~s.plugged, Why.UNPLUGGED),
        (s.locked, Why.LOCK),
    ):
        low, high = np.where(where, 0.0, low), np.where(where, 0.0, high)
        low_why, high_why = np.where(where, why, low_why), np.where(where, why, high_why)
    low = np.minimum(low, high)
    low, high, low_why, high_why = _island_range(s, sites, low, high, low_why, high_why, rules)
    load = np.where(np.isfinite(sites.load_kw), sites.load_kw, sites.worst_load_kw)
    may_import, may_export = (less_margin(limit, rules) for limit in (sites.import_limit_kw, sites.export_limit_kw))
    export_room = np.where(np.isfinite(sites.load_kw), may_export + load, 0.0)
    return _Work(
        kw=np.where(np.isfinite(plan_kw), plan_kw, 0.0), why=np.full(n, Why.TARIFF, dtype=np.int64),
        low=low, high=high, low_why=low_why, high_why=high_why,
        import_room=np.maximum(0.0, may_import - load),
        export_room=np.maximum(0.0, export_room),
        feeder_import_room=np.maximum(0.0, less_margin(sites.feeder_import_limit_kw, rules)),
        feeder_export_room=np.maximum(0.0, less_margin(sites.feeder_export_limit_kw, rules)), feeder=sites.feeder,
        islanded=np.isfinite(sites.island_kw),
    )  # fmt: skip


def _island_range(
    s: FleetState, sites: SiteState, low: Floats, high: Floats, low_why: Ints, high_why: Ints, rules: Rules
) -> tuple[Floats, Floats, Ints, Ints]:
    """Where an island plan runs, it alone speaks, inside what hardware and energy allow; nobody else may push.

    Who forms the island follows its load by itself: a change below the deadband is not worth telling.
    """
    running = np.isfinite(sites.island_kw)
    if not running.any():
        return low, high, low_why, high_why
    told = np.where(running, sites.island_kw, 0.0)
    near = (np.abs(told - s.last_setpoint_kw) < rules.deadband_kw) & (told * s.last_setpoint_kw > 0)
    told = np.where(near, s.last_setpoint_kw, told)
    told = np.clip(told, np.minimum(low, 0.0), high)
    return (
        np.where(running, told, low), np.where(running, told, high),
        np.where(running, Why.ISLAND, low_why), np.where(running, Why.ISLAND, high_why),
    )  # fmt: skip


def less_margin(limit_kw: Floats, rules: Rules) -> Floats:
    """Limits, kW magnitudes, less the safety margin: below 0 where the margin is more than the limit."""
    rest: Floats = limit_kw - np.maximum(rules.margin_kw, rules.margin_share * limit_kw)
    return rest


def _apply_proposals(work: _Work, proposals: tuple[Proposal, ...], rules: Rules) -> None:
    """Weakest layer first, so that the strongest speaks last; stale or unreal wishes are dropped."""
    if len(proposals) > PROPOSALS_MAX:
        raise refuse("proposals", len(proposals), f"at most {PROPOSALS_MAX}")
    for wish in sorted(proposals, key=lambda w: (w.layer, w.evse, w.source)):
        numbers = np.array([wish.kw, wish.low_kw, wish.high_kw])
        if not (0 <= wish.evse < len(work.kw)) or np.isnan(numbers).any() or wish.low_kw > wish.high_kw:
            raise refuse(f"proposal of {wish.source} for EVSE {wish.evse}", numbers.tolist(), "kW with low <= high")
        if 0.0 <= wish.age_s <= rules.proposal_age_max_s:
            work.kw[wish.evse] = min(max(wish.kw, wish.low_kw), wish.high_kw)
            work.why[wish.evse] = wish.layer


def _clip(work: _Work) -> None:
    """Bring wishes into their ranges and note which end decided."""
    under, over = (work.kw < work.low) | (work.low == work.high), work.kw > work.high
    work.why = np.where(under, work.low_why, np.where(over, work.high_why, work.why))
    work.kw = np.clip(work.kw, work.low, work.high)


def _response(s: FleetState, rules: Rules) -> tuple[Bools, Floats]:
    """Who follows, and by how much each settled station misses its setpoint (kW, positive: less relief)."""
    settled = np.isfinite(s.measured_kw) & (s.settled_s >= rules.settle_s) & s.plugged
    gap = np.where(settled, np.where(np.isfinite(s.measured_kw), s.measured_kw, 0.0) - s.last_setpoint_kw, 0.0)
    allowed = np.maximum(rules.follow_kw, rules.follow_share * np.abs(s.last_setpoint_kw))
    follows = ~settled | (np.abs(gap) <= allowed)
    return follows, gap


def _take_uncontrolled(work: _Work, s: FleetState, follows: Bools) -> None:
    """What stations draw or give beyond our reach is taken off the room of their sites and feeders first.

    A station that does not answer runs on its own default, one that does not follow does as it likes: by its
    meter, or where that is silent by what it was told last. What one that is not trusted must charge for its departure
    covers what its meter says: it may not crowd itself out.
    """
    flow = np.where(np.isfinite(s.measured_kw), s.measured_kw, s.last_setpoint_kw)
    told = np.where(s.dispatchable, s.last_setpoint_kw, 0.0)
    told = np.where(~s.trusted & (work.low > 0), work.low, told)
    wild = s.plugged & ~work.islanded & (~s.dispatchable | ~follows)
    draws = np.where(wild, np.maximum(0.0, np.maximum(flow, 0.0) - np.maximum(told, 0.0)), 0.0)
    gives = np.where(wild, np.maximum(0.0, np.maximum(-flow, 0.0) - np.maximum(-told, 0.0)), 0.0)
    feeder = work.feeder[s.site]
    for room, group, taken in (
        (work.import_room, s.site, draws),
        (work.export_room, s.site, gives),
        (work.feeder_import_room, feeder, draws),
        (work.feeder_export_room, feeder, gives),
    ):
        room[:] = np.maximum(0.0, room - np.bincount(group, taken, len(room)))


def _deliver_events(
    work: _Work, s: FleetState, events: tuple[EventTarget, ...], follows: Bools, gap: Floats, rules: Rules
) -> tuple[Floats, Floats]:
    """Split what the plan leaves open of each event over those who can give it until the event's end.

    To its last minute means with a lease of it left above the floor.

    What stations fail to deliver by their meters is split again over those who follow. A site at its limit
    stops taking more, and the rest goes to others, at most ``ROUNDS_MAX`` times.
    """
    relief, missing = np.zeros(len(events)), np.zeros(len(events))
    seen = np.zeros(len(work.import_room), dtype=bool)
    for target in events:
        if (seen & target.sites).any():
            raise refuse(f"event {target.id}", "a site of another running event", "events that share no site")
        seen |= target.sites
    for _ in range(ROUNDS_MAX):
        before = work.kw.copy()
        for target in events:
            member = target.sites[s.site]
            energy = np.where(np.isfinite(s.energy_kwh), s.energy_kwh, 0.0)
            spare_kwh = np.maximum(0.0, energy - s.end_floor_kwh)
            sustained = spare_kwh * s.discharge_efficiency / (target.left_h + rules.lease_s / 3600.0)
            deepest = np.maximum(work.low, -sustained)
            room = np.where(member & follows & ~work.full, np.maximum(0.0, work.kw - deepest), 0.0)
            lack = target.target_kw + float((work.kw + gap)[member].sum())
            if lack > 1e-6 and room.sum() > 1e-6:
                extra = fill(room, np.maximum(room, 1e-9), np.zeros(len(room), np.int64), np.array([lack]))
                work.kw = work.kw - extra
                work.why = np.where(extra > 1e-9, Why.GRID_EVENT, work.why)
            work.why = np.where(member & (work.kw < 0) & (work.why == Why.TARIFF), Why.GRID_EVENT, work.why)
        _cut_export(work, s)
        if np.abs(work.kw - before).max(initial=0.0) < 1e-6:
            break
    return relief, missing


def _calm(work: _Work, s: FleetState, events: tuple[EventTarget, ...], rules: Rules) -> None:
    """No flapping: ramp per tick, a deadband, and a dwell before the direction may change.

    Many small wishes may be one large need: where an event's stations together drift by more than
    ``event_deadband_share`` of its target, none of them is held back by its own deadband.
    """
    change = work.kw - s.last_setpoint_kw
    small = np.abs(change) < rules.deadband_kw
    for target in events:
        held = small & target.sites[s.site]
        if abs(float(change[held].sum())) > max(rules.deadband_kw, rules.event_deadband_share * target.target_kw):
            small = small & ~held
    # Zero is always reached exactly; a deadband must not leave a trickle.
    work.kw = np.where(small & (work.kw != 0), s.last_setpoint_kw, work.kw)
    reversing = (np.sign(work.kw) * s.direction < 0) & (s.reversed_s < rules.dwell_s)
    work.why = np.where(reversing, Why.DWELL, work.why)
    work.kw = np.where(reversing, 0.0, work.kw)
    eased = np.clip(work.kw, s.last_setpoint_kw - rules.ramp_kw, s.last_setpoint_kw + rules.ramp_kw)
    work.why = np.where(np.abs(eased - work.kw) > 1e-9, Why.RAMP, work.why)
    work.kw = eased


def _steady(given_kw: Floats, last_kw: Floats, step_kw: float) -> Floats:
    """A cut that does not move with every tick: a rise waits until it is worth two steps, a fall goes to a whole one.

    Never more than ``given_kw``, so that the limit which cut it holds.
    """
    if step_kw <= 0:
        return given_kw
    waits = (given_kw >= last_kw) & (given_kw - last_kw < 2 * step_kw)
    steady: Floats = np.where(waits, last_kw, np.where(given_kw < last_kw, given_kw // step_kw * step_kw, given_kw))
    return steady


def _cut_export(work: _Work, s: FleetState, steady_kw: float = 0.0) -> None:
    """Discharge of a site, then of a feeder, inside what may be exported; charging is given no credit."""
    for group, room, why in (
        (s.site, work.export_room, Why.SITE_LIMIT),
        (work.feeder[s.site], work.feeder_export_room, Why.FEEDER_LIMIT),
    ):
        want = np.where(work.islanded, 0.0, np.maximum(-work.kw, 0.0))
        given = fill(want, np.maximum(s.discharge_max_kw, 1e-9), group, room)
        cut = given < want
        short = np.zeros(len(room), dtype=bool)
        short[group[cut]] = True
        work.full |= short[group]
        work.why = np.where(cut, why, work.why)
        given = _steady(given, np.maximum(-s.last_setpoint_kw, 0.0), steady_kw)
        work.kw = np.where(cut, -given, work.kw)


def _cut_import(work: _Work, s: FleetState, steady_kw: float) -> None:
    """Charging inside what may be imported, shared by urgency: those who must leave first, weighted by hours left."""
    flows = np.where(np.isfinite(s.measured_kw), np.maximum(-s.measured_kw, 0.0), 0.0)
    credit = np.minimum(np.maximum(-work.kw, 0.0), flows)
    must = (work.low > 0) & (work.low_why == Why.DEPARTURE)
    weight = s.charge_max_kw / (URGENCY_MIN_H + np.maximum(s.urgency_h, 0.0))
    weight = np.maximum(np.where(np.isfinite(weight), weight, 0.0), 1e-6 * (1.0 + s.charge_max_kw))
    weight = np.where(must, MUST_CHARGE_WEIGHT * weight, weight)
    for group, room, why in (
        (s.site, work.import_room, Why.SITE_LIMIT),
        (work.feeder[s.site], work.feeder_import_room, Why.FEEDER_LIMIT),
    ):
        want = np.where(work.islanded, 0.0, np.maximum(work.kw, 0.0))
        given = fill(want, weight, group, room + np.bincount(group, credit, len(room)))
        cut = given < want
        work.why = np.where(cut, why, work.why)
        work.kw = np.where(cut, _steady(given, np.maximum(s.last_setpoint_kw, 0.0), steady_kw), work.kw)


def _least_power(work: _Work, rules: Rules, *, discharging: bool) -> None:
    """Stations cannot hold a trickle: below the least power it is 0."""
    tiny = (np.abs(work.kw) < rules.minimum_kw) & ((work.kw < 0) if discharging else (work.kw > 0))
    work.why = np.where(tiny, Why.MINIMUM, work.why)
    work.kw = np.where(tiny, 0.0, work.kw)


def stopped(sites: SiteState) -> SiteState:
    """The same sites with all discharge stopped: one person's order."""
    return replace(sites, stop=np.ones(len(sites.feeder), dtype=bool))
