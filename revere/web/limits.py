"""How often somebody may knock: token buckets that slow down and never lock out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MAX_BUCKETS = 10_000


class Buckets:
    """One token bucket per key: ``burst`` at once, then one each ``refill_s`` seconds. Bounded in number."""

    def __init__(self, burst: int, refill_s: float, now_s: Callable[[], float]) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._now_s = now_s
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.refused = 0

    def take(self, key: str) -> float:
        """Take one; returns 0.0 when it was there, else the seconds to wait for the next."""
        now = self._now_s()
        level, at = self._levels.pop(key, (float(self._burst), now))
        level = min(float(self._burst), level + (now - at) / self._refill_s)
        wait_s = 0.0 if level >= 1.0 else (1.0 - level) * self._refill_s
        self._levels[key] = (level - 1.0 if wait_s == 0.0 else level, now)
        while len(self._levels) > MAX_BUCKETS:
            self._levels.popitem(last=False)
        if wait_s > 0.0:
            self.refused += 1
        return wait_s


class LoginLimits:
    """Slows guessing by address, by name at an address, and by name from unknown addresses.

    The third never touches an address from which that name has come in before, so that a flood
    from elsewhere cannot keep a person out.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._address = Buckets(30, 2.0, now_s)
        self._pair = Buckets(5, 10.0, now_s)
        self._name = Buckets(30, 10.0, now_s)
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait_s(self, name: str, address: str) -> float:
        """Seconds to wait before this attempt may be made, 0.0 for now."""
        pair = f"{address} {name}"
        waits = [self._address.take(address), self._pair.take(pair)]
        if pair not in self._known:
            waits.append(self._name.take(name))
        return max(waits)

    def came_in(self, name: str, address: str) -> None:
        """Remember a place from which the name was right."""
        self._known[f"{address} {name}"] = None
        while len(self._known) > MAX_BUCKETS:
            self._known.popitem(last=False)
