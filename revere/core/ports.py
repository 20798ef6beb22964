"""Ports: what the rooms ask of each other, filled by the outer rooms and wired in ``app``."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Protocol

import msgspec

from revere.core.assets import Protocol as StationProtocol
from revere.core.assets import SecurityProfile, StationIdentity
from revere.core.commands import DefaultProfile
from revere.core.ids import SiteId, StationId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.core.assets import Authorization, ListedToken
    from revere.core.commands import Answer, LockState, ReportingCommand, SetpointCommand
    from revere.core.facts import Fact
    from revere.core.ids import SessionId
    from revere.core.orders import Order
    from revere.core.portrait import FrameShown, StationPortrait


class FactSink(Protocol):
    """Where links deliver facts. Returning means committed: only then may a link acknowledge."""

    async def record(self, facts: Sequence[Fact], *, however_late: bool = False) -> None:
        """Journal ``facts`` and fold them into the image. Raises ``Unavailable`` if it cannot, or not in time.

        ``however_late``: what was taken is waited for until it is committed. What takes a permission away
        (``facts.TakesAway``) binds at once and is journaled later all the same.
        """
        ...


class StationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a link must know of a station before it may speak."""

    station_id: StationId
    site_id: SiteId
    protocol: StationProtocol
    charge_kw: float
    discharge_kw: float
    meters_site: bool
    default_profile: DefaultProfile
    zone: str
    security_profile: SecurityProfile = 1
    next_profile: SecurityProfile | None = None
    """A higher one that lets it in too, and that counts from then on."""
    charger_model: str = ""
    """The kind of charger where it is named, else it is chosen by what the station says of itself."""
    master_group: str = ""
    """The group whose cards end any session and start none."""
    sample_interval_s: int = 60
    aligned_interval_s: int = 300


class StationDirectory(Protocol):
    """Who may connect, and as what."""

    def registered(self, station_id: str) -> StationConfig | None:
        """The configuration of a registered station, whoever asks; None for an unknown id."""
        ...

    def authenticate(self, station_id: str, password: str) -> StationConfig | None:
        """The station's configuration when the secret is right, else None, in constant time."""
        ...

    def raise_profile(self, station_id: StationId) -> StationConfig:
        """The station came in by its next security profile, which is its only one from now on."""
        ...

    def certificate(self, station_id: StationId) -> KnownCertificate | None:
        """The certificate in force; None where the station never showed one, and none was revoked."""
        ...

    def use_certificate(self, station_id: StationId, certificate: KnownCertificate) -> None:
        """The station came in with it: it is the one in force from now on."""
        ...

    def gave(self, station_id: StationId, request_id: int) -> bool:
        """Whether the station was given that number to report under."""
        ...

    def identity(self, station_id: StationId) -> StationIdentity | None:
        """Which charger the station is taken to be; None before its first boot."""
        ...

    def stranger(self, station_id: StationId) -> StationIdentity | None:
        """The other charger that answers in its place and must not be commanded; None if it is itself."""
        ...

    def lock(self, station_id: StationId) -> LockState:
        """Whether a technician has locked the station, and whether its meter has shown since that it rests."""
        ...

    def authorize(self, token: str, station_id: StationId, now: dt.datetime) -> Authorization:
        """Whether the token may charge at the station now, and why not."""
        ...

    def local_list(self, station_id: StationId, now: dt.datetime) -> tuple[ListedToken, ...]:
        """The tokens that the station should know by itself, in their order."""
        ...

    def runs_there(self, station_id: StationId, session_id: SessionId) -> bool:
        """Whether the session is known to run at that station."""
        ...

    def runs_elsewhere(self, station_id: StationId, transaction_id: str) -> bool:
        """Whether a transaction of that name is known to run, at other stations alone."""
        ...


STATION_URI = "urn:revere:station:"
"""How a certificate that we signed over OCPP says for which station it is: an alternative name, then its id."""


CERTIFICATES_BEGIN_EARLIER = dt.timedelta(hours=1)
"""Certificates that we make begin this long before they are made: stations' clocks are late."""


class KnownCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate of a station that is in force: besides it only one that begins later is let in."""

    fingerprint: bytes
    """SHA-256 of its DER; empty where all until now were revoked."""
    begins: dt.datetime


class SignedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A new certificate of a station, PEM, and until when it is good."""

    chain: str
    serial: str
    begins: dt.datetime
    ends: dt.datetime


class CertificateSigner(Protocol):
    """Who signs stations' certificates."""

    def sign(
        self,
        station_id: StationId,
        names: tuple[str, ...],
        csr: str,
        now: dt.datetime,
        after: dt.datetime | None = None,
    ) -> SignedCertificate:
        """Sign the key of a request (PEM) whose common name is one of ``names``. Raises ``Refused`` with the fault.

        It begins later than ``after``, where the certificate that it follows begins.
        """
        ...


class VendorCloud(Protocol):
    """The cloud of a charger's vendor, for chargers that nobody else reaches: it tells us, and we tell it nothing.

    Who fills it delivers what he hears to the ``FactSink``, like a link. Its stations are registered with the charger
    model ``vendor-cloud``: *not controllable*, so that no plan and no nomination counts on them.
    """

    def stations(self) -> frozenset[StationId]:
        """The stations that it speaks for."""
        ...

    async def listen(self, sink: FactSink) -> None:
        """Deliver readings, sessions and links' states until cancelled. Raises ``Unavailable`` where it cannot."""
        ...


class ChargingLink(Protocol):
    """What control may ask of stations, whatever they speak."""

    def connected(self) -> frozenset[StationId]:
        """Stations with a live, booted connection."""
        ...

    async def set_power(self, command: SetpointCommand) -> Answer:
        """Give an EVSE a setpoint for its running session."""
        ...

    async def set_reporting(self, command: ReportingCommand) -> Answer:
        """Change the sampling interval of a station."""
        ...

    async def composite_limits_kw(
        self, station_id: StationId, evse_id: int, duration_s: int
    ) -> list[tuple[dt.datetime, float]]:
        """What the station says it would do, (from, kW). Raises ``Unavailable`` or ``Refused``."""
        ...

    def portrait(self, station_id: StationId) -> StationPortrait:
        """What the link knows of a station: its kind of charger, certificate, device model."""
        ...

    def frames(self, station_id: StationId) -> tuple[FrameShown, ...]:
        """The last messages of a station, both ways, the oldest first, without secrets."""
        ...

    async def restore_fallback(self, station_id: StationId) -> Answer:
        """Put the charge-only default back in the place of any other default."""
        ...

    async def set_password(self, station_id: StationId, secret: str) -> Answer:
        """Have the station come in with this secret from its next connection on."""
        ...

    async def remote_start(self, station_id: StationId, evse_id: int, token: str) -> Answer:
        """Start a session for a token."""
        ...

    async def clear_setpoint(self, station_id: StationId, evse_id: int) -> Answer:
        """Remove the central profile of an EVSE: its charge-only default holds until the next setpoint."""
        ...

    async def remote_stop(self, station_id: StationId, session_id: str) -> Answer:
        """End a session."""
        ...

    def check_file(self, address: str) -> None:
        """Raise :class:`Refused` where stations may not exchange files with that host."""
        ...

    async def carry_out(self, station_id: StationId, order: Order) -> Answer:
        """Do what a person asked of a station; rejected with the reason where it cannot be asked of it."""
        ...
