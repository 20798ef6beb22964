"""Grants, the ledger's sums, and how much reaches environmental-justice communities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core.errors import Refused
from revere.core.money import to_cents
from revere.program.block_groups import block_groups_of
from revere.program.grants import funding, grants_of
from revere.settle.ledger import PARTICIPANT_KINDS
from revere.web.guide.groups import LABELS
from revere.web.guide.shapes import HOMES_LEAST, Equity, EquityRow, GroupMoney, Money

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.program.grants import FundingRow
    from revere.store.ledger import PostedLine
    from revere.store.reader import Reads
    from revere.web.guide.groups import Shown

LEDGER_MOST_LINES = 1_000_000
FEW_HOMES = f"Fewer than {HOMES_LEAST} homes take part; the share and the sums are of schools and towns alone."


async def read_ledger(reader: Reads) -> list[PostedLine]:
    """All lines, page by page. Raises ``Refused`` beyond ``LEDGER_MOST_LINES``: a part of them would be a wrong sum."""
    lines: list[PostedLine] = []
    while page := await reader.ledger(after_seq=lines[-1].seq if lines else 0):
        lines += page
        if len(lines) > LEDGER_MOST_LINES:
            raise Refused(
                "the ledger is too long for one guide",
                got=f"over {LEDGER_MOST_LINES:,} lines",
                expected="fewer",
                remedy="Statements and `revere audit` have no such bound",
            )
    return lines


def money_figures(shown: Shown, lines: Sequence[PostedLine], ledger_hash: str) -> Money:
    """Grants by kind of participant, and participants' sums by state (None: no line in that state)."""
    fleet = shown.fleet
    grants = []
    for kind, label in LABELS.items():
        people = [person for person in fleet.participants if person.kind == kind]
        if not people or (kind == "home" and len(people) < HOMES_LEAST):
            continue
        cents = [to_cents(person.grant_usd) for person in people]
        grants.append(
            GroupMoney(
                label=label, participants=len(people), grants_cents=sum(cents), granted=sum(one > 0 for one in cents)
            )
        )
    sums: dict[str, int] = {}
    for line in lines:
        if line.entry.kind in PARTICIPANT_KINDS:
            sums[line.entry.state] = sums.get(line.entry.state, 0) + line.entry.cents
    return Money(
        grants=tuple(grants),
        grants_cents=sum(to_cents(person.grant_usd) for person in fleet.participants),
        expected_cents=sums.get("expected"),
        confirmed_cents=sums.get("confirmed"),
        paid_cents=sums.get("paid"),
        lines=len(lines),
        ledger_hash=ledger_hash,
    )


def equity_figures(shown: Shown) -> Equity | None:
    """The equity share as ``program`` computes it; None where no census data are registered."""
    fleet = shown.fleet
    if not fleet.block_groups:
        return None
    found = funding(fleet.participants, grants_of(fleet.participants), block_groups_of(fleet.block_groups))
    share = found.equity.share()
    homes = [row for row in found.rows if row.kind == "home"]
    return Equity(
        share=None if share is None else float(share),
        more_than_one_third=found.equity.more_than_one_third,
        ej_cents=to_cents(found.equity.ej_usd),
        not_ej_cents=to_cents(found.equity.not_ej_usd),
        unknown_cents=to_cents(found.equity.unknown_usd),
        total_cents=to_cents(found.equity.total_usd),
        unknown=sum(row.ej == "unknown" for row in found.rows),
        participants=len(found.rows),
        rows=tuple(
            EquityRow(name=row.name, grant_cents=to_cents(row.usd), status=row.ej, criteria=row.criteria)
            for row in found.rows
            if row.kind != "home"
        ),
        homes_text=FEW_HOMES if shown.homes_left_out else _homes_text(homes),
        block_groups=len(fleet.block_groups),
    )


def _homes_text(homes: Sequence[FundingRow]) -> str:
    """The homes in one sentence: by status where each group is large enough, else as a whole."""
    if not homes:
        return "No home takes part."
    counts = {status: sum(row.ej == status for row in homes) for status in ("yes", "no", "unknown")}
    total = sum(to_cents(row.usd) for row in homes) // 100
    if any(0 < count < HOMES_LEAST for count in counts.values()):
        return (
            f"{len(homes)} homes received ${total:,} together. They are not split by status, "
            f"because a group would have fewer than {HOMES_LEAST} homes."
        )
    words = {"yes": "in environmental-justice communities", "no": "elsewhere", "unknown": "of unknown status"}
    parts = ", ".join(f"{count} {words[status]}" for status, count in counts.items() if count)
    return f"{len(homes)} homes received ${total:,} together: {parts}."
