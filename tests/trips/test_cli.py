"""The command line as people meet it: every command is there, a run writes its figures, a bundle holds no secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import revere.app.play
from revere.app.play import PlayOptions, play
from revere.core.errors import RevereError
from revere.store.postgres import APPLICATION, OWNER, EmbeddedPostgres
from tests.trips.rig import ONE_HOME, SMALL, small
from tests.trips.walls import ROOT, Site, registered

COMMANDS = {
    (): ("run", "demo", "serve", "twin", "user", "token", "station", "site", "event", "stop-discharge", "guide",
         "audit", "migrate", "backup", "restore", "doctor", "bench", "pki"),
    ("user",): ("add", "list", "remove"),
    ("token",): ("add", "list", "revoke"),
    ("station",): ("add", "list", "accept", "renew", "revoke-certificate", "security"),
    ("site",): ("add", "list"),
    ("event",): ("call", "list", "opt", "withdraw"),
    ("event", "call"): ("--drill",),
    ("run",): ("--days", "--seed", "--data", "--json", "--event-day"),
    ("twin",): ("--connect",),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(pg_folder: Path) -> Iterator[Site]:
    """A state folder with a registered programme; nothing runs."""
    with registered(pg_folder) as found:
        yield found


def _revere(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "revere.cli", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "400", "PYTHONPATH": str(ROOT)} | environment,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "revere")
def test_help_names_every_command_and_option(command: tuple[str, ...], tmp_path: Path) -> None:
    said = _revere(*command, "--help", cwd=tmp_path)
    assert said.returncode == 0
    for word in COMMANDS[command]:
        assert word in said.stdout


def test_a_run_of_one_home_writes_its_figures(tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    done = _revere("run", str(ONE_HOME), "--days", "1", "--json", str(file), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    assert (figures["stations"], figures["simulated_s"], figures["departures"]) == (1, 86400, 1)
    assert figures["missed_departures"] == 0
    assert len(figures["journal_hash"]) == 64
    assert "missed departures" in done.stdout
    assert done.stderr.split("\n") == [*(f"day {n / 4:.2f} of 1" for n in range(1, 5)), ""], "a log needs no bar"
    assert f"Journal hash {figures['journal_hash']} over" in done.stdout


@pytest.mark.parametrize("site", ["", " "])
def test_a_stop_for_an_empty_site_says_that_nothing_was_stopped(site: str, place: Site) -> None:
    said = place.command("stop-discharge", "--site", site, check=False)
    assert said.returncode == 2
    assert "nothing was stopped: --site is empty" in said.stderr
    assert "leave --site out to stop everywhere" in said.stderr


def test_a_guide_that_cannot_be_made_is_refused_before_the_run(tmp_path: Path) -> None:
    words = ("--days", "1", "--json", "summary.json", "--guide", "guide.pdf")
    done = _revere("run", str(ONE_HOME), *words, cwd=tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 2
    assert "too few participants for a public guide (got 1 homes and nobody else" in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing started"


def test_a_guide_that_fails_after_the_run_loses_no_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: object) -> None:
        raise RevereError("the printer is out of ink")

    monkeypatch.setattr(revere.app.play, "render", fails)
    told: list[dict[str, Any]] = []
    options = PlayOptions(days=0.05, guide_file=tmp_path / "guide.pdf", tell=told.append)
    with pytest.raises(RevereError, match="out of ink"):
        play(small(), options)
    assert told[0]["simulated_s"] == 0.05 * 86400
    assert {"journal_hash", "wall_s"} <= told[0].keys()


GROUPS_CSV = (
    "GEOID,MUNI,minorityPctE,limitEngpctE,medHHincE,medHHincMA,medHHincMUNIE\n"
    "250250001022,Boston,71.0,18.0,48000,101341,81000\n"
    "250010101002,Acton,1,1,1,100000,1\n"
)


@pytest.mark.parametrize(
    ("edit", "words", "said"),
    [
        pytest.param((), (), "counts 1 of 4 participants as outside", id="the scenario's own"),
        pytest.param((r"(?s)\[\[block_groups.+?\n\n", ""), (), "counts 4 of 4 participants as outside", id="none"),
        pytest.param(
            (r"(?s)\[\[block_groups.+?\n\n", ""),
            ("--block-groups", "groups.csv"),
            "counts 1 of 4 participants as outside",
            id="the state's",
        ),
        pytest.param(("simulated = true\n", ""), (), "or `false` under [programme]", id="nobody said"),
        pytest.param((), ("--block-groups", "none.csv"), "none.csv: cannot be read", id="no such file"),
    ],
)
def test_site_add_says_what_the_guide_will_lack(
    place: Site, edit: tuple[str, str] | tuple[()], words: tuple[str, ...], said: str
) -> None:
    text = SMALL.read_text(encoding="utf-8")
    (place.folder / "edited.toml").write_text(re.sub(*edit, text, count=1) if edit else text)
    (place.folder / "groups.csv").write_text(GROUPS_CSV)
    done = place.command("site", "add", "edited.toml", "--replace", *words, "--config", str(place.config), check=False)
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize(
    "words", [("audit",), ("backup", "x.dump"), ("serve",), ("station", "list"), ("guide", "--out", "x.pdf")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_command_that_reads_makes_no_database_and_says_where_it_looked(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    state = tmp_path / "mistyped"
    done = _revere(*words, cwd=tmp_path, REVERE_STATE=str(state))
    assert done.returncode == 2
    for said in (f"{state}: there is no database here", "no such folder", "REVERE_STATE names it", "revere site add"):
        assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_restore_of_what_is_no_backup_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no backup")
    for name, why in (("note.txt", "this is not a backup"), ("none.dump", "cannot be read")):
        done = _revere("restore", name, cwd=tmp_path, REVERE_STATE=str(tmp_path / "new"))
        assert done.returncode == 2
        assert why in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('[web]\nhost = "0.0.0.0"\n', "listening beyond loopback needs TLS"),
        ('[utility]\nbase_url = "https://u.example"\nclient_id = "x"\n', "the utility's client secret is missing"),
    ],
    ids=["no TLS", "no secret"],
)
def test_settings_that_cannot_serve_are_told_before_a_database_is_looked_for(
    tmp_path: Path, settings: str, said: str
) -> None:
    (tmp_path / "revere.toml").write_text(settings)
    done = _revere("serve", cwd=tmp_path, REVERE_STATE=str(tmp_path / "none"))
    assert done.returncode == 2
    assert said in done.stderr
    assert "database" not in done.stderr


@pytest.mark.parametrize("day", ["1800-01-01", "2100-01-01"])
def test_an_event_day_of_another_age_is_refused(tmp_path: Path, day: str) -> None:
    done = _revere("run", str(ONE_HOME), "--event-day", day, cwd=tmp_path)
    assert done.returncode == 2
    assert f"got {day}, expected 2000-01-01 to 2099-12-31" in done.stderr


def test_without_its_key_the_server_refuses_to_start_and_the_doctor_says_why(place: Site) -> None:
    key, aside = place.state / "server.key", place.state / "aside"
    key.rename(aside)
    try:
        refused = place.command("serve", "--config", str(place.config), check=False)
        assert refused.returncode == 2
        assert "Put back the server.key" in refused.stderr
        said = place.command("doctor", "--config", str(place.config)).stdout
        assert "the key is lacking under which stations' secrets are kept" in said
        assert not key.exists()
    finally:
        aside.rename(key)
    assert "secrets are kept under it" in place.command("doctor", "--config", str(place.config)).stdout


def test_doctor_works_without_a_server_and_its_bundle_holds_no_secret(place: Site) -> None:
    bundle = place.folder / "bundle.zip"
    said = place.command("doctor", "--out", str(bundle), "--config", str(place.config)).stdout
    assert "does not run" in said
    assert bundle.stat().st_mode & 0o077 == 0
    _assert_no_secret(place, bundle, said)


def test_doctor_beside_a_running_server_holds_no_secret_either(place: Site) -> None:
    place.start()
    mark = place.mark()
    assert mark is not None
    bundle = place.folder / "running.zip"
    said = place.command("doctor", "--out", str(bundle), "--config", str(place.config)).stdout
    assert "chain whole" in said
    _assert_no_secret(place, bundle, said, mark["token"], mark["dsn"])


@pytest.mark.parametrize(
    ("role", "said"), [(APPLICATION, "change no record"), (OWNER, "kept by triggers alone, the role has UPDATE ON")]
)
def test_doctor_says_what_the_databases_role_may_do(
    place: Site, pg: EmbeddedPostgres, pg_database: str, role: str, said: str
) -> None:
    done = _revere("doctor", cwd=place.folder, REVERE_DSN=pg.dsn_of(pg_database, role), REVERE_STATE=str(place.folder))
    assert said in done.stdout


def _assert_no_secret(place: Site, bundle: Path, said: str, *more: str) -> None:
    key = (place.state / "server.key").read_bytes()
    password = (place.state / "postgres" / "password").read_text().strip()
    stations = json.loads((place.folder / "secrets.json").read_text()).values()
    secret_words = [password.encode(), key, key.hex().encode(), *(word.encode() for word in (*stations, *more))]
    assert all(len(word) >= 16 for word in secret_words)
    with zipfile.ZipFile(bundle) as packed:
        texts = [packed.read(name) for name in packed.namelist()]
    assert any(b"postgres" in text for text in texts), "an empty bundle proves nothing"
    for text in (*texts, said.encode()):
        for word in secret_words:
            assert word not in text
