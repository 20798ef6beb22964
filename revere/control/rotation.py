"""A station's new secret: made here, told to the station alone, in force once the station has come in with it.

::

    offered     old and new open the door      what the station took is not known yet
    used        the new one alone              the first login with it ends the old one
    refused     the old one alone              the station said no
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from revere.control.directory import new_station_secret
from revere.core.errors import Refused, RevereError
from revere.core.facts import SecurityEventReported

if TYPE_CHECKING:
    from revere.control.directory import Directory
    from revere.core.commands import Answer
    from revere.core.ids import StationId
    from revere.core.ports import FactSink
    from revere.core.time import Clock

log = logging.getLogger(__name__)

SECRET_RENEWED = "SecretRenewed"  # noqa: S105  # the event's name


class SecretBook(Protocol):
    """Where digests of secrets outlive us."""

    async def offer_station_secret(self, station_id: StationId, mac: bytes) -> bool:
        """Keep a next digest beside the one in force; False where the station has none in force."""
        ...

    async def settle_station_secret(self, station_id: StationId, mac: bytes, *, used: bool) -> None:
        """End what was offered: used, it takes the old one's place; else it goes."""
        ...


class PasswordLink(Protocol):
    """What this needs of the stations."""

    def connected(self) -> frozenset[StationId]:
        """Stations with a live, booted connection."""
        ...

    async def set_password(self, station_id: StationId, secret: str) -> Answer:
        """Have the station come in with this secret from its next connection on."""
        ...


class Rotation:
    """Renews stations' secrets."""

    def __init__(
        self, directory: Directory, book: SecretBook, link: PasswordLink, sink: FactSink, clock: Clock
    ) -> None:
        self._directory = directory
        self._book = book
        self._link = link
        self._sink = sink
        self._clock = clock
        self._settling: set[asyncio.Task[None]] = set()
        directory.on_used = self._used

    def check(self, station_id: StationId) -> None:
        """Raise :class:`Refused` for a station that has no secret, or one whose next secret is still under way."""
        config = self._directory.registered(station_id)
        if config is None or config.security_profile not in (1, 2):
            raise Refused("the station comes in by no secret", got=station_id, expected="security profile 1 or 2")
        if station_id not in self._link.connected() or self._directory.stranger(station_id) is not None:
            raise Refused("the station is not connected, or another charger answers there", got=station_id)
        if self._directory.offered(station_id):
            raise Refused(
                "a new secret is under way already",
                where=station_id,
                remedy="Restart the station, which may need that; or give it one by hand: revere station add",
            )

    async def renew(self, station_id: StationId) -> Answer:
        """Make a secret and give it to the station; both secrets open the door until the station has used the new one.

        The digest is kept before the station hears of the secret: no crash can lock it out. An answer that does not
        come leaves both in force, since nobody knows what the station took.
        """
        self.check(station_id)
        secret = new_station_secret()
        mac = self._directory.mac_of(station_id, secret)
        if not await self._book.offer_station_secret(station_id, mac):
            raise Refused("the station has no secret yet", got=station_id, remedy="Give it one: revere station add")
        self._directory.offer(station_id, mac)
        answer = await self._link.set_password(station_id, secret)
        declined = answer.status == "rejected" and answer.sent_wall_s > 0  # its own readable word
        if declined and self._directory.withdraw(station_id, mac):
            await self._book.settle_station_secret(station_id, mac, used=False)
        return answer

    def _used(self, station_id: StationId, mac: bytes) -> None:
        """The station came in with its new secret (called at the door, which waits for nothing)."""
        task = asyncio.get_running_loop().create_task(self._settle(station_id, mac))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, station_id: StationId, mac: bytes) -> None:
        now = self._clock.now()
        detail = "the station came in with its new secret; the old one is void"
        fact = SecurityEventReported(
            at=now, station_id=station_id, type=SECRET_RENEWED, ts=now, source="door", detail=detail
        )
        try:
            await self._book.settle_station_secret(station_id, mac, used=True)
            await self._sink.record([fact])
        except RevereError as error:  # after a restart both open the door again, until the next login settles it
            log.warning("%s: its new secret is not settled: %s", station_id, error.text())
