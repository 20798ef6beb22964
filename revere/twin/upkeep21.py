"""A 2.x station's answers about itself: resets, service, triggers, locks, caches, network profiles, custom reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from revere.links.ocpp2.wire import v21 as wire
from revere.twin.line import Message, Payload
from revere.twin.upkeep import Part, Scope, Upkeep

if TYPE_CHECKING:
    from revere.twin.station21 import Station21

SLOTS: Final = (1, 2, 3)
"""Where it keeps network profiles."""


class UpkeepDesk(Upkeep):
    """Service and restarts in 2.x's words. ``triggers`` holds what may be triggered; other desks add theirs."""

    def __init__(self, station: Station21) -> None:
        super().__init__(station)
        self._2x = station
        self._resumes = False
        self.networks: dict[int, wire.NetworkConnectionProfile] = {}
        self.triggers |= {
            "BootNotification": self._trigger_boot,
            "TransactionEvent": self._trigger_transaction,
            "LogStatusNotification": lambda: self._tell_idle("LogStatusNotification"),
        }
        self.handlers: dict[str, Callable[[Payload], Payload]] = {
            "Reset": self._reset,
            "ChangeAvailability": self._availability,
            "TriggerMessage": self._trigger,
            "UnlockConnector": self._unlock,
            "ClearCache": self._clear_cache,
            "SetNetworkProfile": self._network,
            "GetReport": self._report,
            "GetLocalListVersion": self._list_version,
            "SendLocalList": self._list,
            "GetTransactionStatus": self._transaction_status,
        }

    # ---- service -------------------------------------------------------------------------------

    def _reset(self, payload: Payload) -> Payload:
        request = self._2x.asked(payload, wire.ResetRequest)
        if request.evseId not in (None, 1):
            return _rejected("UnknownEvse")
        part: Part = "station" if request.evseId is None else "evse"
        if request.type == "ImmediateAndResume" and self._2x.in_session():
            self._resumes = True
            self._2x.rest()
            self.restart(part, "RemoteReset")
            return {"status": "Accepted"}
        return {"status": self.reset(part, now=request.type != "OnIdle")}

    def session_over(self) -> None:
        """A session that ended while it rested does not go on."""
        self._resumes = False
        super().session_over()

    def back(self) -> None:
        """Up again: a session that rests goes on."""
        if self._resumes:
            self._resumes = False
            self._2x.go_on()

    def _availability(self, payload: Payload) -> Payload:
        request = self._2x.asked(payload, wire.ChangeAvailabilityRequest)
        scope: Scope = "station"
        if request.evse is not None:
            if request.evse.id != 1 or request.evse.connectorId not in (None, 1):
                return _rejected("UnknownEvse")
            scope = "evse" if request.evse.connectorId is None else "connector"
        return {"status": self.set_operative(scope, operative=request.operationalStatus == "Operative")}

    def _unlock(self, payload: Payload) -> Payload:
        request = self._2x.asked(payload, wire.UnlockConnectorRequest)
        if (request.evseId, request.connectorId) != (1, 1):
            return {"status": "UnknownConnector"}
        return {"status": "OngoingAuthorizedTransaction" if self._2x.in_session() else "Unlocked"}

    def _clear_cache(self, payload: Payload) -> Payload:
        self._2x.asked(payload, wire.ClearCacheRequest)
        return {"status": "Accepted"}

    def _list_version(self, payload: Payload) -> Payload:
        self._2x.asked(payload, wire.GetLocalListVersionRequest)
        return {"versionNumber": self._2x.tokens.version}

    def _list(self, payload: Payload) -> Payload:
        request = self._2x.asked(payload, wire.SendLocalListRequest)
        entries = [
            (entry.idToken.idToken, None if entry.idTokenInfo is None else entry.idTokenInfo.status)
            for entry in request.localAuthorizationList or ()
        ]
        return {"status": self._2x.tokens.take(request.versionNumber, entries, full=request.updateType == "Full")}

    def _transaction_status(self, payload: Payload) -> Payload:
        request = self._2x.asked(payload, wire.GetTransactionStatusRequest)
        waits = {"messagesInQueue": self._2x.line.holds(request.transactionId)}
        if request.transactionId is None:
            return waits
        return {"ongoingIndicator": request.transactionId == self._2x.transaction_id, **waits}

    def _network(self, payload: Payload) -> Payload:
        request = self._2x.asked(payload, wire.SetNetworkProfileRequest)
        profile = request.connectionData
        if request.configurationSlot not in SLOTS:
            return _rejected("InvalidConfSlot")
        if profile.securityProfile < self._2x.asset.security_profile:
            return _rejected("NoSecurityDowngrade")
        if profile.ocppTransport != "JSON":
            return {"status": "Failed", "statusInfo": {"reasonCode": "InvalidNetworkConf"}}
        self.networks[request.configurationSlot] = profile
        return {"status": "Accepted"}

    # ---- triggers ------------------------------------------------------------------------------

    def _trigger(self, payload: Payload) -> Payload:
        request = self._2x.asked(payload, wire.TriggerMessageRequest)
        evse = request.evse
        if evse is not None and (evse.id not in (0, 1) or evse.connectorId not in (None, 1)):
            return _rejected("UnknownEvse")
        if request.requestedMessage == "StatusNotification" and (evse is None or evse.connectorId is None):
            return _rejected("MissingParam")  # F06.FR.13: a status is a connector's
        tell = self.triggers.get(request.requestedMessage)
        if tell is None:
            return {"status": "NotImplemented"}
        return {"status": "Accepted" if tell() else "Rejected"}

    def _trigger_boot(self) -> bool:
        """Only a station that was not accepted boots again for the asking (F06.FR.17)."""
        if self._2x.booted:
            return False
        self._2x.boot_at_once()
        return True

    def _trigger_transaction(self) -> bool:
        return self._2x.tell_transaction()

    # ---- reports -------------------------------------------------------------------------------

    def _report(self, payload: Payload) -> Payload:
        """B08: the variables asked for by name; a criterion picks components that have that variable, set to true."""
        request = self._2x.asked(payload, wire.GetReportRequest)
        wanted = [
            (one.component.name, one.variable.name if one.variable is not None else None)
            for one in request.componentVariable or ()
        ]
        parts = self._2x.device.report(
            request.requestId,
            "FullInventory",
            self._2x.time.stamp(),
            wanted=wanted or None,
            criteria=request.componentCriteria or (),
        )
        if not parts:
            return {"status": "EmptyResultSet"}
        for part in parts:
            self._2x.line.post(Message("NotifyReport", part, asked=True))
        return {"status": "Accepted"}


def _rejected(code: str) -> dict[str, Any]:
    return {"status": "Rejected", "statusInfo": {"reasonCode": code}}
