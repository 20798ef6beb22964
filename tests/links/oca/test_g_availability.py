"""Block G of the Open Charge Alliance's list: in and out of service, and a lock that fails."""

from __future__ import annotations

from typing import Any

import pytest
from cases import case
from ocpp_rig import play
from station import Scene, notified, scene

from revere.core.orders import SetAvailability

ACCEPTED = {"status": "Accepted"}


async def _set(s: Scene, operative: bool, evse: dict[str, int] | None, word: str) -> None:
    """The order, its one request, and the status that follows."""
    places = {} if evse is None else {"evse_id": evse["id"], "connector_id": evse.get("connectorId")}
    order = SetAvailability(operative=operative, **places)
    answer, asked = await s.ordered(order, "ChangeAvailability", ACCEPTED)
    expected: dict[str, Any] = {"operationalStatus": "Operative" if operative else "Inoperative"}
    if evse is not None:
        expected["evse"] = evse
    assert (asked, answer.status, answer.why) == (expected, "accepted", "")
    await s.tells(word)
    assert s.statuses()[1] == word.lower()


def _switched(operative: bool, evse: dict[str, int] | None) -> None:
    async def story() -> None:
        async with scene() as s:
            if operative:
                await _set(s, False, evse, "Unavailable")
            await _set(s, operative, evse, "Available" if operative else "Unavailable")

    play(story)


@case(
    "TC_G_03_CSMS", steps="1-2 EVSE 1 to inoperative, connector left out, accepted; 3-4 its status Unavailable answered"
)
def test_tc_g_03() -> None:
    _switched(False, {"id": 1})


@case(
    "TC_G_04_CSMS", steps="EVSE 1 made unavailable; 1-2 back to operative, connector left out; 3-4 Available answered"
)
def test_tc_g_04() -> None:
    _switched(True, {"id": 1})


@case("TC_G_05_CSMS", steps="1-2 station to inoperative, EVSE left out, accepted; 3-4 status Unavailable answered")
def test_tc_g_05() -> None:
    _switched(False, None)


@case("TC_G_06_CSMS", steps="station made unavailable; 1-2 back to operative, EVSE left out; 3-4 Available answered")
def test_tc_g_06() -> None:
    _switched(True, None)


@case("TC_G_07_CSMS", steps="1-2 connector 1 of EVSE 1 to inoperative, accepted; 3-4 status Unavailable answered")
def test_tc_g_07() -> None:
    _switched(False, {"id": 1, "connectorId": 1})


@case(
    "TC_G_08_CSMS", steps="connector made unavailable; 1-2 back to operative, accepted; 3-4 status Available answered"
)
def test_tc_g_08() -> None:
    _switched(True, {"id": 1, "connectorId": 1})


def _scheduled(evse: dict[str, int] | None, others: tuple[int, ...]) -> None:
    """While it charges the change is Scheduled; free connectors follow at once, the busy one afterwards."""

    async def story() -> None:
        async with scene() as s:
            await s.charging()
            places = {} if evse is None else {"evse_id": evse["id"], "connector_id": evse.get("connectorId")}
            order = SetAvailability(operative=False, **places)
            answer, asked = await s.ordered(order, "ChangeAvailability", {"status": "Scheduled"})
            expected = {"operationalStatus": "Inoperative", **({} if evse is None else {"evse": evse})}
            assert (asked, answer.status, answer.why) == (expected, "accepted", "Scheduled")
            for evse_id in others:
                await s.tells("Unavailable", evse_id)
            assert s.statuses()[1] == "occupied"
            await s.stopped()
            await s.tells("Available")
            await s.left()
            await s.tells("Unavailable")
            assert s.statuses() == dict.fromkeys((*others, 1), "unavailable")
            assert s.ended() == ["EVDisconnected"]

    play(story)


@case(
    "TC_G_11_CSMS",
    steps="1-2 the charging EVSE to inoperative is Scheduled; 3-5 stop and departure; 6-7 Unavailable answered",
)
def test_tc_g_11() -> None:
    _scheduled({"id": 1}, ())


@case(
    "TC_G_14_CSMS",
    steps="1-2 the station to inoperative while it charges is Scheduled; 3-4 the free one's Unavailable answered; "
    "5-7 stop and departure; 8-9 the other's Unavailable answered",
)
def test_tc_g_14() -> None:
    _scheduled(None, (2,))


@case(
    "TC_G_17_CSMS",
    steps="1-2 the charging connector to inoperative is Scheduled; 3-5 stop and departure; 6-7 Unavailable answered",
)
def test_tc_g_17() -> None:
    _scheduled({"id": 1, "connectorId": 1}, ())


@case("TC_G_20_CSMS", steps="1-2 a lock that does not hold, reported as an event, is answered")
def test_tc_g_20() -> None:
    async def story() -> None:
        async with scene() as s:
            lock = {"name": "ConnectorPlugRetentionLock", "evse": {"id": 1, "connectorId": 1}}
            assert await s.call("NotifyEvent", notified(lock, "Problem", "true")) == {}
            await s.tells("Faulted")
            assert s.statuses() == {1: "faulted"}

    play(story)


@pytest.mark.parametrize("word", ["Rejected"])
def test_a_change_that_the_station_rejects_is_told(word: str) -> None:
    async def story() -> None:
        async with scene() as s:
            refused = {"status": word, "statusInfo": {"reasonCode": "InUse"}}
            answer, _ = await s.ordered(SetAvailability(operative=False), "ChangeAvailability", refused)
            assert (answer.status, answer.why) == ("rejected", "InUse")

    play(story)
