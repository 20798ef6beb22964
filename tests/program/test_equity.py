"""Environmental justice: the published rows, the published block groups, and the share at exactly one third."""

from __future__ import annotations

import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.core.assets import Participant
from revere.core.errors import RevereError
from revere.core.ids import ParticipantId
from revere.program.block_groups import COLUMNS, BlockGroups, load_block_groups, tally
from revere.program.equity import EjInputs, Funded, ej_status, equity_share, more_than_one_third
from revere.program.evaluate import EVALUATORS
from revere.program.grants import Grant, funding, grants_by_participant, grants_of, total_usd
from revere.settle.evaluate import Example, evaluate, parse_examples
from revere.settle.rules import load_rulebook

SHARED = Path(os.environ.get("REVERE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
EXAMPLES = SHARED / "facts" / "examples.json"
CSV = SHARED / "data" / "ej" / "ma_ej_block_groups_2023.csv"
ROWS = [row for row in parse_examples(EXAMPLES.read_text()) if row.id.startswith("EJ-")] if EXAMPLES.is_file() else []


@pytest.mark.skipif(not ROWS, reason="facts/examples.json is not here (set REVERE_SHARED)")
def test_the_table_has_its_rows() -> None:
    assert len(ROWS) >= 5


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_environmental_justice_row(row: Example) -> None:
    result = evaluate(row, load_rulebook(), EVALUATORS)
    assert result.outcome == "passed", result.differences


@pytest.mark.parametrize(
    ("income", "minority", "english", "town", "ej", "criteria"),
    [
        ("65000", "0.39", "0.24", "200000", "yes", "I"),
        ("65001", "0.39", "0.24", "200000", "no", ""),
        ("65001", "0.40", "0.24", "200000", "yes", "M"),
        ("65001", "0.25", "0.24", "150000", "yes", "M"),
        ("65001", "0.25", "0.24", "150000.01", "no", ""),
        ("65001", "0.2499", "0.25", "150000", "yes", "E"),
        ("65000", "0.5", "0.5", "150000", "yes", "IEM"),
        (None, "0.5", "0.1", "150000", "yes", "M"),
        (None, "0.1", "0.1", "150000", "unknown", ""),
        ("80000", "0.3", "0.1", None, "unknown", ""),
        ("80000", "0.2", "0.1", None, "no", ""),
        ("80000", "0.4", "0.1", None, "yes", "M"),
        ("80000", None, "0.1", "200000", "unknown", ""),
        ("80000", "0.1", None, "150000", "unknown", ""),
        ("65000", None, None, None, "yes", "I"),
    ],
)
def test_any_criterion_decides_and_only_a_deciding_gap_is_unknown(
    income: str | None, minority: str | None, english: str | None, town: str | None, ej: str, criteria: str
) -> None:
    values = [None if text is None else Decimal(text) for text in (income, minority, english, town)]
    verdict = ej_status(
        EjInputs(
            statewide_income=Decimal(100_000),
            income=values[0],
            minority=values[1],
            limited_english=values[2],
            town_income=values[3],
        )
    )
    assert (verdict.ej, verdict.criteria) == (ej, criteria)
    assert (ej == "unknown") <= bool(verdict.undecided)


@given(third_cents=st.integers(1, 10**12))
def test_exactly_a_third_is_not_more_than_a_third(third_cents: int) -> None:
    third = Decimal(third_cents).scaleb(-2)
    assert more_than_one_third(third, third * 3) is False
    assert more_than_one_third(third + Decimal("0.01"), third * 3 + Decimal("0.01")) is True
    assert more_than_one_third(third - Decimal("0.01"), third * 3) is False


@given(st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from(["yes", "no", "unknown"])), max_size=20))
def test_the_parts_of_the_funds_add_up_and_unknown_counts_as_not_ej(rows: list[tuple[int, str]]) -> None:
    funded = [Funded(name=str(n), usd=Decimal(usd).scaleb(-2), ej=ej) for n, (usd, ej) in enumerate(rows)]  # type: ignore[arg-type]
    share = equity_share(funded)
    assert share.ej_usd + share.not_ej_usd + share.unknown_usd == share.total_usd
    total = sum(usd for usd, _ in rows)
    ej = sum(usd for usd, status in rows if status == "yes")
    assert share.more_than_one_third == (3 * ej > total if total else None)
    assert share.share() == (Fraction(ej, total) if total else None)


def test_the_share_in_words() -> None:
    rows = [("a", "100", "yes"), ("b", "150", "no"), ("c", "50", "unknown")]
    share = equity_share(Funded(name=name, usd=Decimal(usd), ej=ej) for name, usd, ej in rows)  # type: ignore[arg-type]
    assert share.words() == (
        "33.3 % of 300.00 $: not more than one third (50.00 $ to recipients of unknown status count as not EJ)"
    )
    assert equity_share([]).words() == "no funds yet"


@pytest.mark.parametrize(("ej", "total"), [("-1", "3"), ("4", "3")])
def test_funds_that_do_not_add_up_are_refused(ej: str, total: str) -> None:
    with pytest.raises(RevereError, match="do not add up"):
        more_than_one_third(Decimal(ej), Decimal(total))


@pytest.fixture(scope="module")
def block_groups() -> BlockGroups:
    if not CSV.is_file():
        pytest.skip("data/ej is not here (set REVERE_SHARED)")
    return load_block_groups(CSV.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("town", "yes", "total"),
    [
        ("Acton", 6, 16),
        ("Boxborough", 3, 3),
        ("Arlington", 23, 45),
        ("Boston", 446, 581),
        ("Concord", 1, 16),
        ("Lincoln", 1, 6),
        (None, 2642, 5116),
    ],
)
def test_published_counts(block_groups: BlockGroups, town: str | None, yes: int, total: int) -> None:
    counts = tally(block_groups.groups.values(), town)
    assert (counts.yes, counts.total) == (yes, total)


def test_all_published_flags_and_letters_are_reproduced(block_groups: BlockGroups) -> None:
    assert (block_groups.refused_rows, block_groups.without_income) == (0, 439)
    for group in block_groups.groups.values():
        assert (group.verdict.ej == "yes") == (group.published == "Yes"), group.geoid
        assert group.verdict.criteria == group.published_criteria, group.geoid
    coded_no = [group for group in block_groups.groups.values() if group.verdict.ej == "unknown"]
    assert len(coded_no) == 159
    assert {group.published for group in coded_no} == {"No"}


HEAD = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("25001010100,Acton,1,1,1,1,1", "not 12 digits"),
        ("250010101001,Acton,110,1,1,1,1", "over 100 %"),
        ("250010101001,Acton,-1,1,1,1,1", "0 or more"),
        ("250010101001,Acton,1,1,lots,1,1", "not a number"),
        ("250010101001,Acton,1,nan,1,1,1", "0 or more"),
        ("250010101002,Acton,1,1,1,1,1", "comes twice"),
        ("250010101001,Acton", "unknown is read, not refused"),
    ],
)
def test_bad_rows_are_refused_counted_and_explained(row: str, why: str) -> None:
    loaded = load_block_groups(f"{HEAD}\n250010101002,Acton,1,1,1,100000,1\n{row}\n")
    if "not refused" in why:
        assert loaded.groups["250010101001"].verdict.ej == "unknown"
        return
    assert loaded.refused_rows == 1
    assert loaded.refused[0].line == 3
    assert why in loaded.refused[0].why
    assert list(loaded.groups) == ["250010101002"]


def test_a_file_without_its_columns_is_refused() -> None:
    with pytest.raises(RevereError, match="lacks columns") as refusal:
        load_block_groups("GEOID,MUNI\n1,2\n")
    assert "medHHincE" in refusal.value.remedy


def person(name: str, usd: str, block_group: str) -> Participant:
    return Participant(id=ParticipantId(name), name=name, kind="home", grant_usd=Decimal(usd), block_group=block_group)


def test_funding_by_participant() -> None:
    csv = f"{HEAD}\n250010101001,A,50,1,1000,100000,1\n250010101002,B,1,1,90000,100000,90000\n"
    people = [person("a", "100.01", "250010101001"), person("b", "100", "250010101002"), person("c", "100", "")]
    result = funding(people, grants_of(people), load_block_groups(csv))
    assert [(row.ej, row.criteria, row.usd) for row in result.rows] == [
        ("yes", "IM", Decimal("100.01")),
        ("no", "", Decimal(100)),
        ("unknown", "", Decimal(100)),
    ]
    assert result.total_usd == total_usd(grants_of(people)) == Decimal("300.01")
    assert result.equity.unknown_usd == 100
    assert result.equity.more_than_one_third is True


def test_grants_add_up_by_participant_and_need_one() -> None:
    acton = ParticipantId("acton")
    grants = [Grant(participant_id=acton, usd=Decimal("0.10")), Grant(participant_id=acton, usd=Decimal("0.20"))]
    assert grants_by_participant(grants) == {acton: Decimal("0.30")}
    with pytest.raises(RevereError, match="names no participant"):
        funding([], grants, load_block_groups(f"{HEAD}\n"))
    with pytest.raises(RevereError, match="negative"):
        total_usd([Grant(participant_id=acton, usd=Decimal(-1))])
