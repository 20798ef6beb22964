"""Where stations may connect: loopback in clear text, anywhere by TLS, and nowhere else unless a proxy is declared."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from ocpp_rig import BOOT, HandStation, basic, bench, play
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage
from websockets.typing import Subprotocol

from revere.app.settings import OcppSettings, load_settings, station_tls
from revere.core.errors import ScenarioError
from revere.core.facts import StationBooted

CERT, KEY = "cert.pem", "key.pem"


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
        ('tls_cert = "none.pem"\ntls_key = "key.pem"', ("ocpp.tls_cert", "none.pem", "No such file")),
        ('tls_cert = "cert.pem"\ntls_key = "key.pem"', ("ocpp.tls_cert", "cert.pem", "PEM")),
    ],
)
def test_where_stations_may_connect(
    text: str, says: tuple[str, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(CERT).write_text("no certificate")
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


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
def test_a_station_boots_by_tls_and_clear_text_gets_nothing(tmp_path: Path) -> None:
    cert, key = tmp_path / CERT, tmp_path / KEY
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*making, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    settings = OcppSettings(host="0.0.0.0", tls_cert=cert, tls_key=key)
    assert settings.address(9000).startswith("wss://")

    async def story() -> None:
        async with bench(tls=station_tls(settings)) as b:
            place = f"127.0.0.1:{b.port}/ocpp/ST-1"
            trust = ssl.create_default_context(cafile=str(cert))
            words = {"additional_headers": basic("ST-1"), "compression": None, "proxy": None}
            by_tls = await connect(f"wss://{place}", ssl=trust, subprotocols=[Subprotocol("ocpp2.1")], **words)  # type: ignore[arg-type]
            station = HandStation(by_tls, {})
            assert (await station.call("BootNotification", BOOT))[2]["status"] == "Accepted"
            assert b.sink.of(StationBooted)
            with pytest.raises((InvalidMessage, OSError)):
                await connect(f"ws://{place}", subprotocols=[Subprotocol("ocpp2.1")], **words)  # type: ignore[arg-type]
            await by_tls.close()

    play(story)
