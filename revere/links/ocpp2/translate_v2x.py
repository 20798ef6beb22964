"""Blocks K and Q to the house's words: a vehicle's own schedule, what it may be offered.

Signs: charging is positive on both sides; ``dischargeLimit`` is never above 0 there and a magnitude here. W there, kW
here. Sources: OCPP 2.1 schemas; the project's OCPP facts, sections 5 and 6.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.commands import OFFLINE_LEASE_S
from revere.core.facts import VehicleScheduleReported
from revere.links.ocpp2.outside_limits import charge_kw
from revere.links.ocpp2.profile_ids import FROM_ONE
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import SCHEDULE_STEPS_MAX, SKEW_QUARANTINE_S
from revere.links.ocppj.setpoints import DAY_S, local_midnight, watts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.commands import DefaultProfile
    from revere.core.ports import StationConfig
    from revere.core.v2x_orders import OperationMode, SetOperationMode
    from revere.links.ocpp2.profile_ids import ProfileIds

CHARGING: Final[tuple[wire.EnergyTransferModeEnum, ...]] = (
    "AC_single_phase",
    "AC_two_phase",
    "AC_three_phase",
    "DC",
    "DC_ACDP",
    "WPT",
)
GIVING: Final[tuple[wire.EnergyTransferModeEnum, ...]] = ("AC_BPT", "AC_BPT_DER", "DC_BPT", "DC_ACDP_BPT")
TRANSFERS: Final = "V2XChargingCtrlr@{}.SupportedEnergyTransferModes"
SOURCES: Final = ("CSO", "EMS", "SO", "Other")
"""Who sets limits, in OCPP's words; a request for profiles must name something."""
POWER_SLACK_KW: Final = 0.05
TUPLES_MAX: Final = 12
"""Periods offered to a vehicle that does not say how many it takes."""
MODE_STACK_LEVEL: Final = 11
"""Above our setpoints: while a person's mode stands they are not followed."""
MODES: Final[dict[OperationMode, wire.OperationModeEnum]] = {
    "charging-only": "ChargingOnly",
    "central-setpoint": "CentralSetpoint",
    "central-frequency": "CentralFrequency",
    "local-frequency": "LocalFrequency",
    "external-setpoint": "ExternalSetpoint",
    "external-limits": "ExternalLimits",
    "local-load-balancing": "LocalLoadBalancing",
    "idle": "Idle",
}
MODE_NAMES: Final[dict[str, OperationMode]] = {word: name for name, word in MODES.items()}
OURS: Final = MODES["central-setpoint"]
"""The mode in which our setpoints are followed."""
BEGUN_S: Final = int(SKEW_QUARANTINE_S)
"""How long before now a mode's schedule begins, so that a station whose clock is slow obeys at once too."""
SCHEDULE_STACK_LEVEL: Final = 1
"""Above the fallback, below any setpoint."""


def allowed_transfer(
    config: StationConfig, variables: Mapping[str, str], *, gives: bool, evse_id: int = 1
) -> tuple[wire.EnergyTransferModeEnum, ...] | None:
    """What a known vehicle may choose from (Q01); None where it only charges, which is what an omission means."""
    if not gives or config.discharge_kw <= 0:
        return None
    every = (*CHARGING, *GIVING)
    said = {word.strip() for word in variables.get(TRANSFERS.format(evse_id), "").split(",")}
    known = tuple(mode for mode in every if mode in said)
    return known or every


def vehicle_schedule(
    config: StationConfig, request: wire.NotifyEVChargingScheduleRequest, at: dt.datetime
) -> VehicleScheduleReported:
    """What the vehicle means to draw (K17, K18), and why we do not agree, if we do not."""
    schedule, base = request.chargingSchedule, request.timeBase.astimezone(dt.UTC)
    periods = schedule.chargingSchedulePeriod[:SCHEDULE_STEPS_MAX]
    kw = [charge_kw(period) or 0.0 for period in periods]
    refused = ""
    if schedule.chargingRateUnit != "W":
        refused, kw = f"a schedule in {schedule.chargingRateUnit}: it must be in W", []
    elif max(kw) > config.charge_kw + POWER_SLACK_KW:
        refused = f"{max(kw):g} kW is above the station's {config.charge_kw:g} kW"
    steps = tuple(
        (base + dt.timedelta(seconds=period.startPeriod), power_kw)
        for period, power_kw in zip(periods, kw, strict=False)
    )
    return VehicleScheduleReported(
        at=at, station_id=config.station_id, evse_id=request.evseId, steps=steps, refused=refused
    )


def offered_schedule(
    profile: DefaultProfile,
    evse_id: int,
    transaction_id: str,
    now: dt.datetime,
    periods_max: int,
    ids: ProfileIds = FROM_ONE,
) -> wire.SetChargingProfileRequest:
    """The fallback's next 24 hours as the schedule of one session; beyond the last period its least limit holds."""
    midnight = local_midnight(profile, now)
    after_s = (now - midnight).total_seconds()
    day = [(start_s, kw) for start_s, kw in profile.limits_kw] + [(s + DAY_S, kw) for s, kw in profile.limits_kw]
    begun = [kw for start_s, kw in day if start_s <= after_s]
    steps = [(0, begun[-1])] + [(int(s - after_s), kw) for s, kw in day if 0 < s - after_s < DAY_S]
    if len(steps) > periods_max:
        rest = steps[periods_max - 1 :]
        steps = [*steps[: periods_max - 1], (rest[0][0], min(kw for _, kw in rest))]
    profile_id = ids.schedule(evse_id)
    return wire.SetChargingProfileRequest(
        evseId=evse_id,
        chargingProfile=wire.ChargingProfile(
            id=profile_id,
            stackLevel=SCHEDULE_STACK_LEVEL,
            chargingProfilePurpose="TxProfile",
            chargingProfileKind="Absolute",
            transactionId=transaction_id,
            chargingSchedule=(
                wire.ChargingSchedule(
                    id=profile_id,
                    chargingRateUnit="W",
                    startSchedule=now,
                    duration=DAY_S,
                    chargingSchedulePeriod=tuple(
                        wire.ChargingSchedulePeriod(startPeriod=s, limit=watts(kw), operationMode="ChargingOnly")
                        for s, kw in steps
                    ),
                ),
            ),
        ),
    )


def mode_profile(
    order: SetOperationMode, transaction_id: str, now: dt.datetime, ids: ProfileIds = FROM_ONE
) -> wire.SetChargingProfileRequest:
    """A mode of its own as a TxProfile of one session that ends at its moment, and sooner where the line is gone."""
    profile_id = ids.mode(order.evse_id)
    dynamic = moves(order)
    first = _period(order)
    later = tuple(
        msgspec.structs.replace(first, startPeriod=step.after_s + BEGUN_S, setpoint=watts(step.setpoint_kw))
        for step in order.steps
    )
    return wire.SetChargingProfileRequest(
        evseId=order.evse_id,
        chargingProfile=wire.ChargingProfile(
            id=profile_id,
            stackLevel=MODE_STACK_LEVEL,
            chargingProfilePurpose="TxProfile",
            chargingProfileKind="Dynamic" if dynamic else "Absolute",
            transactionId=transaction_id,
            validTo=order.until,
            maxOfflineDuration=OFFLINE_LEASE_S,
            invalidAfterOfflineDuration=True,
            chargingSchedule=(
                wire.ChargingSchedule(
                    id=profile_id,
                    chargingRateUnit="W",
                    startSchedule=None if dynamic else now - dt.timedelta(seconds=BEGUN_S),
                    chargingSchedulePeriod=(first, *later),
                ),
            ),
        ),
    )


def moves(order: SetOperationMode) -> bool:
    """Whether its one setpoint is moved by updates (Q04; for Q07 *inferred*) and does not follow a schedule (Q03)."""
    return order.mode in ("central-setpoint", "central-frequency") and not order.steps


def _period(order: SetOperationMode) -> wire.ChargingSchedulePeriod:
    return wire.ChargingSchedulePeriod(
        startPeriod=0,
        operationMode=MODES[order.mode],
        limit=_watts(order.charge_limit_kw),
        dischargeLimit=None if order.discharge_limit_kw is None else watts(-order.discharge_limit_kw),
        setpoint=_watts(order.setpoint_kw),
        setpointReactive=_watts(order.reactive_kvar),
        evseSleep=order.sleep or None,
        v2xBaseline=_watts(order.baseline_kw),
        v2xFreqWattCurve=tuple(
            wire.V2XFreqWattPoint(frequency=point.hz, power=watts(point.kw)) for point in order.frequency_curve
        )
        or None,
        v2xSignalWattCurve=tuple(
            wire.V2XSignalWattPoint(signal=point.signal, power=watts(point.kw)) for point in order.signal_curve
        )
        or None,
    )


def mode_update(order: SetOperationMode, ids: ProfileIds = FROM_ONE) -> wire.UpdateDynamicScheduleRequest:
    """The new values of such a profile, where its mode is one that we move."""
    return wire.UpdateDynamicScheduleRequest(
        chargingProfileId=ids.mode(order.evse_id),
        scheduleUpdate=wire.ChargingScheduleUpdate(
            limit=_watts(order.charge_limit_kw),
            dischargeLimit=None if order.discharge_limit_kw is None else watts(-order.discharge_limit_kw),
            setpoint=_watts(order.setpoint_kw),
            setpointReactive=_watts(order.reactive_kvar),
        ),
    )


def priority_profile(evse_id: int, limit_kw: float, ids: ProfileIds = FROM_ONE) -> wire.SetChargingProfileRequest:
    """What a session that goes first may draw: ChargingOnly is all that stands there (facts, section 5)."""
    profile_id = ids.priority(evse_id)
    period = wire.ChargingSchedulePeriod(startPeriod=0, operationMode="ChargingOnly", limit=watts(limit_kw))
    return wire.SetChargingProfileRequest(
        evseId=evse_id,
        chargingProfile=wire.ChargingProfile(
            id=profile_id,
            stackLevel=0,
            chargingProfilePurpose="PriorityCharging",
            chargingProfileKind="Relative",
            chargingSchedule=(
                wire.ChargingSchedule(id=profile_id, chargingRateUnit="W", chargingSchedulePeriod=(period,)),
            ),
        ),
    )


def _watts(power_kw: float | None) -> float | None:
    return None if power_kw is None else watts(power_kw)


def profile_line(source: str, evse_id: int, profile: wire.ChargingProfile) -> tuple[str, str]:
    """A profile's id and the profile in one line, as a person reads it."""
    period = profile.chargingSchedule[0].chargingSchedulePeriod[0]
    names = ("limit", "dischargeLimit", "setpoint")
    values = ", ".join(f"{name} {value:g}" for name in names if (value := getattr(period, name)) is not None)
    until = "" if profile.validTo is None else f" until {profile.validTo:%Y-%m-%dT%H:%M:%SZ}"
    count = sum(len(schedule.chargingSchedulePeriod) for schedule in profile.chargingSchedule)
    what = f"{profile.chargingProfilePurpose} {profile.chargingProfileKind}, level {profile.stackLevel}"
    first = f"{period.operationMode or 'ChargingOnly'} {values}".strip()
    return str(profile.id), f"{what}, at EVSE {evse_id} by {source}{until}: {first}; {count} periods"
