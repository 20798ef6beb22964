"""A limit that somebody else has set at a station (K12, K23), in kW: the strictest of its schedules, amperes too.

::

    A x phases x volts     phases: said in the period or reported as SupplyPhases, the lesser; else 1
                           volts:  reported as ACVoltage (measured), less 10 percent; else 100

What is not known counts as the least that it can mean: a limit held too low costs some energy, one held too high a
fuse. Charging is positive on both sides; ``dischargeLimit`` is never above 0 there and a magnitude here. Sources: OCPP
2.1 schema of NotifyChargingLimit; appendix, EVSE and ChargingStation. That amperes count for each phase, and at a DC
outlet for one line, is *inferred*.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from revere.core.facts import AlarmCleared, AlarmRaised, ExternalLimitLifted, ExternalLimitReported, Fact
from revere.links.ocppj.line import SCHEDULE_STEPS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from revere.core.ports import StationConfig
    from revere.links.ocpp2.wire import v21 as wire

Step = tuple[dt.datetime, float | None, float | None]

MAINS_LEAST_V: Final = 100.0
"""The lowest nominal voltage of any public grid between a phase and neutral."""
MAINS_MOST_V: Final = 1000.0
"""Above it a reported voltage is no low voltage: not believed."""
SAG: Final = 0.9
"""A voltage measured once may fall to this part of itself (EN 50160: nominal less 10 percent)."""
PHASES: Final = ("1", "2", "3")
DIRECT: Final = ("EVSE@", "Connector@", "ConnectedEV@")
"""Components that have a DC voltage where an outlet gives DC."""


@dataclass(frozen=True, slots=True)
class Supply:
    """What an ampere is worth at an EVSE, by what the station has reported."""

    phases: int = 1
    volts: float = MAINS_LEAST_V
    known: bool = False

    def phases_of(self, period: wire.ChargingSchedulePeriod) -> int:
        """Over how many phases the one limit of a period goes."""
        return min(period.numberPhases or self.phases, self.phases) if self.known else period.numberPhases or 1


def supply(variables: Mapping[str, str], evse_id: int) -> Supply:
    """The supply of an EVSE (0: of the station); at a DC outlet an ampere is one line's."""
    places = (f"EVSE@{evse_id}", "ChargingStation") if evse_id else ("ChargingStation",)
    said = next((found for place in places if (found := variables.get(f"{place}.SupplyPhases")) in PHASES), None)
    direct = any(name.startswith(DIRECT) and name.endswith(".DCVoltage") for name in variables)
    volts = (
        []
        if direct
        else [
            measured * SAG
            for name, value in variables.items()
            if name.split(".")[0] in places
            and name.split(".")[-1].split("[")[0] == "ACVoltage"
            and MAINS_LEAST_V <= (measured := _number(value)) <= MAINS_MOST_V
        ]
    )
    phases = 1 if said is None or direct else int(said)
    return Supply(phases, max(min(volts, default=MAINS_LEAST_V), MAINS_LEAST_V), known=said is not None or direct)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def external_limit(
    config: StationConfig, request: wire.NotifyChargingLimitRequest, at: dt.datetime, variables: Mapping[str, str]
) -> list[Fact]:
    """A limit that somebody else has set, and the alarm that says so; extra capacity limits nothing."""
    limit, evse_id = request.chargingLimit, request.evseId or 0
    if limit.isLocalGeneration:
        return []
    source = limit.chargingLimitSource
    schedules = request.chargingSchedule or ()
    here = supply(variables, evse_id)
    critical = bool(limit.isGridCritical)
    steps, until = _strictest([_begun(schedule, here, at) for schedule in schedules])
    reported = ExternalLimitReported(
        at=at,
        station_id=config.station_id,
        evse_id=evse_id,
        source=source,
        steps=steps,
        until=until,
        critical=critical,
    )
    alarm = AlarmRaised(
        at=at,
        key=_limit_key(config, source),
        severity="warning",
        subject=config.station_id,
        text=f"charging limited from outside by {source}{_how_much(steps)}{_amperes(schedules, here)}"
        f"{', critical for the grid' if critical else ''}",
    )
    return [reported, alarm]


def _how_much(steps: Sequence[Step]) -> str:
    kw = [step[1] for step in steps if step[1] is not None]
    return f" to {min(kw):g} kW" if kw else ""


def _amperes(schedules: Sequence[wire.ChargingSchedule], here: Supply) -> str:
    """How amperes became kW, for whoever wonders at the number."""
    periods = [p for s in schedules if s.chargingRateUnit == "A" for p in s.chargingSchedulePeriod]
    if not periods:
        return ""
    return f" (told in A, taken at {here.volts:g} V, over {min(map(here.phases_of, periods))} phase(s) at least)"


def limit_lifted(config: StationConfig, request: wire.ClearedChargingLimitRequest, at: dt.datetime) -> list[Fact]:
    """That limit is gone."""
    source = request.chargingLimitSource
    lifted = ExternalLimitLifted(at=at, station_id=config.station_id, evse_id=request.evseId or 0, source=source)
    return [lifted, AlarmCleared(at=at, key=_limit_key(config, source))]


def _limit_key(config: StationConfig, source: str) -> str:
    return f"limit:{config.station_id}:{source}"


def _begun(schedule: wire.ChargingSchedule, here: Supply, at: dt.datetime) -> tuple[list[Step], dt.datetime | None]:
    """A schedule's steps and its end."""
    start = (schedule.startSchedule or at).astimezone(dt.UTC)
    until = None if schedule.duration is None else start + dt.timedelta(seconds=schedule.duration)
    each = here if schedule.chargingRateUnit == "A" else None
    steps = [
        (start + dt.timedelta(seconds=period.startPeriod), charge_kw(period, each), _give_kw(period, each))
        for period in schedule.chargingSchedulePeriod
    ]
    return sorted(steps, key=lambda step: step[0]), until


def _strictest(
    schedules: Sequence[tuple[list[Step], dt.datetime | None]],
) -> tuple[tuple[Step, ...], dt.datetime | None]:
    """One row of steps that holds the least of all schedules at each moment; the last one holds what is left out."""
    if not schedules:
        return (), None
    ends = [until for _, until in schedules]
    last = None if None in ends else max(end for end in ends if end is not None)
    moments = {moment for steps, until in schedules for moment in (*(step[0] for step in steps), until)}
    turns = sorted(moment for moment in moments if moment is not None and (last is None or moment < last))
    rows = []
    starts = [[step[0] for step in steps] for steps, _ in schedules]
    for turn in turns:
        held = [
            steps[count - 1]
            for (steps, until), begun in zip(schedules, starts, strict=True)
            if (until is None or turn < until) and (count := bisect_right(begun, turn))
        ]
        rows.append((turn, _least(step[1] for step in held), _least(step[2] for step in held)))
    if len(rows) > SCHEDULE_STEPS_MAX:
        kept, rest = rows[: SCHEDULE_STEPS_MAX - 1], rows[SCHEDULE_STEPS_MAX - 1 :]
        rows = [*kept, (rest[0][0], _least(step[1] for step in rest), _least(step[2] for step in rest))]
    return tuple(rows), last


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def charge_kw(period: wire.ChargingSchedulePeriod, here: Supply | None = None) -> float | None:
    """The most that a period lets a vehicle draw, over all phases; ``here`` where it is told in amperes."""
    total = _total(period, (period.limit, period.limit_L2, period.limit_L3), here)
    return None if total is None else max(total, 0.0) / 1000.0


def _give_kw(period: wire.ChargingSchedulePeriod, here: Supply | None) -> float | None:
    values = (period.dischargeLimit, period.dischargeLimit_L2, period.dischargeLimit_L3)
    total = _total(period, values, here)
    return None if total is None else abs(total) / 1000.0


def _total(period: wire.ChargingSchedulePeriod, values: tuple[float | None, ...], here: Supply | None) -> float | None:
    """W over all phases; one value in amperes stands for each of its phases."""
    told = [value for value in values if value is not None]
    if not told:
        return None
    if here is None:
        return sum(told)
    return sum(told) * here.volts * (here.phases_of(period) if values[1:] == (None, None) else 1)
