"""What a station says of its own security, and what of its secrets must never be kept."""

from __future__ import annotations

import datetime as dt
from math import inf
from typing import TYPE_CHECKING, Final

from revere.core.facts import AlarmRaised, Fact, SecurityEventReported
from revere.core.time import iso
from revere.links.ocppj.bounds import AUDIT_EVERY_S, AUDIT_RECORDS_MAX

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


class Audits:
    """How often one and the same refusal is told: the first at once, more of them in one, once in a while."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def due(self, what: tuple[str, str], now_s: float) -> int:
        """How many refusals to tell of now (loop time); 0 while it is too early."""
        last_s, since = self._told.pop(what, (-inf, 0))
        early = now_s - last_s < AUDIT_EVERY_S
        while len(self._told) >= AUDIT_RECORDS_MAX:
            del self._told[next(iter(self._told))]
        self._told[what] = (last_s, since + 1) if early else (now_s, 0)
        return 0 if early else since + 1


def refused(config: StationConfig, kind: str, detail: str, count: int, at: dt.datetime) -> list[Fact]:
    """What a station said and we did not take, for the record and as one alarm for each kind."""
    return [
        SecurityEventReported(
            at=at, station_id=config.station_id, type=kind, ts=at, source="door", detail=detail, count=count
        ),
        AlarmRaised(
            at=at,
            key=f"refused:{config.station_id}:{kind}",
            severity="warning",
            subject=config.station_id,
            text=detail,
            count=count,
        ),
    ]


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
