"""Blocks H, I, O and S: what a station tells of reservations, payments, displays and battery swaps.

Each is read in full, answered truly and kept in the journal. Nothing is done with it yet: Revere makes no reservations,
takes no payments, writes on no display and swaps no batteries. Who a person is or owes stays out of the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from revere.core.facts import MessageKept
from revere.links.ocpp2.blocks.routes import Route, Routes
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.links.ocpp2.dialog import Dialog

TEXT_MAX_CHARS: Final = 4_000
"""What is kept of one message; the few that may be longer (texts on displays) are cut."""
PERSONAL: Final = frozenset({"idToken", "vatNumber", "vatCompany", "customData"})


async def _keep(dialog: Dialog, action: str, request: Any) -> None:
    told = {name: value for name in request.__struct_fields__ if (value := getattr(request, name)) is not None}
    text = msgspec.json.encode({name: value for name, value in told.items() if name not in PERSONAL}).decode()
    kept = MessageKept(
        at=dialog.line.clock.now(),
        station_id=dialog.line.config.station_id,
        action=action,
        text=text[:TEXT_MAX_CHARS],
    )
    await dialog.line.record([kept])


async def _reservation(dialog: Dialog, request: wire.ReservationStatusUpdateRequest) -> Answered:
    await _keep(dialog, "ReservationStatusUpdate", request)
    return Answered(wire.ReservationStatusUpdateResponse())


async def _display(dialog: Dialog, request: wire.NotifyDisplayMessagesRequest) -> Answered:
    await _keep(dialog, "NotifyDisplayMessages", request)
    return Answered(wire.NotifyDisplayMessagesResponse())


async def _settlement(dialog: Dialog, request: wire.NotifySettlementRequest) -> Answered:
    await _keep(dialog, "NotifySettlement", request)
    return Answered(wire.NotifySettlementResponse())


async def _web_payment(dialog: Dialog, request: wire.NotifyWebPaymentStartedRequest) -> Answered:
    await _keep(dialog, "NotifyWebPaymentStarted", request)
    return Answered(wire.NotifyWebPaymentStartedResponse())


async def _vat(dialog: Dialog, request: wire.VatNumberValidationRequest) -> Answered:
    """A number that nobody has checked is not called valid."""
    await _keep(dialog, "VatNumberValidation", request)
    why = wire.StatusInfo(reasonCode="NotChecked", additionalInfo="this system asks no tax register")
    return Answered(
        wire.VatNumberValidationResponse(
            vatNumber=request.vatNumber, evseId=request.evseId, status="Rejected", statusInfo=why
        )
    )


async def _swap(dialog: Dialog, request: wire.BatterySwapRequest) -> Answered:
    await _keep(dialog, "BatterySwap", request)
    return Answered(wire.BatterySwapResponse())


ROUTES: Final[Routes] = {
    "BatterySwap": Route(wire.BatterySwapRequest, _swap),
    "NotifyDisplayMessages": Route(wire.NotifyDisplayMessagesRequest, _display),
    "NotifySettlement": Route(wire.NotifySettlementRequest, _settlement),
    "NotifyWebPaymentStarted": Route(wire.NotifyWebPaymentStartedRequest, _web_payment),
    "ReservationStatusUpdate": Route(wire.ReservationStatusUpdateRequest, _reservation),
    "VatNumberValidation": Route(wire.VatNumberValidationRequest, _vat),
}
