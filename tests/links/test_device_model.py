"""The whole device model of a station: kept with its kinds, bounded, asked for in parts, without what is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp_rig import BOOT, Bench, HandStation, bench, config, play
from ocpp_schemas import validator

from revere.core.commands import Answer
from revere.core.device_model import (
    VALUES_MAX_CHARS,
    VARIABLES_MAX,
    DeviceModel,
    DeviceVariable,
    VariableKind,
    kind_of_variable,
)
from revere.core.facts import StationProvisioned
from revere.core.ids import StationId
from revere.core.orders import Order, QueryDeviceModel, ReadVariables, TakeInventory, VariableName

ST = StationId("ST-1")
STAMP = "2026-07-16T19:30:00Z"
FOLDERS = {"ocpp2.1": "v21", "ocpp2.0.1": "v201"}


def row(component: dict[str, Any], variable: dict[str, Any], *attributes: dict[str, Any], **kind: Any) -> Any:
    found = {"component": component, "variable": variable, "variableAttribute": list(attributes)}
    return found | ({"variableCharacteristics": {"supportsMonitoring": False, **kind}} if kind else {})


INTERVAL = row(
    {"name": "SampledDataCtrlr"},
    {"name": "TxUpdatedInterval"},
    {"value": "60"},
    {"type": "MinSet", "value": "10"},
    {"type": "MaxSet", "value": "900"},
    dataType="integer",
    unit="s",
    minLimit=1,
    maxLimit=86_400,
)
TYPES = [
    row({"name": "Connector", "evse": {"id": 1, "connectorId": n}}, {"name": "ConnectorType"}, {"value": f"cCCS{n}"})
    for n in (1, 2)
]
TARGET = row(
    {"name": "Tilt", "instance": "left", "evse": {"id": 1}},
    {"name": "Angle", "instance": "x"},
    {"value": "3", "mutability": "ReadOnly"},
    {"type": "Target", "value": "5"},
)
SECRET = row({"name": "SecurityCtrlr"}, {"name": "BasicAuthPassword"}, {"value": "s3cret", "mutability": "WriteOnly"})
UNSAID = row({"name": "Tilt"}, {"name": "Problem"}, {"mutability": "ReadOnly"})


async def ready(b: Bench, protocol: str) -> HandStation:
    station = await b.station(protocol=protocol)
    await station.call("BootNotification", BOOT)
    await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
    station.asked.clear()
    return station


async def report(b: Bench, station: HandStation, order: Order, action: str, *parts: list[Any]) -> Answer:
    """Have the order carried out by a station that reports in these parts."""
    station.reactions[action] = {"status": "Accepted"}
    asking = asyncio.get_running_loop().create_task(b.server.carry_out(ST, order))
    asked = await station.until_asked(action, sum(1 for name, _ in station.asked if name == action) + 1)
    for seq, rows in enumerate(parts):
        payload = {
            "requestId": asked["requestId"],
            "generatedAt": STAMP,
            "seqNo": seq,
            "tbc": seq < len(parts) - 1,
            "reportData": rows,
        }
        assert (await station.call("NotifyReport", payload))[0] == 3
    return await asking


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1"])
def test_every_attribute_and_kind_is_kept_and_told(protocol: str) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await ready(b, protocol)
            answer = await report(
                b, station, TakeInventory(), "GetBaseReport", [INTERVAL, *TYPES], [TARGET, SECRET, UNSAID]
            )
            assert answer.details == (
                ("Connector@1/1.ConnectorType", "cCCS1"),
                ("Connector@1/2.ConnectorType", "cCCS2"),
                ("SampledDataCtrlr.TxUpdatedInterval", "60"),
                ("SampledDataCtrlr.TxUpdatedInterval least", "10"),
                ("SampledDataCtrlr.TxUpdatedInterval most", "900"),
                ("Tilt(left)@1.Angle[x]", "3"),
                ("Tilt(left)@1.Angle[x] target", "5"),
            )
            kept = dict(b.server._memories[ST].variables.rows())
            assert kept["SampledDataCtrlr.TxUpdatedInterval"].kind == VariableKind(
                access="ReadWrite", data_type="integer", unit="s", least=1, most=86_400
            )
            assert kept["Tilt.Problem"] == DeviceVariable(kind=VariableKind(access="ReadOnly"))
            assert not any("Password" in name for name in kept)
            told = b.sink.of(StationProvisioned)[-1].variables
            assert told["Tilt(left)@1.Angle[x]"] == "3"
            assert "Tilt.Problem" not in told

            again = await report(b, station, TakeInventory(), "GetBaseReport", [INTERVAL])
            assert again.status == "accepted"
            assert list(b.server._memories[ST].variables) == ["SampledDataCtrlr.TxUpdatedInterval"], "what is gone"

    play(story)


QUERIES: list[tuple[QueryDeviceModel, dict[str, Any]]] = [
    (
        QueryDeviceModel(components=("EVSE", "Connector")),
        {"componentVariable": [{"component": {"name": "EVSE"}}, {"component": {"name": "Connector"}}]},
    ),
    (QueryDeviceModel(state=("problem", "enabled")), {"componentCriteria": ["Problem", "Enabled"]}),
    (
        QueryDeviceModel(variables=(VariableName(component="Tilt", variable="Angle", evse_id=1),)),
        {"componentVariable": [{"component": {"name": "Tilt", "evse": {"id": 1}}, "variable": {"name": "Angle"}}]},
    ),
]


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1"])
@pytest.mark.parametrize(("order", "expected"), QUERIES)
def test_a_part_of_the_model_is_asked_for(protocol: str, order: QueryDeviceModel, expected: dict[str, Any]) -> None:
    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await ready(b, protocol)
            b.server._memories[ST].variables.put("Known.Before", "1")
            answer = await report(b, station, order, "GetReport", [TARGET])
            [(_, asked)] = station.asked
            assert {key: value for key, value in asked.items() if key != "requestId"} == expected
            validator(FOLDERS[protocol], "GetReportRequest").validate(asked)
            assert answer.details[0] == ("Tilt(left)@1.Angle[x]", "3")
            assert "Known.Before" in b.server._memories[ST].variables, "a part tells nothing of the rest"

    play(story)


@pytest.mark.parametrize(
    ("status", "why"),
    [("EmptyResultSet", "not reported: EmptyResultSet"), ("NotSupported", "not reported: NotSupported")],
)
def test_a_query_without_an_answer_says_so(status: str, why: str) -> None:
    async def story() -> None:
        async with bench() as b:
            station = await ready(b, "ocpp2.1")
            station.reactions["GetReport"] = {"status": status}
            answer = await b.server.carry_out(ST, QueryDeviceModel(components=("EVSE",)))
            assert (answer.status, answer.why) == ("rejected", why)
            nothing = await b.server.carry_out(ST, QueryDeviceModel())
            assert "a query of nothing" in nothing.why

    play(story)


def test_what_is_read_by_name_is_kept() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await ready(b, "ocpp2.1")
            found = {"attributeStatus": "Accepted", "attributeValue": "77"}
            name = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}
            station.reactions["GetVariables"] = {"getVariableResult": [found | name]}
            asked = VariableName(component="OCPPCommCtrlr", variable="OfflineThreshold")
            await b.server.carry_out(ST, ReadVariables(variables=(asked,)))
            assert b.server._memories[ST].variables["OCPPCommCtrlr.OfflineThreshold"] == "77"

    play(story)


def test_a_report_that_does_not_end_is_told_as_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revere.links.ocpp2.blocks.device_model.INVENTORY_WAIT_S", 0.01)

    async def story() -> None:
        async with bench() as b:
            station = await ready(b, "ocpp2.1")
            station.reactions["GetBaseReport"] = {"status": "Accepted"}
            answer = await b.server.carry_out(ST, TakeInventory())
            assert (answer.status, answer.why) == ("rejected", "incomplete after 0 s")

    play(story)


texts = st.text(max_size=8)
reported = VariableKind(access="ReadOnly")
rows = st.builds(DeviceVariable, value=st.none() | texts, target=st.none() | texts, kind=st.just(reported))
steps = st.lists(
    st.tuples(st.just("tell"), texts, rows)
    | st.tuples(st.just("put"), texts, texts)
    | st.tuples(st.just("keep"), texts),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_a_model_is_the_last_word_on_each_variable(done: list[tuple[Any, ...]]) -> None:
    model, plain = DeviceModel(), dict[str, DeviceVariable]()
    for step in done:
        match step:
            case ("tell", name, found):
                assert model.tell(name, found)
                plain[name] = found
            case ("put", name, value):
                assert model.put(name, value)
                plain[name] = msgspec.structs.replace(plain.get(name, DeviceVariable()), value=value)
            case ("keep", name):
                model.keep([name])
                plain = {key: one for key, one in plain.items() if key == name or one.kind != reported}
    assert dict(model.rows()) == plain
    assert dict(model) == {name: one.value for name, one in plain.items() if one.value is not None}
    assert model._letters == sum(one.letters() for one in plain.values())


def test_a_model_is_bounded_in_number_and_size_and_says_what_it_dropped() -> None:
    model = DeviceModel()
    for number in range(VARIABLES_MAX + 5):
        model.tell(f"v{number}", DeviceVariable(value="1"))
    assert (len(model), model.dropped) == (VARIABLES_MAX, 5)
    assert model.put("v1", "2")
    assert not model.put("v2", "x" * VALUES_MAX_CHARS)
    assert (model["v1"], model["v2"], model.dropped) == ("2", "1", 6)


def test_chargers_of_a_kind_share_what_is_the_same() -> None:
    assert kind_of_variable(access="ReadOnly", unit="W") is kind_of_variable(access="ReadOnly", unit="W")
