"""The utility: an OpenADR 3.1 VTN over HTTP on loopback, with a token endpoint and its own words.

It calls the scenario's event ``notice_hours`` ahead in plant time, and keeps every report that it gets.
Field names are those of the OpenADR 3.1.1 definition; nothing is shared with the control room's client.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from revere.core.time import at_local
from revere.twin.loop import TwinClock, sleep_until
from revere.twin.seeds import stream

if TYPE_CHECKING:
    from revere.core.scenario import Scenario

Payload = dict[str, Any]

CLIENT_ID: Final = "revere"
TOKEN_S: Final = 3_600
TOKENS_MAX: Final = 1_000
REPORTS_MAX: Final = 1_000
VENS_MAX: Final = 100
PAGE_MAX: Final = 50
BODY_MAX_BYTES: Final = 256 * 1024
IDLE_S: Final = 30 * 86_400.0
"""Idle HTTP connections live this long: a shorter time-out would only add timers to twin time."""


@dataclass(kw_only=True)
class Utility:
    """The VTN. ``url`` and ``client_secret`` are what a VEN is given; ``reports`` holds what it sent."""

    scenario: Scenario
    seed: int
    clock: TwinClock
    reports: list[Payload] = field(default_factory=list)
    events: dict[str, Payload] = field(default_factory=dict)
    vens: dict[str, Payload] = field(default_factory=dict)
    refused: int = 0

    def __post_init__(self) -> None:
        """Make the secret and the programs."""
        draw = stream(self.seed, "utility")
        self.client_id = CLIENT_ID
        self.client_secret = draw.bytes(20).hex()
        self._draw = draw
        self._tokens: dict[str, float] = {}
        self._runner: web.AppRunner | None = None
        self._calling: asyncio.Task[None] | None = None
        self.url = ""
        run = self.scenario.run
        names = sorted({program.openadr_program for program in self.scenario.fleet.programs})
        self.programs = {f"program-{i + 1}": self._program(f"program-{i + 1}", name) for i, name in enumerate(names)}
        by_name = {program["programName"]: key for key, program in self.programs.items()}
        ours = next(program for program in self.scenario.fleet.programs if program.id == run.program)
        self._program_id = by_name[ours.openadr_program]
        self.event_start = at_local(run.event_day, run.event_start, self.scenario.fleet.programme.zone)
        self.call_at = self.event_start - dt.timedelta(hours=run.notice_hours)
        if self.call_at <= self.clock.now():
            self._post_call()  # the notice went out before we began to look

    # ---- life ------------------------------------------------------------------------------------

    async def start(self) -> str:
        """Listen on a free loopback port and plan the call; returns the base URL. Twice is once."""
        if self._runner is not None:
            return self.url
        app = web.Application(client_max_size=BODY_MAX_BYTES, middlewares=[self._guard])
        app.router.add_get("/auth/server", self._server)
        app.router.add_post("/auth/token", self._token)
        app.router.add_get("/programs", self._get_programs)
        app.router.add_get("/programs/{id}", self._get_program)
        app.router.add_get("/events", self._get_events)
        app.router.add_get("/events/{id}", self._get_event)
        app.router.add_get("/vens", self._get_vens)
        app.router.add_post("/vens", self._post_ven)
        app.router.add_get("/reports", self._get_reports)
        app.router.add_post("/reports", self._post_report)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=IDLE_S, shutdown_timeout=0.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._calling = asyncio.create_task(self._call_in_time())
        return self.url

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.gather(self._calling, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _call_in_time(self) -> None:
        if self.clock.now() < self.call_at:
            await sleep_until(self.clock, self.call_at)
            self._post_call()

    def _post_call(self) -> None:
        run = self.scenario.run
        length, name = dt.timedelta(hours=run.event_hours), f"{run.program}-{run.event_day}"
        self.call(self.event_start, length, name=name, at=self.call_at)

    def call(self, start: dt.datetime, length: dt.timedelta, *, name: str, at: dt.datetime | None = None) -> str:
        """Post an event in the scenario's program now (or as of ``at``); returns its id."""
        event_id = f"event-{len(self.events) + 1}"
        self.events[event_id] = {
            **self._metadata(event_id, "EVENT", at),
            "programID": self._program_id,
            "eventName": name,
            "priority": 0,
            "targets": None,
            "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "SIMPLE"}],
            "reportDescriptors": [{"payloadType": "DEMAND", "readingType": "MEAN", "units": "KW"}],
            "intervalPeriod": {"start": _stamp(start), "duration": _duration(length), "randomizeStart": "PT0S"},
            "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}],
        }
        return event_id

    def change(self, event_id: str, start: dt.datetime, length: dt.timedelta) -> None:
        """Move an event; its modification time tells."""
        event = self.events[event_id]
        event["intervalPeriod"] = {**event["intervalPeriod"], "start": _stamp(start), "duration": _duration(length)}
        event["modificationDateTime"] = _stamp(self.clock.now())

    def cancel(self, event_id: str) -> None:
        """Take an event back: it is gone from the list, as OpenADR 3 says it."""
        del self.events[event_id]

    def _program(self, key: str, name: str) -> Payload:
        return {
            **self._metadata(key, "PROGRAM"),
            "programName": name,
            "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "SIMPLE"}],
            "targets": None,
        }

    def _metadata(self, key: str, kind: str, at: dt.datetime | None = None) -> Payload:
        now = _stamp(at or self.clock.now())
        return {"id": key, "createdDateTime": now, "modificationDateTime": now, "objectType": kind}

    # ---- who may ask -----------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.startswith("/auth/"):
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme != "Bearer" or self._tokens.get(token, -1.0) < self.clock.monotonic_s():
                return self._problem(403 if token else 401, "no valid token")
        response: web.StreamResponse = await handler(request)
        return response

    def _problem(self, status: int, title: str) -> web.Response:
        self.refused += 1
        body = msgspec.json.encode({"title": title, "status": status})
        return web.Response(status=status, body=body, content_type="application/problem+json")

    async def _server(self, _request: web.Request) -> web.Response:
        return _json({"tokenURL": f"{self.url}/auth/token"})

    async def _token(self, request: web.Request) -> web.Response:
        """OAuth2 client credentials, in the form or as Basic (RFC 6749, sections 2.3.1 and 4.4)."""
        form = await request.post()
        given_id, given_secret = str(form.get("client_id", "")), str(form.get("client_secret", ""))
        scheme, _, basic = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            try:
                given_id, _, given_secret = base64.b64decode(basic, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return self._oauth_error("invalid_client", 401)
        if form.get("grant_type") != "client_credentials":
            return self._oauth_error("unsupported_grant_type", 400)
        right = hmac.compare_digest(given_secret.encode(), self.client_secret.encode())
        if given_id != self.client_id or not right:
            return self._oauth_error("invalid_client", 401)
        now_s = self.clock.monotonic_s()
        self._tokens = {token: end_s for token, end_s in self._tokens.items() if end_s >= now_s}
        if len(self._tokens) >= TOKENS_MAX:
            return self._problem(429, "too many tokens")
        token = self._draw.bytes(24).hex()
        self._tokens[token] = now_s + TOKEN_S
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_S})

    def _oauth_error(self, code: str, status: int) -> web.Response:
        self.refused += 1
        return web.json_response({"error": code}, status=status)

    # ---- what is asked ---------------------------------------------------------------------------

    async def _get_programs(self, request: web.Request) -> web.Response:
        return self._page(request, list(self.programs.values()))

    async def _get_program(self, request: web.Request) -> web.Response:
        found = self.programs.get(request.match_info["id"])
        return _json(found) if found else self._problem(404, "no such program")

    async def _get_events(self, request: web.Request) -> web.Response:
        wanted = request.query.get("programID")
        return self._page(request, [e for e in self.events.values() if wanted in (None, e["programID"])])

    async def _get_event(self, request: web.Request) -> web.Response:
        found = self.events.get(request.match_info["id"])
        return _json(found) if found else self._problem(404, "no such event")

    async def _get_vens(self, request: web.Request) -> web.Response:
        wanted = request.query.get("venName")
        return self._page(request, [v for v in self.vens.values() if wanted in (None, v["venName"])])

    async def _post_ven(self, request: web.Request) -> web.Response:
        body = await self._body(request, ("objectType", "venName"))
        if isinstance(body, web.Response):
            return body
        if body["objectType"] != "VEN_VEN_REQUEST":
            return self._problem(400, "objectType must be VEN_VEN_REQUEST")
        if any(ven["venName"] == body["venName"] for ven in self.vens.values()):
            return self._problem(409, "venName is taken")
        if len(self.vens) >= VENS_MAX:
            return self._problem(429, "too many VENs")
        key = f"ven-{len(self.vens) + 1}"
        self.vens[key] = {**body, **self._metadata(key, "VEN"), "clientID": self.client_id, "targets": []}
        return _json(self.vens[key], status=201)

    async def _get_reports(self, request: web.Request) -> web.Response:
        wanted = request.query.get("eventID")
        return self._page(request, [r for r in self.reports if wanted in (None, r["eventID"])])

    async def _post_report(self, request: web.Request) -> web.Response:
        body = await self._body(request, ("eventID", "clientName", "resources"))
        if isinstance(body, web.Response):
            return body
        if body["eventID"] not in self.events:
            return self._problem(404, "no such event")
        for resource in body["resources"]:
            if not {"resourceName", "intervals"} <= set(resource):
                return self._problem(400, "a resource needs resourceName and intervals")
        name, event_id = body.get("reportName"), body["eventID"]
        if name is not None and any((r.get("reportName"), r["eventID"]) == (name, event_id) for r in self.reports):
            return self._problem(409, "reportName is taken")
        if len(self.reports) >= REPORTS_MAX:
            return self._problem(429, "too many reports")
        key = f"report-{len(self.reports) + 1}"
        report = {**body, **self._metadata(key, "REPORT"), "clientID": self.client_id}
        self.reports.append(report)
        return _json(report, status=201)

    async def _body(self, request: web.Request, required: tuple[str, ...]) -> Payload | web.Response:
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, Any])
        except msgspec.DecodeError as error:
            return self._problem(400, f"not a JSON object: {error}")
        missing = [name for name in required if name not in body]
        return self._problem(400, f"missing: {', '.join(missing)}") if missing else body

    def _page(self, request: web.Request, rows: list[Payload]) -> web.Response:
        try:
            skip, limit = int(request.query.get("skip", 0)), int(request.query.get("limit", PAGE_MAX))
        except ValueError:
            return self._problem(400, "skip and limit are whole numbers")
        if skip < 0 or not 0 <= limit <= PAGE_MAX:
            return self._problem(400, f"skip from 0, limit from 0 to {PAGE_MAX}")
        return _json(rows[skip : skip + limit])


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(length: dt.timedelta) -> str:
    seconds = round(length.total_seconds())
    assert seconds > 0, length
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value]
    return "PT" + "".join(parts)
