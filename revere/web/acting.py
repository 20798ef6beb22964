"""What people may do: stop and release discharge, set a departure, look after alarms and stations."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
import structlog
from litestar import post, put
from litestar.exceptions import PermissionDeniedException, ValidationException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import JSONBody

from revere.control.desk import (
    AcceptCharger,
    AcknowledgeAlarm,
    Ask,
    CommissionSite,
    Desk,
    LiftLock,
    OrderStation,
    Receipt,
    ReleaseDischarge,
    SetDeparture,
    SetLock,
    StopDischarge,
    TellStation,
)
from revere.core.errors import Refused
from revere.core.orders import Order
from revere.web.gate import COMMAND_LINE, Asked, open_to
from revere.web.reading import Id, current, find_site, find_station, find_vehicle

DEPARTURE_DAYS_MAX = 14

ShortId = Annotated[str, msgspec.Meta(min_length=1, max_length=48)]
Reason = Annotated[str, msgspec.Meta(min_length=3, max_length=200)]
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]

log = structlog.get_logger("revere.web")


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what comes in: unknown fields are refused."""


class StopForm(Form, frozen=True, kw_only=True):
    """Stop everywhere, or at one site. No reason is asked: stopping must be quick."""

    site_id: ShortId | None = None
    why: Annotated[str, msgspec.Meta(max_length=200)] = ""


class ReleaseForm(Form, frozen=True, kw_only=True):
    """Lift the stop, with a reason."""

    why: Reason
    site_id: ShortId | None = None


class LockForm(Form, frozen=True, kw_only=True):
    """Set or lift a lock, with a reason."""

    why: Reason


class CommissionForm(Form, frozen=True, kw_only=True):
    """Nothing where the check is clean; else until when the site may discharge all the same, and why."""

    waive_until: Moment | None = None
    why: Annotated[str, msgspec.Meta(max_length=200)] = ""


class DepartureForm(Form, frozen=True, kw_only=True):
    """Ready when, and how full (0 to 1)."""

    departs: Moment
    soc_required: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class ChargerForm(Form, frozen=True, kw_only=True):
    """The serial number on the charger; empty for one that has none."""

    serial: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[ -~]*$")]


class AlarmForm(Form, frozen=True, kw_only=True):
    """Which alarm, by its key in the picture."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]


async def put_to(desk: Desk, request: Ask) -> Receipt:
    """Ask the desk; an answer that declines becomes ``Refused`` (409)."""
    receipt = await desk.ask(request)
    log.info("asked", kind=type(request).__name__, by=request.by, accepted=receipt.accepted)
    if not receipt.accepted:
        raise Refused(receipt.detail, remedy=f"Reference {receipt.reference}" if receipt.reference else "")
    return receipt


def discharge_routes(desk: Desk) -> list[BaseRouteHandler]:
    """Stopping never needs two people; a release is the operator's and needs a reason."""

    @post(
        "/api/v1/discharge/stop",
        status_code=200,
        opt=open_to("operator", "site_manager", "resident"),
        summary="Stop all discharge, everywhere or at one site",
    )
    async def stop_discharge(request: Asked, data: JSONBody[StopForm]) -> Receipt:
        """Operators anywhere; site managers and residents at their own site, which they must name."""
        person = request.user
        if data.site_id is None and not person.sees_all:
            raise PermissionDeniedException("Name your site: only an operator stops the whole programme.")
        if data.site_id is not None:
            find_site(current(desk), data.site_id, person)
        return await put_to(desk, StopDischarge(by=person.name, why=data.why, site_id=data.site_id))

    @post(
        "/api/v1/discharge/release",
        status_code=200,
        opt=open_to("operator"),
        summary="Lift a stop",
    )
    async def release_discharge(request: Asked, data: JSONBody[ReleaseForm]) -> Receipt:
        """Needs a reason, which goes into the journal."""
        if data.site_id is not None:
            find_site(current(desk), data.site_id, request.user)
        return await put_to(desk, ReleaseDischarge(by=request.user.name, why=data.why, site_id=data.site_id))

    return [stop_discharge, release_discharge]


def programme_routes(desk: Desk) -> list[BaseRouteHandler]:
    """Departures, alarms and exchanged chargers."""

    @put(
        "/api/v1/vehicles/{vehicle_id:str}/departure",
        opt=open_to("operator", "site_manager", "resident"),
        summary="Have a vehicle ready by a time",
    )
    async def set_departure(request: Asked, vehicle_id: Id, data: JSONBody[DepartureForm]) -> Receipt:
        """A hard floor above every grid event. If it cannot be met, the answer says by how much."""
        view = current(desk)
        find_vehicle(view, vehicle_id, request.user)
        departs = data.departs.astimezone(dt.UTC)
        if not view.now < departs <= view.now + dt.timedelta(days=DEPARTURE_DAYS_MAX):
            raise ValidationException(f"departs must lie within the next {DEPARTURE_DAYS_MAX} days")
        asked = SetDeparture(
            vehicle_id=vehicle_id, departs=departs, soc_required=data.soc_required, by=request.user.name
        )
        return await put_to(desk, asked)

    @post(
        "/api/v1/alarms/acknowledge",
        status_code=200,
        opt=open_to("operator"),
        summary="Say that an alarm was seen",
    )
    async def acknowledge_alarm(request: Asked, data: JSONBody[AlarmForm]) -> Receipt:
        """Journaled with the person's name. What a station tells once ends with it; a state stays, marked."""
        return await put_to(desk, AcknowledgeAlarm(key=data.key, by=request.user.name))

    @post(
        "/api/v1/stations/{station_id:str}/charger",
        status_code=200,
        opt=open_to("operator"),
        summary="Take an exchanged charger for the right one",
    )
    async def accept_charger(request: Asked, station_id: Id, data: JSONBody[ChargerForm]) -> Receipt:
        """Journaled with the person's name. Until then it charges by its fallback and is not commanded."""
        return await put_to(desk, AcceptCharger(station_id=station_id, serial=data.serial, by=request.user.name))

    return [set_departure, acknowledge_alarm, accept_charger]


def station_routes(desk: Desk) -> list[BaseRouteHandler]:
    """One station by hand. Each order is journaled with the person's name."""

    @post(
        "/api/v1/stations/{station_id:str}/start",
        status_code=200,
        opt=open_to("operator"),
        summary="Start a session for the station's own vehicle",
    )
    async def start_session(request: Asked, station_id: Id) -> Receipt:
        """409 with the station's reason where it declines."""
        return await put_to(desk, TellStation(station_id=station_id, action="start", by=request.user.name))

    @post(
        "/api/v1/stations/{station_id:str}/stop",
        status_code=200,
        opt=open_to("operator"),
        summary="End the station's session",
    )
    async def stop_session(request: Asked, station_id: Id) -> Receipt:
        """The vehicle stays plugged and gets and gives nothing until the next session."""
        return await put_to(desk, TellStation(station_id=station_id, action="stop", by=request.user.name))

    @post(
        "/api/v1/stations/{station_id:str}/clear",
        status_code=200,
        opt=open_to("operator"),
        summary="Clear our profile at the station",
    )
    async def clear_profile(request: Asked, station_id: Id) -> Receipt:
        """For a station that follows something strange: its default holds, and the next tick puts a new profile."""
        return await put_to(desk, TellStation(station_id=station_id, action="clear", by=request.user.name))

    @post(
        "/api/v1/stations/{station_id:str}/secret",
        status_code=200,
        opt=open_to("operator"),
        summary="Give the station a new secret",
    )
    async def renew_secret(request: Asked, station_id: Id) -> Receipt:
        """Nobody sees it but the station. The old one opens the door until the station has come in with the new one."""
        return await put_to(desk, TellStation(station_id=station_id, action="secret", by=request.user.name))

    @post(
        "/api/v1/stations/{station_id:str}/certificate/revoke",
        status_code=200,
        opt=open_to("operator"),
        summary="Revoke the station's certificates",
    )
    async def revoke_certificate(request: Asked, station_id: Id) -> Receipt:
        """None that was made until now lets the station in; an open connection is closed. Give it a newer one."""
        return await put_to(desk, TellStation(station_id=station_id, action="revoke", by=request.user.name))

    @post(
        "/api/v1/stations/{station_id:str}/orders",
        status_code=200,
        opt=open_to("operator"),
        summary="Give a station an order",
    )
    async def order_station(request: Asked, station_id: Id, data: JSONBody[Order]) -> Receipt:
        """`kind` says which; the receipt has what the station told. 409 with its reason where it declines."""
        return await put_to(desk, OrderStation(station_id=station_id, order=data, by=request.user.name))

    return [start_session, stop_session, clear_profile, renew_secret, revoke_certificate, order_station]


def lock_routes(desk: Desk) -> list[BaseRouteHandler]:
    """A technician's lock on a station or a site, which takes another person to lift; a site's commissioning."""

    @post("/api/v1/stations/{station_id:str}/lock", status_code=200, opt=open_to("operator"), summary="Lock a station")
    async def lock_station(request: Asked, station_id: Id, data: JSONBody[LockForm]) -> Receipt:
        """0 kW, then nothing but a stop reaches it. The answer says whether its meter shows that it rests."""
        find_station(current(desk), station_id, request.user)
        return await put_to(desk, SetLock(by=request.user.name, why=data.why, station_id=station_id))

    @post(
        "/api/v1/stations/{station_id:str}/unlock",
        status_code=200,
        opt=open_to("operator"),
        summary="Lift a station's lock",
    )
    async def unlock_station(request: Asked, station_id: Id, data: JSONBody[LockForm]) -> Receipt:
        """By another person than the one who set it."""
        find_station(current(desk), station_id, request.user)
        return await put_to(desk, LiftLock(by=_named(request), why=data.why, station_id=station_id))

    @post("/api/v1/sites/{site_id:str}/lock", status_code=200, opt=open_to("operator"), summary="Lock a site")
    async def lock_site(request: Asked, site_id: Id, data: JSONBody[LockForm]) -> Receipt:
        """All its stations: 0 kW, then nothing but a stop reaches them."""
        find_site(current(desk), site_id, request.user)
        return await put_to(desk, SetLock(by=request.user.name, why=data.why, site_id=site_id))

    @post("/api/v1/sites/{site_id:str}/unlock", status_code=200, opt=open_to("operator"), summary="Lift a site's lock")
    async def unlock_site(request: Asked, site_id: Id, data: JSONBody[LockForm]) -> Receipt:
        """By another person than the one who set it. Stations that are locked one by one stay so."""
        find_site(current(desk), site_id, request.user)
        return await put_to(desk, LiftLock(by=_named(request), why=data.why, site_id=site_id))

    @post(
        "/api/v1/sites/{site_id:str}/commissioning",
        status_code=200,
        opt=open_to("operator"),
        summary="Commission a site",
    )
    async def commission_site(request: Asked, site_id: Id, data: JSONBody[CommissionForm]) -> Receipt:
        """Until then it is not discharged. 409 with what does not hold on its fallback, where nobody waives that."""
        find_site(current(desk), site_id, request.user)
        until = None if data.waive_until is None else data.waive_until.astimezone(dt.UTC)
        asked = CommissionSite(site_id=site_id, by=request.user.name, waive_until=until, why=data.why)
        return await put_to(desk, asked)

    return [lock_station, unlock_station, lock_site, unlock_site, commission_site]


def _named(request: Asked) -> str:
    """Who asks, where it takes a person: whoever sits at the server's command line may be the one who locked."""
    name = request.user.name
    if name == COMMAND_LINE:
        raise PermissionDeniedException(
            "Lifting a lock takes a named person: use the console, or REVERE_TOKEN with a token of yours."
        )
    return name
