"""What takes a permission away, from the moment it is heard until it is folded.

::

    heard ──────────── committed, folded ──▶ known          held: nothing is given there, whatever is folded meanwhile
          │◀── held ──▶│

Holding is no folding: an older fact whose commit comes in between cannot give the permission back, and nothing is
counted twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core import facts as f

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from revere.control.image import EvseImage, SiteImage
    from revere.core.ids import SiteId, StationId


class Held:
    """Marks the sites and stations of an image at which something is held."""

    def __init__(self, sites: Mapping[SiteId, SiteImage], evses_of: Callable[[StationId], Sequence[EvseImage]]) -> None:
        self._sites = sites
        self._evses_of = evses_of
        self._facts: dict[f.TakesAway, None] = {}

    def take(self, fact: f.TakesAway) -> None:
        """Let what was heard bind."""
        self._facts[fact] = None
        self._mark(fact)

    def drop(self, fact: f.TakesAway) -> None:
        """It is folded now, or never will be."""
        if fact in self._facts:
            del self._facts[fact]
            self._mark(fact)

    def stopped_at(self) -> dt.datetime | None:
        """When a person stopped all discharge."""
        stops = (fact for fact in self._facts if isinstance(fact, f.DischargeStopped) and fact.site_id is None)
        return min((stop.at for stop in stops), default=None)

    def _mark(self, fact: f.TakesAway) -> None:
        _, *place = f.kind_and_place(fact)
        held = frozenset(kind for kind, *at in map(f.kind_and_place, self._facts) if at == place)
        if isinstance(fact, f.StationDisconnected | f.IdentityRefused):
            for evse in self._evses_of(fact.station_id):
                evse.held = held
        elif fact.site_id is not None and fact.site_id in self._sites:
            self._sites[fact.site_id].held = held
