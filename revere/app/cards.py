"""Drivers' cards from the command line: who may charge besides the vehicles, until when, and who may not any more."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from rich.table import Table

from revere.control.cards import Cards
from revere.core.assets import Card
from revere.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.app.admin import AdminDesk
    from revere.core.assets import Fleet


async def add_card(
    desk: AdminDesk, token: str, *, name: str, group: str, until: dt.datetime | None, stations: Sequence[str]
) -> str:
    """Register a card, or give a known one these values; one that was blocked is not any more."""
    fleet = await _fleet(desk)
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=ZoneInfo(fleet.programme.zone))
    known = {str(station.id) for station in fleet.stations}
    unknown = [station_id for station_id in stations if station_id not in known]
    if unknown:
        raise Refused("no such station", got=", ".join(unknown), remedy="revere station list shows all")
    fields = {"id": token, "name": name, "group": group, "valid_until": until, "stations": tuple(stations)}
    try:
        card = msgspec.convert(fields, Card)
    except msgspec.ValidationError as error:
        raise Refused("not a card", got=str(error), expected="a token of 1 to 36 characters") from error
    others = tuple(other for other in fleet.cards if other.id.casefold() != token.casefold())
    Cards(msgspec.structs.replace(fleet, cards=(*others, card)))  # refuses a vehicle's token
    await _save(desk, fleet, card)
    return desk.told(f"{token} may charge{f' until {until:%Y-%m-%d %H:%M}' if until else ''}.")


async def block_card(desk: AdminDesk, token: str) -> str:
    """Let a card charge no more; stations hear *blocked*, those that keep a list too."""
    fleet = await _fleet(desk)
    await _save(desk, fleet, msgspec.structs.replace(_known(fleet, token), blocked=True))
    return desk.told(f"{token} is blocked.")


async def remove_card(desk: AdminDesk, token: str) -> str:
    """Forget a card: it is unknown from then on."""
    card = _known(await _fleet(desk), token)
    await desk.store.remove_asset(Card, card.id)
    return desk.told(f"{token} is removed.")


async def list_cards(desk: AdminDesk) -> Table:
    """The cards in their order, and what each may."""
    table = Table("card", "name", "group", "state", "until", "stations")
    for card in (await _fleet(desk)).cards:
        until = f"{card.valid_until:%Y-%m-%d %H:%M %Z}" if card.valid_until else ""
        state = "blocked" if card.blocked else "good"
        table.add_row(card.id, card.name, card.group, state, until, ", ".join(card.stations) or "all")
    return table


async def _fleet(desk: AdminDesk) -> Fleet:
    fleet = await desk.store.load_fleet()
    if fleet is None:
        raise Refused("no programme is registered", remedy="revere site add SCENARIO registers one")
    return fleet


def _known(fleet: Fleet, token: str) -> Card:
    for card in fleet.cards:
        if card.id.casefold() == token.casefold():
            return card
    raise Refused("no such card", got=token, remedy="revere card list shows all")


async def _save(desk: AdminDesk, fleet: Fleet, card: Card) -> None:
    """Save a card in the place of one that reads the same."""
    for old in fleet.cards:
        if old.id.casefold() == card.id.casefold() and old.id != card.id:
            await desk.store.remove_asset(Card, old.id)
    await desk.store.save_assets([card])
