"""The real web on a real port, over the fake desk and an in-memory store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from revere.web.app import create_app
from revere.web.login import PasswordCheck
from revere.web.ports import ROLES, Role
from revere.web.server import WebThread
from revere.web.sessions import OneTimeLinks
from revere.web.settings import WebSettings
from tests.web.fake_desk import CHEAP, PASSWORD, FakeAccounts, FakeDesk, FakeHistory, person, token_of


@dataclass
class WebClock:
    """The sessions' clock, moved by tests."""

    now_s: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Web:
    """A running web and what stands behind it."""

    desk: FakeDesk
    accounts: FakeAccounts
    history: FakeHistory
    clock: WebClock
    links: OneTimeLinks
    thread: WebThread
    base: str = ""
    clients: list[httpx.Client] = field(default_factory=list)

    def client(self, role: Role | None = None, *, origin: str | None = None) -> httpx.Client:
        """A client of its own cookies, with a role's bearer token where one is named."""
        headers = {"Authorization": f"Bearer {token_of(role)}"} if role else {}
        if origin is not None:
            headers["Origin"] = origin
        made = httpx.Client(base_url=self.base, headers=headers, timeout=10)
        self.clients.append(made)
        return made

    def signed_in(self, role: Role = "operator") -> httpx.Client:
        """A browser's client: cookie, and the Origin that a browser sends."""
        made = self.client(origin=self.base)
        answer = made.post("/login", json={"name": person(role).name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return made


Start = Callable[..., Web]


def open_web(desk: FakeDesk | None = None, *, command_line: str | None = None, **changes: object) -> Web:
    """Start a web on a free port; the caller closes it."""
    settings = WebSettings(port=0, live_period_s=0.02, live_heartbeat_s=0.05, **changes)  # type: ignore[arg-type]
    clock = WebClock()
    behind = (desk or FakeDesk(), FakeAccounts(ROLES), FakeHistory())
    links = OneTimeLinks(clock)
    thread = WebThread(
        lambda: create_app(
            *behind, settings, links=links, now_s=clock, check=PasswordCheck(CHEAP), command_line=command_line
        ),
        settings,
    )
    return Web(*behind, clock, links, thread, base=f"http://127.0.0.1:{thread.start()}")


def close_web(web: Web) -> None:
    """Close its clients and join its thread."""
    for client in web.clients:
        client.close()
    web.thread.stop()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a web; it ends with the test."""
    running: list[Web] = []

    def begin(desk: FakeDesk | None = None, *, command_line: str | None = None, **changes: object) -> Web:
        running.append(open_web(desk, command_line=command_line, **changes))
        return running[-1]

    yield begin
    for web in running:
        close_web(web)


@pytest.fixture
def web(start: Start) -> Web:
    """A running web with the event going on."""
    return start()


@pytest.fixture(scope="module")
def still() -> Iterator[Web]:
    """A running web shared by the tests that only read or are refused."""
    web = open_web()
    yield web
    close_web(web)
