"""What somebody else allows at a station: an energy manager's or grid operator's limits, as the station told them.

::

    kW      |-----|                   two sources: the tighter one holds
            |     |____ 20 (EMS) ____|
            |_________ 30 (SO) _____________ until it is lifted
            t0   t1                 until
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from revere.core import facts as f


@dataclass(slots=True)
class ExternalLimits:
    """The limits in force at an EVSE, by EVSE (0 is the whole station) and source."""

    _reported: dict[tuple[int, str], f.ExternalLimitReported] = field(default_factory=dict)

    def take(self, fact: f.ExternalLimitReported) -> None:
        """A limit as told now: it replaces what its source had said of the same EVSE."""
        self._reported[fact.evse_id, fact.source] = fact

    def lift(self, fact: f.ExternalLimitLifted) -> None:
        """A limit is gone; lifted for the station it is gone everywhere."""
        for key in list(self._reported):
            if key[1] == fact.source and fact.evse_id in (0, key[0]):
                del self._reported[key]

    def held_kw(self, now: dt.datetime) -> tuple[float, float]:
        """Most charging and most discharge now, kW magnitudes; infinite where nobody limits."""
        charge_kw = discharge_kw = inf
        for fact in self._reported.values():
            if fact.until is not None and now >= fact.until:
                continue
            begun = [step for step in fact.steps if step[0] <= now]
            if begun:
                _, charge, discharge = begun[-1]
                charge_kw = min(charge_kw, inf if charge is None else charge)
                discharge_kw = min(discharge_kw, inf if discharge is None else discharge)
        return charge_kw, discharge_kw

    def sources(self, now: dt.datetime) -> tuple[str, ...]:
        """Who limits the station now."""
        return tuple(sorted({k[1] for k, v in self._reported.items() if v.until is None or now < v.until}))
