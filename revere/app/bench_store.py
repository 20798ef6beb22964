"""How many readings a second the journal takes, each committed before it is acknowledged."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

from revere.core.facts import MeterReading, evse_asset
from revere.core.ids import TenantId
from revere.core.time import WallClock, wall_s
from revere.store.postgres import EmbeddedPostgres
from revere.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

STATIONS = 70
READINGS_EACH = 100


def readings_per_s(folder: Path) -> dict[str, Any]:
    """Durable commits (fsync on), seventy writers, one reading at a time each."""
    return asyncio.run(_measure(folder))


async def _measure(folder: Path) -> dict[str, Any]:
    clock = WallClock()
    postgres = await EmbeddedPostgres.start(folder / "postgres", throwaway=False, clock=clock)
    try:
        store = await Store.open(
            postgres.dsn, clock, TenantId("bench"), require_durable=True, owner_dsn=postgres.owner_dsn
        )
        try:
            started = wall_s()
            await asyncio.gather(*(_station(store, number, clock.now()) for number in range(STATIONS)))
            spent = wall_s() - started
        finally:
            await store.close()
    finally:
        await postgres.stop()
    return {"readings_per_s": round(STATIONS * READINGS_EACH / spent), "writers": STATIONS}


async def _station(store: Store, number: int, now: dt.datetime) -> None:
    for n in range(READINGS_EACH):
        await store.record(
            [
                MeterReading(
                    at=now,
                    asset_id=evse_asset(f"cs{number}", 1),
                    place="ac_inlet",
                    ts=now + dt.timedelta(seconds=n),
                    context="periodic",
                    import_wh=1000 * n,
                    export_wh=n,
                    power_kw=5.0,
                    soc=0.5,
                )
            ]
        )
