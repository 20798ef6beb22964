"""The state's 2020 census block groups with the inputs of the environmental-justice criteria, from the published CSV.

The file's own flags are kept for comparison and never used. A row that cannot be read is refused, counted and
explained; a value that is missing stays missing.
"""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from revere.core.assets import BlockGroupInputs
from revere.core.errors import RevereError
from revere.program.equity import EjInputs, EjStatus, EjVerdict, ej_status

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT_MAX_CHARS = 20_000_000
ROWS_MAX = 300_000
REFUSALS_KEPT = 100
COLUMNS = ("GEOID", "MUNI", "minorityPctE", "limitEngpctE", "medHHincE", "medHHincMA", "medHHincMUNIE")
_GEOID = re.compile(r"\d{12}\Z")


class BlockGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A block group: its town, the criteria's inputs, the verdict computed from them, and the file's flag beside it."""

    geoid: str
    town: str
    inputs: EjInputs
    verdict: EjVerdict
    published: str = ""
    published_criteria: str = ""


class RefusedRow(NamedTuple):
    """A row that was not read: its line in the file and why."""

    line: int
    why: str


class BlockGroups(msgspec.Struct, frozen=True, kw_only=True):
    """What a file held: block groups by GEOID, and the refused rows (all counted, the first ``REFUSALS_KEPT`` told)."""

    groups: dict[str, BlockGroup]
    refused_rows: int
    refused: tuple[RefusedRow, ...]
    without_income: int

    def verdict(self, geoid: str) -> EjVerdict:
        """The verdict of a block group; unknown for one that the file does not have."""
        group = self.groups.get(geoid)
        return group.verdict if group else EjVerdict(ej="unknown", undecided=("block group not in the data",))


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Block groups by status."""

    yes: int
    no: int
    unknown: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.yes + self.no + self.unknown


def block_groups_of(entries: Iterable[BlockGroupInputs]) -> BlockGroups:
    """The block groups of the registry, judged by the same criteria (checked when they were read)."""
    groups = {}
    for entry in entries:
        inputs = EjInputs(
            statewide_income=entry.statewide_income_usd,
            income=entry.income_usd,
            minority=entry.minority,
            limited_english=entry.limited_english,
            town_income=entry.town_income_usd,
        )
        groups[entry.id] = BlockGroup(geoid=entry.id, town="", inputs=inputs, verdict=ej_status(inputs))
    without_income = sum(1 for group in groups.values() if group.inputs.income is None)
    return BlockGroups(groups=groups, refused_rows=0, refused=(), without_income=without_income)


def inputs_of(groups: BlockGroups, geoids: Iterable[str], source: str) -> tuple[BlockGroupInputs, ...]:
    """What a file holds of these block groups, for the registry; one that it lacks is left out."""
    found = []
    for geoid in dict.fromkeys(geoids):
        if geoid in groups.groups:
            inputs = groups.groups[geoid].inputs
            found.append(
                BlockGroupInputs(
                    id=geoid,
                    income_usd=inputs.income,
                    minority=inputs.minority,
                    limited_english=inputs.limited_english,
                    town_income_usd=inputs.town_income,
                    statewide_income_usd=inputs.statewide_income,
                    source=source,
                )
            )
    return tuple(found)


class _RowError(ValueError):
    """Why a row is refused."""


def load_block_groups(text: str) -> BlockGroups:
    """Read the CSV as published. Raises ``RevereError`` for a file that is too large or lacks a column."""
    if len(text) > TEXT_MAX_CHARS:
        raise RevereError(
            "the block-group file is too large", got=f"{len(text)} characters", expected=f"at most {TEXT_MAX_CHARS}"
        )
    rows = csv.DictReader(io.StringIO(text))
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise RevereError(
            "the block-group file lacks columns",
            got=", ".join(rows.fieldnames or ()) or "no header",
            expected=", ".join(COLUMNS),
            remedy=f"Add {', '.join(missing)}",
        )
    groups: dict[str, BlockGroup] = {}
    refused: list[RefusedRow] = []
    refused_rows = 0
    for number, row in enumerate(rows):
        if number >= ROWS_MAX:
            raise RevereError("the block-group file has too many rows", got=f"over {ROWS_MAX}", expected=ROWS_MAX)
        try:
            group = _block_group(row)
            if group.geoid in groups:
                raise _RowError(f"GEOID {group.geoid} comes twice")
        except _RowError as fault:
            refused_rows += 1
            if len(refused) < REFUSALS_KEPT:
                refused.append(RefusedRow(rows.line_num, str(fault)))
            continue
        groups[group.geoid] = group
    without_income = sum(1 for group in groups.values() if group.inputs.income is None)
    return BlockGroups(groups=groups, refused_rows=refused_rows, refused=tuple(refused), without_income=without_income)


def tally(groups: Iterable[BlockGroup], town: str | None = None) -> Tally:
    """Block groups by status, of a town or of all."""
    counts: dict[EjStatus, int] = {"yes": 0, "no": 0, "unknown": 0}
    for group in groups:
        if town is None or group.town == town:
            counts[group.verdict.ej] += 1
    return Tally(yes=counts["yes"], no=counts["no"], unknown=counts["unknown"])


def _block_group(row: dict[str, str]) -> BlockGroup:
    """One row, or ``_RowError``."""
    geoid = (row["GEOID"] or "").strip()
    if not _GEOID.match(geoid):
        raise _RowError(f"GEOID {geoid!r} is not 12 digits")
    inputs = EjInputs(
        statewide_income=_amount(row, "medHHincMA"),
        income=_amount(row, "medHHincE"),
        minority=_share(row, "minorityPctE"),
        limited_english=_share(row, "limitEngpctE"),
        town_income=_amount(row, "medHHincMUNIE"),
    )
    return BlockGroup(
        geoid=geoid,
        town=(row["MUNI"] or "").strip(),
        inputs=inputs,
        verdict=ej_status(inputs),
        published=row.get("EJ") or "",
        published_criteria=row.get("EJ_CRITERIA") or "",
    )


def _amount(row: dict[str, str], column: str) -> Decimal | None:
    """A non-negative number, None where the cell is empty."""
    text = (row[column] or "").strip()
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise _RowError(f"{column} {text[:40]!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise _RowError(f"{column} {text[:40]!r} is not an amount of 0 or more")
    return value


def _share(row: dict[str, str], column: str) -> Decimal | None:
    """A percentage as a fraction, exactly."""
    percent = _amount(row, column)
    if percent is None:
        return None
    if percent > 100:
        raise _RowError(f"{column} {percent} is over 100 %")
    return percent.scaleb(-2)
