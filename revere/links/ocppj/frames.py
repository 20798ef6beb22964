"""The last frames of a station, both ways, as they were on the wire: for the person who looks for a fault.

::

    blobs of 8 frames: heads alone, packed (compressed) or plain   fresh
    |======|======|======|======|======|======|======|======|======|  | | | | |  newest

Compressing costs thirty times what noting does, and is wasted on a station that says 200 frames in ten seconds: what
it says stays plain, and where there is too much of it the oldest frames keep their heads alone.
"""

from __future__ import annotations

import datetime as dt
import zlib
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.core.time import Clock
    from revere.links.ocppj.transport import Transport

FRAMES_MAX: Final = 200
FRAME_MAX_BYTES: Final = 4096
"""A longer frame keeps its head alone: type, id and action."""
HEAD_BYTES: Final = 160
BLOB_FRAMES: Final = 8
BLOBS_MAX: Final = -(-FRAMES_MAX // BLOB_FRAMES)
BLOBS_MAX_BYTES: Final = 98_304
"""For all of them together; an everyday station's 200 frames have some 20 KiB, an idle one's 1."""
PACK_EVERY: Final = dt.timedelta(seconds=10)

Frame = tuple[dt.datetime, bool, int, bytes]
"""When, whether it came in, its size, its bytes."""
Kept = Literal["plain", "packed", "heads"]
_frames = msgspec.msgpack.Decoder(list[Frame])


class FrameRing:
    """The last :data:`FRAMES_MAX` frames, in bounded memory: the oldest may have lost all but their heads."""

    __slots__ = ("_blobs", "_fresh", "_packed_at")

    def __init__(self) -> None:
        self._fresh: list[Frame] = []
        self._blobs: list[tuple[Kept, bytes]] = []
        self._packed_at: dt.datetime | None = None

    def note(self, at: dt.datetime, raw: bytes, *, incoming: bool) -> None:
        """Keep a frame."""
        size = len(raw)
        if size > FRAME_MAX_BYTES:
            raw = raw[:HEAD_BYTES]
        self._fresh.append((at, incoming, size, raw))
        if len(self._fresh) >= BLOB_FRAMES:
            self._store(at)

    def _store(self, at: dt.datetime) -> None:
        """Make a blob of what is fresh."""
        blobs = self._blobs
        blobs.append(("plain", msgspec.msgpack.encode(self._fresh)))
        del blobs[:-BLOBS_MAX]
        self._fresh = []
        if self._packed_at is None or at - self._packed_at >= PACK_EVERY:
            self._packed_at = at
            if len(blobs) < BLOBS_MAX or any(kept == "packed" for kept, _ in blobs):
                blobs[:] = [
                    ("packed", zlib.compress(blob, 1)) if kept == "plain" else (kept, blob) for kept, blob in blobs
                ]
        held = sum(len(blob) for _, blob in blobs)
        for place, (kept, blob) in enumerate(blobs):
            if held <= BLOBS_MAX_BYTES:
                return
            if kept != "heads":
                heads = [(*frame[:3], frame[3][:HEAD_BYTES]) for frame in _frames.decode(_plain(kept, blob))]
                blobs[place] = "heads", msgspec.msgpack.encode(heads)
                held += len(blobs[place][1]) - len(blob)

    def read(self) -> list[Frame]:
        """The kept frames, the oldest first."""
        stored = [frame for kept, blob in self._blobs for frame in _frames.decode(_plain(kept, blob))]
        return [*stored, *self._fresh][-FRAMES_MAX:]


def _plain(kept: Kept, blob: bytes) -> bytes:
    return zlib.decompress(blob) if kept == "packed" else blob


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
