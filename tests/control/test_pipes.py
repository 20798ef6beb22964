"""Inbox, scribe, sender: order, bounds and counters on the way in and out."""

from __future__ import annotations

import asyncio

import pytest

from revere.control import inbox as inbox_module
from revere.control import scribe as scribe_module
from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.control.scribe import Scribe
from revere.control.sender import Sender
from revere.control.tracking import CommandTracker
from revere.core import facts as f
from revere.core.commands import Answer, SetpointCommand
from revere.core.errors import Unavailable
from tests.control.scenes import NOON, FakeJournal, FakeLink, HandClock, fleet, ready_image, seconds, settle


def told(number: int) -> f.AlarmCleared:
    """A small fact with a number."""
    return f.AlarmCleared(at=NOON, key=str(number))


def keys(facts: list[f.Fact]) -> list[int]:
    return [int(fact.key) for fact in facts if isinstance(fact, f.AlarmCleared)]


# ---- inbox ----------------------------------------------------------------------------------------


def test_first_committed_then_folded_then_told() -> None:
    async def play() -> list[str]:
        order: list[str] = []
        image, journal = Image(fleet()), FakeJournal()
        inbox = Inbox(journal, image)
        inbox.watch(lambda fact: order.append(f"told {len(journal.facts)} committed {image.facts_seen} folded"))
        recording = asyncio.ensure_future(inbox.record([told(1)]))
        await asyncio.sleep(0)
        order.append(f"{image.facts_seen} folded, {inbox.waiting} waiting")
        await recording
        return [*order, f"{inbox.waiting} waiting"]

    assert asyncio.run(play()) == ["0 folded, 1 waiting", "told 1 committed 1 folded", "0 waiting"]


def test_a_full_inbox_refuses_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "WAITING_MAX", 3)

    async def play() -> tuple[int, int, int]:
        journal = FakeJournal()
        inbox = Inbox(journal, Image(fleet()))
        first = asyncio.ensure_future(inbox.record([told(1), told(2)]))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="full"):
            await inbox.record([told(3), told(4)])
        await first
        await inbox.record([told(5), told(6), told(7)])
        return inbox.refused, inbox.recorded, inbox.waiting

    assert asyncio.run(play()) == (2, 5, 0)


@pytest.mark.parametrize(("age_s", "keeps_up"), [(0, True), (1.9, True), (2.1, False)])
def test_a_commit_that_takes_seconds_is_a_database_that_is_gone(age_s: float, keeps_up: bool) -> None:
    async def play() -> tuple[bool, bool]:
        inbox = Inbox(FakeJournal(), Image(fleet()))
        recording = asyncio.ensure_future(inbox.record([told(1)]))
        await asyncio.sleep(0)
        during = inbox.keeps_up(NOON + seconds(age_s))
        await recording
        return during, inbox.keeps_up(NOON + seconds(3600))

    assert asyncio.run(play()) == (keeps_up, True)


# ---- scribe ---------------------------------------------------------------------------------------


def test_order_is_kept_over_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scribe_module, "RETRY_S", 0.0)
    monkeypatch.setattr(scribe_module, "CHUNK_FACTS", 3)

    async def play() -> tuple[list[int], int, int]:
        journal = FakeJournal()
        scribe = Scribe(Inbox(journal, Image(fleet())))
        running = asyncio.ensure_future(scribe.run())
        for number in range(20):
            journal.away = 5 <= number < 12
            scribe.write([told(number)])
            await settle(3)
        await scribe.drained(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return keys(journal.facts), scribe.lost, scribe.failures

    written, lost, failures = asyncio.run(play())
    assert written == list(range(20))
    assert lost == 0
    assert failures > 0


def test_beyond_its_bound_the_newest_are_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scribe_module, "SPOOL_MAX_FACTS", 5)

    async def play() -> tuple[int, int]:
        scribe = Scribe(Inbox(FakeJournal(), Image(fleet())))
        scribe.write([told(number) for number in range(8)])
        return scribe.waiting, scribe.lost

    assert asyncio.run(play()) == (5, 3)


def test_waiting_for_the_spool_has_an_end() -> None:
    async def play() -> None:
        scribe = Scribe(Inbox(FakeJournal(), Image(fleet())))
        await scribe.drained(0.01)
        scribe.write([told(1)])
        with pytest.raises(Unavailable, match="not committed"):
            await scribe.drained(0.01)

    asyncio.run(play())


# ---- sender ---------------------------------------------------------------------------------------


def wire(command_id: str, setpoint_kw: float) -> SetpointCommand:
    evse = fleet().stations[0]
    return SetpointCommand(
        command_id=command_id,  # type: ignore[arg-type]
        station_id=evse.id,
        evse_id=1,
        session_id="s1",  # type: ignore[arg-type]
        setpoint_kw=setpoint_kw,
        charge_limit_kw=60.0,
        discharge_limit_kw=60.0,
    )


def test_a_newer_setpoint_waits_for_no_older_one() -> None:
    """The link, which sees the line, drops what is no longer wanted; the word of an older one changes nothing."""

    async def play() -> tuple[list[float], list[str]]:
        link, tracker, scribe = FakeLink(), CommandTracker(), Scribe(Inbox(FakeJournal(), Image(fleet())))
        link.gate = asyncio.Event()
        link.answer = Answer(status="accepted")
        evse = ready_image(fleet()).evses["cs1/1"]
        sender = Sender(link, tracker, scribe, HandClock())
        for kw in (-10.0, 0.0):
            command, _facts = tracker.issue(evse, "cs1/1", kw, NOON, 10, in_event=False)
            sender.send(wire(command.command_id, kw), command, 0.0)
            await settle(2)
        seen = [command.setpoint_kw for command in link.sent]
        link.answer = Answer(status="timeout")
        link.gate.set()
        await settle()
        await sender.close()
        return seen, sorted(tracker.open)

    assert asyncio.run(play()) == ([-10.0, 0.0], [])


def test_a_rejection_comes_back_as_the_commands_end() -> None:
    async def play() -> int:
        link, tracker = FakeLink(), CommandTracker()
        link.answer = Answer(status="rejected", why="no")
        scribe = Scribe(Inbox(FakeJournal(), Image(fleet())))
        sender = Sender(link, tracker, scribe, HandClock())
        command, _facts = tracker.issue(ready_image(fleet()).evses["cs1/1"], "cs1/1", -9.0, NOON, 10, in_event=False)
        sender.send(wire(command.command_id, -9.0), command, 0.0)
        await settle()
        await sender.close()
        return scribe.waiting

    assert asyncio.run(play()) == 1
