"""Drivers' cards from the command line: who may charge besides the vehicles, until when, and who may not any more.

A running server is asked by its API, and answers stations by it at once; without one the registry is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from revere.app.remote import detail, post
from revere.app.running import find_running
from revere.control.card_desk import CardDesk
from revere.core.errors import Refused
from revere.core.time import WallClock

if TYPE_CHECKING:
    from pathlib import Path

    from revere.app.admin import AdminDesk
    from revere.control.desk import ChangeCard

PATH = "/api/v1/cards"


def change_at_server(folder: Path, request: ChangeCard) -> str | None:
    """Have the running server change a card: its sentence, None where no server runs."""
    if find_running(folder) is None:
        return None
    body = {name: value for name, value in msgspec.to_builtins(request).items() if name != "by"}
    return detail(post(folder, PATH, body))


async def change_card(desk: AdminDesk, request: ChangeCard) -> str:
    """The same where no server runs."""
    return (await CardDesk(desk.store, desk.store).change(request, WallClock().now())).detail


async def list_cards(desk: AdminDesk) -> Table:
    """The cards in their order, and what each may."""
    table = Table("card", "name", "group", "state", "until", "stations")
    fleet = await desk.store.load_fleet()
    if fleet is None:
        raise Refused("no programme is registered", remedy="revere site add SCENARIO registers one")
    for card in fleet.cards:
        until = f"{card.valid_until:%Y-%m-%d %H:%M %Z}" if card.valid_until else ""
        state = "blocked" if card.blocked else "good"
        table.add_row(card.id, card.name, card.group, state, until, ", ".join(card.stations) or "all")
    return table
