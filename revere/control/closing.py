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

from revere.core.ids import ProgramId
from revere.core.time import local
from revere.program.enrolment import enrolments
from revere.program.seasons import site_seasons
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

    from revere.control.image import EventImage, Image, SiteImage
    from revere.settle.posting import Held
    from revere.settle.rules import Rulebook
    from revere.store.series import RegisterPair

WAIT_FOR_VALUES = dt.timedelta(minutes=7)
EDGE_TOLERANCE_S = 2.0


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
    """What came of an event. ``cents`` is what its lines add to the expected season payments."""

    performance_kw: float
    performances: tuple[EventPerformance, ...]
    lines: int
    cents: int
    held: tuple[Held, ...]
    intervals: tuple[tuple[dt.datetime, dt.datetime, float], ...]


async def read_registers(
    books: Books, assets: Sequence[MeteredAsset], edges: Sequence[dt.datetime]
) -> list[RegisterReading]:
    """Register readings at the edges of 5-minute intervals, as settlement takes them.

    An asset that cannot discharge has no export register: what it gave is 0 by its rating, not unknown, and
    what it charges counts against its site (``export_rev`` stays None).
    """
    found = await books.registers_at([asset.asset_id for asset in assets], edges, tolerance_s=EDGE_TOLERANCE_S)
    charge_only = {asset.asset_id for asset in assets if asset.export_rating_w == 0}
    return [
        RegisterReading(
            asset_id=asset,
            ts=pair.ts,
            import_rev=pair.import_rev,
            export_rev=pair.export_rev,
            import_wh=pair.import_wh,
            export_wh=0 if pair.export_wh is None and asset in charge_only else pair.export_wh,
        )
        for asset, pairs in found.items()
        for pair in pairs
        if pair is not None
    ]


async def season_registers(books: Books, season: SiteSeason) -> list[RegisterReading]:
    """The registers that a season's events rest on."""
    readings: list[RegisterReading] = []
    for called in season.events:
        readings += await read_registers(books, season.assets, interval_edges(called.start, called.end))
    return readings


def seasons_at(image: Image, rulebook: Rulebook, now: dt.datetime) -> tuple[SiteSeason, ...]:
    """Every enrolled site's season with all its events that have ended by ``now``."""
    fleet = image.fleet
    day = local(now, fleet.programme.zone).date()
    called: dict[ProgramId, list[CalledEvent]] = {program.id: [] for program in fleet.programs}
    openadr = {program.id: program.openadr_program for program in fleet.programs}
    for event in sorted(image.events.values(), key=lambda e: (e.start, e.grid_event_id)):
        if event.cancelled or event.end > now or event.program_id not in openadr:
            continue
        told = CalledEvent(
            grid_event_id=event.grid_event_id,
            start=event.start,
            end=event.end,
            opt="out" if event.opt == "out" else "in",
        )
        # One call of the utility's OpenADR program reaches every contract that hangs on it.
        for program in fleet.programs:
            if program.openadr_program == openadr[event.program_id]:
                called[program.id].append(told)
    return site_seasons(fleet, rulebook, enrolments(fleet, rulebook, day), called, day)


async def close_event(
    image: Image, event: EventImage, books: Books, rulebook: Rulebook, now: dt.datetime, *, clock_synchronised: bool
) -> Closed:
    """Measure an event at every enrolled site, post what it adds to each season, return the whole."""
    performances: list[EventPerformance] = []
    held: list[Held] = []
    lines = cents = 0
    members = image.members(event)
    for season in seasons_at(image, rulebook, now):
        if season.site_id not in members:
            continue
        readings = await season_registers(books, season)
        posted = [ledger_line(line) for line in await books.ledger(site_id=season.site_id)]
        paid_on = outside_outages(readings, image.sites[season.site_id])
        settlement = settle_season(season, paid_on, now=now, clock_synchronised=clock_synchronised, posted=posted)
        performances.append(
            event_performance(
                site_id=season.site_id,
                grid_event_id=event.grid_event_id,
                start=event.start,
                end=event.end,
                assets=season.assets,
                readings=readings,
                clock_synchronised=clock_synchronised,
            )
        )
        held += [one for one in settlement.held if one.grid_event_id == event.grid_event_id]
        await books.post([LedgerEntry(posted_at=now, **to_fields(line)) for line in settlement.lines])
        lines += len(settlement.lines)
        cents += sum(line.cents for line in settlement.lines)
    return Closed(
        performance_kw=float(fleet_performance_kw(performances)),
        performances=tuple(performances),
        lines=lines,
        cents=cents,
        held=tuple(held),
        intervals=_relief_by_interval(performances),
    )


def outside_outages(readings: Sequence[RegisterReading], site: SiteImage) -> list[RegisterReading]:
    """Readings with those of a dead grid set aside: what an island's vehicles give is no relief to the grid."""
    return [
        msgspec.structs.replace(reading, quarantined="outage")
        if any(start < reading.ts and (end is None or reading.ts < end) for start, end in site.outages)
        else reading
        for reading in readings
    ]


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


def ledger_line(posted: PostedLine) -> LedgerLine:
    """A stored line as settlement knows it."""
    return from_fields(msgspec.structs.asdict(posted.entry))
