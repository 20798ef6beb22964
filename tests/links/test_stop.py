"""The end of a discharge at a 2.1 station that refuses it: by a new profile, by a clear, by the end of the session."""

from __future__ import annotations

from typing import Any

import pytest
from ocpp_rig import bench, play
from test_k_limits import plugged_in, setpoint
from v2x_rig import ST, reported

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
