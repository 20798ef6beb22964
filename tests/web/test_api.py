"""What the API answers: figures, bounds, problems with their reference, headers, the schema."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from revere.control.desk import (
    AcceptCharger,
    AcknowledgeAlarm,
    CallEvent,
    ChangeCard,
    CommissionSite,
    LiftLock,
    OptEvent,
    OrderStation,
    ReleaseDischarge,
    SetDeparture,
    SetLock,
    StartCampaign,
    StopDischarge,
    TellCampaign,
    TellStation,
    WithdrawEvent,
)
from revere.control.view import ConsoleView
from revere.core.orders import ResetStation
from tests.web.conftest import Start, Web
from tests.web.fake_desk import END, START, FakeDesk

SOON = "2023-09-08T10:00:00Z"
DAY = "from=2023-09-07T00:00:00Z&to=2023-09-08T00:00:00Z"


def test_the_view_is_the_desks(web: Web) -> None:
    raw = web.client("operator").get("/api/v1/view").content
    assert msgspec.json.decode(raw, type=ConsoleView) == web.desk.view()


def test_the_public_figures_show_nobody(web: Web) -> None:
    answer = web.client().get("/api/v1/public")
    view = web.desk.view()
    assert view is not None
    figures = answer.json()
    assert figures["relief_kw"] == round(view.relief_kw, 1)
    assert figures["homes_equivalent"] == round(view.relief_kw * 0.3, 1)
    for word in ("home-01", "bus", "soc", "vehicle_id", "site"):
        assert word not in answer.text


def test_a_programme_of_one_home_is_not_published(start: Start) -> None:
    class OneHome(FakeDesk):
        def _build(self) -> ConsoleView:
            view = super()._build()
            return msgspec.structs.replace(view, sites=tuple(s for s in view.sites if s.kind == "home")[:4])

    web = start(OneHome())
    for path in ("/api/v1/public", "/api/v1/public/series", "/api/v1/live/public"):
        answer = web.client().get(path)
        assert answer.status_code == 404, path
        assert "household" in answer.json()["detail"]
    assert web.client("operator").get("/api/v1/view").status_code == 200


def test_before_the_first_tick(start: Start) -> None:
    web = start(FakeDesk(started=False))
    assert web.client().get("/api/v1/public").status_code == 503
    assert web.client("operator").get("/api/v1/view").status_code == 503
    assert web.client().get("/healthz").status_code == 503


def test_health_tells_a_lost_database(start: Start) -> None:
    web = start()
    assert web.client().get("/healthz").json() == {"status": "ok", "stale_s": 0.0}
    web.desk.database = "gone"
    web.desk.advance()
    assert web.client().get("/healthz").status_code == 503


def test_the_series(still: Web) -> None:
    series = still.client("analyst").get(f"/api/v1/series/fleet?{DAY}&step_s=3600").json()
    assert len(series["timestamps"]) == 24
    for power, baseline, relief in zip(series["power_kw"], series["baseline_kw"], series["relief_kw"], strict=True):
        assert relief == pytest.approx(baseline - power, abs=0.2)
    assert max(series["relief_kw"]) > 1000


def test_the_public_series_is_read_once_for_many(web: Web) -> None:
    bodies = {web.client().get("/api/v1/public/series").text for _ in range(5)}
    assert len(bodies) == 1
    assert web.history.reads == 1
    first = msgspec.json.decode(bodies.pop())["timestamps"][0]
    assert first == "2023-09-07T04:00:00Z"  # midnight in Massachusetts


@pytest.mark.parametrize(
    ("method", "path", "body", "asked"),
    [
        ("POST", "/api/v1/discharge/stop", {"why": "smoke"}, StopDischarge(by="some-operator", why="smoke")),
        (
            "POST",
            "/api/v1/discharge/release",
            {"why": "all clear"},
            ReleaseDischarge(by="some-operator", why="all clear"),
        ),
        (
            "PUT",
            "/api/v1/vehicles/boston-bus05/departure",
            {"departs": "2023-09-08T06:10:00-04:00", "soc_required": 0.8},
            SetDeparture(
                vehicle_id="boston-bus05",
                departs=dt.datetime(2023, 9, 8, 10, 10, tzinfo=dt.UTC),
                soc_required=0.8,
                by="some-operator",
            ),
        ),
        (
            "POST",
            "/api/v1/events",
            {"program_id": "cs-daily", "start": START.isoformat(), "end": END.isoformat()},
            CallEvent(program_id="cs-daily", start=START, end=END, by="some-operator"),
        ),
        (
            "POST",
            "/api/v1/events",
            {"program_id": "cs-daily", "start": START.isoformat(), "end": END.isoformat(), "drill": True},
            CallEvent(program_id="cs-daily", start=START, end=END, by="some-operator", drill=True),
        ),
        (
            "POST",
            "/api/v1/events/drill-1-1/withdraw",
            {"why": "wrong day"},
            WithdrawEvent(grid_event_id="drill-1-1", by="some-operator", why="wrong day"),
        ),
        (
            "POST",
            "/api/v1/events/event-of-next-week/opt",
            {"opt_in": True, "why": "buses are back"},
            OptEvent(grid_event_id="event-of-next-week", opt_in=True, by="some-operator", why="buses are back"),
        ),
        (
            "POST",
            "/api/v1/events/cs-2023-09-07/opt",
            {"opt_in": False, "why": "a drill"},
            OptEvent(grid_event_id="cs-2023-09-07", opt_in=False, by="some-operator", why="a drill"),
        ),
        (
            "POST",
            "/api/v1/alarms/acknowledge",
            {"key": "risk:boston-bus05"},
            AcknowledgeAlarm(key="risk:boston-bus05", by="some-operator"),
        ),
        *(
            (
                "POST",
                f"/api/v1/stations/beverly-cs01/{action}",
                None,
                TellStation(station_id="beverly-cs01", action=action, by="some-operator"),  # type: ignore[arg-type]
            )
            for action in ("start", "stop", "clear", "secret")
        ),
        (
            "POST",
            "/api/v1/stations/beverly-cs01/certificate/revoke",
            None,
            TellStation(station_id="beverly-cs01", action="revoke", by="some-operator"),
        ),
        (
            "POST",
            "/api/v1/stations/boston-cs05/charger",
            {"serial": "B2 "},
            AcceptCharger(station_id="boston-cs05", serial="B2 ", by="some-operator"),
        ),
        (
            "POST",
            "/api/v1/stations/boston-cs05/orders",
            {"kind": "reset-station", "when": "now", "evse_id": 1},
            OrderStation(station_id="boston-cs05", order=ResetStation(when="now", evse_id=1), by="some-operator"),
        ),
        (
            "POST",
            "/api/v1/campaigns",
            {"version": "2.0", "location": "https://files.example.org/m_2.0.bin", "stations": ["boston-cs05"]},
            StartCampaign(
                version="2.0",
                location="https://files.example.org/m_2.0.bin",
                by="some-operator",
                stations=("boston-cs05",),
            ),
        ),
        *(
            (
                "POST",
                f"/api/v1/campaigns/firmware-1-1/{order}",
                {"why": "wait"},
                TellCampaign(campaign_id="firmware-1-1", order=order, by="some-operator", why="wait"),  # type: ignore[arg-type]
            )
            for order in ("pause", "resume", "abort")
        ),
        (
            "POST",
            "/api/v1/cards",
            {"token": "0A1B", "action": "add", "until": "2027-01-01T18:00:00", "stations": ["boston-cs05"]},
            ChangeCard(
                by="some-operator",
                token="0A1B",
                action="add",
                until=dt.datetime.fromisoformat("2027-01-01T18:00"),
                stations=("boston-cs05",),
            ),
        ),
        (
            "POST",
            "/api/v1/sites/boston/commissioning",
            {"waive_until": SOON, "why": "new transformer in May"},
            CommissionSite(
                site_id="boston",
                by="some-operator",
                waive_until=dt.datetime(2023, 9, 8, 10, tzinfo=dt.UTC),
                why="new transformer in May",
            ),
        ),
        *(
            ("POST", f"/api/v1/{path}", {"why": "new cable"}, asked(by="some-operator", why="new cable", **where))
            for path, asked, where in (
                ("stations/boston-cs05/lock", SetLock, {"station_id": "boston-cs05"}),
                ("stations/boston-cs05/unlock", LiftLock, {"station_id": "boston-cs05"}),
                ("sites/boston/lock", SetLock, {"site_id": "boston"}),
                ("sites/boston/unlock", LiftLock, {"site_id": "boston"}),
            )
        ),
    ],
)
def test_what_is_asked_reaches_the_desk(
    web: Web, method: str, path: str, body: dict[str, Any] | None, asked: object
) -> None:
    answer = web.client("operator").request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] is True
    assert web.desk.asked == [asked]


def test_campaigns_are_listed_short_and_shown_whole(web: Web) -> None:
    client = web.client("operator")
    [listed] = client.get("/api/v1/campaigns").json()["campaigns"]
    assert (listed["campaign_id"], listed["passed"], listed["stations"]) == ("firmware-1-1", 1, [])
    shown = client.get("/api/v1/campaigns/firmware-1-1").json()
    assert [row["step"] for row in shown["stations"]] == ["passed", "waiting"]
    assert client.get("/api/v1/campaigns/firmware-2-1").status_code == 404


def test_a_desk_that_declines_is_a_409(web: Web) -> None:
    web.desk.refuse = "A technician's lock holds beverly-cs01."
    answer = web.client("operator").post("/api/v1/discharge/release", json={"why": "all clear"})
    assert answer.status_code == 409
    assert "technician's lock" in answer.json()["detail"]


MINE, THEIRS = "beverly-cs01", "boston-cs05"


@pytest.mark.parametrize("part", ["", "/variables", "/security", "/schedule"])
def test_a_site_manager_looks_into_the_stations_of_his_site_alone(web: Web, part: str) -> None:
    manager = web.client("site_manager")
    assert manager.get(f"/api/v1/stations/{MINE}{part}").status_code == 200
    theirs, none = (manager.get(f"/api/v1/stations/{name}{part}") for name in (THEIRS, "nowhere"))
    assert (theirs.status_code, none.status_code) == (404, 404)
    assert theirs.json()["detail"] == none.json()["detail"]


def test_a_device_model_is_told_with_its_kinds_and_asked_by_name(web: Web) -> None:
    path = f"/api/v1/stations/{MINE}/variables"
    whole = web.client("operator").get(path).json()["variables"]
    found = web.client("operator").get(path, params={"like": "txupdated"}).json()["variables"]
    assert (len(whole), len(found)) == (5, 1)
    assert found[0] == {
        "name": "SampledDataCtrlr.TxUpdatedInterval",
        "value": "10",
        "target": "60",
        "access": "ReadWrite",
        "data_type": "integer",
        "unit": "s",
        "least": 1.0,
        "most": 86_400.0,
        "choices": "",
    }
    assert web.client("operator").get(path, params={"like": "x" * 101}).status_code == 400


def test_a_stations_page_has_its_row_what_is_known_and_its_alarms(web: Web) -> None:
    found = web.client("operator").get(f"/api/v1/stations/{THEIRS}").json()
    assert (found["row"]["station_id"], found["site"]) == (THEIRS, "Boston Public Schools")
    assert found["row"]["locks"][0]["by"] == "ann"
    assert found["station"]["told"][0]["proof"] == "awaited"
    frames = web.client("operator").get(f"/api/v1/stations/{THEIRS}/frames").json()["frames"]
    assert frames[0]["at"] > frames[-1]["at"]


def test_a_station_that_does_not_say_what_it_follows_is_a_503(web: Web) -> None:
    answer = web.client("operator").get("/api/v1/stations/home-17-cs01/schedule")
    assert (answer.status_code, "not connected" in answer.json()["detail"]) == (503, True)


@pytest.mark.parametrize("place", ["stations/boston-cs05", "sites/boston"])
def test_the_command_line_locks_but_only_a_named_person_lifts(start: Start, place: str) -> None:
    """The same person could sit at both ends of it."""
    web = start(command_line="line")
    line = httpx.Client(base_url=web.base, headers={"Authorization": "Bearer line"})
    assert line.post(f"/api/v1/{place}/lock", json={"why": "new cable"}).status_code == 200
    answer = line.post(f"/api/v1/{place}/unlock", json={"why": "it is in"})
    assert (answer.status_code, "REVERE_TOKEN" in answer.json()["detail"]) == (403, True)
    assert len(web.desk.asked) == 1
    line.close()


BAD: list[tuple[str, str, Any]] = [
    ("POST", "/api/v1/discharge/stop", {"unknown": 1}),
    ("POST", "/api/v1/discharge/stop", {"why": "x" * 201}),
    ("POST", "/api/v1/discharge/stop", {"site_id": ""}),
    ("POST", "/api/v1/discharge/stop", []),
    ("POST", "/api/v1/discharge/release", {}),
    ("POST", "/api/v1/stations/boston-cs05/lock", {}),
    ("POST", "/api/v1/stations/boston-cs05/unlock", {"why": "no"}),
    ("POST", "/api/v1/discharge/release", {"why": "no"}),
    ("PUT", "/api/v1/vehicles/boston-bus05/departure", {"departs": SOON, "soc_required": 1.01}),
    ("PUT", "/api/v1/vehicles/boston-bus05/departure", {"departs": SOON, "soc_required": -0.1}),
    ("PUT", "/api/v1/vehicles/boston-bus05/departure", {"departs": "2023-09-08T10:00:00", "soc_required": 0.5}),
    ("PUT", "/api/v1/vehicles/boston-bus05/departure", {"departs": "2023-09-01T10:00:00Z", "soc_required": 0.5}),
    ("PUT", "/api/v1/vehicles/boston-bus05/departure", {"departs": "2024-09-08T10:00:00Z", "soc_required": 0.5}),
    ("POST", "/api/v1/events", {"program_id": "cs-daily", "start": END.isoformat(), "end": START.isoformat()}),
    ("POST", "/api/v1/events", {"program_id": "cs-daily", "start": SOON, "end": "2023-09-09T10:00:00Z"}),
    ("POST", "/api/v1/events", {"program_id": "<script>", "start": START.isoformat(), "end": END.isoformat()}),
    ("POST", "/api/v1/events/cs-2023-09-07/opt", {"opt_in": "yes", "why": "a drill"}),
    ("POST", "/api/v1/events/drill-1-1/withdraw", {"why": ""}),
    ("POST", "/api/v1/events", {"program_id": "cs-daily", "start": SOON, "end": SOON, "drill": "yes"}),
    ("POST", "/api/v1/stations/boston-cs05/charger", {"serial": "x" * 65}),
    ("POST", "/api/v1/stations/boston-cs05/charger", {"serial": "\u0000"}),
    ("GET", "/api/v1/series/fleet?from=2023-09-07T00:00:00Z&to=2023-09-06T00:00:00Z", None),
    ("GET", "/api/v1/series/fleet?from=2023-01-01T00:00:00Z&to=2023-09-06T00:00:00Z&step_s=86400", None),
    ("GET", "/api/v1/series/fleet?from=2023-09-06T00:00:00Z&to=2023-09-07T00:00:00Z&step_s=10", None),
    ("GET", "/api/v1/series/fleet?from=2023-09-06T00:00:00Z&to=2023-09-07T00:00:00Z&step_s=0", None),
    ("GET", "/api/v1/series/fleet?from=2023-09-06T00:00:00&to=2023-09-07T00:00:00Z", None),
    ("GET", "/api/v1/series/fleet?from=yesterday&to=now", None),
    ("GET", f"/api/v1/sites/{'x' * 49}", None),
    ("POST", "/api/v1/cards", {"token": "", "action": "block"}),
    ("POST", "/api/v1/cards", {"token": "0A1B", "action": "lend"}),
    ("POST", "/api/v1/campaigns", {"version": "", "location": "https://files.example.org/m.bin"}),
    ("POST", "/api/v1/campaigns", {"version": "2.0", "location": "https://files.example.org/a b"}),
    ("POST", "/api/v1/campaigns", {"version": "2.0", "location": "https://x.org/m", "signature": "%"}),
    ("POST", "/api/v1/campaigns/firmware-1-1/pause", {"why": "x" * 201}),
]


def test_a_call_in_the_past_is_told_with_both_times(still: Web) -> None:
    past = {"program_id": "cs-daily", "start": "2020-07-01T16:00:00-04:00", "end": "2020-07-01T19:00:00-04:00"}
    answer = still.client("operator").post("/api/v1/events", json=past)
    assert answer.status_code == 400
    said = answer.json()["detail"]
    assert said.startswith("the event must end ahead, within 14 days: got 2020-07-01T23:00:00")
    assert ", expected after 2023-09-07T" in said


@pytest.mark.parametrize(("method", "path", "body"), BAD, ids=range(len(BAD)))
def test_bad_input_is_a_problem_and_asks_nothing(still: Web, method: str, path: str, body: Any) -> None:
    reads = still.history.reads
    with capture_logs() as lines:
        answer = still.client("operator").request(method, path, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["reference"] in {line.get("reference") for line in lines}
    assert still.desk.asked == []
    assert still.history.reads == reads


def test_a_huge_body_is_refused(web: Web) -> None:
    answer = web.client("operator").post("/api/v1/discharge/stop", content=b'{"why":"' + b"x" * 70_000 + b'"}')
    assert answer.status_code == 413
    assert web.desk.asked == []


def test_our_own_fault_is_told_without_detail_and_logged_with_it(start: Start) -> None:
    class Broken(FakeDesk):
        async def ask(self, request: object) -> Any:
            raise ZeroDivisionError("the secret inside")

    web = start(Broken())
    with capture_logs() as lines:
        answer = web.client("operator").post("/api/v1/discharge/stop", json={})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    logged = [line for line in lines if line.get("reference") == answer.json()["reference"]]
    assert isinstance(logged[0]["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize("path", ["/", "/api/v1/public", "/api/v1/view", "/nothing", "/login/once?token=x", "/healthz"])
def test_every_answer_is_hardened(still: Web, path: str) -> None:
    headers = still.client().get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_schema(still: Web) -> None:
    schema = still.client().get("/api/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    undescribed = [
        f"{method} {path}"
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if not operation.get("summary") or not operation.get("description")
    ]
    assert undescribed == []
    assert "/api/v1/discharge/stop" in schema["paths"]
    assert not any(path.startswith("/operator") for path in schema["paths"])
