"""Data types that several OCPP 2.1 messages share."""

# ruff: noqa: N815 - field names are the standard's

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from revere.links.ocpp2.wire.words import (
    AuthorizationStatus,
    ChargingRateUnit,
    Location,
    Measurand,
    MessageFormat,
    Natural,
    NotAboveZero,
    OperationMode,
    Percent,
    Phase,
    ProfileKind,
    ProfilePurpose,
    ReadingContext,
    RecurrencyKind,
    Str20,
    Str50,
    Str255,
    Str1024,
    Str2500,
    Timestamp,
    TransactionId,
    Wire,
)


class StatusInfo(Wire, frozen=True, kw_only=True):
    """Why a status is what it is."""

    reasonCode: Str20
    additionalInfo: Str1024 | None = None


class EVSE(Wire, frozen=True, kw_only=True):
    """An EVSE (0 = the whole station) and, where known, its connector."""

    id: Natural
    connectorId: Natural | None = None


class Component(Wire, frozen=True, kw_only=True):
    """A part of the station in its device model."""

    name: Str50
    instance: Str50 | None = None
    evse: EVSE | None = None


class Variable(Wire, frozen=True, kw_only=True):
    """A property of a component."""

    name: Str50
    instance: Str50 | None = None


class AdditionalInfo(Wire, frozen=True, kw_only=True):
    """A further identifier of the same person or vehicle, EVCCID for one."""

    additionalIdToken: Str255
    type: Str50


class IdToken(Wire, frozen=True, kw_only=True):
    """Who wants energy: a card, an app, a vehicle."""

    idToken: Str255
    type: Str20
    additionalInfo: Annotated[tuple[AdditionalInfo, ...], Meta(min_length=1)] | None = None


class MessageContent(Wire, frozen=True, kw_only=True):
    """A text for a display."""

    format: MessageFormat
    content: Str1024
    language: Annotated[str, Meta(max_length=8)] | None = None


class IdTokenInfo(Wire, frozen=True, kw_only=True):
    """Whether the token may charge."""

    status: AuthorizationStatus
    cacheExpiryDateTime: Timestamp | None = None
    chargingPriority: int | None = None
    groupIdToken: IdToken | None = None
    language1: Annotated[str, Meta(max_length=8)] | None = None
    language2: Annotated[str, Meta(max_length=8)] | None = None
    evseId: Annotated[tuple[Natural, ...], Meta(min_length=1)] | None = None
    personalMessage: MessageContent | None = None


class UnitOfMeasure(Wire, frozen=True, kw_only=True):
    """Unit and power of ten of a value; Wh and 0 when absent."""

    unit: Str20 = "Wh"
    multiplier: int = 0


class SignedMeterValue(Wire, frozen=True, kw_only=True):
    """A value signed by the meter."""

    signedMeterData: Annotated[str, Meta(max_length=32768)]
    encodingMethod: Str50
    signingMethod: Str50 | None = None
    publicKey: Str2500 | None = None


class SampledValue(Wire, frozen=True, kw_only=True):
    """One measured quantity. The standard's defaults: imported energy, periodic, at the outlet."""

    value: float
    measurand: Measurand = "Energy.Active.Import.Register"
    context: ReadingContext = "Sample.Periodic"
    phase: Phase | None = None
    location: Location = "Outlet"
    signedMeterValue: SignedMeterValue | None = None
    unitOfMeasure: UnitOfMeasure | None = None


class MeterValue(Wire, frozen=True, kw_only=True):
    """Quantities measured at one moment."""

    timestamp: Timestamp
    sampledValue: Annotated[tuple[SampledValue, ...], Meta(min_length=1)]


class LimitAtSoC(Wire, frozen=True, kw_only=True):
    """A limit that holds from an soc on, percent and the schedule's unit."""

    soc: Percent
    limit: float


class V2XFreqWattPoint(Wire, frozen=True, kw_only=True):
    """A point of the frequency curve, Hz and W."""

    frequency: float
    power: float


class V2XSignalWattPoint(Wire, frozen=True, kw_only=True):
    """A point of the aFRR signal curve, signal and W."""

    signal: int
    power: float


class ChargingSchedulePeriod(Wire, frozen=True, kw_only=True):
    """What holds from ``startPeriod`` seconds on, in the schedule's unit."""

    startPeriod: int
    limit: float | None = None
    limit_L2: float | None = None
    limit_L3: float | None = None
    numberPhases: Annotated[int, Meta(ge=0, le=3)] | None = None
    phaseToUse: Annotated[int, Meta(ge=0, le=3)] | None = None
    dischargeLimit: NotAboveZero | None = None
    dischargeLimit_L2: NotAboveZero | None = None
    dischargeLimit_L3: NotAboveZero | None = None
    setpoint: float | None = None
    setpoint_L2: float | None = None
    setpoint_L3: float | None = None
    setpointReactive: float | None = None
    setpointReactive_L2: float | None = None
    setpointReactive_L3: float | None = None
    preconditioningRequest: bool | None = None
    evseSleep: bool | None = None
    v2xBaseline: float | None = None
    operationMode: OperationMode | None = None
    v2xFreqWattCurve: Annotated[tuple[V2XFreqWattPoint, ...], Meta(min_length=1, max_length=20)] | None = None
    v2xSignalWattCurve: Annotated[tuple[V2XSignalWattPoint, ...], Meta(min_length=1, max_length=20)] | None = None


class ChargingSchedule(Wire, frozen=True, kw_only=True):
    """Periods after a start, in one unit. ``duration`` in seconds."""

    id: int
    chargingRateUnit: ChargingRateUnit
    chargingSchedulePeriod: Annotated[tuple[ChargingSchedulePeriod, ...], Meta(min_length=1, max_length=1024)]
    startSchedule: Timestamp | None = None
    duration: int | None = None
    minChargingRate: float | None = None
    powerTolerance: float | None = None
    limitAtSoC: LimitAtSoC | None = None
    signatureId: Natural | None = None
    digestValue: Annotated[str, Meta(max_length=88)] | None = None
    useLocalTime: bool | None = None
    randomizedDelay: Natural | None = None


class ChargingProfile(Wire, frozen=True, kw_only=True):
    """Schedules with a purpose and a level; the highest level of a purpose counts."""

    id: int
    stackLevel: Natural
    chargingProfilePurpose: ProfilePurpose
    chargingProfileKind: ProfileKind
    chargingSchedule: Annotated[tuple[ChargingSchedule, ...], Meta(min_length=1, max_length=3)]
    recurrencyKind: RecurrencyKind | None = None
    validFrom: Timestamp | None = None
    validTo: Timestamp | None = None
    transactionId: TransactionId | None = None
    maxOfflineDuration: int | None = None
    invalidAfterOfflineDuration: bool | None = None
    dynUpdateInterval: int | None = None
    dynUpdateTime: Timestamp | None = None
    priceScheduleSignature: Annotated[str, Meta(max_length=256)] | None = None
