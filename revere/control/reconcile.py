"""What stations follow against what they were told: read when they come back, corrected, read again.

::

    back (ours or its restart) ──▶ ScheduleRead ──▶ as told, or on its fallback?  yes ─▶ the alarm, if any, ends
                                        ▲                  │ no
                                        └── read again ◀───┴─▶ told again first of all, or its fallback put back
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from revere.core import facts as f
from revere.core.commands import LEASED_PROTOCOLS, OFFLINE_LEASE_S, lease_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from revere.control.image import EvseImage, Image
    from revere.core.ids import StationId

TOLERANCE_KW = 0.1
TOLERANCE_SHARE = 0.01
LEASE_MARGIN = dt.timedelta(seconds=90)
"""A station counts its lease from when it notices that the link is gone, by its own clock."""
EDGE = dt.timedelta(minutes=2)
"""The same for the hours of its fallback."""
READ_AGAIN = dt.timedelta(seconds=65)
"""A correction has then arrived, and strict stations take another default profile."""
READ_AGAIN_MAX = dt.timedelta(hours=1)
READS_PER_TICK = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """A station that follows something else. ``fallback``: its charge-only default must be put back."""

    asset_id: str
    text: str
    severity: Literal["warning", "critical"]
    fallback: bool
    tell: bool
    """Whether a person should hear of it: a station that was never read before has no fallback yet."""


@dataclass(slots=True)
class Wrong:
    """A station to be read again."""

    read_at: dt.datetime
    pause: dt.timedelta = READ_AGAIN


class Reconciler:
    """Compares each reading with the image; remembers who is wrong until a reading says otherwise."""

    def __init__(self, image: Image, fallback_kw: Callable[[StationId, dt.datetime], float]) -> None:
        self._image = image
        self._fallback_kw = fallback_kw
        self.wrong: dict[str, Wrong] = {}

    def compare(self, fact: f.ScheduleRead) -> Difference | None:
        """What is wrong with the station by this reading, None if nothing. Call it once the image has the fact."""
        asset_id = f.evse_asset(fact.station_id, fact.evse_id)
        evse = self._image.evses.get(asset_id)
        if evse is None or not fact.steps:
            return None
        found = self._difference(evse, asset_id, fact)
        if found is None:
            self.wrong.pop(asset_id, None)
        else:
            self.wrong.setdefault(asset_id, Wrong(fact.at + READ_AGAIN))
        return found

    def _difference(self, evse: EvseImage, asset_id: str, fact: f.ScheduleRead) -> Difference | None:
        at, now_kw = fact.at, fact.steps[0][1]
        known = evse.schedules_read > 1
        told, lapsed = self._told_kw(evse, at)
        expected = [*told, *(self._fallbacks_kw(evse, at) if lapsed else [])]
        if not _near(evse, now_kw, expected):
            words = _words(told[-1]) if told else f"its charge-only profile ({_words(expected[-1])})"
            text = f"{fact.station_id} followed {_words(now_kw)} where {words} was expected; it is told again"
            gives = now_kw < -TOLERANCE_KW
            severity: Literal["warning", "critical"] = "critical" if gives else "warning"
            return Difference(asset_id, text, severity, fallback=not told, tell=gives or bool(told) or known)
        below = self._below_lease(evse, fact) if told and not lapsed else None
        if below is not None and not _near(evse, below[1], self._fallbacks_kw(evse, below[0])):
            text = f"{fact.station_id} would go to {_words(below[1])} at the end of its lease and not to its fallback"
            return Difference(asset_id, text, "warning", fallback=True, tell=known)
        return None

    def _told_kw(self, evse: EvseImage, at: dt.datetime) -> tuple[list[float], bool]:
        """(what it may follow of what it was told, whether its lease may be over by now)."""
        if evse.session_id is None or not evse.told or evse.stranger is not None:
            return [], True
        newest, newest_kw = evse.told[-1]
        if evse.station.protocol in LEASED_PROTOCOLS:
            age, lease = at - newest, _lease(evse, newest_kw)
        else:
            age, lease = (
                evse.silent if newest < evse.back_at else dt.timedelta(0),
                dt.timedelta(seconds=OFFLINE_LEASE_S),
            )
        kws = [kw if evse.station.discharge_kw > 0 else max(kw, 0.0) for _, kw in evse.told]
        return (kws if age < lease + LEASE_MARGIN else []), age > lease - LEASE_MARGIN

    def _fallbacks_kw(self, evse: EvseImage, at: dt.datetime) -> list[float]:
        limits_kw = [self._fallback_kw(evse.station.id, at + shift) for shift in (-EDGE, EDGE, dt.timedelta(0))]
        return [min(limit_kw, evse.station.charge_kw) for limit_kw in limits_kw]

    def _below_lease(self, evse: EvseImage, fact: f.ScheduleRead) -> tuple[dt.datetime, float] | None:
        """What it says it would do once its lease is over; None where that does not show (OCPP 2.1)."""
        if evse.station.protocol not in LEASED_PROTOCOLS:
            return None
        newest, newest_kw = evse.told[-1]
        over = newest + _lease(evse, newest_kw) + LEASE_MARGIN
        return over, [kw for start, kw in fact.steps if start <= over][-1]

    def first(self, assets: Sequence[str]) -> Sequence[int]:
        """Rows of ``assets`` in the order of telling: who is wrong comes first."""
        if not self.wrong:
            return range(len(assets))
        return sorted(range(len(assets)), key=lambda row: assets[row] not in self.wrong)

    def due(self, now: dt.datetime) -> list[StationId]:
        """Stations to be read again now, a few at a time, with growing pauses."""
        due: list[StationId] = []
        for asset_id, wrong in self.wrong.items():
            evse = self._image.evses[asset_id]
            if now >= wrong.read_at and evse.online and len(due) < READS_PER_TICK:
                wrong.pause = min(wrong.pause * 2, READ_AGAIN_MAX)
                wrong.read_at = now + wrong.pause
                due.append(evse.station.id)
        return due


def _lease(evse: EvseImage, told_kw: float) -> dt.timedelta:
    """How long a setpoint holds at a station that takes leases; one that only charges is told no less than 0."""
    kw = told_kw if evse.station.discharge_kw > 0 else max(told_kw, 0.0)
    return dt.timedelta(seconds=lease_s(evse.station.protocol, kw))


def _near(evse: EvseImage, kw: float, expected_kw: Sequence[float]) -> bool:
    capped = min(kw, evse.station.charge_kw)  # a limit above what it can draw is none
    tolerance = max(TOLERANCE_KW, TOLERANCE_SHARE * max(evse.station.charge_kw, evse.station.discharge_kw))
    return any(abs(capped - one) <= tolerance for one in expected_kw)


def _words(kw: float) -> str:
    """A power as people read it."""
    if abs(kw) < TOLERANCE_KW:
        return "0 kW"
    return f"{'giving' if kw < 0 else 'charging at'} {abs(kw):.1f} kW"
