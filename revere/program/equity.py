"""Environmental justice: the status of a block group from its criteria, and the share of the funds that reaches them.

Status is yes, no or unknown, computed from criteria and never read from a flag (chapter 8 of the Acts of 2021;
programme.md d). Everything is exact decimals: a third is not a binary fraction.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import msgspec

from revere.core.errors import RevereError

if TYPE_CHECKING:
    from collections.abc import Iterable

EjStatus = Literal["yes", "no", "unknown"]
Attribution = Literal["block_group", "population_served"]

INCOME_LIMIT = Decimal("0.65")
MINORITY_ALONE = Decimal("0.40")
MINORITY_WITH_TOWN = Decimal("0.25")
TOWN_INCOME_LIMIT = Decimal("1.50")
LIMITED_ENGLISH = Decimal("0.25")
ONE_THIRD = Fraction(1, 3)


class EjInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the criteria look at: median household incomes in dollars, shares as fractions 0 to 1; None is unknown."""

    statewide_income: Decimal | None
    income: Decimal | None
    minority: Decimal | None
    limited_english: Decimal | None
    town_income: Decimal | None


class EjVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The status, the letters of the criteria that hold (published order I, E, M), and what could not be told."""

    ej: EjStatus
    criteria: str = ""
    undecided: tuple[str, ...] = ()


class Funded(msgspec.Struct, frozen=True, kw_only=True):
    """Funds to one recipient, its status, and how a school or municipal site is attributed to it."""

    name: str
    usd: Decimal
    ej: EjStatus
    attribution: Attribution = "block_group"


class EquityShare(msgspec.Struct, frozen=True, kw_only=True):
    """Funds to environmental-justice recipients against all funds. ``unknown_usd`` is counted as not EJ (assumption).

    ``more_than_one_third`` is strict, and None while there are no funds to share.
    """

    ej_usd: Decimal
    not_ej_usd: Decimal
    unknown_usd: Decimal
    total_usd: Decimal
    more_than_one_third: bool | None

    def share(self) -> Fraction | None:
        """The exact share, None without funds."""
        return Fraction(self.ej_usd) / Fraction(self.total_usd) if self.total_usd else None

    def words(self) -> str:
        """The answer for a reader: ``36.2 % of $1,000: more than one third``."""
        share = self.share()
        if share is None:
            return "no funds yet"
        verdict = "more than one third" if self.more_than_one_third else "not more than one third"
        unknown = (
            f" ({self.unknown_usd:,.2f} $ to recipients of unknown status count as not EJ)" if self.unknown_usd else ""
        )
        tenths = round(share * 1000)
        return f"{tenths // 10}.{tenths % 10} % of {self.total_usd:,.2f} $: {verdict}{unknown}"


def ej_status(inputs: EjInputs) -> EjVerdict:
    """Whether a block group is an environmental-justice population: any one of four criteria is enough.

    A missing value makes its criteria undecided. One criterion that holds decides yes; unknown is left only where a
    missing value could decide.
    """
    income = _at_most(inputs.income, _times(inputs.statewide_income, INCOME_LIMIT))
    english = _at_least(inputs.limited_english, LIMITED_ENGLISH)
    alone = _at_least(inputs.minority, MINORITY_ALONE)
    with_town = _both(
        _at_least(inputs.minority, MINORITY_WITH_TOWN),
        _at_most(inputs.town_income, _times(inputs.statewide_income, TOWN_INCOME_LIMIT)),
    )
    minority = True if alone or with_town else (None if alone is None or with_town is None else False)
    found = (("I", income, "income"), ("E", english, "limited English"), ("M", minority, "minority"))
    criteria = "".join(letter for letter, holds, _ in found if holds)
    undecided = tuple(name for _, holds, name in found if holds is None)
    status: EjStatus = "yes" if criteria else ("unknown" if undecided else "no")
    return EjVerdict(ej=status, criteria=criteria, undecided=undecided)


def more_than_one_third(ej_usd: Decimal, total_usd: Decimal) -> bool | None:
    """Whether EJ funds are strictly more than a third of all; None without funds.

    Raises ``RevereError`` for negative amounts or more EJ funds than funds.
    """
    if not 0 <= ej_usd <= total_usd:
        raise RevereError(
            "funds do not add up",
            got=f"{ej_usd} $ of {total_usd} $",
            expected="0 or more, and no more than the total",
            remedy="Correct the grants",
        )
    return Fraction(ej_usd) / Fraction(total_usd) > ONE_THIRD if total_usd else None


def equity_share(funded: Iterable[Funded]) -> EquityShare:
    """The share of all funds that goes to environmental-justice recipients; unknown counts as not EJ (conservative)."""
    sums: dict[EjStatus, Decimal] = {"yes": Decimal(0), "no": Decimal(0), "unknown": Decimal(0)}
    for item in funded:
        if item.usd < 0:
            raise RevereError("a grant is negative", where=item.name, got=item.usd, expected="0 or more")
        sums[item.ej] += item.usd
    total_usd = sum(sums.values(), Decimal(0))
    return EquityShare(
        ej_usd=sums["yes"],
        not_ej_usd=sums["no"],
        unknown_usd=sums["unknown"],
        total_usd=total_usd,
        more_than_one_third=more_than_one_third(sums["yes"], total_usd),
    )


def _times(value: Decimal | None, factor: Decimal) -> Decimal | None:
    """A product, None where the value is unknown."""
    return None if value is None else value * factor


def _at_most(value: Decimal | None, limit: Decimal | None) -> bool | None:
    """``value <= limit``, None where either is unknown."""
    return None if value is None or limit is None else value <= limit


def _at_least(value: Decimal | None, limit: Decimal) -> bool | None:
    """``value >= limit``, None where unknown."""
    return None if value is None else value >= limit


def _both(one: bool | None, two: bool | None) -> bool | None:
    """Both hold; one that does not decides, else an unknown leaves it open."""
    if one is False or two is False:
        return False
    return None if one is None or two is None else True
