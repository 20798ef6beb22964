"""The live stream: the picture pushed to every browser once per tick, to slow ones at their own pace.

::

    desk.view() ──every 0.5 s──▶ Channel(seq, whole, patch) ──▶ client at seq-1: patch
                                                             └▶ client further behind: whole

There is no queue per client: a client that is not reading holds nothing but its place, and gets the
latest picture when it reads again. ``skipped`` counts the pictures that somebody did not see.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from revere.control.desk import Desk
from revere.control.view import ConsoleView
from revere.core.errors import Unavailable
from revere.web.public import public_view, publishable
from revere.web.settings import LIVE_MAX_S, MAX_LIVE_CLIENTS, MAX_LIVE_PER_ADDRESS, WebSettings

_json = msgspec.json.Encoder()


def _frame(kind: str, body: bytes) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


class Channel:
    """One audience of the picture: encodes each once, whole and as its changed parts."""

    def __init__(self, project: Callable[[ConsoleView], msgspec.Struct | None]) -> None:
        self._project = project
        self._parts: dict[str, bytes] = {}
        self._turn = asyncio.Event()
        self.seq = 0
        self.whole = b""
        self.patch = b""
        self.skipped = 0

    def publish(self, view: ConsoleView) -> None:
        """Take a new picture and wake those who wait."""
        picture = self._project(view)
        if picture is None:
            return
        parts = {name: _json.encode(getattr(picture, name)) for name in picture.__struct_fields__}
        changed = {name: raw for name, raw in parts.items() if self._parts.get(name) != raw}
        self._parts = parts
        self.seq += 1
        self.whole = _frame("view", _joined(parts))
        self.patch = _frame("patch", _joined(changed))
        self.wake()

    def wake(self) -> None:
        """Let every waiting stream look again."""
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    def next_after(self, seen: int) -> bytes | None:
        """What a client that has seen ``seen`` needs now, None when it is up to date."""
        if self.seq == seen:
            return None
        if seen and self.seq == seen + 1:
            return self.patch
        if seen:
            self.skipped += self.seq - seen - 1
        return self.whole

    async def turn(self, timeout_s: float) -> None:
        """Wait for the next picture, at most so long."""
        try:
            await asyncio.wait_for(self._turn.wait(), timeout_s)
        except TimeoutError:
            return


def _joined(parts: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(b'"' + name.encode() + b'":' + raw for name, raw in parts.items()) + b"}"


class LiveFeed:
    """Watches the desk from the web's loop and serves the streams."""

    def __init__(self, desk: Desk, settings: WebSettings) -> None:
        self._desk = desk
        self._period_s = settings.live_period_s
        self._heartbeat_s = settings.live_heartbeat_s
        self.console = Channel(lambda view: view)
        self.public = Channel(lambda view: public_view(view) if publishable(view) else None)
        self._clients: Counter[str] = Counter()
        self._last: ConsoleView | None = None
        self._fresh_s = 0.0
        self._closed = False

    async def watch(self) -> None:
        """Look at the desk again and again until cancelled; one push for each new picture."""
        loop = asyncio.get_running_loop()
        self._fresh_s = loop.time()
        while True:
            view = self._desk.view()
            if view is not None and view is not self._last:
                self._last = view
                self._fresh_s = loop.time()
                self.console.publish(view)
                self.public.publish(view)
            await asyncio.sleep(self._period_s)

    def close(self) -> None:
        """End all streams: the server is stopping."""
        self._closed = True
        self.console.wake()
        self.public.wake()

    def clients(self) -> int:
        """Streams open now."""
        return self._clients.total()

    def check_room(self, address: str) -> None:
        """Raise ``Unavailable`` when no further stream can be served."""
        if self._clients.total() >= MAX_LIVE_CLIENTS or self._clients[address] >= MAX_LIVE_PER_ADDRESS:
            raise Unavailable("too many live streams are open", remedy="Close a page and try again")

    async def stream(self, channel: Channel, address: str, still_in: Callable[[], bool]) -> AsyncIterator[bytes]:
        """One client's frames: the whole picture, then changes, and a heartbeat with the picture's age.

        Ends after an hour or when ``still_in`` says no; browsers come back by themselves.
        """
        loop = asyncio.get_running_loop()
        self._clients[address] += 1
        try:
            yield b"retry: 2000\n\n"
            seen, ends_s, beat_s = 0, loop.time() + LIVE_MAX_S, loop.time()
            while not self._closed and loop.time() < ends_s:
                if loop.time() >= beat_s:
                    if not still_in():
                        return
                    beat_s = loop.time() + self._heartbeat_s
                    yield _frame("heartbeat", _json.encode(self._pulse()))
                frame = channel.next_after(seen)
                if frame is not None:
                    seen = channel.seq
                    yield frame
                    continue
                await channel.turn(max(0.01, beat_s - loop.time()))
        finally:
            self._clients[address] -= 1
            if not self._clients[address]:
                del self._clients[address]

    def _pulse(self) -> dict[str, Any]:
        age_s = asyncio.get_running_loop().time() - self._fresh_s
        return {"unchanged_s": round(age_s, 1), "started": self._last is not None}
