"""A session in a mode of its own: allowed only where no trip, site or grid can suffer, ended as soon as one could.

::

    order ─▶ judged ─▶ stands ──────────────────────────────▶ its time is over
                          └▶ a stop, no proven grid, a lock, an old charge state, its floor, its departure: ended

While it stands no setpoint is followed there; its power is taken as its meter shows it. What it may still give until an
end reaches a station that has lost its line (the lease) is kept above the floor.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from revere.control.bounds import EFFICIENCY, RULES, may_give, power_bounds_kw
from revere.core import facts as f
from revere.core.errors import Refused
from revere.core.ids import CommandId, StationId
from revere.core.orders import kind_of
from revere.core.time import iso
from revere.core.v2x_orders import EndOperationMode, SetOperationMode, UsePriority, mode_range_kw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.control.event_image import EventImage
    from revere.control.image import EvseImage, Image
    from revere.control.scribe import Scribe
    from revere.control.sender import Sender
    from revere.control.ticker import Ticker
    from revere.core.orders import Order
    from revere.core.ports import ChargingLink
    from revere.core.time import Clock

AHEAD_MAX = dt.timedelta(hours=12)
AGAIN = dt.timedelta(seconds=15)
"""An end that a station did not take is asked again after this."""
LAPSED = dt.timedelta(minutes=2)
"""So long after its time a mode is over whether its station is heard or not: its profile ends by itself."""
SETTLES_S = 60.0
"""What a charge for a departure may be late by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an EVSE's energy stands between, kWh; None where its charge is not known."""

    energy_kwh: float | None
    floor_kwh: float
    barrier_kwh: float


def end_reason(image: Image, evse: EvseImage, mode: f.OperationModeSet, held: Standing, now: dt.datetime) -> str:
    """Why the mode may not stand (any longer), empty where it may."""
    if evse.locks:
        return "a technician's lock"
    if now >= mode.until:
        return "its time is over"
    if not evse.soc_fresh(now) or held.energy_kwh is None:
        return "the charge state is not known"
    if mode.discharge_max_kw > 0 and not may_give(image, image.sites[evse.station.site_id]):
        return "discharge is stopped, or the grid is not proven live"
    lost_kwh = mode.discharge_max_kw * RULES.lease_s / 3600 / EFFICIENCY
    if mode.discharge_max_kw > 0 and held.energy_kwh <= held.floor_kwh + lost_kwh:
        return "nothing is left above its floor"
    late_kwh = evse.station.charge_kw * SETTLES_S / 3600
    if held.energy_kwh <= held.barrier_kwh + lost_kwh + late_kwh:
        return "its vehicle must charge for its departure"
    return ""


class Modes:
    """Judges orders of a mode or of priority, and ends modes that may not stand any longer."""

    def __init__(
        self, image: Image, ticker: Ticker, link: ChargingLink, sender: Sender, scribe: Scribe, clock: Clock
    ) -> None:
        self._image = image
        self._ticker = ticker
        self._link = link
        self._sender = sender
        self._scribe = scribe
        self._clock = clock
        self._asked_at: dict[StationId, dt.datetime] = {}
        self._serial = 0

    def judge(self, evse: EvseImage, order: Order, events: Sequence[EventImage], now: dt.datetime) -> None:
        """Raise :class:`Refused` for an order that a trip, the site or the grid could suffer from."""
        if isinstance(order, UsePriority) and order.active:
            limit_kw = evse.station.charge_kw if order.charge_limit_kw is None else order.charge_limit_kw
            self._fits(evse, min(limit_kw, evse.station.charge_kw), 0.0)
        if not isinstance(order, SetOperationMode):
            return
        where = evse.station.id
        if evse.session_id is None or evse.vehicle is None:
            raise Refused("no session runs there", got=where)
        if order.until > now + AHEAD_MAX:
            raise Refused("a mode stands for 12 hours at most", got=iso(order.until), expected=iso(now + AHEAD_MAX))
        charge_kw, discharge_kw = mode_range_kw(order, evse.station.charge_kw, evse.station.discharge_kw)
        most_kw = power_bounds_kw(evse, evse.vehicle, now)[1]
        if discharge_kw > most_kw:
            raise Refused("more than the vehicle may give", where=where, got=f"{discharge_kw:g} kW", expected=most_kw)
        self._fits(evse, charge_kw, discharge_kw)
        asked = f.OperationModeSet(
            at=now,
            station_id=evse.station.id,
            evse_id=order.evse_id,
            session_id=evse.session_id,
            mode=order.mode,
            until=order.until,
            charge_max_kw=charge_kw,
            discharge_max_kw=discharge_kw,
        )
        why = end_reason(self._image, evse, asked, self._standing(evse, events, now), now)
        if why:
            raise Refused(f"the mode may not stand: {why}", where=where)

    def _fits(self, evse: EvseImage, charge_kw: float, discharge_kw: float) -> None:
        """With every other mode at the site, at its worst and beside the building's, within the site's limits."""
        site = self._image.sites[evse.station.site_id].site
        others = [e.mode for e in self._image.site_evses[site.id] if e is not evse and e.mode is not None]
        draws_kw = charge_kw + sum(mode.charge_max_kw for mode in others) + site.load_peak_kw
        gives_kw = discharge_kw + sum(mode.discharge_max_kw for mode in others)
        for what, kw, limit_kw in (
            ("draw", draws_kw, site.import_limit_kw),
            ("give", gives_kw, site.export_limit_kw),
        ):
            if kw > limit_kw and (charge_kw if what == "draw" else discharge_kw) > 0:
                raise Refused(
                    f"the site could {what} more than it may",
                    where=site.name,
                    got=f"{kw:g} kW with its building at its peak" if what == "draw" else f"{kw:g} kW",
                    expected=f"at most {limit_kw:g} kW",
                    remedy="Ask for less",
                )

    def _standing(self, evse: EvseImage, events: Sequence[EventImage], now: dt.datetime) -> Standing:
        bounds = self._ticker.bounds
        bounds.read(now, events, self._ticker.standing)
        row = self._ticker.assets.index(f.evse_asset(evse.station.id, 1))
        return Standing(
            energy_kwh=self._image.energy_kwh(evse),
            floor_kwh=float(bounds.floor_kwh[row]),
            barrier_kwh=float(bounds.barrier_kwh[row]),
        )

    def look(self, events: Sequence[EventImage], now: dt.datetime) -> None:
        """End the modes that may not stand any longer; ask again where a station has not taken its end."""
        for evse in self._image.evses.values():
            mode = evse.mode
            if mode is None or evse.lock_state() == "locked":  # at rest by its meter: nothing more is sent there
                continue
            why = end_reason(self._image, evse, mode, self._standing(evse, events, now), now)
            if now >= mode.until + LAPSED:
                self._scribe.write(
                    [f.OperationModeEnded(at=now, station_id=mode.station_id, evse_id=mode.evse_id, why=why)]
                )
            elif why and now - self._asked_at.get(mode.station_id, dt.datetime.min.replace(tzinfo=dt.UTC)) >= AGAIN:
                self._asked_at[mode.station_id] = now
                self._sender.chore(self._end(mode, why))

    async def _end(self, mode: f.OperationModeSet, why: str) -> None:
        order = EndOperationMode(evse_id=mode.evse_id)
        self._serial += 1
        answer = await self._link.carry_out(mode.station_id, order)
        self._scribe.write(
            [
                f.StationOrdered(
                    at=self._clock.now(),
                    command_id=CommandId(f"end-mode-{int(mode.at.timestamp())}-{self._serial}"),
                    station_id=mode.station_id,
                    kind=kind_of(order),
                    by="control",
                    status=answer.status,
                    why=f"{why}; {answer.why}".rstrip("; ")[:200],
                )
            ]
        )
