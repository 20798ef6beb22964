"""Statements keep the three states apart, and the audit finds every tampering."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from revere.core.errors import RevereError
from revere.core.ids import ParticipantId
from revere.settle.ledger import LedgerLine, from_fields, to_fields
from revere.settle.performance import RegisterReading
from revere.settle.posting import settle_season
from revere.settle.statement import Audit, Statement, audit, build_statement, statement_text
from settle.season import BOOK, SETTLED_AT, called, season_of, steady

ACTON = ParticipantId("acton")
SEASON = season_of(called(29, 8), called(7), called(8))
READINGS = steady(called(29, 8), 36) + steady(called(7), 60) + steady(called(8), -12)
LINES = list(settle_season(SEASON, READINGS, now=SETTLED_AT, clock_synchronised=True).lines)


def statement_of(lines: list[LedgerLine]) -> Statement:
    return build_statement(ACTON, "2023-09", lines, BOOK)


def audited(lines: list[LedgerLine], readings: list[RegisterReading] = READINGS) -> Audit:
    return audit(statement_of(lines), readings, [SEASON], ledger=lines, now=SETTLED_AT)


def test_a_statement_holds_its_month_and_says_what_is_unverified() -> None:
    statement = statement_of(LINES)
    assert [line.grid_event_id for line in statement.lines] == ["e0907", "e0908"]
    # 36 -> 7,200; mean of 36 and 60 is 48 -> 9,600; mean with -12 is 28 -> 5,600.
    assert [line.cents for line in statement.lines] == [240_000, -400_000]
    assert statement.total_cents("expected") == -160_000
    assert not statement.verified
    assert "CI-DAILY is unverified (effective_from: no start date" in statement.unverified[0]


def test_expected_confirmed_and_paid_are_never_one_figure() -> None:
    confirmed = [msgspec.structs.replace(line, state="confirmed", cents=100) for line in LINES]
    statement = statement_of(LINES + confirmed)
    assert statement.total_cents("expected") == -160_000
    assert statement.total_cents("confirmed") == 200
    assert statement.total_cents("paid") is None
    text = statement_text(statement)
    assert "expected (our figure; the utility has not confirmed it):" in text
    assert "  total expected: -$1,600.00" in text
    assert "  total confirmed: $2.00" in text
    assert not any("paid (" in line for line in text)
    assert any("gave 180,000 Wh, took 0 Wh, $2,400.00 under CI-DAILY@2021-06-01" in line for line in text)
    assert any(line.startswith("Unverified: rule CI-DAILY") for line in text)


def test_an_audit_shows_every_step() -> None:
    result = audited(LINES)
    assert result.agrees, result.mismatches
    assert "  depot-1/1: 0 - (0 - 180000) Wh over 10800 s = 60.000000 kW" in result.steps
    assert "  depot-1/1: 0 - (36000 - 0) Wh over 10800 s = -12.000000 kW" in result.steps
    assert any("mean over 3 = 28.000000 kW x 200 $/kW" in step and "= $5,600.00" in step for step in result.steps)


def test_an_audit_follows_corrections_and_points_out_newer_revisions() -> None:
    late = READINGS + steady(called(7), 48, rev=1)
    before = audited(LINES, late)
    assert before.agrees, before.mismatches
    assert any("74 register values have a newer revision" in step for step in before.steps)
    corrected = LINES + list(settle_season(SEASON, late, now=SETTLED_AT, clock_synchronised=True, posted=LINES).lines)
    after = audited(corrected, late)
    assert after.agrees, after.mismatches
    assert not any("newer revision" in step for step in after.steps)


def test_a_month_is_audited_with_a_later_months_correction() -> None:
    late = READINGS + steady(called(7), 48, rev=1)
    october = dt.datetime(2023, 10, 5, tzinfo=dt.UTC)
    corrections = settle_season(SEASON, late, now=october, clock_synchronised=True, posted=LINES).lines
    ledger = [*LINES, *corrections]
    assert {line.statement_id for line in corrections} == {"acton:2023-10"}
    for readings in (late, [item for item in late if item.import_rev == 1 or item.ts.date() != called(7).start.date()]):
        result = audit(statement_of(ledger), readings, [SEASON], ledger=ledger, now=october)
        assert result.agrees, result.mismatches
        assert any("performance, superseded" in step for step in result.steps)
    changed = [msgspec.structs.replace(item, export_wh=0) if item.import_rev == 0 else item for item in late]
    assert not audit(statement_of(ledger), changed, [SEASON], ledger=ledger, now=october).agrees


def test_an_event_taken_back_is_audited_as_nothing() -> None:
    doubted = [
        msgspec.structs.replace(item, import_rev=1, export_rev=1, quarantined="clock 75 s off")
        for item in steady(called(7), 60)
    ]
    readings = READINGS + doubted
    back = settle_season(SEASON, readings, now=SETTLED_AT, clock_synchronised=True, posted=LINES).lines
    result = audited([*LINES, *back], readings)
    assert result.agrees, result.mismatches


def test_a_line_survives_the_store_and_its_key_is_its_own() -> None:
    for line in LINES:
        fields = to_fields(line)
        through_json = msgspec.json.decode(msgspec.json.encode(fields))
        assert from_fields({**through_json, "posted_at": SETTLED_AT, "seq": 7}) == line
    assert LINES[0].key == "cs-daily/acton-depot/e0829/performance/0"
    late = READINGS + steady(called(7), 48, rev=1)
    first = settle_season(SEASON, late, now=SETTLED_AT, clock_synchronised=True, posted=LINES).lines
    later = late + steady(called(7), 36, rev=2)
    second = settle_season(SEASON, later, now=SETTLED_AT, clock_synchronised=True, posted=[*LINES, *first]).lines
    keys = [line.key for line in (*LINES, *first, *second)]
    assert len(set(keys)) == len(keys)
    with pytest.raises(RevereError, match="not a line of settlement"):
        from_fields({"key": "x", "kind": "gift"})


def test_a_statement_line_that_the_ledger_lacks_is_found() -> None:
    result = audit(statement_of(LINES), READINGS, [SEASON], ledger=LINES[:2], now=SETTLED_AT)
    assert any("e0908/performance/0: not in the ledger" in text for text in result.mismatches)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cents": 240_001}, "cents posted 240001, recomputed 240000"),
        ({"export_wh": 180_001}, "export_wh posted 180001, recomputed 180000"),
        ({"import_wh": 12}, "import_wh posted 12, recomputed 0"),
        ({"grid_event_id": "e0999"}, "e0999 at acton-depot: posted, but not among"),
        ({"site_id": "elsewhere"}, "no season given"),
    ],
)
def test_an_audit_finds_a_changed_line(change: dict[str, object], word: str) -> None:
    tampered = [LINES[0], msgspec.structs.replace(LINES[1], **change), LINES[2]]
    result = audited(tampered)
    assert not result.agrees
    assert any(word in mismatch for mismatch in result.mismatches), result.mismatches


def test_an_audit_finds_a_changed_or_missing_reading() -> None:
    changed = [
        msgspec.structs.replace(item, export_wh=(item.export_wh or 0) + 100) if item.ts == called(7).end else item
        for item in READINGS
    ]
    result = audited(LINES, changed)
    assert any("evidence depot-1/1 2023-09-07T23:00:00.000Z export rev 0" in text for text in result.mismatches)
    missing = audited(LINES, [item for item in READINGS if item.ts != called(7).end])
    assert any("no such reading" in text for text in missing.mismatches)


def test_a_line_without_its_other_half_is_found() -> None:
    result = audited(LINES[1:])
    assert any("cents posted" in text for text in result.mismatches)
