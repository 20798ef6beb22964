"""The utility over real HTTP in twin time: tokens, the call in time, reports, refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from revere.core.scenario import Scenario, parse_scenario
from revere.twin.loop import TwinClock, run_twin, sleep_until
from revere.twin.utility import Utility

EPOCH = dt.datetime(2023, 9, 6, 4, tzinfo=dt.UTC)
Get = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    path = Path(__file__).resolve().parents[2] / "scenarios" / "massachusetts.toml"
    return parse_scenario(path.read_text(), path.name)


def play(scenario: Scenario, body: Callable[[Utility, Get, TwinClock], Awaitable[None]]) -> Utility:
    """Run ``body`` against a started utility, with an authorised ``get(method, path, **json)``."""

    async def main(clock: TwinClock) -> Utility:
        utility = Utility(scenario=scenario, seed=1, clock=clock)
        await utility.start()
        timeout = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
        async with aiohttp.ClientSession(utility.url, timeout=timeout) as http:
            form = {"grant_type": "client_credentials", "client_id": utility.client_id}
            async with http.post("/auth/token", data={**form, "client_secret": utility.client_secret}) as answer:
                token = (await answer.json())["access_token"]

            async def get(method: str, path: str, **named: Any) -> tuple[int, Any]:
                headers = {"Authorization": f"Bearer {token}"}
                async with http.request(method, path, headers=headers, **named) as answer:
                    return answer.status, await answer.json(content_type=None)

            await body(utility, get, clock)
        await utility.stop()
        return utility

    return run_twin(main, EPOCH)


def test_the_event_is_posted_24_hours_ahead_and_not_before(scenario: Scenario) -> None:
    async def body(utility: Utility, get: Get, clock: TwinClock) -> None:
        notice = dt.datetime(2023, 9, 6, 20, tzinfo=dt.UTC)
        await sleep_until(clock, notice - dt.timedelta(seconds=1))
        assert not utility.events
        await sleep_until(clock, notice + dt.timedelta(seconds=1))
        assert list(utility.events) == ["event-1"]

    play(scenario, body)


def test_a_day_ahead_event_reads_as_the_definition_says(scenario: Scenario) -> None:
    async def body(utility: Utility, get: Get, clock: TwinClock) -> None:
        event_id = utility.call(utility.event_start, dt.timedelta(hours=3), name="test")
        _, programs = await get("GET", "/programs")
        status, events = await get("GET", "/events", params={"programID": programs[0]["id"]})
        assert status == 200
        assert [program["programName"] for program in programs] == ["ConnectedSolutions-2023"]
        assert events[0]["id"] == event_id
        assert events[0]["objectType"] == "EVENT"
        assert events[0]["intervalPeriod"]["start"] == "2023-09-07T20:00:00Z"
        assert events[0]["intervalPeriod"]["duration"] == "PT3H"
        assert events[0]["intervals"] == [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}]
        assert (await get("GET", "/events", params={"programID": "other"}))[1] == []
        utility.cancel(event_id)
        assert (await get("GET", f"/events/{event_id}"))[0] == 404

    play(scenario, body)


def test_tokens_expire_in_plant_time(scenario: Scenario) -> None:
    async def body(utility: Utility, get: Get, clock: TwinClock) -> None:
        assert (await get("GET", "/programs"))[0] == 200
        await sleep_until(clock, EPOCH + dt.timedelta(seconds=3601))
        assert (await get("GET", "/programs"))[0] == 403

    play(scenario, body)


@pytest.mark.parametrize(
    ("form", "basic", "status", "code"),
    [
        ({"grant_type": "client_credentials"}, True, 200, None),
        ({"grant_type": "password"}, True, 400, "unsupported_grant_type"),
        (
            {"grant_type": "client_credentials", "client_id": "revere", "client_secret": "x"},
            False,
            401,
            "invalid_client",
        ),
        ({"grant_type": "client_credentials"}, False, 401, "invalid_client"),
    ],
)
def test_the_token_endpoint(
    scenario: Scenario, form: dict[str, str], basic: bool, status: int, code: str | None
) -> None:
    async def body(utility: Utility, get: Get, clock: TwinClock) -> None:
        auth = aiohttp.encode_basic_auth(utility.client_id, utility.client_secret) if basic else None
        headers = {"Authorization": auth} if auth else {}
        async with (
            aiohttp.ClientSession(utility.url) as http,
            http.post("/auth/token", data=form, headers=headers) as answer,
        ):
            assert answer.status == status
            assert (await answer.json()).get("error") == code

    play(scenario, body)


def test_reports_are_kept_once_and_bad_ones_refused(scenario: Scenario) -> None:
    async def body(utility: Utility, get: Get, clock: TwinClock) -> None:
        event_id = utility.call(utility.event_start, dt.timedelta(hours=3), name="test")
        intervals = [{"id": 0, "payloads": [{"type": "DEMAND", "values": [-1000.0]}]}]
        report = {
            "eventID": event_id,
            "clientName": "revere",
            "reportName": "r1",
            "resources": [{"resourceName": "AGGREGATED_REPORT", "intervals": intervals}],
        }
        assert (await get("POST", "/reports", json=report))[0] == 201
        assert (await get("POST", "/reports", json=report))[0] == 409
        assert (await get("POST", "/reports", json={**report, "eventID": "none"}))[0] == 404
        assert (await get("POST", "/reports", json={"eventID": event_id}))[0] == 400
        assert (await get("POST", "/reports", data=b"["))[0] == 400
        ven = {"objectType": "VEN_VEN_REQUEST", "venName": "revere"}
        assert (await get("POST", "/vens", json=ven))[0] == 201
        assert (await get("POST", "/vens", json=ven))[0] == 409

    utility = play(scenario, body)
    assert [report["reportName"] for report in utility.reports] == ["r1"]
    assert utility.reports[0]["resources"][0]["intervals"][0]["payloads"][0]["values"] == [-1000.0]
