"""People and tokens by the command line at a running server: checked, told once, ended; the documented call works."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trips.walls import ROOT, Site, registered, soon

pytestmark = pytest.mark.wall
API_PAGE = ROOT / "docs" / "reference" / "api.md"


@pytest.fixture(scope="module")
def place(pg_folder: Path) -> Iterator[Site]:
    """A running server with one person."""
    with registered(pg_folder) as found:
        found.start()
        soon(found.view, "the first picture")
        _user(found, "alice", "operator")
        yield found


def _user(place: Site, name: str, role: str, *words: str) -> subprocess.CompletedProcess[str]:
    return place.command(
        "user",
        "add",
        name,
        "--role",
        role,
        *words,
        "--config",
        str(place.config),
        stdin="a long password\n",
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--site", "nowhere"), "no such site (got nowhere)"),
        (("--participant", "nobody"), "no such participant (got nobody, expected such as p-"),
        ((), "needs a site or a participant"),
    ],
)
def test_a_person_of_a_place_that_is_not_registered_is_refused(place: Site, words: tuple[str, ...], says: str) -> None:
    done = _user(place, "bob", "site_manager", *words)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert _user(place, "bob", "site_manager", "--site", "school").returncode == 0
    assert "may not sign in any more" in place.command("user", "remove", "bob", "--config", str(place.config)).stdout
    gone = place.command("user", "remove", "bob", "--config", str(place.config), check=False)
    assert (gone.returncode, "no such user" in gone.stderr) == (2, True)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl to try the documented call with")
def test_the_documented_call_works_until_its_token_is_revoked(place: Site) -> None:
    block = re.search(r"```console\n(revere token add .*)\n(curl .*)\n```", API_PAGE.read_text())
    assert block is not None
    made, call = block.groups()
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', made)][1:]
    token, shown_once = place.command(*words, "--config", str(place.config)).stdout.splitlines()
    name = re.search(r"token revoke (\w+)", shown_once)
    assert name is not None
    call = call.replace("TOKEN", token).replace("127.0.0.1:8080", f"127.0.0.1:{place.web_port}")
    answer = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=False, timeout=20)
    assert '"name":"alice"' in answer.stdout.replace(" ", ""), answer.stderr

    listed = place.command("token", "list", "--config", str(place.config)).stdout
    assert (name[1] in listed, "alice" in listed, "energy report" in listed, token in listed) == (
        True,
        True,
        True,
        False,
    )
    kept = place.rows("SELECT label, token_sha256 FROM token WHERE user_name = 'alice'")
    assert [row["label"] for row in kept] == ["energy report"]
    assert token not in str(kept)

    place.command("token", "revoke", name[1], "--config", str(place.config))
    assert name[1] not in place.command("token", "list", "--config", str(place.config)).stdout
    again = place.command("token", "revoke", name[1], "--config", str(place.config), check=False)
    assert (again.returncode, "no such token" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nobody",), "no such user (got nobody)"),
        (("alice", "--days", "0"), "the number of days is out of range"),
        (("alice", "--days", "nan"), "the number of days is out of range"),
        (("alice", "--label", "x" * 61), "the label is too long"),
    ],
)
def test_a_token_for_nobody_or_for_ever_is_refused(place: Site, words: tuple[str, ...], says: str) -> None:
    done = place.command("token", "add", *words, "--config", str(place.config), check=False)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
