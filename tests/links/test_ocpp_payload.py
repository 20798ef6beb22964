"""What is tolerated in a station's payload, what is not, and what the counters then say."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from ocpp_rig import bench, config, play, provisioned
from ocpp_schemas import fullest, validator

from revere.app import bench_ocpp
from revere.core.errors import Unavailable
from revere.core.facts import MessageKept, MeterReading, SessionEnded
from revere.core.orders import ClearCache
from revere.links.ocpp2.wire import v21
from revere.links.ocpp16 import wire as wire16
from revere.links.ocppj.bounds import FRAME_MAX_BYTES, Counters
from revere.links.ocppj.framing import CallFailed, FrameRefused, Result, parse_frame
from revere.links.ocppj.payload import LOSABLE, PayloadReader

AT = "2026-07-16T19:30:00Z"
SAMPLE = {"value": 100, "location": "Inlet"}


def event(*samples: Any, **more: Any) -> dict[str, Any]:
    """A 2.1 TransactionEvent."""
    return {
        "eventType": "Updated",
        "timestamp": AT,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 1,
        "transactionInfo": {"transactionId": "t"},
        "meterValue": [{"timestamp": AT, "sampledValue": list(samples or [SAMPLE])}],
        **more,
    }


def read(document: Any, counters: Counters, kind: type[Any] = v21.TransactionEventRequest) -> Any:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return PayloadReader(kind).read(text, counters)


PLAIN = read(event(), Counters())
MENDED = {
    "a field of a vendor's": (event(acmeState=7), {"unknown_fields": 1}),
    "such fields below": (
        event({**SAMPLE, "raw": 1, "phaseRotation": "RST"}, transactionInfo={"transactionId": "t", "x": {"y": [1]}}),
        {"unknown_fields": 3},
    ),
    "5.0 for 5": (event(seqNo=1.0), {}),
    "a sample without its value": (event(SAMPLE, {"measurand": "SoC"}), {"samples_refused": 1}),
    "a value as text": (event({"value": "12"}, SAMPLE), {"samples_refused": 1}),
    "a unit as a number": (event(SAMPLE, {**SAMPLE, "unitOfMeasure": {"unit": 5}}), {"samples_refused": 1}),
    "an unknown place": (event({**SAMPLE, "location": "Roof"}, SAMPLE), {"samples_refused": 1}),
}


@pytest.mark.parametrize(("document", "counted"), MENDED.values(), ids=list(MENDED))
def test_what_cannot_change_the_rest_is_mended_and_counted(document: Any, counted: dict[str, int]) -> None:
    counters = Counters()
    assert read(document, counters) == PLAIN
    assert counters == Counters(payloads_mended=1, **counted)


def test_null_is_absence_and_needs_no_mending() -> None:
    counters = Counters()
    assert read(event(evse=None, idToken=None), counters) == PLAIN
    assert counters == Counters()


def test_a_message_whose_every_sample_is_no_good_is_read_without_them() -> None:
    counters = Counters()
    assert read(event({"value": "1"}, {"value": None}), counters).meterValue is None
    assert counters == Counters(payloads_mended=1, samples_refused=3)  # two samples, and their empty meter value


REFUSED = {
    "a wrong state": (event(eventType="Begun"), "PropertyConstraintViolation"),
    "text for a number": (event(seqNo="1"), "TypeConstraintViolation"),
    "half a number": (event(seqNo=1.5), "TypeConstraintViolation"),
    "a missing id": (event(transactionInfo={}), "OccurrenceConstraintViolation"),
    "an empty id": (event(transactionInfo={"transactionId": ""}), "PropertyConstraintViolation"),
    "below its range": (event(seqNo=-1), "PropertyConstraintViolation"),
    "beyond 64 bits": (event(seqNo=2**63), "PropertyConstraintViolation"),
    "no zone": (event(timestamp="2026-07-16T19:30:00"), "PropertyConstraintViolation"),
    "no list": (event(meterValue={}), "TypeConstraintViolation"),
    "an empty list": (event(meterValue=[]), "PropertyConstraintViolation"),
    "a tolerable field and a wrong one": ({"x": 1, **event(seqNo="1")}, "TypeConstraintViolation"),
    "only samples that are no good": (event({"value": "1"}, seqNo="1"), "TypeConstraintViolation"),
    "too many such samples": (event(SAMPLE, *[{"value": "1"}] * 65), "TypeConstraintViolation"),
    "no object": ([], "TypeConstraintViolation"),
}


@pytest.mark.parametrize(("document", "code"), REFUSED.values(), ids=list(REFUSED))
def test_what_could_change_the_meaning_is_refused(document: Any, code: str) -> None:
    counters = Counters()
    with pytest.raises(CallFailed) as refused:
        read(document, counters)
    assert refused.value.code == code
    assert counters == Counters()


def test_what_may_be_left_out_is_found_by_names_that_exist() -> None:
    assert {*vars(v21), *vars(wire16)} >= LOSABLE


def test_a_key_said_twice_means_one_thing_in_both_readings() -> None:
    strict = json.dumps(event()).replace('"seqNo": 1', '"seqNo": 7, "seqNo": 9')
    mended = strict.replace('"offline"', "").replace("{", '{"x": 1, ', 1)
    assert [read(text.encode(), Counters()).seqNo for text in (strict, mended)] == [9, 9]


def test_16_keeps_the_end_of_a_session_whose_sample_is_no_good() -> None:
    stop = {
        "meterStop": 4200,
        "timestamp": AT,
        "transactionId": 7,
        "transactionData": [{"timestamp": AT, "sampledValue": [{"value": "50.0", "unit": "Hertz"}, {"value": "4200"}]}],
    }

    async def story() -> None:
        async with bench(config("CP-6", "ocpp1.6")) as b:
            station = await b.station("CP-6", "ocpp1.6")
            assert (await station.call("StopTransaction", stop))[0] == 3
            assert len(b.sink.of(SessionEnded)) == 1
            assert [r.import_wh for r in b.sink.of(MeterReading)] == [4200, 4200]
            assert b.server.counters.samples_refused == 1

    play(story)


@pytest.mark.parametrize(("protocol", "heard"), [("ocpp2.1", "SetVariables"), ("ocpp1.6", "ChangeAvailability")])
def test_a_call_of_the_standard_and_one_of_none_get_different_answers(protocol: str, heard: str) -> None:
    version, suffix = ("v21", "Request") if protocol == "ocpp2.1" else ("v16", "")

    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol)
            known = await station.call(heard, fullest(version, heard + suffix))
            unknown = await station.call("MakeCoffee", {})
            assert [answer[2] for answer in (known, unknown)] == ["NotSupported", "NotImplemented"]
            assert b.server.counters.unknown_actions == 2

    play(story)


def test_a_time_that_has_no_utc_is_refused_and_costs_nothing_else() -> None:
    async def story() -> None:
        async with bench() as b:
            station = await b.station()
            edge = "0001-01-01T00:00:00+23:59"
            answer = await station.call(
                "StatusNotification",
                {"timestamp": edge, "connectorStatus": "Available", "evseId": 1, "connectorId": 1},
            )
            assert answer[:3:2] == [4, "PropertyConstraintViolation"]
            assert (await station.call("Heartbeat", {}))[0] == 3

    play(story)


@pytest.mark.parametrize("action", ["NotifyReport", "ReportChargingProfiles", "NotifyEVChargingSchedule"])
def test_reports_and_schedules_may_be_long(action: str) -> None:
    frame = json.dumps([2, "a", action, {"x": "y" * FRAME_MAX_BYTES}]).encode()
    parse_frame(frame)
    for short in ("Heartbeat", "notifyreport"):
        with pytest.raises(FrameRefused, match="frame too long"):
            parse_frame(frame.replace(action.encode(), short.encode()))
    with pytest.raises(FrameRefused, match="frame too long"):
        parse_frame(frame.replace(b"y" * 9, b"y" * 200))


def test_a_name_in_the_wrong_place_makes_no_frame_long() -> None:
    frame = json.dumps([2, '"NotifyReport"', "Heartbeat", {"x": "y" * FRAME_MAX_BYTES}]).encode()
    with pytest.raises(FrameRefused, match="frame too long"):
        parse_frame(frame)


def test_an_answer_may_be_long_once_such_a_one_was_asked_for() -> None:
    frame = json.dumps([3, "r1", {"x": "y" * FRAME_MAX_BYTES}]).encode()
    with pytest.raises(FrameRefused, match="frame too long"):
        parse_frame(frame)
    assert isinstance(parse_frame(frame, long_answer=True), Result)
    period = {"startPeriod": 1, "limit": 7000, "operationMode": "ChargingOnly", "preconditioningRequest": False}
    schedule = {"evseId": 1, "duration": 9, "scheduleStart": AT, "chargingRateUnit": "W"}
    answer = {"status": "Accepted", "schedule": {**schedule, "chargingSchedulePeriod": [period] * 1024}}
    assert len(json.dumps(answer)) > FRAME_MAX_BYTES

    async def story() -> None:
        async with bench() as b:
            station = await b.station(reactions={"GetCompositeSchedule": answer})
            await station.call("BootNotification", fullest("v21", "BootNotificationRequest"))
            async with asyncio.timeout(5):
                while not b.server.connected():
                    await station.call("Heartbeat", {})
            assert len(await b.server.composite_limits_kw(config().station_id, 1, 3600)) == 1024

    play(story)


def test_an_answer_may_be_long_only_while_such_a_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    long_answer = {"status": "Accepted", "z": "y" * (FRAME_MAX_BYTES + 4_000)}

    async def story() -> None:
        async with bench() as b:
            station = await provisioned(b)
            counters = b.server.counters
            station.reactions["ClearCache"] = long_answer
            assert (await b.server.carry_out(config().station_id, ClearCache())).status == "rejected"
            assert counters.frames_refused == 1, "it had been asked for a composite schedule before"
            monkeypatch.setattr("revere.links.ocppj.calls.SETPOINT_TIMEOUT_S", 0.0)
            station.reactions["GetCompositeSchedule"] = long_answer
            with pytest.raises(Unavailable):
                await b.server.composite_limits_kw(config().station_id, 1, 3600)
            assert (await station.call("Heartbeat", {}))[0] == 3
            assert counters.frames_refused == 2, "nobody waits for the late one any more"
            assert counters.connections == 1

    play(story)


@pytest.mark.parametrize(
    ("text", "refused"), [(r"\u0000", True), (r"\\u0000", False), (r"\\\u0000", True), (r"a\\\\u0000", False)]
)
def test_an_escaped_nul_is_told_from_an_escaped_backslash(text: str, refused: bool) -> None:
    frame = b'[2,"a","DataTransfer",{"vendorId":"' + text.encode() + b'"}]'
    assert ("\x00" in json.loads(frame)[3]["vendorId"]) is refused
    if refused:
        with pytest.raises(FrameRefused, match="NUL character"):
            parse_frame(frame)
    else:
        parse_frame(frame)


def test_the_bench_measures_an_ordinary_message_with_every_check_on() -> None:
    frame = bench_ocpp.transaction_event()
    assert len(frame) == bench_ocpp.FRAME_BYTES
    _, message_id, action, payload = json.loads(frame)
    assert len(message_id) <= 36
    validator("v21", f"{action}Request").validate(payload)
    assert len(payload["meterValue"][0]["sampledValue"]) == 4
    counters = Counters()
    bench_ocpp.prove_checks(frame, counters)
    assert json.loads(bench_ocpp.answer(frame, counters)) == [3, message_id, {}]
    assert counters == Counters()


LATER = (
    "BatterySwap", "NotifyDisplayMessages", "NotifySettlement", "NotifyWebPaymentStarted", "ReservationStatusUpdate",
    "VatNumberValidation",
)  # fmt: skip


@pytest.mark.parametrize("action", LATER)
def test_what_is_not_done_yet_is_answered_and_kept_without_names(action: str) -> None:
    told = fullest("v21", f"{action}Request")

    async def story() -> None:
        async with bench(config()) as b:
            station = await b.station()
            answer = await station.call(action, told)
            assert answer[0] == 3
            [kept] = b.sink.of(MessageKept)
            assert kept.action == action
            words = json.loads(kept.text)
            assert words.keys() == told.keys() - {"idToken", "vatNumber", "vatCompany", "customData"}
            if action == "VatNumberValidation":
                assert answer[2]["status"] == "Rejected"

    play(story)
