"""Season payments and the validity of events beyond the published rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.settle.connectedsolutions import (
    EventMean,
    check_event,
    credited_kw,
    eligibility,
    mean_kw,
    payment_under,
    season_payment,
)
from revere.settle.rules import load_rulebook

BOOK = load_rulebook()
KW = st.integers(-5000, 5000).map(lambda deci: Fraction(deci, 10))


def events_of(kws: list[Fraction]) -> list[EventMean]:
    return [EventMean(kw=kw, hours=Fraction(3)) for kw in kws]


@given(st.lists(KW, min_size=1, max_size=60))
def test_equal_lengths_make_both_means_one(kws: list[Fraction]) -> None:
    assert mean_kw(events_of(kws), "events") == mean_kw(events_of(kws), "hours") == sum(kws) / len(kws)


@given(st.lists(KW, max_size=60))
def test_a_floor_never_invoices_and_never_takes(kws: list[Fraction]) -> None:
    free = season_payment(events_of(kws), rate_usd_per_kw=Decimal(200))
    floored = season_payment(events_of(kws), rate_usd_per_kw=Decimal(200), floor_usd=Decimal(0))
    assert floored.usd == max(free.usd, 0)


def test_no_events_pay_nothing_and_have_no_mean() -> None:
    payment = payment_under(BOOK.version("CI-DAILY"), [])
    assert (payment.mean_kw, payment.usd) == (None, 0)


def test_a_missed_event_halves_the_season() -> None:
    kws = [Fraction(60), Fraction(0)]
    assert payment_under(BOOK.version("CI-DAILY"), events_of(kws)).usd == 6000


@pytest.mark.parametrize(
    ("version", "start", "minutes", "before", "reasons"),
    [
        ("CI-DAILY", "2023-09-07T16:00", 180, 0, []),
        ("CI-DAILY", "2023-09-07T15:00", 120, 59, []),
        ("CI-DAILY", "2023-09-07T17:00", 180, 0, []),
        ("CI-DAILY", "2023-09-07T17:01", 180, 0, ["window"]),
        ("CI-DAILY", "2023-09-07T14:59", 180, 0, ["window"]),
        ("CI-DAILY", "2023-09-07T16:00", 119, 0, ["length"]),
        ("CI-DAILY", "2023-09-07T16:00", 181, 0, ["length"]),
        ("CI-DAILY", "2023-09-07T16:00", 180, 60, ["count"]),
        ("CI-DAILY", "2023-09-04T16:00", 180, 0, ["holiday"]),
        ("CI-DAILY", "2023-10-01T16:00", 180, 0, ["season"]),
        ("CI-DAILY", "2023-09-30T16:00", 180, 0, []),
        ("CI-DAILY", "2023-06-01T16:00", 180, 0, []),
        ("CI-DAILY", "2023-05-29T22:00", 180, 60, ["season", "holiday", "window", "count"]),
        ("CI-DAILY", "2020-07-07T16:00", 180, 0, ["version"]),
        ("RES-v1", "2021-07-06T15:00", 180, 0, ["version"]),
        ("RES-v1", "2020-07-07T14:00", 60, 0, []),
        ("RES-v1-winter", "2020-01-15T16:00", 120, 4, []),
        ("RES-v1-winter", "2020-12-25T16:00", 120, 5, ["holiday", "count"]),
        ("CI-TARGETED-CAPE-LIGHT", "2023-09-07T16:00", 120, 0, ["length"]),
    ],
)
def test_event_check(version: str, start: str, minutes: int, before: int, reasons: list[str]) -> None:
    rule = BOOK.version(version)
    begins = dt.datetime.fromisoformat(start)
    check = check_event(
        rule,
        BOOK.calendar("us-federal"),
        start_local=begins,
        end_local=begins + dt.timedelta(minutes=minutes),
        events_before_this_season=before,
    )
    assert [word for word, _ in check.reasons] == reasons
    assert check.valid == (not reasons)


@pytest.mark.parametrize(
    ("battery", "load", "export", "credited"), [(5, 2, 0, 2), (5, 2, 10, 5), (5, 2, 1, 3), (-4, 2, 0, -4)]
)
def test_credit_behind_an_export_limit(battery: int, load: int, export: int, credited: int) -> None:
    limits = {"house_load_kw": Fraction(load), "export_limit_kw": Fraction(export)}
    assert credited_kw(battery_kw=Fraction(battery), **limits) == credited


@pytest.mark.parametrize(
    ("utility", "eligible"),
    [
        ("Eversource", True),
        ("national grid", True),
        (" Unitil ", True),
        ("Cape Light Compact", True),
        ("Concord Municipal Light Plant", False),
        ("", False),
    ],
)
def test_eligibility_follows_the_electric_utility(utility: str, eligible: bool) -> None:
    verdict = eligibility(utility, BOOK.utilities("ConnectedSolutions"))
    assert verdict.eligible == eligible
    assert bool(verdict.reason) != eligible
