"""The door for what stations and meters say: what cannot be is journaled as such and believed by nobody.

::

    link --> inbox --> screen --> journal --> image
                         |  an impossible quantity: its own reading, quarantined with the reason
                         |  a meter that nobody knows: dropped and counted

One charger that reports 5,000 kW must not take the room of a whole feeder, and a site's meter must not open room that
its wires do not have. Registers are judged where they are read, by what flowed between two of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from revere.core import facts as f

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.core.assets import Fleet, Site, Station

RATING_SLACK = 1.2
"""A power beyond a station's rating times this, or energy beyond it over an interval, is a meter's fault."""
REST_KW = 0.5
"""A station that cannot give may show this much discharge: what a meter's zero may be off."""
SERVICE_SLACK = 1.5
"""A main meter may show this many times what its site's service and building are rated for, its stations on top."""
QUIET_LOAD_SHARE = 0.5
"""A building's mean over an interval may be this share of its peak below what its solar can give."""
IMPLAUSIBLE = "not possible: "
"""How the reason of a quarantine begins that was given here."""


def station_range_kw(station: Station) -> tuple[float, float]:
    """Powers that a station's meter can show, kW, charging positive."""
    return -RATING_SLACK * station.discharge_kw - REST_KW, RATING_SLACK * station.charge_kw + REST_KW


def site_range_kw(site: Site, stations: Sequence[Station]) -> tuple[float, float]:
    """Net powers that a main meter can show, kW, import positive: far beyond the limits that we keep."""
    service_kw = SERVICE_SLACK * max(site.import_limit_kw, site.export_limit_kw, site.load_peak_kw)
    give_kw = sum(station.discharge_kw for station in stations) + SERVICE_SLACK * site.solar_kw
    return -service_kw - give_kw, service_kw + sum(station.charge_kw for station in stations)


def building_range_kw(site: Site) -> tuple[float, float]:
    """Mean loads that a building without its stations can have, kW: from its solar to a little above its service."""
    low_kw = -SERVICE_SLACK * site.solar_kw - QUIET_LOAD_SHARE * site.load_peak_kw
    return low_kw, SERVICE_SLACK * max(site.import_limit_kw, site.load_peak_kw)


class Screen:
    """Passes facts, or what may be believed of them. ``unknown_meters`` counts readings of meters nobody knows."""

    def __init__(self, fleet: Fleet) -> None:
        self.unknown_meters = 0
        self._range_kw: dict[str, tuple[float, float]] = {
            f.evse_asset(station.id, 1): station_range_kw(station) for station in fleet.stations
        }
        for site in fleet.sites:
            stations = [station for station in fleet.stations if station.site_id == site.id]
            self._range_kw[site.id] = site_range_kw(site, stations)

    def pass_on(self, facts: Sequence[f.Fact]) -> list[f.Fact]:
        """The facts to journal, in their order."""
        passed: list[f.Fact] = []
        for fact in facts:
            match fact:
                case f.MeterReading():
                    passed += self._reading(fact)
                case f.EnergyNeeds():
                    passed.append(_needs(fact))
                case _:
                    passed.append(fact)
        return passed

    def _reading(self, fact: f.MeterReading) -> list[f.Fact]:
        """The reading, in two where one quantity of it cannot be: the rest of it stays true."""
        allowed = self._range_kw.get(fact.asset_id)
        if allowed is None:
            self.unknown_meters += 1
            return []
        wrong: dict[str, float] = {}
        said: list[str] = []
        low, high = allowed
        if fact.power_kw is not None and not low <= fact.power_kw <= high:
            wrong["power_kw"] = fact.power_kw
            said.append(f"{fact.power_kw:g} kW, the meter's range is {low:g} to {high:g} kW")
        if fact.soc is not None and not 0 <= fact.soc <= 1:
            wrong["soc"] = fact.soc
            said.append(f"a state of charge of {fact.soc:g}")
        if not wrong or fact.quarantined:
            return [fact]
        believed = msgspec.structs.replace(fact, **dict.fromkeys(wrong))
        refused = msgspec.structs.replace(
            fact, **{"import_wh": None, "export_wh": None, "power_kw": None, "soc": None, **wrong}
        )
        refused = msgspec.structs.replace(refused, quarantined=IMPLAUSIBLE + "; ".join(said))
        return [refused, *([believed] if _says_anything(believed) else [])]


def _says_anything(reading: f.MeterReading) -> bool:
    quantities = (reading.import_wh, reading.export_wh, reading.power_kw, reading.soc)
    return any(value is not None for value in quantities)


def _needs(fact: f.EnergyNeeds) -> f.EnergyNeeds:
    """A vehicle's bounds without those that no vehicle has; what is left out does not bind."""

    def real(value: float | None, most: float = math.inf) -> float | None:
        return value if value is not None and math.isfinite(value) and 0 <= value <= most else None

    return msgspec.structs.replace(
        fact,
        charge_max_kw=real(fact.charge_max_kw),
        discharge_max_kw=real(fact.discharge_max_kw),
        capacity_kwh=real(fact.capacity_kwh),
        soc=real(fact.soc, 1.0),
    )
