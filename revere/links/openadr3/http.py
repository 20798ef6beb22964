"""HTTP to a VTN: client-credentials token, bounded bodies, no redirects, one renewal on 401.

Runs inside a virtual-time loop: numeric hosts need no resolver thread, bodies come uncompressed
(large ones would be unpacked in a thread), and nothing here waits but for the socket.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from revere.core.errors import RevereError, Unavailable
from revere.links.openadr3 import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.time import Clock

REQUEST_TIMEOUT_S = 20.0
TOKEN_RENEW_EARLY_S = 30.0
ERROR_TEXT_CHARS = 200


class VtnRefused(RevereError):
    """The VTN understood and declined (a 4xx): asking again unchanged is useless."""


class VtnClient:
    """One VTN, spoken to as one client id."""

    def __init__(self, base_url: str, client_id: str, client_secret: str, clock: Clock) -> None:
        self._base = _checked_url(base_url)
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._token: str | None = None
        self._token_until_s: float | None = None
        self._session: aiohttp.ClientSession | None = None
        self.requests = 0
        self.tokens = 0
        self.unauthorized = 0

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """JSON of ``GET path``; raises ``Unavailable`` (try later) or ``VtnRefused``."""
        return await self._authorized("GET", path, query, None)

    async def post(self, path: str, body: bytes) -> Any:
        """JSON of the answer to ``POST path`` with a JSON body; raises as :meth:`get`."""
        return await self._authorized("POST", path, {}, body)

    async def _authorized(self, method: str, path: str, query: Mapping[str, str], body: bytes | None) -> Any:
        for attempt in (1, 2):
            headers = {"Authorization": f"Bearer {await self._bearer()}", "Content-Type": "application/json"}
            status, raw = await self._request(method, path, headers, query, body)
            if status != 401:
                return self._answer(method, path, status, raw)
            self.unauthorized += 1
            self._token = None
            if attempt == 2:
                break
        raise VtnRefused(
            "the VTN rejects a fresh token", where=f"{method} {path}", got=401, remedy="Check the client's scopes"
        )

    async def _bearer(self) -> str:
        now_s = self._clock.monotonic_s()
        if self._token is not None and (self._token_until_s is None or now_s < self._token_until_s):
            return self._token
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        status, raw = await self._request("POST", "/auth/token", {}, {}, aiohttp.FormData(form)())
        value = self._answer("POST", "/auth/token", status, raw)
        try:
            token = wire.as_wire(value, wire.Token)
        except msgspec.ValidationError as error:
            raise Unavailable(f"token answer not understood: {error}", where="/auth/token") from error
        if token.token_type.lower() != "bearer":
            raise VtnRefused("token type", where="/auth/token", got=token.token_type[:32], expected="Bearer")
        self.tokens += 1
        self._token = token.access_token
        self._token_until_s = None if token.expires_in is None else now_s + token.expires_in - TOKEN_RENEW_EARLY_S
        return self._token

    async def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        body: aiohttp.Payload | bytes | None,
    ) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            )
        self.requests += 1
        try:
            async with self._session.request(
                method, self._base + path, headers=headers, params=query, data=body, allow_redirects=False
            ) as answer:
                return answer.status, await _bounded(answer, f"{method} {path}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"the VTN did not answer: {type(error).__name__}",
                where=f"{method} {path}",
                remedy="Check the address and that the utility's server runs; we go on trying",
            ) from error

    def _answer(self, method: str, path: str, status: int, raw: bytes) -> Any:
        where = f"{method} {path}"
        if 200 <= status < 300:
            try:
                return wire.parse_body(raw)
            except ValueError as error:
                raise Unavailable(f"answer is not JSON: {error}", where=where) from error
        text = raw[:ERROR_TEXT_CHARS].decode("utf-8", "replace")
        kind = Unavailable if status >= 500 or status in (408, 429) or 300 <= status < 400 else VtnRefused
        raise kind(f"the VTN answered {status}: {text!r}", where=where, got=status, expected="2xx")


async def _bounded(answer: aiohttp.ClientResponse, where: str) -> bytes:
    """The whole body, or ``Unavailable`` once it passes the bound (never read further)."""
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_chunked(1 << 16):
        size += len(part)
        if size > wire.BODY_MAX_BYTES:
            answer.close()
            raise Unavailable(
                "answer too large", where=where, got=f"over {size} bytes", expected=f"{wire.BODY_MAX_BYTES} bytes"
            )
        parts.append(part)
    return b"".join(parts)


def _checked_url(base_url: str) -> str:
    """The base URL without a trailing slash; secrets travel in clear only on loopback."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not host or parts.username or parts.scheme not in ("http", "https") or (parts.scheme == "http" and not loopback):
        raise RevereError(
            "VTN address",
            got=repr(f"{parts.scheme}://{host}"),
            expected="https://host[:port][/path] without credentials (http on loopback alone)",
            remedy="The client secret would cross the network in clear: use https",
        )
    return base_url.rstrip("/")
