"""Which token may charge where and when, and what a station should know of it while it is offline."""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args

import msgspec
import pytest

from revere.control.cards import Cards
from revere.core.assets import Card, TokenKind
from revere.core.errors import Refused
from revere.core.ids import StationId
from tests.control.scenes import NOON, fleet

HOME, AWAY = StationId("cs1"), StationId("cs2")
HOUR = dt.timedelta(hours=1)
SIX, NOON_LOCAL, TEN = dt.time(6), dt.time(12), dt.time(22)
"""Local times of the programme; NOON is 12:00 there."""


def cards(*given: Card) -> Cards:
    return Cards(msgspec.structs.replace(fleet(), cards=given))


@pytest.mark.parametrize(
    ("token", "station_id", "status"),
    [
        ("EV-cs1", HOME, "accepted"),
        ("ev-CS1", HOME, "accepted"),  # the standard's tokens know no capitals
        ("EV-cs1", AWAY, "not_here"),
        ("EV-cs9", HOME, "unknown"),
        ("", HOME, "unknown"),
    ],
)
def test_a_vehicle_s_own_token_is_good_at_its_own_station(token: str, station_id: StationId, status: str) -> None:
    assert cards().authorize(token, station_id, NOON).status == status


@pytest.mark.parametrize(
    ("card", "status", "until"),
    [
        ({}, "accepted", None),
        ({"group": "school"}, "accepted", None),
        ({"blocked": True}, "blocked", None),
        ({"valid_until": NOON}, "expired", None),
        ({"valid_until": NOON + HOUR}, "accepted", NOON + HOUR),
        ({"blocked": True, "valid_until": NOON}, "blocked", None),
        ({"valid_from": NOON}, "accepted", None),
        ({"valid_from": NOON + HOUR}, "not_now", None),
        ({"stations": (HOME,)}, "accepted", None),
        ({"stations": (AWAY,)}, "not_here", None),
        ({"hours": (SIX, NOON_LOCAL)}, "not_now", None),
        ({"hours": (NOON_LOCAL, TEN)}, "accepted", NOON + 10 * HOUR),
        ({"hours": (TEN, SIX)}, "not_now", None),
        ({"hours": (SIX, TEN), "valid_until": NOON + HOUR}, "accepted", NOON + HOUR),
    ],
)
def test_a_card_is_good_by_its_state_place_and_time(card: dict[str, Any], status: str, until: dt.datetime) -> None:
    found = cards(Card(id="0A1B", **card)).authorize("0a1b", HOME, NOON)
    assert (found.status, found.until) == (status, until)
    assert found.group == (card.get("group", "") if found.accepted else "")


@pytest.mark.parametrize(
    ("after_h", "status"), [(9.9, "not_now"), (10, "accepted"), (17.9, "accepted"), (18, "not_now")]
)
def test_hours_may_span_midnight(after_h: float, status: str) -> None:
    found = cards(Card(id="0A1B", hours=(TEN, SIX))).authorize("0A1B", HOME, NOON + after_h * HOUR)
    assert found.status == status
    assert found.until == (NOON + 18 * HOUR if found.accepted else None)


def test_a_station_s_own_list_has_who_is_good_there_and_who_is_blocked() -> None:
    given = (
        Card(id="CARD-1", group="school"),
        Card(id="CARD-2", blocked=True),
        Card(id="CARD-3", valid_until=NOON),
        Card(id="CARD-4", stations=(AWAY,)),
        Card(id="CARD-5", hours=(SIX, TEN)),
    )
    listed = [(e.token, e.kind, e.found.status, e.found.group) for e in cards(*given).local_list(HOME, NOON)]
    assert listed == [
        ("CARD-1", "ISO14443", "accepted", "school"),
        ("CARD-2", "ISO14443", "blocked", ""),
        ("EV-cs1", "Central", "accepted", ""),
    ]


@pytest.mark.parametrize("given", [("A", "a"), ("ev-cs1",)])
def test_two_tokens_that_read_the_same_are_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="two tokens read the same"):
        cards(*(Card(id=name) for name in given))


@pytest.mark.parametrize("kind", get_args(TokenKind))
@pytest.mark.parametrize("more", [{}, {"blocked": True}, {"valid_until": NOON}, {"stations": (AWAY,)}])
def test_a_card_is_known_as_what_it_is_registered(kind: TokenKind, more: dict[str, Any]) -> None:
    given = cards(Card(id="C1", kind=kind, **more))
    assert given.authorize("C1", HOME, NOON).kind == kind
    assert given.authorize("EV-cs1", HOME, NOON).kind == "Central"  # a token of our own making
