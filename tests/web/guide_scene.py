"""A programme small enough to count on paper: one school, one town hall without a program, six homes.

The period is 11 hours of Thursday 2023-09-07 (UTC 10:00 to 21:00); the event runs three times five minutes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from revere.core import facts as f
from revere.core.assets import (
    BlockGroupInputs,
    Feeder,
    Fleet,
    Participant,
    Program,
    Programme,
    Site,
    Station,
    Trip,
    Vehicle,
)
from revere.core.ids import CommandId, GridEventId, SessionId, TenantId
from revere.core.tariff import Tariff
from revere.core.time import WallClock
from revere.store.ledger import LedgerEntry
from revere.store.store import Store
from revere.web.guide.figures import gather

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.web.guide.shapes import GuideFigures

START = dt.datetime(2023, 9, 7, 10, tzinfo=dt.UTC)
NOW = dt.datetime(2023, 9, 7, 21, tzinfo=dt.UTC)
EVENT = dt.datetime(2023, 9, 7, 20, tzinfo=dt.UTC)
EVENT_END = EVENT + dt.timedelta(minutes=15)
STEP = dt.timedelta(minutes=5)
TENANT = TenantId("guide")
EVENT_ID = GridEventId("ev-1")
HOMES = 6
RULE = "CI-DAILY@2021-06-01"


def at(clock: str) -> dt.datetime:
    """A UTC moment of the day, ``HH:MM`` or ``HH:MM:SS``."""
    return dt.datetime.combine(START.date(), dt.time.fromisoformat(clock), tzinfo=dt.UTC)


def _site(site_id: str, kind: Any, utility: str, utility_kind: Any, **more: Any) -> Site:
    return Site(
        id=site_id,
        name=more.pop("name"),
        kind=kind,
        town="Lincoln",
        utility=utility,
        utility_kind=utility_kind,
        utility_account=f"acct-{site_id}",
        feeder_id="f",
        participant_id=f"p-{site_id}",
        tariff_id="t",
        import_limit_kw=200.0,
        load_shape=kind,
        load_peak_kw=10.0,
        **more,
    )


def _station(station_id: str, site_id: str, kw: float, connector: str) -> Station:
    return Station(
        id=station_id,
        site_id=site_id,
        vendor="V",
        model="M",
        serial=station_id,
        protocol="ocpp2.1",
        connector=connector,
        charge_kw=kw,
        discharge_kw=kw,
    )


def _vehicle(station_id: str, name: str, kwh: float, soc_min: float, trip: Trip) -> Vehicle:
    return Vehicle(
        id=f"v-{station_id}",
        name=name,
        kind="bus" if name.startswith("Bus") else "car",
        make="any",
        station_id=station_id,
        token=f"tok-{station_id}",
        capacity_kwh=kwh,
        charge_kw=10.0,
        discharge_kw=10.0,
        soc_min=soc_min,
        trips=(trip,),
    )


def fleet(homes: int = HOMES) -> Fleet:
    """The registry. Needs: buses 80 kWh of 200, the hall's car 27 of 60, residents' cars 32.5 of 100."""
    afternoon = Trip(name="afternoon", days="school", depart=dt.time(14), back=dt.time(15, 30), energy_kwh=40.0)
    rounds = Trip(name="rounds", days="weekday", depart=dt.time(8), back=dt.time(12), energy_kwh=12.0)
    commute = Trip(name="commute", days="weekday", depart=dt.time(7), back=dt.time(15), energy_kwh=10.0)
    owned = "investor_owned"
    sites = [
        _site("school", "school", "Eversource", owned, name="Lincoln Schools", export_limit_kw=100.0),
        _site("hall", "municipal", "Concord Light", "municipal_light_plant", name="Town hall", transfer_switch=True),
    ]
    stations = [_station("bus1", "school", 60.0, "cCCS1"), _station("bus2", "school", 60.0, "cCCS1")]
    stations.append(_station("hall1", "hall", 20.0, "cCHAdeMO"))
    vehicles = [_vehicle("bus1", "Bus 1", 200.0, 0.15, afternoon), _vehicle("bus2", "Bus 2", 200.0, 0.15, afternoon)]
    vehicles.append(_vehicle("hall1", "Car 1", 60.0, 0.2, rounds))
    people = [
        Participant(id="p-school", name="Lincoln Schools", kind="school", grant_usd=Decimal(300), block_group="bg-yes"),
        Participant(id="p-hall", name="Town hall", kind="municipal", grant_usd=Decimal(100), block_group="bg-no"),
    ]
    for n in range(1, homes + 1):
        name = f"Secret home {n}"
        sites.append(_site(f"home{n}", "home", "National Grid", owned, name=name))
        stations.append(_station(f"h{n}", f"home{n}", 10.0, "cCCS1"))
        vehicles.append(_vehicle(f"h{n}", f"Secret car {n}", 100.0, 0.2, commute))
        people.append(Participant(id=f"p-home{n}", name=name, kind="home", grant_usd=Decimal(50)))
    utilities = ("Eversource", "National Grid")
    programs = (
        Program(
            id="cs-daily",
            name="Daily Dispatch",
            rule="connectedsolutions_ci_daily",
            utilities=utilities,
            site_kinds=("school", "municipal"),
            openadr_program="CS",
        ),
        Program(
            id="cs-res",
            name="Residential",
            rule="connectedsolutions_res",
            utilities=utilities,
            site_kinds=("home",),
            openadr_program="CS",
        ),
    )
    return Fleet(
        programme=Programme(id=TENANT, name="Paper programme", zone="America/New_York", simulated=True),
        feeders=(Feeder(id="f", name="F", import_limit_kw=500.0, export_limit_kw=500.0),),
        sites=tuple(sites),
        stations=tuple(stations),
        vehicles=tuple(vehicles),
        participants=tuple(people),
        programs=programs,
        tariffs=(Tariff(id="t", name="Flat", source="memory", verified=False, base_usd_per_kwh=Decimal("0.2")),),
        block_groups=block_groups(),
    )


def block_groups() -> tuple[BlockGroupInputs, ...]:
    """One block group that counts by income, one that does not."""
    known = {"minority": Decimal(0), "limited_english": Decimal(0), "town_income_usd": Decimal(200_000)}
    return tuple(
        BlockGroupInputs(
            id=f"bg-{name}", income_usd=Decimal(income), statewide_income_usd=Decimal(100_000), source="paper", **known
        )
        for name, income in (("yes", 40_000), ("no", 90_000))
    )


def _registers(
    station_id: str, exported: Callable[[dt.datetime], int], imported: Callable[[dt.datetime], int]
) -> list[f.Fact]:
    """Both registers at every five minutes; bus 2's value at 20:15 never came."""
    found: list[f.Fact] = []
    ts = START
    while ts <= NOW:
        if (station_id, ts) != ("bus2", EVENT_END):
            found.append(
                f.MeterReading(
                    at=ts,
                    asset_id=f"{station_id}/1",
                    place="ac_inlet",
                    ts=ts,
                    context="clock",
                    import_wh=1_000 + imported(ts),
                    export_wh=500 + exported(ts),
                )
            )
        ts += STEP
    return found


def _soc(station_id: str, clock: str, soc: float) -> f.Fact:
    ts = at(clock)
    return f.MeterReading(at=ts, asset_id=f"{station_id}/1", place="ac_inlet", ts=ts, context="periodic", soc=soc)


def _session(station_id: str, start: str, end: str) -> list[f.Fact]:
    session = SessionId(f"{station_id}-{start}")
    token = f"tok-{station_id}"
    return [
        f.SessionStarted(at=at(start), station_id=station_id, evse_id=1, session_id=session, token=token, ts=at(start)),
        f.SessionEnded(at=at(end), station_id=station_id, session_id=session, ts=at(end)),
    ]


def _steps(per_interval_wh: int) -> Callable[[dt.datetime], int]:
    """A register that rises by so much in each interval of the event."""
    return lambda ts: per_interval_wh * min(max(int((ts - EVENT) / STEP), 0), 3)


def _nothing(_ts: dt.datetime) -> int:
    return 0


def facts(homes: int = HOMES) -> list[f.Fact]:
    """The day, in order.

    Event, Wh by interval: bus 1 gives 4,000 three times, bus 2 gives 3,000 (its third interval has no end value), the
    first five homes give 600 each, the sixth takes 100.
    """
    told: list[f.Fact] = [
        f.StationConnected(at=START, station_id=station.id, protocol="ocpp2.1", generation=1)
        for station in fleet(homes).stations
        if station.id != "hall1"
    ]
    told += [
        f.StationDisconnected(at=at("12:00"), station_id="bus2", generation=1),
        f.StationConnected(at=at("13:00"), station_id="bus2", protocol="ocpp2.1", generation=2),
        f.ClockSkewMeasured(at=START, station_id="bus1", skew_s=-2.5),
    ]
    told += _registers("bus1", _steps(4_000), _nothing) + _registers("bus2", _steps(3_000), _nothing)
    told += _registers("hall1", lambda ts: 1_500 if ts >= at("14:20") else 0, _nothing)
    for n in range(1, homes + 1):
        told += _registers(f"h{n}", _steps(600 if n <= 5 else 0), _steps(0 if n <= 5 else 100))
        if n <= 5:
            told += _session(f"h{n}", "10:10", "10:58")
        if n <= 4:
            told.append(_soc(f"h{n}", "10:55", 0.8))
    told += (
        _session("bus1", "10:05", "17:55") + _session("bus2", "10:05", "18:10") + _session("hall1", "10:05", "11:55")
    )
    told += [_soc("bus1", "17:55", 0.5), _soc("bus2", "18:00", 0.35), _soc("bus2", "18:09", 0.9)]
    told.append(_soc("hall1", "11:54", 0.45))
    told += _grid_facts() + _desk_facts()
    return sorted(told, key=lambda fact: fact.at)


def _grid_facts() -> list[f.Fact]:
    return [
        f.GridLost(at=at("14:02:00"), site_id="hall", ts=at("14:02:00")),
        f.TransferSwitchReported(at=at("14:02:20"), site_id="hall", open=True, ts=at("14:02:20")),
        f.GridRestored(at=at("14:31:00"), site_id="hall", ts=at("14:31:00")),
        f.GridLost(at=at("14:02:00"), site_id="home1", ts=at("14:02:00")),
        f.GridRestored(at=at("14:31:00"), site_id="home1", ts=at("14:31:00")),
    ]


def _desk_facts() -> list[f.Fact]:
    call = {"grid_event_id": EVENT_ID, "program_id": "cs-daily", "end": EVENT_END}
    commands: list[f.Fact] = [
        f.CommandIssued(at=at("11:00"), command_id=CommandId(f"c{n}"), station_id="bus1", kind="setpoint")
        for n in range(4)
    ]
    outcomes = ("confirmed", "rejected", "superseded")
    return [
        *commands,
        *(
            f.CommandEnded(at=at("11:01"), command_id=CommandId(f"c{n}"), outcome=outcome)
            for n, outcome in enumerate(outcomes)
        ),
        f.GridEventReceived(at=at("10:30"), start=at("19:00"), modification=0, **call),
        f.GridEventReceived(at=at("10:40"), start=EVENT, modification=1, **call),
        f.OptDecided(at=at("10:41"), grid_event_id=EVENT_ID, opt="in", by="policy", why="standing"),
        f.Nominated(at=at("10:42"), grid_event_id=EVENT_ID, nominated_kw=100.0, lowest_mean_kw=111.0, by_site_kw={}),
        f.EventReported(at=at("20:30"), grid_event_id=EVENT_ID, performance_kw=106.8, report_id="r"),
        f.AlarmRaised(at=at("11:00"), key="a", severity="critical", subject="x", text="x"),
        f.AlarmCleared(at=at("11:10"), key="a"),
        f.AlarmRaised(at=at("11:00"), key="b", severity="warning", subject="x", text="x"),
    ]


def ledger(homes: int = HOMES) -> list[LedgerEntry]:
    """The school's 8,400 $, a correction of -5 $, a provider's share, a confirmed 8,000 $; homes' 90 $ each."""

    def line(key: str, who: str, kind: str, cents: int, state: Any = "expected") -> LedgerEntry:
        return LedgerEntry(
            key=key,
            posted_at=at("20:25"),
            statement_id=f"p-{who}:2023-09",
            participant_id=f"p-{who}",
            program_id="cs-daily",
            kind=kind,
            cents=cents,
            state=state,
            rule=RULE,
            site_id=who,
            grid_event_id=EVENT_ID,
        )

    return [
        line("1", "school", "performance", 840_000),
        line("2", "school", "provider_share", 99_999),
        line("3", "school", "correction", -500),
        line("4", "school", "performance", 800_000, "confirmed"),
        *(line(f"h{n}", f"home{n}", "performance", 9_000) for n in range(1, homes + 1)),
    ]


def figures_of(
    dsn: str,
    homes: int = HOMES,
    now: dt.datetime = NOW,
    more: tuple[f.Fact, ...] = (),
    edit: Callable[[Fleet], Fleet] = lambda whole: whole,
    **options: Any,
) -> GuideFigures:
    """Fill the database with the scene, edited, and ``more`` facts, and gather the guide's figures from it."""

    async def work() -> GuideFigures:
        store = await Store.open(dsn, WallClock(), TENANT, require_durable=False)
        try:
            await store.save_fleet(edit(fleet(homes)))
            await store.record(sorted([*facts(homes), *more], key=lambda fact: fact.at))
            await store.post(ledger(homes))
            return await gather(store, now, **options)
        finally:
            await store.close()

    return asyncio.run(work())
