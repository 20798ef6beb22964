"""Each call of a utility: what was promised, what the registers show, what the ledger expects."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import msgspec

from revere.core.assets import program_of
from revere.core.errors import Refused
from revere.core.facts import BY_HAND
from revere.core.time import floor_to, local
from revere.settle.ledger import PARTICIPANT_KINDS
from revere.settle.performance import (
    EDGE_TOLERANCE,
    INTERVAL_S,
    MeteredAsset,
    ReadingIndex,
    RegisterReading,
    fleet_performance_kw,
    interval_edges,
    measure_event,
    outside_outages,
    performance_kw,
)
from revere.web.guide.groups import shown_groups, shown_sites
from revere.web.guide.shapes import EventFigures, GroupPower, IntervalFigure, Payment, RuleUsed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from revere.core.assets import Fleet, Site
    from revere.core.facts import GridEventReceived
    from revere.settle.performance import EventPerformance
    from revere.settle.rules import Rulebook
    from revere.store.ledger import PostedLine
    from revere.store.reader import Reads
    from revere.web.guide.chronicle import Chronicle

EVENTS_MOST = 400
"""Most events in one guide: more than six ConnectedSolutions seasons."""


async def event_figures(
    reader: Reads, fleet: Fleet, book: Rulebook, chronicle: Chronicle, ledger: Sequence[PostedLine], now: dt.datetime
) -> tuple[EventFigures, ...]:
    """All events in the order of their start. A handful of called homes is left out, and an event that calls no others.

    Raises ``Refused`` for more than ``EVENTS_MOST``.
    """
    if len(chronicle.called) > EVENTS_MOST:
        raise Refused("too many events for one guide", got=len(chronicle.called), expected=EVENTS_MOST)
    found = []
    for key in sorted(chronicle.called, key=lambda key: (chronicle.called[key].start, key)):
        called = _called_sites(fleet, chronicle.called[key])
        members = shown_sites(called)
        if called and not members:
            continue
        lines = [line for line in ledger if line.entry.grid_event_id == key]
        one = await _one(reader, fleet, book, chronicle, key, members, lines, now)
        found.append(one if len(members) == len(called) else _without_the_rest(one, chronicle, members))
    return tuple(found)


async def _one(
    reader: Reads,
    fleet: Fleet,
    book: Rulebook,
    chronicle: Chronicle,
    key: str,
    members: tuple[Site, ...],
    lines: Sequence[PostedLine],
    now: dt.datetime,
) -> EventFigures:
    call = chronicle.called[key]
    nominated = chronicle.nominated.get(key)
    reported = chronicle.reported.get(key)
    source = chronicle.first_called[key].source
    by_hand = source.startswith(BY_HAND)
    state = _state(call.cancelled, call.start, call.end, now)
    withdrawn_at = call.at if call.cancelled and by_hand else None
    until = floor_to(min(call.end, withdrawn_at), INTERVAL_S) if withdrawn_at else call.end
    given = until > call.start and (state == "over" or withdrawn_at is not None)
    measured = await _measure(reader, fleet, members, call, until, chronicle) if given else []
    exact = [one for one in measured if one.exact_kw() is not None]
    intervals = _intervals(measured)
    known = [item.relief_kw for item in intervals if item.relief_kw is not None]
    ids = {site.id for site in members}
    called_at = chronicle.first_called[key].at
    return EventFigures(
        grid_event_id=key,
        drill=call.drill,
        programs=tuple(dict.fromkeys(p.name for site in members if (p := program_of(site, fleet.programs)))),
        source="by hand" if by_hand else source,
        called_at=called_at,
        notice_h=(call.start - called_at).total_seconds() / 3600,
        start=call.start,
        end=call.end,
        state="withdrawn" if withdrawn_at else state,
        withdrawn_at=withdrawn_at,
        why=call.why,
        opt=chronicle.opts.get(key, "undecided"),
        nominated_kw=nominated.nominated_kw if nominated else None,
        nominated_at=nominated.at if nominated else None,
        performance_kw=float(fleet_performance_kw(exact)) if exact else None,
        lowest_kw=min(known, default=None),
        reported_kw=reported.performance_kw if reported else None,
        covered_s=sum(one.covered_s for one in measured),
        asked_s=sum(one.asked_s for one in measured),
        import_wh=sum(one.import_wh() for one in exact) if exact else None,
        export_wh=sum(one.export_wh() for one in exact) if exact else None,
        sites=len(members),
        meters=sum(station.site_id in ids for station in fleet.stations),
        discharge_kw=sum(station.discharge_kw for station in fleet.stations if station.site_id in ids),
        groups=_group_powers(members, measured),
        intervals=intervals,
        payments=() if call.drill else _payments(members, lines),
        rules=() if call.drill else _rules(fleet, book, members, lines, local(call.start, fleet.programme.zone).date()),
    )


def shown_lines(fleet: Fleet, chronicle: Chronicle, ledger: Sequence[PostedLine]) -> list[PostedLine]:
    """The ledger less what concerns a handful of homes: of all that take part, or of those that an event called."""
    homes = {site.participant_id for site in fleet.sites if site.kind == "home"}
    shown: dict[str | None, set[str]] = {None: _people(shown_sites(fleet.sites))}
    for key, call in chronicle.called.items():
        shown[key] = _people(shown_sites(_called_sites(fleet, call)))

    def may(who: str, key: str | None) -> bool:
        return who not in homes or who in shown.get(key, ())

    return [line for line in ledger if may(line.entry.participant_id, line.entry.grid_event_id)]


def _people(sites: tuple[Site, ...]) -> set[str]:
    return {site.participant_id for site in sites}


def _without_the_rest(one: EventFigures, chronicle: Chronicle, members: tuple[Site, ...]) -> EventFigures:
    """The figures that were told of all called sites, as far as they can be told of those that are shown."""
    nominated = chronicle.nominated.get(one.grid_event_id)
    by_site = nominated.by_site_kw if nominated else {}
    known = [by_site[site.id] for site in members if site.id in by_site]
    return msgspec.structs.replace(one, nominated_kw=sum(known) if known else None, reported_kw=None)


def _called_sites(fleet: Fleet, call: GridEventReceived) -> tuple[Site, ...]:
    """The sites that the event calls: all contracts that hang on the same OpenADR program.

    A municipal light plant's customer is in no program, so never counted.
    """
    called = {program.openadr_program for program in fleet.programs if program.id == call.program_id}
    return tuple(
        site for site in fleet.sites if (p := program_of(site, fleet.programs)) and p.openadr_program in called
    )


def _state(
    cancelled: bool, start: dt.datetime, end: dt.datetime, now: dt.datetime
) -> Literal["over", "running", "coming", "cancelled"]:
    if cancelled:
        return "cancelled"
    if now < start:
        return "coming"
    return "over" if now >= end else "running"


async def _measure(
    reader: Reads,
    fleet: Fleet,
    members: tuple[Site, ...],
    call: GridEventReceived,
    until: dt.datetime,
    chronicle: Chronicle,
) -> list[EventPerformance]:
    """Each site's performance up to a moment, from the same registers and by the same functions as settlement."""
    assets = {site.id: [MeteredAsset.of_station(s) for s in fleet.stations if s.site_id == site.id] for site in members}
    wanted = [asset.asset_id for own in assets.values() for asset in own]
    edges = interval_edges(call.start, until)
    found = await reader.registers_at(wanted, edges, tolerance_s=EDGE_TOLERANCE.total_seconds())
    measured = []
    for site in members:
        readings = [
            RegisterReading(
                asset_id=asset.asset_id,
                ts=pair.ts,
                import_rev=pair.import_rev,
                export_rev=pair.export_rev,
                import_wh=pair.import_wh,
                export_wh=pair.export_wh,
            )
            for asset in assets[site.id]
            for pair in found[asset.asset_id]
            if pair is not None
        ]
        dead = [(outage.lost, outage.restored) for outage in chronicle.outages if outage.site_id == site.id]
        measured.append(
            measure_event(
                site_id=site.id,
                grid_event_id=call.grid_event_id,
                start=call.start,
                end=until,
                assets=assets[site.id],
                readings=ReadingIndex(outside_outages(readings, dead)),
            )
        )
    return measured


def _intervals(measured: Sequence[EventPerformance]) -> tuple[IntervalFigure, ...]:
    """The fleet's relief by interval, from the meters that were measured well."""
    sums: dict[dt.datetime, list[Fraction]] = {}
    asked: dict[dt.datetime, int] = {}
    for one in measured:
        for interval in one.intervals:
            asked[interval.start] = asked.get(interval.start, 0) + 1
            kw = performance_kw(interval)
            if kw is not None:
                sums.setdefault(interval.start, []).append(kw)
    return tuple(
        IntervalFigure(
            start=start,
            relief_kw=float(sum(sums[start], Fraction(0))) if start in sums else None,
            meters=len(sums.get(start, [])),
            of_meters=asked[start],
        )
        for start in sorted(asked)
    )


def _group_powers(members: tuple[Site, ...], measured: Sequence[EventPerformance]) -> tuple[GroupPower, ...]:
    by_site = {one.site_id: one for one in measured}
    found = []
    for label, sites in shown_groups(members).items():
        own = [one for site in sites if (one := by_site.get(site.id)) and one.exact_kw() is not None]
        power = float(fleet_performance_kw(own)) if own else None
        found.append(GroupPower(label=label, sites=len(sites), performance_kw=power))
    return tuple(found)


def _payments(members: tuple[Site, ...], lines: Sequence[PostedLine]) -> tuple[Payment, ...]:
    """Participants' money by group, each party's figure apart."""
    own = [line.entry for line in lines if line.entry.kind in PARTICIPANT_KINDS]
    found = []
    for label, sites in shown_groups(members).items():
        people = {site.participant_id for site in sites}
        cents: dict[str, int] = {}
        for entry in own:
            if entry.participant_id in people:
                cents[entry.state] = cents.get(entry.state, 0) + entry.cents
        found.append(
            Payment(
                label=label,
                sites=len(sites),
                expected_cents=cents.get("expected"),
                confirmed_cents=cents.get("confirmed"),
                paid_cents=cents.get("paid"),
            )
        )
    return tuple(found)


def _rules(
    fleet: Fleet, book: Rulebook, members: tuple[Site, ...], lines: Sequence[PostedLine], day: dt.date
) -> tuple[RuleUsed, ...]:
    """The rules that the ledger names, or before settlement those in force on the event's local date."""
    keys = list(dict.fromkeys(line.entry.rule.split("@")[0] for line in lines))
    if not keys:
        for site in members:
            program = program_of(site, fleet.programs)
            assert program is not None
            keys.append(book.rule_for(program.rule, site.utility, day).version.key)
    found = []
    for key in dict.fromkeys(keys):
        rule = book.version(key)
        found.append(
            RuleUsed(
                key=key,
                programme=f"{rule.programme} {rule.segment}",
                rate_usd_per_kw=rule.rate_usd_per_kw,
                verified=rule.version.verified,
                source=rule.version.source,
                assumed=tuple(rule.version.assumed.items()),
            )
        )
    return tuple(found)
