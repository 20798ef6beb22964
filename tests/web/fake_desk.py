"""A Desk and a store for tests and previews of the pages: a summer event with 24 buses, 12 town cars, 30 homes.

It fills Ports (``Desk``, ``Accounts``, ``History``) and nothing else; the web under test is the real one.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Sequence
from typing import Literal

import argon2
import msgspec

from revere.control.desk import (
    AcknowledgeAlarm,
    Ask,
    CallEvent,
    OptEvent,
    OrderStation,
    Receipt,
    ReleaseDischarge,
    SetDeparture,
    StopDischarge,
    TellStation,
    WithdrawEvent,
)
from revere.control.view import (
    AlarmView,
    CampaignRow,
    CampaignView,
    CommissioningView,
    ConsoleView,
    EquityView,
    EventRow,
    EventView,
    HeldBack,
    LockView,
    ProgramRow,
    QuarterView,
    ReadinessRow,
    ScheduleStep,
    ScheduleView,
    ShortView,
    SiteRow,
    StationRow,
    StationView,
    StopView,
)
from revere.core.device_model import DeviceVariable, VariableKind
from revere.core.errors import Unavailable
from revere.core.portrait import FrameShown
from revere.web.ports import Account, FleetSeries, Role, SecurityRow, StatementLine, StatementView
from tests.web.fake_station import frames_shown, station_view

UTC = dt.UTC
START = dt.datetime(2023, 9, 7, 20, 0, tzinfo=UTC)  # 16:00 in Massachusetts
END = START + dt.timedelta(hours=3)
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PASSWORD = "correct horse battery"
BUS_KW = 30.0
CAR_KW = 15.0
HOME_KW = 7.9

SCHOOLS = (
    ("beverly", "Beverly Public Schools", "Beverly", "National Grid", 8),
    ("concord", "Concord-Carlisle Schools", "Concord", "Concord Light", 2),
    ("lexington", "Lexington Public Schools", "Lexington", "Eversource", 4),
    ("wayland", "Wayland Public Schools", "Wayland", "Eversource", 4),
    ("boston", "Boston Public Schools", "Boston", "Eversource", 6),
)
TOWNS = (
    ("acton", "Acton Town Hall", "Acton", "Eversource"),
    ("salem", "Salem Public Works", "Salem", "National Grid"),
    ("natick", "Natick Library", "Natick", "Eversource"),
    ("lowell", "Lowell Water Utility", "Lowell", "National Grid"),
)


def campaign(now: dt.datetime) -> CampaignView:
    """A firmware campaign in its second stage."""
    rows = (("beverly-cs01", 1, "passed", ""), ("boston-cs05", 2, "waiting", "its vehicle leaves within 12 h"))
    return CampaignView(
        campaign_id="firmware-1-1",
        by="some-operator",
        since=now,
        vendor="V",
        model="M",
        version="2.0",
        location="https://files.example.org/m_2.0.bin",
        state="running",
        why="",
        waits_for=rows[1][3],
        stage=2,
        stages=2,
        waiting=1,
        under_way=0,
        passed=1,
        failed=0,
        stations=tuple(
            CampaignRow(station_id=i, stage=stage, step=step, why=why)  # type: ignore[arg-type]  # a step by its word
            for i, stage, step, why in rows
        ),
    )


def person(role: Role) -> Account:
    """An account of each role; the site manager and the resident own Beverly and home 1."""
    own: dict[Role, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "site_manager": (("beverly",), ()),
        "resident": (("home-01",), ("home-01-car01",)),
    }
    sites, vehicles = own.get(role, ((), ()))
    return Account(name=f"some-{role}", role=role, password_hash=_HASH, sites=sites, vehicles=vehicles)


_HASH = CHEAP.hash(PASSWORD)


def token_of(role: Role) -> str:
    """The bearer token of a role's account."""
    return f"token-of-{role}"


class FakeAccounts:
    """Users and tokens in memory. ``gone`` makes it answer as a store that is away."""

    def __init__(self, roles: Sequence[Role]) -> None:
        self.users = {person(role).name: person(role) for role in roles}
        self.tokens = {token_of(role): person(role).name for role in roles}
        self.links: dict[str, str] = {}
        self.gone = False
        self.closed = False

    async def user(self, name: str) -> Account | None:
        """The account of that name."""
        self._check()
        return self.users.get(name)

    async def by_token(self, token: str) -> Account | None:
        """The owner of a token."""
        self._check()
        return self.users.get(self.tokens.get(token, ""))

    async def by_link(self, token: str) -> Account | None:
        """A link that another process issued."""
        self._check()
        return self.users.get(self.links.pop(token, ""))

    async def close(self) -> None:
        """Nothing is held."""
        self.closed = True

    def _check(self) -> None:
        if self.gone:
            raise Unavailable("the database is away")


class FakeHistory:
    """A day's power with the shape of the real one, and two statements."""

    def __init__(self) -> None:
        self.reads = 0
        self.closed = False

    async def fleet_series(
        self, start: dt.datetime, end: dt.datetime, step_s: int, *, public: bool = False
    ) -> FleetSeries:
        """Night charging, a midday top-up, and relief in the event."""
        self.reads += 1
        stamps, powers, bases, reliefs = [], [], [], []
        ts = start
        while ts < end:
            base = baseline_kw(ts)
            power = fleet_kw(ts)
            stamps.append(ts)
            powers.append(round(power, 1))
            bases.append(round(base, 1))
            reliefs.append(round(base - power, 1))
            ts += dt.timedelta(seconds=step_s)
        return FleetSeries(
            step_s=step_s,
            timestamps=tuple(stamps),
            power_kw=tuple(powers),
            baseline_kw=tuple(bases),
            relief_kw=tuple(reliefs),
        )

    async def security_events(self, station_id: str) -> Sequence[SecurityRow]:
        """A reset, and somebody at the door."""
        return (
            SecurityRow(ts=START, type="ResetOrReboot", source="station", detail="", count=1),
            SecurityRow(
                ts=START - dt.timedelta(hours=5),
                type="LoginRefused",
                source="door",
                detail="wrong secret, from 203.0.113.7",
                count=4,
            ),
        )

    async def statements(self, sites: Sequence[str] | None, after: str | None, limit: int) -> Sequence[StatementView]:
        """Without lines."""
        own = [one for one in _statements() if sites is None or set(one.site_ids) <= set(sites)]
        ids = [one.id for one in own]
        first = ids.index(after) + 1 if after in ids else 0
        return [msgspec.structs.replace(one, lines=()) for one in own[first : first + limit]]

    async def close(self) -> None:
        """Nothing is held."""
        self.closed = True

    async def statement(self, statement_id: str, after_seq: int) -> StatementView | None:
        """With lines."""
        return next((one for one in _statements() if one.id == statement_id), None)


def _statements() -> list[StatementView]:
    return [
        StatementView(
            id=f"p-{site}:2023-09",
            participant_id=f"p-{site}",
            participant=name,
            period="2023-09",
            site_ids=(site,),
            state="expected",
            expected_cents=cents,
            confirmed_cents=None,
            paid_cents=None,
            lines=(
                StatementLine(
                    site_id=site,
                    grid_event_id="cs-2023-09-07",
                    kind="performance",
                    import_wh=0,
                    export_wh=cents * 100,
                    cents=cents,
                    state="expected",
                    says="expected (our figure)",
                    rule="connectedsolutions_ci_daily@2021-06-01",
                ),
            ),
        )
        for site, name, cents in (("beverly", "Beverly Public Schools", 812_550), ("home-01", "Home 1", 4_217))
    ]


def _event(event_id: str, start: dt.datetime, **changes: object) -> EventRow:
    row = EventRow(
        grid_event_id=event_id,
        program_id="cs-daily",
        program="ConnectedSolutions Daily Dispatch",
        start=start,
        end=start + dt.timedelta(hours=3),
        phase="upcoming",
        drill=False,
        by_hand=False,
        called_by="openadr3",
        opt="in",
        opted_by="policy",
        opted_why="standing policy: take part",
        nominated_kw=1010.0,
        performance_kw=None,
        cancelled=False,
        cancelled_by="",
        why="",
        terms="CI-DAILY at $200 a kW and season, RES-v2 at $275 a kW and season (not verified)",
        leaving="By the rule: counts 0 kW in the season's mean under CI-DAILY (assumed: a declined call is as missed).",
    )
    return msgspec.structs.replace(row, **changes)


def _events() -> list[EventRow]:
    """One over, the one of the day, one by telephone, a drill, and one that was taken back."""
    day = dt.timedelta(days=1)
    return [
        _event("cs-2023-09-05", START - 2 * day, performance_kw=1043.0),
        _event("cs-2023-09-07", START),
        _event("manual-1694104200-1", START + day, by_hand=True, called_by="maria", nominated_kw=996.0),
        _event(
            "drill-1694104260-2",
            START + 5 * day,
            drill=True,
            by_hand=True,
            called_by="maria",
            nominated_kw=None,
            terms="",
            leaving="It is a drill: that costs nothing.",
        ),
        _event(
            "manual-1694104300-3",
            START + 6 * day,
            by_hand=True,
            called_by="maria",
            cancelled=True,
            cancelled_by="joe",
            why="the utility meant next week",
        ),
    ]


def baseline_kw(ts: dt.datetime) -> float:
    """What the parked fleet would draw without us."""
    hour = (ts.hour + ts.minute / 60 - 4) % 24
    evening = 210 * math.exp(-(((hour - 18.5) / 2.2) ** 2))
    night = 330 * math.exp(-(((hour - 23.0) / 2.6) ** 2)) + 260 * math.exp(-(((hour - 2.0) / 2.4) ** 2))
    return 24 + evening + night + 140 * math.exp(-(((hour - 10.5) / 1.3) ** 2))


def fleet_kw(ts: dt.datetime) -> float:
    """What it does."""
    wobble = 9 * math.sin(ts.timestamp() / 613) + 5 * math.sin(ts.timestamp() / 171)
    if START <= ts < END:
        ramp = min(1.0, (ts - START).total_seconds() / 60)
        return -ramp * (1048 + wobble)
    hour = (ts.hour + ts.minute / 60 - 4) % 24
    if 14 <= hour < 16:
        return 30 + wobble / 3
    return max(4.0, baseline_kw(ts) * (1.25 if hour < 6 or hour > 21 else 0.9) + wobble)


LOCKS = {
    "boston-bus05": (LockView(by="ann", why="new cable", since=START - dt.timedelta(minutes=20), whole_site=False),)
}


class FakeDesk:
    """The heart as the web sees it. ``advance`` moves its time; what it was asked stays in ``asked``."""

    def __init__(self, now: dt.datetime = START + dt.timedelta(minutes=108), *, started: bool = True) -> None:
        self.now = now
        self.tick = 1
        self.asked: list[Ask] = []
        self.stopped: set[str] = set()
        self.all_stopped = False
        self.opt = "in"
        self.events = _events()
        self.database = "ok"
        self.stale_s = 0.0
        self.refuse = ""
        self._random = random.Random(7)
        self._started = started
        self._view = self._build() if started else None

    def view(self) -> ConsoleView | None:
        """The last published picture."""
        return self._view

    def advance(self, seconds: float = 5.0) -> None:
        """One tick."""
        self.now += dt.timedelta(seconds=seconds)
        self.tick += 1
        self._view = self._build()

    async def ask(self, request: Ask) -> Receipt:
        """Take part in the conversation as the real desk does."""
        self.asked.append(request)
        if self.refuse:
            return Receipt(accepted=False, detail=self.refuse, reference="r1")
        detail = "Done."
        match request:
            case StopDischarge(site_id=None):
                self.all_stopped = True
                detail = "All discharge stopped: 44 stations at 0 kW in 1.4 s."
            case StopDischarge(site_id=str(site)):
                self.stopped.add(site)
            case ReleaseDischarge():
                self.all_stopped, self.stopped = False, set()
                detail = "Discharge released. Stations follow the plan again."
            case SetDeparture():
                detail = "Ready 06:10, 82 %."
            case CallEvent():
                detail = self._called(request)
            case WithdrawEvent():
                self._change(request.grid_event_id, cancelled=True, cancelled_by=request.by, why=request.why)
                detail = f"The drill {request.grid_event_id} is withdrawn before it began."
            case OptEvent():
                answer = "in" if request.opt_in else "out"
                self._change(request.grid_event_id, opt=answer, opted_by=request.by, opted_why=request.why)
                detail = f"The programme is {answer} {request.grid_event_id}."
            case AcknowledgeAlarm() | TellStation() | OrderStation():
                pass
        self.advance(1.0)
        return Receipt(accepted=True, detail=detail, reference=f"ask-{len(self.asked)}")

    def _called(self, request: CallEvent) -> str:
        event_id = f"{'drill' if request.drill else 'manual'}-{len(self.events)}"
        row = _event(event_id, request.start, drill=request.drill, by_hand=True, called_by=request.by, opt="undecided")
        self.events.append(msgspec.structs.replace(row, end=request.end, nominated_kw=None))
        return f"The event {event_id} is recorded; its nomination follows with the next plan."

    def _change(self, event_id: str, **changes: object) -> None:
        self.events = [
            msgspec.structs.replace(row, **changes) if row.grid_event_id == event_id else row for row in self.events
        ]

    async def station(self, station_id: str) -> StationView:
        """A charger that was exchanged, told three things and has a certificate for another 20 days."""
        return station_view(station_id, self.now)

    async def variables(self, station_id: str) -> tuple[tuple[str, DeviceVariable], ...]:
        """A few of a device model."""
        seconds = VariableKind(access="ReadWrite", data_type="integer", unit="s", least=1, most=86_400)
        fixed = VariableKind(access="ReadOnly", data_type="decimal", unit="W")
        modes = "ChargingOnly,CentralSetpoint,CentralFrequency"
        return (
            ("AlignedDataCtrlr.Interval", DeviceVariable(value="300", kind=seconds)),
            ("EVSE@1.Power", DeviceVariable(value="60000", kind=fixed)),
            ("OCPPCommCtrlr.HeartbeatInterval", DeviceVariable(value="300", kind=seconds)),
            ("SampledDataCtrlr.TxUpdatedInterval", DeviceVariable(value="10", target="60", kind=seconds)),
            ("V2XChargingCtrlr@1.SupportedOperationModes", DeviceVariable(value=modes)),
        )

    async def commissioning(self, site_id: str) -> CommissioningView:
        """Nobody has made sure, and one bus would be short."""
        return CommissioningView(
            site_id=site_id,
            state="no",
            by="",
            why="",
            at=None,
            until=None,
            clean=False,
            says=f"on its defaults alone these are short: {site_id}-bus01 12.5 kWh",
            import_limit_kw=200.0,
            short=(ShortView(vehicle_id=f"{site_id}-bus01", kwh=12.5),),
            quarters=(QuarterView(worst_load_kw=80.0, defaults_kw=60.0, over_kw=0.0),) * 96,
        )

    async def frames(self, station_id: str) -> tuple[FrameShown, ...]:
        """A meter value, a setpoint and their answers, over and over."""
        return frames_shown(self.now)

    async def schedule(self, station_id: str) -> ScheduleView:
        """It gives until the event's end, then charges by its default."""
        if station_id.startswith("home"):
            raise Unavailable("station is not connected", where=station_id)
        hour = dt.timedelta(hours=1)
        return ScheduleView(
            asked_at=self.now,
            end=self.now + hour,
            steps=(
                ScheduleStep(start=self.now, kw=-28.5),
                ScheduleStep(start=self.now + 0.35 * hour, kw=0.0),
                ScheduleStep(start=self.now + 0.7 * hour, kw=12.0),
            ),
            fallback=(
                ScheduleStep(start=self.now, kw=0.0),
                ScheduleStep(start=self.now + 4 * hour, kw=22.0),
                ScheduleStep(start=self.now + 13 * hour, kw=11.0),
            ),
        )

    def _build(self) -> ConsoleView:
        rows, stations, sites = self._fleet()
        power = sum(row.stations_kw for row in sites)
        base = baseline_kw(self.now)
        running = START <= self.now < END
        return ConsoleView(
            now=self.now,
            tick=self.tick,
            programme="Massachusetts V2X demonstration",
            zone="America/New_York",
            speed=60.0,
            stale_s=self.stale_s,
            database=self.database,  # type: ignore[arg-type]
            power_kw=power,
            relief_kw=-sum(row.stations_kw for row in sites if row.called or not running),
            baseline="10of10_additive",
            baseline_kw=base,
            discharge_nameplate_kw=1968.0,
            usable_kwh=2714.0,
            available_discharge_kw=1391.0,
            held_back=(
                HeldBack(
                    reason="away",
                    words="4 buses and 2 cars on the road, back by 18:12",
                    kw=262.0,
                    vehicles=6,
                    until=START + dt.timedelta(hours=2, minutes=12),
                ),
                HeldBack(
                    reason="unmetered",
                    words="waiting for the building's meter at Salem Public Works",
                    kw=180.0,
                    vehicles=3,
                ),
                HeldBack(reason="floor", words="2 buses with nothing above the floor", kw=135.0, vehicles=2),
            ),
            vehicles=66,
            vehicles_in=63,
            stations=66,
            stations_online=65,
            at_risk=sum(1 for row in rows if row.verdict in ("at_risk", "will_miss")),
            discharge_stopped=self.all_stopped,
            campaigns=(campaign(self.now),),
            stop=StopView(at=self.now, still_giving=0, quiet_s=7.4) if self.all_stopped else None,
            events=tuple(msgspec.structs.replace(row, phase=self._phase(row)) for row in self.events),
            programs=(
                ProgramRow(program_id="cs-daily", name="ConnectedSolutions Daily Dispatch"),
                ProgramRow(program_id="cs-res", name="ConnectedSolutions Residential"),
            ),
            event=EventView(
                grid_event_id="cs-2023-09-07",
                program="ConnectedSolutions Daily Dispatch",
                start=START,
                end=END,
                phase="running" if running else ("upcoming" if self.now < START else "over"),
                opt=self.opt,  # type: ignore[arg-type]
                nominated_kw=1010.0,
                nominated_at=START - dt.timedelta(hours=24),
                relief_now_kw=base - power,
                relief_mean_kw=1187.0,
                plan_kw=1120.0,
            ),
            readiness=tuple(rows),
            sites=tuple(sites),
            station_rows=tuple(stations),
            alarms=self._alarms(),
            equity=EquityView(
                ej_usd="2510000.00", total_usd="6320000.00", share=0.397, more_than_one_third=True, unknown=1
            ),
        )

    def _phase(self, row: EventRow) -> Literal["upcoming", "running", "over"]:
        return "upcoming" if self.now < row.start else ("over" if self.now >= row.end else "running")

    def _alarms(self) -> tuple[AlarmView, ...]:
        return (
            AlarmView(
                key="risk:boston-bus05",
                severity="warning",
                subject="boston-bus05",
                text="Bus 5 of Boston Public Schools needs 9 kWh more than it can get by 06:05; earliest ready 06:23.",
                since=self.now - dt.timedelta(minutes=12),
            ),
            AlarmView(
                key="offline:home-17-cs01",
                severity="info",
                subject="home-17-cs01",
                text="Station home-17-cs01 has been silent for 7 minutes; it follows its charge-only fallback.",
                since=self.now - dt.timedelta(minutes=7),
            ),
        )

    def _fleet(self) -> tuple[list[ReadinessRow], list[StationRow], list[SiteRow]]:
        rows: list[ReadinessRow] = []
        stations: list[StationRow] = []
        sites: list[SiteRow] = []
        for site_id, name, town, utility, count in SCHOOLS:
            bus_rows = [self._bus(site_id, name, number) for number in range(1, count + 1)]
            self._add(rows, stations, sites, bus_rows, BUS_KW, site_id, name, town, utility, "school")
        for site_id, name, town, utility in TOWNS:
            cars = [self._car(site_id, name, number) for number in range(1, 4)]
            self._add(rows, stations, sites, cars, CAR_KW, site_id, name, town, utility, "municipal")
        for number in range(1, 31):
            site_id, name = f"home-{number:02d}", f"Home {number}"
            cars = [self._car(site_id, name, 1)]
            self._add(rows, stations, sites, cars, HOME_KW, site_id, name, "Brockton", "National Grid", "home")
        return rows, stations, sites

    def _add(
        self,
        rows: list[ReadinessRow],
        stations: list[StationRow],
        sites: list[SiteRow],
        vehicles: list[ReadinessRow],
        kw: float,
        site_id: str,
        name: str,
        town: str,
        utility: str,
        kind: str,
    ) -> None:
        stopped = self.all_stopped or site_id in self.stopped
        islanded = site_id == "salem"
        total = 0.0
        for row in vehicles:
            giving = row.state == "discharging" and not stopped
            power = -kw * (0.97 + 0.03 * math.sin(self.tick / 9)) if giving else (0.0 if row.state != "away" else None)
            state = "idle" if row.state == "discharging" and stopped else row.state
            rows.append(msgspec.structs.replace(row, state=state))
            total += power or 0.0
            stations.append(self._station(row, power, stopped))
        building = {"school": 84.0, "municipal": 41.0, "home": 1.8}[kind]
        live = START <= self.now < END and not stopped
        sites.append(
            SiteRow(
                site_id=site_id,
                name=name,
                kind=kind,
                town=town,
                utility=utility,
                program=None if utility == "Concord Light" else "cs-daily",
                latitude=None,
                longitude=None,
                power_kw=None if islanded else round(building + total, 1),
                stations_kw=round(total, 1),
                building_kw=building,
                import_limit_kw={"school": 520.0, "municipal": 160.0, "home": 24.0}[kind],
                export_limit_kw={"school": 420.0, "municipal": 60.0, "home": 10.0}[kind],
                stations=len(vehicles),
                online=len(vehicles) - (1 if site_id == "home-17" else 0),
                vehicles_in=sum(1 for row in vehicles if row.state != "away"),
                grid="dead" if islanded and live else "live",
                islanded=islanded and live,
                hours_left=11.4 if islanded and live else None,
                discharge_stopped=stopped,
                vehicles=len(vehicles),
                discharge_kw=len(vehicles) * {"school": 60.0, "municipal": 20.0, "home": 9.6}[kind],
                called=utility != "Concord Light",
            )
        )

    def _station(self, row: ReadinessRow, power: float | None, stopped: bool) -> StationRow:
        return StationRow(
            station_id=row.vehicle_id.replace("bus", "cs").replace("car", "cs"),
            site_id=row.site_id,
            protocol="ocpp2.1",
            online=row.site_id != "home-17",
            status="occupied" if power is not None else "available",
            power_kw=power,
            setpoint_kw=power,
            why="discharge stopped by a person" if stopped else "grid event",
            soc=row.soc,
            skew_s=0.4,
            locks=LOCKS.get(row.vehicle_id, ()),
            lock_proven_at=START if row.vehicle_id in LOCKS else None,
            last_reading=self.now - dt.timedelta(seconds=6),
        )

    def _bus(self, site_id: str, site: str, number: int) -> ReadinessRow:
        departs = dt.datetime(2023, 9, 8, 10, 5, tzinfo=UTC) + dt.timedelta(minutes=7 * number)
        late = site_id == "boston" and number == 5
        away = site_id == "wayland" and number == 4
        soc = 0.31 if late else 0.74 - 0.035 * ((number * 3 + len(site_id)) % 7)
        return ReadinessRow(
            vehicle_id=f"{site_id}-bus{number:02d}",
            vehicle=f"Bus {number}",
            site_id=site_id,
            site=site,
            kind="bus",
            state="away" if away else ("idle" if late else "discharging"),
            departure=departs,
            trip="morning route",
            needed_soc=0.78 if number % 2 else 0.71,
            soc=None if away else soc,
            expected_soc=0.705 if late else (None if away else 0.94),
            slack_min=-18.0 if late else (None if away else 141.0 + 9 * number),
            short_kwh=9.3 if late else 0.0,
            verdict="at_risk" if late else ("away" if away else "ready"),
            why=(
                "Came back 52 min late with 31 %; charging starts after the event's last interval"
                if late
                else ("On its afternoon route, due back 18:10" if away else "Gives in the event, charges from 23:10")
            ),
        )

    def _car(self, site_id: str, site: str, number: int) -> ReadinessRow:
        home = site_id.startswith("home")
        seed = (sum(site_id.encode()) + number) % 9
        return ReadinessRow(
            vehicle_id=f"{site_id}-car{number:02d}",
            vehicle=f"Car {number}",
            site_id=site_id,
            site=site,
            kind="car",
            state="offline" if site_id == "home-17" else ("away" if seed == 4 and home else "discharging"),
            departure=dt.datetime(2023, 9, 8, 11, 0, tzinfo=UTC) + dt.timedelta(minutes=10 * seed),
            trip="commute" if home else "town rounds",
            needed_soc=0.45 + 0.02 * seed,
            soc=None if site_id == "home-17" else 0.6 + 0.03 * seed,
            expected_soc=None if site_id == "home-17" else 0.85,
            slack_min=None if site_id == "home-17" else 300.0 + seed,
            short_kwh=0.0,
            verdict="unknown" if site_id == "home-17" else "ready",
            why="No reading for 7 minutes" if site_id == "home-17" else "Charges from 01:00 at the low price",
        )
