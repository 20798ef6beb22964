"""Plans for fleets that no linear program solver can take whole: prices coordinate vehicles, sites and the grid.

Alternating directions of multipliers over two copies of each site's power. In a round

1. the vehicles answer: at each site one after the other takes what the others leave of the site's wish;
2. each site answers alone with its bill, its limits and its demand charge (one copy);
3. feeders and calls answer with one price a step, at most their penalty (the other copy);
4. the prices move by what the copies still differ from the vehicles.

At any prices the least that vehicles, bills and grid cost *alone* adds up to less than any plan costs together: that
is the certified bound. A plan that stays in every site's limits (the newest answer, or the running average, which
swings less) costs more than the optimum. The run ends when the two are near enough, or at its bound of rounds or
seconds, with the best plan so far. Sites that still break a limit then are solved exactly by themselves.

Sharing with proximal steps: Boyd et al., Distributed Optimization and Statistical Learning via the Alternating
Direction Method of Multipliers, 2011, section 7.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from revere.core.time import wall_s
from revere.plan import kernels
from revere.plan.account import TOLERANCE_KW, Account, account
from revere.plan.exact import solve_exactly
from revere.plan.sited import SitedFleet, reachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.plan.problem import Floats

GAP = 5e-4
EXACT_MAX_VEHICLES, EXACT_MAX_CELLS = 40, 4_000
"""HiGHS takes a tenth of a second so far; coordination is quicker beyond."""
ROUNDS_MAX = 400
STIFFNESS = 0.7
"""How hard a site's sum is held to its wish, per charger kW: USD per kWh of price that moves it by one charger."""
TYPICAL_SPREAD_USD = 0.3
"""Prices of electricity lie so far apart within a day; other currencies and tariffs scale the stiffness."""
OVER_RELAXATION = 1.6
AVERAGE_FROM, AVERAGE_SHARE = 31, 0.1
LOOK_FROM, LOOK_EVERY = 20, 5
"""Rounds at which cost and bound are taken: a look costs about half a round."""
MARGIN_KW = 0.3
MARGIN_SHARE = 0.05
"""Limits are drawn tighter by so much, or so much of what the building leaves, and the average meets the true ones."""
GRID_PASSES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class FleetPlan:
    """A plan, how good it is proven to be, and the prices that found it.

    ``net_kw`` ``[V, T]`` charging positive; ``bound_usd`` <= the optimum <= ``account.cost_usd``; ``missing_kwh``
    ``[V, T]`` is what even full power from the start cannot reach. ``grid_usd_per_kwh`` ``[S, T]`` is what calls and
    feeders add to a site's tariff, ``site_usd_per_kwh`` what a kWh is worth to a vehicle there, with everything.
    """

    net_kw: Floats
    account: Account
    bound_usd: float
    rounds: int
    seconds: float
    missing_kwh: Floats
    grid_usd_per_kwh: Floats
    site_usd_per_kwh: Floats

    @property
    def gap(self) -> float:
        """(cost - bound) / cost: no plan is better by more than this share."""
        cost = self.account.cost_usd
        return max(0.0, cost - self.bound_usd) / max(abs(cost), 1e-9)


def plan_fleet(fleet: SitedFleet, *, gap: float = GAP, seconds_max: float | None = None) -> FleetPlan:
    """The plan for ``fleet`` by the solver that suits its size: HiGHS to the optimum, or coordination to ``gap``."""
    if fleet.vehicles <= EXACT_MAX_VEHICLES and fleet.vehicles * fleet.steps <= EXACT_MAX_CELLS:
        started = wall_s()
        fit, missing = reachable(fleet)
        solved = solve_exactly(fit, seconds_max)
        if solved is not None:
            net_kw, usd = solved
            judged = account(fleet, net_kw)
            nothing = np.zeros((fleet.sites, fleet.steps))
            return FleetPlan(
                net_kw=net_kw, account=judged, bound_usd=min(usd, judged.cost_usd), rounds=0,
                seconds=wall_s() - started, missing_kwh=missing, grid_usd_per_kwh=nothing, site_usd_per_kwh=nothing,
            )  # fmt: skip
    return coordinate(fleet, gap=gap, seconds_max=seconds_max)


def coordinate(
    fleet: SitedFleet,
    *,
    gap: float = GAP,
    rounds_max: int = ROUNDS_MAX,
    seconds_max: float | None = None,
    watch: Callable[[int, float, float], None] | None = None,
) -> FleetPlan:
    """The best plan found for ``fleet`` until it is proven to lie within ``gap``, or a bound of work is met.

    ``watch`` is told (round, best cost, bound) at each look. Never raises for a hard problem: what cannot be reached
    is told in ``missing_kwh`` and in the account.
    """
    started = wall_s()
    fit, missing = reachable(fleet)
    talks = _Talks(fit)
    rounds = 0
    for rounds in range(1, rounds_max + 1):
        talks.round(rounds)
        if rounds < LOOK_FROM or (rounds % LOOK_EVERY and rounds != rounds_max):
            continue
        talks.look()
        if watch is not None:
            watch(rounds, talks.best_usd, talks.bound_usd)
        if talks.best_usd - talks.bound_usd < gap * abs(talks.best_usd):
            break
        if seconds_max is not None and wall_s() - started > seconds_max:
            break
    net_kw = talks.best_kw if talks.best_kw is not None else talks.mended()
    judged = account(fleet, net_kw)
    return FleetPlan(
        net_kw=net_kw,
        account=judged,
        bound_usd=min(talks.bound_usd, judged.cost_usd),  # above it where no plan can keep every limit and target
        rounds=rounds,
        seconds=wall_s() - started,
        missing_kwh=missing,
        grid_usd_per_kwh=talks.grid_usd,
        site_usd_per_kwh=talks.site_usd + talks.grid_usd,
    )


def compile_kernels() -> None:
    """Have the kernels compiled, or taken from the disk's cache, before time is counted: plan one idle vehicle."""
    cell, one = np.zeros((1, 2)), np.ones((1, 2))
    idle = SitedFleet(
        step_h=np.ones(2), first_vehicle=np.array([0, 1]), charge_max_kw=one, discharge_max_kw=one,
        charge_efficiency=np.ones(1), discharge_efficiency=np.ones(1), start_kwh=np.ones(1), floor_kwh=cell,
        ceiling_kwh=one, trip_kwh=cell, wear_usd_per_kwh=0.0, load_kw=cell, import_limit_kw=one, export_limit_kw=one,
        import_usd_per_kwh=one, export_usd_per_kwh=cell, demand_usd_per_kw=np.zeros(1), peak_so_far_kw=np.zeros(1),
        feeder_of_site=np.zeros(1, dtype=np.int64), feeder_import_kw=one, feeder_export_kw=one,
        overload_usd_per_kwh=1.0,
    )  # fmt: skip
    coordinate(idle, rounds_max=AVERAGE_FROM + 1)


class _Talks:
    """What goes to and fro: each side's newest answer and the prices between them."""

    def __init__(self, fleet: SitedFleet) -> None:
        self.fleet = fleet
        v, s, t = fleet.vehicles, fleet.sites, fleet.steps
        self.batteries = kernels.Batteries(
            fleet.step_h, fleet.charge_max_kw, fleet.discharge_max_kw, fleet.trip_kwh, fleet.floor_kwh,
            fleet.ceiling_kwh, fleet.start_kwh, fleet.charge_efficiency, fleet.discharge_efficiency,
            float(fleet.wear_usd_per_kwh),
        )  # fmt: skip
        import_limit = np.maximum(fleet.import_limit_kw, fleet.load_kw)
        export_limit = np.maximum(fleet.export_limit_kw, -fleet.load_kw)
        self.bills = kernels.Bills(
            fleet.step_h, fleet.load_kw, fleet.import_usd_per_kwh, fleet.export_usd_per_kwh, import_limit,
            export_limit, fleet.demand_usd_per_kw, fleet.peak_so_far_kw,
        )  # fmt: skip
        room = np.minimum((import_limit - fleet.load_kw).max(axis=1), (export_limit + fleet.load_kw).max(axis=1))
        self.margin_kw = np.minimum(MARGIN_KW, MARGIN_SHARE * np.maximum(room, 0.0))
        self.weight = _weights(fleet)  # of a site's kW, half of it for each copy
        self.half = self.weight[:, None] / 2
        self.kw, self.stored_usd = np.zeros((v, t)), np.zeros((v, t))
        self.mark = np.zeros((v, t), dtype=np.int8)
        self.site_kw = np.zeros((s, t))
        self.bill_kw, self.grid_kw = np.zeros((s, t)), np.zeros((s, t))
        self.site_usd = fleet.import_usd_per_kwh.copy()  # prices start at the tariff
        self.lag_usd = np.zeros((s, t))
        self.grid_usd = np.zeros((s, t))
        self.call_usd = np.zeros((len(fleet.calls), t))
        self.feeder_usd = np.zeros((fleet.feeders, t))
        self.average: tuple[Floats, Floats] | None = None
        self.best_usd = np.inf
        self.best_kw: Floats | None = None
        self.bound_usd = -np.inf

    def round(self, number: int) -> None:
        """Each side answers once, and the prices move."""
        wish = 0.5 * (self.bill_kw - self.site_usd / self.half + self.grid_kw - self.lag_usd / self.half)
        kernels.answer_prices(
            self.batteries, self.fleet.first_vehicle, wish, self.weight, self.kw, self.stored_usd, self.mark,
            self.site_kw,
        )  # fmt: skip
        if number == AVERAGE_FROM:
            self.average = self.kw.copy(), self.site_kw.copy()
        elif self.average is not None:
            kernels.blend(self.average[0], self.kw, AVERAGE_SHARE)
            kernels.blend(self.average[1], self.site_kw, AVERAGE_SHARE)
        to_bill = OVER_RELAXATION * self.site_kw + (1 - OVER_RELAXATION) * self.bill_kw
        to_grid = OVER_RELAXATION * self.site_kw + (1 - OVER_RELAXATION) * self.grid_kw
        kernels.answer_bills(
            self.bills, self.margin_kw, to_bill + self.site_usd / self.half, self.half[:, 0], self.bill_kw
        )
        wish = to_grid + self.lag_usd / self.half
        self._price_grid(wish)
        self.grid_kw = wish - self.grid_usd / self.half
        self.site_usd += self.half * (to_bill - self.bill_kw)
        self.lag_usd += self.half * (to_grid - self.grid_kw)

    def _price_grid(self, wish_kw: Floats) -> None:
        """The prices of calls and feeders at which the sites' answers just fit, each within its penalty."""
        f, ease = self.fleet, 1.0 / self.half[:, 0]
        feeder_ease = np.bincount(f.feeder_of_site, ease, f.feeders)[:, None]
        for _ in range(GRID_PASSES if f.calls else 1):
            left = wish_kw - self._called_usd() * ease[:, None]
            sums = f.feeder_sum(left)
            most = f.overload_usd_per_kwh
            over = np.clip((sums - f.feeder_import_kw) / feeder_ease, 0.0, most)
            under = np.clip((-sums - f.feeder_export_kw) / feeder_ease, 0.0, most)
            self.feeder_usd = over - under
            for k, call in enumerate(f.calls):
                self.call_usd[k] = 0.0
                left = wish_kw - (self._called_usd() + self.feeder_usd[f.feeder_of_site]) * ease[:, None]
                short = (call.relief_kw + left[call.sites].sum(axis=0)) / ease[call.sites].sum()
                self.call_usd[k] = np.where(call.steps, np.clip(short, 0.0, call.shortfall_usd_per_kwh), 0.0)
        self.grid_usd = self._called_usd() + self.feeder_usd[f.feeder_of_site]

    def _called_usd(self) -> Floats:
        usd = np.zeros((self.fleet.sites, self.fleet.steps))
        for k, call in enumerate(self.fleet.calls):
            usd[call.sites] += self.call_usd[k]
        return usd

    def look(self) -> None:
        """Keep the better of the newest answer and the average, if it fits, and take the bound at these prices."""
        for kw, site_kw in ((self.kw, self.site_kw), self.average or (None, None)):
            if kw is None or site_kw is None or self._over_kw(site_kw) > TOLERANCE_KW:
                continue
            usd = self._cost_usd(kw, site_kw)
            if usd < self.best_usd:
                self.best_usd, self.best_kw = usd, kw.copy()
        self.bound_usd = max(self.bound_usd, self._bound_usd())

    def _over_kw(self, site_kw: Floats) -> float:
        grid = site_kw + self.fleet.load_kw
        return float(max((grid - self.bills.import_limit_kw).max(), (-grid - self.bills.export_limit_kw).max()))

    def _cost_usd(self, kw: Floats, site_kw: Floats) -> float:
        f, h = self.fleet, self.fleet.step_h
        grid = site_kw + f.load_kw
        usd = float((np.where(grid > 0, f.import_usd_per_kwh, f.export_usd_per_kwh) * grid * h).sum())
        usd += float((f.demand_usd_per_kw * np.maximum(grid.max(axis=1) - f.peak_so_far_kw, 0.0)).sum())
        usd -= float(f.wear_usd_per_kwh * (np.minimum(kw, 0.0) @ h).sum())
        for call in f.calls:
            short = np.maximum(0.0, call.relief_kw + site_kw[call.sites].sum(axis=0))
            usd += float((short * h)[call.steps].sum()) * call.shortfall_usd_per_kwh
        sums = f.feeder_sum(site_kw)
        over = np.maximum(0.0, np.maximum(sums - f.feeder_import_kw, -sums - f.feeder_export_kw))
        return usd + float((over * h).sum()) * f.overload_usd_per_kwh

    def _bound_usd(self) -> float:
        """What batteries, bills and grid cost at least by themselves at the present prices, together."""
        f, h = self.fleet, self.fleet.step_h
        price = np.maximum(self.site_usd + self.grid_usd, 0.0)
        batteries, bills = np.empty(f.sites), np.empty(f.sites)
        kernels.bound_batteries(self.batteries, f.first_vehicle, price, batteries)
        kernels.bound_bills(self.bills, price - self.grid_usd, bills)
        grid = sum(float((self.call_usd[k] * h).sum()) * call.relief_kw for k, call in enumerate(f.calls))
        for usd, limit in ((self.feeder_usd, f.feeder_import_kw), (-self.feeder_usd, f.feeder_export_kw)):
            priced = usd > 0.0
            grid -= float(((usd * h)[priced] * limit[priced]).sum())
        return float(batteries.sum() + bills.sum()) + grid

    def mended(self) -> Floats:
        """The average with every site that breaks a limit solved exactly at the grid's price.

        The exact plan puts the limit above any target. A site that HiGHS does not solve stands still.
        """
        kw, site_kw = self.average or (self.kw, self.site_kw)
        kw = kw.copy()
        f, grid = self.fleet, site_kw + self.fleet.load_kw
        over = np.maximum(grid - self.bills.import_limit_kw, -grid - self.bills.export_limit_kw).max(axis=1)
        for s in np.flatnonzero(over > TOLERANCE_KW):
            own = slice(f.first_vehicle[s], f.first_vehicle[s + 1])
            solved = solve_exactly(f.site(int(s), self.grid_usd[s]))
            kw[own] = 0.0 if solved is None else solved[0]
        return kw


def _weights(fleet: SitedFleet) -> Floats:
    """How stiff each site's sum is ``[S]``, USD per kW² h: by the spread of prices and the size of its chargers."""
    count = np.diff(fleet.first_vehicle)
    size = np.bincount(fleet.vehicle_site, fleet.charge_max_kw.max(axis=1), fleet.sites)
    size = np.maximum(size / np.maximum(count, 1), 1e-3)
    spread = float(fleet.import_usd_per_kwh.max() - fleet.import_usd_per_kwh.min()) or TYPICAL_SPREAD_USD
    weights: Floats = STIFFNESS * spread / TYPICAL_SPREAD_USD / size / np.maximum(count, 1)
    return weights
