"""A sited fleet's plan by HiGHS, to the optimum: for small fleets, and for one site that coordination leaves unfit.

Columns: charge, discharge, stored energy [V, T]; grid import, grid export [S, T]; peak [S]; what each call misses
[K, T]; what each feeder is over, either way [F, T]. Rows: energy balance, site balance, peak, call, feeder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import highspy
import numpy as np

if TYPE_CHECKING:
    from revere.plan.problem import Floats, Ints
    from revere.plan.sited import SitedFleet

INF = float("inf")
SHORT_USD_PER_KWH = 1e3
"""Price of a kWh missing at a floor, in each step: above any money, so that only what cannot be is missing."""


@dataclass(kw_only=True)
class _Program:
    """Columns and rows gathered in blocks, entries as triples."""

    cost: list[Floats] = field(default_factory=list)
    lower: list[Floats] = field(default_factory=list)
    upper: list[Floats] = field(default_factory=list)
    row_lower: list[Floats] = field(default_factory=list)
    row_upper: list[Floats] = field(default_factory=list)
    row: list[Ints] = field(default_factory=list)
    column: list[Ints] = field(default_factory=list)
    value: list[Floats] = field(default_factory=list)
    columns: int = 0
    rows: int = 0

    def add_columns(self, shape: tuple[int, ...], cost: object, lower: object, upper: object) -> Ints:
        """New columns of ``shape``; their numbers in that shape."""
        for gathered, given in ((self.cost, cost), (self.lower, lower), (self.upper, upper)):
            gathered.append(np.broadcast_to(np.asarray(given, dtype=np.float64), shape).ravel())
        size = int(np.prod(shape))
        self.columns += size
        return np.arange(self.columns - size, self.columns).reshape(shape)

    def add_rows(self, shape: tuple[int, ...], lower: object, upper: object) -> Ints:
        """New rows of ``shape``; their numbers in that shape."""
        for gathered, given in ((self.row_lower, lower), (self.row_upper, upper)):
            gathered.append(np.broadcast_to(np.asarray(given, dtype=np.float64), shape).ravel())
        size = int(np.prod(shape))
        self.rows += size
        return np.arange(self.rows - size, self.rows).reshape(shape)

    def put(self, row: Ints, column: Ints, value: object) -> None:
        """Entries at (row, column); the three are broadcast together."""
        r, c, v = np.broadcast_arrays(row, column, np.asarray(value, dtype=np.float64))
        self.row.append(r.ravel())
        self.column.append(c.ravel())
        self.value.append(v.ravel())

    def give_to(self, highs: highspy.Highs) -> None:
        """Hand the program over, by columns."""
        row, column, value = np.concatenate(self.row), np.concatenate(self.column), np.concatenate(self.value)
        order = np.lexsort((row, column))
        highs.passModel(
            self.columns, self.rows, len(value), int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize),
            0.0, np.concatenate(self.cost), np.concatenate(self.lower), np.concatenate(self.upper),
            np.concatenate(self.row_lower), np.concatenate(self.row_upper),
            np.searchsorted(column[order], np.arange(self.columns + 1)).astype(np.int32),
            row[order].astype(np.int32), value[order], np.zeros(self.columns, dtype=np.int32),
        )  # fmt: skip


def solve_exactly(fleet: SitedFleet, seconds: float | None = None) -> tuple[Floats, float] | None:
    """The optimum: net power ``[V, T]`` and its cost in USD; None where HiGHS does not reach it in time.

    Limits hold; where they leave a floor out of reach, as little as can be is missing there.
    """
    p = _Program()
    net = _vehicles(p, fleet)
    _sites(p, fleet, net)
    highs = highspy.Highs()  # type: ignore[no-untyped-call]  # the stub lacks it
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", 0)):
        highs.setOptionValue(name, value)
    if seconds is not None:
        highs.setOptionValue("time_limit", seconds)
    p.give_to(highs)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    x = np.asarray(highs.getSolution().col_value)
    charge = np.clip(x[net[0]], 0.0, fleet.charge_max_kw)
    discharge = np.clip(x[net[1]], 0.0, fleet.discharge_max_kw)
    constant = float((fleet.demand_usd_per_kw * fleet.peak_so_far_kw).sum())
    return charge - discharge, float(highs.getInfo().objective_function_value) - constant


def _vehicles(p: _Program, f: SitedFleet) -> tuple[Ints, Ints]:
    """Columns of charge and discharge, and each battery's balance."""
    shape = (f.vehicles, f.steps)
    charge = p.add_columns(shape, 0.0, 0.0, f.charge_max_kw)
    discharge = p.add_columns(shape, f.wear_usd_per_kwh * f.step_h, 0.0, f.discharge_max_kw)
    stored = p.add_columns(shape, 0.0, -INF, f.ceiling_kwh)
    spill = p.add_columns(shape, 0.0, 0.0, INF)
    short = p.add_columns(shape, SHORT_USD_PER_KWH, 0.0, INF)
    floor = p.add_rows(shape, f.floor_kwh, INF)
    p.put(floor, stored, 1.0)
    p.put(floor, short, 1.0)
    had = -f.trip_kwh
    had[:, 0] += f.start_kwh
    row = p.add_rows(shape, had, had)
    p.put(row, stored, 1.0)
    p.put(row, spill, 1.0)
    p.put(row[:, 1:], stored[:, :-1], -1.0)
    p.put(row, charge, -f.charge_efficiency[:, None] * f.step_h)
    p.put(row, discharge, f.step_h / f.discharge_efficiency[:, None])
    return charge, discharge


def _sites(p: _Program, f: SitedFleet, net: tuple[Ints, Ints]) -> None:
    """Each site's bill and limits, the calls, the feeders."""
    charge, discharge = net
    h, shape, step = f.step_h, (f.sites, f.steps), np.arange(f.steps)
    draw = p.add_columns(shape, f.import_usd_per_kwh * h, 0.0, np.maximum(f.import_limit_kw, f.load_kw))
    give = p.add_columns(shape, -f.export_usd_per_kwh * h, 0.0, np.maximum(f.export_limit_kw, -f.load_kw))
    peak = p.add_columns((f.sites,), f.demand_usd_per_kw, f.peak_so_far_kw, INF)
    balance = p.add_rows(shape, f.load_kw, f.load_kw)
    p.put(balance, draw, 1.0)
    p.put(balance, give, -1.0)
    at_site = balance[f.vehicle_site]
    p.put(at_site, charge, -1.0)
    p.put(at_site, discharge, 1.0)
    crest = p.add_rows(shape, 0.0, INF)
    p.put(crest, peak[:, None], 1.0)
    p.put(crest, draw, -1.0)
    for call in f.calls:
        when = step[call.steps]
        missing = p.add_columns((len(when),), call.shortfall_usd_per_kwh * h[when], 0.0, INF)
        row = p.add_rows((len(when),), call.relief_kw, INF)
        who = np.flatnonzero(call.sites[f.vehicle_site])[:, None]
        p.put(row, missing, 1.0)
        p.put(row, discharge[who, when], 1.0)
        p.put(row, charge[who, when], -1.0)
    over = p.add_columns((f.feeders, f.steps), f.overload_usd_per_kwh * h, 0.0, INF)
    under = p.add_columns((f.feeders, f.steps), f.overload_usd_per_kwh * h, 0.0, INF)
    feeder = p.add_rows((f.feeders, f.steps), -f.feeder_export_kw, f.feeder_import_kw)
    p.put(feeder, over, -1.0)
    p.put(feeder, under, 1.0)
    at_feeder = feeder[f.feeder_of_site[f.vehicle_site]]
    p.put(at_feeder, charge, 1.0)
    p.put(at_feeder, discharge, -1.0)
