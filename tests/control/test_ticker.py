"""One tick on hand-made images: who may give, who must take, and what a plan is worth when its reason is gone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from revere.control.bounds import EFFICIENCY
from revere.control.image import Image
from revere.control.islands import Islands
from revere.control.snapshot import Snapshot, take_snapshot
from revere.control.ticker import Decision, Standing, Ticker
from revere.control.tracking import CommandTracker
from revere.core import facts as f
from revere.core.ids import GridEventId, SiteId
from revere.plan.schedule import Plan, Scheduler
from tests.control.scenes import (
    NOON,
    called,
    contracts_of,
    dropped,
    fleet,
    minutes,
    opted,
    plug,
    program,
    reading,
    ready_image,
    seconds,
    site,
    station,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.core.assets import Fleet

SCHOOL = SiteId("school")
DEAD = f.GridLost(at=NOON, site_id=SCHOOL, ts=NOON)
OPEN = f.TransferSwitchReported(at=NOON, site_id=SCHOOL, open=True, ts=NOON)


class Room:
    """An image at noon with a call for three hours from now on, and a plan made of it."""

    def __init__(self, of: Fleet | None = None, soc: float = 0.8, *events: f.Fact) -> None:
        self.image: Image = ready_image(of or fleet(), soc=soc)
        for fact in events or (called(), opted()):
            self.image.apply(fact)
        self.tracker = CommandTracker()
        self.ticker = Ticker(self.image, self.tracker)
        self.islands = Islands(self.image)
        self.snapshot: Snapshot | None = None
        self.plan: Plan | None = None

    def plan_at(self, now: dt.datetime = NOON) -> None:
        self.snapshot = take_snapshot(
            self.image, now, lambda _site, edges: [20.0] * (len(edges) - 1), contracts_of(self.image)
        )  # type: ignore[arg-type, return-value]
        self.plan = Scheduler().plan(self.snapshot.problem)

    def decide(self, now: dt.datetime = NOON) -> Decision:
        events = [e for e in self.image.events.values() if e.opt == "in" and not e.cancelled and e.start <= now < e.end]
        island_kw = self.islands.refresh(now, self.ticker.standing)
        shares = self.islands.return_shares(now)
        return self.ticker.decide(now, self.snapshot, self.plan, events, island_kw, shares)

    def kw(self, now: dt.datetime = NOON) -> float:
        return float(self.decide(now).setpoints.kw[0])


def test_in_an_event_the_plan_gives() -> None:
    room = Room()
    room.plan_at()
    decision = room.decide()
    assert decision.setpoints.kw[0] < -20
    assert decision.reasons == ["grid event"]
    assert decision.target_kw == pytest.approx(-decision.setpoints.kw[0], rel=0.2)


def _stop(image: Image) -> None:
    image.apply(f.DischargeStopped(at=NOON, by="x"))


def _stop_here(image: Image) -> None:
    image.apply(f.DischargeStopped(at=NOON, by="x", site_id=SCHOOL))


def _dead(image: Image) -> None:
    image.apply(DEAD)


def _blind(image: Image) -> None:
    image.evses["cs1/1"].soc_at = NOON - minutes(16)


def _no_soc(image: Image) -> None:
    image.evses["cs1/1"].soc = None


def _away(image: Image) -> None:
    image.evses["cs1/1"].session_id = None


def _off_the_air(image: Image) -> None:
    image.apply(dropped("cs1"))


def _no_meter(image: Image) -> None:
    image.sites[SCHOOL].building_at = NOON - minutes(11)


def _empty(image: Image) -> None:
    image.evses["cs1/1"].soc = 0.2


def _refuses(image: Image) -> None:
    image.evses["cs1/1"].discharge_max_kw = 0.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_stop, "discharge stopped by a person"),
        (_stop_here, "discharge stopped by a person"),
        (_dead, "grid is dead"),
        (_blind, "charge state unknown or old"),
        (_no_soc, ""),
        (_away, "nothing plugged in"),
        (_off_the_air, "station or vehicle limit"),
        (_no_meter, "site limit"),
        (_empty, ""),
        (_refuses, ""),
    ],
)
def test_nothing_is_given_when(change: Callable[[Image], None], why: str) -> None:
    room = Room()
    room.plan_at()
    change(room.image)
    decision = room.decide()
    assert decision.setpoints.kw[0] >= 0
    assert not why or decision.reasons == [why]


def test_an_event_that_takes_all_there_is_lies_flat_to_its_last_minute() -> None:
    """Two buses with 74 kWh to give in 3 h: plan and arbiter both keep a lease above the floor, so nothing fades."""
    room = Room(fleet((), (station("cs1", "school"), station("cs2", "school"))), 0.6)
    relief_kw = []
    for tick in range(3 * 720):
        now = NOON + seconds(5 * tick)
        if tick % 60 == 0:
            room.plan_at(now)
        decision = room.decide(now)
        room.ticker.accept(decision, decision.setpoints.kw != room.ticker.last_kw, now)
        relief_kw.append(-float(room.ticker.last_kw.sum()))
        for evse, power_kw in zip(room.image.evses.values(), room.ticker.last_kw, strict=True):
            assert evse.soc is not None
            evse.soc += power_kw / EFFICIENCY * 5 / 3600 / 200
            evse.soc_at = evse.power_at = now
            evse.power_kw = float(power_kw)
        room.image.sites[SCHOOL].building_at = now
    five_minutes = np.reshape(relief_kw, (36, 60)).mean(axis=1)
    assert five_minutes.mean() == pytest.approx(2 * 80 * EFFICIENCY / 3.1, rel=0.02)
    assert five_minutes.min() > 0.97 * five_minutes.mean()
    assert min(evse.soc or 0.0 for evse in room.image.evses.values()) >= 0.2


def test_a_stop_of_another_site_does_not_stop_this_one() -> None:
    both = fleet((site("school"), site("other")), (station("cs1", "school"), station("cs2", "other")))
    room = Room(both)
    room.plan_at()
    room.image.apply(f.DischargeStopped(at=NOON, by="x", site_id=SiteId("other")))
    kw = room.decide().setpoints.kw
    assert kw[0] < -20
    assert kw[1] >= 0


def test_a_stop_in_an_event_leaves_charging_for_departures_alone() -> None:
    room = Room(soc=0.5)
    room.plan_at()
    bus = room.image.fleet.vehicles[0].id
    room.image.apply(f.DischargeStopped(at=NOON, by="x"))
    room.ticker.standing[bus] = Standing(NOON + minutes(60), 150.0)
    room.ticker.bounds.mark()
    decision = room.decide()
    assert decision.setpoints.kw[0] > 50
    assert decision.reasons == ["must be ready to leave"]


@pytest.mark.parametrize(
    ("minutes_left", "soc", "gives"),
    [(600, 0.8, True), (240, 0.8, True), (33, 0.8, False), (30, 0.6, False)],
)
def test_a_departure_is_a_floor_above_the_event(minutes_left: float, soc: float, gives: bool) -> None:
    room = Room(soc=soc)
    room.plan_at()
    room.ticker.standing[room.image.fleet.vehicles[0].id] = Standing(NOON + minutes(minutes_left), 180.0)
    room.ticker.bounds.mark()
    assert (room.kw() < 0) is gives


@pytest.mark.parametrize(
    "gone",
    [
        called(modification=1, cancelled=True),
        opted(opt="out"),
        called(modification=1, start=NOON + minutes(240)),
        called(modification=1, hours=0.01),
    ],
    ids=["cancelled", "opted out", "moved", "shortened"],
)
def test_what_was_planned_for_a_call_that_is_gone_is_given_no_more(gone: f.Fact) -> None:
    """At once, by the next tick, even where no new plan can be made."""
    room = Room()
    room.plan_at()
    now = NOON + minutes(2)
    assert room.kw(now) < -20
    room.image.apply(gone)
    assert room.kw(now) >= 0


def test_an_event_that_was_running_when_it_was_heard_of_is_served() -> None:
    room = Room(None, 0.8, called(start=NOON - minutes(30)), opted())
    room.plan_at()
    assert room.kw() < -20


def test_two_programs_call_at_once_and_both_are_served() -> None:
    two = fleet(
        (site("school"), site("other", utility="Unitil")),
        (station("cs1", "school"), station("cs2", "other")),
        programs=(program("cs-daily"), program("else", "Other", utilities=("Unitil",))),
    )
    events = (called("e1"), opted("e1"), called("e2", program_id="else"), opted("e2"))
    room = Room(two, 0.8, *events)
    for event in room.image.events.values():
        event.nominated_kw = 30.0
    decision = room.decide()  # without any plan: the promise alone
    assert decision.setpoints.kw.tolist() == pytest.approx([-30.0, -30.0])
    assert decision.setpoints.missing_kw.tolist() == [0.0, 0.0]


def test_overlapping_calls_of_one_program_do_not_ask_twice() -> None:
    room = Room(None, 0.8, called("e1"), opted("e1"), called("e2", NOON - minutes(5)), opted("e2"))
    for event in room.image.events.values():
        event.nominated_kw = 30.0
    assert room.kw() == pytest.approx(-30.0)


@pytest.mark.parametrize(
    ("facts", "main_kw", "gives"),
    [
        ([DEAD], None, False),
        ([OPEN], None, False),
        ([DEAD, OPEN], None, True),
        ([DEAD, OPEN], 0.1, True),
        ([DEAD, OPEN], 7.0, False),  # its meter contradicts the switch
        ([DEAD, f.TransferSwitchReported(at=NOON + seconds(60), site_id=SCHOOL, open=True, ts=NOON)], 7.0, True),
    ],
    ids=["dead", "switch alone", "isolated", "meter agrees", "meter contradicts", "meter spoke too early"],
)
def test_an_island_is_fed_only_when_proven(facts: list[f.Fact], main_kw: float | None, gives: bool) -> None:
    room = Room(fleet((site("school", transfer_switch=True, critical_load_kw=12.0),)), 0.8, *facts)
    now = NOON + seconds(90)
    if main_kw is not None:
        fields: dict[str, Any] = {"asset_id": "school", "place": "site", "power_kw": main_kw}
        room.image.apply(f.MeterReading(at=now, ts=now, context="clock", **fields))
    kw = room.kw(now)
    assert kw == pytest.approx(-12.0 if gives else 0.0)


def test_an_island_obeys_a_stop_and_a_lost_link() -> None:
    home = fleet((site("school", transfer_switch=True, critical_load_kw=12.0),))
    room = Room(home, 0.8, DEAD, OPEN)
    _off_the_air(room.image)
    assert room.kw() == 0.0
    room = Room(home, 0.8, DEAD, OPEN)
    _stop(room.image)
    assert room.kw() == 0.0


def test_departure_energy_is_not_given_to_the_building() -> None:
    room = Room(fleet((site("school", transfer_switch=True, critical_load_kw=12.0),)), 0.5, DEAD, OPEN)
    room.ticker.standing[room.image.fleet.vehicles[0].id] = Standing(NOON + minutes(900), 120.0)
    assert room.kw() == 0.0


@pytest.mark.parametrize(("after_s", "share"), [(0, 0.0), (299, 0.0), (450, 0.5), (600, None), (1900, None)])
def test_the_return_waits_for_a_stable_grid_and_then_ramps(after_s: float, share: float | None) -> None:
    room = Room(None, 0.8, DEAD, f.GridRestored(at=NOON, site_id=SCHOOL, ts=NOON))
    shares = room.islands.return_shares(NOON + seconds(after_s))
    assert shares == ({} if share is None else {SCHOOL: pytest.approx(share)})


def closed(after_min: float) -> f.TransferSwitchReported:
    at = NOON + minutes(after_min)
    return f.TransferSwitchReported(at=at, site_id=SCHOOL, open=False, ts=at)


BACK = f.GridRestored(at=NOON + minutes(1), site_id=SCHOOL, ts=NOON + minutes(1))


@pytest.mark.parametrize(
    ("facts", "minute", "share"),
    [
        ([DEAD, OPEN, BACK], 5, None),
        ([DEAD, OPEN, BACK], 90, None),
        ([DEAD, OPEN, BACK, closed(2)], 5, 0.0),  # five stable minutes count from the return
        ([DEAD, OPEN, BACK, closed(2)], 8.5, 0.5),
        ([DEAD, OPEN, BACK, closed(20)], 20, 0.0),  # long stable: the ramp begins with the switch
        ([DEAD, OPEN, BACK, closed(20)], 22.5, 0.5),
        ([DEAD, OPEN, BACK, closed(20)], 26, 1.0),
        ([OPEN], 5, 1.0),  # no grid was lost: a switch alone proves nothing
    ],
    ids=["open", "still open", "closed early", "ramp", "closed late", "ramp from then", "full", "never lost"],
)
def test_the_return_waits_for_the_switch(facts: list[f.Fact], minute: float, share: float | None) -> None:
    room = Room(None, 0.8, *facts)
    now = NOON + minutes(minute)
    shares = room.islands.return_shares(now)
    assert shares.get(SCHOOL, 1.0) == pytest.approx(1.0 if share is None else share)
    kw = room.decide(now).setpoints
    assert (kw.high_kw[0] == 0.0) == (not share), "no power through a connection that is cut or not yet trusted"


def test_an_island_is_carried_until_its_switch_closes() -> None:
    """Between the grid's return and the switch the building has nobody else."""
    home = fleet((site("school", transfer_switch=True, critical_load_kw=12.0),))
    room = Room(home, 0.8, DEAD, OPEN, BACK)
    assert room.kw(NOON + minutes(4)) == pytest.approx(-12.0)
    fields: dict[str, Any] = {"asset_id": "school", "place": "site", "context": "clock", "power_kw": 7.0}
    at = NOON + minutes(5)
    room.image.apply(f.MeterReading(at=at, ts=at, **fields))
    assert room.kw(at) == 0.0, "its main meter denies the open switch"
    room = Room(home, 0.8, DEAD, OPEN, BACK, closed(5))
    assert room.kw(NOON + minutes(5)) == 0.0


@pytest.mark.parametrize(("age_min", "credited"), [(2, True), (4, False)])
def test_power_of_minutes_ago_carries_no_charging(age_min: float, credited: bool) -> None:
    """Discharge of one bus makes room for another's charging only as far as a meter shows that it flows now."""
    tight = fleet((site("school", import_limit_kw=50.0),), (station("cs1", "school"), station("cs2", "school")))
    room = Room(tight, 0.8, called(), opted())
    room.image.events[GridEventId("e1")].nominated_kw = 30.0
    room.ticker.last_kw[1] = -30.0
    room.image.evses["cs2/1"].power_at = NOON - minutes(age_min)
    room.image.evses["cs2/1"].power_kw = -30.0
    room.image.evses["cs1/1"].soc = 0.3
    room.ticker.standing[tight.vehicles[0].id] = Standing(NOON + minutes(30), 180.0)
    kw = room.decide().setpoints.kw
    room_kw = (50 - 0.04 * 50) * 0.95 - 20
    assert kw[0] == pytest.approx(room_kw + (min(-kw[1], 30.0) if credited else 0.0))
    assert kw[1] < -20


@pytest.mark.parametrize(("read_s", "follows"), [(-5, True), (10, True), (35, False)])
def test_who_follows_is_judged_by_a_reading_of_the_setpoints_own_time(read_s: float, follows: bool) -> None:
    """A value from before the setpoint, or from its ramp, accuses nobody."""
    room = Room()
    room.plan_at()
    decision = room.decide()
    room.ticker.accept(decision, decision.setpoints.kw != 0, NOON)
    at = NOON + seconds(read_s)
    room.image.evses["cs1/1"].power_at, room.image.evses["cs1/1"].power_kw = at, 0.0
    assert room.decide(NOON + seconds(40)).setpoints.follows.tolist() == [follows]


def test_a_station_off_the_air_keeps_its_fallbacks_share_of_the_site() -> None:
    """Its lease ends, then it charges on its own default: the others may not have that room."""
    tight = fleet((site("school", import_limit_kw=100.0),), (station("cs1", "school"), station("cs2", "school")))
    room = Room(tight, 0.3, called(start=NOON + minutes(600)))
    for bus in tight.vehicles:
        room.ticker.standing[bus.id] = Standing(NOON + minutes(60), 180.0)
    _off_the_air(room.image)
    room.ticker.fallback_kw = lambda station_id, now: 25.0
    room.image.sites[SCHOOL].building_at = NOON + minutes(10)
    assert room.decide(NOON + minutes(4)).setpoints.kw[1] == 60.0, "its lease still stands at 0 kW"
    assert room.decide(NOON + minutes(16)).setpoints.kw[1] == pytest.approx(100 - 0.04 * 50 - 20 - 98 * 0.05 - 25)
    room.image.apply(reading("cs1", NOON + minutes(17), power_kw=40.0))
    assert room.decide(NOON + minutes(18)).setpoints.kw[1] == pytest.approx(100 - 0.04 * 50 - 20 - 98 * 0.05 - 40)


def test_a_new_session_starts_from_nothing() -> None:
    room = Room()
    room.plan_at()
    decision = room.decide()
    room.ticker.accept(decision, decision.setpoints.kw != 0, NOON)
    assert room.ticker.last_kw[0] < 0
    room.image.apply(plug("cs1", NOON + seconds(1), "s2"))
    room.ticker.forget(0)
    assert room.ticker.last_kw[0] == 0
    assert room.kw(NOON + seconds(5)) == 0.0, "its state of charge is unknown"
    assert GridEventId("e1") in room.image.events


def test_an_event_takes_from_every_depot_by_what_it_can_spare_whatever_the_plan_says() -> None:
    """To an event all sites are alike, so each new plan would let another one give."""
    three = ("school", "other", "third")
    of = fleet(tuple(site(one) for one in three), tuple(station(f"cs-{one}", one) for one in three))
    room = Room(of)
    room.image.evses["cs-third/1"].soc = 0.5
    room.plan_at()
    assert room.plan is not None
    total_kw = float(room.plan.net_kw[:, 0].sum())
    shares = []
    for order in ([1.0, 0.0, 0.0], [0.0, 0.7, 0.3]):
        room.plan.net_kw[:, 0] = np.maximum(np.array(order) * total_kw, -60.0)
        room.plan.commitment_kw[0, 0] = -room.plan.net_kw[:, 0].sum()
        shares.append(room.decide().setpoints.kw)
    for kw in shares:
        assert kw[0] == pytest.approx(kw[1], rel=1e-3)
        assert kw[2] == pytest.approx(kw[0] / 2, rel=0.05)  # 100 kWh less a lease, over 120 less a lease


def test_a_site_that_is_stopped_gives_nothing_of_an_events_share() -> None:
    both = fleet((site("school"), site("other")), (station("cs1", "school"), station("cs2", "other")))
    room = Room(both)
    room.plan_at()
    room.image.apply(f.DischargeStopped(at=NOON, by="x", site_id=SiteId("other")))
    decision = room.decide()
    assert decision.setpoints.kw[1] == 0.0
    assert decision.setpoints.kw[0] < -20


def test_the_first_moment_of_a_step_waits_for_the_plan_that_is_being_made() -> None:
    """What the old plan meant for the new step would be said to every station for five seconds."""
    room = Room(None, 0.8, called(start=NOON + minutes(45)), opted())
    room.plan_at()
    assert room.snapshot is not None
    assert room.plan is not None
    edge = room.snapshot.edges[1]
    kw = room.plan.net_kw
    kw[0, 0], kw[0, 1], kw[0, 2] = 20.0, 5.0, 15.0
    assert room.kw(edge) == 20.0
    assert room.kw(edge + seconds(5)) == 5.0
    event_start = NOON + minutes(45)
    step = room.snapshot.edges.index(event_start)
    kw[0, step - 1], kw[0, step] = 7.0, 0.0
    assert room.kw(event_start - seconds(5)) == 7.0
    assert room.kw(event_start) == 0.0, "an event waits for nothing"
