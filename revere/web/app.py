"""The web application: pages, API and stream behind one gate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar, Response, Router, get
from litestar.datastructures import MutableScopeHeaders
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.static_files import create_static_files_router
from litestar.types import Message, Scope

import revere
from revere.control.desk import Desk
from revere.core.errors import RevereError, Unavailable
from revere.core.time import wall_now
from revere.web.acting import discharge_routes, lock_routes, programme_routes, station_routes
from revere.web.built import REMEDY
from revere.web.calling import event_routes
from revere.web.campaigning import campaign_routes
from revere.web.carding import card_routes
from revere.web.gate import PUBLIC, Gate, check_declared, open_to
from revere.web.inspecting import inspection_routes
from revere.web.limits import LoginLimits
from revere.web.live import LiveFeed
from revere.web.login import PasswordCheck, login_routes
from revere.web.ports import Accounts, History
from revere.web.problems import answer_problem
from revere.web.reading import history_routes, picture_routes, public_routes
from revere.web.sessions import OneTimeLinks, Seconds, Sessions
from revere.web.settings import MAX_BODY_BYTES, WebSettings, check_listening

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def wall_seconds() -> float:
    """Seconds since the epoch by the machine's clock: sessions live in wall time, whatever the twin does."""
    return wall_now().timestamp()


def create_app(
    desk: Desk,
    accounts: Accounts,
    history: History,
    settings: WebSettings,
    *,
    links: OneTimeLinks | None = None,
    now_s: Seconds = wall_seconds,
    check: PasswordCheck | None = None,
    command_line: str | None = None,
) -> Litestar:
    """Wire the web. Raises :class:`RevereError` for settings that must not listen.

    ``links`` is kept by the caller, who issues one-time links; ``now_s`` is the sessions' clock.
    ``command_line`` is the token by which this machine's command line acts as an operator while the process lives.
    """
    check_listening(settings)
    sessions = Sessions(now_s)
    gate = Gate(accounts, sessions, settings, now_s, command_line)
    feed = LiveFeed(desk, settings)
    handlers: list[BaseRouteHandler | Router] = [
        *public_routes(desk, history, feed),
        *picture_routes(desk, feed, gate),
        *history_routes(history),
        *discharge_routes(desk),
        *programme_routes(desk),
        *event_routes(desk),
        *station_routes(desk),
        *campaign_routes(desk),
        *card_routes(desk),
        *lock_routes(desk),
        *inspection_routes(desk, history),
        *login_routes(
            accounts, sessions, links or OneTimeLinks(now_s), LoginLimits(now_s), settings, check or PasswordCheck()
        ),
        *page_routes(settings),
    ]
    app = Litestar(
        handlers,
        guards=[gate.guard],
        exception_handlers={
            Exception: answer_problem,
            HTTPException: answer_problem,
            RevereError: answer_problem,
        },
        openapi_config=_openapi(),
        request_max_body_size=MAX_BODY_BYTES,
        before_send=[_harden],
        lifespan=[_running(feed, accounts, history)],
        logging_config=None,
        debug=False,
    )
    app.state.feed = feed
    check_declared(app)
    return app


def page_routes(settings: WebSettings) -> list[BaseRouteHandler | Router]:
    """The built console. Its pages hold no data: everything comes through the API."""
    index = settings.static_folder / "index.html"

    def shell() -> Response[bytes]:
        try:
            page = index.read_bytes()
        except FileNotFoundError as error:
            raise Unavailable("the console is not built", remedy=REMEDY.capitalize()) from error
        return Response(page, media_type="text/html", headers={"Cache-Control": "no-cache"})

    @get(["/", "/public", "/login"], opt=PUBLIC, include_in_schema=False, sync_to_thread=False)
    def open_pages() -> Response[bytes]:
        """Pages for everybody."""
        return shell()

    @get("/favicon.ico", opt=PUBLIC, status_code=204, include_in_schema=False, sync_to_thread=False)
    def no_icon() -> None:
        """Browsers ask for it beside pages that name no icon; the console's pages name theirs."""

    @get("/operator", opt=open_to("operator", "auditor", page=True), include_in_schema=False, sync_to_thread=False)
    def operator_page() -> Response[bytes]:
        """The operator's page; strangers go to the login page."""
        return shell()

    @get(
        "/stations/{station_id:str}",
        opt=open_to("operator", "auditor", "site_manager", page=True),
        include_in_schema=False,
        sync_to_thread=False,
    )
    def station_page() -> Response[bytes]:
        """A station's page; strangers go to the login page."""
        return shell()

    pages: list[BaseRouteHandler | Router] = [open_pages, operator_page, station_page, no_icon]
    assets = settings.static_folder / "assets"
    if assets.is_dir():
        pages.append(create_static_files_router("/assets", [assets], opt=PUBLIC, include_in_schema=False))
    return pages


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Revere",
        version=revere.__version__,
        description=(
            "One V2X programme. Powers in kW with charging positive; names that say relief are positive for help to "
            "the grid. Times are RFC 3339 in UTC. Errors are problem+json with a reference that is also in the log."
        ),
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        openapi_router=Router(path="/api", route_handlers=[], opt=PUBLIC, include_in_schema=False),
        use_handler_docstrings=True,
    )


def _running(
    feed: LiveFeed, accounts: Accounts, history: History
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        watch = asyncio.create_task(feed.watch())
        try:
            yield
        finally:
            feed.close()
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            await accounts.close()
            await history.close()

    return running


async def _harden(message: Message, scope: Scope) -> None:
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    if scope["path"].startswith("/assets/"):
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        headers.setdefault("Cache-Control", "no-store")
