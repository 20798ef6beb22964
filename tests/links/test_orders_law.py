"""Whatever an operator may order becomes frames that the official schema knows, or is refused by name."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect
from ocpp_rig import BOOT, BOOT_16, HandStation, bench, config
from ocpp_schemas import validator
from v2x_orders import FRAMES, GOOD
from v2x_rig import ABLE, STARTED, reported

from revere.core.facts import StationProvisioned
from revere.core.ids import StationId
from revere.core.orders import Order, OrderBase
from revere.core.v2x_orders import AllowTransfer, SendFrequencySignal, SetDerControl, UsePriority

ST = StationId("ST-1")
FOLDERS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
KINDS: tuple[type[OrderBase], ...] = typing.get_args(Order)
WAIT_S = 1.0


def documents(shape: inspect.Type) -> st.SearchStrategy[Any]:
    """The JSON of whatever the annotations allow."""
    match shape:
        case inspect.Metadata():
            return documents(shape.type)
        case inspect.StructType():
            tag = {} if shape.tag_field is None else {shape.tag_field: st.just(shape.tag)}
            required = {f.encode_name: documents(f.type) for f in shape.fields if f.required}
            optional = {f.encode_name: documents(f.type) for f in shape.fields if not f.required}
            return st.fixed_dictionaries({**tag, **required}, optional=optional)
        case inspect.UnionType():
            return st.one_of([documents(one) for one in shape.types])
        case inspect.NoneType():
            return st.none()
        case inspect.VarTupleType():
            low = shape.min_length or 0
            return st.lists(documents(shape.item_type), min_size=low, max_size=min(low + 2, shape.max_length or 99))
        case inspect.TupleType():
            return st.tuples(*map(documents, shape.item_types))
        case inspect.LiteralType():
            return st.sampled_from(shape.values)
        case inspect.IntType():
            return st.integers(shape.ge, shape.le)
        case inspect.FloatType():
            return st.floats(shape.ge, shape.le, allow_nan=False, allow_infinity=False)
        case inspect.StrType():
            return texts(shape)
        case inspect.BoolType():
            return st.booleans()
        case inspect.DateTimeType():
            return st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat)
    raise AssertionError(f"no strategy for {shape}")


def texts(shape: inspect.StrType) -> st.SearchStrategy[str]:
    """Texts of a length and pattern; one class of letters is drawn letter by letter."""
    low, high = shape.min_length or 0, min(shape.max_length or 20, max(20, shape.min_length or 0))
    if shape.pattern is None:
        return st.text(min_size=low, max_size=high)
    one_class = re.fullmatch(r"\^(\[[^\]]*\])[*+]?(?:\{\d+\})?\\Z", shape.pattern)
    if one_class is not None:
        letters = st.from_regex(one_class[1], fullmatch=True)
        return st.lists(letters, min_size=low, max_size=high).map("".join)
    most = shape.max_length or 10_000
    return st.from_regex(shape.pattern).filter(lambda text: low <= len(text) <= most)


def read(document: Any) -> Any:
    """The order, or None where a rule between its fields refuses it."""
    try:
        return msgspec.convert(document, Order)
    except msgspec.ValidationError:
        return None


def orders_of(kind: type[OrderBase]) -> st.SearchStrategy[Any]:
    return documents(inspect.type_info(kind)).map(read).filter(lambda order: order is not None)


orders = st.sampled_from(KINDS).flatmap(orders_of)


class Rejecting(dict[str, Any]):
    """Every action rejected, so that nobody waits for a report that never comes; but a profile, for what follows it."""

    def get(self, action: str, _otherwise: Any = None) -> Any:
        return {"status": "Accepted" if action == "SetChargingProfile" else "Rejected"}


async def carried_out(protocol: str, wanted: list[Any]) -> set[str]:
    """Carry out the orders at a station that, in 2.1, can do all and has a session; the actions that it was asked."""
    async with bench(config(protocol=protocol, discharge_kw=60.0)) as b:
        station: HandStation = await b.station(protocol=protocol)
        await station.call("BootNotification", BOOT_16 if protocol == "ocpp1.6" else BOOT)
        await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
        if protocol == "ocpp2.1":
            await station.call("NotifyReport", reported(ABLE))
            await station.call("TransactionEvent", STARTED)
        station.asked.clear()
        station.reactions = Rejecting()
        for order in wanted:
            async with asyncio.timeout(WAIT_S):
                answer = await b.server.carry_out(ST, order)
            assert answer.status in ("accepted", "rejected"), answer
            assert "our fault" not in answer.why
        for action, payload in station.asked:
            name = action if protocol == "ocpp1.6" else f"{action}Request"
            validator(FOLDERS[protocol], name).validate(payload)
        return {action for action, _ in station.asked}


@pytest.mark.parametrize("protocol", list(FOLDERS))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
@given(wanted=st.lists(orders, min_size=1, max_size=8))
def test_an_order_is_sent_as_the_schema_has_it_or_refused(protocol: str, wanted: list[Any]) -> None:
    asyncio.run(carried_out(protocol, wanted))


GRID: tuple[tuple[Any, str], ...] = (
    *((order, "SetChargingProfile") for order in GOOD.values()),
    (UsePriority(active=True), "UsePriorityCharging"),
    (AllowTransfer(both_ways=False), "NotifyAllowedEnergyTransfer"),
    (SendFrequencySignal(signal=5), "AFRRSignal"),
    *((SetDerControl(control_id="c", control=frame[2]), "SetDERControl") for frame in FRAMES),
)


@pytest.mark.parametrize(("order", "action"), GRID, ids=[f"{n}-{action}" for n, (_, action) in enumerate(GRID)])
def test_two_way_orders_leave_as_frames_here(order: Any, action: str) -> None:
    """The law above would prove nothing of these if its station could do none of it."""
    assert action in asyncio.run(carried_out("ocpp2.1", [order]))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_order_reads_back_as_it_was_written(kind: type[OrderBase], data: st.DataObject) -> None:
    order = data.draw(orders_of(kind))
    assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order
