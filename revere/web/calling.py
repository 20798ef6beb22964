"""GridEvents by hand: list them, call one or a drill, take part or not, withdraw what a person called."""

from __future__ import annotations

import datetime as dt

import msgspec
from litestar import get, post
from litestar.exceptions import ValidationException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import JSONBody

from revere.control.desk import CallEvent, Desk, OptEvent, Receipt, WithdrawEvent
from revere.control.view import EventRow, ProgramRow
from revere.core.ids import check_id
from revere.core.time import iso
from revere.web.acting import Form, Moment, Reason, ShortId, put_to
from revere.web.gate import Asked, open_to
from revere.web.reading import Id, current

EVENT_HOURS_MIN = 0.25
EVENT_HOURS_MAX = 6.0
EVENT_DAYS_MAX = 14


class EventForm(Form, frozen=True, kw_only=True):
    """A call by hand: a quarter of an hour to six hours, within two weeks.

    A ``drill`` is our own: it is measured and never paid. Anything else is a call that came by telephone.
    """

    program_id: ShortId
    start: Moment
    end: Moment
    drill: bool = False


class OptForm(Form, frozen=True, kw_only=True):
    """Take part or not, and why."""

    opt_in: bool
    why: Reason


class WithdrawForm(Form, frozen=True, kw_only=True):
    """Why the call does not stand."""

    why: Reason


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Calls ahead, under way and of the last week in the order of their start, and the programs that there are."""

    now: dt.datetime
    zone: str
    events: tuple[EventRow, ...]
    programs: tuple[ProgramRow, ...]


def event_routes(desk: Desk) -> list[BaseRouteHandler]:
    """Calls and what people make of them. Each order is journaled with the person's name."""

    @get("/api/v1/events", opt=open_to("operator", "auditor"), summary="Calls ahead, under way and of the last week")
    async def events() -> EventList:
        """Those by hand and by the utility, drills and withdrawn ones among them, marked as such."""
        view = current(desk)
        return EventList(now=view.now, zone=view.zone, events=view.events, programs=view.programs)

    @post("/api/v1/events", status_code=200, opt=open_to("operator"), summary="Call an event by hand")
    async def call_event(request: Asked, data: JSONBody[EventForm]) -> Receipt:
        """For a call that came by telephone, or with ``drill`` for an exercise that nobody pays."""
        now = current(desk).now
        start, end = data.start.astimezone(dt.UTC), data.end.astimezone(dt.UTC)
        hours = (end - start).total_seconds() / 3600
        if not EVENT_HOURS_MIN <= hours <= EVENT_HOURS_MAX:
            raise ValidationException(f"an event lasts {EVENT_HOURS_MIN:g} to {EVENT_HOURS_MAX:g} hours")
        if not now < end <= now + dt.timedelta(days=EVENT_DAYS_MAX):
            until = now + dt.timedelta(days=EVENT_DAYS_MAX)
            raise ValidationException(
                f"the event must end ahead, within {EVENT_DAYS_MAX} days: got {iso(end)}, expected after {iso(now)} "
                f"and at most {iso(until)}"
            )
        check_id(data.program_id, "program_id")
        asked = CallEvent(program_id=data.program_id, start=start, end=end, by=request.user.name, drill=data.drill)
        return await put_to(desk, asked)

    @post(
        "/api/v1/events/{grid_event_id:str}/opt",
        status_code=200,
        opt=open_to("operator"),
        summary="Take part in an event or not",
    )
    async def opt_event(request: Asked, grid_event_id: Id, data: JSONBody[OptForm]) -> Receipt:
        """Any event that has not ended. Needs a reason; the answer says what declining costs by the rule."""
        asked = OptEvent(grid_event_id=grid_event_id, opt_in=data.opt_in, by=request.user.name, why=data.why)
        return await put_to(desk, asked)

    @post(
        "/api/v1/events/{grid_event_id:str}/withdraw",
        status_code=200,
        opt=open_to("operator"),
        summary="Withdraw a call that was made by hand",
    )
    async def withdraw_event(request: Asked, grid_event_id: Id, data: JSONBody[WithdrawForm]) -> Receipt:
        """It then never stood: nothing is paid for it, and what was posted is taken back. Needs a reason."""
        return await put_to(desk, WithdrawEvent(grid_event_id=grid_event_id, by=request.user.name, why=data.why))

    return [events, call_event, opt_event, withdraw_event]
