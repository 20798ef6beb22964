"""The public part of the picture: totals from which nobody can be told.

A handful of homes is left out of every figure, as in the guide: else theirs would be a total less the others. Of an
event the homes that it calls count alone: a few that are called are left out of its figures.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

from revere.control.view import ConsoleView, EquityView, ViewBase, shown
from revere.web.guide.shapes import HOMES_LEAST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from revere.control.view import SiteRow

KW_PER_HOME = 10.0 / 3.0


class PublicView(ViewBase, frozen=True, kw_only=True):
    """What everybody may see: no site of a home, no vehicle, no soc."""

    now: dt.datetime
    zone: str
    programme: str
    speed: float
    power_kw: float
    relief_kw: float
    homes_equivalent: float
    kw_per_home: float
    event_phase: str | None
    event_start: dt.datetime | None
    event_end: dt.datetime | None
    event_drill: bool
    nominated_kw: float | None
    relief_mean_kw: float | None
    """None too where homes that are left out are among those that were called."""
    relief_mean_since: dt.datetime | None
    schools: int
    municipal: int
    homes: int
    homes_left_out: bool
    """Whether homes take part that are too few to be shown; then no figure holds anything of theirs."""
    vehicles: int
    discharge_nameplate_kw: float
    equity: EquityView | None
    stale_s: float
    database: Literal["ok", "gone"]


def publishable(view: ConsoleView) -> bool:
    """Whether there is anybody whose figures may be shown: a school, a town, or homes enough."""
    return bool(_shown_rows(view.sites))


def public_view(view: ConsoleView) -> PublicView:
    """The public part of the picture. Homes equivalent = relief / 3.33 kW (1 MW = about 300 homes)."""
    sites = _shown_rows(view.sites)
    power_kw = sum(site.stations_kw for site in sites)
    all_called = [site for site in view.sites if site.called]
    called = _shown_rows(all_called)
    event = view.event if called or not all_called else None
    running = event is not None and event.phase == "running"
    relief_kw = -sum(site.stations_kw for site in called) if running else -power_kw
    whole = len(called) == len(all_called)
    promised = event.nominated_kw if event is not None and whole else _promised_kw(called)
    return PublicView(
        now=view.now,
        zone=view.zone,
        programme=view.programme,
        speed=view.speed,
        power_kw=shown(power_kw),
        relief_kw=shown(relief_kw),
        homes_equivalent=shown(max(relief_kw, 0.0) / KW_PER_HOME),
        kw_per_home=shown(KW_PER_HOME, 3),
        event_phase=event.phase if event else None,
        event_start=event.start if event else None,
        event_end=event.end if event else None,
        event_drill=event.drill if event else False,
        nominated_kw=_shown(promised) if event else None,
        relief_mean_kw=_shown(event.relief_mean_kw) if event and whole else None,
        relief_mean_since=event.relief_mean_since if event and whole else None,
        schools=sum(1 for site in sites if site.kind == "school"),
        municipal=sum(1 for site in sites if site.kind == "municipal"),
        homes=sum(1 for site in sites if site.kind == "home"),
        homes_left_out=len(sites) < len(view.sites),
        vehicles=sum(site.vehicles for site in sites),
        discharge_nameplate_kw=shown(sum(site.discharge_kw for site in sites)),
        equity=view.equity,
        stale_s=shown(view.stale_s),
        database=view.database,
    )


def _shown_rows(sites: Iterable[SiteRow]) -> list[SiteRow]:
    """The sites without their homes, where these are fewer than ``HOMES_LEAST``."""
    rows = list(sites)
    public = [site for site in rows if site.kind != "home"]
    return public if len(rows) - len(public) < HOMES_LEAST else rows


def _promised_kw(called: list[SiteRow]) -> float | None:
    known = [site.nominated_kw for site in called if site.nominated_kw is not None]
    return sum(known) if known else None


def _shown(value: float | None) -> float | None:
    return None if value is None else shown(value)
