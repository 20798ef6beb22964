"""TLS at the stations' port: the suites of OCPP's security whitepaper, our root for stations, new certificates at once.

A renewed certificate serves the next handshake; open sockets keep theirs. Where the new one cannot be read, the old
one stays in force.
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Any, Final

from revere.core.errors import RevereError, ScenarioError
from revere.web.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from revere.app.settings import OcppSettings
    from revere.core.assets import Station
    from revere.core.ports import CertificateSigner

log = logging.getLogger(__name__)

SUITES_12: Final = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-GCM-SHA384"
"""The whitepaper's four for TLS 1.2; TLS 1.3 has its own."""
KEYS_AT_LEAST: Final = "@SECLEVEL=2"
"""OpenSSL's level of 112 bits: RSA keys from 2,048 bits, elliptic ones from 224, as the whitepaper asks."""
NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: the door looks at a certificate's dates itself, to say whose has ended."""


class _Heard(ssl.SSLObject):
    """A server's side of a TLS connection that says when a certificate was not trusted; the library forgets it."""

    tell: Callable[[str], None]

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            self.tell(error.verify_message)
            raise


class StationTls:
    """What the stations' port speaks TLS with. Raises :class:`ScenarioError` for files that cannot be used."""

    def __init__(self, settings: OcppSettings) -> None:
        self.on_untrusted: Callable[[str], None] | None = None
        """Called with OpenSSL's word for why a certificate was not trusted."""
        self._settings = settings
        self._signature = self._signed()
        self._current = _context(settings)
        self.context = _context(settings)
        """The listener's; each handshake is done with the newest."""
        self.context.sni_callback = self._choose
        # The listener's context makes the connections of all that come after it.
        self.context.sslobject_class = type("Heard", (_Heard,), {"tell": staticmethod(self._untrusted)})

    def _untrusted(self, why: str) -> None:
        if self.on_untrusted is not None:
            self.on_untrusted(why)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _front: ssl.SSLContext) -> None:
        connection.context = self._current

    def reload(self) -> bool:
        """Take up files that have changed; True when new ones are in force. Never raises: the old ones stay."""
        signature = self._signed()
        if signature == self._signature:
            return False
        self._signature = signature
        try:
            self._current = _context(self._settings)
        except RevereError as error:
            log.error("the stations' certificate stays as it was: %s", error.text())
            return False
        log.warning("the stations' certificate was renewed")
        return True

    def _signed(self) -> tuple[Any, ...]:
        """What changes whenever one of the files does."""
        return tuple(_stamp(file) for file in _files(self._settings))


def _files(settings: OcppSettings) -> list[Path]:
    return [file for file in (settings.tls_cert, settings.tls_key, settings.tls_station_root) if file is not None]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _context(settings: OcppSettings) -> ssl.SSLContext:
    assert settings.tls_cert is not None
    assert settings.tls_key is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{SUITES_12}:{KEYS_AT_LEAST}")
    context.num_tickets = 0  # a resumed connection would not be asked for its certificate again
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")  # never ask at a terminal
    except OSError as error:  # an SSLError is one
        raise ScenarioError(
            "the certificate and its key cannot be used",
            where="ocpp.tls_cert, ocpp.tls_key",
            got=f"{settings.tls_cert}, {settings.tls_key}: {error.strerror or error}",
            expected="two PEM files that belong together",
            remedy="Correct the paths, or make the pair anew",
        ) from error
    if settings.tls_station_root is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= NO_CHECK_TIME
        try:
            context.load_verify_locations(settings.tls_station_root)
        except OSError as error:
            raise ScenarioError(
                "the root of the stations' certificates cannot be used",
                where="ocpp.tls_station_root",
                got=f"{settings.tls_station_root}: {error.strerror or error}",
                expected="a PEM file of the root that signs for stations",
                remedy="Correct the path",
            ) from error
    return context


def station_tls(settings: OcppSettings) -> StationTls | None:
    """What the stations' port speaks TLS with, None for clear text on loopback or behind a proxy.

    Raises :class:`ScenarioError` for clear text beyond loopback, half a certificate, or files that are none.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if cert is not None and key is not None:
        return StationTls(settings)
    if cert is not None or key is not None or settings.tls_station_root is not None:
        raise ScenarioError(
            "TLS needs both a certificate and a key",
            where="ocpp.tls_cert, ocpp.tls_key",
            got="one of them" if cert or key else "a root for stations alone",
            expected="both or none",
            remedy="Name the missing file",
        )
    if settings.behind_tls_proxy or is_loopback(settings.host):
        return None
    raise ScenarioError(
        "stations beyond this machine need TLS: their passwords and commands would pass in clear text",
        where="ocpp.host",
        got=settings.host,
        expected="127.0.0.1, ::1 or localhost",
        remedy="Set ocpp.tls_cert and ocpp.tls_key, or ocpp.behind_tls_proxy = true where a proxy ends TLS",
    )


def station_signer(settings: OcppSettings) -> CertificateSigner | None:
    """Who signs stations' new certificates; None where the root's key is not here. Raises for files that do not fit."""
    if settings.tls_station_root_key is None:
        return None
    if settings.tls_station_root is None:
        raise ScenarioError(
            "a key without its root",
            where="ocpp.tls_station_root_key",
            got=str(settings.tls_station_root_key),
            remedy="Name its certificate: ocpp.tls_station_root",
        )
    from revere.app.signer import RootSigner  # cryptography is heavy, and few need it

    return RootSigner.open(settings.tls_station_root, settings.tls_station_root_key)


def check_profiles(settings: OcppSettings, stations: Iterable[Station]) -> None:
    """Raise :class:`ScenarioError` for stations whose security profile these settings can never let in."""
    by_profile: dict[int, list[str]] = {}
    for station in stations:
        by_profile.setdefault(station.security_profile, []).append(station.id)
    tls = settings.tls_cert is not None
    missing = {
        0: None if settings.bench else "ocpp.bench = true, which is for benches alone",
        1: None,
        2: None if tls or settings.behind_tls_proxy else "ocpp.tls_cert and ocpp.tls_key",
        3: None if tls and settings.tls_station_root else "ocpp.tls_cert, ocpp.tls_key and ocpp.tls_station_root",
    }
    for profile, ids in sorted(by_profile.items()):
        if (lacks := missing[profile]) is not None:
            more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
            raise ScenarioError(
                f"stations of security profile {profile} could never connect",
                where="revere.toml",
                got=", ".join(ids[:5]) + more,
                expected=lacks,
                remedy="Set it, or register them with another profile; docs/how-to/secure-stations.md",
            )
