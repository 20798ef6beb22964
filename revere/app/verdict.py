"""Whether a run has shown what any run must show: read off its summary, nothing computed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Outcome = Literal["holds", "fails", "not shown"]

PLANT_SHARE = 0.02
"""Registers and plant may differ by this share of the event's power: meters count whole watt-hours, clocks drift."""
RESIDUAL_PCT_MAX = 0.1
SENT_MS_MAX = 500.0
MET_S_MAX = 30.0


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold: what was found, what was wanted. Not shown: the run had no occasion for it."""

    name: str
    outcome: Outcome
    found: str
    wanted: str

    def text(self) -> str:
        """One line for people."""
        return f"{self.name}: {self.found}, wanted {self.wanted}"


def criteria(summary: Mapping[str, Any]) -> tuple[Criterion, ...]:
    """Every criterion of a run; one whose exposure is 0, or whose event the run did not reach, is not shown."""
    performance, nominated = summary.get("performance_kw"), summary.get("nominated_kw")
    plant = summary.get("performance_plant_kw")
    promised = None if nominated is None else float(nominated)
    far = None if performance is None or plant is None else abs(performance - plant)
    near = None if plant is None else max(1.0, PLANT_SHARE * abs(plant))
    rows: list[tuple[str, object, object, bool | None]] = [
        ("delivered what was promised, kW", performance, promised, _least(performance, promised)),
        ("registers and plant agree on it, kW apart", far, near, _most(far, near)),
    ]
    for key, exposure in (
        ("missed_departures", "departures"),
        ("backfeed_on_dead_grid_s", "outage_site_s"),
        ("limit_violation_s", "sampled_s"),
    ):
        found = summary.get(key) if summary.get(exposure) else None
        rows.append((key.replace("_", " "), found, 0, _most(found, 0)))
    for key, most in (
        ("energy_balance_residual_pct", RESIDUAL_PCT_MAX),
        ("energy_balance_worst_station_pct", RESIDUAL_PCT_MAX),
        ("setpoint_sent_p99_ms", SENT_MS_MAX),
        ("setpoint_met_p99_s", MET_S_MAX),
    ):
        rows.append((key.replace("_", " "), summary.get(key), most, _most(summary.get(key), most)))
    return tuple(_criterion(*row) for row in rows)


def _criterion(name: str, found: object, wanted: object, holds: bool | None) -> Criterion:
    outcome: Outcome = "not shown" if holds is None else "holds" if holds else "fails"
    bound = "at least" if name.startswith("delivered") else "at most"
    return Criterion(name=name, outcome=outcome, found=_figure(found), wanted=f"{bound} {_figure(wanted)}")


def _least(found: float | None, least: float | None) -> bool | None:
    return None if found is None or least is None else found >= least


def _most(found: float | None, most: float | None) -> bool | None:
    return None if found is None or most is None else found <= most


def _figure(value: object) -> str:
    return f"{value:,.6g}" if isinstance(value, int | float) else "nothing"
