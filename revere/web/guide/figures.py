"""Everything the guide says, gathered from the store: journal, series, ledger and registry."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from revere.core.errors import RevereError
from revere.core.facts import evse_asset
from revere.core.time import floor_to, local
from revere.settle.performance import INTERVAL_S
from revere.settle.rules import load_rulebook
from revere.web.guide.chronicle import read_chronicle
from revere.web.guide.events import event_figures, shown_lines
from revere.web.guide.groups import LABELS, programme_figures, require_publishable, shown_groups, shown_of
from revere.web.guide.money import equity_figures, money_figures, read_ledger
from revere.web.guide.readiness import departures, judge, readiness
from revere.web.guide.shapes import (
    HOMES_LEAST,
    Commands,
    GroupAvailability,
    GroupData,
    GuideFigures,
    OutageFigure,
    Outages,
    Quality,
    RoundTrip,
    Unverified,
)
from revere.web.guide.tracks import Stored, counted_wh, edges_expected, edges_present, read_track

if TYPE_CHECKING:
    from revere.core.assets import Fleet, Site, Station
    from revere.settle.rules import Rulebook
    from revere.store.reader import Reads
    from revere.web.guide.chronicle import Chronicle
    from revere.web.guide.readiness import Departed
    from revere.web.guide.shapes import EventFigures
    from revere.web.guide.tracks import Track

STALE = dt.timedelta(days=1)
"""A record silent for longer than this is over: it ends with its last fact, not now."""
PERIOD_MOST = dt.timedelta(days=400)
SKEW_LIMIT_S = 60.0
"""A station's clock further off than this has its readings quarantined for settlement."""


@dataclass(slots=True)
class _StationSum:
    """One station's registers over the period."""

    expected: int
    present: int
    import_wh: int | None
    export_wh: int | None


@dataclass(slots=True)
class _Sums:
    """What the reading of all stations adds up to."""

    stations: dict[str, _StationSum] = field(default_factory=dict)
    departed: list[Departed] = field(default_factory=list)
    stored: Stored = field(default_factory=Stored)
    quarantined: int = 0
    steps_back: int = 0


async def gather(
    reader: Reads,
    now: dt.datetime,
    *,
    rulebook: Rulebook | None = None,
    since: dt.datetime | None = None,
) -> GuideFigures:
    """The figures of ``[since or the first fact, now]``, or up to the last fact of a record that is over.

    Raises ``RevereError`` for an empty registry or journal, a period over ``PERIOD_MOST``, or a programme so small
    that its totals would be somebody's own figures.
    """
    fleet = await reader.load_fleet()
    if fleet is None:
        raise RevereError(
            "no programme is registered", where="guide", expected="a fleet", remedy="Run a scenario or add sites."
        )
    require_publishable(fleet)
    book = rulebook or load_rulebook()
    chronicle = await read_chronicle(reader, since, now)
    assert chronicle.start is not None
    assert chronicle.last is not None
    start = chronicle.start
    end = chronicle.last if now - chronicle.last > STALE else now
    chronicle.close(end)
    if end - start > PERIOD_MOST:
        raise RevereError(
            "the period is too long for one guide",
            where="guide",
            got=f"{(end - start).days} days",
            expected=f"at most {PERIOD_MOST.days} days",
            remedy="Give a later start.",
        )
    shown = shown_of(fleet)
    ledger = shown_lines(fleet, chronicle, await read_ledger(reader))
    events = await event_figures(reader, fleet, book, chronicle, ledger, end)
    fleet = shown.fleet
    sums = await _read_stations(reader, fleet, chronicle, start, end)
    groups = shown_groups(fleet.sites)
    return GuideFigures(
        made_at=now,
        start=start,
        end=end,
        simulated=fleet.programme.simulated,
        programme=programme_figures(shown, book, local(end, fleet.programme.zone).date()),
        events=events,
        readiness=readiness(sums.departed, groups, _orders(fleet, chronicle)),
        outages=await _outages(reader, fleet, chronicle),
        money=money_figures(shown, ledger, await reader.ledger_hash()),
        equity=equity_figures(shown),
        quality=_quality(fleet, groups, chronicle, sums, start, end),
        unverified=_unverified(fleet, events),
        journal_hash=await reader.journal_hash(),
    )


def _orders(fleet: Fleet, chronicle: Chronicle) -> int:
    vehicles = {vehicle.id for vehicle in fleet.vehicles}
    return sum(order.vehicle_id in vehicles for order in chronicle.orders)


async def _read_stations(
    reader: Reads, fleet: Fleet, chronicle: Chronicle, start: dt.datetime, end: dt.datetime
) -> _Sums:
    """Read each station once and keep only what the guide needs of it."""
    sums = _Sums()
    sites = {site.id: site for site in fleet.sites}
    for station in fleet.stations:
        track = await read_track(reader, station, start, end)
        _add_station(sums, station, track, start, end)
        sessions = chronicle.sessions.get(station.id, [])
        for vehicle in fleet.vehicles:
            if vehicle.station_id != station.id:
                continue
            if station.discharge_kw > 0:
                sums.stored.add(track, sessions, vehicle, end)
            for journey in departures(vehicle, fleet.programme, chronicle.orders, start, end):
                sums.departed.append(judge(sites[station.site_id], vehicle, journey, sessions, track))
    return sums


def _add_station(sums: _Sums, station: Station, track: Track, start: dt.datetime, end: dt.datetime) -> None:
    import_wh, import_back = counted_wh(track.imports)
    export_wh, export_back = counted_wh(track.exports)
    sums.stations[station.id] = _StationSum(
        expected=edges_expected(start, end),
        present=edges_present(track, start, end, gives=station.discharge_kw > 0),
        import_wh=import_wh,
        export_wh=export_wh,
    )
    sums.quarantined += track.quarantined
    sums.steps_back += import_back + export_back


def _quality(
    fleet: Fleet,
    groups: dict[str, tuple[Site, ...]],
    chronicle: Chronicle,
    sums: _Sums,
    start: dt.datetime,
    end: dt.datetime,
) -> Quality:
    stations = {
        label: [s for s in fleet.stations if s.site_id in {site.id for site in sites}]
        for label, sites in groups.items()
    }
    ended = chronicle.outcomes
    skews = [chronicle.skew_s[station.id] for station in fleet.stations if station.id in chronicle.skew_s]
    severities = [("critical", 0), ("warning", 0), ("info", 0)]
    still_open = Counter(chronicle.open_alarms.values())
    return Quality(
        availability=tuple(_availability(label, own, chronicle, start, end) for label, own in stations.items()),
        commands=Commands(
            issued=chronicle.issued,
            confirmed=ended["confirmed"],
            rejected=ended["rejected"],
            expired=ended["expired"],
            superseded=ended["superseded"],
            open=max(chronicle.issued - ended.total(), 0),
        ),
        data=tuple(_data(label, own, sums) for label, own in stations.items()),
        quarantined=sums.quarantined,
        register_steps_back=sums.steps_back,
        round_trip=RoundTrip(
            efficiency=sums.stored.efficiency(),
            sessions=sums.stored.sessions,
            left_out=sums.stored.left_out,
            import_wh=sums.stored.import_wh,
            export_wh=sums.stored.export_wh,
            stored_wh=round(sums.stored.stored_wh),
        ),
        skew_worst_s=max(skews, default=None),
        skew_stations=sum(skew > SKEW_LIMIT_S for skew in skews),
        alarms=tuple((name, chronicle.alarms[name], still_open[name]) for name, _ in severities),
        stops=chronicle.stops,
        plans=chronicle.plans,
    )


def _availability(
    label: str, stations: list[Station], chronicle: Chronicle, start: dt.datetime, end: dt.datetime
) -> GroupAvailability:
    asked_s = (end - start).total_seconds()
    links = [chronicle.links.get(station.id) for station in stations]
    connected = [min(link.connected_s, asked_s) if link else 0.0 for link in links]
    return GroupAvailability(
        label=label,
        stations=len(stations),
        never=sum(link is None for link in links),
        connected_s=sum(connected),
        asked_s=asked_s * len(stations),
        least=min(connected) / asked_s if connected and asked_s and label != LABELS["home"] else None,
        drops=sum(link.drops for link in links if link),
    )


def _data(label: str, stations: list[Station], sums: _Sums) -> GroupData:
    own = [sums.stations[station.id] for station in stations]
    imports = [one.import_wh for one in own if one.import_wh is not None]
    exports = [one.export_wh for one in own if one.export_wh is not None]
    return GroupData(
        label=label,
        expected=sum(one.expected for one in own),
        present=sum(one.present for one in own),
        import_wh=sum(imports) if imports else None,
        export_wh=sum(exports) if exports else None,
    )


async def _outages(reader: Reads, fleet: Fleet, chronicle: Chronicle) -> Outages:
    """Losses of the grid; energy given inside one is read between its first and last whole five minutes."""
    sites = {str(site.id): site for site in fleet.sites}
    found = []
    homes = [site for site in fleet.sites if site.kind == "home"]
    for outage in chronicle.outages:
        site = sites.get(outage.site_id)
        if site is None or site.kind == "home":
            continue
        opened = outage.switch_open
        found.append(
            OutageFigure(
                site=site.name,
                lost=outage.lost,
                restored=outage.restored,
                switch_open_s=(opened - outage.lost).total_seconds() if opened else None,
                given_wh=await _given_wh(reader, fleet, site, outage.lost, outage.restored),
            )
        )
    public = [site for site in fleet.sites if site.kind != "home"]
    lost = sum(outage.site_id in {home.id for home in homes} for outage in chronicle.outages)
    return Outages(
        sites=tuple(found),
        homes_lost=lost if len(homes) >= HOMES_LEAST else None,
        with_switch=sum(site.transfer_switch for site in public),
        site_count=len(public),
    )


async def _given_wh(
    reader: Reads, fleet: Fleet, site: Site, lost: dt.datetime, restored: dt.datetime | None
) -> int | None:
    """Wh that the site's vehicles gave between the whole five minutes inside the outage."""
    if restored is None:
        return None
    first = floor_to(lost + dt.timedelta(seconds=INTERVAL_S - 1), INTERVAL_S)
    last = floor_to(restored, INTERVAL_S)
    if last <= first:
        return None
    assets = [evse_asset(s.id, 1) for s in fleet.stations if s.site_id == site.id and s.discharge_kw > 0]
    pairs = await reader.registers_at(assets, [first, last], tolerance_s=2.0)
    given = [
        b.export_wh - a.export_wh
        for a, b in pairs.values()
        if a is not None and b is not None and a.export_wh is not None and b.export_wh is not None
    ]
    return sum(given) if given else None


def _unverified(fleet: Fleet, events: tuple[EventFigures, ...]) -> tuple[Unverified, ...]:
    """What the figures rest on and no source confirms: rules, tariffs, and our own methods."""
    found: dict[str, str] = {}
    for event in events:
        for rule in event.rules:
            if rule.verified:
                continue
            for name, why in rule.assumed:
                found[f"Rule {rule.key}: {name.replace('_', ' ')}"] = why
            if not rule.assumed:
                found[f"Rule {rule.key}"] = "no source at hand confirms it"
    for tariff in fleet.tariffs:
        if not tariff.verified:
            found[f"Tariff {tariff.name}"] = f"from {tariff.source}; it steers charging and prices nothing here"
    found["Equal losses each way"] = "the round trip takes charging and discharging to lose the same share"
    found["Unknown community status"] = "counts as not environmental justice, so the share is not overstated"
    found["The utility's figures"] = "nothing here is confirmed or paid unless a column says so"
    if fleet.programme.simulated is not False:
        found["The plant"] = (
            "vehicles, buildings and the utility's calls are simulated"
            if fleet.programme.simulated
            else "the record does not say whether its stations are real or simulated"
        )
    return tuple(Unverified(what=what, assumption=why) for what, why in found.items())
