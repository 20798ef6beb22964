"""Write docs/conformance.md from the marks on our tests: ``python tools/conformance.py``.

The list of cases stands in tests/links/oca/cases.tsv, in our words; the marks are those of tests/links/oca/cases.py,
read from the source of every test below tests/links. A case without a mark is told as not yet played.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests/links"
CASES = TESTS / "oca/cases.tsv"
PAGE = ROOT / "docs/conformance.md"
BLOCKS = {
    "A": "Security",
    "B": "Provisioning",
    "C": "Authorization",
    "E": "Transactions",
    "F": "Remote control",
    "G": "Availability",
    "J": "Meter values",
    "L": "Firmware",
    "M": "Certificates",
    "N": "Diagnostics",
    "P": "Data transfer",
}
HEAD = """\
# Conformance

<!-- Made by `python tools/conformance.py`. Change the tests, not this page. -->

**Self-run, by our own tests, in every run of `make test`.** Nobody else has judged it.

Each case of the Open Charge Alliance's list for an OCPP 2.0.1 management system (Core and Advanced Security, edition of
2023-06-30) is one test: a station written by hand speaks real frames to our server over a loopback socket, and the test
judges what the server answers and asks (against the official schema too), the facts that it records and how it stands
afterwards. What a case checks is told in our words; (-) marks a negative one.
"""


@dataclass
class Marks:
    """What the tests say of themselves."""

    played: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Case to (steps, test)."""
    untested: dict[str, str] = field(default_factory=dict)
    own: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(block, rule, source, test)."""


def cases() -> dict[str, str]:
    """Every id of the list with what it checks."""
    return dict(line.split("\t", 1) for line in CASES.read_text().splitlines())


def _words(call: ast.Call) -> dict[str, str]:
    """A mark's arguments by name, the first one as ``id``."""
    words = {"id": ast.literal_eval(call.args[0])}
    words.update({str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords})
    return words


def _calls(nodes: list[ast.expr]) -> Iterator[tuple[str, dict[str, str]]]:
    for node in nodes:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("case", "own", "untested")
        ):
            yield node.func.id, _words(node)


def read() -> Marks:
    """The marks of every test; a case marked twice is an error."""
    marks = Marks()
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Expr):
                for _, words in _calls([node.value]):
                    marks.untested[words["id"]] = words["why"]
            if not isinstance(node, ast.FunctionDef):
                continue
            if not node.name.startswith("test_") and any(True for _ in _calls(node.decorator_list)):
                raise ValueError(f"{path.name}: {node.name} is marked and no test")
            test = f"{path.relative_to(ROOT).as_posix()}::{node.name}"
            for kind, words in _calls(node.decorator_list):
                if kind == "own":
                    marks.own.append((words["id"], words["rule"], words["source"], test))
                    continue
                if words["id"] in marks.played:
                    raise ValueError(f"{words['id']} is played by {marks.played[words['id']][1]} and by {test}")
                marks.played[words["id"]] = (words["steps"], test)
    return marks


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(case_id: str, checks: str, marks: Marks) -> str:
    if case_id in marks.played:
        steps, test = marks.played[case_id]
        name = test.rsplit("::", 1)[1]
        return f"| {case_id} | {_cell(checks)} | {_cell(steps)} | played: `{name}` |"
    if case_id in marks.untested:
        return f"| {case_id} | {_cell(checks)} | – | **not tested**: {_cell(marks.untested[case_id])} |"
    return f"| {case_id} | {_cell(checks)} | – | **not yet played** |"


def page() -> str:
    """The page as the tests stand."""
    marks, listed = read(), cases()
    unknown = sorted({*marks.played, *marks.untested} - listed.keys())
    if unknown:
        raise ValueError(f"no such case: {', '.join(unknown)}")
    cannot = f"{len(marks.untested)} cannot be" if marks.untested else "none is left out"
    parts = [f"{HEAD}\n**{len(marks.played)} of {len(listed)} cases are played, {cannot}.**\n"]
    for letter, title in BLOCKS.items():
        mine = {case_id: checks for case_id, checks in listed.items() if case_id.startswith(f"TC_{letter}_")}
        played = sum(1 for case_id in mine if case_id in marks.played)
        parts.append(
            f"\n## {letter} {title}: {played} of {len(mine)} played\n\n| case | checks | steps played | result |"
        )
        parts.append("|---|---|---|---|")
        parts += [_row(case_id, checks, marks) for case_id, checks in mine.items()]
    if marks.own:
        parts.append(
            "\n## Rules of our own list\n\nFor the blocks that have no such list.\n\n| block | rule | source | test |"
        )
        parts.append("|---|---|---|---|")
        parts += [
            f"| {block} | {_cell(rule)} | {_cell(source)} | `{test.rsplit('::', 1)[1]}` |"
            for block, rule, source, test in sorted(marks.own)
        ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} written\n")
