"""Who may open a socket: HTTP Basic before the upgrade, one answer for every refusal.

A wrong password, an unknown id, a malformed header and too many tries all get the same bytes, with
no date in them, so that neither text nor headers tell which ids exist. Time does not tell either:
the directory verifies unknown ids as it verifies known ones.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.http11 import Response

from revere.links.ocppj.bounds import (
    FAILED_LOGINS_BURST,
    FAILED_LOGINS_PER_S,
    LOGIN_RECORDS_MAX,
    PASSWORD_MAX_BYTES,
    STATION_ID_MAX_CHARS,
)

if TYPE_CHECKING:
    from websockets.http11 import Request

PATH_PREFIX: Final = "/ocpp/"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*\Z")
_HEADER_MAX_CHARS: Final = 400
KEY_BYTES: Final = 20
_ABSENT: Final = "-"
"""No station has this id (ids start with a letter or a digit): verified like one, always refused."""


def refusal(status: int, phrase: str, text: str, *, retry_after_s: int | None = None) -> Response:
    """A refusal that says nothing about who asked."""
    body = text.encode()
    headers = Headers()
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="OCPP", charset="UTF-8"'
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    headers["Content-Type"] = "text/plain; charset=utf-8"
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Response(status, phrase, headers, body)


def unauthorized() -> Response:
    """The one 401."""
    return refusal(401, "Unauthorized", "Not authorized.\n")


def station_in_path(path: str) -> str | None:
    """The id in ``/ocpp/{id}``; ``-`` when it is malformed, None when this is no OCPP path."""
    path = path.partition("?")[0]
    if not path.startswith(PATH_PREFIX):
        return None
    station_id = unquote(path[len(PATH_PREFIX) :], errors="replace") if len(path) < _HEADER_MAX_CHARS else ""
    if len(station_id) > STATION_ID_MAX_CHARS or not _ID.match(station_id):
        return _ABSENT
    return station_id


def credentials(request: Request) -> tuple[str, str]:
    """User and password of the Basic header, empty when there is none that can be read."""
    values = request.headers.get_all("Authorization")
    if len(values) != 1 or len(values[0]) > _HEADER_MAX_CHARS or values[0][:6].lower() != "basic ":
        return "", ""
    try:
        user, _, secret = base64.b64decode(values[0][6:].strip(), validate=True).partition(b":")
        name = user.decode()
        password = secret.hex() if _is_bare_key(secret) else secret.decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    if "\x00" in name + password or len(secret) > PASSWORD_MAX_BYTES:
        return "", ""
    return name, password


def _is_bare_key(secret: bytes) -> bool:
    """Whether it is the 20 bytes of an AuthorizationKey, which OCPP-J 1.6 sends as they are, and no text."""
    if len(secret) != KEY_BYTES:
        return False
    try:
        return not secret.decode().isprintable()
    except UnicodeDecodeError:
        return True


class LoginBudget:
    """Failed tries by (address, id), in loop seconds; the least recently failed is forgotten first.

    It tells guesses from a slip, and shuts out nobody: what bounds guesses is the length of our secrets. All unknown
    ids of an address count as one, so that walking through ids forgets no pair that counts.
    """

    def __init__(self) -> None:
        self._failed: dict[tuple[str, str], tuple[float, float]] = {}

    def spent(self, who: tuple[str, str], now_s: float) -> bool:
        """Whether the pair has failed so often that it guesses."""
        return self._tries(who, now_s) >= FAILED_LOGINS_BURST

    def note_failure(self, who: tuple[str, str], now_s: float) -> None:
        """Count one failed try."""
        tries = self._tries(who, now_s) + 1.0
        self._failed.pop(who, None)
        while len(self._failed) >= LOGIN_RECORDS_MAX:
            del self._failed[next(iter(self._failed))]
        self._failed[who] = (tries, now_s)

    def _tries(self, who: tuple[str, str], now_s: float) -> float:
        tries, at_s = self._failed.get(who, (0.0, now_s))
        return max(0.0, tries - (now_s - at_s) * FAILED_LOGINS_PER_S)
