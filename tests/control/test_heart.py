"""The beat: what is sent, sent again, and what a failing neighbour may not stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from revere.control.heart import PROVE_STOP, REPLAN_DEBOUNCE_S, Heart
from revere.control.inbox import Inbox
from revere.control.leases import LEASE_KEPT
from revere.control.snapshot import take_snapshot
from revere.core import facts as f
from revere.core.commands import Answer
from revere.core.ids import SessionId, StationId
from revere.settle.rules import load_rulebook
from revere.twin.loop import run_twin
from tests.control.scenes import (
    NOON,
    FakeJournal,
    FakeLink,
    House,
    called,
    connected,
    dropped,
    fleet,
    minutes,
    opted,
    reading,
    ready_image,
    seconds,
    settle,
)

if TYPE_CHECKING:
    from revere.twin.loop import TwinClock


def test_nothing_is_said_twice_without_a_reason() -> None:
    async def play() -> int:
        house = House(ready_image(fleet()))
        for _ in range(6):
            await house.beat()
        return len(house.link.sent)

    assert asyncio.run(play()) == 1


def test_a_setpoint_that_got_no_answer_is_sent_again() -> None:
    """A stop that timed out once must not stay unheard until the plan changes."""

    async def play() -> list[float]:
        house = House(ready_image(fleet()))
        house.link.answer = Answer(status="timeout")
        await house.beat()
        house.link.answer = Answer(status="accepted")
        await house.beat()
        first = len(house.link.sent)
        await house.beat(10)
        return [first, len(house.link.sent)]

    assert asyncio.run(play()) == [1, 2]


def test_a_station_that_comes_back_is_told_again() -> None:
    """Its lease may have ended while it was away, and then it runs on its own fallback."""

    async def play() -> list[int]:
        house = House(ready_image(fleet()))
        counts = []
        await house.beat()
        house.image.apply(dropped("cs1", house.clock.at))
        await house.beat(600)
        counts.append(len(house.link.sent))
        await house.inbox.record([connected("cs1", house.clock.at, 2)])
        await house.beat()
        counts.append(len(house.link.sent))
        return counts

    assert asyncio.run(play()) == [1, 2]


@pytest.mark.parametrize(
    ("left", "sent"), [(True, [1, 2, 2]), (False, [1, 1, 1])], ids=["without our word", "by our word, or offline"]
)
def test_a_station_that_says_that_it_left_our_setpoint_is_told_once_more_and_no_oftener(
    left: bool, sent: list[int]
) -> None:
    async def play() -> tuple[list[int], str]:
        house = House(ready_image(fleet()))
        counts = []
        await house.beat()
        counts.append(len(house.link.sent))
        said = f.OperationModeReported(
            at=house.clock.at,
            station_id=StationId("cs1"),
            evse_id=1,
            session_id=SessionId("s1"),
            mode="charging-only",
            ts=NOON,
            left_ours=left,
        )
        await house.inbox.record([said])
        for beats in (1, 5):
            for _ in range(beats):
                await house.beat()
            counts.append(len(house.link.sent))
        told = house.image.evses["cs1/1"].mode_told
        return counts, told.mode if told else ""

    assert asyncio.run(play()) == (sent, "charging-only")


def test_another_charger_than_the_accepted_one_is_told_nothing() -> None:
    async def play() -> list[int]:
        house = House(ready_image(fleet()))
        who = {"station_id": StationId("cs1"), "vendor": "V", "model": "M", "serial": "B2"}
        await house.inbox.record([f.IdentityRefused(at=house.clock.at, **who)])
        await house.beat()
        counts = [len(house.link.sent)]
        assert house.heart.picture(house.clock.at).available_discharge_kw == 0
        await house.inbox.record([f.IdentityAccepted(at=house.clock.at, by="an operator", **who)])
        await house.beat()
        return [*counts, len(house.link.sent)]

    assert asyncio.run(play()) == [0, 1]


@pytest.mark.parametrize(("controllable", "told"), [(False, 0), (True, 1)])
def test_nobody_counts_on_the_discharge_of_a_charger_that_cannot_be_made_to_give(controllable: bool, told: int) -> None:
    async def play() -> tuple[int, float, float]:
        house = House(ready_image(fleet()))
        who = {"station_id": StationId("cs1"), "model": "vendor-cloud"}
        said = f.StationRecognised(at=house.clock.at, controllable=controllable, discharges=False, **who)
        await house.inbox.record([said])
        await house.beat()
        planned = take_snapshot(
            house.image, house.clock.at, lambda _site, edges: np.zeros(len(edges) - 1), house.heart.contracts
        )
        picture = house.heart.picture(house.clock.at)
        return len(house.link.sent), picture.available_discharge_kw, float(planned.problem.discharge_max_kw.max())

    assert asyncio.run(play()) == (told, 0.0, 0.0)


def test_an_old_standing_setpoint_is_renewed() -> None:
    async def play() -> int:
        house = House(ready_image(fleet()))
        await house.beat()
        await house.beat(LEASE_KEPT.total_seconds())
        return len(house.link.sent)

    assert asyncio.run(play()) == 2


def test_the_page_says_when_the_database_is_gone_and_when_it_is_back() -> None:
    async def play() -> list[str]:
        house = House(ready_image(fleet()))
        said = []
        for away in (False, True, False):
            house.journal.away = away
            house.heart.scribe.write([f.AlarmCleared(at=house.clock.at, key="x")])
            await house.write()
            said.append(house.heart.picture(house.clock.at).database)
        return said

    assert asyncio.run(play()) == ["ok", "gone", "ok"]


@pytest.mark.parametrize(("waits", "stale_s"), [(False, 0.0), (True, 50.0)], ids=["all committed", "one waits"])
def test_figures_are_as_old_as_the_oldest_fact_that_waits_however_rarely_stations_speak(
    waits: bool, stale_s: float
) -> None:
    async def play() -> float:
        house = House(ready_image(fleet()))
        house.journal.slow = waits
        writing = asyncio.ensure_future(house.inbox.record([f.AlarmCleared(at=house.clock.at, key="x")]))
        await settle()
        house.clock.at += seconds(50)  # values come once a minute outside events
        age_s = house.heart.picture(house.clock.at).stale_s
        house.journal.commit()
        await writing
        assert house.heart.picture(house.clock.at).stale_s == 0
        return age_s

    assert asyncio.run(play()) == stale_s


def test_readings_go_on_being_folded_after_a_refusal() -> None:
    async def play() -> float | None:
        house = House(ready_image(fleet()))
        house.journal.away = True
        lost = asyncio.ensure_future(house.inbox.record([reading("cs1", NOON, power_kw=9.0)]))
        await asyncio.wait([lost])
        assert lost.exception() is not None
        assert house.image.evses["cs1/1"].power_kw == 0.0, "what is not committed is not folded"
        house.journal.away = False
        await house.inbox.record([reading("cs1", NOON, power_kw=9.0)])
        return house.image.evses["cs1/1"].power_kw

    assert asyncio.run(play()) == 9.0


def test_after_a_stop_every_station_reports_fast_for_a_while() -> None:
    """Who stopped discharge wants to see within seconds that it stands."""

    async def play() -> list[int]:
        house = House(ready_image(fleet()))
        await house.beat()
        house.image.apply(f.DischargeStopped(at=house.clock.at, by="an operator"))
        await house.beat()
        await house.beat(PROVE_STOP.total_seconds())
        await house.beat()
        return [command.sample_interval_s for command in house.link.reporting]

    assert asyncio.run(play()) == [10, 60]


def test_a_station_out_of_reach_is_told_once_and_its_return_too() -> None:
    async def play() -> list[list[str]]:
        house = House(ready_image(fleet()))
        seen = []

        async def minute(count: int) -> None:
            for _ in range(12 * count):
                await house.beat()
            await house.write()
            seen.append(sorted(house.image.alarms))

        house.image.apply(dropped("cs1", house.clock.at))
        await minute(9)
        await minute(3)
        await minute(5)
        house.image.apply(connected("cs1", house.clock.at, 2))
        await minute(1)
        raised = [fact.key for fact in house.journal.of(f.AlarmRaised) if fact.key.startswith("offline:")]
        return [*seen, raised]

    quiet, told, still, back, raised = asyncio.run(play())
    assert "offline:cs1" not in quiet
    assert "offline:cs1" in told
    assert "offline:cs1" in still
    assert "offline:cs1" not in back
    assert raised == ["offline:cs1"]


def test_a_stop_and_its_release_are_planned_with_within_seconds() -> None:
    """What is shown and promised must not rest on power that a person has stopped."""

    async def play(clock: TwinClock) -> list[float]:
        image = ready_image(fleet())
        inbox = Inbox(FakeJournal(), image)
        heart = Heart(image, inbox, FakeLink(), clock, load_rulebook())
        for fact in (called(start=NOON + minutes(60)), opted()):
            image.apply(fact)
        planning = asyncio.ensure_future(heart._plan_loop())
        lowest_kw = []
        for fact in (None, f.DischargeStopped(at=NOON, by="x"), f.DischargeReleased(at=NOON, by="x", why="over")):
            if fact is not None:
                await inbox.record([fact])
            await asyncio.sleep(REPLAN_DEBOUNCE_S + 1)
            assert heart.plan is not None
            lowest_kw.append(float(heart.plan.commitment_kw[0].max()))
        planning.cancel()
        await asyncio.gather(planning, return_exceptions=True)
        return lowest_kw

    before, stopped, released = run_twin(play, NOON)
    assert before > 20
    assert stopped == 0
    assert released == pytest.approx(before, rel=0.05)
