"""The web's thread: its port, its refusals, its end; and the console as it is built."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from revere.core.errors import RevereError
from revere.web.app import create_app
from revere.web.ports import ROLES
from revere.web.server import WebThread
from revere.web.settings import STATIC_FOLDER, WebSettings, check_listening, is_loopback
from tests.web.conftest import Start, Web
from tests.web.fake_desk import PASSWORD, FakeAccounts, FakeDesk, FakeHistory

CONSOLE = Path(__file__).resolve().parents[2] / "console"
built = pytest.mark.skipif(not (STATIC_FOLDER / "index.html").exists(), reason="the console is not built")


def _thread(settings: WebSettings) -> WebThread:
    return WebThread(lambda: create_app(FakeDesk(), FakeAccounts(ROLES), FakeHistory(), settings), settings)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.1.2.3", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_listening_beyond_loopback_needs_tls(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    if loopback:
        check_listening(WebSettings(host=host))
        return
    with pytest.raises(RevereError, match="needs TLS"):
        _thread(WebSettings(host=host, port=0)).start()


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    cert = tmp_path / "cert.pem"
    cert.write_text("x")
    with pytest.raises(RevereError, match="both"):
        check_listening(WebSettings(tls_cert=cert))
    with pytest.raises(RevereError, match=r"web\.tls_key.*not found"):
        check_listening(WebSettings(tls_cert=cert, tls_key=tmp_path / "none.pem"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
def test_tls_serves_and_marks_the_cookie_secure(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*making, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    settings = WebSettings(port=0, tls_cert=cert, tls_key=key)
    thread = _thread(settings)
    base = f"https://127.0.0.1:{thread.start()}"
    try:
        trust = ssl.create_default_context(cafile=str(cert))
        form = {"name": "some-operator", "password": PASSWORD}
        answer = httpx.post(base + "/login", json=form, headers={"Origin": base}, verify=trust)
        assert answer.status_code == 200
        assert "secure" in answer.headers["set-cookie"].lower()
        plain = httpx.post(base + "/login", json=form, headers={"Origin": base.replace("https", "http")}, verify=trust)
        assert plain.status_code == 403
    finally:
        thread.stop()


def test_a_taken_port_is_told(web: Web) -> None:
    port = int(web.base.rsplit(":", 1)[1])
    with pytest.raises(RevereError, match="cannot listen"):
        _thread(WebSettings(port=port)).start()


def test_a_failure_of_the_application_is_told() -> None:
    settings = WebSettings(port=0)

    def broken() -> None:
        raise RevereError("no such thing")

    with pytest.raises(RevereError, match="did not start"):
        WebThread(broken, settings).start()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["/healthz", "/", "/login", "/api/v1/public", "/api/v1/programme", "/api/openapi.json"]
)
def test_an_answer_names_its_character_set_at_most_once(web: Web, path: str) -> None:
    assert web.client().get(path).headers.get("content-type", "").count("charset") <= 1


def test_after_the_stop_nobody_answers(start: Start) -> None:
    web = start()
    assert web.client().get("/healthz").status_code == 200
    web.thread.stop()
    assert web.accounts.closed
    assert web.history.closed
    with pytest.raises(httpx.ConnectError):
        web.client().get("/healthz")
    web.thread.stop()  # a second stop is no error


def test_a_console_that_is_not_built_is_told(start: Start, tmp_path: Path) -> None:
    web = start(static_folder=tmp_path)
    answer = web.client().get("/")
    assert answer.status_code == 503
    assert "make setup" in answer.json()["detail"]


@built
def test_pages_hold_no_inline_code_and_no_foreign_host(web: Web) -> None:
    page = web.client().get("/").text
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"\bon\w+=|\bstyle=|<style", page) == []
    links = re.findall(r"(?:src|href)=\"([^\"]+)\"", page)
    assert links
    for link in links:
        assert link.startswith("/assets/"), link
        asset = web.client().get(link)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]


@built
def test_strangers_at_the_operators_page_go_to_the_login(web: Web) -> None:
    answer = web.client().get("/operator")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert web.signed_in().get("/operator").status_code == 200


def test_assets_cannot_be_left_upwards(web: Web) -> None:
    for path in ("/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/..%2fapp.py"):
        assert web.client().get(path).status_code == 404


def test_the_lock_names_no_host() -> None:
    lock = json.loads((CONSOLE / "package-lock.json").read_text())
    assert lock["packages"]
    assert [name for name, entry in lock["packages"].items() if "resolved" in entry] == []
    assert all(entry.get("integrity") for name, entry in lock["packages"].items() if name)
