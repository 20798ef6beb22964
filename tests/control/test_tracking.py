"""A setpoint is open until the meter agrees; who does not follow is not counted on, and is asked again."""

from __future__ import annotations

import datetime as dt

import pytest

from revere.control.image import Image
from revere.control.tracking import RETRY_AFTER, CommandTracker, FleetChanges, OpenCommand
from revere.core import facts as f
from revere.core.commands import Answer
from tests.control.scenes import NOON, fleet, plug, reading, ready_image, seconds, unplug

ASSET = "cs1/1"


class Bench:
    """One station at noon and its tracker."""

    def __init__(self) -> None:
        self.image: Image = ready_image(fleet())
        self.tracker = CommandTracker()
        self.now = NOON

    def ask(self, setpoint_kw: float, interval_s: float = 10.0) -> OpenCommand:
        command, facts = self.tracker.issue(
            self.image.evses[ASSET], ASSET, setpoint_kw, self.now, interval_s, in_event=True
        )
        self.fold(facts)
        return command

    def fold(self, facts: list[f.Fact]) -> list[f.Fact]:
        for fact in facts:
            self.image.apply(fact)
        return facts

    def shows(self, power_kw: float, after_s: float = 10.0) -> list[f.Fact]:
        """The meter says so, and the tick looks."""
        self.now += seconds(after_s)
        self.image.apply(reading("cs1", self.now, power_kw=power_kw))
        return self.fold(self.tracker.check(self.image, self.now))


@pytest.mark.parametrize(
    ("asked_kw", "shown_kw", "outcome"),
    [
        (-60.0, -58.0, "confirmed"),
        (-60.0, -50.0, None),
        (-60.0, 60.0, None),  # a flipped sign is no agreement
        (0.0, 2.0, "confirmed"),
        (0.0, 9.0, None),
        (40.0, 12.0, "confirmed"),  # a battery may draw less than it is allowed
        (40.0, 44.0, None),
        (40.0, -10.0, None),
    ],
)
def test_readings_alone_confirm(asked_kw: float, shown_kw: float, outcome: str | None) -> None:
    bench = Bench()
    command = bench.ask(asked_kw)
    bench.fold(bench.tracker.answered(command, Answer(status="accepted"), 0.0, bench.now))
    ended = [fact for fact in bench.shows(shown_kw) if isinstance(fact, f.CommandEnded)]
    assert [fact.outcome for fact in ended] == ([outcome] if outcome else [])


def test_a_reading_from_before_the_asking_proves_nothing() -> None:
    bench = Bench()
    bench.image.apply(reading("cs1", NOON, power_kw=-60.0))
    bench.ask(-60.0)
    assert bench.tracker.check(bench.image, NOON + seconds(5)) == []


@pytest.mark.parametrize("skew_s", [-45.0, 45.0])
def test_a_station_with_a_wrong_clock_is_judged_by_ours(skew_s: float) -> None:
    bench = Bench()
    bench.image.apply(f.ClockSkewMeasured(at=NOON, station_id=bench.image.evses[ASSET].station.id, skew_s=skew_s))
    bench.image.evses[ASSET].power_at = NOON - seconds(120)
    bench.ask(-60.0)
    taken_before = reading("cs1", NOON - seconds(1) + seconds(skew_s), power_kw=-60.0)
    bench.image.apply(taken_before)
    assert bench.tracker.check(bench.image, NOON + seconds(5)) == []
    bench.image.apply(reading("cs1", NOON + seconds(9) + seconds(skew_s), power_kw=-60.0))
    (ended,) = bench.tracker.check(bench.image, NOON + seconds(10))
    assert isinstance(ended, f.CommandEnded)
    assert ended.outcome == "confirmed"
    assert bench.tracker.changes.met_s == [pytest.approx(9.0)]


@pytest.mark.parametrize(
    ("asks", "shows", "met_s", "unmet"),
    [
        ([(0, "A")], [(8, "A")], [8], 0),
        ([(0, "A"), (0, "B")], [(8, "A"), (14, "B")], [14], 0),  # the last station's proof
        ([(0, "A"), (5, "A")], [(12, "A")], [12, 7], 0),  # superseded: until its successor was met
        ([(0, "A"), (5, "A")], [(5, "A"), (12, "A")], [5, 7], 0),  # read just as the next was sent
        ([(0, "A"), (5, "A")], [(5, "A")], [5], 1),
        ([(0, "A"), (0, "B"), (5, "B")], [(4, "A"), (21, "B")], [21, 16], 0),
        ([(0, "A"), (0, "B")], [(8, "A")], [], 1),
        ([(0, "A"), (0, "B")], [(8, "A"), (9, "-B")], [8], 0),  # unplugged: nobody to wait for
        ([(0, "A")], [(9, "-A")], [], 0),
    ],
)
def test_a_fleet_change_lasts_until_its_last_station_shows_it(
    asks: list[tuple[int, str]], shows: list[tuple[int, str]], met_s: list[float], unmet: int
) -> None:
    changes = FleetChanges()
    for at, asset in asks:
        changes.begin(asset, NOON + seconds(at), -60.0)
    for at, asset in shows:
        if asset.startswith("-"):
            changes.forget(asset.removeprefix("-"))
        else:
            changes.show(asset, NOON + seconds(at), lambda setpoint_kw: setpoint_kw == -60.0)
    assert (changes.met_s, changes.unmet) == (met_s, unmet)


def test_a_setpoint_that_expired_counts_until_the_station_obeys() -> None:
    bench = Bench()
    bench.ask(-60.0)
    bench.shows(0.0, 31.0)
    bench.ask(-60.0)
    bench.shows(-59.0, 10.0)
    assert bench.tracker.changes.met_s == [41.0, 10.0]
    ends = {"issued": 2, "expired": 1, "confirmed": 1}
    assert bench.tracker.figures.in_events == ends


def test_a_new_setpoint_supersedes_and_an_unplugging_ends() -> None:
    bench = Bench()
    first = bench.ask(-60.0)
    second = bench.ask(-30.0)
    bench.image.apply(unplug("cs1", NOON + seconds(1)))
    (ended,) = bench.tracker.check(bench.image, NOON + seconds(5))
    assert isinstance(ended, f.CommandEnded)
    assert (ended.command_id, ended.outcome) == (second.command_id, "superseded")
    assert bench.tracker.figures.superseded == 2
    assert bench.tracker.answered(first, Answer(status="rejected"), 0.0, NOON) == []


def test_command_ids_never_repeat_over_restarts() -> None:
    first, second = CommandTracker(), CommandTracker()
    first.resume(NOON)
    second.resume(NOON + seconds(1))
    evse = ready_image(fleet()).evses[ASSET]
    ids = {t.issue(evse, ASSET, 1.0, NOON, 10, in_event=False)[0].command_id for t in (first, second) for _ in range(3)}
    assert len(ids) == 6


def test_after_two_failures_an_evse_is_not_trusted_with_one_alarm() -> None:
    bench = Bench()
    alarms: list[f.Fact] = []
    for failure in range(4):
        bench.ask(-60.0)
        assert bench.tracker.trusted(ASSET, bench.now) is (failure < 2)
        alarms += [fact for fact in bench.shows(0.0, 31.0) if isinstance(fact, f.AlarmRaised)]
    assert len(alarms) == 1, "an alarm that stands is not raised again"
    assert bench.tracker.trusted(ASSET, bench.now + RETRY_AFTER)


def test_rejections_are_heard_by_the_operator_too() -> None:
    bench = Bench()
    for _ in range(2):
        command = bench.ask(-60.0)
        facts = bench.fold(bench.tracker.answered(command, Answer(status="rejected", why="no"), 0.0, bench.now))
    assert [type(fact) for fact in facts] == [f.CommandEnded, f.AlarmRaised]
    assert "not-following:cs1/1" in bench.image.alarms


def test_a_station_that_is_off_the_air_has_not_disobeyed() -> None:
    bench = Bench()
    for _ in range(3):
        command = bench.ask(-60.0)
        bench.fold(bench.tracker.answered(command, Answer(status="offline"), 0.0, bench.now))
    assert bench.tracker.trusted(ASSET, bench.now)
    assert bench.image.alarms == {}


def test_standing_still_when_told_to_is_no_proof_of_following() -> None:
    """A station stuck at 0 kW 'meets' the 0 that it is then given; it stays out of the split all the same."""
    bench = Bench()
    for _ in range(2):
        bench.ask(-60.0)
        bench.shows(0.0, 31.0)
    bench.ask(0.0)
    (ended,) = bench.shows(0.0)
    assert isinstance(ended, f.CommandEnded)
    assert ended.outcome == "confirmed"
    assert not bench.tracker.trusted(ASSET, bench.now)
    assert "not-following:cs1/1" in bench.image.alarms
    bench.now += RETRY_AFTER
    bench.ask(-60.0)
    facts = bench.shows(-60.0)
    assert [type(fact) for fact in facts] == [f.CommandEnded, f.AlarmCleared]
    assert bench.tracker.trusted(ASSET, bench.now)


def test_what_failed_is_asked_again_with_growing_pauses() -> None:
    bench = Bench()
    waits = []
    for _ in range(7):
        command = bench.ask(0.0)
        assert not bench.tracker.ask_again(ASSET, bench.now)
        bench.tracker.answered(command, Answer(status="timeout"), 0.0, bench.now)
        start = bench.now
        while not bench.tracker.ask_again(ASSET, bench.now):
            bench.now += seconds(5)
        waits.append((bench.now - start).total_seconds())
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    bench.image.apply(plug("cs1", bench.now, "s2"))
    bench.tracker.forget(ASSET)
    assert not bench.tracker.ask_again(ASSET, bench.now + dt.timedelta(hours=1))
