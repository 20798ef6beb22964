"""Coming in: passwords, links, limits, cookies, sessions. Time is the test's."""

from __future__ import annotations

import argon2
import pytest
from structlog.testing import capture_logs

from revere.web.limits import Buckets, LoginLimits
from revere.web.login import PasswordCheck
from revere.web.sessions import OneTimeLinks, Sessions
from revere.web.settings import LINK_LIFE_S, MAX_LINKS, MAX_SESSIONS, SESSION_IDLE_S, SESSION_MAX_S
from tests.web.conftest import Start, Web, WebClock
from tests.web.fake_desk import CHEAP, PASSWORD, person


class CountingHasher(argon2.PasswordHasher):
    """The real hasher, which counts its work."""

    verified = 0

    def verify(self, *args: str | bytes) -> bool:  # type: ignore[override]
        """Count, then verify."""
        self.verified += 1
        return bool(super().verify(*args))


def test_an_unknown_name_and_a_wrong_password_look_the_same(web: Web) -> None:
    client = web.client(origin=web.base)
    wrong = client.post("/login", json={"name": "some-operator", "password": "nope"})
    unknown = client.post("/login", json={"name": "nobody-here", "password": "nope"})
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert {**wrong.json(), "reference": ""} == {**unknown.json(), "reference": ""}
    assert "set-cookie" not in wrong.headers


async def _both(check: PasswordCheck) -> tuple[bool, bool, bool]:
    known = person("operator")
    return await check.right(known, PASSWORD), await check.right(known, "wrong"), await check.right(None, PASSWORD)


def test_an_unknown_name_costs_one_hash_as_well() -> None:
    import asyncio

    hasher = CountingHasher(time_cost=1, memory_cost=64, parallelism=1)
    assert asyncio.run(_both(PasswordCheck(hasher))) == (True, False, False)
    assert hasher.verified == 3


def test_the_cookie_is_out_of_reach(web: Web) -> None:
    answer = web.client(origin=web.base).post("/login", json={"name": "some-operator", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    assert answer.json()["next"] == "/operator"


def test_behind_tls_the_cookie_is_secure(start: Start) -> None:
    web = start(origin="https://v2x.example.org")
    client = web.client(origin="https://v2x.example.org")
    answer = client.post("/login", json={"name": "some-operator", "password": PASSWORD})
    assert "secure" in answer.headers["set-cookie"].lower()


def test_signing_out_ends_the_session(web: Web) -> None:
    client = web.signed_in()
    token = client.cookies["revere_session"]
    assert client.post("/logout", json={}).status_code == 204
    assert web.client().get("/api/v1/me", headers={"Cookie": f"revere_session={token}"}).status_code == 401


@pytest.mark.parametrize(("pause_s", "times", "status"), [(SESSION_IDLE_S + 1, 1, 401), (SESSION_IDLE_S - 1, 2, 200)])
def test_an_idle_session_ends(web: Web, pause_s: float, times: int, status: int) -> None:
    client = web.signed_in()
    for _ in range(times):
        web.clock.now_s += pause_s
        answer = client.get("/api/v1/me")
    assert answer.status_code == status


def test_a_session_ends_after_a_day_however_busy() -> None:
    clock = WebClock()
    sessions = Sessions(clock)
    token = sessions.open(person("operator"))
    for _ in range(int(SESSION_MAX_S / 3600)):
        clock.now_s += 3600
        assert sessions.find(token) is not None
    clock.now_s += 1
    assert sessions.find(token) is None


def test_sessions_are_bounded() -> None:
    sessions = Sessions(WebClock())
    first = sessions.open(person("operator"))
    for _ in range(MAX_SESSIONS):
        sessions.open(person("operator"))
    assert sessions.evicted == 1
    assert sessions.find(first) is None


def test_a_link_opens_once(web: Web) -> None:
    token = web.links.issue(person("operator"))
    first, second = web.client(), web.client()
    page = first.get("/login/once", params={"token": token})
    assert page.status_code == 200
    assert 'content="0;url=/operator"' in page.text
    assert first.get("/api/v1/me").json()["via"] == "link"
    assert second.get("/login/once", params={"token": token}).status_code == 401
    assert second.get("/api/v1/me").status_code == 401


def test_a_link_of_another_process_opens_once(web: Web) -> None:
    web.accounts.links["from-the-command-line"] = "some-operator"
    for status in (200, 401):
        assert web.client().get("/login/once?token=from-the-command-line").status_code == status


def test_a_link_expires_and_links_are_bounded() -> None:
    clock = WebClock()
    links = OneTimeLinks(clock)
    late, early = links.issue(person("operator")), links.issue(person("operator"))
    clock.now_s += LINK_LIFE_S + 1
    assert links.redeem(late) is None
    tokens = [links.issue(person("operator")) for _ in range(MAX_LINKS + 1)]
    assert links.redeem(tokens[0]) is None
    assert links.redeem(tokens[-1]) is not None
    assert links.redeem(early) is None


def test_guessing_is_slowed_and_nobody_locked_out(web: Web) -> None:
    client = web.client(origin=web.base)
    guesses = [client.post("/login", json={"name": "some-operator", "password": f"guess {i}"}) for i in range(7)]
    assert [answer.status_code for answer in guesses] == [401] * 5 + [429] * 2
    assert 1 <= int(guesses[-1].headers["retry-after"]) <= 11
    web.clock.now_s += 11
    right = client.post("/login", json={"name": "some-operator", "password": PASSWORD})
    assert right.status_code == 200


def test_a_flood_from_elsewhere_leaves_a_known_place_alone() -> None:
    clock = WebClock()
    limits = LoginLimits(clock)
    assert limits.wait_s("ann", "10.0.0.1") == 0.0
    limits.came_in("ann", "10.0.0.1")
    waits = [limits.wait_s("ann", f"10.1.{i // 200}.{i % 200}") for i in range(400)]
    assert waits[-1] > 0.0
    assert limits.wait_s("ann", "10.0.0.1") == 0.0


def test_a_bucket_refills() -> None:
    clock = WebClock()
    bucket = Buckets(2, 10.0, clock)
    assert [bucket.take("a") for _ in range(3)] == [0.0, 0.0, 10.0]
    assert bucket.take("b") == 0.0
    clock.now_s += 10
    assert bucket.take("a") == 0.0
    assert bucket.refused == 1


def test_logs_hold_no_secret(web: Web) -> None:
    token = web.links.issue(person("operator"))
    with capture_logs() as lines:
        client = web.signed_in()
        web.client().get("/login/once", params={"token": token})
        web.client(origin=web.base).post("/login", json={"name": "some-operator", "password": "a wrong secret"})
        web.client("auditor").get("/api/v1/discharge/stop")
        session = client.cookies["revere_session"]
    text = repr(lines)
    assert len(lines) >= 3
    for secret in (token, session, PASSWORD, "a wrong secret", "token-of-auditor", CHEAP.hash("x")[:12]):
        assert secret not in text
