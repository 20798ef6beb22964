"""What a station says of its own security, and what of its secrets and of people must never be kept.

One rule, by the name of a field or variable, for the journal, the frames that people see and the device model:

* secret: not kept at all (device model) or hidden (journal, frames);
* personal: the last two characters alone, to tell two apart;
* a maker's own words: hidden whole where they speak of either, since nobody knows where in them the value stands.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.device_model import DeviceModel, DeviceVariable
from revere.core.facts import AlarmRaised, Fact, SecurityEventReported
from revere.core.time import iso
from revere.links.ocppj.bounds import AUDIT_EVERY_S, AUDIT_RECORDS_MAX

if TYPE_CHECKING:
    from revere.core.ports import StationConfig

_LOGIN: Final = frozenset({"authorizationkey", "basicauthpassword"})
HIDDEN: Final = "•••"
_HARMLESS: Final = re.compile(r"publickeys?|keyhash|maxkeys?|key(?:board|pad)|tokenreader|(?:id)?tokentypes?")
"""What sounds secret and is not; a name is judged by what is left of it."""
_SECRET: Final = re.compile(
    r"passw|passphrase|passcode|pwd|secret|credential|psk|token|key|p(?:in|uk)(?:codes?|s|numbers?)?$"
)
_SECRET_WORDS: Final = frozenset({"pin", "puk", "otp"})
"""Secret as a word of its own alone: Ping and Mapping are not."""
_PERSONAL: Final = re.compile(
    r"idtag|idtoken|grouptoken|emaid|evccid|exirequest|vehicleid|vin$|masterpassgroupid|customer|licen[cs]eplate"
)
_parts = re.compile(r"[\w-]+")
_camel = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_userinfo = re.compile(r"(?<=://)[^/@\s]+@")
_private = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL)
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


@lru_cache(maxsize=4_096)
def secret(name: str) -> bool:
    """Whether a field or variable holds a secret, in whatever capitals; ``name`` may be a whole
    ``Component.Variable``."""
    for part in _parts.findall(name):
        left = _PERSONAL.sub(" ", _sounds(part))
        if _SECRET.search(left) or _SECRET_WORDS & {word.casefold() for word in _camel.findall(part)}:
            return True
    return False


def personal(name: str) -> bool:
    """Whether a field or variable names a person, a card or a vehicle, and is no secret besides."""
    return any(_PERSONAL.search(_sounds(part)) for part in _parts.findall(name)) and not secret(name)


def _sounds(part: str) -> str:
    """A name without capitals, joints and what is harmless in it."""
    return _HARMLESS.sub(" ", part.replace("_", "").replace("-", "").casefold())


def login_secret(name: str) -> bool:
    """Whether it is what the station shows at our door."""
    return name.casefold() in _LOGIN


def ends_of(token: str) -> str:
    """Its last two characters, to tell two apart; none of a short one."""
    return HIDDEN + (token[-2:] if len(token) >= 8 else "")


def clean(text: str) -> str:
    """A value without the names and passwords in its addresses, and without a private key."""
    return _private.sub(HIDDEN, _userinfo.sub(f"{HIDDEN}@", text))


def told_value(name: str, value: str) -> str:
    """A value as it may be kept, by the name under which it came."""
    if secret(name):
        return HIDDEN
    return ends_of(value) if personal(name) else clean(value)


def quoted(text: str) -> str:
    """A maker's own words as they may be kept: none of them where they speak of a secret or a person."""
    if any(secret(word) or personal(word) for word in _parts.findall(text)):
        return f"{HIDDEN} ({len(text)} characters that speak of a secret or a person)"
    return clean(text)


class StationVariables(DeviceModel):
    """What a station tells of itself but its secrets; what is personal by its ends alone."""

    def tell(self, name: str, row: DeviceVariable) -> bool:
        """Take a variable unless it is secret."""
        if secret(name):
            return False
        values = {field: getattr(row, field) for field in ("value", "target", "least_set", "most_set")}
        seen = {field: told_value(name, value) for field, value in values.items() if value}
        return super().tell(name, msgspec.structs.replace(row, **seen) if seen else row)


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
    stamp, detail = ts.astimezone(dt.UTC), quoted(detail)
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
