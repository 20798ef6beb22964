"""From readings to postings: one site's season under one rule.

A season pays its mean, so each event moves the whole. An event's line is the difference that it makes::

    value after   0 events   1 event    2 events   3 events
    cents         0          1,000,000  750,000    800,000
    line                     +1,000,000 -250,000   +50,000

The lines add up to the season's expected payment at every moment, to the cent. Settling again after late data, a
moved or a cancelled call posts only what differs, as corrections; settling again after nothing posts nothing.

No register interval counts twice. Where calls overlap, the rule's ``overlap`` says which comes first; a later one is
left with the rest of its time, and is held if that is below the rule's minimum coverage::

    e1, received first    |== counts for e1 ==|
    e2                              |- claimed -|== counts for e2 ==|

What another program's lines pay for is claimed in the same way, whoever called first: paid once is paid.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import msgspec

from revere.core.ids import GridEventId, ParticipantId, ProgramId, SiteId
from revere.core.money import split_cents
from revere.core.time import local
from revere.core.words import count
from revere.settle import connectedsolutions as cs
from revere.settle.baseline import BASELINES
from revere.settle.ledger import PARTICIPANT_KINDS, Evidence, Kind, LedgerLine, period_of, statement_id_of
from revere.settle.performance import (
    EDGE_TOLERANCE,
    EVENT_MAX_S,
    Claim,
    EventPerformance,
    MeteredAsset,
    ReadingIndex,
    RegisterReading,
    measure_event,
    require_synchronised,
)
from revere.settle.rules import HolidayCalendar, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from revere.settle.rules import Overlap


class CalledEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A grid event as it stands after its last modification; ``opt`` is our answer for the site.

    ``received_at`` is when we first heard of it; ``opt`` is ``out`` where we declined it before it began. A cancelled
    one stays in its season, so that what was posted for it before is taken back; ``cancelled_why`` is who did it.
    """

    grid_event_id: GridEventId
    start: dt.datetime
    end: dt.datetime
    received_at: dt.datetime
    opt: Literal["in", "out"] = "in"
    cancelled: bool = False
    cancelled_why: str = "cancelled by the utility"

    def measurable(self, now: dt.datetime) -> bool:
        """Whether registers can say what was given: it is over, we took part, and it is not endless."""
        length_s = (self.end - self.start).total_seconds()
        return self.end <= now and self.opt == "in" and not self.cancelled and length_s <= EVENT_MAX_S


CLAIM_ORDER: Mapping[Overlap, Callable[[CalledEvent], tuple[dt.datetime, dt.datetime, str]]] = {
    "first_call": lambda event: (event.received_at, event.start, event.grid_event_id),
}
"""Which of two overlapping calls their common time counts for: the one with the lower key."""


class SiteSeason(msgspec.Struct, frozen=True, kw_only=True):
    """One site in one program: whose it is, what is metered, under which rule, and the season's events so far."""

    participant_id: ParticipantId
    site_id: SiteId
    program_id: ProgramId
    rule: Rule
    calendar: HolidayCalendar
    assets: tuple[MeteredAsset, ...]
    events: tuple[CalledEvent, ...]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is not settled (yet): neither paid nor counted as missed, and why."""

    grid_event_id: GridEventId
    reason: str


class SettledEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What one event comes to: its mean, the season after it, and the cents by which it moved each party's part."""

    event: CalledEvent
    mean: cs.EventMean
    performance: EventPerformance | None
    payment_after: cs.SeasonPayment
    cents_after: int
    participant_cents: int
    provider_cents: int
    programme_cents: int


class SeasonValue(msgspec.Struct, frozen=True, kw_only=True):
    """The payment to expect for a season from its events so far; ``note`` says how provisional that is."""

    cents: int
    payment: cs.SeasonPayment
    note: str


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The result of settling a season: what to post, what it rests on, what is held back.

    ``measured`` holds what the registers say of every event that can be measured, paid or not.
    """

    lines: tuple[LedgerLine, ...]
    settled: tuple[SettledEvent, ...]
    held: tuple[Held, ...]
    value: SeasonValue
    measured: tuple[EventPerformance, ...]


class _Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one event is worth by itself: the kW that count (None: none, for ``reason``).

    ``called`` says whether it counts towards the rule's number of events: one that only repeats another does not.
    """

    kw: Fraction | None
    reason: str = ""
    performance: EventPerformance | None = None
    called: bool = False


def cents_of(usd: Fraction) -> int:
    """Whole cents of an exact amount, rounded half to even: the one rounding of a payment."""
    return round(usd * 100)


def expected_season_value(rule: Rule, events: Sequence[cs.EventMean], on_date: dt.date) -> SeasonValue:
    """What the season would pay if it ended now: the mean over the events so far at the rule's rate. Provisional."""
    payment = cs.payment_under(rule, events)
    first, last = rule.version.season.bounds(on_date)
    if on_date > last or on_date < first:
        tense = f"the season runs {first} to {last}"
    else:
        tense = f"the season runs to {last} with at most {rule.version.events_most} events, and each moves the mean"
    so_far = count(payment.events, "event")
    note = f"provisional: the mean over {so_far} so far; {tense}; paid once, after the season, by the utility's figures"
    return SeasonValue(cents=cents_of(payment.usd), payment=payment, note=note)


def settle_season(
    season: SiteSeason,
    readings: Iterable[RegisterReading],
    *,
    now: dt.datetime,
    clock_synchronised: bool,
    posted: Iterable[LedgerLine] = (),
) -> Settlement:
    """Settle a site's season as of ``now`` and say what must be posted beyond the lines ``posted`` already.

    ``posted`` are the site's lines in every program. Same readings in any order, twice or late, give the same lines.
    An event that has not ended is left alone; one that the rule does not allow, that was cancelled, or that was
    measured for less than the rule's minimum coverage, is held with its reason. A declined one counts what the rule
    says of it, and is held where the rule says nothing. Raises ``Refused`` while our own clock is unsynchronised.
    """
    require_synchronised(clock_synchronised)
    posted = list(posted)
    index = ReadingIndex(readings, season.rule.version.place)
    verdicts = _verdicts(season, index, _paid_elsewhere(season, posted), now)
    means: list[cs.EventMean] = []
    settled: list[SettledEvent] = []
    held: list[Held] = []
    shares_before = [0, 0, 0]
    called = 0
    for event in sorted(season.events, key=lambda event: (event.start, event.grid_event_id)):
        verdict = verdicts.get(event.grid_event_id)
        if verdict is None:
            continue
        reason = "" if event.cancelled else _against(season, event, called)
        called += verdict.called and not reason
        if reason or verdict.kw is None:
            held.append(Held(grid_event_id=event.grid_event_id, reason=reason or verdict.reason))
            continue
        means.append(_event_mean(season, event, verdict.kw))
        payment = cs.payment_under(season.rule, means)
        shares = _shares(season.rule, cents_of(payment.usd))
        settled.append(
            SettledEvent(
                event=event,
                mean=means[-1],
                performance=verdict.performance,
                payment_after=payment,
                cents_after=cents_of(payment.usd),
                participant_cents=shares[0] - shares_before[0],
                provider_cents=shares[1] - shares_before[1],
                programme_cents=shares[2] - shares_before[2],
            )
        )
        shares_before = shares
    return Settlement(
        lines=tuple(_lines(season, settled, posted, now)),
        settled=tuple(settled),
        held=tuple(held),
        value=expected_season_value(season.rule, means, local(now, season.rule.zone).date()),
        measured=tuple(one.performance for one in verdicts.values() if one.performance is not None),
    )


def _verdicts(
    season: SiteSeason, index: ReadingIndex, claims: list[Claim], now: dt.datetime
) -> dict[GridEventId, _Verdict]:
    """Each event that is over or cancelled by itself, in the order in which overlapping calls claim their time.

    A call that counts keeps its whole time to itself, from when it is received: one that still runs as well, so that
    what overlaps it need not be corrected when it ends.
    """
    found: dict[GridEventId, _Verdict] = {}
    for event in sorted(season.events, key=CLAIM_ORDER[season.rule.version.overlap]):
        if event.cancelled:
            found[event.grid_event_id] = _Verdict(kw=None, reason=event.cancelled_why)
            continue
        allowed = not _against(season, event, 0)
        counts = allowed and event.opt == "in"
        if event.end <= now:
            verdict = _judge(season, event, index, claims, allowed=allowed, now=now)
            found[event.grid_event_id] = verdict
            counts = counts and verdict.kw is not None
        if counts:
            claims = [*claims, Claim(start=event.start, end=event.end, by=event.grid_event_id)]
    return found


def _judge(
    season: SiteSeason,
    event: CalledEvent,
    index: ReadingIndex,
    claims: Sequence[Claim],
    *,
    allowed: bool,
    now: dt.datetime,
) -> _Verdict:
    """Measure an event that is over, and say what of it counts."""
    version = season.rule.version
    if event.opt == "out":
        if version.declined_counts_kw is None:
            return _Verdict(kw=None, reason="declined: the rule does not say what that counts", called=allowed)
        return _Verdict(kw=Fraction(version.declined_counts_kw), called=allowed)
    if not event.measurable(now):
        return _Verdict(kw=None, reason=f"longer than {EVENT_MAX_S // 3600} h: not measured", called=allowed)
    if version.baseline not in BASELINES:
        reason = f"the rule asks for the baseline {version.baseline}, which is not computed yet"
        return _Verdict(kw=None, reason=reason, called=allowed)
    performance = measure_event(
        site_id=season.site_id,
        grid_event_id=event.grid_event_id,
        start=event.start,
        end=event.end,
        assets=season.assets,
        readings=index,
        baseline=version.baseline,
        claims=claims,
    )
    least = Fraction(version.minimum_coverage)
    called = allowed and performance.asked_s - performance.claimed_s() >= least * performance.asked_s
    kw = performance.exact_kw() if performance.coverage() >= least else None
    reason = "" if kw is not None else _too_little(performance, version.minimum_coverage)
    return _Verdict(kw=kw, reason=reason, performance=performance, called=called)


def _too_little(performance: EventPerformance, least: Decimal) -> str:
    """Why an event's good intervals do not do."""
    faults = performance.faults()
    claimed = f", {performance.claimed_s()} count for another call" if performance.claimed_s() else ""
    first = f"; first of {len(faults)} faults: {faults[0]}" if faults else ""
    measured = f"{performance.covered_s} of {performance.asked_s} asset seconds measured"
    return f"{measured}{claimed}, the rule asks for {least}{first}"


def _paid_elsewhere(season: SiteSeason, posted: Sequence[LedgerLine]) -> list[Claim]:
    """The time of this site that lines of another program pay for, as the evidence of their last lines shows it."""
    by_event: dict[tuple[str, str], list[LedgerLine]] = {}
    for line in posted:
        own = line.site_id == season.site_id and line.state == "expected" and line.kind in PARTICIPANT_KINDS
        if own and line.program_id != season.program_id:
            by_event.setdefault((line.program_id, line.grid_event_id), []).append(line)
    claims = []
    for (program_id, grid_event_id), lines in sorted(by_event.items()):
        stands = any(sum(getattr(line, name) for line in lines) for name in ("import_wh", "export_wh", "cents"))
        stamps = [item.ts for item in lines[-1].evidence]
        if stands and stamps:
            start, end = min(stamps) + EDGE_TOLERANCE, max(stamps) - EDGE_TOLERANCE
            claims.append(Claim(start=start, end=end, by=f"{grid_event_id} in {program_id}"))
    return claims


def _against(season: SiteSeason, event: CalledEvent, called_before: int) -> str:
    """What the rule has against the event in its local time, empty for nothing."""
    zone = season.rule.zone
    check = cs.check_event(
        season.rule,
        season.calendar,
        start_local=local(event.start, zone),
        end_local=local(event.end, zone),
        events_before_this_season=called_before,
    )
    return "; ".join(text for _, text in check.reasons)


def _event_mean(season: SiteSeason, event: CalledEvent, exact_kw: Fraction) -> cs.EventMean:
    """An event as the payment formula sees it."""
    return cs.EventMean(
        kw=exact_kw,
        hours=Fraction(int((event.end - event.start).total_seconds()), 3600),
        weekend=cs.is_weekend(local(event.start, season.rule.zone).date()),
    )


def _shares(rule: Rule, cents: int) -> list[int]:
    """A season's cents split between participant, provider and programme, adding up exactly."""
    split = rule.version.split
    return split_cents(cents, [split.participant, split.provider, split.programme])


def _lines(
    season: SiteSeason, settled: list[SettledEvent], posted: list[LedgerLine], now: dt.datetime
) -> list[LedgerLine]:
    """Lines that bring the ledger from what is posted to what is settled, event by event in time order."""
    own = [
        line
        for line in posted
        if (line.site_id, line.program_id, line.state) == (season.site_id, season.program_id, "expected")
    ]
    by_event = {item.event.grid_event_id: item for item in settled}
    # Only this season's events: the posted lines of other years belong to other means.
    order = [event.grid_event_id for event in sorted(season.events, key=lambda e: (e.start, e.grid_event_id))]
    lines: list[LedgerLine] = []
    for grid_event_id in order:
        item = by_event.get(grid_event_id)
        before = [line for line in own if line.grid_event_id == grid_event_id]
        if item is None and not before:
            continue
        lines += _participant_lines(season, grid_event_id, item, before, now)
        lines += _share_lines(season, grid_event_id, item, before, now)
    return lines


def _participant_lines(
    season: SiteSeason,
    grid_event_id: GridEventId,
    item: SettledEvent | None,
    before: list[LedgerLine],
    now: dt.datetime,
) -> list[LedgerLine]:
    """The participant's line of an event: its first posting, or a correction of what was posted, or none."""
    mine = [line for line in before if line.kind in PARTICIPANT_KINDS]
    performance = item.performance if item else None
    import_wh = (performance.import_wh() if performance else 0) - sum(line.import_wh for line in mine)
    export_wh = (performance.export_wh() if performance else 0) - sum(line.export_wh for line in mine)
    cents = (item.participant_cents if item else 0) - sum(line.cents for line in mine)
    evidence = tuple(
        Evidence(
            reading.asset_id,
            reading.ts,
            reading.import_rev,
            reading.export_rev,
            reading.import_wh,
            reading.export_wh,
        )
        for reading in (performance.readings if performance else ())
    )
    if mine and (import_wh, export_wh, cents) == (0, 0, 0) and evidence == mine[-1].evidence:
        return []
    kind: Kind = "correction" if mine else "performance"
    number = sum(1 for line in mine if line.kind == kind)
    return [_line(season, grid_event_id, kind, number, (import_wh, export_wh, cents), evidence, now)]


def _share_lines(
    season: SiteSeason,
    grid_event_id: GridEventId,
    item: SettledEvent | None,
    before: list[LedgerLine],
    now: dt.datetime,
) -> list[LedgerLine]:
    """The provider's and the programme's part of an event, as the difference to what was posted; no energy."""
    wanted: tuple[tuple[Kind, int], ...] = (
        ("provider_share", item.provider_cents if item else 0),
        ("programme_share", item.programme_cents if item else 0),
    )
    lines = []
    for kind, wanted_cents in wanted:
        same = [line for line in before if line.kind == kind]
        cents = wanted_cents - sum(line.cents for line in same)
        if cents:
            lines.append(_line(season, grid_event_id, kind, len(same), (0, 0, cents), (), now))
    return lines


def _line(
    season: SiteSeason,
    grid_event_id: GridEventId,
    kind: Kind,
    number: int,
    amounts: tuple[int, int, int],
    evidence: tuple[Evidence, ...],
    now: dt.datetime,
) -> LedgerLine:
    """A posting of ``amounts`` (import Wh, export Wh, cents), the ``number``-th of its kind for the event.

    What comes first belongs to its event's month, what changes it to the month of ``now``.
    """
    import_wh, export_wh, cents = amounts
    start = next(event.start for event in season.events if event.grid_event_id == grid_event_id)
    day = local(now if kind == "correction" or number else start, season.rule.zone).date()
    return LedgerLine(
        key=f"{season.program_id}/{season.site_id}/{grid_event_id}/{kind}/{number}",
        statement_id=statement_id_of(season.participant_id, period_of(day)),
        participant_id=season.participant_id,
        site_id=season.site_id,
        grid_event_id=grid_event_id,
        program_id=season.program_id,
        kind=kind,
        import_wh=import_wh,
        export_wh=export_wh,
        cents=cents,
        state="expected",
        rule=season.rule.reference,
        evidence=evidence,
    )
