"""The committed page of conformance says what the tests play."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))
conformance = import_module("conformance")

UNTESTED_MAX = 5


def test_the_list_is_whole() -> None:
    listed = conformance.cases()
    assert len(listed) == 135
    assert {case_id.split("_")[1] for case_id in listed} == set(conformance.BLOCKS)


def test_the_committed_page_is_current() -> None:
    assert conformance.PAGE.read_text() == conformance.page(), "docs/conformance.md is old: make conformance"


def test_every_case_is_played_or_said_to_be_impossible() -> None:
    marks = conformance.read()
    assert conformance.cases().keys() - marks.played.keys() - marks.untested.keys() == set()


def test_a_test_of_a_case_bears_its_id() -> None:
    marks = conformance.read()
    wrong = {
        case_id: test
        for case_id, (_, test) in marks.played.items()
        if not test.rsplit("::", 1)[1].startswith(f"test_{case_id.removesuffix('_CSMS').lower()}")
    }
    assert wrong == {}


def test_what_cannot_be_played_says_why_and_is_rare() -> None:
    marks = conformance.read()
    assert len(marks.untested) <= UNTESTED_MAX
    assert not marks.untested.keys() & marks.played.keys()
