"""Silence read as what it may be: a site without grid, or our own line down; and what proves a grid live again.

::

    all links of a site end within 90 s ──2 min──▶ suspected ──a link is back──▶ unproven ──▶ proven live: ramp
    those of most sites do              ─────────▶ our own line, nobody is suspected    └──▶ GridLost: an outage

Only a grid state that a station tells, now or later, makes an outage that is kept out of settlement.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from revere.control.image import MOVING_KW
from revere.core import facts as f
from revere.core.time import local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.control.image import EvseImage, Image, SiteImage
    from revere.core.ids import SiteId

WINDOW = dt.timedelta(seconds=90)
"""Links that die of one cause are noticed within this time: pings go out every 20 s and wait as long."""
SUSPECTED_AFTER = dt.timedelta(minutes=2)
"""A link's usual hiccup is shorter."""
RESTARTS_WITHIN = dt.timedelta(minutes=20)
"""A station that installs firmware is away for a while and has said so: that is no sign of an outage."""
SHARE_TOGETHER = 0.5
"""Of a site's stations that have been heard of, at least so many fall together; the others had gone before."""
SITES_TO_COMPARE = 2
PROOF_KW = 0.1
"""What a main meter shows on a live grid; a dead one carries nothing, an open switch neither."""


def alarm_key(site_id: SiteId) -> str:
    """The key of the alarm of a suspected site."""
    return f"silent:{site_id}"


class Fall(NamedTuple):
    """A site whose last links ended together."""

    first: dt.datetime
    last: dt.datetime
    stations: int


class Silence:
    """Looks at which links are down since when; remembers only what it has said, which may wait for the journal."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._said: dict[tuple[SiteId, type[f.Fact]], dt.datetime] = {}

    def look(self, now: dt.datetime) -> list[f.Fact]:
        """Sites to be suspected from now on, and those whose grid has been proven live."""
        facts: list[f.Fact] = []
        for site_id, item in self._image.sites.items():
            if item.silent_since is not None:
                why = self._proof(item)
                if why and self._news(site_id, f.GridProven, item.silent_since):
                    facts.append(f.GridProven(at=now, site_id=site_id, ts=now, why=why))
            elif item.grid != "dead":
                facts += self._suspected(site_id, item, now)
        return facts

    def _suspected(self, site_id: SiteId, item: SiteImage, now: dt.datetime) -> list[f.Fact]:
        fall = _fall(self._image.site_evses[site_id], now)
        if fall is None or now - fall.last < SUSPECTED_AFTER:
            return []
        fell, seen = self._fell_with(fall)
        if seen < SITES_TO_COMPARE or 2 * fell > seen:
            return []
        if not self._news(site_id, f.OutageSuspected, fall.first):
            return []
        since = f"{local(fall.first, self._image.fleet.programme.zone):%H:%M}"
        links = "its only link" if fall.stations == 1 else f"{fall.stations} links at once"
        why = f"{item.site.name} has been silent since {since}: {links}, while {seen - fell} other sites are well"
        text = f"{why}. Perhaps an outage: nothing is counted on it, and it gives nothing until its grid is proven live"
        return [
            f.OutageSuspected(at=now, site_id=site_id, ts=fall.first, why=why),
            f.AlarmRaised(at=now, key=alarm_key(site_id), severity="warning", subject=site_id, text=text[:400]),
        ]

    def _news(self, site_id: SiteId, kind: type[f.Fact], since: dt.datetime) -> bool:
        told = self._said.get((site_id, kind)) == since
        self._said[site_id, kind] = since
        return not told

    def _fell_with(self, fall: Fall) -> tuple[int, int]:
        """(sites with a link that ended at that time, sites that were ever heard of), the site itself included."""
        fell = seen = 0
        for evses in self._image.site_evses.values():
            ends = [evse.offline_at for evse in evses if evse.offline_at is not None]
            seen += bool(ends) or any(evse.online for evse in evses)
            fell += any(abs(end - fall.last) <= WINDOW for end in ends)
        return fell, seen

    def uplink_down(self, now: dt.datetime) -> str:
        """What to say where most sites fell silent at once and still are; empty where that is not so."""
        for evses in self._image.site_evses.values():
            fall = _fall(evses, now)
            if fall is None or now - fall.last < SUSPECTED_AFTER:
                continue
            fell, seen = self._fell_with(fall)
            if seen >= SITES_TO_COMPARE and 2 * fell > seen:
                since = f"{local(fall.first, self._image.fleet.programme.zone):%H:%M}"
                return f"{fell} of {seen} sites fell silent at once at {since}: perhaps our own line is down"
        return ""

    def _proof(self, item: SiteImage) -> str:
        """What shows that the grid is live since the site is heard again; empty while nothing does."""
        heard = item.heard_at
        if heard is None or item.islanded:
            return ""
        if item.net_kw is not None and item.net_at > heard and abs(item.net_kw) > PROOF_KW:
            return f"its main meter shows {item.net_kw:.1f} kW"
        if item.site.transfer_switch:
            return ""  # its stations may feed each other
        drawn_kw = sum(
            evse.power_kw
            for evse in self._image.site_evses[item.site.id]
            if evse.power_kw is not None and evse.power_at > heard
        )
        return f"its stations draw {drawn_kw:.1f} kW" if drawn_kw > MOVING_KW else ""


def _restarts(evse: EvseImage, now: dt.datetime) -> bool:
    """Whether its link ended as it had said that it would, for new firmware."""
    told = evse.firmware_told
    if told is None or evse.offline_at is None or told.status not in ("installing", "install_rebooting"):
        return False
    return told.at <= evse.offline_at and now - told.at < RESTARTS_WITHIN


def _fall(of_site: Sequence[EvseImage], now: dt.datetime) -> Fall | None:
    """How a site's last links ended; None where one is up, or where they did not end together."""
    evses = [evse for evse in of_site if not _restarts(evse, now)]
    ends = [evse.offline_at for evse in evses if evse.offline_at is not None]
    if not ends or any(evse.online for evse in evses):
        return None
    last = max(ends)
    together = [end for end in ends if last - end <= WINDOW]
    if len(together) < SHARE_TOGETHER * len(ends):
        return None
    return Fall(min(together), last, len(together))
