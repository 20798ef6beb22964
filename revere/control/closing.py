"""After an event: registers to performance, performance to ledger lines, a report for the utility.

Live kW play no part here: what is settled comes from stored registers with their revision, so that late
data changes a statement only by a correction.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import msgspec

from revere.control.snapshot import enrolled_sites
from revere.core.assets import program_of
from revere.core.errors import Refused
from revere.core.facts import evse_asset
from revere.core.ids import GridEventId, ParticipantId, ProgramId
from revere.core.time import local
from revere.settle.ledger import LedgerLine, from_fields, to_fields
from revere.settle.performance import (
    EventPerformance,
    MeteredAsset,
    RegisterReading,
    event_performance,
    fleet_performance_kw,
    interval_edges,
)
from revere.settle.posting import CalledEvent, SiteSeason, settle_season
from revere.store.ledger import LedgerEntry, PostedLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.control.image import EventImage, Image
    from revere.core.assets import Fleet, Program, Site
    from revere.settle.posting import Held
    from revere.settle.rules import Rulebook
    from revere.store.series import RegisterPair

WAIT_FOR_VALUES = dt.timedelta(minutes=7)
EDGE_TOLERANCE_S = 5.0
RATING_MARGIN = 1.1


class Books(Protocol):
    """What closing needs of the store."""

    async def registers_at(
        self, asset_ids: Sequence[str], edges: Sequence[dt.datetime], *, tolerance_s: float = 0.0
    ) -> dict[str, list[RegisterPair | None]]:
        """Both registers of each meter at each edge, quarantined values left out."""
        ...

    async def ledger(self, *, site_id: str | None = None) -> list[PostedLine]:
        """Posted lines of a site."""
        ...

    async def post(self, lines: Sequence[LedgerEntry]) -> list[int]:
        """Append lines; a key that stands already posts nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Closed:
    """What came of an event."""

    performance_kw: float
    performances: tuple[EventPerformance, ...]
    lines: int
    cents: int
    held: tuple[Held, ...]
    intervals: tuple[tuple[dt.datetime, dt.datetime, float], ...]


def metered_assets(fleet: Fleet, site: Site) -> tuple[MeteredAsset, ...]:
    """The site's EVSE meters with the ratings that bound what they can have counted."""
    return tuple(
        MeteredAsset(
            asset_id=evse_asset(station.id, 1),
            import_rating_w=int(station.charge_kw * 1000 * RATING_MARGIN),
            export_rating_w=int(station.discharge_kw * 1000 * RATING_MARGIN),
        )
        for station in fleet.stations
        if station.site_id == site.id
    )


async def read_registers(books: Books, assets: Sequence[str], edges: Sequence[dt.datetime]) -> list[RegisterReading]:
    """Register readings at the edges of 5-minute intervals, as settlement takes them."""
    found = await books.registers_at(assets, edges, tolerance_s=EDGE_TOLERANCE_S)
    return [
        RegisterReading(
            asset_id=asset,
            ts=edge,
            import_rev=pair.import_rev,
            export_rev=pair.export_rev,
            import_wh=pair.import_wh,
            export_wh=pair.export_wh,
        )
        for asset, pairs in found.items()
        for edge, pair in zip(edges, pairs, strict=True)
        if pair is not None
    ]


def site_season(
    fleet: Fleet, site: Site, program: Program, rulebook: Rulebook, events: Sequence[EventImage]
) -> SiteSeason:
    """The season of a site under the rule in force on the day of its last event."""
    day = local(max(event.start for event in events), fleet.programme.zone).date()
    rule = rulebook.rule_for(program.rule, site.utility, day)
    return SiteSeason(
        participant_id=ParticipantId(site.participant_id),
        site_id=site.id,
        program_id=ProgramId(program.id),
        rule=rule,
        calendar=rulebook.calendar(rule.version.holiday_calendar),
        assets=metered_assets(fleet, site),
        events=tuple(
            CalledEvent(
                grid_event_id=GridEventId(event.grid_event_id),
                start=event.start,
                end=event.end,
                opt="out" if event.opt == "out" else "in",
            )
            for event in sorted(events, key=lambda e: (e.start, e.grid_event_id))
        ),
    )


async def close_event(
    image: Image, event: EventImage, books: Books, rulebook: Rulebook, now: dt.datetime, *, clock_synchronised: bool
) -> Closed:
    """Measure an event at every enrolled site, post what it adds to each season, return the whole."""
    fleet = image.fleet
    performances: list[EventPerformance] = []
    held: list[Held] = []
    lines = cents = 0
    members = enrolled_sites(fleet, event)
    for site in fleet.sites:
        program = program_of(site, fleet.programs)
        if site.id not in members or program is None:
            continue
        events = [
            e for e in image.events.values() if not e.cancelled and e.end <= now and site.id in enrolled_sites(fleet, e)
        ]
        try:
            season = site_season(fleet, site, program, rulebook, events)
        except Refused as refusal:
            raise Refused(
                f"{site.id} cannot be settled: {refusal.what}", where=refusal.where, got=refusal.got
            ) from refusal
        readings: list[RegisterReading] = []
        for one in events:
            edges = interval_edges(one.start, one.end)
            readings += await read_registers(books, [asset.asset_id for asset in season.assets], edges)
        posted = [ledger_line(line) for line in await books.ledger(site_id=site.id)]
        settlement = settle_season(season, readings, now=now, clock_synchronised=clock_synchronised, posted=posted)
        performances.append(
            event_performance(
                site_id=site.id,
                grid_event_id=event.grid_event_id,
                start=event.start,
                end=event.end,
                assets=season.assets,
                readings=readings,
                clock_synchronised=clock_synchronised,
            )
        )
        held += settlement.held
        lines += len(await books.post([entry(line, now) for line in settlement.lines]))
        cents += sum(line.cents for line in settlement.lines)
    return Closed(
        performance_kw=float(fleet_performance_kw(performances)),
        performances=tuple(performances),
        lines=lines,
        cents=cents,
        held=tuple(held),
        intervals=_relief_by_interval(performances),
    )


def _relief_by_interval(
    performances: Sequence[EventPerformance],
) -> tuple[tuple[dt.datetime, dt.datetime, float], ...]:
    """Fleet relief per interval, kW, from the intervals that were measured well."""
    sums: dict[tuple[dt.datetime, dt.datetime], Fraction] = {}
    for performance in performances:
        for interval in performance.intervals:
            if interval.quality != "good" or interval.import_wh is None or interval.export_wh is None:
                continue
            hours = Fraction(int((interval.end - interval.start).total_seconds()), 3600)
            relief = Fraction(interval.export_wh - interval.import_wh, 1000) / hours
            key = (interval.start, interval.end)
            sums[key] = sums.get(key, Fraction(0)) + relief
    return tuple((start, end, float(kw)) for (start, end), kw in sorted(sums.items()))


def entry(line: LedgerLine, now: dt.datetime) -> LedgerEntry:
    """A settled line as the store keeps it."""
    return LedgerEntry(posted_at=now, **to_fields(line))


def ledger_line(posted: PostedLine) -> LedgerLine:
    """A stored line as settlement knows it."""
    return from_fields(msgspec.structs.asdict(posted.entry))
