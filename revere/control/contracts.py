"""What the rulebook says of a call, for those who plan it and those who answer it: rules, worth, terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core.assets import program_of
from revere.core.errors import Refused
from revere.core.time import local
from revere.settle.connectedsolutions import check_event
from revere.settle.statement import declined_words

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from revere.control.event_image import EventImage
    from revere.core.assets import Fleet
    from revere.core.ids import ProgramId, SiteId
    from revere.settle.rules import Rule, Rulebook

DAYS_KEPT_MAX = 400


class Contracts:
    """The fleet's contracts by the rulebook, which neither changes while a server runs."""

    def __init__(self, fleet: Fleet, rulebook: Rulebook) -> None:
        self.fleet = fleet
        self.rulebook = rulebook
        self._rules: dict[tuple[ProgramId, dt.date], dict[SiteId, Rule]] = {}
        self._openadr = {program.id: program.openadr_program for program in fleet.programs}

    def site_rules(self, event: EventImage) -> Mapping[SiteId, Rule]:
        """The rule under which each called site is paid on the event's local date; a site that none pays is left out.

        A call reaches all contracts of its OpenADR program.
        """
        day = local(event.start, self.fleet.programme.zone).date()
        key = (event.program_id, day)
        if key not in self._rules:
            if len(self._rules) >= DAYS_KEPT_MAX:
                self._rules.clear()
            self._rules[key] = dict(self._paid(event.program_id, day))
        return self._rules[key]

    def _paid(self, called: ProgramId, day: dt.date) -> list[tuple[SiteId, Rule]]:
        found = []
        for site in self.fleet.sites:
            program = program_of(site, self.fleet.programs)
            if program is None or program.openadr_program != self._openadr.get(called):
                continue
            try:
                found.append((site.id, self.rulebook.rule_for(program.rule, site.utility, day)))
            except Refused:
                continue  # no rule in force then
        return found

    def rules(self, event: EventImage) -> tuple[Rule, ...]:
        """The rules of a call, each once, in the sites' order."""
        return tuple({rule.version.key: rule for rule in self.site_rules(event).values()}.values())

    def worth_usd_per_kwh(self, event: EventImage) -> dict[SiteId, float]:
        """What a kWh of relief in an event adds to the season's payment at each called site that a rule pays.

        A season pays its rate for the mean kW over its N events: one event pays rate / N a kW, and in an event of h
        hours a kWh is 1 / h kW of its mean. N is known after the season alone. Taken is the middle of what the rule
        allows, or the most where it names no least: an assumption that weighs plans and pays nothing. Bonuses for
        weekends are left out.
        """
        hours = (event.end - event.start).total_seconds() / 3600
        worth = {}
        for site_id, rule in self.site_rules(event).items():
            least, most = rule.version.events_least, rule.version.events_most
            events = (least + most) / 2 if least else most
            worth[site_id] = float(rule.rate_usd_per_kw) / (events * hours)
        return worth

    def terms(self, event: EventImage) -> str:
        """The rules that pay a call with their rates, as people read them; empty where none does."""
        rules = self.rules(event)
        rates = ", ".join(f"{rule.version.key} at ${rule.rate_usd_per_kw} a kW and season" for rule in rules)
        unverified = [rule.version.key for rule in rules if not rule.version.verified]
        return f"{rates} (not verified)" if unverified else rates

    def objections(self, event: EventImage) -> list[str]:
        """What the rules have against an event, in words; how many were called before it is left to settlement."""
        rules = self.rules(event)
        found = []
        for rule in rules:
            check = check_event(
                rule,
                self.rulebook.calendar(rule.version.holiday_calendar),
                start_local=local(event.start, rule.zone),
                end_local=local(event.end, rule.zone),
            )
            found += [f"{rule.version.key}: {text}" for _, text in check.reasons]
        return found if rules else ["no rule in force pays a site that it reaches"]

    def leaving(self, event: EventImage, now: dt.datetime) -> str:
        """What opting out of an event costs at a moment, by which rule and by what authority."""
        if event.drill:
            return "It is a drill: that costs nothing."
        if now >= event.start:
            return "It has begun, so registers decide: the mean is taken over the whole event, what is left of it too."
        said = [declined_words(rule) for rule in self.rules(event)] or ["no rule pays for it, so it costs nothing"]
        return f"By the rule: {'; '.join(said)}."

    def baseline(self, called: ProgramId | None, day: dt.date) -> str:
        """What baseline counts on a local date in the contracts that a call of ``called`` reaches (None: in all).

        ``none`` where all of them do without, empty where no rule is in force.
        """
        openadr = {name for program_id, name in self._openadr.items() if called in (None, program_id)}
        names: set[str] = set()
        for program in self.fleet.programs:
            for utility in program.utilities if program.openadr_program in openadr else ():
                try:
                    names.add(self.rulebook.rule_for(program.rule, utility, day).version.baseline)
                except Refused:
                    continue  # not this utility's customers, or not at this time: they settle under no rule either
        return ", ".join(sorted(names - {"none"} or names))
