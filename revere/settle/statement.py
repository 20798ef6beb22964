"""Statements: a participant's month in words and figures, and the audit that recomputes it from raw readings.

The three states stand beside each other and are never summed: *expected* is our figure, *confirmed* the utility's,
*paid* the remittance.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from revere.core.ids import GridEventId, ParticipantId, SiteId
from revere.core.money import usd_text
from revere.core.time import iso
from revere.core.words import count
from revere.settle.ledger import PARTICIPANT_KINDS, Evidence, LedgerLine, State, statement_id_of
from revere.settle.performance import RegisterReading, shown_kw
from revere.settle.posting import SettledEvent, SiteSeason, settle_season

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from revere.settle.rules import Rule, Rulebook

STATES: tuple[State, ...] = ("expected", "confirmed", "paid")
STATE_WORDS: dict[State, str] = {
    "expected": "expected (our figure; the utility has not confirmed it)",
    "confirmed": "confirmed (the utility's figure; not yet remitted)",
    "paid": "paid (the remittance)",
}


Registers = dict[tuple[str, "dt.datetime", str, int], tuple[int, str]]
"""Register values in Wh and why they are quarantined, by asset, moment, register and revision."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's month. ``unverified`` names each rule behind it that no source proves, with what is assumed."""

    statement_id: str
    participant_id: ParticipantId
    period: str
    lines: tuple[LedgerLine, ...]
    unverified: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether every rule behind the statement is confirmed at a source."""
        return not self.unverified

    def total_cents(self, state: State) -> int | None:
        """The participant's sum of one state's lines; None where that state has none (unknown is not zero)."""
        cents = [line.cents for line in self.lines if line.state == state and line.kind in PARTICIPANT_KINDS]
        return sum(cents) if cents else None


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """A recomputation step by step; ``mismatches`` are the steps that disagree with what was posted."""

    steps: tuple[str, ...]
    mismatches: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether the statement follows from the readings."""
        return not self.mismatches


def build_statement(
    participant_id: ParticipantId, period: str, lines: Iterable[LedgerLine], book: Rulebook
) -> Statement:
    """The statement of a participant's month (``2023-09``) out of ledger lines in ledger order."""
    statement_id = statement_id_of(participant_id, period)
    own = tuple(line for line in lines if line.statement_id == statement_id)
    return Statement(
        statement_id=statement_id,
        participant_id=participant_id,
        period=period,
        lines=own,
        unverified=tuple(unverified_rules((line.rule for line in own), book)),
    )


def unverified_rules(rules: Iterable[str], book: Rulebook) -> list[str]:
    """Each unverified rule behind lines (their ``rule``), with its assumptions."""
    found = []
    for key in dict.fromkeys(rule.split("@")[0] for rule in rules):
        version = book.version(key).version
        if not version.verified:
            assumed = "; ".join(f"{name}: {why}" for name, why in version.assumed.items())
            found.append(f"rule {key} is unverified ({assumed or 'no source at hand'})")
    return found


def statement_text(statement: Statement) -> list[str]:
    """The statement for a reader, a line each; signs become words, states stay apart."""
    text = [f"Statement {statement.statement_id}"]
    for state in STATES:
        lines = [line for line in statement.lines if line.state == state]
        if not lines:
            continue
        text.append(f"{STATE_WORDS[state]}:")
        for line in lines:
            energy = f"gave {line.export_wh:,} Wh, took {line.import_wh:,} Wh"
            text.append(
                f"  {line.grid_event_id} at {line.site_id}, {line.kind.replace('_', ' ')}: {energy}, "
                f"{usd_text(line.cents)} under {line.rule}"
            )
        total_cents = statement.total_cents(state)
        if total_cents is not None:
            text.append(f"  total {state}: {usd_text(total_cents)}")
    text += [f"Unverified: {reason}" for reason in statement.unverified]
    return text


def audit(
    statement: Statement,
    readings: Iterable[RegisterReading],
    seasons: Sequence[SiteSeason],
    *,
    ledger: Iterable[LedgerLine],
    now: dt.datetime,
) -> Audit:
    """Recompute a statement from raw readings and show each step.

    ``readings`` are the stored ones with all their revisions; ``seasons`` those of the sites on the statement, with
    all events of the season; ``ledger`` all of the participant's lines in ledger order, the statement's among them
    (other months of the season move its mean).
    Each event is recomputed from the very revisions that its last line names, and a newer one is pointed out.
    """
    steps: list[str] = [f"audit of {statement.statement_id}: {count(len(statement.lines), 'line')}"]
    bad: list[str] = []
    stored = _registers(readings)
    lines = list(ledger)
    kept = {(line.key, line.state): line for line in lines}
    bad += [
        f"MISMATCH {line.key}: not in the ledger"
        for line in statement.lines
        if kept.get((line.key, line.state)) != line
    ]
    expected = [line for line in lines if line.state == "expected"]
    last = {(line.site_id, line.program_id, line.grid_event_id): line.key for line in expected if line.evidence}
    for line in statement.lines:
        superseded = last.get((line.site_id, line.program_id, line.grid_event_id)) != line.key
        line_steps, line_bad = _look_up(line, stored, superseded)
        steps += line_steps
        bad += line_bad
    audited = {(season.site_id, season.program_id) for season in seasons}
    known = {(season.site_id, season.program_id, event.grid_event_id) for season in seasons for event in season.events}
    for line in statement.lines:
        at = f"MISMATCH {line.grid_event_id} at {line.site_id}"
        if (line.site_id, line.program_id) not in audited:
            bad.append(f"{at}: no season given for {line.program_id}")
        elif (line.site_id, line.program_id, line.grid_event_id) not in known:
            bad.append(f"{at}: posted, but not among the season's events")
    for season in seasons:
        season_steps, season_bad = _audit_season(season, expected, stored, now)
        steps += season_steps
        bad += season_bad
    return Audit(steps=(*steps, *bad), mismatches=tuple(bad))


def _registers(readings: Iterable[RegisterReading]) -> Registers:
    """Each register value by asset, moment, register and revision, with the reason if it is quarantined."""
    stored: Registers = {}
    for item in readings:
        for register, rev, wh in (
            ("import", item.import_rev, item.import_wh),
            ("export", item.export_rev, item.export_wh),
        ):
            if rev is not None and wh is not None:
                stored[item.asset_id, item.ts, register, rev] = (wh, item.quarantined)
    return stored


def _look_up(line: LedgerLine, stored: Registers, superseded: bool) -> tuple[list[str], list[str]]:
    """Find a line's evidence in the store. A superseded line's old revision may be absent, but never differ."""
    bad: list[str] = []
    absent = 0
    for item in line.evidence:
        for register, rev, wh in (
            ("import", item.import_rev, item.import_wh),
            ("export", item.export_rev, item.export_wh),
        ):
            if rev is None or wh is None:
                continue
            found = stored.get((item.asset_id, item.ts, register, rev))
            absent += found is None
            if (found is None and superseded) or (found is not None and found[0] == wh):
                continue
            got = "no such reading" if found is None else f"{found[0]} Wh"
            where = f"{item.asset_id} {iso(item.ts)} {register} rev {rev}"
            bad.append(f"MISMATCH {line.grid_event_id}: evidence {where}: stored {got}, posted {wh} Wh")
    missing = f", {count(absent, 'register value')} not given" if absent else ""
    kind = f"{line.kind}, superseded" if superseded and line.evidence else line.kind
    return [f"{line.grid_event_id} {kind}: {count(len(line.evidence), 'reading')} looked up{missing}"], bad


def _named(item: Evidence, stored: Registers) -> RegisterReading | None:
    """The stored reading that a piece of evidence names, None where the store has neither register."""
    taken = stored.get((item.asset_id, item.ts, "import", item.import_rev or 0))
    given = stored.get((item.asset_id, item.ts, "export", item.export_rev or 0))
    if taken is None and given is None:
        return None
    return RegisterReading(
        asset_id=item.asset_id,
        ts=item.ts,
        import_wh=taken[0] if taken and item.import_rev is not None else None,
        export_wh=given[0] if given and item.export_rev is not None else None,
        import_rev=item.import_rev,
        export_rev=item.export_rev,
        quarantined=(taken[1] if taken else "") or (given[1] if given else ""),
    )


def _audit_season(
    season: SiteSeason,
    ledger: list[LedgerLine],
    stored: Registers,
    now: dt.datetime,
) -> tuple[list[str], list[str]]:
    """Recompute one site's season from the revisions that its lines name, and compare event by event."""
    steps: list[str] = [f"{season.site_id} in {season.program_id} under {season.rule.reference}"]
    events = {event.grid_event_id for event in season.events}
    here = [line for line in ledger if line.site_id == season.site_id]
    own = [line for line in here if line.program_id == season.program_id and line.grid_event_id in events]
    other_programs = [line for line in here if line.program_id != season.program_id]
    last: dict[GridEventId, LedgerLine] = {line.grid_event_id: line for line in own if line.kind in PARTICIPANT_KINDS}
    evidence = [item for line in last.values() for item in line.evidence]
    named = [reading for item in evidence if (reading := _named(item, stored)) is not None]
    newest: dict[tuple[str, dt.datetime, str], int] = {}
    for asset_id, ts, register, rev in stored:
        newest[asset_id, ts, register] = max(rev, newest.get((asset_id, ts, register), rev))
    stale = sum(
        1
        for item in evidence
        for register, rev in (("import", item.import_rev), ("export", item.export_rev))
        if rev is not None and newest.get((item.asset_id, item.ts, register), rev) > rev
    )
    if stale:
        steps.append(
            f"{count(stale, 'register value')} {'has' if stale == 1 else 'have'} a newer revision: "
            "the next settlement posts the correction"
        )
    # A call that still runs has no lines yet, but keeps its time from those that overlap it.
    posted = tuple(event for event in season.events if event.grid_event_id in last or event.end > now)
    again = settle_season(
        msgspec.structs.replace(season, events=posted), named, now=now, clock_synchronised=True, posted=other_programs
    )
    bad = [
        f"MISMATCH {item.grid_event_id} at {season.site_id}: recomputed as held, {item.reason}"
        for item in again.held
        if _sums([line for line in own if line.grid_event_id == item.grid_event_id]) != (0, 0, 0)
    ]
    cents_before = 0
    for item in again.settled:
        steps += _event_steps(season.site_id, item, season, cents_before)
        cents_before = item.cents_after
        bad += _compare(season.site_id, item, [line for line in own if line.grid_event_id == item.event.grid_event_id])
    return steps, bad


def _event_steps(site_id: SiteId, item: SettledEvent, season: SiteSeason, cents_before: int) -> list[str]:
    """One event's arithmetic, a line a step."""
    steps = [f"{item.event.grid_event_id} {iso(item.event.start)} to {iso(item.event.end)}"]
    if item.performance is None:
        steps.append(f"  declined before it began: {declined_words(season.rule)}")
    else:
        for asset in item.performance.assets:
            mean = asset.mean_kw()
            shown = "not measured" if mean is None else f"{shown_kw(mean)} kW"
            steps.append(
                f"  {asset.asset_id}: {asset.baseline_wh} - ({asset.import_wh} - {asset.export_wh}) Wh "
                f"over {asset.covered_s} s = {shown}"
            )
        steps += [f"  not counted: {fault}" for fault in item.performance.faults()]
        covered = f"{item.performance.covered_s} of {item.performance.asked_s} asset seconds covered"
        steps.append(f"  {site_id}: mean {shown_kw(item.mean.kw)} kW, {covered}")
    payment = item.payment_after
    rate = season.rule.rate_usd_per_kw
    mean_kw = payment.mean_kw if payment.mean_kw is not None else Fraction(0)
    floor_usd = season.rule.version.floor_usd
    floor = f", not below {floor_usd} $" if floor_usd is not None else ""
    bonus = ""
    if payment.weekend_mean_kw is not None:
        bonus = f" + {shown_kw(payment.weekend_mean_kw)} kW x {season.rule.version.weekend_bonus_usd_per_kw} $/kW"
    steps.append(
        f"  season so far: mean over {payment.events} = {shown_kw(mean_kw)} kW x {rate} $/kW{bonus}{floor} "
        f"= {usd_text(item.cents_after)}; before {usd_text(cents_before)}"
    )
    return steps


def declined_words(rule: Rule) -> str:
    """What a rule has a declined event count, and by what authority."""
    version = rule.version
    if version.declined_counts_kw is None:
        return f"{version.key} does not say what that counts, so it stays out of the season"
    assumed = version.assumed.get("declined_counts_kw")
    source = f"assumed: {assumed}" if assumed else version.source
    return f"counts {version.declined_counts_kw} kW in the season's mean under {version.key} ({source})"


def _compare(site_id: SiteId, item: SettledEvent, posted: list[LedgerLine]) -> list[str]:
    """Where the posted lines of an event differ from its recomputation."""
    import_wh, export_wh, cents = _sums([line for line in posted if line.kind in PARTICIPANT_KINDS])
    performance = item.performance
    figures = (
        ("import_wh", import_wh, performance.import_wh() if performance else 0),
        ("export_wh", export_wh, performance.export_wh() if performance else 0),
        ("cents", cents, item.participant_cents),
        ("provider cents", _share_cents(posted, "provider_share"), item.provider_cents),
        ("programme cents", _share_cents(posted, "programme_share"), item.programme_cents),
    )
    return [
        f"MISMATCH {item.event.grid_event_id} at {site_id}: {name} posted {got}, recomputed {want}"
        for name, got, want in figures
        if got != want
    ]


def _sums(lines: list[LedgerLine]) -> tuple[int, int, int]:
    """Import Wh, export Wh and cents of lines."""
    return (
        sum(line.import_wh for line in lines),
        sum(line.export_wh for line in lines),
        sum(line.cents for line in lines),
    )


def _share_cents(posted: list[LedgerLine], kind: str) -> int:
    """Posted cents of one party's share."""
    return sum(line.cents for line in posted if line.kind == kind)
