"""Block K where a station speaks, and who may give (Q01): hand-written frames against the real server."""

from __future__ import annotations

import datetime as dt
from math import inf
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oca.cases import own
from ocpp_rig import BOOT, NOW, Bench, HandStation, bench, config, play
from ocpp_schemas import SCHEMAS

from revere.control.external import ExternalLimits
from revere.core.commands import SetpointCommand
from revere.core.facts import (
    AlarmCleared,
    AlarmRaised,
    ExternalLimitLifted,
    ExternalLimitReported,
    PriorityChargingReported,
    SecurityEventReported,
    StationProvisioned,
    VehicleScheduleReported,
)
from revere.core.ids import CommandId, SessionId, StationId
from revere.links.ocpp2.outside_limits import external_limit
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.line import SCHEDULE_STEPS_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STAMP = "2026-07-16T19:30:00Z"
SOON = dt.timedelta(seconds=900)


def good(action: str, payload: dict[str, Any]) -> None:
    """Hold a message against the official 2.1 schema."""
    jsonschema_rs.validator_for(SCHEMAS["v21"][action]).validate(payload)


async def plugged_in(b: Bench, reactions: dict[str, Any] | None = None, *, offline: bool = False) -> HandStation:
    """A booted, provisioned 2.1 station with the transaction tx-1 on EVSE 1."""
    station = await b.station(reactions=reactions)
    await station.call("BootNotification", BOOT)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    started = {
        "eventType": "Started",
        "timestamp": STAMP,
        "triggerReason": "Authorized",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "tx-1"},
        "evse": {"id": 1},
        "idToken": {"idToken": "BUS-1", "type": "Central"},
        "offline": offline,
    }
    await station.call("TransactionEvent", started)
    return station


def setpoint(kw: float) -> SetpointCommand:
    return SetpointCommand(
        command_id=CommandId("c"),
        station_id=StationId("ST-1"),
        evse_id=1,
        session_id=SessionId("ST-1:tx-1"),
        setpoint_kw=kw,
        charge_limit_kw=60.0,
        discharge_limit_kw=60.0,
    )


def told(story: Callable[[Bench, HandStation], Awaitable[None]], **changes: Any) -> None:
    """Play a story with one plugged-in station."""

    async def whole() -> None:
        async with bench(config(**changes)) as b:
            await story(b, await plugged_in(b))

    play(whole)


# Limits from outside (K12, K23) ------------------------------------------------------------------------


def limited(**changes: Any) -> dict[str, Any]:
    period = {"startPeriod": 0, "limit": 20_000.0, "dischargeLimit": -5_000.0}
    schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period], "duration": 900}
    limit = {"chargingLimitSource": "EMS", "isGridCritical": True}
    return {"chargingLimit": limit, "evseId": 1, "chargingSchedule": [schedule | changes]}


@own(
    "K12",
    rule="a limit from outside is recorded with its steps and its end, and told",
    source="schema NotifyChargingLimitRequest; K23, inferred",
)
@pytest.mark.parametrize(
    ("what", "request_", "steps", "until"),
    [
        ("both directions, for a time", limited(), ((NOW, 20.0, 5.0),), NOW + SOON),
        (
            "in steps from a start of its own",
            limited(
                startSchedule="2026-07-16T20:30:00+01:00",
                chargingSchedulePeriod=[{"startPeriod": 0, "limit": 9_000.0}, {"startPeriod": 600, "limit": 0.0}],
            ),
            ((NOW, 9.0, None), (NOW + dt.timedelta(seconds=600), 0.0, None)),
            NOW + SOON,
        ),
        ("an older system's limit below 0", limited(chargingSchedulePeriod=[{"startPeriod": 0, "limit": -4.0}]),
         ((NOW, 0.0, None),), NOW + SOON),
        ("phases add up", limited(chargingSchedulePeriod=[{"startPeriod": 0, "limit": 1e3, "limit_L2": 2e3}]),
         ((NOW, 3.0, None),), NOW + SOON),
        ("amperes count as the least that they can mean",
         limited(chargingRateUnit="A",
                 chargingSchedulePeriod=[{"startPeriod": 0, "limit": 6.0, "dischargeLimit": -2.0}]),
         ((NOW, 0.6, 0.2),), NOW + SOON),
        ("amperes of said phases",
         limited(chargingRateUnit="A", chargingSchedulePeriod=[{"startPeriod": 0, "limit": 6.0, "numberPhases": 3}]),
         ((NOW, 1.8, None),), NOW + SOON),
        ("amperes phase by phase",
         limited(chargingRateUnit="A", chargingSchedulePeriod=[{"startPeriod": 0, "limit": 6.0, "limit_L2": 4.0}]),
         ((NOW, 1.0, None),), NOW + SOON),
        ("no schedule says no number", {"chargingLimit": {"chargingLimitSource": "EMS", "isGridCritical": True},
         "evseId": 1}, (), None),
    ],
)  # fmt: skip
def test_a_limit_from_outside_is_a_fact_and_an_alarm(
    what: str, request_: dict[str, Any], steps: Any, until: dt.datetime | None
) -> None:
    async def story(b: Bench, station: HandStation) -> None:
        good("NotifyChargingLimitRequest", request_)
        assert (await station.call("NotifyChargingLimit", request_))[2] == {}
        [fact] = b.sink.of(ExternalLimitReported)
        assert (fact.evse_id, fact.source, fact.critical) == (1, "EMS", True)
        assert (fact.steps, fact.until) == (steps, until)
        [alarm] = b.sink.of(AlarmRaised)
        assert alarm.key == "limit:ST-1:EMS"
        assert alarm.text.startswith("charging limited from outside by EMS")

    told(story)


@own(
    "K12",
    rule="amperes are what the station's phases and voltage make of them; unknown, the least that they can mean",
    source="appendix EVSE, ChargingStation: SupplyPhases, ACVoltage, DCVoltage; the conversion inferred",
)
@pytest.mark.parametrize(
    ("what", "reported", "period", "kw", "told"),
    [
        ("nothing known", {}, {}, 1.6, "at 100 V, over 1 phase(s)"),
        ("phases", {"EVSE@1.SupplyPhases": "3"}, {}, 4.8, "at 100 V, over 3 phase(s)"),
        ("the station's phases", {"ChargingStation.SupplyPhases": "3"}, {}, 4.8, "over 3 phase(s)"),
        ("the EVSE's before the station's",
         {"ChargingStation.SupplyPhases": "3", "EVSE@1.SupplyPhases": "1"}, {}, 1.6, "over 1 phase(s)"),
        ("fewer phases in use", {"EVSE@1.SupplyPhases": "3"}, {"numberPhases": 1}, 1.6, "over 1 phase(s)"),
        ("more phases than there are", {"EVSE@1.SupplyPhases": "1"}, {"numberPhases": 3}, 1.6, "over 1 phase(s)"),
        ("a measured voltage may sag", {"EVSE@1.ACVoltage": "230"}, {}, 3.312, "at 207 V"),
        ("the lowest of the phases' voltages",
         {"EVSE@1.ACVoltage[L1]": "240", "EVSE@1.ACVoltage[L2]": "230"}, {}, 3.312, "at 207 V"),
        ("no voltage to believe", {"EVSE@1.ACVoltage": "23000"}, {}, 1.6, "at 100 V"),
        ("both", {"EVSE@1.ACVoltage": "230", "EVSE@1.SupplyPhases": "3"}, {}, 9.936, "at 207 V, over 3 phase(s)"),
        ("a DC outlet", {"EVSE@1.ACVoltage": "230", "EVSE@1.SupplyPhases": "3", "Connector@1/1.DCVoltage": "0"}, {},
         1.6, "at 100 V, over 1 phase(s)"),
        ("another EVSE's", {"EVSE@2.SupplyPhases": "3"}, {}, 1.6, "over 1 phase(s)"),
    ],
)  # fmt: skip
def test_amperes_bind_by_what_is_known_of_the_supply(
    what: str, reported: dict[str, str], period: dict[str, Any], kw: float, told: str
) -> None:
    schedule = wire.ChargingSchedule(
        id=1,
        chargingRateUnit="A",
        chargingSchedulePeriod=(wire.ChargingSchedulePeriod(startPeriod=0, limit=16.0, **period),),
    )
    request = wire.NotifyChargingLimitRequest(
        chargingLimit=wire.ChargingLimit(chargingLimitSource="SO"), evseId=1, chargingSchedule=(schedule,)
    )
    limit, alarm = external_limit(config(), request, NOW, reported)
    assert isinstance(limit, ExternalLimitReported)
    assert limit.steps == ((NOW, pytest.approx(kw), None),)
    assert isinstance(alarm, AlarmRaised)
    assert f"to {kw:g} kW" in alarm.text
    assert told in alarm.text


def seconds(after_s: int) -> dt.datetime:
    return NOW + dt.timedelta(seconds=after_s)


@own(
    "K12",
    rule="of several schedules the strictest holds at each moment",
    source="schema NotifyChargingLimitRequest.chargingSchedule; the strictest inferred",
)
@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(0, 400),
            st.lists(st.tuples(st.integers(0, 300), st.none() | st.integers(0, 50)), min_size=1, max_size=40),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 400),
)
def test_several_schedules_bind_by_the_strictest(
    drawn: list[tuple[int | None, list[tuple[int, int | None]]]], after_s: int
) -> None:
    """Never looser than any schedule; exact where no step had to be left out."""
    schedules = tuple(
        wire.ChargingSchedule(
            id=1,
            chargingRateUnit="W",
            duration=duration_s,
            chargingSchedulePeriod=tuple(
                wire.ChargingSchedulePeriod(startPeriod=s, limit=None if kw is None else kw * 1e3)
                for s, kw in dict(periods).items()
            ),
        )
        for duration_s, periods in drawn
    )
    request = wire.NotifyChargingLimitRequest(
        chargingLimit=wire.ChargingLimit(chargingLimitSource="SO"), evseId=1, chargingSchedule=schedules
    )
    limit, _ = external_limit(config(), request, NOW, {})
    assert isinstance(limit, ExternalLimitReported)
    book = ExternalLimits()
    book.take(limit)
    wanted = inf
    for duration_s, periods in drawn:
        begun = [step for step in sorted(dict(periods).items()) if step[0] <= after_s]
        if begun and (duration_s is None or after_s < duration_s) and begun[-1][1] is not None:
            wanted = min(wanted, begun[-1][1])
    held, _ = book.held_kw(seconds(after_s))
    assert held <= wanted
    if len(limit.steps) < SCHEDULE_STEPS_MAX:
        assert held == wanted


@own(
    "K13",
    rule="a cleared limit ends; local generation is extra capacity, no limit",
    source="schema ClearedChargingLimitRequest, ChargingLimitType.isLocalGeneration",
)
def test_a_lifted_limit_clears_its_alarm_and_local_generation_limits_nothing() -> None:
    async def story(b: Bench, station: HandStation) -> None:
        extra = limited() | {"chargingLimit": {"chargingLimitSource": "SO", "isLocalGeneration": True}}
        await station.call("NotifyChargingLimit", extra)
        await station.call("ClearedChargingLimit", {"chargingLimitSource": "EMS"})
        assert not b.sink.of(ExternalLimitReported)
        assert [(f.evse_id, f.source) for f in b.sink.of(ExternalLimitLifted)] == [(0, "EMS")]
        assert [f.key for f in b.sink.of(AlarmCleared)] == ["limit:ST-1:EMS"]

    told(story)


# Priority, needs, schedules, pulls ----------------------------------------------------------------------


@own(
    "K22",
    rule="a station tells that its driver goes first, or no longer",
    source="schema NotifyPriorityChargingRequest",
)
@pytest.mark.parametrize("active", [True, False])
def test_priority_charging_is_known(active: bool) -> None:
    async def story(b: Bench, station: HandStation) -> None:
        answer = await station.call("NotifyPriorityCharging", {"transactionId": "tx-1", "activated": active})
        assert answer[2] == {}
        assert [(f.session_id, f.active) for f in b.sink.of(PriorityChargingReported)] == [("ST-1:tx-1", active)]

    told(story)


def test_nobody_goes_first_in_a_session_of_another_station() -> None:
    async def story(b: Bench, station: HandStation) -> None:
        b.directory.running.add("ST-2:theirs")
        answer = await station.call("NotifyPriorityCharging", {"transactionId": "theirs", "activated": True})
        assert answer[2] == {}
        assert b.sink.of(PriorityChargingReported) == []
        assert [event.type for event in b.sink.of(SecurityEventReported)] == ["ForeignTransaction"]

    told(story)


def needs(transfer: str, **more: Any) -> dict[str, Any]:
    return {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": transfer, "controlMode": "DynamicControl"}} | more


@own(
    "K19",
    rule="needs are Accepted where a profile follows, NoChargingProfile where none can, else Rejected",
    source="schema NotifyEVChargingNeedsResponse.status; when which, inferred",
)
@pytest.mark.parametrize(
    ("what", "changes", "transfer", "status"),
    [
        ("dynamic, both ways", {}, "DC_BPT", "Accepted"),
        ("charging alone", {}, "DC", "Accepted"),
        ("two-way where none is agreed", {"discharge_kw": 0.0}, "DC_BPT", "Rejected"),
        ("by its vendor's cloud alone", {"charger_model": "vendor-cloud"}, "DC_BPT", "NoChargingProfile"),
    ],
)
def test_needs_are_answered_by_what_will_follow(what: str, changes: Any, transfer: str, status: str) -> None:
    async def story(b: Bench, station: HandStation) -> None:
        assert (await station.call("NotifyEVChargingNeeds", needs(transfer)))[2]["status"] == status

    told(story, **changes)


@own(
    "K18",
    rule="a vehicle in scheduled control gets a schedule of at most maxScheduleTuples periods",
    source="schema NotifyEVChargingNeedsRequest.maxScheduleTuples",
)
@pytest.mark.parametrize(
    ("tuples", "limits"),
    # The fallback: 20 kW, 10 from 06:00, 2.5 from 16:00, 20 from 22:00; it is 15:30 in New York.
    [(None, [10_000, 2_500, 20_000, 20_000, 10_000]), (2, [10_000, 2_500]), (1, [2_500])],
)
def test_a_scheduled_vehicle_is_offered_the_fallback_as_its_schedule(tuples: int | None, limits: list[int]) -> None:
    """K18: no more periods than it can take; the last one holds the least of what it leaves out."""

    async def story(b: Bench, station: HandStation) -> None:
        payload = needs("DC", **({"maxScheduleTuples": tuples} if tuples else {}))
        payload["chargingNeeds"]["controlMode"] = "ScheduledControl"
        assert (await station.call("NotifyEVChargingNeeds", payload))[2] == {"status": "Accepted"}
        asked = await station.until_asked("SetChargingProfile", 2)
        good("SetChargingProfileRequest", asked)
        profile = asked["chargingProfile"]
        [schedule] = profile["chargingSchedule"]
        assert (profile["chargingProfilePurpose"], profile["transactionId"]) == ("TxProfile", "tx-1")
        assert [period["limit"] for period in schedule["chargingSchedulePeriod"]] == limits
        assert schedule["chargingSchedulePeriod"][0]["startPeriod"] == 0

    told(story)


@own(
    "K17",
    rule="a schedule of the vehicle must be in W and within the limits that it was given",
    source="schema ChargingScheduleType; the limit inferred",
)
@pytest.mark.parametrize(
    ("unit", "limit", "status"), [("W", 60_000.0, "Accepted"), ("W", 60_100.0, "Rejected"), ("A", 16.0, "Rejected")]
)
def test_a_vehicles_schedule_above_the_stations_limit_is_refused(unit: str, limit: float, status: str) -> None:
    """Schema of NotifyEVChargingSchedule: it must be in W."""

    async def story(b: Bench, station: HandStation) -> None:
        period = {"startPeriod": 0, "limit": limit}
        schedule = {"id": 1, "chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
        request = {"timeBase": STAMP, "evseId": 1, "chargingSchedule": schedule}
        assert (await station.call("NotifyEVChargingSchedule", request))[2]["status"] == status
        [fact] = b.sink.of(VehicleScheduleReported)
        assert bool(fact.refused) == (status == "Rejected")
        assert fact.steps == (((NOW, limit / 1000),) if unit == "W" else ())

    told(story)


@own(
    "K28",
    rule="a pulled dynamic profile gets the values that hold; an unknown one is refused",
    source="schema PullDynamicScheduleUpdateRequest",
)
def test_a_station_that_pulls_gets_the_setpoint_that_holds() -> None:
    """K28; a profile that is not ours is refused by name."""

    async def story(b: Bench, station: HandStation) -> None:
        early = await station.call("PullDynamicScheduleUpdate", {"chargingProfileId": 101})
        assert early[2]["status"] == "Rejected"
        assert (await b.server.set_power(setpoint(-12.0))).status == "accepted"
        answer = (await station.call("PullDynamicScheduleUpdate", {"chargingProfileId": 101}))[2]
        good("PullDynamicScheduleUpdateResponse", answer)
        update = {"limit": 60_000.0, "dischargeLimit": -60_000.0, "setpoint": -12_000.0}
        assert answer == {"status": "Accepted", "scheduleUpdate": update}
        strange = (await station.call("PullDynamicScheduleUpdate", {"chargingProfileId": 7}))[2]
        assert strange["statusInfo"]["reasonCode"] == "InvalidProfileId"

    told(story)


@own(
    "K09",
    rule="a report of profiles belongs to a request of ours",
    source="schema ReportChargingProfilesRequest.requestId",
)
def test_a_report_that_nobody_asked_for_is_dropped_and_counted() -> None:
    async def story(b: Bench, station: HandStation) -> None:
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1.0}]}
        profile = {
            "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative", "chargingSchedule": [schedule],
        }  # fmt: skip
        report = {"requestId": 99, "chargingLimitSource": "CSO", "chargingProfile": [profile], "evseId": 0}
        assert (await station.call("ReportChargingProfiles", report))[2] == {}
        assert b.server.counters.unsolicited == 1

    told(story)


# Who may give (Q01) -------------------------------------------------------------------------------------


@own(
    "Q01",
    rule="a known vehicle at a two-way station is told its transfers; left out they mean charging only",
    source="schema AuthorizeResponse.allowedEnergyTransfer",
)
@pytest.mark.parametrize(
    ("what", "token", "changes", "gives"),
    [
        ("a known vehicle at a two-way station", "BUS-1", {}, True),
        ("an unknown one", "CAR", {}, None),
        ("a station that only charges", "BUS-1", {"discharge_kw": 0.0}, None),
        ("a charger that only its vendor tells", "BUS-1", {"charger_model": "vendor-cloud"}, None),
    ],
)
def test_an_authorized_vehicle_hears_what_it_may_choose(
    what: str, token: str, changes: Any, gives: bool | None
) -> None:
    """Schema of AuthorizeResponse: left out, allowedEnergyTransfer means charging only."""

    async def story(b: Bench, station: HandStation) -> None:
        answer = (await station.call("Authorize", {"idToken": {"idToken": token, "type": "Central"}}))[2]
        good("AuthorizeResponse", answer)
        modes = answer.get("allowedEnergyTransfer")
        assert (modes and "DC_BPT" in modes and "DC" in modes) == gives

    told(story, **changes)


@own(
    "Q01",
    rule="only supported transfers are allowed",
    source="appendix V2XChargingCtrlr.SupportedEnergyTransferModes",
)
def test_only_what_the_station_supports_is_allowed() -> None:
    async def story(b: Bench, station: HandStation) -> None:
        row = {
            "component": {"name": "V2XChargingCtrlr", "evse": {"id": 1}},
            "variable": {"name": "SupportedEnergyTransferModes"},
            "variableAttribute": [{"value": "DC,DC_BPT"}],
        }
        report = {"requestId": 1, "generatedAt": STAMP, "seqNo": 0, "reportData": [row]}
        await station.call("NotifyReport", report)
        answer = (await station.call("Authorize", {"idToken": {"idToken": "BUS-1", "type": "Central"}}))[2]
        assert answer["allowedEnergyTransfer"] == ["DC", "DC_BPT"]

    told(story)


@own(
    "Q01",
    rule="a running session is told a change of its transfers",
    source="schema NotifyAllowedEnergyTransferRequest; the moment inferred",
)
def test_a_session_begun_offline_is_told_that_it_may_give_when_it_refuses_to() -> None:
    """NotifyAllowedEnergyTransfer once, then the setpoint again; a second refusal stands."""

    async def story() -> None:
        async with bench() as b:
            station = await plugged_in(b, offline=True)
            station.reactions["SetChargingProfile"] = {
                "status": "Rejected",
                "statusInfo": {"reasonCode": "InvalidOperationMode"},
            }
            assert (await b.server.set_power(setpoint(-12.0))).status == "rejected"
            allowed = await station.until_asked("NotifyAllowedEnergyTransfer")
            good("NotifyAllowedEnergyTransferRequest", allowed)
            assert allowed["transactionId"] == "tx-1"
            assert "DC_BPT" in allowed["allowedEnergyTransfer"]
            actions = [action for action, _ in station.asked]
            assert actions[-3:] == ["SetChargingProfile", "NotifyAllowedEnergyTransfer", "SetChargingProfile"]

    play(story)
