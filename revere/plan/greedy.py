"""Charge for departure, nothing else: the plan of last resort when the optimiser gives none.

Never zeros, never empty: buses charge in the order in which they run out of time, inside site and feeder limits.
"""

from __future__ import annotations

import numpy as np

from revere.plan.matrix import headroom_kw
from revere.plan.problem import FleetProblem, Floats

FULL_HOURS_MIN = 1e-6


def departure_need_kwh(p: FleetProblem) -> tuple[Floats, Floats]:
    """For each step: energy wanted before the next departure and hours until it, both ``[V, T]``.

    Without a departure ahead the floor is wanted by the horizon's end.
    """
    hours = np.concatenate([[0.0], np.cumsum(p.step_h)])
    need = np.broadcast_to(p.floor_kwh[:, None], (p.vehicles, p.steps)).copy()
    left = np.broadcast_to(hours[-1] - hours[:-1], (p.vehicles, p.steps)).copy()
    for d in sorted(p.departures, key=lambda d: -d.step):
        if 1 <= d.step <= p.steps:
            ahead = slice(0, d.step)
            need[d.vehicle, ahead] = max(d.energy_kwh, float(p.floor_kwh[d.vehicle]))
            left[d.vehicle, ahead] = hours[d.step] - hours[: d.step]
    return np.minimum(need, p.ceiling_kwh[:, None]), left


def charge_for_departure(p: FleetProblem) -> Floats:
    """Charge-only powers ``[V, T]``, least slack first, always inside the hard limits."""
    need, left_h = departure_need_kwh(p)
    site_room, _ = headroom_kw(p)
    site_room = site_room.copy()
    feeder_room = np.broadcast_to(p.feeder_import_limit_kw[:, None], (p.feeders, p.steps)).copy()
    net = np.zeros((p.vehicles, p.steps))
    energy = p.start_kwh()
    for t in range(p.steps):
        missing = np.maximum(0.0, need[:, t] - energy)
        rate = p.charge_max_kw[:, t] * p.charge_efficiency
        slack_h = left_h[:, t] - missing / np.maximum(rate, FULL_HOURS_MIN)
        for v in np.argsort(slack_h, kind="stable"):
            if rate[v] <= 0 or missing[v] <= 0:
                continue
            site = p.vehicle_site[v]
            feeder = p.feeder_of_site[site]
            wanted = missing[v] / (p.charge_efficiency[v] * p.step_h[t])
            power = min(p.charge_max_kw[v, t], wanted, site_room[site, t], feeder_room[feeder, t])
            net[v, t] = power
            site_room[site, t] -= power
            feeder_room[feeder, t] -= power
        energy = np.maximum(0.0, energy + net[:, t] * p.charge_efficiency * p.step_h[t] - p.trip_kwh[:, t])
    return net
