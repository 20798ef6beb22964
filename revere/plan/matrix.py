"""The fleet's linear program as sparse columns, built directly: no modelling layer, no scipy.

Columns: charge, discharge (cells with power), stored energy, what a site draws and feeds in, demand peak and four
kinds of slack (trip, departure, floor, commitment). Only what can bind becomes a row: a home whose car cannot
reach the service limit has no site row, a vehicle on the road stores what it stored before. Doing nothing is always
feasible: a building above its own limit leaves its stations no headroom, a battery below its floor may stay there, so
that every problem has a plan.

Slack prices are ordered so that money can never buy them: a kWh missing at departure > below the floor for the
whole horizon > a grid event's promise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from revere.plan.problem import Bools, Commitment, FleetProblem, Floats, Ints

(CHARGE, DISCHARGE, ENERGY, TRIP_SHORT, SITE, EXPORT, PEAK, DEPARTURE, FLOOR, MISSING, LEVEL, FEEDER, CREST, LEASE) = (
    range(1, 15)
)
INF = float("inf")
MARGIN_KW = 1e-9
CREST_SHARE = 0.1
"""A high crest is worth avoiding less than a low level: five minutes of more relief still pay."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearProgram:
    """min cost x + constant, row_lower <= A x <= row_upper, lower <= x <= upper; A by columns (CSC).

    Keys name columns and rows by kind, asset and clock time, so that a basis survives a rolled horizon.
    """

    cost: Floats
    lower: Floats
    upper: Floats
    row_lower: Floats
    row_upper: Floats
    start: npt.NDArray[np.int32]
    index: npt.NDArray[np.int32]
    value: Floats
    constant_usd: float
    column_key: Ints
    row_key: Ints
    at: dict[int, Ints]
    """First-hand positions: kind -> column numbers, in the order in which they were added."""
    charge_cells: Ints
    discharge_cells: Ints


@dataclass(kw_only=True)
class Builder:
    """Collects columns, rows and entries in blocks of arrays."""

    minute: Ints
    columns: int = 0
    rows: int = 0
    column_parts: list[tuple[Ints, Floats, Floats, Floats]] = field(default_factory=list)
    row_parts: list[tuple[Ints, Floats, Floats]] = field(default_factory=list)
    entry_parts: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    constant_usd: float = 0.0

    def key(self, kind: int, asset: Ints, step: Ints) -> Ints:
        """One integer per column or row: kind, asset, minute of the step's end."""
        return (np.int64(kind) << 52) | (asset.astype(np.int64) << 32) | self.minute[step]

    def add_columns(self, key: Ints, lower: object, upper: object, cost: object) -> Ints:
        """Append columns, return their numbers."""
        parts = tuple(np.broadcast_to(np.asarray(x, dtype=float), key.shape) for x in (lower, upper, cost))
        self.column_parts.append((key, parts[0], parts[1], parts[2]))
        self.columns += len(key)
        return np.arange(self.columns - len(key), self.columns)

    def add_rows(self, key: Ints, lower: object, upper: object) -> Ints:
        """Append rows, return their numbers."""
        parts = tuple(np.broadcast_to(np.asarray(x, dtype=float), key.shape) for x in (lower, upper))
        self.row_parts.append((key, parts[0], parts[1]))
        self.rows += len(key)
        return np.arange(self.rows - len(key), self.rows)

    def add(self, row: Ints, column: Ints, value: object) -> None:
        """Append matrix entries; no (row, column) may come twice."""
        self.entry_parts.append((row, column, np.broadcast_to(np.asarray(value, dtype=float), row.shape)))

    def finish(self, at: dict[int, Ints], charge_cells: Ints, discharge_cells: Ints) -> LinearProgram:
        """Sort the entries by column."""
        column_key, lower, upper, cost = (np.concatenate(x) for x in zip(*self.column_parts, strict=True))
        row_key, row_lower, row_upper = (np.concatenate(x) for x in zip(*self.row_parts, strict=True))
        row, column, value = (np.concatenate(x) for x in zip(*self.entry_parts, strict=True))
        order = np.argsort(column * self.rows + row, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=self.columns))])
        return LinearProgram(
            cost=cost, lower=lower, upper=upper, row_lower=row_lower, row_upper=row_upper,
            start=start.astype(np.int32), index=row[order].astype(np.int32), value=value[order],
            constant_usd=self.constant_usd, column_key=column_key, row_key=row_key, at=at,
            charge_cells=charge_cells, discharge_cells=discharge_cells,
        )  # fmt: skip


def kind_of(key: Ints) -> Ints:
    """Which kind of column or row keys name."""
    return key >> 52


def passive_kwh(p: FleetProblem) -> Floats:
    """Energy after each step if nothing is charged or discharged, ``[V, T]``; an empty battery stays empty."""
    energy = p.start_kwh()
    path = np.empty((p.vehicles, p.steps))
    for t in range(p.steps):
        energy = np.maximum(0.0, energy - p.trip_kwh[:, t])
        path[:, t] = energy
    return path


@dataclass(frozen=True, kw_only=True)
class SlackPrices:
    """What a missing kWh costs in the objective, by kind."""

    floor_usd_per_kwh_step: float
    departure_usd_per_kwh: float
    trip_usd_per_kwh: float


def slack_prices(p: FleetProblem) -> SlackPrices:
    """Prices above any gain: one step below the floor costs twice what a kWh can earn, a departure all steps' worth."""
    earn = float(np.abs(p.price_usd_per_kwh).max() + np.abs(p.export_credit_usd_per_kwh).max())
    earn += p.end_value_usd_per_kwh + float(p.demand_usd_per_kw.max()) / float(p.step_h.min())
    for c in p.commitments:
        earn += float(c.site_values().max()) + max(c.shortfall_usd_per_kwh, c.flat_value_usd_per_kwh)
        earn += (1 + CREST_SHARE) * c.even_usd_per_kw / float(p.step_h.min())
    floor = 2.0 * max(earn, 0.5)
    departure = floor * (p.steps + 2)
    # One kWh conjured up on a trip would serve every later departure of its vehicle.
    most = int(np.bincount([d.vehicle for d in p.departures]).max()) if p.departures else 0
    trip = departure * (most + 2)
    return SlackPrices(floor_usd_per_kwh_step=floor, departure_usd_per_kwh=departure, trip_usd_per_kwh=trip)


def build(p: FleetProblem) -> LinearProgram:
    """The linear program of a fleet problem."""
    end_s = p.start_s + np.cumsum(p.step_h) * 3600.0
    b = Builder(minute=np.round(end_s / 60.0).astype(np.int64) & 0xFFFFFFFF)
    charge_on, discharge_on = p.charge_max_kw > 0, p.discharge_max_kw > 0
    modelled = _modelled_sites(p)
    at: dict[int, Ints] = {}
    charge_cells, discharge_cells = _power_columns(p, b, at, charge_on, discharge_on, modelled)
    lowest = _energy_block(p, b, at, charge_cells, discharge_cells)
    _site_block(p, b, at, charge_cells, discharge_cells, modelled)
    _feeder_block(p, b, at, charge_cells, discharge_cells)
    _departure_block(p, b, at)
    _lease_block(p, b, at, discharge_cells, lowest)
    at[MISSING], at[LEVEL] = np.empty(0, np.int64), np.empty(0, np.int64)
    for number, commitment in enumerate(p.commitments):
        _commitment_block(p, b, at, charge_cells, discharge_cells, number, commitment)
    return b.finish(at, charge_cells, discharge_cells)


def credit_usd_per_kwh(p: FleetProblem) -> Floats:
    """Export credit, never above the import price: buying and selling at once would be free money."""
    return np.minimum(p.export_credit_usd_per_kwh, p.price_usd_per_kwh)


def headroom_kw(p: FleetProblem) -> tuple[Floats, Floats]:
    """What the stations of each site may add to import and to export, ``[S, T]``, magnitudes >= 0."""
    return (
        np.maximum(0.0, p.import_limit_kw - p.site_load_kw),
        np.maximum(0.0, p.export_limit_kw + p.site_load_kw),
    )


def _modelled_sites(p: FleetProblem) -> Bools:
    """Site steps that need a power column: where a limit, the demand peak or the export credit can bind."""
    charge, discharge = p.site_sum(p.charge_max_kw), p.site_sum(p.discharge_max_kw)
    add_import, add_export = headroom_kw(p)
    binds = (charge > add_import - MARGIN_KW) | (discharge > add_export - MARGIN_KW)
    peaks = (p.demand_usd_per_kw > 0)[:, None] & (p.site_load_kw + charge > p.peak_so_far_kw[:, None])
    discounted = (credit_usd_per_kwh(p) < p.price_usd_per_kwh) & (discharge > p.site_load_kw)
    active: Bools = (charge + discharge > 0) | (p.demand_usd_per_kw > 0)[:, None]
    return active & (binds | peaks | discounted)


def _power_columns(
    p: FleetProblem, b: Builder, at: dict[int, Ints], charge_on: Bools, discharge_on: Bools, modelled: Bools
) -> tuple[Ints, Ints]:
    """Charge and discharge columns; prices sit here where the site has no column of its own."""
    priced = np.where(modelled, 0.0, p.price_usd_per_kwh) * p.step_h
    b.constant_usd += float((priced * p.site_load_kw).sum())
    # Burning energy by doing both at once, to have room when a price is negative, must never pay. Room for a
    # stored kWh earns at most -price / charge efficiency, at the site's lowest price of the horizon.
    loop = p.charge_efficiency * p.discharge_efficiency
    lowest = np.minimum(p.price_usd_per_kwh, credit_usd_per_kwh(p)).min(axis=1)
    burn = np.maximum(0.0, -lowest)[p.vehicle_site] * (1.0 - loop) / loop
    wear = np.maximum(p.wear_usd_per_kwh, 1.001 * burn)[:, None] * p.step_h
    cells = []
    for kind, on, limit, sign in (
        (CHARGE, charge_on, p.charge_max_kw, 1.0),
        (DISCHARGE, discharge_on, p.discharge_max_kw, -1.0),
    ):
        k = np.flatnonzero(on)
        vehicle, step = k // p.steps, k % p.steps
        cost = sign * priced[p.vehicle_site[vehicle], step] + (wear.ravel()[k] if kind == DISCHARGE else 0.0)
        for c in p.commitments:
            home = p.vehicle_site[vehicle]
            paid = c.sites[home] & c.steps[step]
            cost = cost + sign * c.site_values()[home] * p.step_h[step] * paid
        at[kind] = b.add_columns(b.key(kind, vehicle, step), 0.0, limit.ravel()[k], cost)
        cells.append(k)
    return cells[0], cells[1]


def _energy_block(
    p: FleetProblem, b: Builder, at: dict[int, Ints], charge_cells: Ints, discharge_cells: Ints
) -> Floats:
    """Stored energy: balance, hard bounds (returned: the lower ones), what a trip cannot get, the way to the floor."""
    prices = slack_prices(p)
    k = np.arange(p.vehicles * p.steps)
    vehicle, step = k // p.steps, k % p.steps
    passive = passive_kwh(p)
    floor = np.minimum(p.floor_kwh[:, None], passive)
    ceiling = np.maximum(p.ceiling_kwh[:, None], passive)
    left_h = np.cumsum(p.step_h[::-1])[::-1] - p.step_h  # hours between a step's end and the horizon's
    held_h = p.step_h.copy()
    cost = np.broadcast_to(-p.early_usd_per_kwh_h * held_h, (p.vehicles, p.steps)).copy()
    cost[:, left_h <= 1e-9] -= p.end_value_usd_per_kwh
    plugged = (p.charge_max_kw > 0) | (p.discharge_max_kw > 0)
    soft = (plugged & (floor < p.floor_kwh[:, None] - 1e-9)).ravel()
    own = (plugged | (p.trip_kwh > 0)).ravel() | (step == 0)  # elsewhere nothing changes what is stored
    cells = np.flatnonzero(own)
    column = np.cumsum(own) - 1  # of each step's energy, that of the last step which changed it
    least = np.where(soft, np.minimum(np.repeat(p.floor_kwh, p.steps), ceiling.ravel()), floor.ravel())
    paid = np.bincount(column, cost.ravel(), len(cells))
    energy = b.add_columns(b.key(ENERGY, vehicle[cells], step[cells]), least[cells], ceiling.ravel()[cells], paid)
    low = np.flatnonzero(soft)
    lacks = prices.floor_usd_per_kwh_step - paid[column[low]]
    below = b.add_columns(b.key(FLOOR, vehicle[low], step[low]), 0.0, (least - floor.ravel())[low], lacks)
    under = np.full(len(cells), -1, dtype=np.int64)
    under[column[low]] = below
    at[ENERGY], at[FLOOR] = energy[column], under[column]
    balance = -p.trip_kwh.copy()
    balance[:, 0] += p.start_kwh()
    place = b.add_rows(b.key(ENERGY, vehicle[cells], step[cells]), balance.ravel()[cells], balance.ravel()[cells])
    row = np.full(len(k), -1, dtype=np.int64)
    row[cells] = place
    _add_energy(b, at, place, cells, 1.0)
    later = cells[step[cells] > 0]
    _add_energy(b, at, row[later], later - 1, -1.0)
    cv, ct = charge_cells // p.steps, charge_cells % p.steps
    dv, dt = discharge_cells // p.steps, discharge_cells % p.steps
    b.add(row[charge_cells], at[CHARGE], -p.charge_efficiency[cv] * p.step_h[ct])
    b.add(row[discharge_cells], at[DISCHARGE], p.step_h[dt] / p.discharge_efficiency[dv])
    before = np.concatenate([p.start_kwh()[:, None], passive[:, :-1]], axis=1)
    unmet = np.maximum(0.0, p.trip_kwh - before).ravel()
    short = np.flatnonzero(unmet > 0)
    at[TRIP_SHORT] = b.add_columns(
        b.key(TRIP_SHORT, vehicle[short], step[short]), 0.0, unmet[short], prices.trip_usd_per_kwh
    )
    b.add(row[short], at[TRIP_SHORT], -1.0)
    return floor


def _add_energy(b: Builder, at: dict[int, Ints], row: Ints, cells: Ints, sign: float) -> None:
    """Enter what is stored at the end of steps ``cells``: from the floor up, less what lacks to the floor."""
    b.add(row, at[ENERGY][cells], sign)
    soft = at[FLOOR][cells] >= 0
    b.add(row[soft], at[FLOOR][cells][soft], -sign)


def _site_block(
    p: FleetProblem, b: Builder, at: dict[int, Ints], charge_cells: Ints, discharge_cells: Ints, modelled: Bools
) -> None:
    """What a site draws and what it feeds in, its limits, the demand peak.

    Both at once never pays: a kWh fed in earns less than one drawn costs, else there is but one column for both.
    """
    place = np.full(p.sites * p.steps, -1, dtype=np.int64)
    q = np.flatnonzero(modelled.ravel())
    place[q] = np.arange(len(q))
    site, step = q // p.steps, q % p.steps
    add_import, add_export = headroom_kw(p)
    load = p.site_load_kw.ravel()[q]
    price = p.price_usd_per_kwh.ravel()[q] * p.step_h[step]
    room_export = add_export.ravel()[q] - load
    discount = (p.price_usd_per_kwh - credit_usd_per_kwh(p)).ravel()[q] * p.step_h[step]
    exports = (discount > 0) & (load - p.site_sum(p.discharge_max_kw).ravel()[q] < 0) & (room_export > 0)
    drawn = b.add_columns(
        b.key(SITE, site, step), np.where(exports, 0.0, -room_export), load + add_import.ravel()[q], price
    )
    fed = b.add_columns(
        b.key(EXPORT, site[exports], step[exports]), 0.0, room_export[exports], (discount - price)[exports]
    )
    row = b.add_rows(b.key(SITE, site, step), load, load)
    b.add(row, drawn, 1.0)
    b.add(row[exports], fed, -1.0)
    for cells, columns, sign in ((charge_cells, at[CHARGE], -1.0), (discharge_cells, at[DISCHARGE], 1.0)):
        here = place[p.vehicle_site[cells // p.steps] * p.steps + cells % p.steps]
        on = here >= 0
        b.add(row[here[on]], columns[on], sign)
    billed = np.flatnonzero(p.demand_usd_per_kw > 0)
    zero = np.zeros(len(billed), dtype=np.int64)
    peak = b.add_columns(b.key(PEAK, billed, zero), p.peak_so_far_kw[billed], INF, p.demand_usd_per_kw[billed])
    b.constant_usd -= float((p.demand_usd_per_kw * p.peak_so_far_kw).sum())
    peak_of = np.full(p.sites, -1, dtype=np.int64)
    peak_of[billed] = peak
    rises = (peak_of[site] >= 0) & (load + add_import.ravel()[q] > p.peak_so_far_kw[site])
    peak_row = b.add_rows(b.key(PEAK, site[rises], step[rises]), 0.0, INF)
    b.add(peak_row, peak_of[site[rises]], 1.0)
    b.add(peak_row, drawn[rises], -1.0)
    at[SITE], at[EXPORT], at[PEAK] = drawn, fed, peak


def _feeder_block(p: FleetProblem, b: Builder, at: dict[int, Ints], charge_cells: Ints, discharge_cells: Ints) -> None:
    """What all stations of a feeder add, where the sum of their ratings can pass its limit."""
    charge = p.feeder_sum(p.site_sum(p.charge_max_kw))
    discharge = p.feeder_sum(p.site_sum(p.discharge_max_kw))
    binds = (charge > p.feeder_import_limit_kw[:, None]) | (discharge > p.feeder_export_limit_kw[:, None])
    q = np.flatnonzero(binds.ravel())
    place = np.full(p.feeders * p.steps, -1, dtype=np.int64)
    place[q] = np.arange(len(q))
    feeder, step = q // p.steps, q % p.steps
    row = b.add_rows(b.key(FEEDER, feeder, step), -p.feeder_export_limit_kw[feeder], p.feeder_import_limit_kw[feeder])
    for cells, columns, sign in ((charge_cells, at[CHARGE], 1.0), (discharge_cells, at[DISCHARGE], -1.0)):
        here = place[p.feeder_of_site[p.vehicle_site[cells // p.steps]] * p.steps + cells % p.steps]
        on = here >= 0
        b.add(row[here[on]], columns[on], sign)


def binding_departures(p: FleetProblem) -> list[int]:
    """Numbers of the departures that the schedule can still influence: after step 0, inside the horizon."""
    return [i for i, d in enumerate(p.departures) if 1 <= d.step <= p.steps]


def _departure_block(p: FleetProblem, b: Builder, at: dict[int, Ints]) -> None:
    """Energy at the edge of departure plus the stated shortfall reaches the need."""
    numbers = np.asarray(binding_departures(p), dtype=np.int64)
    vehicle = np.asarray([p.departures[i].vehicle for i in numbers], dtype=np.int64)
    step = np.asarray([p.departures[i].step - 1 for i in numbers], dtype=np.int64)
    need = np.asarray([p.departures[i].energy_kwh for i in numbers], dtype=float)
    short = b.add_columns(b.key(DEPARTURE, vehicle, step), 0.0, need, slack_prices(p).departure_usd_per_kwh)
    row = b.add_rows(b.key(DEPARTURE, vehicle, step), need, INF)
    _add_energy(b, at, row, vehicle * p.steps + step, 1.0)
    b.add(row, short, 1.0)
    at[DEPARTURE] = short


def _lease_block(p: FleetProblem, b: Builder, at: dict[int, Ints], discharge_cells: Ints, lowest_kwh: Floats) -> None:
    """In a commitment's steps a vehicle ends above its floor by what it would give within a lease.

    The arbiter keeps that much back, so that a station which loses us does not pass the floor. A plan that counted
    on it would fall short in an event's last minutes, when all are near their floors.
    """
    if p.lease_h <= 0 or not p.commitments:
        return
    vehicle, step = discharge_cells // p.steps, discharge_cells % p.steps
    called = np.zeros(len(discharge_cells), dtype=bool)
    for c in p.commitments:
        called |= c.sites[p.vehicle_site[vehicle]] & c.steps[step]
    v, t = vehicle[called], step[called]
    row = b.add_rows(b.key(LEASE, v, t), lowest_kwh[v, t], INF)
    _add_energy(b, at, row, v * p.steps + t, 1.0)
    b.add(row, at[DISCHARGE][called], -p.lease_h / p.discharge_efficiency[v])


def _commitment_block(
    p: FleetProblem,
    b: Builder,
    at: dict[int, Ints],
    charge_cells: Ints,
    discharge_cells: Ints,
    number: int,
    c: Commitment,
) -> None:
    """Relief in every step of the window reaches the promise, less a priced shortfall, and lies as flat as it can.

    ::

        crest  - - - ____ - - -     relief <= crest, which costs a little
                 ___|    |___
        level  _|- - - - - - |_     relief >= level, which is worth something (more while nothing is promised)
    """
    window = np.flatnonzero(c.steps)
    if not len(window):
        return
    asset = np.full(len(window), number, dtype=np.int64)
    place = np.full(p.steps, -1, dtype=np.int64)
    place[window] = np.arange(len(window))

    def relief_rows(kind: int, lower: float, upper: float) -> Ints:
        row = b.add_rows(b.key(kind, asset, window), lower, upper)
        for cells, columns, sign in ((charge_cells, at[CHARGE], -1.0), (discharge_cells, at[DISCHARGE], 1.0)):
            here = np.where(c.sites[p.vehicle_site[cells // p.steps]], place[cells % p.steps], -1)
            b.add(row[here[here >= 0]], columns[here >= 0], sign)
        return row

    def bound(kind: int, row: Ints, least: float, cost: float) -> Ints:
        column = b.add_columns(b.key(kind, asset[:1], window[:1]), least, INF, cost)
        b.add(row, np.broadcast_to(column, row.shape), -1.0)
        return column

    worth = c.even_usd_per_kw
    if c.nominated_kw is None:
        worth += c.flat_value_usd_per_kwh * float(p.step_h[window].sum())
    else:
        row = relief_rows(MISSING, c.nominated_kw, INF)
        missing = b.add_columns(b.key(MISSING, asset, window), 0.0, INF, c.shortfall_usd_per_kwh * p.step_h[window])
        b.add(row, missing, 1.0)
        at[MISSING] = np.concatenate([at[MISSING], missing])
    if worth > 0:
        # Below 0 where a departure has to charge in the window.
        level = bound(LEVEL, relief_rows(LEVEL, 0.0, INF), -INF, -worth)
        if c.nominated_kw is None:
            at[LEVEL] = np.concatenate([at[LEVEL], level])
    if c.even_usd_per_kw > 0:
        bound(CREST, relief_rows(CREST, -INF, 0.0), 0.0, CREST_SHARE * c.even_usd_per_kw)
