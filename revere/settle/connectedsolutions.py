"""ConnectedSolutions: season payments, validity of an event, who may enrol (rules: programme.md b1).

Pay for performance: mean kW over the season's events × rate, once a year, no penalty, but an event in which the
devices charged counts against the mean. The versions differ in data alone, so one formula serves them all.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import msgspec

from revere.core.errors import RevereError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from revere.settle.rules import HolidayCalendar, MeanOver, Rule

PROGRAMME = "ConnectedSolutions"
Reason = Literal["version", "season", "holiday", "window", "length", "count"]


class EventMean(msgspec.Struct, frozen=True, kw_only=True):
    """One event's mean in kW (relief positive), its length in hours where known, and whether it fell on a weekend."""

    kw: Fraction
    hours: Fraction | None = None
    weekend: bool = False


class SeasonPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A season's means in kW and what they pay, exact: rounding comes at posting. No event, no mean, nothing paid."""

    events: int
    mean_kw: Fraction | None
    weekend_mean_kw: Fraction | None
    usd: Fraction


class EventCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a version allows an event; each reason is a word and a sentence with both values."""

    reasons: tuple[tuple[Reason, str], ...]

    @property
    def valid(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    @property
    def reason(self) -> Reason | None:
        """The first reason against it."""
        return self.reasons[0][0] if self.reasons else None


class Eligibility(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an account may enrol, and why not."""

    eligible: bool
    reason: str = ""


def mean_kw(events: Sequence[EventMean], over: MeanOver) -> Fraction | None:
    """Mean kW over events (each once) or over their hours (each by its length); None without events.

    Raises ``RevereError`` where hours are asked for and an event has none.
    """
    if not events:
        return None
    if over == "events":
        return sum((event.kw for event in events), Fraction(0)) / len(events)
    hours = [event.hours for event in events if event.hours is not None and event.hours > 0]
    if len(hours) != len(events):
        raise RevereError(
            "a mean over hours needs every event's length",
            got=f"{len(events) - len(hours)} of {len(events)} events without one",
            remedy="Give the length of each event in hours",
        )
    weighted = sum((event.kw * hour for event, hour in zip(events, hours, strict=True)), Fraction(0))
    return weighted / sum(hours, Fraction(0))


def season_payment(
    events: Sequence[EventMean],
    *,
    rate_usd_per_kw: Decimal,
    mean: MeanOver = "events",
    floor_usd: Decimal | None = None,
    weekend_bonus_usd_per_kw: Decimal = Decimal(0),
) -> SeasonPayment:
    """What a season pays: mean kW × rate, plus the weekend events' mean × bonus, not below a floor if there is one."""
    season_kw = mean_kw(events, mean)
    weekend_kw = mean_kw([event for event in events if event.weekend], mean)
    usd = (season_kw or 0) * Fraction(rate_usd_per_kw) + (weekend_kw or 0) * Fraction(weekend_bonus_usd_per_kw)
    if floor_usd is not None:
        usd = max(usd, Fraction(floor_usd))
    return SeasonPayment(events=len(events), mean_kw=season_kw, weekend_mean_kw=weekend_kw, usd=Fraction(usd))


def payment_under(rule: Rule, events: Sequence[EventMean]) -> SeasonPayment:
    """A season's payment under a rule of the rulebook (residential, C&I daily or targeted alike)."""
    version = rule.version
    return season_payment(
        events,
        rate_usd_per_kw=rule.rate_usd_per_kw,
        mean=version.mean,
        floor_usd=version.floor_usd if events else None,
        weekend_bonus_usd_per_kw=version.weekend_bonus_usd_per_kw,
    )


def residential_v1_year_usd(
    *, summer_mean_kw: Fraction, summer_rate: Decimal, winter_mean_kw: Fraction, winter_rate: Decimal
) -> Fraction:
    """A year under the first residential version: summer mean × summer rate + winter mean × winter rate."""
    return summer_mean_kw * Fraction(summer_rate) + winter_mean_kw * Fraction(winter_rate)


def credited_kw(*, battery_kw: Fraction, house_load_kw: Fraction, export_limit_kw: Fraction) -> Fraction:
    """Relief credited behind an export limit: no more than the house takes plus what it may send out."""
    return min(battery_kw, house_load_kw + export_limit_kw)


def is_weekend(day: dt.date) -> bool:
    """Saturday or Sunday."""
    return day.isoweekday() > 5


def check_event(
    rule: Rule,
    calendar: HolidayCalendar,
    *,
    start_local: dt.datetime,
    end_local: dt.datetime,
    events_before_this_season: int = 0,
) -> EventCheck:
    """Whether the version allows an event at these local times, with every reason against it.

    Season, holiday, window, length and count must all allow it; ``events_before_this_season`` counts those already
    called, so the event after the last allowed one is one too many.
    """
    version = rule.version
    day = start_local.date()
    reasons: list[tuple[Reason, str]] = []
    if not version.in_force(day):
        reasons.append(
            ("version", f"{version.key} holds {version.effective_from} to {version.effective_to}, not {day}")
        )
    if not version.season.holds(day):
        reasons.append(("season", f"{day} is outside {version.season.first} to {version.season.last}"))
    holiday = calendar.holiday_on(day) if version.holidays == "excluded" else None
    if holiday:
        reasons.append(("holiday", f"{day} is {holiday}"))
    window = version.window
    if end_local.date() != day or start_local.time() < window.start or end_local.time() > window.end:
        got = f"{start_local:%H:%M} to {end_local:%H:%M}"
        reasons.append(("window", f"{got} is not inside {window.start:%H:%M} to {window.end:%H:%M}"))
    length_min = Fraction(int((end_local - start_local).total_seconds()), 60)
    if not max(version.shortest_min, 1) <= length_min <= version.longest_min:
        reasons.append(
            ("length", f"{float(length_min):g} min is not {version.shortest_min} to {version.longest_min} min")
        )
    if events_before_this_season >= version.events_most:
        reasons.append(("count", f"{events_before_this_season} events were called, at most {version.events_most}"))
    return EventCheck(reasons=tuple(reasons))


def eligibility(electric_utility: str, eligible_utilities: Iterable[str]) -> Eligibility:
    """Whether an account with this electric utility may enrol: by distribution company, never by town."""
    if electric_utility.strip().casefold() in {name.casefold() for name in eligible_utilities}:
        return Eligibility(eligible=True)
    return Eligibility(eligible=False, reason="not an eligible distribution company")
