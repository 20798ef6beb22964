"""The VEN against a small VTN on a loopback socket, in twin time: token, paging, changes, faults, reports."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from revere.core.errors import RevereError, Unavailable
from revere.core.facts import AlarmCleared, AlarmRaised, Fact, GridEventReceived
from revere.core.ids import GridEventId, ProgramId
from revere.links.openadr3 import wire
from revere.links.openadr3.http import VtnClient, VtnRefused
from revere.links.openadr3.ven import Ven
from revere.twin.loop import TwinClock, run_twin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

EPOCH = dt.datetime(2023, 9, 6, 20, 0, tzinfo=dt.UTC)
START = EPOCH + dt.timedelta(hours=24)
SHARED = Path(os.environ.get("REVERE_SHARED") or Path(__file__).resolve().parents[3].parent / "shared")
SPEC = SHARED / "specs" / "openadr3-3.1.1.yaml"


def event(ident: str = "evt-1", hours: int = 3, programID: str = "44", **changes: Any) -> dict[str, Any]:  # noqa: N803
    return {
        "id": ident,
        "createdDateTime": "2023-09-06T20:00:00Z",
        "modificationDateTime": "2023-09-06T20:00:00Z",
        "objectType": "EVENT",
        "programID": programID,
        "intervalPeriod": {"start": "2023-09-07T20:00:00Z", "duration": f"PT{hours}H"},
        "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}],
        **changes,
    }


class Vtn:
    """As much of a VTN as the tests ask of it; ``faults`` are answered first, one a request."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.programs: list[Any] = [{"id": "44", "programName": "ConnectedSolutions-2023"}]
        self.reports: list[dict[str, Any]] = []
        self.faults: list[web.Response] = []
        self.drop_report_answers = 0
        self.good_token = ""
        self.token_prefix = ""
        self.tokens = 0
        self.expires_in: int | None = 3600
        self.seen: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Vtn:
        app = web.Application(client_max_size=2 << 20)
        app.router.add_post("/vtn/auth/token", self._token)
        app.router.add_get("/vtn/programs", self._list)
        app.router.add_get("/vtn/events", self._list)
        app.router.add_get("/vtn/reports", self._list)
        app.router.add_post("/vtn/reports", self._report)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/vtn/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.seen.append("token")
        if (form.get("grant_type"), form.get("client_id"), form.get("client_secret")) != (
            "client_credentials",
            "us",
            "s3",
        ):
            return web.json_response({"error": "invalid_client"}, status=401)
        self.tokens += 1
        self.good_token = f"{self.token_prefix}t{self.tokens}"
        answer = {"access_token": self.good_token, "token_type": "Bearer"}
        return web.json_response(answer | ({"expires_in": self.expires_in} if self.expires_in is not None else {}))

    def _fault(self, request: web.Request) -> web.Response | None:
        self.seen.append(f"{request.method} {request.path_qs.removeprefix('/vtn')}")
        if request.headers.get("Authorization") != f"Bearer {self.good_token}":
            return web.json_response({"status": 401}, status=401)
        return self.faults.pop(0) if self.faults else None

    async def _list(self, request: web.Request) -> web.Response:
        rows: list[Any] = getattr(self, request.path.rpartition("/")[2])
        skip, limit = int(request.query["skip"]), int(request.query["limit"])
        return self._fault(request) or web.Response(
            text=json.dumps(rows[skip : skip + limit]), content_type="application/json"
        )

    async def _report(self, request: web.Request) -> web.Response:
        fault = self._fault(request)
        if fault:
            return fault
        row = {**await request.json(), "id": f"rep-{len(self.reports) + 1}", "clientID": "us"}
        self.reports.append(row)
        if self.drop_report_answers:
            self.drop_report_answers -= 1
            return web.Response(status=502)
        return web.json_response(row, status=201)


class Sink:
    """A FactSink that keeps what it is given, or is out of order."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.broken = False

    async def record(self, facts: Sequence[Fact], *, however_late: bool = False) -> None:
        if self.broken:
            raise Unavailable("the store is away")
        self.facts.extend(facts)

    def take(self) -> list[Fact]:
        facts, self.facts = self.facts, []
        return facts


def play(body: Callable[[Vtn, Sink, Ven, TwinClock], Awaitable[None]], **options: Any) -> None:
    async def main(clock: TwinClock) -> None:
        async with Vtn() as vtn:
            sink = Sink()
            ven = Ven(vtn.url, "us", "s3", {"ConnectedSolutions-2023": ProgramId("cs-daily")}, sink, clock, **options)
            try:
                await body(vtn, sink, ven, clock)
            finally:
                await ven.close()

    run_twin(main, EPOCH)


def received(facts: Sequence[Fact]) -> list[tuple[str, bool]]:
    return [(fact.grid_event_id, fact.cancelled) for fact in facts if isinstance(fact, GridEventReceived)]


def test_an_event_is_recorded_once_and_its_deletion_cancels_it() -> None:
    async def body(vtn: Vtn, sink: Sink, ven: Ven, clock: TwinClock) -> None:
        vtn.events = [event()]
        await ven.poll()
        await ven.poll()
        (fact,) = sink.take()
        assert fact == GridEventReceived(
            at=fact.at,
            grid_event_id=GridEventId("evt-1"),
            program_id=ProgramId("cs-daily"),
            start=START,
            end=START + dt.timedelta(hours=3),
            modification=1_694_030_400_000,
        )
        vtn.events = [event(hours=2, modificationDateTime="2023-09-06T21:00:00Z")]
        await ven.poll()
        (changed,) = sink.take()
        assert isinstance(changed, GridEventReceived)
        assert changed.modification == 1_694_034_000_000
        assert changed.end == START + dt.timedelta(hours=2)
        vtn.events = []
        await ven.poll()
        assert received(sink.take()) == [("evt-1", True)]
        assert vtn.seen[:3] == ["token", "GET /programs?skip=0&limit=50", "GET /events?active=true&skip=0&limit=50"]

    play(body)


def test_one_event_with_nonsense_does_not_hide_the_others() -> None:
    async def body(vtn: Vtn, sink: Sink, ven: Ven, clock: TwinClock) -> None:
        nan = event("evt-nan", intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [float("nan")]}]}])
        back = event("evt-back", intervalPeriod={"start": "2023-09-07T20:00:00Z", "duration": "-PT3H"})
        naive = event("evt-naive", intervalPeriod={"start": "2023-09-07T20:00:00", "duration": "PT3H"})
        vtn.events = [nan, back, {"id": "evt-empty"}, naive, event("evt-good"), event("evt-x", programID="other")]
        await ven.poll()
        facts = sink.take()
        assert received(facts) == [("evt-good", False)]
        alarms = [fact.text for fact in facts if isinstance(fact, AlarmRaised)]
        for text, part in zip(alarms, ("not a number", "negative duration", "programID", "zone"), strict=True):
            assert part in text
        assert (ven.counters.refused, ven.counters.other_programs) == (4, 1)
        await ven.poll()
        assert sink.take() == []
        assert ven.counters.refused == 4, "a refusal counts once"
        vtn.events = [event("evt-good"), event("evt-back")]
        await ven.poll()
        facts = sink.take()
        assert received(facts) == [("evt-back", False)]
        assert sum(isinstance(fact, AlarmCleared) for fact in facts) == 4
        assert dict(ven.refusals) == {}
        vtn.events = [event("evt-good"), {**back, "modificationDateTime": "2023-09-06T22:00:00Z"}]
        await ven.poll()
        assert received(sink.take()) == [], "an event that turned to nonsense is not cancelled: it is still there"

    play(body)


def test_the_token_is_renewed_when_it_expires_and_when_it_is_refused() -> None:
    async def body(vtn: Vtn, sink: Sink, ven: Ven, clock: TwinClock) -> None:
        await ven.poll()
        await ven.poll()
        assert vtn.tokens == 1
        vtn.good_token = "revoked by the utility"
        await ven.poll()
        assert (vtn.tokens, ven.http.unauthorized) == (2, 1)
        await asyncio.sleep(3575)
        await ven.poll()
        assert (vtn.tokens, ven.http.unauthorized) == (3, 1), "renewed before it ran out, without a 401"

    play(body)


def test_wrong_credentials_are_an_error_that_never_shows_the_secret() -> None:
    async def main(clock: TwinClock) -> None:
        async with Vtn() as vtn:
            client = VtnClient(vtn.url, "us", "wrong-secret", clock)
            try:
                with pytest.raises(VtnRefused, match="401") as caught:
                    await client.get("/events", {"skip": "0", "limit": "50"})
            finally:
                await client.close()
            assert "wrong-secret" not in str(caught.value)
            assert "s3" not in repr(client)

    run_twin(main, EPOCH)


@pytest.mark.parametrize(
    "url", ["http://vtn.example.org/", "ftp://127.0.0.1/", "https://u:p@vtn.example.org", "", "http://"]
)
def test_a_secret_leaves_the_machine_over_tls_alone(url: str) -> None:
    with pytest.raises(RevereError, match="VTN address"):
        VtnClient(url, "us", "s3", TwinClock.__new__(TwinClock))


def test_all_pages_are_read_and_a_partial_list_cancels_nothing() -> None:
    async def body(vtn: Vtn, sink: Sink, ven: Ven, clock: TwinClock) -> None:
        vtn.events = [event(f"evt-{number}") for number in range(120)]
        await ven.poll()
        assert len(received(sink.take())) == 120
        vtn.events, listed = [*vtn.events[1:], {"no": "id"}], vtn.events
        await ven.poll()
        assert received(sink.take()) == [], "a row that cannot be told may be the one that is missing"
        vtn.events = listed
        await ven.poll()
        sink.take()
        vtn.events.insert(0, vtn.events[0])
        await ven.poll()
        assert sink.take() == [], "an event listed twice counts once"
        vtn.events.pop(0)
        vtn.events, vtn.faults = vtn.events[:60], [web.json_response([]), web.Response(status=503)]
        with pytest.raises(Unavailable, match="503"):
            await ven.poll()
        assert sink.take() == []
        await ven.poll()
        assert received(sink.take()) == [(f"evt-{number}", True) for number in range(60, 120)]

    play(body)


def test_faults_of_the_vtn_and_the_store_only_delay() -> None:
    async def body(vtn: Vtn, sink: Sink, ven: Ven, clock: TwinClock) -> None:
        vtn.events = [event()]
        big = web.Response(body=b" " * (wire.BODY_MAX_BYTES + 1))
        vtn.faults = [web.Response(status=500), web.Response(text="<html>"), big, web.json_response({"not": "a list"})]
        runner = asyncio.create_task(ven.run())
        await asyncio.sleep(40)
        assert ven.counters.polls_failed == 4
        kinds = [type(fact).__name__ for fact in sink.take()]
        assert kinds == ["AlarmRaised", "GridEventReceived", "AlarmCleared"], "said once, cleared when it is back"
        sink.broken = True
        vtn.events = []
        await asyncio.sleep(120)
        sink.broken = False
        await asyncio.sleep(400)
        assert received(sink.take()) == [("evt-1", True)], "what the store could not take comes again"
        assert clock.monotonic_s() >= 560
        runner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await runner

    play(body)


def test_a_token_that_would_break_a_header_is_refused() -> None:
    async def body(vtn: Vtn, sink: Sink, ven: Ven, clock: TwinClock) -> None:
        vtn.token_prefix = "a\r\nX-Evil: "
        with pytest.raises(Unavailable, match="token answer not understood"):
            await ven.poll()

    play(body)


def test_a_restart_repeats_nothing_and_sees_what_was_deleted_meanwhile() -> None:
    def known(ident: str) -> GridEventReceived:
        return GridEventReceived(
            at=EPOCH,
            grid_event_id=GridEventId(ident),
            program_id=ProgramId("cs-daily"),
            start=START,
            end=START + dt.timedelta(hours=3),
            modification=1_694_030_400_000,
        )

    async def body(vtn: Vtn, sink: Sink, ven: Ven, clock: TwinClock) -> None:
        vtn.events = [event("evt-1")]
        await ven.poll()
        assert received(sink.take()) == [("evt-2", True)]

    by_hand = GridEventReceived(
        at=EPOCH,
        grid_event_id=GridEventId("by-hand"),
        program_id=ProgramId("cs-daily"),
        start=START,
        end=START + dt.timedelta(hours=1),
        source="operator",
    )
    play(body, known=[known("evt-1"), known("evt-2"), by_hand])


def test_a_report_fits_the_standard_and_is_posted_once() -> None:
    async def body(vtn: Vtn, sink: Sink, ven: Ven, clock: TwinClock) -> None:
        vtn.drop_report_answers = 1
        hour = dt.timedelta(hours=1)
        rows = [(START + number * hour, START + (number + 1) * hour, 1000.0 + number) for number in range(3)]
        report_id = await ven.report_performance(GridEventId("evt-1"), ProgramId("cs-daily"), rows)
        assert report_id == "rep-1"
        assert len(vtn.reports) == 1, "the first try had arrived; only its answer was lost"
        assert ven.counters.report_retries == 1
        (sent,) = vtn.reports
        assert (sent["eventID"], sent["clientName"]) == ("evt-1", "us")
        demand = [interval["payloads"][0]["values"][0] for interval in sent["resources"][0]["intervals"]]
        assert demand == [-1000.0, -1001.0, -1002.0]
        _check_against_the_standard("report", {**sent, **_metadata("REPORT")})
        vtn.faults = [web.json_response({"title": "no such event"}, status=404)]
        with pytest.raises(VtnRefused, match="404"):
            await ven.report_performance(GridEventId("evt-9"), ProgramId("cs-daily"), rows)
        vtn.faults = [web.json_response({"title": "reportName is taken"}, status=409)]
        assert await ven.report_performance(GridEventId("evt-1"), ProgramId("cs-daily"), rows) == "rep-1"
        vtn.faults = [web.json_response({"title": "reportName is taken"}, status=409)]
        with pytest.raises(VtnRefused, match="409"):
            await ven.report_performance(GridEventId("evt-1"), ProgramId("cs-daily"), rows[:1])

    play(body)


def test_the_tests_own_events_fit_the_standard() -> None:
    _check_against_the_standard("event", event())


def _metadata(kind: str) -> dict[str, str]:
    return {
        "createdDateTime": "2023-09-07T23:00:00Z",
        "modificationDateTime": "2023-09-07T23:00:00Z",
        "objectType": kind,
    }


def _check_against_the_standard(name: str, value: object) -> None:
    """Validate by the Alliance's own component schema (OpenAPI 3.0: ``nullable`` apart, JSON Schema draft 4)."""
    if not SPEC.exists():
        pytest.skip(f"the OpenADR specification is not here: {SPEC.name}")
    yaml = pytest.importorskip("yaml")
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    components = json.loads(json.dumps(yaml.safe_load(SPEC.read_text())["components"], default=str))
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    validator = jsonschema_rs.Draft4Validator(schema, validate_formats=True)
    assert [error.message for error in validator.iter_errors(value)] == []
    assert list(validator.iter_errors({})), "a schema that lets everything through checks nothing"
