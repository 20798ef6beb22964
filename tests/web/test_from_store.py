"""The web over a real PostgreSQL: accounts with what is theirs, tokens, links, series and statements."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import msgspec

from revere.core.assets import Fleet
from revere.core.facts import MeterReading, evse_asset
from revere.core.ids import TenantId
from revere.core.scenario import parse_scenario
from revere.core.time import WallClock, wall_now
from revere.settle.rules import load_rulebook
from revere.store.access import User
from revere.store.ledger import LEDGER_PAGE_LINES, LedgerEntry
from revere.store.store import Store
from revere.web.app import create_app
from revere.web.from_store import StoreAccounts, StoreHistory
from revere.web.server import WebThread
from revere.web.settings import WebSettings
from tests.web.fake_desk import CHEAP, FakeDesk

TENANT = TenantId("masscec")
T0 = dt.datetime(2023, 9, 7, 20, 0, tzinfo=dt.UTC)
SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "massachusetts.toml"
SMALL = SCENARIO.with_name("small.toml")


def _fleet() -> Fleet:
    return parse_scenario(SCENARIO.read_text(), SCENARIO.name).fleet


def _fill(dsn: str, work: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await Store.open(dsn, WallClock(), TENANT, require_durable=False)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


def _serve(dsn: str, fleet: Fleet) -> tuple[WebThread, str]:
    settings = WebSettings(port=0)
    door = Store(dsn, WallClock(), TENANT)
    thread = WebThread(
        lambda: create_app(
            FakeDesk(),
            StoreAccounts(door.access_desk(), lambda: fleet),
            StoreHistory(door.reader(), lambda: fleet, load_rulebook()),
            settings,
        ),
        settings,
    )
    return thread, f"http://127.0.0.1:{thread.start()}"


def _get(base: str, path: str, token: str) -> httpx.Response:
    return httpx.get(base + path, headers={"Authorization": f"Bearer {token}"}, timeout=10)


def test_people_of_the_store(pg_dsn: str) -> None:
    fleet = _fleet()
    home = next(site for site in fleet.sites if site.kind == "home")
    school = next(site for site in fleet.sites if site.kind == "school")
    soon = wall_now() + dt.timedelta(hours=1)

    async def work(store: Store) -> None:
        now = wall_now()
        await store.save_user(User(name="ann", role="operator", password_hash=CHEAP.hash("a good one")))
        await store.save_user(User(name="bob", role="resident", participant_id=home.participant_id))
        await store.save_user(User(name="cy", role="site_manager", site_id=school.id))
        await store.save_user(User(name="dee", role="operator", disabled=True))
        for name in ("ann", "bob", "cy", "dee"):
            await store.save_token(f"api-{name}", kind="api", user_name=name, now=now, expires_at=soon)
        await store.save_token("link-ann", kind="link", user_name="ann", now=now, expires_at=soon)
        old = now - dt.timedelta(seconds=1)
        await store.save_token("old-ann", kind="api", user_name="ann", now=old, expires_at=now)

    _fill(pg_dsn, work)
    thread, base = _serve(pg_dsn, fleet)
    try:
        assert _get(base, "/api/v1/me", "api-ann").json()["role"] == "operator"
        bob, cy = (_get(base, "/api/v1/me", f"api-{name}").json() for name in ("bob", "cy"))
        station = next(one for one in fleet.stations if one.site_id == home.id)
        own = [vehicle.id for vehicle in fleet.vehicles if vehicle.station_id == station.id]
        assert (bob["sites"], bob["vehicles"]) == ([home.id], own)
        assert (cy["sites"], cy["vehicles"]) == ([school.id], [])
        for token in ("api-dee", "link-ann", "old-ann", "nothing"):
            assert _get(base, "/api/v1/me", token).status_code == 401, token
        for status in (200, 401):
            assert httpx.get(base + "/login/once?token=link-ann").status_code == status
        for password, status in (("a bad one", 401), ("a good one", 200)):
            form = {"name": "ann", "password": password}
            assert httpx.post(base + "/login", json=form, headers={"Origin": base}).status_code == status
    finally:
        thread.stop()


def _reading(minute: int, station: int, power_kw: float) -> MeterReading:
    ts = T0 + dt.timedelta(minutes=minute)
    return MeterReading(
        at=ts, asset_id=f"st{station}/1", place="ac_inlet", ts=ts, context="periodic", power_kw=power_kw
    )


def _entry(number: int, participant: str, site: str, cents: int, state: str, kind: str = "performance") -> LedgerEntry:
    rule = load_rulebook().rule_for("connectedsolutions_ci_daily", "Eversource", T0.date())
    return LedgerEntry(
        key=f"line/{number}/{state}",
        posted_at=T0,
        statement_id=f"{participant}:2023-09",
        participant_id=participant,
        program_id="cs-daily",
        kind=kind,
        cents=cents,
        state=state,  # type: ignore[arg-type]
        rule=rule.reference,
        site_id=site,
        grid_event_id="ev1",
        import_wh=0,
        export_wh=9000,
    )


def test_the_past_and_the_money(pg_dsn: str) -> None:
    fleet = _fleet()
    first, second = fleet.sites[:2]
    soon = wall_now() + dt.timedelta(hours=1)

    async def work(store: Store) -> None:
        await store.save_user(User(name="ann", role="operator"))
        await store.save_user(User(name="cy", role="site_manager", site_id=first.id))
        for name in ("ann", "cy"):
            await store.save_token(f"api-{name}", kind="api", user_name=name, now=wall_now(), expires_at=soon)
        await store.record([_reading(0, 0, -50.0), _reading(0, 1, -10.0), _reading(1, 0, -54.0), _reading(20, 0, 30.0)])
        await store.post(
            [
                _entry(1, first.participant_id, first.id, 120_000, "expected"),
                _entry(2, first.participant_id, first.id, -2_000, "expected", "correction"),
                _entry(3, first.participant_id, first.id, 30_000, "expected", "provider_share"),
                _entry(4, second.participant_id, second.id, 500, "expected"),
                _entry(4, second.participant_id, second.id, 480, "confirmed"),
            ]
        )

    _fill(pg_dsn, work)
    thread, base = _serve(pg_dsn, fleet)
    try:
        span = "from=2023-09-07T20:00:00Z&to=2023-09-07T20:30:00Z&step_s=600"
        series = _get(base, f"/api/v1/series/fleet?{span}", "api-ann").json()
        assert series["power_kw"] == [-62.0, None, 30.0]
        assert series["relief_kw"] == [62.0, None, -30.0]
        assert series["timestamps"][1] == "2023-09-07T20:10:00Z"

        found = _get(base, "/api/v1/statements", "api-ann").json()["statements"]
        sums = {
            one["participant_id"]: (one["expected_cents"], one["confirmed_cents"], one["paid_cents"]) for one in found
        }
        assert sums == {first.participant_id: (118_000, None, None), second.participant_id: (500, 480, None)}
        assert [one["state"] for one in found if one["participant_id"] == second.participant_id] == ["confirmed"]
        own = _get(base, "/api/v1/statements", "api-cy").json()["statements"]
        assert [one["participant_id"] for one in own] == [first.participant_id]

        one = _get(base, f"/api/v1/statements/{first.participant_id}:2023-09", "api-cy").json()
        assert [line["cents"] for line in one["lines"]] == [120_000, -2_000, 30_000]
        assert all("not confirmed" in line["says"] for line in one["lines"])
        assert one["unverified"]
        assert _get(base, f"/api/v1/statements/{second.participant_id}:2023-09", "api-cy").status_code == 404
    finally:
        thread.stop()


def test_more_lines_than_a_page_and_more_statements_than_asked_for_are_all_there(pg_dsn: str) -> None:
    fleet = _fleet()
    first, second, third = fleet.sites[:3]
    many = 2 * LEDGER_PAGE_LINES + 100

    async def work(store: Store) -> None:
        await store.save_user(User(name="ann", role="operator"))
        await store.save_user(User(name="cy", role="site_manager", site_id=first.id))
        soon = wall_now() + dt.timedelta(hours=1)
        for name in ("ann", "cy"):
            await store.save_token(f"api-{name}", kind="api", user_name=name, now=wall_now(), expires_at=soon)
        await store.post([_entry(n, first.participant_id, first.id, n, "expected") for n in range(many)])
        await store.post([_entry(many, second.participant_id, second.id, 7, "paid")])
        shared = [
            _entry(many + n, third.participant_id, site.id, 1, "expected") for n, site in enumerate((first, third))
        ]
        await store.post(shared)
        august = _entry(many + 9, first.participant_id, first.id, 5, "expected")
        await store.post([msgspec.structs.replace(august, statement_id=f"{first.participant_id}:2023-08")])

    _fill(pg_dsn, work)
    thread, base = _serve(pg_dsn, fleet)
    try:
        cents, after, pages = [], 0, 0
        while after is not None:
            path = f"/api/v1/statements/{first.participant_id}:2023-09?after={after}"
            one = _get(base, path, "api-cy").json()
            assert (one["line_count"], one["expected_cents"]) == (many, sum(range(many)))
            cents += [line["cents"] for line in one["lines"]]
            after, pages = one["more_after"], pages + 1
        assert (cents, pages) == (list(range(many)), 3)

        found, more, last = [], True, ""
        while more:
            answer = _get(base, f"/api/v1/statements?limit=1{last}", "api-ann").json()
            found += [one["id"] for one in answer["statements"]]
            more, last = answer["more"], f"&after={found[-1]}"
        people = sorted((one.participant_id for one in (first, second, third)), reverse=True)
        assert found == [*(f"{who}:2023-09" for who in people), f"{first.participant_id}:2023-08"]
        own = _get(base, "/api/v1/statements", "api-cy").json()
        assert [one["id"] for one in own["statements"]] == [f"{first.participant_id}:2023-0{n}" for n in (9, 8)]
        assert own["more"] is False
    finally:
        thread.stop()


def test_the_public_series_holds_nothing_of_a_handful_of_homes(pg_dsn: str) -> None:
    fleet = parse_scenario(SMALL.read_text(), SMALL.name).fleet
    kinds = {site.id: site.kind for site in fleet.sites}
    kw = {"school": -50.0, "municipal": -10.0, "home": -8.0}
    ends = T0 + dt.timedelta(minutes=5)

    async def work(store: Store) -> None:
        await store.record(
            [
                msgspec.structs.replace(_reading(0, 0, kw[kinds[s.site_id]]), asset_id=evse_asset(s.id, 1))
                for s in fleet.stations
            ]
        )

    _fill(pg_dsn, work)

    async def series(public: bool) -> tuple[float | None, ...]:
        history = StoreHistory(Store(pg_dsn, WallClock(), TENANT).reader(), lambda: fleet, load_rulebook())
        try:
            return (await history.fleet_series(T0, ends, 300, public=public)).power_kw
        finally:
            await history.close()

    homes = sum(kinds[station.site_id] == "home" for station in fleet.stations)
    (all_kw,), (public_kw,) = asyncio.run(series(public=False)), asyncio.run(series(public=True))
    assert homes == 2
    assert all_kw is not None
    assert public_kw == all_kw + 8.0 * homes


def test_a_lost_database_is_a_503() -> None:
    thread, base = _serve("postgresql://nobody:x@127.0.0.1:1/none", _fleet())
    try:
        answer = _get(base, "/api/v1/me", "anything")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert httpx.get(base + "/api/v1/public").status_code == 200
    finally:
        thread.stop()
