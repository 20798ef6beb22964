"""Grid-support controls to OCPP 2.1 and back (block R).

Signs: a FixedVar's set point is negative while charging there, positive here. Every type but seven has its settings
in ``curve``. Sources: OCPP 2.1 schema of SetDERControl; the project's OCPP facts, section 7.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from revere.core import der
from revere.links.ocpp2.wire import v21 as wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.v2x_orders import SetDerControl

CURVES: Final[dict[der.CurveType, wire.DERControlEnum]] = {
    "freq-watt": "FreqWatt",
    "hf-must-trip": "HFMustTrip",
    "hf-may-trip": "HFMayTrip",
    "hv-must-trip": "HVMustTrip",
    "hv-may-trip": "HVMayTrip",
    "hv-momentary-cessation": "HVMomCess",
    "lf-must-trip": "LFMustTrip",
    "lv-must-trip": "LVMustTrip",
    "lv-may-trip": "LVMayTrip",
    "lv-momentary-cessation": "LVMomCess",
    "power-monitoring-must-trip": "PowerMonitoringMustTrip",
    "volt-var": "VoltVar",
    "volt-watt": "VoltWatt",
    "watt-pf": "WattPF",
    "watt-var": "WattVar",
}
OTHERS: Final[dict[der.OtherType, wire.DERControlEnum]] = {
    "enter-service": "EnterService",
    "freq-droop": "FreqDroop",
    "fixed-pf-absorb": "FixedPFAbsorb",
    "fixed-pf-inject": "FixedPFInject",
    "fixed-var": "FixedVar",
    "gradients": "Gradients",
    "limit-max-discharge": "LimitMaxDischarge",
}
TYPES: Final[Mapping[str, wire.DERControlEnum]] = dict((*CURVES.items(), *OTHERS.items()))
CURVE_WORDS: Final[dict[str, der.CurveType]] = {there: here for here, there in CURVES.items()}
UNITS: Final[dict[der.Share, wire.DERUnitEnum]] = {
    "max-w": "PctMaxW",
    "available-w": "PctWAvail",
    "max-var": "PctMaxVar",
    "available-var": "PctVarAvail",
}
SHARES: Final[dict[wire.DERUnitEnum, der.Share]] = {there: here for here, there in UNITS.items()}
CESSATION: Final[dict[str, wire.PowerDuringCessationEnum]] = {"active": "Active", "reactive": "Reactive"}


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A control as a station reports it."""

    control_id: str
    control: der.DerControl
    default: bool
    superseded: bool = False
    starts: dt.datetime | None = None
    lasts_s: float | None = None


class _Time(TypedDict, total=False):
    startTime: dt.datetime | None
    duration: float | None


# To the wire ----------------------------------------------------------------------------------------------


def set_request(order: SetDerControl) -> wire.SetDERControlRequest:
    """A control as SetDERControl: one without a start is a default."""
    control = order.control
    time = _Time(startTime=order.starts, duration=order.lasts_s)
    given: dict[str, Any]
    match control:
        case der.Curve():
            given = {"curve": _curve(control, time)}
        case der.EnterService():
            given = {"enterService": _enter_service(control)}
        case der.FixedPowerFactor():
            settings = wire.FixedPF(
                priority=control.priority,
                displacement=control.power_factor,
                excitation=control.under_excited,
                **time,
            )
            given = {"fixedPFAbsorb" if control.while_ == "absorb" else "fixedPFInject": settings}
        case der.FixedVar():
            setpoint = -control.var_pct + 0.0
            given = {
                "fixedVar": wire.FixedVar(priority=control.priority, setpoint=setpoint, unit=UNITS[control.of], **time)
            }
        case der.FreqDroop():
            given = {"freqDroop": _freq_droop(control, time)}
        case der.Gradients():
            given = {
                "gradient": wire.Gradient(
                    priority=control.priority, gradient=control.ramp_s, softGradient=control.soft_start_s
                )
            }
        case der.LimitMaxDischarge():
            monitoring = None if control.monitoring is None else _curve(control.monitoring, _Time())
            given = {
                "limitMaxDischarge": wire.LimitMaxDischarge(
                    priority=control.priority,
                    pctMaxDischargePower=control.discharge_pct,
                    powerMonitoringMustTrip=monitoring,
                    **time,
                )
            }
    return wire.SetDERControlRequest(
        isDefault=order.starts is None,
        controlId=order.control_id,
        controlType=TYPES[der.type_of(control)],
        **given,
    )


def _curve(control: der.Curve, time: _Time) -> wire.DERCurve:
    swing, reference, mean = control.hysteresis, control.reference, control.ten_minutes
    return wire.DERCurve(
        curveData=tuple(wire.DERCurvePoints(x=x, y=y) for x, y in control.points),
        priority=control.priority,
        yUnit="Not_Applicable" if control.of is None else UNITS[control.of],
        responseTime=control.response_s,
        hysteresis=None
        if swing is None
        else wire.Hysteresis(
            hysteresisHigh=swing.high,
            hysteresisLow=swing.low,
            hysteresisDelay=swing.delay_s,
            hysteresisGradient=swing.gradient_pct_per_s,
        ),
        reactivePowerParams=None
        if reference is None
        else wire.ReactivePowerParams(
            vRef=reference.nominal_pct,
            autonomousVRefEnable=reference.follows,
            autonomousVRefTimeConstant=reference.follows_in_s,
        ),
        voltageParams=None
        if mean is None
        else wire.VoltageParams(
            hv10MinMeanValue=mean.volts,
            hv10MinMeanTripDelay=mean.trips_after_s,
            powerDuringCessation=None if mean.in_cessation is None else CESSATION[mean.in_cessation],
        ),
        **time,
    )


def _enter_service(control: der.EnterService) -> wire.EnterService:
    return wire.EnterService(
        priority=control.priority,
        highVoltage=control.voltage_high_v,
        lowVoltage=control.voltage_low_v,
        highFreq=control.frequency_high_hz,
        lowFreq=control.frequency_low_hz,
        delay=control.delay_s,
        randomDelay=control.random_delay_s,
        rampRate=control.ramp_s,
    )


def _freq_droop(control: der.FreqDroop, time: _Time) -> wire.FreqDroop:
    return wire.FreqDroop(
        priority=control.priority,
        overFreq=control.over_hz,
        underFreq=control.under_hz,
        overDroop=control.over_droop,
        underDroop=control.under_droop,
        responseTime=control.response_s,
        **time,
    )


# From the wire --------------------------------------------------------------------------------------------


def held(report: wire.ReportDERControlRequest) -> list[Held]:
    """What a part of a report tells, in its order; EnterService and Gradients are defaults by their nature."""
    found: list[Held] = [_held(row, row.curve, _read_curve(row.curveType, row.curve)) for row in report.curve or ()]
    found += [
        Held(control_id=row.id, control=_read_service(row.enterService), default=True)
        for row in report.enterService or ()
    ]
    for while_, factors in (("absorb", report.fixedPFAbsorb), ("inject", report.fixedPFInject)):
        found += [_held(row, row.fixedPF, _read_factor(while_, row.fixedPF)) for row in factors or ()]
    found += [_held(row, row.fixedVar, _read_var(row.fixedVar)) for row in report.fixedVar or ()]
    found += [_held(row, row.freqDroop, _read_droop(row.freqDroop)) for row in report.freqDroop or ()]
    found += [Held(control_id=row.id, control=_read_ramps(row.gradient), default=True) for row in report.gradient or ()]
    found += [
        _held(row, row.limitMaxDischarge, _read_limit(row.limitMaxDischarge)) for row in report.limitMaxDischarge or ()
    ]
    return found


def _held(row: Any, settings: Any, control: der.DerControl) -> Held:
    return Held(
        control_id=row.id,
        control=control,
        default=row.isDefault,
        superseded=row.isSuperseded,
        starts=settings.startTime,
        lasts_s=settings.duration,
    )


def _read_curve(kind: wire.DERControlEnum, curve: wire.DERCurve) -> der.Curve:
    swing, reference, mean = curve.hysteresis, curve.reactivePowerParams, curve.voltageParams
    return der.Curve(
        type=CURVE_WORDS.get(kind, "power-monitoring-must-trip"),
        priority=curve.priority,
        points=tuple((point.x, point.y) for point in curve.curveData),
        of=SHARES.get(curve.yUnit),
        response_s=curve.responseTime,
        hysteresis=None
        if swing is None
        else der.Hysteresis(
            high=swing.hysteresisHigh,
            low=swing.hysteresisLow,
            delay_s=swing.hysteresisDelay,
            gradient_pct_per_s=swing.hysteresisGradient,
        ),
        reference=None
        if reference is None
        else der.VoltageReference(
            nominal_pct=reference.vRef,
            follows=reference.autonomousVRefEnable,
            follows_in_s=reference.autonomousVRefTimeConstant,
        ),
        ten_minutes=None
        if mean is None
        else der.TenMinuteMean(
            volts=mean.hv10MinMeanValue,
            trips_after_s=mean.hv10MinMeanTripDelay,
            in_cessation=None
            if mean.powerDuringCessation is None
            else ("active" if mean.powerDuringCessation == "Active" else "reactive"),
        ),
    )


def _read_service(settings: wire.EnterService) -> der.EnterService:
    return der.EnterService(
        priority=settings.priority,
        voltage_high_v=settings.highVoltage,
        voltage_low_v=settings.lowVoltage,
        frequency_high_hz=settings.highFreq,
        frequency_low_hz=settings.lowFreq,
        delay_s=settings.delay,
        random_delay_s=settings.randomDelay,
        ramp_s=settings.rampRate,
    )


def _read_factor(while_: str, settings: wire.FixedPF) -> der.FixedPowerFactor:
    return der.FixedPowerFactor(
        while_="absorb" if while_ == "absorb" else "inject",
        priority=settings.priority,
        power_factor=settings.displacement,
        under_excited=settings.excitation,
    )


def _read_var(settings: wire.FixedVar) -> der.FixedVar:
    of = SHARES.get(settings.unit, "max-var")
    return der.FixedVar(priority=settings.priority, var_pct=-settings.setpoint + 0.0, of=of)


def _read_droop(settings: wire.FreqDroop) -> der.FreqDroop:
    return der.FreqDroop(
        priority=settings.priority,
        over_hz=settings.overFreq,
        under_hz=settings.underFreq,
        over_droop=settings.overDroop,
        under_droop=settings.underDroop,
        response_s=settings.responseTime,
    )


def _read_ramps(settings: wire.Gradient) -> der.Gradients:
    return der.Gradients(priority=settings.priority, ramp_s=settings.gradient, soft_start_s=settings.softGradient)


def _read_limit(settings: wire.LimitMaxDischarge) -> der.LimitMaxDischarge:
    curve = settings.powerMonitoringMustTrip
    return der.LimitMaxDischarge(
        priority=settings.priority,
        discharge_pct=settings.pctMaxDischargePower,
        monitoring=None if curve is None else _read_curve("PowerMonitoringMustTrip", curve),
    )
