"""``revere event``: calls by hand at the running server. Thin, as all of the command line."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from cyclopts import App, Parameter

from revere.cli_shared import say

event_app = App(name="event", help="Calls of the utility, and drills.")


@event_app.command(name="call")
def event_call(
    program: str, start: dt.datetime, end: dt.datetime, *, drill: Annotated[bool, Parameter(negative="")] = False
) -> None:
    """Record a GridEvent by hand at the running server: a call that came by telephone, or a drill.

    It reaches every site in a program of the same OpenADR program, as the utility's call does: in the shipped scenarios
    one call covers the businesses and the homes.

    Args:
        program: the program's id, such as cs-daily.
        start: RFC 3339 with a zone, such as 2026-07-15T16:00-04:00.
        end: the same.
        drill: our own exercise: it is measured, marked as a drill everywhere, and never paid.
    """
    from revere.app.remote import call_event
    from revere.app.settings import state_folder

    say(call_event(state_folder(), program, start, end, drill=drill))


@event_app.command(name="list")
def event_list() -> None:
    """List the calls ahead, under way and of the last week that the running server knows."""
    from revere.app.remote import list_events
    from revere.app.settings import state_folder

    say(list_events(state_folder()))


@event_app.command(name="opt")
def event_opt(event: str, answer: Literal["in", "out"], *, why: str) -> None:
    """Take part in an event or not; the answer says what declining costs by the program's rule.

    Args:
        event: the event's id; `revere event list` shows it.
        answer: in or out.
        why: the reason, for the journal.
    """
    from revere.app.remote import opt_event
    from revere.app.settings import state_folder

    say(opt_event(state_folder(), event, why, opt_in=answer == "in"))


@event_app.command(name="withdraw")
def event_withdraw(event: str, *, why: str) -> None:
    """Take back a call that was made by hand: it then never stood, and what was posted for it is taken back.

    Args:
        event: the event's id; `revere event list` shows it.
        why: the reason, for the journal.
    """
    from revere.app.remote import withdraw_event
    from revere.app.settings import state_folder

    say(withdraw_event(state_folder(), event, why))
