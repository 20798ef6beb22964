"""What takes a permission away binds before its commit, is committed once and in order, and is folded once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.control import inbox as inbox_module
from revere.control import scribe as scribe_module
from revere.control.bounds import fed, may_give
from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.control.scribe import Scribe
from revere.core import facts as f
from revere.core.errors import Unavailable
from revere.core.ids import SiteId, StationId
from tests.control.scenes import (
    NOON,
    FakeJournal,
    House,
    called,
    connected,
    dropped,
    fleet,
    minutes,
    opted,
    ready_image,
    seconds,
    settle,
    site,
    station,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

FLEET = fleet((site("a"), site("b")), (station("a1", "a"), station("b1", "b")))
WHO = {"vendor": "V", "model": "M", "serial": "S2"}


def _made(kind: str, place: str, at: dt.datetime, number: int) -> f.Fact:
    """A fact of that kind at site ``a`` or ``b``, or of its station."""
    there, one = SiteId(place), StationId(f"{place}1")
    made: dict[str, Callable[[], f.Fact]] = {
        "lost": lambda: f.GridLost(at=at, site_id=there, ts=at),
        "restored": lambda: f.GridRestored(at=at, site_id=there, ts=at),
        "suspected": lambda: f.OutageSuspected(at=at, site_id=there, ts=at, why=""),
        "proven": lambda: f.GridProven(at=at, site_id=there, ts=at, why=""),
        "stop": lambda: f.DischargeStopped(at=at, by="x", site_id=None),
        "stop here": lambda: f.DischargeStopped(at=at, by="x", site_id=there),
        "release": lambda: f.DischargeReleased(at=at, by="x", site_id=None),
        "release here": lambda: f.DischargeReleased(at=at, by="x", site_id=there),
        "connected": lambda: connected(one, at, number),
        "dropped": lambda: dropped(one, at, number),
        "stranger": lambda: f.IdentityRefused(at=at, station_id=one, **WHO),
        "accepted": lambda: f.IdentityAccepted(at=at, station_id=one, by="x", **WHO),
    }
    return made[kind]()


KINDS = [
    "lost", "restored", "suspected", "proven", "stop", "stop here", "release", "release here",
    "connected", "dropped", "stranger", "accepted",
]  # fmt: skip
told = st.tuples(st.just("tell"), st.sampled_from(KINDS), st.sampled_from("ab"))
steps = st.lists(
    st.one_of(told, told, st.tuples(st.sampled_from(["commit", "commit", "expire", "away", "back", "write"]))),
    max_size=40,
)


@dataclass
class Play:
    """An inbox over a journal that commits when it is told to, and what must hold of the two."""

    journal: FakeJournal = field(default_factory=FakeJournal)
    image: Image = field(default_factory=lambda: ready_image(FLEET))
    told: list[f.Fact] = field(default_factory=list)
    kept: set[Any] = field(default_factory=set)
    answers: list[asyncio.Task[None]] = field(default_factory=list)
    owed: list[f.TakesAway] = field(default_factory=list)
    """What must bind and be journaled."""

    def __post_init__(self) -> None:
        self.journal.slow = True
        self.inbox = Inbox(self.journal, self.image)
        self.scribe = Scribe(self.inbox)

    async def tell(self, fact: f.Fact) -> None:
        self.told.append(fact)
        if isinstance(fact, f.TakesAway):
            place = f.kind_and_place(fact)
            if not self.journal.away or place not in self.kept:
                self.owed.append(fact)
            if self.journal.away:
                self.kept.add(place)
        if not self.journal.away:
            self.kept.clear()
        self.answers.append(asyncio.ensure_future(self.inbox.record([fact])))
        await settle(3)

    def write(self, number: int) -> None:
        """A person's stop, through the spool of the tick."""
        fact = f.DischargeStopped(at=NOON + seconds(number), by="somebody", site_id=SiteId("a"))
        self.owed.append(fact)
        self.scribe.write([fact])

    def check(self) -> None:
        """Whatever is not journaled yet binds."""
        for fact in self.owed:
            if fact in self.journal.facts:
                continue
            match fact:
                case f.GridLost():
                    assert not fed(self.image.sites[fact.site_id])
                case f.OutageSuspected():
                    assert not may_give(self.image, self.image.sites[fact.site_id])
                case f.DischargeStopped():
                    here = [fact.site_id] if fact.site_id else list(self.image.sites)
                    assert not any(may_give(self.image, self.image.sites[one]) for one in here)
                case f.StationDisconnected() | f.IdentityRefused():
                    assert not self.image.stations_of(fact.station_id)[0].commanded()


def _state(image: Image) -> list[Any]:
    """What a restart must find again."""
    return [
        image.stopped_at,
        [
            (s.grid, s.lost_at, s.restored_at, s.silent_since, s.outages, s.stopped, s.dead)
            for s in image.sites.values()
        ],
        [(e.online, e.offline_at, e.generation, e.stranger, e.commanded()) for e in image.evses.values()],
    ]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scribe_module, "RETRY_S", 0.0)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_it_binds_until_it_is_folded_and_the_image_is_the_journal_folded(steps: list[tuple[str, ...]]) -> None:
    asyncio.run(_law(steps))


async def _law(steps: list[tuple[str, ...]]) -> None:
    play = Play()
    running = asyncio.ensure_future(play.scribe.run())
    for number, step in enumerate(steps):
        match step:
            case ("tell", kind, place):
                await play.tell(_made(kind, place, NOON + seconds(number), number))
            case ("commit",):
                play.journal.commit()
            case ("expire",):
                play.journal.expire()
            case ("write",):
                play.write(number)
            case _:
                play.journal.away = step == ("away",)
        await settle(3)
        play.check()
    play.journal.away = False
    await play.tell(f.AlarmCleared(at=NOON, key="the next one"))
    while play.journal.taken or play.scribe.waiting:
        play.journal.commit()
        await settle(3)
        play.check()
    running.cancel()
    await asyncio.gather(running, *play.answers, return_exceptions=True)
    again = ready_image(FLEET)
    for fact in play.journal.facts:
        again.apply(fact)
    assert _state(play.image) == _state(again)
    assert play.image.facts_seen == again.facts_seen, "each once"
    assert not any(evse.held for evse in play.image.evses.values())
    assert not any(item.held for item in play.image.sites.values())
    assert all(play.journal.facts.count(fact) == 1 for fact in play.owed)
    heard = [play.told.index(fact) for fact in play.journal.facts if fact in play.told]
    assert heard == sorted(set(heard)), "in the order of the telling"


def test_a_return_that_was_told_earlier_and_commits_later_gives_nothing_back() -> None:
    async def play() -> list[bool]:
        it, school = Play(), SiteId("a")
        it.image.apply(f.GridLost(at=NOON, site_id=school, ts=NOON))
        await it.tell(f.GridRestored(at=NOON + seconds(1), site_id=school, ts=NOON))
        await it.tell(f.GridLost(at=NOON + seconds(2), site_id=school, ts=NOON))
        feeds = []
        for _ in range(2):
            it.journal.commit()
            feeds.append(fed(it.image.sites[school]))
        return [*feeds, len(it.image.sites[school].outages) == 2]

    assert asyncio.run(play()) == [False, False, True]


def test_a_full_inbox_still_hears_that_the_grid_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "WAITING_MAX", 1)

    async def play() -> tuple[bool, list[str], int]:
        it, school = Play(), SiteId("a")
        await it.tell(f.AlarmCleared(at=NOON, key="x"))
        for late_s in (1, 2):
            with pytest.raises(Unavailable, match="full"):
                await it.inbox.record([f.GridLost(at=NOON + seconds(late_s), site_id=school, ts=NOON)])
        bound = not fed(it.image.sites[school])
        it.journal.commit()
        await it.tell(f.AlarmCleared(at=NOON, key="y"))
        while it.journal.taken:
            it.journal.commit()
        return bound, [type(fact).__name__ for fact in it.journal.facts], len(it.image.sites[school].outages)

    assert asyncio.run(play()) == (True, ["AlarmCleared", "GridLost", "AlarmCleared"], 1)


@pytest.mark.parametrize(
    "fact",
    [
        f.GridLost(at=NOON, site_id=SiteId("school"), ts=NOON),
        f.OutageSuspected(at=NOON, site_id=SiteId("school"), ts=NOON, why=""),
        f.DischargeStopped(at=NOON, by="x"),
        f.DischargeStopped(at=NOON, by="x", site_id=SiteId("school")),
    ],
    ids=["grid lost", "outage suspected", "stopped", "stopped here"],
)
def test_a_discharge_ends_with_the_next_tick_though_nothing_is_committed(fact: f.TakesAway) -> None:
    async def play() -> tuple[float, float, bool]:
        image = ready_image(fleet())
        for one in (called(start=NOON - minutes(10)), opted()):
            image.apply(one)
        next(iter(image.events.values())).nominated_kw = 40.0
        house = House(image)
        await house.beat()
        given_kw = house.link.sent[-1].setpoint_kw
        house.journal.slow = True
        recording = asyncio.ensure_future(house.inbox.record([fact]))
        await settle(3)
        await house.beat()
        committed = fact in house.journal.facts
        while house.journal.taken:
            house.journal.commit()
        await recording
        return given_kw, house.link.sent[-1].setpoint_kw, committed

    given_kw, then_kw, committed = asyncio.run(play())
    assert given_kw < -30
    assert (then_kw, committed) == (0.0, False)
