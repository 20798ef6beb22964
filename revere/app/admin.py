"""Work at the store from the command line: registry, stations' secrets, guide, audit, backup."""

from __future__ import annotations

import datetime as dt
import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from rich.table import Table
from rich.text import Text

from revere.app.files import fresh_secret_file
from revere.app.keys import KEY_FILE, key_fault, mark_of, server_key
from revere.app.running import find_running
from revere.app.serve import bare_database, open_store, registered_fleet
from revere.app.settings import secret_file
from revere.control.closing import every_line, ledger_line, season_registers, seasons_of
from revere.control.directory import new_station_secret, secret_mac
from revere.control.image import Image
from revere.core.assets import program_of
from revere.core.errors import Refused
from revere.core.facts import IdentityAccepted, SecurityEventReported
from revere.core.ids import SiteId, StationId, TenantId
from revere.core.money import usd_text
from revere.core.time import WallClock, iso, local
from revere.settle.ledger import PARTICIPANT_KINDS
from revere.settle.rules import load_rulebook
from revere.settle.statement import STATES, build_statement
from revere.settle.statement import audit as audit_lines
from revere.store.backup import backup, check_backup, restore
from revere.store.schema import newest_version
from revere.store.store import Store
from revere.store.tools import tool_for
from revere.web.guide.figures import gather
from revere.web.guide.render import render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.app.settings import Settings
    from revere.core.assets import Fleet

T = TypeVar("T")
SECURITY_DAYS_MAX = 400
SECURITY_ROWS_MAX = 200
EVENT_KINDS = ("GridEventReceived", "OptDecided", "EventReported", "GridLost", "GridRestored", "TransferSwitchReported")


@dataclass(frozen=True, slots=True)
class AdminDesk:
    """An open store with what admin work needs beside it."""

    store: Store
    folder: Path
    owner_dsn: str
    bin_dir: Path | None
    served: bool
    """Whether a server runs over this store: it read the registry at its start."""

    def told(self, text: str) -> str:
        """What was done to the registry or to stations' secrets, with what a running server needs to know of it."""
        return f"{text}\nA server is running: it takes this up at its next start." if self.served else text


async def at_desk(
    settings: Settings, folder: Path, work: Callable[[AdminDesk], Awaitable[T]], *, make: bool = False
) -> T:
    """Open the store (the running server's, if one runs; a new one only where ``make`` says so), do the work, close."""
    clock = WallClock()
    mark = find_running(folder)
    if mark is not None:
        store = await Store.open(mark.dsn, clock, TenantId(settings.programme), require_durable=mark.durable)
        bin_dir = Path(mark.bin_dir) if mark.bin_dir else None
        try:
            return await work(AdminDesk(store, folder, mark.owner_dsn, bin_dir, served=True))
        finally:
            await store.close()
    async with open_store(folder, settings.programme, clock, make=make) as (store, place):
        return await work(AdminDesk(store, folder, place.owner_dsn, place.bin_dir, served=False))


async def list_sites(desk: AdminDesk) -> Table:
    """Sites with limits and program."""
    fleet = await registered_fleet(desk.store)
    table = Table("site", "name", "utility", "import kW", "export kW", "program")
    for site in fleet.sites:
        program = program_of(site, fleet.programs)
        table.add_row(
            site.id,
            site.name,
            site.utility,
            f"{site.import_limit_kw:g}",
            f"{site.export_limit_kw:g}",
            program.name if program else "none: not an eligible utility",
        )
    return table


async def list_stations(desk: AdminDesk) -> Table:
    """Stations with protocol and whether they have a secret."""
    fleet = await registered_fleet(desk.store)
    macs = await desk.store.station_macs()
    table = Table("station", "site", "model", "protocol", "charge kW", "discharge kW", "secret")
    for station in fleet.stations:
        table.add_row(
            station.id,
            station.site_id,
            f"{station.vendor} {station.model}",
            station.protocol,
            f"{station.charge_kw:g}",
            f"{station.discharge_kw:g}",
            "yes" if station.id in macs else "none yet",
        )
    return table


async def list_security(desk: AdminDesk, station_id: str | None, days: int) -> Table:
    """Security events of the last days, newest first, as many as a person reads."""
    if not 1 <= days <= SECURITY_DAYS_MAX:
        raise Refused("the days to look back", got=days, expected=f"1 to {SECURITY_DAYS_MAX}")
    since = WallClock().now() - dt.timedelta(days=days)
    found: deque[SecurityEventReported] = deque(maxlen=SECURITY_ROWS_MAX)
    async for fact in desk.store.journal(since=since, kinds=("SecurityEventReported",)):
        if isinstance(fact, SecurityEventReported) and station_id in (None, fact.station_id):
            found.append(fact)
    table = Table("at (UTC)", "station", "told by", "event", "times", "detail")
    for fact in reversed(found):
        at = f"{fact.ts:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, fact.station_id, fact.source, Text(fact.type), str(fact.count), Text(fact.detail))
    return table


async def new_secrets(
    desk: AdminDesk, station_id: str | None, *, every: bool, file: Path | None, serial: str | None = None
) -> str:
    """New secrets; what is kept is only their keyed digest."""
    fleet = await registered_fleet(desk.store)
    known = [str(station.id) for station in fleet.stations]
    if every == (station_id is not None):
        raise Refused("name one station, or --all", got=station_id or "--all" if every else "nothing")
    if station_id is not None and station_id not in known:
        raise Refused("no such station", got=station_id, remedy="revere station list shows all")
    if serial is not None:
        await _keep_serial(desk, fleet, station_id, serial)
    key = secret_file(desk.folder, KEY_FILE) if every else await server_key(desk.store, desk.folder, known)
    fresh = {station: new_station_secret() for station in (known if every else [str(station_id)])}
    if file is not None:
        # First the file: a secret that is in force and nowhere to be read would lock its station out.
        with fresh_secret_file(file) as opened:
            opened.write(json.dumps(fresh, indent=1).encode())
    for station, secret in fresh.items():
        await desk.store.save_station_secret(StationId(station), secret_mac(key, station, secret), mark_of(key))
    if file is None:
        return desk.told("\n".join(f"{station} {secret}" for station, secret in fresh.items()))
    return desk.told(f"{len(fresh)} secrets are in {file} (mode 0600); they cannot be shown again.")


async def _keep_serial(desk: AdminDesk, fleet: Fleet, station_id: str | None, serial: str) -> None:
    """Say which charger will come: the registry keeps it, and the journal that it counts from now on."""
    station = next((station for station in fleet.stations if station.id == station_id), None)
    if station is None or not serial.strip():
        raise Refused("--serial belongs to one station and is not empty", got=serial, remedy="Name the station")
    await desk.store.save_assets([msgspec.structs.replace(station, serial=serial.strip())])
    accepted = IdentityAccepted(
        at=WallClock().now(),
        station_id=station.id,
        vendor=station.vendor,
        model=station.model,
        serial=serial.strip(),
        by="command line",
    )
    await desk.store.record([accepted])


async def list_statements(desk: AdminDesk) -> Table:
    """Statements, newest first, with each state's sum kept apart."""
    table, after = Table("statement", *STATES, "lines"), None
    while page := await desk.store.statements(PARTICIPANT_KINDS, after=after):
        for one in page:
            sums = (usd_text(one.cents[state]) if state in one.cents else "" for state in STATES)
            table.add_row(one.statement_id, *sums, f"{one.lines:,}")
        after = page[-1].statement_id
    return table


async def audit_statement(desk: AdminDesk, statement_id: str) -> tuple[bool, str]:
    """Recompute a statement from stored registers."""
    fleet = await registered_fleet(desk.store)
    rulebook = load_rulebook()
    store = desk.store
    found = await every_line(lambda after: store.ledger(statement_id=statement_id, after_seq=after))
    if not found:
        raise Refused("no such statement", got=statement_id, remedy="`revere audit` alone lists them")
    participant = ledger_line(found[0]).participant_id
    mine = await every_line(lambda after: store.ledger(participant_id=participant, after_seq=after))
    image = Image(fleet)
    async for fact in store.journal(kinds=EVENT_KINDS):
        image.apply(fact)
    settled_at = max(line.entry.posted_at for line in mine)
    named = {line.entry.grid_event_id for line in found}
    events = [event for event in image.events.values() if event.grid_event_id in named]
    days = {local(event.start, fleet.programme.zone).date() for event in events}
    seasons = [s for s in seasons_of(image, rulebook, days, settled_at) if s.participant_id == participant]
    readings = [r for season in seasons for r in await season_registers(store, image, season, settled_at)]
    period = statement_id.rsplit(":", 1)[-1]
    statement = build_statement(participant, period, [ledger_line(line) for line in found], rulebook)
    ledger = [ledger_line(line) for line in mine]
    result = audit_lines(statement, readings, seasons, ledger=ledger, now=settled_at)
    lines = [*result.steps, *(f"MISMATCH {text}" for text in result.mismatches)]
    lines += _not_settled(image, {site.id for site in fleet.sites if site.participant_id == participant}, period)
    lines.append("The statement agrees with its readings." if result.agrees else "The statement does NOT agree.")
    return result.agrees, "\n".join(lines)


def _not_settled(image: Image, sites: set[SiteId], period: str) -> list[str]:
    """Drills and calls taken back that reached a participant's sites in a month: why no line stands for them."""
    zone = image.fleet.programme.zone
    found = []
    for event in sorted(image.events.values(), key=lambda event: (event.start, event.grid_event_id)):
        if f"{local(event.start, zone):%Y-%m}" != period or not image.members(event) & sites:
            continue
        hours = f"{event.grid_event_id} {iso(event.start)} to {iso(event.end)}"
        if event.drill:
            found.append(f"{hours}: a drill, never settled")
        elif event.cancelled:
            found.append(f"{hours}: taken back by {event.cancelled_by}{f' ({event.why})' if event.why else ''}")
    return found


async def write_guide(desk: AdminDesk, to: Path) -> str:
    """The public guide from what the store holds."""
    figures = await gather(desk.store, WallClock().now())
    render(figures, to)
    return f"{to} is written."


async def bring_up(desk: AdminDesk) -> str:
    """What opening the store has done: the schema and the application's rights are this release's."""
    excess = await desk.store.excess_rights()
    said = f"The database is at schema {newest_version()}; the application's role has its rights."
    if excess:
        said += f"\nIt has more than it needs, so records are kept by triggers alone: {', '.join(excess)}"
    return said


async def back_up(desk: AdminDesk, file: Path) -> str:
    """Dump the database and name the ledger's hash, to compare after a restore."""
    if await desk.store.load_fleet() is None:
        raise Refused(
            "nothing is registered in this database: there is nothing to back up",
            where=str(desk.folder),
            remedy="Name your server's state folder in REVERE_STATE, and its programme in revere.toml",
        )
    said = ""
    if desk.bin_dir is not None:
        tool = desk.bin_dir / "pg_dump"
    else:
        tool, major = await tool_for("pg_dump", desk.owner_dsn)
        said = f" Written by pg_dump {major}: restore it with version {major} or newer."
    await backup(desk.owner_dsn, file, tool)
    return f"{file} holds everything.{said} Ledger hash {await desk.store.ledger_hash()}"


async def restore_from(settings: Settings, folder: Path, file: Path, *, durable: bool = True) -> str:
    """Restore into an empty store and name the ledger's hash."""
    if find_running(folder) is not None:
        raise Refused("a server runs over this state folder", where=str(folder), remedy="Stop it first")
    check_backup(file)
    clock = WallClock()
    async with bare_database(folder, clock, make=True) as place:
        own = place.bin_dir
        tool = own / "pg_restore" if own else (await tool_for("pg_restore", place.owner_dsn))[0]
        await restore(place.owner_dsn, file, tool)
        store = await Store.open(
            place.dsn, clock, TenantId(settings.programme), require_durable=durable, owner_dsn=place.owner_dsn
        )
        try:
            lines = await store.verify_ledger()
            fleet = await store.load_fleet()
            stations = {str(station.id) for station in fleet.stations} if fleet else set()
            fault = await key_fault(store, folder, stations)
            said = f"Restored. {lines} ledger lines verified, ledger hash {await store.ledger_hash()}"
            return said if fault is None else f"{fault.text()}\n{said}"
        finally:
            await store.close()
