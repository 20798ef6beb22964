"""OCPP 1.6J to the house's facts, and the house's commands to OCPP 1.6J.

Units: values are strings in Wh or kWh, W or kW, percent; limits are W in tenths, and negative only for a
charger whose model takes that as discharging. A connector is an EVSE here and
connector 0 the charge point, whose meter is the site's main meter.
Place: 1.6 stations here have one meter, on their grid side, so that an unsaid location is
``ac_inlet``; a station that says ``Outlet`` is taken at its word.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Final

from revere.core.commands import lease_s
from revere.core.facts import (
    EvseStatus,
    MeterReading,
    Place,
    SessionEnded,
    SessionStarted,
    SignedValueReceived,
    StationBooted,
    StatusReported,
    evse_asset,
)
from revere.core.ids import SessionId
from revere.links.ocpp16 import wire
from revere.links.ocppj.line import session_id_of
from revere.links.ocppj.samples import (
    CONTEXTS,
    IMPORT_REGISTER,
    MEASURANDS,
    SOC,
    Sample,
    in_base_unit,
    readings_of,
)
from revere.links.ocppj.setpoints import DAY_S, local_midnight, watts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from revere.core.assets import Authorization, AuthorizationStatus
    from revere.core.commands import DefaultProfile, SetpointCommand
    from revere.core.ports import StationConfig
    from revere.links.ocppj.bounds import Counters

DEFAULT_PROFILE_ID: Final = 1
CENTRAL_PROFILE_BASE: Final = 100

_PLACES: Final[dict[str | None, Place]] = {None: "ac_inlet", "Inlet": "ac_inlet", "Outlet": "dc_outlet"}
_STATUS: Final[dict[str, EvseStatus]] = {
    "Available": "available",
    "Preparing": "occupied",
    "Charging": "occupied",
    "SuspendedEVSE": "occupied",
    "SuspendedEV": "occupied",
    "Finishing": "occupied",
    "Reserved": "reserved",
    "Unavailable": "unavailable",
    "Faulted": "faulted",
}


_TAG_STATUS: Final[Mapping[AuthorizationStatus, wire.IdTagInfoStatus]] = {
    "accepted": "Accepted",
    "blocked": "Blocked",
    "expired": "Expired",
}


def transaction_number(station_id: str, request: wire.StartTransaction) -> int:
    """The number of a transaction, 1 to 2^31 - 1, the same for the same start.

    The central system numbers transactions in 1.6. Ours follows from who, where, when and the
    meter, so that a start sent twice, even over a restart of ours, is one transaction.
    """
    stamp = request.timestamp.astimezone(dt.UTC).isoformat()
    key = f"{station_id}|{request.connectorId}|{request.idTag}|{request.meterStart}|{stamp}"
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big")
    return (number & 0x7FFF_FFFF) or 1


def booted(config: StationConfig, request: wire.BootNotification, at: dt.datetime) -> StationBooted:
    """Who the charge point says it is."""
    return StationBooted(
        at=at,
        station_id=config.station_id,
        vendor=request.chargePointVendor,
        model=request.chargePointModel,
        serial=request.chargePointSerialNumber or request.chargeBoxSerialNumber or "",
        firmware=request.firmwareVersion or "",
    )


def status_reported(config: StationConfig, request: wire.StatusNotification, at: dt.datetime) -> StatusReported:
    """A connector's state; an unstamped one holds from now."""
    return StatusReported(
        at=at,
        station_id=config.station_id,
        evse_id=request.connectorId,
        status=_STATUS[request.status],
        ts=at if request.timestamp is None else request.timestamp.astimezone(dt.UTC),
    )


def _samples(
    values: Sequence[wire.SampledValue | wire.TransactionDataSampledValue], *, site_meter: bool, counters: Counters
) -> list[Sample]:
    samples = []
    for value in values:
        if value.measurand not in MEASURANDS or value.format == "SignedData":
            continue
        if site_meter:
            place: Place | None = "site"
        else:
            place = "ac_inlet" if value.measurand == SOC else _PLACES.get(value.location)
        try:
            base = in_base_unit(float(value.value), value.unit, 0, value.measurand)
        except ValueError:
            base = None
        if place is None or base is None:
            counters.samples_refused += 1
            continue
        samples.append(Sample(value.measurand, base, value.phase, place, CONTEXTS.get(value.context, "trigger")))
    return samples


def readings(
    config: StationConfig,
    connector_id: int,
    meter_values: Sequence[wire.MeterValue | wire.TransactionData],
    *,
    at: dt.datetime,
    session_id: SessionId | None,
    counters: Counters,
) -> list[MeterReading]:
    """Readings of a connector, or of the site's main meter for connector 0 where the station has it."""
    site_meter = connector_id == 0
    if site_meter and not config.meters_site:
        counters.readings_unplaced += len(meter_values)
        return []
    found: list[MeterReading] = []
    for meter_value in meter_values:
        found += readings_of(
            _samples(meter_value.sampledValue, site_meter=site_meter, counters=counters),
            asset_id=config.site_id if site_meter else evse_asset(config.station_id, connector_id),
            ts=meter_value.timestamp.astimezone(dt.UTC),
            at=at,
            session_id=None if site_meter else session_id,
            counters=counters,
        )
    return found


def signed_values(
    config: StationConfig,
    connector_id: int,
    meter_values: Sequence[wire.MeterValue | wire.TransactionData],
    at: dt.datetime,
    session_id: SessionId | None,
) -> list[SignedValueReceived]:
    """What the meter signed, as it came; 1.6 says nothing of how."""
    asset_id = config.site_id if connector_id == 0 else evse_asset(config.station_id, connector_id)
    return [
        SignedValueReceived(
            at=at,
            asset_id=asset_id,
            ts=meter_value.timestamp.astimezone(dt.UTC),
            measurand=value.measurand,
            signed=value.value,
            encoding=value.format,
            session_id=session_id,
        )
        for meter_value in meter_values
        for value in meter_value.sampledValue
        if value.format == "SignedData"
    ]


def tag_info(found: Authorization) -> wire.IdTagInfo:
    """What a charge point hears of a tag; 1.6 has no word for a wrong place or time."""
    return wire.IdTagInfo(
        status=_TAG_STATUS.get(found.status, "Invalid"), parentIdTag=found.group[:20] or None, expiryDate=found.until
    )


def register_reading(
    config: StationConfig,
    connector_id: int,
    meter_wh: int,
    ts: dt.datetime,
    *,
    begin: bool,
    at: dt.datetime,
    session_id: SessionId,
    counters: Counters,
) -> list[MeterReading]:
    """The register that a start or stop message carries."""
    return readings_of(
        [Sample(IMPORT_REGISTER, float(meter_wh), None, "ac_inlet", "begin" if begin else "end")],
        asset_id=evse_asset(config.station_id, connector_id),
        ts=ts.astimezone(dt.UTC),
        at=at,
        session_id=session_id,
        counters=counters,
    )


def session_started(
    config: StationConfig, request: wire.StartTransaction, transaction_id: int, at: dt.datetime
) -> SessionStarted:
    """A transaction began."""
    return SessionStarted(
        at=at,
        station_id=config.station_id,
        evse_id=request.connectorId,
        session_id=SessionId(session_id_of(config.station_id, transaction_id)),
        token=request.idTag,
        ts=request.timestamp.astimezone(dt.UTC),
    )


def session_ended(config: StationConfig, request: wire.StopTransaction, at: dt.datetime) -> SessionEnded:
    """A transaction ended."""
    return SessionEnded(
        at=at,
        station_id=config.station_id,
        session_id=SessionId(session_id_of(config.station_id, request.transactionId)),
        ts=request.timestamp.astimezone(dt.UTC),
        reason=request.reason,
    )


def central_profile(
    command: SetpointCommand, transaction_id: int, now: dt.datetime, *, bidirectional: bool
) -> wire.SetChargingProfile:
    """A setpoint as an Absolute TxProfile that lapses by itself; below 0 W only where that discharges."""
    setpoint_kw = command.setpoint_kw if bidirectional else max(command.setpoint_kw, 0.0)
    duration_s = lease_s("ocpp1.6", setpoint_kw)
    return wire.SetChargingProfile(
        connectorId=command.evse_id,
        csChargingProfiles=wire.ChargingProfile(
            chargingProfileId=CENTRAL_PROFILE_BASE + command.evse_id,
            transactionId=transaction_id,
            stackLevel=0,
            chargingProfilePurpose="TxProfile",
            chargingProfileKind="Absolute",
            validFrom=now,
            validTo=now + dt.timedelta(seconds=duration_s),
            chargingSchedule=wire.ChargingSchedule(
                chargingRateUnit="W",
                startSchedule=now,
                duration=duration_s,
                chargingSchedulePeriod=(wire.ChargingSchedulePeriod(startPeriod=0, limit=watts(setpoint_kw)),),
            ),
        ),
    )


def default_profile(profile: DefaultProfile, now: dt.datetime) -> wire.SetChargingProfile:
    """The fallback as a recurring daily TxDefaultProfile of all connectors, from local midnight."""
    periods = tuple(
        wire.ChargingSchedulePeriod(startPeriod=after_s, limit=watts(limit_kw))
        for after_s, limit_kw in profile.limits_kw
    )
    return wire.SetChargingProfile(
        connectorId=0,
        csChargingProfiles=wire.ChargingProfile(
            chargingProfileId=DEFAULT_PROFILE_ID,
            stackLevel=0,
            chargingProfilePurpose="TxDefaultProfile",
            chargingProfileKind="Recurring",
            recurrencyKind="Daily",
            chargingSchedule=wire.ChargingSchedule(
                chargingRateUnit="W",
                duration=DAY_S,
                startSchedule=local_midnight(profile, now),
                chargingSchedulePeriod=periods,
            ),
        ),
    )
