"""One running house: store, inbox, stations' server, utility link, heart, desk."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from revere.app.summary import equity_view
from revere.control.building import fallback_profiles
from revere.control.card_desk import CardDesk
from revere.control.certificates import Certificates
from revere.control.commissioning import Commissioning
from revere.control.directory import Directory
from revere.control.heart import Heart, run_inline
from revere.control.hours import HourKeeper
from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.control.office import Office
from revere.control.pulse import Pulse
from revere.control.rotation import Rotation
from revere.control.upgrade import Upgrade
from revere.core import facts as f
from revere.core.facts import evse_asset
from revere.core.ids import CommandId
from revere.links.ocppj.door import DoorRules
from revere.links.ocppj.server import OcppServer
from revere.links.openadr3.ven import Ven
from revere.settle.rules import load_rulebook
from revere.web.guide.groups import shown_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from revere.core.addresses import AllowedAddresses
    from revere.core.assets import Fleet
    from revere.core.ids import StationId
    from revere.core.ports import CertificateSigner, KnownCertificate
    from revere.core.time import Clock
    from revere.links.models import ChargerModel
    from revere.store.store import Store

REMEMBERED: tuple[tuple[dt.timedelta | None, tuple[str, ...]], ...] = (
    # What a person, a charger or the grid has said holds until it is unsaid, however long ago.
    (None, ("IdentityAccepted", "IdentityRefused", "StationRecognised")),
    (
        None,
        (
            "DischargeStopped", "DischargeReleased", "GridLost", "GridRestored", "OutageSuspected", "GridProven",
            "TransferSwitchReported", "Locked", "Unlocked", "LockProven", "SiteCommissioned",
        ),
    ),
    (
        dt.timedelta(days=400),  # a season and its year; a vehicle may stand plugged all summer
        (
            "SessionStarted", "SessionEnded", "EnergyNeeds", "PriorityChargingReported", "OperationModeSet",
            "OperationModeEnded", "OperationModeReported", "DepartureSet", "GridEventReceived", "Nominated",
            "OptDecided", "EventReported", "AlarmRaised", "AlarmCleared", "AlarmAcknowledged",
        ),
    ),
    (dt.timedelta(days=31), ("ExternalLimitReported", "ExternalLimitLifted")),
    (dt.timedelta(days=31), ("NumberGiven",)),
    (dt.timedelta(days=400), ("CampaignStarted", "CampaignTold", "CampaignStep", "CampaignEnded")),
    (
        dt.timedelta(days=1),
        (
            "StationBooted", "StationProvisioned", "FirmwareReported", "ScheduleRead", "ClockSkewMeasured",
            "CommandIssued", "CommandEnded", "StationOrdered",
        ),
    ),
    (dt.timedelta(hours=1), ("MeterReading",)),
)  # fmt: skip
"""How far back each kind is read at a start. The groups touch different parts of the image; readings come last."""


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
    hours: HourKeeper
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
    offered_macs: Mapping[str, bytes] | None = None,
    certificates: Mapping[StationId, KnownCertificate] | None = None,
    utility: UtilityAccess | None,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    door: DoorRules | None = None,
    files: AllowedAddresses | None = None,
    models: tuple[ChargerModel, ...] | None = None,
    signer: CertificateSigner | None = None,
    ping_interval_s: float | None = 20.0,
    offload: Callable[[Callable[[], Any]], Awaitable[Any]] = run_inline,
    speed: float = 1.0,
    publish: bool = True,
    wall_time: bool = False,
    clock_synchronised: Callable[[], bool] = lambda: True,
) -> House:
    """Wire a house over an open store and start it. Facts of an earlier life are folded first.

    In ``wall_time`` the database is asked whether it answers while no fact asks it. ``clock_synchronised`` answers for
    ``clock``; twin time is its own truth.
    """
    image = Image(fleet)
    inbox = Inbox(store, image)
    profiles, _short = fallback_profiles(fleet)
    directory = Directory(fleet, key, macs, profiles, image, offered_macs, certificates)
    server = OcppServer(
        inbox, directory, clock, ping_interval_s=ping_interval_s, rules=door,
        files=files, signer=signer, models=models, speed=max(1.0, speed),
    )  # fmt: skip
    await remember(store, image, clock.now())
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
        equity=equity_view(shown_of(fleet).fleet),  # as the guide: page and guide together must not name a home
        clock_synchronised=clock_synchronised,
    )
    heart.commissioning = Commissioning(image, inbox, profiles)
    _resume(heart, clock.now())
    office = _office(heart, server, inbox, directory, store)
    if publish:
        heart.publish = office.publish
    listening = await server.serve(host, port, tls=tls)
    hours = await _hours(store, fleet, inbox, clock)
    pulse = Pulse(inbox, clock, store.answers, heart.show) if wall_time else None
    return House(
        store=store, image=image, inbox=inbox, server=server, heart=heart, office=office, directory=directory,
        ven=ven, hours=hours, port=listening, tasks=_started(heart, hours, ven, pulse),
    )  # fmt: skip


def _started(heart: Heart, hours: HourKeeper, ven: Ven | None, pulse: Pulse | None) -> list[asyncio.Task[None]]:
    """The parts that run until the house closes."""
    parts = {"heart": heart.run, "hours": hours.run}
    if ven is not None:
        parts["ven"] = ven.run
    if pulse is not None:
        parts["pulse"] = pulse.run
    return [asyncio.create_task(run(), name=name) for name, run in parts.items()]


def _resume(heart: Heart, now: dt.datetime) -> None:
    """Number commands anew, and end those that an earlier life left open."""
    heart.tracker.resume(now)
    heart.scribe.write(abandoned(heart.image, now))


def _office(heart: Heart, server: OcppServer, inbox: Inbox, directory: Directory, store: Store) -> Office:
    """Where people ask, with what renews secrets, keeps certificates and raises security profiles."""
    rotation = Rotation(directory, store, heart.link, inbox, heart.clock)
    upgrade = Upgrade(directory, store, inbox, heart.clock)
    cards = CardDesk(store, inbox, directory.take_cards)
    certificates = Certificates(directory, store, server, inbox, heart.clock)
    return Office(heart, inbox, asyncio.get_running_loop(), rotation, upgrade, cards, certificates)


async def _hours(store: Store, fleet: Fleet, inbox: Inbox, clock: Clock) -> HourKeeper:
    """The hourly rollup, with what an earlier life left of it to do."""
    hours = HourKeeper(store, clock)
    await hours.resume([*(evse_asset(station.id, 1) for station in fleet.stations), *(site.id for site in fleet.sites)])
    inbox.watch(hours.note)
    return hours


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


class JournalReader(Protocol):
    """What remembering needs of the store."""

    def journal(self, since: dt.datetime | None = None, kinds: Iterable[str] | None = None) -> AsyncIterator[f.Fact]:
        """Facts of those kinds in the order of their recording."""
        ...


async def remember(journal: JournalReader, image: Image, now: dt.datetime) -> None:
    """Fold what earlier lives journaled into a fresh image, each kind as far back as it matters.

    Readings older than an hour say nothing about now; stations count as offline until they come back.
    """
    for age, kinds in REMEMBERED:
        async for fact in journal.journal(since=None if age is None else now - age, kinds=kinds):
            image.apply(fact)


def abandoned(image: Image, now: dt.datetime) -> list[f.Fact]:
    """The ends of commands that an earlier life left open: nobody can prove them any more."""
    why = "the control room restarted"
    return [
        f.CommandEnded(at=now, command_id=CommandId(key), outcome="expired", why=why) for key in image.open_commands
    ]
