"""One station in depth: who it is, what it was told and did, its variables, schedule, frames, security events."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter

from revere.control.desk import Desk
from revere.control.view import AlarmView, CommissioningView, ScheduleView, StationRow, StationView
from revere.core.device_model import DeviceVariable
from revere.core.portrait import FrameShown
from revere.web.gate import Asked, open_to
from revere.web.ports import History, SecurityRow
from revere.web.reading import Id, current, find_site, find_station

LOOKERS = open_to("operator", "auditor", "site_manager")


class StationPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A station now: its row of the picture, what is known of it, its open alarms."""

    now: dt.datetime
    zone: str
    site: str
    row: StationRow
    station: StationView
    alarms: tuple[AlarmView, ...]


class VariableRow(msgspec.Struct, frozen=True, kw_only=True):
    """One variable of the device model, as the station told it last, in its own words.

    ``value`` and ``target`` are null where it has told none; ``least`` and ``most`` bound what may be set.
    """

    name: str
    value: str | None
    target: str | None = None
    access: str = ""
    data_type: str = ""
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: str = ""


def _variable(name: str, row: DeviceVariable) -> VariableRow:
    return VariableRow(name=name, value=row.value, target=row.target, **msgspec.structs.asdict(row.kind))


class VariableList(msgspec.Struct, frozen=True, kw_only=True):
    """A station's device model, by name."""

    variables: tuple[VariableRow, ...]


class FrameList(msgspec.Struct, frozen=True, kw_only=True):
    """A station's last messages, the newest first."""

    frames: tuple[FrameShown, ...]


class SecurityList(msgspec.Struct, frozen=True, kw_only=True):
    """A station's security events, the newest first."""

    events: tuple[SecurityRow, ...]


def inspection_routes(desk: Desk, history: History) -> list[BaseRouteHandler]:
    """Each finds the station among the asker's own first: 404 for another's, as for none."""

    @get("/api/v1/stations/{station_id:str}", opt=LOOKERS, summary="One station now")
    async def station(request: Asked, station_id: Id) -> StationPicture:
        """Who it is and why it is taken for that, what it was told, what it said, what its meter proved."""
        view = current(desk)
        row = find_station(view, station_id, request.user)
        return StationPicture(
            now=view.now,
            zone=view.zone,
            site=next((site.name for site in view.sites if site.site_id == row.site_id), row.site_id),
            row=row,
            station=await desk.station(station_id),
            alarms=tuple(alarm for alarm in view.alarms if alarm.subject in (station_id, f"{station_id}/1")),
        )

    @get("/api/v1/stations/{station_id:str}/variables", opt=LOOKERS, summary="A station's device model")
    async def variables(
        request: Asked, station_id: Id, like: Annotated[str, QueryParameter(max_length=100)] = ""
    ) -> VariableList:
        """As it told it last; empty until it has since our start. The order `take-inventory` asks anew.

        `like` picks the variables in whose names it stands, case aside, such as `EVSE@1` or `interval`.
        """
        find_station(current(desk), station_id, request.user)
        found = await desk.variables(station_id)
        wanted = like.casefold()
        return VariableList(variables=tuple(_variable(name, row) for name, row in found if wanted in name.casefold()))

    @get(
        "/api/v1/stations/{station_id:str}/schedule",
        opt=open_to("operator", "site_manager"),
        summary="What a station says that it will follow",
    )
    async def schedule(request: Asked, station_id: Id) -> ScheduleView:
        """Asked of the station now (its composite schedule of the next hour), at most every 10 s."""
        find_station(current(desk), station_id, request.user)
        return await desk.schedule(station_id)

    @get("/api/v1/stations/{station_id:str}/security", opt=LOOKERS, summary="A station's security events")
    async def security(request: Asked, station_id: Id) -> SecurityList:
        """Of the last month: what it told, and what our door refused under its id."""
        find_station(current(desk), station_id, request.user)
        return SecurityList(events=tuple(await history.security_events(station_id)))

    @get("/api/v1/stations/{station_id:str}/frames", opt=open_to("operator"), summary="A station's last messages")
    async def frames(request: Asked, station_id: Id) -> FrameList:
        """At most 200, both ways, as they were on the wire; secrets, tokens and certificates are masked."""
        find_station(current(desk), station_id, request.user)
        return FrameList(frames=tuple(reversed(await desk.frames(station_id))))

    @get("/api/v1/sites/{site_id:str}/commissioning", opt=LOOKERS, summary="May a site be left to its fallback?")
    async def commissioning(request: Asked, site_id: Id) -> CommissioningView:
        """Its defaults and worst load in each quarter hour, the kWh that vehicles lack on them, what was decided."""
        find_site(current(desk), site_id, request.user)
        return await desk.commissioning(site_id)

    return [station, variables, schedule, security, frames, commissioning]
