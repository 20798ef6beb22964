"""A strict station's firmware: fetched, verified by a real signature, installed between sessions; how it may fail."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from revere.twin.firmware import Fate, image
from revere.twin.loop import TwinClock
from revere.twin.station16 import Station16
from revere.twin.station21 import Station21
from revere.twin.world import World

from .central import Central
from .small import SMALL, small
from .test_schemas import check
from .test_stations import BUS, HALL, play

CALM = small(SMALL.split("[[outages]]")[0])
OLDER = small(
    SMALL.split("[[outages]]")[0].replace(
        'protocol = "ocpp2.1"\nconnector = "cCCS1"\ncharge_kw = 60.0',
        'protocol = "ocpp2.0.1"\nconnector = "cCCS1"\ncharge_kw = 60.0',
    )
)
FOLDERS = {"ocpp2.1": "v21", "ocpp2.0.1": "v201"}
WHERE = "https://files.example.org/b60_2.0.bin"
NEW = "2.0"
KEY = ec.derive_private_key(11, ec.SECP256R1())
ROOT_KEY = ec.derive_private_key(12, ec.SECP256R1())


def certificate(key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, year: int) -> x509.Certificate:
    """A certificate of one year, issued by the maker's root."""
    begin = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "maker")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=365))
        .sign(signer, hashes.SHA256())
    )


def pem(found: x509.Certificate) -> str:
    return found.public_bytes(serialization.Encoding.PEM).decode()


ROOT = certificate(ROOT_KEY, ROOT_KEY, 2023)
GOOD = pem(certificate(KEY, ROOT_KEY, 2023))


def signed(version: str = NEW) -> str:
    return base64.b64encode(KEY.sign(image(version), ec.ECDSA(hashes.SHA256()))).decode()


def order(now: dt.datetime, number: int = 7, **firmware: Any) -> dict[str, Any]:
    body = {"location": WHERE, "retrieveDateTime": now.isoformat(), **firmware}
    return {"requestId": number, "firmware": body}


def updater(world: World, station: str) -> Any:
    found = world.stations[station]
    assert isinstance(found, Station21 | Station16)
    return found.files.updater


def words(central: Central, station: str, action: str = "FirmwareStatusNotification") -> list[str]:
    return [str(payload["status"]) for payload in central.said(station, action)]


def boots(central: Central, station: str) -> list[tuple[str, str]]:
    said = central.said(station, "BootNotification")
    return [(p["reason"], p["chargingStation"]["firmwareVersion"]) for p in said]


async def free(central: Central, station: str) -> None:
    """End the session that runs there."""
    tx = [p for p in central.said(station, "TransactionEvent") if p["eventType"] == "Started"][-1]
    stop = {"transactionId": tx["transactionInfo"]["transactionId"]}
    assert (await central.call(station, "RequestStopTransaction", stop))["status"] == "Accepted"


@pytest.mark.parametrize("edition", ["ocpp2.1", "ocpp2.0.1"])
def test_it_waits_for_the_sessions_end_installs_and_comes_back_with_it(edition: str) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        updater(world, BUS).root = ROOT
        body = order(clock.now(), signingCertificate=GOOD, signature=signed())
        answer = await central.call(BUS, "UpdateFirmware", body)
        check(FOLDERS[edition], "UpdateFirmware", answer, "Response")
        assert answer == {"status": "Accepted"}
        await asyncio.sleep(1800)
        assert words(central, BUS) == ["Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"]
        await free(central, BUS)
        await asyncio.sleep(600)

    _, central = play(body, CALM if edition == "ocpp2.1" else OLDER)
    assert words(central, BUS)[4:] == ["Installing", "InstallRebooting", "Installed"]
    assert boots(central, BUS) == [("PowerUp", "twin-1"), ("FirmwareUpdate", NEW)]
    sessions = [p["eventType"] for p in central.said(BUS, "TransactionEvent") if p["eventType"] != "Updated"]
    assert sessions == ["Started", "Ended", "Started"], "its vehicle is still there"
    for payload in central.said(BUS, "FirmwareStatusNotification"):
        check(FOLDERS[edition], "FirmwareStatusNotification", payload)
        assert payload["requestId"] == 7


@pytest.mark.parametrize(
    ("fate", "last", "version"),
    [
        ("download_fails", "DownloadFailed", "twin-1"),
        ("does_not_verify", "InstallVerificationFailed", "twin-1"),
        ("install_fails", "InstallationFailed", "twin-1"),
        ("other_version", "Installed", "2.0-beta"),
        ("no_fallback", "Installed", "2.0"),
        ("mute", None, "twin-1"),
    ],
)
def test_how_it_may_end(fate: Fate, last: str | None, version: str) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        await free(central, BUS)
        updater(world, BUS).fate = fate
        await central.call(BUS, "UpdateFirmware", order(clock.now()))
        await asyncio.sleep(1200)

    _, central = play(body, CALM)
    assert words(central, BUS)[-1:] == ([last] if last else [])
    assert boots(central, BUS)[-1][1] == version


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nature_lets_a_share_of_updates_fail_by_the_seed(share: float) -> None:
    failing = small(SMALL.split("[[outages]]")[0].replace("[plant]", f"[plant]\nfirmware_failure_share = {share}"))
    ends: list[list[tuple[str, str, bool]]] = []

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        buses = [name for name in world.stations if name.startswith("school")]
        for bus in buses:
            await free(central, bus)
            await central.call(bus, "UpdateFirmware", order(clock.now()))
        await asyncio.sleep(1200)
        found = [(updater(world, bus), (words(central, bus) or ["nothing"])[-1]) for bus in buses]
        ends.append([(one.version, word, one.refuses_default) for one, word in found])

    for seed in (3, 3, 4):
        play(body, failing, seed=seed)
    well = (NEW, "Installed", False)
    assert ends[0] == ends[1], "one seed, one fate"
    if share:
        assert well not in ends[0] + ends[2]
        assert ends[0] != ends[2]
    else:
        assert {end for ended in ends for end in ended} == {well}


@pytest.mark.parametrize(
    ("what", "changes", "answer", "last"),
    [
        ("all well", {}, "Accepted", "Installed"),
        ("another version's signature", {"signature": signed("1.9")}, "Accepted", "InvalidSignature"),
        ("no certificate at all", {"signingCertificate": "x"}, "InvalidCertificate", None),
        ("of another maker", {"signingCertificate": pem(certificate(KEY, KEY, 2023))}, "InvalidCertificate", None),
        ("long over", {"signingCertificate": pem(certificate(KEY, ROOT_KEY, 2021))}, "InvalidCertificate", None),
        ("not Base64", {"signature": "%%"}, "InvalidCertificate", None),
    ],
)
def test_a_signature_is_checked(what: str, changes: dict[str, Any], answer: str, last: str | None) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        await free(central, BUS)
        updater(world, BUS).root = ROOT
        body = order(clock.now(), **{"signingCertificate": GOOD, "signature": signed(), **changes})
        assert (await central.call(BUS, "UpdateFirmware", body))["status"] == answer, what
        await asyncio.sleep(1200)

    _, central = play(body, CALM)
    assert words(central, BUS)[-1:] == ([last] if last else []), what


def test_asked_how_far_it_is_it_says_so() -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        asked = {"requestedMessage": "FirmwareStatusNotification"}
        assert (await central.call(BUS, "TriggerMessage", asked))["status"] == "Accepted"
        await central.call(BUS, "UpdateFirmware", order(clock.now()))
        await asyncio.sleep(30)
        assert (await central.call(BUS, "TriggerMessage", asked))["status"] == "Accepted"
        await asyncio.sleep(5)

    _, central = play(body, CALM)
    said = central.said(BUS, "FirmwareStatusNotification")
    downloading = {"status": "Downloading", "requestId": 7}
    assert said == [{"status": "Idle"}, downloading, downloading]


def test_a_second_order_cancels_the_first_but_not_an_installation() -> None:
    answers: list[str] = []

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        await free(central, BUS)
        for number, pause_s in ((7, 30), (8, 200)):
            answers.append((await central.call(BUS, "UpdateFirmware", order(clock.now(), number)))["status"])
            await asyncio.sleep(pause_s)
        answers.append((await central.call(BUS, "UpdateFirmware", order(clock.now(), 9)))["status"])
        await asyncio.sleep(600)

    _, central = play(body, CALM)
    assert answers == ["Accepted", "AcceptedCanceled", "Rejected"]
    assert [p["requestId"] for p in central.said(BUS, "FirmwareStatusNotification")] == [7, 8, 8, 8, 8, 8]


def test_it_is_fetched_and_installed_when_it_is_told() -> None:
    marks: dict[str, float] = {}

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        await free(central, BUS)
        begin = clock.now()
        marks["begin"] = clock.monotonic_s()
        later = {
            "retrieveDateTime": (begin + dt.timedelta(minutes=30)).isoformat(),
            "installDateTime": (begin + dt.timedelta(hours=1)).isoformat(),
        }
        await central.call(BUS, "UpdateFirmware", order(begin, **later))
        await asyncio.sleep(2 * 3600)

    _, central = play(body, CALM)
    said = [
        (round((at_s - marks["begin"]) / 60), payload["status"])
        for at_s, station, action, payload in central.log
        if station == BUS and action == "FirmwareStatusNotification"
    ]
    assert said[:2] == [(0, "DownloadScheduled"), (30, "Downloading")]
    assert [word for _, word in said[2:4]] == ["Downloaded", "InstallScheduled"]
    install_min = next(minute for minute, word in said if word == "Installing")
    assert 60 <= install_min <= 64


@pytest.mark.parametrize("is_signed", [False, True])
def test_a_16_charge_point_does_it_by_its_own_messages(is_signed: bool) -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        now = clock.now().isoformat()
        if is_signed:
            firmware = {"signingCertificate": GOOD, "signature": signed()}
            said = await central.call(HALL, "SignedUpdateFirmware", order(clock.now(), **firmware))
            assert said == {"status": "Accepted"}
        else:
            assert await central.call(HALL, "UpdateFirmware", {"location": WHERE, "retrieveDate": now}) == {}
        await asyncio.sleep(600)
        await central.call(HALL, "RemoteStopTransaction", {"transactionId": 77})
        await asyncio.sleep(600)

    _, central = play(body, CALM)
    action = "SignedFirmwareStatusNotification" if is_signed else "FirmwareStatusNotification"
    said = words(central, HALL, action)
    assert (said[0], said[-1]) == ("Downloading", "Installed")
    assert ("SignatureVerified" in said) is is_signed
    for payload in central.said(HALL, action):
        check("v16", action, payload, "")
    assert [p["firmwareVersion"] for p in central.said(HALL, "BootNotification")] == ["twin-1", NEW]


def test_a_log_is_brought_and_a_newer_order_ends_an_older_one() -> None:
    def log(number: int) -> dict[str, Any]:
        return {"requestId": number, "logType": "SecurityLog", "log": {"remoteLocation": "https://x.example.org/"}}

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        assert (await central.call(BUS, "GetLog", log(1)))["status"] == "Accepted"
        assert (await central.call(BUS, "GetLog", log(2)))["status"] == "AcceptedCanceled"
        await asyncio.sleep(60)

    _, central = play(body, CALM)
    said = [(p["requestId"], p["status"]) for p in central.said(BUS, "LogStatusNotification")]
    assert said == [(1, "Uploading"), (1, "AcceptedCanceled"), (2, "Uploading"), (2, "Uploaded")]
