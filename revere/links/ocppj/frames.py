"""The last frames of a station, both ways, as they were on the wire: for the person who looks for a fault.

::

    packed (compressed, 16 frames each)   fresh (as they came)
    |======|======|======|======|======|  | | | | |  newest

A station that says a lot in a short time is not worth compressing for: then only the newest bytes are kept.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.core.time import Clock
    from revere.links.ocppj.transport import Transport

FRAMES_MAX: Final = 200
FRAME_MAX_BYTES: Final = 4096
"""A longer frame keeps its head alone: type, id and action."""
HEAD_BYTES: Final = 160
FRESH_MAX: Final = 16
FRESH_MAX_BYTES: Final = 16_384
PACKED_MAX_BYTES: Final = 16_384
PACK_EVERY: Final = dt.timedelta(seconds=10)

Frame = tuple[dt.datetime, bool, int, bytes]
"""When, whether it came in, its size, its bytes."""
_frames = msgspec.msgpack.Decoder(list[Frame])


class FrameRing:
    """At most :data:`FRAMES_MAX` frames in at most 32 KiB, the oldest given up first."""

    __slots__ = ("_bytes", "_fresh", "_packed", "_packed_at")

    def __init__(self) -> None:
        self._fresh: deque[Frame] = deque()
        self._bytes = 0
        self._packed: list[tuple[int, bytes]] = []
        self._packed_at: dt.datetime | None = None

    def note(self, at: dt.datetime, raw: bytes, *, incoming: bool) -> None:
        """Keep a frame."""
        size = len(raw)
        if size > FRAME_MAX_BYTES:
            raw = raw[:HEAD_BYTES]
        self._fresh.append((at, incoming, size, raw))
        self._bytes += len(raw)
        if len(self._fresh) >= FRESH_MAX:
            self._make_room(at)

    def _make_room(self, at: dt.datetime) -> None:
        if self._packed_at is None or at - self._packed_at >= PACK_EVERY:
            self._packed_at = at
            self._packed.append((len(self._fresh), zlib.compress(msgspec.msgpack.encode(list(self._fresh)), 1)))
            self._fresh.clear()
            self._bytes = 0
            while self._over():
                del self._packed[0]
        while self._bytes > FRESH_MAX_BYTES or len(self._fresh) > FRAMES_MAX:
            self._packed.clear()  # what is shown has no gap
            self._bytes -= len(self._fresh.popleft()[3])

    def _over(self) -> bool:
        """Whether the oldest packed frames must go: enough are kept without them, or too many bytes with them."""
        rest = sum(count for count, _ in self._packed[1:])
        return rest >= FRAMES_MAX or sum(len(chunk) for _, chunk in self._packed) > PACKED_MAX_BYTES

    def read(self) -> list[Frame]:
        """The kept frames, the oldest first."""
        packed = [frame for _, chunk in self._packed for frame in _frames.decode(zlib.decompress(chunk))]
        return [*packed, *self._fresh][-FRAMES_MAX:]


class NotedTransport:
    """A transport whose messages are noted as they pass."""

    def __init__(self, transport: Transport, ring: FrameRing, clock: Clock) -> None:
        self._transport = transport
        self._ring = ring
        self._clock = clock
        self.ended = transport.ended
        self.close = transport.close

    def listen(self, on_text: Callable[[bytes], None]) -> None:
        """See :class:`Transport`."""

        def heard(raw: bytes) -> None:
            self._ring.note(self._clock.now(), raw, incoming=True)
            on_text(raw)

        self._transport.listen(heard)

    def send(self, frame: bytes) -> None:
        """See :class:`Transport`."""
        self._transport.send(frame)
        self._ring.note(self._clock.now(), frame, incoming=False)
