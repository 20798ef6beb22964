"""1.6: what a charge point hears of a tag, whose session counts, and another one's transaction."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from ocpp_rig import BOOT_16, NOW, Bench, HandStation, bench, config, play

from revere.core.assets import Authorization
from revere.core.facts import (
    MeterReading,
    SecurityEventReported,
    SessionEnded,
    SessionStarted,
    SignedValueReceived,
)

STAMP = "2026-07-16T19:30:00Z"
START = {"connectorId": 1, "meterStart": 100, "timestamp": STAMP}


def story(play_it: Any, **changes: Any) -> None:
    async def whole() -> None:
        async with bench(config(protocol="ocpp1.6", **changes)) as b:
            station = await b.station(protocol="ocpp1.6")
            await station.call("BootNotification", BOOT_16)
            await play_it(b, station)

    play(whole)


@pytest.mark.parametrize(
    ("found", "info"),
    [
        (Authorization(status="accepted"), {"status": "Accepted"}),
        (
            Authorization(status="accepted", group="school", until=NOW + dt.timedelta(hours=1)),
            {"status": "Accepted", "parentIdTag": "school", "expiryDate": "2026-07-16T20:30:00Z"},
        ),
        (Authorization(status="blocked"), {"status": "Blocked"}),
        (Authorization(status="expired"), {"status": "Expired"}),
        (Authorization(status="unknown"), {"status": "Invalid"}),
        (Authorization(status="not_here"), {"status": "Invalid"}),
        (Authorization(status="not_now"), {"status": "Invalid"}),
    ],
)
def test_a_tag_is_told_as_it_stands_and_only_an_accepted_one_makes_a_session(
    found: Authorization, info: dict[str, Any]
) -> None:
    async def steps(b: Bench, station: HandStation) -> None:
        b.directory.tokens["TAG"] = found
        assert (await station.call("Authorize", {"idTag": "TAG"}))[2] == {"idTagInfo": info}
        started = (await station.call("StartTransaction", {**START, "idTag": "TAG"}))[2]
        assert started["idTagInfo"] == info
        assert len(b.sink.of(SessionStarted)) == found.accepted
        assert len(b.sink.of(MeterReading)) == 1  # what flowed, flowed
        audited = [event.type for event in b.sink.of(SecurityEventReported)]
        assert audited == (["ForeignToken"] if found.status == "not_here" else [])

    story(steps)


def test_a_master_group_starts_nothing_and_ends_all() -> None:
    async def steps(b: Bench, station: HandStation) -> None:
        b.directory.tokens["POLICE"] = Authorization(status="accepted", group="police")
        refused = (await station.call("StartTransaction", {**START, "idTag": "POLICE"}))[2]
        assert refused["idTagInfo"] == {"status": "Invalid"}
        number = (await station.call("StartTransaction", {**START, "idTag": "BUS-1"}))[2]["transactionId"]
        stop = {"transactionId": number, "meterStop": 150, "timestamp": STAMP, "idTag": "POLICE"}
        answer = (await station.call("StopTransaction", stop))[2]
        assert answer == {"idTagInfo": {"status": "Accepted", "parentIdTag": "police"}}
        assert [len(b.sink.of(kind)) for kind in (SessionStarted, SessionEnded)] == [1, 1]

    story(steps, master_group="police")


def test_another_s_transaction_is_refused_and_audited_with_its_meter_values() -> None:
    async def steps(b: Bench, station: HandStation) -> None:
        b.directory.running.add("ST-2:77")
        sample = [{"timestamp": STAMP, "sampledValue": [{"value": "150"}]}]
        values = {"connectorId": 1, "transactionId": 77, "meterValue": sample}
        assert (await station.call("MeterValues", values))[2] == {}
        stop = {"transactionId": 77, "meterStop": 150, "timestamp": STAMP}
        assert (await station.call("StopTransaction", stop))[2] == {}
        assert b.sink.of(SessionEnded) == []
        assert b.sink.of(MeterReading) == []
        assert [event.type for event in b.sink.of(SecurityEventReported)] == ["ForeignTransaction"]
        assert b.server.counters.refused == 2

    story(steps)


def test_what_a_meter_signed_is_kept_as_it_came() -> None:
    async def steps(b: Bench, station: HandStation) -> None:
        sample = {"value": "T0NNRnx7\u00e9\\'=", "format": "SignedData", "context": "Transaction.End"}
        values = {"connectorId": 1, "meterValue": [{"timestamp": STAMP, "sampledValue": [sample, {"value": "5"}]}]}
        await station.call("MeterValues", values)
        [kept] = b.sink.of(SignedValueReceived)
        assert (kept.asset_id, kept.signed, kept.encoding) == ("ST-1/1", sample["value"], "SignedData")
        assert [reading.import_wh for reading in b.sink.of(MeterReading)] == [5]
        assert b.server.counters.samples_refused == 0

    story(steps)
