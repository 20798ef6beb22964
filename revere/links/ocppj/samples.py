"""Meter samples to readings: units, signs, phases and places, the same for every OCPP version.

The versions differ in how a sample is written; what a reading is does not differ. Registers become
whole Wh, powers kW with charging positive (import minus export), soc a fraction. What is absent
stays None, and a value that no meter can mean (a negative register, soc 140 %) is refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.facts import MeterReading, Place, ReadingContext

if TYPE_CHECKING:
    import datetime as dt

    from revere.core.ids import SessionId
    from revere.links.ocppj.bounds import Counters

IMPORT_REGISTER: Final = "Energy.Active.Import.Register"
EXPORT_REGISTER: Final = "Energy.Active.Export.Register"
IMPORT_POWER: Final = "Power.Active.Import"
EXPORT_POWER: Final = "Power.Active.Export"
SOC: Final = "SoC"
OWNED: Final = "the house sets that itself, for every payment rests on the meter"
OWNED_REMEDY: Final = "A charger model says what else a charger needs: docs/how-to/connect-a-station.md"
MEASURANDS: Final = (IMPORT_REGISTER, EXPORT_REGISTER, IMPORT_POWER, EXPORT_POWER, SOC)

CONTEXTS: Final[dict[str, ReadingContext]] = {
    "Sample.Clock": "clock",
    "Sample.Periodic": "periodic",
    "Transaction.Begin": "begin",
    "Transaction.End": "end",
}
_TO_BASE: Final = {"Wh": 1.0, "kWh": 1000.0, "W": 1.0, "kW": 1000.0, "Percent": 1.0}
_UNITS: Final = {
    IMPORT_REGISTER: ("Wh", "kWh"),
    EXPORT_REGISTER: ("Wh", "kWh"),
    IMPORT_POWER: ("W", "kW"),
    EXPORT_POWER: ("W", "kW"),
    SOC: ("Percent",),
}
_PHASES: Final = {"L1": 0, "L2": 1, "L3": 2, "L1-N": 0, "L2-N": 1, "L3-N": 2}
_WH_MAX: Final = 1e15


class Sample(msgspec.Struct, frozen=True):
    """One quantity in the standard's words: measurand, value in W, Wh or percent, phase, place, context."""

    measurand: str
    value: float
    phase: str | None
    place: Place
    context: ReadingContext


def in_base_unit(value: float, unit: str | None, multiplier: int, measurand: str) -> float | None:
    """The value in Wh, W or percent; None for a unit that the measurand cannot have."""
    allowed = _UNITS[measurand]
    unit = unit or allowed[0]
    if unit not in allowed or not -9 <= multiplier <= 9:
        return None
    base = value * _TO_BASE[unit] * 10.0**multiplier
    return base if math.isfinite(base) else None


class _Quantities:
    """The samples of one place and moment."""

    def __init__(self, context: ReadingContext) -> None:
        self.context = context
        self.whole: dict[str, float] = {}
        self.phased: dict[str, dict[int, float]] = {}

    def add(self, sample: Sample) -> None:
        if sample.phase is None:
            self.whole[sample.measurand] = sample.value
        elif sample.phase in _PHASES:
            self.phased.setdefault(sample.measurand, {})[_PHASES[sample.phase]] = sample.value

    def total(self, measurand: str) -> float | None:
        """The value of all phases: as reported, else the sum of the phases."""
        if measurand in self.whole:
            return self.whole[measurand]
        phases = self.phased.get(measurand)
        return sum(phases.values()) if phases else None

    def register_wh(self, measurand: str, counters: Counters) -> int | None:
        """A register in whole Wh; negative or absurd ones are refused and counted."""
        value = self.total(measurand)
        if value is None:
            return None
        if not 0 <= value < _WH_MAX:
            counters.samples_refused += 1
            return None
        return round(value)

    def power_kw(self) -> float | None:
        """Import minus export, kW; one alone counts with its own sign."""
        inward, outward = self.total(IMPORT_POWER), self.total(EXPORT_POWER)
        if inward is None and outward is None:
            return None
        return ((inward or 0.0) - (outward or 0.0)) / 1000.0

    def soc(self, counters: Counters) -> float | None:
        """State of charge, a fraction."""
        percent = self.total(SOC)
        if percent is None:
            return None
        if not 0 <= percent <= 100:
            counters.samples_refused += 1
            return None
        return percent / 100.0


def readings_of(
    samples: list[Sample],
    *,
    asset_id: str,
    ts: dt.datetime,
    at: dt.datetime,
    session_id: SessionId | None,
    counters: Counters,
) -> list[MeterReading]:
    """The readings of one moment, one for each place; soc rides on the first (the AC register's)."""
    by_place: dict[Place, _Quantities] = {}
    soc_only = _Quantities("periodic")
    for sample in samples:
        if sample.measurand == SOC:
            soc_only.context = sample.context
            soc_only.add(sample)
        else:
            by_place.setdefault(sample.place, _Quantities(sample.context)).add(sample)
    soc = soc_only.soc(counters)
    if not by_place and soc is not None:
        by_place["ac_inlet"] = _Quantities(soc_only.context)
    readings = []
    for place in sorted(by_place):
        quantities = by_place[place]
        reading = MeterReading(
            at=at,
            asset_id=asset_id,
            place=place,
            ts=ts,
            context=quantities.context,
            import_wh=quantities.register_wh(IMPORT_REGISTER, counters),
            export_wh=quantities.register_wh(EXPORT_REGISTER, counters),
            power_kw=quantities.power_kw(),
            soc=soc,
            session_id=session_id,
        )
        soc = None
        if (reading.import_wh, reading.export_wh, reading.power_kw, reading.soc) != (None, None, None, None):
            readings.append(reading)
    return readings
