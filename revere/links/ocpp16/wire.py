"""OCPP 1.6J messages as the standard writes them: core profile and smart charging.

Names are the standard's own; the house's words begin in ``translate``. Values of samples are
strings here; limits are watts or amperes in tenths. Unknown fields are tolerated; a known field
outside its range is refused. Source: OCPP 1.6 JSON schemas.
"""

# ruff: noqa: N815 - field names are the standard's

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Timestamp = Annotated[dt.datetime, Meta(tz=True)]
IdTag = Annotated[str, Meta(max_length=20)]
Str20 = Annotated[str, Meta(max_length=20)]
Str25 = Annotated[str, Meta(max_length=25)]
Str50 = Annotated[str, Meta(max_length=50)]
Str255 = Annotated[str, Meta(max_length=255)]
Str500 = Annotated[str, Meta(max_length=500)]
SampleText = Annotated[str, Meta(max_length=2500)]
Natural = Annotated[int, Meta(ge=0)]

RegistrationStatus = Literal["Accepted", "Pending", "Rejected"]
ErrorCode = Literal[
    "ConnectorLockFailure",
    "EVCommunicationError",
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "LocalListConflict",
    "NoError",
    "OtherError",
    "OverCurrentFailure",
    "PowerMeterFailure",
    "PowerSwitchFailure",
    "ReaderFailure",
    "ResetFailure",
    "UnderVoltage",
    "OverVoltage",
    "WeakSignal",
]
ChargePointStatus = Literal[
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
]
AuthorizationStatus = Literal["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"]
StopReason = Literal[
    "EmergencyStop",
    "EVDisconnected",
    "HardReset",
    "Local",
    "Other",
    "PowerLoss",
    "Reboot",
    "Remote",
    "SoftReset",
    "UnlockCommand",
    "DeAuthorized",
]
ReadingContext = Literal[
    "Interruption.Begin",
    "Interruption.End",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
    "Other",
]
Measurand = Literal[
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval",
    "Energy.Active.Import.Interval",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "Power.Factor",
    "Current.Import",
    "Current.Export",
    "Current.Offered",
    "Voltage",
    "Frequency",
    "Temperature",
    "SoC",
    "RPM",
]
Phase = Literal["L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"]
Location = Literal["Cable", "EV", "Inlet", "Outlet", "Body"]
Unit = Literal[
    "Wh",
    "kWh",
    "varh",
    "kvarh",
    "W",
    "kW",
    "VA",
    "kVA",
    "var",
    "kvar",
    "A",
    "V",
    "K",
    "Celcius",
    "Celsius",
    "Fahrenheit",
    "Percent",
    "Hertz",
]
ConfigurationStatus = Literal["Accepted", "Rejected", "RebootRequired", "NotSupported"]
AcceptedRejected = Literal["Accepted", "Rejected"]
ProfileStatus = Literal["Accepted", "Rejected", "NotSupported"]
ClearProfileStatus = Literal["Accepted", "Unknown"]
ProfilePurpose = Literal["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"]
ProfileKind = Literal["Absolute", "Recurring", "Relative"]
RecurrencyKind = Literal["Daily", "Weekly"]
ChargingRateUnit = Literal["A", "W"]
MessageTrigger = Literal[
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
]
TriggerStatus = Literal["Accepted", "Rejected", "NotImplemented"]
DataTransferStatus = Literal["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every struct of this protocol: an absent optional field is None and stays off the wire."""


class IdTagInfo(Wire, frozen=True, kw_only=True):
    """Whether a tag may charge."""

    status: AuthorizationStatus
    expiryDate: Timestamp | None = None
    parentIdTag: IdTag | None = None


class SampledValue(Wire, frozen=True, kw_only=True):
    """One measured quantity; None where the station left the standard's default unsaid."""

    value: SampleText
    context: ReadingContext = "Sample.Periodic"
    format: Literal["Raw", "SignedData"] = "Raw"
    measurand: Measurand = "Energy.Active.Import.Register"
    phase: Phase | None = None
    location: Location | None = None
    unit: Unit | None = None


class MeterValue(Wire, frozen=True, kw_only=True):
    """Quantities measured at one moment."""

    timestamp: Timestamp
    sampledValue: Annotated[tuple[SampledValue, ...], Meta(min_length=1)]


class SchedulePeriod(Wire, frozen=True, kw_only=True):
    """What holds from ``startPeriod`` seconds on, in the schedule's unit."""

    startPeriod: int
    limit: float
    numberPhases: int | None = None


class ChargingSchedule(Wire, frozen=True, kw_only=True):
    """Periods after a start. ``duration`` in seconds."""

    chargingRateUnit: ChargingRateUnit
    chargingSchedulePeriod: tuple[SchedulePeriod, ...]
    duration: int | None = None
    startSchedule: Timestamp | None = None
    minChargingRate: float | None = None


class ChargingProfile(Wire, frozen=True, kw_only=True):
    """A schedule with a purpose and a level."""

    chargingProfileId: int
    stackLevel: Natural
    chargingProfilePurpose: ProfilePurpose
    chargingProfileKind: ProfileKind
    chargingSchedule: ChargingSchedule
    transactionId: int | None = None
    recurrencyKind: RecurrencyKind | None = None
    validFrom: Timestamp | None = None
    validTo: Timestamp | None = None


# Charge point to central system ----------------------------------------------------------------------


class BootNotification(Wire, frozen=True, kw_only=True):
    """The charge point started."""

    chargePointVendor: Str20
    chargePointModel: Str20
    chargePointSerialNumber: Str25 | None = None
    chargeBoxSerialNumber: Str25 | None = None
    firmwareVersion: Str50 | None = None
    iccid: Str20 | None = None
    imsi: Str20 | None = None
    meterType: Str25 | None = None
    meterSerialNumber: Str25 | None = None


class BootNotificationResponse(Wire, frozen=True, kw_only=True):
    """Whether it may work; ``interval`` is its heartbeat in seconds."""

    status: RegistrationStatus
    currentTime: Timestamp
    interval: int


class Heartbeat(Wire, frozen=True, kw_only=True):
    """It lives and asks the time."""


class HeartbeatResponse(Wire, frozen=True, kw_only=True):
    """Our time."""

    currentTime: Timestamp


class StatusNotification(Wire, frozen=True, kw_only=True):
    """A connector's state; connector 0 is the charge point itself."""

    connectorId: Natural
    errorCode: ErrorCode
    status: ChargePointStatus
    info: Str50 | None = None
    timestamp: Timestamp | None = None
    vendorId: Str255 | None = None
    vendorErrorCode: Str50 | None = None


class StatusNotificationResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class Authorize(Wire, frozen=True, kw_only=True):
    """May this tag charge?"""

    idTag: IdTag


class AuthorizeResponse(Wire, frozen=True, kw_only=True):
    """Whether it may."""

    idTagInfo: IdTagInfo


class StartTransaction(Wire, frozen=True, kw_only=True):
    """A transaction began; ``meterStart`` in Wh."""

    connectorId: Annotated[int, Meta(ge=1)]
    idTag: IdTag
    meterStart: int
    timestamp: Timestamp
    reservationId: int | None = None


class StartTransactionResponse(Wire, frozen=True, kw_only=True):
    """The number that we gave it."""

    idTagInfo: IdTagInfo
    transactionId: int


class StopTransaction(Wire, frozen=True, kw_only=True):
    """A transaction ended; ``meterStop`` in Wh."""

    meterStop: int
    timestamp: Timestamp
    transactionId: int
    idTag: IdTag | None = None
    reason: StopReason = "Local"
    transactionData: tuple[MeterValue, ...] | None = None


class StopTransactionResponse(Wire, frozen=True, kw_only=True):
    """Received."""

    idTagInfo: IdTagInfo | None = None


class MeterValues(Wire, frozen=True, kw_only=True):
    """Values; connector 0 is the main meter."""

    connectorId: Natural
    meterValue: Annotated[tuple[MeterValue, ...], Meta(min_length=1)]
    transactionId: int | None = None


class MeterValuesResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class DataTransfer(Wire, frozen=True, kw_only=True):
    """A vendor's own message, either way."""

    vendorId: Str255
    messageId: Str50 | None = None
    data: str | None = None


class DataTransferResponse(Wire, frozen=True, kw_only=True):
    """Whether it was understood."""

    status: DataTransferStatus
    data: str | None = None


# Central system to charge point ----------------------------------------------------------------------


class ChangeConfiguration(Wire, frozen=True, kw_only=True):
    """Set a key."""

    key: Str50
    value: Str500


class ChangeConfigurationResponse(Wire, frozen=True, kw_only=True):
    """Whether it was set."""

    status: ConfigurationStatus


class GetConfiguration(Wire, frozen=True, kw_only=True):
    """Read keys; none named means all."""

    key: tuple[Str50, ...] | None = None


class KeyValue(Wire, frozen=True, kw_only=True):
    """A key and its value."""

    key: Str50
    readonly: bool
    value: Str500 | None = None


class GetConfigurationResponse(Wire, frozen=True, kw_only=True):
    """What was found and what not."""

    configurationKey: tuple[KeyValue, ...] | None = None
    unknownKey: tuple[Str50, ...] | None = None


class RemoteStartTransaction(Wire, frozen=True, kw_only=True):
    """Start from afar."""

    idTag: IdTag
    connectorId: int | None = None
    chargingProfile: ChargingProfile | None = None


class RemoteStartTransactionResponse(Wire, frozen=True, kw_only=True):
    """Whether it will."""

    status: AcceptedRejected


class RemoteStopTransaction(Wire, frozen=True, kw_only=True):
    """End from afar."""

    transactionId: int


class RemoteStopTransactionResponse(Wire, frozen=True, kw_only=True):
    """Whether it will."""

    status: AcceptedRejected


class SetChargingProfile(Wire, frozen=True, kw_only=True):
    """Install or replace a profile."""

    connectorId: Natural
    csChargingProfiles: ChargingProfile


class SetChargingProfileResponse(Wire, frozen=True, kw_only=True):
    """Whether it was installed."""

    status: ProfileStatus


class ClearChargingProfile(Wire, frozen=True, kw_only=True):
    """Remove profiles that match."""

    id: int | None = None
    connectorId: Natural | None = None
    chargingProfilePurpose: ProfilePurpose | None = None
    stackLevel: Natural | None = None


class ClearChargingProfileResponse(Wire, frozen=True, kw_only=True):
    """Whether any was found."""

    status: ClearProfileStatus


class GetCompositeSchedule(Wire, frozen=True, kw_only=True):
    """What would the charge point do for the next ``duration`` seconds?"""

    connectorId: Natural
    duration: int
    chargingRateUnit: ChargingRateUnit | None = None


class GetCompositeScheduleResponse(Wire, frozen=True, kw_only=True):
    """That, or a refusal."""

    status: AcceptedRejected
    connectorId: int | None = None
    scheduleStart: Timestamp | None = None
    chargingSchedule: ChargingSchedule | None = None


class TriggerMessage(Wire, frozen=True, kw_only=True):
    """Send this message now."""

    requestedMessage: MessageTrigger
    connectorId: Annotated[int, Meta(ge=1)] | None = None


class TriggerMessageResponse(Wire, frozen=True, kw_only=True):
    """Whether it will."""

    status: TriggerStatus
