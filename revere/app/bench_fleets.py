"""How long a certified plan for a large fleet takes: school depots and car parks of ten, one feeder, one event."""

from __future__ import annotations

from typing import Any

import numpy as np

from revere.plan.coordinate import compile_kernels, coordinate
from revere.plan.sited import Call, SitedFleet

STEPS = 96
PER_SITE = 10
STEP_H = 24 / STEPS
FLEETS: tuple[tuple[int, float], ...] = ((200, 1e-3), (200, 1e-4), (1_000, 5e-4), (10_000, 5e-4))
"""Vehicles, and the share by which the optimum may still be better."""


def plan_fleets(fleets: tuple[tuple[int, float], ...] = FLEETS) -> dict[str, Any]:
    """Seconds, certified gap and rounds of each; compilation is done before and not counted."""
    compile_kernels()
    figures: dict[str, Any] = {}
    for vehicles, gap in fleets:
        plan = coordinate(draw_fleet(vehicles, seed=1), gap=gap)
        assert plan.account.ok, plan.account.worst_violation_kw
        name = f"fleet_{vehicles}_gap_{100 * gap:g}pct"
        figures[f"{name}_s"] = round(plan.seconds, 2)
        figures[f"{name}_certified_pct"] = round(100 * plan.gap, 4)
        figures[f"{name}_rounds"] = plan.rounds
        figures[f"{name}_missed"] = len(plan.account.missed())
    return figures


def draw_fleet(vehicles: int, seed: int) -> SitedFleet:
    """A day from noon to noon in quarter hours: every fourth site is a bus depot with two routes a day."""
    rng = np.random.default_rng(seed)
    sites = -(-vehicles // PER_SITE)
    site = np.arange(vehicles) // PER_SITE
    bus = site % 4 == 0
    capacity = np.where(bus, rng.uniform(120, 210, vehicles), rng.uniform(55, 100, vehicles))
    power = np.where(bus, 60.0, 11.0) * rng.choice([0.5, 1.0], vehicles)
    plugged, trip, floor = _routes(rng, bus, capacity)
    hour = (12 + np.arange(STEPS) * STEP_H) % 24
    tariff = np.select([(hour >= 16) & (hour < 21), (hour >= 7) & (hour < 16)], [0.42, 0.24], 0.13)
    day = 25 + 20 * np.exp(-(((hour - 18.5) / 3) ** 2)) + 10 * np.exp(-(((hour - 9) / 2.5) ** 2))
    load = day * rng.uniform(0.6, 1.6, (sites, 1)) * (1 + 0.08 * rng.standard_normal((sites, STEPS)))
    give = np.bincount(site, power, sites)
    price = np.repeat(tariff[None], sites, axis=0)
    called = (hour >= 17) & (hour < 20)
    return SitedFleet(
        step_h=np.full(STEPS, STEP_H),
        first_vehicle=np.searchsorted(site, np.arange(sites + 1)),
        charge_max_kw=plugged * power[:, None],
        discharge_max_kw=plugged * power[:, None],
        charge_efficiency=rng.uniform(0.90, 0.95, vehicles),
        discharge_efficiency=rng.uniform(0.90, 0.95, vehicles),
        start_kwh=rng.uniform(0.6, 0.85, vehicles) * capacity,
        floor_kwh=floor,
        ceiling_kwh=np.repeat(capacity[:, None], STEPS, axis=1),
        trip_kwh=trip,
        wear_usd_per_kwh=0.03,
        load_kw=load,
        import_limit_kw=np.repeat((load.max(axis=1) + 0.35 * give)[:, None], STEPS, axis=1),
        export_limit_kw=np.repeat((0.5 * give)[:, None], STEPS, axis=1),
        import_usd_per_kwh=price,
        export_usd_per_kwh=0.8 * price - 0.02,
        demand_usd_per_kw=rng.uniform(0.25, 0.6, sites),
        peak_so_far_kw=np.zeros(sites),
        feeder_of_site=np.zeros(sites, dtype=np.int64),
        feeder_import_kw=np.full((1, STEPS), 0.14 * give.sum()),
        feeder_export_kw=np.full((1, STEPS), give.sum()),
        overload_usd_per_kwh=2.0,
        calls=(
            Call(
                id="event", sites=np.ones(sites, dtype=bool), steps=called, relief_kw=0.35 * float(give.sum()),
                shortfall_usd_per_kwh=1.0,
            ),
        ),
    )  # fmt: skip


def _routes(rng: np.random.Generator, bus: np.ndarray, capacity: np.ndarray) -> tuple[np.ndarray, ...]:
    """When each vehicle is there, what its trips take, and what must be in the battery ``[V, T]``."""
    vehicles = len(bus)
    plugged = np.ones((vehicles, STEPS), dtype=bool)
    trip, floor = np.zeros((vehicles, STEPS)), np.repeat((0.2 * capacity)[:, None], STEPS, axis=1)
    for v in range(vehicles):
        routes = ((2.0, 4.2, 30.0), (18.3, 21.0, 30.0)) if bus[v] else ((3.0, 5.5, 10.0), (19.0, 23.0, 13.0))
        for leaves_h, returns_h, needs_kwh in routes:
            leave, back = (int((at + rng.uniform(-0.4, 0.4)) / STEP_H) for at in (leaves_h, returns_h))
            need = needs_kwh * rng.uniform(0.7, 1.3)
            plugged[v, leave:back] = False
            trip[v, back - 1] += need
            floor[v, leave:back] = 0.05 * capacity[v]
            floor[v, leave - 1] = max(floor[v, leave - 1], min(0.98 * capacity[v], 0.15 * capacity[v] + 1.15 * need))
    floor[:, -1] = np.maximum(floor[:, -1], 0.6 * capacity)
    return plugged, trip, floor
