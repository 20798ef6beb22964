"""Moments that a station tells as seconds from a beginning."""

from __future__ import annotations

import datetime as dt

from revere.core.errors import Refused


def moment_after(start: dt.datetime, seconds: int) -> dt.datetime:
    """``seconds`` after ``start``, UTC. Raises :class:`Refused` for a moment that no calendar has."""
    try:
        return start.astimezone(dt.UTC) + dt.timedelta(seconds=seconds)
    except OverflowError:
        raise Refused(
            "a schedule that lies in no year", got=f"{seconds} s from {start}", expected="the years 1 to 9999"
        ) from None
