"""What a station says of its own security, and what of its secrets must never be kept."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from revere.core.facts import AlarmRaised, Fact, SecurityEventReported
from revere.core.time import iso

if TYPE_CHECKING:
    from revere.core.ports import StationConfig

SECRETS: Final = frozenset({"AuthorizationKey", "BasicAuthPassword"})
"""Keys of 1.6 and variables of 2.x that a station should write only; one that shows them is not quoted."""
ATTACKS: Final = frozenset(
    {
        "AttemptedReplayAttacks",
        "InvalidChargePointCertificate",
        "InvalidChargingStationCertificate",
        "InvalidCentralSystemCertificate",
        "InvalidCsmsCertificate",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
        "InvalidMessages",
        "InvalidTLSCipherSuite",
        "InvalidTLSVersion",
        "MaintenanceLoginFailed",
        "SecurityLogWasCleared",
        "TamperDetectionActivated",
    }
)
"""OCPP's words, 1.6's and 2.x's, that tell of somebody at work; the others are told as news."""


def told(config: StationConfig, kind: str, ts: dt.datetime, detail: str, at: dt.datetime) -> list[Fact]:
    """A station's security event: each for the record, and one alarm for each type, however often it is told."""
    stamp = ts.astimezone(dt.UTC)
    return [
        SecurityEventReported(
            at=at, station_id=config.station_id, type=kind, ts=stamp, source="station", detail=detail
        ),
        AlarmRaised(
            at=at,
            key=f"security:{config.station_id}:{kind}",
            severity="warning" if kind in ATTACKS else "info",
            subject=config.station_id,
            text=f"{kind} at {iso(stamp)}: {detail or 'no details'}",
        ),
    ]
