"""The guide's figures against a day that was counted on paper (guide_scene.py)."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.core import facts as f
from revere.core.errors import RevereError
from revere.core.ids import GridEventId
from revere.core.time import WallClock
from revere.settle.rules import load_rulebook
from revere.store.store import Store
from revere.web.guide.chapters import main_event
from revere.web.guide.chronicle import Chronicle, Plugged
from revere.web.guide.delivery import delivered_chapter, events_chapter
from revere.web.guide.evidence import money_chapter
from revere.web.guide.figures import gather
from revere.web.guide.groups import programme_figures, shown_of
from revere.web.guide.money import equity_figures, money_figures
from revere.web.guide.readiness import departures
from revere.web.guide.shapes import HOMES_LEAST
from revere.web.guide.tracks import Stored, Track, counted_wh, edges_expected
from tests.databases import fresh_database
from tests.web.guide_scene import EVENT, HOMES, NOW, START, STEP, TENANT, at, figures_of, fleet

if TYPE_CHECKING:
    from revere.core.assets import Fleet
    from revere.store.postgres import EmbeddedPostgres
    from revere.web.guide.shapes import GuideFigures


@pytest.fixture(scope="module")
def figures(pg: EmbeddedPostgres) -> GuideFigures:
    """The scene's figures, gathered once for the module."""
    with fresh_database(pg) as name:
        return figures_of(pg.dsn_of(name))


def test_event_power_is_what_good_intervals_prove_over_the_whole_event(figures: GuideFigures) -> None:
    (event,) = figures.events
    # bus 1: 12 kWh in 15 min = 48 kW; bus 2: 6 kWh in its two good intervals = 24 kW; homes 5 x 7.2 - 1.2 kW.
    assert event.performance_kw == pytest.approx(48 + 24 + 34.8)
    assert {g.label: g.performance_kw for g in event.groups} == pytest.approx({"Schools": 72.0, "Homes": 34.8})
    assert [(i.relief_kw, i.meters, i.of_meters) for i in event.intervals] == [
        (pytest.approx(118.8), 8, 8),
        (pytest.approx(118.8), 8, 8),
        (pytest.approx(82.8), 7, 8),
    ]
    assert event.lowest_kw == pytest.approx(82.8)
    assert event.homes_equivalent == 32  # 106.8 / 3.33
    assert (event.covered_s, event.asked_s) == (23 * 300, 24 * 300)
    assert (event.import_wh, event.export_wh) == (300, 12_000 + 6_000 + 9_000)


def test_a_drill_and_a_withdrawn_call_are_measured_marked_and_unpaid(pg_dsn: str) -> None:
    call = {"program_id": "cs-daily", "start": EVENT, "end": EVENT + 3 * STEP, "source": "operator:ana"}
    drill = f.GridEventReceived(at=at("11:00"), grid_event_id=GridEventId("d1"), drill=True, **call)
    phone = f.GridEventReceived(at=at("11:30"), grid_event_id=GridEventId("m1"), **call)
    back = {"at": at("20:11"), "modification": 1, "cancelled": True, "source": "operator:eve", "why": "wrong day"}
    figures = figures_of(pg_dsn, more=(drill, phone, msgspec.structs.replace(phone, **back)))
    practised, utility, taken_back = figures.events
    assert (practised.drill, practised.state, practised.source) == (True, "over", "by hand")
    assert practised.performance_kw == utility.performance_kw == pytest.approx(106.8)
    assert (practised.payments, practised.rules) == ((), ())
    assert (taken_back.drill, taken_back.state, taken_back.withdrawn_at) == (False, "withdrawn", at("20:11"))
    assert taken_back.performance_kw == pytest.approx(118.8), "the two intervals before it was taken back"
    assert (figures.money.expected_cents, main_event(figures)) == (893_500, utility)
    said = str([events_chapter(figures), delivered_chapter(figures), money_chapter(figures)])
    for words in ("Drill: ", "The drill for", "withdrawn on", "wrong day", "is not paid"):
        assert words in said


def test_the_last_modification_counts_and_the_notice_runs_from_the_first(figures: GuideFigures) -> None:
    (event,) = figures.events
    assert (event.start, event.state, event.opt) == (EVENT, "over", "in")
    assert event.called_at == at("10:30")
    assert event.notice_h == pytest.approx(9.5)
    assert (event.nominated_kw, event.reported_kw) == (100.0, 106.8)
    assert (event.sites, event.meters, event.discharge_kw) == (7, 8, 180.0)  # the light plant's customer is not called


def test_expected_confirmed_and_absent_money_stay_apart(figures: GuideFigures) -> None:
    (event,) = figures.events
    assert [(p.label, p.expected_cents, p.confirmed_cents, p.paid_cents) for p in event.payments] == [
        ("Schools", 839_500, 800_000, None),
        ("Homes", 54_000, None, None),
    ]
    money = figures.money
    assert (money.expected_cents, money.confirmed_cents, money.paid_cents) == (893_500, 800_000, None)
    assert [(g.label, g.participants, g.grants_cents) for g in money.grants] == [
        ("Schools", 1, 30_000),
        ("Municipal", 1, 10_000),
        ("Homes", 6, 30_000),
    ]


def test_departures_are_judged_at_the_roster_s_time_and_missing_data_is_not_ready(figures: GuideFigures) -> None:
    groups = {g.label: g for g in figures.readiness.groups}
    school = groups["Schools"]
    # bus 1 left with 100 of 80 kWh; bus 2 left ten minutes late: at 18:00 it had 70 of 80, the later 180 do not count.
    assert (school.departures, school.ready, school.short, school.unknown) == (2, 1, 1, 0)
    assert school.least_spare == pytest.approx(-0.05)
    assert school.median_spare == pytest.approx(0.025)
    hall = groups["Municipal"]
    assert (hall.departures, hall.ready, hall.least_spare) == (1, 1, pytest.approx(0.0))  # exactly 27 kWh
    homes = groups["Homes"]
    assert (homes.departures, homes.ready, homes.short, homes.unknown) == (6, 4, 0, 2)
    assert homes.least_spare is None  # one home's own figure
    assert sum(number for _, number in figures.readiness.why_unknown) == 2
    assert figures.readiness.spare_bins == ((-0.1, 1), (0.1, 1))
    (short,) = figures.readiness.short
    assert (short.vehicle, short.needed_kwh, short.had_kwh) == ("Bus 2", pytest.approx(80.0), pytest.approx(70.0))


def test_availability_counts_from_the_start_and_never_seen_is_none_of_it(figures: GuideFigures) -> None:
    rows = {a.label: a for a in figures.quality.availability}
    assert (rows["Schools"].connected_s, rows["Schools"].asked_s) == (21 * 3600.0, 22 * 3600.0)
    assert (rows["Schools"].drops, rows["Schools"].least) == (1, pytest.approx(10 / 11))
    assert (rows["Municipal"].never, rows["Municipal"].connected_s) == (1, 0.0)
    assert rows["Homes"].connected_s == HOMES * 11 * 3600.0
    assert rows["Homes"].least is None


def test_commands_data_alarms_and_clocks_are_counted(figures: GuideFigures) -> None:
    q = figures.quality
    c = q.commands
    assert (c.issued, c.confirmed, c.rejected, c.superseded, c.expired, c.open) == (4, 1, 1, 1, 0, 1)
    data = {d.label: d for d in q.data}
    assert (data["Schools"].expected, data["Schools"].present) == (2 * 133, 2 * 133 - 1)
    assert (data["Schools"].import_wh, data["Schools"].export_wh) == (0, 21_000)
    assert (data["Homes"].import_wh, data["Homes"].export_wh) == (300, 9_000)
    assert q.alarms == (("critical", 1, 0), ("warning", 1, 1), ("info", 0, 0))
    assert (q.skew_worst_s, q.skew_stations) == (2.5, 0)
    assert q.round_trip.efficiency is None  # sessions hold no discharge at all


def test_outages_of_homes_are_a_number_and_the_hall_s_energy_is_inside_it(figures: GuideFigures) -> None:
    (hall,) = figures.outages.sites
    assert (hall.site, hall.switch_open_s, hall.given_wh) == ("Town hall", 20.0, 1_500)
    assert figures.outages.homes_lost == 1


def test_equity_counts_unknown_as_not(figures: GuideFigures) -> None:
    equity = figures.equity
    assert equity is not None
    assert equity.share == pytest.approx(300 / 700)
    assert (equity.more_than_one_third, equity.unknown, equity.unknown_cents) == (True, 6, 30_000)
    assert [(row.name, row.status, row.criteria) for row in equity.rows] == [
        ("Lincoln Schools", "yes", "I"),
        ("Town hall", "no", ""),
    ]


def test_what_is_not_verified_is_listed_with_its_assumption(figures: GuideFigures) -> None:
    listed = {item.what: item.assumption for item in figures.unverified}
    assert any(what.startswith("Rule CI-DAILY: ") for what in listed)
    assert "Tariff Flat" in listed
    assert listed["The plant"].endswith("simulated")
    assert all(listed.values())


@pytest.mark.parametrize("homes", [1, HOMES_LEAST - 1])
def test_few_homes_change_no_figure_at_all(pg: EmbeddedPostgres, homes: int) -> None:
    """Whatever they did: a total that held them would tell it, less the others."""
    with fresh_database(pg) as name, fresh_database(pg) as without:
        few, none = figures_of(pg.dsn_of(name), homes=homes), figures_of(pg.dsn_of(without), homes=0)
    assert (few.programme.homes_left_out, none.programme.homes_left_out) == (True, False)
    assert (few.events[0].reported_kw, few.events[0].nominated_kw) == (None, None), "told of all that were called"
    assert _bare(few) == _bare(none)


def _bare(figures: GuideFigures) -> GuideFigures:
    """The figures without the marks of the record and without saying that homes are left out."""
    replace = msgspec.structs.replace
    assert figures.equity is not None
    return replace(
        figures,
        journal_hash="",
        money=replace(figures.money, ledger_hash=""),
        programme=replace(figures.programme, homes_left_out=False),
        equity=replace(figures.equity, homes_text=""),
        events=tuple(replace(event, nominated_kw=None, reported_kw=None) for event in figures.events),
    )


def test_a_handful_of_homes_that_an_event_calls_is_left_out_of_it_and_of_the_sums(pg_dsn: str) -> None:
    utilities = {"home1": "Town Light", "home2": "Town Light"}  # no program pays them, so the event calls four of six

    def move(whole: Fleet) -> Fleet:
        sites = [msgspec.structs.replace(s, utility=utilities.get(s.id, s.utility)) for s in whole.sites]
        return msgspec.structs.replace(whole, sites=tuple(sites))

    figures = figures_of(pg_dsn, edit=move)
    (event,) = figures.events
    assert [(p.label, p.expected_cents) for p in event.payments] == [("Schools", 839_500)]
    assert (event.sites, event.performance_kw) == (1, pytest.approx(72.0))
    assert figures.money.expected_cents == 839_500
    assert [g.label for g in figures.programme.groups] == ["Schools", "Municipal", "Homes"]


households = st.lists(st.tuples(st.floats(1, 20), st.integers(0, 10**6), st.booleans()), max_size=8)


@settings(max_examples=60, deadline=None)
@given(households)
def test_law_no_total_less_its_groups_is_a_handful_of_homes(drawn: list[tuple[float, int, bool]]) -> None:
    whole = fleet(len(drawn))
    replace = msgspec.structs.replace
    by_home = {f"home{n}": values for n, values in enumerate(drawn, 1)}
    whole = replace(
        whole,
        stations=tuple(
            replace(s, charge_kw=by_home[s.site_id][0]) if s.site_id in by_home else s for s in whole.stations
        ),
        participants=tuple(
            replace(
                p,
                grant_usd=Decimal(by_home[p.id[2:]][1]) / 100,
                block_group="bg-yes" if by_home[p.id[2:]][2] else "bg-no",
            )
            if p.id[2:] in by_home
            else p
            for p in whole.participants
        ),
    )
    found, none = shown_of(whole), shown_of(fleet(0))
    book, day = load_rulebook(), START.date()
    programme, money, equity = programme_figures(found, book, day), money_figures(found, [], ""), equity_figures(found)
    assert equity is not None
    assert programme.charge_kw == pytest.approx(sum(group.charge_kw for group in programme.groups))
    assert money.grants_cents == sum(group.grants_cents for group in money.grants)
    assert equity.total_cents == money.grants_cents
    if 0 < len(drawn) < HOMES_LEAST:
        assert replace(programme, homes_left_out=False) == programme_figures(none, book, day)
        assert money == money_figures(none, [], "")
        bare = equity_figures(none)
        assert bare is not None
        assert replace(equity, homes_text="") == replace(bare, homes_text="")


def test_a_record_that_is_over_ends_with_its_last_fact(pg_dsn: str) -> None:
    years_later = NOW + dt.timedelta(days=3 * 365)
    figures = figures_of(pg_dsn, now=years_later)
    assert (figures.start, figures.end, figures.made_at) == (START, at("20:30"), years_later)
    assert figures.quality.availability[0].asked_s == 2 * 10.5 * 3600


def test_an_empty_store_has_nothing_to_tell(pg_dsn: str) -> None:
    async def work() -> None:
        store = await Store.open(pg_dsn, WallClock(), TENANT, require_durable=False)
        try:
            with pytest.raises(RevereError, match="no programme is registered"):
                await gather(store, NOW)
            await store.save_fleet(fleet())
            with pytest.raises(RevereError, match="nothing to tell yet"):
                await gather(store, NOW)
        finally:
            await store.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("import_wh", "export_wh", "gained_wh", "expected"),
    [
        (100_000, 64_000, 0, 0.64),  # nothing kept: out / in
        (100_000, 40_500, 45_000, 0.81),  # r = 0.9: 0.9 x 100 - 40.5 / 0.9 = 45 kWh kept
        (50_000, 81_000, -45_000, 0.81),  # r = 0.9: 0.9 x 50 - 81 / 0.9 = -45 kWh, taken from the start
        (100_000, 10_000, 0, None),  # too little discharge to say
    ],
)
def test_round_trip_is_corrected_for_what_batteries_kept(
    import_wh: int, export_wh: int, gained_wh: int, expected: float | None
) -> None:
    vehicle = fleet().vehicles[0]
    low, high = START, START + STEP
    soc_gain = gained_wh / (vehicle.capacity_kwh * 1000)
    track = Track(
        imports={low: 7, high: 7 + import_wh},
        exports={low: 3, high: 3 + export_wh},
        soc={low: 0.5, high: 0.5 + soc_gain},
        quarantined=0,
        soc_stamps=[low, high],
    )
    stored = Stored()
    stored.add(track, [Plugged("s", vehicle.token, low, high), Plugged("t", "somebody else", low, high)], vehicle, NOW)
    assert stored.sessions == 1
    got = stored.efficiency()
    assert (got is None) if expected is None else math.isclose(got or 0.0, expected, rel_tol=1e-9)


def test_a_register_that_steps_back_is_counted_and_not_subtracted() -> None:
    register = {START: 100, START + STEP: 150, START + 2 * STEP: 20, START + 3 * STEP: 50}
    assert counted_wh(register) == (80, 1)
    assert counted_wh({START: 100}) == (None, 0)


def test_marks_are_counted_with_both_ends() -> None:
    assert edges_expected(START, START + dt.timedelta(minutes=10)) == 3
    assert edges_expected(START + dt.timedelta(seconds=1), START + dt.timedelta(minutes=9)) == 1


def test_an_order_replaces_the_trip_that_it_overlaps() -> None:
    home = fleet()
    bus = home.vehicles[0]
    orders = [
        f.DepartureSet(at=START, vehicle_id=bus.id, departs=at("17:00"), soc_required=0.9, by="someone"),
        f.DepartureSet(at=at("11:00"), vehicle_id=bus.id, departs=at("17:30"), soc_required=0.8, by="someone"),
    ]
    due = departures(bus, home.programme, orders, START, NOW)
    assert [(j.depart, j.needed_kwh) for j in due] == [(at("17:30"), pytest.approx(160.0))]


def test_a_newer_socket_s_predecessor_closing_late_is_no_drop() -> None:
    told = Chronicle()
    station = {"station_id": "s"}
    told.fold(f.StationConnected(at=START, protocol="p", generation=1, **station))
    told.fold(f.StationConnected(at=START + STEP, protocol="p", generation=2, **station))
    told.fold(f.StationDisconnected(at=START + 2 * STEP, generation=1, **station))
    told.close(START + 4 * STEP)
    assert (told.links["s"].drops, told.links["s"].connected_s) == (0, 4 * STEP.total_seconds())
