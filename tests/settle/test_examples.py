"""The published worked examples as a table: every ConnectedSolutions row, and none whose rule is unknown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from revere.core.errors import RevereError
from revere.settle.evaluate import EVALUATORS, Example, evaluate, parse_examples
from revere.settle.rules import load_rulebook

SHARED = Path(os.environ.get("REVERE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
EXAMPLES = SHARED / "facts" / "examples.json"
ROWS = [row for row in parse_examples(EXAMPLES.read_text()) if row.id.startswith("CS-")] if EXAMPLES.is_file() else []


@pytest.mark.skipif(not ROWS, reason="facts/examples.json is not here (set REVERE_SHARED)")
def test_the_table_has_its_rows_and_their_rules() -> None:
    assert len(ROWS) >= 14
    assert not {row.rule for row in ROWS} - set(EVALUATORS)


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_connectedsolutions_row(row: Example) -> None:
    result = evaluate(row, load_rulebook())
    assert result.outcome == "passed", result.differences


def test_a_wrong_expectation_fails_and_an_unknown_rule_is_skipped() -> None:
    inputs = {"events": [{"n": 40, "kw": 5}], "rate_usd_per_kw": 275, "mean": "events"}
    wrong = Example(id="x", rule="connectedsolutions_res", inputs=inputs, expected={"usd": 1375.01, "mean_kw": 5})
    assert evaluate(wrong, load_rulebook()).outcome == "failed"
    unknown = Example(id="x", rule="tidal_power", inputs=inputs, expected={"usd": 1})
    assert evaluate(unknown, load_rulebook()).outcome == "skipped"
    nameless = Example(id="x", rule="connectedsolutions_res", inputs=inputs, expected={"eur": 1})
    assert evaluate(nameless, load_rulebook()).differences == ("eur: got None, expected 1",)


@pytest.mark.parametrize(
    ("inputs", "rule", "word"),
    [
        ({"events": [], "rate_usd_per_kw": 275, "mean": "days"}, "connectedsolutions_res", "mean"),
        ({"events": [], "rate_usd_per_kw": 275, "mean": "hours", "cap": 3}, "connectedsolutions_res", "cap"),
        ({"events": [{"n": 1, "kw": 5}], "rate_usd_per_kw": 1, "mean": "hours"}, "connectedsolutions_res", "length"),
        ({"version": "RES-v9", "start": "2026-07-07T15:00", "hours": 3}, "connectedsolutions_event_check", "RES-v9"),
        ({"version": "RES-v2", "start": "noon", "hours": 3}, "connectedsolutions_event_check", "noon"),
    ],
)
def test_inputs_that_a_rule_does_not_take_are_refused(inputs: dict[str, object], rule: str, word: str) -> None:
    with pytest.raises(RevereError, match=word):
        evaluate(Example(id="x", rule=rule, inputs=inputs, expected={"usd": 0}), load_rulebook())


def test_a_broken_example_file_is_refused() -> None:
    for text in ('{"rows": []}', "[]", '{"examples": [{"id": "x"}]}', "{"):
        with pytest.raises(RevereError, match="example file"):
            parse_examples(text)
