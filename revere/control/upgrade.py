"""A station's security profile raised: told to the station, in force once it has come in by the higher one.

::

    offered     both profiles open the door    kept before the station hears of it: no crash can lock it out
    used        the higher one alone           the first login by it; from then on nothing less
    refused     the lower one alone            the station said no
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

import msgspec

from revere.core.assets import Station
from revere.core.commands import NOT_CONNECTED
from revere.core.errors import Refused, RevereError
from revere.core.facts import SecurityEventReported

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from revere.control.directory import Directory
    from revere.core.assets import SecurityProfile
    from revere.core.commands import Answer
    from revere.core.ids import StationId
    from revere.core.orders import SetNetworkProfile
    from revere.core.ports import FactSink
    from revere.core.time import Clock

log = logging.getLogger(__name__)

PROFILE_RAISED = "SecurityProfileRaised"


class StationBook(Protocol):
    """Where stations are registered."""

    async def asset(self, kind: type[Station], asset_id: str) -> Station | None:
        """A station as it is registered."""
        ...

    async def save_assets(self, assets: Sequence[Station]) -> None:
        """Register it anew."""
        ...


class Upgrade:
    """Raises stations' security profiles; lowers none."""

    def __init__(self, directory: Directory, book: StationBook, sink: FactSink, clock: Clock) -> None:
        self._directory = directory
        self._book = book
        self._sink = sink
        self._clock = clock
        self._settling: set[asyncio.Task[None]] = set()
        directory.on_raised = self._raised

    async def tell(
        self, station_id: StationId, order: SetNetworkProfile, ask: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Give a station a way to us by ``ask``; both profiles open the door until it has come in by a higher one."""
        config = self._directory.registered(station_id)
        if config is None or order.security_profile < config.security_profile:
            raise Refused(
                "a station's security profile does not fall by an order",
                where=station_id,
                got=order.security_profile,
                expected="its own, or a higher one",
                remedy="Where it is meant: revere site add with --lower-security",
            )
        profile: SecurityProfile = 3 if order.security_profile == 3 else 2
        if order.security_profile == config.security_profile:
            return await ask()
        await self._save(station_id, next_security_profile=profile)
        self._directory.offer_profile(station_id, profile)
        answer = await ask()
        if answer.status == "rejected" or answer.why == NOT_CONNECTED:
            self._directory.offer_profile(station_id, None)
            await self._save(station_id, next_security_profile=None)
        return answer

    async def _save(self, station_id: StationId, **changes: SecurityProfile | None) -> None:
        station = await self._book.asset(Station, station_id)
        if station is None:
            raise Refused("the station is not registered any more", got=station_id)
        await self._book.save_assets([msgspec.structs.replace(station, **changes)])

    def _raised(self, station_id: StationId, profile: SecurityProfile) -> None:
        """The station came in by its next profile (called at the door, which waits for nothing)."""
        task = asyncio.get_running_loop().create_task(self._settle(station_id, profile))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, station_id: StationId, profile: SecurityProfile) -> None:
        now = self._clock.now()
        detail = f"the station came in by security profile {profile}; nothing less lets it in any more"
        fact = SecurityEventReported(
            at=now, station_id=station_id, type=PROFILE_RAISED, ts=now, source="door", detail=detail
        )
        try:
            await self._save(station_id, security_profile=profile, next_security_profile=None)
            await self._sink.record([fact])
        except RevereError as error:  # after a restart both open the door again, until the next login settles it
            log.warning("%s: its security profile is not settled: %s", station_id, error.text())
