"""What a person sees who looks into one station: read on control's loop, from the image, the link and the station."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from revere.control.view import ScheduleStep, ScheduleView, StationView
from revere.core.commands import SCHEDULE_READ_S
from revere.core.errors import Refused
from revere.core.ids import StationId

if TYPE_CHECKING:
    from revere.control.heart import Heart
    from revere.control.image import EvseImage
    from revere.core.device_model import DeviceVariable
    from revere.core.portrait import FrameShown

ASKED_AGAIN_AFTER = dt.timedelta(seconds=10)
"""A page that is looked at by many asks the station for its schedule no more often than this."""
SCHEDULE_HORIZON = dt.timedelta(hours=24)
FALLBACK_STEP = dt.timedelta(minutes=15)


class Looking:
    """Answers for the station's page. Nothing here changes anything; ``schedule`` asks the station."""

    def __init__(self, heart: Heart) -> None:
        self._heart = heart
        self._schedules: dict[str, ScheduleView] = {}

    def _evse(self, station_id: str) -> EvseImage:
        found = self._heart.image.stations_of(StationId(station_id))
        if not found:
            raise Refused("no such station", got=station_id, remedy="Look at the list of stations")
        return found[0]

    async def station(self, station_id: str) -> StationView:
        """What is known of it beyond its row."""
        evse = self._evse(station_id)
        station, said = evse.station, self._heart.link.portrait(evse.station.id)
        known = evse.identity
        return StationView(
            station_id=station.id,
            vendor=known.vendor if known else station.vendor,
            model=known.model if known else station.model,
            serial=known.serial if known else station.serial,
            firmware=evse.firmware,
            stranger=evse.stranger.words() if evse.stranger else "",
            booted_at=evse.booted_at,
            registered_protocol=station.protocol,
            security_profile=station.security_profile,
            charge_kw=station.charge_kw,
            discharge_kw=station.discharge_kw,
            controllable=evse.controllable,
            gives=evse.discharges and station.discharge_kw > 0,
            charger_model=said.model,
            charger_model_why=said.model_why,
            way=said.way,
            profile_interval_s=said.profile_interval_s,
            certificate_ends=said.certificate_ends,
            connected_at=evse.back_at if evse.online else None,
            offline_at=None if evse.online else evse.offline_at,
            problems=evse.problems,
            operation_mode=evse.mode_told.mode if evse.mode_told else "",
            operation_mode_since=evse.mode_told.ts if evse.mode_told else None,
            variables=len(said.variables),
            told=self._heart.image.told.of(station.id),
        )

    async def variables(self, station_id: str) -> tuple[tuple[str, DeviceVariable], ...]:
        """Its device model by name."""
        return self._heart.link.portrait(self._evse(station_id).station.id).variables

    async def frames(self, station_id: str) -> tuple[FrameShown, ...]:
        """Its last messages."""
        return self._heart.link.frames(self._evse(station_id).station.id)

    async def schedule(self, station_id: str) -> ScheduleView:
        """What it says now, or said a moment ago, that it will follow in the next hour; its default beside it."""
        evse, now = self._evse(station_id), self._heart.clock.now()
        kept = self._schedules.get(station_id)
        if kept is not None and now - kept.asked_at < ASKED_AGAIN_AFTER:
            return kept
        steps = await self._heart.link.composite_limits_kw(evse.station.id, 1, SCHEDULE_READ_S)
        found = ScheduleView(
            asked_at=now,
            end=now + dt.timedelta(seconds=SCHEDULE_READ_S),
            steps=tuple(ScheduleStep(start=at, kw=round(kw, 3)) for at, kw in steps),
            fallback=self._fallback(evse, now),
        )
        self._schedules[station_id] = found
        return found

    def _fallback(self, evse: EvseImage, now: dt.datetime) -> tuple[ScheduleStep, ...]:
        """Its charge-only default over a day from now, where it changes."""
        steps: list[ScheduleStep] = []
        for quarter in range(SCHEDULE_HORIZON // FALLBACK_STEP):
            at = now + quarter * FALLBACK_STEP
            kw = self._heart.ticker.fallback_kw(evse.station.id, at)
            if not steps or steps[-1].kw != kw:
                steps.append(ScheduleStep(start=at, kw=kw))
        return tuple(steps)
