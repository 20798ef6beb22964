"""The command line's words for drivers' cards: ``revere card ...``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

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
    from revere.app.cards import add_card

    say(admin(config, lambda desk: add_card(desk, token, name=name, group=group, until=until, stations=station)))


@card_app.command(name="block")
def card_block(token: str, *, config: Config = None) -> None:
    """Let a card charge no more: a lost or stolen one.

    Args:
        token: what the card says; `revere card list` shows all.
    """
    from revere.app.cards import block_card

    say(admin(config, lambda desk: block_card(desk, token)))


@card_app.command(name="remove")
def card_remove(token: str, *, config: Config = None) -> None:
    """Forget a card.

    Args:
        token: what the card says.
    """
    from revere.app.cards import remove_card

    say(admin(config, lambda desk: remove_card(desk, token)))


@card_app.command(name="list")
def card_list(*, config: Config = None) -> None:
    """List the cards, their state, end and stations."""
    from revere.app.cards import list_cards

    say(admin(config, list_cards))
