"""Block J: meter values at every point of a session, what they become, and what a meter signed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from oca.cases import case
from oca.states import Visit, sessions
from oca.station import Scene, scene
from ocpp_rig import NOW, config, play

from revere.core.facts import ClockSkewMeasured, MeterReading, SignedValueReceived, decode_fact, encode_fact
from revere.core.ids import SessionId

CLOCK, PERIODIC, BEGIN, END = "Sample.Clock", "Sample.Periodic", "Transaction.Begin", "Transaction.End"
DATA = "T0NNRnx7 \u00e9\t'="
SIGNED = {"signedMeterData": DATA, "signingMethod": "ECDSA", "encodingMethod": "OCMF", "publicKey": "MFk="}


def stamp(minute: int) -> str:
    return f"2026-07-16T19:{minute:02d}:00Z"


def meter(minute: int, wh: int, context: str, signed: bool = False) -> dict[str, Any]:
    sample: dict[str, Any] = {"value": wh, "context": context, "location": "Inlet"}
    return {"timestamp": stamp(minute), "sampledValue": [sample | ({"signedMeterValue": SIGNED} if signed else {})]}


def told(s: Scene) -> list[tuple[str, int, str, int | None]]:
    """Readings as (asset, minute, context, register), those of no session marked by a dash."""
    return [
        (r.asset_id if r.session_id else f"-{r.asset_id}", r.ts.minute, r.context, r.import_wh)
        for r in s.b.sink.of(MeterReading)
    ]


def story(play_it: Any) -> None:
    async def whole() -> None:
        async with scene() as s:
            await play_it(s, Visit(s))

    play(whole)


async def periodic_event(s: Scene, minute: int) -> None:
    """The same clock-aligned moment in the device model's words: answered, and no reading of ours."""
    told_so = {
        "eventId": minute,
        "timestamp": stamp(minute),
        "trigger": "Periodic",
        "actualValue": "100",
        "eventNotificationType": "CustomMonitor",
        "component": {"name": "FiscalMetering"},
        "variable": {"name": "EnergyActiveImportRegister"},
    }
    frame = {"generatedAt": "2026-07-16T19:30:00Z", "seqNo": 0, "eventData": [told_so]}
    assert await s.call("NotifyEvent", frame) == {}


@case("TC_J_01_CSMS", steps="1-2 three clock-aligned values of EVSE 0 and 1, as MeterValues and events: kept")
def test_tc_j_01() -> None:
    async def steps(s: Scene, _visit: Visit) -> None:
        for minute in (15, 20, 25):
            for evse_id in (0, 1):
                values = {"evseId": evse_id, "meterValue": [meter(minute, 100 + minute, CLOCK)]}
                assert await s.call("MeterValues", values) == {}
            await periodic_event(s, minute)
        assert told(s) == [
            (asset, minute, "clock", 100 + minute) for minute in (15, 20, 25) for asset in ("-depot", "-ST-1/1")
        ]

    story(steps)


@case("TC_J_02_CSMS", steps="before: charging; 1-2 clock-aligned values of EVSE 0; 3-4 those of the transaction")
def test_tc_j_02() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        for minute in (15, 20, 25):
            assert await s.call("MeterValues", {"evseId": 0, "meterValue": [meter(minute, 7, CLOCK)]}) == {}
            await periodic_event(s, minute)
            assert await visit.say("MeterValueClock", meterValue=[meter(minute, 100 + minute, CLOCK)]) == {}
        assert told(s)[1::2] == [("ST-1/1", minute, "clock", 100 + minute) for minute in (15, 20, 25)]

    story(steps)


async def gathered(s: Scene, visit: Visit, context: str, *, signed: bool) -> None:
    """A session whose values come with its end."""
    await visit.transfer()
    await visit.finish()
    values = [meter(minute, 100 + minute, context, signed) for minute in (15, 20, 25)]
    await visit.unplug(meterValue=[*values, meter(29, 130, END, signed)])
    kind = "clock" if context == CLOCK else "periodic"
    rows = [("ST-1/1", minute, kind, 100 + minute) for minute in (15, 20, 25)]
    assert told(s) == [*rows, ("ST-1/1", 29, "end", 130)]
    assert sessions(s) == ["+tx-1 BUS-7", "-tx-1 EVDisconnected"]
    kept = [decode_fact(encode_fact(fact)) for fact in s.b.sink.of(SignedValueReceived)]
    want = [
        SignedValueReceived(
            at=NOW,
            asset_id="ST-1/1",
            ts=dt.datetime(2026, 7, 16, 19, minute, tzinfo=dt.UTC),
            measurand="Energy.Active.Import.Register",
            signed=DATA,
            encoding="OCMF",
            method="ECDSA",
            public_key="MFk=",
            session_id=SessionId("ST-1:tx-1"),
        )
        for minute in (15, 20, 25, 29)
    ]
    assert kept == (want if signed else [])


@case("TC_J_03_CSMS", steps="before: charging; 1 the end brings clock-aligned values, the last an end value: all kept")
def test_tc_j_03() -> None:
    story(lambda s, visit: gathered(s, visit, CLOCK, signed=False))


@case("TC_J_04_CSMS", steps="before: charging; 1 the same, each signed: what was signed is kept byte for byte")
def test_tc_j_04() -> None:
    story(lambda s, visit: gathered(s, visit, CLOCK, signed=True))


@case("TC_J_07_CSMS", steps="1 started by the cable with a begin value: kept")
def test_tc_j_07() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.plug_in(meterValue=[meter(15, 100, BEGIN)])
        assert told(s) == [("ST-1/1", 15, "begin", 100)]

    story(steps)


@case(
    "TC_J_08_CSMS",
    steps="1 started by the token, EVSE unknown; 2 the cable brings EVSE and begin value; 3 charging",
)
def test_tc_j_08() -> None:
    async def steps(s: Scene, _visit: Visit) -> None:
        visit = Visit(s, evse_id=2)
        await visit.authorize()
        await visit.plug_in(meterValue=[meter(15, 100, BEGIN)])
        await visit.transfer()
        assert told(s) == [("ST-1/2", 15, "begin", 100)]

    story(steps)


@case("TC_J_09_CSMS", steps="before: charging; 1-2 three periodic values in updates: kept")
def test_tc_j_09() -> None:
    async def steps(s: Scene, visit: Visit) -> None:
        await visit.transfer()
        for minute in (15, 16, 17):
            assert await visit.say("MeterValuePeriodic", meterValue=[meter(minute, 100 + minute, PERIODIC)]) == {}
        assert told(s) == [("ST-1/1", minute, "periodic", 100 + minute) for minute in (15, 16, 17)]

    story(steps)


@case("TC_J_10_CSMS", steps="before: charging; 1 the end brings periodic values, the last an end value: all kept")
def test_tc_j_10() -> None:
    story(lambda s, visit: gathered(s, visit, PERIODIC, signed=False))


@case("TC_J_11_CSMS", steps="before: charging; 1 the same, each signed: what was signed is kept byte for byte")
def test_tc_j_11() -> None:
    story(lambda s, visit: gathered(s, visit, PERIODIC, signed=True))


@pytest.mark.parametrize(
    ("fast_s", "told_s", "quarantined"),
    [(4.0, 4.0, ""), (6.0, 6.0, ""), (59.0, 59.0, ""), (61.0, 61.0, "clock"), (-61.0, -61.0, "clock")],
)
def test_a_wrong_clock_is_told_and_over_a_minute_its_readings_are_kept_apart(
    fast_s: float, told_s: float, quarantined: str
) -> None:
    async def steps(s: Scene, _visit: Visit) -> None:
        at = (NOW + dt.timedelta(seconds=fast_s)).isoformat()
        word = {"timestamp": at, "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
        await s.call("StatusNotification", word)
        values = [{"timestamp": at, "sampledValue": [{"value": 1, "location": "Inlet"}]}]
        await s.call("MeterValues", {"evseId": 1, "meterValue": values})
        assert s.b.sink.of(ClockSkewMeasured)[-1].skew_s == told_s
        assert [reading.quarantined for reading in s.b.sink.of(MeterReading)] == [quarantined]

    story(steps)


def test_values_of_a_main_meter_that_is_none_are_counted_and_left_out() -> None:
    async def steps() -> None:
        async with scene(config(protocol="ocpp2.0.1", meters_site=False)) as s:
            assert await s.call("MeterValues", {"evseId": 0, "meterValue": [meter(15, 7, CLOCK)]}) == {}
            assert (told(s), s.b.server.counters.readings_unplaced) == ([], 1)

    play(steps)
