"""What the command line asks of the running server, by the same API as everybody."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import msgspec
from rich.table import Table
from rich.text import Text

from revere.app.running import find_running
from revere.core.errors import Refused, Unavailable
from revere.core.orders import Order
from revere.core.time import iso, local
from revere.web.calling import EventList

if TYPE_CHECKING:
    from pathlib import Path

ASK_S = 20.0
ANSWER_MAX_BYTES = 1024 * 1024
ORDERS_REMEDY = "docs/reference/orders.md lists the orders and their fields"
TOKEN_VARIABLE = "REVERE_TOKEN"  # noqa: S105  # a name


def call_event(folder: Path, program: str, start: dt.datetime, end: dt.datetime, *, drill: bool) -> str:
    """Record a GridEvent by hand, a call or a drill; returns the server's sentence."""
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise Refused(
                f"{name} has no zone",
                got=moment.isoformat(),
                expected="such as 2026-07-15T16:00-04:00",
                remedy="Add it",
            )
    body: dict[str, object] = {"program_id": program, "start": iso(start), "end": iso(end), "drill": drill}
    return detail(post(folder, "/api/v1/events", body))


def withdraw_event(folder: Path, grid_event_id: str, why: str) -> str:
    """Take a call by hand back; returns the server's sentence."""
    return detail(post(folder, f"/api/v1/events/{quote(grid_event_id, safe='')}/withdraw", {"why": why}))


def opt_event(folder: Path, grid_event_id: str, why: str, *, opt_in: bool) -> str:
    """Take part in an event or not; returns the server's sentence."""
    body: dict[str, object] = {"opt_in": opt_in, "why": why}
    return detail(post(folder, f"/api/v1/events/{quote(grid_event_id, safe='')}/opt", body))


def list_events(folder: Path) -> Table:
    """Calls ahead, under way and of the last week, as the server knows them."""
    found = msgspec.convert(get(folder, "/api/v1/events"), EventList)
    table = Table("event", "what", "program", f"from ({found.zone})", "to", "state", "answer", "promised", "given")
    for event in found.events:
        start, end = local(event.start, found.zone), local(event.end, found.zone)
        kind = "drill" if event.drill else "call"
        table.add_row(
            event.grid_event_id,
            f"{kind} by {event.called_by}",
            event.program_id,
            f"{start:%Y-%m-%d %H:%M}",
            f"{end:%H:%M}",
            Text(f"withdrawn by {event.cancelled_by}: {event.why}" if event.by_hand else "cancelled by the utility")
            if event.cancelled
            else event.phase,
            event.opt,
            "–" if event.nominated_kw is None else f"{event.nominated_kw:.0f} kW",
            "–" if event.performance_kw is None else f"{event.performance_kw:.0f} kW",
        )
    return table


def stop_discharge(folder: Path, site: str | None, why: str) -> str:
    """Stop discharge everywhere or at one site; returns the server's sentence."""
    if site is not None and not site.strip():
        raise Refused(
            "nothing was stopped: --site is empty",
            expected="a site's id",
            remedy="Name the site (`revere site list`), or leave --site out to stop everywhere",
        )
    return detail(post(folder, "/api/v1/discharge/stop", {"site_id": site, "why": why or "from the command line"}))


def accept_charger(folder: Path, station_id: str, serial: str) -> str:
    """Take the charger with this serial number for the station's own; returns the server's sentence."""
    return detail(post(folder, f"/api/v1/stations/{quote(station_id, safe='')}/charger", {"serial": serial}))


def renew_secret(folder: Path, station_id: str) -> str:
    """Have the running server give a connected station a new secret; returns the server's sentence."""
    return detail(post(folder, f"/api/v1/stations/{quote(station_id, safe='')}/secret", {}))


def revoke_certificate(folder: Path, station_id: str) -> str:
    """Let a station in by none of the certificates that it has; returns the server's sentence."""
    return detail(post(folder, f"/api/v1/stations/{quote(station_id, safe='')}/certificate/revoke", {}))


def order_station(folder: Path, station_id: str, kind: str, details: str) -> tuple[str, list[tuple[str, str]]]:
    """Give a station an order, ``details`` its fields as JSON; the server's sentence, what the station told."""
    try:
        fields = msgspec.json.decode(details or "{}", type=dict[str, Any])
        order = msgspec.convert({**fields, "kind": kind}, Order)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Refused(f"no such order: {error}", got=f"{kind} {details[:80]}".strip(), remedy=ORDERS_REMEDY) from error
    path = f"/api/v1/stations/{quote(station_id, safe='')}/orders"
    answer = post(folder, path, msgspec.to_builtins(order))
    return detail(answer), [(str(name), str(value)) for name, value in answer.get("details", [])]


def lock(folder: Path, places: str, place_id: str, why: str) -> str:
    """Lock a station or a site (``places``: stations, sites); returns the server's sentence."""
    return detail(post(folder, f"/api/v1/{places}/{quote(place_id, safe='')}/lock", {"why": why}))


def unlock(folder: Path, places: str, place_id: str, why: str) -> str:
    """Lift the locks that others set there, as the person whose token is in REVERE_TOKEN."""
    path = f"/api/v1/{places}/{quote(place_id, safe='')}/unlock"
    return detail(post(folder, path, {"why": why}, token=os.environ.get(TOKEN_VARIABLE, "")))


def commission(folder: Path, site_id: str, waive_until: dt.datetime | None, why: str) -> str:
    """Commission a site, or waive what does not hold there; returns the server's sentence."""
    if waive_until is not None and waive_until.tzinfo is None:
        raise Refused("waive-until has no zone", got=waive_until.isoformat(), expected="as in 2026-07-15T16:00-04:00")
    body: dict[str, object] = {"why": why}
    if waive_until is not None:
        body["waive_until"] = iso(waive_until)
    return detail(post(folder, f"/api/v1/sites/{quote(site_id, safe='')}/commissioning", body))


def site_ids(folder: Path) -> list[str]:
    """Every site of the running server."""
    return [str(site["site_id"]) for site in get(folder, "/api/v1/view")["sites"]]


def detail(answer: dict[str, Any]) -> str:
    """The server's sentence."""
    return str(answer.get("detail", answer))


def post(folder: Path, path: str, body: dict[str, object], token: str = "") -> dict[str, Any]:
    """Ask the server: as this machine's command line, or as the owner of ``token``."""
    return _asked(folder, path, body, token)


def get(folder: Path, path: str) -> dict[str, Any]:
    """Read from the server as this machine's command line."""
    return _asked(folder, path, None)


def _asked(folder: Path, path: str, body: dict[str, object] | None, token: str = "") -> dict[str, Any]:
    mark = find_running(folder)
    if mark is None:
        raise Unavailable(
            "no server runs over this state folder",
            where=str(folder),
            remedy="Start one with `revere serve`, or set REVERE_STATE to its folder",
        )
    return asyncio.run(_ask(mark.web_url + path, token or mark.token, body))


async def _ask(url: str, token: str, body: dict[str, object] | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as session,
            session.request("GET" if body is None else "POST", url, json=body, headers=headers) as response,
        ):
            raw = b""
            while chunk := await response.content.read(ANSWER_MAX_BYTES - len(raw)):
                raw += chunk
            answer: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any]) if raw else {}
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise Unavailable("the server did not answer", where=url, got=str(error) or type(error).__name__) from error
    if response.status >= 400:
        raise Refused(
            str(answer.get("detail") or answer.get("title") or response.reason), where=url, got=response.status
        )
    return answer
