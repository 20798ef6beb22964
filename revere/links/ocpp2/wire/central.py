"""OCPP 2.1 messages that we start, with the station's answers."""

# ruff: noqa: N815 - field names are the standard's

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from revere.links.ocpp2.wire.types import (
    ChargingProfile,
    ChargingSchedulePeriod,
    Component,
    IdToken,
    StatusInfo,
    Variable,
)
from revere.links.ocpp2.wire.words import (
    AcceptedRejected,
    Attribute,
    ChargingRateUnit,
    ClearProfileStatus,
    GenericDeviceModelStatus,
    GetVariableStatus,
    Natural,
    NotAboveZero,
    Positive,
    ProfilePurpose,
    ReportBase,
    SetVariableStatus,
    Str2500,
    Timestamp,
    TransactionId,
    Wire,
)


class GetBaseReportRequest(Wire, frozen=True, kw_only=True):
    """Ask for the device model."""

    requestId: int
    reportBase: ReportBase


class GetBaseReportResponse(Wire, frozen=True, kw_only=True):
    """Whether NotifyReport messages will follow."""

    status: GenericDeviceModelStatus
    statusInfo: StatusInfo | None = None


class SetVariableData(Wire, frozen=True, kw_only=True):
    """A value to set."""

    attributeValue: Str2500
    component: Component
    variable: Variable
    attributeType: Attribute = "Actual"


class SetVariablesRequest(Wire, frozen=True, kw_only=True):
    """Set variables of the device model."""

    setVariableData: Annotated[tuple[SetVariableData, ...], Meta(min_length=1)]


class SetVariableResult(Wire, frozen=True, kw_only=True):
    """Whether it was set."""

    attributeStatus: SetVariableStatus
    component: Component
    variable: Variable
    attributeType: Attribute = "Actual"
    attributeStatusInfo: StatusInfo | None = None


class SetVariablesResponse(Wire, frozen=True, kw_only=True):
    """One result per value, in the request's order."""

    setVariableResult: Annotated[tuple[SetVariableResult, ...], Meta(min_length=1)]


class GetVariableData(Wire, frozen=True, kw_only=True):
    """A value to read."""

    component: Component
    variable: Variable
    attributeType: Attribute = "Actual"


class GetVariablesRequest(Wire, frozen=True, kw_only=True):
    """Read variables of the device model."""

    getVariableData: Annotated[tuple[GetVariableData, ...], Meta(min_length=1)]


class GetVariableResult(Wire, frozen=True, kw_only=True):
    """The value read."""

    attributeStatus: GetVariableStatus
    component: Component
    variable: Variable
    attributeType: Attribute = "Actual"
    attributeValue: Str2500 | None = None
    attributeStatusInfo: StatusInfo | None = None


class GetVariablesResponse(Wire, frozen=True, kw_only=True):
    """One result per value, in the request's order."""

    getVariableResult: Annotated[tuple[GetVariableResult, ...], Meta(min_length=1)]


class SetChargingProfileRequest(Wire, frozen=True, kw_only=True):
    """Install or replace a profile (by its id)."""

    evseId: Natural
    chargingProfile: ChargingProfile


class SetChargingProfileResponse(Wire, frozen=True, kw_only=True):
    """Whether it was installed."""

    status: AcceptedRejected
    statusInfo: StatusInfo | None = None


class ClearProfileCriteria(Wire, frozen=True, kw_only=True):
    """Which profiles to remove."""

    evseId: Natural | None = None
    chargingProfilePurpose: ProfilePurpose | None = None
    stackLevel: Natural | None = None


class ClearChargingProfileRequest(Wire, frozen=True, kw_only=True):
    """Remove profiles by id or by criteria."""

    chargingProfileId: int | None = None
    chargingProfileCriteria: ClearProfileCriteria | None = None


class ClearChargingProfileResponse(Wire, frozen=True, kw_only=True):
    """Whether any was found."""

    status: ClearProfileStatus
    statusInfo: StatusInfo | None = None


class ScheduleUpdate(Wire, frozen=True, kw_only=True):
    """New values of a Dynamic profile, in its unit."""

    limit: float | None = None
    limit_L2: float | None = None
    limit_L3: float | None = None
    dischargeLimit: NotAboveZero | None = None
    dischargeLimit_L2: NotAboveZero | None = None
    dischargeLimit_L3: NotAboveZero | None = None
    setpoint: float | None = None
    setpoint_L2: float | None = None
    setpoint_L3: float | None = None
    setpointReactive: float | None = None
    setpointReactive_L2: float | None = None
    setpointReactive_L3: float | None = None


class UpdateDynamicScheduleRequest(Wire, frozen=True, kw_only=True):
    """Change a Dynamic profile without sending it again."""

    chargingProfileId: int
    scheduleUpdate: ScheduleUpdate


class UpdateDynamicScheduleResponse(Wire, frozen=True, kw_only=True):
    """Whether it was changed."""

    status: AcceptedRejected
    statusInfo: StatusInfo | None = None


class GetCompositeScheduleRequest(Wire, frozen=True, kw_only=True):
    """What would the station do for the next ``duration`` seconds?"""

    duration: int
    evseId: Natural
    chargingRateUnit: ChargingRateUnit | None = None


class CompositeSchedule(Wire, frozen=True, kw_only=True):
    """What all profiles together come to."""

    evseId: Natural
    duration: int
    scheduleStart: Timestamp
    chargingRateUnit: ChargingRateUnit
    chargingSchedulePeriod: Annotated[tuple[ChargingSchedulePeriod, ...], Meta(min_length=1)]


class GetCompositeScheduleResponse(Wire, frozen=True, kw_only=True):
    """That, or a refusal."""

    status: AcceptedRejected
    statusInfo: StatusInfo | None = None
    schedule: CompositeSchedule | None = None


class RequestStartTransactionRequest(Wire, frozen=True, kw_only=True):
    """Start a transaction from afar."""

    idToken: IdToken
    remoteStartId: int
    evseId: Positive | None = None
    groupIdToken: IdToken | None = None
    chargingProfile: ChargingProfile | None = None


class RequestStartTransactionResponse(Wire, frozen=True, kw_only=True):
    """Whether it will; ``transactionId`` when it has already begun."""

    status: AcceptedRejected
    statusInfo: StatusInfo | None = None
    transactionId: TransactionId | None = None


class RequestStopTransactionRequest(Wire, frozen=True, kw_only=True):
    """End a transaction from afar."""

    transactionId: TransactionId


class RequestStopTransactionResponse(Wire, frozen=True, kw_only=True):
    """Whether it will."""

    status: AcceptedRejected
    statusInfo: StatusInfo | None = None
