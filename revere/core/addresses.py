"""Where stations may fetch firmware and bring logs: only to hosts that the settings name.

A station fetches or brings whatever it is told, so that a wrong address leaks its logs or gives it somebody else's
program. Nothing is allowed unless it is named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from revere.core.errors import Refused, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTING: Final = "ocpp.file_hosts"
PORTS: Final = {"https": 443, "http": 80, "sftp": 22, "ftps": 990, "ftp": 21}
ADDRESS_MAX_CHARS: Final = 512
"""The least that an edition takes (1.6)."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+\Z")
"""Characters on which every reader of an address agrees."""


class AllowedAddresses:
    """The hosts that are allowed, each ``scheme://host`` with a port where it is not the scheme's own."""

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._allowed = frozenset(_named(host) for host in hosts)

    def check(self, address: str) -> None:
        """Raise :class:`Refused` with the way out for an address elsewhere, or one that can be read in two ways."""
        if len(address) > ADDRESS_MAX_CHARS or not _PLAIN.match(address):
            raise Refused(
                "not a plain address",
                got=repr(address[:80]),
                expected=f"printable ASCII of at most {ADDRESS_MAX_CHARS} characters, such as https://host/file",
            )
        try:
            parts = urlsplit(address)
            origin = _origin(parts)
        except ValueError as error:
            raise Refused("not an address", got=address[:80], expected="such as https://host/file") from error
        if parts.username is not None or "@" in parts.netloc:
            raise Refused(
                "an address with a name or password in it",
                got=f"{parts.scheme}://…@{parts.hostname}",
                expected="none: it would stand in the journal",
                remedy="Let the host know stations by their network or certificate",
            )
        if origin not in self._allowed:
            known = ", ".join(sorted(_words(one) for one in self._allowed)) or "no host at all"
            raise Refused(
                "stations may not exchange files with that host",
                got=_words(origin),
                expected=known,
                remedy=f'Name it in revere.toml, [ocpp] file_hosts = ["{_words(origin)}"], and restart',
            )


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    """(scheme, host, port); raises ``ValueError`` for anything else."""
    scheme = parts.scheme.lower()
    if scheme not in PORTS or not parts.hostname:
        raise ValueError("no such scheme, or no host")
    return scheme, parts.hostname.rstrip("."), parts.port or PORTS[scheme]


def _words(origin: tuple[str, str, int]) -> str:
    scheme, host, port = origin
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" + ("" if port == PORTS[scheme] else f":{port}")


def _named(host: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(host)
        origin = _origin(parts)
        if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("more than a host")
    except ValueError as error:
        raise ScenarioError(
            "not a host for stations' files",
            where=SETTING,
            got=host[:80],
            expected=f"scheme://host or scheme://host:port, with one of {', '.join(PORTS)}",
            remedy="Leave out path, name and password",
        ) from error
    return origin
