"""What setpoints and fallbacks share in every OCPP version: bounds, rounding, local days, turns."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from revere.core.errors import Refused
from revere.core.time import at_local, local

if TYPE_CHECKING:
    from revere.core.commands import DefaultProfile, SetpointCommand

DAY_S: Final = 86_400


def watts(power_kw: float) -> float:
    """kW to W in tenths; never -0.0."""
    return round(power_kw * 1000.0, 1) + 0.0


def check_setpoint(command: SetpointCommand) -> None:
    """Raise :class:`Refused` for what a strict station rejects (V2X.05): a setpoint outside its limits."""
    inside = -command.discharge_limit_kw <= command.setpoint_kw <= command.charge_limit_kw
    if not (inside and command.discharge_limit_kw >= 0 and command.charge_limit_kw >= 0):
        raise Refused(
            "setpoint outside its limits",
            where=f"{command.station_id}/{command.evse_id}",
            got=f"{command.setpoint_kw} kW",
            expected=f"-{command.discharge_limit_kw} to {command.charge_limit_kw} kW",
        )


def local_midnight(profile: DefaultProfile, now: dt.datetime) -> dt.datetime:
    """The UTC moment of the last local midnight: where a recurring local day starts."""
    return at_local(local(now, profile.zone).date(), dt.time(0, 0), profile.zone)
