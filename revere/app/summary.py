"""What a run has to show: figures by the plant's own count and by the stored registers, with their exposure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from revere.control.view import EquityView
from revere.core.assets import program_of
from revere.core.facts import evse_asset
from revere.core.money import usd_text
from revere.program.block_groups import block_groups_of
from revere.program.grants import funding, grants_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.app.house import House
    from revere.control.event_image import EventImage
    from revere.core.assets import Fleet
    from revere.twin.judge import Judge

EDGE = dt.timedelta(minutes=5)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * len(ordered) * 1000) // 1000) - 1))]


def equity_view(fleet: Fleet) -> EquityView | None:
    """The equity share from grants and block-group criteria, as the pages show it; None without census data."""
    if not fleet.block_groups:
        return None
    share = funding(fleet.participants, grants_of(fleet.participants), block_groups_of(fleet.block_groups))
    exact = share.equity.share()
    return EquityView(
        ej_usd=str(share.equity.ej_usd),
        total_usd=str(share.equity.total_usd),
        share=float(exact) if exact is not None else 0.0,
        more_than_one_third=bool(share.equity.more_than_one_third),
        unknown=sum(1 for row in share.rows if row.ej == "unknown"),
    )


async def residual_pct(house: House, judge: Judge) -> dict[str, Any]:
    """Energy balance: registers as stored here against battery, trips and losses as the plant knows them.

    Each station is judged over the longest span between two 5-minute edges at which its registers are stored (a
    station that was off the air or without a session at an edge has none there); the fleet over the span that most
    stations share.
    """
    edges = sorted(dt.datetime.fromtimestamp(at, dt.UTC) for at in judge.snapshots)
    assets = [evse_asset(station.id, 1) for station in house.image.fleet.stations]
    found = await house.store.registers_at(assets, edges)
    spans: dict[tuple[dt.datetime, dt.datetime], dict[str, tuple[int, int]]] = {}
    for asset, pairs in found.items():
        whole = [
            (edge, pair.import_wh, pair.export_wh)
            for edge, pair in zip(edges, pairs, strict=True)
            if pair is not None and pair.import_wh is not None and pair.export_wh is not None
        ]
        if len(whole) > 1:
            (start, import_0, export_0), (end, import_1, export_1) = whole[0], whole[-1]
            spans.setdefault((start, end), {})[asset] = (import_1 - import_0, export_1 - export_0)
    by_station: dict[str, float] = {}
    fleet = None
    for (start, end), stored in sorted(spans.items(), key=lambda item: len(item[1])):
        residual = judge.residual_pct(stored, start, end)
        fleet = residual.pop("fleet", fleet)
        by_station |= residual
    worst = max(by_station, key=lambda asset: by_station[asset], default="")
    return {
        "energy_balance_residual_pct": fleet,
        "energy_balance_worst_station_pct": by_station.get(worst),
        "energy_balance_worst_station": worst,
        "energy_balance_stations": len(by_station),
    }


def event_figures(house: House, judge: Judge, event: EventImage | None) -> dict[str, Any]:
    """The event: nominated, delivered by registers, and the plant's own view of it.

    Registers prove no more than they were read for: ``performance_unmeasured_evse_h`` is the time of enrolled EVSEs
    without a good interval on the grid, in which the plant may have given or taken what ``performance_kw`` lacks.
    """
    fleet = house.image.fleet
    figures: dict[str, Any] = {
        "nameplate_discharge_kw": round(fleet.discharge_nameplate_kw(), 3),
        "nameplate_enrolled_kw": 0.0,
    }
    if event is None:
        return figures
    members = house.image.members(event)
    figures["nameplate_enrolled_kw"] = round(sum(s.discharge_kw for s in fleet.stations if s.site_id in members), 3)
    true_kw = judge.relief_kw(event.start, event.end, tuple(members))
    usable_kwh = house.heart.usable_at_start_kwh.get(event.grid_event_id)
    if usable_kwh is not None:
        figures |= {"usable_kwh_at_start": round(usable_kwh, 1), "hours_at_1mw": round(usable_kwh / 1000, 3)}
    closed = house.heart.events.closed.get(event.grid_event_id)
    figures |= {
        "event": event.grid_event_id,
        "event_start": event.start.isoformat(),
        "event_end": event.end.isoformat(),
        "nominated_kw": event.nominated_kw,
        "performance_kw": event.performance_kw,
        "performance_plant_kw": round(float(true_kw.mean()), 3) if len(true_kw) else None,
        "lowest_5min_plant_kw": round(float(true_kw.min()), 3) if len(true_kw) else None,
        "enrolled_sites": len(members),
        "left_out_sites": [site.id for site in fleet.sites if program_of(site, fleet.programs) is None],
    }
    if closed is not None:
        figures |= {
            "lowest_5min_kw": round(min((kw for _, _, kw in closed.intervals()), default=0.0), 3),
            "ledger_lines": closed.lines,
            "expected_usd": usd_text(closed.cents),
            "held": [f"{site_id}: {reason}" for site_id, reason in closed.held.items()],
            "performance_unmeasured_evse_h": round(sum(closed.unmeasured_h().values()), 3),
            "performance_unmeasured_h_by_site": {site: round(h, 3) for site, h in closed.unmeasured_h().items()},
        }
    return figures


def speed_figures(house: House) -> dict[str, Any]:
    """Commands and their proof, frames, plans."""
    tracker, changes, heart = house.heart.tracker.figures, house.heart.tracker.changes, house.heart.figures
    counters = house.server.counters
    return {
        "setpoint_sent_p99_ms": _rounded(percentile(tracker.sent_ms, 0.99), 2),
        "setpoint_met_p99_s": _rounded(percentile(changes.met_s, 0.99), 2),
        "fleet_changes_in_events": len(changes.met_s),
        "fleet_changes_unmet": changes.unmet,
        "setpoints": tracker.issued,
        "setpoints_confirmed": tracker.confirmed,
        "setpoints_superseded": tracker.superseded,
        "setpoints_expired": tracker.expired,
        "setpoints_rejected": tracker.rejected,
        "setpoints_in_events": tracker.in_events["issued"],
        "setpoints_met_in_events": tracker.in_events["confirmed"],
        "setpoints_superseded_in_events": tracker.in_events["superseded"],
        "setpoints_expired_in_events": tracker.in_events["expired"],
        "setpoints_rejected_in_events": tracker.in_events["rejected"],
        "messages": counters.frames_in + counters.frames_out,
        "facts": house.image.facts_seen,
        "plans": heart.plans,
        "plan_wall_mean_s": _rounded(heart.plan_wall_s / heart.plans if heart.plans else None, 4),
        "plan_wall_max_s": round(heart.plan_wall_max_s, 4),
        "ticks": heart.ticks,
        "tick_wall_mean_ms": _rounded(heart.tick_wall_s / heart.ticks * 1000 if heart.ticks else None, 3),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
