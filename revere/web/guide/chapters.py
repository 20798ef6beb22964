"""What the guide says, chapter by chapter, in plain words: every number beside what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from revere.core.words import count
from revere.web.guide import delivery, evidence
from revere.web.guide.blocks import chapter, note, para, table
from revere.web.guide.shapes import HOME_KW, HOMES_LEAST
from revere.web.guide.words import day, kw, percent, stamp

if TYPE_CHECKING:
    from revere.web.guide.blocks import Block
    from revere.web.guide.shapes import EventFigures, GuideFigures

OWN_PAGE = ("The programme", "What was delivered", "Will the buses leave?")
SIMULATED = (
    "These figures come from a simulation: the stations speak the real protocols to the real control system, but the "
    "vehicles, buildings and the utility's calls are computed. They show what the system does, not what a fleet did."
)
UNSTATED = "The record behind these figures does not say whether its stations are real or simulated."


def document(figures: GuideFigures) -> dict[str, Any]:
    """The whole guide as data for the template."""
    zone = figures.programme.zone
    event = main_event(figures)
    period = f"{stamp(figures.start, zone)} to {stamp(figures.end, zone)}"
    return {
        "title": figures.programme.name,
        "kicker": "A guide to vehicle-to-everything",
        "subtitle": f"What it did, what it proved and what it did not, {period} ({zone})",
        "author": "Revere",
        "description": "Delivered power, readiness, money, equity, availability and open questions of a V2X programme.",
        "keywords": ["vehicle-to-grid", "V2X", "demand response", "school bus"],
        "headlines": headlines(figures),
        "banner": _banner(figures),
        "cover": None if event is None else delivery.relief_block(event, zone),
        "imprint": f"Made {stamp(figures.made_at, zone)} from the journal, the meters' registers and the ledger.",
        "running": figures.programme.name,
        "period": day(figures.end, zone),
        "footer": "Expected, confirmed and paid are three figures by three parties. No home is shown alone.",
        "words": {"contents": "Contents", "reading": _reading()},
        "own_page": list(OWN_PAGE),
        "chapters": [
            _programme(figures),
            delivery.events_chapter(figures),
            delivery.delivered_chapter(figures),
            delivery.readiness_chapter(figures),
            delivery.outage_chapter(figures),
            evidence.money_chapter(figures),
            evidence.equity_chapter(figures),
            evidence.quality_chapter(figures),
            evidence.barriers_chapter(figures),
            evidence.unverified_chapter(figures),
            evidence.method_chapter(figures),
        ],
    }


def main_event(figures: GuideFigures) -> EventFigures | None:
    """The event that the title page is about: of the calls measured to their end, the one that gave most."""
    measured = [e for e in figures.events if e.performance_kw is not None and e.state == "over" and not e.drill]
    return max(measured, key=lambda event: event.performance_kw or 0.0, default=None)


def headlines(figures: GuideFigures) -> list[dict[str, str]]:
    """The three numbers of the title page: power, departures, equity. What is absent says so."""
    event = main_event(figures)
    power = {"number": "–", "what": "No grid event was measured", "detail": "", "tone": "amber"}
    if event is not None and event.homes_equivalent is not None:
        promised = f"Promised: {kw(event.nominated_kw)}. " if event.nominated_kw is not None else ""
        power = {
            "number": kw(event.performance_kw),
            "what": "given to the grid, mean over a whole event",
            "detail": f"{promised}About {count(event.homes_equivalent, 'home')} at {HOME_KW} kW each.",
            "tone": "amber",
        }
    ready = sum(group.ready for group in figures.readiness.groups)
    due = sum(group.departures for group in figures.readiness.groups)
    short = sum(group.short for group in figures.readiness.groups)
    unknown = sum(group.unknown for group in figures.readiness.groups)
    verb = "was" if unknown == 1 else "were"
    departures = {
        "number": f"{ready:,} of {due:,}" if due else "–",
        "what": "departures with the energy they needed" if due else "No departure came due",
        "detail": f"{short:,} short; {unknown:,} could not be judged for want of data and {verb} not counted as ready."
        if due
        else "",
        "tone": "blue",
    }
    return [power, departures, _equity_headline(figures)]


def _equity_headline(figures: GuideFigures) -> dict[str, str]:
    equity = figures.equity
    if equity is None or equity.share is None:
        return {
            "number": "–",
            "what": "Share of grants to environmental-justice communities",
            "detail": "No census data or no grants were given to this guide.",
            "tone": "blue",
        }
    verdict = "more than one third" if equity.more_than_one_third else "not more than one third"
    return {
        "number": percent(equity.share),
        "what": "of grants to environmental-justice communities",
        "detail": f"That is {verdict}. {count(equity.unknown, 'participant')} of unknown status count as not.",
        "tone": "blue",
    }


def _banner(figures: GuideFigures) -> str:
    if figures.simulated is None:
        return UNSTATED
    return SIMULATED if figures.simulated else ""


def _reading() -> str:
    return (
        f"How to read this guide. A figure that was not measured says so; it is never shown as 0. Giving power to the "
        f"grid is counted as relief, above 0; charging in an event counts against it. Homes appear only in groups of "
        f"{HOMES_LEAST} or more. Times are local."
    )


def _programme(figures: GuideFigures) -> Block:
    programme = figures.programme
    blocks = [
        para(
            f"{programme.name} joins {_listed([count(g.sites, *_NOUNS[g.label]) for g in programme.groups])}. Their "
            f"parked vehicles charge with up to {kw(programme.charge_kw)} and can give back up to "
            f"{kw(programme.discharge_kw)}, by the nameplates of their stations."
        ),
        table(
            "Who takes part, with what",
            ("Group", "Sites", "Stations", "of them giving", "Vehicles", "Charge kW", "Give kW", "Batteries kWh"),
            [
                (
                    g.label,
                    f"{g.sites:,}",
                    f"{g.stations:,}",
                    f"{g.v2x_stations:,}",
                    f"{g.vehicles:,}",
                    f"{g.charge_kw:,.0f}",
                    f"{g.discharge_kw:,.0f}",
                    f"{g.capacity_kwh:,.0f}",
                )
                for g in programme.groups
            ],
        ),
    ]
    if programme.homes_left_out:
        words = f"Fewer than {HOMES_LEAST} homes take part as well. No figure here holds anything of theirs."
        blocks.append(note(words))
    blocks += _enrolment(figures)
    return chapter("The programme", blocks)


def _enrolment(figures: GuideFigures) -> list[Block]:
    programme = figures.programme
    blocks: list[Block] = [
        {"kind": "heading", "text": "Who can be paid for grid events"},
        para(
            "A utility's program pays for events. Which one is open to a site follows from the electric utility of its "
            "meter account, not from the town it stands in. "
            + (f"Contracts here: {_listed(list(programme.programs))}." if programme.programs else "")
        ),
        table(
            "School and municipal sites by electric utility",
            ("Utility", "Schools", "Municipal", "Can enrol"),
            [
                (row.utility, f"{row.schools:,}", f"{row.municipal:,}", f"{row.can_enrol:,}")
                for row in programme.utilities
            ],
        ),
    ]
    reasons = list(dict.fromkeys(why for row in programme.utilities for why in row.why_not))
    blocks += [note(f"Why not: {why}.") for why in reasons]
    if programme.homes >= HOMES_LEAST:
        if programme.homes_can_enrol is None:
            text = (
                f"Of {programme.homes} homes most can enrol; how many cannot is not shown, because they are "
                f"fewer than {HOMES_LEAST}."
            )
        else:
            text = f"Of {programme.homes} homes, {programme.homes_can_enrol} can enrol."
        blocks.append(para(text))
    return blocks


_NOUNS = {
    "Schools": ("school district", "school districts"),
    "Municipal": ("municipal project", "municipal projects"),
    "Homes": ("home", "homes"),
}


def _listed(items: list[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "nobody"
