"""A firmware campaign's rule: stages, when an update may begin, what passes, what stops it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.control.campaign import (
    AT_ONCE_MAX,
    Call,
    Campaign,
    Move,
    StationNow,
    held,
    next_moves,
)
from revere.core import facts as f
from revere.core.ids import CampaignId, SiteId, StationId
from tests.control.scenes import NOON, minutes

CAMPAIGN = CampaignId("c-1")
OLD, NEW = "1.0", "2.0"


def ids(count: int) -> list[StationId]:
    return [StationId(f"s{n:02d}") for n in range(count)]


def campaign(count: int = 20) -> Campaign:
    return Campaign(
        f.CampaignStarted(
            at=NOON,
            campaign_id=CAMPAIGN,
            by="op",
            vendor="V",
            model="M",
            version=NEW,
            location="https://files.example.org/m-2.0.bin",
            stations=tuple(ids(count)),
        )
    )


def step(it: Campaign, station_id: str, what: Any, at: dt.datetime = NOON, **more: Any) -> None:
    """A step; what is asked is accepted too, unless the step says ``unheard``."""
    steps = {"asked": ("asked", "accepted"), "unheard": ("asked",)}.get(what, (what,))
    for one in steps:
        it.stepped(f.CampaignStep(at=at, campaign_id=CAMPAIGN, station_id=StationId(station_id), step=one, **more))


def now_of(number: int = 0, **changes: Any) -> StationNow:
    return StationNow(**{"site_id": SiteId(f"site{number}"), "reachable": True, "firmware": OLD, **changes})


def fleet_of(count: int = 20, **changes: Any) -> dict[StationId, StationNow]:
    return {station_id: now_of(n, **changes) for n, station_id in enumerate(ids(count))}


def told(status: Any, at: dt.datetime, request_id: int | None = 7, why: str = "") -> f.FirmwareReported:
    return f.FirmwareReported(at=at, station_id=StationId("s00"), status=status, request_id=request_id, why=why)


def asked(moves: list[Move]) -> list[str]:
    return [str(move.station_id) for move in moves if move.kind == "ask"]


@pytest.mark.parametrize(
    ("stations", "sizes"),
    [(1, [1]), (2, [1, 1]), (3, [1, 1, 1]), (5, [1, 1, 3]), (20, [1, 1, 18]), (70, [1, 6, 63]), (400, [1, 39, 360])],
)
def test_one_then_a_tenth_then_all(stations: int, sizes: list[int]) -> None:
    assert [len(stage) for stage in campaign(stations).stages()] == sizes


def test_a_stage_waits_for_the_last_to_have_passed() -> None:
    it, stations = campaign(30), fleet_of(30)
    assert asked(next_moves(it, stations, NOON)) == ["s00"]
    step(it, "s00", "asked")
    assert next_moves(it, stations, NOON) == []
    step(it, "s00", "passed")
    assert asked(next_moves(it, stations, NOON)) == ["s01", "s02"]
    step(it, "s01", "passed")
    step(it, "s02", "asked")
    assert asked(next_moves(it, stations, NOON)) == []
    step(it, "s02", "passed")
    assert len(asked(next_moves(it, stations, NOON))) == AT_ONCE_MAX
    for station_id in ids(30):
        step(it, station_id, "passed")
    assert next_moves(it, stations, NOON) == [Move("done")]


def test_one_station_of_a_site_at_a_time() -> None:
    it = campaign(20)
    stations = {station_id: now_of(n % 2) for n, station_id in enumerate(ids(20))}
    for station_id in ids(2):
        step(it, station_id, "passed")
    assert asked(next_moves(it, stations, NOON)) == ["s02", "s03"]


def test_a_site_that_is_under_way_in_another_campaign_waits_and_counts() -> None:
    it = campaign(20)
    assert asked(next_moves(it, fleet_of(), NOON, {SiteId("site0")})) == []
    for station_id in ids(2):
        step(it, station_id, "passed")
    elsewhere = {SiteId("site3"), SiteId("site99")}
    begun = asked(next_moves(it, fleet_of(), NOON, elsewhere))
    assert "s03" not in begun
    assert len(begun) == AT_ONCE_MAX - len(elsewhere)


def call(start_h: float, hours: float = 3, *, called: bool = True) -> Call:
    start = NOON + dt.timedelta(hours=start_h)
    return Call(start=start, end=start + dt.timedelta(hours=hours), called=called)


@pytest.mark.parametrize(
    ("what", "changes", "why"),
    [
        ("nothing", {}, ""),
        ("out of reach", {"reachable": False}, "out of reach"),
        ("a dead grid", {"fed": False}, "without the grid"),
        ("an event runs", {"calls": (call(-1),)}, "grid event"),
        ("an event of others runs", {"calls": (call(-1, called=False),)}, "grid event"),
        ("an event begins soon", {"calls": (call(1.5),)}, "grid event"),
        ("an event is over", {"calls": (call(-3),)}, ""),
        ("tomorrow's event fills its vehicle", {"calls": (call(23),), "session": True}, "being filled"),
        ("tomorrow's event, nobody there", {"calls": (call(23),)}, ""),
        ("tomorrow's event of others", {"calls": (call(23, called=False),), "session": True}, ""),
        ("leaves in 12 h", {"departs": NOON + dt.timedelta(hours=12)}, "leaves"),
        ("leaves in 12 h and a minute", {"departs": NOON + dt.timedelta(hours=12, minutes=1)}, ""),
        ("should have left", {"departs": NOON - minutes(10)}, "leaves"),
    ],
)
def test_when_an_update_may_begin(what: str, changes: dict[str, Any], why: str) -> None:
    found = held(now_of(**changes), NOON)
    assert why in found if why else not found, (what, found)
    assert asked(next_moves(campaign(), fleet_of(**changes), NOON)) == ([] if why else ["s00"])


BOOT = NOON + minutes(5)
WELL = {
    "firmware": NEW,
    "booted_at": BOOT,
    "provisioned_at": BOOT + minutes(1),
    "metered_at": BOOT + minutes(5),
    "schedule_at": BOOT + minutes(2),
}


@pytest.mark.parametrize(
    ("what", "changes", "kind", "why"),
    [
        ("all well", {}, "pass", ""),
        ("only its schedule is unread", {"schedule_at": BOOT}, "read", ""),
        ("its schedule was never read", {"schedule_at": None}, "read", ""),
        ("the version of before", {"firmware": OLD}, "fail", f"version {OLD}, expected {NEW}"),
        ("no boot", {"booted_at": NOON - minutes(1)}, "fail", "not started again"),
        ("not provisioned since", {"provisioned_at": NOON}, "fail", "fallback"),
        ("a measurand is gone", {"problems": ("soc: Rejected",)}, "fail", "soc: Rejected"),
        ("the meter is not believed", {"metered_at": NOON}, "fail", "meter value"),
        ("follows something else", {"follows": False}, "fail", "something else"),
    ],
)
def test_the_commissioning_tests(what: str, changes: dict[str, Any], kind: str, why: str) -> None:
    it = campaign()
    step(it, "s00", "asked", request_id=7)
    stations = {**fleet_of(), StationId("s00"): now_of(**{**WELL, **changes})}
    moves = next_moves(it, stations, BOOT + minutes(61))
    assert [move.kind for move in moves] == [kind], what
    assert why in moves[0].why
    if kind == "fail" and changes.get("firmware") != OLD and "booted_at" not in changes:
        assert next_moves(it, stations, BOOT + minutes(15)) == [], "there is still time"


def test_what_was_wrong_before_is_not_held_against_it() -> None:
    it = campaign()
    step(it, "s00", "asked", problems=("soc: Rejected",))
    stations = {**fleet_of(), StationId("s00"): now_of(**WELL, problems=("soc: Rejected",))}
    assert [move.kind for move in next_moves(it, stations, BOOT + minutes(6))] == ["pass"]


@pytest.mark.parametrize(
    ("what", "word", "after_min", "kind"),
    [
        ("download failed", told("download_failed", BOOT), 6, "fail"),
        ("a wrong signature", told("invalid_signature", BOOT), 6, "fail"),
        ("verification", told("install_verification_failed", BOOT), 6, "fail"),
        ("installation", told("installation_failed", BOOT), 6, "fail"),
        ("of another order", told("download_failed", BOOT, request_id=6), 6, None),
        ("of an order before", told("download_failed", NOON - minutes(1)), 6, None),
        ("an edition that names no order", told("download_failed", BOOT, request_id=None), 6, "fail"),
        ("still loading", told("downloading", BOOT), 34, None),
        ("silent for 31 minutes", told("downloading", BOOT), 36, "fail"),
        ("never a word", None, 29, None),
        ("never a word for 31 minutes", None, 31, "fail"),
    ],
)
def test_what_a_station_says(what: str, word: f.FirmwareReported | None, after_min: float, kind: str | None) -> None:
    it = campaign()
    step(it, "s00", "asked", request_id=7)
    stations = {**fleet_of(), StationId("s00"): now_of(told=word)}
    assert [move.kind for move in next_moves(it, stations, NOON + minutes(after_min))] == ([kind] if kind else []), what


def test_a_session_is_ended_for_the_installation_and_never_without_its_room() -> None:
    it = campaign()
    step(it, "s00", "asked", request_id=7)
    waits = {"told": told("install_scheduled", BOOT), "session": True}
    later = BOOT + dt.timedelta(hours=5)

    def moves(**changes: Any) -> list[str]:
        stations = {**fleet_of(), StationId("s00"): now_of(**{**waits, **changes})}
        return [move.kind for move in next_moves(it, stations, later)]

    assert moves() == ["let_go"]
    assert moves(told=told("downloading", later)) == []
    assert moves(calls=(call(6),)) == []
    assert moves(departs=later + dt.timedelta(hours=11)) == []
    it.told(f.CampaignTold(at=later, campaign_id=CAMPAIGN, order="pause", by="op"))
    assert moves() == []
    it.told(f.CampaignTold(at=later, campaign_id=CAMPAIGN, order="resume", by="op"))
    step(it, "s00", "let_go", later)
    assert moves() == []
    assert moves(session=False) == []
    step(it, "s00", "failed", later - minutes(3))
    assert "restore" in moves(session=False)
    step(it, "s00", "restored", later)
    assert "restore" not in moves(session=False)


def test_failures_stop_the_campaign_by_stage() -> None:
    it, stations = campaign(50), fleet_of(50)
    step(it, "s00", "failed", why="it says: download failed")
    moves = next_moves(it, stations, NOON)
    assert [move.kind for move in moves] == ["stop"]
    assert "s00: it says: download failed" in moves[0].why
    it = campaign(50)
    for station_id in ids(5):
        step(it, station_id, "passed")
    step(it, "s07", "failed")
    step(it, "s08", "failed")  # 2 of the 45 of the last stage: 4.4 %
    assert len(asked(next_moves(it, stations, NOON))) == AT_ONCE_MAX
    step(it, "s09", "failed")
    assert [move.kind for move in next_moves(it, stations, NOON)] == ["stop"]


def test_three_orders_that_are_not_heard_are_a_failure() -> None:
    it = campaign()
    for _ in range(3):
        assert [move.kind for move in next_moves(it, fleet_of(), NOON)] == ["ask"]
        step(it, "s00", "asked")
        step(it, "s00", "put_off", why="offline")
    assert next_moves(it, fleet_of(), NOON) == [Move("fail", StationId("s00"), "it did not hear 3 orders: offline")]


def test_an_order_whose_answer_is_not_known_is_given_again() -> None:
    it, stations = campaign(), fleet_of()
    step(it, "s00", "unheard", request_id=7)
    assert next_moves(it, stations, NOON) == [Move("ask", StationId("s00"))]
    busy = {**stations, StationId("s00"): now_of(departs=NOON)}
    assert [move.kind for move in next_moves(it, busy, NOON)] == ["put_off"]
    heard = {**stations, StationId("s00"): now_of(told=told("downloading", BOOT))}
    assert next_moves(it, heard, BOOT) == [], "it has heard"
    step(it, "s00", "unheard")
    step(it, "s00", "unheard")
    assert [move.kind for move in next_moves(it, stations, NOON)] == ["fail"]


@pytest.mark.parametrize("order", ["pause", "abort"])
def test_a_paused_or_aborted_campaign_begins_nothing_and_follows_what_has_begun(order: Any) -> None:
    it = campaign()
    step(it, "s00", "passed")
    step(it, "s01", "asked", request_id=7)
    it.told(f.CampaignTold(at=NOON, campaign_id=CAMPAIGN, order=order, by="op", why="a bad feeling"))
    stations = {**fleet_of(), StationId("s01"): now_of(1, **WELL)}
    assert next_moves(it, stations, BOOT + minutes(6)) == [Move("pass", StationId("s01"))]
    step(it, "s01", "passed")
    assert next_moves(it, stations, BOOT + minutes(6)) == []
    it.told(f.CampaignTold(at=NOON, campaign_id=CAMPAIGN, order="resume", by="op"))
    assert bool(next_moves(it, stations, BOOT + minutes(6))) is (order == "pause")


@given(
    count=st.integers(1, 60),
    steps=st.lists(
        st.tuples(st.integers(0, 59), st.sampled_from(["asked", "unheard", "passed", "failed", "put_off"])), max_size=80
    ),
    hold=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_no_history_makes_it_begin_where_it_must_not(
    count: int, steps: list[tuple[int, Any]], hold: list[bool]
) -> None:
    """Whatever has happened: nothing begins at a held station, beyond its stage, or at two stations of a site."""
    it = campaign(count)
    for number, what in steps:
        step(it, f"s{number:02d}", what)
    stations = {station_id: now_of(n % 7, departs=NOON if hold[n] else None) for n, station_id in enumerate(ids(count))}
    every = [StationId(station_id) for station_id in asked(next_moves(it, stations, NOON))]
    assert not any(held(stations[station_id], NOON) for station_id in every)
    begun = [station_id for station_id in every if it.progress[station_id].step == "waiting"]
    stages = it.stages()
    for station_id in begun:
        stage = next(n for n, members in enumerate(stages) if station_id in members)
        assert all(it.progress[i].step in ("passed", "failed") for members in stages[:stage] for i in members)
    under_way = [i for i, progress in it.progress.items() if progress.step == "asked"]
    sites = [stations[i].site_id for i in (*begun, *under_way) if i in stations]
    assert len({stations[i].site_id for i in begun}) == len(begun)
    assert not {stations[i].site_id for i in begun} & {stations[i].site_id for i in under_way}
    assert len(sites) <= max(AT_ONCE_MAX, len(under_way))
