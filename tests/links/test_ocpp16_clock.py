"""A 1.6 clock that jumps in mid-session: doubted at once, while what has waited in the station's queue is believed."""

from __future__ import annotations

import datetime as dt
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from ocpp_rig import BOOT_16, NOW, Bench, HandStation, bench, config, play

from revere.core.facts import MeterReading, StationProvisioned
from revere.core.time import iso

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MINUTE = dt.timedelta(minutes=1)
JUMP = dt.timedelta(minutes=10)
SECOND = dt.timedelta(seconds=1)


class Metering:
    """A 1.6 charge point that tells its register; time goes on by a minute with each."""

    def __init__(self, b: Bench) -> None:
        self.b = b
        self.station: HandStation
        self.numbers: dict[int, int] = {}

    async def dial(self) -> None:
        self.station = await self.b.station(protocol="ocpp1.6")
        await self.station.call("BootNotification", BOOT_16)
        await self.b.sink.until(lambda: bool(self.b.sink.of(StationProvisioned)))

    async def start(self, connector: int = 1, late: dt.timedelta = dt.timedelta()) -> None:
        stamp = iso(self.b.clock.at - late)
        said = {"connectorId": connector, "idTag": "BUS-1", "meterStart": 1000, "timestamp": stamp}
        self.numbers[connector] = (await self.station.call("StartTransaction", said))[2]["transactionId"]

    def values(self, late: dt.timedelta = dt.timedelta(), connector: int = 1) -> dict[str, Any]:
        stamp = iso(self.b.clock.at - late)
        sampled = {"value": "1200", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        told = {"timestamp": stamp, "sampledValue": [sampled]}
        return {"connectorId": connector, "transactionId": self.numbers[connector], "meterValue": [told]}

    async def tell(self, *late: dt.timedelta, connector: int = 1) -> str:
        """Which of the readings are quarantined: one letter each."""
        before = len(self.b.sink.of(MeterReading))
        for each in late:
            self.b.clock.at += MINUTE
            assert (await self.station.call("MeterValues", self.values(each, connector)))[2] == {}
        said = [reading.quarantined for reading in self.b.sink.of(MeterReading)[before:]]
        return "".join({"": ".", "clock": "Q"}[one] for one in said)


@asynccontextmanager
async def metering(*connectors: int) -> AsyncIterator[Metering]:
    async with bench(config(protocol="ocpp1.6")) as b:
        b.clock.at = NOW
        m = Metering(b)
        await m.dial()
        for connector in connectors:
            await m.start(connector)
        yield m


NONE = dt.timedelta()


@pytest.mark.parametrize(
    ("late", "marks"),
    [
        ([NONE, NONE, JUMP, JUMP, JUMP, NONE], "..QQQ."),
        ([NONE, JUMP, *[JUMP] * 12], "." + "Q" * 13),  # after ten minutes its stamps pass those from before the jump
        ([NONE, MINUTE], ".."),
        ([NONE, MINUTE + SECOND], ".Q"),
        ([NONE, 3 * MINUTE], ".Q"),
        ([JUMP], "Q"),  # the start of the transaction was right a minute ago
        ([NONE, -JUMP], ".Q"),
    ],
)
def test_a_jump_in_mid_session_is_doubted_at_the_first_reading(late: list[dt.timedelta], marks: str) -> None:
    async def story() -> None:
        async with metering(1) as m:
            assert await m.tell(*late) == marks

    play(story)


def test_what_waited_while_the_link_was_down_is_believed_until_it_has_caught_up() -> None:
    async def story() -> None:
        async with metering(1) as m:
            assert await m.tell(NONE) == "."
            await m.station.close()
            m.b.clock.at += 2 * JUMP
            await m.dial()
            assert await m.tell(2 * JUMP, JUMP, 2 * MINUTE, NONE, JUMP) == "....Q"

    play(story)


def test_a_jump_is_known_on_the_next_connection_too() -> None:
    async def story() -> None:
        async with metering(1) as m:
            assert await m.tell(*[NONE] * 3, *[JUMP] * 5) == "...QQQQQ"
            await m.station.close()
            m.station = await m.b.station(protocol="ocpp1.6")  # only its link was gone: it need not boot
            assert await m.tell(JUMP) == "Q"

    play(story)


def test_the_queue_of_another_transaction_is_none_of_this_ones_clock() -> None:
    async def story() -> None:
        async with metering(1) as m:
            assert await m.tell(NONE, NONE) == ".."
            await m.start(connector=2, late=JUMP)
            assert await m.tell(JUMP, JUMP, NONE, JUMP, connector=2) == "...Q"

    play(story)


@pytest.mark.parametrize("trouble", ["refused", "slow"])
def test_what_waited_behind_a_message_that_we_did_not_take_is_believed(trouble: str) -> None:
    """The station says it again later, in its own time; all of its messages wait for that."""

    async def story() -> None:
        async with metering(1, 2) as m:
            assert await m.tell(NONE) == "."
            if trouble == "refused":
                m.b.sink.broken = True
                await m.station.call("StatusNotification", STATUS)
                m.b.sink.broken = False
            else:
                m.b.sink.gate.clear()
                answer = await m.station.begin("StatusNotification", STATUS)
                assert (await answer)[0] == 4  # late
                m.b.sink.gate.set()
            assert await m.tell(2 * MINUTE, 2 * MINUTE, connector=2) == ".."
            assert await m.tell(2 * MINUTE, NONE, 2 * MINUTE) == "..Q"

    play(story)


STATUS = {"connectorId": 0, "errorCode": "NoError", "status": "Available"}


@pytest.mark.parametrize(("late", "marks"), [(NONE, ["", ""]), (JUMP, ["clock", "clock"])])
def test_the_end_of_a_transaction_is_judged_by_its_own_stamp(late: dt.timedelta, marks: list[str]) -> None:
    """Its data may be of any age: they were sampled while it ran."""

    async def story() -> None:
        async with metering(1) as m:
            assert await m.tell(*[NONE] * 20) == "." * 20
            old = m.values(15 * MINUTE)["meterValue"]
            stop = {
                "transactionId": m.numbers[1],
                "meterStop": 1300,
                "timestamp": iso(m.b.clock.at - late),
                "transactionData": old,
            }
            before = len(m.b.sink.of(MeterReading))
            await m.station.call("StopTransaction", stop)
            assert [reading.quarantined for reading in m.b.sink.of(MeterReading)[before:]] == marks

    play(story)
