"""`revere card`: a card is added, blocked, changed and forgotten; what cannot be one is refused and not kept."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from revere.app.admin import AdminDesk
from revere.app.cards import change_card, list_cards
from revere.app.play import load_scenario
from revere.control.cards import Cards
from revere.control.desk import ChangeCard
from revere.core.assets import Card
from revere.core.errors import Refused
from revere.core.facts import CardChanged
from revere.core.ids import TenantId
from revere.core.time import WallClock
from revere.store.store import Store
from tests.trips.rig import SMALL, Trip, small, take_trip

TOWN = load_scenario(SMALL).fleet
STATION = TOWN.stations[0].id
NOW = dt.datetime(2026, 7, 16, 19, 30, tzinfo=dt.UTC)
Step = Callable[[AdminDesk], Awaitable[Any]]


def cards_after(dsn: str, tmp_path: Path, *steps: Step) -> tuple[list[Any], tuple[Card, ...]]:
    async def work() -> tuple[list[Any], tuple[Card, ...]]:
        store = await Store.open(dsn, WallClock(), TenantId("masscec"), require_durable=False)
        try:
            await store.save_fleet(TOWN)
            desk = AdminDesk(store, tmp_path, "", None, served=False)
            said = [await step(desk) for step in steps]
            kept = await store.load_fleet()
            assert kept is not None
            Cards(kept)  # a server starts with them
            return said, kept.cards
        finally:
            await store.close()

    return asyncio.run(work())


def add(token: str, **changes: Any) -> Step:
    return lambda desk: change_card(desk, ChangeCard(by="command-line", token=token, action="add", **changes))


def tell(action: Any, token: str) -> Step:
    return lambda desk: change_card(desk, ChangeCard(by="command-line", token=token, action=action))


def test_a_card_is_added_blocked_made_good_and_forgotten(pg_dsn: str, tmp_path: Path) -> None:
    ends = dt.datetime.fromisoformat("2027-01-01T18:00")  # as a person types it
    said, kept = cards_after(
        pg_dsn,
        tmp_path,
        add("0a1b", name="Ada", group="school", until=ends, stations=(STATION,)),
        tell("block", "0A1B"),
        add("0C2D"),
        lambda desk: list_cards(desk),
    )
    assert said[0] == "0a1b may charge until 2027-01-01 18:00."
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
        tell("block", "0A1B"),
        add("0A1B"),
        tell("remove", "0c2d"),
    )
    assert [(card.id, card.blocked) for card in good] == [("0A1B", False)]


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (add(TOWN.vehicles[0].token.lower()), "two tokens read the same"),
        (add(""), "not a card"),
        (add("X" * 37), "not a card"),
        (add("0A1B", stations=("nowhere",)), "no such station"),
        (tell("block", "0A1B"), "no such card"),
        (tell("remove", "0A1B"), "no such card"),
    ],
)
def test_what_cannot_be_is_refused(step: Step, says: str, pg_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=says):
        cards_after(pg_dsn, tmp_path, step)
    assert cards_after(pg_dsn, tmp_path)[1] == ()


def test_a_blocked_card_is_refused_by_the_running_server_and_the_journal_says_who_did_it(pg_dsn: str) -> None:
    """Added and blocked at the desk of a running house: its next answer to a station says so, nothing is restarted."""

    async def work(trip: Trip) -> None:
        directory, station_id = trip.house.directory, trip.scenario.fleet.stations[0].id
        said = [directory.authorize("0A1B", station_id, trip.clock.now()).status]
        for action in ("add", "block", "remove"):
            await trip.house.office.ask(ChangeCard(by="ana", token="0a1b", action=action))  # type: ignore[arg-type]
            said.append(directory.authorize("0A1B", station_id, trip.clock.now()).status)
        assert said == ["unknown", "accepted", "blocked", "unknown"]
        told = [(one.by, one.token, one.action) for one in await trip.facts(CardChanged)]
        assert told == [("ana", "0a1b", "add"), ("ana", "0a1b", "block"), ("ana", "0a1b", "remove")]

    take_trip(small(), pg_dsn, dt.time(10, 30), work)
