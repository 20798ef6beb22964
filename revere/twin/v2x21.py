"""What a strict 2.1 station does in blocks K and Q beside its profiles: permission, priority, pulls, signals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from revere.links.ocpp2.wire import v21 as wire
from revere.twin.line import Message
from revere.twin.profiles21 import Outside, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.twin.line import Payload
    from revere.twin.profiles21 import Installed
    from revere.twin.station21 import Station21

V2X_TRANSFERS: Final = frozenset({"DC_BPT", "AC_BPT", "AC_BPT_DER", "DC_ACDP_BPT"})
PROFILES_PER_REPORT: Final = 5


def refused(code: str, why: str = "") -> Payload:
    """A Rejected with its reason."""
    return {"status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": why[:1024]}}


class V2xDesk:
    """One station's answers to what only a two-way 2.1 station is asked, and what it hears from elsewhere."""

    def __init__(self, station: Station21) -> None:
        self._station = station
        self.allowed = False
        """Whether the running session's vehicle may choose a two-way transfer; what nobody said is charging only."""
        self.priority = False
        self.outside = Outside()
        self.handlers: dict[str, Callable[[Payload], Payload]] = {
            "NotifyAllowedEnergyTransfer": self._allowed_transfer,
            "UsePriorityCharging": self._use_priority,
            "AFRRSignal": self._signal,
            "GetChargingProfiles": self._get_profiles,
        }

    def authorized(self, allowed: list[str] | None) -> None:
        """What the answer to an Authorize says of the vehicle's choice."""
        self.allowed = bool(V2X_TRANSFERS.intersection(allowed or ()))

    def begun(self) -> None:
        """A session begins: nobody has allowed its vehicle to give, nor asked for priority."""
        self.allowed = self.priority = False

    def known(self, mode: str) -> Outside:
        """What no profile says: others' limits and setpoint, the last signal, the inverter's own limit, the site."""
        outside, own_w = self.outside, self._station.der.discharge_limit_w()
        if own_w is not None:
            given_w = outside.discharge_limit_w
            outside = replace(outside, discharge_limit_w=own_w if given_w is None else max(own_w, given_w))
        if mode == "LocalLoadBalancing":
            outside = replace(outside, rest_w=self._station.rest_of_site_kw() * 1000)
        return outside

    def _allowed_transfer(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, wire.NotifyAllowedEnergyTransferRequest)
        if request.transactionId != self._station.transaction_id:
            return refused("TxNotFound")
        if self._station.asset.discharge_kw <= 0:
            return refused("UnsupportedRequest", "no service renegotiation here")
        self.allowed = bool(V2X_TRANSFERS.intersection(request.allowedEnergyTransfer))
        self._station.reapply()
        return {"status": "Accepted"}

    # ---- priority --------------------------------------------------------------------------------

    def _use_priority(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, wire.UsePriorityChargingRequest)
        if request.transactionId != self._station.transaction_id:
            return refused("TxNotFound")
        purposes = {kept.profile.chargingProfilePurpose for kept in self._station.profiles.installed.values()}
        if "PriorityCharging" not in purposes:
            return {"status": "NoProfile"}
        self.priority = request.activate
        self._station.reapply()
        return {"status": "Accepted"}

    def press_priority(self, *, active: bool) -> None:
        """The driver asks for priority at the station itself (K22)."""
        self.priority = active
        payload = {"transactionId": self._station.transaction_id, "activated": active}
        self._station.line.post(Message("NotifyPriorityCharging", payload))
        self._station.reapply()

    # ---- frequency -------------------------------------------------------------------------------

    def _signal(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, wire.AFRRSignalRequest)
        bounds, _ = self._station.profiles.in_force(self._station.moment())
        if not bounds.signal_w:
            return refused("NoSignalWattCurve", "no period with a signal curve is in force")
        self.outside = replace(self.outside, signal=request.signal)
        self._station.reapply()
        return {"status": "Accepted"}

    # ---- others' limits ----------------------------------------------------------------------------

    def limit_from_outside(
        self, limit_w: float | None, discharge_limit_w: float | None = None, setpoint_w: float | None = None
    ) -> None:
        """An energy manager sets a limit (and a setpoint, for ExternalSetpoint); the management system hears."""
        values = {"limit": limit_w, "dischargeLimit": discharge_limit_w, "setpoint": setpoint_w}
        period: Payload = {"startPeriod": 0} | {name: value for name, value in values.items() if value is not None}
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
        self.outside = replace(
            self.outside, limit_w=limit_w, discharge_limit_w=discharge_limit_w, setpoint_w=setpoint_w
        )
        payload: Payload = {
            "evseId": 1,
            "chargingLimit": {"chargingLimitSource": "EMS"},
            "chargingSchedule": [schedule],
        }
        self._station.line.post(Message("NotifyChargingLimit", payload))
        self._station.reapply()

    def lift_from_outside(self) -> None:
        """The energy manager lets go."""
        self.outside = replace(self.outside, limit_w=None, discharge_limit_w=None, setpoint_w=None)
        self._station.line.post(Message("ClearedChargingLimit", {"evseId": 1, "chargingLimitSource": "EMS"}))
        self._station.reapply()

    # ---- profiles pulled and reported --------------------------------------------------------------

    def arm_pull(self, profile: wire.ChargingProfile) -> None:
        """A Dynamic profile with an interval is asked for again and again."""
        if profile.chargingProfileKind == "Dynamic" and profile.dynUpdateInterval:
            self._station.later(f"pull{profile.id}", float(profile.dynUpdateInterval), lambda: self._pull(profile))

    def _pull(self, profile: wire.ChargingProfile) -> None:
        kept = self._station.profiles.installed.get(profile.id)
        if kept is None or kept.profile is not profile:
            return
        post = Message(
            "PullDynamicScheduleUpdate",
            {"chargingProfileId": profile.id},
            on_result=lambda answer: self._pulled(profile.id, answer),
        )
        self._station.line.post(post)
        self.arm_pull(profile)

    def _pulled(self, profile_id: int, answer: Payload) -> None:
        update = answer.get("scheduleUpdate")
        if answer["status"] != "Accepted" or update is None:
            return
        changes = self._station.asked(update, wire.ChargingScheduleUpdate)
        try:
            self._station.profiles.update(profile_id, changes, self._station.time.now_s())
        except Refusal as refusal:
            self._station.refusals[refusal.code] = self._station.refusals.get(refusal.code, 0) + 1
            return
        self._station.reapply()

    def _get_profiles(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, wire.GetChargingProfilesRequest)
        criterion = request.chargingProfile
        given = (criterion.chargingProfilePurpose, criterion.stackLevel, criterion.chargingProfileId)
        if criterion.chargingLimitSource is None and all(value is None for value in given) and request.evseId is None:
            return {"status": "NoProfiles", "statusInfo": {"reasonCode": "MissingParam"}}
        found = self._station.profiles.reported(request.evseId, criterion)
        if not found:
            return {"status": "NoProfiles"}
        by_evse: dict[int, list[Installed]] = {}
        for kept in found:
            by_evse.setdefault(kept.evse_id, []).append(kept)
        chunks = [
            (evse_id, kept[start : start + PROFILES_PER_REPORT])
            for evse_id, kept in by_evse.items()
            for start in range(0, len(kept), PROFILES_PER_REPORT)
        ]
        for number, (evse_id, chunk) in enumerate(chunks):
            report: Payload = {
                "requestId": request.requestId,
                "chargingLimitSource": "CSO",
                "evseId": evse_id,
                "chargingProfile": [said(kept.profile) for kept in chunk],
                "tbc": number < len(chunks) - 1,
            }
            self._station.line.post(Message("ReportChargingProfiles", report))
        return {"status": "Accepted"}


def said(value: msgspec.Struct) -> Any:
    """A struct of the standard as it goes over the wire."""
    return msgspec.to_builtins(value)
