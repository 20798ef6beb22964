"""What a call is worth and under which terms: by the rule of each site, on the event's own date and length."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from revere.control.contracts import Contracts
from revere.control.image import Image
from revere.core.ids import GridEventId, ProgramId
from revere.settle.rules import Rulebook
from tests.control.scenes import BOOK, NOON, called, fleet, minutes, program, site, station

DAILY, HOMES = program("cs-daily"), program("cs-res", rule="connectedsolutions_res", site_kinds=("home",))
TARGETED = program("cs-daily", rule="connectedsolutions_ci_targeted")
SITES = (site("school"), site("home", kind="home"), site("light", utility="Concord Light"))
YEARS_AGO = dt.timedelta(days=3 * 365)


def contracts(*programs: Any, book: Rulebook = BOOK) -> Contracts:
    stations = tuple(station(f"cs-{one.id}", one.id) for one in SITES)
    return Contracts(fleet(SITES, stations, programs=programs), book)


def event(of: Contracts, start: dt.datetime = NOON, hours: float = 3.0, program_id: str = "cs-daily") -> Any:
    image = Image(of.fleet)
    image.apply(called(start=start, hours=hours, program_id=program_id))
    return image.events[GridEventId("e1")]


@pytest.mark.parametrize(
    ("programs", "start", "hours", "usd_per_kwh"),
    [
        # 30 to 60 events: 45. 200 $ / 45 events / 3 h; a home's rule says at most 60: 275 $ / 60 / 3 h.
        ((DAILY, HOMES), NOON, 3.0, {"school": 200 / 45 / 3, "home": 275 / 60 / 3}),
        ((DAILY, HOMES), NOON, 2.0, {"school": 200 / 45 / 2, "home": 275 / 60 / 2}),
        ((DAILY,), NOON, 3.0, {"school": 200 / 45 / 3}),
        ((TARGETED,), NOON, 3.0, {"school": 45 / 5.5 / 3}),
        ((DAILY, HOMES), NOON - YEARS_AGO, 3.0, {"home": 225 / 60 / 3}),
        ((program("cs-daily", rule="nobody's"),), NOON, 3.0, {}),
    ],
    ids=["two contracts of one call", "two hours", "homes in none", "targeted", "an earlier version", "no rule"],
)
def test_a_kwh_is_worth_what_the_rule_of_its_site_and_date_pays(
    programs: tuple[Any, ...], start: dt.datetime, hours: float, usd_per_kwh: dict[str, float]
) -> None:
    of = contracts(*programs)
    assert of.worth_usd_per_kwh(event(of, start, hours)) == pytest.approx(usd_per_kwh)


def test_a_contract_of_another_openadr_program_is_not_called() -> None:
    of = contracts(DAILY, msgspec.structs.replace(HOMES, openadr_program="OTHER"))
    assert set(of.site_rules(event(of))) == {"school"}
    assert set(of.site_rules(event(of, program_id="cs-res"))) == {"home"}


@pytest.mark.parametrize(
    ("programs", "verified", "words"),
    [
        ((DAILY, HOMES), False, "CI-DAILY at $200 a kW and season, RES-v2 at $275 a kW and season (not verified)"),
        ((DAILY,), True, "CI-DAILY at $200 a kW and season"),
        ((program("cs-daily", rule="nobody's"),), False, ""),
    ],
)
def test_the_terms_keep_what_is_uncertain(programs: tuple[Any, ...], verified: bool, words: str) -> None:
    rules = tuple(
        msgspec.structs.replace(rule, version=msgspec.structs.replace(rule.version, verified=verified))
        for rule in BOOK.rules
    )
    of = contracts(*programs, book=msgspec.structs.replace(BOOK, rules=rules))
    assert of.terms(event(of)) == words


def test_another_rulebook_moves_the_worth_and_nothing_else_does() -> None:
    rules = tuple(msgspec.structs.replace(rule, rate_usd_per_kw=Decimal(400)) for rule in BOOK.rules)
    of = contracts(DAILY, book=msgspec.structs.replace(BOOK, rules=rules))
    assert of.worth_usd_per_kwh(event(of)) == pytest.approx({"school": 400 / 45 / 3})


@pytest.mark.parametrize(
    ("start", "hours", "words"),
    [
        (NOON + minutes(240), 3.0, []),
        (NOON, 3.0, ["CI-DAILY: 12:00 to 15:00 is not inside 15:00 to 20:00"]),
        (NOON + minutes(240 - 3 * 1440), 3.0, ["CI-DAILY: 2023-09-04 is Labor Day"]),
    ],
)
def test_what_the_rule_has_against_a_call_is_said_beforehand(
    start: dt.datetime, hours: float, words: list[str]
) -> None:
    of = contracts(DAILY)
    assert of.objections(event(of, start, hours)) == words


def test_an_unknown_program_reaches_no_contract() -> None:
    of = contracts(DAILY)
    assert of.baseline(ProgramId("none"), NOON.date()) == ""
    assert of.objections(event(of, program_id="none")) == ["no rule in force pays a site that it reaches"]
