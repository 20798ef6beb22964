"""The small programme from the notice to the statement: what a run must show, and money by another hand."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from revere.app.play import PlayOptions, play
from revere.core import facts as f
from revere.core.facts import evse_asset
from tests.trips.rig import small

if TYPE_CHECKING:
    from revere.app.house import House
    from revere.store.ledger import PostedLine
    from revere.store.series import RegisterPair
    from revere.twin.world import World

DAYS = 1.85
"""To 20:24 on the event day: past the last departure of a bus (19:30) and past settlement (19:07)."""
NOTICE = dt.timedelta(hours=24)
EVENT_HOURS = 3
RATE_USD_PER_KW = {"school": Fraction(200), "fire-station": Fraction(200), "home": Fraction(275)}
"""ConnectedSolutions, summer: daily dispatch 200 $/kW, homes 275 $/kW (programme.md b1)."""
EDGE = dt.timedelta(minutes=5)
CLOCKS = dt.timedelta(seconds=2)


@dataclass
class Played:
    """What a run left behind."""

    summary: dict[str, Any] = field(default_factory=dict)
    facts: list[Any] = field(default_factory=list)
    lines: list[PostedLine] = field(default_factory=list)
    registers: dict[str, list[RegisterPair | None]] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    stations: dict[str, list[str]] = field(default_factory=dict)
    charge_only: set[str] = field(default_factory=set)

    def dead(self) -> list[tuple[str, dt.datetime, dt.datetime]]:
        """Site, start and end of each outage, as the stations reported it: it ends when the island's switch closes."""
        back = {fact.site_id: fact.ts for fact in self.facts if isinstance(fact, f.TransferSwitchReported)}
        return [(fact.site_id, fact.ts, back[fact.site_id]) for fact in self.facts if isinstance(fact, f.GridLost)]


@pytest.fixture(scope="module")
def played() -> Played:
    """The run itself, once."""
    found = Played()

    async def look(house: House, world: World) -> None:
        kinds = (
            f.GridEventReceived,
            f.Nominated,
            f.EventReported,
            f.GridLost,
            f.GridRestored,
            f.TransferSwitchReported,
        )
        found.facts = [fact async for fact in house.store.journal(kinds=[kind.__name__ for kind in kinds])]
        found.lines = await house.store.ledger()
        found.reports = list(world.utility.reports)
        fleet = house.image.fleet
        for site in fleet.sites:
            found.stations[site.id] = [evse_asset(s.id, 1) for s in fleet.stations if s.site_id == site.id]
        found.charge_only = {evse_asset(s.id, 1) for s in fleet.stations if s.discharge_kw == 0}
        (event,) = house.image.events.values()
        edges = [event.start + EDGE * k for k in range(EVENT_HOURS * 12 + 1)]
        assets = [asset for group in found.stations.values() for asset in group]
        found.registers = await house.store.registers_at(assets, edges, tolerance_s=2.0)

    found.summary = play(small(), PlayOptions(days=DAYS, look=look))
    return found


def test_every_criterion_of_a_run_holds_with_its_exposure(played: Played) -> None:
    shown = played.summary
    assert shown["performance_kw"] >= shown["lowest_5min_kw"] >= shown["nominated_kw"] > 0
    assert (shown["missed_departures"], shown["departures"] >= 10) == (0, True)
    assert (shown["backfeed_on_dead_grid_s"], shown["outage_site_s"]) == (0, 3600)
    assert (shown["limit_violation_s"], shown["sampled_s"] > 500_000) == (0, True)
    assert shown["alarms_open"] == []
    assert shown["setpoint_sent_p99_ms"] < 500
    assert shown["setpoint_met_p99_s"] < 30
    assert shown["fleet_changes_unmet"] <= 1
    assert shown["setpoints_met_in_events"] >= 10


def test_registers_batteries_and_losses_close_for_the_fleet_and_the_worst_station(played: Played) -> None:
    shown = played.summary
    assert shown["energy_balance_stations"] >= 3
    assert 0 <= shown["energy_balance_residual_pct"] < 0.1
    assert 0 <= shown["energy_balance_worst_station_pct"] < 0.1


def test_the_plant_itself_saw_what_the_registers_say(played: Played) -> None:
    shown = played.summary
    assert shown["performance_kw"] == pytest.approx(shown["performance_plant_kw"], rel=0.0005)


def test_time_that_no_register_proves_on_the_grid_is_stated_by_site(played: Played) -> None:
    by_hand = {
        site: sum(EVENT_HOURS - len(_good(played, asset)) / 12 for asset in played.stations[site])
        for site in RATE_USD_PER_KW
    }
    assert played.summary["performance_unmeasured_h_by_site"] == pytest.approx(
        {s: h for s, h in by_hand.items() if h}, abs=0.001
    )
    assert played.summary["performance_unmeasured_evse_h"] == pytest.approx(sum(by_hand.values()), abs=0.001)
    assert by_hand["fire-station"] >= 2, "two stations for an hour without a grid"


def test_the_promise_is_journaled_at_the_notice_with_its_ten_per_cent(played: Played) -> None:
    (received,) = [fact for fact in played.facts if isinstance(fact, f.GridEventReceived)]
    (nominated,) = [fact for fact in played.facts if isinstance(fact, f.Nominated)]
    lead = received.start - nominated.at
    assert NOTICE - dt.timedelta(minutes=10) < lead <= NOTICE
    assert nominated.nominated_kw <= nominated.lowest_mean_kw * 0.9
    assert sum(nominated.by_site_kw.values()) == pytest.approx(nominated.nominated_kw, abs=0.01)
    assert "home-light" not in nominated.by_site_kw


def test_the_outage_hits_a_site_that_discharges(played: Played) -> None:
    (lost,) = [fact for fact in played.facts if isinstance(fact, f.GridLost)]
    assert lost.site_id == "fire-station"
    (asset, _) = played.stations["fire-station"]
    before = [pair for pair in played.registers[asset] if pair is not None and pair.ts < lost.ts][-2:]
    assert _export_wh(before[-1]) > _export_wh(before[0])
    switch = [fact.open for fact in played.facts if isinstance(fact, f.TransferSwitchReported)]
    assert switch == [True, False]


def test_the_ledger_holds_what_a_recomputation_by_hand_gives(played: Played) -> None:
    by_hand: dict[str, int] = {}
    for site, rate in RATE_USD_PER_KW.items():
        relief_kw = sum((_relief_kw(played, asset) for asset in played.stations[site]), Fraction(0))
        by_hand[site] = round(relief_kw * rate * 100)
    posted = {line.entry.site_id: line.entry.cents for line in played.lines}
    assert posted == by_hand
    assert len(played.lines) == len(by_hand)
    assert {line.entry.state for line in played.lines} == {"expected"}
    assert all(cents != 0 for cents in by_hand.values())


def test_a_municipal_light_plants_customer_is_in_no_statement(played: Played) -> None:
    assert played.summary["left_out_sites"] == ["home-light"]
    assert "home-light" not in {line.entry.site_id for line in played.lines}


def test_the_report_reaches_the_utility_with_relief_as_negative_demand(played: Played) -> None:
    (reported,) = [fact for fact in played.facts if isinstance(fact, f.EventReported)]
    (report,) = played.reports
    assert report["id"] == reported.report_id
    (resource,) = report["resources"]
    values = [interval["payloads"][0]["values"][0] for interval in resource["intervals"]]
    assert {interval["payloads"][0]["type"] for interval in resource["intervals"]} == {"DEMAND"}
    assert len(values) == EVENT_HOURS * 12
    assert sum(values) / len(values) == pytest.approx(-reported.performance_kw, abs=0.05)
    assert reported.performance_kw == pytest.approx(played.summary["performance_kw"], abs=0.001)


def test_a_charge_only_station_counts_against_its_site(played: Played) -> None:
    (asset,) = played.charge_only
    assert _relief_kw(played, asset) < 0
    (line,) = [line.entry for line in played.lines if line.entry.site_id == "fire-station"]
    assert asset in {row[0] for row in line.evidence["readings"]}


def _export_wh(pair: RegisterPair) -> int:
    assert pair.export_wh is not None
    return pair.export_wh


def _relief_kw(played: Played, asset: str) -> Fraction:
    """Mean of given less taken over the good intervals, kW, by integers alone."""
    good = _good(played, asset)
    return Fraction(sum(good) * 12, 1000 * len(good))


def _good(played: Played, asset: str) -> list[int]:
    """Given less taken, Wh, in each interval with registers at both ends.

    A charge-only station's meter has no export register: it gives nothing. What an island's vehicles give while the
    grid is dead is no relief: values stamped inside an outage are left out.
    """
    found = []
    for first, last in itertools.pairwise(played.registers[asset]):
        if first is None or last is None or first.import_wh is None or last.import_wh is None:
            continue
        if any(
            asset in played.stations[site] and lost + CLOCKS < pair.ts < back - CLOCKS
            for site, lost, back in played.dead()
            for pair in (first, last)
        ):
            continue
        given_wh = 0 if asset in played.charge_only else _export_wh(last) - _export_wh(first)
        found.append(given_wh - (last.import_wh - first.import_wh))
    return found
