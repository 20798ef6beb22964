"""Blocks H, I, O and S: what a station tells of reservations, payments, displays and battery swaps.

Each is read in full, answered truly and kept in the journal. Nothing is done with it yet: Revere makes no reservations,
takes no payments, writes on no display and swaps no batteries. Who a person is or owes stays out of the journal. What
is asked of the world of ISO 15118 (``certificates``) is kept in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from revere.core.facts import MessageKept
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import security
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.links.ocpp2.dialog import Dialog

TEXT_MAX_CHARS: Final = 4_000
"""What is kept of one message; the few that may be longer (texts on displays) are cut."""
PERSONAL: Final = frozenset({"idToken", "vatNumber", "vatCompany", "customData", "exiRequest", "prioritizedEMAIDs"})
"""Who a person or a vehicle is; ``exiRequest`` holds the vehicle's own certificate."""


async def keep(dialog: Dialog, action: str, request: Any) -> None:
    """Keep what a station told of something that is not done here."""
    told = {name: value for name in request.__struct_fields__ if (value := getattr(request, name)) is not None}
    text = msgspec.json.encode({name: value for name, value in told.items() if name not in PERSONAL}).decode()
    kept = MessageKept(
        at=dialog.line.clock.now(),
        station_id=dialog.line.config.station_id,
        action=action,
        text=security.clean(text)[:TEXT_MAX_CHARS],
    )
    await dialog.line.record([kept])


def _kept(kind: type[msgspec.Struct], answer: msgspec.Struct) -> Route[Any]:
    """A message that wants no more than to be heard."""
    action = kind.__name__.removesuffix("Request")

    async def take(dialog: Dialog, request: msgspec.Struct) -> Answered:
        await keep(dialog, action, request)
        return Answered(answer)

    return Route(kind, take)


async def _vat(dialog: Dialog, request: wire.VatNumberValidationRequest) -> Answered:
    """A number that nobody has checked is not called valid."""
    await keep(dialog, "VatNumberValidation", request)
    why = wire.StatusInfo(reasonCode="NotChecked", additionalInfo="this system asks no tax register")
    return Answered(
        wire.VatNumberValidationResponse(
            vatNumber=request.vatNumber, evseId=request.evseId, status="Rejected", statusInfo=why
        )
    )


ROUTES: Final[Routes] = {
    "BatterySwap": _kept(wire.BatterySwapRequest, wire.BatterySwapResponse()),
    "NotifyDisplayMessages": _kept(wire.NotifyDisplayMessagesRequest, wire.NotifyDisplayMessagesResponse()),
    "NotifySettlement": _kept(wire.NotifySettlementRequest, wire.NotifySettlementResponse()),
    "NotifyWebPaymentStarted": _kept(wire.NotifyWebPaymentStartedRequest, wire.NotifyWebPaymentStartedResponse()),
    "ReservationStatusUpdate": _kept(wire.ReservationStatusUpdateRequest, wire.ReservationStatusUpdateResponse()),
    "VatNumberValidation": Route(wire.VatNumberValidationRequest, _vat),
}
