"""A settled event in a state folder: audited from its readings, and found out when a reading changes afterwards."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from revere.app.settings import load_settings
from revere.control.desk import CallEvent
from revere.core import facts as f
from revere.core.facts import MeterReading, evse_asset
from revere.core.time import WallClock
from revere.store.postgres import EmbeddedPostgres
from revere.store.store import Store, bring_up
from tests.trips.rig import Trip, small, take_trip
from tests.trips.walls import Site

STATEMENT = "p-school:2023-09"


async def _settled(trip: Trip) -> None:
    """The utility's event, and an hour later a drill of a quarter of an hour."""
    await trip.until(trip.at(dt.time(19, 8)))
    assert len(await trip.facts(f.EventReported)) == 1
    posted = await trip.house.store.ledger()
    start = trip.at(dt.time(20, 0))
    end = start + dt.timedelta(minutes=15)
    asked = CallEvent(program_id="cs-daily", start=start, end=end, by="ana", drill=True)
    drill = await trip.house.office.ask(asked)
    await trip.until(end + dt.timedelta(minutes=8))
    _, told = await trip.facts(f.EventReported)
    assert (told.grid_event_id, told.report_id, told.held) == (drill.reference, "none", {})
    assert told.performance_kw > 5, "vehicles that come through an event have something left to practise with"
    true_kw = float(trip.world.judge.relief_kw(start, end, ("school", "fire-station", "home")).mean())
    assert told.performance_kw == pytest.approx(true_kw, abs=0.5)
    assert await trip.house.store.ledger() == posted
    assert len(trip.world.utility.reports) == 1


@pytest.fixture(scope="module")
def place(pg_folder: Path) -> Iterator[Site]:
    """A state folder whose database holds the small programme's event, settled in twin time."""
    found = Site(folder=pg_folder / f"audit-{secrets.token_hex(4)}")
    found.folder.mkdir(mode=0o711)
    found.state.mkdir(mode=0o711)
    found.write_config()
    folder = found.state / "postgres"
    server = asyncio.run(EmbeddedPostgres.start(folder, throwaway=False, clock=WallClock()))
    try:
        asyncio.run(bring_up(server.owner_dsn, server.dsn, WallClock()))
        take_trip(small(), server.dsn, dt.time(15, 45), _settled)
    finally:
        asyncio.run(server.stop())
    yield found
    shutil.rmtree(found.folder, ignore_errors=True)


def test_a_statement_agrees_with_its_readings_and_a_changed_reading_does_not(place: Site) -> None:
    listed = place.command("audit", "--config", str(place.config)).stdout
    assert re.search(rf"{STATEMENT}\W+\$[\d,]+\.\d\d", listed)
    said = place.command("audit", STATEMENT, "--config", str(place.config))
    assert "The statement agrees with its readings." in said.stdout
    assert "MISMATCH" not in said.stdout
    assert re.search(r"drill-\d+-1 2023-09-08T00:00:00\S*Z to \S+: a drill, never settled", said.stdout)
    asyncio.run(_change_a_register(place))
    changed = place.command("audit", STATEMENT, "--config", str(place.config), check=False)
    assert changed.returncode == 1
    assert "does NOT agree" in changed.stdout


def test_an_unknown_statement_is_refused(place: Site) -> None:
    said = place.command("audit", "p-nobody:2023-09", "--config", str(place.config), check=False)
    assert said.returncode == 2
    assert "no such statement" in said.stderr


async def _change_a_register(place: Site) -> None:
    """A later revision of the last register of the event: 100 Wh more given than was settled."""
    scenario, clock = small(), WallClock()
    server = await EmbeddedPostgres.start(place.state / "postgres", throwaway=False, clock=clock)
    try:
        store = await Store.open(server.dsn, clock, scenario.fleet.programme.id, require_durable=True)
        assert load_settings(place.config).programme == scenario.fleet.programme.id
        end = dt.datetime(2023, 9, 7, 23, 0, tzinfo=dt.UTC)
        asset = evse_asset("school-cs01", 1)
        ((pair,),) = (await store.registers_at([asset], [end], tolerance_s=2.0)).values()
        assert pair is not None
        assert pair.export_wh is not None
        changed = MeterReading(
            at=end + dt.timedelta(hours=1),
            asset_id=asset,
            place="ac_inlet",
            ts=pair.ts,
            context="clock",
            import_wh=pair.import_wh,
            export_wh=pair.export_wh + 100,
        )
        await store.record([changed])
        await store.close()
    finally:
        await server.stop()
