"""Block N of the list: logs brought by a station, and what it keeps of a person."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from oca.cases import case
from oca.station import STAMP, Scene, scene
from ocpp_rig import FILES, play

from revere.core.facts import LogReported, encode_fact
from revere.core.orders import AskCustomer, FetchLog

if TYPE_CHECKING:
    from revere.core.commands import Answer

LOG = FetchLog(location=f"{FILES}/logs/")
TOKEN = AskCustomer(token="BUS-7", token_type="ISO14443")
ID = {"idToken": "BUS-7", "type": "ISO14443"}


async def fetched(s: Scene, order: FetchLog = LOG, reaction: str = "Accepted") -> tuple[Answer, int]:
    """The order as one GetLog; the answer and its number."""
    answer, asked = await s.ordered(order, "GetLog", {"status": reaction, "filename": "st-1.zip"})
    assert asked["log"] == {"remoteLocation": order.location}
    assert asked["logType"] == ("SecurityLog" if order.log == "security" else "DiagnosticsLog")
    return answer, int(asked["requestId"])


async def told(s: Scene, number: int, *words: str) -> None:
    for word in words:
        assert await s.call("LogStatusNotification", {"status": word, "requestId": number}) == {}


def recorded(s: Scene) -> list[tuple[str, int | None]]:
    return [(fact.status, fact.request_id) for fact in s.b.sink.of(LogReported)]


def brings(order: FetchLog) -> None:
    async def story() -> None:
        async with scene() as s:
            answer, number = await fetched(s, order)
            assert (answer.status, dict(answer.details)) == (
                "accepted",
                {"request": str(number), "file": "st-1.zip"},
            )
            await told(s, number, "Uploading", "Uploaded")
            assert recorded(s) == [("Uploading", number), ("Uploaded", number)]

    play(story)


@case("TC_N_25_CSMS", steps="1-2 a diagnostics log ordered; 3-6 both reports with its number answered and recorded")
def test_tc_n_25() -> None:
    brings(LOG)


@case("TC_N_35_CSMS", steps="1-2 a security log ordered; 3-6 both reports with its number answered and recorded")
def test_tc_n_35() -> None:
    brings(FetchLog(location=LOG.location, log="security"))


@case("TC_N_34_CSMS", steps="1-2 a log ordered and refused: told to who asked, nothing recorded as under way")
def test_tc_n_34() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, _ = await fetched(s, reaction="Rejected")
            assert (answer.status, answer.why) == ("rejected", "Rejected")
            assert recorded(s) == []

    play(story)


@case("TC_N_36_CSMS", steps="1-4 one log is brought; 5-8 a second order cancels it; 9-12 the second to its end")
def test_tc_n_36() -> None:
    async def story() -> None:
        async with scene() as s:
            _, first = await fetched(s)
            await told(s, first, "Uploading")
            answer, second = await fetched(s, reaction="AcceptedCanceled")
            assert answer.status == "accepted"
            assert second != first
            await told(s, first, "AcceptedCanceled")
            await told(s, second, "Uploading", "Uploaded")
            assert recorded(s) == [
                ("Uploading", first),
                ("AcceptedCanceled", first),
                ("Uploading", second),
                ("Uploaded", second),
            ]

    play(story)


@pytest.mark.parametrize("location", ["https://evil.example.org/", "ftp://files.example.org/"])
def test_no_station_brings_a_log_to_a_host_that_is_not_named(location: str) -> None:
    async def story() -> None:
        async with scene() as s:
            answer = await s.order(FetchLog(location=location))
            assert answer.status == "rejected"
            assert "file_hosts" in answer.why
            assert s.count("GetLog") == 0

    play(story)


def part(number: int, data: str, seq: int = 0, *, more: bool = False) -> dict[str, Any]:
    return {"data": data, "tbc": more, "seqNo": seq, "generatedAt": STAMP, "requestId": number}


async def customer(
    s: Scene, order: AskCustomer, *data: str, reaction: str = "Accepted"
) -> tuple[Answer, dict[str, Any]]:
    """The order as one CustomerInformation, the reports that follow it, and what who asked hears."""
    s.station.reactions["CustomerInformation"] = {"status": reaction}
    asking = asyncio.create_task(s.order(order))
    asked = await s.station.until_asked("CustomerInformation")
    for seq, one in enumerate(data):
        report = part(asked["requestId"], one, seq, more=seq < len(data) - 1)
        assert await s.call("NotifyCustomerInformation", report) == {}
    answer = await asking
    assert not any(one and one in str(encode_fact(fact)) for fact in s.b.sink.facts for one in data), "journaled"
    return answer, {name: value for name, value in asked.items() if name != "requestId"}


def asks(order: AskCustomer, wanted: dict[str, Any], *data: str) -> None:
    async def story() -> None:
        async with scene() as s:
            answer, asked = await customer(s, order, *data)
            assert asked == wanted
            assert (answer.status, answer.details) == ("accepted", tuple(("data", one) for one in data if one))

    play(story)


@case("TC_N_27_CSMS", steps="1-2 a token's data asked for; 3-4 reported in parts, answered; told to who asked alone")
def test_tc_n_27() -> None:
    asks(TOKEN, {"report": True, "clear": False, "idToken": ID}, "charged 2026-07-01", "and 2026-07-02")


@case("TC_N_28_CSMS", steps="1-2 a token's data asked for; 3-4 an empty report answered")
def test_tc_n_28() -> None:
    asks(TOKEN, {"report": True, "clear": False, "idToken": ID}, "")


@case("TC_N_29_CSMS", steps="1-2 a token's data asked for and refused: told to who asked, no report awaited")
def test_tc_n_29() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, asked = await customer(s, TOKEN, reaction="Rejected")
            assert asked == {"report": True, "clear": False, "idToken": ID}
            assert (answer.status, answer.why) == ("rejected", "Rejected")

    play(story)


ERASE = AskCustomer(token="BUS-7", token_type="ISO14443", clear=True)


@case("TC_N_30_CSMS", steps="1-2 a token's data to be told and erased; 3-4 reported, answered")
def test_tc_n_30() -> None:
    asks(ERASE, {"report": True, "clear": True, "idToken": ID}, "charged 2026-07-01")


@case("TC_N_31_CSMS", steps="1-2 a token's data to be told and erased; 3-4 an empty report answered")
def test_tc_n_31() -> None:
    asks(ERASE, {"report": True, "clear": True, "idToken": ID}, "")


@case("TC_N_32_CSMS", steps="1-2 a token's data to be erased without a report; none is awaited")
def test_tc_n_32() -> None:
    order = AskCustomer(token="BUS-7", token_type="ISO14443", report=False, clear=True)
    asks(order, {"report": False, "clear": True, "idToken": ID})


@case("TC_N_62_CSMS", steps="1-2 data of a customer identifier to be told and erased; 3-4 reported, answered")
def test_tc_n_62() -> None:
    order = AskCustomer(customer="OpenChargeAlliance", clear=True)
    asks(order, {"report": True, "clear": True, "customerIdentifier": "OpenChargeAlliance"}, "a name")


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (AskCustomer(), "name the person in one way"),
        (AskCustomer(token="A", customer="B"), "name the person in one way"),
        (AskCustomer(token="A", report=False), "neither"),
        (AskCustomer(token="A", token_type="Nonsense"), "no words"),
    ],
)
def test_an_order_that_says_too_little_or_too_much_sends_nothing(order: AskCustomer, why: str) -> None:
    async def story() -> None:
        async with scene() as s:
            answer = await s.order(order)
            assert answer.status == "rejected"
            assert why in answer.why
            assert s.count("CustomerInformation") == 0

    play(story)


def test_a_report_that_nobody_asked_for_is_answered_and_dropped() -> None:
    async def story() -> None:
        async with scene() as s:
            before = list(s.b.sink.facts)
            assert await s.call("NotifyCustomerInformation", part(7, "a secret")) == {}
            assert s.b.sink.facts == before

    play(story)
