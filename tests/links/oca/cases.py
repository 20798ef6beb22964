"""Marks that tie a test to the rule that it plays; ``tools/conformance.py`` reads them and writes docs/conformance.md.

They are read from the source, so their arguments are plain texts::

    @case("TC_B_01_CSMS", steps="1-2 boot answered accepted; 3-6 status of both connectors answered")
    def test_tc_b_01() -> None: ...

    untested("TC_A_99_CSMS", why="the step that cannot be played")

    @own("Q04", rule="a setpoint lies between dischargeLimit and limit", source="V2X.05, facts")
    def test_q04_setpoint_in_its_limits() -> None: ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def case(case_id: str, *, steps: str) -> Callable[[T], T]:
    """A test of the Open Charge Alliance's list, and the steps that it plays, in our words."""
    assert case_id.startswith("TC_"), case_id
    assert steps, case_id
    return _same


def own(block: str, *, rule: str, source: str) -> Callable[[T], T]:
    """A test of ours for a block without such a list: the rule, and where it stands (or *inferred*)."""
    assert block, rule
    assert rule, block
    assert source, rule
    return _same


def untested(case_id: str, *, why: str) -> None:
    """A case that cannot be played, and the step that makes it so."""
    assert case_id.startswith("TC_"), case_id
    assert why, case_id


def _same(test: T) -> T:
    return test
