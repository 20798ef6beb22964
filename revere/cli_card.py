"""The command line's words for drivers' cards: ``revere card ...``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from revere.cli_shared import Config, admin, say

card_app = App(name="card", help="Drivers' cards: who may charge besides the registered vehicles.")


@card_app.command(name="add")
def card_add(
    token: str,
    *,
    name: str = "",
    group: str = "",
    until: dt.datetime | None = None,
    station: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    config: Config = None,
) -> None:
    """Register a card, or give a known one these values; one that was blocked is good again.

    Args:
        token: what the card says, such as 04A2B3C4D5E6F7.
        name: whose it is, for people.
        group: cards of one group end each other's sessions.
        until: when it ends, in the programme's time where no zone is said: 2027-01-01 or 2027-01-01T18:00.
        station: a station where it is good; give it several times; left out, it is good at all.
    """
    _change(config, token, "add", name=name, group=group, until=until, stations=station)


@card_app.command(name="block")
def card_block(token: str, *, config: Config = None) -> None:
    """Let a card charge no more: a lost or stolen one.

    Args:
        token: what the card says; `revere card list` shows all.
    """
    _change(config, token, "block")


@card_app.command(name="remove")
def card_remove(token: str, *, config: Config = None) -> None:
    """Forget a card.

    Args:
        token: what the card says.
    """
    _change(config, token, "remove")


@card_app.command(name="list")
def card_list(*, config: Config = None) -> None:
    """List the cards, their state, end and stations."""
    from revere.app.cards import list_cards

    say(admin(config, list_cards))


def _change(config: Path | None, token: str, action: Literal["add", "block", "remove"], **values: Any) -> None:
    """At the running server, else in the registry."""
    from revere.app.cards import change_at_server, change_card
    from revere.app.settings import state_folder
    from revere.control.desk import ChangeCard

    request = ChangeCard(by="command-line", token=token, action=action, **values)
    said = change_at_server(state_folder(), request)
    say(said if said is not None else admin(config, lambda desk: change_card(desk, request)))
