"""Figures as a reader meets them: units said, absence said, local times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core.money import usd_text
from revere.core.time import local

if TYPE_CHECKING:
    import datetime as dt

ABSENT = "not measured"


def kw(value: float | None, digits: int = 0) -> str:
    """A power in kW, or that there is none."""
    return ABSENT if value is None else f"{value:,.{digits}f} kW"


def kwh(wh: float | None, digits: int = 0) -> str:
    """An energy given in Wh, as kWh."""
    return ABSENT if wh is None else f"{wh / 1000:,.{digits}f} kWh"


def percent(part: float | None, digits: int = 1) -> str:
    """A fraction as per cent. What is not whole is never rounded up to 100, nor down to 0."""
    if part is None:
        return ABSENT
    text = f"{part * 100:.{digits}f}"
    if part < 1 and float(text) >= 100:
        return f"over {100 - 10**-digits:.{digits}f} %"
    if part > 0 and float(text) == 0:
        return f"under {10**-digits:.{digits}f} %"
    return f"{text} %"


def share_of(part: float, whole: float, digits: int = 1) -> str:
    """A part of a whole as per cent; without a whole there is no share."""
    return percent(part / whole, digits) if whole else ABSENT


def points(fraction: float | None) -> str:
    """A signed fraction of a battery in percentage points."""
    return ABSENT if fraction is None else f"{fraction * 100:+.1f} points"


def usd(cents: int | None) -> str:
    """Money, or ``none yet`` where nobody has given such a figure."""
    return "none yet" if cents is None else usd_text(cents)


def usd_round(cents: int) -> str:
    """Money in whole dollars, for large sums."""
    return usd_text(cents).rsplit(".", 1)[0]


def hours(seconds: float) -> str:
    """A duration in hours."""
    return f"{seconds / 3600:,.1f} h"


def day(ts: dt.datetime, zone: str) -> str:
    """``Thursday 7 September 2023``, local."""
    here = local(ts, zone)
    return f"{here:%A} {here.day} {here:%B %Y}"


def clock(ts: dt.datetime, zone: str) -> str:
    """``16:05``, local."""
    return f"{local(ts, zone):%H:%M}"


def stamp(ts: dt.datetime, zone: str) -> str:
    """``7 Sep 2023, 16:05``, local."""
    here = local(ts, zone)
    return f"{here.day} {here:%b %Y, %H:%M}"
