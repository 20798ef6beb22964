"""What people mistype: one line that says what is wrong, exit code 2, and nothing started or lost."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from revere.app.files import check_output, fresh_secret_file
from revere.core.errors import RevereError
from revere.links.ocppj.server import OcppServer

ROOT = Path(__file__).resolve().parents[2]
ONE_HOME = str(ROOT / "scenarios" / "one_home.toml")

WORDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("run", ONE_HOME, "--days", "-1"), "days is out of range"),
    (("run", ONE_HOME, "--days", "0"), "days is out of range"),
    (("run", ONE_HOME, "--days", "nan"), "days is out of range"),
    (("run", ONE_HOME, "--days", "1e9"), "days is out of range"),
    (("run", ONE_HOME, "--seed", "-5"), "seed is out of range"),
    (("run", ONE_HOME, "--json", "no/x.json"), "no/x.json: cannot write (got no such folder"),
    (("run", ONE_HOME, "--guide", "."), "cannot write (got a folder"),
    (("run", "no.toml"), "no.toml: cannot be read"),
    (("run", "[no].toml"), "[no].toml: cannot be read"),
    (("run", ONE_HOME, "--days", "two"), 'unable to convert "two"'),
    (("rum",), "Did you mean"),
    (("demo", ONE_HOME, "--speed", "nan"), "--speed: the speed is out of range"),
    (("demo", ONE_HOME, "--port", "70000"), "--port: the port is out of range"),
    (("backup", "no/dump"), "no/dump: cannot write"),
    (("guide", "--out", "no/guide.pdf"), "no/guide.pdf: cannot write"),
    (("doctor", "--out", "no/bundle.zip"), "no/bundle.zip: cannot write"),
    (("bench", "plan", "--json", "no/x.json"), "no/x.json: cannot write"),
    (("station", "add", "--all", "--out", "no/secrets.json"), "no/secrets.json: cannot write"),
    (("serve", "--config", "."), "cannot be read"),
    (("twin", ONE_HOME, "--connect", "ws://127.0.0.1:1/ocpp", "--secrets-file", "none"), "none: cannot be read"),
)


def _revere(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REVERE_")}
    return subprocess.run(
        [sys.executable, "-m", "revere.cli", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "REVERE_STATE": str(folder / "state")} | environment,
    )


def _one_line(done: subprocess.CompletedProcess[str], says: str) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done.stderr[-2000:]
    assert len(done.stderr.splitlines()) == 1, done.stderr[-2000:]
    assert says in done.stderr


@pytest.mark.parametrize(("words", "says"), WORDS, ids=lambda value: " ".join(value)[-40:] if value else "")
def test_a_mistake_is_one_line_and_exit_code_2(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    _one_line(_revere(tmp_path, *words), says)
    assert not (tmp_path / "state" / "postgres").exists(), "nothing was started"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("[ocpp]\nport = 99999\n", "$.ocpp.port"),
        ('[ocpp]\nport = "x"\n', "$.ocpp.port"),
        ('[ocpp]\nfile_hosts = ["files.example.org"]\n', "ocpp.file_hosts: not a host"),
        ("[web]\nport = -1\n", "$.web.port"),
        ("[web]\nprot = 1\n", "prot"),
    ],
)
def test_bad_settings_are_one_line(settings: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "revere.toml").write_text(settings)
    _one_line(_revere(tmp_path, "serve"), says)


@pytest.mark.parametrize("dsn", ["garbage", "postgresql://me:hidden@here:notaport/x", "postgresql://[/x"])
def test_a_bad_database_address_is_one_line_without_what_it_holds(dsn: str, tmp_path: Path) -> None:
    done = _revere(tmp_path, "site", "list", REVERE_DSN=dsn)
    _one_line(done, "the database's address cannot be read")
    assert "hidden" not in done.stderr


def test_a_secret_is_closed_from_its_first_byte_whatever_stood_there(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text("old")
    file.chmod(0o644)

    def fails_halfway() -> None:
        with fresh_secret_file(file) as opened:
            opened.write(b"half")
            assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path != file] == [0o600]
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fails_halfway()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    with fresh_secret_file(file) as opened:
        opened.write(b"new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_place_without_the_right_to_write_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RevereError, match="no right to write"):
        check_output(tmp_path / "x")


def test_a_taken_port_or_a_host_that_is_not_ours_is_told() -> None:
    nobody: Any = None
    server = OcppServer(nobody, nobody, nobody)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RevereError, match=rf"ocpp\.port: cannot listen.*127\.0\.0\.1:{port}"):
            asyncio.run(server.serve("127.0.0.1", port))
    with pytest.raises(RevereError, match=r"ocpp\.host"):
        asyncio.run(server.serve("192.0.2.1", 0))
