"""Commands to stations in the house's words; links translate them."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from revere.core.ids import CommandId, SessionId, StationId

LockState = Literal["free", "closing", "locked"]
"""A technician's lock. ``closing``: a stop and what reads the meter pass; ``locked``, once that shows 0 kW: a stop."""
OFFLINE_LEASE_S = 300
"""How long a set-point that may discharge outlives the link to its station; then the charge-only default holds.

Links put it into the station, and the arbiter leaves as much energy above a floor as may go in that time.
"""
LIMIT_LEASE_S = 900
"""How long a limit holds without renewal at a station that knows no offline duration (OCPP 1.6 and 2.0.1)."""
LEASED_PROTOCOLS = frozenset({"ocpp1.6", "ocpp2.0.1"})
"""Where a setpoint ends by the station's clock, heard or not, and has to be renewed."""


def lease_s(protocol: str, setpoint_kw: float) -> int:
    """How long a setpoint outlives our last word about it, seconds: one that discharges no longer than elsewhere."""
    return LIMIT_LEASE_S if protocol in LEASED_PROTOCOLS and setpoint_kw >= 0 else OFFLINE_LEASE_S


SCHEDULE_READ_S = 3600
"""How far ahead a station is asked what it would do: beyond any lease, so that the fallback below it shows."""


class SetpointCommand(msgspec.Struct, frozen=True, kw_only=True):
    """kW to follow at one EVSE, charging positive, inside [-discharge_limit_kw, charge_limit_kw].

    A station that only charges gets ``charge_limit_kw = max(setpoint_kw, 0)`` as its limit.
    """

    command_id: CommandId
    station_id: StationId
    evse_id: int
    session_id: SessionId
    setpoint_kw: float
    charge_limit_kw: float
    discharge_limit_kw: float


class DefaultProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The charge-only fallback inside a station, a recurring local day.

    ``limits_kw`` holds (seconds after local midnight, limit kW); the first entry is at 0.
    """

    limits_kw: tuple[tuple[int, float], ...]
    zone: str


class ReportingCommand(msgspec.Struct, frozen=True, kw_only=True):
    """How often the station samples its meter in a session."""

    station_id: StationId
    sample_interval_s: int


NOT_CONNECTED = "station is not connected"
"""Why an answer is ``offline`` where nothing was sent; otherwise the link ended before the answer."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the station said. Accepted proves nothing until readings agree.

    ``too_early``: no charger takes a profile at any moment; nothing is wrong with it, and it is told again.
    ``details``: what else it told, as (name, value), for the person who asked.
    """

    status: Literal["accepted", "rejected", "timeout", "offline", "too_early"]
    why: str = ""
    answered_at: dt.datetime | None = None
    sent_wall_s: float = 0.0
    details: tuple[tuple[str, str], ...] = ()
