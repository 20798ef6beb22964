"""A technician's lock: a station at 0 kW by its own meter, which hears nothing but a stop until others lift it.

::

    locked      0 kW is told, and nobody else may tell it anything     closing
                draws or gives still after 20 s: its session is ended
                its meter shows rest                                   locked: nothing but a stop reaches it
    lifted by another person than each who locked it                   free

Locks are kept by the journal, and over a restart. Setting one waits for nothing; lifting one is committed first.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

from revere.control.desk import LiftLock, Receipt, SetLock
from revere.control.image import MOVING_KW
from revere.control.tracking import measured_at
from revere.core import facts as f
from revere.core.errors import Refused, Unavailable
from revere.core.ids import SiteId, StationId
from revere.core.orders import TriggerReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.control.image import EvseImage, Image
    from revere.control.inbox import Inbox
    from revere.control.scribe import Scribe
    from revere.control.sender import Sender
    from revere.core.ports import ChargingLink

PROVEN_WITHIN_S = 12.0
"""A meter that is asked every ten seconds has spoken by then; who locks does not wait longer for the answer."""
OBEYS_WITHIN = dt.timedelta(seconds=20)
"""A station that has been told 0 kW and moves power still has its session ended."""
DRAIN_S = 10.0
WHY_MAX_CHARS = 400


class Locks:
    """Sets and lifts locks, and takes the meters' word that a locked station rests."""

    def __init__(
        self,
        image: Image,
        inbox: Inbox,
        scribe: Scribe,
        link: ChargingLink,
        sender: Sender,
        hurry: Callable[[], None],
    ) -> None:
        self._image = image
        self._inbox = inbox
        self._scribe = scribe
        self._link = link
        self._sender = sender
        self._hurry = hurry
        self._ended: dict[StationId, str] = {}
        """The session of each station that was ended because it did not obey."""
        self._proven = asyncio.Event()

    async def set(self, request: SetLock, now: dt.datetime) -> Receipt:
        """Lock now, whatever the database does; then wait a moment for the meters."""
        evses, where = self._place(request)
        if not request.why.strip():
            raise Refused("a lock needs a reason", remedy="Say in a few words what is done there")
        fact = f.Locked(
            at=now,
            by=request.by,
            why=request.why[:WHY_MAX_CHARS],
            station_id=StationId(request.station_id) if request.station_id else None,
            site_id=SiteId(request.site_id) if request.site_id else None,
        )
        self._image.apply(fact)
        self._hurry()
        for evse in evses:
            if evse.session_id is None:  # no session, no samples: its meter is asked once
                self._sender.chore(self._link.carry_out(evse.station.id, TriggerReport(report="meter-values")))
        try:
            await self._inbox.record([fact])
            kept = ""
        except Unavailable:
            self._scribe.write([fact])
            kept = " It is not recorded yet: the database does not answer."
        moving = await self._until_at_rest(evses)
        if moving:
            names = ", ".join(moving)
            said = f"{where} is locked, but it is not proven that no power flows at {names}. Touch nothing yet."
        else:
            said = f"{where} is locked: 0 kW by its meter. Nothing but a stop reaches it."
        return Receipt(accepted=True, detail=said + kept)

    async def lift(self, request: LiftLock, now: dt.datetime) -> Receipt:
        """Lift what others have locked; whoever locked it cannot lift it alone."""
        evses, where = self._place(request)
        if not request.why.strip():
            raise Refused("lifting a lock needs a reason", remedy="Say in a few words why it is safe now")
        whole_site = request.site_id is not None
        hung = {lock.by for evse in evses for lock in evse.locks if lock.whole_site == whole_site}
        if not hung:
            on_site = any(evse.locks for evse in evses)
            remedy = "The lock hangs on its site: lift it there" if on_site and not whole_site else ""
            raise Refused("no lock hangs there", got=where, remedy=remedy)
        if hung == {request.by}:
            raise Refused(
                "a lock is lifted by another person than the one who set it",
                where=where,
                got=request.by,
                remedy="Ask a second operator to look and to lift it",
            )
        await self._scribe.drained(DRAIN_S)  # a lock that is still on its way would come after its lifting
        await self._inbox.record(
            [
                f.Unlocked(
                    at=now,
                    by=request.by,
                    why=request.why[:WHY_MAX_CHARS],
                    station_id=StationId(request.station_id) if request.station_id else None,
                    site_id=SiteId(request.site_id) if request.site_id else None,
                )
            ]
        )
        left = sorted({lock.by for evse in evses for lock in evse.locks})
        if left:
            return Receipt(accepted=True, detail=f"{where} stays locked by {', '.join(left)}.")
        return Receipt(accepted=True, detail=f"{where} is free; it is told its setpoint within seconds.")

    def look(self, now: dt.datetime) -> list[f.Fact]:
        """Which locked stations rest by a reading that was taken since; the session of one that goes on is ended."""
        found: list[f.Fact] = []
        for evse in self._image.evses.values():
            if not evse.locks:
                continue
            power_kw = power_under_lock_kw(evse)
            if power_kw is None:
                continue
            if abs(power_kw) < MOVING_KW:
                if evse.rest_proven_at is None:
                    fact = f.LockProven(at=now, station_id=evse.station.id, power_kw=round(power_kw, 3))
                    self._image.apply(fact)
                    found.append(fact)
            elif evse.session_id not in (None, self._ended.get(evse.station.id)):
                if now - max(evse.locks[-1].at, evse.session_heard_at) < OBEYS_WITHIN:
                    continue
                self._ended[evse.station.id] = evse.session_id
                self._sender.chore(self._link.remote_stop(evse.station.id, evse.session_id))
        if found:
            self._proven.set()
        return found

    async def _until_at_rest(self, evses: list[EvseImage]) -> list[str]:
        """Wait a bounded time; the stations that are not proven to rest."""
        try:
            async with asyncio.timeout(PROVEN_WITHIN_S):
                while any(evse.lock_state() == "closing" for evse in evses):
                    self._proven.clear()
                    await self._proven.wait()
        except TimeoutError:
            pass
        return [evse.station.id for evse in evses if evse.rest_proven_at is None]

    def _place(self, request: SetLock | LiftLock) -> tuple[list[EvseImage], str]:
        """The EVSEs that are meant, and their name."""
        if (request.station_id is None) == (request.site_id is None):
            raise Refused("name one station or one site", got=request.station_id or "nothing")
        if request.station_id is not None:
            evses = self._image.stations_of(StationId(request.station_id))
            where = request.station_id
        else:
            evses = self._image.site_evses.get(SiteId(request.site_id or ""), [])
            where = str(request.site_id)
        if not evses:
            raise Refused("no such station, or a site without stations", got=where)
        return evses, where


def power_under_lock_kw(evse: EvseImage) -> float | None:
    """What a locked station's meter shows, None where no reading was taken since the first lock."""
    since = min(lock.at for lock in evse.locks)
    return evse.power_kw if measured_at(evse) > since else None
