"""Converters and batteries as they really are: losses by power level, taper, floor, ramp. Pure arrays.

Powers are AC at the station's meter, kW, charging positive; battery power is DC. One row per station.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from revere.core.errors import ScenarioError

if TYPE_CHECKING:
    from revere.core.assets import Fleet

Floats = NDArray[np.float64]

FIXED_LOSS, LINEAR_LOSS, SQUARE_LOSS = 0.010, 0.030, 0.027
"""Converter loss / rating at x = |power| / rating: fixed + linear x + square x^2.

At rating 0.067, one way 93.3 %, and 87 % there and back (Schram et al. 2020: 87.0 % at 25 to 75 % soc,
worse at low power); at a tenth of the rating 86 % one way.
"""
STANDBY_SHARE, STANDBY_KW = 0.0005, 0.005
ACTIVE_SHARE = 0.012
"""Below this share of the rating the converter is off (its own loss would exceed it): standby only."""
SOC_FLOOR = 0.05
"""The battery's own protection ends discharge here, whoever asks."""
TAPER_SOC = 0.10
"""Charging falls linearly over this last share below ``soc_max``."""
TAPER_LEAST = 0.02
FULL_SHARE = 5e-4
"""With less room than this the vehicle opens its contactor: it is full."""
RAMP_PER_S = 0.2
JUMP_SHARE = 0.02
"""Power changes smaller than this share of the rating count as instantaneous."""
ROOM_S = 5.0
"""Room left in a battery is spent no faster than over this time (the longest internal step)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Ratings of all stations with the vehicle that belongs to each; arrays [station]."""

    rating_kw: Floats
    charge_kw: Floats
    discharge_kw: Floats
    battery_charge_kw: Floats
    capacity_kwh: Floats
    soc_min: Floats
    soc_max: Floats
    standby_kw: Floats
    can_form_grid: NDArray[np.bool_]

    @classmethod
    def of(cls, fleet: Fleet) -> Hardware:
        """The fleet's nameplates; each station must have exactly one vehicle."""
        owners = {vehicle.station_id: vehicle for vehicle in fleet.vehicles}
        missing = [station.id for station in fleet.stations if station.id not in owners]
        if missing or len(owners) != len(fleet.vehicles):
            raise ScenarioError("the twin needs one vehicle per station", got=missing or "a shared station")
        cars = [owners[station.id] for station in fleet.stations]
        rating = np.array([max(s.charge_kw, s.discharge_kw) for s in fleet.stations])
        return cls(
            rating_kw=rating,
            charge_kw=np.array([s.charge_kw for s in fleet.stations]),
            # The catalogue gives what a vehicle delivers at its plug; its battery covers the loss on the way.
            discharge_kw=np.array(
                [min(s.discharge_kw, c.discharge_kw) for s, c in zip(fleet.stations, cars, strict=True)]
            ),
            battery_charge_kw=np.array([c.charge_kw for c in cars]),
            capacity_kwh=np.array([c.capacity_kwh for c in cars]),
            soc_min=np.array([c.soc_min for c in cars]),
            soc_max=np.array([c.soc_max for c in cars]),
            standby_kw=STANDBY_SHARE * rating + STANDBY_KW,
            can_form_grid=np.array([s.can_form_grid for s in fleet.stations]),
        )

    def loss_kw(self, power_kw: Floats) -> Floats:
        """Converter loss at |AC power|: standby when it is off."""
        size = np.abs(power_kw)
        active = FIXED_LOSS * self.rating_kw + LINEAR_LOSS * size + SQUARE_LOSS * size * size / self.rating_kw
        return np.where(size > ACTIVE_SHARE * self.rating_kw, active, np.minimum(self.standby_kw, size))

    def bounds_kw(self, stored_kwh: Floats) -> tuple[Floats, Floats]:
        """(lowest, highest) AC power that battery and converter allow: taper, floor, nameplates."""
        soc = stored_kwh / self.capacity_kwh
        taper = np.minimum(np.maximum((self.soc_max - soc) / TAPER_SOC, TAPER_LEAST), 1.0)
        room_kwh = np.maximum(self.soc_max * self.capacity_kwh - stored_kwh, 0.0)
        battery_kw = np.minimum(self.battery_charge_kw * taper, room_kwh * (3600 / ROOM_S))
        # Inverse of battery = ac - loss(ac), from below: the battery never gets more than it takes.
        takes = room_kwh > FULL_SHARE * self.capacity_kwh
        intake_kw = np.where(takes, battery_kw * (1 + LINEAR_LOSS) + FIXED_LOSS * self.rating_kw, 0.0)
        spare_kw = np.maximum(stored_kwh - SOC_FLOOR * self.capacity_kwh, 0.0) * (3600 / ROOM_S)
        outflow_kw = np.maximum(spare_kw - FIXED_LOSS * self.rating_kw, 0.0) / (1 + LINEAR_LOSS + SQUARE_LOSS)
        return -np.minimum(self.discharge_kw, outflow_kw), np.minimum(self.charge_kw, intake_kw)

    def possible_kw(self, wanted_kw: Floats, low_kw: Floats, high_kw: Floats) -> Floats:
        """What becomes of a wanted AC power within its bounds; below the converter's least it is standby."""
        power = np.minimum(np.maximum(wanted_kw, low_kw), high_kw)
        return np.where(np.abs(power) > ACTIVE_SHARE * self.rating_kw, power, self.standby_kw)


def ramped(start_kw: Floats, target_kw: Floats, rating_kw: Floats, dt_s: float) -> tuple[Floats, Floats, Floats]:
    """(end power, import kWs, export kWs) of a ramp from ``start_kw`` towards ``target_kw`` over ``dt_s``.

    ::

        target        ____________
                     /
        start ______/  slope RAMP_PER_S x rating; positive and negative areas counted apart
    """
    slope = RAMP_PER_S * rating_kw
    gap = target_kw - start_kw
    rise_s = np.where(np.abs(gap) <= JUMP_SHARE * rating_kw, 0.0, np.minimum(np.abs(gap) / slope, dt_s))
    end = np.where(rise_s * slope >= np.abs(gap), target_kw, start_kw + np.sign(gap) * slope * rise_s)
    end = np.where(np.abs(gap) <= JUMP_SHARE * rating_kw, target_kw, end)
    high, low = np.maximum(start_kw, end), np.minimum(start_kw, end)
    crossing = np.maximum(high, 0.0) ** 2 / np.maximum(2 * (high - low), 1e-12)
    above = np.where(low >= 0, (start_kw + end) / 2, np.where(high <= 0, 0.0, crossing)) * rise_s
    below = above - (start_kw + end) / 2 * rise_s
    rest_s = dt_s - rise_s
    return end, above + np.maximum(end, 0.0) * rest_s, below + np.maximum(-end, 0.0) * rest_s
