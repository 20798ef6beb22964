"""Block R in a strict 2.1 station: which grid-support controls it takes, which of them is in force, what it reports.

::

    Set ─▶ supported? one field, the right one? unit? default or scheduled?  ─▶ refused by rule
        └▶ same type and kind:  lower priority number ─▶ the other is superseded (at once, or when this one starts)
                                equal                 ─▶ both stand
                                higher                ─▶ this one comes in superseded
    time ─▶ NotifyDERStartStop at a scheduled control's start and end

The rules are those of ../facts/ocpp.md section 7, read here by themselves. Percent; discharge of a LimitMaxDischarge
counts from the station's rated discharge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from revere.links.ocpp2.wire import v21 as wire
from revere.twin.line import Message
from revere.twin.v2x21 import refused, said

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.twin.line import Payload
    from revere.twin.station21 import Station21

FIELDS: Final = (
    "curve",
    "enterService",
    "fixedPFAbsorb",
    "fixedPFInject",
    "fixedVar",
    "freqDroop",
    "gradient",
    "limitMaxDischarge",
)
FIELD_OF: Final[dict[str, str]] = {
    "EnterService": "enterService",
    "FixedPFAbsorb": "fixedPFAbsorb",
    "FixedPFInject": "fixedPFInject",
    "FixedVar": "fixedVar",
    "FreqDroop": "freqDroop",
    "Gradients": "gradient",
    "LimitMaxDischarge": "limitMaxDischarge",
}
"""Where a control's settings stand; all other types have a curve."""
REPORTED_AS: Final[dict[str, str]] = {"fixedPFAbsorb": "fixedPF", "fixedPFInject": "fixedPF"}
DEFAULT_ONLY: Final = frozenset({"EnterService", "Gradients"})
WATTS: Final = frozenset({"PctMaxW", "PctWAvail"})
VARS: Final = frozenset({"PctMaxVar", "PctVarAvail"})
UNITS: Final[dict[str, frozenset[str]]] = {"FreqWatt": WATTS, "VoltWatt": WATTS, "VoltVar": VARS, "WattVar": VARS}
NO_UNIT: Final = frozenset({"Not_Applicable"})
CONTROLS_MAX: Final = 48
CONTROLS_PER_REPORT: Final = 10
SUPERSEDED_MAX: Final = 24


@dataclass(slots=True, kw_only=True)
class Control:
    """A control as kept; times Unix seconds. ``gives_way``: what it supersedes when it starts."""

    request: wire.SetDERControlRequest
    priority: int
    start_s: float
    end_s: float
    superseded: bool = False
    started: bool = False
    gives_way: tuple[str, ...] = ()

    def active(self, now_s: float) -> bool:
        """Whether its time has come and is not over."""
        return self.start_s <= now_s < self.end_s


class DerDesk:
    """The controls of one station's inverter."""

    def __init__(self, station: Station21, types: tuple[str, ...]) -> None:
        self._station = station
        self.types = types
        self.controls: dict[str, Control] = {}
        self.handlers: dict[str, Callable[[Payload], Payload]] = {
            "SetDERControl": self._set,
            "GetDERControl": self._get,
            "ClearDERControl": self._clear,
        }

    # ---- set ---------------------------------------------------------------------------------------

    def _set(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, wire.SetDERControlRequest)
        if request.controlType not in self.types:
            return {"status": "NotSupported"}
        why = self._fault(request)
        if why:
            return refused("InvalidValue", why)
        if request.controlId not in self.controls and len(self.controls) >= CONTROLS_MAX:
            return refused("TooManyElements", f"{CONTROLS_MAX} controls are set")
        settings: Any = getattr(request, field_of(request.controlType))
        now_s = self._station.time.now_s()
        start, duration = getattr(settings, "startTime", None), getattr(settings, "duration", None)
        start_s = -math.inf if request.isDefault else (start.timestamp() if start else now_s)
        new = Control(
            request=request,
            priority=settings.priority,
            start_s=start_s,
            end_s=math.inf if duration is None else start_s + duration,
        )
        answer: Payload = {"status": "Accepted"}
        gone = self._rank(new, now_s)
        if gone:
            answer["supersededIds"] = gone[:SUPERSEDED_MAX]
        self.controls[request.controlId] = new
        self._look()
        return answer

    def _fault(self, request: wire.SetDERControlRequest) -> str:
        """Why a control is refused, empty when it is not."""
        kind, default = request.controlType, request.isDefault
        given = [name for name in FIELDS if getattr(request, name) is not None]
        if given != [field_of(kind)]:
            return f"{kind} has {field_of(kind)} alone, not {', '.join(given) or 'nothing'}"
        settings: Any = getattr(request, given[0])
        timed = getattr(settings, "startTime", None) is not None or getattr(settings, "duration", None) is not None
        if default and timed:
            return "a default control has neither startTime nor duration"
        if not default and kind in DEFAULT_ONLY:
            return f"{kind} exists as a default alone"
        if not default and given == ["curve"] and (settings.startTime is None or settings.duration is None):
            return "a scheduled curve has startTime and duration"
        if given == ["curve"] and settings.yUnit not in UNITS.get(kind, NO_UNIT):
            return f"{kind} in {settings.yUnit}"
        monitored = getattr(settings, "powerMonitoringMustTrip", None)
        if monitored is not None and monitored.yUnit not in NO_UNIT:
            return f"powerMonitoringMustTrip in {monitored.yUnit}"
        return ""

    def _rank(self, new: Control, now_s: float) -> list[str]:
        """Who gives way: the ids to answer with, the new control's own where it is the one."""
        request = new.request
        rivals = [
            (control_id, other)
            for control_id, other in self.controls.items()
            if control_id != request.controlId
            and other.request.controlType == request.controlType
            and other.request.isDefault == request.isDefault
            and not other.superseded
        ]
        if any(other.priority < new.priority for _, other in rivals):
            new.superseded = True
            return [request.controlId]
        weaker = [(control_id, other) for control_id, other in rivals if other.priority > new.priority]
        later = {control_id for control_id, other in weaker if other.active(now_s) and new.start_s > now_s}
        new.gives_way = tuple(sorted(later))
        for control_id, other in weaker:
            other.superseded = other.superseded or control_id not in later
        return [control_id for control_id, _ in weaker if control_id not in later]

    # ---- time --------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Start and end what is due, tell, and look again at the next edge."""
        now_s = self._station.time.now_s()
        for control_id, control in list(self.controls.items()):
            if control.request.isDefault or control.superseded:
                continue
            if not control.started and control.active(now_s):
                control.started = True
                for other in control.gives_way:
                    if other in self.controls:
                        self.controls[other].superseded = True
                self._tell(control_id, started=True, superseded=control.gives_way)
            if now_s >= control.end_s:
                del self.controls[control_id]
                self._tell(control_id, started=False)
        edges = [edge for control in self.controls.values() for edge in (control.start_s, control.end_s)]
        coming = [edge for edge in edges if now_s < edge < math.inf]
        if coming:
            self._station.later("der", min(coming) - now_s + 1e-3, self._look)
        self._station.reapply()

    def _tell(self, control_id: str, *, started: bool, superseded: tuple[str, ...] = ()) -> None:
        payload: Payload = {"controlId": control_id, "started": started, "timestamp": self._station.time.stamp()}
        if superseded:
            payload["supersededIds"] = list(superseded[:SUPERSEDED_MAX])
        self._station.line.post(Message("NotifyDERStartStop", payload))

    def in_force(self, kind: str) -> Control | None:
        """The control of a type that holds now: a scheduled one before a default, the lowest number first."""
        now_s = self._station.time.now_s()
        held = [
            control
            for control in self.controls.values()
            if control.request.controlType == kind and not control.superseded and control.active(now_s)
        ]
        return min(held, key=lambda control: (control.request.isDefault, control.priority), default=None)

    def discharge_limit_w(self) -> float | None:
        """What LimitMaxDischarge leaves of the rated discharge, W and not above 0; None where none holds."""
        control = self.in_force("LimitMaxDischarge")
        settings = control.request.limitMaxDischarge if control else None
        if settings is None or settings.pctMaxDischargePower is None:
            return None
        return -self._station.abilities.discharge_w * settings.pctMaxDischargePower / 100

    # ---- get and clear -----------------------------------------------------------------------------

    def _matching(self, default: bool | None, kind: str | None, control_id: str | None) -> list[str]:
        return [
            key
            for key, control in self.controls.items()
            if default in (None, control.request.isDefault)
            and kind in (None, control.request.controlType)
            and control_id in (None, key)
        ]

    def _get(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, wire.GetDERControlRequest)
        if request.controlType is not None and request.controlType not in self.types:
            return {"status": "NotSupported"}
        found = self._matching(request.isDefault, request.controlType, request.controlId)
        if not found:
            return {"status": "NotFound"}
        chunks = [found[start : start + CONTROLS_PER_REPORT] for start in range(0, len(found), CONTROLS_PER_REPORT)]
        for number, chunk in enumerate(chunks):
            report: Payload = {"requestId": request.requestId}
            for control_id in chunk:
                field, row = self._row(control_id)
                report.setdefault(field, []).append(row)
            if number < len(chunks) - 1:
                report["tbc"] = True
            self._station.line.post(Message("ReportDERControl", report))
        return {"status": "Accepted"}

    def _row(self, control_id: str) -> tuple[str, Payload]:
        control = self.controls[control_id]
        kind = control.request.controlType
        field = field_of(kind)
        row: Payload = {"id": control_id, REPORTED_AS.get(field, field): said(getattr(control.request, field))}
        if kind not in DEFAULT_ONLY:
            row |= {"isDefault": control.request.isDefault, "isSuperseded": control.superseded}
        if field == "curve":
            row["curveType"] = kind
        return field, row

    def _clear(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, wire.ClearDERControlRequest)
        kind = request.controlType if request.controlId is None else None
        if kind is not None and kind not in self.types:
            return {"status": "NotSupported"}
        found = self._matching(request.isDefault, kind, request.controlId)
        for control_id in found:
            del self.controls[control_id]
        self._look()
        everything = kind is None and request.controlId is None
        return {"status": "Accepted" if found or everything else "NotFound"}


def field_of(kind: str) -> str:
    """The field of SetDERControl in which a type's settings stand."""
    return FIELD_OF.get(kind, "curve")
