"""What the weather and the people give the plant: building load, solar, temperature, carbon, journeys.

Made up here from a scenario (``synthetic_inputs``) or read from published files (``realdata``); the plant
does not know which, and ``sources`` says it for the reader. Powers are kW, magnitudes; times are UTC.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from revere.core.time import UTC
from revere.twin.seeds import stream

if TYPE_CHECKING:
    from revere.core.assets import Site
    from revere.core.ids import VehicleId
    from revere.core.scenario import Scenario

STEP_S = 300
DAYS_MAX = 400
OverriddenTrip = tuple[dt.datetime, dt.datetime, float]
"""(departure, return, energy in kWh) of one journey, UTC."""

# Per cent of the building's peak by local hour, 00 to 23; the first row is a working day, the second a day off.
LOAD_SHAPES: dict[str, tuple[str, str]] = {
    "school": (
        "26 25 25 25 27 34 52 72 86 93 97 99 100 100 98 88 70 56 48 44 40 34 29 27",
        "25 24 24 24 24 25 27 29 31 33 34 35 36 36 35 34 32 30 29 28 27 26 26 25",
    ),
    "office": (
        "28 27 27 27 29 35 48 66 84 94 98 100 99 100 100 97 88 70 54 46 40 35 31 29",
        "27 26 26 26 26 27 29 32 35 37 38 39 39 39 38 37 35 33 31 30 29 28 28 27",
    ),
    "warehouse": (
        "35 34 34 35 40 52 72 90 97 100 100 98 92 97 100 95 80 62 52 46 42 40 38 36",
        "34 33 33 33 33 35 38 42 45 47 48 48 47 46 45 43 41 39 38 37 36 35 35 34",
    ),
    "home": (
        "28 24 22 21 21 24 34 45 40 34 32 33 35 37 41 50 66 85 97 100 92 76 55 37",
        "30 25 23 22 22 23 28 38 48 54 56 57 58 58 60 65 75 88 97 100 92 76 56 39",
    ),
}


@dataclass(kw_only=True)
class PlantInputs:
    """Series that drive the plant, all on one grid of ``step_s`` from ``start`` (UTC), constant within a step.

    ``load_kw`` and ``solar_kw`` are [site, step] in the order of ``site_ids``, both >= 0 (solar is what the
    panels give). ``temperature_c`` and ``carbon_kg_per_kwh`` are [step]; carbon is None where unknown.
    ``sources`` names where each series came from ('synthetic' where made up); ``trips_override`` replaces
    the roster of the vehicles that it names.
    """

    start: dt.datetime
    step_s: int = STEP_S
    site_ids: tuple[str, ...]
    load_kw: NDArray[np.float64]
    solar_kw: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    carbon_kg_per_kwh: NDArray[np.float64] | None = None
    sources: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    trips_override: dict[VehicleId, tuple[OverriddenTrip, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse series that do not fit each other: our own importers made them, so this is a bug."""
        sites, steps = self.load_kw.shape
        assert self.start.tzinfo is not None, "inputs start at a naive time"
        assert sites == len(self.site_ids), f"{sites} load rows for {len(self.site_ids)} sites"
        assert self.solar_kw.shape == self.load_kw.shape, "solar and load differ in shape"
        assert self.temperature_c.shape == (steps,), "temperature and load differ in length"
        for name, series in (("load", self.load_kw), ("solar", self.solar_kw)):
            assert np.isfinite(series).all(), f"{name} must be finite"
            assert (series >= 0).all(), f"{name} must be >= 0"
        assert np.isfinite(self.temperature_c).all(), "temperature must be finite"

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(self.load_kw.shape[1])

    @property
    def end(self) -> dt.datetime:
        """The first moment after the last step."""
        return self.start + dt.timedelta(seconds=self.steps * self.step_s)


def synthetic_inputs(scenario: Scenario, start: dt.datetime, days: float, rng: np.random.Generator) -> PlantInputs:
    """Plausible series for a scenario without files: building shapes, sun, cloud, a warm day.

    ``start`` is UTC; ``rng`` gives one base draw, from which every site has a stream of its own.
    """
    assert 0 < days <= DAYS_MAX, days
    fleet = scenario.fleet
    steps = math.ceil(days * 86_400 / STEP_S)
    zone = ZoneInfo(fleet.programme.zone)
    times = [start.astimezone(UTC) + dt.timedelta(seconds=STEP_S * (i + 0.5)) for i in range(steps)]
    locals_ = [moment.astimezone(zone) for moment in times]
    hour = np.array([at.hour + at.minute / 60 + at.second / 3600 for at in locals_])
    closed = frozenset(fleet.programme.holidays)
    off = np.array([at.weekday() >= 5 or at.date() in closed for at in locals_])
    no_school = off | np.array([at.date() in fleet.programme.school_closed for at in locals_])
    seed = int(rng.integers(2**32))
    clouds = _clearness(stream(seed, "sky"), steps)
    load = np.empty((len(fleet.sites), steps))
    solar = np.empty_like(load)
    for row, site in enumerate(fleet.sites):
        load[row] = _load_kw(site, hour, no_school if site.kind == "school" else off, stream(seed, "load", site.id))
        passing = np.clip(clouds + _smooth(stream(seed, "cloud", site.id), steps, 0.05, minutes=20), 0.1, 1.0)
        solar[row] = site.solar_kw * _sun(times, site.latitude or 42.36, site.longitude or -71.06) * passing
    high_c, low_c = scenario.plant.high_c, scenario.plant.low_c
    middle_c, swing_c = (high_c + low_c) / 2, (high_c - low_c) / 2
    temperature = middle_c + swing_c * np.cos((hour - 15.0) * math.pi / 12)
    return PlantInputs(
        start=start.astimezone(UTC),
        site_ids=tuple(site.id for site in fleet.sites),
        load_kw=load,
        solar_kw=solar,
        temperature_c=temperature + _smooth(stream(seed, "air"), steps, 0.4, minutes=90),
        sources=dict.fromkeys(("load", "solar", "temperature", "trips"), "synthetic"),
        notes=("Building load, solar and weather are made up from the scenario's peaks and shapes.",),
    )


def _load_kw(
    site: Site, hour: NDArray[np.float64], off: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    shape = LOAD_SHAPES.get(site.load_shape)
    if shape is None:
        raise KeyError(f"site {site.id}: load_shape {site.load_shape!r}, known: {', '.join(sorted(LOAD_SHAPES))}")
    hours = np.arange(25)
    working, free = (np.interp(hour, hours, _shares(row)) for row in shape)
    noise = _smooth(rng, len(hour), 0.03, minutes=45) + rng.normal(0.0, 0.01, len(hour))
    return np.asarray(site.load_peak_kw * np.clip(np.where(off, free, working) * (1 + noise), 0.05, 1.05))


def _shares(row: str) -> list[float]:
    """A row of ``LOAD_SHAPES`` as shares, with midnight again at the end."""
    shares = [int(word) / 100 for word in row.split()]
    return [*shares, shares[0]]


def _smooth(rng: np.random.Generator, steps: int, sigma: float, *, minutes: float) -> NDArray[np.float64]:
    """A first-order noise of standard deviation ``sigma`` that forgets in about ``minutes``."""
    keep = math.exp(-STEP_S / 60 / minutes)
    shocks = rng.normal(0.0, sigma * math.sqrt(1 - keep * keep), steps)
    out = np.empty(steps)
    level = float(rng.normal(0.0, sigma))
    for i in range(steps):
        level = keep * level + float(shocks[i])
        out[i] = level
    return out


def _clearness(rng: np.random.Generator, steps: int) -> NDArray[np.float64]:
    """Share of clear-sky sun that passes the region's clouds, 0.35 to 1."""
    return np.clip(0.86 + _smooth(rng, steps, 0.12, minutes=180), 0.35, 1.0)


def _sun(times: list[dt.datetime], latitude_deg: float, longitude_deg: float) -> NDArray[np.float64]:
    """Output of flat panels per kW of nameplate under a clear sky, 0 to about 0.85, from the sun's height."""
    day = np.array([at.timetuple().tm_yday + (at.hour - 12) / 24 for at in times])
    utc_hour = np.array([at.hour + at.minute / 60 + at.second / 3600 for at in times])
    year_angle = 2 * math.pi * (day - 81) / 365.25
    declination = np.radians(23.44) * np.sin(year_angle)
    equation_min = 9.87 * np.sin(2 * year_angle) - 7.53 * np.cos(year_angle) - 1.5 * np.sin(year_angle)
    hour_angle = np.radians(15 * (utc_hour + longitude_deg / 15 + equation_min / 60 - 12))
    latitude = math.radians(latitude_deg)
    height = math.sin(latitude) * np.sin(declination) + math.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    return np.asarray(0.85 * np.maximum(height, 0.0) ** 1.15)
