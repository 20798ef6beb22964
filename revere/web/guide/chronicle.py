"""One pass over the journal: what the guide needs of it, folded as the facts come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from revere.core import facts as f
from revere.core.errors import RevereError

if TYPE_CHECKING:
    import datetime as dt

    from revere.store.reader import Reads

KINDS = tuple(
    kind.__name__
    for kind in (
        f.StationConnected,
        f.StationDisconnected,
        f.ClockSkewMeasured,
        f.SessionStarted,
        f.SessionEnded,
        f.GridEventReceived,
        f.Nominated,
        f.OptDecided,
        f.PlanMade,
        f.CommandIssued,
        f.CommandEnded,
        f.GridLost,
        f.GridRestored,
        f.TransferSwitchReported,
        f.DepartureSet,
        f.DischargeStopped,
        f.AlarmRaised,
        f.AlarmCleared,
        f.EventReported,
    )
)


@dataclass(slots=True)
class Plugged:
    """A session: plug-in to plug-out; ``end`` None while it lasts."""

    session_id: str
    token: str
    start: dt.datetime
    end: dt.datetime | None = None


@dataclass(slots=True)
class Link:
    """A station's connections: ``up`` since when, seconds before that, and how often it was lost."""

    up: dt.datetime | None = None
    generation: int = -1
    connected_s: float = 0.0
    drops: int = 0


@dataclass(slots=True)
class Outage:
    """The grid dead at a site; ``switch_open`` is when its switch reported itself open."""

    site_id: str
    lost: dt.datetime
    restored: dt.datetime | None = None
    switch_open: dt.datetime | None = None


@dataclass(slots=True)
class Chronicle:
    """What happened, in the guide's terms."""

    start: dt.datetime | None = None
    last: dt.datetime | None = None
    links: dict[str, Link] = field(default_factory=dict)
    sessions: dict[str, list[Plugged]] = field(default_factory=dict)
    called: dict[str, f.GridEventReceived] = field(default_factory=dict)
    first_called: dict[str, f.GridEventReceived] = field(default_factory=dict)
    nominated: dict[str, f.Nominated] = field(default_factory=dict)
    opts: dict[str, str] = field(default_factory=dict)
    reported: dict[str, f.EventReported] = field(default_factory=dict)
    issued: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    plans: int = 0
    stops: int = 0
    outages: list[Outage] = field(default_factory=list)
    orders: list[f.DepartureSet] = field(default_factory=list)
    alarms: Counter[str] = field(default_factory=Counter)
    open_alarms: dict[str, str] = field(default_factory=dict)
    skew_s: dict[str, float] = field(default_factory=dict)

    def fold(self, fact: f.Fact) -> None:
        """Add one fact."""
        if self.start is None:
            self.start = fact.at
        self.last = fact.at
        match fact:
            case f.CommandIssued():
                self.issued += 1
            case f.CommandEnded():
                self.outcomes[fact.outcome] += 1
            case f.PlanMade():
                self.plans += 1
            case f.DischargeStopped():
                self.stops += 1
            case f.DepartureSet():
                self.orders.append(fact)
            case f.ClockSkewMeasured():
                worst = max(abs(fact.skew_s), abs(self.skew_s.get(fact.station_id, 0.0)))
                self.skew_s[fact.station_id] = worst
            case f.AlarmRaised() | f.AlarmCleared():
                self._alarm(fact)
            case f.StationConnected() | f.StationDisconnected():
                self._link(fact)
            case f.SessionStarted() | f.SessionEnded():
                self._session(fact)
            case f.GridLost() | f.GridRestored() | f.TransferSwitchReported():
                self._grid(fact)
            case f.GridEventReceived() | f.Nominated() | f.OptDecided() | f.EventReported():
                self._event(fact)
            case _:
                pass

    def close(self, end: dt.datetime) -> None:
        """Count the connections that still stand up to ``end``."""
        for link in self.links.values():
            if link.up is not None:
                link.connected_s += max((end - link.up).total_seconds(), 0.0)
                link.up = None

    def _alarm(self, fact: f.AlarmRaised | f.AlarmCleared) -> None:
        if isinstance(fact, f.AlarmCleared):
            self.open_alarms.pop(fact.key, None)
        else:
            self.alarms[fact.severity] += fact.key not in self.open_alarms
            self.open_alarms[fact.key] = fact.severity

    def _link(self, fact: f.StationConnected | f.StationDisconnected) -> None:
        link = self.links.setdefault(fact.station_id, Link())
        if isinstance(fact, f.StationDisconnected):
            if link.up is None or fact.generation != link.generation:
                return  # the close of a socket that a newer one has replaced
            link.connected_s += (fact.at - link.up).total_seconds()
            link.up = None
            link.drops += 1
            return
        if link.up is None:
            link.up = fact.at
        link.generation = fact.generation

    def _session(self, fact: f.SessionStarted | f.SessionEnded) -> None:
        kept = self.sessions.setdefault(fact.station_id, [])
        if isinstance(fact, f.SessionStarted):
            if not any(one.session_id == fact.session_id for one in kept):
                kept.append(Plugged(fact.session_id, fact.token, fact.ts))
            return
        for one in reversed(kept):
            if one.session_id == fact.session_id and one.end is None:
                one.end = fact.ts
                return

    def _grid(self, fact: f.GridLost | f.GridRestored | f.TransferSwitchReported) -> None:
        running = next((o for o in reversed(self.outages) if o.site_id == fact.site_id and o.restored is None), None)
        match fact:
            case f.GridLost():
                if running is None:
                    self.outages.append(Outage(fact.site_id, fact.ts))
            case f.GridRestored():
                if running is not None:
                    running.restored = fact.ts
            case f.TransferSwitchReported():
                if running is not None and fact.open and running.switch_open is None:
                    running.switch_open = fact.ts

    def _event(self, fact: f.GridEventReceived | f.Nominated | f.OptDecided | f.EventReported) -> None:
        key = fact.grid_event_id
        match fact:
            case f.GridEventReceived():
                self.first_called.setdefault(key, fact)
                if key not in self.called or fact.modification >= self.called[key].modification:
                    self.called[key] = fact
            case f.Nominated():
                self.nominated[key] = fact
            case f.OptDecided():
                self.opts[key] = fact.opt
            case f.EventReported():
                self.reported[key] = fact


async def read_chronicle(reader: Reads, since: dt.datetime | None, until: dt.datetime) -> Chronicle:
    """Fold the journal's facts learned in ``[since, until]``. Raises ``RevereError`` where there are none."""
    chronicle = Chronicle(start=since)
    seen = 0
    async for fact in reader.journal(since=since, kinds=KINDS):
        if fact.at <= until:
            chronicle.fold(fact)
            seen += 1
    if not seen:
        raise RevereError(
            "there is nothing to tell yet",
            where="guide",
            got=f"no fact up to {until:%Y-%m-%d %H:%M} UTC",
            expected="the journal of a run",
            remedy="Run a scenario or connect stations first.",
        )
    return chronicle
