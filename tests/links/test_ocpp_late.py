"""The database is away: a late message is answered so, the next one is heard, and each is recorded once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from ocpp_rig import BOOT, BOOT_16, WAIT_S, Bench, Directory, HandStation, MemorySink, StoppedClock, config, play

from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.core import facts as f
from revere.core.errors import Refused
from revere.core.ids import SiteId, StationId
from revere.links.ocppj import connection
from revere.links.ocppj.server import OcppServer
from tests.control.scenes import FakeJournal, fleet
from tests.control.scenes import station as registered

STAMP = "2026-07-16T19:30:00Z"
LATE = [4, "InternalError", "not recorded yet, send again"]
STATUS = {"timestamp": STAMP, "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
VALUES = {"evseId": 1, "meterValue": [{"timestamp": STAMP, "sampledValue": [{"value": 5, "location": "Inlet"}]}]}
DEAD = {"controlType": "LVMustTrip", "timestamp": STAMP, "gridEventFault": "UnderVoltage"}
START_16 = {"connectorId": 1, "idTag": "BUS-7", "meterStart": 0, "timestamp": STAMP}
STATUS_16 = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


def event(kind: str, seq: int, trigger: str = "CablePluggedIn", **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind, "timestamp": STAMP, "triggerReason": trigger, "seqNo": seq,
        "transactionInfo": {"transactionId": "t"}, "evse": {"id": 1}, **more,
    }  # fmt: skip


class House(Bench):
    """A server whose journal commits when it is told to, and one station that has booted."""

    journal: FakeJournal
    image: Image
    first: HandStation

    async def taken(self, kind: type[f.Fact]) -> None:
        """Wait until a fact of that kind waits for its commit."""
        async with asyncio.timeout(WAIT_S):
            while not any(isinstance(fact, kind) for facts, *_ in self.journal.taken for fact in facts):
                await asyncio.sleep(0.01)

    async def back(self) -> None:
        """The database is there again: all that was taken is committed."""
        self.journal.slow = False
        while self.journal.taken:
            self.journal.commit()
            await asyncio.sleep(0)


@asynccontextmanager
async def house(protocol: str = "ocpp2.1", speed: float = 1.0) -> AsyncIterator[House]:
    journal, image, clock = FakeJournal(), Image(fleet(stations=[registered("ST-1", "school")])), StoppedClock()
    its = config(protocol=protocol, site_id=SiteId("school"))
    server = OcppServer(Inbox(journal, image), Directory(its), clock, ping_interval_s=None, speed=speed)
    place = House(server, MemorySink(), await server.serve("127.0.0.1", 0), clock)
    place.journal, place.image = journal, image
    place.first = await place.station(protocol=protocol)
    try:
        await place.first.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
        async with asyncio.timeout(WAIT_S):
            while not journal.of(f.ScheduleRead) and not journal.of(f.StationProvisioned):
                await asyncio.sleep(0.01)
        yield place
    finally:
        await place.back()
        await server.close()


def story(protocol: str, tell: Callable[[House], Awaitable[None]]) -> None:
    async def told() -> None:
        async with house(protocol) as place:
            await tell(place)

    play(told)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LATE_S", 0.2)
    monkeypatch.setattr(connection, "BOOT_LATE_S", 0.4)


def error(answer: list[Any]) -> list[Any]:
    return [answer[0], *answer[2:4]]


@pytest.mark.parametrize(
    ("protocol", "action", "payload", "again", "kind"),
    [
        ("ocpp2.1", "StatusNotification", STATUS, {}, f.StatusReported),
        ("ocpp2.1", "MeterValues", VALUES, {}, f.MeterReading),
        ("ocpp2.1", "TransactionEvent", event("Started", 0), {}, f.SessionStarted),
        ("ocpp2.1", "TransactionEvent", event("Started", 0), {"offline": True}, f.SessionStarted),
        ("ocpp2.1", "NotifyDERAlarm", DEAD, {}, f.GridLost),
        ("ocpp1.6", "StartTransaction", START_16, {}, f.SessionStarted),
    ],
)
def test_a_late_message_is_no_answer_and_no_second_fact(
    protocol: str, action: str, payload: dict[str, Any], again: dict[str, Any], kind: type[f.Fact]
) -> None:
    async def tell(place: House) -> None:
        station, journal = place.first, place.journal
        journal.slow = True
        for said in (payload, {**payload, **again}):
            assert error(await station.call(action, said)) == LATE
        assert journal.of(kind) == []
        assert (await station.call("Heartbeat", {}))[0] == 3
        waiting = await station.begin(action, {**payload, **again})
        await asyncio.sleep(0)
        await place.back()
        for answer in (await waiting, await station.call(action, payload)):
            assert answer[0] == 3
        assert len(journal.of(kind)) == 1
        assert place.server.counters.late == 2

    story(protocol, tell)


def test_in_a_paced_demo_the_wall_says_what_is_late() -> None:
    """A demo's loop is sixty seconds on when the wall is one: a commit of 0.3 s is not late by a limit of 0.2."""

    async def told() -> None:
        async with house(speed=60.0) as place:
            place.journal.slow = True
            waiting = await place.first.begin("MeterValues", VALUES)
            await asyncio.sleep(0.3)
            await place.back()
            assert (await waiting)[0] == 3
            assert place.server.counters.late == 0

    play(told)


def test_a_lost_grid_is_heard_behind_a_message_that_waits_for_the_database() -> None:
    async def tell(place: House) -> None:
        evse = place.image.evses["ST-1/1"]
        place.journal.slow = True
        assert error(await place.first.call("MeterValues", VALUES)) == LATE
        lost = await place.first.begin("NotifyDERAlarm", DEAD)
        await place.taken(f.GridLost)
        assert not lost.done()
        assert place.image.sites[evse.station.site_id].held
        await lost
        ended = {"controlType": "LVMustTrip", "timestamp": STAMP, "alarmEnded": True}  # of the loss, which it knows of
        assert error(await place.first.call("NotifyDERAlarm", ended)) == LATE
        await place.back()
        kinds = [type(fact) for fact in place.journal.facts]
        order = [kind for kind in kinds if kind in (f.MeterReading, f.GridLost, f.GridRestored)]
        assert order == [f.MeterReading, f.GridLost, f.GridRestored]

    story("ocpp2.1", tell)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_lost_grid_behind_six_messages_waits_little_longer_than_behind_one(
    at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six times the patience of one would be 3 s here; ``at_once``: the station does not wait for its answers."""
    monkeypatch.setattr(connection, "LATE_S", 0.5)
    monkeypatch.setattr(connection, "LATE_NEXT_S", 0.02)

    async def tell(place: House) -> None:
        station, loop = place.first, asyncio.get_running_loop()
        place.journal.slow = True
        stamps = [f"2026-07-16T19:30:0{second}Z" for second in range(6)]
        said = [
            {"evseId": 1, "meterValue": [{"timestamp": stamp, "sampledValue": [{"value": 5, "location": "Inlet"}]}]}
            for stamp in stamps
        ]
        began_s = loop.time()
        if at_once:
            waiting = [await station.begin("MeterValues", one) for one in said]
            lost = await station.begin("NotifyDERAlarm", DEAD)
            answers = [await one for one in waiting]
        else:
            answers = [await station.call("MeterValues", one) for one in said]
            lost = await station.begin("NotifyDERAlarm", DEAD)
        await place.taken(f.GridLost)
        assert 0.5 <= loop.time() - began_s < 2.0
        assert [error(answer) for answer in answers] == [LATE] * 6
        await place.back()
        await lost
        assert len(place.journal.of(f.MeterReading)) == 6
        assert (await station.call("MeterValues", said[0]))[0] == 3

    story("ocpp2.1", tell)


def test_a_station_that_repeats_itself_without_end_costs_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LATE_NEXT_S", 0.01)

    async def tell(place: House) -> None:
        place.journal.slow = True
        counts = []
        for _ in range(12):
            assert error(await place.first.call("MeterValues", VALUES)) == LATE
            counts.append(len(asyncio.all_tasks()))
        assert max(counts[2:]) <= counts[1]

    story("ocpp2.1", tell)


def test_a_transaction_goes_on_behind_its_late_beginning() -> None:
    async def tell(place: House) -> None:
        place.journal.slow = True
        metered = event("Updated", 1, "MeterValuePeriodic", meterValue=VALUES["meterValue"])
        nothing_new = event("Updated", 2, "ChargingStateChanged")
        seqs = [event("Started", 0), metered, event("Ended", 3, "EVDeparted")]
        for said in seqs[:2]:
            assert error(await place.first.call("TransactionEvent", said)) == LATE
        assert (await place.first.call("TransactionEvent", nothing_new))[0] == 3
        assert error(await place.first.call("TransactionEvent", seqs[2])) == LATE
        await place.back()
        for said in seqs:
            assert (await place.first.call("TransactionEvent", said))[0] == 3
        assert [len(place.journal.of(kind)) for kind in (f.SessionStarted, f.SessionEnded)] == [1, 1]
        assert place.server.counters.seq_gaps == 0

    story("ocpp2.1", tell)


def test_what_was_under_way_when_the_link_ended_is_known_on_the_next_one() -> None:
    async def tell(place: House) -> None:
        place.journal.slow = True
        await place.first.begin("MeterValues", VALUES)
        await place.taken(f.MeterReading)
        await place.first.close()
        await place.taken(f.StationDisconnected)
        await place.back()
        assert (await (await place.station()).call("MeterValues", VALUES))[0] == 3
        assert len(place.journal.of(f.MeterReading)) == 1

    story("ocpp2.1", tell)


def test_a_boot_waits_longer_and_is_accepted_when_it_is_repeated() -> None:
    """Before its answer a station says nothing else, so that its boot holds nothing up."""

    async def tell(place: House) -> None:
        station, loop = place.first, asyncio.get_running_loop()
        place.journal.slow = True
        began_s = loop.time()
        assert error(await station.call("BootNotification", BOOT)) == LATE
        assert loop.time() - began_s >= 0.4
        waiting = await station.begin("BootNotification", BOOT)
        await asyncio.sleep(0)
        await place.back()
        assert (await waiting)[2]["status"] == "Accepted"
        assert len(place.journal.of(f.StationBooted)) == 2, "the first one, and this"
        assert place.server.connected() == {StationId("ST-1")}

    story("ocpp2.1", tell)


def test_the_same_words_without_a_stamp_are_news_after_the_commit() -> None:
    async def tell(place: House) -> None:
        place.journal.slow = True
        assert error(await place.first.call("StatusNotification", STATUS_16)) == LATE
        await place.back()
        for status in ("Charging", "Available"):
            assert (await place.first.call("StatusNotification", {**STATUS_16, "status": status}))[0] == 3
        said = [fact.status for fact in place.journal.of(f.StatusReported)]
        assert said == ["available", "occupied", "available"]

    story("ocpp1.6", tell)


def test_what_the_database_refuses_after_all_is_refused_and_said_anew() -> None:
    async def tell(place: House) -> None:
        place.journal.slow = True
        assert error(await place.first.call("TransactionEvent", event("Started", 0))) == LATE
        _facts, ended, _answer = place.journal.taken.popleft()
        ended(Refused("the database refuses a fact"))
        await place.back()
        assert (await place.first.call("TransactionEvent", event("Started", 0)))[0] == 3
        assert len(place.journal.of(f.SessionStarted)) == 1

    story("ocpp2.1", tell)
