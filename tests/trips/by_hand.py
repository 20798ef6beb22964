"""What a run left behind, and its statements by another hand: integers and fractions, from exported registers."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from revere.core import facts as f
from revere.core.facts import evse_asset

if TYPE_CHECKING:
    from revere.app.house import House
    from revere.core.scenario import Scenario
    from revere.store.ledger import PostedLine
    from revere.store.series import RegisterPair
    from revere.twin.world import World

EVENT_HOURS = 3
EDGE = dt.timedelta(minutes=5)
CLOCKS = dt.timedelta(seconds=2)
PROVEN_LEAST = Fraction(1, 2)
"""The rulebook's own assumption: below it an event is held, not paid."""
SWITCH_CLOSES_WITHIN = dt.timedelta(minutes=30)
KINDS = (
    f.GridEventReceived,
    f.Nominated,
    f.EventReported,
    f.GridLost,
    f.GridRestored,
    f.OutageSuspected,
    f.GridProven,
    f.TransferSwitchReported,
)


def rates_usd_per_kw(scenario: Scenario) -> dict[str, Fraction]:
    """ConnectedSolutions, summer: daily dispatch 200 $/kW, homes 275 $/kW, light plants not (programme.md b1)."""
    enrolled = [site for site in scenario.fleet.sites if site.utility_kind == "investor_owned"]
    return {site.id: Fraction(275 if site.kind == "home" else 200) for site in enrolled}


@dataclass
class Played:
    """What a run left behind; fill it with ``look``."""

    summary: dict[str, Any] = field(default_factory=dict)
    facts: list[Any] = field(default_factory=list)
    lines: list[PostedLine] = field(default_factory=list)
    registers: dict[str, list[RegisterPair | None]] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    stations: dict[str, list[str]] = field(default_factory=dict)
    charge_only: set[str] = field(default_factory=set)

    async def look(self, house: House, world: World) -> None:
        """Export journal, ledger and the registers at the event's five-minute edges."""
        self.facts = [fact async for fact in house.store.journal(kinds=[kind.__name__ for kind in KINDS])]
        self.lines = await house.store.ledger()
        self.reports = list(world.utility.reports)
        fleet = house.image.fleet
        for site in fleet.sites:
            self.stations[site.id] = [evse_asset(s.id, 1) for s in fleet.stations if s.site_id == site.id]
        self.charge_only = {evse_asset(s.id, 1) for s in fleet.stations if s.discharge_kw == 0}
        (event,) = house.image.events.values()
        edges = [event.start + EDGE * k for k in range(EVENT_HOURS * 12 + 1)]
        assets = [asset for group in self.stations.values() for asset in group]
        self.registers = await house.store.registers_at(assets, edges, tolerance_s=2.0)

    def dead(self) -> list[tuple[str, dt.datetime, dt.datetime]]:
        """Site, start and end of each outage, as stations told it: to the grid's return, or the switch's closing after.

        Where its loss was never told, it began with the silence.
        """
        found = []
        for fact in self.facts:
            if not isinstance(fact, f.GridRestored):
                continue
            before = [one for one in self.facts if one.at <= fact.at and getattr(one, "site_id", None) == fact.site_id]
            began = [one.ts for one in before if isinstance(one, f.GridLost)][-1:] or [
                one.ts for one in before if isinstance(one, f.OutageSuspected)
            ][-1:]
            closed = [
                one.ts
                for one in self.facts
                if isinstance(one, f.TransferSwitchReported)
                and one.site_id == fact.site_id
                and not one.open
                and fact.ts < one.ts <= fact.ts + SWITCH_CLOSES_WITHIN
            ]
            found += [(fact.site_id, start, min(closed, default=fact.ts)) for start in began]
        return found

    def cents(self, site: str, rate_usd_per_kw: Fraction) -> int:
        """What a season of this one event pays a site by its exported registers."""
        relief_kw = sum((self.relief_kw(asset) for asset in self.stations[site]), Fraction(0))
        return round(relief_kw * rate_usd_per_kw * 100)

    def proven(self, site: str) -> Fraction:
        """The share of the event that a site's registers prove on the grid."""
        stations = self.stations[site]
        return Fraction(sum(len(self.good(asset)) for asset in stations), EVENT_HOURS * 12 * len(stations))

    def relief_kw(self, asset: str) -> Fraction:
        """Mean of given less taken over the good intervals, kW, by integers alone."""
        good = self.good(asset)
        return Fraction(sum(good) * 12, 1000 * len(good))

    def good(self, asset: str) -> list[int]:
        """Given less taken, Wh, in each interval with registers at both ends.

        A charge-only station's meter has no export register: it gives nothing. What an island's vehicles give while
        the grid is dead is no relief: values stamped inside an outage are left out.
        """
        found = []
        dead = [(lost, back) for site, lost, back in self.dead() if asset in self.stations[site]]
        for first, last in itertools.pairwise(self.registers[asset]):
            if first is None or last is None or first.import_wh is None or last.import_wh is None:
                continue
            if any(lost + CLOCKS < pair.ts < back - CLOCKS for lost, back in dead for pair in (first, last)):
                continue
            given_wh = 0 if asset in self.charge_only else export_wh(last) - export_wh(first)
            found.append(given_wh - (last.import_wh - first.import_wh))
        return found


def export_wh(pair: RegisterPair) -> int:
    """An export register that must be there."""
    assert pair.export_wh is not None
    return pair.export_wh
