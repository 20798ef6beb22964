"""Wall time: the database gone, the server killed, discharge stopped, strangers, backup; each with its own server."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import websockets
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as dial

from revere.app.serve import open_store
from revere.core.facts import Fact, MeterReading, StationBooted, evse_asset
from revere.core.ids import TenantId
from revere.core.time import UTC, WallClock, iso, wall_now, wall_s
from revere.store.ledger import GENESIS, LedgerEntry
from revere.store.reader import Reader
from revere.store.series import QUANTITIES, Quantity, SeriesRows
from revere.twin.seeds import stream
from revere.twin.world import LINK_LOST_SHARE
from revere.web.guide.figures import gather
from revere.web.guide.shapes import GuideFigures
from tests.trips.walls import Site, copy_of, parked_text, registered, soon, without_site

pytestmark = pytest.mark.wall
MINE = "home-light-cs01"
STATIONS = 6
GONE_S = 10.0
TOLD_S = 5.0
"""Within this pages and API say that the database is gone, whether or not anybody speaks."""


@pytest.fixture(scope="module")
def template(pg_folder: Path) -> Iterator[Site]:
    """A registered programme, made once; every test runs on a copy."""
    with registered(pg_folder) as place:
        yield place


@pytest.fixture
def place(template: Site, pg_folder: Path) -> Iterator[Site]:
    """A running server over a fresh copy of the registered programme."""
    copy = copy_of(template, pg_folder)
    try:
        copy.start()
        yield copy
    finally:
        copy.close()
        shutil.rmtree(copy.folder, ignore_errors=True)


def _basic(station: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{station}:{password}".encode()).decode()}


def _secrets(place: Site) -> dict[str, str]:
    found: dict[str, str] = json.loads((place.folder / "secrets.json").read_text())
    return found


def _twin(place: Site, scenario: str = "parked.toml") -> None:
    place.spawn(
        "twin",
        str(place.folder / scenario),
        "--connect",
        f"ws://127.0.0.1:{place.ocpp_port}/ocpp",
        "--secrets-file",
        str(place.folder / "secrets.json"),
    )


# ---- strangers --------------------------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_id_get_the_same_401(place: Site) -> None:
    answers = set()
    for station, password in ((MINE, "wrong"), ("no-such-station", "wrong"), (MINE, "")):
        with pytest.raises(InvalidStatus) as refused:
            dial(
                f"ws://127.0.0.1:{place.ocpp_port}/ocpp/{station}",
                subprotocols=[websockets.Subprotocol("ocpp2.1")],
                additional_headers=_basic(station, password),
            )
        response = refused.value.response
        answers.add((response.status_code, tuple(response.headers.raw_items()), bytes(response.body or b"")))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401
    with dial(
        f"ws://127.0.0.1:{place.ocpp_port}/ocpp/{MINE}",
        subprotocols=[websockets.Subprotocol("ocpp2.1")],
        additional_headers=_basic(MINE, _secrets(place)[MINE]),
    ) as socket:
        assert socket.subprotocol == "ocpp2.1"


def _boots(place: Site, serial: str) -> None:
    """Say as that charger that it has started, and hang up."""
    with dial(
        f"ws://127.0.0.1:{place.ocpp_port}/ocpp/{MINE}",
        subprotocols=[websockets.Subprotocol("ocpp2.1")],
        additional_headers=_basic(MINE, _secrets(place)[MINE]),
    ) as socket:
        charger = {"model": "Home Integration", "vendorName": "Ford", "serialNumber": serial}
        socket.send(json.dumps([2, "b", "BootNotification", {"reason": "PowerUp", "chargingStation": charger}]))
        answer: list[Any] = []
        while answer[:2] != [3, "b"]:
            answer = json.loads(socket.recv(timeout=10))
        assert answer[2]["status"] == "Accepted"


def test_an_exchanged_charger_is_accepted_from_the_command_line(place: Site) -> None:
    _boots(place, "w1")
    _boots(place, "w2")
    view = soon(lambda: {a["key"]: a["text"] for a in place.view().get("alarms", ())}, "the alarm")
    assert "serial w2; known was Ford Home Integration, serial w1" in view[f"identity:{MINE}"]
    wrong = place.command("station", "accept", MINE, "w3", check=False)
    assert wrong.returncode == 2
    assert "got w3, expected w2" in wrong.stderr
    assert "serial w2" in place.command("station", "accept", MINE, "w2").stdout
    soon(lambda: all("identity" not in a["key"] for a in place.view()["alarms"]), "the alarm ends")
    place.command("station", "add", MINE, "--serial", "w4", "--config", str(place.config))
    kept = place.rows(
        "SELECT convert_from(body, 'UTF8') AS fact FROM journal WHERE kind = 'IdentityAccepted' ORDER BY seq"
    )
    said = [json.loads(row["fact"]) for row in kept]
    assert [(fact["serial"], fact["by"]) for fact in said] == [
        ("w1", "first boot"), ("w2", "command-line"), ("w4", "command line"),
    ]  # fmt: skip


# ---- the database gone ------------------------------------------------------------------------------


class Witness:
    """A station of the test's own: sends meter values without end and notes which were acknowledged."""

    def __init__(self, place: Site) -> None:
        self.acknowledged: list[tuple[dt.datetime, int]] = []
        self.closed = 0
        self._place = place
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *rest: object) -> None:
        self._stop.set()
        self._thread.join(40)
        assert not self._thread.is_alive()

    async def _live(self) -> None:
        async with websockets.connect(
            f"ws://127.0.0.1:{self._place.ocpp_port}/ocpp/{MINE}",
            subprotocols=[websockets.Subprotocol("ocpp2.1")],
            additional_headers=_basic(MINE, _secrets(self._place)[MINE]),
        ) as socket:
            station = {"model": "Home Integration", "vendorName": "Ford", "serialNumber": "w1"}
            await self._call(socket, "boot", "BootNotification", {"reason": "PowerUp", "chargingStation": station})
            register_wh = 1000
            while not self._stop.is_set():
                register_wh += 1
                stamp = wall_now()
                try:
                    await self._call(socket, f"m{register_wh}", "MeterValues", _values(stamp, register_wh))
                except websockets.ConnectionClosed:
                    self.closed += 1
                    return
                self.acknowledged.append((stamp, register_wh))
                await asyncio.sleep(0.1)

    async def _call(self, socket: Any, number: str, action: str, payload: dict[str, Any]) -> None:
        """Send until it is acknowledged; whatever the server asks meanwhile is not implemented here."""
        await socket.send(json.dumps([2, number, action, payload]))
        while True:
            frame = json.loads(await socket.recv())
            if frame[0] == 2:
                await socket.send(json.dumps([4, frame[1], "NotImplemented", "", {}]))
            elif frame[0] == 3 and frame[1] == number:
                return
            elif frame[0] == 4 and frame[1] == number:
                await socket.send(json.dumps([2, number, action, payload]))


def _values(stamp: dt.datetime, register_wh: int) -> dict[str, Any]:
    register = {"measurand": "Energy.Active.Import.Register", "location": "Inlet", "value": register_wh}
    return {"evseId": 1, "meterValue": [{"timestamp": iso(stamp), "sampledValue": [register]}]}


def test_with_the_database_gone_for_10_s_stations_stay_and_nothing_acknowledged_is_lost(place: Site) -> None:
    (place.folder / "five.toml").write_text(without_site((place.folder / "parked.toml").read_text(), "home-light"))
    _twin(place, "five.toml")
    with Witness(place) as witness:
        soon(lambda: place.view().get("stations_online") == STATIONS, "all stations are online", within_s=40)
        soon(lambda: len(witness.acknowledged) > 5, "the witness is heard")
        first = place.signal_database(signal.SIGSTOP)
        stopped_s = wall_s()
        heard = len(witness.acknowledged)
        soon(lambda: wall_s() - stopped_s > GONE_S, "ten seconds pass", within_s=GONE_S + 1)
        assert len(witness.acknowledged) <= heard + 1, "acknowledged what cannot be on the disk"
        view = place.view()
        assert view["stations_online"] == STATIONS
        assert view["database"] == "gone"
        assert view["stale_s"] >= GONE_S / 2
        place.signal_database(signal.SIGKILL)
        soon(lambda: len(witness.acknowledged) > heard + 5, "the server recovers by itself", within_s=30)
        assert place.postmaster() != first
        soon(lambda: place.view()["database"] == "ok", "the page says that it is back")
        assert place.view()["stations_online"] == STATIONS
    assert witness.closed == 0
    kept = place.rows(
        "SELECT s.ts, s.value FROM sample s JOIN series k USING (series_id)"
        " WHERE k.asset_id = $1 AND k.quantity = 'import_wh'",
        f"{MINE}/1",
    )
    stored = {(_milli(row["ts"]), int(row["value"])) for row in kept}
    assert {(_milli(stamp), value) for stamp, value in witness.acknowledged} <= stored


def _milli(stamp: dt.datetime) -> str:
    return iso(stamp.astimezone(UTC))


def _database_by(place: Site) -> set[str]:
    """What the operator's picture, the public one and the house's health say of the database."""
    health = httpx.get(f"http://127.0.0.1:{place.web_port}/healthz").status_code
    public = httpx.get(f"http://127.0.0.1:{place.web_port}/api/v1/public").json()
    return {place.view()["database"], public["database"], "ok" if health == 200 else "gone"}


def test_with_no_traffic_every_page_says_within_5_s_that_the_database_is_gone_and_then_that_it_is_back(
    place: Site,
) -> None:
    soon(place.view, "the first picture")
    soon(lambda: _database_by(place) == {"ok"}, "all is well")
    assert place.view()["stations_online"] == 0, "nobody speaks: the house asks by itself"
    place.signal_database(signal.SIGSTOP)
    soon(lambda: _database_by(place) == {"gone"}, "all say so", within_s=TOLD_S)
    assert place.view()["stale_s"] > 0
    place.signal_database(signal.SIGCONT)
    soon(lambda: _database_by(place) == {"ok"}, "all say that it is back", within_s=TOLD_S)


LOSES_GRID = "school"
HELD_UP_S = 12
"""Before the outage the database is away so long: in it every station, sampled each 10 s, says something that waits."""


def _grid_dies(place: Site, file: str, after_s: int) -> dt.datetime:
    """The parked programme with an outage that soon, in which the stations' links live; its moment."""
    zone = ZoneInfo("America/New_York")
    moment = wall_now().replace(microsecond=0) + dt.timedelta(seconds=after_s)
    while stream(1, "outage-link", LOSES_GRID, moment.timestamp()).random() < LINK_LOST_SHARE:
        moment += dt.timedelta(seconds=1)
    at = moment.astimezone(zone)
    text = re.sub("^event_day = .*$", f"event_day = {at:%Y-%m-%d}", parked_text(), flags=re.MULTILINE)
    outage = f'[[outages]]\nsite = "{LOSES_GRID}"\nstart = {at:%H:%M:%S}\nhours = 0.5\n'
    (place.folder / file).write_text(text + outage)
    return moment


def _told_kw(view: dict[str, Any], site: str) -> list[float]:
    """What the site's stations are told, by the page."""
    return [row["setpoint_kw"] for row in view.get("station_rows", ()) if row["site_id"] == site]


def test_a_grid_lost_while_the_database_is_away_ends_the_discharge_within_10_s(place: Site) -> None:
    """The stations protect people by themselves; this is our own part of it."""
    dies = _grid_dies(place, "dies.toml", after_s=70)
    _twin(place, "dies.toml")
    place.call_event()
    soon(lambda: min(_told_kw(place.view(), LOSES_GRID), default=0.0) < -10, "the site gives", within_s=50)
    # A station that waits for an answer says nothing else: what it said before must not hold its loss up.
    soon(lambda: wall_now() > dies - dt.timedelta(seconds=HELD_UP_S), "the outage is near", within_s=75)
    first = place.signal_database(signal.SIGSTOP)
    soon(lambda: wall_now() > dies - dt.timedelta(seconds=2), "they have spoken", within_s=HELD_UP_S)
    assert min(_told_kw(place.view(), LOSES_GRID)) < -10, "until then it gives"
    soon(lambda: wall_now() > dies, "the grid dies", within_s=5)
    soon(lambda: not any(_told_kw(place.view(), LOSES_GRID)), "the set-points are gone", within_s=30)
    row = next(site for site in place.view()["sites"] if site["site_id"] == LOSES_GRID)
    assert row["grid"] == "dead"
    soon(lambda: place.view()["database"] == "gone", "the page says that nothing is committed", within_s=10)
    back_at = wall_now()
    place.signal_database(signal.SIGCONT)
    soon(lambda: place.view()["database"] == "ok", "the database is back")
    assert place.postmaster() == first
    told, stopped = _bodies(place, "GridLost"), _bodies(place, "CommandIssued")
    assert 1 <= len(told) == len({fact["at"] for fact in told}), "each once"
    lost_at = dt.datetime.fromisoformat(told[0]["at"])
    ends = {
        fact["station_id"]: at
        for fact in reversed(stopped)
        if fact["station_id"].startswith(f"{LOSES_GRID}-")
        and lost_at <= (at := dt.datetime.fromisoformat(fact["at"])) < back_at
        and fact["detail"]["setpoint_kw"] == 0
    }
    assert len(ends) == len(_told_kw(place.view(), LOSES_GRID))
    assert max(ends.values()) - dies < dt.timedelta(seconds=10), "counted from the outage itself"


def _bodies(place: Site, kind: str) -> list[dict[str, Any]]:
    rows = place.rows("SELECT convert_from(body, 'UTF8') AS fact FROM journal WHERE kind = $1 ORDER BY seq", kind)
    return [json.loads(row["fact"]) for row in rows]


# ---- the server killed ------------------------------------------------------------------------------


def test_kill_9_in_an_event_and_the_restart_goes_on_with_it(place: Site) -> None:
    _twin(place)
    place.call_event()
    place.delivering()
    assert place.server is not None
    place.server.send_signal(signal.SIGKILL)
    place.server.wait()
    place.start()
    soon(lambda: place.view().get("stations_online") == STATIONS, "all stations are back", within_s=40)
    place.delivering()
    view = place.view()
    assert (view["event"]["phase"], view["event"]["opt"]) == ("running", "in")
    kinds = place.rows(
        "SELECT kind, count(*) AS n FROM journal WHERE kind LIKE '%Event%' OR kind LIKE 'Opt%' GROUP BY 1"
    )
    counted = {row["kind"]: row["n"] for row in kinds}
    assert (counted["GridEventReceived"], counted["OptDecided"]) == (1, 1)


# ---- one person stops -------------------------------------------------------------------------------


def test_one_command_stops_all_discharge(place: Site) -> None:
    _twin(place)
    place.call_event()
    place.delivering()
    before = wall_now()
    place.command("stop-discharge", "--why", "a drill")
    soon(lambda: place.relief_kw() < 0.5, "every meter shows it", within_s=25)
    assert place.view()["discharge_stopped"]
    last = place.rows(
        "SELECT max(s.ts) AS ts FROM sample s JOIN series k USING (series_id)"
        " WHERE k.quantity = 'power_kw' AND k.place = 'ac_inlet' AND s.value < -0.5"
    )
    assert (last[0]["ts"] - before).total_seconds() < 10


# ---- what a live store tells ------------------------------------------------------------------------


def test_a_live_server_shows_its_equity_share_and_its_guide_has_the_chapter(place: Site) -> None:
    equity = soon(lambda: place.view().get("equity"), "the first picture")
    # two homes only: what the public was told of them would be found by difference, so pages and guide leave them out
    assert (equity["ej_usd"], equity["total_usd"], equity["unknown"]) == ("210000", "210000", 0)
    file = place.folder / "guide.pdf"
    place.command("guide", "--out", str(file), "--config", str(place.config))
    assert file.read_bytes().startswith(b"%PDF")
    figures = asyncio.run(_guide_figures(place))
    assert figures.simulated is True
    assert figures.equity is not None
    assert figures.equity.share == equity["share"]
    assert (figures.equity.ej_cents, figures.equity.total_cents) == (21_000_000, 21_000_000)
    assert "Fewer than 5 homes" in figures.equity.homes_text


async def _guide_figures(place: Site) -> GuideFigures:
    mark = place.mark()
    assert mark is not None
    reader = Reader(mark["dsn"], TenantId("masscec"))
    try:
        return await gather(reader, wall_now())
    finally:
        await reader.close()


# ---- backup and audit -------------------------------------------------------------------------------


@dataclass
class Kept:
    """What a state folder's store holds."""

    facts: list[Fact]
    ledger_hash: str
    lines: int
    series: dict[tuple[str, Quantity], SeriesRows]


async def _post_lines(place: Site) -> None:
    """Ledger lines with their evidence, as a settled event leaves them."""
    async with open_store(place.state, "masscec", WallClock()) as (store, _):
        await store.post(
            [
                LedgerEntry(
                    key=f"cs-2026/school/{n}",
                    posted_at=wall_now(),
                    statement_id="p-school:2026-07",
                    participant_id="p-school",
                    site_id="school",
                    program_id="cs-daily",
                    kind="performance",
                    export_wh=41_000 + n,
                    cents=12_345 + n,
                    state="expected",
                    rule="CI-DAILY@2021-06-01",
                    evidence={"registers": [["school-cs01/1", "2026-07-15T20:00:00Z", 1]], "kw": [41.5 + n]},
                )
                for n in range(5)
            ]
        )


async def _kept(place: Site, until: dt.datetime) -> Kept:
    async with open_store(place.state, "masscec", WallClock()) as (store, _):
        fleet = await store.load_fleet()
        assert fleet is not None
        since = until - dt.timedelta(hours=1)
        return Kept(
            facts=[fact async for fact in store.journal()],
            ledger_hash=await store.ledger_hash(),
            lines=await store.verify_ledger(),
            series={
                (station.id, quantity): await store.series(
                    evse_asset(station.id, 1), "ac_inlet", quantity, since, until
                )
                for station in fleet.stations
                for quantity in QUANTITIES
            },
        )


def test_a_backup_of_a_running_server_is_restored_elsewhere_whole(template: Site, pg_folder: Path) -> None:
    place, other = copy_of(template, pg_folder), copy_of(template, pg_folder)
    file = place.folder / "dump"
    try:
        asyncio.run(_post_lines(place))
        shutil.rmtree(other.state)
        place.start()
        _twin(place)
        soon(lambda: place.view().get("stations_online") == STATIONS, "the stations are heard", within_s=40)
        before = wall_now() - dt.timedelta(seconds=10)  # no value so old is still on its way
        said = place.command("backup", str(file), "--config", str(place.config)).stdout
        assert file.stat().st_mode & 0o077 == 0
        place.close()
        restored = other.command("restore", str(file), "--config", str(other.config)).stdout
        first, second = asyncio.run(_kept(place, before)), asyncio.run(_kept(other, before))
        assert said.split()[-1] == restored.split()[-1] == first.ledger_hash == second.ledger_hash
        assert first.ledger_hash != GENESIS
        assert first.lines == second.lines == 5
        assert second.facts == first.facts[: len(second.facts)], "the journal up to the backup, in its order"
        assert {type(fact) for fact in second.facts} >= {MeterReading, StationBooted}
        assert second.series == first.series
        assert sum(len(rows.ts) for rows in second.series.values()) > 2 * STATIONS
        listed = other.command("station", "list", "--config", str(other.config)).stdout
        assert MINE in listed
        again = other.command("restore", str(file), "--config", str(other.config), check=False)
        assert again.returncode == 2
        assert "not empty" in again.stderr
    finally:
        for one in (place, other):
            one.close()
            shutil.rmtree(one.folder, ignore_errors=True)
