"""A made-up site and its meters, as readings that a test can count by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec

from revere.core.ids import GridEventId, ParticipantId, ProgramId, SiteId
from revere.settle.performance import MeteredAsset, RegisterReading, interval_edges
from revere.settle.posting import CalledEvent, SiteSeason
from revere.settle.rules import Rulebook, load_rulebook

BOOK: Rulebook = load_rulebook()
BUS = MeteredAsset(asset_id="depot-1/1", import_rating_w=60_000, export_rating_w=60_000)
SECOND_BUS = MeteredAsset(asset_id="depot-2/1", import_rating_w=60_000, export_rating_w=60_000)
SETTLED_AT = dt.datetime(2023, 9, 20, 12, 0, tzinfo=dt.UTC)


def called(
    day: int,
    month: int = 9,
    hours: float = 3,
    name: str = "",
    opt: str = "in",
    at: float = 20,
    received: int = 0,
    cancelled: bool = False,
) -> CalledEvent:
    """An event at 16:00 local (20:00 UTC in summer) of a day in 2023, heard of a day before plus ``received`` min."""
    start = dt.datetime(2023, month, day, tzinfo=dt.UTC) + dt.timedelta(hours=at)
    return CalledEvent(
        grid_event_id=GridEventId(name or f"e{month:02}{day:02}"),
        start=start,
        end=start + dt.timedelta(hours=hours),
        received_at=dt.datetime(2023, month, day, tzinfo=dt.UTC) + dt.timedelta(days=-1, minutes=received),
        opt="out" if opt == "out" else "in",
        cancelled=cancelled,
    )


def steady(
    event: CalledEvent, kw: int, asset: MeteredAsset = BUS, *, at_wh: int = 1_000_000, rev: int = 0
) -> list[RegisterReading]:
    """Readings at each edge of an event for a constant relief of ``kw`` (a multiple of 12 W over five minutes)."""
    readings = []
    for edge in interval_edges(event.start, event.end):
        moved_wh = abs(kw) * 1000 * int((edge - event.start).total_seconds()) // 3600
        readings.append(
            RegisterReading(
                asset_id=asset.asset_id,
                ts=edge,
                import_rev=rev,
                export_rev=rev,
                import_wh=at_wh + (moved_wh if kw < 0 else 0),
                export_wh=at_wh + (moved_wh if kw > 0 else 0),
            )
        )
    return readings


def season_of(
    *events: CalledEvent,
    version: str = "CI-DAILY",
    assets: tuple[MeteredAsset, ...] = (BUS,),
    split: tuple[str, str, str] = ("1", "0", "0"),
) -> SiteSeason:
    """A school's season under a version of the rulebook, with a split of its own."""
    rule = BOOK.version(version)
    parts = msgspec.structs.replace(
        rule.version.split,
        participant=Decimal(split[0]),
        provider=Decimal(split[1]),
        programme=Decimal(split[2]),
    )
    return SiteSeason(
        participant_id=ParticipantId("acton"),
        site_id=SiteId("acton-depot"),
        program_id=ProgramId("cs-daily"),
        rule=msgspec.structs.replace(rule, version=msgspec.structs.replace(rule.version, split=parts)),
        calendar=BOOK.calendar("us-federal"),
        assets=assets,
        events=events,
    )
