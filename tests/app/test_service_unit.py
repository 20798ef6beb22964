"""The service file of the handbook: every section, path and option in it is real."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.trips.walls import ROOT

PLACE = "/opt/revere/"


@pytest.fixture(scope="module")
def text() -> str:
    """The unit as a reader copies it."""
    found = re.findall(r"```ini\n(.*?)```", (ROOT / "docs/how-to/install.md").read_text(), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.fixture(scope="module")
def unit(text: str) -> configparser.ConfigParser:
    """The same, read."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    parser.read_string(text)
    return parser


def test_it_starts_a_command_that_a_checkout_has_with_options_that_it_takes(unit: configparser.ConfigParser) -> None:
    program, command, option, _settings = shlex.split(unit["Service"]["ExecStart"])
    assert program == f"{PLACE}.venv/bin/revere"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "revere" in project["scripts"], "what makes .venv/bin/revere"
    helped = subprocess.run(
        [sys.executable, "-m", "revere.cli", command, "--help"], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert option in helped.stdout


def test_its_folders_fit_each_other(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert service["Environment"] == f"REVERE_STATE=/var/lib/{service['StateDirectory']}", "else it may not write there"
    assert service["WorkingDirectory"] + "/" == PLACE
    assert service["ProtectSystem"] == "strict"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_finds_no_fault_in_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "revere.service"
    here = text.replace(f"{PLACE}.venv/bin/revere", sys.executable).replace("User=revere", "User=root")
    file.write_text(here.replace("WorkingDirectory=/opt/revere", f"WorkingDirectory={tmp_path}"))
    done = _verify(file)
    assert (done.returncode, done.stderr) == (0, "")
    file.write_text(file.read_text().replace("RestartSec=5", "RestartSec=soon"))
    assert "soon" in _verify(file).stderr, "it looks at what is written"


def _verify(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)],
        check=False,
        capture_output=True,
        text=True,
    )
