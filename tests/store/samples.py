"""Facts for the store's tests."""

from __future__ import annotations

import datetime as dt

from revere.core.facts import MeterReading, PlanMade
from revere.core.ids import TenantId

TENANT = TenantId("acton")
T0 = dt.datetime(2023, 9, 7, 18, 30, tzinfo=dt.UTC)


def reading(n: int = 0, *, station: int = 0, late_s: float = 0.0, **changes: object) -> MeterReading:
    """Reading number ``n`` of a station, a minute apart, received ``late_s`` after its stamp."""
    ts = T0 + dt.timedelta(minutes=n)
    fields: dict[str, object] = {
        "at": ts + dt.timedelta(seconds=late_s),
        "asset_id": f"st{station}/1",
        "place": "ac_inlet",
        "ts": ts,
        "context": "periodic",
        "import_wh": 1_000_000 + 100 * n,
        "export_wh": 500_000 + 7 * n,
        "power_kw": -10.5,
        "soc": 0.5,
    }
    return MeterReading(**(fields | changes))  # type: ignore[arg-type]


def plan(n: int) -> PlanMade:
    """A fact that is no reading, told apart by its number of steps."""
    return PlanMade(at=T0 + dt.timedelta(seconds=n), objective_usd=1.25, steps=n, status="optimal")
