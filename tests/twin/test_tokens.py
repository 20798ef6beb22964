"""A strict station's list of tokens, and what it does with it while nobody can be asked."""

from __future__ import annotations

import pytest

from revere.twin.tokens import ENTRIES_MAX, PER_MESSAGE, TokenList

GOOD, BAD = "Accepted", "Blocked"


def holding(*tokens: str) -> TokenList:
    made = TokenList()
    assert made.take(5, [(token, GOOD) for token in tokens], full=True) == "Accepted"
    return made


@pytest.mark.parametrize(
    ("version", "entries", "full", "word", "held"),
    [
        (6, [("B", GOOD)], False, "Accepted", {"a", "b"}),
        (6, [("A", None)], False, "Accepted", set()),
        (6, [("A", None), ("B", BAD)], False, "Accepted", {"b"}),
        (6, [("C", None)], False, "Accepted", {"a"}),
        (5, [("B", GOOD)], False, "VersionMismatch", {"a"}),
        (4, [("B", GOOD)], True, "Accepted", {"b"}),
        (9, [], True, "Accepted", set()),
        (0, [], True, "Failed", {"a"}),
        (6, [("B", None)], True, "Failed", {"a"}),
        (6, [("B", GOOD), ("b", BAD)], False, "Failed", {"a"}),
        (6, [(f"T{n}", GOOD) for n in range(PER_MESSAGE + 1)], False, "Failed", {"a"}),
    ],
)
def test_a_message_is_taken_whole_or_not_at_all(
    version: int, entries: list[tuple[str, str | None]], full: bool, word: str, held: set[str]
) -> None:
    tokens = holding("A")
    assert tokens.take(version, entries, full=full) == word
    assert set(tokens.held) == held
    assert tokens.version == (version if word == "Accepted" else 5)


def test_a_full_memory_takes_no_more() -> None:
    tokens = TokenList()
    rows = [(f"T{n}", GOOD) for n in range(ENTRIES_MAX + 1)]
    words = [
        tokens.take(1 + start, rows[start : start + PER_MESSAGE], full=False)
        for start in range(0, len(rows), PER_MESSAGE)
    ]
    assert words == ["Accepted"] * (len(words) - 1) + ["Failed"]


def test_offline_the_list_decides_where_there_is_one() -> None:
    assert TokenList().lets_charge("anybody")
    tokens = holding("A")
    tokens.take(6, [("B", BAD)], full=False)
    assert [tokens.lets_charge(token) for token in ("a", "A", "B", "C")] == [True, True, False, False]
