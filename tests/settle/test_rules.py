"""The rulebook: what is in force when, for whom, and what a bad file is told."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from importlib import resources

import pytest

from revere.core.errors import Refused, RevereError
from revere.settle.rules import Season, load_rulebook, parse_rulebook

FILES = {
    item.name: item.read_text(encoding="utf-8")
    for item in resources.files("revere.settle").joinpath("rulebook").iterdir()
    if item.name.endswith(".toml")
}
HOMES = "connectedsolutions-residential.toml"


@pytest.mark.parametrize(
    ("program", "utility", "day", "version", "rate"),
    [
        ("connectedsolutions_res", "National Grid", "2020-07-10", "RES-v1", "225"),
        ("connectedsolutions_res", "National Grid", "2020-01-10", "RES-v1-winter", "50"),
        ("connectedsolutions_res", "National Grid", "2019-12-01", "RES-v1-winter", "50"),
        ("connectedsolutions_res", "National Grid", "2020-10-01", "RES-v1-winter", "50"),
        ("connectedsolutions_res", "National Grid", "2020-04-01", "RES-v1", "225"),
        ("connectedsolutions_res", "National Grid", "2021-05-31", "RES-v1", "225"),
        ("connectedsolutions_res", "National Grid", "2021-06-01", "RES-v2", "275"),
        ("connectedsolutions_res", "Eversource", "2023-09-07", "RES-v2", "275"),
        ("connectedsolutions_ci_daily", "Eversource", "2023-09-07", "CI-DAILY", "200"),
        ("connectedsolutions_ci_targeted", "Eversource", "2023-09-07", "CI-TARGETED-EVERSOURCE", "45"),
        ("connectedsolutions_ci_targeted", "Cape Light Compact", "2023-09-07", "CI-TARGETED-CAPE-LIGHT", "35"),
        ("connectedsolutions_ci_targeted", "Unitil", "2023-09-07", "CI-TARGETED-UNITIL", "18"),
    ],
)
def test_rule_in_force(program: str, utility: str, day: str, version: str, rate: str) -> None:
    rule = load_rulebook().rule_for(program, utility, dt.date.fromisoformat(day))
    assert (rule.version.key, rule.rate_usd_per_kw) == (version, Decimal(rate))


@pytest.mark.parametrize(
    ("program", "utility", "day", "words"),
    [
        ("clean_peak", "Eversource", "2023-09-07", "no rule for this program"),
        ("connectedsolutions_ci_daily", "Concord Municipal Light Plant", "2023-09-07", "not an eligible"),
        ("connectedsolutions_ci_targeted", "National Grid", "2023-09-07", "not an eligible"),
        ("connectedsolutions_ci_daily", "Eversource", "2021-05-31", "no rule in force"),
    ],
)
def test_no_rule_is_refused_with_the_reason(program: str, utility: str, day: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        load_rulebook().rule_for(program, utility, dt.date.fromisoformat(day))


@pytest.mark.parametrize(
    ("enrolled", "day", "rate"),
    [
        (None, "2027-07-01", "150"),
        ("2022-05-01", "2026-07-01", "275"),  # summers 2022 to 2026 are locked
        ("2022-05-01", "2027-07-01", "150"),
        ("2022-10-01", "2027-07-01", "275"),  # enrolled after the summer: the first is 2023
        ("2022-10-01", "2028-07-01", "150"),
        ("2026-02-01", "2026-07-01", "150"),  # enrolled under the successor
        ("2020-07-01", "2026-07-01", "150"),  # the first version locked nothing
    ],
)
def test_a_locked_rate_lasts_five_summers_and_only_the_rate_is_locked(
    enrolled: str | None, day: str, rate: str
) -> None:
    head, versions = FILES[HOMES].split("[[version]]", 1)
    last = versions.split("[[version]]")[-1]
    successor = (
        last.replace("RES-v2", "RES-v3")
        .replace("effective_from = 2021-06-01", "effective_from = 2026-01-01")
        .replace('"275"', '"150"')
        .replace("15:00:00", "16:00:00")
    )
    ended = last.replace("effective_from = 2021-06-01", "effective_from = 2021-06-01\neffective_to = 2026-01-01")
    text = head + "[[version]]" + versions.replace(last, ended) + "\n[[version]]" + successor
    book = parse_rulebook({**FILES, HOMES: text})
    enrolled_on = dt.date.fromisoformat(enrolled) if enrolled else None
    rule = book.rule_for("connectedsolutions_res", "Eversource", dt.date.fromisoformat(day), enrolled_on)
    assert rule.rate_usd_per_kw == Decimal(rate)
    assert rule.version.key == "RES-v3"
    assert rule.version.window.start == dt.time(16)
    assert (rule.rate_locked_from == "RES-v2") == (rate == "275")
    assert ("RES-v2" in rule.reference) == (rate == "275")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("events_most = 60", "events_mots = 60", r"version\[0\]\.events_mots.*Did you mean events_most"),
        ('rate_usd_per_kw = "225"', "rate_usd_per_kw = 225", r"rate_usd_per_kw.*unquoted"),
        ('rate_usd_per_kw = "225"', "rate_usd_per_kw = 225.5", r"rate_usd_per_kw.*unquoted"),
        ('rate_usd_per_kw = "225"', 'rate_usd_per_kw = "lots"', r"rate_usd_per_kw.*lots"),
        ('floor_usd = "0"', "floor_usd = 0", r"floor_usd.*unquoted"),
        ('mean = "events"', 'mean = "days"', r"mean.*days"),
        ('place = "ac_inlet"', 'place = "roof"', r"place.*roof"),
        ("effective_to = 2021-06-01", "effective_to = 2018-06-01", r"effective_to.*2018-06-01.*2019-06-01"),
        ("effective_to = 2021-06-01", "effective_to = 2021-07-01", r"RES-v1 and RES-v2.*effective_to.*2021-07-01"),
        ("end = 19:00:00", "end = 13:00:00", r"window\.end.*13:00"),
        ("longest_min = 180", "longest_min = 400", r"longest_min.*400"),
        ('first = "06-01"', 'first = "06-31"', r"season\.first.*06-31"),
        ('provider = "0"', 'provider = "0.1"', r"split.*1 \+ 0\.1"),
        ('minimum_coverage = "0.5"', 'minimum_coverage = "0"', "minimum_coverage"),
        ("verified = false", "verified = true", "verified.*True.*assumed"),
        ('effective_to = "the year', 'effective_tu = "the year', "assumed.*effective_tu"),
        ('"us-federal"', '"mars"', "holiday_calendar.*mars"),
        ('key = "RES-v1"', 'key = "RES-v2"', "key.*RES-v2"),
        ('key = "RES-v1"', 'key = "RES-v1', "syntax"),
        ("events_most = 60", 'events_most = "sixty"', r"events_most.*sixty"),
        ('zone = "America/New_York"', "", "zone"),
    ],
)
def test_a_bad_file_is_refused_with_key_values_and_way_out(old: str, new: str, words: str) -> None:
    assert old in FILES[HOMES]
    with pytest.raises(RevereError, match=words) as refusal:
        parse_rulebook({**FILES, HOMES: FILES[HOMES].replace(old, new, 1)})
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("month = 7, day = 4", "month = 13, day = 4"),
        ("month = 7, day = 4", "month = 7"),
        ("weekday = 1, nth = -1", "weekday = 8, nth = -1"),
    ],
)
def test_a_bad_holiday_is_refused(old: str, new: str) -> None:
    with pytest.raises(RevereError, match=r"holidays\.toml"):
        parse_rulebook({**FILES, "holidays.toml": FILES["holidays.toml"].replace(old, new, 1)})


def test_every_shipped_version_says_what_it_assumes() -> None:
    for rule in load_rulebook().rules:
        assert rule.version.source
        assert rule.version.verified == (not rule.version.assumed), rule.version.key
        if rule.version.effective_from == dt.date(2021, 6, 1):
            assert "effective_from" in rule.version.assumed


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2026-07-03", "Independence Day (observed)"),
        ("2026-07-04", "Independence Day"),
        ("2021-07-05", "Independence Day (observed)"),
        ("2023-09-04", "Labor Day"),
        ("2023-05-29", "Memorial Day"),
        ("2023-11-23", "Thanksgiving Day"),
        ("2021-12-31", "New Year's Day (observed)"),
        ("2020-06-19", None),
        ("2023-06-19", "Juneteenth"),
        ("2023-09-07", None),
    ],
)
def test_holidays(day: str, name: str | None) -> None:
    assert load_rulebook().calendar("us-federal").holiday_on(dt.date.fromisoformat(day)) == name


def test_a_winter_crosses_the_new_year() -> None:
    winter = Season(name="winter", first="12-01", last="03-31")
    assert winter.holds(dt.date(2020, 1, 15))
    assert winter.holds(dt.date(2020, 12, 1))
    assert not winter.holds(dt.date(2020, 4, 1))
    assert winter.bounds(dt.date(2020, 2, 1)) == (dt.date(2019, 12, 1), dt.date(2020, 3, 31))
    assert winter.bounds(dt.date(2020, 5, 1)) == (dt.date(2020, 12, 1), dt.date(2021, 3, 31))
