"""Grid-support controls of an inverter (DER controls), in the field's words and the house's units and signs.

A *default* control holds whenever no scheduled one does; a *scheduled* one has a start and a length. Of two of one type
the one with the lower ``priority`` number holds. Voltages are volts and frequencies hertz (*inferred*: OCPP's schema
gives them no unit); a curve's points are as its grid code draws them, which is the y of OCPP.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from revere.core.order_base import words_of

CurveType = Literal[
    "freq-watt",
    "hf-must-trip",
    "hf-may-trip",
    "hv-must-trip",
    "hv-may-trip",
    "hv-momentary-cessation",
    "lf-must-trip",
    "lv-must-trip",
    "lv-may-trip",
    "lv-momentary-cessation",
    "power-monitoring-must-trip",
    "volt-var",
    "volt-watt",
    "watt-pf",
    "watt-var",
]
OtherType = Literal[
    "enter-service",
    "freq-droop",
    "fixed-pf-absorb",
    "fixed-pf-inject",
    "fixed-var",
    "gradients",
    "limit-max-discharge",
]
DerType = CurveType | OtherType
"""All 22 types; there is no low-frequency may-trip."""
Share = Literal["max-w", "available-w", "max-var", "available-var"]
"""Of what a curve's y is a percentage."""
UNITS_OF: Final[dict[str, tuple[Share, ...]]] = {
    "freq-watt": ("max-w", "available-w"),
    "volt-watt": ("max-w", "available-w"),
    "volt-var": ("max-var", "available-var"),
    "watt-var": ("max-var", "available-var"),
}
"""What y may be of; for every other curve it is no percentage (seconds to trip, a power factor)."""
CONTROL_ID: Final = r"^[!-~]*\Z"

Real = Annotated[float, Meta(ge=-1e9, le=1e9)]
Length = Annotated[float, Meta(ge=0, le=31_536_000)]
Percent = Annotated[float, Meta(ge=0, le=100)]
ControlId = Annotated[str, Meta(min_length=1, max_length=36, pattern=CONTROL_ID)]


class DerControlBase(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="is", tag=words_of
):
    """Common to all controls; priority 0 is the highest."""

    priority: Annotated[int, Meta(ge=0, le=1_000_000)]


class Hysteresis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a disturbance counts as over: back between the two for the delay, then back to normal at this rate."""

    high: Real | None = None
    low: Real | None = None
    delay_s: Length | None = None
    gradient_pct_per_s: Real | None = None


class VoltageReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For volt-var: the nominal voltage that the curve counts from, percent, and whether it follows by itself."""

    nominal_pct: Real | None = None
    follows: bool | None = None
    follows_in_s: Length | None = None


class TenMinuteMean(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """EN 50549-1: a mean of ten minutes above which the inverter trips after a delay."""

    volts: Real | None = None
    trips_after_s: Length | None = None
    in_cessation: Literal["active", "reactive"] | None = None
    """Which power goes on during a momentary cessation."""


class Curve(DerControlBase, frozen=True, kw_only=True):
    """A curve of 1 to 10 points (x, y); ``of`` says what y is a percentage of."""

    type: CurveType
    points: Annotated[tuple[tuple[Real, Real], ...], Meta(min_length=1, max_length=10)]
    of: Share | None = None
    response_s: Length | None = None
    hysteresis: Hysteresis | None = None
    reference: VoltageReference | None = None
    ten_minutes: TenMinuteMean | None = None


class EnterService(DerControlBase, frozen=True, kw_only=True):
    """When an inverter may start again after a disturbance. A default alone."""

    voltage_high_v: Real
    voltage_low_v: Real
    frequency_high_hz: Real
    frequency_low_hz: Real
    delay_s: Length | None = None
    random_delay_s: Length | None = None
    ramp_s: Length | None = None


class FixedPowerFactor(DerControlBase, frozen=True, kw_only=True):
    """A constant power factor while charging (``absorb``) or giving (``inject``)."""

    while_: Literal["absorb", "inject"] = msgspec.field(name="while")
    power_factor: Annotated[float, Meta(ge=0, le=1)]
    under_excited: bool
    """Whether reactive power is absorbed."""


class FixedVar(DerControlBase, frozen=True, kw_only=True):
    """A constant reactive power, percent, positive while charging as all powers here (OCPP counts the other way)."""

    var_pct: Annotated[float, Meta(ge=-100, le=100)]
    of: Literal["max-w", "available-w", "max-var", "available-var"] = "max-var"


class FreqDroop(DerControlBase, frozen=True, kw_only=True):
    """Power that falls above a frequency and rises below another; droops per unit."""

    over_hz: Real
    under_hz: Real
    over_droop: Real
    under_droop: Real
    response_s: Length


class Gradients(DerControlBase, frozen=True, kw_only=True):
    """How fast power moves, and how fast after a start, seconds; 0 where it does not matter. A default alone."""

    ramp_s: Length
    soft_start_s: Length


class LimitMaxDischarge(DerControlBase, frozen=True, kw_only=True):
    """A share of the rated discharge, percent, and the curve by which the inverter trips above it."""

    discharge_pct: Percent | None = None
    monitoring: Curve | None = None


DerControl = Curve | EnterService | FixedPowerFactor | FixedVar | FreqDroop | Gradients | LimitMaxDischarge
DEFAULT_ONLY: Final = (EnterService, Gradients)


def type_of(control: DerControl) -> DerType:
    """Which of the 22 types a control is of."""
    match control:
        case Curve():
            return control.type
        case EnterService():
            return "enter-service"
        case FixedPowerFactor():
            return "fixed-pf-absorb" if control.while_ == "absorb" else "fixed-pf-inject"
        case FixedVar():
            return "fixed-var"
        case FreqDroop():
            return "freq-droop"
        case Gradients():
            return "gradients"
        case LimitMaxDischarge():
            return "limit-max-discharge"


def fault(control: DerControl, *, scheduled: bool) -> str:
    """Why no station would take the control, empty where one may (R04.FR.15, .50 to .56)."""
    if scheduled and isinstance(control, DEFAULT_ONLY):
        return f"{type_of(control)} exists as a default alone"
    if isinstance(control, LimitMaxDischarge):
        monitoring = control.monitoring
        if monitoring is not None and monitoring.type != "power-monitoring-must-trip":
            return f"monitoring is a power-monitoring-must-trip, not a {monitoring.type}"
        return "" if monitoring is None else fault(monitoring, scheduled=False)
    if not isinstance(control, Curve):
        return ""
    allowed = UNITS_OF.get(control.type)
    if allowed is None:
        return "" if control.of is None else f"the y of {control.type} is no percentage of {control.of}"
    return "" if control.of in allowed else f"the y of {control.type} is a percentage of {' or '.join(allowed)}"
