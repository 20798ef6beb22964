"""Groups of participants that may be shown, and the programme's own figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from revere.core.errors import RevereError
from revere.program.enrolment import enrolments
from revere.web.guide.shapes import HOMES_LEAST, Barriers, GroupSize, ProgrammeFigures, UtilityRow

if TYPE_CHECKING:
    import datetime as dt

    from revere.core.assets import Fleet, Site, SiteKind
    from revere.settle.rules import Rulebook

SIMPLIFIED_MOST_KW = 25.0
"""Three-phase limit of Massachusetts' Simplified interconnection (programme.md a)."""
LABELS: dict[SiteKind, str] = {"school": "Schools", "municipal": "Municipal", "home": "Homes"}


def shown_sites(sites: tuple[Site, ...]) -> tuple[Site, ...]:
    """The sites without their homes, where these are fewer than ``HOMES_LEAST``."""
    public = tuple(site for site in sites if site.kind != "home")
    return public if len(sites) - len(public) < HOMES_LEAST else sites


def shown_groups(sites: tuple[Site, ...]) -> dict[str, tuple[Site, ...]]:
    """Sites that are shown by group, in the order of ``LABELS``."""
    shown = shown_sites(sites)
    groups = {label: tuple(site for site in shown if site.kind == kind) for kind, label in LABELS.items()}
    return {label: members for label, members in groups.items() if members}


@dataclass(frozen=True, slots=True)
class Shown:
    """The fleet that a public guide is about, and the whole one.

    A handful of homes is left out of every figure, totals included: else theirs would be a total less the others.
    """

    fleet: Fleet
    whole: Fleet

    @property
    def homes_left_out(self) -> bool:
        """Whether homes take part that are too few to be shown."""
        return self.fleet is not self.whole


def shown_of(fleet: Fleet) -> Shown:
    """Leave a handful of homes out, with all that is theirs."""
    sites = shown_sites(fleet.sites)
    if len(sites) == len(fleet.sites):
        return Shown(fleet, fleet)
    ids = {site.id for site in sites}
    stations = tuple(station for station in fleet.stations if station.site_id in ids)
    plugs = {station.id for station in stations}
    people = {site.participant_id for site in sites}
    rest = msgspec.structs.replace(
        fleet,
        sites=sites,
        stations=stations,
        vehicles=tuple(vehicle for vehicle in fleet.vehicles if vehicle.station_id in plugs),
        participants=tuple(one for one in fleet.participants if one.id in people or one.kind != "home"),
    )
    return Shown(rest, fleet)


def require_publishable(fleet: Fleet) -> None:
    """Refuse a public guide about a handful of homes: every total in it would be somebody's own figure."""
    homes = sum(site.kind == "home" for site in fleet.sites)
    if homes == len(fleet.sites) and homes < HOMES_LEAST:
        raise RevereError(
            "too few participants for a public guide",
            where="guide",
            got=f"{homes} homes and nobody else",
            expected=f"at least {HOMES_LEAST} homes, or a school or town",
            remedy="Residents see their own figures on their own page.",
        )


def programme_figures(shown: Shown, book: Rulebook, on_date: dt.date) -> ProgrammeFigures:
    """Who takes part with what, and who can enrol in a program that pays, as the rules stand on a local date."""
    fleet = shown.fleet
    standings = {item.site_id: item for item in enrolments(fleet, book, on_date)}
    homes = [site for site in fleet.sites if site.kind == "home"]
    can = sum(standings[site.id].enrolled for site in homes)
    safe = all(count == 0 or count >= HOMES_LEAST for count in (can, len(homes) - can))
    public = [site for site in fleet.sites if site.kind != "home"]
    rows = []
    for utility in dict.fromkeys(site.utility for site in public):
        own = [site for site in public if site.utility == utility]
        rows.append(
            UtilityRow(
                utility=utility,
                schools=sum(site.kind == "school" for site in own),
                municipal=sum(site.kind == "municipal" for site in own),
                can_enrol=sum(standings[site.id].enrolled for site in own),
                why_not=tuple(dict.fromkeys(w for site in own if (w := standings[site.id].why_not))),
            )
        )
    return ProgrammeFigures(
        name=fleet.programme.name,
        zone=fleet.programme.zone,
        groups=tuple(_size(fleet, label, sites) for label, sites in shown_groups(fleet.sites).items()),
        utilities=tuple(rows),
        homes=len(homes),
        homes_left_out=shown.homes_left_out,
        homes_can_enrol=can if safe else None,
        charge_kw=sum(station.charge_kw for station in fleet.stations),
        discharge_kw=fleet.discharge_nameplate_kw(),
        programs=tuple(program.name for program in fleet.programs),
        barriers=_barriers(fleet, public, sum(standings[site.id].enrolled for site in public)),
    )


def _barriers(fleet: Fleet, public: list[Site], enrolled: int) -> Barriers:
    given_kw = {site.id: sum(s.discharge_kw for s in fleet.stations if s.site_id == site.id) for site in public}
    return Barriers(
        over_simplified=sum(station.discharge_kw > SIMPLIFIED_MOST_KW for station in fleet.stations),
        stations=len(fleet.stations),
        no_export=sum(site.export_limit_kw == 0 for site in public),
        export_below_nameplate=sum(0 < site.export_limit_kw < given_kw[site.id] for site in public),
        not_enrolled=len(public) - enrolled,
        public_sites=len(public),
        connectors=tuple(sorted(Counter(station.connector for station in fleet.stations).items())),
        protocols=tuple(sorted(Counter(station.protocol for station in fleet.stations).items())),
        charge_only=sum(station.discharge_kw == 0 for station in fleet.stations),
    )


def _size(fleet: Fleet, label: str, sites: tuple[Site, ...]) -> GroupSize:
    ids = {site.id for site in sites}
    stations = [station for station in fleet.stations if station.site_id in ids]
    station_ids = {station.id for station in stations}
    vehicles = [vehicle for vehicle in fleet.vehicles if vehicle.station_id in station_ids]
    return GroupSize(
        label=label,
        sites=len(sites),
        stations=len(stations),
        v2x_stations=sum(station.discharge_kw > 0 for station in stations),
        vehicles=len(vehicles),
        charge_kw=sum(station.charge_kw for station in stations),
        discharge_kw=sum(station.discharge_kw for station in stations),
        capacity_kwh=sum(vehicle.capacity_kwh for vehicle in vehicles),
    )
