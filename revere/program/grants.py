"""Grants: what the programme gives to whom, in exact dollars, and whether it reaches who it is for."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from revere.core.assets import SiteKind
from revere.core.errors import RevereError
from revere.core.ids import ParticipantId
from revere.program.equity import Attribution, EjStatus, EquityShare, Funded, equity_share

if TYPE_CHECKING:
    from collections.abc import Iterable

    from revere.core.assets import Participant
    from revere.program.block_groups import BlockGroups


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Money given to a participant."""

    participant_id: ParticipantId
    usd: Decimal
    purpose: str = ""


class FundingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's funds beside its status, the letters behind it and how it was attributed."""

    participant_id: ParticipantId
    name: str
    kind: SiteKind
    usd: Decimal
    block_group: str
    ej: EjStatus
    criteria: str
    attribution: Attribution


class Funding(msgspec.Struct, frozen=True, kw_only=True):
    """All funds: a row for each participant, the sum, and the equity share."""

    rows: tuple[FundingRow, ...]
    total_usd: Decimal
    equity: EquityShare


def grants_of(participants: Iterable[Participant]) -> tuple[Grant, ...]:
    """The registry's grants; a participant with none has none, not one of 0."""
    return tuple(Grant(participant_id=item.id, usd=item.grant_usd) for item in participants if item.grant_usd)


def grants_by_participant(grants: Iterable[Grant]) -> dict[ParticipantId, Decimal]:
    """Sum of each participant's grants. Raises ``RevereError`` for a negative one."""
    sums: dict[ParticipantId, Decimal] = {}
    for grant in grants:
        if grant.usd < 0:
            raise RevereError(
                "a grant is negative",
                where=grant.participant_id,
                got=grant.usd,
                expected="0 or more",
                remedy="Correct the grant",
            )
        sums[grant.participant_id] = sums.get(grant.participant_id, Decimal(0)) + grant.usd
    return sums


def total_usd(grants: Iterable[Grant]) -> Decimal:
    """Sum of all grants."""
    return sum(grants_by_participant(grants).values(), Decimal(0))


def funding(participants: Iterable[Participant], grants: Iterable[Grant], block_groups: BlockGroups) -> Funding:
    """Who got what and how much of it went to environmental-justice communities.

    Every participant is attributed to its own block group; without one, or one not in the data, its status is
    unknown and counts as not EJ. Raises ``RevereError`` for a grant to nobody.
    """
    sums = grants_by_participant(grants)
    people = {item.id: item for item in participants}
    nobody = sorted(set(sums) - set(people))
    if nobody:
        raise RevereError(
            "a grant names no participant", got=nobody[0], expected="a participant's id", remedy="Register it first"
        )
    rows = []
    for person in people.values():
        verdict = block_groups.verdict(person.block_group)
        rows.append(
            FundingRow(
                participant_id=person.id,
                name=person.name,
                kind=person.kind,
                usd=sums.get(person.id, Decimal(0)),
                block_group=person.block_group,
                ej=verdict.ej,
                criteria=verdict.criteria,
                attribution="block_group",
            )
        )
    share = equity_share(Funded(name=row.name, usd=row.usd, ej=row.ej, attribution=row.attribution) for row in rows)
    return Funding(rows=tuple(rows), total_usd=share.total_usd, equity=share)
