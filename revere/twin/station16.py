"""A strict OCPP 1.6J station that only charges: core profile and smart charging, one connector.

Its profiles are kept in the 2.1 station's store (the stacking rules are the same); what 1.6 says in other
words is read here. Limits are W and never below 0: this station has no way to discharge.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import msgspec

from revere.links.ocpp2.wire import v21 as wire21
from revere.links.ocpp16 import wire
from revere.twin.device21 import MEASURANDS
from revere.twin.files import FilesDesk16
from revere.twin.line import BadRequest, CallRefused, LinkDown, Message, Payload
from revere.twin.profiles21 import PROFILES_MAX, STACK_LEVEL_MAX, Abilities, Moment, ProfileStore, Refusal
from revere.twin.station import Station
from revere.twin.tokens import ENTRIES_MAX, PER_MESSAGE
from revere.twin.trust import TrustDesk16
from revere.twin.upkeep16 import UpkeepDesk16

if TYPE_CHECKING:
    from revere.twin.plant import EvseReading, SiteReading

SETTLE_S: Final = (5.0, 10.0)
PURPOSES: Final = {
    "ChargePointMaxProfile": "ChargingStationMaxProfile",
    "TxDefaultProfile": "TxDefaultProfile",
    "TxProfile": "TxProfile",
}
READ_ONLY: Final = {
    "NumberOfConnectors": "1",
    "SupportedFeatureProfiles": "Core,LocalAuthListManagement,SmartCharging,RemoteTrigger",
    "LocalAuthListEnabled": "true",
    "LocalAuthListMaxLength": str(ENTRIES_MAX),
    "SendLocalListMaxLength": str(PER_MESSAGE),
    "ChargeProfileMaxStackLevel": str(STACK_LEVEL_MAX),
    "ChargingScheduleAllowedChargingRateUnit": "Power",
    "ChargingScheduleMaxPeriods": "1024",
    "MaxChargingProfilesInstalled": str(PROFILES_MAX),
}
INTERVALS: Final = {"HeartbeatInterval": "300", "MeterValueSampleInterval": "60", "ClockAlignedDataInterval": "900"}
LISTS: Final = {
    "MeterValuesSampledData": "Energy.Active.Import.Register",
    "MeterValuesAlignedData": "Energy.Active.Import.Register",
    "StopTxnSampledData": "",
}
UNITS: Final = {"SoC": "Percent", "Power.Active.Import": "W", "Power.Active.Export": "W"}


class Station16(Station):
    """One 1.6 station: StartTransaction to StopTransaction, limits by profiles."""

    subprotocol = "ocpp1.6"

    def start_protocol(self) -> None:
        """Lay out configuration and profiles."""
        self.abilities = Abilities(
            charge_w=self.asset.charge_kw * 1000,
            discharge_w=0.0,
            modes=("ChargingOnly",),
            dynamic=False,
            update_rate_s=0.0,
        )
        self.profiles = ProfileStore(abilities=self.abilities)
        self.configuration = {**INTERVALS, **LISTS}
        self.transaction: int | None = None
        self.transaction_start_s = 0.0
        self.upkeep = UpkeepDesk16(self)
        self.files = FilesDesk16(self)
        self.trust = TrustDesk16(self)
        self._unnumbered = itertools.count(-1, -1)
        self._handlers = {
            "ChangeConfiguration": self._change,
            "GetConfiguration": self._configuration,
            "SetChargingProfile": self._set_profile,
            "ClearChargingProfile": self._clear_profile,
            "GetCompositeSchedule": self._composite,
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            **self.upkeep.handlers,
            **self.files.handlers,
            **self.trust.handlers,
        }

    # ---- boot ----------------------------------------------------------------------------------

    def identity(self) -> Payload:
        """Who it says that it is."""
        return {
            "chargePointVendor": self.asset.vendor[:20],
            "chargePointModel": self.asset.model[:20],
            "chargePointSerialNumber": self.serial[:25],
            "firmwareVersion": self.files.updater.version,
        }

    async def boot(self) -> None:
        """BootNotification until accepted, then the connector's status."""
        while True:
            answer = await self.line.call("BootNotification", self.identity())
            self.time.told(answer["currentTime"])
            if answer["status"] == "Accepted":
                break
            await self.wait_to_boot(float(answer["interval"]))
        self.booted = True
        self.configuration["HeartbeatInterval"] = str(int(answer["interval"]) or 300)
        self.tell_status()
        self.files.updater.booted()
        if self.plugged:
            self.plugged_in()

    def tell_status(self) -> None:
        """The connector's status."""
        idle = "Preparing" if self.plugged else "Available"
        if self.upkeep.out:
            idle = "Unavailable"
        status = idle if self.transaction is None else "Charging"
        self.line.post(
            Message(
                "StatusNotification",
                {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": self.time.stamp()},
            )
        )

    def heartbeat_s(self) -> float:
        """Seconds between heartbeats."""
        return float(self.configuration["HeartbeatInterval"])

    def sample_s(self) -> float:
        """Seconds between periodic samples; 0 = none."""
        return float(self.configuration["MeterValueSampleInterval"])

    def aligned_s(self) -> float:
        """Seconds between clock-aligned samples; 0 = none."""
        return float(self.configuration["ClockAlignedDataInterval"])

    # ---- the session ---------------------------------------------------------------------------

    def plugged_in(self) -> None:
        """The cable is in: the vehicle's own tag authorises after a moment."""
        if self.booted and not self.upkeep.out and self.transaction is None:
            self.tell_status()
            self.later("begin", float(self.rng.uniform(*SETTLE_S)), lambda: self.work(self._begin(self.vehicle.token)))

    def unplugged(self) -> None:
        """The cable is out."""
        self.cancel("begin")
        self._end("EVDisconnected")
        if self.booted:
            self.tell_status()

    async def _begin(self, token: str) -> None:
        if self.files.updater.installing:
            return
        try:
            answer = await self.line.call("Authorize", {"idTag": token})
            allowed = answer["idTagInfo"]["status"] == "Accepted"
        except LinkDown:
            allowed = self.tokens.lets_charge(token)  # the central system hears later
        except CallRefused:
            allowed = False
        if not allowed or not self.plugged or self.upkeep.out or self.transaction is not None:
            return
        self.transaction = next(self._unnumbered)
        self.transaction_start_s = self.time.now_s()
        own = self.transaction
        payload = {
            "connectorId": 1,
            "idTag": token,
            "meterStart": self.read().import_wh,
            "timestamp": self.time.stamp(),
        }
        self.line.post(
            Message("StartTransaction", payload, keep=True, on_result=lambda result: self._numbered(own, result))
        )
        self.tell_status()
        self.reapply()
        self.arm_samples()

    def _numbered(self, own: int, result: Payload) -> None:
        number = int(result["transactionId"])

        def rename(payload: Payload) -> None:
            if payload.get("transactionId") == own:
                payload["transactionId"] = number

        self.line.patch(rename)
        if self.transaction == own:
            self.transaction = number
            if result["idTagInfo"]["status"] != "Accepted":
                self._end("DeAuthorized")

    def cut_off(self, reason: str) -> None:
        """End the transaction, if one runs."""
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self.transaction is None:
            return
        self.command(0.0)
        reading = self.read()
        payload: Payload = {
            "transactionId": self.transaction,
            "meterStop": reading.import_wh,
            "timestamp": self.time.stamp(),
            "reason": reason,
        }
        values = self._values(reading, "Transaction.End", "MeterValuesSampledData")
        if values:
            payload["transactionData"] = [{"timestamp": self.time.stamp(), "sampledValue": values}]
        self.line.post(Message("StopTransaction", payload, keep=True))
        self.profiles.end_transaction(str(self.transaction))
        self.transaction = None
        self.upkeep.session_over()
        self.files.updater.session_ended()

    # ---- meters --------------------------------------------------------------------------------

    def in_session(self) -> bool:
        """Whether a transaction runs."""
        return self.transaction is not None

    def sample_evse(self) -> None:
        """A periodic sample of the transaction."""
        self._meter_values(1, self._values(self.read(), "Sample.Periodic", "MeterValuesSampledData"))

    def align_evse(self, edge_s: float) -> None:
        """A clock-aligned sample."""
        self._meter_values(1, self._values(self.read(), "Sample.Clock", "MeterValuesAlignedData"), edge_s)

    def meter_site(self, reading: SiteReading, edge_s: float) -> None:
        """The site's main meter, as connector 0."""
        power_w = round(reading.power_kw * 1000, 1)
        values = {
            "Energy.Active.Import.Register": reading.import_wh,
            "Energy.Active.Export.Register": reading.export_wh,
            "Power.Active.Import": max(power_w, 0.0),
            "Power.Active.Export": max(-power_w, 0.0),
        }
        self._meter_values(0, [_value(value, name, "Sample.Clock") for name, value in values.items()], edge_s)

    def _values(self, reading: EvseReading, context: str, key: str) -> list[Payload]:
        power_w = round(reading.power_kw * 1000, 1)
        values = {
            "Energy.Active.Import.Register": reading.import_wh,
            "Energy.Active.Export.Register": reading.export_wh,
            "Power.Active.Import": max(power_w, 0.0),
            "Power.Active.Export": max(-power_w, 0.0),
            "SoC": round(reading.soc * 100, 2),
        }
        names = [name for name in self.configuration[key].split(",") if name]
        return [_value(values[name], name, context) for name in names if name != "SoC" or reading.plugged]

    def _meter_values(self, connector: int, values: list[Payload], at_s: float | None = None) -> None:
        if not values:
            return
        payload: Payload = {
            "connectorId": connector,
            "meterValue": [{"timestamp": self.time.stamp(at_s), "sampledValue": values}],
        }
        in_transaction = connector == 1 and self.transaction is not None
        if in_transaction:
            payload["transactionId"] = self.transaction
        self.line.post(Message("MeterValues", payload, keep=in_transaction))

    def tell_meter(self) -> None:
        """The connector's meter now, for the asking."""
        self._meter_values(1, self._values(self.read(), "Trigger", "MeterValuesSampledData"))

    # ---- power ---------------------------------------------------------------------------------

    def _moment(self) -> Moment:
        return Moment(
            now_s=self.time.now_s(),
            transaction_id=None if self.transaction is None else str(self.transaction),
            transaction_start_s=self.transaction_start_s,
            offline_since_s=self.offline_since_s,
        )

    def reapply(self) -> None:
        """Charge at what the profiles come to, until they next change."""
        moment = self._moment()
        bounds, until_s = self.profiles.in_force(moment)
        self.command(self.profiles.wanted_kw(bounds) if self.transaction is not None else 0.0)
        self.reapply_in(until_s - moment.now_s)

    # ---- what the central system asks ----------------------------------------------------------

    def answer(self, action: str, payload: Payload) -> Payload:
        """Answer a CALL, or raise :class:`BadRequest`."""
        handler = self._handlers.get(action)
        if handler is None:
            raise BadRequest("NotImplemented", action)
        try:
            return handler(payload)
        except msgspec.ValidationError as error:
            raise BadRequest("FormationViolation", str(error)) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRequest("OccurenceConstraintViolation", repr(error)) from error

    def _change(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.ChangeConfiguration)
        key, value = request.key, request.value
        if key in READ_ONLY:
            return {"status": "Rejected"}
        if key not in self.configuration:
            return {"status": "NotSupported"}
        if key in LISTS and not set(value.split(",")) <= {*MEASURANDS, ""}:
            return {"status": "Rejected"}
        if key in INTERVALS and not (value.isdigit() and int(value) <= 86_400):
            return {"status": "Rejected"}
        self.configuration[key] = value
        match key:
            case "MeterValueSampleInterval":
                self.arm_samples()
            case "ClockAlignedDataInterval":
                self.arm_aligned()
            case "HeartbeatInterval":
                self.arm_heartbeat()
        return {"status": "Accepted"}

    def _configuration(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.GetConfiguration)
        known: dict[str, str] = {**self.configuration, **READ_ONLY}
        wanted = request.key or tuple(known)
        return {
            "configurationKey": [
                {"key": key, "readonly": key in READ_ONLY, "value": known[key]} for key in wanted if key in known
            ],
            "unknownKey": [key for key in wanted if key not in known],
        }

    def _set_profile(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.SetChargingProfile)
        given = request.csChargingProfiles
        schedule = given.chargingSchedule
        if any(period.limit < 0 for period in schedule.chargingSchedulePeriod):
            return self._refused(Refusal("InvalidSchedule", "a limit below 0: this station only charges"))
        raw: dict[str, Any] = msgspec.to_builtins(given)
        same: Payload = {key: raw[key] for key in ("validFrom", "validTo", "recurrencyKind") if key in raw}
        profile = msgspec.convert(
            {
                **same,
                "id": given.chargingProfileId,
                "stackLevel": given.stackLevel,
                "chargingProfilePurpose": PURPOSES[given.chargingProfilePurpose],
                "chargingProfileKind": given.chargingProfileKind,
                "transactionId": None if given.transactionId is None else str(given.transactionId),
                "chargingSchedule": [{"id": given.chargingProfileId, **raw["chargingSchedule"]}],
            },
            wire21.ChargingProfile,
        )
        if given.chargingProfilePurpose == "TxProfile" and given.transactionId is None:
            profile = msgspec.structs.replace(profile, transactionId=str(self.transaction))
        try:
            self.profiles.set(request.connectorId, profile, self._moment(), 0.0)
        except Refusal as refusal:
            return self._refused(refusal)
        self.reapply()
        return {"status": "Accepted"}

    def _refused(self, refusal: Refusal) -> Payload:
        self.refusals[refusal.code] = self.refusals.get(refusal.code, 0) + 1
        return {"status": "Rejected"}

    def _clear_profile(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.ClearChargingProfile)
        purpose: Any = PURPOSES.get(request.chargingProfilePurpose or "")
        criteria = wire21.ClearChargingProfile(
            evseId=request.connectorId, chargingProfilePurpose=purpose, stackLevel=request.stackLevel
        )
        gone = self.profiles.clear(request.id, criteria)
        self.reapply()
        return {"status": "Accepted" if gone else "Unknown"}

    def _composite(self, payload: Payload) -> Payload:
        moment = self._moment()
        periods = [
            {"startPeriod": after_s, "limit": round(self.profiles.wanted_kw(bounds) * 1000, 1)}
            for after_s, bounds in self.profiles.composite(moment, int(payload["duration"]))
        ]
        return {
            "status": "Accepted",
            "connectorId": int(payload["connectorId"]),
            "scheduleStart": self.time.stamp(moment.now_s),
            "chargingSchedule": {
                "duration": int(payload["duration"]),
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": periods,
            },
        }

    def _remote_start(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.RemoteStartTransaction)
        if not self.booted or self.upkeep.out or self.files.updater.installing:
            return {"status": "Rejected"}
        if not self.plugged or self.transaction is not None:
            return {"status": "Rejected"}
        self.work(self._begin(request.idTag))
        return {"status": "Accepted"}

    def _remote_stop(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, wire.RemoteStopTransaction)
        if request.transactionId != self.transaction:
            return {"status": "Rejected"}
        self._end("Remote")
        return {"status": "Accepted"}


def _value(value: float, measurand: str, context: str) -> Payload:
    return {
        "value": str(value),
        "context": context,
        "measurand": measurand,
        "location": "EV" if measurand == "SoC" else "Inlet",
        "unit": UNITS.get(measurand, "Wh"),
    }
