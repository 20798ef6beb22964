"""After an event: registers to performance, performance to ledger lines, a report for the utility.

Live kW play no part here: what is settled comes from stored registers with their revision, so that late
data changes a statement only by a correction. Settling the same event again is always safe: what stands already
is not posted again.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import msgspec

from revere.core.time import local
from revere.program.enrolment import enrolments
from revere.program.seasons import metered_assets, site_seasons
from revere.settle.ledger import LedgerLine, from_fields, to_fields
from revere.settle.performance import (
    EventPerformance,
    MeteredAsset,
    ReadingIndex,
    RegisterReading,
    fleet_performance_kw,
    interval_edges,
    measure_event,
    outside_outages,
    performance_kw,
    require_synchronised,
)
from revere.settle.posting import CalledEvent, SiteSeason, settle_season
from revere.store.ledger import LedgerEntry, PostedLine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from revere.control.event_image import EventImage
    from revere.control.image import Image
    from revere.core.ids import GridEventId, ProgramId, SiteId
    from revere.settle.posting import Settlement
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

    async def ledger(self, *, site_id: str | None = None, after_seq: int = 0) -> list[PostedLine]:
        """A page of a site's posted lines, in order; empty after the last."""
        ...

    async def post(self, lines: Sequence[LedgerEntry]) -> list[int]:
        """Append lines; a key that stands already posts nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Closed:
    """What an event has come to.

    ``lines`` and ``cents`` are its own in the ledger, corrections included; ``held`` says by site why it pays nothing
    there.
    """

    performances: tuple[EventPerformance, ...]
    lines: int
    cents: int
    held: dict[SiteId, str]

    def performance_kw(self) -> float | None:
        """The fleet's mean relief that the registers prove, kW; None where nothing was to be measured."""
        return float(fleet_performance_kw(self.performances)) if self.performances else None

    def unmeasured_h(self) -> dict[SiteId, float]:
        """Hours in which an EVSE had no good interval, by site (an island's among them); such time proves nothing."""
        hours = {one.site_id: one.unmeasured_s() / 3600 for one in self.performances}
        return {site_id: hour for site_id, hour in hours.items() if hour}

    def intervals(self) -> tuple[tuple[dt.datetime, dt.datetime, float], ...]:
        """The fleet's relief by interval, kW, from the intervals that were measured well."""
        sums: dict[tuple[dt.datetime, dt.datetime], Fraction] = {}
        for performance in self.performances:
            for interval in performance.intervals:
                kw = performance_kw(interval)
                if kw is not None:
                    key = (interval.start, interval.end)
                    sums[key] = sums.get(key, Fraction(0)) + kw
        return tuple((start, end, float(kw)) for (start, end), kw in sorted(sums.items()))


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


async def season_registers(books: Books, image: Image, season: SiteSeason, now: dt.datetime) -> list[RegisterReading]:
    """The registers that a season's events rest on, those of a dead grid set aside."""
    readings: list[RegisterReading] = []
    for called in season.events:
        if called.measurable(now):
            readings += await read_registers(books, season.assets, interval_edges(called.start, called.end))
    return outside_outages(readings, image.sites[season.site_id].outages)


async def every_line(page_after: Callable[[int], Awaitable[list[PostedLine]]]) -> list[PostedLine]:
    """All lines of a ledger read page by page (``page_after`` a seq), in order."""
    lines: list[PostedLine] = []
    while page := await page_after(lines[-1].seq if lines else 0):
        lines += page
    return lines


def seasons_of(image: Image, rulebook: Rulebook, days: Iterable[dt.date], now: dt.datetime) -> tuple[SiteSeason, ...]:
    """Every enrolled site's season around each of these local dates, once, with all calls of it known by ``now``.

    A season is settled under the rule in force today, or on its last day once it is over.
    """
    fleet = image.fleet
    today = local(now, fleet.programme.zone).date()
    called = _called(image)
    found: dict[tuple[SiteId, ProgramId, GridEventId], SiteSeason] = {}
    for day in sorted(set(days)):
        rules = {one.site_id: one.rule for one in enrolments(fleet, rulebook, day) if one.rule is not None}
        settled_on = {site_id: min(today, rule.version.season.bounds(day)[1]) for site_id, rule in rules.items()}
        for on_date in sorted(set(settled_on.values())):
            standings = [s for s in enrolments(fleet, rulebook, on_date) if settled_on.get(s.site_id) == on_date]
            for season in site_seasons(fleet, rulebook, standings, called, on_date):
                found.setdefault((season.site_id, season.program_id, season.events[0].grid_event_id), season)
    return tuple(found.values())


def _called(image: Image) -> dict[ProgramId, list[CalledEvent]]:
    """Every call by contract: one of the utility's OpenADR program reaches every contract that hangs on it.

    A drill is nobody's call.
    """
    programs = image.fleet.programs
    openadr = {program.id: program.openadr_program for program in programs}
    called: dict[ProgramId, list[CalledEvent]] = {program.id: [] for program in programs}
    for event in image.events.values():
        if event.drill:
            continue
        told = CalledEvent(
            grid_event_id=event.grid_event_id,
            start=event.start,
            end=event.end,
            received_at=event.received_at,
            opt="out" if event.declined() else "in",
            cancelled=event.cancelled,
        )
        if event.by_hand():
            told = msgspec.structs.replace(told, cancelled_why=f"withdrawn by {event.cancelled_by}: {event.why}")
        for program in programs:
            if program.openadr_program == openadr.get(event.program_id):
                called[program.id].append(told)
    return called


async def close_events(
    image: Image,
    events: Sequence[EventImage],
    books: Books,
    rulebook: Rulebook,
    now: dt.datetime,
    *,
    clock_synchronised: bool,
) -> dict[GridEventId, Closed]:
    """Settle the seasons of these events at every site that they call, post what differs, return what each came to.

    A drill is measured and that is all. Raises ``Refused`` while our own clock is unsynchronised, ``Unavailable`` where
    the store is.
    """
    require_synchronised(clock_synchronised)
    drills = {event.grid_event_id: await _measure_drill(image, event, books) for event in events if event.drill}
    events = [event for event in events if not event.drill]
    zone = image.fleet.programme.zone
    members = {event.grid_event_id: image.members(event) for event in events}
    parts: dict[GridEventId, list[tuple[SiteSeason, Settlement, list[LedgerLine]]]] = {key: [] for key in members}
    for season in seasons_of(image, rulebook, [local(event.start, zone).date() for event in events], now):
        asked = {
            event.grid_event_id for event in season.events if season.site_id in members.get(event.grid_event_id, ())
        }
        if not asked:
            continue
        readings = await season_registers(books, image, season, now)
        posted = await _site_lines(books, season.site_id)
        result = settle_season(season, readings, now=now, clock_synchronised=clock_synchronised, posted=posted)
        if result.lines:
            await books.post([LedgerEntry(posted_at=now, **to_fields(line)) for line in result.lines])
        for key in asked:
            parts[key].append((season, result, [*posted, *result.lines]))
    return drills | {key: _closed(key, found) for key, found in parts.items()}


async def _measure_drill(image: Image, event: EventImage, books: Books) -> Closed:
    """What registers show of a drill, by the functions of settlement; no season hears of it and no line is posted."""
    performances = []
    for site_id in sorted(image.members(event)):
        assets = metered_assets(image.fleet, site_id)
        readings = await read_registers(books, assets, interval_edges(event.start, event.end))
        performances.append(
            measure_event(
                site_id=site_id,
                grid_event_id=event.grid_event_id,
                start=event.start,
                end=event.end,
                assets=assets,
                readings=ReadingIndex(outside_outages(readings, image.sites[site_id].outages)),
            )
        )
    return Closed(performances=tuple(performances), lines=0, cents=0, held={})


async def _site_lines(books: Books, site_id: SiteId) -> list[LedgerLine]:
    posted = await every_line(lambda after: books.ledger(site_id=site_id, after_seq=after))
    return [ledger_line(line) for line in posted]


def _closed(key: GridEventId, parts: Sequence[tuple[SiteSeason, Settlement, list[LedgerLine]]]) -> Closed:
    """One event out of its sites' settlements."""
    own = [
        line
        for season, _, ledger in parts
        for line in ledger
        if (line.grid_event_id, line.program_id, line.state) == (key, season.program_id, "expected")
    ]
    return Closed(
        performances=tuple(one for _, result, _ in parts for one in result.measured if one.grid_event_id == key),
        lines=len(own),
        cents=sum(line.cents for line in own),
        held={
            season.site_id: one.reason for season, result, _ in parts for one in result.held if one.grid_event_id == key
        },
    )


def ledger_line(posted: PostedLine) -> LedgerLine:
    """A stored line as settlement knows it."""
    return from_fields(msgspec.structs.asdict(posted.entry))
