"""Drivers' cards changed by a person: registered, taken up at once, journaled with the name.

::

    checked (no two tokens read the same) ── registry ── who may charge, from the next question on ── journal
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from revere.control.cards import Cards
from revere.control.desk import Receipt
from revere.core.assets import Card
from revere.core.errors import Refused
from revere.core.facts import CardChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from revere.control.desk import ChangeCard
    from revere.core.assets import Fleet
    from revere.core.facts import Fact


class CardBook(Protocol):
    """Where cards are registered."""

    async def load_fleet(self) -> Fleet | None:
        """The programme as it is registered."""
        ...

    async def save_assets(self, assets: Sequence[Card]) -> None:
        """Register cards, or register them anew."""
        ...

    async def remove_asset(self, kind: type[Any], asset_id: str) -> bool:
        """Forget one."""
        ...


class Journal(Protocol):
    """Where it is written who did it."""

    async def record(self, facts: Sequence[Fact]) -> None:
        """Returns once they are committed."""
        ...


class CardDesk:
    """Adds, blocks and removes cards; ``take`` is whoever answers stations, where somebody does."""

    def __init__(self, book: CardBook, journal: Journal, take: Callable[[Cards], None] | None = None) -> None:
        self._book = book
        self._journal = journal
        self._take = take
        self._turn = asyncio.Lock()

    async def change(self, request: ChangeCard, now: dt.datetime) -> Receipt:
        """Do what a person asks. Raises :class:`Refused` for what is no card, or none of ours."""
        async with self._turn:  # each reads what the last one has written
            fleet = await self._book.load_fleet()
            if fleet is None:
                raise Refused("no programme is registered", remedy="revere site add SCENARIO registers one")
            known = next((card for card in fleet.cards if card.id.casefold() == request.token.casefold()), None)
            if request.action == "add":
                card, detail = _made(fleet, request)
            elif known is None:
                raise Refused("no such card", got=request.token, remedy="revere card list shows all")
            elif request.action == "block":
                card, detail = msgspec.structs.replace(known, blocked=True), f"{known.id} is blocked."
            else:
                card, detail = None, f"{known.id} is removed."
            others = tuple(other for other in fleet.cards if other is not known)
            cards = Cards(msgspec.structs.replace(fleet, cards=others if card is None else (*others, card)))
            if known is not None and (card is None or card.id != known.id):
                await self._book.remove_asset(Card, known.id)
            if card is not None:
                await self._book.save_assets([card])
            if self._take is not None:
                self._take(cards)
            token = request.token if known is None else known.id
            await self._journal.record([CardChanged(at=now, by=request.by, token=token, action=request.action)])
        return Receipt(accepted=True, detail=detail)


def _made(fleet: Fleet, request: ChangeCard) -> tuple[Card, str]:
    """The card that is asked for, and what it may; a time without a zone is the programme's."""
    until, stations = request.until, request.stations
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=ZoneInfo(fleet.programme.zone))
    registered = {str(station.id) for station in fleet.stations}
    unknown = [station_id for station_id in stations if station_id not in registered]
    if unknown:
        raise Refused("no such station", got=", ".join(unknown), remedy="revere station list shows all")
    fields = {
        "id": request.token,
        "name": request.name,
        "group": request.group,
        "valid_until": until,
        "stations": stations,
    }
    try:
        card = msgspec.convert(fields, Card)
    except msgspec.ValidationError as error:
        raise Refused("not a card", got=str(error), expected="a token of 1 to 36 characters") from error
    return card, f"{card.id} may charge{f' until {until:%Y-%m-%d %H:%M}' if until else ''}."
