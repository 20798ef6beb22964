"""The heart: freeze the image, decide, tell the stations what changed; the same every five seconds.

::

    facts -> inbox -> journal -> image --+--> plan (every 5 min, or when something changed)
                                         +--> tick (every 5 s) -> arbiter -> setpoints -> stations
                                         +--> picture for the console
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import structlog

from revere.control.bounds import LOAD_FRESH, Standing
from revere.control.building import BuildingHistory, default_limit_kw, fallback_profiles
from revere.control.calm import Calm
from revere.control.campaigns import Campaigns
from revere.control.contracts import Contracts
from revere.control.events import EventDesk
from revere.control.headroom import usable
from revere.control.islands import Islands
from revere.control.leases import must_wait, renew_after
from revere.control.locks import Locks
from revere.control.modes import Modes
from revere.control.publisher import Now, build_view
from revere.control.reconcile import Reconciler
from revere.control.scribe import Scribe
from revere.control.sender import Sender
from revere.control.snapshot import Snapshot, read_slots, take_snapshot
from revere.control.ticker import Ticker
from revere.control.tracking import CommandTracker
from revere.control.watch import Watch
from revere.core import facts as f
from revere.core.commands import SCHEDULE_READ_S, ReportingCommand, SetpointCommand
from revere.core.errors import Refused, RevereError, Unavailable
from revere.core.time import floor_to, wall_s
from revere.plan.schedule import Plan, Scheduler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import numpy.typing as npt

    from revere.control.closing import Books
    from revere.control.commissioning import Commissioning
    from revere.control.event_image import EventImage
    from revere.control.events import Utility
    from revere.control.image import EvseImage, Image
    from revere.control.inbox import Inbox
    from revere.control.ticker import Decision
    from revere.control.view import ConsoleView, EquityView
    from revere.core.ids import SiteId, StationId
    from revere.core.ports import ChargingLink
    from revere.core.time import Clock
    from revere.settle.rules import Rulebook

T = TypeVar("T")
log = structlog.get_logger()

TICK_S = 5
PLAN_S = 300
REPLAN_DEBOUNCE_S = 10.0
EVENT_LEAD = dt.timedelta(minutes=3)
SAMPLE_S = 60
SAMPLE_IN_EVENT_S = 10
SAMPLING_RETRY_S = 20.0
PROVE_STOP = dt.timedelta(minutes=2)
WATCH_TICKS = 12
"""Once a minute is soon enough to tell a person."""
MOVED_KW = 0.001
REPLAN_ON = (
    f.SessionStarted,
    f.EnergyNeeds,
    f.ExternalLimitReported,
    f.ExternalLimitLifted,
    f.PriorityChargingReported,
    f.OperationModeSet,
    f.OperationModeEnded,
    f.DepartureSet,
    f.GridEventReceived,
    f.GridLost,
    f.GridRestored,
    f.TransferSwitchReported,
    f.OutageSuspected,
    f.GridProven,
    f.OptDecided,
    f.DischargeStopped,
    f.DischargeReleased,
    f.Locked,
    f.Unlocked,
    f.SiteCommissioned,
)
"""What calls for a new plan before its time. A vehicle that left does not: the arbiter has let go of it already."""
REBOUND_ON = (f.EnergyNeeds, f.ExternalLimitReported, f.ExternalLimitLifted, f.Unlocked, f.SiteCommissioned)
"""What changes what an EVSE may do at once."""


@dataclass(slots=True)
class HeartFigures:
    """Wall seconds of deciding, for reports of speed."""

    ticks: int = 0
    plans: int = 0
    plan_wall_s: float = 0.0
    plan_wall_max_s: float = 0.0
    plan_iterations: int = 0
    tick_wall_s: float = 0.0


async def run_inline(work: Callable[[], T]) -> T:
    """Compute on the loop: virtual time stands still, and the order is the seed's."""
    return work()


class Heart:
    """Wires image, planner, arbiter and stations together; all its waiting is ``asyncio.sleep``."""

    def __init__(
        self,
        image: Image,
        inbox: Inbox,
        link: ChargingLink,
        clock: Clock,
        rulebook: Rulebook,
        *,
        books: Books | None = None,
        utility: Utility | None = None,
        offload: Callable[[Callable[[], object]], Awaitable[object]] = run_inline,
        speed: float = 1.0,
        equity: EquityView | None = None,
        clock_synchronised: Callable[[], bool] = lambda: True,
    ) -> None:
        self.image = image
        self.inbox = inbox
        self.clock = clock
        self.link = link
        self.contracts = Contracts(image.fleet, rulebook)
        self.figures = HeartFigures()
        self.tracker = CommandTracker()
        self.scribe = Scribe(inbox)
        self.sender = Sender(link, self.tracker, self.scribe, clock)
        self.ticker = Ticker(image, self.tracker)
        self.scheduler = Scheduler()
        self.history = BuildingHistory(image.fleet)
        self.events = EventDesk(image, inbox, books, self.contracts, utility)
        self.islands = Islands(image)
        self.watch = Watch(image, self.scribe)
        self.modes = Modes(image, self.ticker, link, self.sender, self.scribe, clock)
        self.locks = Locks(image, inbox, self.scribe, link, self.sender, self._lock_now)
        self.snapshot: Snapshot | None = None
        self.plan: Plan | None = None
        self.commissioning: Commissioning | None = None
        """Who says which sites may discharge; without one all may."""
        self._offload = offload
        self._speed = speed
        self._equity = equity
        self.publish: Callable[[ConsoleView], None] | None = None
        self._clock_synchronised = clock_synchronised
        self._replan = asyncio.Event()
        self._sampling: dict[str, int] = {}
        self._sent_at: dict[str, dt.datetime] = {}
        self._reasons: dict[str, str] = {}
        self._planned_kwh: dict[tuple[str, dt.datetime], float] = {}
        self._relief: list[float] = []
        self.usable_at_start_kwh: dict[str, float] = {}
        self._relief_event: str | None = None
        self._relief_since: dt.datetime | None = None
        self._calm = Calm()
        self._decision: Decision | None = None
        self._sessions: dict[str, str | None] = {}
        profiles, _short = fallback_profiles(image.fleet)
        self.ticker.fallback_kw = lambda station_id, now: default_limit_kw(profiles[station_id], now)
        self.reconciler = Reconciler(image, self.ticker.fallback_kw)
        self.campaigns = Campaigns(
            image, inbox, link, self.sender, clock, lambda asset_id: asset_id not in self.reconciler.wrong
        )
        inbox.watch(self._on_fact)
        inbox.warn(lambda _fact: self._calm.disturb())
        self._load_at: dict[SiteId, dt.datetime] = {}
        image.on_building = self._on_building

    def tell_again(self, asset_id: str) -> None:
        """Send an EVSE its setpoint with the next tick, changed or not."""
        self._calm.disturb()
        self._sent_at.pop(asset_id, None)

    def hurry(self) -> None:
        """Decide now, whatever stands: a person's stop binds before the journal has it."""
        self._calm.disturb()
        self.tick()

    def _lock_now(self) -> None:
        """Tell a station that has just been locked."""
        self.ticker.bounds.mark()
        self.hurry()

    def _on_fact(self, fact: f.Fact) -> None:
        self._calm.note(fact)
        self.events.notice(fact)
        back_in_event = isinstance(fact, f.StationConnected) and self.running_events(fact.at)
        if isinstance(fact, REPLAN_ON) or back_in_event:  # a plan counts on nobody who is out of reach
            self._replan.set()
        if isinstance(fact, REBOUND_ON):
            self.ticker.bounds.mark()
        if isinstance(fact, f.StationProvisioned):
            self._sampling.pop(fact.station_id, None)  # boot sets the interval back to its default
        if isinstance(fact, f.StationConnected | f.StationProvisioned):
            # While it was away its lease may have ended: what it was told last is told again.
            self.tell_again(f.evse_asset(fact.station_id, 1))
        if isinstance(fact, f.OperationModeEnded | f.PriorityChargingReported):
            self.tell_again(f.evse_asset(fact.station_id, 1))  # what stands beneath is followed again
        if isinstance(fact, f.OperationModeReported) and fact.left_ours:
            self.tell_again(f.evse_asset(fact.station_id, fact.evse_id))  # once a stay: only a change is told
        if isinstance(fact, f.ScheduleRead):
            self._reconcile(fact)

    def _on_building(self, site_id: SiteId, at: dt.datetime, load_kw: float) -> None:
        """Learn from a building's measured load; where it was not known, vehicles may give from now on: plan anew."""
        self.history.add(site_id, at, load_kw)
        before = self._load_at.get(site_id)
        self._load_at[site_id] = at
        if before is None or at - before >= LOAD_FRESH:
            self._replan.set()

    def _reconcile(self, fact: f.ScheduleRead) -> None:
        """Correct a station that follows something else than it was told, and say so."""
        key = f"schedule:{fact.station_id}"
        found = self.reconciler.compare(fact)
        if found is None:
            self.watch.clear(key, fact.at)
            return
        if found.tell:
            self.watch.alarm(key, found.severity, fact.station_id, found.text, fact.at)
        self.tell_again(found.asset_id)
        if found.fallback:
            self.sender.chore(self.link.restore_fallback(fact.station_id))

    async def _read_again(self, station_id: StationId) -> None:
        """Ask a corrected station what it follows now; one that does not say is asked again later."""
        try:
            steps = await self.link.composite_limits_kw(station_id, 1, SCHEDULE_READ_S)
        except (Unavailable, Refused):
            return
        self.scribe.write([f.ScheduleRead(at=self.clock.now(), station_id=station_id, evse_id=1, steps=tuple(steps))])

    async def run(self) -> None:
        """Beat until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.scribe.run(), name="scribe")
                group.create_task(self._plan_loop(), name="plan")
                group.create_task(self._tick_loop(), name="tick")
                group.create_task(self._event_loop(), name="events")
                group.create_task(self.campaigns.run(), name="campaigns")
        finally:
            await self.sender.close()

    async def _until_next(self, step_s: int) -> None:
        now = self.clock.now()
        await asyncio.sleep((floor_to(now, step_s) + dt.timedelta(seconds=step_s) - now).total_seconds())

    # ---- planning -------------------------------------------------------------------------------

    async def _plan_loop(self) -> None:
        """Plan every five minutes, and ten seconds after something changed who is where."""
        while True:
            await self.make_plan()
            now = self.clock.now()
            wait_s = (floor_to(now, PLAN_S) + dt.timedelta(seconds=PLAN_S) - now).total_seconds()
            try:
                async with asyncio.timeout(wait_s):
                    await self._replan.wait()
                    await asyncio.sleep(REPLAN_DEBOUNCE_S)
            except TimeoutError:
                pass
            self._replan.clear()

    async def make_plan(self) -> None:
        """Freeze, optimise, keep; a plan that cannot be made leaves the last one in force and says so."""
        now = self.clock.now()
        started = wall_s()
        try:
            snapshot = take_snapshot(self.image, now, self.history.forecast, self.contracts)
            self._stand(snapshot)  # departures bind even where no plan can be made
            solved = await self._offload(lambda: self.scheduler.plan(snapshot.problem))
        except RevereError as error:
            log.warning("no plan", why=str(error))
            self.watch.alarm("plan", "warning", "planner", f"No new plan: {error}", now)
            return
        assert isinstance(solved, Plan)
        plan = solved
        spent = wall_s() - started
        figures = self.figures
        figures.plans += 1
        figures.plan_wall_s += spent
        figures.plan_wall_max_s = max(figures.plan_wall_max_s, spent)
        figures.plan_iterations += plan.iterations
        self.watch.clear("plan", now)
        self.snapshot, self.plan = snapshot, plan
        self._foresee(snapshot, plan)
        shortfalls = {label: round(kwh, 3) for label, kwh in plan.shortfalls(snapshot.problem, 0.05).items()}
        self.scribe.write(
            [
                f.PlanMade(
                    at=now,
                    objective_usd=round(plan.objective_usd, 4),
                    steps=snapshot.problem.steps,
                    status=plan.status,
                    shortfalls=shortfalls,
                )
            ]
        )
        try:
            await self.events.nominate(snapshot, plan, now)
        except Unavailable as error:
            log.warning("nomination waits for the database and the next plan", why=str(error))
        self.watch.promises(snapshot, plan, now)

    def _stand(self, snapshot: Snapshot) -> None:
        """Keep each vehicle's next departure for the barrier between plans, and the one after an overdue one."""
        self.ticker.bounds.mark()
        for slot in snapshot.slots:
            assert slot.evse.vehicle is not None
            due: Standing | None = None
            for journey in reversed(slot.presence.next_departures()):
                due = Standing(journey.depart, journey.needed_kwh, due)
            self.ticker.standing[slot.evse.vehicle.id] = due or Standing(None, 0.0)

    def _foresee(self, snapshot: Snapshot, plan: Plan) -> None:
        """Planned energy at each departure, for the readiness board."""
        self._planned_kwh = {}
        vehicles = [slot.evse.vehicle for slot in snapshot.slots]
        for departure in snapshot.problem.departures:
            vehicle = vehicles[departure.vehicle]
            assert vehicle is not None
            for journey in snapshot.slots[departure.vehicle].presence.journeys:
                if departure.label.endswith(f" {journey.name}") and 0 <= departure.step < plan.energy_kwh.shape[1]:
                    key = (vehicle.id, journey.depart)
                    self._planned_kwh.setdefault(key, float(plan.energy_kwh[departure.vehicle, departure.step]))

    # ---- the tick -------------------------------------------------------------------------------

    async def _tick_loop(self) -> None:
        while True:
            await self._until_next(TICK_S)
            started = wall_s()
            self.tick()
            self.figures.tick_wall_s += wall_s() - started

    def tick(self) -> None:
        """Decide for every EVSE and send what changed."""
        now = self.clock.now()
        self.figures.ticks += 1
        self.scribe.write(self.tracker.check(self.image, now))
        self.scribe.write(self.locks.look(now))
        self._notice_sessions()
        events = self.running_events(now)
        self.modes.look(events, now)
        called = self._called(events)
        self._sample(called or self._called(self.running_events(now + EVENT_LEAD)), now)
        island_kw = self.islands.refresh(now, self.ticker.standing)
        self._decide(now, events, island_kw, called)
        self._track_relief(events[0] if events else None, now)
        for station_id in self.reconciler.due(now):
            self.sender.chore(self._read_again(station_id))
        if self.figures.ticks % WATCH_TICKS == 0:
            self.watch.look(now)
            if self.commissioning is not None:
                self.commissioning.watch(now, self.watch)
        self.show()

    def show(self) -> None:
        """Publish the picture now, between ticks too: something changed that people should see at once."""
        if self.publish is not None:
            self.publish(self.picture(self.clock.now()))

    def _decide(
        self, now: dt.datetime, events: list[EventImage], island_kw: dict[str, float], called: frozenset[SiteId]
    ) -> None:
        """Let the arbiter decide where anything moves, and tell the stations; else the last decision stands.

        Renewals wait for the next decision; what a station did not take is sent again at once.
        """
        shares = self.islands.return_shares(now)
        busy = bool(events or island_kw or shares) or self.tracker.asks_again(now)
        if not busy and self._calm.holds(now, self.plan):
            return
        decided_wall_s = wall_s()
        decision = self.ticker.decide(now, self.snapshot, self.plan, events, island_kw, shares)
        changed = self._send(decision, now, decided_wall_s, called)
        self._calm.decided(now, self.plan, decision, changed, busy=busy)
        self._decision = decision
        self._reasons = dict(zip(decision.assets, decision.reasons, strict=True))

    def _notice_sessions(self) -> None:
        for row, asset in enumerate(self.ticker.assets):
            session = self.image.evses[asset].session_id
            if self._sessions.get(asset) != session:
                self._sessions[asset] = session
                self.tell_again(asset)
                self.tracker.forget(asset)
                self.ticker.forget(row)

    def running_events(self, now: dt.datetime) -> list[EventImage]:
        """Calls that we take part in now, the earliest first."""
        running = [
            e for e in self.image.events.values() if e.opt == "in" and not e.cancelled and e.start <= now < e.end
        ]
        return sorted(running, key=lambda e: (e.start, e.grid_event_id))

    def _called(self, events: Sequence[EventImage]) -> frozenset[SiteId]:
        """The sites of all of them."""
        return frozenset().union(*(self.image.members(event) for event in events))

    def _send(
        self, decision: Decision, now: dt.datetime, decided_wall_s: float, members: frozenset[SiteId]
    ) -> npt.NDArray[np.bool_]:
        """Tell each station what changed, was not followed or has to be renewed; returns whose setpoint changed."""
        kw = decision.setpoints.kw
        changed = np.zeros(len(kw), dtype=bool)
        for row in self.reconciler.first(decision.assets):
            asset = decision.assets[row]
            evse = self.image.evses[asset]
            if evse.session_id is None or not evse.commanded():
                continue
            sent_at = self._sent_at.get(asset)
            # The arbiter has its own deadband; what it changed is meant.
            moved = abs(kw[row] - self.ticker.last_kw[row]) >= MOVED_KW
            again = self.tracker.ask_again(asset, now)
            if sent_at is not None and self._not_now(row, float(kw[row]), evse, now - sent_at, due=moved or again):
                continue
            changed[row] = moved or again or sent_at is None
            self._sent_at[asset] = now
            setpoint_kw = round(float(kw[row]), 3)
            interval_s = self._sampling.get(evse.station.id, SAMPLE_S)
            command, facts = self.tracker.issue(
                evse, asset, setpoint_kw, now, interval_s, in_event=evse.station.site_id in members
            )
            self.scribe.write(facts)
            wire = SetpointCommand(
                command_id=command.command_id,
                station_id=evse.station.id,
                evse_id=1,
                session_id=evse.session_id,
                setpoint_kw=setpoint_kw,
                charge_limit_kw=evse.station.charge_kw,
                discharge_limit_kw=evse.station.discharge_kw,
            )
            self.sender.send(wire, command, decided_wall_s)
        self.ticker.accept(decision, changed, now)
        return changed

    def _not_now(self, row: int, kw: float, evse: EvseImage, since: dt.timedelta, *, due: bool) -> bool:
        """Whether a station, last told ``since`` ago, is not to be told now."""
        protocol = evse.station.protocol
        if not due and since < renew_after(protocol, kw):
            return True
        gives = evse.discharges and evse.station.discharge_kw > 0
        return must_wait(protocol, since, float(self.ticker.last_kw[row]), kw, gives=gives)

    def _sample(self, members: frozenset[SiteId], now: dt.datetime) -> None:
        """Ten-second values at the called sites, from shortly before an event until its end.

        And everywhere just after a stop: who stopped wants to see within seconds that it stands. A locked station is
        asked until it is seen to rest, and then nothing.
        """
        stopped_at = self.image.stopped_at
        proving = stopped_at is not None and now - stopped_at < PROVE_STOP
        for evse in self.image.evses.values():
            lock = evse.lock_state()
            often = proving or lock == "closing" or evse.station.site_id in members
            wanted = SAMPLE_IN_EVENT_S if often else SAMPLE_S
            station_id = evse.station.id
            if self._sampling.get(station_id, SAMPLE_S) == wanted or not evse.online or lock == "locked":
                continue
            self._sampling[station_id] = wanted
            self.sender.chore(self._set_reporting(ReportingCommand(station_id=station_id, sample_interval_s=wanted)))

    async def _set_reporting(self, command: ReportingCommand) -> None:
        """Ask for another interval; what the station did not take is asked again after a pause."""
        answer = await self.link.set_reporting(command)
        if answer.status != "accepted":
            await asyncio.sleep(SAMPLING_RETRY_S)
            self._sampling.pop(command.station_id, None)

    def _track_relief(self, event: EventImage | None, now: dt.datetime) -> None:
        """A running mean for the screen; what is paid comes from registers later."""
        if event is None:
            return
        members = self.image.members(event)
        if self._relief_event != event.grid_event_id:
            self._relief_event, self._relief, self._relief_since = event.grid_event_id, [], now
            slots = [s for s in read_slots(self.image, now) if s.evse.station.site_id in members]
            usable_kwh = sum(usable(self.image, slot, now) for slot in slots)
            self.usable_at_start_kwh.setdefault(event.grid_event_id, usable_kwh)
        powers = [e.power_kw or 0.0 for e in self.image.evses.values() if e.station.site_id in members and e.session_id]
        self._relief.append(-sum(powers))

    # ---- the slow things ------------------------------------------------------------------------

    async def _event_loop(self) -> None:
        while True:
            await self._until_next(TICK_S)
            now = self.clock.now()
            try:
                await self.events.decide(now)
                synchronised = self._clock_synchronised()
                self.watch.clock(now, synchronised=synchronised)
                await self.events.close_due(now, clock_synchronised=synchronised)
            except Unavailable as error:
                log.warning("events wait for the database", why=str(error))

    def picture(self, now: dt.datetime) -> ConsoleView:
        """The console's picture at this moment."""
        setpoints = {asset: float(self.ticker.last_kw[row]) for row, asset in enumerate(self.ticker.assets)}
        return build_view(
            self.image,
            Now(
                now=now,
                tick=self.figures.ticks,
                speed=self._speed,
                database_ok=self.inbox.keeps_up(now),
                stale_s=self.inbox.behind_s(now),
                setpoints_kw=setpoints,
                reasons=self._reasons,
                planned_kwh=self._planned_kwh,
                plan_relief_kw=(self._decision.target_kw if self._decision else None),
                relief_since=self._relief_since,
                relief_mean_kw=sum(self._relief) / len(self._relief) if self._relief else None,
                baseline=self.events.baseline(now),
                islands=self.islands.plans,
                equity=self._equity,
                contracts=self.contracts,
                campaigns=self.campaigns.views,
            ),
        )
