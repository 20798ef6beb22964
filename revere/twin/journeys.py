"""When each vehicle leaves, comes back and how much it uses: the roster with nature's noise.

Draws are keyed by vehicle, day and trip, so that a longer run, another start or a change elsewhere leaves
every journey as it was.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from revere.core.assets import Trip, Vehicle, runs_on
from revere.core.time import at_local, local
from revere.twin.seeds import stream

if TYPE_CHECKING:
    from revere.core.scenario import Scenario
    from revere.twin.inputs import PlantInputs

UNPLUG_LEAD_S = 60.0
"""The cable is pulled this long before the vehicle leaves."""
SPREAD_SIGMAS = 2.5
COLD_C, WARM_C = 10.0, 24.0
COLD_PER_K, WARM_PER_K = 0.008, 0.006
"""Share of energy more per kelvin below ``COLD_C`` (heating) and above ``WARM_C`` (cooling): assumptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """One trip as nature plays it. Unix seconds; ``roster_kwh`` is what control could know, ``used_kwh`` the truth."""

    name: str
    depart_s: float
    back_s: float
    roster_kwh: float
    used_kwh: float

    @property
    def unplug_s(self) -> float:
        """When the cable is pulled, Unix seconds."""
        return self.depart_s - UNPLUG_LEAD_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """A vehicle's journeys in order; ``overlapping`` counts those left out because it was still away."""

    journeys: tuple[Journey, ...]
    overlapping: int = 0


def agenda_of(vehicle: Vehicle, scenario: Scenario, inputs: PlantInputs, seed: int) -> Agenda:
    """The journeys of ``vehicle`` from a day before the inputs begin until a day after they end."""
    override = inputs.trips_override.get(vehicle.id)
    if override is not None:
        drawn = [
            Journey(
                name="recorded",
                depart_s=depart.timestamp(),
                back_s=back.timestamp(),
                roster_kwh=energy_kwh,
                used_kwh=energy_kwh,
            )
            for depart, back, energy_kwh in override
        ]
    else:
        drawn = _from_roster(vehicle, scenario, inputs, seed)
    drawn.sort(key=lambda journey: journey.depart_s)
    kept: list[Journey] = []
    for journey in drawn:
        if journey.back_s > journey.depart_s and (not kept or journey.unplug_s > kept[-1].back_s):
            kept.append(journey)
    return Agenda(journeys=tuple(kept), overlapping=len(drawn) - len(kept))


def _from_roster(vehicle: Vehicle, scenario: Scenario, inputs: PlantInputs, seed: int) -> list[Journey]:
    programme = scenario.fleet.programme
    day = local(inputs.start, programme.zone).date() - dt.timedelta(days=1)
    last = local(inputs.end, programme.zone).date() + dt.timedelta(days=1)
    drawn: list[Journey] = []
    while day <= last:
        running = (trip for trip in vehicle.trips if runs_on(trip, day, programme))
        drawn.extend(_journey(vehicle, trip, day, scenario, inputs, seed) for trip in running)
        day += dt.timedelta(days=1)
    return drawn


def _journey(vehicle: Vehicle, trip: Trip, day: dt.date, scenario: Scenario, inputs: PlantInputs, seed: int) -> Journey:
    nature, zone = scenario.plant, scenario.fleet.programme.zone
    draws = stream(seed, "journey", vehicle.id, day.isoformat(), trip.name).standard_normal(2)
    energy_z, late_z = np.clip(draws, -SPREAD_SIGMAS, SPREAD_SIGMAS)
    depart_s = at_local(day, trip.depart, zone).timestamp()
    back_day = day if trip.back > trip.depart else day + dt.timedelta(days=1)
    back_s = at_local(back_day, trip.back, zone).timestamp() + float(late_z) * nature.return_sigma_min * 60
    step = int((depart_s - inputs.start.timestamp()) // inputs.step_s)
    outside_c = float(inputs.temperature_c[min(max(step, 0), inputs.steps - 1)])
    weather = 1 + COLD_PER_K * max(COLD_C - outside_c, 0.0) + WARM_PER_K * max(outside_c - WARM_C, 0.0)
    return Journey(
        name=trip.name,
        depart_s=depart_s,
        back_s=max(float(round(back_s)), depart_s + 60.0),
        roster_kwh=trip.energy_kwh,
        used_kwh=trip.energy_kwh * weather * (1 + float(energy_z) * nature.trip_energy_sigma),
    )
