"""Random sited fleets with everything in them: routes, reserves, limits that bind, feeders, calls, uneven steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from revere.plan.sited import Call, SitedFleet

if TYPE_CHECKING:
    from typing import Any


def random_fleet(seed: int, *, sites: int = 4, per_site: int = 5, feeders: int = 2, **changes: Any) -> SitedFleet:
    """A day of ``sites`` x ``per_site`` vehicles, one route each, two calls that overlap, two feeders that bind."""
    rng = np.random.default_rng(seed)
    step_h = np.r_[np.full(16, 0.25), np.full(20, 1.0)]
    t, v = len(step_h), sites * per_site
    capacity = rng.uniform(50, 200, v)
    power = rng.choice([7.0, 11.0, 60.0], v)
    plugged = np.ones((v, t), dtype=bool)
    floor = np.repeat((0.2 * capacity)[:, None], t, axis=1)
    trip = np.zeros((v, t))
    for i in range(v):
        leave = int(rng.integers(20, 28))
        back = leave + int(rng.integers(1, 5))
        plugged[i, leave:back] = False
        trip[i, back - 1] = rng.uniform(5, 0.3 * capacity[i])
        floor[i, leave - 1] = 0.2 * capacity[i] + trip[i, back - 1]
        floor[i, leave:back] = 0.0
    floor[:, -1] = 0.5 * capacity
    load = 20 + 15 * rng.random((sites, t)) + 30 * rng.random((sites, 1))
    price = np.repeat((0.15 + 0.2 * rng.random(t))[None], sites, axis=0)
    called, evening = np.zeros(t, dtype=bool), np.zeros(t, dtype=bool)
    called[6:12], evening[10:18] = True, True
    some = rng.random(sites) < 0.7
    some[0] = True
    give_kw = np.bincount(np.repeat(np.arange(sites), per_site), power, sites)
    fleet: dict[str, Any] = {
        "step_h": step_h,
        "first_vehicle": np.arange(sites + 1) * per_site,
        "charge_max_kw": plugged * power[:, None],
        "discharge_max_kw": plugged * power[:, None] * rng.choice([0.0, 0.8, 1.0], v)[:, None],
        "charge_efficiency": rng.uniform(0.88, 0.96, v),
        "discharge_efficiency": rng.uniform(0.88, 0.96, v),
        "start_kwh": rng.uniform(0.3, 0.9, v) * capacity,
        "floor_kwh": floor,
        "ceiling_kwh": np.repeat(capacity[:, None], t, axis=1),
        "trip_kwh": trip,
        "wear_usd_per_kwh": 0.03,
        "load_kw": load,
        "import_limit_kw": np.repeat((load.max(axis=1) + 0.5 * give_kw)[:, None], t, axis=1),
        "export_limit_kw": np.repeat((0.3 * give_kw)[:, None], t, axis=1),
        "import_usd_per_kwh": price,
        "export_usd_per_kwh": 0.7 * price,
        "demand_usd_per_kw": rng.uniform(0.2, 1.0, sites),
        "peak_so_far_kw": rng.uniform(0, 60, sites),
        "feeder_of_site": np.arange(sites) % feeders,
        "feeder_import_kw": np.full((feeders, t), 0.4 * give_kw.sum() / feeders),
        "feeder_export_kw": np.full((feeders, t), 0.3 * give_kw.sum() / feeders),
        "overload_usd_per_kwh": 2.0,
        "calls": (
            Call(id="called", sites=some, steps=called, relief_kw=0.2 * give_kw.sum(), shortfall_usd_per_kwh=1.0),
            Call(
                id="evening", sites=np.ones(sites, dtype=bool), steps=evening, relief_kw=0.1 * give_kw.sum(),
                shortfall_usd_per_kwh=0.5,
            ),
        ),
    }  # fmt: skip
    return SitedFleet(**{**fleet, **changes})
