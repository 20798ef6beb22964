"""Commands from asking to proof: open until readings agree, however often a station says Accepted."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from revere.core import facts as f
from revere.core.ids import CommandId

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.control.image import EvseImage, Image
    from revere.core.commands import Answer

TOLERANCE_KW = 1.0
TOLERANCE_SHARE = 0.05
INTERVALS_TO_PROVE = 2
GRACE = dt.timedelta(seconds=10)
FAILURES_BEFORE_MISTRUST = 2
RETRY_AFTER = dt.timedelta(minutes=5)
ASK_AGAIN_FIRST = dt.timedelta(seconds=10)
"""A setpoint that failed is sent again after this, doubled each time up to ``RETRY_AFTER``."""
FIGURES_MAX = 200_000


@dataclass(slots=True)
class OpenCommand:
    """A setpoint under way at an EVSE."""

    command_id: CommandId
    asset_id: str
    setpoint_kw: float
    before_kw: float
    issued_at: dt.datetime
    deadline: dt.datetime
    in_event: bool
    accepted: bool = False


@dataclass(slots=True)
class Figures:
    """What the run reports: wall milliseconds to the socket, twin seconds to the meters' proof.

    ``in_events`` counts the setpoints of running events by how they ended, ``issued`` all of them.
    """

    sent_ms: list[float] = field(default_factory=list)
    in_events: Counter[str] = field(default_factory=Counter)
    issued: int = 0
    confirmed: int = 0
    superseded: int = 0
    expired: int = 0
    rejected: int = 0


class FleetChanges:
    """How long the fleet took, in events, from each tick that changed setpoints to its last station's proof.

    ::

        tick      |--A--------o shown               the change took until B's successor was met
                  |--B---x replaced
                         |--B'----------o shown

    A reading proves what the station had been told when it was taken, and all that it had been told before: a setpoint
    that was replaced, or that expired, counts until its station next did what it was told. Who unplugs is waited for
    no longer. Times are seconds by the meters' stamps.
    """

    def __init__(self) -> None:
        self.met_s: list[float] = []
        self._open: dict[dt.datetime, tuple[int, float]] = {}
        self._waits: dict[str, list[tuple[dt.datetime, float]]] = {}

    @property
    def unmet(self) -> int:
        """Changes that some station has not shown yet."""
        return len(self._open)

    def begin(self, asset_id: str, at: dt.datetime, setpoint_kw: float) -> None:
        """Wait for a station that was told ``setpoint_kw`` at the tick of ``at``."""
        left, worst_s = self._open.get(at, (0, 0.0))
        self._open[at] = (left + 1, worst_s)
        self._waits.setdefault(asset_id, []).append((at, setpoint_kw))

    def waiting(self) -> list[str]:
        """The EVSEs that somebody waits for."""
        return list(self._waits)

    def show(self, asset_id: str, measured_at: dt.datetime, agrees: Callable[[float], bool]) -> None:
        """Take a station's newest reading; ``agrees`` says whether it shows a setpoint."""
        waits = self._waits.get(asset_id, [])
        told = sum(1 for at, _setpoint_kw in waits if at < measured_at)
        if told and agrees(waits[told - 1][1]):
            self._end(asset_id, told, measured_at)

    def forget(self, asset_id: str) -> None:
        """Nobody waits for the station any more."""
        self._end(asset_id, len(self._waits.get(asset_id, [])), None)

    def _end(self, asset_id: str, count: int, met_at: dt.datetime | None) -> None:
        waits = self._waits.pop(asset_id, [])
        if waits[count:]:
            self._waits[asset_id] = waits[count:]
        for at, _setpoint_kw in waits[:count]:
            left, worst_s = self._open.pop(at)
            if met_at is not None:
                worst_s = max(worst_s, (met_at - at).total_seconds())
            if left > 1:
                self._open[at] = (left - 1, worst_s)
            elif worst_s > 0 and len(self.met_s) < FIGURES_MAX:
                self.met_s.append(worst_s)


class CommandTracker:
    """One open setpoint per EVSE; after failures an EVSE is not trusted for a while."""

    def __init__(self) -> None:
        self.open: dict[str, OpenCommand] = {}
        self.figures = Figures()
        self.changes = FleetChanges()
        self._life = ""
        self._serial = 0
        self._failures: dict[str, int] = {}
        self._retry_at: dict[str, dt.datetime] = {}
        self._unmet: dict[str, int] = {}
        self._again_at: dict[str, dt.datetime] = {}
        self._alarmed: set[str] = set()

    def resume(self, now: dt.datetime) -> None:
        """Number this life's commands by its start, so that no id of an earlier life comes back."""
        self._life = f"{int(now.timestamp()):x}-"

    def forget(self, asset_id: str) -> None:
        """Another vehicle: what failed with the last one is not asked again."""
        self._unmet.pop(asset_id, None)
        self._again_at.pop(asset_id, None)

    def ask_again(self, asset_id: str, now: dt.datetime) -> bool:
        """Whether the last setpoint failed and has waited long enough to be sent again."""
        again_at = self._again_at.get(asset_id)
        return again_at is not None and now >= again_at

    def asks_again(self, now: dt.datetime) -> bool:
        """Whether any setpoint has to be sent again now."""
        return any(now >= again_at for again_at in self._again_at.values())

    def issue(
        self, evse: EvseImage, asset_id: str, setpoint_kw: float, now: dt.datetime, interval_s: float, *, in_event: bool
    ) -> tuple[OpenCommand, list[f.Fact]]:
        """Open a command; the one that it replaces ends as superseded."""
        ended: list[f.Fact] = []
        old = self.open.pop(asset_id, None)
        if old is not None:
            self._count(old, "superseded")
            ended.append(f.CommandEnded(at=now, command_id=old.command_id, outcome="superseded", said=said(old)))
        self._serial += 1
        self._again_at.pop(asset_id, None)
        self.figures.issued += 1
        if in_event:
            self.figures.in_events["issued"] += 1
            self.changes.begin(asset_id, now, setpoint_kw)
        prove_s = INTERVALS_TO_PROVE * interval_s
        command = OpenCommand(
            command_id=CommandId(f"sp-{self._life}{self._serial}"),
            asset_id=asset_id,
            setpoint_kw=setpoint_kw,
            before_kw=evse.power_kw if evse.power_kw is not None else 0.0,
            issued_at=now,
            deadline=now + dt.timedelta(seconds=prove_s) + GRACE,
            in_event=in_event,
        )
        self.open[asset_id] = command
        issued = f.CommandIssued(
            at=now,
            command_id=command.command_id,
            station_id=evse.station.id,
            kind="setpoint",
            detail={"setpoint_kw": round(setpoint_kw, 3)},
        )
        return command, [*ended, issued]

    def answered(self, command: OpenCommand, answer: Answer, decided_wall_s: float, now: dt.datetime) -> list[f.Fact]:
        """Take the station's word: a rejection ends the command, an acceptance proves nothing yet."""
        if answer.sent_wall_s and len(self.figures.sent_ms) < FIGURES_MAX:
            self.figures.sent_ms.append((answer.sent_wall_s - decided_wall_s) * 1000)
        if self.open.get(command.asset_id) is not command:
            return []
        if answer.status == "accepted":
            command.accepted = True
            return []
        del self.open[command.asset_id]
        self._count(command, "rejected")
        why = f"{answer.status}: {answer.why}" if answer.why else answer.status
        facts: list[f.Fact] = [f.CommandEnded(at=now, command_id=command.command_id, outcome="rejected", why=why[:200])]
        self._ask_later(command.asset_id, now)
        if answer.status in ("offline", "too_early"):  # nobody was there to disobey, or nobody could obey yet
            return facts
        return facts + self._failed(command.asset_id, why, now)

    def check(self, image: Image, now: dt.datetime) -> list[f.Fact]:
        """Compare open commands with readings taken since; confirm, expire, raise and clear alarms."""
        self._judge_changes(image)
        facts: list[f.Fact] = []
        for asset_id, command in list(self.open.items()):
            evse = image.evses[asset_id]
            if evse.session_id is None:
                del self.open[asset_id]
                self._count(command, "superseded")
                facts.append(
                    f.CommandEnded(
                        at=now, command_id=command.command_id, outcome="superseded", why="unplugged", said=said(command)
                    )
                )
            elif measured_at(evse) > command.issued_at and (
                _agrees(evse, command.setpoint_kw) or _carries_island(evse, command.setpoint_kw, image)
            ):
                del self.open[asset_id]
                facts += self._confirmed(command, evse, image, now)
            elif now >= command.deadline:
                del self.open[asset_id]
                self._count(command, "expired")
                facts += self._expired(command, evse, now)
        return facts

    def _judge_changes(self, image: Image) -> None:
        for asset_id in self.changes.waiting():
            evse = image.evses[asset_id]
            if evse.session_id is None:
                self.changes.forget(asset_id)
                continue

            def shows(setpoint_kw: float, evse: EvseImage = evse) -> bool:
                return _agrees(evse, setpoint_kw) or _carries_island(evse, setpoint_kw, image)

            self.changes.show(asset_id, measured_at(evse), shows)

    def _count(self, command: OpenCommand, outcome: Literal["confirmed", "superseded", "expired", "rejected"]) -> None:
        setattr(self.figures, outcome, getattr(self.figures, outcome) + 1)
        if command.in_event:
            self.figures.in_events[outcome] += 1

    def _confirmed(self, command: OpenCommand, evse: EvseImage, image: Image, now: dt.datetime) -> list[f.Fact]:
        self._count(command, "confirmed")
        self.forget(command.asset_id)
        facts: list[f.Fact] = [
            f.CommandEnded(at=now, command_id=command.command_id, outcome="confirmed", said=said(command))
        ]
        if not _moved(evse, command):  # standing still proves nothing about following
            return facts
        self._failures.pop(command.asset_id, None)
        self._retry_at.pop(command.asset_id, None)
        key = f"not-following:{command.asset_id}"
        if key in image.alarms or key in self._alarmed:
            self._alarmed.discard(key)
            facts.append(f.AlarmCleared(at=now, key=key))
        return facts

    def _expired(self, command: OpenCommand, evse: EvseImage, now: dt.datetime) -> list[f.Fact]:
        shown = "nothing" if evse.power_kw is None else f"{evse.power_kw:.1f} kW"
        why = f"asked {command.setpoint_kw:.1f} kW, meter shows {shown}"
        ended = f.CommandEnded(at=now, command_id=command.command_id, outcome="expired", why=why, said=said(command))
        self._ask_later(command.asset_id, now)
        return [ended, *self._failed(command.asset_id, why, now)]

    def _ask_later(self, asset_id: str, now: dt.datetime) -> None:
        unmet = self._unmet.get(asset_id, 0)
        self._unmet[asset_id] = unmet + 1
        self._again_at[asset_id] = now + min(ASK_AGAIN_FIRST * 2 ** min(unmet, 10), RETRY_AFTER)

    def _failed(self, asset_id: str, why: str, now: dt.datetime) -> list[f.Fact]:
        """Count a failure; from the second on the EVSE is left out of the split for a while, with one alarm."""
        self._failures[asset_id] = self._failures.get(asset_id, 0) + 1
        if self._failures[asset_id] < FAILURES_BEFORE_MISTRUST:
            return []
        self._retry_at[asset_id] = now + RETRY_AFTER
        key = f"not-following:{asset_id}"
        if key in self._alarmed:
            return []
        self._alarmed.add(key)
        station_id = asset_id.rsplit("/", 1)[0]
        text = f"{station_id} does not follow: {why}. Its share is given to others; it charges for departures alone."
        return [f.AlarmRaised(at=now, key=key, severity="warning", subject=station_id, text=text[:400])]

    def trusted(self, asset_id: str, now: dt.datetime) -> bool:
        """Whether the EVSE may be counted on; after a pause it is tried again."""
        return now >= self._retry_at.get(asset_id, now)


def said(command: OpenCommand) -> Literal["", "accepted"]:
    """What the station answered, for the record of a command's end."""
    return "accepted" if command.accepted else ""


def measured_at(evse: EvseImage) -> dt.datetime:
    """When the power was measured by our clock: the station's stamp less its measured skew."""
    return evse.power_at - dt.timedelta(seconds=evse.skew_s or 0.0)


def _tolerance_kw(evse: EvseImage) -> float:
    return max(TOLERANCE_KW, TOLERANCE_SHARE * max(evse.station.charge_kw, evse.station.discharge_kw))


def _moved(evse: EvseImage, command: OpenCommand) -> bool:
    return evse.power_kw is not None and abs(evse.power_kw - command.before_kw) > _tolerance_kw(evse)


def _carries_island(evse: EvseImage, setpoint_kw: float, image: Image) -> bool:
    """Whether the station feeds its island: what forms a grid follows the load, not the setpoint."""
    islanded = image.sites[evse.station.site_id].islanded
    return islanded and setpoint_kw < 0 and evse.power_kw is not None and evse.power_kw < 0


def _agrees(evse: EvseImage, setpoint_kw: float) -> bool:
    """Whether the meter shows the setpoint; a battery may draw less than a charging setpoint allows."""
    power_kw = evse.power_kw
    if power_kw is None:
        return False
    tolerance_kw = _tolerance_kw(evse)
    if setpoint_kw > 0:
        return -tolerance_kw <= power_kw <= setpoint_kw + tolerance_kw
    return abs(power_kw - setpoint_kw) <= tolerance_kw
