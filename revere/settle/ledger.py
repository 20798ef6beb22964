"""Ledger lines: immutable postings of energy and money, each pointing to its readings and its rule.

Integer watt-hours in two registers, integer cents, never an edit: what turns out different later is posted as a line
of its own. *Expected*, *confirmed* and *paid* are three figures of three parties and are never added up.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from revere.core.errors import RevereError
from revere.core.ids import GridEventId, ParticipantId, ProgramId, SiteId

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["expected", "confirmed", "paid"]
Kind = Literal["performance", "correction", "provider_share", "programme_share"]

PARTICIPANT_KINDS: tuple[Kind, ...] = ("performance", "correction")


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """A reading that a line rests on: asset, moment, each register's revision and Wh (None where it had none)."""

    asset_id: str
    ts: dt.datetime
    import_rev: int | None
    export_rev: int | None
    import_wh: int | None
    export_wh: int | None


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One posting. ``cents`` is what the line adds to the participant's (or a share's) expected season payment.

    ``key`` is the same whenever the same posting is made again, so that a crash between settling and posting posts
    nothing twice; a correction has one of its own. ``rule`` is the reference of the version that it was made under;
    Wh are those of good intervals alone.
    """

    key: str
    statement_id: str
    participant_id: ParticipantId
    site_id: SiteId
    grid_event_id: GridEventId
    program_id: ProgramId
    kind: Kind
    import_wh: int
    export_wh: int
    cents: int
    state: State
    rule: str
    evidence: tuple[Evidence, ...] = ()


def to_fields(line: LedgerLine) -> dict[str, Any]:
    """A line's fields for the store, with the evidence as JSON values under ``readings``."""
    fields = {name: getattr(line, name) for name in line.__struct_fields__}
    fields["evidence"] = {"readings": msgspec.to_builtins(line.evidence)}
    return fields


def from_fields(fields: Mapping[str, Any]) -> LedgerLine:
    """The line of a stored entry's fields; those that only the store knows (posted_at, seq, hashes) are left out.

    Raises ``RevereError`` for an entry that is not a line of settlement.
    """
    own = {name: fields.get(name) for name in LedgerLine.__struct_fields__}
    own["evidence"] = (fields.get("evidence") or {}).get("readings", [])
    try:
        return msgspec.convert(own, LedgerLine)
    except msgspec.ValidationError as fault:
        raise RevereError(
            f"a ledger entry is not a line of settlement: {fault}", where=str(fields.get("key")), got=fields.get("kind")
        ) from fault


def statement_id_of(participant_id: ParticipantId, period: str) -> str:
    """The identifier of a participant's month (``2023-09``)."""
    return f"{participant_id}:{period}"


def period_of(day: dt.date) -> str:
    """The month of a local date, ``2023-09``."""
    return day.strftime("%Y-%m")
