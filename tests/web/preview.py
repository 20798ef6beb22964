"""Serve the console over the fake desk, to look at it: ``python -m tests.web.preview``."""

from __future__ import annotations

import sys
import threading

from revere.web.app import create_app, wall_seconds
from revere.web.ports import ROLES
from revere.web.server import WebThread
from revere.web.sessions import OneTimeLinks
from revere.web.settings import WebSettings
from tests.web.fake_desk import FakeAccounts, FakeDesk, FakeHistory, person


def main() -> None:
    """Run until Ctrl-C; the fake's time goes 5 s every second."""
    desk, links = FakeDesk(), OneTimeLinks(wall_seconds)
    settings = WebSettings(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    web = WebThread(lambda: create_app(desk, FakeAccounts(ROLES), FakeHistory(), settings, links=links), settings)
    port = web.start()
    sys.stdout.write(f"http://127.0.0.1:{port}/login/once?token={links.issue(person('operator'))}" + "\n")
    sys.stdout.flush()
    pause = threading.Event()
    try:
        while not pause.wait(1.0):
            desk.advance()
    except KeyboardInterrupt:
        web.stop()


if __name__ == "__main__":
    main()
