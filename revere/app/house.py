"""One running house: store, inbox, stations' server, utility link, heart, desk."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from revere.control.building import fallback_profiles
from revere.control.directory import Directory
from revere.control.heart import Heart, run_inline
from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.control.office import Office
from revere.core import facts as f
from revere.links.ocppj.server import OcppServer
from revere.links.openadr3.ven import Ven
from revere.settle.rules import load_rulebook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from revere.control.view import EquityView
    from revere.core.assets import Fleet
    from revere.core.time import Clock
    from revere.store.store import Store

REMEMBERED = (
    "StationBooted", "ClockSkewMeasured",
    "SessionStarted", "SessionEnded", "EnergyNeeds", "GridEventReceived", "Nominated",
    "OptDecided", "GridLost", "GridRestored", "TransferSwitchReported", "DepartureSet", "DischargeStopped",
    "DischargeReleased", "AlarmRaised", "AlarmCleared", "EventReported", "CommandIssued", "CommandEnded",
)  # fmt: skip
RECENT_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class UtilityAccess:
    """How to reach the utility's VTN."""

    base_url: str
    client_id: str
    client_secret: str
    poll_s: float = 60.0


@dataclass(kw_only=True)
class House:
    """The parts, started together and stopped together."""

    store: Store
    image: Image
    inbox: Inbox
    server: OcppServer
    heart: Heart
    office: Office
    directory: Directory
    ven: Ven | None
    port: int
    tasks: list[asyncio.Task[None]]

    def failure(self) -> BaseException | None:
        """Why a part ended that should run for ever, None while all run."""
        for task in self.tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                return task.exception()
        return None

    async def close(self) -> None:
        """Stop deciding, then listening, then writing."""
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):  # its failure was read by failure()
                await task
        await self.server.close()
        await self.store.close()


async def open_house(
    store: Store,
    fleet: Fleet,
    clock: Clock,
    *,
    key: bytes,
    macs: Mapping[str, bytes],
    utility: UtilityAccess | None,
    host: str = "127.0.0.1",
    port: int = 0,
    ping_interval_s: float | None = 20.0,
    offload: Callable[[Callable[[], Any]], Awaitable[Any]] = run_inline,
    speed: float = 1.0,
    publish: bool = True,
    equity: EquityView | None = None,
) -> House:
    """Wire a house over an open store and start it. Facts of an earlier life are folded first."""
    image = Image(fleet)
    inbox = Inbox(store, image)
    profiles, _short = fallback_profiles(fleet)
    directory = Directory(fleet, key, macs, profiles)
    server = OcppServer(inbox, directory, clock, ping_interval_s=ping_interval_s)
    commands = await remember(store, image, clock)
    ven = await _ven(utility, fleet, store, inbox, clock)
    heart = Heart(
        image,
        inbox,
        server,
        clock,
        load_rulebook(),
        books=store,
        utility=ven,
        offload=offload,
        speed=speed,
        equity=equity,
    )
    heart.tracker.resume(commands)
    office = Office(heart, inbox, asyncio.get_running_loop())
    if publish:
        heart.publish = office.publish
    listening = await server.serve(host, port)
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(heart.run(), name="heart")]
    if ven is not None:
        tasks.append(loop.create_task(ven.run(), name="ven"))
    return House(
        store=store,
        image=image,
        inbox=inbox,
        server=server,
        heart=heart,
        office=office,
        directory=directory,
        ven=ven,
        port=listening,
        tasks=tasks,
    )


async def _ven(utility: UtilityAccess | None, fleet: Fleet, store: Store, inbox: Inbox, clock: Clock) -> Ven | None:
    """The link to the utility, told which events an earlier life had heard of."""
    if utility is None:
        return None
    # Contracts that hang on one OpenADR program share its events (see Image.members).
    programs = {program.openadr_program: program.id for program in reversed(fleet.programs)}
    known = [
        fact
        async for fact in store.journal(kinds=("GridEventReceived",))
        if isinstance(fact, f.GridEventReceived) and fact.source == "openadr3"
    ]
    return Ven(
        utility.base_url,
        utility.client_id,
        utility.client_secret,
        programs,
        inbox,
        clock,
        poll_s=utility.poll_s,
        known=known,
    )


async def remember(store: Store, image: Image, clock: Clock) -> int:
    """Fold what earlier lives journaled into a fresh image; returns how many commands were ever issued.

    Readings older than an hour say nothing about now and are left out; stations count as offline until they come back.
    """
    commands = 0
    async for fact in store.journal(kinds=REMEMBERED):
        if isinstance(fact, f.CommandIssued):
            commands += 1
        image.apply(fact)
    recent = clock.now() - dt.timedelta(seconds=RECENT_S)
    async for fact in store.journal(since=recent, kinds=("MeterReading",)):
        image.apply(fact)
    return commands
