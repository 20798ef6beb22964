"""What a plan for a sited fleet leads to: run forward and priced in plain numpy, sharing nothing with any solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from revere.plan.problem import Floats
    from revere.plan.sited import SitedFleet

TOLERANCE_KW = 1e-6
TOLERANCE_KWH = 1e-4
MISSED_KWH = 1e-3


@dataclass(frozen=True, kw_only=True)
class Missed:
    """A battery's target that the plan does not reach: the vehicle's row, the step at whose end, and the kWh."""

    vehicle: int
    step: int
    short_kwh: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Account:
    """Money in USD (income negative), kW over a limit and kWh missing (magnitudes, 0 = none).

    ``shortfall_kwh`` and ``overload_kwh`` are what calls and feeders miss; their price is in the cost.
    """

    energy_usd: float
    demand_usd: float
    wear_usd: float
    shortfall_usd: float
    overload_usd: float
    power_over_kw: float
    site_over_kw: float
    floor_short_kwh: Floats
    spilled_kwh: float
    shortfall_kwh: float
    overload_kwh: float

    @property
    def cost_usd(self) -> float:
        """All of it."""
        return self.energy_usd + self.demand_usd + self.wear_usd + self.shortfall_usd + self.overload_usd

    @property
    def worst_violation_kw(self) -> float:
        """The largest kW over a charger's or a site's limit: more than the tolerance, and the plan is not issued."""
        return max(self.power_over_kw, self.site_over_kw)

    @property
    def ok(self) -> bool:
        """Whether the plan stays in every limit of chargers and sites. A NaN compares false, and is not ok."""
        return self.worst_violation_kw <= TOLERANCE_KW

    def missed(self) -> list[Missed]:
        """Every target that is not reached, by vehicle and step: the first step of each time that it falls short."""
        short = self.floor_short_kwh > MISSED_KWH
        begins = short & ~np.pad(short, ((0, 0), (1, 0)))[:, :-1]
        found = []
        for vehicle, step in np.argwhere(begins):
            until = step + int(np.argmin(np.append(short[vehicle, step:], False)))
            most = float(self.floor_short_kwh[vehicle, step:until].max())
            found.append(Missed(vehicle=int(vehicle), step=int(step), short_kwh=most))
        return found


def account(fleet: SitedFleet, net_kw: Floats) -> Account:
    """Run ``net_kw`` ``[V, T]`` (charging positive) forward and price it. Energy above a ceiling is spilled."""
    assert net_kw.shape == (fleet.vehicles, fleet.steps), net_kw.shape
    h = fleet.step_h
    site = fleet.site_sum(net_kw)
    grid = fleet.load_kw + site
    price = np.where(grid > 0, fleet.import_usd_per_kwh, fleet.export_usd_per_kwh)
    peak = np.maximum(grid.max(axis=1) - fleet.peak_so_far_kw, 0.0)
    short_usd, short_kwh = 0.0, 0.0
    for call in fleet.calls:
        missing = (np.maximum(0.0, call.relief_kw + site[call.sites].sum(axis=0)) * h)[call.steps].sum()
        short_kwh += float(missing)
        short_usd += float(missing) * call.shortfall_usd_per_kwh
    feeder = fleet.feeder_sum(site)
    over = np.maximum(0.0, np.maximum(feeder - fleet.feeder_import_kw, -feeder - fleet.feeder_export_kw))
    overload_kwh = float((over * h).sum())
    floor_short, spilled = _run(fleet, net_kw)
    power_over = np.maximum(net_kw - fleet.charge_max_kw, -net_kw - fleet.discharge_max_kw)
    import_over = np.minimum(grid - fleet.import_limit_kw, site)
    export_over = np.minimum(-grid - fleet.export_limit_kw, -site)
    return Account(
        energy_usd=float((grid * price * h).sum()),
        demand_usd=float((fleet.demand_usd_per_kw * peak).sum()),
        wear_usd=float(fleet.wear_usd_per_kwh * (np.maximum(-net_kw, 0.0) * h).sum()),
        shortfall_usd=short_usd,
        overload_usd=overload_kwh * fleet.overload_usd_per_kwh,
        power_over_kw=float(power_over.max(initial=0.0)),
        site_over_kw=float(max(import_over.max(initial=0.0), export_over.max(initial=0.0))),
        floor_short_kwh=floor_short,
        spilled_kwh=spilled,
        shortfall_kwh=short_kwh,
        overload_kwh=overload_kwh,
    )


def _run(fleet: SitedFleet, net_kw: Floats) -> tuple[Floats, float]:
    """Energy below each floor ``[V, T]`` (kWh, 0 where it is met) and what was spilled in all."""
    energy, spilled = fleet.start_kwh.copy(), 0.0
    short = np.empty_like(net_kw)
    for t in range(fleet.steps):
        kw = net_kw[:, t]
        gain = np.where(kw > 0, kw * fleet.charge_efficiency, kw / fleet.discharge_efficiency)
        energy += gain * fleet.step_h[t] - fleet.trip_kwh[:, t]
        spilled += float(np.maximum(energy - fleet.ceiling_kwh[:, t], 0.0).sum())
        energy = np.minimum(energy, fleet.ceiling_kwh[:, t])
        short[:, t] = np.maximum(fleet.floor_kwh[:, t] - energy, 0.0)
    return short, spilled
