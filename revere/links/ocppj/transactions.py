"""What is remembered of a transaction, over lost lines: which of its messages came, and what it is."""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

SEQ_RANGES_MAX: Final = 64


class SeenSeq:
    """Which sequence numbers of a transaction are recorded, as few ranges.

    ::

        seen   0 1 2 3 . . 6 7      ranges [(0, 3), (6, 7)]
    """

    def __init__(self) -> None:
        self.ranges: list[list[int]] = []

    def __contains__(self, seq: int) -> bool:
        if not self.ranges or seq > self.ranges[-1][1]:
            return False  # the rule
        return any(low <= seq <= high for low, high in self.ranges)

    @property
    def newest(self) -> int:
        """The highest number seen, -1 before the first."""
        return self.ranges[-1][1] if self.ranges else -1

    @property
    def whole(self) -> bool:
        """Whether none is missing between those seen."""
        return len(self.ranges) <= 1

    def gaps(self) -> list[tuple[int, int]]:
        """What is missing between those seen, first and last."""
        pairs = zip(self.ranges, self.ranges[1:], strict=False)
        return [(before[1] + 1, after[0] - 1) for before, after in pairs]

    def add(self, seq: int) -> bool:
        """Note ``seq``; True when it left a gap behind those seen. A first one may be any.

        Beyond the bound the lowest range is forgotten.
        """
        newest = self.newest
        if newest >= 0 and seq == newest + 1:
            self.ranges[-1][1] = seq  # the rule
            return False
        self.ranges.append([seq, seq])
        self.ranges.sort()
        merged = [self.ranges[0]]
        for low, high in self.ranges[1:]:
            if low <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], high)
            else:
                merged.append([low, high])
        self.ranges = merged[-SEQ_RANGES_MAX:]
        return 0 <= newest < seq - 1


class TransactionState(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction is after its newest message.

    ``plugged``: a vehicle is connected. ``declined``: its token was refused, so that it is none of ours. ``since``:
    since when a session stands, None while none does. ``mode``: the one in force by the station's word, empty unsaid.
    """

    token: str = ""
    plugged: bool = False
    declined: bool = False
    ended: bool = False
    since: dt.datetime | None = None
    mode: str = ""


class Transaction:
    """What we remember of a transaction: where it runs, what it is, what has been recorded."""

    def __init__(self, evse_id: int) -> None:
        self.evse_id = evse_id
        self.state = TransactionState()
        self.gap_told = False
        """Whether somebody was asked for a missing message, which has not come yet."""
        self.seen = SeenSeq()
        self.under_way: set[int] = set()
        """Numbers of messages whose commit is awaited."""
        self.transfer_told = False
        """Whether it was told in mid-session that its vehicle may give."""

    def misses(self) -> bool:
        """Whether a number between those seen has not come: one whose commit is late has."""
        gaps = self.seen.gaps()
        late = sum(any(low <= seq <= high for low, high in gaps) for seq in self.under_way)
        return sum(high - low + 1 for low, high in gaps) > late
