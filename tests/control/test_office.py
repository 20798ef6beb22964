"""What people ask: done, refused with the way out, and never in the wrong order."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import pytest

from revere.control.desk import (
    AcknowledgeAlarm,
    CallEvent,
    OptEvent,
    OrderStation,
    Receipt,
    ReleaseDischarge,
    SetDeparture,
    StopDischarge,
    TellStation,
    WithdrawEvent,
)
from revere.control.office import Office
from revere.core import facts as f
from revere.core.commands import Answer
from revere.core.errors import Refused, Unavailable
from revere.core.ids import GridEventId
from revere.core.orders import ResetStation, SetAvailability
from tests.control.scenes import (
    NOON,
    House,
    called,
    fleet,
    minutes,
    opted,
    ready_image,
    settle,
    site,
    station,
    trip,
    unplug,
    vehicle,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.control.desk import Ask

BUS = fleet().vehicles[0].id
LATER = NOON + minutes(60)


def at_desk(play: Callable[[House, Office], Awaitable[Any]], *facts: f.Fact) -> Any:
    """Run ``play`` with a house and its office."""

    async def run() -> Any:
        house = House(ready_image(fleet()))
        for fact in facts:
            house.image.apply(fact)
        return await play(house, Office(house.heart, house.inbox, asyncio.get_running_loop()))

    return asyncio.run(run())


def call(start: float = 60, end: float = 120, program_id: str = "cs-daily") -> CallEvent:
    return CallEvent(program_id=program_id, start=NOON + minutes(start), end=NOON + minutes(end), by="x")


def opt(event_id: str = "e1") -> OptEvent:
    return OptEvent(grid_event_id=event_id, opt_in=False, by="x", why="")


def departure(**changes: Any) -> SetDeparture:
    return SetDeparture(**{"vehicle_id": BUS, "departs": LATER, "soc_required": 0.9, "by": "x", **changes})


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (StopDischarge(by="x", site_id="nowhere"), "no such site"),
        (ReleaseDischarge(by="x", why="ok", site_id="nowhere"), "no such site"),
        (ReleaseDischarge(by="x", why="  "), "needs a reason"),
        (departure(vehicle_id="none"), "no such vehicle"),
        (departure(departs=NOON), "must lie ahead"),
        (departure(departs=NOON + dt.timedelta(days=15)), "must lie ahead"),
        (departure(departs=LATER.replace(tzinfo=None)), "without a zone"),
        (departure(soc_required=0.0), "out of range"),
        (departure(soc_required=1.01), "out of range"),
        (departure(soc_required=math.nan), "out of range"),
        (AcknowledgeAlarm(key="nothing", by="x"), "no such alarm"),
        (TellStation(station_id="none", action="stop", by="x"), "no such station"),
        (TellStation(station_id="cs1", action="start", by="x"), "runs there already"),
        (call(program_id="none"), "no such program"),
        (call(60, 60), "length"),
        (call(60, 30), "length"),
        (call(60, 60 + 361), "length"),
        (call(-1, 60), "start ahead"),
        (call(15 * 1440, 15 * 1440 + 60), "start ahead"),
        (call(-300, -120), "start ahead"),
        (call(230, 250), "already covers"),
        (opt("none"), "no such event"),
        (opt("past"), "over or cancelled"),
        (opt("off"), "over or cancelled"),
    ],
)
def test_refusals_name_the_thing_and_record_nothing(request_: Ask, word: str) -> None:
    async def play(house: House, office: Office) -> list[f.Fact]:
        with pytest.raises(Refused, match=word):
            await office.ask(request_)
        await house.write()
        return house.journal.facts

    known = (
        called("e1", NOON + minutes(240)),
        called("past", NOON - minutes(300)),
        called("off", cancelled=True),
    )
    assert at_desk(play, *known) == []


def test_one_person_stops_all_discharge_without_waiting_for_the_database() -> None:
    async def play(house: House, office: Office) -> tuple[float, float, Receipt, list[Any]]:
        await house.heart.make_plan()
        await house.beat()
        during_kw = house.link.sent[-1].setpoint_kw
        house.journal.away = True
        receipt = await office.ask(StopDischarge(by="eve", why="smoke"))
        await settle()
        after_kw = house.link.sent[-1].setpoint_kw
        house.journal.away = False
        await house.write()
        return during_kw, after_kw, receipt, house.journal.of(f.DischargeStopped)

    during_kw, after_kw, receipt, journaled = at_desk(play, called(), opted())
    assert (during_kw < -20, after_kw) == (True, 0.0)
    assert receipt.accepted
    assert [(fact.by, fact.why) for fact in journaled] == [("eve", "smoke")]


def test_a_stop_outside_an_event_waits_for_no_next_decision() -> None:
    """At rest a decision stands for half a minute; a stop ends that at once, with the database away too."""

    async def play(house: House, office: Office) -> tuple[float, float]:
        await house.heart.make_plan()
        assert house.heart.plan is not None
        house.heart.plan.net_kw[0, :] = -15.0
        for _ in range(4):
            await house.beat()
        during_kw = house.link.sent[-1].setpoint_kw
        house.journal.away = True
        await office.ask(StopDischarge(by="eve"))
        await settle()
        return during_kw, house.link.sent[-1].setpoint_kw

    assert at_desk(play) == (-15.0, 0.0)


def test_a_release_never_overtakes_its_stop() -> None:
    async def play(house: House, office: Office) -> tuple[bool, list[str]]:
        house.journal.away = True
        await office.ask(StopDischarge(by="eve"))
        release = asyncio.ensure_future(office.ask(ReleaseDischarge(by="eve", why="done")))
        await settle()
        house.journal.away = False
        await house.write()
        await release
        kinds = [type(fact).__name__ for fact in house.journal.facts if type(fact).__name__.startswith("Discharge")]
        return house.image.stopped, kinds

    assert at_desk(play) == (False, ["DischargeStopped", "DischargeReleased"])


def test_a_release_that_cannot_be_journaled_releases_nothing() -> None:
    async def play(house: House, office: Office) -> bool:
        await office.ask(StopDischarge(by="eve"))
        await house.write()
        house.journal.away = True
        with pytest.raises(Unavailable):
            await office.ask(ReleaseDischarge(by="eve", why="done"))
        return house.image.stopped

    assert at_desk(play) is True


@pytest.mark.parametrize(
    ("departs", "soc", "words"),
    [(60, 0.6, "will be ready: enough now"), (600, 1.0, "min to spare"), (10, 1.0, "probably not be ready")],
)
def test_a_departure_order_answers_whether_it_can_be_met(departs: float, soc: float, words: str) -> None:
    async def play(house: House, office: Office) -> tuple[str, float]:
        receipt = await office.ask(departure(departs=NOON + minutes(departs), soc_required=soc))
        return receipt.detail, house.image.overrides[BUS].soc_required

    detail, kept = at_desk(play)
    assert words in detail
    assert kept == soc


def test_a_call_by_hand_is_an_event_with_its_caller() -> None:
    async def play(house: House, office: Office) -> tuple[str, Any]:
        receipt = await office.ask(call())
        return receipt.reference, house.image.events[GridEventId(receipt.reference)]

    reference, event = at_desk(play)
    assert reference.startswith("manual-")
    assert (event.start, event.source, event.opt) == (NOON + minutes(60), "operator:x", "undecided")


@pytest.mark.parametrize("request_", [opt(), WithdrawEvent(grid_event_id="e1", by="x", why="wrong day")])
def test_leaving_or_withdrawing_a_running_call_lets_go_at_the_next_tick(request_: Ask) -> None:
    async def play(house: House, office: Office) -> tuple[float, float]:
        await house.heart.make_plan()
        await house.beat()
        during_kw = house.link.sent[-1].setpoint_kw
        await office.ask(request_)
        await house.beat()
        return during_kw, house.link.sent[-1].setpoint_kw

    during_kw, after_kw = at_desk(play, called(source="operator:ana"), opted())
    assert during_kw < -20
    assert after_kw >= 0


def test_another_threads_loop_gets_the_same_answer() -> None:
    async def play(house: House, office: Office) -> Receipt:
        return await asyncio.to_thread(asyncio.run, office.ask(call()))

    assert at_desk(play).accepted


def test_who_has_seen_an_alarm_is_journaled_by_name() -> None:
    async def play(house: House, office: Office) -> None:
        raised = f.AlarmRaised(at=NOON, key="offline:cs1", severity="warning", subject="cs1", text="x")
        house.image.apply(raised)
        receipt = await office.ask(AcknowledgeAlarm(key="offline:cs1", by="ana"))
        assert "ana" in receipt.detail
        assert house.journal.of(f.AlarmAcknowledged) == [
            f.AlarmAcknowledged(at=house.clock.at, key="offline:cs1", by="ana")
        ]
        (shown,) = house.heart.picture(house.clock.at).alarms
        assert shown.acknowledged_by == "ana"

    at_desk(play)


@pytest.mark.parametrize(
    ("action", "plugged", "answer", "called", "outcome"),
    [
        ("start", False, "accepted", ("start", "cs1", "EV-cs1"), "confirmed"),
        ("start", False, "rejected", ("start", "cs1", "EV-cs1"), "rejected"),
        ("stop", True, "accepted", ("stop", "cs1", "s1"), "confirmed"),
        ("stop", True, "timeout", ("stop", "cs1", "s1"), "expired"),
        ("clear", True, "accepted", ("clear", "cs1", "1"), "confirmed"),
        ("clear", True, "offline", ("clear", "cs1", "1"), "rejected"),
    ],
)
def test_a_station_is_told_by_hand_and_the_journal_says_by_whom(
    action: Any, plugged: bool, answer: Any, called: tuple[str, str, str], outcome: str
) -> None:
    async def play(house: House, office: Office) -> None:
        if not plugged:
            house.image.apply(unplug("cs1", NOON))
        house.link.answer = Answer(status=answer)
        receipt = await office.ask(TellStation(station_id="cs1", action=action, by="ana"))
        assert house.link.told == [called]
        assert receipt.accepted is (outcome == "confirmed")
        (issued,) = [one for one in house.journal.of(f.CommandIssued) if one.kind == action]
        assert issued.by == "ana"
        ended = [one for one in house.journal.of(f.CommandEnded) if one.command_id == issued.command_id]
        assert [one.outcome for one in ended] == [outcome]

    at_desk(play)


def test_a_revocation_is_journaled_with_the_persons_name_and_tells_what_comes_next() -> None:
    class Revoking:
        def check(self, station_id: str) -> None:
            assert station_id == "cs1"

        async def revoke(self, station_id: str, by: str) -> Answer:
            return Answer(status="accepted", why=f"its connection is closed for {by}")

    async def play(house: House, office: Office) -> None:
        with pytest.raises(Refused, match="not revoked here"):
            await office.ask(TellStation(station_id="cs1", action="revoke", by="ana"))
        office._certificates = Revoking()  # type: ignore[assignment]
        receipt = await office.ask(TellStation(station_id="cs1", action="revoke", by="ana"))
        assert receipt.accepted
        assert "its connection is closed for ana. Make it a new one" in receipt.detail
        (issued,) = [one for one in house.journal.of(f.CommandIssued) if one.kind == "revoke"]
        assert (issued.by, issued.station_id) == ("ana", "cs1")

    at_desk(play)


def test_a_cleared_station_is_told_its_setpoint_anew() -> None:
    async def play(house: House, office: Office) -> None:
        await house.beat()
        first = len(house.link.sent)
        await house.beat()
        assert len(house.link.sent) == first
        await office.ask(TellStation(station_id="cs1", action="clear", by="ana"))
        await house.beat()
        assert len(house.link.sent) == first + 1

    at_desk(play)


def test_a_station_that_does_not_answer_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revere.control.office.STATION_ANSWERS_S", 0.01)

    async def play(house: House, office: Office) -> None:
        async def never(*_words: object) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(house.link, "remote_stop", never)
        receipt = await office.ask(TellStation(station_id="cs1", action="stop", by="ana"))
        assert (receipt.accepted, house.journal.of(f.CommandEnded)[-1].outcome) == (False, "expired")

    at_desk(play)


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (Answer(status="accepted", why="Scheduled", details=(("a", "b"),)), True),
        (Answer(status="rejected", why="NotNow"), False),
        (Answer(status="offline", why="station is not connected"), False),
    ],
)
def test_an_order_is_journaled_before_and_after_it_is_given(answer: Answer, accepted: bool) -> None:
    async def play(house: House, office: Office) -> None:
        house.link.answer = answer
        order = ResetStation(when="now")
        receipt = await office.ask(OrderStation(station_id="cs1", order=order, by="ana"))
        assert (receipt.accepted, receipt.details) == (accepted, answer.details)
        assert answer.why in receipt.detail
        assert house.link.ordered == [("cs1", order)]
        asked, ended = house.journal.of(f.StationOrdered)
        assert (asked.status, ended.status, ended.why) == ("asked", answer.status, answer.why)
        assert {(one.kind, one.by, one.command_id) for one in (asked, ended)} == {
            ("reset-station", "ana", receipt.reference)
        }

    at_desk(play)


def test_no_order_goes_out_that_is_not_journaled() -> None:
    async def play(house: House, office: Office) -> None:
        house.journal.away = True
        with pytest.raises(Unavailable):
            await office.ask(OrderStation(station_id="cs1", order=ResetStation(), by="ana"))
        assert house.link.ordered == []

    at_desk(play)


@pytest.mark.parametrize(
    ("soc", "operative", "answer", "warned"),
    [
        (0.2, False, "accepted", True),
        (0.9, False, "accepted", False),
        (0.2, True, "accepted", False),
        (0.2, False, "rejected", False),
    ],
)
def test_who_puts_a_charger_out_of_service_hears_which_departure_needs_it(
    soc: float, operative: bool, answer: Any, warned: bool
) -> None:
    route = trip("route", "15:00", "17:00", 40.0)
    of = fleet((site("school"),), (station("cs1", "school"),), (vehicle("cs1", route),))

    async def play() -> None:
        house = House(ready_image(of, soc=soc))
        house.link.answer = Answer(status=answer)
        office = Office(house.heart, house.inbox, asyncio.get_running_loop())
        order = SetAvailability(operative=operative)
        receipt = await office.ask(OrderStation(station_id="cs1", order=order, by="ana"))
        assert ("leaves" in receipt.detail and "lacks" in receipt.detail) is warned

    asyncio.run(play())
