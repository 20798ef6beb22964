"""Enrolment follows the meter account's utility: which site is in what, under which rule, and why not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from revere.core.assets import Program, Site
from revere.core.ids import FeederId, ParticipantId, ProgramId, SiteId
from revere.core.scenario import Scenario, parse_scenario
from revere.program.block_groups import block_groups_of
from revere.program.enrolment import enrolled_sites, enrolment_of, enrolments, members_of
from revere.program.grants import funding, grants_of
from revere.settle.rules import load_rulebook

BOOK = load_rulebook()
DAY = dt.date(2023, 9, 7)
PROGRAMS = (
    Program(
        id=ProgramId("cs-daily"),
        name="Daily Dispatch",
        rule="connectedsolutions_ci_daily",
        utilities=("Eversource", "National Grid"),
        site_kinds=("school", "municipal"),
        openadr_program="x",
    ),
    Program(
        id=ProgramId("cs-targeted"),
        name="Targeted Dispatch",
        rule="connectedsolutions_ci_targeted",
        utilities=("Unitil", "Municipal Gas"),
        site_kinds=("school",),
        openadr_program="x",
    ),
)
SCHOOL = Site(
    id=SiteId("depot"),
    name="Depot",
    kind="school",
    town="Acton",
    utility="Eversource",
    utility_kind="investor_owned",
    utility_account="0001",
    feeder_id=FeederId("f"),
    participant_id=ParticipantId("acton"),
    tariff_id="g2",
    import_limit_kw=500.0,
    load_shape="school",
    load_peak_kw=100.0,
)


@pytest.mark.parametrize(
    ("change", "version", "why_not"),
    [
        ({}, "CI-DAILY", ""),
        ({"utility": "Unitil"}, "CI-TARGETED-UNITIL", ""),
        ({"town": "Concord"}, "CI-DAILY", ""),  # the account decides, not the town
        ({"utility": "Concord MLP", "utility_kind": "municipal_light_plant"}, None, "municipal light plant"),
        ({"utility_account": " "}, None, "no utility account"),
        ({"kind": "home"}, None, "no program here is open to a home"),
        ({"utility": "Municipal Gas"}, None, "not an eligible distribution company"),
    ],
)
def test_standing_of_a_site(change: dict[str, str], version: str | None, why_not: str) -> None:
    standing = enrolment_of(msgspec.structs.replace(SCHOOL, **change), PROGRAMS, BOOK, DAY)
    assert standing.enrolled == (version is not None)
    assert (standing.rule.version.key if standing.rule else None) == version
    assert why_not in standing.why_not
    assert bool(standing.why_not) != standing.enrolled
    assert (standing.program_id is None) != standing.enrolled


def test_a_day_without_a_rule_in_force_is_not_enrolled() -> None:
    standing = enrolment_of(SCHOOL, PROGRAMS, BOOK, dt.date(2020, 9, 7))
    assert not standing.enrolled
    assert "no rule in force" in standing.why_not


def test_only_enrolled_sites_count_towards_a_program() -> None:
    standings = [
        enrolment_of(msgspec.structs.replace(SCHOOL, id=SiteId(name), utility_kind=kind), PROGRAMS, BOOK, DAY)
        for name, kind in (("a", "investor_owned"), ("b", "municipal_light_plant"), ("c", "investor_owned"))
    ]
    assert enrolled_sites(standings, ProgramId("cs-daily")) == ("a", "c")
    assert enrolled_sites(standings, ProgramId("cs-targeted")) == ()


@pytest.fixture(scope="module")
def massachusetts() -> Scenario:
    file = Path(__file__).resolve().parents[2] / "scenarios" / "massachusetts.toml"
    if not file.is_file():
        pytest.skip("scenarios/massachusetts.toml is not here")
    return parse_scenario(file.read_text(encoding="utf-8"), file.name)


def test_every_program_of_the_scenario_has_a_rule(massachusetts: Scenario) -> None:
    for program in massachusetts.fleet.programs:
        for utility in program.utilities:
            assert BOOK.rule_for(program.rule, utility, DAY).program == program.rule


def test_all_sites_of_the_scenario_are_enrolled_but_the_light_plants(massachusetts: Scenario) -> None:
    fleet = massachusetts.fleet
    standings = enrolments(fleet, BOOK, DAY)
    light_plant = {site.id for site in fleet.sites if site.utility_kind == "municipal_light_plant"}
    assert light_plant
    assert {item.site_id for item in standings if not item.enrolled} == light_plant
    members = members_of(fleet, standings)
    assert [member.participant for member in members] == list(fleet.participants)
    assert sum(len(member.standings) for member in members) == len(fleet.sites)


def test_more_than_a_third_of_the_scenario_reaches_ej_communities(massachusetts: Scenario) -> None:
    people = massachusetts.fleet.participants
    groups = block_groups_of(massachusetts.fleet.block_groups)
    result = funding(people, grants_of(people), groups)
    assert result.total_usd == sum(person.grant_usd for person in people)
    yes_usd = sum(person.grant_usd for person in people if groups.verdict(person.block_group).ej == "yes")
    assert result.equity.ej_usd == yes_usd
    assert result.equity.more_than_one_third is (3 * yes_usd > result.total_usd)
