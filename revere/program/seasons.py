"""From standing to settlement: what each enrolled site's season is made of, ready for ``settle``.

A season is settled as a whole, since it pays a mean; so every event of it so far belongs in, and none of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core.time import local
from revere.settle.performance import MeteredAsset
from revere.settle.posting import CalledEvent, SiteSeason

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from revere.core.assets import Fleet
    from revere.core.ids import ProgramId
    from revere.program.enrolment import Enrolment
    from revere.settle.rules import Rule, Rulebook


def season_events(rule: Rule, events: Iterable[CalledEvent], on_date: dt.date) -> tuple[CalledEvent, ...]:
    """The events of the season that is open on a local date (or opens next), in time order.

    One called between two seasons is the later one's: there it is held, with the reason.
    """
    bounds = rule.version.season.bounds
    own = [event for event in events if bounds(local(event.start, rule.zone).date()) == bounds(on_date)]
    return tuple(sorted(own, key=lambda event: (event.start, event.grid_event_id)))


def metered_assets(fleet: Fleet, site_id: str) -> tuple[MeteredAsset, ...]:
    """Every EVSE of a site, those that only charge too: what charges in an event counts against the site."""
    return tuple(MeteredAsset.of_station(station) for station in fleet.stations if station.site_id == site_id)


def site_seasons(
    fleet: Fleet,
    book: Rulebook,
    standings: Iterable[Enrolment],
    events: Mapping[ProgramId, Iterable[CalledEvent]],
    on_date: dt.date,
) -> tuple[SiteSeason, ...]:
    """The season of each enrolled site on a local date, in the standings' order; a site without events is left out.

    ``standings`` must be those of the season (``enrolments(fleet, book, on_date)``): they carry the rule.
    """
    seasons = []
    by_program = {program_id: tuple(called) for program_id, called in events.items()}
    for standing in standings:
        if standing.rule is None or standing.program_id is None:
            continue
        called = season_events(standing.rule, by_program.get(standing.program_id, ()), on_date)
        assets = metered_assets(fleet, standing.site_id)
        if called and assets:
            seasons.append(
                SiteSeason(
                    participant_id=standing.participant_id,
                    site_id=standing.site_id,
                    program_id=standing.program_id,
                    rule=standing.rule,
                    calendar=book.calendar(standing.rule.version.holiday_calendar),
                    assets=assets,
                    events=called,
                )
            )
    return tuple(seasons)
