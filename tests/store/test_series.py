"""Reading the series back: windows, fleet power, registers at edges, hours, loaded history."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from revere.core.errors import Refused
from revere.core.ids import TenantId
from revere.core.time import WallClock
from revere.store import series
from revere.store.series import FleetPower, HistoryRow, RegisterPair
from revere.store.store import Store

from .samples import T0, TENANT, reading
from .test_journal import with_store

if TYPE_CHECKING:
    from revere.core.facts import MeterReading

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


def only(n: int, **changes: object) -> MeterReading:
    """A reading with nothing but what is named."""
    return reading(n, **({"import_wh": None, "export_wh": None, "power_kw": None, "soc": None} | changes))


def test_a_window_is_half_open_and_by_place(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.record([only(n, power_kw=float(n)) for n in range(5)])
        await store.record([only(1, power_kw=99.0, place="dc_outlet")])
        rows = await store.series("st0/1", "ac_inlet", "power_kw", T0 + MINUTE, T0 + 3 * MINUTE)
        assert rows.ts == [T0 + MINUTE, T0 + 2 * MINUTE]
        assert rows.value == [1.0, 2.0]
        assert rows.quarantined == [False, False]
        assert (await store.series("st9/1", "ac_inlet", "power_kw", T0, T0 + HOUR)).ts == []

    with_store(pg_dsn, work)


def test_too_large_a_window_is_refused(pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "ROWS_MAX", 3)

    async def work(store: Store) -> None:
        await store.record([only(n, soc=0.1 * n) for n in range(4)])
        with pytest.raises(Refused, match="too many values"):
            await store.series("st0/1", "ac_inlet", "soc", T0, T0 + HOUR)
        with pytest.raises(Refused, match="too many steps"):
            await store.fleet_power(T0, T0 + 24 * 365 * HOUR, 1)

    with_store(pg_dsn, work)


def test_fleet_power_sums_evse_means_of_the_newest_good_values(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.record(
            [
                only(0, power_kw=10.0),
                only(1, power_kw=20.0),  # EVSE 0: mean 15 in the first five minutes
                only(2, power_kw=-50.0, station=1),
                only(2, power_kw=-60.0, station=1),  # newer rev counts
                only(3, power_kw=1000.0, station=2, quarantined="clock"),
                only(3, power_kw=500.0, asset_id="school", place="site"),
                only(10, power_kw=-7.0),
            ]
        )
        assert await store.fleet_power(T0, T0 + 15 * MINUTE, 300) == [
            FleetPower(ts=T0, power_kw=-45.0, evses=2),
            FleetPower(ts=T0 + 10 * MINUTE, power_kw=-7.0, evses=1),
        ]

    with_store(pg_dsn, work)


def pair(
    ts: dt.datetime, import_wh: int | None, export_wh: int | None, revs: tuple[int | None, int | None]
) -> RegisterPair:
    return RegisterPair(ts=ts, import_wh=import_wh, export_wh=export_wh, import_rev=revs[0], export_rev=revs[1])


SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("offset_s", "tolerance_s", "expected"),
    [
        pytest.param(0, 0, pair(T0, 100, 50, (1, 1)), id="exactly there"),
        pytest.param(60, 0, pair(T0 + MINUTE, 210, 60, (2, 1)), id="the newest rev"),
        pytest.param(120, 0, pair(T0 + 2 * MINUTE, 300, None, (1, None)), id="one register only"),
        pytest.param(180, 0, None, id="quarantined"),
        pytest.param(90, 0, None, id="nothing there"),
        pytest.param(10, 15, pair(T0, 100, 50, (1, 1)), id="near enough"),
        pytest.param(30, 30, pair(T0, 100, 50, (1, 1)), id="two as near: the earlier"),
        pytest.param(110, 60, pair(T0 + MINUTE, 210, 60, (2, 1)), id="both registers before nearness"),
    ],
)
def test_registers_at_an_edge(pg_dsn: str, offset_s: int, tolerance_s: float, expected: RegisterPair | None) -> None:
    async def work(store: Store) -> None:
        await store.record([only(0, import_wh=100, export_wh=50), only(1, import_wh=200, export_wh=60)])
        await store.record([only(1, import_wh=210), only(2, import_wh=300)])
        await store.record([only(3, import_wh=400, export_wh=80, quarantined="clock")])
        edges = [T0 + offset_s * SECOND, T0 + 5 * HOUR]
        found = await store.registers_at(["st0/1", "st7/1"], edges, tolerance_s=tolerance_s)
        assert found == {"st0/1": [expected, None], "st7/1": [None, None]}

    with_store(pg_dsn, work)


def test_registers_keep_every_watt_hour(pg_dsn: str) -> None:
    large = 2**53 - 1

    async def work(store: Store) -> None:
        await store.record([only(0, import_wh=large, export_wh=1)])
        found = (await store.registers_at(["st0/1"], [T0]))["st0/1"][0]
        assert found is not None
        assert found.import_wh == large

    with_store(pg_dsn, work)


def test_history_is_loaded_once_and_rolled_up(pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "HISTORY_CHUNK_ROWS", 50)
    start = dt.datetime(2023, 8, 31, 23, 0, tzinfo=dt.UTC)  # over the edge of a month
    rows = [HistoryRow("st0/1", "ac_inlet", "power_kw", start + n * MINUTE, float(n)) for n in range(120)]

    async def work(store: Store) -> None:
        assert await store.load_history(rows) == 120
        kept = await store.series("st0/1", "ac_inlet", "power_kw", start, start + 2 * HOUR)
        assert kept.value == [float(n) for n in range(120)]
        with pytest.raises(Refused, match="history is there already"):
            await store.load_history(rows[:1])
        assert await store.refresh_hours(start + MINUTE, start + 61 * MINUTE) == 2
        hours = await store.hours("st0/1", "ac_inlet", "power_kw", start, start + 2 * HOUR)
        assert [(h.hour, h.samples, h.mean, h.low, h.high, h.last) for h in hours] == [
            (start, 60, 29.5, 0.0, 59.0, 59.0),
            (start + HOUR, 60, 89.5, 60.0, 119.0, 119.0),
        ]
        await store.record([only(0, ts=start, at=start, power_kw=60.0)])
        await store.refresh_hours(start, start + MINUTE)
        assert (await store.hours("st0/1", "ac_inlet", "power_kw", start, start + HOUR))[0].mean == 30.5

    with_store(pg_dsn, work)


def test_tenants_do_not_see_each_other(pg_dsn: str) -> None:
    async def run() -> None:
        ours = await Store.open(pg_dsn, WallClock(), TENANT, require_durable=False)
        theirs = await Store.open(pg_dsn, WallClock(), TenantId("concord"), require_durable=False)
        try:
            await ours.record([reading()])
            assert (await theirs.series("st0/1", "ac_inlet", "soc", T0, T0 + HOUR)).ts == []
            assert await theirs.fleet_power(T0, T0 + HOUR, 300) == []
            assert (await theirs.registers_at(["st0/1"], [T0]))["st0/1"] == [None]
            assert [fact async for fact in theirs.journal()] == []
            assert await theirs.journal_hash() != await ours.journal_hash()
        finally:
            await ours.close()
            await theirs.close()

    asyncio.run(run())
