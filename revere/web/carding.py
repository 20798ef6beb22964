"""Drivers' cards by the API: add one, block it, forget it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from litestar import post
from litestar.handlers.base import BaseRouteHandler
from litestar.params import JSONBody

from revere.control.desk import ChangeCard, Desk, Receipt
from revere.web.acting import Form, ShortId, put_to
from revere.web.gate import Asked, open_to


class CardForm(Form, frozen=True, kw_only=True):
    """Which card, and what becomes of it; the rest is what an added one may. No ``stations``: it is good at all."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=36, pattern=r"^[ -~]*\Z")]
    action: Literal["add", "block", "remove"]
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    group: Annotated[str, msgspec.Meta(max_length=36)] = ""
    until: dt.datetime | None = None
    stations: Annotated[tuple[ShortId, ...], msgspec.Meta(max_length=1000)] = ()


def card_routes(desk: Desk) -> list[BaseRouteHandler]:
    """Who may charge besides the registered vehicles."""

    @post("/api/v1/cards", status_code=200, opt=open_to("operator"), summary="Add, block or remove a driver's card")
    async def change_card(request: Asked, data: JSONBody[CardForm]) -> Receipt:
        """In force at once, journaled with the name. 409 for a vehicle's token, or a card that is not known."""
        return await put_to(desk, ChangeCard(by=request.user.name, **msgspec.structs.asdict(data)))

    return [change_card]
