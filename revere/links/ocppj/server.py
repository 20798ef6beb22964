"""The OCPP server: one port for every station and version, and control's door to them all.

``/ocpp/{station_id}``, known to the door before the upgrade, the subprotocol that the station is
registered for and no other. A second authenticated socket of a station wins; closing the first
never removes the second, since each is known by its generation.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
from asyncio import sslproto
from typing import TYPE_CHECKING, Final

from websockets.asyncio.server import Server, ServerConnection, serve

from revere.core.addresses import AllowedAddresses
from revere.core.commands import NOT_CONNECTED, OFFLINE_LEASE_S, Answer
from revere.core.errors import Refused, RevereError, Unavailable
from revere.core.facts import AlarmRaised, Fact, StationConnected, StationDisconnected
from revere.core.ids import StationId
from revere.core.orders import FileOrder, StartSession, StopSession, TriggerReport
from revere.core.portrait import FrameShown, StationPortrait
from revere.links.models import WAY_WORDS, ChargerModel, our_models, why
from revere.links.ocpp2.session import Session2
from revere.links.ocpp16.session import Session16
from revere.links.ocppj import login
from revere.links.ocppj.admission import Admission
from revere.links.ocppj.bounds import (
    AUDITS_WAITING_MAX,
    CLOSE_TIMEOUT_S,
    CONNECTIONS_MAX,
    CUT_AGAIN_S,
    CUT_MARGIN_S,
    LISTEN_BACKLOG,
    LONG_FRAME_MAX_BYTES,
    OPEN_TIMEOUT_S,
    TAKEOVERS_PER_MINUTE_MAX,
    TLS_BUFFER_BYTES,
    UNHEARD_MAX,
    Counters,
)
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTable, CallTimedOut, errand
from revere.links.ocppj.connection import StationLink
from revere.links.ocppj.door import Door, DoorRules
from revere.links.ocppj.frames import NotedTransport
from revere.links.ocppj.line import Line, Session, StationMemory
from revere.links.ocppj.showing import shown
from revere.links.ocppj.threshold import Threshold
from revere.links.ocppj.transport import Disconnected, StationSocket, Transport, WebSocketTransport

if TYPE_CHECKING:
    import datetime as dt
    import ssl
    from collections.abc import Awaitable, Callable

    from websockets.http11 import Request, Response
    from websockets.typing import Subprotocol

    from revere.core.commands import ReportingCommand, SetpointCommand
    from revere.core.orders import Order
    from revere.core.ports import CertificateSigner, FactSink, StationConfig, StationDirectory
    from revere.core.time import Clock

log = logging.getLogger(__name__)

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
POLICY: Final = 1008
TRY_AGAIN_LATER: Final = 1013
WINDOW_S: Final = 60.0
TAKEOVERS_KEPT: Final = 15


class OcppServer:
    """Stations on real WebSockets (``core.ports.ChargingLink``).

    ``ping_interval_s`` None sends no pings (twin time). ``speed``: seconds of the loop in one of the wall, where a demo
    paces it; what waits for the database is given time of the wall.
    """

    def __init__(
        self,
        sink: FactSink,
        directory: StationDirectory,
        clock: Clock,
        *,
        ping_interval_s: float | None = 20,
        rules: DoorRules | None = None,
        models: tuple[ChargerModel, ...] | None = None,
        files: AllowedAddresses | None = None,
        signer: CertificateSigner | None = None,
        speed: float = 1.0,
    ) -> None:
        self._signer = signer
        self._speed = speed
        self._files = files or AllowedAddresses()
        self.counters = Counters()
        self._sink = sink
        self._directory = directory
        self._models = our_models() if models is None else models
        self._clock = clock
        self._ping_interval_s = ping_interval_s
        self._links: dict[StationId, StationLink] = {}
        self._memories: dict[StationId, StationMemory] = {}
        self._rules = rules or DoorRules()
        self._door = Door(directory, clock, self.counters, self._rules, self._audit)
        self._admission = Admission(self.counters)
        self._threshold = Threshold(self.counters, self._admission.retry_after_s)
        self._auditing: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._server: Server | None = None

    # Listening ---------------------------------------------------------------------------------------

    async def serve(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen; the port, chosen by the system where 0 was asked for."""
        if tls is not None:
            sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
        try:
            self._server = await serve(
                self._on_socket,
                host,
                port,
                process_request=self._admit,
                select_subprotocol=_registered_protocol,
                create_connection=functools.partial(  # type: ignore[arg-type]
                    StationSocket, threshold=self._threshold, tls=tls, counters=self.counters
                ),
                compression=None,
                server_header=None,
                max_size=LONG_FRAME_MAX_BYTES,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=self._ping_interval_s,
                ping_timeout=self._ping_interval_s,
                logger=logging.getLogger("revere.links.ocppj.socket"),
            )
        except OSError as error:
            raise RevereError(
                "cannot listen for stations",
                where="ocpp.host, ocpp.port",
                got=f"{host}:{port} ({error.strerror or error})",
                expected="a free address of this machine",
                remedy="Stop what listens there or choose another ocpp.port",
            ) from error
        for listener in self._server.sockets:
            with socket.socket(fileno=os.dup(listener.fileno())) as again:
                again.listen(LISTEN_BACKLOG)  # asyncio would accept as many in one turn as it lets wait
        listening: int = next(iter(self._server.sockets)).getsockname()[1]
        return listening

    async def close(self) -> None:
        """Stop listening, close every socket, wait for their ends to be recorded."""
        self._threshold.close()
        if self._server is not None:
            self._server.close(code=GOING_AWAY, reason="the server stops")
            await self._server.wait_closed()
            self._server = None
        await asyncio.gather(*self._closing, *self._auditing, return_exceptions=True)

    async def _admit(self, caller: ServerConnection, request: Request) -> Response | None:
        """None to go on with the upgrade, else the refusal."""
        assert isinstance(caller, StationSocket)
        refused = self._refusal(caller, request)
        caller.through()
        if refused is not None:
            return refused
        loop = asyncio.get_running_loop()
        wait_s = self._admission.wait_s(loop.time())
        if wait_s is None:
            return login.refusal(
                503,
                "Service Unavailable",
                "Too many at once.\n",
                retry_after_s=self._admission.retry_after_s(loop.time()),
            )
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return None

    def _refusal(self, caller: StationSocket, request: Request) -> Response | None:
        """Why the station may not come in at all; None when it may."""
        station_id = login.station_in_path(request.path)
        if station_id is None:
            return login.refusal(404, "Not Found", "Nothing here.\n")
        if self.counters.connections >= CONNECTIONS_MAX:
            self.counters.connections_refused += 1
            return login.refusal(503, "Service Unavailable", "Too many connections.\n")
        config = self._door.admit(station_id, request, caller)
        if config is None:
            return login.unauthorized()
        memory = self._memories.get(config.station_id)
        if memory is not None and memory.shut_until_s > asyncio.get_running_loop().time():
            self.counters.connections_refused += 1
            return login.refusal(503, "Service Unavailable", "Try again later.\n")
        offered = request.headers.get_all("Sec-WebSocket-Protocol")
        if config.protocol not in {name.strip() for value in offered for name in value.split(",")}:
            self.counters.protocols_refused += 1
            return login.refusal(400, "Bad Request", f"This station is registered for {config.protocol}.\n")
        caller.config = config
        return None

    def watch_certificates(self) -> None:
        """Warn of stations' certificates that end soon. Cheap: call it as often as you like."""
        self._door.watch()

    def note_untrusted(self, why: str) -> None:
        """TLS ended a connection over its certificate."""
        self._door.note_untrusted(why)

    def _audit(self, facts: list[Fact]) -> None:
        """Journal a refusal beside the door, which waits for no database."""
        if len(self._auditing) >= AUDITS_WAITING_MAX:
            self.counters.unrecorded += 1
            return
        task = asyncio.get_running_loop().create_task(self._record_audit(facts))
        self._auditing.add(task)
        task.add_done_callback(self._auditing.discard)

    async def _record_audit(self, facts: list[Fact]) -> None:
        try:
            await self._sink.record(facts)
        except RevereError as error:
            self.counters.unrecorded += 1
            log.warning("a refused login is not recorded: %s", error.text())

    # One socket --------------------------------------------------------------------------------------

    async def _on_socket(self, socket: ServerConnection) -> None:
        assert isinstance(socket, StationSocket)
        assert socket.config is not None, "admitted without a configuration"
        if self._door.outdated(socket.config, socket):  # replaced or revoked while it waited for its place
            await socket.close(POLICY, "its certificate is void")
            return
        link = self.make_link(WebSocketTransport(socket), socket.config)
        memory = self._memories[socket.config.station_id]
        self.counters.connections += 1
        try:
            if await self._take_over(link, memory, socket.config):
                await link.run()
        finally:
            self.counters.connections -= 1
            if self._links.get(socket.config.station_id) is link:
                del self._links[socket.config.station_id]
            await self._record_end(link, socket.config)

    def make_link(self, transport: Transport, config: StationConfig) -> StationLink:
        """A station's behaviour on a socket of any kind; it lives once it is run."""
        memory = self._memories.setdefault(config.station_id, StationMemory())
        memory.generation += 1
        transport = NotedTransport(transport, memory.frames, self._clock)
        calls = CallTable(
            transport,
            self.counters,
            result_errors=config.protocol == "ocpp2.1",
            lock=lambda: self._directory.lock(config.station_id),
        )
        line = Line(
            config=config,
            memory=memory,
            calls=calls,
            sink=self._sink,
            directory=self._directory,
            clock=self._clock,
            counters=self.counters,
            models=self._models,
            signer=self._signer,
            inspect_first=self._rules.inspect_first,
        )
        session: Session = Session16(line) if config.protocol == "ocpp1.6" else Session2(line)
        return StationLink(
            generation=memory.generation, transport=transport, line=line, session=session, speed=self._speed
        )

    async def _take_over(self, link: StationLink, memory: StationMemory, config: StationConfig) -> bool:
        """Make the link the station's only one and record that; False when it cannot be recorded."""
        now = self._clock.now()
        old = self._links.get(config.station_id)
        self._links[config.station_id] = link
        facts: list[Fact] = []
        if old is not None:
            self.counters.takeovers += 1
            old.parted = True
            self._close_later(old, "a newer connection took over")
            facts.append(self._disconnected(old, config, now))
            facts += self._alarm_takeovers(memory, config, now)
        facts.append(
            StationConnected(at=now, station_id=config.station_id, protocol=config.protocol, generation=link.generation)
        )
        try:
            await self._sink.record(facts)
        except RevereError as error:
            self.counters.unrecorded += 1
            log.warning("%s: connection not recorded: %s", config.station_id, error.text())
            await link.close(TRY_AGAIN_LATER, "try again later")
            return False
        return True

    def _alarm_takeovers(self, memory: StationMemory, config: StationConfig, now: dt.datetime) -> list[Fact]:
        """More than a few takeovers a minute: somebody else has the station's secret, or it flaps."""
        now_s = asyncio.get_running_loop().time()
        memory.takeovers_s = [at_s for at_s in memory.takeovers_s if now_s - at_s <= WINDOW_S][-TAKEOVERS_KEPT:]
        memory.takeovers_s.append(now_s)
        recent = len(memory.takeovers_s)
        if recent != TAKEOVERS_PER_MINUTE_MAX + 1:
            return []
        return [
            AlarmRaised(
                at=now,
                key=f"takeover:{config.station_id}",
                severity="warning",
                subject=config.station_id,
                text=f"{recent} connections with this station's secret took each other over within a minute",
            )
        ]

    def _close_later(self, old: StationLink, reason: str) -> None:
        old.depose(reason)
        task = asyncio.get_running_loop().create_task(old.close(NORMAL, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _disconnected(self, link: StationLink, config: StationConfig, now: dt.datetime) -> StationDisconnected:
        return StationDisconnected(
            at=now, station_id=config.station_id, generation=link.generation, reason=link.reason[:200]
        )

    async def _record_end(self, link: StationLink, config: StationConfig) -> None:
        if link.parted:
            return
        link.parted = True
        ended = [self._disconnected(link, config, self._clock.now())]
        try:
            await self._sink.record(ended)
        except RevereError as error:
            self.counters.unrecorded += 1
            log.warning("%s: disconnection not recorded yet: %s", config.station_id, error.text())

    # What control may ask ----------------------------------------------------------------------------

    def connected(self) -> frozenset[StationId]:
        """Stations with a live, booted connection."""
        return frozenset(station_id for station_id, link in self._links.items() if link.session.booted)

    async def set_power(self, command: SetpointCommand) -> Answer:
        """Give an EVSE a setpoint for its running session. Accepted proves nothing until readings agree."""
        if (stranger := self._directory.stranger(command.station_id)) is not None:
            return Answer(status="rejected", why=f"another charger answers: {stranger.words()}")
        link = self._links.get(command.station_id)
        with errand("stop" if command.setpoint_kw == 0 else ""):
            answer = await self._ask(command.station_id, lambda session: session.set_power(command))
        if answer.status == "timeout" and link is not None and link.unheard >= UNHEARD_MAX and link.session.booted:
            self._cut(link, discharges=command.discharge_limit_kw > 0)
        return answer

    def _cut(self, link: StationLink, *, discharges: bool) -> None:
        """Hang up on a station that hears no setpoint: it dials and boots anew, and is told again.

        A lease lapses only while the link is down. So a station that can discharge and hears nothing after that
        either is kept out until its lease is over and its charge-only default holds.
        """
        memory = self._memories[StationId(link.station_id)]
        now_s = asyncio.get_running_loop().time()
        reason = f"{link.unheard} setpoints without an answer"
        self.counters.cut += 1
        if discharges and now_s - memory.cut_s < CUT_AGAIN_S:
            self.counters.kept_out += 1
            memory.shut_until_s = now_s + OFFLINE_LEASE_S + CUT_MARGIN_S
            reason += ": kept out until its lease is over"
        memory.cut_s = now_s
        log.warning("%s: %s", link.station_id, reason)
        self._close_later(link, reason)

    def hang_up(self, station_id: StationId, reason: str) -> bool:
        """Close a station's connection; False where it has none."""
        link = self._links.get(station_id)
        if link is not None:
            self._close_later(link, reason)
        return link is not None

    async def set_reporting(self, command: ReportingCommand) -> Answer:
        """Change the sampling interval of a station."""
        with errand("pace"):
            return await self._ask(command.station_id, lambda session: session.set_reporting(command))

    async def set_password(self, station_id: StationId, secret: str) -> Answer:
        """Have a station come in with this secret from its next connection on."""
        return await self._ask(station_id, lambda session: session.set_password(secret))

    async def remote_start(self, station_id: StationId, evse_id: int, token: str) -> Answer:
        """Start a session for a token."""
        if (stranger := self._directory.stranger(station_id)) is not None:
            return Answer(status="rejected", why=f"another charger answers: {stranger.words()}")
        return await self._ask(station_id, lambda session: session.remote_start(evse_id, token))

    async def remote_stop(self, station_id: StationId, session_id: str) -> Answer:
        """End a session."""
        with errand("stop"):
            return await self._ask(station_id, lambda session: session.remote_stop(session_id))

    async def clear_setpoint(self, station_id: StationId, evse_id: int) -> Answer:
        """Remove the central profile of an EVSE: its charge-only default holds again."""
        return await self._ask(station_id, lambda session: session.clear_setpoint(evse_id))

    def check_file(self, address: str) -> None:
        """Raise :class:`Refused` where stations may not exchange files with that host."""
        self._files.check(address)

    async def carry_out(self, station_id: StationId, order: Order) -> Answer:
        """Do what a person asked of a station, as far as its edition and model know it.

        Files come from, and go to, allowed hosts alone: else nothing is sent.
        """
        if isinstance(order, FileOrder):
            try:
                self.check_file(order.location)
            except Refused as error:
                return Answer(status="rejected", why=error.text(), answered_at=self._clock.now())
        if isinstance(order, StartSession) and (stranger := self._directory.stranger(station_id)) is not None:
            return Answer(status="rejected", why=f"another charger answers: {stranger.words()}")
        reads_meter = isinstance(order, TriggerReport) and order.report == "meter-values"
        with errand("pace" if reads_meter else "stop" if isinstance(order, StopSession) else ""):
            return await self._ask(station_id, lambda session: session.carry_out(order))

    async def restore_fallback(self, station_id: StationId) -> Answer:
        """Put the charge-only default back in the place of any other default."""
        return await self._ask(station_id, lambda session: session.restore_fallback())

    async def composite_limits_kw(
        self, station_id: StationId, evse_id: int, duration_s: int
    ) -> list[tuple[dt.datetime, float]]:
        """What the station says it would do, (from, kW). Raises ``Unavailable`` or ``Refused``."""
        link = self._links.get(station_id)
        if link is None or not link.session.booted:
            raise Unavailable(NOT_CONNECTED, where=station_id)
        try:
            return await link.session.composite_limits_kw(evse_id, duration_s)
        except CallRefused as error:
            raise Refused(str(error), where=station_id) from error
        except (CallTimedOut, CallOverflow, Disconnected) as error:
            raise Unavailable(str(error), where=station_id) from error

    def portrait(self, station_id: StationId) -> StationPortrait:
        """The kind of charger, its certificate and its variables, as far as this life of ours has heard."""
        memory, config = self._memories.get(station_id), self._directory.registered(station_id)
        if memory is None or memory.model is None or config is None:
            return StationPortrait()
        return StationPortrait(
            model=memory.model.name,
            model_why=memory.model_problem or why(memory.model, memory.who, config.charger_model),
            way=WAY_WORDS[memory.model.way],
            profile_interval_s=memory.model.profile_interval_s,
            certificate_ends=self._door.certificate_ends(station_id),
            variables=memory.variables.rows(),
        )

    def frames(self, station_id: StationId) -> tuple[FrameShown, ...]:
        """The last messages of the station, both ways, the oldest first, without secrets."""
        memory = self._memories.get(station_id)
        return () if memory is None else shown(memory.frames.read())

    async def _ask(self, station_id: StationId, ask: Callable[[Session], Awaitable[Answer]]) -> Answer:
        link = self._links.get(station_id)
        if link is None or not link.session.booted:
            return Answer(status="offline", why=NOT_CONNECTED)
        try:
            return await ask(link.session)
        except CallTimedOut as error:
            return Answer(status="timeout", why=str(error), answered_at=self._clock.now())
        except Disconnected as error:
            return Answer(status="offline", why=str(error))
        except (CallRefused, CallOverflow) as error:
            return Answer(status="rejected", why=str(error), answered_at=self._clock.now())
        except RevereError as error:
            return Answer(status="rejected", why=error.text(), answered_at=self._clock.now())


def _registered_protocol(socket: ServerConnection, _offered: object) -> Subprotocol | None:
    """The one protocol that the station is registered for: its offer was checked at the door."""
    assert isinstance(socket, StationSocket)
    return None if socket.config is None else socket.config.protocol  # type: ignore[return-value]
