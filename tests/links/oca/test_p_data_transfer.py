"""Block P of the list: vendors' messages, and custom data in the standard's own."""

from __future__ import annotations

import pytest
from oca.cases import case
from oca.station import ST, TOKEN, event, scene, status
from ocpp_rig import play

from revere.core.facts import SessionStarted, StatusReported
from revere.core.orders import SendVendorMessage

CUSTOM = {"vendorId": "org.example", "mood": {"level": 3}}


@case("TC_P_02_CSMS", steps="1-2 a vendor's message that we do not know is answered as of an unknown vendor")
def test_tc_p_02() -> None:
    async def story() -> None:
        async with scene() as s:
            before = list(s.b.sink.facts)
            answer = await s.call(
                "DataTransfer", {"vendorId": "org.example", "messageId": "mood", "data": [1, {"a": 2}]}
            )
            assert answer == {"status": "UnknownVendorId"}
            assert s.b.sink.facts == before

    play(story)


@case("TC_P_03_CSMS", steps="1-2 a status with custom data is taken; 3-4 a transaction with custom data, inner one too")
def test_tc_p_03() -> None:
    async def story() -> None:
        async with scene() as s:
            assert await s.call("StatusNotification", {**status(word="Occupied"), "customData": CUSTOM}) == {}
            info = {"transactionId": "tx-1", "customData": CUSTOM}
            started = event("Started", 0, idToken=TOKEN, transactionInfo=info, customData=CUSTOM)
            answer = await s.call("TransactionEvent", started)
            assert answer["idTokenInfo"]["status"] == "Accepted"
            assert [fact.status for fact in s.b.sink.of(StatusReported)] == ["occupied"]
            assert [fact.station_id for fact in s.b.sink.of(SessionStarted)] == [ST]

    play(story)


@pytest.mark.parametrize(
    ("reaction", "status", "details"),
    [
        ({"status": "Accepted", "data": "ok"}, "accepted", (("data", "ok"),)),
        ({"status": "UnknownVendorId"}, "rejected", ()),
        ({"status": "UnknownMessageId"}, "rejected", ()),
    ],
)
def test_a_vendors_message_of_ours(reaction: dict[str, str], status: str, details: tuple[tuple[str, str], ...]) -> None:
    async def story() -> None:
        async with scene() as s:
            order = SendVendorMessage(vendor="org.example", message="mood", content="3")
            answer, asked = await s.ordered(order, "DataTransfer", reaction)
            assert asked == {"vendorId": "org.example", "messageId": "mood", "data": "3"}
            assert (answer.status, answer.details) == (status, details)

    play(story)
