"""Which certificate of a station is in force: the newest that it has come in with, until a person revokes it.

::

    never seen   any that our root signed for it   the first login puts one in force
    in force     that one, and newer ones          the first login with a newer one ends the older
    revoked      newer ones alone                  a person said so; an open connection is closed

The rule at the door is ``links.ocppj.door``'s. Here it is kept, so that it outlives us, and told.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from revere.core.commands import Answer
from revere.core.errors import Refused, RevereError
from revere.core.facts import SecurityEventReported
from revere.core.ports import CERTIFICATES_BEGIN_EARLIER

if TYPE_CHECKING:
    from revere.control.directory import Directory
    from revere.core.ids import StationId
    from revere.core.ports import FactSink, KnownCertificate
    from revere.core.time import Clock

log = logging.getLogger(__name__)

IN_FORCE, REVOKED = "CertificateInForce", "CertificateRevoked"


class CertificateBook(Protocol):
    """Where it is kept which certificate is in force."""

    async def save_station_certificate(self, station_id: StationId, certificate: KnownCertificate) -> None:
        """Keep it in the place of one that begins earlier; a revocation in the place of any."""
        ...


class StationLinks(Protocol):
    """What this needs of the stations."""

    def hang_up(self, station_id: StationId, reason: str) -> bool:
        """Close a station's connection; False where it has none."""
        ...


class Certificates:
    """Keeps and revokes stations' certificates."""

    def __init__(
        self, directory: Directory, book: CertificateBook, links: StationLinks, sink: FactSink, clock: Clock
    ) -> None:
        self._directory = directory
        self._book = book
        self._links = links
        self._sink = sink
        self._clock = clock
        self._unsettled: set[StationId] = set()
        """Stations of which it could not be kept; tried again at their next login."""
        self._settling: set[asyncio.Task[None]] = set()
        directory.on_certificate = self._used

    def check(self, station_id: StationId) -> None:
        """Raise :class:`Refused` for a station that has no certificate, nor will have one by a running upgrade."""
        config = self._directory.registered(station_id)
        if config is None or 3 not in (config.security_profile, config.next_profile):
            raise Refused("the station comes in by no certificate", got=station_id, expected="security profile 3")

    async def revoke(self, station_id: StationId, by: str) -> Answer:
        """Refuse all that were made until now, and hang up. What the door knows changes first: it fails shut."""
        self.check(station_id)
        now = self._clock.now()
        revoked = self._directory.revoke_certificates(station_id, now - CERTIFICATES_BEGIN_EARLIER)
        config = self._directory.registered(station_id)
        open_then = config is not None and config.security_profile == 3
        closed = open_then and self._links.hang_up(station_id, "its certificate is revoked")
        await self._book.save_station_certificate(station_id, revoked)
        detail = f"by {by}: none that begins until {revoked.begins:%Y-%m-%d %H:%M:%S} UTC opens the door"
        await self._sink.record([self._event(station_id, REVOKED, detail)])
        return Answer(status="accepted", why="its connection is closed" if closed else "", answered_at=now)

    def _event(self, station_id: StationId, kind: str, detail: str) -> SecurityEventReported:
        now = self._clock.now()
        return SecurityEventReported(at=now, station_id=station_id, type=kind, ts=now, source="door", detail=detail)

    def _used(self, station_id: StationId, shown: KnownCertificate, before: KnownCertificate | None) -> None:
        """The station came in with a certificate (called at the door, which waits for nothing)."""
        if shown == before and station_id not in self._unsettled:
            return
        task = asyncio.get_running_loop().create_task(self._settle(station_id, shown))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, station_id: StationId, shown: KnownCertificate) -> None:
        detail = (
            f"SHA-256 {shown.fingerprint.hex()}, begins at {shown.begins:%Y-%m-%d %H:%M:%S} UTC; older ones are void"
        )
        self._unsettled.add(station_id)
        try:
            await self._book.save_station_certificate(station_id, shown)
            await self._sink.record([self._event(station_id, IN_FORCE, detail)])
        except RevereError as error:  # after a restart the older opens the door again, until the newer is used
            log.warning("%s: the certificate in force is not kept: %s", station_id, error.text())
        else:
            self._unsettled.discard(station_id)
