"""Block L of the list: new firmware, told to one station, and what it tells of it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from oca.cases import case
from oca.station import TOKEN, Scene, event, scene, status
from ocpp_rig import FILES, NOW, play

from revere.core.facts import FirmwareReported, SessionEnded, StatusReported
from revere.core.orders import UpdateFirmware
from revere.core.time import iso

if TYPE_CHECKING:
    from revere.core.commands import Answer

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTWFudWZhY3R1cmVy\n-----END CERTIFICATE-----\n"
SIGNED = UpdateFirmware(location=f"{FILES}/v2g-60-2.0.bin", signing_certificate=CERTIFICATE, signature="c2lnbmVk")
LATER = NOW + dt.timedelta(hours=2)
REBOOTS = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting")


async def updated(s: Scene, order: UpdateFirmware = SIGNED, reaction: str = "Accepted") -> tuple[Answer, int]:
    """The order as one UpdateFirmware; the answer and its request id."""
    answer, asked = await s.ordered(order, "UpdateFirmware", {"status": reaction})
    assert asked["firmware"]["location"] == order.location
    assert asked["firmware"]["signingCertificate"] == CERTIFICATE
    assert asked["firmware"]["signature"] == "c2lnbmVk"
    return answer, int(asked["requestId"])


async def told(s: Scene, request_id: int, *words: str) -> None:
    """The station's notifications, each answered."""
    for word in words:
        assert await s.call("FirmwareStatusNotification", {"status": word, "requestId": request_id}) == {}


async def comes_back(s: Scene, request_id: int, end: str = "Installed") -> None:
    """It boots after its update, tells its connector both ways and how the update ended."""
    assert (await s.boot("FirmwareUpdate"))["status"] == "Accepted"
    assert await s.call("StatusNotification", status()) == {}
    assert await s.call("NotifyEvent", availability("Available")) == {}
    await told(s, request_id, end)


def availability(word: str) -> dict[str, Any]:
    """A connector's state as a variable."""
    data = {
        "eventId": 1,
        "timestamp": iso(NOW),
        "trigger": "Delta",
        "actualValue": word,
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
        "variable": {"name": "AvailabilityState"},
    }
    return {"generatedAt": iso(NOW), "seqNo": 0, "tbc": False, "eventData": [data]}


def recorded(s: Scene) -> list[tuple[str, int | None]]:
    """What the journal has of it."""
    return [(fact.status, fact.request_id) for fact in s.b.sink.of(FirmwareReported)]


def snake(words: tuple[str, ...]) -> list[str]:
    return ["".join(f"_{c.lower()}" if c.isupper() else c for c in word).lstrip("_") for word in words]


def runs(
    order: UpdateFirmware, words: tuple[str, ...], end: str | None = "Installed", after: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Play an update to its end; what we asked."""
    asked: list[dict[str, Any]] = []

    async def story() -> None:
        async with scene() as s:
            answer, number = await updated(s, order)
            assert (answer.status, answer.details) == ("accepted", (("request", str(number)),))
            await told(s, number, *words, *after)
            if end is not None:
                await comes_back(s, number, end)
            whole = (*words, *after, *([end] if end else []))
            assert recorded(s) == [(word, number) for word in snake(whole)]
            assert s.b.server.connected() == {"ST-1"}
            asked.append(s.last("UpdateFirmware"))

    play(story)
    return asked[0]


@case(
    "TC_L_01_CSMS",
    steps="1-2 signed firmware ordered; 3-12 reports answered; 13-16 boot accepted, connector told; 17-18 installed",
)
def test_tc_l_01() -> None:
    runs(SIGNED, REBOOTS)


@case(
    "TC_L_02_CSMS", steps="1 installation ordered for later; 2-14 reports, the scheduled one too; 15-20 boot, installed"
)
def test_tc_l_02() -> None:
    order = msgspec.structs.replace(SIGNED, install_at=LATER)
    asked = runs(order, ("Downloading", "Downloaded", "SignatureVerified", "InstallScheduled", *REBOOTS[3:]))
    assert dt.datetime.fromisoformat(asked["firmware"]["installDateTime"]) == LATER


@case(
    "TC_L_03_CSMS", steps="1 download ordered for later; 2-14 reports, the scheduled one first; 15-20 boot, installed"
)
def test_tc_l_03() -> None:
    order = msgspec.structs.replace(SIGNED, retrieve_at=LATER)
    asked = runs(order, ("DownloadScheduled", *REBOOTS))
    assert dt.datetime.fromisoformat(asked["firmware"]["retrieveDateTime"]) == LATER


def refused_for(word: str) -> None:
    async def story() -> None:
        async with scene() as s:
            answer, _ = await updated(s, reaction=word)
            assert (answer.status, answer.why) == ("rejected", word)
            assert recorded(s) == []
            assert await s.call("Heartbeat", {})

    play(story)


@case("TC_L_04_CSMS", steps="1-2 refused for a revoked certificate: told to who asked, nothing counts as begun")
def test_tc_l_04() -> None:
    refused_for("RevokedCertificate")


@case("TC_L_05_CSMS", steps="1-2 refused for an invalid certificate: told to who asked, nothing counts as begun")
def test_tc_l_05() -> None:
    refused_for("InvalidCertificate")


@case("TC_L_06_CSMS", steps="1-6 ordered, fetched; 7-8 its signature is wrong: answered, recorded")
def test_tc_l_06() -> None:
    runs(SIGNED, ("Downloading", "Downloaded", "InvalidSignature"), None)


@case("TC_L_07_CSMS", steps="1-4 ordered, fetching; 5-6 it failed: answered, recorded")
def test_tc_l_07() -> None:
    runs(SIGNED, ("Downloading", "DownloadFailed"), None)


@case("TC_L_08_CSMS", steps="1-10 up to its installation; 11-12 it does not verify: answered, recorded")
def test_tc_l_08() -> None:
    runs(SIGNED, ("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallVerificationFailed"), None)


@case("TC_L_09_CSMS", steps="1-12 up to the restart; 13-16 boot accepted, connector told; 17-18 it failed: recorded")
def test_tc_l_09() -> None:
    runs(SIGNED, REBOOTS, "InstallationFailed")


@case(
    "TC_L_10_CSMS",
    steps="1-4 one is fetched; 5-6 a second order cancels it; 7-22 the second to its end, by its own number",
)
def test_tc_l_10() -> None:
    async def story() -> None:
        async with scene() as s:
            _, first = await updated(s)
            await told(s, first, "Downloading")
            answer, second = await updated(s, reaction="AcceptedCanceled")
            assert (answer.status, answer.why) == ("accepted", "AcceptedCanceled")
            assert second != first
            await told(s, second, *REBOOTS)
            await comes_back(s, second)
            assert recorded(s) == [("downloading", first), *((word, second) for word in snake((*REBOOTS, "Installed")))]

    play(story)


@case("TC_L_11_CSMS", steps="1-4 one is fetched; 5-6 a second order is refused; 7-20 the first to its end")
def test_tc_l_11() -> None:
    async def story() -> None:
        async with scene() as s:
            _, first = await updated(s)
            await told(s, first, "Downloading")
            answer, _ = await updated(s, reaction="Rejected")
            assert answer.status == "rejected"
            await told(s, first, *REBOOTS[1:])
            await comes_back(s, first)
            assert recorded(s) == [(word, first) for word in snake((*REBOOTS, "Installed"))]

    play(story)


@case(
    "TC_L_13_CSMS",
    steps="a session runs; 1-4 ordered and put off; 5-6 a free connector goes out of service; 7-9 the session ends; "
    "10-19 fetched and installed; 20-25 boot, connector back, installed",
)
def test_tc_l_13() -> None:
    async def story() -> None:
        async with scene() as s:
            await s.call("TransactionEvent", event("Started", 0, idToken=TOKEN))
            charging = {"transactionId": "tx-1", "chargingState": "Charging"}
            await s.call("TransactionEvent", event("Updated", 1, "ChargingStateChanged", transactionInfo=charging))
            _, number = await updated(s)
            await told(s, number, "DownloadScheduled")
            await s.call("StatusNotification", status(2, 1, "Unavailable"))
            await s.call("NotifyEvent", availability("Unavailable"))
            ended = {"transactionId": "tx-1", "stoppedReason": "Local"}
            await s.call("TransactionEvent", event("Updated", 2, "StopAuthorized", idToken=TOKEN))
            await s.call("TransactionEvent", event("Ended", 3, "EVDeparted", transactionInfo=ended))
            assert len(s.b.sink.of(SessionEnded)) == 1
            await told(s, number, *REBOOTS)
            await comes_back(s, number)
            heard = [fact.status for fact in s.b.sink.of(StatusReported)]
            assert heard == ["unavailable", "unavailable", "available", "available"]  # both ways of saying it

    play(story)


@pytest.mark.parametrize("location", ["https://evil.example.org/x.bin", "http://files.example.org/x.bin"])
def test_no_station_fetches_from_a_host_that_is_not_named(location: str) -> None:
    async def story() -> None:
        async with scene() as s:
            answer = await s.order(UpdateFirmware(location=location))
            assert answer.status == "rejected"
            assert "file_hosts" in answer.why
            assert s.count("UpdateFirmware") == 0

    play(story)
