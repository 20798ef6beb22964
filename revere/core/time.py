"""The two clocks. The only module that may read the machine's clock (ruff keeps it so)."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, available_timezones

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UTC = dt.UTC


class Clock(Protocol):
    """Time as the running house sees it. Waiting is always ``asyncio.sleep``: the loop owns time."""

    def now(self) -> dt.datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never step back: event-loop seconds, virtual in twin time."""
        ...

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Open while waiting for something outside the loop; virtual time stands still inside."""
        ...


class WallClock:
    """The machine's own clock, for ``revere serve``."""

    def now(self) -> dt.datetime:
        """The present moment, aware, in UTC."""
        return dt.datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Do nothing: wall time does not wait for anybody."""
        yield


def wall_s() -> float:
    """Seconds of the machine's performance counter: for figures of speed, never for decisions."""
    return time.perf_counter()


def cpu_s() -> float:
    """Seconds of processor time that this process has used: what one core can do, whoever else uses the machine."""
    return time.process_time()


def wall_now() -> dt.datetime:
    """The machine's own time of day, for web sessions, logs and file names, never for control."""
    return dt.datetime.now(UTC)


def at_local(day: dt.date, clock: dt.time, zone: str) -> dt.datetime:
    """The UTC moment of a local wall-clock time on ``day`` (the first, where it occurs twice)."""
    return dt.datetime.combine(day, clock, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local(ts: dt.datetime, zone: str) -> dt.datetime:
    """``ts`` as local time, for tariff windows and screens alone."""
    return ts.astimezone(ZoneInfo(zone))


def is_zone(zone: str) -> bool:
    """Whether the machine knows the IANA zone of that name."""
    return zone in available_timezones()


def floor_to(ts: dt.datetime, step_s: int) -> dt.datetime:
    """The last multiple of ``step_s`` seconds since the epoch at or before ``ts``."""
    seconds = int(ts.timestamp())
    return dt.datetime.fromtimestamp(seconds - seconds % step_s, UTC)


def duration_text(minutes: float) -> str:
    """A length of time as people say it: "42 min", "1 h 12 min", "2 days 3 h"; never negative."""
    total = round(abs(minutes))
    hours, left = divmod(total, 60)
    if not hours:
        return f"{total} min"
    if hours < 48:
        return f"{hours} h {left} min" if left else f"{hours} h"
    return f"{hours // 24} days {hours % 24} h"


def iso(ts: dt.datetime) -> str:
    """RFC 3339 with a trailing Z and milliseconds, as OCPP and OpenADR write it."""
    return ts.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> dt.datetime:
    """An aware UTC moment from RFC 3339; a naive text raises ``ValueError``."""
    ts = dt.datetime.fromisoformat(text)
    if ts.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    return ts.astimezone(UTC)
