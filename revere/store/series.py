"""Measured series: (series_id, ts, rev) → value. A correction is a new rev; nothing is ever overwritten."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from revere.core.errors import Refused
from revere.core.facts import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from revere.core.facts import MeterReading
    from revere.core.ids import TenantId
    from revere.store.connection import Queries

Quantity = Literal["import_wh", "export_wh", "power_kw", "soc"]
QUANTITIES: tuple[Quantity, ...] = ("import_wh", "export_wh", "power_kw", "soc")
EXACT_MAX = 2.0**53
"""Registers are kept as doubles, which hold whole watt-hours exactly up to here (9 PWh)."""
SAMPLE_PAST_MAX = dt.timedelta(days=400)
SAMPLE_FUTURE_MAX = dt.timedelta(days=2)
"""A stamp outside this window around its receipt is a broken clock: journaled, but no sample."""
SERIES_IDS_MAX = 200_000
ROWS_MAX = 600_000
EDGES_MAX = 10_000
STEPS_MAX = 10_000
HISTORY_CHUNK_ROWS = 50_000
TEXT_MAX_CHARS = 120

SeriesKey = tuple[str, str, str]
"""asset_id, place, quantity"""


class SampleRow(NamedTuple):
    """One value on its way into the series."""

    key: SeriesKey
    ts: dt.datetime
    value: float
    received_at: dt.datetime
    cause: str
    quarantined: bool


class HistoryRow(NamedTuple):
    """One value of loaded history: charging positive kW, registers in Wh, soc 0 to 1."""

    asset_id: str
    place: Place
    quantity: Quantity
    ts: dt.datetime
    value: float


class SeriesRows(msgspec.Struct, frozen=True, kw_only=True):
    """The newest rev of each stamp in a window, oldest first."""

    asset_id: str
    place: str
    quantity: str
    ts: list[dt.datetime]
    value: list[float]
    rev: list[int]
    quarantined: list[bool]
    """Kept, but not fit for settlement (a clock that is off, for one)."""


class FleetPower(msgspec.Struct, frozen=True, kw_only=True):
    """Sum over all EVSEs of their mean power in ``[ts, ts + step)``, kW, charging positive."""

    ts: dt.datetime
    power_kw: float
    evses: int
    """How many EVSEs had a value in the step; the others are missing, not 0."""


class RegisterPair(msgspec.Struct, frozen=True, kw_only=True):
    """What a meter's two registers read at one stamp, whole Wh, and which revs say so. None: not reported."""

    ts: dt.datetime
    import_wh: int | None
    export_wh: int | None
    import_rev: int | None
    export_rev: int | None


class SeriesIds:
    """Number of each series, kept in memory so that a batch names series by number."""

    def __init__(self, tenant: TenantId) -> None:
        self._tenant = tenant
        self._ids: dict[SeriesKey, int] = {}

    async def ensure(self, conn: Any, keys: Iterable[SeriesKey]) -> dict[SeriesKey, int]:
        """Number the series in ``keys``, making new ones; returns all known numbers."""
        known = self._ids
        unknown = [key for key in keys if key not in known]
        if unknown:
            missing = sorted(set(unknown))
            if len(self._ids) + len(missing) > SERIES_IDS_MAX:
                raise Refused(
                    "too many series", where="store", got=len(self._ids) + len(missing), expected=SERIES_IDS_MAX
                )
            columns = [list(column) for column in zip(*missing, strict=True)]
            await conn.execute(
                "INSERT INTO series (tenant_id, asset_id, place, quantity)"
                " SELECT $1, a, p, q FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS k (a, p, q, n)"
                " ORDER BY n ON CONFLICT DO NOTHING",
                self._tenant,
                *columns,
            )
            rows = await conn.fetch(
                "SELECT s.series_id, s.asset_id, s.place, s.quantity"
                " FROM unnest($2::text[], $3::text[], $4::text[]) AS k (a, p, q) JOIN series s"
                " ON s.tenant_id = $1 AND s.asset_id = k.a AND s.place = k.p AND s.quantity = k.q",
                self._tenant,
                *columns,
            )
            self._ids.update({(row["asset_id"], row["place"], row["quantity"]): row["series_id"] for row in rows})
        return self._ids


def sample_rows(reading: MeterReading) -> tuple[list[SampleRow], int]:
    """The values of one reading, and how many were refused (not finite, inexact, or stamped far from now)."""
    rows: list[SampleRow] = []
    refused = 0
    age = reading.at - reading.ts
    plausible = -SAMPLE_FUTURE_MAX <= age <= SAMPLE_PAST_MAX
    cause = (reading.quarantined or reading.context).replace("\x00", "")[:TEXT_MAX_CHARS]
    for quantity in QUANTITIES:
        value = getattr(reading, quantity)
        if value is None:
            continue
        if not plausible or not math.isfinite(value) or abs(value) > EXACT_MAX:
            refused += 1
            continue
        key = (reading.asset_id, reading.place, quantity)
        rows.append(SampleRow(key, reading.ts, float(value), reading.at, cause, bool(reading.quarantined)))
    return rows, refused


_SERIES = """
SELECT DISTINCT ON (s.ts) s.ts, s.value, s.rev, s.quarantined
FROM sample s
WHERE s.series_id = (SELECT series_id FROM series
                     WHERE tenant_id = $1 AND asset_id = $2 AND place = $3 AND quantity = $4)
  AND s.ts >= $5 AND s.ts < $6
ORDER BY s.ts, s.rev DESC
LIMIT $7
"""
_FLEET_POWER = """
WITH latest AS (
    SELECT DISTINCT ON (s.series_id, s.ts) s.series_id, s.ts, s.value
    FROM sample s
    WHERE s.series_id = ANY (ARRAY(SELECT series_id FROM series
                                   WHERE tenant_id = $1 AND place = 'ac_inlet' AND quantity = 'power_kw'
                                     AND ($5::text[] IS NULL OR asset_id = ANY ($5))))
      AND s.ts >= $2 AND s.ts < $3 AND NOT s.quarantined
    ORDER BY s.series_id, s.ts, s.rev DESC
), stepped AS (
    SELECT series_id, date_bin($4::interval, ts, $2) AS step, avg(value) AS kw FROM latest GROUP BY 1, 2
)
SELECT step, sum(kw ORDER BY series_id) AS kw, count(*) AS evses FROM stepped GROUP BY step ORDER BY step
"""
# OFFSET 0 keeps the planner from merging the inner query into a scan of whole months: it stays one index probe each.
_REGISTERS = """
SELECT k.asset_id, k.quantity, found.ts, found.value, found.rev
FROM series k
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (s.ts) s.ts, s.value, s.rev
    FROM sample s
    WHERE s.series_id = k.series_id AND s.ts = ANY ($4::timestamptz[]) AND s.ts BETWEEN $5 AND $6
      AND NOT s.quarantined
    ORDER BY s.ts, s.rev DESC
    OFFSET 0
) found
WHERE k.tenant_id = $1 AND k.asset_id = ANY ($2::text[]) AND k.place = $3 AND k.quantity IN ('import_wh', 'export_wh')
"""
_REGISTERS_NEAR = """
SELECT k.asset_id, k.quantity, found.ts, found.value, found.rev
FROM series k
CROSS JOIN unnest($4::timestamptz[]) AS e (edge)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (s.ts) s.ts, s.value, s.rev
    FROM sample s
    WHERE s.series_id = k.series_id AND s.ts BETWEEN e.edge - $7::interval AND e.edge + $7::interval
      AND s.ts BETWEEN $5 AND $6 AND NOT s.quarantined
    ORDER BY s.ts, s.rev DESC
    OFFSET 0
) found
WHERE k.tenant_id = $1 AND k.asset_id = ANY ($2::text[]) AND k.place = $3 AND k.quantity IN ('import_wh', 'export_wh')
"""
_REFRESH_HOURS = """
INSERT INTO sample_hour (series_id, hour, samples, mean, low, high, last)
SELECT series_id, hour, count(*), avg(value), min(value), max(value), (array_agg(value ORDER BY ts DESC))[1]
FROM (
    SELECT DISTINCT ON (s.series_id, s.ts) s.series_id, s.ts, date_trunc('hour', s.ts) AS hour, s.value
    FROM sample s
    WHERE s.series_id = ANY (ARRAY(SELECT series_id FROM series
                                   WHERE tenant_id = $1 AND ($4::text[] IS NULL OR asset_id = ANY ($4))))
      AND s.ts >= $2 AND s.ts < $3 AND NOT s.quarantined
    ORDER BY s.series_id, s.ts, s.rev DESC
) latest
GROUP BY series_id, hour
ON CONFLICT (series_id, hour) DO UPDATE SET
    samples = excluded.samples, mean = excluded.mean, low = excluded.low, high = excluded.high, last = excluded.last
RETURNING 1
"""
_HOURS = """
SELECT h.hour, h.samples, h.mean, h.low, h.high, h.last
FROM sample_hour h
WHERE h.series_id = (SELECT series_id FROM series
                     WHERE tenant_id = $1 AND asset_id = $2 AND place = $3 AND quantity = $4)
  AND h.hour >= $5 AND h.hour < $6
ORDER BY h.hour
"""
_NEWEST_HOUR = """
SELECT max(found.hour)
FROM series k
CROSS JOIN LATERAL (SELECT hour FROM sample_hour h WHERE h.series_id = k.series_id ORDER BY hour DESC LIMIT 1) found
WHERE k.tenant_id = $1
"""


class HourRow(msgspec.Struct, frozen=True, kw_only=True):
    """One hour of the rollup: plain (not time-weighted) mean, extremes and the last value."""

    hour: dt.datetime
    samples: int
    mean: float
    low: float
    high: float
    last: float


class SeriesReads:
    """What may be asked of the series, from the control loop and from the web alike."""

    queries: Queries

    async def series(
        self, asset_id: str, place: Place, quantity: Quantity, start: dt.datetime, end: dt.datetime
    ) -> SeriesRows:
        """The newest rev of each stamp in ``[start, end)``; empty for an unknown series.

        Raises :class:`Refused` for more than ``ROWS_MAX`` rows: ask for a shorter window, or the hours.
        """
        rows = await self.queries.fetch(
            _SERIES, self.queries.tenant, asset_id, place, quantity, start, end, ROWS_MAX + 1
        )
        if len(rows) > ROWS_MAX:
            raise Refused("the window holds too many values", where=asset_id, got=len(rows), expected=ROWS_MAX)
        return SeriesRows(
            asset_id=asset_id,
            place=place,
            quantity=quantity,
            ts=[row[0] for row in rows],
            value=[row[1] for row in rows],
            rev=[row[2] for row in rows],
            quarantined=[row[3] for row in rows],
        )

    async def fleet_power(
        self, start: dt.datetime, end: dt.datetime, step_s: int, asset_ids: Sequence[str] | None = None
    ) -> list[FleetPower]:
        """Power of all EVSEs, or of ``asset_ids``, at their AC inlets by step of ``[start, end)``.

        Steps without a value are absent.
        """
        steps = (end - start).total_seconds() / step_s
        if not 0 <= steps <= STEPS_MAX:
            raise Refused("too many steps", where="fleet_power", got=int(steps), expected=f"0 to {STEPS_MAX}")
        assets = None if asset_ids is None else list(asset_ids)
        step = dt.timedelta(seconds=step_s)
        rows = await self.queries.fetch(_FLEET_POWER, self.queries.tenant, start, end, step, assets)
        return [FleetPower(ts=row[0], power_kw=row[1], evses=row[2]) for row in rows]

    async def registers_at(
        self,
        asset_ids: Sequence[str],
        edges: Sequence[dt.datetime],
        *,
        place: Place = "ac_inlet",
        tolerance_s: float = 0.0,
    ) -> dict[str, list[RegisterPair | None]]:
        """Both registers of each meter at each edge, for settlement: quarantined values are left out.

        Takes the stamp nearest to the edge within ``tolerance_s`` (the one with more registers first, the earlier of
        two as near); both values are of that one stamp. None where there is none.
        """
        if len(edges) > EDGES_MAX:
            raise Refused("too many edges", where="registers_at", got=len(edges), expected=EDGES_MAX)
        found: dict[str, list[RegisterPair | None]] = {asset: [None] * len(edges) for asset in asset_ids}
        if not edges or not asset_ids:
            return found
        tolerance = dt.timedelta(seconds=tolerance_s)
        low, high = min(edges) - tolerance, max(edges) + tolerance
        sql = _REGISTERS_NEAR if tolerance else _REGISTERS
        near = (tolerance,) if tolerance else ()
        rows = await self.queries.fetch(sql, self.queries.tenant, list(asset_ids), place, list(edges), low, high, *near)
        by_asset: dict[str, dict[dt.datetime, dict[str, tuple[int, int]]]] = {}
        for asset, quantity, ts, value, rev in rows:
            by_asset.setdefault(asset, {}).setdefault(ts, {})[quantity] = (int(value), rev)
        for asset, stamps in by_asset.items():
            found[asset] = [_nearest(stamps, edge, tolerance) for edge in edges]
        return found

    async def newest_hour(self) -> dt.datetime | None:
        """The newest hour in the rollup, None where it is empty."""
        rows = await self.queries.fetch(_NEWEST_HOUR, self.queries.tenant)
        newest: dt.datetime | None = rows[0][0] if rows else None
        return newest

    async def hours(
        self, asset_id: str, place: Place, quantity: Quantity, start: dt.datetime, end: dt.datetime
    ) -> list[HourRow]:
        """The hourly rollup of one series in ``[start, end)``, as of the last refresh."""
        rows = await self.queries.fetch(_HOURS, self.queries.tenant, asset_id, place, quantity, start, end)
        return [HourRow(hour=r[0], samples=r[1], mean=r[2], low=r[3], high=r[4], last=r[5]) for r in rows]


def _nearest(
    stamps: dict[dt.datetime, dict[str, tuple[int, int]]], edge: dt.datetime, tolerance: dt.timedelta
) -> RegisterPair | None:
    if edge in stamps and (not tolerance or len(stamps[edge]) == 2):
        chosen = edge
    elif not tolerance:
        return None
    else:
        near = [ts for ts in stamps if abs(ts - edge) <= tolerance]
        if not near:
            return None
        chosen = min(near, key=lambda ts: (-len(stamps[ts]), abs(ts - edge), ts))
    import_value, import_rev = stamps[chosen].get("import_wh", (None, None))
    export_value, export_rev = stamps[chosen].get("export_wh", (None, None))
    return RegisterPair(
        ts=chosen, import_wh=import_value, export_wh=export_value, import_rev=import_rev, export_rev=export_rev
    )


async def refresh_hours(
    queries: Queries, start: dt.datetime, end: dt.datetime, asset_ids: Sequence[str] | None = None
) -> int:
    """Compute the hourly rollup anew for the whole hours that ``[start, end)`` touches; returns rows written.

    Of ``asset_ids``, or of all assets.
    """
    low = start.replace(minute=0, second=0, microsecond=0)
    high = end.replace(minute=0, second=0, microsecond=0)
    if high < end:
        high += dt.timedelta(hours=1)
    assets = None if asset_ids is None else list(asset_ids)
    return len(await queries.fetch(_REFRESH_HOURS, queries.tenant, low, high, assets))
