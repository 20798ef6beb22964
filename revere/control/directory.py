"""Who may connect: station secrets as keyed digests, station configuration from the registry."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

import msgspec

from revere.control.cards import Cards
from revere.core.assets import StationIdentity
from revere.core.ports import KnownCertificate, StationConfig

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from revere.control.image import Image
    from revere.core.assets import Authorization, Fleet, ListedToken, SecurityProfile
    from revere.core.commands import DefaultProfile, LockState
    from revere.core.ids import SessionId, StationId

SECRET_BYTES = 20  # 160 bits, the OCPP whitepaper's length
SECRET_MAX_CHARS = 40


def new_station_secret() -> str:
    """A fresh 160-bit secret, 40 hexadecimal characters (OCPP's longest Basic password in 1.6)."""
    return secrets.token_hex(SECRET_BYTES)


def secret_mac(key: bytes, station_id: str, secret: str) -> bytes:
    """What is kept of a secret: HMAC-SHA256 bound to the station."""
    return hmac.digest(key, f"{station_id}\0{secret}".encode(errors="surrogatepass"), "sha256")


class Directory:
    """Fills the ``StationDirectory`` port from a fleet and the stored digests."""

    def __init__(
        self,
        fleet: Fleet,
        key: bytes,
        macs: Mapping[str, bytes],
        profiles: Mapping[StationId, DefaultProfile],
        image: Image,
        offered: Mapping[str, bytes] | None = None,
        certificates: Mapping[StationId, KnownCertificate] | None = None,
    ) -> None:
        self._key = key
        self._image = image
        self._registered = {
            station.id: StationIdentity(vendor=station.vendor, model=station.model, serial=station.serial)
            for station in fleet.stations
            if station.serial
        }
        self._macs = dict(macs)
        self._offered = dict(offered or {})
        self._certificates = dict(certificates or {})
        self.on_certificate: Callable[[StationId, KnownCertificate, KnownCertificate | None], None] | None = None
        """Called when a station comes in with a certificate, with the one that was in force until then."""
        self.on_used: Callable[[StationId, bytes], None] | None = None
        """Called when a station comes in with its next secret, which is then the one in force."""
        self.on_raised: Callable[[StationId, SecurityProfile], None] | None = None
        """Called when a station comes in by its next security profile."""
        self._cards = Cards(fleet)
        zone = fleet.programme.zone
        self._configs: dict[str, StationConfig] = {
            station.id: StationConfig(
                station_id=station.id,
                site_id=station.site_id,
                protocol=station.protocol,
                charge_kw=station.charge_kw,
                discharge_kw=station.discharge_kw,
                meters_site=station.meters_site,
                default_profile=profiles[station.id],
                zone=zone,
                security_profile=station.security_profile,
                next_profile=station.next_security_profile,
                charger_model=station.charger_model,
                master_group=fleet.programme.master_group,
            )
            for station in fleet.stations
        }
        self._nobody = secret_mac(key, "", secrets.token_hex(SECRET_BYTES))
        self.refused = 0

    def registered(self, station_id: str) -> StationConfig | None:
        """The configuration of a registered station; None for an unknown id."""
        return self._configs.get(station_id)

    def authenticate(self, station_id: str, password: str) -> StationConfig | None:
        """The configuration for the right secret, else None; an unknown id costs the same work."""
        given = secret_mac(self._key, station_id, password[: 2 * SECRET_MAX_CHARS])
        current = hmac.compare_digest(self._macs.get(station_id, self._nobody), given)
        following = hmac.compare_digest(self._offered.get(station_id, self._nobody), given)
        config = self._configs.get(station_id)
        if config is None or not (current or following):
            self.refused += 1
            return None
        if following:
            self._macs[station_id] = self._offered.pop(station_id)
            if self.on_used is not None:
                self.on_used(config.station_id, given)
        return config

    def take_cards(self, cards: Cards) -> None:
        """Answer by these from now on; a station's own list is brought in step at its next boot, or by order."""
        self._cards = cards

    def offer_profile(self, station_id: StationId, profile: SecurityProfile | None) -> None:
        """Let a higher security profile open the door too, until it is used or withdrawn (None)."""
        self._configs[station_id] = msgspec.structs.replace(self._configs[station_id], next_profile=profile)

    def raise_profile(self, station_id: StationId) -> StationConfig:
        """The station came in by its next security profile."""
        config = self._configs[station_id]
        assert config.next_profile is not None, station_id
        raised = msgspec.structs.replace(config, security_profile=config.next_profile, next_profile=None)
        self._configs[station_id] = raised
        if self.on_raised is not None:
            self.on_raised(station_id, raised.security_profile)
        return raised

    def certificate(self, station_id: StationId) -> KnownCertificate | None:
        """The certificate in force."""
        return self._certificates.get(station_id)

    def use_certificate(self, station_id: StationId, certificate: KnownCertificate) -> None:
        """The station came in with it."""
        before = self._certificates.get(station_id)
        self._certificates[station_id] = certificate
        if self.on_certificate is not None:
            self.on_certificate(station_id, certificate, before)

    def revoke_certificates(self, station_id: StationId, until: dt.datetime) -> KnownCertificate:
        """Let in none that begins until then, nor the one in force; what is known from now on."""
        known = self._certificates.get(station_id)
        revoked = KnownCertificate(fingerprint=b"", begins=until if known is None else max(until, known.begins))
        self._certificates[station_id] = revoked
        return revoked

    def gave(self, station_id: StationId, request_id: int) -> bool:
        """Whether we have given the station that number to report under: an order's, or a campaign's of old."""
        steps = [campaign.progress.get(station_id) for campaign in self._image.campaigns.values()]
        return self._image.told.gave(station_id, request_id) or request_id in [
            step.request_id for step in steps if step is not None
        ]

    def mac_of(self, station_id: StationId, secret: str) -> bytes:
        """What is kept of a secret."""
        return secret_mac(self._key, station_id, secret)

    def offered(self, station_id: StationId) -> bool:
        """Whether a next secret opens the door beside the one in force."""
        return station_id in self._offered

    def offer(self, station_id: StationId, mac: bytes) -> None:
        """Let a next secret open the door too, until it is used or withdrawn."""
        self._offered[station_id] = mac

    def withdraw(self, station_id: StationId, mac: bytes) -> bool:
        """Take an offer back; False where it was used meanwhile."""
        if self._offered.get(station_id) != mac:
            return False
        del self._offered[station_id]
        return True

    def identity(self, station_id: StationId) -> StationIdentity | None:
        """The charger that was accepted last (at the first boot, or by a person), else the registry's."""
        accepted = [evse.identity for evse in self._image.stations_of(station_id) if evse.identity is not None]
        return accepted[0] if accepted else self._registered.get(station_id)

    def stranger(self, station_id: StationId) -> StationIdentity | None:
        """The other charger that answers in its place; None if it is itself."""
        return next((evse.stranger for evse in self._image.stations_of(station_id)), None)

    def lock(self, station_id: StationId) -> LockState:
        """Whether a technician has locked it, and whether it is proven to rest."""
        return next((evse.lock_state() for evse in self._image.stations_of(station_id)), "free")

    def authorize(self, token: str, station_id: StationId, now: dt.datetime) -> Authorization:
        """Whether a vehicle's token or a driver's card may charge at the station now."""
        return self._cards.authorize(token, station_id, now)

    def local_list(self, station_id: StationId, now: dt.datetime) -> tuple[ListedToken, ...]:
        """The tokens that the station should know by itself."""
        return self._cards.local_list(station_id, now)

    def runs_there(self, station_id: StationId, session_id: SessionId) -> bool:
        """Whether the image has the session at that station."""
        return any(evse.session_id == session_id for evse in self._image.stations_of(station_id))

    def runs_elsewhere(self, station_id: StationId, transaction_id: str) -> bool:
        """Whether the image has a session with that transaction, at other stations alone."""
        found = [
            evse.station.id
            for evse in self._image.evses.values()
            if evse.session_id == f"{evse.station.id}:{transaction_id}"
        ]
        return bool(found) and station_id not in found
