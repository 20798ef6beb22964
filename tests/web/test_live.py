"""The live stream: whole, then changes; the slow skip; the pulse; the end."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from revere.core.errors import Unavailable
from revere.web.live import Channel, LiveFeed
from revere.web.settings import MAX_LIVE_PER_ADDRESS, WebSettings
from tests.web.conftest import Web
from tests.web.fake_desk import FakeDesk


def _frames(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            yield kind, json.loads(line[6:])


def test_whole_then_changes(web: Web) -> None:
    with web.client("operator").stream("GET", "/api/v1/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        frames = _frames(answer)
        whole = next(body for kind, body in frames if kind == "view")
        web.desk.advance(5)
        patch = next(body for kind, body in frames if kind == "patch")
    assert whole == web.client("operator").get("/api/v1/view").json() | {name: whole[name] for name in patch}
    assert {"now", "tick", "power_kw"} <= set(patch)
    assert "equity" not in patch
    assert whole | patch == web.client("operator").get("/api/v1/view").json()


def test_a_stop_is_pushed_to_the_other_pages(web: Web) -> None:
    with web.client("auditor").stream("GET", "/api/v1/live") as answer:
        frames = _frames(answer)
        assert next(body for kind, body in frames if kind == "view")["discharge_stopped"] is False
        web.client("operator").post("/api/v1/discharge/stop", json={})
        assert next(body for kind, body in frames if kind == "patch")["discharge_stopped"] is True


def test_the_pulse_tells_a_silent_heart(web: Web) -> None:
    with web.client().stream("GET", "/api/v1/live/public") as answer:
        ages = [
            body["unchanged_s"]
            for (kind, body), _ in zip(_frames(answer), range(8), strict=False)
            if kind == "heartbeat"
        ]
    assert len(ages) >= 3
    assert ages == sorted(ages)
    assert ages[-1] > ages[0]


def test_the_public_stream_shows_nobody(web: Web) -> None:
    with web.client().stream("GET", "/api/v1/live/public") as answer:
        whole = next(body for kind, body in _frames(answer) if kind == "view")
    assert set(whole) == set(web.client().get("/api/v1/public").json())


def test_a_stream_ends_with_its_session(web: Web) -> None:
    browser = web.signed_in()
    with browser.stream("GET", "/api/v1/live") as answer:
        frames = _frames(answer)
        next(frames)
        cookie = f"revere_session={browser.cookies['revere_session']}"
        out = web.client(origin=web.base).post("/logout", headers={"Cookie": cookie})
        assert out.status_code == 204
        assert len(list(itertools.islice(frames, 50))) < 10  # the iterator ends: the server closed the stream


def test_the_slow_skip_to_the_latest() -> None:
    desk = FakeDesk()
    channel = Channel(lambda view: view)

    def publish() -> None:
        desk.advance()
        view = desk.view()
        assert view is not None
        channel.publish(view)

    async def story() -> None:
        publish()
        assert channel.next_after(0) == channel.whole
        assert channel.next_after(1) is None
        publish()
        assert channel.next_after(1) == channel.patch
        for _ in range(10):
            publish()
        assert channel.next_after(2) == channel.whole
        assert channel.skipped == 9
        assert len(channel.patch) < len(channel.whole)

    asyncio.run(story())


def test_streams_are_bounded() -> None:
    async def story() -> None:
        feed = LiveFeed(FakeDesk(), WebSettings())
        streams = [feed.stream(feed.public, "10.0.0.1", lambda: True) for _ in range(MAX_LIVE_PER_ADDRESS)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(Unavailable, match="too many"):
            feed.check_room("10.0.0.1")
        feed.check_room("10.0.0.2")
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]
        assert feed.clients() == 0

    asyncio.run(story())


def test_open_streams_do_not_hold_the_stop(web: Web) -> None:
    ended = threading.Event()
    opened = threading.Event()

    def watch() -> None:
        with web.client().stream("GET", "/api/v1/live/public") as answer:
            for _ in _frames(answer):
                opened.set()
        ended.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert opened.wait(5)
    web.thread.stop()
    watcher.join(5)
    assert ended.is_set()
