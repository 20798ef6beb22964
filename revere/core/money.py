"""Money and energy as integers: rounding happens once, at posting, half to even."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def to_cents(usd: Decimal) -> int:
    """Whole cents of a dollar amount, rounded half to even."""
    return int((usd * 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def usd_text(cents: int) -> str:
    """``-1234567`` becomes ``-$12,345.67``."""
    sign = "-" if cents < 0 else ""
    return f"{sign}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def split_cents(total_cents: int, weights: Sequence[Decimal]) -> list[int]:
    """Split a sum by weight so that the parts add up exactly (largest remainder, ties to the first).

    Raises ``ValueError`` for negative weights or a weight sum of zero.
    """
    weight_sum = sum(weights, Decimal(0))
    if weight_sum <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("weights must be non-negative with a positive sum")
    sign = -1 if total_cents < 0 else 1
    exact = [abs(total_cents) * weight / weight_sum for weight in weights]
    parts = [int(share) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in by_remainder[: abs(total_cents) - sum(parts)]:
        parts[i] += 1
    return [sign * part for part in parts]
