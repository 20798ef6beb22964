"""The end of a discharge at a station that refuses it: by a new profile, by a clear, by the end of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from ocpp_rig import BOOT_16, Bench, HandStation, bench, config, play
from test_k_limits import plugged_in, setpoint
from v2x_rig import ST, STAMP, reported

from revere.core.facts import StationProvisioned
from revere.core.ids import SessionId

if TYPE_CHECKING:
    from revere.core.commands import Answer

RATE_LIMIT = "SmartChargingCtrlr.UpdateRateLimit"
REJECTED = {"status": "Rejected", "statusInfo": {"reasonCode": "InternalError"}}
UNKNOWN = {"status": "Unknown"}
INSTALL, CLEAR, END = "SetChargingProfile", "ClearChargingProfile", "RequestStopTransaction"


@pytest.mark.parametrize("refused_by", ["Rejected", "NotImplemented"])
@pytest.mark.parametrize(
    ("reactions", "asked", "status", "why"),
    [
        ({}, [INSTALL], "accepted", ""),
        ({INSTALL: REJECTED}, [INSTALL, CLEAR], "too_early", "InternalError; its profile is cleared instead"),
        ({INSTALL: REJECTED, CLEAR: UNKNOWN}, [INSTALL, CLEAR, END], "rejected",
         "InternalError; its session is ended instead"),
        ({INSTALL: REJECTED, CLEAR: UNKNOWN, END: {"status": "Rejected"}}, [INSTALL, CLEAR, END], "rejected",
         "InternalError; nor does its session end: Rejected"),
    ],
    ids=["a new profile", "cleared", "session ended", "refused altogether"],
)  # fmt: skip
def test_a_stop_waits_for_nothing_and_takes_no_refusal(
    refused_by: str, reactions: dict[str, Any], asked: list[str], status: str, why: str
) -> None:
    """However seldom the station says that it takes profiles, and though the discharge has just begun."""

    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            await station.call("NotifyReport", reported({RATE_LIMIT: "86400"}))
            assert (await b.server.set_power(setpoint(-50.0))).status == "accepted"
            if refused_by == "Rejected":
                station.reactions["UpdateDynamicSchedule"] = REJECTED
            else:
                station.refusals.add("UpdateDynamicSchedule")
            station.reactions |= reactions
            before = len(station.asked)
            answer = await b.server.set_power(setpoint(0.0))
            assert (answer.status, answer.why) == (status, why)
            assert [action for action, _ in station.asked[before:]] == ["UpdateDynamicSchedule", *asked]
            if status == "rejected":  # it still gives: the next stop waits no more than this one did
                assert (await b.server.set_power(setpoint(0.0))).why == why

    play(story)


@pytest.mark.parametrize("lock", ["closing", "locked"])
def test_under_a_lock_a_refused_stop_ends_the_session_for_after_a_clear_it_may_charge(lock: Any) -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            assert (await b.server.set_power(setpoint(-50.0))).status == "accepted"
            station.refusals |= {"UpdateDynamicSchedule", INSTALL}
            b.directory.locks[ST] = lock
            assert "its session is ended instead" in (await b.server.set_power(setpoint(0.0))).why
            assert [action for action, _ in station.asked[-3:]] == ["UpdateDynamicSchedule", INSTALL, END]

    play(story)


def test_an_interval_of_the_stations_own_has_a_ceiling() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b)
            for said, expected_s in (("86400", 900), ("inf", 900), ("120", 120), ("nan", 60), ("often", 60)):
                await station.call("NotifyReport", reported({RATE_LIMIT: said}))
                b.server._memories[ST].profile_of.clear()
                b.server._memories[ST].profile_sent_s.clear()
                station.reactions[INSTALL] = REJECTED
                await b.server.set_power(setpoint(5.0))
                assert f"in {expected_s + 2} s" in (await b.server.set_power(setpoint(5.0))).why, said

    play(story)


# 1.6 --------------------------------------------------------------------------------------------------------

STOP_16 = "RemoteStopTransaction"
NO = {"status": "Rejected"}
TWO_WAY_16 = config(protocol="ocpp1.6", discharge_kw=60.0, charger_model="negative-limit-1.6")


class Charging16:
    """A two-way 1.6 charge point with a session."""

    def __init__(self, b: Bench, station: HandStation, number: int) -> None:
        self.b, self.station, self.number = b, station, number

    async def give(self, kw: float) -> Answer:
        command = msgspec.structs.replace(setpoint(kw), session_id=SessionId(f"ST-1:{self.number}"))
        return await self.b.server.set_power(command)

    def since(self, before: int) -> list[str]:
        return [action for action, _ in self.station.asked[before:]]


async def charging_16(b: Bench) -> Charging16:
    station = await b.station(protocol="ocpp1.6")
    await station.call("BootNotification", BOOT_16)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    start = {"connectorId": 1, "idTag": "BUS-9", "meterStart": 1200, "timestamp": STAMP}
    return Charging16(b, station, (await station.call("StartTransaction", start))[2]["transactionId"])


@pytest.mark.parametrize(
    ("reactions", "asked", "status", "why"),
    [
        ({}, [INSTALL], "accepted", ""),
        ({INSTALL: NO}, [INSTALL, CLEAR], "too_early", "Rejected; its profile is cleared instead"),
        ({INSTALL: NO, CLEAR: UNKNOWN}, [INSTALL, CLEAR, STOP_16], "rejected",
         "Rejected; its session is ended instead"),
        ({INSTALL: NO, CLEAR: UNKNOWN, STOP_16: NO}, [INSTALL, CLEAR, STOP_16], "rejected",
         "Rejected; nor does its session end: Rejected"),
    ],
    ids=["a new profile", "cleared", "session ended", "refused altogether"],
)  # fmt: skip
def test_a_16_stop_takes_no_refusal_either(reactions: dict[str, Any], asked: list[str], status: str, why: str) -> None:
    async def story() -> None:
        async with bench(TWO_WAY_16) as b:
            s = await charging_16(b)
            assert (await s.give(-20.0)).status == "accepted"
            s.station.reactions |= reactions
            for _ in range(2 if status == "rejected" else 1):  # it still gives: the next waits no more than this one
                before = len(s.station.asked)
                answer = await s.give(0.0)
                assert (answer.status, answer.why) == (status, why)
                assert s.since(before) == asked
            if asked[-1] == STOP_16:
                assert s.station.asked[-1] == (STOP_16, {"transactionId": s.number})

    play(story)


@pytest.mark.parametrize("unknown", [{INSTALL}, {INSTALL, CLEAR}, {INSTALL, CLEAR, STOP_16}])
def test_a_16_charger_that_answers_with_errors_is_stopped_as_one_that_says_no(unknown: set[str]) -> None:
    async def story() -> None:
        async with bench(TWO_WAY_16) as b:
            s = await charging_16(b)
            assert (await s.give(-20.0)).status == "accepted"
            s.station.refusals |= unknown
            before = len(s.station.asked)
            answer = await s.give(0.0)
            assert s.since(before) == ([INSTALL, CLEAR, STOP_16] if CLEAR in unknown else [INSTALL, CLEAR])
            words = {1: "its profile is cleared", 2: "its session is ended", 3: "nor does its session end"}
            assert words[len(unknown)] in answer.why

    play(story)


def test_a_16_discharge_that_was_never_answered_may_hold_and_its_end_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("revere.links.ocppj.calls.SETPOINT_TIMEOUT_S", 0.05)

    async def story() -> None:
        async with bench(TWO_WAY_16) as b:
            s = await charging_16(b)
            s.station.reactions[INSTALL] = None
            assert (await s.give(-20.0)).status == "timeout"
            s.station.reactions[INSTALL] = {"status": "Accepted"}
            assert (await s.give(0.0)).status == "accepted"

    play(story)


@pytest.mark.parametrize("lock", ["closing", "locked"])
def test_a_16_stop_under_a_lock_ends_the_session_for_after_a_clear_it_may_charge(lock: Any) -> None:
    async def story() -> None:
        async with bench(TWO_WAY_16) as b:
            s = await charging_16(b)
            assert (await s.give(-20.0)).status == "accepted"
            s.station.reactions[INSTALL] = NO
            b.directory.locks[ST] = lock
            before = len(s.station.asked)
            assert "its session is ended instead" in (await s.give(0.0)).why
            assert s.since(before) == [INSTALL, STOP_16]

    play(story)


def test_what_a_16_session_held_ends_with_it() -> None:
    """The next session is not ended for a setpoint that it refuses."""

    async def story() -> None:
        async with bench(TWO_WAY_16) as b:
            s = await charging_16(b)
            assert (await s.give(-20.0)).status == "accepted"
            stop = {"transactionId": s.number, "meterStop": 1300, "timestamp": "2026-07-16T19:30:00Z"}
            await s.station.call("StopTransaction", stop)
            start = {"connectorId": 1, "idTag": "BUS-9", "meterStart": 1300, "timestamp": "2026-07-16T19:30:01Z"}
            s.number = (await s.station.call("StartTransaction", start))[2]["transactionId"]
            b.server._memories[ST].profile_sent_s.clear()  # a minute has passed
            s.station.reactions |= {INSTALL: NO, CLEAR: UNKNOWN}
            before = len(s.station.asked)
            assert (await s.give(5.0)).status == "rejected"
            assert s.since(before) == [INSTALL]

    play(story)
