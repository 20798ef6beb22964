"""A strict OCPP 2.1 station with one EVSE: boots, meters, obeys profiles, refuses what a real one refuses.

It reads and writes the standard's fields by itself; the physics behind it is the plant's. What it does
with a setpoint is visible only in the plant's meters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from revere.links.ocpp2.wire import v21 as wire
from revere.twin.der21 import DerDesk
from revere.twin.device21 import CONTROLS, DeviceModel
from revere.twin.files import FilesDesk21
from revere.twin.line import BadRequest, CallRefused, LinkDown, Message, Payload
from revere.twin.profiles21 import Abilities, Bounds, Moment, ProfileStore, Refusal
from revere.twin.station import Station
from revere.twin.trust import TrustDesk21
from revere.twin.upkeep21 import UpkeepDesk
from revere.twin.v2x21 import V2xDesk

if TYPE_CHECKING:
    from revere.twin.plant import EvseReading, SiteReading

T = TypeVar("T", bound=msgspec.Struct)

SETTLE_S: Final = (12.0, 24.0)
"""From plug-in to the start of charging: handshake, insulation test (ISO 15118), drawn per session."""
GIVES: Final = (
    "ChargingOnly",
    "CentralSetpoint",
    "CentralFrequency",
    "LocalFrequency",
    "ExternalSetpoint",
    "ExternalLimits",
    "Idle",
)
"""The operation modes of a two-way station; one that reads the site's meter balances its load besides."""
BALANCES_S: Final = 10.0
DEFAULT: Final = "TxDefaultProfile"
UNITS: Final = {"SoC": "Percent", "Power.Active.Import": "W", "Power.Active.Export": "W"}


class Station21(Station):
    """One 2.1 station: a transaction from plug-in to plug-out, Dynamic profiles above a daily default."""

    subprotocol = "ocpp2.1"

    def start_protocol(self) -> None:
        """Lay out profiles and device model."""
        self.abilities = self.nameplate()
        self.profiles = ProfileStore(abilities=self.abilities)
        self.device = DeviceModel(self.asset, self.abilities, self._variable_changed)
        self.transaction_id: str | None = None
        self.transaction_start_s = 0.0
        self.ready_s = math.inf
        self._seq = 0
        self._transactions = 0
        self._event_number = 0
        self._mode = "ChargingOnly"
        self._authorized = False
        self._charging = False
        self.upkeep = UpkeepDesk(self)
        self.files = FilesDesk21(self)
        self.trust = TrustDesk21(self)
        self.v2x = V2xDesk(self)
        self.der = DerDesk(self, CONTROLS if self.asset.discharge_kw > 0 else ())
        self._handlers = {
            "GetVariables": self._get_variables,
            "SetVariables": self._set_variables,
            "GetBaseReport": self._base_report,
            "SetChargingProfile": self._set_profile,
            "UpdateDynamicSchedule": self._update_dynamic,
            "ClearChargingProfile": self._clear_profile,
            "GetCompositeSchedule": self._composite,
            "RequestStartTransaction": self._remote_start,
            "RequestStopTransaction": self._remote_stop,
            **self.upkeep.handlers,
            **self.files.handlers,
            **self.trust.handlers,
            **self.v2x.handlers,
            **self.der.handlers,
        }

    def nameplate(self) -> Abilities:
        """What the station can do."""
        both_ways = self.asset.discharge_kw > 0
        balances = ("LocalLoadBalancing",) if self.asset.meters_site else ()
        return Abilities(
            charge_w=self.asset.charge_kw * 1000,
            discharge_w=self.asset.discharge_kw * 1000,
            modes=(*GIVES, *balances) if both_ways else ("ChargingOnly", "Idle"),
        )

    # ---- boot ----------------------------------------------------------------------------------

    async def boot(self) -> None:
        """BootNotification until accepted, then the connector's status."""
        reason = self.upkeep.take_boot_reason("PowerUp" if self.line.counters.connects == 1 else "Unknown")
        while True:
            answer = await self.line.call(
                "BootNotification",
                {
                    "reason": reason,
                    "chargingStation": {
                        "model": self.asset.model,
                        "vendorName": self.asset.vendor,
                        "serialNumber": self.serial,
                        "firmwareVersion": self.files.updater.version,
                    },
                },
            )
            self.time.told(answer["currentTime"])
            if answer["status"] == "Accepted":
                break
            await self.wait_to_boot(float(answer["interval"]))
        self.booted = True
        self.device.put("OCPPCommCtrlr", "HeartbeatInterval", str(int(answer["interval"]) or 300))
        self.tell_status()
        self.files.updater.booted()
        if self.plugged:
            self.plugged_in()
        self.upkeep.back()

    def tell_status(self) -> None:
        """The connector's status."""
        word = "Unavailable" if self.upkeep.out else "Occupied" if self.plugged else "Available"
        self.line.post(
            Message(
                "StatusNotification",
                {
                    "timestamp": self.time.stamp(),
                    "connectorStatus": word,
                    "evseId": 1,
                    "connectorId": 1,
                },
            )
        )

    def heartbeat_s(self) -> float:
        """Seconds between heartbeats."""
        return float(self.device.integer("OCPPCommCtrlr", "HeartbeatInterval"))

    def sample_s(self) -> float:
        """Seconds between periodic samples; 0 = none."""
        on = self.device.flag("SampledDataCtrlr", "Enabled")
        own = self.device.of_mode("TxUpdatedInterval", self._mode)
        every_s = self.device.integer("SampledDataCtrlr", "TxUpdatedInterval") if own is None else int(own.value)
        return float(every_s) if on else 0.0

    def aligned_s(self) -> float:
        """Seconds between clock-aligned samples; 0 = none."""
        on = self.device.flag("AlignedDataCtrlr", "Enabled")
        return float(self.device.integer("AlignedDataCtrlr", "Interval")) if on else 0.0

    def _variable_changed(self, component: str, name: str) -> None:
        if name == "TxUpdatedInterval":
            self.arm_samples()
        elif (component, name) == ("AlignedDataCtrlr", "Interval"):
            self.arm_aligned()
        elif (component, name) == ("OCPPCommCtrlr", "HeartbeatInterval"):
            self.arm_heartbeat()

    # ---- the session ---------------------------------------------------------------------------

    def plugged_in(self) -> None:
        """The cable is in: status, then a transaction once the vehicle has shaken hands."""
        if not self.booted or self.upkeep.out or self.transaction_id is not None:
            return
        self.tell_status()
        delay_s = float(self.rng.uniform(*SETTLE_S))
        self.later("begin", delay_s, lambda: self.work(self._begin(self.vehicle.token)))

    def unplugged(self) -> None:
        """The cable is out: the transaction ends with its last registers."""
        self.cancel("begin")
        self._end("EVCommunicationLost", "EVDisconnected")
        if self.booted:
            self.tell_status()

    def mark_offline(self, payload: Payload) -> None:
        """Say that a TransactionEvent was made or held while offline."""
        payload["offline"] = True

    async def _begin(self, token: str) -> None:
        if self.transaction_id is not None or not self.plugged or self.upkeep.out or self.files.updater.installing:
            return
        self._authorized = True
        self.v2x.begun()
        try:
            answer = await self.line.call("Authorize", {"idToken": {"idToken": token, "type": "Central"}})
            self._authorized = answer["idTokenInfo"]["status"] == "Accepted"
            allowed = answer.get("allowedEnergyTransfer")
            self.v2x.authorized(allowed)
        except LinkDown:
            self._authorized = self.tokens.lets_charge(token)  # the central system hears later
        except CallRefused:
            self._authorized = False
        if not self._authorized or not self.plugged or self.transaction_id is not None:
            return
        self._transactions += 1
        self.transaction_id = f"{self.asset.id[-20:]}-{int(self.time.true_s())}-{self._transactions}"
        self.transaction_start_s, self._seq, self._charging = self.time.now_s(), 0, True
        reading = self.read()
        self._event(
            "Started",
            "CablePluggedIn",
            reading,
            "Transaction.Begin",
            "TxStartedMeasurands",
            state="Charging",
            token=token,
            on_result=self._judged,
        )
        self._tell_needs(reading)
        self.reapply()
        self.arm_samples()

    def _judged(self, result: Payload) -> None:
        status = (result.get("idTokenInfo") or {}).get("status", "Accepted")
        if status != "Accepted":
            self._end("Deauthorized", "DeAuthorized")

    def _tell_needs(self, reading: EvseReading) -> None:
        journey = self.plant.next_journey(self.row, self.time.true_s())
        needs = self.needs(reading)
        if journey is not None:
            needs["departureTime"] = self.time.stamp(journey.depart_s)
        self.line.post(Message("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs} | self.stamped()))

    def stamped(self) -> Payload:
        """The time of what the vehicle said, where the edition has a field for it."""
        return {"timestamp": self.time.stamp()}

    def needs(self, reading: EvseReading) -> Payload:
        """The vehicle's ChargingNeeds without its departure."""
        vehicle, both_ways = self.vehicle, self.asset.discharge_kw > 0
        needs: Payload = {
            "requestedEnergyTransfer": "DC_BPT" if both_ways else "DC",
            "availableEnergyTransfer": ["DC", "DC_BPT"] if both_ways else ["DC"],
            "controlMode": "DynamicControl",
            "mobilityNeedsMode": "EVCC_SECC",
            "dcChargingParameters": {
                "evMaxCurrent": round(vehicle.charge_kw * 1000 / 400, 1),
                "evMaxVoltage": 800,
                "evMaxPower": vehicle.charge_kw * 1000,
                "evEnergyCapacity": round(vehicle.capacity_kwh * 1000),
                "stateOfCharge": round(reading.soc * 100),
            },
        }
        if both_ways:
            needs["v2xChargingParameters"] = {
                "minChargePower": 0,
                "maxChargePower": min(self.asset.charge_kw, vehicle.charge_kw) * 1000,
                "minDischargePower": 0,
                "maxDischargePower": min(self.asset.discharge_kw, vehicle.discharge_kw) * 1000,
            }
        return needs

    def rest(self) -> None:
        """The station starts anew and will go on with its transaction: no power until then."""
        self._charging = False
        self._event("Updated", "ResetCommand", self.read(), "Other", "TxUpdatedMeasurands", state="SuspendedEVSE")
        self.reapply()

    def go_on(self) -> None:
        """Go on with the transaction that rested."""
        self._charging = True
        self._event("Updated", "TxResumed", self.read(), "Other", "TxUpdatedMeasurands", state="Charging")
        self.reapply()
        self.arm_samples()

    def cut_off(self, reason: str) -> None:
        """End the transaction because the station starts anew."""
        self._end("ResetCommand", reason)

    def _end(self, trigger: str, reason: str) -> None:
        if self.transaction_id is None:
            return
        self._charging = False
        self.command(0.0)
        self._event("Ended", trigger, self.read(), "Transaction.End", "TxEndedMeasurands", state="Idle", stopped=reason)
        self.profiles.end_transaction(self.transaction_id)
        self.transaction_id = None
        self.upkeep.session_over()
        self.files.updater.session_ended()

    def _event(
        self,
        kind: str,
        trigger: str,
        reading: EvseReading,
        context: str,
        measurands: str,
        *,
        state: str | None = None,
        token: str | None = None,
        stopped: str | None = None,
        on_result: Any = None,
        at_s: float | None = None,
    ) -> None:
        info: Payload = {"transactionId": self.transaction_id}
        if state is not None:
            info["chargingState"] = state
        if stopped is not None:
            info["stoppedReason"] = stopped
        if self.asset.protocol == "ocpp2.1":
            info["operationMode"] = self._mode
        stamp = self.time.stamp(at_s)
        payload: Payload = {
            "eventType": kind,
            "timestamp": stamp,
            "triggerReason": trigger,
            "seqNo": self._seq,
            "transactionInfo": info,
            "evse": {"id": 1, "connectorId": 1},
        }
        values = _evse_values(reading, context, self._sampled(measurands))
        if values:
            payload["meterValue"] = [{"timestamp": stamp, "sampledValue": values}]
        if token is not None:
            payload["idToken"] = {"idToken": token, "type": "Central"}
        self._seq += 1
        self.line.post(Message("TransactionEvent", payload, keep=True, on_result=on_result))

    def _sampled(self, measurands: str) -> tuple[str, ...]:
        """What a message of the transaction holds, by the mode that its session is in."""
        own = self.device.of_mode(measurands, self._mode)
        if own is not None:
            return tuple(word for word in own.value.split(",") if word)
        component = "AlignedDataCtrlr" if measurands == "Measurands" else "SampledDataCtrlr"
        return self.device.members(component, measurands)

    # ---- meters --------------------------------------------------------------------------------

    def in_session(self) -> bool:
        """Whether a transaction runs."""
        return self.transaction_id is not None

    def sample_evse(self) -> None:
        """A periodic sample of the transaction."""
        self._event("Updated", "MeterValuePeriodic", self.read(), "Sample.Periodic", "TxUpdatedMeasurands")

    def align_evse(self, edge_s: float) -> None:
        """A clock-aligned sample: of the transaction, or of the idle EVSE."""
        reading = self.read()
        if self.transaction_id is not None:
            self._event("Updated", "MeterValueClock", reading, "Sample.Clock", "Measurands", at_s=edge_s)
        else:
            self._meter_values(1, self._aligned_values(reading, "Sample.Clock"), edge_s)

    def _aligned_values(self, reading: EvseReading, context: str) -> list[Payload]:
        return _evse_values(reading, context, self.device.members("AlignedDataCtrlr", "Measurands"))

    def meter_site(self, reading: SiteReading, edge_s: float) -> None:
        """The site's main meter, as EVSE 0."""
        self._meter_values(0, _site_values(reading, "Sample.Clock"), edge_s)

    def _meter_values(self, evse_id: int, values: list[Payload], at_s: float | None = None) -> None:
        if values:
            meter_value = {"timestamp": self.time.stamp(at_s), "sampledValue": values}
            self.line.post(Message("MeterValues", {"evseId": evse_id, "meterValue": [meter_value]}))

    def tell_meter(self) -> None:
        """The EVSE's meter now, for the asking."""
        self._meter_values(1, self._aligned_values(self.read(), "Trigger"))

    def tell_transaction(self) -> bool:
        """The transaction as it stands, for the asking; False where none runs."""
        if self.transaction_id is None:
            return False
        self._event("Updated", "Trigger", self.read(), "Trigger", "TxUpdatedMeasurands", state="Charging")
        return True

    # ---- power ---------------------------------------------------------------------------------

    def moment(self) -> Moment:
        """What the profiles are judged by now."""
        return Moment(
            now_s=self.time.now_s(),
            transaction_id=self.transaction_id,
            transaction_start_s=self.transaction_start_s,
            offline_since_s=self.offline_since_s,
            priority=self.v2x.priority,
        )

    def reapply(self) -> None:
        """Aim the converter at what the profiles come to, until the next moment at which they change."""
        moment = self.moment()
        self.profiles.lapse(moment)
        bounds, until_s = self.profiles.in_force(moment)
        before_s, self._mode = self.sample_s(), bounds.mode
        if self.sample_s() != before_s:
            self.arm_samples()
        running = self.transaction_id is not None and self._charging
        self.command(self.profiles.wanted_kw(bounds, self.v2x.known(bounds.mode)) if running else 0.0)
        self.reapply_in(min(until_s - moment.now_s, BALANCES_S if bounds.mode == "LocalLoadBalancing" else math.inf))

    def rest_of_site_kw(self) -> float:
        """What the site's main meter shows without this station."""
        return self.plant.site_meter(self.site_row, self.time.true_s()).power_kw - self.read().power_kw

    # ---- what the central system asks ----------------------------------------------------------

    def answer(self, action: str, payload: Payload) -> Payload:
        """Answer a CALL, or raise :class:`BadRequest`."""
        handler = self._handlers.get(action)
        if handler is None:
            raise BadRequest("NotImplemented", action)
        try:
            return handler(payload)
        except msgspec.ValidationError as error:
            raise BadRequest("FormatViolation", str(error)) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRequest("OccurrenceConstraintViolation", repr(error)) from error

    def asked(self, payload: Payload, kind: type[T]) -> T:
        """What the central system asks, as the standard's struct; raises ``ValidationError`` for anything else."""
        return msgspec.convert(payload, kind)

    def _get_variables(self, payload: Payload) -> Payload:
        self.asked(payload, wire.GetVariablesRequest)
        return self.device.get(payload)

    def _set_variables(self, payload: Payload) -> Payload:
        self.asked(payload, wire.SetVariablesRequest)
        return self.device.set(payload)

    def _base_report(self, payload: Payload) -> Payload:
        request = self.asked(payload, wire.GetBaseReportRequest)
        if request.reportBase not in ("FullInventory", "ConfigurationInventory"):
            return {"status": "NotSupported"}
        for part in self.device.report(request.requestId, request.reportBase, self.time.stamp()):
            self.line.post(Message("NotifyReport", part, asked=True))
        return {"status": "Accepted"}

    def _set_profile(self, payload: Payload) -> Payload:
        request = self.asked(payload, wire.SetChargingProfileRequest)
        delay_s = float(self.rng.uniform(0.0, request.chargingProfile.chargingSchedule[0].randomizedDelay or 0.0))
        try:
            if self.files.updater.refuses_default and request.chargingProfile.chargingProfilePurpose == DEFAULT:
                raise Refusal("InternalError", "no default profile is kept any more")
            self.profiles.set(
                request.evseId, request.chargingProfile, self.moment(), delay_s, v2x_allowed=self.v2x.allowed
            )
        except Refusal as refusal:
            return self._refused(refusal)
        self.v2x.arm_pull(request.chargingProfile)
        self.reapply()
        return {"status": "Accepted"}

    def _update_dynamic(self, payload: Payload) -> Payload:
        request = self.asked(payload, wire.UpdateDynamicScheduleRequest)
        try:
            self.profiles.update(request.chargingProfileId, request.scheduleUpdate, self.time.now_s())
        except Refusal as refusal:
            return self._refused(refusal)
        self.reapply()
        return {"status": "Accepted"}

    def _refused(self, refusal: Refusal) -> Payload:
        self.refusals[refusal.code] = self.refusals.get(refusal.code, 0) + 1
        return {"status": "Rejected", "statusInfo": {"reasonCode": refusal.code, "additionalInfo": refusal.why[:1024]}}

    def _clear_profile(self, payload: Payload) -> Payload:
        request = self.asked(payload, wire.ClearChargingProfileRequest)
        gone = self.profiles.clear(request.chargingProfileId, request.chargingProfileCriteria)
        self.reapply()
        return {"status": "Accepted" if gone else "Unknown"}

    def _composite(self, payload: Payload) -> Payload:
        request = self.asked(payload, wire.GetCompositeScheduleRequest)
        if request.evseId not in (0, 1) or request.chargingRateUnit == "A":
            return {"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedRateUnit"}}
        moment = self.moment()
        periods: list[Payload] = []
        for after_s, bounds in self.profiles.composite(moment, request.duration):
            period: Payload = {"startPeriod": after_s} | self.worded(bounds)
            for name, value in (
                ("limit", bounds.limit_w),
                ("setpoint", bounds.setpoint_w),
                ("dischargeLimit", bounds.discharge_limit_w),
            ):
                if value is not None:
                    period[name] = value
            periods.append(period)
        return {
            "status": "Accepted",
            "schedule": {
                "evseId": request.evseId,
                "duration": request.duration,
                "scheduleStart": self.time.stamp(moment.now_s),
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": periods,
            },
        }

    def worded(self, bounds: Bounds) -> Payload:
        """What of a composite period only this edition can say."""
        return {"operationMode": bounds.mode}

    def _remote_start(self, payload: Payload) -> Payload:
        request = self.asked(payload, wire.RequestStartTransactionRequest)
        if not self.booted or self.upkeep.out or self.files.updater.installing:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "NotEnabled"}}
        if request.evseId not in (None, 1) or not self.plugged or self.transaction_id is not None:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "TxInProgress"}}
        self.work(self._begin(request.idToken.idToken))
        return {"status": "Accepted"}

    def _remote_stop(self, payload: Payload) -> Payload:
        request = self.asked(payload, wire.RequestStopTransactionRequest)
        if request.transactionId != self.transaction_id:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}
        self._end("RemoteStop", "Remote")
        return {"status": "Accepted"}

    # ---- the grid ------------------------------------------------------------------------------

    def grid_changed(self, *, dead: bool, stamp: str) -> None:
        """The site-metering station reports a dead grid, or its return, as its protection saw it."""
        payload: Payload = {
            "controlType": "LVMustTrip",
            "timestamp": stamp,
            "gridEventFault": "UnderVoltage",
            "alarmEnded": not dead,
        }
        self.line.post(Message("NotifyDERAlarm", payload))

    def switch_changed(self, *, is_open: bool, stamp: str) -> None:
        """The site-metering station reports its transfer switch."""
        self.notify("TransferSwitch", "State", "Open" if is_open else "Closed", stamp)

    def notify(self, component: str, variable: str, value: str, stamp: str) -> None:
        """A monitored variable has changed at ``stamp``."""
        self._event_number += 1
        event: Payload = {
            "eventId": self._event_number,
            "timestamp": stamp,
            "trigger": "Delta",
            "actualValue": value,
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": component},
            "variable": {"name": variable},
        }
        self.line.post(
            Message("NotifyEvent", {"generatedAt": self.time.stamp(), "seqNo": 0, "tbc": False, "eventData": [event]})
        )


def _evse_values(reading: EvseReading, context: str, measurands: tuple[str, ...]) -> list[Payload]:
    """SampledValues of the EVSE's grid side (Inlet); the vehicle's soc as it says (EV)."""
    power_w = round(reading.power_kw * 1000, 1)
    values = {
        "Energy.Active.Import.Register": reading.import_wh,
        "Energy.Active.Export.Register": reading.export_wh,
        "Power.Active.Import": max(power_w, 0.0),
        "Power.Active.Export": max(-power_w, 0.0),
        "SoC": round(reading.soc * 100, 2),
    }
    return [
        _value(values[name], name, context, "EV" if name == "SoC" else "Inlet")
        for name in measurands
        if name != "SoC" or reading.plugged
    ]


def _site_values(reading: SiteReading, context: str) -> list[Payload]:
    power_w = round(reading.power_kw * 1000, 1)
    return [
        _value(reading.import_wh, "Energy.Active.Import.Register", context, "Inlet"),
        _value(reading.export_wh, "Energy.Active.Export.Register", context, "Inlet"),
        _value(max(power_w, 0.0), "Power.Active.Import", context, "Inlet"),
        _value(max(-power_w, 0.0), "Power.Active.Export", context, "Inlet"),
    ]


def _value(value: float, measurand: str, context: str, location: str) -> Payload:
    return {
        "value": value,
        "measurand": measurand,
        "context": context,
        "location": location,
        "unitOfMeasure": {"unit": UNITS.get(measurand, "Wh")},
    }
