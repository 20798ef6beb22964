"""Small fleets, fakes at Ports, and hand-made facts for the tests of ``control``."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from revere.control.contracts import Contracts
from revere.control.heart import Heart
from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.core import assets
from revere.core import facts as f
from revere.core.commands import Answer, ReportingCommand, SetpointCommand
from revere.core.device_model import DeviceVariable
from revere.core.errors import Refused, Unavailable
from revere.core.ids import (
    CommandId,
    FeederId,
    GridEventId,
    ParticipantId,
    ProgramId,
    SessionId,
    SiteId,
    StationId,
    TenantId,
    VehicleId,
)
from revere.core.orders import Order
from revere.core.portrait import FrameShown, StationPortrait
from revere.core.tariff import Tariff
from revere.settle.rules import load_rulebook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from revere.settle.rules import Rulebook

BOOK = load_rulebook()
ZONE = "America/New_York"
NOON = dt.datetime(2023, 9, 7, 16, 0, tzinfo=dt.UTC)
"""12:00 in Boston on the Thursday of the event."""


def minutes(count: float) -> dt.timedelta:
    """A length of time."""
    return dt.timedelta(minutes=count)


def seconds(count: float) -> dt.timedelta:
    """A length of time."""
    return dt.timedelta(seconds=count)


def trip(name: str, depart: str, back: str, energy_kwh: float, days: assets.Days = "daily") -> assets.Trip:
    """A journey in local wall-clock times."""
    clock = dt.time.fromisoformat
    return assets.Trip(name=name, days=days, depart=clock(depart), back=clock(back), energy_kwh=energy_kwh)


def site(site_id: str, **changes: Any) -> assets.Site:
    """A school in Boston on one feeder, 200 kW either way."""
    fields: dict[str, Any] = {
        "id": SiteId(site_id),
        "name": site_id.title(),
        "kind": "school",
        "town": "Boston",
        "utility": "Eversource",
        "utility_kind": "investor_owned",
        "utility_account": f"acct-{site_id}",
        "feeder_id": FeederId("feeder"),
        "participant_id": ParticipantId(f"p-{site_id}"),
        "tariff_id": "flat",
        "import_limit_kw": 200.0,
        "export_limit_kw": 200.0,
        "load_shape": "school",
        "load_peak_kw": 50.0,
    }
    return assets.Site(**{**fields, **changes})


def station(station_id: str, site_id: str, **changes: Any) -> assets.Station:
    """A 60 kW charger that gives back as much."""
    fields: dict[str, Any] = {
        "id": StationId(station_id),
        "site_id": SiteId(site_id),
        "vendor": "V",
        "model": "M",
        "serial": "S",
        "protocol": "ocpp2.1",
        "connector": "cCCS1",
        "charge_kw": 60.0,
        "discharge_kw": 60.0,
        "can_form_grid": True,
    }
    return assets.Station(**{**fields, **changes})


def vehicle(station_id: str, *trips: assets.Trip, **changes: Any) -> assets.Vehicle:
    """A bus of 200 kWh with a floor of 20 %."""
    fields: dict[str, Any] = {
        "id": VehicleId(f"bus-{station_id}"),
        "name": "Bus",
        "kind": "bus",
        "make": "B",
        "station_id": StationId(station_id),
        "token": f"EV-{station_id}",
        "capacity_kwh": 200.0,
        "charge_kw": 60.0,
        "discharge_kw": 60.0,
        "soc_min": 0.2,
        "trips": trips,
    }
    return assets.Vehicle(**{**fields, **changes})


def program(program_id: str, openadr: str = "CS", **changes: Any) -> assets.Program:
    """A contract for schools with Eversource."""
    fields: dict[str, Any] = {
        "id": ProgramId(program_id),
        "name": program_id,
        "rule": "connectedsolutions_ci_daily",
        "utilities": ("Eversource",),
        "site_kinds": ("school",),
        "openadr_program": openadr,
    }
    return assets.Program(**{**fields, **changes})


def fleet(
    sites: Sequence[assets.Site] = (),
    stations: Sequence[assets.Station] = (),
    vehicles: Sequence[assets.Vehicle] = (),
    programs: Sequence[assets.Program] = (),
    closed: Sequence[dt.date] = (),
) -> assets.Fleet:
    """One site with one station and one bus without trips, unless told otherwise."""
    sites = tuple(sites) or (site("school"),)
    stations = tuple(stations) or (station("cs1", sites[0].id),)
    return assets.Fleet(
        programme=assets.Programme(id=TenantId("t"), name="Test", zone=ZONE, school_closed=tuple(closed)),
        feeders=(assets.Feeder(id=FeederId("feeder"), name="Feeder", import_limit_kw=2000.0, export_limit_kw=2000.0),),
        sites=sites,
        stations=stations,
        vehicles=tuple(vehicles) or tuple(vehicle(one.id) for one in stations),
        participants=tuple(
            assets.Participant(id=one.participant_id, name=one.name, kind=one.kind, grant_usd=Decimal(0))
            for one in sites
        ),
        programs=tuple(programs) or (program("cs-daily"),),
        tariffs=(Tariff(id="flat", name="Flat", source="test", verified=False, base_usd_per_kwh=Decimal("0.20")),),
    )


# ---- facts ----------------------------------------------------------------------------------------


def connected(station_id: str, at: dt.datetime = NOON, generation: int = 1) -> f.StationConnected:
    """The station opened its socket."""
    return f.StationConnected(at=at, station_id=StationId(station_id), protocol="ocpp2.1", generation=generation)


def dropped(station_id: str, at: dt.datetime = NOON, generation: int = 1) -> f.StationDisconnected:
    """That socket closed."""
    return f.StationDisconnected(at=at, station_id=StationId(station_id), generation=generation)


def follows(station_id: str, *kws: float, at: dt.datetime = NOON) -> f.ScheduleRead:
    """It says that it follows the first power now and the others five minutes later each."""
    steps = tuple((at + minutes(5 * i), kw) for i, kw in enumerate(kws))
    return f.ScheduleRead(at=at, station_id=StationId(station_id), evse_id=1, steps=steps)


def told(station_id: str, kw: float, at: dt.datetime = NOON, number: int = 1) -> f.CommandIssued:
    """A setpoint was given to it."""
    return f.CommandIssued(
        at=at,
        command_id=CommandId(f"sp-{number}"),
        station_id=StationId(station_id),
        kind="setpoint",
        detail={"setpoint_kw": kw},
    )


def ended(outcome: Any, at: dt.datetime = NOON, number: int = 1, why: str = "") -> f.CommandEnded:
    """How it ended."""
    return f.CommandEnded(at=at, command_id=CommandId(f"sp-{number}"), outcome=outcome, why=why)


def plug(station_id: str, ts: dt.datetime = NOON, session: str = "s1", token: str = "") -> f.SessionStarted:
    """Its own vehicle plugs in."""
    return f.SessionStarted(
        at=ts,
        station_id=StationId(station_id),
        evse_id=1,
        session_id=SessionId(session),
        token=token or f"EV-{station_id}",
        ts=ts,
    )


def unplug(station_id: str, ts: dt.datetime, session: str = "s1") -> f.SessionEnded:
    """It leaves."""
    return f.SessionEnded(at=ts, station_id=StationId(station_id), session_id=SessionId(session), ts=ts)


def reading(station_id: str, ts: dt.datetime = NOON, **values: Any) -> f.MeterReading:
    """A sample at the station's inlet."""
    fields: dict[str, Any] = {"at": ts, "ts": ts, "context": "periodic", "place": "ac_inlet"}
    return f.MeterReading(asset_id=f"{station_id}/1", **{**fields, **values})


def aligned(site_id: str, ts: dt.datetime, import_wh: int | None, export_wh: int | None) -> f.MeterReading:
    """The main meter on the five minutes."""
    return f.MeterReading(
        at=ts, asset_id=site_id, place="site", ts=ts, context="clock", import_wh=import_wh, export_wh=export_wh
    )


def called(
    event_id: str = "e1", start: dt.datetime = NOON, hours: float = 3.0, program_id: str = "cs-daily", **changes: Any
) -> f.GridEventReceived:
    """A utility's call."""
    fields: dict[str, Any] = {
        "at": start - dt.timedelta(hours=24),
        "grid_event_id": GridEventId(event_id),
        "program_id": ProgramId(program_id),
        "start": start,
        "end": start + dt.timedelta(hours=hours),
    }
    return f.GridEventReceived(**{**fields, **changes})


def opted(event_id: str = "e1", opt: Any = "in", at: dt.datetime = NOON) -> f.OptDecided:
    """The programme's decision."""
    return f.OptDecided(at=at, grid_event_id=GridEventId(event_id), opt=opt, by="test", why="")


def contracts_of(image: Image) -> Contracts:
    """The fleet's contracts by the rulebook that comes with Revere."""
    return Contracts(image.fleet, BOOK)


def ready_image(of: assets.Fleet, now: dt.datetime = NOON, soc: float = 0.8) -> Image:
    """Everybody online and plugged with a known state of charge, nothing flowing, buildings at 20 kW."""
    image = Image(of)
    for one in of.stations:
        image.apply(connected(one.id, now))
        image.apply(plug(one.id, now - minutes(60)))
        image.apply(reading(one.id, now, soc=soc, power_kw=0.0))
    for one_site in image.sites.values():
        one_site.building_kw, one_site.building_at = 20.0, now
    return image


# ---- fakes at Ports -------------------------------------------------------------------------------


class HandClock:
    """Time that a test moves by hand (fills ``Clock``)."""

    def __init__(self, now: dt.datetime = NOON) -> None:
        self.at = now

    def now(self) -> dt.datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        yield


class FakeJournal:
    """Keeps facts in memory (fills ``Journal``). ``away`` takes none; ``slow`` commits only when told to."""

    def __init__(self) -> None:
        self.facts: list[f.Fact] = []
        self.away = False
        self.slow = False
        self.calls = 0
        self.taken: deque[tuple[list[f.Fact], Callable[[Exception | None], None], asyncio.Future[None]]] = deque()

    def submit(self, facts: Sequence[f.Fact], ended: Callable[[Exception | None], None]) -> asyncio.Future[None]:
        self.calls += 1
        if self.away:
            raise Unavailable("the database does not answer")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        self.taken.append((list(facts), ended, answer))
        if not self.slow:
            loop.call_soon(self.commit)
        return answer

    def commit(self) -> None:
        """Commit the oldest facts that were taken, if there are any."""
        if self.taken:
            facts, ended, answer = self.taken.popleft()
            self.facts += facts
            ended(None)
            if not answer.done():
                answer.set_result(None)

    def expire(self) -> None:
        """Let everybody know that it takes too long; what was taken stays taken."""
        for _facts, _ended, answer in self.taken:
            if not answer.done():
                answer.set_exception(Unavailable("the database does not answer"))

    def of(self, kind: type[f.Fact]) -> list[Any]:
        """The journaled facts of a kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


class FakeLink:
    """Takes what control asks (fills ``ChargingLink``) and answers as told."""

    def __init__(self) -> None:
        self.sent: list[SetpointCommand] = []
        self.reporting: list[ReportingCommand] = []
        self.answer = Answer(status="accepted")
        self.told: list[tuple[str, str, str]] = []
        self.ordered: list[tuple[str, Order]] = []
        self.gate: asyncio.Event | None = None
        self.follows: dict[str, list[tuple[dt.datetime, float]]] = {}
        self.restored: list[str] = []
        self.checked: list[str] = []

    def connected(self) -> frozenset[StationId]:
        return frozenset()

    async def set_power(self, command: SetpointCommand) -> Answer:
        self.sent.append(command)
        if self.gate is not None:
            await self.gate.wait()
        return self.answer

    async def set_reporting(self, command: ReportingCommand) -> Answer:
        self.reporting.append(command)
        return Answer(status="accepted")

    async def composite_limits_kw(
        self, station_id: StationId, evse_id: int, duration_s: int
    ) -> list[tuple[dt.datetime, float]]:
        if station_id not in self.follows:
            raise Refused("no composite schedule", where=station_id)
        return self.follows[station_id]

    def portrait(self, station_id: StationId) -> StationPortrait:
        return StationPortrait(model="native-21", variables=(("EVSE@1.Power", DeviceVariable(value="60000")),))

    def frames(self, station_id: StationId) -> tuple[FrameShown, ...]:
        return ()

    async def restore_fallback(self, station_id: StationId) -> Answer:
        self.restored.append(station_id)
        return self.answer

    async def remote_start(self, station_id: StationId, evse_id: int, token: str) -> Answer:
        self.told.append(("start", station_id, token))
        return self.answer

    async def clear_setpoint(self, station_id: StationId, evse_id: int) -> Answer:
        self.told.append(("clear", station_id, str(evse_id)))
        return self.answer

    def check_file(self, address: str) -> None:
        self.checked.append(address)

    async def carry_out(self, station_id: StationId, order: Order) -> Answer:
        self.ordered.append((station_id, order))
        return self.answer

    async def remote_stop(self, station_id: StationId, session_id: str) -> Answer:
        self.told.append(("stop", station_id, session_id))
        return self.answer


class House:
    """A heart over fakes at its Ports; its loops do not run, a test beats by hand."""

    def __init__(self, image: Image, now: dt.datetime = NOON, rulebook: Rulebook | None = None) -> None:
        self.image = image
        self.clock = HandClock(now)
        self.journal = FakeJournal()
        self.link = FakeLink()
        self.inbox = Inbox(self.journal, image)
        self.heart = Heart(image, self.inbox, self.link, self.clock, rulebook or BOOK)

    async def beat(self, after_s: float = 5.0) -> None:
        """Let time pass, tick once, let what is under way finish."""
        self.clock.at += dt.timedelta(seconds=after_s)
        self.heart.tick()
        await settle()

    async def write(self) -> None:
        """Journal what the scribe holds (its loop does not run)."""
        writing = asyncio.ensure_future(self.heart.scribe.run())
        await settle()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def settle(turns: int = 30) -> None:
    """Let ready callbacks run."""
    for _ in range(turns):
        await asyncio.sleep(0)
