"""The demonstration as a person meets it: it leaves nothing, or the record that was asked for."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from revere.app.serve import open_store
from revere.core.time import WallClock
from revere.web.guide.figures import gather
from revere.web.guide.shapes import GuideFigures
from tests.trips.rig import SMALL
from tests.trips.walls import Site, free_port, soon

pytestmark = pytest.mark.wall
STOP_S = 40


@pytest.fixture
def place(pg_folder: Path) -> Iterator[Site]:
    """A folder with nothing in it but settings."""
    found = Site(folder=pg_folder / f"demo-{secrets.token_hex(4)}")
    found.folder.mkdir(mode=0o711)
    yield found
    found.close()
    shutil.rmtree(found.folder, ignore_errors=True)


def _show(place: Site, *words: str) -> subprocess.Popen[bytes]:
    ports = ("--port", str(place.web_port), "--ocpp-port", str(place.ocpp_port))
    demo = place.spawn("demo", str(SMALL), *ports, *words)

    def greeted() -> bool:
        said = (place.folder / "demo.log").read_text()
        assert demo.poll() is None, said
        return "Ctrl-C stops everything" in said

    soon(greeted, "the addresses are printed", within_s=90)
    return demo


def _stop(demo: subprocess.Popen[bytes]) -> None:
    demo.send_signal(signal.SIGINT)
    assert demo.wait(STOP_S) == 0


async def _figures(place: Site) -> GuideFigures:
    async with open_store(place.state, "masscec", WallClock()) as (store, _):
        return await gather(store, WallClock().now())


def test_a_kept_demonstration_gives_its_guide_while_it_runs_and_after(place: Site) -> None:
    demo = _show(place, "--keep", str(place.state))
    assert f"REVERE_STATE={place.state}" in (place.folder / "demo.log").read_text()
    for name in ("during", "after"):
        file = place.folder / f"{name}.pdf"
        place.command("guide", "--out", str(file))
        assert file.read_bytes().startswith(b"%PDF")
        if name == "during":
            place.command("stop-discharge", "--why", "a drill")
            _stop(demo)
    assert place.mark() is None
    assert "not recorded" not in (place.folder / "demo.log").read_text()
    figures = asyncio.run(_figures(place))
    assert figures.simulated is True
    assert figures.equity is not None
    assert (figures.equity.block_groups, figures.equity.participants) == (1, 2)  # its two homes are left out
    assert figures.quality.stops == 1
    refused = place.command("demo", str(SMALL), "--keep", str(place.state), check=False)
    assert refused.returncode == 2
    assert "a record is kept there already" in refused.stderr


def test_a_demonstration_leaves_nothing(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lent = place.folder / "tmp"
    lent.mkdir(mode=0o711)
    monkeypatch.setenv("TMPDIR", str(lent))
    demo = _show(place)
    (folder,) = lent.glob("revere-demo-*")
    postmaster = int((folder / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
    _stop(demo)
    assert list(lent.iterdir()) == []
    assert not Path(f"/proc/{postmaster}").exists()


@pytest.mark.parametrize("option", ["--port", "--ocpp-port"])
def test_a_taken_port_is_said_before_anything_starts(place: Site, option: str) -> None:
    ports = {"--port": free_port(), "--ocpp-port": free_port()}
    with socket.create_server(("127.0.0.1", ports[option])):
        words = [word for name, port in ports.items() for word in (name, str(port))]
        refused = place.command("demo", str(SMALL), *words, check=False)
    assert refused.returncode == 2
    assert f"127.0.0.1:{ports[option]}: cannot listen there" in refused.stderr
    assert f"choose another with {option}" in refused.stderr
    assert refused.stdout == ""
