"""Block R at a strict 2.1 station: hand-written frames, answers and notices held against the schema.

Rule numbers are R04.FR of the standard, as the project's OCPP facts (section 7); others are *inferred*.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from revere.twin.device21 import CONTROLS
from revere.twin.loop import TwinClock
from revere.twin.world import World

from .central import Central
from .test_schemas import check
from .test_stations import BUS, play, power_kw, setpoint_frame, transaction
from .test_v2x21 import GIVE, asked, bus

SOON, LATER = "2023-09-07T04:03:00Z", "2023-09-07T04:05:00Z"
"""The scene begins at 04:00; the tests' first minute is over when they ask."""
UNIT = {
    "FreqWatt": "PctMaxW", "VoltWatt": "PctWAvail", "VoltVar": "PctMaxVar", "WattVar": "PctVarAvail",
}  # fmt: skip
FIELD = {
    "EnterService": "enterService", "FixedPFAbsorb": "fixedPFAbsorb", "FixedPFInject": "fixedPFInject",
    "FixedVar": "fixedVar", "FreqDroop": "freqDroop", "Gradients": "gradient", "LimitMaxDischarge": "limitMaxDischarge",
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "enterService": {"highVoltage": 105.0, "lowVoltage": 95.0, "highFreq": 60.1, "lowFreq": 59.5},
    "fixedPFAbsorb": {"displacement": 0.95, "excitation": True},
    "fixedPFInject": {"displacement": 0.95, "excitation": False},
    "fixedVar": {"setpoint": 20.0, "unit": "PctMaxVar"},
    "freqDroop": {"overFreq": 60.1, "underFreq": 59.9, "overDroop": 0.05, "underDroop": 0.05, "responseTime": 5.0},
    "gradient": {"gradient": 10.0, "softGradient": 20.0},
    "limitMaxDischarge": {"pctMaxDischargePower": 50.0},
}


def control(
    kind: str, control_id: str = "a", priority: int = 5, start: str | None = None, s: float | None = None, **more: Any
) -> dict[str, Any]:
    """A good SetDERControl; scheduled where it has a start, a default without."""
    field = FIELD.get(kind, "curve")
    settings = SETTINGS.get(field) or {"curveData": [{"x": 1.0, "y": 2.0}], "yUnit": UNIT.get(kind, "Not_Applicable")}
    timed: dict[str, Any] = {"startTime": start, "duration": s}
    settings = {"priority": priority} | settings | {k: v for k, v in timed.items() if v is not None} | more
    return {"isDefault": start is None, "controlId": control_id, "controlType": kind, field: settings}


Body = Callable[[World, Central], Awaitable[None]]


def scene(story: Body) -> Central:
    """Play a story a minute after a bus was plugged in."""

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        await story(world, central)

    central = play(body)[1]
    for action in ("NotifyDERStartStop", "ReportDERControl"):
        for payload in central.said(BUS, action):
            check("v21", action, payload)
    return central


async def put(central: Central, *controls: dict[str, Any]) -> list[dict[str, Any]]:
    """Set each; the answers."""
    return [await asked(central, "SetDERControl", one) for one in controls]


def test_every_type_of_control_is_taken_and_reported_in_parts() -> None:
    """FR.31, FR.32, FR.37: 22 defaults come back, ten to a message."""
    assert len(CONTROLS) == 22

    async def story(world: World, central: Central) -> None:
        every = [control(kind, kind) for kind in CONTROLS]
        assert await put(central, *every) == [{"status": "Accepted"}] * 22
        assert await asked(central, "GetDERControl", {"requestId": 7, "isDefault": True}) == {"status": "Accepted"}
        await asyncio.sleep(2)

    reports = scene(story).said(BUS, "ReportDERControl")
    rows = [(field, row) for report in reports for field, found in report.items() if isinstance(found, list)
            for row in found]  # fmt: skip
    assert [report.get("tbc", False) for report in reports] == [True, True, False]
    assert {report["requestId"] for report in reports} == {7}
    assert sorted(row["id"] for _, row in rows) == sorted(CONTROLS)
    assert all(FIELD.get(row["id"], "curve") == field for field, row in rows)


def with_unit(kind: str, unit: str) -> dict[str, Any]:
    return control(kind, yUnit=unit)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("FR.17 no field", {"isDefault": True, "controlId": "a", "controlType": "VoltVar"}),
    ("FR.17 another type's field", control("FreqDroop") | {"controlType": "FixedVar"}),
    ("FR.17 two fields", control("FreqDroop") | {"gradient": {"priority": 0, "gradient": 1.0, "softGradient": 1.0}}),
    ("FR.17 a curve for FreqDroop", control("FreqWatt") | {"controlType": "FreqDroop"}),
    ("FR.13 a default with a start", control("VoltVar", start=SOON, s=60.0) | {"isDefault": True}),
    ("FR.13 a default with a duration", control("FixedVar", duration=60.0)),
    ("FR.15 EnterService scheduled", control("EnterService") | {"isDefault": False}),
    ("FR.15 Gradients scheduled", control("Gradients") | {"isDefault": False}),
    ("schema: a scheduled curve without a start", control("VoltVar") | {"isDefault": False}),
    ("FR.50 FreqWatt in vars", with_unit("FreqWatt", "PctMaxVar")),
    ("FR.51 a trip in percent", with_unit("HVMustTrip", "PctMaxW")),
    ("FR.51 a cessation in percent", with_unit("LVMomCess", "PctEffectiveV")),
    ("FR.52 VoltVar in watts", with_unit("VoltVar", "PctMaxW")),
    ("FR.53 VoltWatt without a unit", with_unit("VoltWatt", "Not_Applicable")),
    ("FR.54 WattPF in percent", with_unit("WattPF", "PctMaxW")),
    ("FR.55 WattVar in watts", with_unit("WattVar", "PctWAvail")),
    ("FR.56 power monitoring in percent", control("LimitMaxDischarge", powerMonitoringMustTrip={
        "curveData": [{"x": 1.0, "y": 2.0}], "yUnit": "PctMaxW", "priority": 0})),
]  # fmt: skip


@pytest.mark.parametrize("request_", [r[1] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refusals(request_: dict[str, Any]) -> None:
    async def story(world: World, central: Central) -> None:
        [answer] = await put(central, request_)
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidValue")
        assert not bus(world).der.controls

    scene(story)


def test_an_unsupported_type_is_not_supported_whatever_is_asked() -> None:
    """FR.01, FR.36, FR.43."""

    async def story(world: World, central: Central) -> None:
        bus(world).der.types = ("FreqDroop",)
        assert (await put(central, control("VoltVar")))[0] == {"status": "NotSupported"}
        get = {"requestId": 1, "controlType": "VoltVar"}
        assert await asked(central, "GetDERControl", get) == {"status": "NotSupported"}
        clear = {"isDefault": True, "controlType": "VoltVar"}
        assert await asked(central, "ClearDERControl", clear) == {"status": "NotSupported"}

    scene(story)


@pytest.mark.parametrize(
    ("what", "first", "second", "superseded", "marks"),
    [
        ("FR.03 a lower number supersedes", ("FreqDroop", 5, None), ("FreqDroop", 4, None), ["a"], (True, False)),
        ("ties stand side by side", ("FreqDroop", 5, None), ("FreqDroop", 5, None), None, (False, False)),
        ("FR.08 a higher one comes in superseded", ("FreqDroop", 5, None), ("FreqDroop", 6, None), ["b"],
         (False, True)),
        ("another type is no rival", ("FreqDroop", 5, None), ("FixedVar", 1, None), None, (False, False)),
        ("a default is no rival of a scheduled one", ("FreqDroop", 5, None), ("FreqDroop", 1, SOON), None,
         (False, False)),
        ("FR.06 what waits is superseded at once", ("FreqDroop", 5, LATER), ("FreqDroop", 1, SOON), ["a"],
         (True, False)),
        ("FR.07 what runs is superseded at the start", ("FreqDroop", 5, "2023-09-07T04:00:30Z"),
         ("FreqDroop", 1, SOON), None, (False, False)),
    ],
)  # fmt: skip
def test_priorities(what: str, first: Any, second: Any, superseded: list[str] | None, marks: tuple[bool, bool]) -> None:
    async def story(world: World, central: Central) -> None:
        one, other = (
            control(kind, control_id, priority, start, 600.0 if start else None)
            for control_id, (kind, priority, start) in (("a", first), ("b", second))
        )
        answers = await put(central, one, other)
        assert answers[1] == {"status": "Accepted"} | ({"supersededIds": superseded} if superseded else {})
        controls = bus(world).der.controls
        assert (controls["a"].superseded, controls["b"].superseded) == marks

    scene(story)


def test_the_same_id_replaces_itself() -> None:
    async def story(world: World, central: Central) -> None:
        answers = await put(central, control("FreqDroop", "a", 5), control("FreqDroop", "a", 9))
        assert answers == [{"status": "Accepted"}] * 2
        assert [c.priority for c in bus(world).der.controls.values()] == [9]

    scene(story)


def test_starts_and_ends_are_told_in_their_time() -> None:
    """FR.07, FR.20 to FR.22: a start tells what gave way; an end is told and the control is gone."""

    async def story(world: World, central: Central) -> None:
        await put(
            central,
            control("FreqDroop", "runs", 5, "2023-09-07T04:00:30Z", 3600.0),
            control("FreqDroop", "comes", 1, SOON, 120.0),
        )
        await asyncio.sleep(600)
        assert list(bus(world).der.controls) == ["runs"]

    told = scene(story).said(BUS, "NotifyDERStartStop")
    assert [(t["controlId"], t["started"], t.get("supersededIds")) for t in told] == [
        ("runs", True, None),
        ("comes", True, ["runs"]),
        ("comes", False, None),
    ]
    assert [t["timestamp"][11:16] for t in told] == ["04:01", "04:03", "04:05"]


CLEARS: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("FR.46 by its id", {"isDefault": True, "controlId": "a"}, "Accepted", ["b", "c"]),
    ("FR.42 an id of the other kind", {"isDefault": False, "controlId": "a"}, "NotFound", ["a", "b", "c"]),
    ("FR.45 by type", {"isDefault": True, "controlType": "FixedVar"}, "Accepted", ["a", "c"]),
    ("FR.41 a type that is not set", {"isDefault": True, "controlType": "VoltVar"}, "NotFound", ["a", "b", "c"]),
    ("FR.44 all defaults", {"isDefault": True}, "Accepted", ["c"]),
    ("FR.44 all scheduled", {"isDefault": False}, "Accepted", ["a", "b"]),
]


@pytest.mark.parametrize(("clear", "status", "left"), [c[1:] for c in CLEARS], ids=[c[0] for c in CLEARS])
def test_clearing(clear: dict[str, Any], status: str, left: list[str]) -> None:
    async def story(world: World, central: Central) -> None:
        await put(
            central, control("FreqDroop", "a"), control("FixedVar", "b"), control("FreqDroop", "c", 1, LATER, 9.0)
        )
        assert await asked(central, "ClearDERControl", clear) == {"status": status}
        assert list(bus(world).der.controls) == left
        assert await asked(central, "ClearDERControl", {"isDefault": True}) == {"status": "Accepted"}

    scene(story)


@pytest.mark.parametrize(
    ("what", "get", "status", "ids"),
    [
        ("FR.33 by type", {"controlType": "FreqDroop"}, "Accepted", ["a", "c"]),
        ("FR.34 by id", {"controlId": "b"}, "Accepted", ["b"]),
        ("FR.35 by type and kind", {"controlType": "FreqDroop", "isDefault": False}, "Accepted", ["c"]),
        ("FR.30 none", {"controlType": "VoltVar"}, "NotFound", []),
    ],
)
def test_asking(what: str, get: dict[str, Any], status: str, ids: list[str]) -> None:
    async def story(world: World, central: Central) -> None:
        await put(
            central, control("FreqDroop", "a"), control("FixedVar", "b"), control("FreqDroop", "c", 1, LATER, 9.0)
        )
        assert await asked(central, "GetDERControl", {"requestId": 3, **get}) == {"status": status}
        await asyncio.sleep(2)
        rows = [row for report in central.said(BUS, "ReportDERControl") for found in report.values()
                if isinstance(found, list) for row in found]  # fmt: skip
        assert sorted(row["id"] for row in rows) == ids
        if ids == ["c"]:
            assert (rows[0]["isDefault"], rows[0]["isSuperseded"]) == (False, False)

    scene(story)


def test_a_limit_of_discharge_is_seen_at_the_meter() -> None:
    """LimitMaxDischarge at 50 % of 60 kW; a scheduled 25 % comes before the default while it runs (inferred)."""

    async def story(world: World, central: Central) -> None:
        await asked(central, "SetChargingProfile", setpoint_frame(transaction(central, BUS), **GIVE))
        await put(central, control("LimitMaxDischarge", "a"))
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(-30.0)
        await put(central, control("LimitMaxDischarge", "b", 9, SOON, 60.0, pctMaxDischargePower=25.0))
        await asyncio.sleep(130)
        assert power_kw(world, BUS) == pytest.approx(-15.0)
        await asyncio.sleep(60)
        assert power_kw(world, BUS) == pytest.approx(-30.0)
        await asked(central, "ClearDERControl", {"isDefault": True})
        await asyncio.sleep(15)
        assert power_kw(world, BUS) == pytest.approx(-42.0)

    scene(story)
