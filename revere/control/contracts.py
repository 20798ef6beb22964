"""What the rulebook says of a call, for those who plan it and those who answer it: rules, worth, terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core.assets import program_of
from revere.core.errors import Refused
from revere.core.time import local
from revere.settle.connectedsolutions import check_event
from revere.settle.statement import declined_words as declined_under

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from revere.control.event_image import EventImage
    from revere.core.assets import Fleet, Program
    from revere.core.ids import ProgramId, SiteId
    from revere.settle.rules import Rule, Rulebook


def called_programs(fleet: Fleet, called: ProgramId | None) -> tuple[Program, ...]:
    """The contracts that a call of ``called`` reaches: all of the same OpenADR program (None: every contract)."""
    openadr = {program.openadr_program for program in fleet.programs if called in (None, program.id)}
    return tuple(program for program in fleet.programs if program.openadr_program in openadr)


def baseline_of(fleet: Fleet, rulebook: Rulebook, called: ProgramId | None, day: dt.date) -> str:
    """What baseline counts on a local date in the contracts that a call of ``called`` reaches (None: in all)."""
    names: set[str] = set()
    for program in called_programs(fleet, called):
        for utility in program.utilities:
            try:
                names.add(rulebook.rule_for(program.rule, utility, day).version.baseline)
            except Refused:
                continue  # not this utility's customers, or not at this time: they settle under no rule either
    return ", ".join(sorted(names - {"none"} or names))


def site_rules(fleet: Fleet, rulebook: Rulebook, event: EventImage) -> dict[SiteId, Rule]:
    """The rule under which each called site is paid on the event's local date; a site that none pays is left out."""
    programs = called_programs(fleet, event.program_id)
    day = local(event.start, fleet.programme.zone).date()
    found = {}
    for site in fleet.sites:
        program = program_of(site, fleet.programs)
        if program is None or program not in programs:
            continue
        try:
            found[site.id] = rulebook.rule_for(program.rule, site.utility, day)
        except Refused:
            continue
    return found


def _versions(fleet: Fleet, rulebook: Rulebook, event: EventImage) -> Iterator[Rule]:
    """The rules of a call, each once, in the sites' order."""
    yield from {rule.version.key: rule for rule in site_rules(fleet, rulebook, event).values()}.values()


def objections(fleet: Fleet, rulebook: Rulebook, event: EventImage) -> list[str]:
    """What the rules have against an event, in words; how many were called before it is left to settlement."""
    found = []
    for rule in _versions(fleet, rulebook, event):
        check = check_event(
            rule,
            rulebook.calendar(rule.version.holiday_calendar),
            start_local=local(event.start, rule.zone),
            end_local=local(event.end, rule.zone),
        )
        found += [f"{rule.version.key}: {text}" for _, text in check.reasons]
    return found or ([] if site_rules(fleet, rulebook, event) else ["no rule in force pays a site that it reaches"])


def declined_words(fleet: Fleet, rulebook: Rulebook, event: EventImage) -> list[str]:
    """What declining an event costs, by rule and by what authority."""
    rules = list(_versions(fleet, rulebook, event))
    return [declined_under(rule) for rule in rules] or ["no rule pays for it, so it costs nothing"]
