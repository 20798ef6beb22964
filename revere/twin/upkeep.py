"""What is done to a station itself, whatever it speaks: put out of service, started anew.

::

    in service ──out of service──▶ at once, or at the end of the session that runs ──▶ unavailable
    reset when idle ─────────────▶ at once, or at the end of the session that runs ──▶ down, up, boots
    reset now ───────────────────▶ the session is cut off, its end is told ──────────▶ down, up, boots
    reset and resume (2.1) ──────▶ the session rests, and goes on afterwards ────────▶ down, up, boots

What is out of service stays so over a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from revere.twin.line import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.twin.station import Station

Scope = Literal["station", "evse", "connector"]
Part = Literal["station", "evse"]
Outcome = Literal["Accepted", "Scheduled"]

TELLS_END_S: Final = 5.0
"""From the order to going down: the end of a session that is cut off is told before."""
REBOOT_S: Final = 45.0


class Upkeep:
    """The service state of one station with one EVSE and one connector."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self.triggers: dict[str, Callable[[], bool]] = {
            "Heartbeat": lambda: self._told(station.beat),
            "StatusNotification": lambda: self._told(station.tell_status),
            "MeterValues": lambda: self._told(station.tell_meter),
        }
        """What it sends when it is asked to, by the message's name; False where it cannot. Editions add theirs."""
        self._out: set[Scope] = set()
        self._scheduled: set[Scope] = set()
        self._reset_due: Literal["", "station", "evse"] = ""
        self.boot_reason = ""
        """Why it boots next, in the standard's word; empty when it was not told to."""

    def _told(self, tell: Callable[[], None]) -> bool:
        tell()
        return True

    def _tell_idle(self, action: str) -> bool:
        """A progress that nothing is under way of."""
        self._station.line.post(Message(action, {"status": "Idle"}))
        return True

    @property
    def out(self) -> bool:
        """Whether its connector is out of service."""
        return bool(self._out)

    def set_operative(self, scope: Scope, *, operative: bool) -> Outcome:
        """Put a part in or out of service; out only once no session needs it."""
        self._scheduled.discard(scope)
        if operative:
            self._out.discard(scope)
        elif self._station.in_session():
            self._scheduled.add(scope)
            return "Scheduled"
        else:
            self._out.add(scope)
        self._changed()
        return "Accepted"

    def _changed(self) -> None:
        self._station.tell_status()
        if not self.out and self._station.plugged:
            self._station.plugged_in()

    def reset(self, part: Part, *, now: bool) -> Outcome:
        """Start the station, or its EVSE, anew."""
        if self._station.in_session():
            if not now:
                self._reset_due = part
                return "Scheduled"
            self._station.cut_off("ImmediateReset")
        self.restart(part, "RemoteReset")
        return "Accepted"

    def session_over(self) -> None:
        """What waited for the end of a session is done."""
        if self._scheduled:
            self._out |= self._scheduled
            self._scheduled.clear()
            self._changed()
        due, self._reset_due = self._reset_due, ""
        if due:
            self.restart(due, "ScheduledReset")

    def restart(self, part: Part, reason: str) -> None:
        """Start a part anew once what ends is told."""
        if part == "station":
            self._station.later("reset", TELLS_END_S, lambda: self.reboot(reason))
        else:
            self._station.later("reset", TELLS_END_S, self._evse_back)

    def _evse_back(self) -> None:
        self._changed()
        self.back()

    def back(self) -> None:
        """Up again, and accepted where it had to boot."""

    def reboot(self, reason: str, down_s: float = REBOOT_S) -> None:
        """Go down at once and boot after a while, saying why."""
        self.boot_reason = reason
        self._station.go_down(down_s)

    def take_boot_reason(self, otherwise: str) -> str:
        """Why it boots, said once."""
        reason, self.boot_reason = self.boot_reason or otherwise, ""
        return reason
