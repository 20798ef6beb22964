"""The door for what stations and meters say: what cannot be is journaled as such and believed by nobody.

::

    link --> inbox --> screen --> journal --> image
                         |  an impossible quantity: its own reading, quarantined with the reason
                         |  a meter that nobody knows: dropped and counted
                         |  more alarms of one station than a person reads: counted in one

One charger that reports 5,000 kW must not take the room of a whole feeder, and a site's meter must not open room that
its wires do not have. Registers are judged where they are read, by what flowed between two of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from revere.core import facts as f

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from revere.core.assets import Fleet, Site, Station

RATING_SLACK = 1.2
"""A power beyond a station's rating times this, or energy beyond it over an interval, is a meter's fault."""
REST_KW = 0.5
"""A station that cannot give may show this much discharge: what a meter's zero may be off."""
SERVICE_SLACK = 1.5
"""A main meter may show this many times what its site's service and building are rated for, its stations on top."""
QUIET_LOAD_SHARE = 0.5
"""A building's mean over an interval may be this share of its peak below what its solar can give."""
ALARMS_PER_STATION_MAX = 8
STATION_ALARMS = frozenset({"security", "station", "der", "limit", "takeover", "more"})
"""How the keys of alarms begin that come out of a station's messages; it is their subject."""
OUTCOMES = frozenset({"firmware", "campaign"})
"""The same of what came of an order: told once, over once somebody has seen it."""
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


def told_by_station(key: str) -> bool:
    """Whether an alarm is what a station said, not a state that we watch."""
    return key.split(":", 1)[0] in STATION_ALARMS


def told_once(key: str) -> bool:
    """Whether an alarm is no state that ends by itself: it is over once somebody has seen it."""
    return told_by_station(key) or key.split(":", 1)[0] in OUTCOMES


class Screen:
    """Passes facts, or what may be believed of them; ``open_alarms`` is the image's.

    ``unknown_meters`` counts readings of meters nobody knows, ``alarms_repeated`` what says nothing new.
    """

    def __init__(self, fleet: Fleet, open_alarms: Mapping[str, f.AlarmRaised]) -> None:
        self.unknown_meters = 0
        self.alarms_repeated = 0
        self._open = open_alarms
        self._more: dict[str, int] = {}
        self._range_kw: dict[str, tuple[float, float]] = {
            f.evse_asset(station.id, 1): station_range_kw(station) for station in fleet.stations
        }
        for site in fleet.sites:
            stations = [station for station in fleet.stations if station.site_id == site.id]
            self._range_kw[site.id] = site_range_kw(site, stations)

    def pass_on(self, facts: Sequence[f.Fact]) -> list[f.Fact]:
        """The facts to journal, in their order."""
        passed: list[f.Fact] = []
        alarms: dict[str, f.AlarmRaised] = {}
        for fact in facts:
            match fact:
                case f.MeterReading():
                    passed += self._reading(fact)
                case f.EnergyNeeds():
                    passed.append(_needs(fact))
                case f.ExternalLimitReported():
                    passed.append(_limit(fact))
                case f.AlarmRaised() if told_by_station(fact.key):
                    passed += self._raised(fact, alarms)
                case f.AlarmCleared() if told_by_station(fact.key):
                    if fact.key in self._open or alarms.pop(fact.key, None) is not None:
                        passed.append(fact)
                case _:
                    passed.append(fact)
        return passed

    def _raised(self, fact: f.AlarmRaised, fresh: dict[str, f.AlarmRaised]) -> list[f.Fact]:
        """A station's alarm; beyond ``ALARMS_PER_STATION_MAX`` only their number, told anew when it has doubled."""
        known = fresh.get(fact.key) or self._open.get(fact.key)
        if known is not None and known.text == fact.text:
            self.alarms_repeated += 1
            return []
        if known is None and not fact.key.startswith("takeover:"):
            alarms = {**self._open, **fresh}.values()
            opened = sum(1 for one in alarms if one.subject == fact.subject and told_by_station(one.key))
            if opened >= ALARMS_PER_STATION_MAX:
                return self._too_many(fact, fact.subject, fresh)
        fresh[fact.key] = fact
        return [fact]

    def _too_many(self, fact: f.AlarmRaised, station_id: str, fresh: dict[str, f.AlarmRaised]) -> list[f.Fact]:
        key = f"more:{station_id}"
        told = fresh.get(key) or self._open.get(key)
        count = 1 if told is None else max(self._more.get(station_id, 0), told.count) + 1
        self._more[station_id] = count
        if told is not None and count < 2 * told.count:
            return []
        kept = ALARMS_PER_STATION_MAX
        text = f"{station_id} raises alarms beyond the {kept} that are kept: {count} more so far, or above"
        more = msgspec.structs.replace(fact, key=key, severity="warning", text=text, count=count)
        fresh[key] = more
        return [more]

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
        if not wrong or fact.quarantined not in ("", f.OTHER_CHARGER):
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


def _limit(fact: f.ExternalLimitReported) -> f.ExternalLimitReported:
    """A limit from outside without what no limit is: a magnitude that is no number, or below 0."""

    def real(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) and value >= 0 else None

    return msgspec.structs.replace(fact, steps=tuple((at, real(up), real(down)) for at, up, down in fact.steps))


def _needs(fact: f.EnergyNeeds) -> f.EnergyNeeds:
    """A vehicle's bounds without those that no vehicle has; what is left out does not bind."""

    def real(value: float | None, most: float = math.inf, least: float = 0.0) -> float | None:
        return value if value is not None and math.isfinite(value) and least <= value <= most else None

    return msgspec.structs.replace(
        fact,
        charge_max_kw=real(fact.charge_max_kw),
        discharge_max_kw=real(fact.discharge_max_kw),
        capacity_kwh=real(fact.capacity_kwh),
        soc=real(fact.soc, 1.0),
        to_least_kwh=real(fact.to_least_kwh, least=-math.inf),
        to_most_kwh=real(fact.to_most_kwh, least=-math.inf),
    )
