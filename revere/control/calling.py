"""Calls by hand: recorded, declined, withdrawn; what a person is told is what the rule says.

::

    call ──> journaled ──> decided ──> promised ──> given ──> settled (a call) or measured alone (a drill)
      └── withdraw: at any time; it then never stood. Nothing is paid for it, what was posted is taken back
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, assert_never

from revere.control.desk import CallEvent, OptEvent, Receipt, WithdrawEvent
from revere.control.events import BOOKS_OPEN, withdrawal
from revere.core import facts as f
from revere.core.errors import Refused
from revere.core.ids import GridEventId, ProgramId
from revere.core.time import iso, local

if TYPE_CHECKING:
    from revere.control.contracts import Contracts
    from revere.control.event_image import EventImage
    from revere.control.image import Image
    from revere.control.inbox import Inbox

EVENT_MAX = dt.timedelta(hours=6)
EVENT_AHEAD_MAX = dt.timedelta(days=14)
WHY_LEAST_CHARS = 3
WHY_MAX_CHARS = 400


class CallingDesk:
    """What a person may do about GridEvents, on control's loop. Nothing here moves power."""

    def __init__(self, image: Image, inbox: Inbox, contracts: Contracts) -> None:
        self._image = image
        self._inbox = inbox
        self._contracts = contracts
        self._serial = 0

    async def do(self, request: CallEvent | WithdrawEvent | OptEvent, now: dt.datetime) -> Receipt:
        """What a person asks about a call. Raises ``Refused`` with the way out."""
        match request:
            case CallEvent():
                return await self.call(request, now)
            case WithdrawEvent():
                return await self.withdraw(request, now)
            case OptEvent():
                return await self.opt(request, now)
            case _:
                assert_never(request)

    async def call(self, request: CallEvent, now: dt.datetime) -> Receipt:
        """Record a call that came by telephone, or a drill of our own."""
        known = {program.id for program in self._image.fleet.programs}
        if request.program_id not in known:
            raise Refused("no such program", got=request.program_id, expected=", ".join(sorted(known)))
        refuse_naive(request.start, request.end)
        if not request.start < request.end <= request.start + EVENT_MAX:
            raise Refused("the event's length", got=f"{iso(request.start)} to {iso(request.end)}", expected="up to 6 h")
        if not now <= request.start <= now + EVENT_AHEAD_MAX:
            raise Refused(
                "the event must start ahead", got=iso(request.start), expected=f"after {iso(now)}, within 14 days"
            )
        self._refuse_overlap(request)
        self._serial += 1
        event_id = GridEventId(f"{'drill' if request.drill else 'manual'}-{int(now.timestamp())}-{self._serial}")
        call = f.GridEventReceived(
            at=now,
            grid_event_id=event_id,
            program_id=ProgramId(request.program_id),
            start=request.start,
            end=request.end,
            source=f"{f.BY_HAND}{request.by}",
            drill=request.drill,
        )
        await self._inbox.record([call])
        return Receipt(accepted=True, detail=self._recorded(self._image.events[event_id]), reference=event_id)

    def _recorded(self, event: EventImage) -> str:
        promise = "its nomination follows with the next plan"
        if event.drill:
            return (
                f"The drill {event.grid_event_id} is recorded; {promise}. It is measured, and nothing is paid for it."
            )
        against = self._contracts.objections(event)
        said = f" It will not be paid as it stands: {'; '.join(against)}." if against else ""
        return f"The event {event.grid_event_id} is recorded; {promise}.{said}"

    def _refuse_overlap(self, request: CallEvent) -> None:
        """A second call of the same sites for the same hours would be paid twice; a drill makes way for a call."""
        openadr = {program.id: program.openadr_program for program in self._image.fleet.programs}
        asked = openadr[ProgramId(request.program_id)]
        for event in self._image.events.values():
            same = event.live() and openadr.get(event.program_id) == asked and (request.drill or not event.drill)
            if same and event.start < request.end and request.start < event.end:
                raise Refused(
                    "a call of this program already covers that time",
                    got=f"{iso(request.start)} to {iso(request.end)}",
                    expected=f"not {iso(event.start)} to {iso(event.end)} ({event.grid_event_id})",
                )

    async def opt(self, request: OptEvent, now: dt.datetime) -> Receipt:
        """Take part or not, with what that costs by the rule."""
        event = self._known(request.grid_event_id)
        if event.cancelled or event.end <= now:
            raise Refused(
                "the event is over or cancelled",
                got=request.grid_event_id,
                remedy="What was delivered is settled as it was decided then",
            )
        decided = f.OptDecided(
            at=now,
            grid_event_id=event.grid_event_id,
            opt="in" if request.opt_in else "out",
            by=request.by,
            why=request.why[:WHY_MAX_CHARS],
        )
        await self._inbox.record([decided])
        if request.opt_in:
            detail = f"The programme takes part in {event.grid_event_id}."
        else:
            detail = f"The programme is out of {event.grid_event_id}. {self._contracts.leaving(event, now)}"
        return Receipt(accepted=True, detail=detail, reference=event.grid_event_id)

    async def withdraw(self, request: WithdrawEvent, now: dt.datetime) -> Receipt:
        """Take a call by hand back, as if it had never stood."""
        event = self._known(request.grid_event_id)
        if not event.by_hand():
            raise Refused(
                "a utility's call is the utility's to cancel",
                got=request.grid_event_id,
                remedy="Opt out of it, or ask the utility to cancel it",
            )
        if event.cancelled:
            raise Refused("the call is withdrawn already", got=request.grid_event_id)
        if len(request.why.strip()) < WHY_LEAST_CHARS:
            raise Refused("a withdrawal needs a reason", remedy="Say in a few words why the call does not stand")
        if now > event.end + BOOKS_OPEN:
            raise Refused(
                "the books of that season are closed",
                got=f"ended {iso(event.end)}",
                expected=f"within {BOOKS_OPEN.days} days",
                remedy="Settle the difference with the utility by hand",
            )
        await self._inbox.record([withdrawal(event, request.by, request.why[:WHY_MAX_CHARS], now)])
        return Receipt(accepted=True, detail=self._withdrawn(event, now), reference=event.grid_event_id)

    def _withdrawn(self, event: EventImage, now: dt.datetime) -> str:
        what = "drill" if event.drill else "call"
        said = f"The {what} {event.grid_event_id} is withdrawn"
        if now < event.start:
            return f"{said} before it began."
        upto = f"{local(min(now, event.end), self._image.fleet.programme.zone):%H:%M}"
        ends = "" if now >= event.end else " and giving ends now"
        if event.drill:
            return f"{said}{ends}. What was given until {upto} stays in the registers."
        taken = " What was posted for it is taken back by corrections within half an hour." if event.reported else ""
        return f"{said}{ends}. What was given until {upto} stays in the registers and is not paid.{taken}"

    def _known(self, grid_event_id: str) -> EventImage:
        event = self._image.events.get(GridEventId(grid_event_id))
        if event is None:
            raise Refused("no such event", got=grid_event_id, remedy="`revere event list` shows those that are known")
        return event


def refuse_naive(*moments: dt.datetime) -> None:
    """Refuse a time without a zone."""
    for moment in moments:
        if moment.tzinfo is None:
            raise Refused("a time without a zone", got=moment.isoformat(), expected="such as 2023-09-07T20:00:00Z")
