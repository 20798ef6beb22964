"""Sites cut off from the grid: what their vehicles carry until the switch has closed, the staggered return."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from revere.control.bounds import EFFICIENCY, fed, is_island, return_share
from revere.core.facts import evse_asset
from revere.plan.island import IslandPlan, island_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.control.bounds import Standing
    from revere.control.image import EvseImage, Image, SiteImage
    from revere.core.ids import SiteId


class Islands:
    """Recomputed each tick for the sites whose grid is lost; remembers nothing that the image does not."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.plans: dict[SiteId, IslandPlan] = {}

    def refresh(self, now: dt.datetime, standing: Mapping[str, Standing]) -> dict[str, float]:
        """Setpoints by EVSE asset of every site that is proven isolated; others without a grid get none."""
        self.plans = {}
        setpoints: dict[str, float] = {}
        for site_id, item in self._image.sites.items():
            if fed(item):
                continue
            evses = [
                e
                for e in self._image.site_evses[site_id]
                if e.session_id is not None and e.vehicle is not None and not e.locks
            ]
            proven = is_island(item)
            plan = self._plan(item, evses, now, standing, proven)
            self.plans[site_id] = plan
            if proven:
                for row, evse in enumerate(evses):
                    setpoints[evse_asset(evse.station.id, 1)] = float(plan.setpoint_kw[row])
        return setpoints

    def _plan(
        self,
        item: SiteImage,
        evses: list[EvseImage],
        now: dt.datetime,
        standing: Mapping[str, Standing],
        proven: bool,
    ) -> IslandPlan:
        n = len(evses)
        energy, reserve, capacity = np.full(n, np.nan), np.zeros(n), np.ones(n)
        charge, discharge = np.zeros(n), np.zeros(n)
        forming = np.zeros(n, dtype=bool)
        for row, evse in enumerate(evses):
            vehicle = evse.vehicle
            assert vehicle is not None
            capacity[row] = vehicle.capacity_kwh
            known_kwh = self._image.energy_kwh(evse)
            if known_kwh is not None and evse.soc_fresh(now):
                energy[row] = known_kwh
            # Departure energy goes to a building only by a named person's order.
            departs = standing.get(vehicle.id)
            floor_kwh = vehicle.soc_min * vehicle.capacity_kwh
            reserve[row] = max(floor_kwh, departs.needed_kwh if departs and departs.depart else 0.0)
            charge[row] = min(evse.station.charge_kw, vehicle.charge_kw)
            if now < evse.commissioned_until:
                discharge[row] = min(evse.station.discharge_kw, vehicle.discharge_kw)
            forming[row] = evse.station.can_form_grid
        return island_plan(
            critical_load_kw=item.site.critical_load_kw,
            solar_kw=0.0,
            energy_kwh=energy,
            reserve_kwh=reserve,
            capacity_kwh=capacity,
            charge_max_kw=charge,
            discharge_max_kw=discharge,
            discharge_efficiency=np.full(n, EFFICIENCY),
            forming=forming,
            is_isolated=proven,
        )

    def return_shares(self, now: dt.datetime) -> dict[SiteId, float]:
        """Share of normal power for sites whose grid came back and that are not at full power yet."""
        shares = {
            site_id: return_share(item, index, now)
            for index, (site_id, item) in enumerate(self._image.sites.items())
            if fed(item)
        }
        return {site_id: share for site_id, share in shares.items() if share < 1}
