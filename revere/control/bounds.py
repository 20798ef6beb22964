"""What an EVSE and a site may do until further notice: nameplates, floors, barriers, limits, the state of their grid.

Plan and tick read the same bounds here, so that what is promised is what may be given.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from revere.core.commands import OFFLINE_LEASE_S
from revere.plan.departure import least_energy_kwh
from revere.plan.dispatch import Rules
from revere.plan.island import STABLE_BEFORE_RETURN_S, isolated, return_ramp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from revere.control.event_image import EventImage
    from revere.control.image import EvseImage, Image, SiteImage
    from revere.core.assets import Site, Vehicle

    Floats = npt.NDArray[np.float64]

EFFICIENCY = 0.93
"""One way, before a station's own is measured: 0.93 x 0.93 = 0.865, Schram et al.'s 87 % round trip."""
RULES = Rules(lease_s=OFFLINE_LEASE_S + 60.0, ramp_kw=60.0, dwell_s=30.0)
LOAD_STEP_SHARE = 0.04
"""The building may move by this share of its peak between two meter values."""
RETURN_DONE = dt.timedelta(minutes=30)
STABLE = dt.timedelta(seconds=STABLE_BEFORE_RETURN_S)
CLOCK_SKEW_MAX = dt.timedelta(seconds=60)
POWER_FRESH = dt.timedelta(minutes=3)
"""A station's power: three of the values that it sends each minute at rest. What is older is no power now."""
LOAD_FRESH = dt.timedelta(minutes=11)
"""A building's load: two five-minute intervals and their way here, so that one may be lost."""

BARRIER_EFFICIENCY = 0.90
BARRIER_POWER_SHARE = 0.9
"""The barrier counts on a little less than a charger's best: taper, latency, a shared service."""
UNPLUG_BEFORE = dt.timedelta(minutes=5)
LEASE_OVER = dt.timedelta(seconds=OFFLINE_LEASE_S)
"""A station that has been silent for this long runs on its fallback: its lease (``LEASE_S`` of the links) is over."""
KEEP = dt.timedelta(seconds=30)
BARRIER_AHEAD = dt.timedelta(minutes=1)
"""The barrier of a minute ahead holds for as long as it is kept: it only rises until the departure."""


@dataclass(slots=True)
class Standing:
    """What a vehicle's roster demands next, kept between plans; ``then`` is the departure after one that is overdue."""

    depart: dt.datetime | None
    needed_kwh: float
    then: Standing | None = None


class Bounds:
    """Arrays ``[EVSE]`` that hold for up to ``KEEP``; ``mark`` makes the next tick read them anew.

    ``end_kwh`` is the floor at the running event's end; ``depart_s`` epoch seconds of the next departure, inf if none.
    """

    def __init__(self, image: Image, evses: Sequence[EvseImage]) -> None:
        n = len(evses)
        self._image = image
        self._evses = evses
        self._read_at: dt.datetime | None = None
        self._event_ids: tuple[str, ...] = ()
        self.charge_kw: Floats = np.zeros(n)
        self.discharge_kw: Floats = np.zeros(n)
        self.capacity_kwh: Floats = np.ones(n)
        self.floor_kwh: Floats = np.zeros(n)
        self.barrier_kwh: Floats = np.zeros(n)
        self.end_kwh: Floats = np.zeros(n)
        self.depart_s: Floats = np.full(n, np.inf)

    def mark(self) -> None:
        """Something changed who is where or who must leave."""
        self._read_at = None

    def read(self, now: dt.datetime, events: Sequence[EventImage], standing: Mapping[str, Standing]) -> None:
        """Read them anew where they are old, marked, or meant for other events."""
        event_ids = tuple(event.grid_event_id for event in events)
        if self._read_at is not None and now - self._read_at < KEEP and event_ids == self._event_ids:
            return
        self._read_at, self._event_ids = now, event_ids
        for row, evse in enumerate(self._evses):
            event = next((e for e in events if evse.station.site_id in self._image.members(e)), None)
            self._read_one(row, evse, now, event, standing)

    def _read_one(
        self, row: int, evse: EvseImage, now: dt.datetime, event: EventImage | None, standing: Mapping[str, Standing]
    ) -> None:
        vehicle = evse.vehicle
        self.depart_s[row] = np.inf
        self.barrier_kwh[row] = 0.0
        if vehicle is None:
            self.charge_kw[row] = min(evse.station.charge_kw, evse.external.held_kw(now)[0])
            self.discharge_kw[row] = 0.0
            return
        charge_kw, self.discharge_kw[row] = power_bounds_kw(evse, vehicle, now)
        self.charge_kw[row] = charge_kw
        self.capacity_kwh[row] = vehicle.capacity_kwh
        floor_kwh, _ = energy_bounds_kwh(evse, vehicle, self._image.sites[evse.station.site_id].site)
        self.floor_kwh[row] = self.end_kwh[row] = floor_kwh
        due = standing.get(vehicle.id)
        if due is None or due.depart is None:
            return
        self.depart_s[row] = due.depart.timestamp()
        for one in (due, due.then):
            if one is None or one.depart is None:
                continue
            least = partial(_barrier, one.depart, one.needed_kwh, charge_kw, vehicle.capacity_kwh)
            self.barrier_kwh[row] = max(self.barrier_kwh[row], least(now + BARRIER_AHEAD))
            if event is not None and one.depart > event.end:
                self.end_kwh[row] = max(self.end_kwh[row], least(event.end))


def power_bounds_kw(evse: EvseImage, vehicle: Vehicle, now: dt.datetime) -> tuple[float, float]:
    """Most charging and most discharge, kW magnitudes: nameplates, what the vehicle stated last, others' limits now.

    Nobody counts on the discharge of a charger of a kind that we cannot make give, nor on a vehicle's that follows
    its own schedule or whose site is not commissioned, nor on a charger that is locked or out of service for anything.
    """
    if evse.locks or evse.out_of_service(now):
        return 0.0, 0.0
    charge_kw, give_kw = evse.external.held_kw(now)
    give_kw = min(evse.station.discharge_kw, vehicle.discharge_kw, _or_inf(evse.discharge_max_kw), give_kw)
    return (
        min(evse.station.charge_kw, vehicle.charge_kw, _or_inf(evse.charge_max_kw), charge_kw),
        give_kw if evse.discharges and not evse.scheduled and now < evse.commissioned_until else 0.0,
    )


def energy_bounds_kwh(evse: EvseImage, vehicle: Vehicle, site: Site) -> tuple[float, float]:
    """Least energy that a grid service leaves, most that is charged: by registry, reserve and what the vehicle stated.

    A vehicle may narrow its range, not widen it, and the least never passes the most.
    """
    most_kwh = vehicle.soc_max * vehicle.capacity_kwh
    least_kwh = min(max(vehicle.soc_min, site.backup_reserve_soc) * vehicle.capacity_kwh, most_kwh)
    if evse.most_kwh is not None:
        most_kwh = min(most_kwh, max(evse.most_kwh, least_kwh))
    if evse.least_kwh is not None:
        least_kwh = max(least_kwh, min(evse.least_kwh, most_kwh))
    return least_kwh, most_kwh


def load_known(item: SiteImage, now: dt.datetime) -> bool:
    """Whether the building's load is known well enough to export behind it."""
    return item.building_kw is not None and now - item.building_at < LOAD_FRESH


def site_limits_kw(sites: Sequence[Site]) -> tuple[Floats, Floats]:
    """Import and export limits ``[S]``, kW magnitudes, less what each building may move between meter values."""
    step = LOAD_STEP_SHARE * np.array([site.load_peak_kw for site in sites])
    return (
        np.maximum(np.array([site.import_limit_kw for site in sites]) - step, 0.0),
        np.maximum(np.array([site.export_limit_kw for site in sites]) - step, 0.0),
    )


def may_give(image: Image, item: SiteImage) -> bool:
    """Whether a site's vehicles may give to the grid: no person has stopped it and there surely is a grid."""
    return not (image.stopped or item.stopped) and fed(item) and not item.suspected


def separated(item: SiteImage) -> bool:
    """Whether the site is cut off from the grid: its switch says so and its main meter does not deny it.

    The meter's word counts where it was surely spoken after the switch's (faults.md F12): a station's clock may be
    off by up to a minute before its readings are quarantined.
    """
    spoken_after = item.switched_at is not None and item.net_at > item.switched_at + CLOCK_SKEW_MAX
    return isolated(grid_lost=True, switch_open=item.islanded, main_meter_kw=item.net_kw if spoken_after else None)


def is_island(item: SiteImage) -> bool:
    """Whether the site is an island: cut off since its grid was lost, until its switch closes after the return.

    An open switch at a site whose silence may have been an outage makes one too.
    """
    lost = item.grid == "dead" or item.restored_at is not None or item.silent_since is not None
    return lost and separated(item)


def fed(item: SiteImage) -> bool:
    """Whether power may flow through the site's grid connection, as far as is known."""
    return not item.dead and not is_island(item)


def export_share(item: SiteImage, index: int, at: dt.datetime) -> float:
    """Share of its discharge that a site may give after a silence that may have been an outage.

    0 until its grid is proven live, then the ramp of a return; charging needs no proof, and a departure may need it.
    """
    if item.suspected:
        return 0.0
    if item.heard_at is None or at - item.heard_at >= RETURN_DONE:
        return 1.0
    return return_ramp(at, item.heard_at, index)


def return_share(item: SiteImage, index: int, at: dt.datetime) -> float:
    """Share of normal power that a site's grid connection carries at ``at``, as far as is known now.

    0 without a grid (nobody knows how long) and while the switch is still open, a ramp after that, 1 otherwise.
    ``index`` staggers the sites.
    """
    if not fed(item):
        return 0.0
    back = item.restored_at
    if back is None:
        return 1.0
    if item.switched_at is not None:
        back = max(back, item.switched_at - STABLE)  # who closes late has been stable for long enough
    return 1.0 if at - back >= RETURN_DONE else return_ramp(at, back, index)


def _or_inf(limit_kw: float | None) -> float:
    """A limit that the vehicle did not state does not bind; one of 0 does."""
    return np.inf if limit_kw is None else limit_kw


def _barrier(depart: dt.datetime, needed_kwh: float, charge_kw: float, capacity_kwh: float, now: dt.datetime) -> float:
    return least_energy_kwh(
        now,
        depart - UNPLUG_BEFORE,
        need_kwh=needed_kwh,
        charge_kw=charge_kw * BARRIER_POWER_SHARE,
        efficiency=BARRIER_EFFICIENCY,
        capacity_kwh=capacity_kwh,
    )
