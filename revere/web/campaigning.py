"""Firmware campaigns by the API: look at them, begin one, pause it, go on, give it up."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import JSONBody

from revere.control.desk import Desk, Receipt, StartCampaign, TellCampaign
from revere.control.view import CampaignView
from revere.core.orders import Address
from revere.web.acting import Form, ShortId, put_to
from revere.web.gate import Asked, open_to
from revere.web.reading import Id, current

Text = Annotated[str, msgspec.Meta(max_length=50, pattern=r"^[ -~]*\Z")]


class CampaignForm(Form, frozen=True, kw_only=True):
    """Which firmware, and for whom: ``stations`` in their order, or all of a ``vendor`` and ``model``.

    ``version`` is what a station says at its boot once it has it. ``signature`` is Base64 and comes with its
    certificate (PEM), or neither.
    """

    version: Annotated[str, msgspec.Meta(min_length=1, max_length=50, pattern=r"^[ -~]*\Z")]
    location: Address
    stations: Annotated[tuple[ShortId, ...], msgspec.Meta(max_length=1000)] = ()
    vendor: Text = ""
    model: Text = ""
    signing_certificate: Annotated[str, msgspec.Meta(max_length=5500)] = ""
    signature: Annotated[str, msgspec.Meta(max_length=800, pattern=r"^[A-Za-z0-9+/=]*\Z")] = ""


class WordForm(Form, frozen=True, kw_only=True):
    """Why, for whoever reads it later."""

    why: Annotated[str, msgspec.Meta(max_length=200)] = ""


class CampaignList(msgspec.Struct, frozen=True, kw_only=True):
    """Campaigns, the newest first, without their stations."""

    campaigns: tuple[CampaignView, ...]


def campaign_routes(desk: Desk) -> list[BaseRouteHandler]:
    """New firmware for many: one station, then a tenth, then all."""

    async def tell(order: Literal["pause", "resume", "abort"], request: Asked, of: str, data: WordForm) -> Receipt:
        return await put_to(desk, TellCampaign(campaign_id=of, order=order, by=request.user.name, why=data.why))

    @get("/api/v1/campaigns", opt=open_to("operator", "auditor"), summary="Firmware campaigns")
    async def campaigns() -> CampaignList:
        """The newest twenty, each with its counts and what it waits for."""
        found = current(desk).campaigns
        return CampaignList(campaigns=tuple(msgspec.structs.replace(one, stations=()) for one in found))

    @get("/api/v1/campaigns/{campaign_id:str}", opt=open_to("operator", "auditor"), summary="One firmware campaign")
    async def campaign(campaign_id: Id) -> CampaignView:
        """With each station's step while it is open; of one that is over, the stations that failed."""
        found = next((one for one in current(desk).campaigns if one.campaign_id == campaign_id), None)
        if found is None:
            raise NotFoundException("No such campaign.")
        return found

    @post("/api/v1/campaigns", status_code=200, opt=open_to("operator"), summary="Begin a firmware campaign")
    async def start_campaign(request: Asked, data: JSONBody[CampaignForm]) -> Receipt:
        """409 for a host that the settings do not name, for stations of two kinds, or where nobody needs it."""
        return await put_to(desk, StartCampaign(by=request.user.name, **msgspec.structs.asdict(data)))

    @post(
        "/api/v1/campaigns/{campaign_id:str}/pause",
        status_code=200,
        opt=open_to("operator"),
        summary="Begin with no further station",
    )
    async def pause_campaign(request: Asked, campaign_id: Id, data: JSONBody[WordForm]) -> Receipt:
        """What a station has begun, it ends: OCPP cannot call it back."""
        return await tell("pause", request, campaign_id, data)

    @post(
        "/api/v1/campaigns/{campaign_id:str}/resume",
        status_code=200,
        opt=open_to("operator"),
        summary="Go on with a paused campaign",
    )
    async def resume_campaign(request: Asked, campaign_id: Id, data: JSONBody[WordForm]) -> Receipt:
        """From where it stood."""
        return await tell("resume", request, campaign_id, data)

    @post(
        "/api/v1/campaigns/{campaign_id:str}/abort",
        status_code=200,
        opt=open_to("operator"),
        summary="Give a campaign up",
    )
    async def abort_campaign(request: Asked, campaign_id: Id, data: JSONBody[WordForm]) -> Receipt:
        """For good; what a station has begun, it ends."""
        return await tell("abort", request, campaign_id, data)

    return [campaigns, campaign, start_campaign, pause_campaign, resume_campaign, abort_campaign]
