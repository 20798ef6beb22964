"""Whether a station that boots may work: at once, once it has been looked at, or not at all.

::

    boot ──▶ its model is refused        Rejected: asked again in an hour, and an alarm says why
         ──▶ never seen, to be looked at Pending: set, read, its device model taken; then its boot is triggered
         ──▶ else                        Accepted

Whatever else it says before it was accepted is answered with SecurityError and not recorded (B02.FR.09, B03.FR.07);
a station that was accepted by an earlier life of this server and only reconnects need not boot again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.facts import AlarmCleared, AlarmRaised, Fact, StationHeld
from revere.links.ocppj.framing import CallFailed
from revere.links.ocppj.line import heartbeat_s

if TYPE_CHECKING:
    from revere.core.facts import Standing, StationBooted
    from revere.links.ocppj.line import Line

PENDING_S: Final = 60
"""A station that knows no trigger boots again by itself after this."""
REJECTED_S: Final = 3600


class Verdict(msgspec.Struct, frozen=True):
    """How a boot is answered, and what is recorded before it is."""

    standing: Standing
    """In the standard's own word."""
    interval_s: int
    facts: list[Fact]


def judge(line: Line, booted: StationBooted) -> Verdict:
    """What becomes of a boot. Call :meth:`Line.recognise` first: the kind of charger counts."""
    at, station_id, memory = booted.at, booted.station_id, line.memory
    who = {"vendor": booted.vendor, "model": booted.model, "serial": booted.serial, "firmware": booted.firmware}
    if line.model.refused:
        why = f"{line.model.name}: {line.model.refused}"
        held = StationHeld(at=at, station_id=station_id, standing="Rejected", why=why, **who)
        alarm = AlarmRaised(
            at=at, key=_key(line), severity="critical", subject=station_id, text=f"not let to work: {why}"
        )
        return Verdict("Rejected", REJECTED_S, [held, alarm])
    if line.inspect_first and memory.inspection is None and line.directory.identity(station_id) is None:
        why = "its first boot: looked at before it may work"
        return Verdict(
            "Pending", PENDING_S, [StationHeld(at=at, station_id=station_id, standing="Pending", why=why, **who)]
        )
    cleared = [AlarmCleared(at=at, key=_key(line))] if memory.held_alarm or memory.standing == "Rejected" else []
    return Verdict("Accepted", heartbeat_s(station_id), [booted, *line.identify(booted), *cleared])


def admitted(line: Line) -> bool:
    """Whether the station was accepted, now or in an earlier life of this server."""
    if line.memory.standing is not None:
        return line.memory.standing == "Accepted"
    return line.directory.identity(line.config.station_id) is not None


def check_admitted(line: Line) -> None:
    """Refuse what a station says before it was accepted."""
    if not admitted(line):
        line.counters.unadmitted += 1
        raise CallFailed("SecurityError", "boot first: this station is not accepted")


async def nobody_there(line: Line, why: str) -> None:
    """A station that we do not know speaks without having booted, and cannot be made to: a person must know."""
    line.memory.held_alarm = True
    alarm = AlarmRaised(
        at=line.clock.now(),
        key=_key(line),
        severity="warning",
        subject=line.config.station_id,
        text=f"is connected and has not said who it is ({why}): start it anew",
    )
    await line.record([alarm])


def _key(line: Line) -> str:
    return f"held:{line.config.station_id}"
