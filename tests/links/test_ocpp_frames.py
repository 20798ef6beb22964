"""Frozen frames, written by hand from the standard, and the facts that they must become."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from ocpp_rig import NOW, config

from revere.core.facts import (
    AlarmCleared,
    AlarmRaised,
    Fact,
    GridLost,
    GridRestored,
    MeterReading,
    MonitorReported,
    StatusReported,
    TransferSwitchReported,
)
from revere.core.ids import SessionId, SiteId, StationId
from revere.links.ocpp2 import translate as translate2
from revere.links.ocpp2.wire import v21 as wire2
from revere.links.ocpp16 import translate as translate16
from revere.links.ocpp16 import wire as wire16
from revere.links.ocppj.bounds import Counters

TS = dt.datetime(2026, 7, 16, 19, 29, 58, tzinfo=dt.UTC)

# Discharging 42.5 kW at the grid side; 44.8 kW leaves the battery. Mixed units on purpose.
SAMPLES_21 = """[
 {"timestamp": "2026-07-16T15:29:58-04:00", "sampledValue": [
  {"value": 1204.5, "measurand": "Energy.Active.Import.Register", "location": "Inlet",
   "unitOfMeasure": {"unit": "kWh"}},
  {"value": 88123, "measurand": "Energy.Active.Export.Register", "location": "Inlet", "unitOfMeasure": {"unit": "Wh"}},
  {"value": 0, "measurand": "Power.Active.Import", "location": "Inlet", "unitOfMeasure": {"unit": "W"}},
  {"value": 42.5, "measurand": "Power.Active.Export", "location": "Inlet", "unitOfMeasure": {"unit": "kW"}},
  {"value": 448, "measurand": "Power.Active.Export", "location": "Outlet",
   "unitOfMeasure": {"unit": "W", "multiplier": 2}},
  {"value": 63.5, "measurand": "SoC", "location": "EV", "unitOfMeasure": {"unit": "Percent"}},
  {"value": 231.1, "measurand": "Voltage", "phase": "L1-N"}]}]"""


def read21(text: str, evse_id: int = 1, counters: Counters | None = None, **changes: Any) -> list[MeterReading]:
    values = msgspec.json.decode(text, type=tuple[wire2.MeterValue, ...])
    return translate2.readings(
        config(**changes),
        evse_id,
        values,
        at=NOW,
        session_id=SessionId("ST-1:tx-1"),
        counters=counters or Counters(),
    )


def read16(values: list[dict[str, Any]], connector: int = 1, counters: Counters | None = None) -> list[MeterReading]:
    text = json.dumps([{"timestamp": "2026-07-16T19:29:58Z", "sampledValue": values}])
    return translate16.readings(
        config(protocol="ocpp1.6"),
        connector,
        msgspec.json.decode(text, type=tuple[wire16.MeterValue, ...]),
        at=NOW,
        session_id=None,
        counters=counters or Counters(),
    )


def one21(**sample: Any) -> str:
    return json.dumps([{"timestamp": "2026-07-16T19:29:58Z", "sampledValue": [sample]}])


def test_21_transaction_samples() -> None:
    grid_side, vehicle_side = read21(SAMPLES_21)
    assert grid_side == MeterReading(
        at=NOW,
        asset_id="ST-1/1",
        place="ac_inlet",
        ts=TS,
        context="periodic",
        import_wh=1_204_500,
        export_wh=88_123,
        power_kw=-42.5,
        soc=0.635,
        session_id=SessionId("ST-1:tx-1"),
    )
    assert (vehicle_side.place, vehicle_side.power_kw) == ("dc_outlet", -44.8)
    assert (vehicle_side.import_wh, vehicle_side.export_wh, vehicle_side.soc) == (None, None, None)


def test_21_main_meter_is_the_site() -> None:
    [reading] = read21(
        one21(value=120, measurand="Power.Active.Import", context="Sample.Clock", unitOfMeasure={"unit": "kW"}),
        evse_id=0,
    )
    assert (reading.asset_id, reading.place, reading.context) == ("depot", "site", "clock")
    assert (reading.power_kw, reading.session_id) == (120.0, None)


def test_21_main_meter_of_a_station_without_one_is_not_placed() -> None:
    counters = Counters()
    assert read21(one21(value=1), evse_id=0, counters=counters, meters_site=False) == []
    assert counters.readings_unplaced == 1


@pytest.mark.parametrize(
    ("sample", "field", "expected"),
    [
        ({"value": 5000, "measurand": "Power.Active.Import", "location": "Inlet"}, "power_kw", 5.0),
        ({"value": 5000, "measurand": "Power.Active.Export", "location": "Inlet"}, "power_kw", -5.0),
        ({"value": 5000, "measurand": "Power.Active.Import", "location": "Inlet"}, "import_wh", None),
        ({"value": 7.4996, "location": "Inlet", "unitOfMeasure": {"unit": "kWh"}}, "import_wh", 7500),
        ({"value": 12, "location": "Inlet"}, "import_wh", 12),
        ({"value": 100, "measurand": "SoC", "location": "EV"}, "soc", 1.0),
        ({"value": 12, "location": "Inlet", "context": "Transaction.Begin"}, "context", "begin"),
        ({"value": 12, "location": "Inlet", "context": "Transaction.End"}, "context", "end"),
        ({"value": 12, "location": "Inlet", "context": "Interruption.End"}, "context", "trigger"),
        ({"value": 12}, "place", "dc_outlet"),
    ],
)
def test_21_single_samples(sample: dict[str, Any], field: str, expected: object) -> None:
    [reading] = read21(one21(**sample))
    assert getattr(reading, field) == expected


@pytest.mark.parametrize(
    "sample",
    [
        {"value": -1, "location": "Inlet"},
        {"value": 140, "measurand": "SoC", "location": "EV"},
        {"value": 1, "measurand": "Power.Active.Import", "location": "Inlet", "unitOfMeasure": {"unit": "kWh"}},
        {"value": 1, "location": "Inlet", "unitOfMeasure": {"unit": "Wh", "multiplier": 400}},
        {"value": 1, "location": "Cable"},
    ],
)
def test_21_impossible_samples_are_refused_and_counted(sample: dict[str, Any]) -> None:
    counters = Counters()
    assert read21(one21(**sample), counters=counters) == []
    assert counters.samples_refused == 1


def test_21_phases_add_up_unless_a_total_is_given() -> None:
    phases = [
        {"value": 1000 * n, "measurand": "Power.Active.Import", "phase": f"L{n}", "location": "Inlet"}
        for n in (1, 2, 3)
    ]
    text = json.dumps([{"timestamp": "2026-07-16T19:29:58Z", "sampledValue": phases}])
    assert read21(text)[0].power_kw == 6.0
    phases.append({"value": 5900, "measurand": "Power.Active.Import", "location": "Inlet"})
    text = json.dumps([{"timestamp": "2026-07-16T19:29:58Z", "sampledValue": phases}])
    assert read21(text)[0].power_kw == 5.9


def test_16_samples() -> None:
    [reading] = read16(
        [
            {"value": "12.345", "unit": "kWh", "context": "Sample.Clock"},
            {"value": "7200", "measurand": "Power.Active.Import", "unit": "W"},
            {"value": "55", "measurand": "SoC", "unit": "Percent", "location": "EV"},
        ]
    )
    assert (reading.place, reading.asset_id, reading.context) == ("ac_inlet", "ST-1/1", "clock")
    assert (reading.import_wh, reading.power_kw, reading.soc) == (12_345, 7.2, 0.55)
    [site] = read16([{"value": "-1.5", "measurand": "Power.Active.Import", "unit": "kW"}], connector=0)
    assert (site.asset_id, site.place, site.power_kw) == ("depot", "site", -1.5)


@pytest.mark.parametrize("text", ["NaN", "inf", "1e400", "twelve", ""])
def test_16_values_that_are_no_numbers_are_refused(text: str) -> None:
    counters = Counters()
    assert read16([{"value": text}], counters=counters) == []
    assert counters.samples_refused == 1


def test_16_transaction_numbers_are_stable_and_differ() -> None:
    def start(**changes: Any) -> wire16.StartTransaction:
        values = {"connectorId": 1, "idTag": "BUS-1", "meterStart": 0, "timestamp": NOW}
        return wire16.StartTransaction(**{**values, **changes})

    number = translate16.transaction_number("CP", start())
    assert number == translate16.transaction_number("CP", start())
    others = {translate16.transaction_number("CP", start(meterStart=n)) for n in range(1, 200)}
    assert number not in others
    assert len(others) == 199
    assert all(1 <= n < 2**31 for n in others)


def alarm(grid_lost: bool = False, **fields: Any) -> list[Fact]:
    text = json.dumps({"controlType": "LVMustTrip", "timestamp": "2026-07-16T19:29:58Z", **fields})
    request = msgspec.json.decode(text, type=wire2.NotifyDERAlarmRequest)
    return translate2.der_alarm(config(), request, NOW, grid_lost=grid_lost)


def test_der_alarms() -> None:
    site = SiteId("depot")
    lost = GridLost(at=NOW, site_id=site, ts=TS, source="ST-1 UnderVoltage")
    assert alarm(gridEventFault="UnderVoltage") == [lost]
    assert alarm(gridEventFault="LowInputPower", alarmEnded=True) == [GridRestored(at=NOW, site_id=site, ts=TS)]
    assert alarm(alarmEnded=True, grid_lost=True) == [GridRestored(at=NOW, site_id=site, ts=TS)]
    assert alarm(alarmEnded=True) == [AlarmCleared(at=NOW, key="der:ST-1:LVMustTrip")]
    [other] = alarm(gridEventFault="OverFrequency")
    assert isinstance(other, AlarmRaised)
    assert other.severity == "warning"


@pytest.mark.parametrize(("word", "is_open"), [("Open", True), ("Closed", False)])
def test_transfer_switch(word: str, is_open: bool) -> None:
    [fact] = translate2.notified(config(), _notice("TransferSwitch", "State", word), NOW)
    assert fact == TransferSwitchReported(at=NOW, site_id=SiteId("depot"), open=is_open, ts=TS)


@pytest.mark.parametrize(
    ("what", "more", "of_monitor", "alarm", "severity"),
    [
        ("a change", {}, None, None, None),
        ("an alert of unknown weight", {"trigger": "Alerting"}, None, "warning", None),
        ("danger", {"trigger": "Alerting", "severity": 0}, None, "critical", 0),
        ("critical", {"trigger": "Alerting", "severity": 3}, None, "critical", 3),
        ("an error", {"trigger": "Alerting", "severity": 4}, None, "warning", 4),
        ("a notice", {"trigger": "Alerting", "severity": 5}, None, None, 5),
        ("as heavy as its monitor", {"trigger": "Alerting", "variableMonitoringId": 7}, 2, "critical", 2),
        ("its own word counts more", {"trigger": "Alerting", "severity": 8, "variableMonitoringId": 7}, 2, None, 8),
        ("over", {"trigger": "Alerting", "severity": 0, "cleared": True}, None, "cleared", 0),
        ("periodic, however heavy", {"trigger": "Periodic", "severity": 0}, None, None, 0),
    ],
)
def test_a_notice_is_kept_and_becomes_an_alarm_by_its_weight(
    what: str, more: dict[str, Any], of_monitor: int | None, alarm: str | None, severity: int | None
) -> None:
    notice, *rest = translate2.notified(
        config(), _notice("Connector", "Problem", "true", **more), NOW, severity=of_monitor
    )
    assert isinstance(notice, MonitorReported)
    assert (notice.variable, notice.value, notice.severity) == ("Connector.Problem", "true", severity), what
    if alarm is None:
        assert rest == []
    elif alarm == "cleared":
        assert rest == [AlarmCleared(at=NOW, key="station:ST-1:Connector.Problem")]
    else:
        [raised] = rest
        assert isinstance(raised, AlarmRaised)
        assert (raised.severity, raised.key) == (alarm, "station:ST-1:Connector.Problem")


@pytest.mark.parametrize("where", [{"id": 2}, {"id": 2, "connectorId": 1}])
def test_availability_comes_as_a_variable_too(where: dict[str, int]) -> None:
    event = _notice("Connector", "AvailabilityState", "Occupied")
    event = msgspec.structs.replace(event, component=wire2.Component(name="Connector", evse=wire2.EVSE(**where)))
    [fact] = translate2.notified(config(), event, NOW)
    assert fact == StatusReported(at=NOW, station_id=StationId("ST-1"), evse_id=2, status="occupied", ts=TS)


def test_a_switch_that_says_nothing_certain_is_a_notice() -> None:
    [fact] = translate2.notified(config(), _notice("TransferSwitch", "State", "Moving"), NOW)
    assert isinstance(fact, MonitorReported)


def _notice(component: str, variable: str, value: str, **more: Any) -> wire2.EventData:
    fields = {
        "eventId": 1,
        "timestamp": "2026-07-16T19:29:58Z",
        "trigger": "Delta",
        "actualValue": value,
        "component": {"name": component},
        "variable": {"name": variable},
        "eventNotificationType": "HardWiredNotification",
    }
    return msgspec.json.decode(json.dumps({**fields, **more}), type=wire2.EventData)
