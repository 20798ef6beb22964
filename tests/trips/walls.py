"""A production server and its stations as processes of their own, in wall time, for the tests of faults."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from revere.app.serve import open_store
from revere.control.building import fallback_profiles
from revere.control.commissioning import check_site
from revere.control.image import Image
from revere.core.facts import Fact, MeterReading, Place, SiteCommissioned, evse_asset
from revere.core.scenario import parse_scenario
from revere.core.time import WallClock, floor_to, iso, wall_now, wall_s
from tests.trips.rig import SMALL

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.05
DELIVERING_KW = 20.0
_TRIPS = re.compile(r"^trips = (\[ .* \]|\[\n(?:  .*\n)*\])\n", re.MULTILINE)


def parked_text() -> str:
    """The small programme with every vehicle at its plug at any hour, and no outage."""
    text = _TRIPS.sub("", SMALL.read_text(encoding="utf-8"))
    assert "trips" not in text
    return text[: text.index("[[outages]]")]


def without_site(text: str, site_id: str) -> str:
    """A programme without one of its sites: whose station a test can be itself."""
    blocks = re.split(r"(?=^\[\[sites\]\]\n)", text, flags=re.MULTILINE)
    kept = [block for block in blocks if f'\nid = "{site_id}"\n' not in block[:40]]
    assert len(kept) == len(blocks) - 1
    return "".join(kept)


def soon(probe: Callable[[], T | None], what: str, *, within_s: float = 25.0) -> T:
    """Poll until ``probe`` gives something true; fail after ``within_s`` wall seconds."""
    deadline_s = wall_s() + within_s
    pause = threading.Event()
    while True:
        found = probe()
        if found:
            return found
        assert wall_s() < deadline_s, f"{what}: not within {within_s:g} s"
        pause.wait(POLL_S)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(kw_only=True)
class Site:
    """A state folder with its settings; processes over it are ended with it."""

    folder: Path
    web_port: int = field(default_factory=free_port)
    ocpp_port: int = field(default_factory=free_port)
    server: subprocess.Popen[bytes] | None = None
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """``REVERE_STATE``."""
        return self.folder / "state"

    @property
    def config(self) -> Path:
        """``revere.toml``."""
        return self.folder / "revere.toml"

    def write_config(self, web: str = "") -> None:
        """Settings with this site's own ports, and more lines for the web where given."""
        self.config.write_text(f"[web]\nport = {self.web_port}\n{web}[ocpp]\nport = {self.ocpp_port}\n")

    def environment(self) -> dict[str, str]:
        """Ours, with the state folder named, this tree's code and no database of somebody else's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REVERE_")}
        return kept | {"REVERE_STATE": str(self.state), "COLUMNS": "400", "PYTHONPATH": str(ROOT)}

    def command(self, *words: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``revere`` to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "revere.cli", *words],
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment(),
            cwd=self.folder,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def spawn(self, *words: str) -> subprocess.Popen[bytes]:
        """Start ``revere`` and leave it running."""
        with (self.folder / f"{words[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "revere.cli", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=self.folder,
            )
        self.others.append(process)
        return process

    def start(self) -> None:
        """Start the server and wait for its mark."""
        self.server = server = self.spawn("serve", "--config", str(self.config))

        def up() -> bool:
            assert server.poll() is None, (self.folder / "serve.log").read_text()[-2000:]
            mark = self.mark()
            return mark is not None and mark["pid"] == server.pid

        soon(up, "the server starts", within_s=40)

    def mark(self) -> dict[str, Any] | None:
        """The running server's own mark."""
        try:
            found: dict[str, Any] = json.loads((self.state / "running.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found

    def get(self, path: str) -> dict[str, Any]:
        """Ask the API as the command line does."""
        mark = self.mark()
        assert mark is not None
        request = urllib.request.Request(mark["web_url"] + path, headers={"Authorization": f"Bearer {mark['token']}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def view(self) -> dict[str, Any]:
        """The operator's picture."""
        try:
            return self.get("/api/v1/view")
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return {}  # no picture yet (503), or no server

    def relief_kw(self) -> float:
        """What all stations give, by their meters."""
        rows = self.view().get("station_rows", [])
        return -sum(row["power_kw"] or 0.0 for row in rows)

    def delivering(self) -> None:
        """Wait until the stations give what an event asks of them."""
        soon(lambda: self.relief_kw() > DELIVERING_KW, "the event is delivered", within_s=60)

    def call_event(self, *, in_s: float = 6.0, for_s: float = 3600.0) -> None:
        """Call an event by hand from ``in_s`` seconds on: the command has to start meanwhile, on a busy machine too."""
        soon(self.view, "the first picture")
        start = wall_now() + dt.timedelta(seconds=in_s)
        self.command("event", "call", "cs-daily", iso(start), iso(start + dt.timedelta(seconds=for_s)))

    def rows(self, sql: str, *args: object) -> list[Any]:
        """Look into the running server's database."""
        mark = self.mark()
        assert mark is not None

        async def ask() -> list[Any]:
            conn = await asyncpg.connect(mark["dsn"])
            try:
                return list(await conn.fetch(sql, *args))
            finally:
                await conn.close()

        return asyncio.run(ask())

    def postmaster(self) -> int:
        """The database server's pid."""
        return int((self.state / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])

    def signal_database(self, number: signal.Signals) -> int:
        """Send a signal to the database server and all its children (each is a group of its own); returns its pid."""
        postmaster = self.postmaster()
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            with suppress(ProcessLookupError):  # one that was ending
                os.kill(pid, number)
        return postmaster

    def close(self) -> None:
        """End every process in order, by force where it does not end."""
        for process in reversed(self.others):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.others):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _lived_before(place: Site) -> None:
    """Journal main-meter and station registers of the last ten minutes, as an earlier life of the server would.

    Nothing is given to a grid before the building's load is known, which takes two aligned values, up to 10 min.
    """
    clock = WallClock()
    fleet = parse_scenario((place.folder / "parked.toml").read_text(), "parked.toml").fleet
    edge = floor_to(clock.now(), 300)
    facts: list[Fact] = []
    for ts, wh in ((edge - dt.timedelta(minutes=5), 0), (edge, 100)):
        facts += [_register(evse_asset(station.id, 1), "ac_inlet", ts, 0) for station in fleet.stations]
        facts += [_register(site.id, "site", ts, wh) for site in fleet.sites]
    profiles, _short = fallback_profiles(fleet)
    image = Image(fleet)
    for site in fleet.sites:
        check = check_site(site, image.site_evses[site.id], profiles, fleet.programme)
        assert check.clean(), check.words()
        facts.append(
            SiteCommissioned(
                at=clock.now(), site_id=site.id, by="an earlier life", digest=check.digest, over_kw=0.0, short_kwh={}
            )
        )
    async with open_store(place.state, fleet.programme.id, clock) as (store, _):
        await store.record(facts)


def _register(asset_id: str, where: Place, ts: dt.datetime, import_wh: int) -> MeterReading:
    return MeterReading(
        at=ts, asset_id=asset_id, place=where, ts=ts, context="clock", import_wh=import_wh, export_wh=0, power_kw=0.0
    )


@contextmanager
def registered(folder: Path) -> Iterator[Site]:
    """A state folder with the parked programme and its stations' secrets; nothing runs yet."""
    place = Site(folder=folder / f"wall-{secrets.token_hex(4)}")
    place.folder.mkdir(mode=0o711)
    place.write_config()
    (place.folder / "parked.toml").write_text(parked_text())
    try:
        place.command("site", "add", str(place.folder / "parked.toml"), "--config", str(place.config))
        secrets_file = str(place.folder / "secrets.json")
        place.command("station", "add", "--all", "--out", secrets_file, "--config", str(place.config))
        yield place
    finally:
        place.close()
        shutil.rmtree(place.folder, ignore_errors=True)


def copy_of(place: Site, folder: Path) -> Site:
    """The same registry and secrets in a folder of its own, with ports of its own (owners and modes kept)."""
    copy = Site(folder=folder / f"wall-{secrets.token_hex(4)}")
    subprocess.run(["cp", "-a", str(place.folder), str(copy.folder)], check=True)
    copy.write_config()
    asyncio.run(_lived_before(copy))
    return copy
