"""GridEvents as people see them: the one of the hour, and the list of those ahead, under way and just over."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

from revere.control.view import EventRow, EventView

if TYPE_CHECKING:
    from revere.control.contracts import Contracts
    from revere.control.event_image import EventImage
    from revere.control.image import Image

MEAN_MISSES = dt.timedelta(minutes=1)
"""So much of an event's beginning a mean may miss and still be called the event's."""
LISTED_AFTER = dt.timedelta(days=7)
LISTED_MAX = 100
"""More than a season calls; the list goes to every page with every change of it."""


def phase_of(event: EventImage, now: dt.datetime) -> Literal["upcoming", "running", "over"]:
    """Where its hours lie."""
    if now < event.start:
        return "upcoming"
    return "over" if now >= event.end else "running"


def event_view(
    image: Image,
    event: EventImage,
    now: dt.datetime,
    relief_kw: float,
    relief_mean_kw: float | None,
    relief_since: dt.datetime | None,
    plan_kw: float | None,
) -> EventView:
    """The event of the hour; ``relief_kw`` is what its sites give now, ``relief_mean_kw`` the mean so far.

    A mean that began well after the event is marked with ``relief_since``; what is measured at its end needs no mark.
    """
    phase = phase_of(event, now)
    late = relief_since is not None and relief_since - event.start > MEAN_MISSES
    return EventView(
        grid_event_id=event.grid_event_id,
        program=_program(image, event),
        start=event.start,
        end=event.end,
        phase=phase,
        opt=_opt(event),
        nominated_kw=event.nominated_kw,
        nominated_at=event.nominated_at,
        relief_now_kw=relief_kw if phase == "running" else None,
        relief_mean_kw=event.performance_kw if event.performance_kw is not None else relief_mean_kw,
        relief_mean_since=None if event.performance_kw is not None or not late else relief_since,
        plan_kw=plan_kw,
        held=event.held,
        drill=event.drill,
    )


def event_rows(image: Image, contracts: Contracts, now: dt.datetime) -> tuple[EventRow, ...]:
    """Calls by their start, those taken back among them; what ended over a week ago is in the journal and the guide."""
    listed = [event for event in image.events.values() if now < event.end + LISTED_AFTER]
    listed.sort(key=lambda event: (event.start, event.grid_event_id))
    return tuple(
        EventRow(
            grid_event_id=event.grid_event_id,
            program_id=event.program_id,
            program=_program(image, event),
            start=event.start,
            end=event.end,
            phase=phase_of(event, now),
            drill=event.drill,
            by_hand=event.by_hand(),
            called_by=event.caller(),
            opt=_opt(event),
            opted_by=event.opted_by,
            opted_why=event.opted_why,
            nominated_kw=event.nominated_kw,
            performance_kw=event.performance_kw,
            cancelled=event.cancelled,
            cancelled_by=event.cancelled_by,
            why=event.why,
            terms="" if event.drill else contracts.terms(event),
            leaving="" if event.cancelled or event.end <= now else contracts.leaving(event, now),
        )
        for event in listed[-LISTED_MAX:]
    )


def _program(image: Image, event: EventImage) -> str:
    return next((p.name for p in image.fleet.programs if p.id == event.program_id), event.program_id)


def _opt(event: EventImage) -> Literal["in", "out", "undecided"]:
    if event.opt in {"in", "out"}:
        return "in" if event.opt == "in" else "out"
    return "undecided"
