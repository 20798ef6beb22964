"""Orders of two-way charging and grid support. Part of :mod:`revere.core.orders`.

kW, charging positive; limits are magnitudes. What an order means for trips and sites, control checks before it asks.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from revere.core.der import ControlId, DerControl, DerType, Length
from revere.core.order_base import EvseId, Moment, OrderBase

OperationMode = Literal[
    "charging-only",
    "central-setpoint",
    "central-frequency",
    "local-frequency",
    "external-setpoint",
    "external-limits",
    "local-load-balancing",
    "idle",
]
"""Who decides what a vehicle draws or gives: we, somebody else, or the station by what it measures."""
Kw = Annotated[float, Meta(ge=-1000, le=1000)]
LimitKw = Annotated[float, Meta(ge=0, le=1000)]
Signal = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
Limits = Literal["charge_limit_kw", "discharge_limit_kw", "setpoint_kw", "reactive_kvar"]
CURVE_POINTS_MIN = 2


class FrequencyPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is drawn (positive) or given at a frequency of the grid."""

    hz: Annotated[float, Meta(ge=40, le=70)]
    kw: Kw


class SignalPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same at a value of the grid operator's signal (aFRR)."""

    signal: Signal
    kw: Kw


class SetpointStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setpoint from a moment on, seconds after the order."""

    after_s: Annotated[int, Meta(ge=1, le=86_400)]
    setpoint_kw: Kw


class SetOperationMode(OrderBase, frozen=True, kw_only=True):
    """Put the session at an EVSE in a mode of its own until a moment; it ends early for a trip, a stop or a dead grid.

    What each mode needs: ``charging-only`` a charge limit; the central ones a setpoint (``central-setpoint`` may have
    later ``steps``); ``local-frequency`` a baseline and a curve of two points, and a signal curve for aFRR;
    ``external-setpoint`` both limits. The others need nothing.
    """

    mode: OperationMode
    until: Moment
    evse_id: EvseId = 1
    charge_limit_kw: LimitKw | None = None
    discharge_limit_kw: LimitKw | None = None
    setpoint_kw: Kw | None = None
    steps: Annotated[tuple[SetpointStep, ...], Meta(max_length=96)] = ()
    reactive_kvar: Kw | None = None
    """Inductive is positive."""
    baseline_kw: Kw | None = None
    frequency_curve: Annotated[tuple[FrequencyPoint, ...], Meta(max_length=20)] = ()
    signal_curve: Annotated[tuple[SignalPoint, ...], Meta(max_length=20)] = ()
    sleep: bool = False
    """Whether an idle EVSE turns its electronics off."""


class EndOperationMode(OrderBase, frozen=True, kw_only=True):
    """End such a mode: our setpoints are followed again."""

    evse_id: EvseId = 1


class UsePriority(OrderBase, frozen=True, kw_only=True):
    """Let the session at an EVSE charge before all plans, up to a limit, or no longer."""

    active: bool
    evse_id: EvseId = 1
    charge_limit_kw: LimitKw | None = None
    """The nameplate where it is left out."""


class SendFrequencySignal(OrderBase, frozen=True, kw_only=True):
    """Pass the grid operator's signal (aFRR) on to a station in ``local-frequency`` with a signal curve."""

    signal: Signal


class AllowTransfer(OrderBase, frozen=True, kw_only=True):
    """Allow the vehicle at an EVSE to give, or to charge alone from now on: its session is negotiated anew."""

    both_ways: bool
    evse_id: EvseId = 1


class ListChargingProfiles(OrderBase, frozen=True, kw_only=True):
    """Which charging profiles stand in the station, at one EVSE or at all, and who has set them."""

    evse_id: EvseId | None = None


class SetDerControl(OrderBase, frozen=True, kw_only=True):
    """Give a station's inverter a control of grid support: a default, or one with a start and a length.

    The control says by ``is`` which it is: ``curve``, ``enter-service``, ``fixed-power-factor``, ``fixed-var``,
    ``freq-droop``, ``gradients`` or ``limit-max-discharge``.
    """

    control_id: ControlId
    control: DerControl
    starts: Moment | None = None
    lasts_s: Length | None = None


class ListDerControls(OrderBase, frozen=True, kw_only=True):
    """Which controls stand in a station: all, the defaults or the scheduled ones, of one type, or one by its id."""

    default: bool | None = None
    type: DerType | None = None
    control_id: ControlId | None = None


class ClearDerControls(OrderBase, frozen=True, kw_only=True):
    """Have a station forget controls: all defaults or all scheduled ones, those of a type, or one by its id."""

    default: bool
    type: DerType | None = None
    control_id: ControlId | None = None


REQUIRED: dict[OperationMode, tuple[Limits, ...]] = {
    "charging-only": ("charge_limit_kw",),
    "central-setpoint": ("setpoint_kw",),
    "central-frequency": ("setpoint_kw",),
    "external-setpoint": ("charge_limit_kw", "discharge_limit_kw"),
}
"""What a mode cannot do without. OCPP leaves an external setpoint's limits open; then nobody would know its bounds."""
OPTIONAL: dict[OperationMode, tuple[Limits, ...]] = {
    "central-setpoint": ("charge_limit_kw", "discharge_limit_kw", "reactive_kvar"),
    "central-frequency": ("charge_limit_kw", "discharge_limit_kw"),
}
ALL_LIMITS: tuple[Limits, ...] = ("charge_limit_kw", "discharge_limit_kw", "setpoint_kw", "reactive_kvar")


def mode_fault(order: SetOperationMode) -> str:
    """Why no station would take the mode so, empty where one may (V2X.05, the modes' table; the rest *inferred*)."""
    required, optional = REQUIRED.get(order.mode, ()), OPTIONAL.get(order.mode, ())
    given = {name for name in ALL_LIMITS if getattr(order, name) is not None}
    if missing := [name for name in required if name not in given]:
        return f"{order.mode} needs {' and '.join(missing)}"
    if surplus := sorted(given.difference(required, optional)):
        return f"{order.mode} takes no {' and no '.join(surplus)}"
    frequency = order.mode == "local-frequency"
    if not frequency and (order.baseline_kw is not None or order.frequency_curve or order.signal_curve):
        return f"baseline and curves belong to local-frequency, not to {order.mode}"
    if frequency and (order.baseline_kw is None or len(order.frequency_curve) < CURVE_POINTS_MIN):
        return "local-frequency needs baseline_kw and a frequency_curve of two points"
    if len({point.hz for point in order.frequency_curve}) < len(order.frequency_curve):
        return "frequency_curve has two powers for one frequency"
    if len(order.signal_curve) == 1 or len({p.signal for p in order.signal_curve}) < len(order.signal_curve):
        return "signal_curve has at least two points, each with a signal of its own"
    if order.steps and order.mode != "central-setpoint":
        return f"steps belong to central-setpoint, not to {order.mode}"
    if any(one.after_s >= other.after_s for one, other in itertools.pairwise(order.steps)):
        return "steps ascend in after_s"
    if order.sleep and order.mode != "idle":
        return f"an EVSE sleeps in idle, not in {order.mode}"
    low, high = -_or_inf(order.discharge_limit_kw), _or_inf(order.charge_limit_kw)
    outside = [kw for kw in setpoints_kw(order) if not low <= kw <= high]
    return f"setpoint_kw {outside[0]:g} lies outside {low:g} to {high:g} kW" if outside else ""


def setpoints_kw(order: SetOperationMode) -> tuple[float, ...]:
    """All setpoints that an order names."""
    first = () if order.setpoint_kw is None else (order.setpoint_kw,)
    return (*first, *(step.setpoint_kw for step in order.steps))


def mode_range_kw(order: SetOperationMode, charge_kw: float, discharge_kw: float) -> tuple[float, float]:
    """The most that a mode may draw and give, kW magnitudes, at a station of these nameplates."""
    match order.mode:
        case "idle":
            up, down = 0.0, 0.0
        case "charging-only":
            up, down = _or_inf(order.charge_limit_kw), 0.0
        case "external-limits":
            up, down = charge_kw, 0.0
        case "local-frequency":
            base = order.baseline_kw or 0.0
            curve = [point.kw for point in order.frequency_curve] or [0.0]
            signal = [point.kw for point in order.signal_curve] or [0.0]
            up = base + max(curve) + max(*signal, 0.0)
            down = -(base + min(curve) + min(*signal, 0.0))
        case "central-setpoint" | "central-frequency":
            up, down = max(setpoints_kw(order)), -min(setpoints_kw(order))
        case "external-setpoint":
            up, down = _or_inf(order.charge_limit_kw), _or_inf(order.discharge_limit_kw)
        case "local-load-balancing":
            up, down = charge_kw, discharge_kw
    return min(max(up, 0.0), charge_kw), min(max(down, 0.0), discharge_kw)


def _or_inf(limit_kw: float | None) -> float:
    return float("inf") if limit_kw is None else limit_kw
