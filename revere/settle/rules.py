"""The rulebook: programme rules as dated data, never as code.

Every programme changed its window, rate or season at some time, so a rule is a version with a start (and an end),
found by the date of the event. What a file cannot prove stays in it under ``assumed``, and the version then says
``verified = false``.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Literal

import msgspec

from revere.core.errors import Refused
from revere.core.facts import Place
from revere.settle import rulefile
from revere.settle.baseline import Baseline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MeanOver = Literal["events", "hours"]
Overlap = Literal["first_call"]
HOLIDAY_FILE = "holidays.toml"


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of a rule."""


class Season(Struct, frozen=True, kw_only=True):
    """Days of the year on which events may be called; ``first`` and ``last`` (MM-DD) both belong to it.

    A season may cross the new year::

        01-01 ===] 03-31 ............ 12-01 [=== 12-31
    """

    name: str
    first: str
    last: str

    def holds(self, day: dt.date) -> bool:
        """Whether the local date lies in the season."""
        month_day = day.strftime("%m-%d")
        if self.first <= self.last:
            return self.first <= month_day <= self.last
        return month_day >= self.first or month_day <= self.last

    def bounds(self, day: dt.date) -> tuple[dt.date, dt.date]:
        """First and last date of the season that is open on ``day``, or else of the next one to open."""
        for year in (day.year - 1, day.year, day.year + 1):
            first = dt.date.fromisoformat(f"{year}-{self.first}")
            last = dt.date.fromisoformat(f"{year + (self.last < self.first)}-{self.last}")
            if day <= last:
                return first, last
        raise AssertionError("a season recurs every year")


class LocalWindow(Struct, frozen=True, kw_only=True):
    """Hours of the local day, ``[start, end]``, that an event must lie in."""

    start: dt.time
    end: dt.time


class Split(Struct, frozen=True, kw_only=True):
    """Who gets what part of a payment; the parts add up to 1."""

    participant: Decimal
    provider: Decimal
    programme: Decimal


class Version(Struct, frozen=True, kw_only=True):
    """One version of a programme's rule, as the file has it (``effective_to`` is the first day it no longer holds).

    Rates are dollars a kW of the season's mean. ``floor_usd`` absent means that a season may go below zero.
    ``minimum_coverage`` is the part of an event's asset time that good intervals must cover for it to be paid.
    ``overlap`` says which of two calls their common time counts for (``first_call``: the one received first).
    ``declined_counts_kw`` is what a call counts in the mean that was declined before it began; absent, none is known.
    """

    key: str
    utilities: tuple[str, ...]
    effective_from: dt.date
    effective_to: dt.date | None = None
    season: Season
    window: LocalWindow
    holidays: Literal["excluded", "allowed"]
    holiday_calendar: str
    events_least: int = 0
    events_most: int
    shortest_min: int = 0
    longest_min: int
    rate_usd_per_kw: Decimal
    rate_lock_summers: int = 0
    weekend_bonus_usd_per_kw: Decimal = Decimal(0)
    mean: MeanOver
    floor_usd: Decimal | None = None
    place: Place
    baseline: Baseline
    minimum_coverage: Decimal
    overlap: Overlap
    declined_counts_kw: Decimal | None = None
    split: Split
    source: str
    verified: bool
    assumed: dict[str, str] = {}
    notes: str = ""

    def in_force(self, day: dt.date) -> bool:
        """Whether the version holds on ``day``."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


class Rule(Struct, frozen=True, kw_only=True):
    """A version in its programme. ``rate_locked_from`` names the older version whose rate an enrolment keeps."""

    program: str
    programme: str
    segment: str
    zone: str
    version: Version
    rate_usd_per_kw: Decimal
    rate_locked_from: str = ""

    @property
    def reference(self) -> str:
        """What a ledger line keeps: version and start, and the version whose rate is locked."""
        lock = f", rate of {self.rate_locked_from}" if self.rate_locked_from else ""
        return f"{self.version.key}@{self.version.effective_from}{lock}"


class RuleFile(Struct, frozen=True, kw_only=True):
    """One file of the rulebook: a program and its versions."""

    program: str
    programme: str
    segment: str
    zone: str
    version: tuple[Version, ...]


class HolidayRule(Struct, frozen=True, kw_only=True):
    """A fixed day (``day``) or a moving one (``weekday`` 1 Monday to 7 Sunday, ``nth``, -1 the last)."""

    name: str
    month: int
    day: int | None = None
    weekday: int | None = None
    nth: int | None = None
    from_year: int = 0

    def date_in(self, year: int) -> dt.date | None:
        """The holiday's own date in a year, None before it existed."""
        if year < self.from_year:
            return None
        if self.day is not None:
            return dt.date(year, self.month, self.day)
        assert self.weekday is not None
        assert self.nth is not None
        if self.nth > 0:
            first = dt.date(year, self.month, 1)
            return first + dt.timedelta(days=(self.weekday - first.isoweekday()) % 7 + 7 * (self.nth - 1))
        last = dt.date(year + self.month // 12, self.month % 12 + 1, 1) - dt.timedelta(days=1)
        return last - dt.timedelta(days=(last.isoweekday() - self.weekday) % 7)


class HolidayCalendar(Struct, frozen=True, kw_only=True):
    """A list of holidays; ``observed`` adds the Friday before a Saturday and the Monday after a Sunday."""

    key: str
    source: str
    verified: bool
    observed: bool
    notes: str = ""
    day: tuple[HolidayRule, ...]

    def holiday_on(self, day: dt.date) -> str | None:
        """The name of the holiday kept on a date, None on any other day."""
        for rule in self.day:
            for year in (day.year, day.year + 1):
                own = rule.date_in(year)
                if own is None:
                    continue
                if own == day:
                    return rule.name
                if self.observed and rule.day is not None and day == _observance(own):
                    return f"{rule.name} (observed)"
        return None


class HolidayFile(Struct, frozen=True, kw_only=True):
    """The calendars of the rulebook."""

    calendar: tuple[HolidayCalendar, ...]


class Rulebook(Struct, frozen=True, kw_only=True):
    """All rules and holiday calendars, checked."""

    rules: tuple[Rule, ...]
    calendars: tuple[HolidayCalendar, ...]

    def version(self, key: str) -> Rule:
        """The rule of a version's key. Raises ``Refused`` for a key that the rulebook does not have."""
        for rule in self.rules:
            if rule.version.key == key:
                return rule
        known = ", ".join(rule.version.key for rule in self.rules)
        raise Refused("no such rule version", got=key, expected=f"one of {known}", remedy="Add it to the rulebook")

    def calendar(self, key: str) -> HolidayCalendar:
        """The holiday calendar of a key."""
        for calendar in self.calendars:
            if calendar.key == key:
                return calendar
        raise Refused("no such holiday calendar", got=key, expected=[calendar.key for calendar in self.calendars])

    def utilities(self, programme: str) -> tuple[str, ...]:
        """Distribution companies whose customers may take part in a programme, in the files' order."""
        names = (name for rule in self.rules if rule.programme == programme for name in rule.version.utilities)
        return tuple(dict.fromkeys(names))

    def rule_for(self, program_key: str, utility: str, on_date: dt.date, enrolled_on: dt.date | None = None) -> Rule:
        """The rule in force on a local date for a customer of ``utility``.

        Where two seasons of a program hold side by side, it is the one that is open, or else the next to open. A rate
        that was locked at enrolment replaces the current one; window, counts and all else stay those in force.
        Raises ``Refused`` for an unknown program, utility or date.
        """
        of_program = [rule for rule in self.rules if rule.program == program_key]
        if not of_program:
            raise Refused(
                "no rule for this program",
                got=program_key,
                expected=f"one of {', '.join(dict.fromkeys(rule.program for rule in self.rules))}",
                remedy="Name a program of the rulebook, or add its file",
            )
        of_utility = [rule for rule in of_program if utility in rule.version.utilities]
        if not of_utility:
            raise Refused(
                "not an eligible distribution company",
                where=program_key,
                got=utility,
                expected=f"one of {', '.join(dict.fromkeys(u for r in of_program for u in r.version.utilities))}",
                remedy="Eligibility follows the meter account's electric utility, not the town",
            )
        in_force = [rule for rule in of_utility if rule.version.in_force(on_date)]
        if not in_force:
            spans = "; ".join(
                f"{r.version.key} {r.version.effective_from} to {r.version.effective_to}" for r in of_utility
            )
            raise Refused("no rule in force on this date", where=program_key, got=on_date, expected=spans)
        rule = min(in_force, key=lambda r: (r.version.season.bounds(on_date)[0], r.version.key))
        return _with_locked_rate(rule, of_utility, on_date, enrolled_on)


def _observance(own: dt.date) -> dt.date:
    """The working day on which a holiday at a weekend is kept."""
    shift = {5: -1, 6: 1}.get(own.weekday(), 0)
    return own + dt.timedelta(days=shift)


def _with_locked_rate(rule: Rule, candidates: list[Rule], on_date: dt.date, enrolled_on: dt.date | None) -> Rule:
    """``rule`` at the rate of the version under which a system enrolled, while its lock lasts.

    The first locked summer is the one open at enrolment, or else the next.
    """
    if enrolled_on is None or enrolled_on > on_date:
        return rule
    for old in candidates:
        lock = old.version.rate_lock_summers
        if not lock or not old.version.in_force(enrolled_on) or old.version.season.name != rule.version.season.name:
            continue
        first_summer = old.version.season.bounds(enrolled_on)[0].year
        summer = rule.version.season.bounds(on_date)[0].year
        if old.version.key != rule.version.key and summer < first_summer + lock:
            rate = old.version.rate_usd_per_kw
            return msgspec.structs.replace(rule, rate_usd_per_kw=rate, rate_locked_from=old.version.key)
    return rule


def parse_rulebook(files: Mapping[str, str]) -> Rulebook:
    """The rulebook of TOML texts by file name; the whole of it is refused for one bad key.

    Raises ``RevereError`` naming file, key, both values and the way out.
    """
    rules: list[Rule] = []
    calendars: tuple[HolidayCalendar, ...] = ()
    for name in sorted(files):
        if name == HOLIDAY_FILE:
            calendars = rulefile.parse(name, files[name], HolidayFile).calendar
            continue
        parsed = rulefile.parse(name, files[name], RuleFile)
        for number, version in enumerate(parsed.version):
            _check_version(f"{name}: version[{number}] ({version.key})", version)
            rules.append(
                Rule(
                    program=parsed.program,
                    programme=parsed.programme,
                    segment=parsed.segment,
                    zone=parsed.zone,
                    version=version,
                    rate_usd_per_kw=version.rate_usd_per_kw,
                )
            )
    book = Rulebook(rules=tuple(rules), calendars=calendars)
    _check_together(book)
    return book


def load_rulebook() -> Rulebook:
    """The rulebook that comes with the package."""
    folder = resources.files("revere.settle").joinpath("rulebook")
    return parse_rulebook(
        {item.name: item.read_text(encoding="utf-8") for item in folder.iterdir() if item.name.endswith(".toml")}
    )


def _check_version(where: str, version: Version) -> None:
    """Refuse a version that contradicts itself."""
    for key in ("first", "last"):
        text = getattr(version.season, key)
        try:
            dt.date.fromisoformat(f"2023-{text}")  # a common year: a season that ends on 29 February is refused
        except ValueError:
            raise rulefile.bad(where, f"season.{key}", text, "a day as MM-DD", 'Write it as "06-01"') from None
    if version.effective_to is not None and version.effective_to <= version.effective_from:
        expected = f"after effective_from {version.effective_from}"
        raise rulefile.bad(where, "effective_to", version.effective_to, expected, "Swap the dates or leave it out")
    window_min = _minutes(version.window.end) - _minutes(version.window.start)
    if window_min <= 0:
        expected = f"after window.start {version.window.start}"
        raise rulefile.bad(where, "window.end", version.window.end, expected, "Swap the times")
    if not 0 < version.longest_min <= window_min or version.shortest_min > version.longest_min:
        expected = f"{version.shortest_min} to {window_min} min (shortest_min to the window's length)"
        raise rulefile.bad(where, "longest_min", version.longest_min, expected, "Correct the lengths or the window")
    if not 0 <= version.events_least <= version.events_most:
        expected = f"0 to events_most {version.events_most}"
        raise rulefile.bad(where, "events_least", version.events_least, expected, "Correct the counts")
    if not 0 < version.minimum_coverage <= 1:
        raise rulefile.bad(
            where, "minimum_coverage", version.minimum_coverage, "above 0, at most 1", "Write a fraction"
        )
    parts = (version.split.participant, version.split.provider, version.split.programme)
    if sum(parts) != 1 or min(parts) < 0:
        got = " + ".join(str(part) for part in parts)
        raise rulefile.bad(where, "split", got, "parts of 0 or more that add up to 1", "Correct the parts")
    strangers = set(version.assumed) - set(version.__struct_fields__)
    if strangers:
        raise rulefile.bad(where, "assumed", sorted(strangers), "names of this version's keys", "Name the assumed key")
    if version.verified and version.assumed:
        raise rulefile.bad(where, "verified", True, "false while keys are assumed", "Cite a source or say false")


def _check_holidays(calendars: tuple[HolidayCalendar, ...]) -> None:
    """Refuse a holiday that is neither a fixed day nor a weekday of a month."""
    for calendar in calendars:
        for item in calendar.day:
            fixed = item.day is not None and item.weekday is None and item.nth is None
            moving = item.day is None and item.weekday in range(1, 8) and item.nth in (-1, 1, 2, 3, 4)
            sane = 1 <= item.month <= 12 and (moving or (fixed and 1 <= (item.day or 0) <= 28 + 3 * (item.month != 2)))
            if not sane:
                got = f"month {item.month}, day {item.day}, weekday {item.weekday}, nth {item.nth}"
                where = f"{HOLIDAY_FILE}: calendar {calendar.key}"
                raise rulefile.bad(where, item.name, got, "month and day, or month, weekday 1-7 and nth", "Correct it")


def _check_together(book: Rulebook) -> None:
    """Refuse versions that share a key, overlap for one utility and season, or name no calendar."""
    _check_holidays(book.calendars)
    seen: set[str] = set()
    for rule in book.rules:
        version = rule.version
        if version.key in seen:
            raise rulefile.bad(rule.program, "key", version.key, "a key used once", "Rename one of the two")
        seen.add(version.key)
        if version.holiday_calendar not in {calendar.key for calendar in book.calendars}:
            known = [calendar.key for calendar in book.calendars]
            where = f"{rule.program} ({version.key})"
            raise rulefile.bad(where, "holiday_calendar", version.holiday_calendar, known, f"Add it to {HOLIDAY_FILE}")
    for one, two in _pairs(book.rules):
        shared = set(one.version.utilities) & set(two.version.utilities)
        same = one.program == two.program and one.version.season.name == two.version.season.name
        first, second = sorted((one.version, two.version), key=lambda v: v.effective_from)
        if same and shared and (first.effective_to is None or first.effective_to > second.effective_from):
            where = f"{one.program} ({first.key} and {second.key})"
            expected = f"{first.key} to end by {second.effective_from}"
            raise rulefile.bad(
                where, "effective_to", first.effective_to, expected, f"End {first.key} where {second.key} starts"
            )


def _pairs(rules: tuple[Rule, ...]) -> Iterable[tuple[Rule, Rule]]:
    """Every two rules, once."""
    return ((one, two) for i, one in enumerate(rules) for two in rules[i + 1 :])


def _minutes(clock: dt.time) -> int:
    """Minutes after midnight."""
    return clock.hour * 60 + clock.minute
