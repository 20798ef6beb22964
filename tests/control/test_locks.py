"""A technician's lock: 0 kW proven by the meter, nobody counts on it, another person lifts it, a restart keeps it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.control import locks as rules
from revere.control.desk import LiftLock, Receipt, SetLock
from revere.control.headroom import headroom
from revere.control.image import Image
from revere.control.office import Office
from revere.control.snapshot import read_slots
from revere.core import facts as f
from revere.core.errors import Refused
from revere.core.ids import SiteId, StationId
from revere.core.orders import TriggerReport
from tests.control.scenes import (
    NOON,
    House,
    called,
    connected,
    fleet,
    minutes,
    opted,
    plug,
    reading,
    ready_image,
    seconds,
    settle,
    site,
    station,
    unplug,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FLEET = fleet(
    (site("school"), site("other")), tuple(station(f"cs{n}", "school" if n < 2 else "other") for n in range(3))
)


def play(story: Callable[[House, Office], Awaitable[Any]], *facts: f.Fact) -> Any:
    async def run() -> Any:
        house = House(ready_image(FLEET))
        for fact in facts:
            house.image.apply(fact)
        return await story(house, Office(house.heart, house.inbox, asyncio.get_running_loop()))

    return asyncio.run(run())


def lock(station_id: str | None = "cs0", by: str = "ann", **changes: Any) -> SetLock:
    return SetLock(by=by, why="new cable", station_id=station_id, **changes)


def lift(station_id: str | None = "cs0", by: str = "bob", **changes: Any) -> LiftLock:
    return LiftLock(by=by, why="looked at it", station_id=station_id, **changes)


async def shows(house: House, name: str, power_kw: float, after_s: float = 5.0) -> None:
    """Time passes, the meter speaks, control ticks."""
    house.clock.at += seconds(after_s)
    house.image.apply(reading(name, house.clock.at, power_kw=power_kw))
    await house.beat()


def sent(house: House, name: str) -> float | None:
    return next((c.setpoint_kw for c in reversed(house.link.sent) if c.station_id == name), None)


def test_a_lock_brings_the_station_to_rest_and_answers_when_the_meter_shows_it() -> None:
    async def story(house: House, office: Office) -> tuple[Any, ...]:
        await house.heart.make_plan()
        await house.beat()
        before_kw = sent(house, "cs0")
        house.journal.away = True  # a lock waits for no database
        asked = asyncio.ensure_future(office.do(lock()))
        await settle()
        at_once_kw = sent(house, "cs0")
        await shows(house, "cs0", -18.0)
        early = asked.done()
        await shows(house, "cs0", 0.05)
        receipt = await asked
        house.journal.away = False
        await house.write()
        return before_kw, at_once_kw, early, receipt.detail, house.journal.of(f.Locked), house.journal.of(f.LockProven)

    before_kw, at_once_kw, early, said, locked, proven = play(story, called(), opted())
    assert before_kw < -20
    assert (at_once_kw, early) == (0.0, False)
    assert said.startswith("cs0 is locked: 0 kW by its meter.")
    assert "not recorded yet" in said
    assert [(one.by, one.why, one.station_id) for one in locked] == [("ann", "new cable", "cs0")]
    assert [one.power_kw for one in proven] == [0.05]


def test_who_locks_hears_when_nothing_proves_that_no_power_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "PROVEN_WITHIN_S", 0.0)

    async def story(house: House, office: Office) -> tuple[str, str]:
        house.image.apply(reading("cs0", house.clock.at, power_kw=0.0))  # taken before the lock: proves nothing
        house.clock.at += seconds(1)
        said = (await office.do(lock())).detail
        for _ in range(rules_ticks()):
            await house.beat(10)
        await house.write()
        return said, house.image.alarms["lock:cs0"].text

    said, alarm = play(story)
    assert said == "cs0 is locked, but it is not proven that no power flows at cs0. Touch nothing yet."
    assert alarm.startswith("cs0 is locked by ann, but its meter shows nothing.")


def rules_ticks() -> int:
    return 13  # beyond the minute after which a person is told, and the round that tells it


def test_the_session_of_a_station_that_goes_on_is_ended_once() -> None:
    async def story(house: House, office: Office) -> list[tuple[str, str, str]]:
        asked = asyncio.ensure_future(office.do(lock()))
        await settle()
        for _ in range(6):
            await shows(house, "cs0", 12.0)
        asked.cancel()
        return house.link.told

    assert play(story) == [("stop", "cs0", "s1")]


def test_nobody_counts_on_a_locked_station() -> None:
    async def story(house: House, office: Office) -> dict[str, tuple[float, ...]]:
        found = {}
        for name in ("free", "locked"):
            await house.heart.make_plan()
            plan, snapshot = house.heart.plan, house.heart.snapshot
            assert plan is not None
            assert snapshot is not None
            now = house.clock.now()
            room = headroom(house.image, read_slots(house.image, now), now)
            found[name] = (
                float(abs(plan.net_kw[0]).max()),
                float(-plan.net_kw[0].min() - plan.net_kw[1].min()),
                room.usable_kwh,
                room.available_kw,
            )
            if name == "free":
                asked = asyncio.ensure_future(office.do(lock()))
                await settle()
                await shows(house, "cs0", 0.0)
                await asked
        return found

    found = play(story, called(), opted())
    assert found["free"][0] > 20
    assert found["locked"][0] == 0
    assert found["locked"][2] == pytest.approx(found["free"][2] * 2 / 3)
    assert (found["free"][3], found["locked"][3]) == (180.0, 120.0)


def test_a_nomination_leaves_locked_stations_out() -> None:
    async def story(house: House, office: Office) -> tuple[float, float]:
        at = house.clock.now()
        await house.inbox.record([f.Locked(at=at, by="ann", why="x", site_id=SiteId("other"))])
        await house.inbox.record([called(start=NOON + minutes(120))])
        await house.inbox.record([opted()])
        await house.heart.make_plan()
        nominated = house.journal.of(f.Nominated)[-1]
        return nominated.by_site_kw.get("other", 0.0), nominated.nominated_kw

    other_kw, all_kw = play(story)
    assert other_kw == 0
    assert all_kw > 20


def test_an_empty_bay_has_its_meter_asked() -> None:
    async def story(house: House, office: Office) -> tuple[list[Any], str]:
        asked = asyncio.ensure_future(office.do(lock()))
        await settle()
        await shows(house, "cs0", 0.0)
        return house.link.ordered, (await asked).detail

    ordered, said = play(story, unplug("cs0", NOON))
    assert ordered == [("cs0", TriggerReport(report="meter-values"))]
    assert said.startswith("cs0 is locked: 0 kW by its meter.")


@pytest.mark.parametrize(
    ("asks", "word"),
    [
        ([SetLock(by="ann", why="  ", station_id="cs0")], "needs a reason"),
        ([lock("nowhere")], "no such station"),
        ([SetLock(by="ann", why="x")], "name one station or one site"),
        ([SetLock(by="ann", why="x", station_id="cs0", site_id="school")], "name one station or one site"),
        ([lift()], "no lock hangs there"),
        ([lock(), lift(by="ann")], "another person than the one"),
        ([lock(None, site_id="school"), lift()], "hangs on its site"),
        ([lock(), lift(), lift(by="cid")], "no lock hangs there"),
        ([lock(), LiftLock(by="bob", why=" ", station_id="cs0")], "needs a reason"),
    ],
)
def test_refusals_name_the_thing(asks: list[SetLock | LiftLock], word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "PROVEN_WITHIN_S", 0.0)

    async def story(house: House, office: Office) -> None:
        for ask in asks[:-1]:
            await office.do(ask)
            await house.write()
        with pytest.raises(Refused, match=word):
            await office.do(asks[-1])

    play(story)


@pytest.mark.parametrize(
    ("asks", "state", "said"),
    [
        ([lock(), lift()], "free", "cs0 is free"),
        ([lock(), lock(by="bob"), lift()], "closing", "stays locked by bob"),  # each lock needs another person
        ([lock(), lock(by="bob"), lift(), lift(by="ann")], "free", "cs0 is free"),
        ([lock(), lock(by="bob"), lift(by="cid")], "free", "cs0 is free"),
        ([lock(), lock()], "closing", "is locked"),  # once a person
        ([lock(), lock(None, site_id="school"), lift()], "closing", "stays locked by ann"),
        ([lock(), lock(None, site_id="school"), lift(None, site_id="school")], "closing", "stays locked by ann"),
    ],
)
def test_each_lock_is_lifted_by_another_person(
    asks: list[SetLock | LiftLock], state: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PROVEN_WITHIN_S", 0.0)

    async def story(house: House, office: Office) -> tuple[Receipt, str, str]:
        for ask in asks:
            receipt = await office.do(ask)
            await house.write()
        again = Image(FLEET)  # a restart folds the journal
        for fact in house.journal.facts:
            again.apply(fact)
        return receipt, house.image.evses["cs0/1"].lock_state(), again.evses["cs0/1"].lock_state()

    receipt, here, after_restart = play(story)
    assert said in receipt.detail
    assert here == after_restart == state


steps = st.lists(
    st.tuples(
        st.sampled_from(["lock", "lift", "lock site", "lift site", "meter", "leave", "come", "back", "plan"]),
        st.sampled_from(["cs0", "cs1", "cs2"]),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from([-30.0, 0.0, 20.0]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_whatever_happens_a_locked_station_is_told_0_kw_and_nobody_frees_what_he_locked(
    drawn: list[tuple[str, str, str, float]],
) -> None:
    async def story(house: House, office: Office) -> None:
        for number, (what, name, by, kw) in enumerate(drawn):
            at = house.clock.now()
            evses = house.image.evses.values()
            mine = {evse.station.id for evse in evses if any(one.by == by for one in evse.locks)}
            match what:
                case "lock" | "lock site":
                    place = {"station_id": StationId(name)} if what == "lock" else {"site_id": SiteId("school")}
                    await house.inbox.record([f.Locked(at=at, by=by, why="x", **place)])  # type: ignore[arg-type]
                case "lift" | "lift site":
                    target: str | None = name if what == "lift" else None
                    await house.write()
                    with contextlib.suppress(Refused):
                        await office.do(lift(target, by, site_id=None if target else "school"))
                    assert mine <= {evse.station.id for evse in evses if evse.locks}
                case "meter":
                    await house.inbox.record([reading(name, at, power_kw=kw, soc=0.7)])
                case "leave":
                    await house.inbox.record([unplug(name, at, f"s{number}"), unplug(name, at, "s1")])
                case "come":
                    await house.inbox.record([plug(name, at, f"s{number}")])
                case "back":
                    await house.inbox.record([connected(name, at, generation=number + 2)])
                case "plan":
                    await house.heart.make_plan()
            house.link.sent.clear()
            await house.beat()
            locked = {evse.station.id for evse in evses if evse.locks}
            assert all(command.setpoint_kw == 0 for command in house.link.sent if command.station_id in locked)

    play(story, called(), opted())
