"""Block R: grid-support controls ordered, reported, cleared; starts, ends and alarms told. Rule numbers are R04.FR."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oca.cases import own
from ocpp_rig import NOW
from ocpp_schemas import instances, validator
from v2x_orders import CONTROLS, FRAMES, curve, on_wire
from v2x_rig import ABLE, STAMP, Scene, scene

from revere.core import der
from revere.core.facts import AlarmCleared, AlarmRaised, DerControlReported, GridLost, GridRestored
from revere.core.v2x_orders import ClearDerControls, ListDerControls, SetDerControl
from revere.links.ocpp2 import translate_der
from revere.links.ocpp2.wire import v21 as wire
from revere.twin.der21 import DerDesk

ACCEPTED = {"status": "Accepted"}
HOUR = dt.timedelta(hours=1)


def test_there_are_22_types_and_each_has_a_frame() -> None:
    assert sorted(frame[0] for frame in FRAMES) == sorted(CONTROLS.split(",")) == sorted(translate_der.TYPES.values())
    assert len(FRAMES) == 22


@own(
    "R04",
    rule="each of the 22 types stands in its own field, a default without a start",
    source="schema SetDERControlRequest; facts section 7 (R04.FR.13)",
)
@pytest.mark.parametrize(("kind", "field", "control", "settings_"), FRAMES, ids=[frame[0] for frame in FRAMES])
def test_every_type_as_a_frame(kind: str, field: str, control: der.DerControl, settings_: dict[str, Any]) -> None:
    """Hand-written: the sign of FixedVar turns, and nothing else does."""

    async def story(s: Scene) -> None:
        answer, asked = await s.ordered(SetDerControl(control_id="c-1", control=control), "SetDERControl", ACCEPTED)
        assert answer.status == "accepted"
        assert asked == {"isDefault": True, "controlId": "c-1", "controlType": kind, field: settings_}

    scene(story)


@own("R04", rule="a scheduled control has a start and a length", source="schema DERCurveType.startTime, duration")
def test_a_scheduled_control_carries_its_time() -> None:
    async def story(s: Scene) -> None:
        order = SetDerControl(control_id="c-2", control=curve("volt-var", "max-var"), starts=NOW + HOUR, lasts_s=600.0)
        _, asked = await s.ordered(order, "SetDERControl", ACCEPTED)
        assert asked["isDefault"] is False
        assert (asked["curve"]["startTime"], asked["curve"]["duration"]) == ("2026-07-16T20:30:00Z", 600.0)

    scene(story)


def test_all_of_a_curve_goes_over_the_wire() -> None:
    full = curve(
        "hv-momentary-cessation",
        response_s=2.0,
        hysteresis=der.Hysteresis(high=1.1, low=0.9, delay_s=3.0, gradient_pct_per_s=10.0),
        reference=der.VoltageReference(nominal_pct=100.0, follows=True, follows_in_s=300.0),
        ten_minutes=der.TenMinuteMean(volts=253.0, trips_after_s=3.0, in_cessation="reactive"),
    )
    request = translate_der.set_request(SetDerControl(control_id="c", control=full))
    found = msgspec.to_builtins(request)["curve"]
    assert found["hysteresis"] == {
        "hysteresisHigh": 1.1, "hysteresisLow": 0.9, "hysteresisDelay": 3.0, "hysteresisGradient": 10.0,
    }  # fmt: skip
    assert found["reactivePowerParams"] == {
        "vRef": 100.0, "autonomousVRefEnable": True, "autonomousVRefTimeConstant": 300.0,
    }  # fmt: skip
    assert found["voltageParams"] == {
        "hv10MinMeanValue": 253.0, "hv10MinMeanTripDelay": 3.0, "powerDuringCessation": "Reactive",
    }  # fmt: skip


DROOP = der.FreqDroop(priority=1, over_hz=60.0, under_hz=60.0, over_droop=0.1, under_droop=0.1, response_s=1.0)
GRADIENTS = der.Gradients(priority=0, ramp_s=1.0, soft_start_s=1.0)
MONITORED = der.LimitMaxDischarge(priority=1, monitoring=curve("hv-must-trip"))
REFUSED: list[tuple[str, der.DerControl, dict[str, Any], str]] = [
    ("FR.14 a scheduled default-only", GRADIENTS, {"starts": NOW, "lasts_s": 60.0}, "exists as a default alone"),
    ("FR.12 a default with a length", DROOP, {"lasts_s": 60.0}, "a default neither"),
    ("schema: a start without a length", DROOP, {"starts": NOW}, "a scheduled control has a start and a length"),
    ("FR.50 FreqWatt in vars", curve("freq-watt", "max-var"), {}, "percentage of max-w or available-w"),
    ("FR.51 a trip in percent", curve("hv-must-trip", "max-w"), {}, "no percentage of max-w"),
    ("FR.52 VoltVar in watts", curve("volt-var", "max-w"), {}, "percentage of max-var or available-var"),
    ("FR.53 VoltWatt without a unit", curve("volt-watt"), {}, "percentage of max-w or available-w"),
    ("FR.54 WattPF in percent", curve("watt-pf", "max-w"), {}, "no percentage of max-w"),
    ("FR.55 WattVar in watts", curve("watt-var", "available-w"), {}, "percentage of max-var or available-var"),
    ("FR.56 another curve as monitoring", MONITORED, {}, "monitoring is a power-monitoring-must-trip"),
]


@own(
    "R04",
    rule="what every station must refuse never leaves: kinds, times and units",
    source="facts section 7 (R04.FR.13, .15, .50 to .56); times inferred",
)
@pytest.mark.parametrize(("control", "more", "why"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_every_station_refuses_is_refused_here(control: der.DerControl, more: dict[str, Any], why: str) -> None:
    async def story(s: Scene) -> None:
        answer = await s.order(SetDerControl(control_id="c", control=control, **more))
        assert answer.status == "rejected"
        assert why in answer.why
        assert not s.asked("SetDERControl")

    scene(story)


@own(
    "R04",
    rule="a type that the inverter does not report is not asked for (FR.01)",
    source="appendix DCDERCtrlr, ACDERCtrlr; facts section 7",
)
@pytest.mark.parametrize(
    ("what", "able", "why"),
    [
        ("no inverter", {}, "reports no inverter with DER controls"),
        ("another type", {"DCDERCtrlr@1.ModesSupported": "VoltVar,WattPF"}, "knows no FreqDroop; its controls are"),
        ("of the vehicle's", {"ACDERCtrlr@1.ModesSupported": "FreqDroop"}, ""),
    ],
)  # fmt: skip
def test_a_type_that_was_not_reported_is_refused_here(what: str, able: dict[str, str], why: str) -> None:
    async def story(s: Scene) -> None:
        answer = await s.order(SetDerControl(control_id="c", control=DROOP))
        assert (answer.status == "accepted") == (why == "")
        assert why in answer.why

    scene(story, able=able)


@own(
    "R04",
    rule="what gave way is told; a control that comes in superseded names itself (FR.03, .08)",
    source="schema SetDERControlResponse.supersededIds; facts section 7",
)
@pytest.mark.parametrize(
    ("reaction", "status", "details"),
    [
        ({"status": "Accepted", "supersededIds": ["old"]}, "accepted", (("superseded", "old"),)),
        ({"status": "Accepted", "supersededIds": ["c"]}, "accepted", (("superseded", "c"),)),
        ({"status": "NotSupported"}, "rejected", ()),
        ({"status": "Rejected", "statusInfo": {"reasonCode": "InvalidValue"}}, "rejected", ()),
    ],
)  # fmt: skip
def test_answers_are_told_as_they_are(reaction: dict[str, Any], status: str, details: Any) -> None:
    async def story(s: Scene) -> None:
        answer, _ = await s.ordered(SetDerControl(control_id="c", control=DROOP), "SetDERControl", reaction)
        assert (answer.status, answer.details) == (status, details)

    scene(story)


def row(control_id: str, **more: Any) -> dict[str, Any]:
    return {"id": control_id, "isDefault": True, "isSuperseded": False, **more}


@own(
    "R04",
    rule="controls are listed by kind, type or id; a report comes in parts until tbc is false (FR.31 to .37)",
    source="schema GetDERControlRequest, ReportDERControlRequest",
)
def test_a_report_is_gathered_part_by_part() -> None:
    async def story(s: Scene) -> None:
        droop = {"priority": 1, "overFreq": 60.0, "underFreq": 60.0, "overDroop": 0.1, "underDroop": 0.1,
                 "responseTime": 1.0}  # fmt: skip
        order = ListDerControls(default=True, type="freq-droop")
        task = asyncio.ensure_future(s.order(order))
        parts = [
            {"freqDroop": [row("a", freqDroop=droop)], "tbc": True},
            {"curve": [row("b", curve=on_wire("PctMaxVar"), curveType="VoltVar", isSuperseded=True)], "tbc": True},
            {"gradient": [{"id": "c", "gradient": {"priority": 0, "gradient": 1.0, "softGradient": 2.0}}]},
        ]
        asked = await s.station.until_asked("GetDERControl")
        assert (asked["isDefault"], asked["controlType"]) == (True, "FreqDroop")
        for part in parts:
            await s.call("ReportDERControl", {"requestId": asked["requestId"], **part})
        answer = await task
        assert [name for name, _ in answer.details] == ["a", "b", "c"]
        assert answer.details[1][1].startswith("volt-var, default, superseded: {")
        await s.call("ReportDERControl", {"requestId": 4711, **parts[0]})
        assert s.b.server.counters.unsolicited == 1

    scene(story)


@own("R04", rule="nothing found to list is no failure, to clear it is told (FR.30, .41, .42)", source="facts section 7")
@pytest.mark.parametrize(
    ("order", "action", "reaction", "status", "asked"),
    [
        (ListDerControls(control_id="x"), "GetDERControl", {"status": "NotFound"}, "accepted",
         {"requestId": 1, "controlId": "x"}),
        (ListDerControls(type="volt-var"), "GetDERControl", {"status": "NotSupported"}, "rejected",
         {"requestId": 1, "controlType": "VoltVar"}),
        (ClearDerControls(default=True), "ClearDERControl", ACCEPTED, "accepted", {"isDefault": True}),
        (ClearDerControls(default=False, type="watt-pf"), "ClearDERControl", {"status": "NotFound"}, "rejected",
         {"isDefault": False, "controlType": "WattPF"}),
        (ClearDerControls(default=False, control_id="x"), "ClearDERControl", ACCEPTED, "accepted",
         {"isDefault": False, "controlId": "x"}),
    ],
)  # fmt: skip
def test_listing_and_clearing(order: Any, action: str, reaction: Any, status: str, asked: dict[str, Any]) -> None:
    async def story(s: Scene) -> None:
        answer, sent = await s.ordered(order, action, reaction)
        assert (answer.status, sent) == (status, asked)

    scene(story)


@own(
    "R04",
    rule="starts and ends of controls are recorded, with what gave way (FR.20 to .22)",
    source="schema NotifyDERStartStopRequest",
)
def test_starts_and_ends_are_facts() -> None:
    async def story(s: Scene) -> None:
        told = {"controlId": "c", "started": True, "timestamp": STAMP, "supersededIds": ["old"]}
        await s.call("NotifyDERStartStop", told)
        await s.call("NotifyDERStartStop", {"controlId": "c", "started": False, "timestamp": STAMP})
        facts = s.b.sink.of(DerControlReported)
        assert [(f.control_id, f.started, f.superseded, f.ts) for f in facts] == [
            ("c", True, ("old",), NOW),
            ("c", False, (), NOW),
        ]

    scene(story)


@own(
    "R05",
    rule="a dead grid and its return are facts of the site; any other disturbance is an alarm until it ends",
    source="schema NotifyDERAlarmRequest; facts section 7",
)
@pytest.mark.parametrize(
    ("fault", "lost"), [("UnderVoltage", True), ("LowInputPower", True), ("OverFrequency", False), (None, False)]
)
def test_alarms_of_protection(fault: str | None, lost: bool) -> None:
    async def story(s: Scene) -> None:
        alarm = {"controlType": "HFMustTrip", "timestamp": STAMP} | ({"gridEventFault": fault} if fault else {})
        await s.call("NotifyDERAlarm", alarm)
        await s.call("NotifyDERAlarm", alarm | {"alarmEnded": True})
        assert (len(s.b.sink.of(GridLost)), len(s.b.sink.of(GridRestored))) == (int(lost), int(lost))
        assert (len(s.b.sink.of(AlarmRaised)), len(s.b.sink.of(AlarmCleared))) == (int(not lost), int(not lost))

    scene(story)


# Laws -----------------------------------------------------------------------------------------------------


def orders() -> st.SearchStrategy[SetDerControl]:
    """Whatever the order's annotations allow and no station must refuse."""
    timed = st.tuples(st.datetimes(timezones=st.just(dt.UTC)), st.floats(0, 1e6)) | st.none()
    kinds = [
        instances(kind)
        for kind in (
            der.Curve,
            der.EnterService,
            der.FixedPowerFactor,
            der.FixedVar,
            der.FreqDroop,
            der.Gradients,
            der.LimitMaxDischarge,
        )
    ]
    made = st.builds(
        lambda control, time: SetDerControl(
            control_id="c", control=control, starts=time and time[0], lasts_s=time and time[1]
        ),
        st.one_of(kinds),
        timed,
    )
    return made.filter(lambda order: not der.fault(order.control, scheduled=order.starts is not None))


@settings(max_examples=150, deadline=None)
@given(orders())
def test_whatever_may_be_ordered_holds_against_the_schema_is_taken_and_reads_back(order: SetDerControl) -> None:
    request = translate_der.set_request(order)
    validator("v21", "SetDERControlRequest").validate(msgspec.json.decode(msgspec.json.encode(request)))
    assert not DerDesk(Any, tuple(CONTROLS.split(",")))._fault(request), "a strict station reads it by itself"
    default = order.starts is None
    field = next(name for name in FIELDS if getattr(request, name) is not None)
    report: dict[str, Any] = row("c", isDefault=default, **{NAMED.get(field, field): getattr(request, field)})
    if field == "curve":
        report["curveType"] = request.controlType
    if field in ("enterService", "gradient"):
        del report["isDefault"], report["isSuperseded"]
    found = translate_der.held(msgspec.convert({"requestId": 1, field: (report,)}, wire.ReportDERControlRequest))
    assert found == [
        translate_der.Held(
            control_id="c", control=order.control, default=default, starts=order.starts, lasts_s=order.lasts_s
        )
    ]


FIELDS = (
    "curve",
    "enterService",
    "fixedPFAbsorb",
    "fixedPFInject",
    "fixedVar",
    "freqDroop",
    "gradient",
    "limitMaxDischarge",
)
NAMED = {"fixedPFAbsorb": "fixedPF", "fixedPFInject": "fixedPF"}
assert set(ABLE) >= {"DCDERCtrlr@1.ModesSupported"}
