"""``revere campaign`` against a running web: what reaches the desk and what is printed."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from revere import cli
from revere.app.running import LOCK, Running, running_mark
from revere.control.desk import ChangeCard, StartCampaign, TellCampaign
from tests.web.conftest import Start, Web

WHERE = "https://files.example.org/m_2.0.bin"


@pytest.fixture
def here(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A web that this machine's command line finds."""
    web = start(command_line="line")
    monkeypatch.setenv("REVERE_STATE", str(tmp_path))
    handle = os.open(tmp_path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    mark = Running(pid=os.getpid(), web_url=web.base, token="line", dsn="", owner_dsn="", bin_dir=None)
    with running_mark(tmp_path, mark):
        yield web
    os.close(handle)


def typed(*words: str) -> int:
    """Type a command; its exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.app(["campaign", *words])
    return int(ended.value.code or 0)


def test_a_campaign_is_started_for_stations_or_for_a_kind(here: Web, tmp_path: Path) -> None:
    certificate, signature = tmp_path / "maker.pem", tmp_path / "m.sig"
    certificate.write_text("-----BEGIN CERTIFICATE-----\n")
    signature.write_text("c2ln\nbmVk\n")
    assert typed("start", "2.0", WHERE, "--station", "boston-cs05", "--station", "beverly-cs01") == 0
    files = ("--certificate", str(certificate), "--signature", str(signature))
    assert typed("start", "2.0", WHERE, "--vendor", "V", "--model", "M", *files) == 0
    by = here.desk.asked[0].by
    assert here.desk.asked == [
        StartCampaign(version="2.0", location=WHERE, by=by, stations=("boston-cs05", "beverly-cs01")),
        StartCampaign(
            version="2.0",
            location=WHERE,
            by=by,
            vendor="V",
            model="M",
            signing_certificate="-----BEGIN CERTIFICATE-----\n",
            signature="c2lnbmVk",
        ),
    ]


@pytest.mark.parametrize("order", ["pause", "resume", "abort"])
def test_a_word_to_a_campaign(here: Web, order: str) -> None:
    assert typed(order, "firmware-1-1", "--why", "wait") == 0
    [asked] = here.desk.asked
    assert isinstance(asked, TellCampaign)
    assert (asked.campaign_id, asked.order, asked.why) == ("firmware-1-1", order, "wait")


def test_campaigns_are_listed_and_one_is_shown_with_its_stations(
    here: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.out, "width", 200)
    assert typed("list") == 0
    listed = capsys.readouterr().out
    assert all(word in listed for word in ("firmware-1-1", "2.0", "V M", "running", "2 of 2", "leaves within 12 h"))
    assert typed("list", "firmware-1-1") == 0
    shown = capsys.readouterr().out
    assert "beverly-cs01" in shown
    assert "passed" in shown
    assert here.desk.asked == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("start", "2.0", WHERE), "for which stations"),
        (("start", "2.0", WHERE, "--station", "x", "--signature", "/nowhere/at/all"), "cannot be read"),
        (("list", "firmware-9-9"), "No such campaign"),
    ],
)
def test_what_makes_no_sense_is_said_and_asks_nothing(here: Web, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(Exception, match=why):
        cli.app(["campaign", *words])
    assert here.desk.asked == []


def test_a_card_is_changed_at_the_running_server(here: Web) -> None:
    for words in (("block", "0A1B"), ("add", "0C2D", "--until", "2027-01-01T18:00", "--station", "boston-cs05")):
        with pytest.raises(SystemExit) as ended:
            cli.app(["card", *words])
        assert not ended.value.code
    until = dt.datetime.fromisoformat("2027-01-01T18:00")  # as typed: the programme's time
    assert here.desk.asked == [
        ChangeCard(by="command-line", token="0A1B", action="block"),
        ChangeCard(by="command-line", token="0C2D", action="add", until=until, stations=("boston-cs05",)),
    ]
