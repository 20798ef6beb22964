"""A fleet in the form that price coordination takes: batteries with hard bounds, sites with bills, feeders and calls.

Arrays are ``[vehicle, step]``, ``[site, step]`` or ``[asset]``; the vehicles of a site lie side by side. Energies are
those at the end of a step. What a fleet can be asked for but may not be able to give (a departure, a call, a feeder)
is told as missing, with its kWh; what would break something (a site's limits, a battery's bounds) is never planned.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from revere.plan.problem import EFFICIENCY_MIN, Bools, Floats, Ints, check_array, refuse

CELLS_MAX = 200_000_000
"""Bound on vehicles x steps: a million vehicles in quarter hours of two days. Memory is about 80 bytes a cell."""
REACH_KWH = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """A grid event: relief (discharge minus charge) of ``sites`` in ``steps``; what is missing costs its price."""

    id: str
    sites: Bools
    steps: Bools
    relief_kw: float
    shortfall_usd_per_kwh: float


@dataclass(frozen=True, kw_only=True, eq=False)
class SitedFleet:
    """One fleet and its day. Construction refuses what cannot be meant.

    Vehicles ``first_vehicle[s]:first_vehicle[s + 1]`` are parked at site ``s``; powers are 0 where a vehicle is on the
    road, its ``trip_kwh`` leaves the battery within a step. ``floor_kwh`` ``[V, T]`` holds reserve and departures.
    Site limits hold for building and vehicles together, but a building that is above its own limit is not the fleet's
    to mend: there the vehicles may add nothing. Feeder limits ``[F, T]`` hold for what the vehicles add.
    ``export_usd_per_kwh`` may not be above ``import_usd_per_kwh``: money would flow in a circle.
    """

    step_h: Floats
    first_vehicle: Ints
    charge_max_kw: Floats
    discharge_max_kw: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats
    start_kwh: Floats
    floor_kwh: Floats
    ceiling_kwh: Floats
    trip_kwh: Floats
    wear_usd_per_kwh: float
    load_kw: Floats
    import_limit_kw: Floats
    export_limit_kw: Floats
    import_usd_per_kwh: Floats
    export_usd_per_kwh: Floats
    demand_usd_per_kw: Floats
    peak_so_far_kw: Floats
    feeder_of_site: Ints
    feeder_import_kw: Floats
    feeder_export_kw: Floats
    overload_usd_per_kwh: float
    calls: tuple[Call, ...] = ()
    vehicles: int = field(init=False)
    steps: int = field(init=False)
    sites: int = field(init=False)
    feeders: int = field(init=False)

    def __post_init__(self) -> None:
        """Fix the sizes, then check shapes, finiteness and ranges, naming the first that fails."""
        put = object.__setattr__
        put(self, "vehicles", len(self.start_kwh))
        put(self, "steps", len(self.step_h))
        put(self, "sites", len(self.feeder_of_site))
        put(self, "feeders", len(self.feeder_import_kw))
        _check_sizes(self)
        _check_values(self)

    @property
    def vehicle_site(self) -> Ints:
        """Each vehicle's site ``[V]``."""
        return np.repeat(np.arange(self.sites), np.diff(self.first_vehicle))

    def site_sum(self, per_vehicle: Floats) -> Floats:
        """Sum rows ``[V, T]`` of vehicles into their sites ``[S, T]``."""
        sums = np.zeros((self.sites, per_vehicle.shape[1]))
        taken = np.diff(self.first_vehicle) > 0
        sums[taken] = np.add.reduceat(per_vehicle, self.first_vehicle[:-1][taken], axis=0)
        return sums

    def feeder_sum(self, per_site: Floats) -> Floats:
        """Sum rows ``[S, T]`` of sites into their feeders ``[F, T]``."""
        sums = np.zeros((self.feeders, per_site.shape[1]))
        np.add.at(sums, self.feeder_of_site, per_site)
        return sums

    def site(self, s: int, price_usd_per_kwh: Floats) -> SitedFleet:
        """Site ``s`` alone, at its tariff plus ``price_usd_per_kwh`` ``[T]``, without feeder or calls."""
        own, one = slice(self.first_vehicle[s], self.first_vehicle[s + 1]), slice(s, s + 1)
        by_vehicle = (
            "charge_max_kw", "discharge_max_kw", "charge_efficiency", "discharge_efficiency",
            "start_kwh", "floor_kwh", "ceiling_kwh", "trip_kwh",
        )  # fmt: skip
        by_site = ("load_kw", "import_limit_kw", "export_limit_kw", "demand_usd_per_kw", "peak_so_far_kw")
        unlimited = np.full((1, self.steps), float(np.finfo(np.float64).max))
        return replace(
            self,
            first_vehicle=np.array([0, own.stop - own.start]),
            **{name: getattr(self, name)[own] for name in by_vehicle},
            **{name: getattr(self, name)[one] for name in by_site},
            import_usd_per_kwh=self.import_usd_per_kwh[one] + price_usd_per_kwh,
            export_usd_per_kwh=self.export_usd_per_kwh[one] + price_usd_per_kwh,
            feeder_of_site=np.zeros(1, dtype=np.int64),
            feeder_import_kw=unlimited,
            feeder_export_kw=unlimited,
            calls=(),
        )


def reachable(fleet: SitedFleet) -> tuple[SitedFleet, Floats]:
    """The fleet with each floor lowered to what full power from the start can reach, and the kWh missing ``[V, T]``.

    Charging at full power from the start reaches every lowered floor, so that each vehicle alone has an answer.
    """
    highest = fleet.start_kwh.copy()
    missing = np.zeros((fleet.vehicles, fleet.steps))
    for t in range(fleet.steps):
        highest += fleet.charge_max_kw[:, t] * fleet.charge_efficiency * fleet.step_h[t] - fleet.trip_kwh[:, t]
        highest = np.minimum(highest, fleet.ceiling_kwh[:, t])
        missing[:, t] = np.maximum(0.0, fleet.floor_kwh[:, t] - highest)
    if missing.max(initial=0.0) <= REACH_KWH:
        return fleet, missing
    lowered = np.where(missing > REACH_KWH, fleet.floor_kwh - missing - REACH_KWH, fleet.floor_kwh)
    return replace(fleet, floor_kwh=lowered), missing


def _check_sizes(f: SitedFleet) -> None:
    v, t, s, d = f.vehicles, f.steps, f.sites, f.feeders
    if min(v, t, s, d) < 1 or v * t > CELLS_MAX:
        got = f"{v} vehicles, {t} steps, {s} sites, {d} feeders"
        raise refuse("size", got, f"at most {CELLS_MAX} cells, none empty")
    first = f.first_vehicle
    if first.shape != (s + 1,) or first[0] != 0 or first[-1] != v or (np.diff(first) < 0).any():
        raise refuse("first_vehicle", first[:5].tolist(), f"{s + 1} ascending numbers from 0 to {v}")
    if f.feeder_of_site.min() < 0 or f.feeder_of_site.max() >= d:
        raise refuse("feeder_of_site", f"{f.feeder_of_site.min()} to {f.feeder_of_site.max()}", f"0 to {d - 1}")


def _check_values(f: SitedFleet) -> None:
    v, t, s, d = f.vehicles, f.steps, f.sites, f.feeders
    check_array("step_h", f.step_h, (t,), 1e-4, 168.0)
    for name in ("charge_max_kw", "discharge_max_kw", "trip_kwh", "ceiling_kwh"):
        check_array(name, getattr(f, name), (v, t), 0.0)
    check_array("floor_kwh", f.floor_kwh, (v, t))
    check_array("start_kwh", f.start_kwh, (v,), 0.0)
    for name in ("charge_efficiency", "discharge_efficiency"):
        check_array(name, getattr(f, name), (v,), EFFICIENCY_MIN, 1.0)
    check_array("wear_usd_per_kwh", np.asarray(f.wear_usd_per_kwh), (), 0.0)
    check_array("overload_usd_per_kwh", np.asarray(f.overload_usd_per_kwh), (), 0.0)
    for name in ("load_kw", "import_usd_per_kwh", "export_usd_per_kwh"):
        check_array(name, getattr(f, name), (s, t))
    for name in ("import_limit_kw", "export_limit_kw"):
        check_array(name, getattr(f, name), (s, t), 0.0)
    for name in ("demand_usd_per_kw", "peak_so_far_kw"):
        check_array(name, getattr(f, name), (s,), 0.0)
    for name in ("feeder_import_kw", "feeder_export_kw"):
        check_array(name, getattr(f, name), (d, t))
    _check_order("floor_kwh", f.floor_kwh, "ceiling_kwh", f.ceiling_kwh)
    _check_order("export_usd_per_kwh", f.export_usd_per_kwh, "import_usd_per_kwh", f.import_usd_per_kwh)
    for call in f.calls:
        where = f"call {call.id}"
        if call.sites.shape != (s,) or call.steps.shape != (t,):
            raise refuse(where, f"masks {call.sites.shape}, {call.steps.shape}", f"masks ({s},), ({t},)")
        check_array(f"{where}: relief_kw", np.asarray(call.relief_kw), ())
        check_array(f"{where}: shortfall_usd_per_kwh", np.asarray(call.shortfall_usd_per_kwh), (), 0.0)


def _check_order(low_name: str, low: Floats, high_name: str, high: Floats) -> None:
    if (low > high).any():
        at = tuple(int(i) for i in np.argwhere(low > high)[0])
        raise refuse(f"{low_name}{list(at)}", float(low[at]), f"at most {high[at]:g} ({high_name})")


def by_site(site_of_vehicle: Ints, sites: int) -> tuple[Ints, Ints]:
    """The order that puts the vehicles of a site side by side, and where each site's begin ``[S + 1]``."""
    order = np.argsort(site_of_vehicle, kind="stable")
    return order, np.searchsorted(site_of_vehicle[order], np.arange(sites + 1)).astype(np.int64)
