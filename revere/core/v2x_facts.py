"""Facts of two-way charging: others' limits, priority, modes, grid support. Part of :mod:`revere.core.facts`."""

from __future__ import annotations

import datetime as dt

from revere.core.fact_base import FactBase
from revere.core.ids import SessionId, StationId
from revere.core.v2x_orders import OperationMode


class ExternalLimitReported(FactBase, frozen=True, tag=True, kw_only=True):
    """Somebody else limits a station (an energy manager, the grid operator): EVSE 0 is the whole station.

    ``steps``: (from, most charging kW, most discharging kW), magnitudes, None where that is not limited; the last one
    holds until ``until``, or until it is lifted. Without steps nobody said how much.
    """

    station_id: StationId
    evse_id: int
    source: str
    steps: tuple[tuple[dt.datetime, float | None, float | None], ...] = ()
    until: dt.datetime | None = None
    critical: bool = False


class ExternalLimitLifted(FactBase, frozen=True, tag=True, kw_only=True):
    """That limit is gone; EVSE 0 stands for the station and all its EVSEs."""

    station_id: StationId
    evse_id: int
    source: str


class PriorityChargingReported(FactBase, frozen=True, tag=True, kw_only=True):
    """A session charges by its driver's priority, or no longer does: while it lasts no setpoint is followed there."""

    station_id: StationId
    session_id: SessionId
    active: bool


class VehicleScheduleReported(FactBase, frozen=True, tag=True, kw_only=True):
    """What a vehicle means to draw, by its own schedule (ISO 15118): (from, kW); refused where it passes a limit."""

    station_id: StationId
    evse_id: int
    steps: tuple[tuple[dt.datetime, float], ...]
    refused: str = ""


class DerControlReported(FactBase, frozen=True, tag=True, kw_only=True):
    """A grid-support control of a station's inverter has started or ended there; ``superseded`` gave way to it."""

    station_id: StationId
    control_id: str
    started: bool
    ts: dt.datetime
    superseded: tuple[str, ...] = ()


class OperationModeSet(FactBase, frozen=True, tag=True, kw_only=True):
    """A person has put an EVSE's session in a mode of its own: no setpoint of ours is followed there until it ends.

    ``charge_max_kw`` and ``discharge_max_kw`` are what it may come to, magnitudes.
    """

    station_id: StationId
    evse_id: int
    session_id: SessionId
    mode: OperationMode
    until: dt.datetime
    charge_max_kw: float
    discharge_max_kw: float


class OperationModeReported(FactBase, frozen=True, tag=True, kw_only=True):
    """The operation mode in force in a session, by the station's own word; journaled when it changes.

    ``left_ours``: it follows our setpoint no longer, though nobody here has asked for that and the line was up.
    """

    station_id: StationId
    evse_id: int
    session_id: SessionId
    mode: OperationMode
    ts: dt.datetime
    left_ours: bool = False


class OperationModeEnded(FactBase, frozen=True, tag=True, kw_only=True):
    """That mode is over: at its time, by a person, or because somebody's trip, a stop or the grid asked for it."""

    station_id: StationId
    evse_id: int
    why: str = ""
