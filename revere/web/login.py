"""Coming in and going out: password, one-time link, sign-out."""

from __future__ import annotations

import asyncio
from typing import Annotated

import argon2
import msgspec
import structlog
from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import NotAuthorizedException, TooManyRequestsException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import JSONBody, QueryParameter

from revere.web.gate import COOKIE, PUBLIC, Asked, open_to
from revere.web.limits import LoginLimits
from revere.web.ports import ROLES, Account, Accounts, Role
from revere.web.sessions import OneTimeLinks, Sessions
from revere.web.settings import SESSION_MAX_S, WebSettings

PARALLEL_HASHES = 2
HOME: dict[Role, str] = {"operator": "/operator", "auditor": "/operator"}

log = structlog.get_logger("revere.web")


class LoginForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name and password."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class CameIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who came in, and the page to go to."""

    name: str
    role: Role
    next: str


class PasswordCheck:
    """Argon2 with the same work for an unknown name, at most two at a time."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._nobody = self._hasher.hash("nobody has this password")
        self._slots = asyncio.Semaphore(PARALLEL_HASHES)

    async def right(self, account: Account | None, password: str) -> bool:
        """Whether the password is the account's; always computes one hash."""
        known = account is not None and bool(account.password_hash)
        encoded = account.password_hash if account is not None and known else self._nobody
        async with self._slots:
            matches = await asyncio.to_thread(self._matches, encoded, password)
        return matches and known

    def _matches(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


def session_cookie(token: str, settings: WebSettings) -> Cookie:
    """The session's cookie: out of scripts' reach, never sent by another site's page."""
    return Cookie(
        key=COOKIE,
        value=token,
        path="/",
        httponly=True,
        samesite="strict",
        secure=settings.secure,
        max_age=SESSION_MAX_S if token else 0,
    )


def login_routes(
    accounts: Accounts,
    sessions: Sessions,
    links: OneTimeLinks,
    limits: LoginLimits,
    settings: WebSettings,
    check: PasswordCheck,
) -> list[BaseRouteHandler]:
    """``POST /login``, ``GET /login/once``, ``POST /logout``."""

    @post("/login", status_code=200, opt=PUBLIC, summary="Sign in with name and password")
    async def login(request: Asked, data: JSONBody[LoginForm]) -> Response[CameIn]:
        """Answers with the session cookie; a wrong name and a wrong password look the same."""
        address = request.client.host if request.client else "unknown"
        wait_s = limits.wait_s(data.name, address)
        if wait_s > 0.0:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            raise TooManyRequestsException(f"Please wait {int(wait_s) + 1} s and try again.", headers=headers)
        account = await accounts.user(data.name)
        if not await check.right(account, data.password) or account is None:
            log.info("login refused", address=address)
            raise NotAuthorizedException("Name or password is wrong.")
        limits.came_in(data.name, address)
        log.info("login", user=account.name, role=account.role)
        token = sessions.open(account)
        body = CameIn(name=account.name, role=account.role, next=HOME.get(account.role, "/"))
        return Response(body, cookies=[session_cookie(token, settings)])

    @get("/login/once", opt=PUBLIC, summary="Sign in with a one-time link")
    async def login_once(token: Annotated[str, QueryParameter(max_length=64)]) -> Response[str]:
        """Opens a session once. The page then goes on by itself, so that the strict cookie travels along."""
        account = links.redeem(token) or await accounts.by_link(token)
        if account is None:
            raise NotAuthorizedException("This link was used already or is too old. Ask for a new one.")
        log.info("login by link", user=account.name, role=account.role)
        target = HOME.get(account.role, "/")
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Revere</title>'
            f'<meta http-equiv="refresh" content="0;url={target}"></head>'
            f'<body><p><a href="{target}">Continue to the console</a></p></body></html>'
        )
        cookie = session_cookie(sessions.open(account, via="link"), settings)
        return Response(page, media_type="text/html", cookies=[cookie])

    @post("/logout", status_code=204, opt=open_to(*ROLES), summary="Sign out")
    async def logout(request: Asked) -> Response[None]:
        """Ends the session and takes the cookie back."""
        sessions.close(request.user.key)
        return Response(None, status_code=204, cookies=[session_cookie("", settings)])

    return [login, login_once, logout]
