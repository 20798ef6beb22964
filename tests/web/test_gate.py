"""Who may pass: every route × every role, cookies and their Origin, one's own sites and vehicles."""

from __future__ import annotations

import json

import pytest
from litestar.handlers.http_handlers import HTTPRouteHandler

from revere.web.app import create_app
from revere.web.gate import check_declared
from revere.web.ports import ROLES, Role
from revere.web.settings import WebSettings
from tests.web.conftest import Web
from tests.web.fake_desk import END, START, FakeAccounts, FakeDesk, FakeHistory, token_of

ALL = set(ROLES)
EYES: set[Role] = {"operator", "auditor"}
OWNERS: set[Role] = {"operator", "auditor", "site_manager", "resident"}
LOOKERS: set[Role] = {"operator", "auditor", "site_manager"}
ACTORS: set[Role] = {"operator", "site_manager", "resident"}
SPAN = "from=2023-09-07T00:00:00Z&to=2023-09-07T12:00:00Z"

# What the house decided, by hand: a new route fails the test until somebody decides about it here.
TABLE: dict[tuple[str, str], set[Role] | None] = {
    ("GET", "/"): None,
    ("GET", "/public"): None,
    ("GET", "/login"): None,
    ("GET", "/favicon.ico"): None,
    ("GET", "/healthz"): None,
    ("GET", "/api/openapi.json"): None,
    ("GET", "/api"): None,
    ("GET", "/api/{path:str}"): None,
    ("GET", "/api/v1/public"): None,
    ("GET", "/api/v1/public/series"): None,
    ("GET", "/api/v1/live/public"): None,
    ("POST", "/login"): None,
    ("GET", "/login/once"): None,
    ("POST", "/logout"): ALL,
    ("GET", "/operator"): EYES,
    ("GET", "/api/v1/me"): ALL,
    ("GET", "/api/v1/view"): EYES,
    ("GET", "/api/v1/live"): EYES,
    ("GET", "/api/v1/sites/{site_id:str}"): OWNERS,
    ("GET", "/api/v1/vehicles/{vehicle_id:str}"): OWNERS,
    ("GET", "/api/v1/series/fleet"): {"operator", "auditor", "analyst"},
    ("GET", "/api/v1/statements"): OWNERS,
    ("GET", "/api/v1/statements/{statement_id:str}"): OWNERS,
    ("POST", "/api/v1/discharge/stop"): ACTORS,
    ("POST", "/api/v1/discharge/release"): {"operator"},
    ("PUT", "/api/v1/vehicles/{vehicle_id:str}/departure"): ACTORS,
    ("POST", "/api/v1/events"): {"operator"},
    ("GET", "/api/v1/events"): EYES,
    ("POST", "/api/v1/events/{grid_event_id:str}/opt"): {"operator"},
    ("POST", "/api/v1/events/{grid_event_id:str}/withdraw"): {"operator"},
    ("POST", "/api/v1/alarms/acknowledge"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/start"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/stop"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/clear"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/secret"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/certificate/revoke"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/charger"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/orders"): {"operator"},
    ("GET", "/stations/{station_id:str}"): LOOKERS,
    ("GET", "/api/v1/stations/{station_id:str}"): LOOKERS,
    ("GET", "/api/v1/stations/{station_id:str}/variables"): LOOKERS,
    ("GET", "/api/v1/stations/{station_id:str}/security"): LOOKERS,
    ("GET", "/api/v1/stations/{station_id:str}/schedule"): {"operator", "site_manager"},
    ("GET", "/api/v1/stations/{station_id:str}/frames"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/lock"): {"operator"},
    ("POST", "/api/v1/stations/{station_id:str}/unlock"): {"operator"},
    ("GET", "/api/v1/sites/{site_id:str}/commissioning"): LOOKERS,
    ("POST", "/api/v1/sites/{site_id:str}/commissioning"): {"operator"},
    ("POST", "/api/v1/sites/{site_id:str}/lock"): {"operator"},
    ("POST", "/api/v1/sites/{site_id:str}/unlock"): {"operator"},
    ("GET", "/api/v1/campaigns"): EYES,
    ("GET", "/api/v1/campaigns/{campaign_id:str}"): EYES,
    ("POST", "/api/v1/campaigns"): {"operator"},
    ("POST", "/api/v1/cards"): {"operator"},
    ("POST", "/api/v1/campaigns/{campaign_id:str}/pause"): {"operator"},
    ("POST", "/api/v1/campaigns/{campaign_id:str}/resume"): {"operator"},
    ("POST", "/api/v1/campaigns/{campaign_id:str}/abort"): {"operator"},
}
PAGES = {"/operator", "/stations/{station_id:str}"}
FILL = {
    "{site_id:str}": "beverly",
    "{station_id:str}": "beverly-cs01",
    "{vehicle_id:str}": "beverly-bus01",
    "{statement_id:str}": "p-beverly:2023-09",
    "{grid_event_id:str}": "cs-2023-09-07",
    "{campaign_id:str}": "firmware-1-1",
    "{path:str}": "nothing",
}
BODIES = {
    "/login": {"name": "x", "password": "y"},
    "/api/v1/discharge/stop": {"site_id": "beverly"},
    "/api/v1/discharge/release": {"why": "checked by phone"},
    "/api/v1/vehicles/{vehicle_id:str}/departure": {"departs": "2023-09-08T10:00:00Z", "soc_required": 0.8},
    "/api/v1/events": {"program_id": "cs-daily", "start": START.isoformat(), "end": END.isoformat()},
    "/api/v1/events/{grid_event_id:str}/opt": {"opt_in": False, "why": "a drill"},
    "/api/v1/events/{grid_event_id:str}/withdraw": {"why": "wrong day"},
    "/api/v1/alarms/acknowledge": {"key": "risk:boston-bus05"},
    "/api/v1/stations/{station_id:str}/charger": {"serial": "B2"},
    "/api/v1/stations/{station_id:str}/orders": {"kind": "clear-cache"},
    "/api/v1/stations/{station_id:str}/lock": {"why": "new cable"},
    "/api/v1/stations/{station_id:str}/unlock": {"why": "cable is in"},
    "/api/v1/sites/{site_id:str}/lock": {"why": "new cable"},
    "/api/v1/sites/{site_id:str}/unlock": {"why": "cable is in"},
    "/api/v1/cards": {"token": "0A1B", "action": "block"},
    "/api/v1/campaigns": {"version": "2.0", "location": "https://files.example.org/m.bin", "vendor": "V", "model": "M"},
    "/api/v1/campaigns/{campaign_id:str}/pause": {"why": "wait"},
    "/api/v1/campaigns/{campaign_id:str}/resume": {},
    "/api/v1/campaigns/{campaign_id:str}/abort": {"why": "enough"},
}


def _routes() -> set[tuple[str, str]]:
    app = create_app(FakeDesk(), FakeAccounts(ROLES), FakeHistory(), WebSettings())
    return {
        (method, route.path)
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
        if not route.path.startswith("/assets")
    }


def test_every_route_is_decided() -> None:
    assert _routes() == set(TABLE)


def _status(web: Web, method: str, path: str, role: Role | None) -> int:
    url = path
    for name, value in FILL.items():
        url = url.replace(name, value)
    query = {"/api/v1/series/fleet": f"?{SPAN}", "/login/once": "?token=none"}.get(path, "")
    body = json.dumps(BODIES.get(path, {})) if method != "GET" else None
    headers = {"Content-Type": "application/json"} if body else {}
    if role is None and method != "GET":
        headers["Origin"] = web.base
    with web.client(role).stream(method, url + query, content=body, headers=headers) as answer:
        return answer.status_code


@pytest.mark.parametrize("role", [None, *ROLES])
def test_route_by_role(web: Web, role: Role | None) -> None:
    wrong = []
    for (method, path), roles in sorted(TABLE.items()):
        status = _status(web, method, path, role)
        if roles is None:
            good = status != 403 and (status != 401 or path in {"/login", "/login/once"})
        elif role is None:
            good = status == (303 if path in PAGES else 401)
        elif role in roles:
            # A resident owns home 1, not Beverly: 404 says that the gate was passed and the scope was not.
            good = status < 300 or (status == 404 and role == "resident") or (status == 503 and path in PAGES)
        else:
            good = status == 403
        if not good:
            wrong.append(f"{role} {method} {path}: {status}")
    assert wrong == []


def test_a_route_without_declaration_stops_the_start() -> None:
    from litestar import Litestar, get

    @get("/open-by-mistake")
    async def open_by_mistake() -> None:
        return None

    with pytest.raises(AssertionError, match="open-by-mistake"):
        check_declared(Litestar([open_by_mistake], openapi_config=None))


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 403),
        ("https://elsewhere.example", 403),
        ("null", 403),
        ("http://127.0.0.1:1", 403),
        ("own", 200),
    ],
)
def test_a_cookie_needs_our_own_origin(web: Web, origin: str | None, status: int) -> None:
    client = web.signed_in()
    del client.headers["Origin"]
    headers = {} if origin is None else {"Origin": web.base if origin == "own" else origin}
    answer = client.post("/api/v1/discharge/stop", json={}, headers=headers)
    assert answer.status_code == status
    assert len(web.desk.asked) == (1 if status == 200 else 0)


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        ("site_manager", "/api/v1/sites/beverly", 200),
        ("site_manager", "/api/v1/sites/boston", 404),
        ("site_manager", "/api/v1/vehicles/beverly-bus01", 200),
        ("site_manager", "/api/v1/vehicles/boston-bus05", 404),
        ("resident", "/api/v1/sites/home-01", 200),
        ("resident", "/api/v1/sites/home-02", 404),
        ("resident", "/api/v1/vehicles/home-01-car01", 200),
        ("resident", "/api/v1/vehicles/home-02-car01", 404),
        ("resident", "/api/v1/vehicles/beverly-bus01", 404),
        ("site_manager", "/api/v1/statements/p-beverly:2023-09", 200),
        ("site_manager", "/api/v1/statements/p-home-01:2023-09", 404),
        ("resident", "/api/v1/statements/p-home-01:2023-09", 200),
        ("resident", "/api/v1/statements/p-beverly:2023-09", 404),
        ("auditor", "/api/v1/sites/home-02", 200),
    ],
)
def test_only_ones_own(still: Web, role: Role, path: str, status: int) -> None:
    answer = still.client(role).get(path)
    assert answer.status_code == status
    if status == 404:
        missing = still.client(role).get(path.rsplit("/", 1)[0] + "/no-such-thing")
        assert {**answer.json(), "reference": ""} == {**missing.json(), "reference": ""}


def test_lists_hold_only_ones_own(web: Web) -> None:
    found = {role: len(web.client(role).get("/api/v1/statements").json()["statements"]) for role in OWNERS}
    assert found == {"operator": 2, "auditor": 2, "site_manager": 1, "resident": 1}


@pytest.mark.parametrize(
    ("role", "body", "status"),
    [
        ("operator", {}, 200),
        ("operator", {"site_id": "boston"}, 200),
        ("operator", {"site_id": "nowhere"}, 404),
        ("site_manager", {}, 403),
        ("site_manager", {"site_id": "beverly"}, 200),
        ("site_manager", {"site_id": "boston"}, 404),
        ("resident", {"site_id": "home-01"}, 200),
        ("resident", {"site_id": "home-02"}, 404),
    ],
)
def test_who_stops_what(web: Web, role: Role, body: dict[str, str], status: int) -> None:
    answer = web.client(role).post("/api/v1/discharge/stop", json=body)
    assert answer.status_code == status
    assert [ask.by for ask in web.desk.asked] == ([f"some-{role}"] if status == 200 else [])


def test_stopping_works_while_the_store_is_away(web: Web) -> None:
    browser = web.signed_in()
    assert web.client("operator").get("/api/v1/me").status_code == 200
    web.accounts.gone = True
    web.clock.now_s += 3600
    assert browser.post("/api/v1/discharge/stop", json={}).status_code == 200
    script = web.client("operator")
    assert script.post("/api/v1/discharge/stop", json={}).status_code == 200
    stranger = web.client("auditor").get("/api/v1/me")
    assert (stranger.status_code, stranger.headers["content-type"]) == (503, "application/problem+json")


def test_a_removed_account_is_out_within_a_minute(web: Web) -> None:
    browser, script = web.signed_in(), web.client("operator")
    assert script.get("/api/v1/me").status_code == 200
    del web.accounts.users["some-operator"]
    web.clock.now_s += 61
    assert browser.get("/api/v1/me").status_code == 401
    assert script.get("/api/v1/me").status_code == 401


def test_an_unknown_token_is_nobody(web: Web) -> None:
    for token in ("wrong", "x" * 5000, token_of("operator") + "x"):
        answer = web.client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
