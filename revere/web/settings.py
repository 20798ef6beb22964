"""Settings of the web thread. Every limit has its name here."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Annotated

import msgspec

from revere.core.errors import RevereError

MAX_BODY_BYTES = 64 * 1024
MAX_SESSIONS = 4096
SESSION_IDLE_S = 8 * 3600
SESSION_MAX_S = 24 * 3600
RECHECK_S = 60.0
LINK_LIFE_S = 15 * 60
MAX_LINKS = 64
LIVE_PERIOD_S = 0.5
LIVE_HEARTBEAT_S = 5.0
LIVE_MAX_S = 3600.0
MAX_LIVE_CLIENTS = 256
MAX_LIVE_PER_ADDRESS = 64
MAX_SERIES_POINTS = 3000
MAX_SERIES_DAYS = 31
MAX_STATEMENTS = 200
PUBLIC_SERIES_CACHE_S = 30.0
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # to be told from others, not bound
STATIC_FOLDER = Path(__file__).parent / "static"


class WebSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the web listens and how it presents itself.

    ``host`` and ``port`` (0 takes a free one) are bound; beyond loopback only with ``tls_cert`` and ``tls_key``
    (PEM files). ``origin`` is the address that browsers see when a proxy on this machine stands in front, for example
    ``https://v2x.example.org``; then the proxy's word counts for a client's address, and without it the request's own
    Host and sender count. ``static_folder`` holds the built console. ``live_period_s`` is how often the picture is
    looked at and so the most frequent push; ``live_heartbeat_s`` how often a stream tells the picture's age.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8080
    tls_cert: Path | None = None
    tls_key: Path | None = None
    origin: str | None = None
    static_folder: Path = STATIC_FOLDER
    live_period_s: float = LIVE_PERIOD_S
    live_heartbeat_s: float = LIVE_HEARTBEAT_S

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by TLS, and so whether cookies carry ``Secure``."""
        return self.tls_cert is not None or (self.origin or "").startswith("https://")

    def address(self, port: int) -> str:
        """Where a browser finds us: the proxy's origin, else the host (this machine's name for every address)."""
        if self.origin is not None:
            return self.origin
        host = socket.gethostname() if self.host in EVERY_ADDRESS else self.host
        return f"{'https' if self.secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def check_listening(settings: WebSettings) -> None:
    """Refuse to listen beyond loopback without TLS. Raises :class:`RevereError`."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise RevereError(
            "TLS needs both a certificate and a key",
            where="web.tls_cert, web.tls_key",
            got="one of them",
            expected="both or none",
            remedy="Name the missing file",
        )
    for key, path in (("web.tls_cert", settings.tls_cert), ("web.tls_key", settings.tls_key)):
        if path is not None and not path.is_file():
            raise RevereError("file not found", where=key, got=path, expected="a readable PEM file")
    if settings.tls_cert is None and not is_loopback(settings.host):
        raise RevereError(
            "listening beyond loopback needs TLS",
            where="web.host",
            got=settings.host,
            expected="127.0.0.1, ::1 or localhost",
            remedy="Set web.tls_cert and web.tls_key, or put a TLS proxy on this machine in front",
        )


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine alone. Names other than localhost count as beyond it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
