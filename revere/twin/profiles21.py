"""A 2.x station's charging profiles: what it refuses, and what they come to at any moment.

::

    PriorityCharging, while asked for                              ─┐
    TxProfile (this transaction)      highest stackLevel in force  ─┼▶ first of these ──▶ capped by the station's
    TxDefaultProfile                  highest stackLevel in force  ─┘                     max and by others' limits

Refusals follow the rules of ../facts/ocpp.md section 5. Powers W, charging positive; times Unix seconds.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from revere.links.ocpp2.wire import v21 as wire

PROFILES_MAX: Final = 20
COMPOSITE_PERIODS_MAX: Final = 100
STACK_LEVEL_MAX: Final = 20
DAY_S, WEEK_S = 86_400.0, 604_800.0

ALL_PURPOSES: Final = ("TxProfile", "TxDefaultProfile")
EXTERNAL: Final = "ChargingStationExternalConstraints"
MODE_PURPOSES: Final[dict[str, tuple[str, ...]]] = {
    "ChargingOnly": (*ALL_PURPOSES, "ChargingStationMaxProfile", "PriorityCharging", EXTERNAL, "LocalGeneration"),
    "CentralSetpoint": ALL_PURPOSES,
    "CentralFrequency": ALL_PURPOSES,
    "LocalFrequency": ALL_PURPOSES,
    "ExternalSetpoint": (*ALL_PURPOSES, EXTERNAL),
    "ExternalLimits": (*ALL_PURPOSES, EXTERNAL, "LocalGeneration"),
    "LocalLoadBalancing": ALL_PURPOSES,
    "Idle": ALL_PURPOSES,
}
"""Where a mode may stand."""
VALUES: Final = ("limit", "dischargeLimit", "setpoint", "setpointReactive")
MODE_VALUES: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "ChargingOnly": (frozenset({"limit"}), frozenset()),
    "CentralSetpoint": (frozenset({"setpoint"}), frozenset({"limit", "dischargeLimit", "setpointReactive"})),
    "CentralFrequency": (frozenset({"setpoint"}), frozenset({"limit", "dischargeLimit"})),
    "LocalFrequency": (frozenset(), frozenset()),
    "ExternalSetpoint": (frozenset(), frozenset({"limit", "dischargeLimit"})),
    "ExternalLimits": (frozenset(), frozenset()),
    "LocalLoadBalancing": (frozenset(), frozenset()),
    "Idle": (frozenset(), frozenset()),
}
"""What a period of a mode must have and what it may have besides."""
UNASKED: Final = frozenset({"ChargingOnly", "Idle", "ExternalLimits"})
"""Modes that give nothing, so that no vehicle has to be allowed to."""
CURVE_POINTS_MIN: Final = 2


class Refusal(Exception):
    """A request that the station answers with Rejected, by the standard's reason code."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code, self.why = code, why


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What the station says of itself in its device model; W magnitudes."""

    charge_w: float
    discharge_w: float
    modes: tuple[str, ...]
    dynamic: bool = True
    randomized_delay: bool = True
    use_local_time: bool = False
    limit_at_soc: bool = False
    evse_sleep: bool = False
    phases: bool = False
    """Whether each phase can be set by itself (AC); behind a converter there are none."""
    purposes: tuple[str, ...] = (*ALL_PURPOSES, "ChargingStationMaxProfile", "PriorityCharging")
    negative_limits: bool = False
    """A 2.0.1 station that discharges: it has no setpoint, a limit below 0 in a TxProfile is one."""
    update_rate_s: float = 60.0
    dynamic_rate_s: float = 1.0
    external_id_max: int = 0
    """Up to this, profile ids belong to others' limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What holds in a period, W: a setpoint, only a limit, or curves by which the station finds its own."""

    mode: str = "ChargingOnly"
    setpoint_w: float | None = None
    limit_w: float | None = None
    discharge_limit_w: float | None = None
    profile_id: int | None = None
    baseline_w: float = 0.0
    frequency_w: tuple[tuple[float, float], ...] = ()
    signal_w: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a station knows that is in no profile: the grid's frequency, the last signal, others' word."""

    frequency_hz: float = 60.0
    signal: int | None = None
    setpoint_w: float | None = None
    limit_w: float | None = None
    discharge_limit_w: float | None = None
    rest_w: float = 0.0
    """What the rest of the site draws, for a station that balances it."""


@dataclass(slots=True, kw_only=True)
class Installed:
    """A profile as kept: the EVSE (0 = station), when it came, its drawn delay, its live dynamic values."""

    evse_id: int
    profile: wire.ChargingProfile
    since_s: float
    delay_s: float = 0.0
    bounds: Bounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the evaluation depends on: now, the running transaction, since when the link is gone."""

    now_s: float
    transaction_id: str | None = None
    transaction_start_s: float = 0.0
    offline_since_s: float | None = None
    priority: bool = False


@dataclass(kw_only=True)
class ProfileStore:
    """The profiles of a one-EVSE station. ``set`` and ``update`` raise :class:`Refusal`."""

    abilities: Abilities
    installed: dict[int, Installed] = field(default_factory=dict)
    _set_at_s: dict[str, float] = field(default_factory=dict)
    _updated_at_s: float = -math.inf

    def set(
        self, evse_id: int, profile: wire.ChargingProfile, moment: Moment, delay_s: float, *, v2x_allowed: bool = True
    ) -> None:
        """Install or replace ``profile``, or refuse it. ``delay_s`` is the draw for a randomized delay."""
        self._check_place(evse_id, profile, moment)
        self._check_kind(profile)
        schedule = profile.chargingSchedule[0]
        for candidate in profile.chargingSchedule:
            self._check_schedule(candidate, profile)
            for period in candidate.chargingSchedulePeriod:
                self._check_period(period, profile, v2x_allowed=v2x_allowed)
        self._check_company(evse_id, profile, moment)
        purpose = profile.chargingProfilePurpose
        dynamic = profile.chargingProfileKind == "Dynamic"
        self.installed[profile.id] = Installed(
            evse_id=evse_id,
            profile=profile,
            since_s=moment.now_s,
            delay_s=min(delay_s, float(schedule.randomizedDelay or 0)),
            bounds=_bounds(schedule.chargingSchedulePeriod[0], profile.id) if dynamic else None,
        )
        self._set_at_s[purpose] = moment.now_s

    def _check_place(self, evse_id: int, profile: wire.ChargingProfile, moment: Moment) -> None:
        if evse_id not in (0, 1):
            raise Refusal("UnknownEvse", f"evseId {evse_id}")
        purpose = profile.chargingProfilePurpose
        if profile.id <= self.abilities.external_id_max:
            raise Refusal("InvalidProfileId", f"{profile.id} is kept for {EXTERNAL}")
        if purpose == EXTERNAL:
            raise Refusal("InvalidProfile", f"{EXTERNAL} is another system's to set")
        if purpose not in self.abilities.purposes:
            raise Refusal("UnsupportedPurpose", purpose)
        if purpose == "ChargingStationMaxProfile" and evse_id != 0:
            raise Refusal("InvalidProfile", "ChargingStationMaxProfile holds for evseId 0 alone")
        if purpose == "TxProfile":
            if evse_id == 0:
                raise Refusal("InvalidProfile", "TxProfile needs an evseId above 0")
            if profile.transactionId is None:
                raise Refusal("InvalidProfile", "TxProfile needs a transactionId")
            if profile.transactionId != moment.transaction_id:
                raise Refusal("TxNotFound", str(profile.transactionId))
        elif profile.transactionId is not None:
            raise Refusal("InvalidProfile", "transactionId belongs to a TxProfile alone")
        if profile.stackLevel > STACK_LEVEL_MAX:
            raise Refusal("InvalidStackLevel", f"{profile.stackLevel} above {STACK_LEVEL_MAX}")

    def _check_kind(self, profile: wire.ChargingProfile) -> None:
        dynamic = profile.chargingProfileKind == "Dynamic"
        if dynamic and not self.abilities.dynamic:
            raise Refusal("UnsupportedKind", "Dynamic")
        if profile.dynUpdateInterval is not None and not dynamic:
            raise Refusal("InvalidProfile", "dynUpdateInterval on a profile that is not Dynamic")
        if (profile.chargingProfileKind == "Recurring") != (profile.recurrencyKind is not None):
            raise Refusal("InvalidProfile", "recurrencyKind belongs to kind Recurring, and it needs one")
        if dynamic and (
            len(profile.chargingSchedule) != 1 or len(profile.chargingSchedule[0].chargingSchedulePeriod) != 1
        ):
            raise Refusal("InvalidSchedule", "a Dynamic profile has one schedule of one period")

    def _check_schedule(self, schedule: wire.ChargingSchedule, profile: wire.ChargingProfile) -> None:
        kind = profile.chargingProfileKind
        if schedule.chargingRateUnit != "W":
            raise Refusal("UnsupportedRateUnit", schedule.chargingRateUnit)
        if kind in ("Absolute", "Recurring") and schedule.startSchedule is None:
            raise Refusal("InvalidSchedule", f"{kind} without startSchedule")
        if kind == "Relative" and schedule.startSchedule is not None:
            raise Refusal("InvalidSchedule", "Relative with startSchedule")
        for name, given, known in (
            ("useLocalTime", schedule.useLocalTime, self.abilities.use_local_time),
            ("randomizedDelay", schedule.randomizedDelay, self.abilities.randomized_delay),
            ("limitAtSoC", schedule.limitAtSoC, self.abilities.limit_at_soc),
        ):
            if given and not known:
                raise Refusal("InvalidSchedule", f"{name} is not supported")
        starts = [period.startPeriod for period in schedule.chargingSchedulePeriod]
        if starts[0] != 0 or any(a >= b for a, b in itertools.pairwise(starts)):
            raise Refusal("InvalidSchedule", "periods start at 0 and ascend")

    def _check_period(
        self, period: wire.ChargingSchedulePeriod, profile: wire.ChargingProfile, *, v2x_allowed: bool
    ) -> None:
        mode, purpose = period.operationMode or "ChargingOnly", profile.chargingProfilePurpose
        if mode == "LocalLoadBalancing" and mode not in self.abilities.modes:
            raise Refusal("UnsupportedParam", mode)
        if mode not in self.abilities.modes or (mode not in UNASKED and not v2x_allowed):
            raise Refusal("InvalidOperationMode", f"{mode} is not available here")
        if purpose not in MODE_PURPOSES[mode]:
            raise Refusal("InvalidOperationMode", f"{mode} in a {purpose}")
        if period.evseSleep and (mode != "Idle" or not self.abilities.evse_sleep):
            raise Refusal("InvalidSchedule", "evseSleep outside Idle, or not supported")
        self._check_phases(period, profile)
        given = {name for name in VALUES if getattr(period, name) is not None}
        required, optional = MODE_VALUES[mode]
        if required - given:
            raise Refusal("InvalidSchedule", f"{mode} without {', '.join(sorted(required - given))}")
        if given - required - optional:
            raise Refusal("InvalidSchedule", f"{', '.join(sorted(given - required - optional))} in {mode}")
        if mode == "LocalFrequency":
            _check_curves(period)
        if (period.limit or 0.0) < 0 and self.abilities.negative_limits:
            self._check_giving(period, purpose)
        else:
            check_setpoint(period, required=mode in ("CentralSetpoint", "CentralFrequency"))

    def _check_phases(self, period: wire.ChargingSchedulePeriod, profile: wire.ChargingProfile) -> None:
        """V2X.10, and one sign in all phases."""
        given = {
            f"{name}{phase}"
            for name in VALUES
            for phase in ("_L2", "_L3")
            if getattr(period, f"{name}{phase}") is not None
        }
        if not given:
            return
        if not self.abilities.phases or profile.chargingProfilePurpose != "TxProfile":
            raise Refusal("PhaseConflict", f"{', '.join(sorted(given))}: no phases of its own here")
        alone = sorted(name for name in given if getattr(period, name[:-3]) is None)
        if alone:
            raise Refusal("InvalidSchedule", f"{alone[0]} without {alone[0][:-3]}")
        setpoints = [period.setpoint or 0.0, period.setpoint_L2 or 0.0, period.setpoint_L3 or 0.0]
        if min(setpoints) < 0 < max(setpoints):
            raise Refusal("InvalidSchedule", "one phase charges while another gives")

    def _check_giving(self, period: wire.ChargingSchedulePeriod, purpose: str) -> None:
        assert period.limit is not None
        if purpose != "TxProfile":
            raise Refusal("InvalidSchedule", f"limit {period.limit:g} in a {purpose}: only a transaction discharges")
        if -period.limit > self.abilities.discharge_w:
            raise Refusal("InvalidSchedule", f"limit {period.limit:g} below -{self.abilities.discharge_w:g}")

    def _check_company(self, evse_id: int, profile: wire.ChargingProfile, moment: Moment) -> None:
        purpose = profile.chargingProfilePurpose
        since_s = moment.now_s - self._set_at_s.get(purpose, -math.inf)
        if since_s < self.abilities.update_rate_s:
            raise Refusal("RateLimitExceeded", f"{purpose} again after {since_s:.1f} s")
        if profile.id not in self.installed and len(self.installed) >= PROFILES_MAX:
            raise Refusal("InvalidProfile", f"more than {PROFILES_MAX} profiles")
        for other in self.installed.values():
            same = (other.evse_id, other.profile.chargingProfilePurpose, other.profile.stackLevel) == (
                evse_id,
                purpose,
                profile.stackLevel,
            )
            apart = profile.transactionId != other.profile.transactionId
            if same and not apart and other.profile.id != profile.id and _overlap(other.profile, profile):
                raise Refusal("DuplicateProfile", f"profile {other.profile.id} has this purpose and stackLevel")

    def update(self, profile_id: int, changes: wire.ChargingScheduleUpdate, now_s: float) -> None:
        """UpdateDynamicSchedule: new values in a Dynamic profile."""
        kept = self.installed.get(profile_id)
        if kept is None or kept.bounds is None:
            raise Refusal("InvalidProfileId", f"no Dynamic profile {profile_id}")
        if now_s - self._updated_at_s < self.abilities.dynamic_rate_s:
            raise Refusal("RateLimitExceeded", f"again after {now_s - self._updated_at_s:.2f} s")
        given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not None}
        if any(name.endswith(("_L2", "_L3")) for name in given):
            raise Refusal("PhaseConflict", "no phases of its own behind a converter")
        old = kept.bounds
        mode_values = frozenset().union(*MODE_VALUES[old.mode])
        if given.keys() - mode_values:
            raise Refusal("InvalidSchedule", f"{', '.join(sorted(given.keys() - mode_values))} in {old.mode}")
        new = replace(
            old,
            setpoint_w=given.get("setpoint", old.setpoint_w),
            limit_w=given.get("limit", old.limit_w),
            discharge_limit_w=given.get("dischargeLimit", old.discharge_limit_w),
        )
        _check_values(new.setpoint_w, new.limit_w, new.discharge_limit_w, required=False)
        kept.bounds = new
        self._updated_at_s = now_s

    def clear(self, profile_id: int | None, criteria: wire.ClearChargingProfile | None) -> int:
        """Remove by id or by criteria (all when neither is given); returns how many went."""
        gone = []
        for key, kept in self.installed.items():
            if profile_id is not None:
                match = key == profile_id
            elif criteria is not None:
                match = (
                    (criteria.evseId is None or criteria.evseId == kept.evse_id)
                    and criteria.chargingProfilePurpose in (None, kept.profile.chargingProfilePurpose)
                    and criteria.stackLevel in (None, kept.profile.stackLevel)
                )
            else:
                match = True
            if match:
                gone.append(key)
        for key in gone:
            del self.installed[key]
        return len(gone)

    def end_transaction(self, transaction_id: str) -> None:
        """Forget the transaction's own profiles."""
        self.installed = {k: v for k, v in self.installed.items() if v.profile.transactionId != transaction_id}

    def lapse(self, moment: Moment) -> None:
        """Remove what an offline spell has made invalid for good."""
        self.installed = {
            key: kept
            for key, kept in self.installed.items()
            if not (kept.profile.invalidAfterOfflineDuration and _offline_too_long(kept.profile, moment))
        }

    def in_force(self, moment: Moment) -> tuple[Bounds, float]:
        """(what holds now, until when at most). Without any profile: full power, as real stations do."""
        until_s = math.inf
        best: dict[str, tuple[tuple[int, int], Bounds]] = {}
        for kept in self.installed.values():
            bounds, edge_s = _evaluate(kept, moment)
            until_s = min(until_s, edge_s)
            if bounds is None:
                continue
            purpose, rank = kept.profile.chargingProfilePurpose, (kept.profile.stackLevel, kept.evse_id)
            if purpose not in best or rank > best[purpose][0]:
                best[purpose] = (rank, bounds)
        first = best.get("PriorityCharging") if moment.priority else None
        chosen = first or best.get("TxProfile") or best.get("TxDefaultProfile")
        bounds = chosen[1] if chosen else Bounds(limit_w=self.abilities.charge_w)
        cap = best.get("ChargingStationMaxProfile")
        if cap is not None and cap[1].limit_w is not None:
            limit = cap[1].limit_w if bounds.limit_w is None else min(bounds.limit_w, cap[1].limit_w)
            setpoint = None if bounds.setpoint_w is None else min(bounds.setpoint_w, limit)
            bounds = replace(bounds, limit_w=limit, setpoint_w=setpoint)
        return bounds, until_s

    def composite(self, moment: Moment, duration_s: int) -> list[tuple[int, Bounds]]:
        """What will hold from ``moment`` on, as (after s, bounds)."""
        start_s = moment.now_s
        periods: list[tuple[int, Bounds]] = []
        while moment.now_s < start_s + duration_s and len(periods) < COMPOSITE_PERIODS_MAX:
            bounds, until_s = self.in_force(moment)
            periods.append((int(moment.now_s - start_s), bounds))
            moment = replace(moment, now_s=until_s)
        return periods

    def wanted_kw(self, bounds: Bounds, outside: Outside | None = None) -> float:
        """The power that the station will aim at, AC kW, charging positive."""
        outside = outside or Outside()
        if bounds.mode == "Idle":
            return 0.0
        high = min(self.abilities.charge_w, *_given(bounds.limit_w, outside.limit_w), math.inf)
        if bounds.mode in ("ChargingOnly", "ExternalLimits"):
            return max(high, -self.abilities.discharge_w if self.abilities.negative_limits else 0.0) / 1000
        low = max(-self.abilities.discharge_w, *_given(bounds.discharge_limit_w, outside.discharge_limit_w), -math.inf)
        match bounds.mode:
            case "LocalFrequency":
                aim = bounds.baseline_w + _on_curve(bounds.frequency_w, outside.frequency_hz)
                if outside.signal is not None and bounds.signal_w:
                    aim += _on_curve(bounds.signal_w, float(outside.signal))
            case "ExternalSetpoint":
                aim = outside.setpoint_w or 0.0
            case "LocalLoadBalancing":
                aim = -outside.rest_w
            case _:
                assert bounds.setpoint_w is not None
                aim = bounds.setpoint_w
        return min(max(aim, low), high) / 1000

    def reported(self, evse_id: int | None, wanted: wire.ChargingProfileCriterion) -> list[Installed]:
        """The profiles that GetChargingProfiles asks for; all of them are the management system's (CSO)."""
        if wanted.chargingLimitSource is not None and "CSO" not in wanted.chargingLimitSource:
            return []
        return [
            kept
            for key, kept in sorted(self.installed.items())
            if evse_id in (None, kept.evse_id)
            and (wanted.chargingProfileId is None or key in wanted.chargingProfileId)
            and wanted.chargingProfilePurpose in (None, kept.profile.chargingProfilePurpose)
            and wanted.stackLevel in (None, kept.profile.stackLevel)
        ]


def _given(*limits: float | None) -> list[float]:
    return [limit for limit in limits if limit is not None]


def _on_curve(points: tuple[tuple[float, float], ...], at: float) -> float:
    """The curve's value: straight between its points, level beyond its ends."""
    if not points:
        return 0.0
    ordered = sorted(points)
    if at <= ordered[0][0]:
        return ordered[0][1]
    for (x0, y0), (x1, y1) in itertools.pairwise(ordered):
        if at <= x1:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return ordered[-1][1]


def _check_curves(period: wire.ChargingSchedulePeriod) -> None:
    """Q08: a baseline and a frequency curve of two points; a signal curve of two where there is one."""
    curve, signals = period.v2xFreqWattCurve or (), period.v2xSignalWattCurve
    if len(curve) < CURVE_POINTS_MIN or period.v2xBaseline is None:
        raise Refusal("NoFreqWattCurve", "LocalFrequency needs v2xBaseline and a curve of two points")
    if signals is not None and len(signals) < CURVE_POINTS_MIN:
        raise Refusal("InvalidSchedule", "a signal curve has at least two points")
    if len({point.frequency for point in curve}) < len(curve):
        raise Refusal("InvalidSchedule", "two powers for one frequency")


def check_setpoint(period: wire.ChargingSchedulePeriod, *, required: bool) -> None:
    """V2X.05: a setpoint lies in [dischargeLimit, limit]; limits have their signs."""
    _check_values(period.setpoint, period.limit, period.dischargeLimit, required=required)


def _check_values(setpoint: float | None, limit: float | None, discharge: float | None, *, required: bool) -> None:
    if required and setpoint is None:
        raise Refusal("InvalidSchedule", "CentralSetpoint without a setpoint")
    if limit is not None and limit < 0:
        raise Refusal("InvalidSchedule", f"limit {limit:g} below 0")
    if discharge is not None and discharge > 0:
        raise Refusal("InvalidSchedule", f"dischargeLimit {discharge:g} above 0")
    if setpoint is None:
        return
    if (limit is not None and setpoint > limit) or (discharge is not None and setpoint < discharge):
        raise Refusal("InvalidSchedule", f"setpoint {setpoint:g} outside [{discharge}, {limit}]")


def _bounds(period: wire.ChargingSchedulePeriod, profile_id: int) -> Bounds:
    return Bounds(
        mode=period.operationMode or "ChargingOnly",
        setpoint_w=period.setpoint,
        limit_w=period.limit,
        discharge_limit_w=period.dischargeLimit,
        profile_id=profile_id,
        baseline_w=period.v2xBaseline or 0.0,
        frequency_w=tuple((point.frequency, point.power) for point in period.v2xFreqWattCurve or ()),
        signal_w=tuple((float(point.signal), point.power) for point in period.v2xSignalWattCurve or ()),
    )


def _offline_too_long(profile: wire.ChargingProfile, moment: Moment) -> bool:
    return (
        profile.maxOfflineDuration is not None
        and moment.offline_since_s is not None
        and moment.now_s - moment.offline_since_s >= profile.maxOfflineDuration
    )


def _evaluate(kept: Installed, moment: Moment) -> tuple[Bounds | None, float]:
    """(the profile's bounds now or None, when that may change)."""
    profile, now_s = kept.profile, moment.now_s
    edges = [math.inf]
    if profile.maxOfflineDuration is not None and moment.offline_since_s is not None:
        lapse_s = moment.offline_since_s + profile.maxOfflineDuration
        if now_s >= lapse_s:
            return None, math.inf
        edges.append(lapse_s)
    if profile.validFrom is not None and now_s < profile.validFrom.timestamp():
        return None, profile.validFrom.timestamp()
    if profile.validTo is not None:
        if now_s >= profile.validTo.timestamp():
            return None, math.inf
        edges.append(profile.validTo.timestamp())
    if profile.transactionId is not None and profile.transactionId != moment.transaction_id:
        return None, math.inf
    schedule = profile.chargingSchedule[0]
    if kept.bounds is not None:
        return kept.bounds, min(edges)
    start_s = _start_s(kept, moment)
    if now_s < start_s:
        return None, min(*edges, start_s)
    if schedule.duration is not None:
        if now_s >= start_s + schedule.duration and profile.recurrencyKind is None:
            return None, math.inf
        edges.append(start_s + schedule.duration)
        if now_s >= start_s + schedule.duration:
            return None, start_s + (DAY_S if profile.recurrencyKind == "Daily" else WEEK_S)
    chosen = None
    for period in schedule.chargingSchedulePeriod:
        from_s = start_s + period.startPeriod + (kept.delay_s if period.startPeriod else 0.0)
        if from_s > now_s:
            edges.append(from_s)
            break
        chosen = period
    if profile.recurrencyKind is not None:
        edges.append(start_s + (DAY_S if profile.recurrencyKind == "Daily" else WEEK_S))
    return (_bounds(chosen, profile.id) if chosen is not None else None), min(edges)


def _start_s(kept: Installed, moment: Moment) -> float:
    profile = kept.profile
    if profile.chargingProfileKind == "Relative":
        return moment.transaction_start_s if moment.transaction_id else kept.since_s
    start = profile.chargingSchedule[0].startSchedule
    assert start is not None, "refused when it came"
    start_s = start.timestamp()
    if profile.recurrencyKind is not None:
        span_s = DAY_S if profile.recurrencyKind == "Daily" else WEEK_S
        start_s += math.floor((moment.now_s - start_s) / span_s) * span_s
    return start_s


def _overlap(one: wire.ChargingProfile, other: wire.ChargingProfile) -> bool:
    def span(profile: wire.ChargingProfile) -> tuple[float, float]:
        low = profile.validFrom.timestamp() if profile.validFrom else -math.inf
        return low, profile.validTo.timestamp() if profile.validTo else math.inf

    (low, high), (low2, high2) = span(one), span(other)
    return low < high2 and low2 < high
