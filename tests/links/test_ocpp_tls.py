"""Where stations may connect: loopback in clear text, anywhere by TLS, and nowhere else unless a proxy is declared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from revere.app.settings import load_settings
from revere.app.tls import station_tls
from revere.core.errors import ScenarioError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", None),
        ('host = "::1"', None),
        ('host = "localhost"', None),
        ('host = "0.0.0.0"\nbehind_tls_proxy = true', None),
        ('host = "0.0.0.0"', ("ocpp.host", "0.0.0.0", "127.0.0.1", "behind_tls_proxy")),
        ('host = "::"', ("ocpp.host", "::", "ocpp.tls_cert")),
        ('host = "csms.example.org"', ("ocpp.host", "csms.example.org", "clear text")),
        ('tls_cert = "cert.pem"', ("both a certificate and a key",)),
        ('tls_key = "key.pem"', ("both a certificate and a key",)),
        ('tls_station_root = "root.pem"', ("both a certificate and a key", "root for stations")),
        ('tls_cert = "none.pem"\ntls_key = "key.pem"', ("ocpp.tls_cert", "none.pem", "No such file")),
        ('tls_cert = "cert.pem"\ntls_key = "key.pem"', ("ocpp.tls_cert", "cert.pem", "PEM")),
    ],
)
def test_where_stations_may_connect(
    text: str, says: tuple[str, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cert.pem").write_text("no certificate")
    Path("revere.toml").write_text(f"[ocpp]\n{text}\n")
    settings = load_settings().ocpp
    if says is None:
        assert station_tls(settings) is None
        return
    with pytest.raises(ScenarioError) as caught:
        station_tls(settings)
    for words in says:
        assert words in caught.value.text()


def test_the_server_starts_nothing_that_would_listen_in_clear_text(tmp_path: Path) -> None:
    config, state = tmp_path / "revere.toml", tmp_path / "state"
    config.write_text('[ocpp]\nhost = "0.0.0.0"\n')
    done = subprocess.run(
        [sys.executable, "-m", "revere.cli", "serve", "--config", str(config)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"REVERE_STATE": str(state)},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "ocpp.host" in done.stderr
    assert not (state / "postgres").exists()
