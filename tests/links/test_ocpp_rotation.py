"""A station's new secret: both open the door until the station has used it, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from ocpp_rig import BOOT, BOOT_16, HandStation, MemorySink, StoppedClock, play
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from revere.control.building import fallback_profiles
from revere.control.directory import Directory, secret_mac
from revere.control.image import Image
from revere.control.rotation import Rotation
from revere.core.errors import Refused
from revere.core.facts import SecurityEventReported
from revere.core.ids import StationId
from revere.links.ocppj.server import OcppServer
from tests.control.scenes import fleet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

import msgspec

KEY, OLD = b"k" * 32, "0ld" * 13
ST = StationId("cs1")


class Book:
    """Digests in memory, as the store keeps them."""

    def __init__(self, macs: dict[str, bytes]) -> None:
        self.macs = macs
        self.offered: dict[str, bytes] = {}

    async def offer_station_secret(self, station_id: StationId, mac: bytes) -> bool:
        if station_id in self.macs:
            self.offered[station_id] = mac
        return station_id in self.macs

    async def settle_station_secret(self, station_id: StationId, mac: bytes, *, used: bool) -> None:
        if self.offered.get(station_id) == mac:
            del self.offered[station_id]
            if used:
                self.macs[station_id] = mac


class Scene:
    """A server with control's own directory; its stations are written by hand."""

    def __init__(self, protocol: str = "ocpp2.1", profile: int = 1, book: Book | None = None) -> None:
        of = fleet()
        stations = tuple(
            msgspec.structs.replace(s, protocol=protocol, discharge_kw=0.0, security_profile=profile)
            for s in of.stations
        )
        of = msgspec.structs.replace(of, stations=stations)
        self.protocol = protocol
        self.book = book or Book({ST: secret_mac(KEY, ST, OLD)})
        self.sink = MemorySink()
        clock = StoppedClock()
        self.directory = Directory(of, KEY, self.book.macs, fallback_profiles(of)[0], Image(of), self.book.offered)
        self.server = OcppServer(self.sink, self.directory, clock, ping_interval_s=None)
        self.rotation = Rotation(self.directory, self.book, self.server, self.sink, clock)
        self.port = 0

    async def station(self, secret: str | bytes, **reactions: Any) -> HandStation:
        raw = secret if isinstance(secret, bytes) else secret.encode()
        basic = base64.b64encode(ST.encode() + b":" + raw).decode()
        socket = await connect(
            f"ws://127.0.0.1:{self.port}/ocpp/{ST}",
            subprotocols=[Subprotocol(self.protocol)],
            additional_headers={"Authorization": f"Basic {basic}"},
            compression=None,
            proxy=None,
            ping_interval=None,
        )
        station = HandStation(socket, reactions)
        await station.call("BootNotification", BOOT_16 if self.protocol == "ocpp1.6" else BOOT)
        return station

    async def enters(self, secret: str | bytes) -> bool:
        try:
            await (await self.station(secret)).close()
        except InvalidStatus as error:
            return error.response.status_code != 401
        return True


@asynccontextmanager
async def scene(*args: Any, **named: Any) -> AsyncIterator[Scene]:
    made = Scene(*args, **named)
    made.port = await made.server.serve("127.0.0.1", 0)
    try:
        yield made
    finally:
        await made.server.close()


def told_secret(station: HandStation) -> str:
    """The secret that the station was given, by its own reading of the frame."""
    for action, payload in station.asked:
        if action == "ChangeConfiguration" and payload["key"] == "AuthorizationKey":
            return str(payload["value"])
        for item in payload.get("setVariableData", []) if action == "SetVariables" else []:
            if (item["component"]["name"], item["variable"]["name"]) == ("SecurityCtrlr", "BasicAuthPassword"):
                return str(item["attributeValue"])
    raise AssertionError("the station was given no secret")


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_both_secrets_open_until_the_new_one_is_used(protocol: str) -> None:
    async def story() -> None:
        async with scene(protocol) as s:
            station = await s.station(OLD)
            assert (await s.rotation.renew(ST)).status == "accepted"
            new = told_secret(station)
            assert len(bytes.fromhex(new)) == 20
            with pytest.raises(Refused, match="under way already"):
                await s.rotation.renew(ST)
            await station.close()
            assert await s.enters(OLD)  # it has not restarted yet
            assert await s.enters(new)
            await s.sink.until(lambda: bool(s.sink.of(SecurityEventReported)))
            assert [e.type for e in s.sink.of(SecurityEventReported)] == ["SecretRenewed"]
            assert not await s.enters(OLD)
            assert await s.enters(new)
            assert (s.book.macs, s.book.offered) == ({ST: secret_mac(KEY, ST, new)}, {})
            assert not any(new in str(fact) for fact in s.sink.facts)
            again = await s.station(new)
            assert (await s.rotation.renew(ST)).status == "accepted"
            await again.close()

    play(story)


def test_a_16_station_may_send_the_keys_bytes_themselves() -> None:
    async def story() -> None:
        async with scene("ocpp1.6") as s:
            station = await s.station(OLD)
            await s.rotation.renew(ST)
            bare = bytes.fromhex(told_secret(station))
            await station.close()
            assert not await s.enters(bare[:-1])
            assert await s.enters(bare)
            assert not await s.enters(OLD)

    play(story)


@pytest.mark.parametrize("word", ["Rejected", "UnknownVariable"])
def test_a_station_that_says_no_keeps_its_secret(word: str) -> None:
    where = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}

    async def story() -> None:
        async with scene() as s:
            refusal = {"setVariableResult": [{"attributeStatus": word, **where}]}
            station = await s.station(OLD, SetVariables=refusal)
            answer = await s.rotation.renew(ST)
            assert (answer.status, answer.why) == ("rejected", word)
            new = told_secret(station)
            await station.close()
            assert not await s.enters(new)
            assert await s.enters(OLD)
            assert s.book.offered == {}

    play(story)


def test_a_station_that_hangs_up_without_an_answer_may_have_taken_it_or_not() -> None:
    async def story() -> None:
        async with scene() as s:
            station = await s.station(OLD)
            await station.until_asked("GetBaseReport")  # provisioned
            station.reactions["SetVariables"] = None
            asking = asyncio.create_task(s.rotation.renew(ST))
            while not any("BasicAuthPassword" in str(payload) for _, payload in station.asked):
                await station.until_asked("SetVariables", sum(1 for a, _ in station.asked if a == "SetVariables") + 1)
            new = told_secret(station)
            await station.close()
            assert (await asking).status == "offline"
            assert await s.enters(OLD)
            # a restart of ours in between: what was offered is in the book
            async with scene(book=s.book) as later:
                assert await later.enters(OLD)
                assert await later.enters(new)
                assert not await later.enters(OLD)

    play(story)


@pytest.mark.parametrize(
    ("profile", "connected", "says"),
    [(3, False, "comes in by no secret"), (1, False, "not connected")],
)
def test_who_cannot_be_given_a_secret_is_named(profile: int, connected: bool, says: str) -> None:
    async def story() -> None:
        async with scene(profile=profile) as s:
            with pytest.raises(Refused, match=says):
                await s.rotation.renew(ST)
            assert s.book.offered == {}

    play(story)
