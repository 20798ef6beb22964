"""Enrolment: which site is in which program that pays, under which rule, and why not.

Decided by the meter account's electric utility, never by the town: a customer of a municipal light plant cannot enrol
in an investor-owned utility's program (programme.md 0.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from revere.core.assets import Participant, program_of
from revere.core.errors import Refused
from revere.core.ids import ParticipantId, ProgramId, SiteId
from revere.settle.rules import Rule

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from revere.core.assets import Fleet, Program, Site
    from revere.settle.rules import Rulebook


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A site's standing: the program and rule that pay it, or ``why_not``."""

    site_id: SiteId
    participant_id: ParticipantId
    utility: str
    utility_account: str
    program_id: ProgramId | None = None
    rule: Rule | None = None
    why_not: str = ""

    @property
    def enrolled(self) -> bool:
        """Whether a program pays for what the site gives."""
        return self.rule is not None


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A participant and where its sites stand."""

    participant: Participant
    standings: tuple[Enrolment, ...]


def enrolment_of(
    site: Site,
    programs: tuple[Program, ...],
    book: Rulebook,
    on_date: dt.date,
    enrolled_on: dt.date | None = None,
) -> Enrolment:
    """The standing of a site on a local date; ``enrolled_on`` keeps a rate that was locked at enrolment."""
    program = program_of(site, programs)
    rule: Rule | None = None
    why_not = ""
    if site.utility_kind == "municipal_light_plant":
        why_not = f"{site.utility} is a municipal light plant: not an eligible distribution company"
    elif not site.utility_account.strip():
        why_not = "no utility account: a program enrols an account, not a place"
    elif program is None:
        why_not = f"no program here is open to a {site.kind} with {site.utility}"
    else:
        try:
            rule = book.rule_for(program.rule, site.utility, on_date, enrolled_on)
        except Refused as refusal:
            why_not = refusal.text()
    return Enrolment(
        site_id=site.id,
        participant_id=site.participant_id,
        utility=site.utility,
        utility_account=site.utility_account,
        program_id=program.id if program and rule else None,
        rule=rule,
        why_not=why_not,
    )


def enrolments(
    fleet: Fleet, book: Rulebook, on_date: dt.date, enrolled_on: Mapping[SiteId, dt.date] | None = None
) -> tuple[Enrolment, ...]:
    """The standing of every site of a fleet, in the fleet's order."""
    dates = enrolled_on or {}
    return tuple(enrolment_of(site, fleet.programs, book, on_date, dates.get(site.id)) for site in fleet.sites)


def members_of(fleet: Fleet, standings: Iterable[Enrolment]) -> tuple[Member, ...]:
    """Each participant with the standing of its sites, in the fleet's order; without a site it is there with none."""
    by_participant: dict[ParticipantId, list[Enrolment]] = {}
    for standing in standings:
        by_participant.setdefault(standing.participant_id, []).append(standing)
    return tuple(
        Member(participant=person, standings=tuple(by_participant.get(person.id, ()))) for person in fleet.participants
    )


def enrolled_sites(standings: Iterable[Enrolment], program_id: ProgramId) -> tuple[SiteId, ...]:
    """Sites that count towards a program's events."""
    return tuple(item.site_id for item in standings if item.enrolled and item.program_id == program_id)
