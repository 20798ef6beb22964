"""Worked examples against the rules: one registry for the table test and for evaluating a rulebook.

An example is ``{id, rule, inputs, expected, source}``. Inputs are typed and closed: a key that a rule does not know
is refused, so that nothing is silently left out of a result.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

import msgspec

from revere.core.errors import RevereError
from revere.settle import connectedsolutions as cs
from revere.settle.rules import MeanOver, Rulebook

RELATIVE_TOLERANCE = Fraction(1, 1_000_000)
EXAMPLES_MAX_CHARS = 10_000_000

T = TypeVar("T", bound=msgspec.Struct)
Result = dict[str, object]
Evaluator = Callable[[Mapping[str, Any], Rulebook], Result]


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of an example table."""

    id: str
    rule: str
    inputs: dict[str, Any]
    expected: dict[str, Any]
    source: str = ""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """An example and what the rule made of it; ``got`` is None where the rule is not known."""

    id: str
    rule: str
    expected: dict[str, Any]
    got: dict[str, Any] | None
    differences: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """``passed``, ``failed`` or ``skipped``."""
        if self.got is None:
            return "skipped"
        return "failed" if self.differences else "passed"


class Inputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a rule's inputs."""


class EventEntry(Inputs, frozen=True, kw_only=True):
    """``n`` events of ``kw`` (mean over the event, above 0 is delivered) and ``h`` hours."""

    n: int
    kw: Decimal
    h: Decimal | None = None


class ResidentialInputs(Inputs, frozen=True, kw_only=True):
    """A residential season."""

    events: tuple[EventEntry, ...]
    rate_usd_per_kw: Decimal
    mean: MeanOver


class ResidentialYearInputs(Inputs, frozen=True, kw_only=True):
    """A year of the first residential version."""

    summer_mean_kw: Decimal
    summer_rate: Decimal
    winter_mean_kw: Decimal
    winter_rate: Decimal


class DailyInputs(Inputs, frozen=True, kw_only=True):
    """A C&I Daily Dispatch season."""

    events: tuple[EventEntry, ...]
    rate_usd_per_kw: Decimal
    floor_usd: Decimal | None = None


class TargetedInputs(Inputs, frozen=True, kw_only=True):
    """A C&I Targeted Dispatch season."""

    weekday: tuple[EventEntry, ...]
    weekend: tuple[EventEntry, ...] = ()
    rate_usd_per_kw: Decimal
    weekend_bonus_usd_per_kw: Decimal = Decimal(0)
    floor_usd: Decimal | None = None


class EventCheckInputs(Inputs, frozen=True, kw_only=True):
    """An event to check; ``start`` is local wall-clock time without a zone."""

    version: str
    start: str
    hours: Decimal
    events_before_this_season: int = 0


class EligibilityInputs(Inputs, frozen=True, kw_only=True):
    """An account."""

    electric_utility: str
    town: str = ""


class ExportLimitedInputs(Inputs, frozen=True, kw_only=True):
    """A battery behind an export limit."""

    battery_kw: Decimal
    house_load_kw: Decimal
    export_limit_kw: Decimal
    rate_usd_per_kw: Decimal


def _events(entries: tuple[EventEntry, ...], weekend: bool = False) -> list[cs.EventMean]:
    """Entries as events one by one."""
    return [
        cs.EventMean(kw=Fraction(entry.kw), hours=None if entry.h is None else Fraction(entry.h), weekend=weekend)
        for entry in entries
        for _ in range(entry.n)
    ]


def _residential(raw: Mapping[str, Any], _book: Rulebook) -> Result:
    inputs = convert(raw, ResidentialInputs)
    paid = cs.season_payment(_events(inputs.events), rate_usd_per_kw=inputs.rate_usd_per_kw, mean=inputs.mean)
    return {"mean_kw": paid.mean_kw, "usd": paid.usd}


def _residential_year(raw: Mapping[str, Any], _book: Rulebook) -> Result:
    inputs = convert(raw, ResidentialYearInputs)
    usd = cs.residential_v1_year_usd(
        summer_mean_kw=Fraction(inputs.summer_mean_kw),
        summer_rate=inputs.summer_rate,
        winter_mean_kw=Fraction(inputs.winter_mean_kw),
        winter_rate=inputs.winter_rate,
    )
    return {"usd": usd}


def _daily(raw: Mapping[str, Any], _book: Rulebook) -> Result:
    inputs = convert(raw, DailyInputs)
    events = _events(inputs.events)
    paid = cs.season_payment(events, rate_usd_per_kw=inputs.rate_usd_per_kw, floor_usd=inputs.floor_usd)
    return {"mean_kw": paid.mean_kw, "usd": paid.usd}


def _targeted(raw: Mapping[str, Any], _book: Rulebook) -> Result:
    inputs = convert(raw, TargetedInputs)
    paid = cs.season_payment(
        _events(inputs.weekday) + _events(inputs.weekend, weekend=True),
        rate_usd_per_kw=inputs.rate_usd_per_kw,
        weekend_bonus_usd_per_kw=inputs.weekend_bonus_usd_per_kw,
        floor_usd=inputs.floor_usd,
    )
    return {"mean_kw": paid.mean_kw, "weekend_mean_kw": paid.weekend_mean_kw, "usd": paid.usd}


def _event_check(raw: Mapping[str, Any], book: Rulebook) -> Result:
    inputs = convert(raw, EventCheckInputs)
    rule = book.version(inputs.version)
    try:
        start = dt.datetime.fromisoformat(inputs.start)
    except ValueError as fault:
        raise RevereError("the start is not a time", got=inputs.start, expected="2026-07-07T15:00") from fault
    check = cs.check_event(
        rule,
        book.calendar(rule.version.holiday_calendar),
        start_local=start,
        end_local=start + dt.timedelta(seconds=int(inputs.hours * 3600)),
        events_before_this_season=inputs.events_before_this_season,
    )
    return {"valid": check.valid, "reason": check.reason}


def _eligibility(raw: Mapping[str, Any], book: Rulebook) -> Result:
    inputs = convert(raw, EligibilityInputs)
    verdict = cs.eligibility(inputs.electric_utility, book.utilities(cs.PROGRAMME))
    return {"eligible": verdict.eligible, "reason": verdict.reason}


def _export_limited(raw: Mapping[str, Any], _book: Rulebook) -> Result:
    inputs = convert(raw, ExportLimitedInputs)
    credited_kw = cs.credited_kw(
        battery_kw=Fraction(inputs.battery_kw),
        house_load_kw=Fraction(inputs.house_load_kw),
        export_limit_kw=Fraction(inputs.export_limit_kw),
    )
    return {"credited_kw": credited_kw, "usd": credited_kw * Fraction(inputs.rate_usd_per_kw)}


EVALUATORS: Mapping[str, Evaluator] = {
    "connectedsolutions_res": _residential,
    "connectedsolutions_res_v1_year": _residential_year,
    "connectedsolutions_ci_daily": _daily,
    "connectedsolutions_ci_targeted": _targeted,
    "connectedsolutions_event_check": _event_check,
    "connectedsolutions_eligibility": _eligibility,
    "connectedsolutions_res_export_limited": _export_limited,
}


def convert(raw: Mapping[str, Any], kind: type[T]) -> T:
    """Typed inputs of a rule; raises ``RevereError`` for a key or value that it does not take."""
    try:
        return msgspec.convert(dict(raw), kind)
    except msgspec.ValidationError as fault:
        fields = ", ".join(kind.__struct_fields__)
        raise RevereError(
            f"the example's inputs are refused: {fault}", got=dict(raw), expected=fields, remedy="Correct the row"
        ) from fault


def parse_examples(text: str) -> list[Example]:
    """The rows of an example file; numbers are read as exact decimals."""
    if len(text) > EXAMPLES_MAX_CHARS:
        raise RevereError("the example file is too large", got=len(text), expected=f"at most {EXAMPLES_MAX_CHARS}")
    try:
        return msgspec.convert(json.loads(text, parse_float=Decimal)["examples"], list[Example])
    except (ValueError, KeyError, TypeError) as fault:
        raise RevereError(
            f"the example file is refused: {fault}",
            expected='{"examples": [{"id", "rule", "inputs", "expected"}, ...]}',
            remedy="Correct the row named",
        ) from fault


def evaluate(example: Example, book: Rulebook, evaluators: Mapping[str, Evaluator] = EVALUATORS) -> Evaluation:
    """What the rules make of an example, beside what it expects (numbers to a relative 1e-6)."""
    evaluator = evaluators.get(example.rule)
    if evaluator is None:
        return Evaluation(id=example.id, rule=example.rule, expected=example.expected, got=None)
    result = evaluator(example.inputs, book)
    got = {key: result.get(key) for key in example.expected}
    differences = tuple(
        f"{key}: got {_text(got[key])}, expected {_text(want)}"
        for key, want in example.expected.items()
        if key not in result or not _same(got[key], want)
    )
    return Evaluation(id=example.id, rule=example.rule, expected=example.expected, got=got, differences=differences)


def _same(got: object, want: object) -> bool:
    """Equal, or numbers within the relative tolerance; true and 1 are not the same."""
    if isinstance(got, bool) or isinstance(want, bool):
        return got is want
    numbers = (int, float, Decimal, Fraction)
    if isinstance(got, numbers) and isinstance(want, numbers):
        return abs(Fraction(got) - Fraction(want)) <= abs(Fraction(want)) * RELATIVE_TOLERANCE
    return got == want


def _text(value: object) -> str:
    """A value for reading: fractions as decimals."""
    return f"{float(value):.6f}" if isinstance(value, Fraction) else str(value)
