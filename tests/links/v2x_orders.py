"""A good order for each operation mode and each type of DER control; what a station with all of them reports."""

from __future__ import annotations

import datetime as dt
from typing import Any

from revere.core import der
from revere.core.v2x_orders import FrequencyPoint, OperationMode, SetOperationMode, SignalPoint

MODES = (
    "ChargingOnly,CentralSetpoint,CentralFrequency,LocalFrequency,"
    "ExternalSetpoint,ExternalLimits,LocalLoadBalancing,Idle"
)
CONTROLS = (
    "EnterService,FreqDroop,FreqWatt,FixedPFAbsorb,FixedPFInject,FixedVar,Gradients,HFMustTrip,HFMayTrip,HVMustTrip,"
    "HVMomCess,HVMayTrip,LimitMaxDischarge,LFMustTrip,LVMustTrip,LVMomCess,LVMayTrip,PowerMonitoringMustTrip,VoltVar,"
    "VoltWatt,WattPF,WattVar"
)
UNTIL = dt.datetime(2026, 7, 16, 21, 30, tzinfo=dt.UTC)
"""Two hours after the rig's time of day."""
CURVE = (FrequencyPoint(hz=59.8, kw=-30.0), FrequencyPoint(hz=60.2, kw=30.0))
SIGNALS = (SignalPoint(signal=-100, kw=-20.0), SignalPoint(signal=100, kw=20.0))


def mode(name: OperationMode, **more: Any) -> SetOperationMode:
    return SetOperationMode(mode=name, until=UNTIL, **more)


GOOD: dict[str, SetOperationMode] = {
    "charging-only": mode("charging-only", charge_limit_kw=7.0),
    "central-setpoint": mode("central-setpoint", setpoint_kw=-12.5, charge_limit_kw=20.0, discharge_limit_kw=15.0),
    "central-frequency": mode("central-frequency", setpoint_kw=-9.0),
    "local-frequency": mode("local-frequency", baseline_kw=-5.0, frequency_curve=CURVE, signal_curve=SIGNALS),
    "external-setpoint": mode("external-setpoint", charge_limit_kw=20.0, discharge_limit_kw=15.0),
    "external-limits": mode("external-limits"),
    "local-load-balancing": mode("local-load-balancing"),
    "idle": mode("idle"),
}


def curve(kind: der.CurveType, of: der.Share | None = None, **more: Any) -> der.Curve:
    return der.Curve(type=kind, priority=3, points=((1.0, 2.0), (3.0, -4.5)), of=of, **more)


def on_wire(unit: str, **more: Any) -> dict[str, Any]:
    return {"curveData": [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": -4.5}], "priority": 3, "yUnit": unit, **more}


FRAMES: list[tuple[str, str, der.DerControl, dict[str, Any]]] = [
    *(
        (there, "curve", curve(here, of), on_wire(unit))
        for here, there, of, unit in (
            ("freq-watt", "FreqWatt", "max-w", "PctMaxW"),
            ("hf-must-trip", "HFMustTrip", None, "Not_Applicable"),
            ("hf-may-trip", "HFMayTrip", None, "Not_Applicable"),
            ("hv-must-trip", "HVMustTrip", None, "Not_Applicable"),
            ("hv-may-trip", "HVMayTrip", None, "Not_Applicable"),
            ("hv-momentary-cessation", "HVMomCess", None, "Not_Applicable"),
            ("lf-must-trip", "LFMustTrip", None, "Not_Applicable"),
            ("lv-must-trip", "LVMustTrip", None, "Not_Applicable"),
            ("lv-may-trip", "LVMayTrip", None, "Not_Applicable"),
            ("lv-momentary-cessation", "LVMomCess", None, "Not_Applicable"),
            ("power-monitoring-must-trip", "PowerMonitoringMustTrip", None, "Not_Applicable"),
            ("volt-var", "VoltVar", "available-var", "PctVarAvail"),
            ("volt-watt", "VoltWatt", "available-w", "PctWAvail"),
            ("watt-pf", "WattPF", None, "Not_Applicable"),
            ("watt-var", "WattVar", "max-var", "PctMaxVar"),
        )
    ),
    (
        "EnterService",
        "enterService",
        der.EnterService(
            priority=0,
            voltage_high_v=252.0,
            voltage_low_v=211.0,
            frequency_high_hz=60.1,
            frequency_low_hz=59.5,
            delay_s=300.0,
        ),
        {"priority": 0, "highVoltage": 252.0, "lowVoltage": 211.0, "highFreq": 60.1, "lowFreq": 59.5, "delay": 300.0},
    ),
    (
        "FreqDroop",
        "freqDroop",
        der.FreqDroop(priority=1, over_hz=60.04, under_hz=59.96, over_droop=0.05, under_droop=0.04, response_s=5.0),
        {
            "priority": 1,
            "overFreq": 60.04,
            "underFreq": 59.96,
            "overDroop": 0.05,
            "underDroop": 0.04,
            "responseTime": 5.0,
        },
    ),
    (
        "FixedPFAbsorb",
        "fixedPFAbsorb",
        der.FixedPowerFactor(priority=2, while_="absorb", power_factor=0.95, under_excited=True),
        {"priority": 2, "displacement": 0.95, "excitation": True},
    ),
    (
        "FixedPFInject",
        "fixedPFInject",
        der.FixedPowerFactor(priority=2, while_="inject", power_factor=0.9, under_excited=False),
        {"priority": 2, "displacement": 0.9, "excitation": False},
    ),
    (
        "FixedVar",
        "fixedVar",
        der.FixedVar(priority=2, var_pct=30.0),  # positive while charging here, negative there
        {"priority": 2, "setpoint": -30.0, "unit": "PctMaxVar"},
    ),
    (
        "Gradients",
        "gradient",
        der.Gradients(priority=2, ramp_s=10.0, soft_start_s=60.0),
        {"priority": 2, "gradient": 10.0, "softGradient": 60.0},
    ),
    (
        "LimitMaxDischarge",
        "limitMaxDischarge",
        der.LimitMaxDischarge(priority=2, discharge_pct=80.0, monitoring=curve("power-monitoring-must-trip")),
        {"priority": 2, "pctMaxDischargePower": 80.0, "powerMonitoringMustTrip": on_wire("Not_Applicable")},
    ),
]
