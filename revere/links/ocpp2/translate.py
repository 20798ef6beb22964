"""OCPP 2 to the house's facts, and the house's commands to OCPP 2, in 2.1's words.

Signs: charging is positive on both sides and a setpoint below 0 discharges, so setpoints keep their
sign; our discharge limit is a magnitude and the wire's is never above 0, so that one is negated.
2.0.1 knows no setpoint: a limit is one, and a limit below 0 discharges (the negative value of "older
systems" that 2.1's own schema speaks of).
Units: kW and kWh here, W and Wh there; soc a fraction here, percent there.
Places: samples at ``Inlet`` are the station's grid side (``ac_inlet``), at ``Outlet`` (the standard's
default) the vehicle's side (``dc_outlet``), at EVSE 0 the site's main meter; soc comes from ``EV``.
Sources: the project's OCPP facts, sections 5 and 6; OCPP 2.1 schemas.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, Literal

from revere.core.commands import OFFLINE_LEASE_S, lease_s
from revere.core.errors import Refused
from revere.core.facts import (
    AlarmCleared,
    AlarmRaised,
    EnergyNeeds,
    EvseStatus,
    Fact,
    GridLost,
    GridRestored,
    MeterReading,
    MonitorReported,
    Place,
    SessionEnded,
    SessionStarted,
    SignedValueReceived,
    StationBooted,
    StatusReported,
    TransferSwitchReported,
    evse_asset,
)
from revere.core.ids import SessionId
from revere.links.ocpp2.profile_ids import FROM_ONE
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import security
from revere.links.ocppj.line import SKEW_QUARANTINE_S, session_id_of
from revere.links.ocppj.moments import moment_after
from revere.links.ocppj.samples import CONTEXTS, MEASURANDS, SOC, Sample, in_base_unit, readings_of
from revere.links.ocppj.setpoints import DAY_S, local_midnight, watts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from revere.core.commands import DefaultProfile, SetpointCommand
    from revere.core.ports import StationConfig
    from revere.links.ocpp2.profile_ids import ProfileIds
    from revere.links.ocppj.bounds import Counters

CENTRAL_STACK_LEVEL: Final = 10
GRID_FAULTS: Final = frozenset({"UnderVoltage", "LowInputPower"})
"""What an inverter's protection reports when the grid is gone."""
TRANSFER_SWITCH: Final = ("TransferSwitch", "State")
GRID: Final = ("ElectricalFeed", "Active")
"""Whether the grid is there, where no DER alarm can say it (2.0.1)."""
AVAILABILITY: Final = "AvailabilityState"
"""What 2.1 has in the place of StatusNotification."""
ALARM_SEVERITY_MAX: Final = 4
"""NotifyEvent severities 0 (danger) to 4 (error) become alarms; 5 to 9 are notices."""
CRITICAL_SEVERITY_MAX: Final = 3
"""0 danger, 1 hardware and 2 system failure, 3 critical; 4 is an error that it goes on with."""
VALUE_MAX_CHARS: Final = 500
_TRIGGERS: Final[Mapping[str, Literal["alerting", "delta", "periodic"]]] = {
    "Alerting": "alerting",
    "Delta": "delta",
    "Periodic": "periodic",
}

_UNSAID: Final = wire.UnitOfMeasure(unit="")
PLACES: Final[Mapping[str, Place]] = {"Inlet": "ac_inlet", "Upstream": "ac_inlet", "Outlet": "dc_outlet"}
_STATUS: Final[dict[str, EvseStatus]] = {
    "Available": "available",
    "Occupied": "occupied",
    "Reserved": "reserved",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}


def booted(config: StationConfig, request: wire.BootNotificationRequest, at: dt.datetime) -> StationBooted:
    """Who the station says it is."""
    station = request.chargingStation
    return StationBooted(
        at=at,
        station_id=config.station_id,
        vendor=station.vendorName,
        model=station.model,
        serial=station.serialNumber or "",
        firmware=station.firmwareVersion or "",
        reason=request.reason,
    )


def status_reported(config: StationConfig, request: wire.StatusNotificationRequest, at: dt.datetime) -> StatusReported:
    """A connector's availability, under its EVSE."""
    return StatusReported(
        at=at,
        station_id=config.station_id,
        evse_id=request.evseId,
        status=_STATUS[request.connectorStatus],
        ts=request.timestamp.astimezone(dt.UTC),
    )


def _samples(
    values: Sequence[wire.SampledValue], places: Mapping[str, Place], *, site_meter: bool, counters: Counters
) -> list[Sample]:
    samples = []
    for value in values:
        if value.measurand not in MEASURANDS:
            continue
        if site_meter:
            place: Place | None = "site"
        else:
            place = "ac_inlet" if value.measurand == SOC else places.get(value.location)
        unit = value.unitOfMeasure or _UNSAID
        base = in_base_unit(value.value, unit.unit, unit.multiplier or 0, value.measurand)
        if place is None or base is None:
            counters.samples_refused += 1
            continue
        samples.append(Sample(value.measurand, base, value.phase, place, CONTEXTS.get(value.context, "trigger")))
    return samples


def readings(
    config: StationConfig,
    evse_id: int,
    meter_values: Sequence[wire.MeterValue],
    *,
    at: dt.datetime,
    session_id: SessionId | None,
    counters: Counters,
    places: Mapping[str, Place] = PLACES,
) -> list[MeterReading]:
    """Readings of an EVSE, or of the site's main meter for EVSE 0 where the station has it."""
    site_meter = evse_id == 0
    if site_meter and not config.meters_site:
        counters.readings_unplaced += len(meter_values)
        return []
    found: list[MeterReading] = []
    for meter_value in meter_values:
        found += readings_of(
            _samples(meter_value.sampledValue, places, site_meter=site_meter, counters=counters),
            asset_id=config.site_id if site_meter else evse_asset(config.station_id, evse_id),
            ts=meter_value.timestamp.astimezone(dt.UTC),
            at=at,
            session_id=None if site_meter else session_id,
            counters=counters,
        )
    return found


def signed_values(
    config: StationConfig,
    evse_id: int,
    meter_values: Sequence[wire.MeterValue],
    *,
    at: dt.datetime,
    session_id: SessionId | None,
) -> list[SignedValueReceived]:
    """What the meter signed, as it came: nothing of it is read here, or a signature would prove nothing."""
    asset_id = config.site_id if evse_id == 0 else evse_asset(config.station_id, evse_id)
    return [
        SignedValueReceived(
            at=at,
            asset_id=asset_id,
            ts=meter_value.timestamp.astimezone(dt.UTC),
            measurand=value.measurand,
            signed=value.signedMeterValue.signedMeterData,
            encoding=value.signedMeterValue.encodingMethod,
            method=value.signedMeterValue.signingMethod or "",
            public_key=value.signedMeterValue.publicKey or "",
            session_id=session_id,
        )
        for meter_value in meter_values
        for value in meter_value.sampledValue
        if value.signedMeterValue is not None
    ]


def session_started(
    config: StationConfig, transaction_id: str, evse_id: int, token: str, ts: dt.datetime, at: dt.datetime
) -> SessionStarted:
    """Plug-in; the token may be empty until the vehicle has identified itself."""
    return SessionStarted(
        at=at,
        station_id=config.station_id,
        evse_id=evse_id,
        session_id=SessionId(session_id_of(config.station_id, transaction_id)),
        token=token,
        ts=ts.astimezone(dt.UTC),
    )


def session_ended(
    config: StationConfig, request: wire.TransactionEventRequest, reason: str, at: dt.datetime
) -> SessionEnded:
    """Plug-out, for the station's own reason where it gives one."""
    return SessionEnded(
        at=at,
        station_id=config.station_id,
        session_id=SessionId(session_id_of(config.station_id, request.transactionInfo.transactionId)),
        ts=request.timestamp.astimezone(dt.UTC),
        reason=request.transactionInfo.stoppedReason or reason,
    )


def energy_needs(config: StationConfig, request: wire.NotifyEVChargingNeedsRequest, at: dt.datetime) -> EnergyNeeds:
    """A vehicle's bounds. Discharge powers are magnitudes in 2.1; older cars send them negative: both count."""
    needs = request.chargingNeeds
    v2x, dc = needs.v2xChargingParameters, needs.dcChargingParameters
    charge_w = v2x.maxChargePower if v2x is not None else None
    if charge_w is None and dc is not None:
        charge_w = dc.evMaxPower
    discharge_w = v2x.maxDischargePower if v2x is not None else None
    capacity_wh = dc.evEnergyCapacity if dc is not None else None
    percent = dc.stateOfCharge if dc is not None else None
    least_wh = v2x.evMinV2XEnergyRequest if v2x is not None else None
    most_wh = v2x.evMaxEnergyRequest if v2x is not None else None
    return EnergyNeeds(
        at=at,
        station_id=config.station_id,
        evse_id=request.evseId,
        charge_max_kw=None if charge_w is None else charge_w / 1000.0,
        discharge_max_kw=None if discharge_w is None else abs(discharge_w) / 1000.0,
        capacity_kwh=None if capacity_wh is None else capacity_wh / 1000.0,
        soc=None if percent is None else percent / 100.0,
        departure=None if needs.departureTime is None else needs.departureTime.astimezone(dt.UTC),
        to_least_kwh=None if least_wh is None else least_wh / 1000.0,
        to_most_kwh=None if most_wh is None else most_wh / 1000.0,
        scheduled=needs.controlMode == "ScheduledControl",
    )


def der_alarm(
    config: StationConfig, request: wire.NotifyDERAlarmRequest, at: dt.datetime, *, grid_lost: bool
) -> list[Fact]:
    """A dead grid or its return; any other disturbance is an alarm.

    An end without a named fault closes what the station had reported (``grid_lost``).
    """
    ts = request.timestamp.astimezone(dt.UTC)
    fault = request.gridEventFault
    ended = bool(request.alarmEnded)
    if fault in GRID_FAULTS or (fault is None and ended and grid_lost):
        if ended:
            return [GridRestored(at=at, site_id=config.site_id, ts=ts)]
        return [GridLost(at=at, site_id=config.site_id, ts=ts, source=f"{config.station_id} {fault}")]
    key = f"der:{config.station_id}:{fault or request.controlType}"
    if ended:
        return [AlarmCleared(at=at, key=key)]
    more = security.quoted(request.extraInfo or "")
    text = f"{request.controlType} protection: {fault or 'disturbance'}. {more}".strip()
    return [AlarmRaised(at=at, key=key, severity="warning", subject=config.station_id, text=text)]


def notified(
    config: StationConfig, event: wire.EventData, at: dt.datetime, *, severity: int | None = None
) -> list[Fact]:
    """The transfer switch, the grid, an EVSE's or connector's availability; else the notice, with an alarm or its end.

    ``severity`` is that of its monitor, where the notice does not say (2.0.1 has no field for it).
    """
    name = (event.component.name, event.variable.name)
    ts = event.timestamp.astimezone(dt.UTC)
    if name == GRID and event.actualValue.lower() == "true":
        return [GridRestored(at=at, site_id=config.site_id, ts=ts)]
    if name == GRID and event.actualValue.lower() == "false":
        return [GridLost(at=at, site_id=config.site_id, ts=ts, source=f"{config.station_id} feed dead")]
    if name == TRANSFER_SWITCH and event.actualValue in ("Open", "Closed"):
        return [TransferSwitchReported(at=at, site_id=config.site_id, open=event.actualValue == "Open", ts=ts)]
    evse = event.component.evse
    if name[1] == AVAILABILITY and evse is not None and event.actualValue in _STATUS:
        status = _STATUS[event.actualValue]
        return [StatusReported(at=at, station_id=config.station_id, evse_id=evse.id, status=status, ts=ts)]
    severity = severity if event.severity is None else event.severity
    where = "" if evse is None else f"@{evse.id}"
    variable = f"{name[0]}{where}.{name[1]}"
    whole = ".".join(filter(None, (name[0], event.component.instance, name[1], event.variable.instance)))
    value = security.told_value(whole, event.actualValue)
    why = event.techInfo or event.techCode or ""
    why = security.HIDDEN if why and (security.secret(whole) or security.personal(whole)) else security.quoted(why)
    notice = MonitorReported(
        at=at,
        station_id=config.station_id,
        variable=variable,
        value=value[:VALUE_MAX_CHARS],
        trigger=_TRIGGERS[event.trigger],
        ts=ts,
        severity=severity,
        monitor=event.variableMonitoringId,
        cleared=bool(event.cleared),
        why=why[:VALUE_MAX_CHARS],
    )
    key = f"station:{config.station_id}:{variable}"
    if event.cleared:
        return [notice, AlarmCleared(at=at, key=key)]
    if event.trigger != "Alerting" or (severity is not None and severity > ALARM_SEVERITY_MAX):
        return [notice]
    alarm = AlarmRaised(
        at=at,
        key=key,
        severity="critical" if severity is not None and severity <= CRITICAL_SEVERITY_MAX else "warning",
        subject=config.station_id,
        text=f"{variable} = {value[:100]} {why}".strip(),
    )
    return [notice, alarm]


def central_profile(
    command: SetpointCommand, transaction_id: str, *, bidirectional: bool, ids: ProfileIds = FROM_ONE
) -> wire.SetChargingProfileRequest:
    """A setpoint as a Dynamic TxProfile of one transaction, above the charge-only default.

    A station that only charges gets a limit in mode ChargingOnly; the others CentralSetpoint.
    """
    update = schedule_update(command, bidirectional=bidirectional)
    period = wire.ChargingSchedulePeriod(
        startPeriod=0,
        operationMode="CentralSetpoint" if bidirectional else "ChargingOnly",
        limit=update.limit,
        dischargeLimit=update.dischargeLimit,
        setpoint=update.setpoint,
    )
    profile_id = ids.central(command.evse_id)
    return wire.SetChargingProfileRequest(
        evseId=command.evse_id,
        chargingProfile=wire.ChargingProfile(
            id=profile_id,
            stackLevel=CENTRAL_STACK_LEVEL,
            chargingProfilePurpose="TxProfile",
            chargingProfileKind="Dynamic",
            transactionId=transaction_id,
            maxOfflineDuration=OFFLINE_LEASE_S,
            invalidAfterOfflineDuration=True,
            chargingSchedule=(
                wire.ChargingSchedule(id=profile_id, chargingRateUnit="W", chargingSchedulePeriod=(period,)),
            ),
        ),
    )


def schedule_update(command: SetpointCommand, *, bidirectional: bool) -> wire.ChargingScheduleUpdate:
    """The new values of that profile, W."""
    if not bidirectional:
        return wire.ChargingScheduleUpdate(limit=watts(max(command.setpoint_kw, 0.0)))
    return wire.ChargingScheduleUpdate(
        limit=watts(command.charge_limit_kw),
        dischargeLimit=watts(-command.discharge_limit_kw),
        setpoint=watts(command.setpoint_kw),
    )


def leased_profile(
    command: SetpointCommand,
    transaction_id: str,
    now: dt.datetime,
    *,
    bidirectional: bool,
    ids: ProfileIds = FROM_ONE,
) -> wire.SetChargingProfileRequest:
    """A setpoint as the limit of an Absolute TxProfile that lapses at ``validTo``; below 0 W it discharges.

    Its schedule starts before ``now``, so that a station whose clock is slow obeys at once too.
    """
    setpoint_kw = command.setpoint_kw if bidirectional else max(command.setpoint_kw, 0.0)
    profile_id = ids.central(command.evse_id)
    return wire.SetChargingProfileRequest(
        evseId=command.evse_id,
        chargingProfile=wire.ChargingProfile(
            id=profile_id,
            stackLevel=CENTRAL_STACK_LEVEL,
            chargingProfilePurpose="TxProfile",
            chargingProfileKind="Absolute",
            transactionId=transaction_id,
            validTo=now + dt.timedelta(seconds=lease_s("ocpp2.0.1", setpoint_kw)),
            chargingSchedule=(
                wire.ChargingSchedule(
                    id=profile_id,
                    chargingRateUnit="W",
                    startSchedule=now - dt.timedelta(seconds=SKEW_QUARANTINE_S),
                    chargingSchedulePeriod=(wire.ChargingSchedulePeriod(startPeriod=0, limit=watts(setpoint_kw)),),
                ),
            ),
        ),
    )


def default_profile(
    profile: DefaultProfile, now: dt.datetime, *, modes: bool, ids: ProfileIds = FROM_ONE
) -> wire.SetChargingProfileRequest:
    """The charge-only fallback as a recurring daily TxDefaultProfile of the whole station.

    Its day starts at local midnight in UTC, so that it must be sent again when the clocks change.
    ``modes``: whether the station knows operation modes (2.1).
    """
    mode: Literal["ChargingOnly"] | None = "ChargingOnly" if modes else None
    periods = tuple(
        wire.ChargingSchedulePeriod(startPeriod=after_s, limit=watts(limit_kw), operationMode=mode)
        for after_s, limit_kw in profile.limits_kw
    )
    return wire.SetChargingProfileRequest(
        evseId=0,
        chargingProfile=wire.ChargingProfile(
            id=ids.fallback,
            stackLevel=0,
            chargingProfilePurpose="TxDefaultProfile",
            chargingProfileKind="Recurring",
            recurrencyKind="Daily",
            chargingSchedule=(
                wire.ChargingSchedule(
                    id=ids.fallback,
                    chargingRateUnit="W",
                    duration=DAY_S,
                    startSchedule=local_midnight(profile, now),
                    chargingSchedulePeriod=periods,
                ),
            ),
        ),
    )


def composite_kw(schedule: wire.CompositeSchedule) -> list[tuple[dt.datetime, float]]:
    """A composite schedule as (from, kW): the setpoint where one holds, else the charging limit."""
    if schedule.chargingRateUnit != "W":
        raise Refused("composite schedule in amperes", got=schedule.chargingRateUnit, expected="W")
    steps = []
    for period in schedule.chargingSchedulePeriod:
        value_w = period.setpoint if period.setpoint is not None else period.limit
        if value_w is not None:
            steps.append((moment_after(schedule.scheduleStart, period.startPeriod), value_w / 1000.0))
    return steps
