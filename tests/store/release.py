"""What each release leaves for the upgrade test of all later ones: a small dump of every kind of record.

``python -m tests.store.release`` writes ``dumps/VERSION.sql``: our own `revere backup`, as plain SQL, under a header
with the hashes that must come out again. See docs/how-to/release.md.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import subprocess
import tempfile
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import revere
from revere.core.facts import Fact, MeterReading
from revere.core.ids import StationId
from revere.core.ports import KnownCertificate
from revere.core.time import WallClock
from revere.store.access import User
from revere.store.backup import backup
from revere.store.postgres import EmbeddedPostgres
from revere.store.schema import newest_version
from revere.store.series import QUANTITIES
from revere.store.store import Store
from tests.store.samples import T0, TENANT, reading
from tests.store.test_ledger import line
from tests.store.test_registry import fleet

if TYPE_CHECKING:
    from revere.store.reader import Reads

DUMPS = Path(__file__).with_name("dumps")
PERIOD = (T0 - dt.timedelta(days=40), T0 + dt.timedelta(days=40))
ASSETS = ("st0/1", "st1/1", "st2/1", "school")
_NOT_PORTABLE = ("\\restrict", "\\unrestrict", "SET transaction_timeout")
"""Lines of pg_dump 18 that another version's psql or server does not know."""


def example(kind: Any, n: int) -> Any:
    """A value of a fact's field by its type, different for each ``n``."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return args[n % len(args)]
    if origin in (typing.Union, types.UnionType):
        return example(args[0], n)
    if origin is tuple and args[-1] is not Ellipsis:
        return tuple(example(one, n) for one in args)
    if origin is tuple:
        return (example(args[0], n), example(args[0], n + 1))
    if origin is dict:
        return {"a": example(args[1], n), "ß": example(args[1], n + 1)}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(**{name: example(hint, n) for name, hint in typing.get_type_hints(kind).items()})
    plain = {str: f"text {n}", int: n, float: n + 0.1, bool: n % 2 == 0, dt.datetime: T0 + dt.timedelta(seconds=n)}
    return plain[getattr(kind, "__supertype__", kind)]


def one_of_each() -> list[Fact]:
    """A fact of every kind with every field filled; a reading as a real one, since it makes samples."""
    made: list[Fact] = []
    for n, kind in enumerate(typing.get_args(Fact), 1):
        fields = {name: example(hint, n) for name, hint in typing.get_type_hints(kind).items() if name != "at"}
        made.append(reading(n) if kind is MeterReading else kind(at=T0 + dt.timedelta(seconds=n), **fields))
    return made


async def fill(store: Store) -> None:
    """Every kind of record: facts over three months, a corrected and a quarantined sample, ledger, registry, people."""
    await store.record(one_of_each())
    await store.record([reading(n, station=n % 3) for n in range(40)])
    await store.record([reading(0, power_kw=3.0), reading(1, quarantined="clock off by 90 s", soc=0.4)])
    await store.record([reading(0, asset_id="school", place="site", export_wh=None, soc=None)])
    for days in (-30, 30):
        ts = T0 + dt.timedelta(days=days)
        await store.record([reading(at=ts, ts=ts)])
    await store.refresh_hours(*PERIOD)
    states = ("expected", "confirmed", "paid", "expected")
    await store.post([line(n, state=state) for n, state in enumerate(states)])
    await store.save_fleet(fleet())
    await store.save_user(User(name="ada", role="operator", site_id="school"))
    await store.save_token("a token", kind="api", user_name="ada", now=T0, expires_at=T0 + dt.timedelta(days=1))
    await store.save_station_secret(StationId("st1"), bytes(range(32)))
    await store.save_station_certificate(StationId("st1"), KnownCertificate(fingerprint=bytes(range(32)), begins=T0))


async def seal(store: Reads) -> dict[str, str]:
    """What must be the same after every upgrade: hashes of journal, ledger and series, and how many of each."""
    series, samples = hashlib.sha256(), 0
    for asset in ASSETS:
        for place in ("ac_inlet", "site"):
            for quantity in QUANTITIES:
                rows = await store.series(asset, place, quantity, *PERIOD)
                series.update(repr((asset, place, quantity, rows.ts, rows.rev, rows.value, rows.quarantined)).encode())
                samples += len(rows.ts)
    return {
        "journal_hash": await store.journal_hash(),
        "ledger_hash": await store.ledger_hash(),
        "series_hash": series.hexdigest(),
        "facts": str(len([fact async for fact in store.journal()])),
        "newest_samples": str(samples),
    }


async def back_up(folder: Path) -> tuple[dict[str, str], list[str | Path]]:
    """Fill a database with this release's code and back it up; returns its seal and the command that prints the SQL."""
    clock = WallClock()
    server = await EmbeddedPostgres.start(folder / "pg", throwaway=True, clock=clock)
    try:
        store = await Store.open(server.dsn, clock, TENANT, require_durable=False, owner_dsn=server.owner_dsn)
        await fill(store)
        sealed = await seal(store)
        await store.close()
        await backup(server.owner_dsn, folder / "backup", server.bin_dir / "pg_dump")
    finally:
        await server.stop()
    return sealed, [server.bin_dir / "pg_restore", "--no-owner", "--no-privileges", "--file=-", folder / "backup"]


def make(file: Path) -> None:
    """Write this release's dump."""
    with tempfile.TemporaryDirectory(prefix="revere-release-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        sealed, command = asyncio.run(back_up(folder))
        plain = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    head = [f"-- Revere {file.stem}, schema {newest_version()}; written by python -m tests.store.release"]
    head += [f"-- {name} = {value}" for name, value in sealed.items()]
    kept = [text for text in plain.splitlines() if text and not text.startswith(("--", *_NOT_PORTABLE))]
    file.write_text("\n".join([*head, *kept]) + "\n")


if __name__ == "__main__":
    make(DUMPS / f"{revere.__version__}.sql")
