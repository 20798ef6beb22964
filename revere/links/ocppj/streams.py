"""Periodic event streams (2.1): values that a station sends on and on and that nobody answers (message type 6).

Kept by rule: a message of a stream that the station has opened and that was accepted, no more than one in
:data:`STREAM_EVERY_S` for each stream, of it no more than :data:`VALUES_MAX` values. All else is dropped and counted.
"""

from __future__ import annotations

from math import inf
from typing import Final

STREAMS_MAX: Final = 8
"""Open streams of a station; another one is refused."""
STREAM_EVERY_S: Final = 1.0
VALUES_MAX: Final = 100


class OpenStream:
    """A stream that was accepted: which monitor it shows, and when it was last kept (loop time)."""

    def __init__(self, monitor: int) -> None:
        self.monitor = monitor
        self._kept_s = -inf

    def due(self, now_s: float) -> bool:
        """Whether a message may be kept now; if so it counts as kept."""
        if now_s - self._kept_s < STREAM_EVERY_S:
            return False
        self._kept_s = now_s
        return True
