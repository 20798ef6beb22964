"""How many stations come in at once when all of them come back together.

::

    10,000 with the right secret ─▶ bucket ─┬▶ in at once        the burst
                                            ├▶ in after a wait   while its turn is nearer than an opening's patience
                                            └▶ 503, Retry-After  its turn, each its own: they do not come together

After a power cut or a restart of ours every station dials within seconds. Let in all at once, each would wait for all
others, most would give up and dial again, and the work done for them would be lost: of 10,000 a plain server booted
2,832. Only who has proven who he is takes a turn, so that strangers cannot use up the turns of genuine stations.
"""

from __future__ import annotations

import math

from revere.links.ocppj.bounds import ADMISSION_BURST, ADMISSION_WAIT_MAX_S, ADMISSIONS_PER_S, Counters


class Admission:
    """A token bucket of opening handshakes, in loop seconds; below 0 it is a queue."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._tokens = ADMISSION_BURST
        self._at_s = 0.0
        self._put_off_until_s = 0.0
        """The turn that was given last to a station that was sent away."""

    def wait_s(self, now_s: float) -> float | None:
        """Take a turn and say how far it is; None where it is too far to keep a socket waiting."""
        self._tokens = min(ADMISSION_BURST, self._tokens + (now_s - self._at_s) * ADMISSIONS_PER_S)
        self._at_s = now_s
        wait_s = max(0.0, (1.0 - self._tokens) / ADMISSIONS_PER_S)
        if wait_s > ADMISSION_WAIT_MAX_S:
            self._counters.handshakes_put_off += 1
            return None
        self._tokens -= 1.0
        self._counters.handshakes_waited += wait_s > 0
        return wait_s

    def retry_after_s(self, now_s: float) -> int:
        """When a station that was sent away shall come again, whole seconds: behind all that were sent away before."""
        soonest_s = now_s + ADMISSION_WAIT_MAX_S
        self._put_off_until_s = max(self._put_off_until_s, soonest_s) + 1.0 / ADMISSIONS_PER_S
        return math.ceil(self._put_off_until_s - now_s)
