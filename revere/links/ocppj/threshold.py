"""Before the door: how many openings are worked at together when very many knock at once.

::

    accepted ─▶ a place is free ──▶ TLS, request, door ──▶ place free again, after SLOT_S at the latest
            └─▶ waits, unread ─┬──▶ the newest first: it has most of its patience left
                               └──▶ 503 Retry-After, after the longest wait

An opening costs most of what a station costs, above all with certificates. Worked at all together, ten thousand of them
would each take as long as all, most callers would hang up meanwhile, and the work would be done for nobody. So few are
worked at, the rest cost nothing but a socket, and who has hung up is noticed by a look at the socket. A caller that
says nothing holds its place for no longer than ``SLOT_S``, or four times what openings take of late where the machine
is slow: else more and more would be worked at together just then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from revere.links.ocppj.bounds import ADMISSION_WAIT_MAX_S, OPENINGS_AT_ONCE, SLOT_MAX_S, SLOT_S, Counters

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL_WEIGHT: Final = 0.05
"""Of each opening in the mean of what they take."""


class Caller(Protocol):
    """A socket that was accepted and not read yet."""

    def come_in(self) -> None:
        """Go on with the opening; ``Threshold.leave`` is owed."""
        ...

    def hung_up(self) -> bool:
        """Whether nobody is there any more."""
        ...

    def turn_away(self, retry_after_s: int | None) -> None:
        """Close it, unless its opening is past TLS: None without a word."""
        ...


class Threshold:
    """Who is let on to the door, and who waits before it.

    ``retry_after_s`` says when somebody who is sent away shall come again.
    """

    def __init__(self, counters: Counters, retry_after_s: Callable[[float], int]) -> None:
        self._counters = counters
        self._retry_after_s = retry_after_s
        self._busy: dict[Caller, tuple[asyncio.TimerHandle, float]] = {}
        self._usual_s = 0.0
        self._waiting: deque[tuple[Caller, float]] = deque()
        """The oldest first."""

    def arrive(self, caller: Caller) -> None:
        """Let a caller on, or have it wait."""
        now_s = asyncio.get_running_loop().time()
        self._send_away(now_s)
        if len(self._busy) < OPENINGS_AT_ONCE and not self._waiting:
            self._let_on(caller)
        else:
            self._waiting.append((caller, now_s))

    def leave(self, caller: Caller) -> None:
        """The caller's place is free: it is through the door, refused or gone. Again is no harm."""
        place = self._busy.get(caller)
        if place is not None:
            self._usual_s += (asyncio.get_running_loop().time() - place[1] - self._usual_s) * USUAL_WEIGHT
            self._free(caller)

    def _free(self, caller: Caller) -> None:
        handle, _ = self._busy.pop(caller)
        handle.cancel()
        self._send_away(asyncio.get_running_loop().time())
        while self._waiting and len(self._busy) < OPENINGS_AT_ONCE:
            newest, _ = self._waiting.pop()
            if newest.hung_up():
                self._counters.hung_up_waiting += 1
                newest.turn_away(None)
            else:
                self._let_on(newest)

    def close(self) -> None:
        """Nobody waits any longer."""
        for caller, _ in self._waiting:
            caller.turn_away(None)
        self._waiting.clear()
        for caller, (handle, _) in self._busy.items():
            handle.cancel()
            caller.turn_away(None)
        self._busy.clear()

    def _let_on(self, caller: Caller) -> None:
        loop = asyncio.get_running_loop()
        holds_s = min(SLOT_MAX_S, max(SLOT_S, 4.0 * self._usual_s))
        self._busy[caller] = (loop.call_later(holds_s, self._free, caller), loop.time())
        caller.come_in()

    def _send_away(self, now_s: float) -> None:
        """Who has waited longest is told when to come again. Places come free at least each SLOT_S, and call this."""
        while self._waiting and now_s - self._waiting[0][1] > ADMISSION_WAIT_MAX_S:
            caller, _ = self._waiting.popleft()
            self._counters.handshakes_put_off += 1
            caller.turn_away(self._retry_after_s(now_s))
