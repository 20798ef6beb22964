"""The web's own thread: uvicorn on a plain event loop, in wall time, whatever loop control runs on."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn

from revere.core.errors import RevereError, Unavailable
from revere.web.settings import WebSettings, check_listening

if TYPE_CHECKING:
    from litestar import Litestar

START_S = 20.0
STOP_S = 10.0
GRACE_S = 2
MAX_CONNECTIONS = 1024
BACKLOG = 256


class _Server(uvicorn.Server):
    """Uvicorn that says when it is up and tells the live streams when it goes down."""

    def __init__(self, config: uvicorn.Config, up: threading.Event, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._up = up
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)


class WebThread:
    """Runs the web application beside control. ``start`` returns the bound port, ``stop`` joins the thread.

    Beside the door that ``settings`` describe, the same application listens at ``local_port`` of 127.0.0.1 without
    TLS, with connections of its own: the command line's way in, whatever the front door's address, certificate or
    crowd. Who comes in that way still needs a token or a session.
    """

    def __init__(self, make_app: Callable[[], Litestar], settings: WebSettings) -> None:
        self._make_app = make_app
        self._settings = settings
        self._up = threading.Event()
        self._server: _Server | None = None
        self.local_port = 0
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def start(self) -> int:
        """Bind, start and wait until it answers. Raises :class:`RevereError` when it cannot."""
        check_listening(self._settings)
        listener = self._bind()
        port = int(listener.getsockname()[1])
        local = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.local_port = int(local.getsockname()[1])
        self._thread = threading.Thread(target=self._run, args=(listener, local), name="web", daemon=True)
        self._thread.start()
        up = self._up.wait(START_S)
        if self._failure is not None or not up:
            listener.close()
            local.close()
            raise RevereError("the web server did not start", where="web", got=self._failure) from self._failure
        return port

    def stop(self) -> None:
        """End streams, finish requests for two seconds, join. Raises ``Unavailable`` if the thread hangs."""
        if self._thread is None:
            return
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            raise Unavailable("the web thread did not end", where="web", expected=f"within {STOP_S:g} s")
        self._thread = None

    def _bind(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise RevereError(
                "cannot listen",
                where="web.host, web.port",
                got=f"{host}:{port} ({error.strerror})",
                expected="a free address of this machine",
                remedy="Stop what listens there or choose another web.port",
            ) from error

    def _run(self, listener: socket.socket, local: socket.socket) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve(listener, local))
        except BaseException as error:  # noqa: BLE001 - handed to start(), which raises it
            self._failure = error
        finally:
            self._up.set()

    async def _serve(self, listener: socket.socket, local: socket.socket) -> None:
        app = self._make_app()
        settings = self._settings
        front = _config(
            app,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            lifespan="on",
            proxy_headers=settings.origin is not None,
            forwarded_allow_ips="127.0.0.1",
        )
        feed: Any = app.state.feed
        self._server = _Server(front, self._up, feed.close)
        side = uvicorn.Server(_config(app, lifespan="off", proxy_headers=False))
        beside = asyncio.create_task(side.serve(sockets=[local]))
        try:
            await self._server.serve(sockets=[listener])
        finally:
            side.should_exit = True
            await beside
        if not self._server.started:
            raise RevereError("the web application did not start", where="web")


def _config(app: Litestar, **more: Any) -> uvicorn.Config:
    """What both doors have in common."""
    return uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        log_level="warning",
        ws="none",
        server_header=False,
        date_header=True,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=32 * 1024,
        **more,
    )
