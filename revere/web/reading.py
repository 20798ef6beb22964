"""What people may read: the picture, one site, one vehicle, the past, statements. Nothing here changes anything."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException, ValidationException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from revere.control.desk import Desk
from revere.control.view import (
    AlarmView,
    ConsoleView,
    ReadinessRow,
    SiteRow,
    StationRow,
)
from revere.core.errors import Unavailable
from revere.core.time import floor_to, local
from revere.web.gate import PUBLIC, Asked, Gate, open_to
from revere.web.guide.shapes import HOMES_LEAST
from revere.web.live import Channel, LiveFeed
from revere.web.ports import ROLES, FleetSeries, History, Role, StatementView
from revere.web.public import PublicView, public_view, publishable
from revere.web.sessions import Principal
from revere.web.settings import (
    MAX_SERIES_DAYS,
    MAX_SERIES_POINTS,
    MAX_STATEMENTS,
    PUBLIC_SERIES_CACHE_S,
)

PUBLIC_STEP_S = 300
Id = Annotated[str, PathParameter(max_length=48)]
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who you are here, and what is yours."""

    name: str
    role: Role
    via: str
    sites: tuple[str, ...]
    vehicles: tuple[str, ...]


class SitePicture(msgspec.Struct, frozen=True, kw_only=True):
    """One site with its chargers and vehicles. A resident sees only their own vehicles."""

    now: dt.datetime
    zone: str
    site: SiteRow
    stations: tuple[StationRow, ...]
    readiness: tuple[ReadinessRow, ...]
    alarms: tuple[AlarmView, ...]


class VehiclePicture(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle: will it be ready, and why so."""

    now: dt.datetime
    zone: str
    vehicle: ReadinessRow


class StatementList(msgspec.Struct, frozen=True, kw_only=True):
    """Statements, newest first. ``expected`` is our figure, ``confirmed`` the utility's, ``paid`` the remittance.

    Where ``more`` is true, ask again with the last one's id as ``after``.
    """

    statements: tuple[StatementView, ...]
    more: bool


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the house is up: for probes; says nothing about anybody."""

    status: str
    stale_s: float | None


def current(desk: Desk) -> ConsoleView:
    """The picture, or ``Unavailable`` before the first tick."""
    view = desk.view()
    if view is None:
        raise Unavailable("the programme has not completed its first tick", remedy="Try again in a few seconds")
    return view


def public_picture(desk: Desk) -> PublicView:
    """The public part, or 404 for a handful of homes: every total would be somebody's own figure."""
    view = current(desk)
    if not publishable(view):
        raise NotFoundException(
            f"Fewer than {HOMES_LEAST} homes and nobody else take part: the figures would show a household."
        )
    return public_view(view)


def find_site(view: ConsoleView, site_id: str, person: Principal) -> SiteRow:
    """The site if it exists and is theirs; 404 for both otherwise, so that ids cannot be probed."""
    for site in view.sites:
        if site.site_id == site_id and person.sees_site(site_id):
            return site
    raise NotFoundException("No such site.")


def find_station(view: ConsoleView, station_id: str, person: Principal) -> StationRow:
    """The station if it exists and stands at a site of theirs; 404 for both otherwise."""
    for row in view.station_rows:
        if row.station_id == station_id and person.sees_site(row.site_id):
            return row
    raise NotFoundException("No such station.")


def find_vehicle(view: ConsoleView, vehicle_id: str, person: Principal) -> ReadinessRow:
    """The vehicle if it exists and is theirs; 404 for both otherwise."""
    for row in view.readiness:
        if row.vehicle_id == vehicle_id and person.sees_vehicle(vehicle_id, row.site_id):
            return row
    raise NotFoundException("No such vehicle.")


def site_picture(view: ConsoleView, site_id: str, person: Principal) -> SitePicture:
    """Everything about one site that the person may see."""
    site = find_site(view, site_id, person)
    stations = tuple(row for row in view.station_rows if row.site_id == site_id)
    subjects = {site_id, *(row.station_id for row in stations)}
    return SitePicture(
        now=view.now,
        zone=view.zone,
        site=site,
        stations=stations,
        readiness=tuple(
            row for row in view.readiness if row.site_id == site_id and person.sees_vehicle(row.vehicle_id, row.site_id)
        ),
        alarms=tuple(alarm for alarm in view.alarms if alarm.subject in subjects),
    )


def check_span(start: dt.datetime, end: dt.datetime, step_s: int) -> None:
    """Bound a series request before anything is read."""
    if start.tzinfo is None or end.tzinfo is None:
        raise ValidationException("from and to need a zone, as in 2023-09-07T16:00:00Z")
    if not start < end:
        raise ValidationException("from must be before to")
    if end - start > dt.timedelta(days=MAX_SERIES_DAYS):
        raise ValidationException(f"at most {MAX_SERIES_DAYS} days at once")
    if (end - start).total_seconds() / step_s > MAX_SERIES_POINTS:
        raise ValidationException(f"at most {MAX_SERIES_POINTS} points: widen step_s or shorten the span")


class PublicSeries:
    """Today's fleet power for everybody: read once per half minute however many people look."""

    def __init__(self, desk: Desk, history: History) -> None:
        self._desk = desk
        self._history = history
        self._lock = asyncio.Lock()
        self._cached: tuple[dt.datetime, float, FleetSeries] | None = None

    async def today(self) -> FleetSeries:
        """Five-minute means from local midnight until now."""
        picture = public_picture(self._desk)
        midnight = local(picture.now, picture.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        end = floor_to(picture.now, PUBLIC_STEP_S)
        start = min(midnight.astimezone(dt.UTC), end - dt.timedelta(seconds=PUBLIC_STEP_S))
        loop_s = asyncio.get_running_loop().time()
        async with self._lock:
            cached = self._cached
            if cached and (cached[0] == end or loop_s - cached[1] < PUBLIC_SERIES_CACHE_S) and cached[0] <= end:
                return cached[2]
            series = await self._history.fleet_series(start, end, PUBLIC_STEP_S, public=True)
            self._cached = (end, loop_s, series)
            return series


def public_routes(desk: Desk, history: History, feed: LiveFeed) -> list[BaseRouteHandler]:
    """Routes without a login."""
    today = PublicSeries(desk, history)

    @get("/api/v1/public", opt=PUBLIC, summary="What everybody may see")
    async def public() -> PublicView:
        """Programme totals only: no site of a home, no vehicle, no state of charge."""
        return public_picture(desk)

    @get("/api/v1/public/series", opt=PUBLIC, summary="The fleet's power today, 5-minute means")
    async def public_series() -> FleetSeries:
        """Power charging positive, relief positive to the grid, kW."""
        return await today.today()

    @get("/api/v1/live/public", opt=PUBLIC, media_type="text/event-stream", summary="The public figures, live")
    async def live_public(request: Asked) -> Stream:
        """Server-sent events ``view``, ``patch`` (changed fields) and ``heartbeat``."""
        public_picture(desk)
        return _stream(feed, feed.public, request, lambda: True)

    @get("/healthz", opt=PUBLIC, summary="Is the house up?")
    async def healthz() -> Response[Health]:
        """200 with how far the picture is behind, 503 before the first tick or with the database gone."""
        view = desk.view()
        well = view is not None and view.database == "ok"
        body = Health(status="ok" if well else "unwell", stale_s=view.stale_s if view else None)
        return Response(body, status_code=200 if well else 503)

    return [public, public_series, live_public, healthz]


def picture_routes(desk: Desk, feed: LiveFeed, gate: Gate) -> list[BaseRouteHandler]:
    """Routes that show the programme now."""

    @get("/api/v1/me", opt=open_to(*ROLES), summary="Who am I here?")
    async def me(request: Asked) -> Me:
        """Name, role and what is yours."""
        person = request.user
        return Me(name=person.name, role=person.role, via=person.via, sites=person.sites, vehicles=person.vehicles)

    @get("/api/v1/view", opt=open_to("operator", "auditor"), summary="The whole picture")
    async def view() -> ConsoleView:
        """The last tick's picture. Powers in kW, charging positive; relief positive to the grid."""
        return current(desk)

    @get(
        "/api/v1/live",
        opt=open_to("operator", "auditor"),
        media_type="text/event-stream",
        summary="The whole picture, live",
    )
    async def live(request: Asked) -> Stream:
        """Server-sent events ``view``, ``patch`` (changed fields) and ``heartbeat``."""
        person = request.user
        return _stream(feed, feed.console, request, lambda: gate.still_in(person))

    @get(
        "/api/v1/sites/{site_id:str}",
        opt=open_to("operator", "auditor", "site_manager", "resident"),
        summary="One site now",
    )
    async def site(request: Asked, site_id: Id) -> SitePicture:
        """404 for a site that is not yours."""
        return site_picture(current(desk), site_id, request.user)

    @get(
        "/api/v1/vehicles/{vehicle_id:str}",
        opt=open_to("operator", "auditor", "site_manager", "resident"),
        summary="One vehicle now",
    )
    async def vehicle(request: Asked, vehicle_id: Id) -> VehiclePicture:
        """404 for a vehicle that is not yours."""
        picture = current(desk)
        row = find_vehicle(picture, vehicle_id, request.user)
        return VehiclePicture(now=picture.now, zone=picture.zone, vehicle=row)

    return [me, view, live, site, vehicle]


def history_routes(history: History) -> list[BaseRouteHandler]:
    """Routes that show the past and the money."""

    @get(
        "/api/v1/series/fleet",
        opt=open_to("operator", "auditor", "analyst"),
        summary="The fleet's past in equal steps",
    )
    async def series_fleet(
        start: Annotated[Moment, QueryParameter(name="from", description="RFC 3339 with a zone")],
        end: Annotated[Moment, QueryParameter(name="to", description="RFC 3339 with a zone")],
        step_s: Annotated[int, QueryParameter(ge=10, le=86_400)] = 300,
    ) -> FleetSeries:
        """Means of ``[from, to)``; power charging positive, relief positive to the grid."""
        check_span(start, end, step_s)
        return await history.fleet_series(start.astimezone(dt.UTC), end.astimezone(dt.UTC), step_s)

    @get(
        "/api/v1/statements",
        opt=open_to("operator", "auditor", "site_manager", "resident"),
        summary="Statements, newest first",
    )
    async def statements(
        request: Asked,
        after: Annotated[str | None, QueryParameter(max_length=64, description="The last statement of a page")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_STATEMENTS)] = MAX_STATEMENTS,
    ) -> StatementList:
        """Only those of your own sites, unless your role sees the whole."""
        sites = None if request.user.sees_all else request.user.sites
        found = await history.statements(sites, after, limit + 1)
        return StatementList(statements=tuple(found[:limit]), more=len(found) > limit)

    @get(
        "/api/v1/statements/{statement_id:str}",
        opt=open_to("operator", "auditor", "site_manager", "resident"),
        summary="One statement with its lines",
    )
    async def statement(
        request: Asked,
        statement_id: Annotated[str, PathParameter(max_length=64)],
        after: Annotated[int, QueryParameter(ge=0, description="``more_after`` of the page before")] = 0,
    ) -> StatementView:
        """404 for a statement that is not yours. Up to 2,000 lines; ``more_after`` leads to the next."""
        found = await history.statement(statement_id, after)
        if found is None or not _owns(request.user, found):
            raise NotFoundException("No such statement.")
        return found

    return [series_fleet, statements, statement]


def _owns(person: Principal, statement: StatementView) -> bool:
    """All sites of a statement must be theirs: a shared one would show a neighbour."""
    return person.sees_all or (bool(statement.site_ids) and all(person.sees_site(s) for s in statement.site_ids))


def _stream(feed: LiveFeed, channel: Channel, request: Asked, still_in: Any) -> Stream:
    address = request.client.host if request.client else "unknown"
    feed.check_room(address)
    return Stream(
        feed.stream(channel, address, still_in),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
