"""What a strict 2.1 station does in blocks K and Q beside its profiles: permission, priority, pulls, signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.links.ocpp2.wire import v21 as wire

if TYPE_CHECKING:
    from revere.twin.line import Payload
    from revere.twin.station21 import Station21

V2X_TRANSFERS: Final = frozenset({"DC_BPT", "AC_BPT", "AC_BPT_DER", "DC_ACDP_BPT"})


def refused(code: str, why: str = "") -> Payload:
    """A Rejected with its reason."""
    return {"status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": why[:1024]}}


class V2xDesk:
    """One station's answers to what only a two-way 2.1 station is asked."""

    def __init__(self, station: Station21) -> None:
        self._station = station
        self.allowed = False
        """Whether the running session's vehicle may choose a two-way transfer; what nobody said is charging only."""
        self.handlers = {"NotifyAllowedEnergyTransfer": self._allowed_transfer}

    def authorized(self, allowed: list[str] | None) -> None:
        """What the answer to an Authorize says of the vehicle's choice."""
        self.allowed = bool(V2X_TRANSFERS.intersection(allowed or ()))

    def _allowed_transfer(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, wire.NotifyAllowedEnergyTransferRequest)
        if request.transactionId != self._station.transaction_id:
            return refused("TxNotFound")
        if self._station.asset.discharge_kw <= 0:
            return refused("UnsupportedRequest", "no service renegotiation here")
        self.allowed = bool(V2X_TRANSFERS.intersection(request.allowedEnergyTransfer))
        self._station.reapply()
        return {"status": "Accepted"}
