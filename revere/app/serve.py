"""Production: the house in wall time, with its pages in a thread of their own."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from revere.app import process
from revere.app.house import House, UtilityAccess, open_house
from revere.app.kernelclock import kernel_clock_synchronised
from revere.app.keys import server_key
from revere.app.running import Running, only_server, running_mark
from revere.app.settings import (
    DSN_VARIABLE,
    OWNER_DSN_VARIABLE,
    STATE_VARIABLE,
    UTILITY_SECRET_VARIABLE,
    Settings,
    make_state_folder,
)
from revere.app.stopping import stop_asked
from revere.app.tls import StationTls, check_profiles, station_signer, station_tls
from revere.core.addresses import AllowedAddresses
from revere.core.errors import RevereError
from revere.core.ids import TenantId
from revere.core.time import WallClock
from revere.links.models import models_with
from revere.links.ocppj.door import DoorRules
from revere.settle.rules import load_rulebook
from revere.store.postgres import EmbeddedPostgres
from revere.store.store import Store
from revere.web.app import create_app, wall_seconds
from revere.web.built import complaint
from revere.web.from_store import StoreAccounts, StoreHistory
from revere.web.ports import Account
from revere.web.server import WebThread
from revere.web.sessions import OneTimeLinks
from revere.web.settings import check_listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from litestar import Litestar

    from revere.core.assets import Fleet
    from revere.core.time import Clock
    from revere.web.settings import WebSettings

log = structlog.get_logger()
WATCH_S = 1.0
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database is, for the application and for the tables' owner (the same role where only one is named).

    ``bin_dir`` holds PostgreSQL's tools where the cluster is ours.
    """

    dsn: str
    owner_dsn: str
    bin_dir: Path | None


@asynccontextmanager
async def bare_database(
    folder: Path, clock: Clock, *, durable: bool = True, make: bool = False
) -> AsyncIterator[Place]:
    """The database at ``REVERE_DSN``, else a cluster of our own below ``folder`` that stops with us.

    Only where ``make`` says so one is made. Raises :class:`RevereError` where there is none.
    """
    dsn = os.environ.get(DSN_VARIABLE)
    if dsn:
        yield Place(dsn, os.environ.get(OWNER_DSN_VARIABLE) or dsn, None)
        return
    if make:
        make_state_folder(folder)
    else:
        require_cluster(folder)
    postgres = await EmbeddedPostgres.start(folder / "postgres", throwaway=not durable, clock=clock)
    watch = asyncio.create_task(_keep_alive(postgres), name="database watch")
    try:
        yield Place(postgres.dsn, postgres.owner_dsn, postgres.bin_dir)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await postgres.stop()


def require_cluster(folder: Path) -> None:
    """Refuse a state folder without a database: it is the wrong one, or nothing was registered yet."""
    if (folder / "postgres" / "cluster" / "PG_VERSION").is_file():
        return
    named = f"{STATE_VARIABLE} names it" if os.environ.get(STATE_VARIABLE) else f"{STATE_VARIABLE} is not set"
    raise RevereError(
        "there is no database here",
        where=str(folder),
        got="no PostgreSQL cluster in it" if folder.is_dir() else "no such folder",
        expected=f"the state folder of a registered programme ({named})",
        remedy=f"Set {STATE_VARIABLE} to the server's state folder, or {DSN_VARIABLE} to its database; a new programme "
        "begins with: revere site add massachusetts",
    )


async def _keep_alive(postgres: EmbeddedPostgres) -> None:
    """Start our own PostgreSQL again when it dies under us; the store waits and reconnects by itself."""
    while True:
        await asyncio.sleep(WATCH_S)
        try:
            if await postgres.revive():
                log.error("PostgreSQL had died and was started again")
        except RevereError as error:
            log.error("PostgreSQL does not come back", why=str(error))


@asynccontextmanager
async def open_store(
    folder: Path, tenant: str, clock: Clock, *, durable: bool = True, make: bool = False
) -> AsyncIterator[tuple[Store, Place]]:
    """The store, brought up to this release, and where its database is."""
    async with bare_database(folder, clock, durable=durable, make=make) as place:
        store = await Store.open(place.dsn, clock, TenantId(tenant), require_durable=durable, owner_dsn=place.owner_dsn)
        try:
            yield store, place
        finally:
            await store.close()


async def registered_fleet(store: Store) -> Fleet:
    """The registry's fleet. Raises with the way out where there is none yet."""
    fleet = await store.load_fleet()
    if fleet is None:
        raise RevereError(
            "no programme is registered yet",
            where=f"tenant {store.tenant}",
            remedy="Register one: revere site add massachusetts",
        )
    return fleet


def pages(
    house: House,
    store: Store,
    fleet: Fleet,
    settings: WebSettings,
    links: OneTimeLinks,
    command_line: str | None = None,
) -> Callable[[], Litestar]:
    """What the web thread runs: readers of their own, the desk of this house, the command line's token."""

    def make() -> Litestar:
        accounts = StoreAccounts(store.access_desk(), lambda: fleet)
        history = StoreHistory(store.reader(), lambda: fleet, load_rulebook())
        return create_app(house.office, accounts, history, settings, links=links, command_line=command_line)

    return make


def one_time_link(links: OneTimeLinks, settings: WebSettings, port: int) -> str:
    """An operator's link that works once, within a quarter of an hour."""
    return f"{settings.address(port)}/login/once?token={links.issue(Account(name=OPERATOR, role='operator'))}"


def warn_of_console(settings: WebSettings, say: Callable[[str], None]) -> None:
    """Tell who starts the server that its pages are missing or not those of these sources."""
    wrong = complaint(settings.static_folder)
    if wrong:
        say(f"WARNING: {wrong}")


async def serve(settings: Settings, folder: Path, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM."""
    process.many_sockets()
    clock = WallClock()
    check_listening(settings.web)  # settings that can never serve are told before anything else
    tls = station_tls(settings.ocpp)
    files = AllowedAddresses(settings.ocpp.file_hosts)
    models = models_with(settings.ocpp.models)
    utility = _utility(settings)
    if not os.environ.get(DSN_VARIABLE):
        require_cluster(folder)
    make_state_folder(folder)
    async with only_server(folder), open_store(folder, settings.programme, clock) as (store, place):
        fleet = await registered_fleet(store)
        check_profiles(settings.ocpp, fleet.stations)
        key = await server_key(store, folder, {str(station.id) for station in fleet.stations})
        house = await open_house(
            store,
            fleet,
            clock,
            key=key,
            macs={str(station): mac for station, mac in (await store.station_macs()).items()},
            offered_macs={str(station): mac for station, mac in (await store.offered_macs()).items()},
            certificates=await store.station_certificates(),
            utility=utility,
            host=settings.ocpp.host,
            port=settings.ocpp.port,
            tls=None if tls is None else tls.context,
            door=DoorRules(
                proxy_ends_tls=settings.ocpp.behind_tls_proxy,
                bench=settings.ocpp.bench,
                inspect_first=settings.ocpp.inspect_first,
            ),
            files=files,
            signer=station_signer(settings.ocpp),
            models=models,
            offload=asyncio.to_thread,
            wall_time=True,
            clock_synchronised=lambda: settings.clock == "trusted" or kernel_clock_synchronised(),
        )
        if tls is not None:
            tls.on_untrusted = house.server.note_untrusted
        excess = await store.excess_rights()
        if excess:
            log.warning("the application's database role may change records", rights=excess, see="docs/how-to/database")
        links = OneTimeLinks(wall_seconds)
        token = secrets.token_urlsafe(32)
        web = WebThread(pages(house, store, fleet, settings.web, links, token), settings.web)
        try:
            port = web.start()
            with stop_asked() as stop, running_mark(folder, mark_of(web, token, place)):
                warn_of_console(settings.web, say)
                say(f"console   {settings.web.address(port)}")
                say(f"stations  {settings.ocpp.address(house.port)}")
                if not [user for user in await store.users() if user.role == OPERATOR and user.password_hash]:
                    say(f"nobody may sign in yet; once: {one_time_link(links, settings.web, port)}")
                await until_stopped(house, stop, tls=tls)
        finally:
            web.stop()
            await house.close()


def mark_of(web: WebThread, token: str, place: Place, *, durable: bool = True) -> Running:
    """What this machine's command line needs to know of the server that we are."""
    return Running(
        pid=os.getpid(),
        web_url=f"http://127.0.0.1:{web.local_port}",
        token=token,
        dsn=place.dsn,
        owner_dsn=place.owner_dsn,
        bin_dir=str(place.bin_dir) if place.bin_dir else None,
        durable=durable,
    )


def _utility(settings: Settings) -> UtilityAccess | None:
    if settings.utility is None:
        return None
    secret = os.environ.get(UTILITY_SECRET_VARIABLE, "")
    if not secret:
        raise RevereError(
            "the utility's client secret is missing",
            where="utility",
            remedy=f"Set {UTILITY_SECRET_VARIABLE} in the service's environment",
        )
    return UtilityAccess(
        base_url=settings.utility.base_url,
        client_id=settings.utility.client_id,
        client_secret=secret,
        poll_s=settings.utility.poll_s,
    )


async def until_stopped(
    house: House, stop: asyncio.Event, *, watch_s: float = WATCH_S, tls: StationTls | None = None
) -> None:
    """Wait for ``stop``, renewed certificates taken up on the way; end with the failure of any part that stopped."""
    while not stop.is_set():
        failure = house.failure()
        if failure is not None:
            raise failure
        if tls is not None:
            tls.reload()
            house.server.watch_certificates()
        try:
            async with asyncio.timeout(watch_s):
                await stop.wait()
        except TimeoutError:
            continue
