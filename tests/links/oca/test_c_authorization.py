"""Block C: who may charge, by which word, and who may stop whom."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from oca.cases import case
from oca.states import Visit, sessions
from oca.station import NOBODY, ST, TOKEN, Scene, scene
from ocpp_rig import NOW, config, play

from revere.core.assets import Authorization
from revere.core.facts import AlarmRaised, SecurityEventReported
from revere.core.orders import ClearCache

MASTER = {"idToken": "POLICE", "type": "ISO14443"}
OTHER = {"idToken": "BUS-8", "type": "ISO14443"}
CARD = {"idToken": "CARD-1", "type": "ISO14443"}


def knows(s: Scene, token: dict[str, Any], word: str, **more: Any) -> None:
    s.b.directory.tokens[token["idToken"]] = Authorization(status=word, **more)  # type: ignore[arg-type]


async def asked(s: Scene, token: dict[str, Any]) -> dict[str, Any]:
    """Our word on a token that is shown."""
    return dict((await s.call("Authorize", {"idToken": token}))["idTokenInfo"])


@case("TC_C_02_CSMS", steps="1-2 Authorize of a token that nobody knows answered Unknown")
def test_tc_c_02() -> None:
    async def story() -> None:
        async with scene() as s:
            assert await asked(s, NOBODY) == {"status": "Unknown"}

    play(story)


@case("TC_C_06_CSMS", steps="1-2 Authorize of a blocked card answered Blocked")
def test_tc_c_06() -> None:
    async def story() -> None:
        async with scene() as s:
            knows(s, CARD, "blocked")
            assert await asked(s, CARD) == {"status": "Blocked"}

    play(story)


@case("TC_C_07_CSMS", steps="1-2 Authorize of a card whose time is over answered Expired")
def test_tc_c_07() -> None:
    async def story() -> None:
        async with scene() as s:
            knows(s, CARD, "expired")
            assert await asked(s, CARD) == {"status": "Expired"}

    play(story)


@pytest.mark.parametrize(
    ("status", "word", "told"),
    [("not_here", "NotAtThisLocation", ["ForeignToken"]), ("not_now", "NotAtThisTime", [])],
)
def test_another_place_or_time_has_its_own_word_and_another_station_s_token_is_audited(
    status: str, word: str, told: list[str]
) -> None:
    async def story() -> None:
        async with scene() as s:
            knows(s, CARD, status)
            for _ in range(3):
                assert await asked(s, CARD) == {"status": word}
            assert [event.type for event in s.b.sink.of(SecurityEventReported)] == told
            assert [alarm.subject for alarm in s.b.sink.of(AlarmRaised)] == [ST] * len(told)
            assert not any("CARD-1" in str(fact) for fact in s.b.sink.facts)

    play(story)


def test_what_a_station_may_remember_ends_with_the_card() -> None:
    async def story() -> None:
        async with scene() as s:
            ends = NOW + dt.timedelta(hours=3)
            knows(s, CARD, "accepted", until=ends)
            assert await asked(s, CARD) == {"status": "Accepted", "cacheExpiryDateTime": "2026-07-16T22:30:00Z"}

    play(story)


@case("TC_C_08_CSMS", steps="before: bay occupied, cable in; 1-2 token from the cache in an update answered Accepted")
def test_tc_c_08() -> None:
    async def story() -> None:
        async with scene() as s:
            visit = Visit(s)
            await visit.say("EVDetected")
            await visit.plug_in()
            assert await visit.say("Authorized", token=TOKEN) == {"idTokenInfo": {"status": "Accepted"}}
            assert sessions(s) == ["+tx-1 ", "+tx-1 BUS-7"]

    play(story)


@case("TC_C_20_CSMS", steps="before: bay occupied, cable in; 1-2 bad token from the cache answered Unknown; no session")
def test_tc_c_20() -> None:
    async def story() -> None:
        async with scene() as s:
            visit = Visit(s)
            await visit.say("EVDetected")
            await visit.plug_in()
            assert await visit.say("Authorized", token=NOBODY) == {"idTokenInfo": {"status": "Unknown"}}
            assert sessions(s) == ["+tx-1 ", "-tx-1 DeAuthorized"]
            await visit.say("MeterValuePeriodic", "Charging")  # a station that goes on all the same
            assert len(sessions(s)) == 2
            await visit.say("Authorized", token=TOKEN)
            assert sessions(s)[2:] == ["+tx-1 BUS-7"]

    play(story)


@case("TC_C_37_CSMS", steps="1-2 ClearCache asked by an operator, accepted")
def test_tc_c_37() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, request = await s.ordered(ClearCache(), "ClearCache", {"status": "Accepted"})
            assert (answer.status, request) == ("accepted", {})

    play(story)


@case("TC_C_38_CSMS", steps="1-2 ClearCache refused: the operator hears it, the station works on")
def test_tc_c_38() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, _ = await s.ordered(ClearCache(), "ClearCache", {"status": "Rejected"})
            assert (answer.status, answer.why) == ("rejected", "Rejected")
            assert await asked(s, TOKEN) == {"status": "Accepted"}

    play(story)


@case("TC_C_39_CSMS", steps="1-4 started with one token; 5 energy; 6-9 stopped with the other; 10-11 unplugged")
def test_tc_c_39() -> None:
    async def story() -> None:
        async with scene() as s:
            for token in (TOKEN, OTHER):
                knows(s, token, "accepted", group="school")
            said = {"status": "Accepted", "groupIdToken": {"idToken": "school", "type": "Central"}}
            visit = Visit(s)
            await visit.plug_in()
            assert await asked(s, OTHER) == said
            assert (await visit.say("Authorized", token=TOKEN))["idTokenInfo"] == said
            visit.authorized = True
            await visit.transfer()
            assert await asked(s, OTHER) == said
            assert (await visit.say("StopAuthorized", token=OTHER))["idTokenInfo"] == said
            await visit.say("ChargingStateChanged", "EVConnected")
            await visit.unplug()
            assert sessions(s) == ["+tx-1 ", "+tx-1 BUS-7", "-tx-1 EVDisconnected"]

    play(story)


async def two_and_a_master(s: Scene) -> tuple[Visit, Visit, dict[str, Any]]:
    knows(s, MASTER, "accepted", group="police")
    visits = Visit(s), Visit(s, "tx-2", 2, OTHER)
    for visit in visits:
        await visit.transfer()
    return *visits, {"status": "Accepted", "groupIdToken": {"idToken": "police", "type": "Central"}}


WITH_MASTER = config(protocol="ocpp2.0.1", master_group="police")


@case("TC_C_47_CSMS", steps="before: two EVSEs charge; 1-2 master pass accepted with its group; 3-4 both ended with it")
def test_tc_c_47() -> None:
    async def story() -> None:
        async with scene(WITH_MASTER) as s:
            one, two, said = await two_and_a_master(s)
            assert await asked(s, MASTER) == said
            for visit in (one, two):
                assert (await visit.say("StopAuthorized", stopped="MasterPass", token=MASTER))["idTokenInfo"] == said
            assert sessions(s)[2:] == ["-tx-1 MasterPass", "-tx-2 MasterPass"]

    play(story)


@case("TC_C_48_CSMS", steps="before: two EVSEs charge; 1-2 master pass accepted with its group; 3-4 one ended with it")
def test_tc_c_48() -> None:
    async def story() -> None:
        async with scene(WITH_MASTER) as s:
            _, two, said = await two_and_a_master(s)
            assert await asked(s, MASTER) == said
            assert (await two.say("StopAuthorized", stopped="MasterPass", token=MASTER))["idTokenInfo"] == said
            assert sessions(s)[2:] == ["-tx-2 MasterPass"]

    play(story)


@case("TC_C_49_CSMS", steps="before: two EVSEs charge; 1-2 master pass accepted; 3-4 both ended by the starters")
def test_tc_c_49() -> None:
    async def story() -> None:
        async with scene(WITH_MASTER) as s:
            one, two, said = await two_and_a_master(s)
            assert await asked(s, MASTER) == said
            for visit in (one, two):
                answer = await visit.say("StopAuthorized", stopped="MasterPass", token=visit.token)
                assert answer["idTokenInfo"]["status"] == "Accepted"
            assert sessions(s)[2:] == ["-tx-1 MasterPass", "-tx-2 MasterPass"]

    play(story)


def test_a_master_pass_starts_nothing() -> None:
    async def story() -> None:
        async with scene(WITH_MASTER) as s:
            knows(s, MASTER, "accepted", group="police")
            visit = Visit(s)
            await visit.plug_in()
            assert (await visit.say("Authorized", token=MASTER))["idTokenInfo"] == {"status": "Unknown"}
            assert sessions(s) == ["+tx-1 ", "-tx-1 DeAuthorized"]

    play(story)


def test_a_wrong_token_at_the_stop_ends_nothing() -> None:
    async def story() -> None:
        async with scene() as s:
            visit = Visit(s)
            await visit.transfer()
            assert (await visit.say("StopAuthorized", token=NOBODY))["idTokenInfo"] == {"status": "Unknown"}
            assert sessions(s) == ["+tx-1 BUS-7"]

    play(story)


def test_a_button_is_no_token() -> None:
    async def story() -> None:
        async with scene() as s:
            visit = Visit(s)
            button = {"idToken": "", "type": "NoAuthorization"}
            assert await visit.say("CablePluggedIn", "Charging", token=button) == {
                "idTokenInfo": {"status": "Accepted"}
            }
            assert sessions(s) == ["+tx-1 "]

    play(story)
