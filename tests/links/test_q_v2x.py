"""Block Q: every operation mode ordered, updated, ended; permission, priority, signals; offline and back.

Q01's answers stand in test_k_limits.py. The strict station of the twin reads what we send by itself (a law below).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from oca.cases import own
from ocpp_rig import BOOT, NOW, bench, config, play
from ocpp_schemas import instances, validator
from test_k_limits import setpoint
from v2x_orders import CURVE, GOOD, MODES, SIGNALS, UNTIL, mode
from v2x_rig import ABLE, ST, STAMP, STRICT, TX, Scene, scene

from revere.core.facts import (
    OperationModeEnded,
    OperationModeReported,
    OperationModeSet,
    PriorityChargingReported,
    StationProvisioned,
)
from revere.core.v2x_orders import (
    AllowTransfer,
    EndOperationMode,
    ListChargingProfiles,
    SendFrequencySignal,
    SetOperationMode,
    SetpointStep,
    UsePriority,
    mode_fault,
    mode_range_kw,
)
from revere.links.ocpp2 import translate_v2x
from revere.links.ocpp2.wire import v21 as wire
from revere.twin.profiles21 import ProfileStore

if TYPE_CHECKING:
    pass

ACCEPTED = {"status": "Accepted"}
PERIODS: list[tuple[str, str, str, dict[str, Any], tuple[float, float]]] = [
    ("Q02", "charging-only", "Absolute", {"operationMode": "ChargingOnly", "limit": 7_000.0}, (7.0, 0.0)),
    (
        "Q04",
        "central-setpoint",
        "Dynamic",
        {"operationMode": "CentralSetpoint", "setpoint": -12_500.0, "limit": 20_000.0, "dischargeLimit": -15_000.0},
        (0.0, 12.5),
    ),
    ("Q07", "central-frequency", "Dynamic", {"operationMode": "CentralFrequency", "setpoint": -9_000.0}, (0.0, 9.0)),
    (
        "Q08",
        "local-frequency",
        "Absolute",
        {
            "operationMode": "LocalFrequency",
            "v2xBaseline": -5_000.0,
            "v2xFreqWattCurve": [{"frequency": 59.8, "power": -30_000.0}, {"frequency": 60.2, "power": 30_000.0}],
            "v2xSignalWattCurve": [{"signal": -100, "power": -20_000.0}, {"signal": 100, "power": 20_000.0}],
        },
        (45.0, 55.0),
    ),
    (
        "Q05",
        "external-setpoint",
        "Absolute",
        {"operationMode": "ExternalSetpoint", "limit": 20_000.0, "dischargeLimit": -15_000.0},
        (20.0, 15.0),
    ),
    ("Q06", "external-limits", "Absolute", {"operationMode": "ExternalLimits"}, (60.0, 0.0)),
    ("Q09", "local-load-balancing", "Absolute", {"operationMode": "LocalLoadBalancing"}, (60.0, 60.0)),
    ("Q10", "idle", "Absolute", {"operationMode": "Idle"}, (0.0, 0.0)),
]


@own(
    "Q03-Q10",
    rule="each operation mode has just the values that it must or may have",
    source="facts section 5 (mode table); schema ChargingSchedulePeriodType",
)
@pytest.mark.parametrize(("use_case", "name", "kind", "period", "range_kw"), PERIODS, ids=[p[1] for p in PERIODS])
def test_every_mode_as_a_frame(
    use_case: str, name: str, kind: str, period: dict[str, Any], range_kw: tuple[float, float]
) -> None:
    """A TxProfile above our setpoints, with an end, and gone with the line."""

    async def story(s: Scene) -> None:
        answer, asked = await s.ordered(GOOD[name], "SetChargingProfile", ACCEPTED)
        assert answer.status == "accepted"
        profile = asked["chargingProfile"]
        [schedule] = profile["chargingSchedule"]
        assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, **period}]
        assert schedule.get("startSchedule") == (None if kind == "Dynamic" else "2026-07-16T19:29:00Z")
        assert (profile["chargingProfilePurpose"], profile["chargingProfileKind"]) == ("TxProfile", kind)
        assert (profile["transactionId"], profile["stackLevel"]) == ("tx-1", 11)
        assert profile["validTo"] == "2026-07-16T21:30:00Z"
        [fact] = s.b.sink.of(OperationModeSet)
        assert (fact.mode, fact.session_id, fact.until) == (name, "ST-1:tx-1", UNTIL)
        assert (fact.charge_max_kw, fact.discharge_max_kw) == range_kw

    scene(story)


def test_an_ended_session_takes_no_mode() -> None:
    async def story(s: Scene) -> None:
        ended = {
            "eventType": "Ended", "timestamp": "2026-07-16T19:30:00Z", "triggerReason": "EVDeparted", "seqNo": 1,
            "transactionInfo": {"transactionId": "tx-1"},
        }  # fmt: skip
        await s.call("TransactionEvent", ended)
        answer = await s.order(GOOD["idle"])
        assert (answer.status, answer.why) == ("rejected", "ST-1/1: no session runs there")

    scene(story)


@own(
    "Q03",
    rule="a schedule of setpoints is one profile of several periods",
    source="Part 0, Q03; schema ChargingScheduleType",
)
def test_a_schedule_of_setpoints() -> None:
    async def story(s: Scene) -> None:
        steps = (SetpointStep(after_s=900, setpoint_kw=-8.0), SetpointStep(after_s=1800, setpoint_kw=0.0))
        _, asked = await s.ordered(
            mode("central-setpoint", setpoint_kw=5.0, steps=steps), "SetChargingProfile", ACCEPTED
        )
        [schedule] = asked["chargingProfile"]["chargingSchedule"]
        periods = [(p["startPeriod"], p["setpoint"]) for p in schedule["chargingSchedulePeriod"]]
        assert periods == [(0, 5_000.0), (960, -8_000.0), (1860, 0.0)]
        assert asked["chargingProfile"]["chargingProfileKind"] == "Absolute"

    scene(story)


@own(
    "Q04",
    rule="a moved setpoint of a mode that stands is an update, not a new profile",
    source="facts section 5 (UpdateRateLimit, K01.FR.56); schema UpdateDynamicScheduleRequest",
)
def test_a_moved_setpoint_is_an_update() -> None:
    async def story(s: Scene) -> None:
        await s.ordered(GOOD["central-frequency"], "SetChargingProfile", ACCEPTED)
        moved = msgspec.structs.replace(GOOD["central-frequency"], setpoint_kw=-4.0)
        answer, asked = await s.ordered(moved, "UpdateDynamicSchedule", ACCEPTED)
        assert answer.status == "accepted"
        assert asked == {"chargingProfileId": 201, "scheduleUpdate": {"setpoint": -4_000.0}}
        answer = await s.order(GOOD["idle"])
        assert answer.status == "rejected"
        assert answer.why == "a new profile may be sent in 62 s"

    scene(story)


@own(
    "Q12",
    rule="a mode that is ended gives way to what stands beneath it; one gone already is as good as ended",
    source="schema ClearChargingProfileRequest; inferred",
)
@pytest.mark.parametrize(("status", "ended"), [("Accepted", "accepted"), ("Unknown", "accepted")])
def test_a_mode_is_ended(status: str, ended: str) -> None:
    async def story(s: Scene) -> None:
        await s.ordered(GOOD["idle"], "SetChargingProfile", ACCEPTED)
        answer, asked = await s.ordered(EndOperationMode(), "ClearChargingProfile", {"status": status})
        assert (answer.status, asked) == (ended, {"chargingProfileId": 201})
        assert [(f.station_id, f.evse_id) for f in s.b.sink.of(OperationModeEnded)] == [("ST-1", 1)]

    scene(story)


BAD: list[tuple[str, SetOperationMode, str]] = [
    (
        "V2X.05 below the discharge limit",
        mode("central-setpoint", setpoint_kw=-16.0, discharge_limit_kw=15.0),
        "outside",
    ),
    ("V2X.05 above the limit", mode("central-setpoint", setpoint_kw=16.0, charge_limit_kw=15.0), "outside"),
    (
        "V2X.05 in a later step",
        mode(
            "central-setpoint", setpoint_kw=1.0, charge_limit_kw=2.0, steps=(SetpointStep(after_s=1, setpoint_kw=3.0),)
        ),
        "outside",
    ),
    (
        "Q02 ChargingOnly with a setpoint",
        mode("charging-only", charge_limit_kw=5.0, setpoint_kw=1.0),
        "takes no setpoint_kw",
    ),
    ("ChargingOnly without a limit", mode("charging-only"), "needs charge_limit_kw"),
    ("CentralSetpoint without a setpoint", mode("central-setpoint"), "needs setpoint_kw"),
    (
        "V2X.05 above the limit in CentralFrequency",
        mode("central-frequency", setpoint_kw=3.0, charge_limit_kw=2.0),
        "outside",
    ),
    (
        "reactive power in CentralFrequency",
        mode("central-frequency", setpoint_kw=1.0, reactive_kvar=2.0),
        "takes no reactive_kvar",
    ),
    ("Q08 without a baseline", mode("local-frequency", frequency_curve=CURVE), "needs baseline_kw"),
    (
        "Q08 a curve of one point",
        mode("local-frequency", baseline_kw=0.0, frequency_curve=CURVE[:1]),
        "of two points",
    ),
    (
        "Q08 two powers for one frequency",
        mode("local-frequency", baseline_kw=0.0, frequency_curve=(CURVE[0], CURVE[0])),
        "two powers",
    ),
    (
        "Q08 a signal curve of one point",
        mode("local-frequency", baseline_kw=0.0, frequency_curve=CURVE, signal_curve=SIGNALS[:1]),
        "signal_curve",
    ),
    ("a curve elsewhere", mode("idle", frequency_curve=CURVE), "belong to local-frequency"),
    ("a limit in ExternalLimits", mode("external-limits", charge_limit_kw=1.0), "takes no charge_limit_kw"),
    ("Q10 sleep outside idle", mode("external-limits", sleep=True), "sleeps in idle"),
    (
        "steps elsewhere",
        mode("idle", steps=(SetpointStep(after_s=1, setpoint_kw=0.0),)),
        "steps belong to central-setpoint",
    ),
    ("an external setpoint without bounds", mode("external-setpoint"), "needs charge_limit_kw and discharge_limit_kw"),
]


@own(
    "Q07",
    rule="CentralFrequency may have limits beside its setpoint",
    source="facts section 5 (mode table)",
)
def test_central_frequency_takes_limits() -> None:
    async def story(s: Scene) -> None:
        order = mode("central-frequency", setpoint_kw=-9.0, charge_limit_kw=20.0, discharge_limit_kw=15.0)
        _, asked = await s.ordered(order, "SetChargingProfile", ACCEPTED)
        [period] = asked["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
        assert (period["setpoint"], period["limit"], period["dischargeLimit"]) == (-9_000.0, 20_000.0, -15_000.0)

    scene(story)


@own(
    "Q02-Q10",
    rule="what every station must refuse never leaves",
    source="facts section 5; V2X.05; the rest and bounds of an external setpoint inferred",
)
@pytest.mark.parametrize(("order", "why"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_every_station_refuses_is_refused_here(order: SetOperationMode, why: str) -> None:
    async def story(s: Scene) -> None:
        answer = await s.order(order)
        assert answer.status == "rejected"
        assert why in answer.why
        assert not [p for p in s.asked("SetChargingProfile") if p["chargingProfile"]["id"] == 201]

    scene(story)


def without(*modes: str) -> dict[str, str]:
    kept = ",".join(word for word in MODES.split(",") if word not in modes)
    return {"V2XChargingCtrlr@1.SupportedOperationModes": kept}


ABILITIES: list[tuple[str, dict[str, str], SetOperationMode, str]] = [
    ("K01.FR.115 the mode is not known", without("Idle"), GOOD["idle"], "knows no Idle"),
    (
        "Q09.FR.01 no load balancing",
        without("LocalLoadBalancing"),
        GOOD["local-load-balancing"],
        "knows no LocalLoadBalancing",
    ),
    ("modes never reported", {"V2XChargingCtrlr@1.SupportedOperationModes": ""}, GOOD["idle"], "its modes are none"),
    (
        "two-way charging switched off",
        {"V2XChargingCtrlr@1.Enabled": "false"},
        GOOD["local-frequency"],
        "two-way charging is off",
    ),
    (
        "ISO 15118 switched off",
        {"ISO15118Ctrlr.Enabled": "false"},
        GOOD["central-frequency"],
        "two-way charging is off",
    ),
    (
        "K01.FR.121 no dynamic profiles",
        {"SmartChargingCtrlr.SupportsDynamicProfiles": "false"},
        GOOD["central-frequency"],
        "whose values move",
    ),
    ("K01.FR.126 no sleep", {}, mode("idle", sleep=True), "cannot sleep"),
    ("stack levels end below", {"SmartChargingCtrlr.ProfileStackLevel": "10"}, GOOD["idle"], "stack level"),
]


@own(
    "Q02-Q10",
    rule="what the station has reported that it cannot do is refused with a sentence",
    source="appendix V2XChargingCtrlr, ISO15118Ctrlr, SmartChargingCtrlr; facts sections 5 and 8",
)
@pytest.mark.parametrize(("able", "order", "why"), [a[1:] for a in ABILITIES], ids=[a[0] for a in ABILITIES])
def test_what_the_station_cannot_do_is_refused_here(able: dict[str, str], order: SetOperationMode, why: str) -> None:
    async def story(s: Scene) -> None:
        answer = await s.order(order)
        assert answer.status == "rejected"
        assert why in answer.why

    scene(story, able=ABLE | able)


def test_modes_that_were_never_reported_are_refused_and_those_that_give_nothing_need_no_two_way_charging() -> None:
    async def unknown(s: Scene) -> None:
        assert "take its inventory first" in (await s.order(GOOD["idle"])).why

    async def idle(s: Scene) -> None:
        assert (await s.order(GOOD["idle"])).status == "accepted"

    scene(unknown, able={})
    scene(idle, able=ABLE | {"V2XChargingCtrlr@1.Enabled": "false"})


@own(
    "Q08",
    rule="a grid operator's signal goes to the station with our time (aFRR)",
    source="schema AFRRSignalRequest; whose time, inferred",
)
@pytest.mark.parametrize(
    ("reaction", "status", "why"),
    [
        (ACCEPTED, "accepted", ""),
        ({"status": "Rejected", "statusInfo": {"reasonCode": "NoSignalWattCurve"}}, "rejected", "NoSignalWattCurve"),
    ],
)
def test_a_signal_is_passed_on(reaction: dict[str, Any], status: str, why: str) -> None:
    async def story(s: Scene) -> None:
        answer, asked = await s.ordered(SendFrequencySignal(signal=-40), "AFRRSignal", reaction)
        assert asked == {"timestamp": "2026-07-16T19:30:00Z", "signal": -40}
        assert (answer.status, answer.why) == (status, why)

    scene(story)


@own(
    "Q01",
    rule="a running session is told what its vehicle may choose from now on",
    source="schema NotifyAllowedEnergyTransferRequest",
)
@pytest.mark.parametrize(
    ("both_ways", "modes"), [(True, {"DC", "DC_BPT", "AC_BPT"}), (False, {"DC", "AC_three_phase"})]
)
def test_a_transfer_is_allowed_or_taken_back(both_ways: bool, modes: set[str]) -> None:
    async def story(s: Scene) -> None:
        answer, asked = await s.ordered(AllowTransfer(both_ways=both_ways), "NotifyAllowedEnergyTransfer", ACCEPTED)
        assert answer.status == "accepted"
        assert asked["transactionId"] == "tx-1"
        assert modes <= set(asked["allowedEnergyTransfer"])
        assert any("BPT" in word for word in asked["allowedEnergyTransfer"]) == both_ways

    scene(story)


@own(
    "K21",
    rule="priority is asked for after its ChargingOnly profile; NoProfile is told",
    source="facts section 5 (purposes); schema UsePriorityChargingResponse",
)
@pytest.mark.parametrize(("status", "facts"), [("Accepted", [True]), ("NoProfile", []), ("Rejected", [])])
def test_priority_goes_first(status: str, facts: list[bool]) -> None:
    async def story(s: Scene) -> None:
        answer, asked = await s.ordered(
            UsePriority(active=True, charge_limit_kw=30.0), "UsePriorityCharging", {"status": status}
        )
        assert asked == {"transactionId": "tx-1", "activate": True}
        assert answer.status == ("accepted" if status == "Accepted" else "rejected")
        assert [f.active for f in s.b.sink.of(PriorityChargingReported)] == facts
        profile = s.asked("SetChargingProfile")[-1]["chargingProfile"]
        [period] = profile["chargingSchedule"][0]["chargingSchedulePeriod"]
        assert (profile["chargingProfilePurpose"], period["operationMode"]) == ("PriorityCharging", "ChargingOnly")
        assert period["limit"] == 30_000.0

    scene(story)


def test_priority_ends_without_a_profile_and_is_not_asked_of_a_station_without_it() -> None:
    async def ends(s: Scene) -> None:
        before = len(s.asked("SetChargingProfile"))
        answer, asked = await s.ordered(UsePriority(active=False), "UsePriorityCharging", ACCEPTED)
        assert (answer.status, asked["activate"]) == ("accepted", False)
        assert len(s.asked("SetChargingProfile")) == before
        assert [f.active for f in s.b.sink.of(PriorityChargingReported)] == [False]

    async def never(s: Scene) -> None:
        assert "knows no PriorityCharging" in (await s.order(UsePriority(active=True))).why

    scene(ends)
    scene(never, able=ABLE | {"SmartChargingCtrlr.SupportedAdditionalPurposes": "LocalGeneration"})


@own(
    "K09",
    rule="the profiles that stand in a station are told, whoever has set them",
    source="schema GetChargingProfilesRequest, ReportChargingProfilesRequest",
)
def test_profiles_are_listed() -> None:
    async def story(s: Scene) -> None:
        task = asyncio.ensure_future(s.order(ListChargingProfiles()))
        asked = await s.station.until_asked("GetChargingProfiles")
        assert asked["chargingProfile"] == {"chargingLimitSource": ["CSO", "EMS", "SO", "Other"]}
        schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7e3}]}
        profile = {
            "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative", "chargingSchedule": [schedule],
        }  # fmt: skip
        for source, more in (("CSO", True), ("EMS", False)):
            report = {"requestId": asked["requestId"], "chargingLimitSource": source, "evseId": 1, "tbc": more}
            await s.call("ReportChargingProfiles", report | {"chargingProfile": [profile]})
        answer = await task
        assert answer.details == (
            ("1", "TxDefaultProfile Relative, level 0, at EVSE 1 by CSO: ChargingOnly limit 7000; 1 periods"),
            ("1", "TxDefaultProfile Relative, level 0, at EVSE 1 by EMS: ChargingOnly limit 7000; 1 periods"),
        )
        answer, _ = await s.ordered(ListChargingProfiles(evse_id=1), "GetChargingProfiles", {"status": "NoProfiles"})
        assert (answer.status, answer.why) == ("accepted", "NoProfiles")

    scene(story)


@own(
    "Q11",
    rule="whatever may discharge falls to the charge-only default five minutes after the line is gone",
    source="schema ChargingProfileType.maxOfflineDuration, invalidAfterOfflineDuration; facts section 5",
)
def test_what_may_give_is_gone_with_the_line() -> None:
    async def story(s: Scene) -> None:
        await s.ordered(GOOD["local-frequency"], "SetChargingProfile", ACCEPTED)
        fallback, ordered = (payload["chargingProfile"] for payload in s.asked("SetChargingProfile"))
        assert (ordered["maxOfflineDuration"], ordered["invalidAfterOfflineDuration"]) == (300, True)
        assert fallback["stackLevel"] < ordered["stackLevel"]
        modes = {p["operationMode"] for p in fallback["chargingSchedule"][0]["chargingSchedulePeriod"]}
        assert (modes, "maxOfflineDuration" in fallback) == ({"ChargingOnly"}, False)

    scene(story)


@own(
    "Q12",
    rule="a setpoint whose profile lapsed offline is given as a whole profile again",
    source="schema invalidAfterOfflineDuration; inferred",
)
def test_a_lapsed_setpoint_is_given_anew() -> None:
    async def story(s: Scene) -> None:
        assert (await s.b.server.set_power(setpoint(-12.0))).status == "accepted"
        s.station.reactions["UpdateDynamicSchedule"] = {
            "status": "Rejected", "statusInfo": {"reasonCode": "InvalidProfileId"},
        }  # fmt: skip
        s.b.server._memories[ST].profile_sent_s.clear()  # a minute later
        assert (await s.b.server.set_power(setpoint(-11.0))).status == "accepted"
        last = s.asked("SetChargingProfile")[-1]["chargingProfile"]
        assert last["chargingSchedule"][0]["chargingSchedulePeriod"][0]["setpoint"] == -11_000.0

    scene(story)


def says(seq: int, word: str | None, *, offline: bool = False) -> dict[str, Any]:
    """A running transaction tells its mode."""
    info = {"transactionId": "tx-1", "chargingState": "Charging"} | ({"operationMode": word} if word else {})
    return {
        "eventType": "Updated", "timestamp": STAMP, "triggerReason": "OperationModeChanged", "seqNo": seq,
        "transactionInfo": info, "evse": {"id": 1}, "offline": offline,
    }  # fmt: skip


SAID: list[tuple[str, str | None, dict[str, Any], list[tuple[str, bool]], str]] = [
    ("it leaves without our word", None, {}, [("charging-only", True)], "SetChargingProfile"),
    ("it left while offline", None, {"offline": True}, [("charging-only", False)], "SetChargingProfile"),
    ("a person took it away", "clear", {}, [("charging-only", False)], "SetChargingProfile"),
    ("a person's mode stands", "idle", {}, [("charging-only", False)], "UpdateDynamicSchedule"),
]


@own(
    "Q11",
    rule="the mode in force is what the station says: one that leaves our setpoint unasked is given it whole again",
    source="schema TransactionType.operationMode, TriggerReasonEnumType.OperationModeChanged; inferred",
)
@pytest.mark.parametrize(("order", "how", "facts", "then"), [s[1:] for s in SAID], ids=[s[0] for s in SAID])
def test_the_mode_that_the_station_says_is_kept(
    order: str | None, how: dict[str, Any], facts: list[tuple[str, bool]], then: str
) -> None:
    async def story(s: Scene) -> None:
        assert (await s.b.server.set_power(setpoint(-12.0))).status == "accepted"
        for seq in (1, 2):
            await s.call("TransactionEvent", says(seq, "CentralSetpoint"))
        s.b.server._memories[ST].profile_sent_s.clear()  # a minute later
        if order == "clear":
            assert (await s.b.server.clear_setpoint(ST, 1)).status == "accepted"
        elif order:
            assert (await s.order(GOOD[order])).status == "accepted"
        for seq, word in ((3, "ChargingOnly"), (4, "ChargingOnly"), (5, None)):
            await s.call("TransactionEvent", says(seq, word, **how))
        told = s.b.sink.of(OperationModeReported)
        assert [(fact.mode, fact.left_ours) for fact in told] == [("central-setpoint", False), *facts]
        assert {(fact.station_id, fact.session_id, fact.evse_id, fact.ts) for fact in told} == {
            (ST, "ST-1:tx-1", 1, NOW)
        }
        s.b.server._memories[ST].profile_sent_s.clear()  # another minute
        asked = len(s.station.asked)
        assert (await s.b.server.set_power(setpoint(-11.0))).status == "accepted"
        assert [action for action, _ in s.station.asked[asked:]] == [then]

    scene(story)


def test_no_order_of_the_block_goes_to_a_station_of_an_older_edition() -> None:
    async def story() -> None:
        async with bench(config(protocol="ocpp2.0.1", discharge_kw=60.0)) as b:
            station = await b.station(protocol="ocpp2.0.1")
            await station.call("BootNotification", BOOT)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            for order in (SendFrequencySignal(signal=1), GOOD["idle"]):
                assert (await b.server.carry_out(ST, order)).status == "rejected"

    play(story)


# Laws -----------------------------------------------------------------------------------------------------


def orders() -> some.SearchStrategy[SetOperationMode]:
    """Whatever the order's annotations allow and no station must refuse: made from good ones, so that many pass."""
    whole = instances(SetOperationMode)
    values = some.fixed_dictionaries(
        {},
        optional={
            "charge_limit_kw": some.floats(0, 60),
            "discharge_limit_kw": some.floats(0, 60),
            "setpoint_kw": some.floats(-60, 60),
            "reactive_kvar": some.floats(-60, 60),
            "baseline_kw": some.floats(-60, 60),
        },
    )
    bent = some.builds(
        lambda name, change: msgspec.structs.replace(GOOD[name], **change), some.sampled_from(sorted(GOOD)), values
    )
    return (bent | whole).filter(lambda order: not mode_fault(order))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(orders())
def test_what_may_be_ordered_holds_against_the_schema_and_a_strict_station_takes_it(order: SetOperationMode) -> None:
    """The strict station reads the frame by itself: none of our translation is in it."""
    request = translate_v2x.mode_profile(msgspec.structs.replace(order, evse_id=1, until=UNTIL), "tx-1", NOW)
    frame = msgspec.json.decode(msgspec.json.encode(request))
    validator("v21", "SetChargingProfileRequest").validate(frame)
    store = ProfileStore(abilities=STRICT)
    store.set(frame["evseId"], msgspec.convert(frame["chargingProfile"], wire.ChargingProfile), TX, 0.0)
    bounds, _ = store.in_force(TX)
    wanted_kw = store.wanted_kw(bounds)
    charge_kw, discharge_kw = mode_range_kw(order, 60.0, 60.0)
    assert -discharge_kw - 1e-3 <= wanted_kw <= charge_kw + 1e-3
