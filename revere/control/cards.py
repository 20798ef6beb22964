"""Who may start a session where and when: vehicles by their own tokens, drivers by their cards.

Tokens read the same in capitals and small letters, as the standard has it.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from revere.core.assets import Authorization, ListedToken
from revere.core.errors import Refused

if TYPE_CHECKING:
    from revere.core.assets import Card, Fleet
    from revere.core.ids import StationId

UNKNOWN = Authorization(status="unknown")


class Cards:
    """All tokens of a fleet. Raises :class:`Refused` where two of them read the same."""

    def __init__(self, fleet: Fleet) -> None:
        self._zone = ZoneInfo(fleet.programme.zone)
        self._homes = {vehicle.token.casefold(): vehicle.station_id for vehicle in fleet.vehicles}
        self._vehicles = [(vehicle.token, vehicle.station_id) for vehicle in fleet.vehicles]
        self._cards: dict[str, Card] = {}
        for card in fleet.cards:
            key = card.id.casefold()
            if key in self._cards or key in self._homes:
                raise Refused("two tokens read the same", where="cards", got=card.id, remedy="Remove one of them")
            self._cards[key] = card

    def authorize(self, token: str, station_id: StationId, now: dt.datetime) -> Authorization:
        """Whether a token may charge at a station now. A vehicle's own is good at its own station alone."""
        key = token.casefold()
        home = self._homes.get(key)
        if home is not None:
            return Authorization(status="accepted" if home == station_id else "not_here")
        card = self._cards.get(key)
        return UNKNOWN if card is None else self._of(card, station_id, now)

    def _of(self, card: Card, station_id: StationId, now: dt.datetime) -> Authorization:
        if card.blocked:
            return Authorization(status="blocked", kind=card.kind)
        if card.valid_until is not None and now >= card.valid_until:
            return Authorization(status="expired", kind=card.kind)
        if card.stations and station_id not in card.stations:
            return Authorization(status="not_here", kind=card.kind)
        if (card.valid_from is not None and now < card.valid_from) or not self._in_hours(card, now):
            return Authorization(status="not_now", kind=card.kind)
        ends = [end for end in (card.valid_until, self._hours_end(card, now)) if end is not None]
        return Authorization(status="accepted", kind=card.kind, group=card.group, until=min(ends, default=None))

    def _in_hours(self, card: Card, now: dt.datetime) -> bool:
        """``since <= now < till``, around midnight where ``till`` is the earlier one."""
        if card.hours is None:
            return True
        since, till = card.hours
        at = now.astimezone(self._zone).time()
        return since <= at < till if since < till else at >= since or at < till

    def _hours_end(self, card: Card, now: dt.datetime) -> dt.datetime | None:
        """When the hours end in which ``now`` lies."""
        if card.hours is None:
            return None
        local = now.astimezone(self._zone)
        end = dt.datetime.combine(local.date(), card.hours[1], self._zone)
        if end <= local:
            end = dt.datetime.combine(local.date() + dt.timedelta(days=1), card.hours[1], self._zone)
        return end.astimezone(dt.UTC)

    def local_list(self, station_id: StationId, now: dt.datetime) -> tuple[ListedToken, ...]:
        """What a station should know by itself while it is offline, by token: the accepted and the blocked.

        A card with hours is left out: a list in a station knows no time of day.
        """
        good = Authorization(status="accepted")
        own = [token for token, home in self._vehicles if home == station_id]
        listed = [ListedToken(token=token, kind="Central", found=good) for token in own]
        for card in self._cards.values():
            found = self._of(card, station_id, now)
            if found.status == "blocked" or (found.accepted and card.hours is None):
                listed.append(ListedToken(token=card.id, kind=card.kind, found=found))
        return tuple(sorted(listed, key=lambda entry: entry.token))
