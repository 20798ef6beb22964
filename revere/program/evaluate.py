"""Worked examples of the programme's own rules, beside those of settlement: one registry for table and tests."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from revere.program.equity import EjInputs, ej_status, more_than_one_third
from revere.settle import evaluate as settle_evaluate
from revere.settle.evaluate import Evaluator, Result, convert
from revere.settle.rules import Rulebook


class ShareInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Funds to environmental-justice participants, and all funds."""

    ej_usd: Decimal
    total_usd: Decimal


def _ej_status(raw: Mapping[str, Any], _book: Rulebook) -> Result:
    """Status and letters of a block group."""
    verdict = ej_status(convert(raw, EjInputs))
    return {"ej": verdict.ej, "criteria": verdict.criteria}


def _ej_share(raw: Mapping[str, Any], _book: Rulebook) -> Result:
    """Whether more than a third reaches environmental-justice participants."""
    inputs = convert(raw, ShareInputs)
    return {"more_than_one_third": more_than_one_third(inputs.ej_usd, inputs.total_usd)}


EVALUATORS: Mapping[str, Evaluator] = {
    **settle_evaluate.EVALUATORS,
    "ej_status": _ej_status,
    "ej_share": _ej_share,
}
