"""A bench for the OCPP server: real loopback sockets, hand-written stations, a sink in memory."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from revere.core.addresses import AllowedAddresses
from revere.core.assets import Authorization, ListedToken, StationIdentity
from revere.core.commands import DefaultProfile, LockState
from revere.core.errors import Unavailable
from revere.core.facts import Fact, StationProvisioned
from revere.core.ids import SessionId, SiteId, StationId
from revere.core.ports import KnownCertificate, StationConfig
from revere.core.time import WallClock
from revere.links.ocppj.door import DoorRules
from revere.links.ocppj.server import OcppServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from revere.core.ports import CertificateSigner
    from revere.links.models import ChargerModel

F = TypeVar("F")

NOW = dt.datetime(2026, 7, 16, 19, 30, tzinfo=dt.UTC)
PASSWORD = "c0ffee" * 6
WAIT_S = 5.0
FILES = "https://files.example.org"
"""The one host with which stations may exchange files."""


class StoppedClock(WallClock):
    """Our time of day stands still, so that expected facts can be written down."""

    def __init__(self, now: dt.datetime = NOW) -> None:
        self.at = now

    def now(self) -> dt.datetime:
        return self.at


class MemorySink:
    """A journal in memory. Closing the gate holds every commit; ``broken`` refuses them."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.changed = asyncio.Event()

    async def record(self, facts: Sequence[Fact], *, however_late: bool = False) -> None:
        await self.gate.wait()
        if self.broken:
            raise Unavailable("the database is away")
        self.facts += facts
        self.changed.set()

    def of(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def config(station_id: str = "ST-1", protocol: str = "ocpp2.1", **changes: Any) -> StationConfig:
    values: dict[str, Any] = {
        "station_id": StationId(station_id),
        "site_id": SiteId("depot"),
        "protocol": protocol,
        "charge_kw": 60.0,
        "discharge_kw": 60.0 if protocol == "ocpp2.1" else 0.0,
        "meters_site": True,
        "default_profile": DefaultProfile(
            limits_kw=((0, 20.0), (21_600, 10.0), (57_600, 2.5), (79_200, 20.0)), zone="America/New_York"
        ),
        "zone": "America/New_York",
    }
    return StationConfig(**{**values, **changes})


KNOWN = {
    "ocpp2.0.1": StationIdentity(vendor="Acme", model="V2G-60", serial="A1"),
    "ocpp2.1": StationIdentity(vendor="Acme", model="V2G-60", serial="A1"),
    "ocpp1.6": StationIdentity(vendor="Acme", model="AC-7", serial="B2"),
}


class Directory:
    """Who may connect; all are known as the chargers of :data:`BOOT` and :data:`BOOT_16`."""

    def __init__(self, *configs: StationConfig) -> None:
        self.configs = {c.station_id: c for c in configs}
        self.identities = {c.station_id: KNOWN[c.protocol] for c in configs}
        self.strangers: dict[StationId, StationIdentity] = {}
        self.locks: dict[StationId, LockState] = {}
        self.tokens: dict[str, Authorization] = {}
        self.running: set[str] = set()
        self.numbers: set[tuple[StationId, int]] = set()
        self.certificates: dict[StationId, KnownCertificate] = {}

    def registered(self, station_id: str) -> StationConfig | None:
        return self.configs.get(StationId(station_id))

    def authenticate(self, station_id: str, password: str) -> StationConfig | None:
        found = self.configs.get(StationId(station_id))
        return found if found is not None and password == PASSWORD else None

    def raise_profile(self, station_id: StationId) -> StationConfig:
        config = self.configs[station_id]
        raised = msgspec.structs.replace(config, security_profile=config.next_profile, next_profile=None)
        self.configs[station_id] = raised
        return raised

    def certificate(self, station_id: StationId) -> KnownCertificate | None:
        return self.certificates.get(station_id)

    def use_certificate(self, station_id: StationId, certificate: KnownCertificate) -> None:
        self.certificates[station_id] = certificate

    def gave(self, station_id: StationId, request_id: int) -> bool:
        return (station_id, request_id) in self.numbers

    def identity(self, station_id: StationId) -> StationIdentity | None:
        return self.identities.get(station_id)

    def stranger(self, station_id: StationId) -> StationIdentity | None:
        return self.strangers.get(station_id)

    def lock(self, station_id: StationId) -> LockState:
        return self.locks.get(station_id, "free")

    def authorize(self, token: str, station_id: StationId, now: dt.datetime) -> Authorization:
        known = self.tokens.get(token)
        if known is not None:
            return known
        ours = token.startswith("BUS") and station_id in self.configs
        return Authorization(status="accepted" if ours else "unknown")

    def local_list(self, station_id: StationId, now: dt.datetime) -> tuple[ListedToken, ...]:
        return tuple(
            ListedToken(token=token, kind="ISO14443", found=found) for token, found in sorted(self.tokens.items())
        )

    def runs_there(self, station_id: StationId, session_id: SessionId) -> bool:
        return session_id in self.running

    def runs_elsewhere(self, station_id: StationId, transaction_id: str) -> bool:
        ending = f":{transaction_id}"
        found = [session_id for session_id in self.running if session_id.endswith(ending)]
        return bool(found) and f"{station_id}{ending}" not in found


def basic(user: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


Reaction = dict[str, Any] | None


class HandStation:
    """A station written by hand: plain dictionaries, no struct of ours.

    ``reactions`` maps an action of the management system to the answer; None leaves it unanswered.
    """

    def __init__(self, socket: ClientConnection, reactions: dict[str, Reaction]) -> None:
        self.socket = socket
        self.reactions = reactions
        self.live: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        """Actions whose answer is made of what was asked."""
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.refusals: set[str] = set()
        self.errors: list[list[Any]] = []
        self._answers: dict[str, asyncio.Future[list[Any]]] = {}
        self._count = 0
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for raw in self.socket:
                frame = json.loads(raw)
                if frame[0] == 2:
                    self.asked.append((frame[2], frame[3]))
                    await self._react(frame)
                elif frame[1] in self._answers:
                    self._answers.pop(frame[1]).set_result(frame)
                else:
                    self.errors.append(frame)
                self._news.set()

    async def _react(self, frame: list[Any]) -> None:
        action, payload = frame[2], frame[3]
        if action in self.refusals:
            await self.socket.send(json.dumps([4, frame[1], "NotImplemented", "", {}]))
            return
        reaction = self.reactions.get(action, default_reaction(action, payload))
        if action in self.live:
            reaction = self.live[action](payload)
        if reaction is not None:
            await self.socket.send(json.dumps([3, frame[1], reaction]))

    async def call(self, action: str, payload: dict[str, Any]) -> list[Any]:
        """Send a CALL; the whole frame of the answer."""
        future = await self.begin(action, payload)
        async with asyncio.timeout(WAIT_S):
            return await future

    async def begin(self, action: str, payload: dict[str, Any]) -> asyncio.Future[list[Any]]:
        """Send a CALL and do not wait."""
        self._count += 1
        message_id = f"s{self._count}"
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._answers[message_id] = future
        await self.socket.send(json.dumps([2, message_id, action, payload]))
        return future

    async def until_asked(self, action: str, times: int = 1) -> dict[str, Any]:
        """The last payload of an action, once it has been asked that often."""
        async with asyncio.timeout(WAIT_S):
            while sum(1 for a, _ in self.asked if a == action) < times:
                self._news.clear()
                await self._news.wait()
        return [payload for a, payload in self.asked if a == action][-1]

    async def until_closed(self) -> int | None:
        async with asyncio.timeout(WAIT_S):
            await self.socket.wait_closed()
            await self._reader
        return self.socket.close_code

    async def close(self) -> None:
        await self.socket.close()
        await self._reader


def default_reaction(action: str, payload: dict[str, Any]) -> Reaction:
    """What a willing station answers."""
    match action:
        case "SetVariables":
            results = [
                {"attributeStatus": "Accepted", "component": d["component"], "variable": d["variable"]}
                for d in payload["setVariableData"]
            ]
            return {"setVariableResult": results}
        case "GetBaseReport":
            return {"status": "NotSupported"}
        case "GetConfiguration":
            return {"configurationKey": []}
        case "GetVariables":
            results = [
                {"attributeStatus": "UnknownVariable", "component": d["component"], "variable": d["variable"]}
                for d in payload["getVariableData"]
            ]
            return {"getVariableResult": results}
    return {"status": "Accepted"}


class Bench:
    """A server, its sink and its address."""

    def __init__(
        self, server: OcppServer, sink: MemorySink, port: int, clock: StoppedClock, directory: Directory | None = None
    ) -> None:
        self.server = server
        self.directory = directory or Directory()
        self.sink = sink
        self.port = port
        self.clock = clock

    def url(self, station_id: str) -> str:
        return f"ws://127.0.0.1:{self.port}/ocpp/{station_id}"

    async def station(
        self, station_id: str = "ST-1", protocol: str = "ocpp2.1", reactions: dict[str, Reaction] | None = None
    ) -> HandStation:
        socket = await connect(
            self.url(station_id),
            subprotocols=[Subprotocol(protocol)],
            additional_headers=basic(station_id),
            compression=None,
            proxy=None,
            ping_interval=None,
            max_size=None,
        )
        return HandStation(socket, reactions if reactions is not None else {})


BOOT = {"reason": "PowerUp", "chargingStation": {"model": "V2G-60", "vendorName": "Acme", "serialNumber": "A1"}}
STATUS = {"timestamp": "2026-07-16T19:30:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
BOOT_16 = {"chargePointVendor": "Acme", "chargePointModel": "AC-7", "chargePointSerialNumber": "B2"}


@asynccontextmanager
async def bench(
    *configs: StationConfig,
    tls: ssl.SSLContext | None = None,
    rules: DoorRules | None = None,
    models: tuple[ChargerModel, ...] | None = None,
    first_boot: bool = False,
    signer: CertificateSigner | None = None,
) -> AsyncIterator[Bench]:
    """A server on a free loopback port, closed at the end; ``first_boot``: it has seen none of its stations yet."""
    sink, clock = MemorySink(), StoppedClock()
    directory = Directory(*(configs or (config(),)))
    files = AllowedAddresses([FILES])
    if first_boot:
        directory.identities.clear()
    server = OcppServer(
        sink, directory, clock, ping_interval_s=None, rules=rules, models=models, files=files, signer=signer
    )
    port = await server.serve("127.0.0.1", 0, tls=tls)
    try:
        yield Bench(server, sink, port, clock, directory)
    finally:
        sink.gate.set()
        await server.close()


def play(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a story to its end, or fail when it hangs."""

    async def bounded() -> None:
        async with asyncio.timeout(25):
            await story()

    asyncio.run(bounded())


async def provisioned(b: Bench) -> HandStation:
    station = await b.station()
    await station.call("BootNotification", BOOT)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    return station
