"""Commissioning: a site discharges only once it was shown that it can be left to its fallback, or a person waived that.

::

    not commissioned ──check clean──▶ commissioned            until its registry changes
          │  └──────check not clean──▶ refused, kWh short named
          └──waiver (who, why, until)─▶ waived ──until──▶ not commissioned

What was checked is kept as a digest: another limit, station, vehicle or roster asks for a new check.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from revere.control.building import prior_shape_kw
from revere.control.desk import CommissionSite, Receipt
from revere.control.image import FOR_EVER
from revere.control.view import CommissioningView, QuarterView, ShortView
from revere.core import facts as f
from revere.core.assets import runs_on
from revere.core.errors import Refused
from revere.core.ids import SiteId
from revere.core.time import iso
from revere.plan.commissioning import Leg, over_limit_kw, quarter_hours, short_kwh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.control.image import EvseImage, Image, SiteImage
    from revere.control.inbox import Inbox
    from revere.control.watch import Watch
    from revere.core.assets import Programme, Site, Vehicle
    from revere.core.commands import DefaultProfile
    from revere.core.ids import StationId

WAIVER_MAX = dt.timedelta(days=90)
WHY_MAX_CHARS = 400
NAMED_MAX = 8
FIRST_DAY = dt.date(2024, 1, 1)
"""A Monday; rosters are checked over two weeks without holidays, when every trip runs."""
DAYS = 14
NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a site's fallback means: building and defaults by quarter hour, what passes the limit, who is short."""

    load_kw: tuple[float, ...]
    defaults_kw: tuple[float, ...]
    over_kw: tuple[float, ...]
    short_kwh: dict[str, float]
    digest: str

    def clean(self) -> bool:
        """Whether service and routes both hold."""
        return not (any(self.over_kw) or self.short_kwh)

    def words(self) -> str:
        """What is wrong, for people."""
        parts = []
        if any(self.over_kw):
            worst = int(np.argmax(self.over_kw))
            at = f"{worst // 4:02d}:{worst % 4 * 15:02d}"
            over = f"{self.over_kw[worst]:.1f} kW at {at}"
            parts.append(f"its defaults and its worst load pass the import limit by {over}")
        if self.short_kwh:
            named = [f"{name} {kwh:.1f} kWh" for name, kwh in self.short_kwh.items()]
            more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
            parts.append(f"on its defaults alone these are short: {', '.join(named[:NAMED_MAX])}{more}")
        return "; ".join(parts)


def check_site(
    site: Site, evses: list[EvseImage], profiles: Mapping[StationId, DefaultProfile], programme: Programme
) -> Check:
    """Check a site by the profiles that its stations are given, quarter hour by quarter hour and route by route."""
    limits = [profiles[evse.station.id].limits_kw for evse in evses]
    defaults = np.array([quarter_hours(limit) for limit in limits]).reshape(len(evses), 96)
    load = np.maximum(prior_shape_kw(site, "work"), prior_shape_kw(site, "quiet"))
    short = {}
    for evse, limit in zip(evses, limits, strict=True):
        if (vehicle := evse.vehicle) is not None:
            most_kw = min(vehicle.charge_kw, evse.station.charge_kw)
            lack = short_kwh(_legs(vehicle, programme), limit, most_kw, vehicle.soc_max * vehicle.capacity_kwh)
            if lack > 0:
                short[str(vehicle.id)] = round(lack, 1)
    seen = [
        (float(site.import_limit_kw), site.load_shape, float(site.load_peak_kw)),
        [(*_matters(evse), limit) for evse, limit in zip(evses, limits, strict=True)],
    ]
    return Check(
        load_kw=tuple(load.round(1).tolist()),
        defaults_kw=tuple(defaults.sum(axis=0).round(1).tolist()),
        over_kw=tuple(over_limit_kw(site.import_limit_kw, load, defaults).round(2).tolist()),
        short_kwh=short,
        digest=hashlib.sha256(msgspec.json.encode(seen, order="deterministic")).hexdigest()[:16],
    )


def _matters(evse: EvseImage) -> tuple[object, ...]:
    """What of a station and its vehicle the check hangs on: a name may change without a new one."""
    station, vehicle = evse.station, evse.vehicle
    if vehicle is None:
        return station.id, float(station.charge_kw)
    powers = (station.charge_kw, vehicle.charge_kw, vehicle.capacity_kwh)
    shares = (vehicle.soc_min, vehicle.soc_max, vehicle.departure_margin)
    return station.id, vehicle.id, *map(float, powers + shares), vehicle.trips


def _legs(vehicle: Vehicle, programme: Programme) -> list[Leg]:
    """Two weeks of its roster, as its departures are planned: with their margin."""
    open_days = msgspec.structs.replace(programme, school_closed=(), holidays=())
    full_kwh, base_kwh = vehicle.soc_max * vehicle.capacity_kwh, vehicle.soc_min * vehicle.capacity_kwh
    legs = []
    for day in range(DAYS):
        for trip in vehicle.trips:
            if not runs_on(trip, FIRST_DAY + dt.timedelta(days=day), open_days):
                continue
            leaves, back = (dt.timedelta(days=day, hours=t.hour, minutes=t.minute) for t in (trip.depart, trip.back))
            needed = min(base_kwh + trip.energy_kwh * vehicle.departure_margin, full_kwh)
            over_night = dt.timedelta(days=1 if back <= leaves else 0)
            legs.append(Leg(leaves=leaves, back=back + over_night, needed_kwh=needed, energy_kwh=trip.energy_kwh))
    return legs


class Commissioning:
    """Says which sites may discharge, and keeps their EVSEs' permission in the image."""

    def __init__(self, image: Image, inbox: Inbox, profiles: Mapping[StationId, DefaultProfile]) -> None:
        self._image = image
        self._inbox = inbox
        programme = image.fleet.programme
        self._checks = {
            site_id: check_site(item.site, image.site_evses[site_id], profiles, programme)
            for site_id, item in image.sites.items()
        }
        for site_id in image.sites:
            self._permit(site_id)
        inbox.watch(self._notice)

    def _notice(self, fact: f.Fact) -> None:
        if isinstance(fact, f.SiteCommissioned):
            self._permit(fact.site_id)

    def _until(self, site_id: SiteId) -> dt.datetime:
        """Until when the site may discharge."""
        kept = self._image.sites[site_id].commissioned
        if kept is None or kept.digest != self._checks[site_id].digest:
            return NEVER
        return kept.waived_until or FOR_EVER

    def _permit(self, site_id: SiteId) -> None:
        for evse in self._image.site_evses.get(site_id, ()):
            evse.commissioned_until = self._until(site_id)

    def watch(self, now: dt.datetime, told: Watch) -> None:
        """Say at which site that could give nothing is given, and why, until that is over."""
        for site_id, item in self._image.sites.items():
            gives = any(evse.station.discharge_kw > 0 for evse in self._image.site_evses[site_id])
            if gives and now >= self._until(site_id):
                text = f"{item.site.name} is not discharged: {self._why_not(item)}. See revere commission {site_id}"
                told.alarm(f"commission:{site_id}", "warning", site_id, text, now)
            else:
                told.clear(f"commission:{site_id}", now)

    def _why_not(self, item: SiteImage) -> str:
        kept = item.commissioned
        if kept is None:
            return "it is not commissioned"
        if kept.digest != self._checks[item.site.id].digest:
            return "its registry has changed since it was commissioned"
        assert kept.waived_until is not None
        return f"its waiver ended at {iso(kept.waived_until)}"

    def view(self, site_id: str, now: dt.datetime) -> CommissioningView:
        """The check of a site as it is registered now, and what was decided on it."""
        item = self._site(site_id)
        check, kept, until = self._checks[item.site.id], item.commissioned, self._until(item.site.id)
        state: Literal["commissioned", "waived", "no"] = "no"
        if now < until:
            state = "commissioned" if until == FOR_EVER else "waived"
        rows = zip(check.load_kw, check.defaults_kw, check.over_kw, strict=True)
        return CommissioningView(
            site_id=item.site.id,
            state=state,
            by=kept.by if kept else "",
            why=kept.why if kept else "",
            at=kept.at if kept else None,
            until=kept.waived_until if kept else None,
            clean=check.clean(),
            says=check.words(),
            import_limit_kw=item.site.import_limit_kw,
            short=tuple(ShortView(vehicle_id=name, kwh=kwh) for name, kwh in check.short_kwh.items()),
            quarters=tuple(QuarterView(worst_load_kw=a, defaults_kw=b, over_kw=c) for a, b, c in rows),
        )

    async def commission(self, request: CommissionSite, now: dt.datetime) -> Receipt:
        """Record that the check is clean, or the waiver of what is not. Raises ``Refused`` for neither."""
        item = self._site(request.site_id)
        check, until = self._checks[item.site.id], request.waive_until
        if not check.clean():
            if until is None or not request.why.strip():
                raise Refused(
                    f"{item.site.name} cannot be left to its fallback: {check.words()}",
                    where=item.site.id,
                    remedy="Change limits, chargers or rosters; or waive it, with a reason and until when",
                )
            if until.tzinfo is None or not now < until <= now + WAIVER_MAX:
                raise Refused("a waiver's end", got=until.isoformat(), expected="ahead, with a zone, within 90 days")
        elif until is not None:
            raise Refused("nothing is to be waived", where=item.site.id, remedy="Commission it without a waiver")
        await self._inbox.record(
            [
                f.SiteCommissioned(
                    at=now,
                    site_id=item.site.id,
                    by=request.by,
                    digest=check.digest,
                    over_kw=max(check.over_kw),
                    short_kwh=check.short_kwh,
                    waived_until=until,
                    why=request.why[:WHY_MAX_CHARS],
                )
            ]
        )
        if until is None:
            said = f"{item.site.name} is commissioned: service and routes hold on its fallback."
        else:
            said = f"{item.site.name} may discharge until {iso(until)}, although {check.words()}."
        return Receipt(accepted=True, detail=said)

    def _site(self, site_id: str) -> SiteImage:
        item = self._image.sites.get(SiteId(site_id))
        if item is None:
            raise Refused("no such site", got=site_id, remedy="Look at the list of sites")
        return item
