"""`revere card`: a card is added, blocked, changed and forgotten; what cannot be one is refused and not kept."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from revere.app.admin import AdminDesk
from revere.app.cards import add_card, block_card, list_cards, remove_card
from revere.app.play import load_scenario
from revere.control.cards import Cards
from revere.core.assets import Card
from revere.core.errors import Refused
from revere.core.ids import TenantId
from revere.core.time import WallClock
from revere.store.store import Store
from tests.trips.rig import SMALL

TOWN = load_scenario(SMALL).fleet
STATION = TOWN.stations[0].id
NOW = dt.datetime(2026, 7, 16, 19, 30, tzinfo=dt.UTC)
Step = Callable[[AdminDesk], Awaitable[Any]]


def cards_after(dsn: str, tmp_path: Path, *steps: Step) -> tuple[list[Any], tuple[Card, ...]]:
    async def work() -> tuple[list[Any], tuple[Card, ...]]:
        store = await Store.open(dsn, WallClock(), TenantId("masscec"), require_durable=False)
        try:
            await store.save_fleet(TOWN)
            desk = AdminDesk(store, tmp_path, "", None, served=True)
            said = [await step(desk) for step in steps]
            kept = await store.load_fleet()
            assert kept is not None
            Cards(kept)  # a server starts with them
            return said, kept.cards
        finally:
            await store.close()

    return asyncio.run(work())


def add(token: str, **changes: Any) -> Step:
    values: dict[str, Any] = {"name": "", "group": "", "until": None, "stations": ()}
    return lambda desk: add_card(desk, token, **(values | changes))


def test_a_card_is_added_blocked_made_good_and_forgotten(pg_dsn: str, tmp_path: Path) -> None:
    ends = dt.datetime.fromisoformat("2027-01-01T18:00")  # as a person types it
    said, kept = cards_after(
        pg_dsn,
        tmp_path,
        add("0a1b", name="Ada", group="school", until=ends, stations=(STATION,)),
        lambda desk: block_card(desk, "0A1B"),
        add("0C2D"),
        lambda desk: list_cards(desk),
    )
    assert (
        said[0] == "0a1b may charge until 2027-01-01 18:00.\nA server is running: it takes this up at its next start."
    )
    [ada, other] = sorted(kept, key=lambda card: card.id)[::-1]
    assert (other.id, other.stations) == ("0C2D", ())
    assert (ada.name, ada.group, ada.blocked, ada.stations) == ("Ada", "school", True, (STATION,))
    assert ada.valid_until == dt.datetime(2027, 1, 1, 23, tzinfo=dt.UTC)  # the programme's time
    assert said[3].row_count == 2

    _, good = cards_after(
        pg_dsn,
        tmp_path,
        add("0a1b"),
        add("0C2D"),
        lambda desk: block_card(desk, "0A1B"),
        add("0A1B"),
        lambda desk: remove_card(desk, "0c2d"),
    )
    assert [(card.id, card.blocked) for card in good] == [("0A1B", False)]


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (add(TOWN.vehicles[0].token.lower()), "two tokens read the same"),
        (add(""), "not a card"),
        (add("X" * 37), "not a card"),
        (add("0A1B", stations=("nowhere",)), "no such station"),
        (lambda desk: block_card(desk, "0A1B"), "no such card"),
        (lambda desk: remove_card(desk, "0A1B"), "no such card"),
    ],
)
def test_what_cannot_be_is_refused(step: Step, says: str, pg_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=says):
        cards_after(pg_dsn, tmp_path, step)
    assert cards_after(pg_dsn, tmp_path)[1] == ()
