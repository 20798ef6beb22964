"""Fleets for the tests of ``plan``: a tiny one to compute by hand, and a programme of the real size."""

from __future__ import annotations

from typing import Any

import numpy as np

from revere.plan.schedule import Commitment, Departure, FleetProblem


def tiny(vehicles: int = 1, steps: int = 4, **changes: Any) -> FleetProblem:
    """One site, one feeder, hourly steps, 10 kW each way, 100 % efficient, no wear unless told otherwise."""
    v, t = vehicles, steps
    fields: dict[str, Any] = {
        "step_h": np.ones(t),
        "vehicle_site": np.zeros(v, dtype=np.int64),
        "capacity_kwh": np.full(v, 50.0),
        "energy_now_kwh": np.full(v, 20.0),
        "floor_kwh": np.full(v, 10.0),
        "ceiling_kwh": np.full(v, 50.0),
        "charge_max_kw": np.full((v, t), 10.0),
        "discharge_max_kw": np.full((v, t), 10.0),
        "charge_efficiency": np.ones(v),
        "discharge_efficiency": np.ones(v),
        "trip_kwh": np.zeros((v, t)),
        "departures": (),
        "site_load_kw": np.zeros((1, t)),
        "import_limit_kw": np.full((1, t), 100.0),
        "export_limit_kw": np.full((1, t), 100.0),
        "feeder_of_site": np.zeros(1, dtype=np.int64),
        "feeder_import_limit_kw": np.array([1000.0]),
        "feeder_export_limit_kw": np.array([1000.0]),
        "price_usd_per_kwh": np.full((1, t), 0.2),
        "export_credit_usd_per_kwh": np.zeros((1, t)),
        "demand_usd_per_kw": np.zeros(1),
        "peak_so_far_kw": np.zeros(1),
        "wear_usd_per_kwh": 0.0,
        "early_usd_per_kwh_h": 0.0,
    }
    return FleetProblem(**{**fields, **changes})


def uneven_steps(now_s: int, hours: float = 36.0) -> np.ndarray:
    """Step lengths: to the quarter hour, quarters for 8 h, then hours (about 60 steps)."""
    edges = [now_s]
    tick = now_s - now_s % 900 + 900
    while tick <= now_s + 8 * 3600:
        edges.append(tick)
        tick += 900
    while tick - tick % 3600 < now_s - now_s % 3600 + hours * 3600:
        tick = tick - tick % 3600 + 3600
        edges.append(tick)
    return np.diff(np.asarray(edges)) / 3600.0


def rosters(
    rng: np.random.Generator, start_h: np.ndarray, step_h: np.ndarray, bus: np.ndarray, capacity: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[Departure]]:
    """Who is plugged in when, energy of trips, departures: two routes for a bus, one commute for a car."""
    v, t = len(bus), len(step_h)
    plugged = np.ones((v, t), bool)
    trip = np.zeros((v, t))
    departures = []
    for i in range(v):
        roster = [(6.3, 9.0, 25.0), (13.8, 16.2, 25.0)] if bus[i] else [(7.5, 17.5, 10.0)]
        for leave, back, kwh in roster:
            leave_h, back_h = leave + rng.uniform(-0.4, 0.4), back + rng.uniform(-0.4, 0.4)
            for day in (0, 24):
                away = (start_h + step_h > leave_h + day + 0.01) & (start_h < back_h + day - 0.01)
                if not away.any():
                    continue
                first, last = np.flatnonzero(away)[[0, -1]]
                plugged[i, away] = False
                trip[i, last] += kwh
                if first > 0:
                    departures.append(
                        Departure(
                            vehicle=i,
                            step=int(first),
                            energy_kwh=0.15 * capacity[i] + 1.25 * kwh,
                            label=f"{i}/{day}/{leave}",
                        )
                    )
    return plugged, trip, departures


def programme(
    seed: int = 0, now_s: int = 14 * 3600, nominated_kw: float | None = None, buses: int = 35
) -> FleetProblem:
    """70 vehicles at 39 sites: 5 depots of 7 buses, 4 town sites with 5 cars in all, 30 homes. Local hours."""
    rng = np.random.default_rng(seed)
    step_h = uneven_steps(now_s)
    t = len(step_h)
    start_h = now_s / 3600 + np.concatenate([[0.0], np.cumsum(step_h)[:-1]])
    middle_h = (start_h + step_h / 2) % 24
    sites, v = 39, 70
    site = np.concatenate([np.repeat(np.arange(5), 7), np.array([5, 6, 7, 8, 8]), np.arange(9, 39)])
    bus = np.arange(v) < buses
    capacity = np.where(bus, 155.0, 75.0) * rng.uniform(0.9, 1.1, v)
    power = np.where(bus, 60.0, np.where(np.arange(v) < 40, 19.2, 9.6))
    plugged, trip, departures = rosters(rng, start_h, step_h, bus, capacity)
    load_peak = np.concatenate([rng.uniform(150, 400, 9), rng.uniform(3, 8, 30)])
    shape = 0.35 + 0.65 * np.exp(-(((middle_h - 14) / 4.5) ** 2))
    load = load_peak[:, None] * shape[None] * rng.uniform(0.95, 1.05, (sites, t))
    nameplate = np.bincount(site, power, sites)
    peak_hours = (middle_h > 15) & (middle_h < 20)
    price = np.where(peak_hours, 0.32, np.where((middle_h > 7) & (middle_h < 22), 0.24, 0.16))
    event = (start_h >= 16) & (start_h + step_h <= 19.0001)
    enrolled = np.ones(sites, bool)
    enrolled[8] = False
    return FleetProblem(
        step_h=step_h,
        vehicle_site=site,
        capacity_kwh=capacity,
        energy_now_kwh=capacity * rng.uniform(0.5, 0.95, v),
        floor_kwh=0.2 * capacity,
        ceiling_kwh=capacity,
        charge_max_kw=plugged * power[:, None],
        discharge_max_kw=plugged * power[:, None],
        charge_efficiency=rng.uniform(0.9, 0.95, v),
        discharge_efficiency=rng.uniform(0.9, 0.95, v),
        trip_kwh=trip,
        departures=tuple(departures),
        site_load_kw=load,
        import_limit_kw=np.broadcast_to((load.max(1) + 0.45 * nameplate)[:, None], load.shape),
        export_limit_kw=np.broadcast_to((0.9 * nameplate)[:, None], load.shape),
        feeder_of_site=np.arange(sites) % 4,
        feeder_import_limit_kw=np.full(4, 500.0),
        feeder_export_limit_kw=np.full(4, 520.0),
        price_usd_per_kwh=np.broadcast_to(price, load.shape),
        export_credit_usd_per_kwh=np.broadcast_to(0.25 * price, load.shape),
        demand_usd_per_kw=np.where(np.arange(sites) < 9, 6.0, 0.0),
        peak_so_far_kw=0.9 * load.max(1),
        wear_usd_per_kwh=0.03,
        end_value_usd_per_kwh=0.12,
        start_s=now_s,
        commitments=(
            Commitment(id="cs", sites=enrolled, steps=event, value_usd_per_kwh=2.0, nominated_kw=nominated_kw),
        )
        if event.any()
        else (),
    )
