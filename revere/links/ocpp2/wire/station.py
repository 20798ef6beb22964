"""OCPP 2.1 messages that a station starts, with our answers."""

# ruff: noqa: N815 - field names are the standard's

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from revere.links.ocpp2.wire.types import (
    EVSE,
    ChargingSchedule,
    Component,
    IdToken,
    IdTokenInfo,
    MessageContent,
    MeterValue,
    StatusInfo,
    Variable,
)
from revere.links.ocpp2.wire.words import (
    AcceptedRejected,
    Attribute,
    AuthorizeCertificateStatus,
    BootReason,
    ChargingNeedsStatus,
    ChargingState,
    ConnectorStatus,
    ControlMode,
    Data,
    DataTransferStatus,
    DERControl,
    EnergyTransferMode,
    EventNotification,
    EventTrigger,
    GridEventFault,
    HashAlgorithm,
    MobilityNeedsMode,
    Mutability,
    Natural,
    OperationMode,
    Percent,
    Positive,
    PreconditioningStatus,
    Reason,
    RegistrationStatus,
    Str16,
    Str20,
    Str25,
    Str36,
    Str50,
    Str200,
    Str255,
    Str500,
    Str1000,
    Str2500,
    Str10000,
    Timestamp,
    TransactionEventKind,
    TransactionId,
    TriggerReason,
    Wire,
)


class Modem(Wire, frozen=True, kw_only=True):
    """A station's SIM card."""

    iccid: Str20 | None = None
    imsi: Str20 | None = None


class ChargingStation(Wire, frozen=True, kw_only=True):
    """Who the station says it is."""

    model: Str20
    vendorName: Str50
    serialNumber: Str25 | None = None
    firmwareVersion: Str50 | None = None
    modem: Modem | None = None


class BootNotificationRequest(Wire, frozen=True, kw_only=True):
    """The station started."""

    chargingStation: ChargingStation
    reason: BootReason


class BootNotificationResponse(Wire, frozen=True, kw_only=True):
    """Whether it may work; ``interval`` is its heartbeat (or retry) in seconds."""

    currentTime: Timestamp
    interval: int
    status: RegistrationStatus
    statusInfo: StatusInfo | None = None


class HeartbeatRequest(Wire, frozen=True, kw_only=True):
    """The station lives and asks the time."""


class HeartbeatResponse(Wire, frozen=True, kw_only=True):
    """Our time."""

    currentTime: Timestamp


class StatusNotificationRequest(Wire, frozen=True, kw_only=True):
    """A connector's availability."""

    timestamp: Timestamp
    connectorStatus: ConnectorStatus
    evseId: Natural
    connectorId: Natural


class StatusNotificationResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class VariableAttribute(Wire, frozen=True, kw_only=True):
    """A value of a variable."""

    type: Attribute = "Actual"
    value: Str2500 | None = None
    mutability: Mutability = "ReadWrite"
    persistent: bool = False
    constant: bool = False


class VariableCharacteristics(Wire, frozen=True, kw_only=True):
    """What values a variable can take."""

    dataType: Data
    supportsMonitoring: bool
    unit: Str16 | None = None
    minLimit: float | None = None
    maxLimit: float | None = None
    maxElements: Positive | None = None
    valuesList: Str1000 | None = None


class ReportData(Wire, frozen=True, kw_only=True):
    """One variable of the device model."""

    component: Component
    variable: Variable
    variableAttribute: Annotated[tuple[VariableAttribute, ...], Meta(min_length=1, max_length=4)]
    variableCharacteristics: VariableCharacteristics | None = None


class NotifyReportRequest(Wire, frozen=True, kw_only=True):
    """A part of the device model; ``tbc`` says that more follows."""

    requestId: int
    generatedAt: Timestamp
    seqNo: Natural
    reportData: Annotated[tuple[ReportData, ...], Meta(min_length=1)] | None = None
    tbc: bool = False


class NotifyReportResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class OCSPRequestData(Wire, frozen=True, kw_only=True):
    """What identifies a certificate to its status service."""

    hashAlgorithm: HashAlgorithm
    issuerNameHash: Annotated[str, Meta(max_length=128)]
    issuerKeyHash: Annotated[str, Meta(max_length=128)]
    serialNumber: Annotated[str, Meta(max_length=40)]
    responderURL: Annotated[str, Meta(max_length=2000)]


class AuthorizeRequest(Wire, frozen=True, kw_only=True):
    """May this token charge?"""

    idToken: IdToken
    certificate: Str10000 | None = None
    iso15118CertificateHashData: Annotated[tuple[OCSPRequestData, ...], Meta(min_length=1, max_length=4)] | None = None


class AuthorizeResponse(Wire, frozen=True, kw_only=True):
    """Whether it may, and by which kinds of transfer."""

    idTokenInfo: IdTokenInfo
    certificateStatus: AuthorizeCertificateStatus | None = None
    allowedEnergyTransfer: Annotated[tuple[EnergyTransferMode, ...], Meta(min_length=1)] | None = None


class TransactionLimit(Wire, frozen=True, kw_only=True):
    """Where a transaction shall end: cost, Wh, seconds, percent."""

    maxCost: float | None = None
    maxEnergy: float | None = None
    maxTime: int | None = None
    maxSoC: Percent | None = None


class Transaction(Wire, frozen=True, kw_only=True):
    """The state of a transaction."""

    transactionId: TransactionId
    chargingState: ChargingState | None = None
    timeSpentCharging: int | None = None
    stoppedReason: Reason | None = None
    remoteStartId: int | None = None
    operationMode: OperationMode | None = None
    tariffId: Annotated[str, Meta(max_length=60)] | None = None
    transactionLimit: TransactionLimit | None = None


class TransactionEventRequest(Wire, frozen=True, kw_only=True):
    """Something happened in a transaction; ``seqNo`` counts from 0 within it."""

    eventType: TransactionEventKind
    timestamp: Timestamp
    triggerReason: TriggerReason
    seqNo: Natural
    transactionInfo: Transaction
    meterValue: Annotated[tuple[MeterValue, ...], Meta(min_length=1)] | None = None
    offline: bool = False
    numberOfPhasesUsed: Annotated[int, Meta(ge=0, le=3)] | None = None
    cableMaxCurrent: int | None = None
    reservationId: Natural | None = None
    preconditioningStatus: PreconditioningStatus | None = None
    evseSleep: bool | None = None
    evse: EVSE | None = None
    idToken: IdToken | None = None


class TransactionEventResponse(Wire, frozen=True, kw_only=True):
    """Received; ``idTokenInfo`` when a token was sent."""

    totalCost: float | None = None
    chargingPriority: int | None = None
    idTokenInfo: IdTokenInfo | None = None
    transactionLimit: TransactionLimit | None = None
    updatedPersonalMessage: MessageContent | None = None


class MeterValuesRequest(Wire, frozen=True, kw_only=True):
    """Values outside a transaction; EVSE 0 is the main meter."""

    evseId: Natural
    meterValue: Annotated[tuple[MeterValue, ...], Meta(min_length=1)]


class MeterValuesResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class ACChargingParameters(Wire, frozen=True, kw_only=True):
    """What the vehicle asks of an AC charger: Wh, A, V."""

    energyAmount: float
    evMinCurrent: float
    evMaxCurrent: float
    evMaxVoltage: float


class DCChargingParameters(Wire, frozen=True, kw_only=True):
    """What the vehicle asks of a DC charger: A, V, W, Wh, percent."""

    evMaxCurrent: float
    evMaxVoltage: float
    evMaxPower: float | None = None
    evEnergyCapacity: float | None = None
    energyAmount: float | None = None
    stateOfCharge: Percent | None = None
    fullSoC: Percent | None = None
    bulkSoC: Percent | None = None


class V2XChargingParameters(Wire, frozen=True, kw_only=True):
    """A bidirectional vehicle's bounds: W, A, V, Wh, percent. Discharge powers are magnitudes."""

    minChargePower: float | None = None
    minChargePower_L2: float | None = None
    minChargePower_L3: float | None = None
    maxChargePower: float | None = None
    maxChargePower_L2: float | None = None
    maxChargePower_L3: float | None = None
    minDischargePower: float | None = None
    minDischargePower_L2: float | None = None
    minDischargePower_L3: float | None = None
    maxDischargePower: float | None = None
    maxDischargePower_L2: float | None = None
    maxDischargePower_L3: float | None = None
    minChargeCurrent: float | None = None
    maxChargeCurrent: float | None = None
    minDischargeCurrent: float | None = None
    maxDischargeCurrent: float | None = None
    minVoltage: float | None = None
    maxVoltage: float | None = None
    evTargetEnergyRequest: float | None = None
    evMinEnergyRequest: float | None = None
    evMaxEnergyRequest: float | None = None
    evMinV2XEnergyRequest: float | None = None
    evMaxV2XEnergyRequest: float | None = None
    targetSoC: Percent | None = None


class ChargingNeeds(Wire, frozen=True, kw_only=True):
    """What the vehicle wants and can do."""

    requestedEnergyTransfer: EnergyTransferMode
    availableEnergyTransfer: Annotated[tuple[EnergyTransferMode, ...], Meta(min_length=1)] | None = None
    controlMode: ControlMode | None = None
    mobilityNeedsMode: MobilityNeedsMode | None = None
    departureTime: Timestamp | None = None
    acChargingParameters: ACChargingParameters | None = None
    dcChargingParameters: DCChargingParameters | None = None
    v2xChargingParameters: V2XChargingParameters | None = None


class NotifyEVChargingNeedsRequest(Wire, frozen=True, kw_only=True):
    """The vehicle told its needs."""

    evseId: Positive
    chargingNeeds: ChargingNeeds
    maxScheduleTuples: Natural | None = None
    timestamp: Timestamp | None = None


class NotifyEVChargingNeedsResponse(Wire, frozen=True, kw_only=True):
    """Whether a profile will follow."""

    status: ChargingNeedsStatus
    statusInfo: StatusInfo | None = None


class NotifyEVChargingScheduleRequest(Wire, frozen=True, kw_only=True):
    """What the vehicle intends to draw."""

    timeBase: Timestamp
    chargingSchedule: ChargingSchedule
    evseId: Positive
    selectedChargingScheduleId: Natural | None = None
    powerToleranceAcceptance: bool | None = None


class NotifyEVChargingScheduleResponse(Wire, frozen=True, kw_only=True):
    """Whether that is in order."""

    status: AcceptedRejected
    statusInfo: StatusInfo | None = None


class NotifyDERAlarmRequest(Wire, frozen=True, kw_only=True):
    """The inverter's protection saw a disturbance, or its end."""

    controlType: DERControl
    timestamp: Timestamp
    gridEventFault: GridEventFault | None = None
    alarmEnded: bool | None = None
    extraInfo: Str200 | None = None


class NotifyDERAlarmResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class EventData(Wire, frozen=True, kw_only=True):
    """A monitored variable did something."""

    eventId: Natural
    timestamp: Timestamp
    trigger: EventTrigger
    actualValue: Str2500
    component: Component
    variable: Variable
    eventNotificationType: EventNotification
    cause: Natural | None = None
    techCode: Str50 | None = None
    techInfo: Str500 | None = None
    cleared: bool | None = None
    transactionId: Str36 | None = None
    variableMonitoringId: Natural | None = None
    severity: Natural | None = None


class NotifyEventRequest(Wire, frozen=True, kw_only=True):
    """One or more such."""

    generatedAt: Timestamp
    seqNo: Natural
    eventData: Annotated[tuple[EventData, ...], Meta(min_length=1)]
    tbc: bool = False


class NotifyEventResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class SecurityEventNotificationRequest(Wire, frozen=True, kw_only=True):
    """Something of concern to security happened at the station."""

    type: Str50
    timestamp: Timestamp
    techInfo: Str255 | None = None


class SecurityEventNotificationResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class ChargingLimit(Wire, frozen=True, kw_only=True):
    """Who limits from outside."""

    chargingLimitSource: Str20
    isLocalGeneration: bool | None = None
    isGridCritical: bool | None = None


class NotifyChargingLimitRequest(Wire, frozen=True, kw_only=True):
    """Something outside limits the station."""

    chargingLimit: ChargingLimit
    chargingSchedule: Annotated[tuple[ChargingSchedule, ...], Meta(min_length=1)] | None = None
    evseId: Natural | None = None


class NotifyChargingLimitResponse(Wire, frozen=True, kw_only=True):
    """Received."""


class DataTransferRequest(Wire, frozen=True, kw_only=True):
    """A vendor's own message, either way."""

    vendorId: Str255
    messageId: Str50 | None = None
    data: Any = None


class DataTransferResponse(Wire, frozen=True, kw_only=True):
    """Whether it was understood."""

    status: DataTransferStatus
    statusInfo: StatusInfo | None = None
    data: Any = None
