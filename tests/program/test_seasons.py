"""The Massachusetts programme from standing to statement: each enrolled site settled from its registers."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from pathlib import Path

import pytest

from revere.core.assets import Fleet
from revere.core.ids import GridEventId, ProgramId
from revere.core.scenario import parse_scenario
from revere.program.enrolment import enrolled_sites, enrolments
from revere.program.seasons import season_events, site_seasons
from revere.settle.performance import RegisterReading, interval_edges
from revere.settle.posting import CalledEvent, SiteSeason, settle_season
from revere.settle.rules import load_rulebook
from revere.settle.statement import audit, build_statement

BOOK = load_rulebook()
DAY = dt.date(2023, 9, 7)
START = dt.datetime(2023, 9, 7, 20, 0, tzinfo=dt.UTC)
NOW = START + dt.timedelta(hours=12)


def event(name: str, start: dt.datetime) -> CalledEvent:
    day_before = start - dt.timedelta(days=1)
    return CalledEvent(
        grid_event_id=GridEventId(name), start=start, end=start + dt.timedelta(hours=3), received_at=day_before
    )


EVENTS = [event("sep", START), event("year-before", START.replace(year=2022)), event("june", START.replace(month=6))]


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    file = Path(__file__).resolve().parents[2] / "scenarios" / "massachusetts.toml"
    if not file.is_file():
        pytest.skip("scenarios/massachusetts.toml is not here")
    return parse_scenario(file.read_text(encoding="utf-8"), file.name).fleet


def half_power(season: SiteSeason) -> list[RegisterReading]:
    """Every EVSE gives half of its nameplate (rounded to 12 W) over each event."""
    return [
        RegisterReading(
            asset_id=asset.asset_id,
            ts=edge,
            import_wh=5_000,
            export_wh=asset.export_rating_w // 24 * int((edge - called.start).total_seconds()) // 300,
        )
        for called in season.events
        for asset in season.assets
        for edge in interval_edges(called.start, called.end)
    ]


def test_a_season_holds_its_own_events_in_order() -> None:
    rule = BOOK.rule_for("connectedsolutions_ci_daily", "Eversource", DAY)
    assert [item.grid_event_id for item in season_events(rule, EVENTS, DAY)] == ["june", "sep"]
    assert [item.grid_event_id for item in season_events(rule, EVENTS, dt.date(2022, 7, 1))] == ["year-before"]
    assert season_events(rule, EVENTS, dt.date(2023, 12, 1)) == ()


def test_every_enrolled_site_of_the_called_program_settles_and_audits(fleet: Fleet) -> None:
    daily = ProgramId("cs-daily")
    standings = enrolments(fleet, BOOK, DAY)
    seasons = site_seasons(fleet, BOOK, standings, {daily: EVENTS[:1]}, DAY)
    assert [season.site_id for season in seasons] == list(enrolled_sites(standings, daily))
    for season in seasons:
        readings = half_power(season)
        result = settle_season(season, readings, now=NOW, clock_synchronised=True)
        assert not result.held
        energy_wh = sum(asset.export_rating_w // 24 * 36 for asset in season.assets)
        assert [(line.export_wh, line.import_wh) for line in result.lines] == [(energy_wh, 0)]
        # Wh over 3 h, in kW, at 200 $ a kW, in cents: all whole here but for the division by 3.
        assert result.value.cents == round(Fraction(energy_wh * 20, 3))
        statement = build_statement(season.participant_id, "2023-09", result.lines, BOOK)
        checked = audit(statement, readings, [season], ledger=result.lines, now=NOW)
        assert checked.agrees, checked.mismatches


def test_a_program_that_was_not_called_has_no_season(fleet: Fleet) -> None:
    assert site_seasons(fleet, BOOK, enrolments(fleet, BOOK, DAY), {}, DAY) == ()
