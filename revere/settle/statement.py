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
from revere.settle.ledger import PARTICIPANT_KINDS, LedgerLine, State, statement_id_of
from revere.settle.performance import RegisterReading, shown_kw
from revere.settle.posting import SettledEvent, SiteSeason, settle_season

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from revere.settle.rules import Rulebook

STATES: tuple[State, ...] = ("expected", "confirmed", "paid")
STATE_WORDS: dict[State, str] = {
    "expected": "expected (our figure; the utility has not confirmed it)",
    "confirmed": "confirmed (the utility's figure; not yet remitted)",
    "paid": "paid (the remittance)",
}


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
        unverified=tuple(_unverified(own, book)),
    )


def _unverified(lines: tuple[LedgerLine, ...], book: Rulebook) -> list[str]:
    """Each unverified rule behind the lines, with its assumptions."""
    found = []
    for key in dict.fromkeys(line.rule.split("@")[0] for line in lines):
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
    ledger: Iterable[LedgerLine] = (),
    now: dt.datetime,
) -> Audit:
    """Recompute a statement from raw readings and show each step.

    ``readings`` are the stored ones with all their revisions; ``seasons`` those of the sites on the statement, with
    all events of the season; ``ledger`` the participant's other lines (earlier months of the season move its mean).
    Each event is recomputed from the very revisions that its last line names, and a newer one is pointed out.
    """
    steps: list[str] = [f"audit of {statement.statement_id}: {len(statement.lines)} lines"]
    bad: list[str] = []
    raw = {(item.asset_id, item.ts, item.rev): item for item in readings}
    lines = [*(line for line in ledger if line.statement_id != statement.statement_id), *statement.lines]
    expected = [line for line in lines if line.state == "expected"]
    for line in statement.lines:
        for item in line.evidence:
            found = raw.get((item.asset_id, item.ts, item.rev))
            if found is None or (found.import_wh, found.export_wh) != (item.import_wh, item.export_wh):
                got = "no such reading" if found is None else f"{found.import_wh} / {found.export_wh} Wh"
                where = f"{item.asset_id} {iso(item.ts)} rev {item.rev}"
                bad.append(f"MISMATCH {line.grid_event_id}: evidence {where}: stored {got}, posted {item}")
        steps.append(f"{line.grid_event_id} {line.kind}: {len(line.evidence)} readings looked up in the store")
    audited = {(season.site_id, season.program_id) for season in seasons}
    bad += [
        f"MISMATCH {line.grid_event_id} at {line.site_id}: no season given for {line.program_id}"
        for line in statement.lines
        if (line.site_id, line.program_id) not in audited
    ]
    for season in seasons:
        own = [line for line in expected if (line.site_id, line.program_id) == (season.site_id, season.program_id)]
        season_steps, season_bad = _audit_season(season, own, raw, now)
        steps += season_steps
        bad += season_bad
    return Audit(steps=(*steps, *bad), mismatches=tuple(bad))


def _audit_season(
    season: SiteSeason,
    own: list[LedgerLine],
    raw: dict[tuple[str, dt.datetime, int], RegisterReading],
    now: dt.datetime,
) -> tuple[list[str], list[str]]:
    """Recompute one site's season from the revisions that its lines name, and compare event by event."""
    steps: list[str] = [f"{season.site_id} in {season.program_id} under {season.rule.reference}"]
    last: dict[GridEventId, LedgerLine] = {line.grid_event_id: line for line in own if line.kind in PARTICIPANT_KINDS}
    named = [
        raw[key]
        for line in last.values()
        for item in line.evidence
        if (key := (item.asset_id, item.ts, item.rev)) in raw
    ]
    newest = {(item.asset_id, item.ts): item.rev for item in sorted(raw.values(), key=lambda reading: reading.rev)}
    stale = sum(1 for item in named if newest[item.asset_id, item.ts] > item.rev)
    if stale:
        steps.append(f"{stale} readings have a newer revision: the next settlement posts the correction")
    events = tuple(event for event in season.events if event.grid_event_id in last)
    again = settle_season(msgspec.structs.replace(season, events=events), named, now=now, clock_synchronised=True)
    bad = [
        f"MISMATCH {item.grid_event_id} at {season.site_id}: recomputed as held, {item.reason}"
        for item in again.held
        if sum(line.cents for line in own if line.grid_event_id == item.grid_event_id)
    ]
    cents_before = 0
    for item in again.settled:
        steps += _event_steps(season.site_id, item, season, cents_before)
        cents_before = item.cents_after
        bad += _compare(season.site_id, item, [line for line in own if line.grid_event_id == item.event.grid_event_id])
    strangers = set(last) - {event.grid_event_id for event in season.events}
    bad += [
        f"MISMATCH {name} at {season.site_id}: posted, but not among the season's events" for name in sorted(strangers)
    ]
    return steps, bad


def _event_steps(site_id: SiteId, item: SettledEvent, season: SiteSeason, cents_before: int) -> list[str]:
    """One event's arithmetic, a line a step."""
    steps = [f"{item.event.grid_event_id} {iso(item.event.start)} to {iso(item.event.end)}"]
    if item.performance is None:
        steps.append(f"  opted out: counts {season.rule.version.missed_counts_kw} kW")
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


def _compare(site_id: SiteId, item: SettledEvent, posted: list[LedgerLine]) -> list[str]:
    """Where the posted lines of an event differ from its recomputation."""
    mine = [line for line in posted if line.kind in PARTICIPANT_KINDS]
    performance = item.performance
    figures = (
        ("import_wh", sum(line.import_wh for line in mine), performance.import_wh() if performance else 0),
        ("export_wh", sum(line.export_wh for line in mine), performance.export_wh() if performance else 0),
        ("cents", sum(line.cents for line in mine), item.participant_cents),
        ("provider cents", _share_cents(posted, "provider_share"), item.provider_cents),
        ("programme cents", _share_cents(posted, "programme_share"), item.programme_cents),
    )
    return [
        f"MISMATCH {item.event.grid_event_id} at {site_id}: {name} posted {got}, recomputed {want}"
        for name, got, want in figures
        if got != want
    ]


def _share_cents(posted: list[LedgerLine], kind: str) -> int:
    """Posted cents of one party's share."""
    return sum(line.cents for line in posted if line.kind == kind)
