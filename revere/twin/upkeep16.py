"""A 1.6 station's answers about itself: resets, service, triggers, its lock and cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from revere.links.ocpp16 import wire
from revere.twin.line import Message, Payload
from revere.twin.upkeep import Upkeep

if TYPE_CHECKING:
    from revere.twin.station16 import Station16


class UpkeepDesk16(Upkeep):
    """Service and restarts in 1.6's words."""

    def __init__(self, station: Station16) -> None:
        super().__init__(station)
        self._16 = station
        self.triggers |= {
            "BootNotification": self._trigger_boot,
            "DiagnosticsStatusNotification": lambda: self._tell_idle("DiagnosticsStatusNotification"),
        }
        self.handlers: dict[str, Callable[[Payload], Payload]] = {
            "Reset": self._reset,
            "ChangeAvailability": self._availability,
            "TriggerMessage": self._trigger,
            "UnlockConnector": self._unlock,
            "ClearCache": self._clear_cache,
            "GetLocalListVersion": self._list_version,
            "SendLocalList": self._list,
        }

    def _reset(self, payload: Payload) -> Payload:
        """Soft and Hard both end a transaction; 1.6 has no reset that waits for it."""
        request = msgspec.convert(payload, wire.Reset)
        self._16.cut_off(f"{request.type}Reset")
        self.reset("station", now=True)
        return {"status": "Accepted"}

    def _availability(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.ChangeAvailability)
        if request.connectorId not in (0, 1):
            return {"status": "Rejected"}
        scope = "station" if request.connectorId == 0 else "connector"
        return {"status": self.set_operative(scope, operative=request.type == "Operative")}  # type: ignore[arg-type]

    def _unlock(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.UnlockConnector)
        if request.connectorId != 1:
            return {"status": "NotSupported"}
        self._16.cut_off("UnlockCommand")  # 1.6 ends a transaction, then lets go
        return {"status": "Unlocked"}

    def _clear_cache(self, payload: Payload) -> Payload:
        msgspec.convert(payload, wire.ClearCache)
        return {"status": "Accepted"}

    def _list_version(self, payload: Payload) -> Payload:
        msgspec.convert(payload, wire.GetLocalListVersion)
        return {"listVersion": self._16.tokens.version}

    def _list(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.SendLocalList)
        entries = [
            (entry.idTag, None if entry.idTagInfo is None else entry.idTagInfo.status)
            for entry in request.localAuthorizationList or ()
        ]
        return {"status": self._16.tokens.take(request.listVersion, entries, full=request.updateType == "Full")}

    def _trigger(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.TriggerMessage)
        if request.connectorId not in (None, 0, 1):
            return {"status": "Rejected"}
        tell = self.triggers.get(request.requestedMessage)
        if tell is None:
            return {"status": "NotImplemented"}
        return {"status": "Accepted" if tell() else "Rejected"}

    def _trigger_boot(self) -> bool:
        if self._16.booted:
            self._16.line.post(Message("BootNotification", self._16.identity()))
        else:
            self._16.boot_at_once()
        return True
