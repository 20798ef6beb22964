"""What every station does whatever it speaks: keep time, sample on time, lose its link, follow its plant.

All timers are the loop's; nothing here polls. Samples are periodic from the session's start, clock-aligned
ones stand on the station's own clock, skew included.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from revere.twin.line import Line, Message, Payload, StationTime
from revere.twin.seeds import stream
from revere.twin.tokens import TokenList

if TYPE_CHECKING:
    from revere.core.scenario import PlantFacts
    from revere.twin.loop import TwinClock
    from revere.twin.plant import EvseReading, Plant, SiteReading
    from revere.twin.upkeep import Upkeep

LOG_SHARE: Final = 0.5
"""Share of site hardware that remembers an outage in which its link was dead."""
REAPPLY_MAX_S: Final = 86_400.0
DIAL_SPREAD_S: Final = 8.0
"""Stations first dial within this time of the world's start."""
DROP_MEDIAN_S, DROP_SIGMA, DROP_MIN_S, DROP_MAX_S = 90.0, 0.8, 10.0, 1_800.0
"""How long a lost link stays lost: log-normal, bounded."""


class Station:
    """One station: its line, its clock, its meters. A protocol fills in the words (2.1 or 1.6)."""

    subprotocol = ""
    upkeep: Upkeep

    def __init__(
        self, plant: Plant, row: int, clock: TwinClock, url: str, secret: str, seed: int, nature: PlantFacts
    ) -> None:
        self.plant, self.row, self.clock = plant, row, clock
        self.seed, self.nature = seed, nature
        self.asset, self.vehicle = plant.fleet.stations[row], plant.vehicles[row]
        self.serial = self.asset.serial or f"SN-{self.asset.id}"
        self.site_row = int(plant.site_of[row])
        self.rng = stream(seed, "station", self.asset.id)
        self._drops = stream(seed, "drops", self.asset.id)
        self._drops_per_s = nature.link_drops_per_station_day / 86_400
        skew_s = float(self.rng.uniform(-1.0, 1.0)) * nature.clock_skew_max_s
        self.time = StationTime(clock=clock, skew_s=skew_s)
        self.booted = False
        self.tokens = TokenList()
        self._boot_wanted = asyncio.Event()
        self.offline_since_s: float | None = None
        self.refusals: dict[str, int] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sample_base_s = 0.0
        self._last_edge_s = -math.inf
        self.keeps_log = bool(stream(seed, "outage-log", self.asset.id).random() < LOG_SHARE)
        self._seen_dead = self._seen_open = False
        self._untold: list[Callable[[], None]] = []
        self.line = Line(
            station_id=self.asset.id,
            url=url,
            secret=secret,
            subprotocol=self.subprotocol,
            clock=clock,
            rng=self.rng,
            latency_s=nature.latency_s,
            answer=self.answer,
            booting=self.boot,
            link_changed=self._link_changed,
            offline_mark=self.mark_offline,
        )
        self.start_protocol()

    # ---- filled in by the protocol ---------------------------------------------------------------

    def start_protocol(self) -> None:
        """Lay out the protocol's own state."""
        raise NotImplementedError

    async def boot(self) -> None:
        """Introduce the station; returns when it was accepted."""
        raise NotImplementedError

    def tell_status(self) -> None:
        """Tell the connector's status."""
        raise NotImplementedError

    def tell_meter(self) -> None:
        """Send the meter's values now."""
        raise NotImplementedError

    def cut_off(self, reason: str) -> None:
        """End the session, if one runs, for a reason in the protocol's own word."""
        raise NotImplementedError

    def answer(self, action: str, payload: Payload) -> Payload:
        """Answer a CALL."""
        raise NotImplementedError

    def plugged_in(self) -> None:
        """The cable went in."""
        raise NotImplementedError

    def unplugged(self) -> None:
        """The cable was pulled."""
        raise NotImplementedError

    def in_session(self) -> bool:
        """Whether a transaction runs."""
        raise NotImplementedError

    def sample_evse(self) -> None:
        """Send a periodic sample of the session."""
        raise NotImplementedError

    def align_evse(self, edge_s: float) -> None:
        """Send a clock-aligned sample of the EVSE, stamped with the edge of the station's clock."""
        raise NotImplementedError

    def meter_site(self, reading: SiteReading, edge_s: float) -> None:
        """Send the site's main meter, clock-aligned."""
        raise NotImplementedError

    def reapply(self) -> None:
        """Evaluate the profiles and aim the converter."""
        raise NotImplementedError

    def heartbeat_s(self) -> float:
        """Seconds between heartbeats."""
        raise NotImplementedError

    def sample_s(self) -> float:
        """Seconds between periodic samples; 0 = none."""
        raise NotImplementedError

    def aligned_s(self) -> float:
        """Seconds between clock-aligned samples; 0 = none."""
        raise NotImplementedError

    def mark_offline(self, payload: Payload) -> None:
        """Mark a queued message as made while offline, where the protocol has a word for it."""

    def grid_changed(self, *, dead: bool, stamp: str) -> None:
        """Report a dead grid or its return, where the protocol has words for it."""

    def switch_changed(self, *, is_open: bool, stamp: str) -> None:
        """Report the transfer switch, where the protocol has words for it."""

    # ---- the plant behind the station ------------------------------------------------------------

    @property
    def plugged(self) -> bool:
        """Whether the cable is in a vehicle."""
        return bool(self.plant.plugged[self.row])

    def read(self) -> EvseReading:
        """The EVSE's meter and vehicle now."""
        return self.plant.evse(self.row, self.time.true_s())

    def command(self, power_kw: float) -> None:
        """Aim the converter at an AC power, charging positive."""
        self.plant.command(self.row, power_kw, self.time.true_s())

    # ---- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to live: dial within ``DIAL_SPREAD_S``, sample, lose the link now and then."""
        self.work(self._live())
        self.arm_aligned()
        self._arm_drop()

    async def _live(self) -> None:
        await asyncio.sleep(float(self.rng.uniform(0.0, DIAL_SPREAD_S)))
        await self.line.run()

    async def stop(self) -> None:
        """End every timer and task; the socket closes."""
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def work(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something beside; a failure other than a lost link is loud."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": f"station {self.asset.id} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def later(self, name: str, delay_s: float, action: Callable[[], None]) -> None:
        """Set the timer ``name`` (replacing it) to run ``action`` after ``delay_s``."""
        self.cancel(name)
        self._timers[name] = asyncio.get_running_loop().call_later(max(delay_s, 0.0), action)

    def cancel(self, name: str) -> None:
        """Cancel the timer ``name``, if set."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    async def wait_to_boot(self, interval_s: float) -> None:
        """Not accepted: boot again after a while, or when it is asked for."""
        self._boot_wanted.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(interval_s, 1.0)):
                await self._boot_wanted.wait()

    def boot_at_once(self) -> None:
        """End that wait."""
        self._boot_wanted.set()

    def go_down(self, down_s: float) -> None:
        """Lose power or start anew: no link, no power, and a boot afterwards."""
        self.booted = False
        self.cancel("begin")
        self.line.drop(down_s)

    # ---- the link --------------------------------------------------------------------------------

    def _link_changed(self, up: bool) -> None:
        self.offline_since_s = None if up else self.time.now_s()
        if up:
            self.arm_heartbeat()
            self.report_grid()
        else:
            self.cancel("heartbeat")
        self.reapply()

    def report_grid(self) -> None:
        """Note what this station's site hardware sees now, where it differs, and tell all that is untold in its order.

        Hardware that keeps a log tells late what happened while the link was dead, with the time at which it happened.
        """
        if not (self.asset.meters_site and (self.line.accepted or self.keeps_log)):
            return
        dead, is_open, stamp = (
            bool(self.plant.dead[self.site_row]),
            bool(self.plant.open[self.site_row]),
            self.time.stamp(),
        )
        if dead != self._seen_dead:
            self._untold.append(lambda: self.grid_changed(dead=dead, stamp=stamp))
        if is_open != self._seen_open:
            self._untold.append(lambda: self.switch_changed(is_open=is_open, stamp=stamp))
        self._seen_dead, self._seen_open = dead, is_open
        if self.line.accepted:
            untold, self._untold = self._untold, []
            for tell in untold:
                tell()

    def _arm_drop(self) -> None:
        if self._drops_per_s > 0:
            self.later("drop", float(self._drops.exponential(1 / self._drops_per_s)), self._drop)

    def _drop(self) -> None:
        silent_s = DROP_MEDIAN_S * math.exp(DROP_SIGMA * float(self._drops.standard_normal()))
        self.line.drop(min(max(silent_s, DROP_MIN_S), DROP_MAX_S))
        self._arm_drop()

    def arm_heartbeat(self) -> None:
        """Set the next heartbeat."""
        self.later("heartbeat", self.heartbeat_s(), self._heartbeat)

    def _heartbeat(self) -> None:
        self.beat()
        self.arm_heartbeat()

    def beat(self) -> None:
        """Send a heartbeat and let the answer slew the clock."""
        self.line.post(Message("Heartbeat", {}, on_result=lambda answer: self.time.told(answer["currentTime"])))

    # ---- meters ----------------------------------------------------------------------------------

    def arm_samples(self) -> None:
        """Sample periodically from now on, while a session runs (a main meter reports clock-aligned values alone)."""
        self._sample_base_s = self.clock.monotonic_s()
        self._next_sample()

    def _next_sample(self) -> None:
        every_s = self.sample_s()
        if every_s <= 0 or not self.in_session():
            self.cancel("sample")
            return
        since_s = self.clock.monotonic_s() - self._sample_base_s
        count = math.floor(since_s / every_s + 1e-6) + 1
        self.later("sample", self._sample_base_s + count * every_s - self.clock.monotonic_s(), self._sample)

    def _sample(self) -> None:
        if self.in_session():
            self.sample_evse()
        self._next_sample()

    def arm_aligned(self) -> None:
        """Set the next clock-aligned sample on the station's own clock."""
        every_s = self.aligned_s()
        if every_s <= 0:
            self.cancel("aligned")
            return
        now_s = self.time.now_s()
        edge_s = (math.floor(now_s / every_s) + 1) * every_s
        if edge_s < self._last_edge_s + every_s / 2:
            edge_s += every_s  # a slewed clock must not give the same edge twice
        self.later("aligned", edge_s - now_s, lambda: self._aligned(edge_s))

    def _aligned(self, edge_s: float) -> None:
        self._last_edge_s = edge_s
        if self.booted:
            self.align_evse(edge_s)
            if self.asset.meters_site and self.line.accepted:
                self.meter_site(self.plant.site_meter(self.site_row, self.time.true_s()), edge_s)
        self.arm_aligned()

    def reapply_in(self, delay_s: float) -> None:
        """Evaluate the profiles again when they next change."""
        if delay_s < REAPPLY_MAX_S:
            self.later("reapply", delay_s + 1e-3, self.reapply)
        else:
            self.cancel("reapply")
