"""The demonstration: an event afternoon, a minute a second, with three days of history behind it."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from revere.app.beside import of_the_twin, open_beside
from revere.app.past import HISTORY_DAYS, Past
from revere.app.play import check_range
from revere.app.running import only_server, running_mark
from revere.app.serve import Place, mark_of, one_time_link, pages, until_stopped, warn_of_console
from revere.app.stopping import stop_asked
from revere.core.errors import Refused
from revere.core.time import at_local
from revere.core.words import count
from revere.store.postgres import EmbeddedPostgres
from revere.store.store import Store
from revere.twin.loop import TwinClock, run_twin
from revere.twin.world import World
from revere.web.app import wall_seconds
from revere.web.server import WebThread
from revere.web.sessions import OneTimeLinks
from revere.web.settings import WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from revere.core.scenario import Scenario

OPENS_AT = dt.time(14, 30)
WATCH_TWIN_S = 30.0
SPEED_MIN, SPEED_MAX = 0.1, 10_000.0
PORT_MAX = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """How to show it. ``keep`` is a state folder in which the record stays; without it nothing is left."""

    speed: float
    port: int
    ocpp_port: int
    keep: Path | None
    say: Callable[[str], None]


def show(scenario: Scenario, options: DemoOptions) -> None:
    """Run until Ctrl-C; nothing is left running, and nothing lying about but what was asked for."""
    check_range("the speed", options.speed, SPEED_MIN, SPEED_MAX, where="--speed")
    for option, port in (("--port", options.port), ("--ocpp-port", options.ocpp_port)):
        check_range("the port", port, 0, PORT_MAX, where=option)
        _require_free(port, option)
    opens = at_local(scenario.run.event_day, OPENS_AT, scenario.fleet.programme.zone)
    with _state(options.keep) as folder:
        run_twin(lambda clock: _alone(of_the_twin(scenario), clock, folder, options), opens, speed=options.speed)


def _require_free(port: int, option: str) -> None:
    """Refuse at once, not after the history has been made, where something else listens."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise Refused(
            "cannot listen there",
            where=f"127.0.0.1:{port}",
            got=str(error),
            expected="a free port",
            remedy=f"Stop what listens there, or choose another with {option}",
        ) from error


@contextmanager
def _state(keep: Path | None) -> Iterator[Path]:
    """The state folder; the database's own user must be able to pass it, what is inside is closed."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="revere-demo-") as folder:
            Path(folder).chmod(0o711)
            yield Path(folder)
        return
    if (keep / "postgres").exists():
        raise Refused(
            "a record is kept there already",
            where=str(keep),
            remedy="Name another folder with --keep, or remove that one",
        )
    keep.mkdir(mode=0o711 if os.getuid() == 0 else 0o700, parents=True, exist_ok=True)
    yield keep.absolute()


async def _alone(scenario: Scenario, clock: TwinClock, folder: Path, options: DemoOptions) -> None:
    async with only_server(folder):
        await _show(scenario, clock, folder, options)


async def _show(scenario: Scenario, clock: TwinClock, folder: Path, options: DemoOptions) -> None:
    say = options.say
    say("starting a PostgreSQL of its own …")
    postgres = await EmbeddedPostgres.start(folder / "postgres", throwaway=True, clock=clock)
    try:
        store = await Store.open(
            postgres.dsn, clock, scenario.fleet.programme.id, require_durable=False, owner_dsn=postgres.owner_dsn
        )
        await store.save_fleet(scenario.fleet)
        say(f"making {HISTORY_DAYS} days of history (the plant alone, stations on their own profiles) …")
        async with clock.hold():
            past = Past(scenario, clock.now())
        say(f"storing {len(past.readings):,} readings …")
        await past.keep(store)
        world = World(scenario, past.inputs, scenario.run.seed, clock, plant=past.history.plant)
        say("promising for the event, as of the utility's notice …")
        await past.promise(store, world.utility)
        say(f"connecting {count(len(scenario.fleet.stations), 'station')} …")
        house, station_secrets = await open_beside(
            world, scenario, store, clock, port=options.ocpp_port, speed=options.speed
        )
        past.teach(house.heart.history)
        past.remind(house.image)
        settings = WebSettings(port=options.port)
        links = OneTimeLinks(wall_seconds)
        token = secrets.token_urlsafe(32)
        web = WebThread(pages(house, store, scenario.fleet, settings, links, token), settings)
        try:
            bound = web.start()
            await world.start(f"ws://127.0.0.1:{house.port}/ocpp", station_secrets)
            place = Place(postgres.dsn, postgres.owner_dsn, postgres.bin_dir)
            with stop_asked() as stop, running_mark(folder, mark_of(web, token, place, durable=False)):
                _greet(scenario, options, bound, one_time_link(links, settings, bound), house.port, folder)
                warn_of_console(settings, say)
                await until_stopped(house, stop, watch_s=WATCH_TWIN_S)
        finally:
            say("stopping …")
            web.stop()
            await world.stop()
            await house.close()
    finally:
        await postgres.stop(keep=options.keep is not None)


def _greet(scenario: Scenario, options: DemoOptions, port: int, link: str, ocpp_port: int, folder: Path) -> None:
    """Where to look, what comes when and how to stop. Addresses stand on lines of their own, so that none is broken."""
    say, speed = options.say, options.speed
    start = scenario.run.event_start
    ahead = dt.datetime.combine(dt.date.min, start) - dt.datetime.combine(dt.date.min, OPENS_AT)
    say("")
    say("  Public page")
    say(f"  http://127.0.0.1:{port}/")
    say("")
    say("  Operator's page (this link opens it once, within a quarter of an hour)")
    say(f"  {link}")
    say("")
    say(f"  Stations connect to ws://127.0.0.1:{ocpp_port}/ocpp/{{station_id}}")
    say("")
    say("  From another terminal, the guide of what has happened so far, and any other command:")
    say(f"  REVERE_STATE={folder} {Path(sys.argv[0])} guide --out guide.pdf")
    say("")
    left = "leaves nothing behind" if options.keep is None else f"leaves the record in {options.keep}"
    say(
        f"There it is {OPENS_AT:%H:%M} of {scenario.run.event_day:%A %d %B %Y}; {speed:g} seconds pass in one. "
        f"The event starts at {start:%H:%M}, in {ahead.total_seconds() / speed:.0f} s. "
        f"Ctrl-C stops everything and {left}."
    )
