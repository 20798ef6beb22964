"""The doctor's bundle leaves the house: it says what is set and not where, whose or in which folder."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from revere.app.doctor import _bundle, redacted
from revere.app.settings import OcppSettings, Settings, UtilitySettings
from revere.web.settings import WebSettings

PLACES = ("example", "lincoln", "/etc", "/srv", str(WebSettings().static_folder))
FULL = Settings(
    programme="lincoln",
    web=WebSettings(
        host="v2x.example.org",
        tls_cert=Path("/etc/lincoln/web.pem"),
        tls_key=Path("/etc/lincoln/web.key"),
        origin="https://v2x.example.org",
    ),
    ocpp=OcppSettings(host="0.0.0.0", tls_cert=Path("/srv/c.pem"), file_hosts=("https://files.example.org",)),
    utility=UtilitySettings(base_url="https://vtn.example.org", client_id="lincoln-1", poll_s=30.0),
)


def _texts(settings: Settings, finding: str) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(_bundle(settings, [("settings", False, finding)], {"sites": 3}))) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_a_bundle_names_no_place_no_folder_and_no_organisation() -> None:
    texts = _texts(FULL, "/etc/lincoln/revere.toml: bad; see https://v2x.example.org/x, or /srv/a")
    for text in texts.values():
        for place in PLACES:
            assert place not in text


def test_it_still_says_what_is_set() -> None:
    shown = json.loads(_texts(FULL, "")["settings.json"])
    web, ocpp = shown["web"], shown["ocpp"]
    assert (web["origin"], web["tls_cert"], web["port"]) == ("(left out)", "(left out)", 8080)
    assert (ocpp["host"], ocpp["tls_key"], shown["utility"]["poll_s"]) == ("0.0.0.0", None, 30.0)
    plain = json.loads(_texts(Settings(), "")["settings.json"])
    assert (plain["web"]["origin"], plain["web"]["host"], plain["utility"]) == (None, "127.0.0.1", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/var/lib/revere/server.key: may be read", "(folder)/server.key: may be read"),
        ("state/revere.toml: bad", "state/revere.toml: bad"),
        ("got postgresql://u:p@db.example.org:5432/x, expected", "got (left out), expected"),
        ("24.5 GiB free, 3/4 of it", "24.5 GiB free, 3/4 of it"),
    ],
)
def test_of_a_file_its_name_stays_and_of_an_address_nothing(text: str, said: str) -> None:
    assert redacted(text) == said
