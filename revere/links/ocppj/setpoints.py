"""What setpoints and fallbacks share in every OCPP version: bounds, rounding, local days, turns."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.errors import Refused
from revere.core.time import at_local, local
from revere.links.ocppj.calls import CallRefused, CallTimedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.commands import Answer, DefaultProfile, SetpointCommand
    from revere.links.ocppj.line import Line

    Asking = Callable[[], Awaitable[Answer]]

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


async def give_in_turn(
    line: Line, command: SetpointCommand, *, gives: bool, give: Asking, clear: Asking | None, end: Asking
) -> Answer:
    """Give a setpoint by ``give``; a newer one for the same EVSE drops an older one that still waits for the line.

    Where the station ``gives`` power, the end of that waits for no minute and takes no refusal: else our profile goes
    by ``clear``, else the session by ``end``. No ``clear``: none of our profiles makes it give.
    """
    async with line.power_turn(command):
        stops, given_kw = line.ends_discharge(command), line.memory.given_kw
        before_kw = given_kw.get(command.evse_id, 0.0)
        if gives and command.setpoint_kw < 0:  # one that is never answered may hold all the same
            given_kw[command.evse_id] = command.setpoint_kw
        try:
            answer = await give()
        except CallRefused as error:
            answer = line.answer("Rejected", str(error))
        if answer.status == "accepted":
            if gives:
                given_kw[command.evse_id] = command.setpoint_kw
            return answer
        given_kw[command.evse_id] = before_kw
        return await _end_discharge(line, answer, clear, end) if stops and line.wanted(command) else answer


async def _end_discharge(line: Line, refused: Answer, clear: Asking | None, end: Asking) -> Answer:
    """End a discharge at a station that takes no setpoint for it: by its fallback, else by the end of the session.

    A technician's lock lets no clear pass, as a vehicle may charge after it: there the session ends.
    """
    try:
        if clear is not None and (await clear()).status == "accepted":
            return msgspec.structs.replace(
                refused, status="too_early", why=f"{refused.why}; its profile is cleared instead"
            )
    except (CallRefused, CallTimedOut, Refused):
        pass  # whatever it means by that, it still gives
    try:
        ended = await end()
    except CallRefused as error:
        ended = line.answer("Rejected", str(error))
    what = "its session is ended instead" if ended.status == "accepted" else f"nor does its session end: {ended.why}"
    return msgspec.structs.replace(refused, status="rejected", why=f"{refused.why}; {what}")
