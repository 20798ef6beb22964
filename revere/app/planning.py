"""Planning problems as files: read one, solve it, write what came of it."""

from __future__ import annotations

import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from revere.core.errors import RevereError
from revere.plan.sited import CELLS_MAX, Call, SitedFleet, by_site

if TYPE_CHECKING:
    from pathlib import Path

    from revere.plan.coordinate import FleetPlan

ARRAY_MAX_BYTES = 8 * CELLS_MAX
"""Of one array, unpacked: as many cells as a fleet may have."""
MISSED_SHOWN = 1000
NO_LIMIT_KW = 1e12
_SHAPES: dict[str, tuple[str, ...]] = {
    "site_of_vehicle": ("V",), "charge_limit_kw": ("V",), "discharge_limit_kw": ("V",),
    "charge_efficiency": ("V",), "discharge_efficiency": ("V",), "plugged": ("V", "T"), "trip_kwh": ("V", "T"),
    "energy_min_kwh": ("V", "T"), "energy_max_kwh": ("V", "T"), "initial_energy_kwh": ("V",),
    "final_energy_kwh": ("V",), "import_price_usd_per_kwh": ("T",), "export_price_usd_per_kwh": ("T",),
    "building_load_kw": ("S", "T"), "import_limit_kw": ("S",), "export_limit_kw": ("S",),
    "demand_charge_usd_per_kw": ("S",), "in_event": ("T",), "step_h": (), "wear_usd_per_kwh": (),
    "event_commitment_kw": (), "shortfall_penalty_usd_per_kwh": (), "feeder_limit_kw": (),
    "overload_penalty_usd_per_kwh": (),
}  # fmt: skip
"""Arrays of a problem file, each named ``scene_`` before these: vehicles V, sites S, steps T."""


def load_problem(path: Path) -> tuple[SitedFleet, np.ndarray]:
    """A fleet's problem from an ``.npz``, and the file's row of each vehicle in it (a site's lie side by side).

    One feeder above all sites, whose limit holds for buildings and vehicles, and one call. Raises
    :class:`RevereError` for a file that is none, or an array that is missing, of the wrong shape or too large.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            large = next((item for item in packed.infolist() if item.file_size > ARRAY_MAX_BYTES), None)
        if large is not None:
            raise _unfit(path, f"{large.filename} of {large.file_size} bytes", f"at most {ARRAY_MAX_BYTES}")
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: _array(path, arrays, name) for name in _SHAPES}
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise _unfit(path, str(error) or type(error).__name__, "an .npz of numbers") from error
    _check_shapes(path, found)
    return _fleet(found)


def _array(path: Path, arrays: Any, name: str) -> np.ndarray:
    if f"scene_{name}" not in arrays:
        raise _unfit(path, f"no scene_{name}", "all of " + ", ".join(f"scene_{name}" for name in _SHAPES))
    array: np.ndarray = arrays[f"scene_{name}"]
    if array.dtype.kind not in "bif":
        raise _unfit(path, f"scene_{name} of {array.dtype}", "numbers")
    return array


def _check_shapes(path: Path, found: dict[str, np.ndarray]) -> None:
    sizes = {"V": found["site_of_vehicle"].size, "S": len(np.atleast_1d(found["import_limit_kw"]))}
    sizes["T"] = found["in_event"].size
    for name, axes in _SHAPES.items():
        expected = tuple(sizes[axis] for axis in axes)
        if found[name].shape != expected:
            raise _unfit(path, f"scene_{name} of shape {found[name].shape}", f"shape {expected}")


def _fleet(a: dict[str, np.ndarray]) -> tuple[SitedFleet, np.ndarray]:
    sites, steps = a["building_load_kw"].shape
    order, first = by_site(a["site_of_vehicle"].astype(np.int64), sites)
    floor = a["energy_min_kwh"].astype(np.float64)
    floor[:, -1] = np.maximum(floor[:, -1], a["final_energy_kwh"])
    everywhere = np.ones((sites, steps))
    call = Call(
        id="event", sites=np.ones(sites, dtype=bool), steps=a["in_event"].astype(bool),
        relief_kw=float(a["event_commitment_kw"]),
        shortfall_usd_per_kwh=float(a["shortfall_penalty_usd_per_kwh"]),
    )  # fmt: skip
    fleet = SitedFleet(
        step_h=np.full(steps, float(a["step_h"])),
        first_vehicle=first,
        charge_max_kw=(a["plugged"] * a["charge_limit_kw"][:, None])[order],
        discharge_max_kw=(a["plugged"] * a["discharge_limit_kw"][:, None])[order],
        charge_efficiency=a["charge_efficiency"][order],
        discharge_efficiency=a["discharge_efficiency"][order],
        start_kwh=a["initial_energy_kwh"][order],
        floor_kwh=floor[order],
        ceiling_kwh=a["energy_max_kwh"][order].astype(np.float64),
        trip_kwh=a["trip_kwh"][order].astype(np.float64),
        wear_usd_per_kwh=float(a["wear_usd_per_kwh"]),
        load_kw=a["building_load_kw"].astype(np.float64),
        import_limit_kw=everywhere * a["import_limit_kw"][:, None],
        export_limit_kw=everywhere * a["export_limit_kw"][:, None],
        import_usd_per_kwh=everywhere * a["import_price_usd_per_kwh"],
        export_usd_per_kwh=everywhere * a["export_price_usd_per_kwh"],
        demand_usd_per_kw=a["demand_charge_usd_per_kw"].astype(np.float64),
        peak_so_far_kw=np.zeros(sites),
        feeder_of_site=np.zeros(sites, dtype=np.int64),
        feeder_import_kw=(float(a["feeder_limit_kw"]) - a["building_load_kw"].sum(axis=0))[None],
        feeder_export_kw=np.full((1, steps), NO_LIMIT_KW),
        overload_usd_per_kwh=float(a["overload_penalty_usd_per_kwh"]),
        calls=(call,),
    )
    return fleet, order


def summary(plan: FleetPlan, order: np.ndarray) -> dict[str, Any]:
    """What ``revere plan solve`` says of a plan; vehicles are named by their row in the file."""
    account, missed = plan.account, plan.account.missed()
    return {
        "objective": account.cost_usd,
        "bound": plan.bound_usd,
        "gap": plan.gap,
        "seconds": round(plan.seconds, 3),
        "worst_violation_kw": account.worst_violation_kw,
        "missed": len(missed),
        "missed_targets": [{**asdict(one), "vehicle": int(order[one.vehicle])} for one in missed[:MISSED_SHOWN]],
        "rounds": plan.rounds,
        "cost_usd": {
            name: getattr(account, f"{name}_usd") for name in ("energy", "demand", "wear", "shortfall", "overload")
        },
        "shortfall_kwh": account.shortfall_kwh,
        "overload_kwh": account.overload_kwh,
        "spilled_kwh": account.spilled_kwh,
    }


def in_file_order(plan: FleetPlan, order: np.ndarray) -> np.ndarray:
    """``net_kw`` ``[V, T]`` with the vehicles as the file has them."""
    net_kw = np.empty_like(plan.net_kw)
    net_kw[order] = plan.net_kw
    return net_kw


def _unfit(path: Path, got: str, expected: str) -> RevereError:
    return RevereError(
        "this is no planning problem", where=str(path), got=got, expected=expected, remedy="Write the file again"
    )
