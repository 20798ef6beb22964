"""The gate: every route says who may pass; a route that says nothing lets nobody in.

Reading order of a request: role declared by the route → person behind cookie or bearer token →
Origin check where a cookie could have been sent by another site's page → role.
"""

from __future__ import annotations

from typing import Any, TypeAlias
from urllib.parse import urlsplit

import structlog
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.handlers.http_handlers import HTTPRouteHandler

from revere.core.errors import Unavailable
from revere.web.ports import Accounts, Role
from revere.web.sessions import Principal, Seconds, Sessions, digest, principal_of
from revere.web.settings import MAX_SESSIONS, RECHECK_S, WebSettings

COOKIE = "revere_session"
COMMAND_LINE = "command-line"
MAX_TOKEN_CHARS = 200
READING = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC: dict[str, Any] = {"public": True}

log = structlog.get_logger("revere.web")
Asked: TypeAlias = Request[Principal, Any, State]


def open_to(*roles: Role, page: bool = False) -> dict[str, Any]:
    """The declaration of a route: these roles and nobody else. ``page`` sends strangers to the login page."""
    return {"roles": frozenset(roles), "page": page}


class Gate:
    """Finds the person behind a request and keeps the rest out."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        settings: WebSettings,
        now_s: Seconds,
        command_line: str | None = None,
    ) -> None:
        self._accounts = accounts
        self._command_line = None if command_line is None else digest(command_line)
        self._now_s = now_s
        self._sessions = sessions
        self._settings = settings
        self._tokens: dict[str, tuple[Principal, float]] = {}

    async def guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Litestar's guard for every route of the application."""
        bearer = _bearer(connection)
        if connection.scope.get("method", "GET") not in READING and bearer is None:
            self._check_origin(connection)
        if handler.opt.get("public"):
            return
        roles: frozenset[Role] = handler.opt.get("roles", frozenset())
        person = await (self.by_token(bearer) if bearer is not None else self.by_cookie(connection))
        if person is None:
            raise NotAuthorizedException("Sign in, or send a bearer token.")
        if person.role not in roles:
            raise PermissionDeniedException(f"The role {person.role} may not do this.")
        connection.scope["user"] = person

    async def by_cookie(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Principal | None:
        """The person of the session cookie. While the store is away, who was in stays in."""
        token = connection.cookies.get(COOKIE, "")
        if not token or len(token) > MAX_TOKEN_CHARS:
            return None
        person = self._sessions.find(token)
        if person is None or person.via == "link" or not self._sessions.due_for_check(person.key):
            return person
        try:
            account = await self._accounts.user(person.name)
        except Unavailable:
            return person
        return self._sessions.confirm(person.key, account)

    async def by_token(self, token: str) -> Principal | None:
        """The person of a bearer token, remembered for a minute and through the store's absence.

        The command line's own token asks no store, so that a stop passes with the database gone.
        """
        key = digest(token)
        if key == self._command_line:
            return Principal(name=COMMAND_LINE, role="operator", via="token", key=key)
        known = self._tokens.get(key)
        now_s = self._now_s()
        if known is not None and now_s - known[1] < RECHECK_S:
            return known[0]
        try:
            account = await self._accounts.by_token(token)
        except Unavailable:
            if known is None:
                raise
            return known[0]
        self._tokens.pop(key, None)
        if account is None:
            return None
        if len(self._tokens) >= MAX_SESSIONS:
            self._tokens.pop(next(iter(self._tokens)))
        person = principal_of(account, "token", key)
        self._tokens[key] = (person, now_s)
        return person

    def still_in(self, person: Principal) -> bool:
        """Whether a long answer (a live stream) may go on for this person."""
        return person.via == "token" or self._sessions.alive(person.key)

    def _check_origin(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        origin = connection.headers.get("origin", "")
        if self._settings.origin is not None:
            own = origin == self._settings.origin
        else:
            wanted = urlsplit(origin)
            scheme = "https" if self._settings.secure else "http"
            own = wanted.scheme == scheme and wanted.netloc == connection.headers.get("host", "")
        if not own:
            raise PermissionDeniedException(
                "This request did not come from our own page (Origin). Scripts send a token."
            )


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip()
    if not token or len(token) > MAX_TOKEN_CHARS:
        raise NotAuthorizedException("The bearer token is not one of ours.")
    return token


def check_declared(app: Litestar) -> None:
    """Refuse to start with a route that does not say who may pass."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.http_methods != {"OPTIONS"}:
                declared = bool(handler.opt.get("public")) or bool(handler.opt.get("roles"))
                assert declared, f"{route.path}: no role declared"
