"""The fleet's planning problem: what is plugged in where, what must leave when, what the grid pays.

Arrays are ``[vehicle, step]``, ``[site, step]`` or ``[asset]``. Powers named ``*_max_kw`` and ``*_limit_kw``
are magnitudes; charging is positive wherever a power carries a sign. Steps may be uneven::

    edge 0 (now)   1      2          3            T
      |-- step 0 --|-- 1 --|--- 2 ---| ... step T-1 --|
    energy_now    e[0]   e[1]      e[2]             e[T-1]
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from revere.core.errors import RevereError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CELLS_MAX = 600_000
"""Bound on vehicles x steps: above it HiGHS takes minutes and price coordination is the way."""
EFFICIENCY_MIN = 0.3
ENERGY_TOLERANCE = 0.02
"""A battery may read this share above its capacity (meter and capacity errors) and is then taken as full."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Commitment:
    """What a grid event asks of some sites in its window.

    ``value_usd_per_kwh`` is paid for each kWh of relief (discharge minus charge): one figure, or one for each of the
    problem's sites. ``nominated_kw`` is the relief promised in every step of the window; None lets the schedule choose
    the largest flat level, rewarded by ``flat_value_usd_per_kwh`` on top. A promised kWh that is not delivered costs
    ``shortfall_usd_per_kwh``. Beyond that a kWh is worth the same in every step; a small ``even_usd_per_kw`` for the
    lowest step lays them out evenly.
    """

    id: str
    sites: Bools
    steps: Bools
    value_usd_per_kwh: float | Floats
    nominated_kw: float | None = None
    shortfall_usd_per_kwh: float = 5.0
    flat_value_usd_per_kwh: float = 1.0
    even_usd_per_kw: float = 0.0

    def site_values(self) -> Floats:
        """What a kWh is worth at each site ``[S]``, called or not."""
        return np.broadcast_to(np.asarray(self.value_usd_per_kwh, dtype=np.float64), self.sites.shape)


@dataclass(frozen=True, kw_only=True)
class Departure:
    """A vehicle leaves at the start of ``step`` (0 = now, T = the horizon's end) with at least ``energy_kwh``.

    A negative step is a departure in the past, one above T lies beyond the horizon: both bind nothing.
    """

    vehicle: int
    step: int
    energy_kwh: float
    label: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class FleetProblem:
    """One snapshot of the fleet, ready to be optimised. Construction refuses what cannot be meant.

    ``floor_kwh`` is what no grid service may go below (soc minimum and reserve); a battery that starts below it is
    charged back, never a reason to refuse. ``trip_kwh`` leaves the battery within a step. ``site_load_kw`` is
    building minus solar. Feeder limits bound what the stations *add*. ``start_s`` (epoch seconds of edge 0) lets a
    later re-plan reuse this one's basis where steps coincide. ``early_usd_per_kwh_h`` is a tie-break: among equal
    costs energy is stored early, because somebody may need the car. ``lease_h`` is how long a setpoint may stand
    without us: in a commitment's steps what is given leaves that much energy above the floor.
    """

    step_h: Floats
    vehicle_site: Ints
    capacity_kwh: Floats
    energy_now_kwh: Floats
    floor_kwh: Floats
    ceiling_kwh: Floats
    charge_max_kw: Floats
    discharge_max_kw: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats
    trip_kwh: Floats
    departures: tuple[Departure, ...]
    site_load_kw: Floats
    import_limit_kw: Floats
    export_limit_kw: Floats
    feeder_of_site: Ints
    feeder_import_limit_kw: Floats
    feeder_export_limit_kw: Floats
    price_usd_per_kwh: Floats
    export_credit_usd_per_kwh: Floats
    demand_usd_per_kw: Floats
    peak_so_far_kw: Floats
    wear_usd_per_kwh: float = 0.03
    end_value_usd_per_kwh: float = 0.0
    commitments: tuple[Commitment, ...] = ()
    start_s: int = 0
    early_usd_per_kwh_h: float = 1e-5
    lease_h: float = 0.0
    vehicles: int = field(init=False)
    steps: int = field(init=False)
    sites: int = field(init=False)
    feeders: int = field(init=False)

    def __post_init__(self) -> None:
        """Fix the sizes, then check every array's shape, finiteness and range, naming the first that fails."""
        put = object.__setattr__
        put(self, "vehicles", len(self.vehicle_site))
        put(self, "steps", len(self.step_h))
        put(self, "sites", len(self.feeder_of_site))
        put(self, "feeders", len(self.feeder_import_limit_kw))
        _check_arrays(self)
        _check_indices(self)
        _check_commitments(self)

    def start_kwh(self) -> Floats:
        """Energy in each battery now, kWh ``[V]``; a reading slightly above capacity counts as full."""
        return np.minimum(self.energy_now_kwh, self.capacity_kwh)

    def relief_kw(self, commitment: Commitment, net_kw: Floats) -> Floats:
        """Relief of a commitment's sites ``[T]``: minus their stations' net power, outside the window too."""
        relief: Floats = -net_kw[commitment.sites[self.vehicle_site]].sum(axis=0)
        return relief

    def site_sum(self, per_vehicle: Floats) -> Floats:
        """Sum rows ``[V, T]`` of vehicles into their sites ``[S, T]``."""
        return _sum_rows(per_vehicle, self.vehicle_site, self.sites)

    def feeder_sum(self, per_site: Floats) -> Floats:
        """Sum rows ``[S, T]`` of sites into their feeders ``[F, T]``."""
        return _sum_rows(per_site, self.feeder_of_site, self.feeders)


def _sum_rows(rows: Floats, group: Ints, groups: int) -> Floats:
    """Sums of rows ``[N, T]`` by group ``[G, T]``: one weighted count, three times as fast as ``np.add.at``."""
    steps = rows.shape[1]
    cell = group[:, None] * steps + np.arange(steps)
    sums = np.bincount(cell.ravel(), np.asarray(rows, dtype=np.float64).ravel(), groups * steps)
    return sums.astype(np.float64).reshape(groups, steps)


def refuse(name: str, got: object, expected: str) -> RevereError:
    """The error for an input of the planner that cannot be meant."""
    return RevereError(
        f"{name} cannot be planned with",
        where="plan.problem",
        got=got,
        expected=expected,
        remedy="Correct the reading or the registry entry that it comes from",
    )


MAX = float(np.finfo(np.float64).max)


def check_array(name: str, value: Floats, shape: tuple[int, ...], low: float = -np.inf, high: float = np.inf) -> None:
    """Refuse a wrong shape, a NaN or infinity, or a value outside [low, high], naming array and place."""
    if np.shape(value) != shape:
        raise refuse(name, f"shape {np.shape(value)}", f"shape {shape}")
    if value.size == 0 or (value.min() >= max(low, -MAX) and value.max() <= min(high, MAX)):
        return  # the rule: two passes, and a NaN fails both
    bad = ~np.isfinite(value) | (value < low) | (value > high)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise refuse(f"{name}{list(at)}", float(value[at]), f"a finite number from {low:g} to {high:g}")


def _check_arrays(p: FleetProblem) -> None:
    v, t, s, f = p.vehicles, p.steps, p.sites, p.feeders
    if t < 1 or s < 1 or f < 1 or v * t > CELLS_MAX:
        raise refuse(
            "size", f"{v} vehicles, {t} steps, {s} sites, {f} feeders", f"at most {CELLS_MAX} cells, none empty"
        )
    check_array("step_h", p.step_h, (t,), 1e-4, 168.0)
    check_array("capacity_kwh", p.capacity_kwh, (v,), 1e-3)
    for name in ("floor_kwh", "ceiling_kwh"):
        check_array(name, getattr(p, name), (v,), 0.0)
    check_array("energy_now_kwh", p.energy_now_kwh, (v,), 0.0)
    over = p.energy_now_kwh > p.capacity_kwh * (1 + ENERGY_TOLERANCE)
    if over.any():
        i = int(np.argmax(over))
        raise refuse(f"energy_now_kwh[{i}]", float(p.energy_now_kwh[i]), f"at most {p.capacity_kwh[i]:g} (capacity)")
    if (p.floor_kwh > p.ceiling_kwh).any() or (p.ceiling_kwh > p.capacity_kwh * (1 + 1e-9)).any():
        i = int(np.argmax((p.floor_kwh > p.ceiling_kwh) | (p.ceiling_kwh > p.capacity_kwh * (1 + 1e-9))))
        got = f"{p.floor_kwh[i]:g}, {p.ceiling_kwh[i]:g}, {p.capacity_kwh[i]:g}"
        raise refuse(f"floor, ceiling and capacity of vehicle {i}", got, "floor <= ceiling <= capacity")
    for name in ("charge_max_kw", "discharge_max_kw", "trip_kwh"):
        check_array(name, getattr(p, name), (v, t), 0.0)
    for name in ("charge_efficiency", "discharge_efficiency"):
        check_array(name, getattr(p, name), (v,), EFFICIENCY_MIN, 1.0)
    check_array("site_load_kw", p.site_load_kw, (s, t))
    for name in ("import_limit_kw", "export_limit_kw"):
        check_array(name, getattr(p, name), (s, t), 0.0)
    for name in ("feeder_import_limit_kw", "feeder_export_limit_kw"):
        check_array(name, getattr(p, name), (f,), 0.0)
    for name in ("price_usd_per_kwh", "export_credit_usd_per_kwh"):
        check_array(name, getattr(p, name), (s, t))
    for name in ("demand_usd_per_kw", "peak_so_far_kw"):
        check_array(name, getattr(p, name), (s,), 0.0)
    for name in ("wear_usd_per_kwh", "end_value_usd_per_kwh", "early_usd_per_kwh_h", "lease_h"):
        check_array(name, np.asarray(getattr(p, name), dtype=float), (), 0.0)


def _check_indices(p: FleetProblem) -> None:
    for name, index, size in (
        ("vehicle_site", p.vehicle_site, p.sites),
        ("feeder_of_site", p.feeder_of_site, p.feeders),
    ):
        if len(index) and (index.min() < 0 or index.max() >= size):
            raise refuse(name, f"{index.min()} to {index.max()}", f"0 to {size - 1}")
    for departure in p.departures:
        name = f"departure {departure.label or departure.vehicle}"
        if not 0 <= departure.vehicle < p.vehicles:
            raise refuse(f"{name}: vehicle", departure.vehicle, f"0 to {p.vehicles - 1}")
        check_array(f"{name}: energy_kwh", np.asarray(departure.energy_kwh, dtype=float), (), 0.0)


def _check_commitments(p: FleetProblem) -> None:
    for c in p.commitments:
        where = f"commitment {c.id}"
        if c.sites.shape != (p.sites,) or c.steps.shape != (p.steps,):
            raise refuse(where, f"masks {c.sites.shape}, {c.steps.shape}", f"masks ({p.sites},), ({p.steps},)")
        value = np.asarray(c.value_usd_per_kwh, dtype=float)
        check_array(f"{where}: value_usd_per_kwh", value, (p.sites,) if value.ndim else (), 0.0)
        for name in ("shortfall_usd_per_kwh", "flat_value_usd_per_kwh", "even_usd_per_kw"):
            check_array(f"{where}: {name}", np.asarray(getattr(c, name), dtype=float), (), 0.0)
        if c.nominated_kw is not None:
            check_array(f"{where}: nominated_kw", np.asarray(c.nominated_kw, dtype=float), (), 0.0)
