"""The judge: a plan is run forward in plain numpy, sharing nothing with the solver, before it is issued.

It takes only signed powers, so that whatever a plan claims about energy, peaks or promises is found out here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from revere.plan.problem import FleetProblem, Floats

TOLERANCE_KW = 1e-4
TOLERANCE_KWH = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Violations:
    """How far a plan passes each limit, magnitudes (0 = not at all), and what it really leads to.

    ``below_floor_kwh`` counts only discharge that takes a battery below its floor (a trip may).
    ``departure_short_kwh`` and ``trip_short_kwh`` are consequences, not breaches: best effort may be all there is.
    """

    power_kw: float
    site_import_kw: float
    site_export_kw: float
    feeder_kw: float
    below_floor_kwh: float
    above_ceiling_kwh: float
    departure_short_kwh: Floats
    trip_short_kwh: Floats
    energy_kwh: Floats

    def breaches(self) -> dict[str, float]:
        """What is broken beyond the solver's tolerance, by name."""
        found = {
            "power_kw": (self.power_kw, TOLERANCE_KW),
            "site_import_kw": (self.site_import_kw, TOLERANCE_KW),
            "site_export_kw": (self.site_export_kw, TOLERANCE_KW),
            "feeder_kw": (self.feeder_kw, TOLERANCE_KW),
            "below_floor_kwh": (self.below_floor_kwh, TOLERANCE_KWH),
            "above_ceiling_kwh": (self.above_ceiling_kwh, TOLERANCE_KWH),
        }
        # A NaN compares false with everything: "not <=" catches it.
        return {name: value for name, (value, tolerance) in found.items() if not value <= tolerance}

    @property
    def ok(self) -> bool:
        """Whether the plan may be issued."""
        return not self.breaches()


def replay(p: FleetProblem, net_kw: Floats) -> Violations:
    """Run ``net_kw`` ``[V, T]`` (charging positive) forward and measure every limit.

    Stations may use what the building leaves of a limit, and no more; a building that is above its own limit is
    no breach of the plan, as long as the stations add nothing to it.
    """
    if net_kw.shape != (p.vehicles, p.steps) or not np.isfinite(net_kw).all():
        nothing = np.full(len(p.departures), np.nan)
        return Violations(
            power_kw=np.inf, site_import_kw=np.inf, site_export_kw=np.inf, feeder_kw=np.inf, below_floor_kwh=np.inf,
            above_ceiling_kwh=np.inf, departure_short_kwh=nothing, trip_short_kwh=np.full(p.vehicles, np.nan),
            energy_kwh=np.full((p.vehicles, p.steps + 1), np.nan),
        )  # fmt: skip
    site = np.zeros((p.sites, p.steps))
    np.add.at(site, p.vehicle_site, net_kw)
    feeder = np.zeros((p.feeders, p.steps))
    np.add.at(feeder, p.feeder_of_site, site)
    grid = p.site_load_kw + site
    import_over = np.minimum(grid - p.import_limit_kw, site)
    export_over = np.minimum(-grid - p.export_limit_kw, -site)
    feeder_over = np.maximum(feeder - p.feeder_import_limit_kw[:, None], -feeder - p.feeder_export_limit_kw[:, None])
    power_over = np.maximum(net_kw - p.charge_max_kw, -net_kw - p.discharge_max_kw)
    energy = np.empty((p.vehicles, p.steps + 1))
    energy[:, 0] = np.minimum(p.energy_now_kwh, p.capacity_kwh)
    below, above, trip_short = 0.0, 0.0, np.zeros(p.vehicles)
    idle = energy[:, 0]  # a battery that starts above its ceiling may stay where it would be untouched
    for t in range(p.steps):
        x = net_kw[:, t]
        gain = np.where(x > 0, x * p.charge_efficiency, x / p.discharge_efficiency) * p.step_h[t]
        parked = energy[:, t] + gain
        under = np.where(x < -TOLERANCE_KW, p.floor_kwh - parked, -parked)
        below = max(below, float(under.max(initial=0.0)))
        unmet = np.maximum(0.0, p.trip_kwh[:, t] - parked)
        trip_short += unmet
        after = parked - p.trip_kwh[:, t] + unmet
        idle = np.maximum(0.0, idle - p.trip_kwh[:, t])
        over = after - np.maximum(p.ceiling_kwh, idle)
        above = max(above, float(over.max(initial=0.0)))
        energy[:, t + 1] = after
    short = [max(0.0, d.energy_kwh - float(energy[d.vehicle, min(max(d.step, 0), p.steps)])) for d in p.departures]
    for i, d in enumerate(p.departures):
        if d.step < 0 or d.step > p.steps:
            short[i] = 0.0
    return Violations(
        power_kw=float(power_over.max(initial=0.0)),
        site_import_kw=float(import_over.max(initial=0.0)),
        site_export_kw=float(export_over.max(initial=0.0)),
        feeder_kw=float(feeder_over.max(initial=0.0)),
        below_floor_kwh=below,
        above_ceiling_kwh=above,
        departure_short_kwh=np.asarray(short),
        trip_short_kwh=trip_short,
        energy_kwh=energy,
    )


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a plan costs in money, USD; income is negative. Slack penalties are not money and are not here."""

    energy_usd: float
    demand_usd: float
    wear_usd: float
    relief_usd: float
    shortfall_usd: float
    stored_usd: float

    @property
    def total_usd(self) -> float:
        """Sum of the parts."""
        return sum(
            (self.energy_usd, self.demand_usd, self.wear_usd, self.relief_usd, self.shortfall_usd, self.stored_usd)
        )


def price_plan(p: FleetProblem, net_kw: Floats, level_kw: Floats, judged: Violations | None = None) -> Cost:
    """Price a plan by its powers alone: bill, demand charge, wear, the grid events' pay, the energy left over.

    ``level_kw`` ``[K]`` is the relief promised under each commitment (nominated or chosen); ``judged`` is the replay of
    ``net_kw`` where there is one already.
    """
    site = p.site_sum(net_kw)
    grid = p.site_load_kw + site
    credit = np.minimum(p.export_credit_usd_per_kwh, p.price_usd_per_kwh)
    energy = (np.maximum(grid, 0) * p.price_usd_per_kwh - np.maximum(-grid, 0) * credit) * p.step_h
    rise = np.maximum(0.0, grid.max(axis=1) - p.peak_so_far_kw)
    relief_usd = shortfall_usd = 0.0
    for c, level in zip(p.commitments, level_kw, strict=True):
        relief = p.relief_kw(c, net_kw)[c.steps]
        hours = p.step_h[c.steps]
        given_kwh = -(net_kw[:, c.steps] @ hours) * c.sites[p.vehicle_site]
        relief_usd -= float(given_kwh @ c.site_values()[p.vehicle_site])
        shortfall_usd += c.shortfall_usd_per_kwh * float((np.maximum(0.0, level - relief) * hours).sum())
    judged = judged or replay(p, net_kw)
    return Cost(
        energy_usd=float(energy.sum()),
        demand_usd=float((p.demand_usd_per_kw * rise).sum()),
        wear_usd=float((p.wear_usd_per_kwh * np.maximum(-net_kw, 0) * p.step_h).sum()),
        relief_usd=relief_usd,
        shortfall_usd=shortfall_usd,
        stored_usd=-p.end_value_usd_per_kwh * float(judged.energy_kwh[:, -1].sum()),
    )
