"""The command line beside a running server: what one person may do on the machine, however the server listens."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trips.walls import Site, registered, soon

pytestmark = [pytest.mark.wall, pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")]


@pytest.fixture(scope="module")
def place(pg_folder: Path) -> Iterator[Site]:
    """A server that listens on every address, by TLS, with a certificate that names none of them."""
    with registered(pg_folder) as found:
        cert, key = found.folder / "cert.pem", found.folder / "key.pem"
        making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=v2x.example"]
        subprocess.run([*making, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        found.write_config(f'host = "0.0.0.0"\ntls_cert = "{cert}"\ntls_key = "{key}"\n')
        found.start()
        soon(found.view, "the first picture")
        yield found


def test_a_stop_and_a_call_pass_whatever_the_front_doors_certificate_says(place: Site) -> None:
    assert f"https://{socket.gethostname()}:{place.web_port}" in (place.folder / "serve.log").read_text()
    assert "Discharge is stopped everywhere" in place.command("stop-discharge", "--why", "a drill").stdout
    soon(lambda: place.view().get("discharge_stopped"), "the page shows it")
    place.call_event(in_s=600)
    listed = place.command("event", "list").stdout
    (event_id,) = re.findall(r"manual-\d+-\d+", listed)
    assert "call by command-line" in listed
    said = place.command("event", "withdraw", event_id, "--why", "wrong day").stdout
    assert f"The call {event_id} is withdrawn before it began." in said
    assert "withdrawn by command-line: wrong day" in place.command("event", "list").stdout
    (kept,) = place.rows("SELECT body FROM journal WHERE kind = 'DischargeStopped'")
    assert b"command-line" in kept["body"]


def test_a_stop_passes_with_the_database_gone(place: Site) -> None:
    place.signal_database(signal.SIGSTOP)
    try:
        done = place.command("stop-discharge", "--site", "school", "--why", "smoke")
    finally:
        place.signal_database(signal.SIGCONT)
    assert "Discharge is stopped at" in done.stdout


def test_no_station_is_locked_out_by_a_file_that_cannot_be_written(place: Site) -> None:
    def kept() -> list[bytes]:
        return [row["mac"] for row in place.rows("SELECT mac FROM station_secret ORDER BY station_id")]

    before = kept()
    words = ("station", "add", "--all", "--config", str(place.config), "--out")
    refused = place.command(*words, str(place.folder / "none" / "secrets.json"), check=False)
    assert refused.returncode == 2
    assert kept() == before
    file = place.folder / "secrets.json"
    file.chmod(0o644)
    assert "mode 0600" in place.command(*words, str(file)).stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert not set(kept()) & set(before)


def test_a_second_server_over_the_same_state_is_refused_and_the_first_stays(place: Site) -> None:
    second = place.command("serve", "--config", str(place.config), check=False)
    assert (second.returncode, len(second.stderr.splitlines())) == (2, 1), second.stderr
    assert "runs over this state folder already" in second.stderr
    assert place.view()["database"] == "ok"


def test_a_mark_whose_server_was_killed_stops_nobody_even_if_its_number_lives_again(place: Site) -> None:
    assert place.server is not None
    place.server.kill()
    place.server.wait()
    mark = place.mark()
    assert mark is not None
    (place.state / "running.json").write_text(json.dumps(mark | {"pid": os.getpid()}))
    assert "school" in place.command("site", "list", "--config", str(place.config)).stdout
    refused = place.command("stop-discharge", check=False)
    assert refused.returncode == 2
    assert "no server runs" in refused.stderr
