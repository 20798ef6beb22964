"""Ledger lines: immutable postings of energy and money, each pointing to its readings and its rule.

Integer watt-hours in two registers, integer cents, never an edit: what turns out different later is posted as a line
of its own. *Expected*, *confirmed* and *paid* are three figures of three parties and are never added up.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from revere.core.ids import GridEventId, ParticipantId, ProgramId, SiteId

State = Literal["expected", "confirmed", "paid"]
Kind = Literal["performance", "correction", "provider_share", "programme_share"]

PARTICIPANT_KINDS: tuple[Kind, ...] = ("performance", "correction")


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """A reading that a line rests on: asset, moment, revision and both registers in Wh (None where it had none)."""

    asset_id: str
    ts: dt.datetime
    rev: int
    import_wh: int | None
    export_wh: int | None


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One posting. ``cents`` is what the line adds to the participant's (or a share's) expected season payment.

    ``rule`` is the reference of the version that it was made under; Wh are those of good intervals alone.
    """

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


def statement_id_of(participant_id: ParticipantId, period: str) -> str:
    """The identifier of a participant's month (``2023-09``)."""
    return f"{participant_id}:{period}"


def period_of(day: dt.date) -> str:
    """The month of a local date, ``2023-09``."""
    return day.strftime("%Y-%m")
