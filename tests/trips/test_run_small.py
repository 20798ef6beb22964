"""The small programme from the notice to the statement: what a run must show, and money by another hand."""

from __future__ import annotations

import datetime as dt

import pytest

from revere.app.play import PlayOptions, play
from revere.core import facts as f
from tests.trips.by_hand import EVENT_HOURS, Played, export_wh, rates_usd_per_kw
from tests.trips.rig import small

DAYS = 1.85
"""To 20:24 on the event day: past the last departure of a bus (19:30) and past settlement (19:07)."""
NOTICE = dt.timedelta(hours=24)
RATES = rates_usd_per_kw(small())


@pytest.fixture(scope="module")
def played() -> Played:
    """The run itself, once."""
    found = Played()

    found.summary = play(small(), PlayOptions(days=DAYS, look=found.look))
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
        site: sum(EVENT_HOURS - len(played.good(asset)) / 12 for asset in played.stations[site]) for site in RATES
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
    assert export_wh(before[-1]) > export_wh(before[0])
    switch = [fact.open for fact in played.facts if isinstance(fact, f.TransferSwitchReported)]
    assert switch == [True, False]


def test_the_ledger_holds_what_a_recomputation_by_hand_gives(played: Played) -> None:
    by_hand = {site: played.cents(site, rate) for site, rate in RATES.items()}
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
    assert played.relief_kw(asset) < 0
    (line,) = [line.entry for line in played.lines if line.entry.site_id == "fire-station"]
    assert asset in {row[0] for row in line.evidence["readings"]}
