"""Block A: who is let in by which proof; secrets, certificates and security profiles renewed without a gap."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import shutil
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from oca.cases import case
from oca.station import status
from ocpp_rig import BOOT, BOOT_16, HandStation, MemorySink, StoppedClock, basic, play
from ocpp_schemas import validator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from revere.app.settings import OcppSettings
from revere.app.tls import StationTls, station_signer
from revere.control.building import fallback_profiles
from revere.control.certificates import Certificates
from revere.control.directory import Directory, secret_mac
from revere.control.image import Image
from revere.control.rotation import Rotation
from revere.control.upgrade import Upgrade
from revere.core.assets import Station
from revere.core.errors import Refused, RevereError, ScenarioError, Unavailable
from revere.core.facts import AlarmCleared, AlarmRaised, Fact, SecurityEventReported
from revere.core.ids import StationId
from revere.core.orders import ResetStation, SetNetworkProfile, TriggerReport, VariableSetting, WriteVariables
from revere.core.ports import KnownCertificate
from revere.core.time import WallClock
from revere.links.ocppj.server import OcppServer
from tests.control.scenes import fleet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from revere.core.commands import Answer

pytest.importorskip("cryptography", reason="cryptography is locked but not installed: run make setup")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from revere.app.pki import make_pki, read_authority, sign_for

ST = StationId("cs1")
KEY, SECRET = b"k" * 32, "0ld" * 13
NOW = WallClock().now()
DAY = dt.timedelta(days=1)
SAME = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ours``, the same with a server of RSA, the same root ten days ago, and somebody else's."""
    base = tmp_path_factory.mktemp("pki")
    ours = base / "ours"
    make_pki(ours, None, ["cs1", "cs2"], days=60, now=NOW)
    make_pki(base / "foreign", None, ["cs1"], days=60, now=NOW)
    (base / "ended").mkdir()
    shutil.copytree(ours, base / "rsa")
    for file in ("root.key", "root.pem", "server.key", "server.pem"):
        shutil.copy(ours / file, base / "ended" / file)
    make_pki(base / "ended", None, ["cs1"], days=9, now=NOW - 10 * DAY)
    key = rsa.generate_private_key(65537, 2048)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = sign_for(
        read_authority(ours / "root.pem", ours / "root.key"),
        "localhost",
        key.public_key(),
        [
            (x509.SubjectAlternativeName(names), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        ],
        NOW,
        30,
    )
    (base / "rsa" / "server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (base / "rsa" / "server.key").write_bytes(pem_of(key))
    return base


def pem_of(key: Any) -> bytes:
    private = serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))


class Book:
    """The registry's stations and secrets in memory."""

    def __init__(self, stations: tuple[Station, ...]) -> None:
        self.stations = {station.id: station for station in stations}
        self.offered: dict[str, bytes] = {}
        self.macs = {str(ST): secret_mac(KEY, ST, SECRET)}
        self.certificates: dict[StationId, KnownCertificate] = {}
        self.broken = False

    async def save_station_certificate(self, station_id: StationId, certificate: KnownCertificate) -> None:
        if self.broken:
            raise Unavailable("the database is away")
        self.certificates[station_id] = certificate

    async def asset(self, _kind: type[Station], asset_id: str) -> Station | None:
        return self.stations.get(StationId(asset_id))

    async def save_assets(self, assets: Any) -> None:
        self.stations |= {station.id: station for station in assets}

    async def offer_station_secret(self, station_id: StationId, mac: bytes) -> bool:
        self.offered[station_id] = mac
        return True

    async def settle_station_secret(self, station_id: StationId, mac: bytes, *, used: bool) -> None:
        del self.offered[station_id]
        if used:
            self.macs[station_id] = mac


class Port:
    """The stations' port with control's own directory, TLS where ``folder`` is given, hand-written stations."""

    def __init__(self, folder: Path | None, profile: int, protocol: str, book: Book | None) -> None:
        of = fleet()
        stations = tuple(
            msgspec.structs.replace(s, protocol=protocol, discharge_kw=0.0, security_profile=profile, serial="A1")
            for s in of.stations
        )
        self.book = book or Book(stations)
        of = msgspec.structs.replace(of, stations=tuple(self.book.stations.values()))
        self.folder, self.protocol = folder, protocol
        self.sink = MemorySink()
        clock = StoppedClock(NOW)
        self.clock = clock
        self.directory = Directory(
            of,
            KEY,
            self.book.macs,
            fallback_profiles(of)[0],
            Image(of),
            self.book.offered,
            dict(self.book.certificates),
        )
        signer = self.tls = None
        if folder is not None:
            names = {"tls_cert": "server.pem", "tls_key": "server.key", "tls_station_root": "root.pem"}
            names |= {"tls_station_root_key": "root.key"}
            settings = OcppSettings(**{key: folder / name for key, name in names.items()})
            self.tls, signer = StationTls(settings), station_signer(settings)
        self.server = OcppServer(self.sink, self.directory, clock, ping_interval_s=None, signer=signer)
        self.rotation = Rotation(self.directory, self.book, self.server, self.sink, clock)
        self.upgrade = Upgrade(self.directory, self.book, self.sink, clock)
        self.certificates = Certificates(self.directory, self.book, self.server, self.sink, clock)
        self.port = 0
        self.stations: list[HandStation] = []

    async def dial(
        self, pair: Path | None = None, user: str = ST, secret: str | None = SECRET, **tls: Any
    ) -> HandStation:
        """Come in, and boot; raises what the server's refusal becomes."""
        context = None
        if self.folder is not None:
            context = ssl.create_default_context(cafile=str(self.folder / "root.pem"))
            for name, value in tls.items():
                setattr(context, name, value) if name != "ciphers" else context.set_ciphers(value)
            if pair is not None:
                context.load_cert_chain(f"{pair}.pem", f"{pair}.key")
        socket = await connect(
            f"{'wss' if context else 'ws'}://127.0.0.1:{self.port}/ocpp/{ST}",
            ssl=context,
            subprotocols=[Subprotocol(self.protocol)],
            additional_headers={} if secret is None else basic(user, secret),
            compression=None,
            proxy=None,
            ping_interval=None,
        )
        station = HandStation(socket, {})
        self.stations.append(station)
        answer = await station.call("BootNotification", BOOT_16 if self.protocol == "ocpp1.6" else BOOT)
        assert answer[2]["status"] == "Accepted"
        if self.protocol == "ocpp2.0.1":
            assert (await station.call("StatusNotification", status()))[2] == {}
        return station

    async def shut_out(self, *args: Any, **named: Any) -> bool:
        """Whether the same is refused, by HTTP or before it by TLS."""
        try:
            await (await self.dial(*args, **named)).close()
        except InvalidStatus as error:
            return error.response.status_code == 401
        except (ssl.SSLError, OSError, EOFError, InvalidMessage):
            return True
        return False

    def events(self) -> list[str]:
        return [event.type for event in self.sink.of(SecurityEventReported)]

    async def until(self, kind: str) -> None:
        await self.sink.until(lambda: kind in self.events())


@asynccontextmanager
async def port(
    folder: Path | None = None, profile: int = 1, protocol: str = "ocpp2.0.1", book: Book | None = None
) -> AsyncIterator[Port]:
    made = Port(folder, profile, protocol, book)
    made.port = await made.server.serve("127.0.0.1", 0, tls=None if made.tls is None else made.tls.context)
    try:
        yield made
    finally:
        for station in made.stations:
            await station.close()
        await made.server.close()


# Secrets --------------------------------------------------------------------------------------------------


@case("TC_A_01_CSMS", steps="1-2 right id and secret: upgraded; 3-4 boot accepted; 5-6 status answered")
def test_tc_a_01() -> None:
    async def story() -> None:
        async with port() as p:
            await (await p.dial()).close()

    play(story)


@case("TC_A_02_CSMS", steps="1-2 a user name that is not the station's id: refused before the upgrade")
def test_tc_a_02() -> None:
    async def story() -> None:
        async with port() as p:
            assert await p.shut_out(user=f"{ST}Invalid")

    play(story)


@case("TC_A_03_CSMS", steps="1-2 a random secret: refused before the upgrade")
def test_tc_a_03() -> None:
    async def story() -> None:
        async with port() as p:
            assert await p.shut_out(secret="x9.-_" * 7)
            await p.until("LoginRefused")

    play(story)


def given_secret(station: HandStation) -> str:
    """The secret that the station was told to use, by its own reading."""
    for action, payload in station.asked:
        for item in payload.get("setVariableData", ()) if action == "SetVariables" else ():
            if item["variable"]["name"] == "BasicAuthPassword":
                assert item["component"]["name"] == "SecurityCtrlr"
                return str(item["attributeValue"])
    raise AssertionError("no secret was given")


@case("TC_A_09_CSMS", steps="1-2 a new secret set and accepted; 3-8 it alone opens the connection, boot accepted")
def test_tc_a_09() -> None:
    async def story() -> None:
        async with port() as p:
            station = await p.dial()
            assert (await p.rotation.renew(ST)).status == "accepted"
            await (await p.dial(secret=given_secret(station))).close()
            await p.until("SecretRenewed")
            assert await p.shut_out()

    play(story)


@case("TC_A_10_CSMS", steps="1-2 a new secret refused by the station; 3-8 the old one opens, the new not")
def test_tc_a_10() -> None:
    async def story() -> None:
        async with port() as p:
            station = await p.dial()
            station.reactions["SetVariables"] = {"setVariableResult": [{"attributeStatus": "Rejected", **SAME}]}
            assert (await p.rotation.renew(ST)).status == "rejected"
            assert await p.shut_out(secret=given_secret(station))
            await (await p.dial()).close()

    play(story)


# TLS ------------------------------------------------------------------------------------------------------

TLS12 = {"maximum_version": ssl.TLSVersion.TLSv1_2}
SUITES = [
    ("ours", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("ours", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("rsa", "AES128-GCM-SHA256"),
    ("rsa", "AES256-GCM-SHA384"),
]


@case("TC_A_04_CSMS", steps="1-4 TLS 1.3, and 1.2 by each of the four suites, keys long enough; 5-10 upgraded, booted")
def test_tc_a_04(pki: Path) -> None:
    async def story() -> None:
        for folder, suite in [("ours", ""), *SUITES]:
            async with port(pki / folder, 2) as p:
                station = await p.dial(**(TLS12 | {"ciphers": suite} if suite else {}))
                shown = station.socket.transport.get_extra_info("ssl_object")
                assert shown.version() == ("TLSv1.2" if suite else "TLSv1.3")
                assert not suite or shown.cipher()[0] == suite
                server = x509.load_der_x509_certificate(shown.getpeercert(binary_form=True))
                key: Any = server.public_key()
                assert key.key_size >= (2048 if folder == "rsa" else 224)
                assert server.serial_number > 0
                [common] = server.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
                assert common.value == "localhost"
                await station.close()

    play(story)


def why_not(client: ssl.SSLContext, server: ssl.SSLContext) -> str | None:
    """Why a server refuses a client's hello, in OpenSSL's word; no socket between them."""
    hello, answer = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(hello, answer, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    try:
        ours.do_handshake()
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError as error:
        return error.reason
    return None


@case("TC_A_06_CSMS", steps="1-2 TLS 1.1: ended by us; 3-12 by TLS 1.2 upgraded and booted")
def test_tc_a_06(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 2) as p:
            old = ssl.create_default_context(cafile=str(pki / "ours/root.pem"))
            old.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
                old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", p.port, ssl=old)
            assert why_not(old, p.tls.context) == "UNSUPPORTED_PROTOCOL"  # it is the version and nothing else
            await (await p.dial(**TLS12)).close()

    play(story)


@case("TC_A_07_CSMS", steps="1-4 the station's own certificate asked for and taken, all suites; 5-10 upgraded, booted")
def test_tc_a_07(pki: Path) -> None:
    async def story() -> None:
        for folder, suite in SUITES:
            async with port(pki / folder, 3) as p:
                own = pki / "ours/stations/cs1"
                await (await p.dial(own, secret=None, **TLS12, ciphers=suite)).close()
                assert await p.shut_out(None)  # a secret is no proof here

    play(story)


@case("TC_A_08_CSMS", steps="1-4 of another root, ended, another station's: shut out; 5-14 the own")
def test_tc_a_08(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3) as p:
            for wrong in ("foreign/stations/cs1", "ended/stations/cs1", "ours/stations/cs2"):
                assert await p.shut_out(pki / wrong, secret=None), wrong
                await (await p.dial(pki / "ours/stations/cs1", secret=None)).close()

    play(story)


# A new certificate over OCPP ------------------------------------------------------------------------------

EC = ec.generate_private_key(ec.SECP256R1())


def csr(*names: str, key: Any = EC, algorithm: Any = "", more: Any = None) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if more is not None:
        builder = builder.add_extension(more, critical=True)
    signed = builder.sign(key, hashes.SHA256() if algorithm == "" else algorithm)
    return signed.public_bytes(serialization.Encoding.PEM).decode()


async def ask_for_one(
    p: Port, station: HandStation, request: str, reaction: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Trigger, SignCertificate, CertificateSigned; our answer and what the station was given."""
    station.reactions["CertificateSigned"] = reaction
    order = TriggerReport(report="certificate-request")
    assert (await p.server.carry_out(ST, order)).status == "accepted"
    asked = [payload for action, payload in station.asked if "TriggerMessage" in action]
    word = "SignChargePointCertificate" if p.protocol == "ocpp1.6" else "SignChargingStationCertificate"
    assert asked == [{"requestedMessage": word}]
    payload = {"csr": request}
    if p.protocol != "ocpp1.6":
        payload["certificateType"] = "ChargingStationCertificate"
    answer = (await station.call("SignCertificate", payload))[2]
    given = await station.until_asked("CertificateSigned")
    if p.protocol == "ocpp2.0.1":
        validator("v201", "CertificateSignedRequest").validate(given)
        assert given["certificateType"] == "ChargingStationCertificate"
    return answer, given


def keep(folder: Path, chain: str, key: Any = EC) -> Path:
    """The pair as the station keeps it."""
    folder.mkdir(exist_ok=True)
    (folder / "new.pem").write_text(chain)
    (folder / "new.key").write_bytes(pem_of(key))
    return folder / "new"


@case("TC_A_11_CSMS", steps="1-2 trigger accepted; 3-4 request accepted; 5-6 signed by our root, taken; it opens")
@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1", "ocpp1.6"])
@pytest.mark.parametrize("name", ["cs1", "A1"])  # its id, or as the standard has it its serial number
def test_tc_a_11(protocol: str, name: str, pki: Path, tmp_path: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3, protocol) as p:
            if protocol == "ocpp1.6":
                p.directory._registered.clear()  # 1.6's rig has another serial number
                name_asked = "cs1"
            else:
                name_asked = name
            station = await p.dial(pki / "ours/stations/cs1", secret=None)
            answer, given = await ask_for_one(p, station, csr(name_asked), {"status": "Accepted"})
            assert answer == {"status": "Accepted"}
            await p.until("CertificateTaken")
            assert p.events() == ["CertificateInForce", "CertificateSigned", "CertificateTaken"]
            assert await p.shut_out(pki / "foreign/stations/cs1", secret=None)
            old, new = pki / "ours/stations/cs1", keep(tmp_path, given["certificateChain"])
            await (await p.dial(old, secret=None)).close()  # it has not used the new one yet
            await (await p.dial(new, secret=None)).close()
            assert await p.shut_out(old, secret=None)
            await (await p.dial(new, secret=None)).close()
        async with port(pki / "ours", 3, protocol, book=p.book) as later:  # a restart of ours
            assert await later.shut_out(old, secret=None)
            await (await later.dial(new, secret=None)).close()

    play(story)


@case("TC_A_14_CSMS", steps="1-4 trigger and request accepted; 5-6 the station refuses it: told, the old opens")
def test_tc_a_14(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3) as p:
            station = await p.dial(pki / "ours/stations/cs1", secret=None)
            answer, _ = await ask_for_one(p, station, csr("cs1"), {"status": "Rejected"})
            assert answer == {"status": "Accepted"}
            await p.until("CertificateDeclined")
            [alarm] = [a for a in p.sink.of(AlarmRaised) if "did not take" in a.text]
            assert (alarm.subject, alarm.key) == (ST, "certificate-declined:cs1")
            assert "currentTime" in (await station.call("Heartbeat", {}))[2]
            await (await p.dial(pki / "ours/stations/cs1", secret=None)).close()

    play(story)


def weak(bits: int) -> Any:
    return rsa.generate_private_key(65537, bits)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (lambda: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no certificate"),
        (lambda: "", "no certificate"),
        (lambda: csr("cs2"), "another name"),
        (lambda: csr(), "one common name"),
        (lambda: csr("cs1", "cs1"), "one common name"),
        (lambda: csr("cs1", key=weak(1024)), "too weak"),
        (lambda: csr("cs1", key=ed25519.Ed25519PrivateKey.generate(), algorithm=None), "too weakly"),
        (lambda: csr("cs1", key=ec.generate_private_key(ec.SECP192R1())), "too weak"),
        (lambda: csr("cs1", algorithm=hashes.SHA224()), "too weakly"),
        (lambda: csr("cs1")[:-200] + csr("cs1", key=weak(2048))[-200:], "no certificate|own key did not sign"),
    ],
)
def test_a_request_that_must_not_be_signed_is_refused_with_the_fault(request_: Any, says: str, pki: Path) -> None:
    signer = station_signer(
        OcppSettings(tls_station_root=pki / "ours/root.pem", tls_station_root_key=pki / "ours/root.key")
    )
    assert signer is not None
    with pytest.raises(Refused, match=says):
        signer.sign(ST, ("cs1", "A1"), request_(), NOW)


def test_nothing_of_a_request_is_taken_over_but_its_key(pki: Path) -> None:
    ours = pki / "ours"
    signer = station_signer(OcppSettings(tls_station_root=ours / "root.pem", tls_station_root_key=ours / "root.key"))
    assert signer is not None
    grab = x509.BasicConstraints(ca=True, path_length=None)
    signed = signer.sign(ST, ("cs1",), csr("cs1", more=grab), NOW)
    made = x509.load_pem_x509_certificate(signed.chain.encode())
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.public_key() == EC.public_key()
    assert made.not_valid_after_utc == signed.ends <= NOW + 61 * DAY  # no longer than our root
    with pytest.raises(Refused, match="our root has ended"):
        signer.sign(ST, ("cs1",), csr("cs1"), NOW + 61 * DAY)
    with pytest.raises(RevereError, match="another's"):
        station_signer(OcppSettings(tls_station_root=ours / "root.pem", tls_station_root_key=ours / "server.key"))
    with pytest.raises(ScenarioError, match="a key without its root"):
        station_signer(OcppSettings(tls_station_root_key=ours / "root.key"))


@pytest.mark.parametrize(
    ("profile", "folder", "payload", "says"),
    [
        (1, None, {}, "nobody signs here"),
        (1, "ours", {}, "without TLS"),
        (2, "ours", {"certificateType": "V2GCertificate"}, "only a station's own"),
        (2, "ours", {"csr": csr("cs2")}, "another name"),
    ],
)
def test_a_refused_request_is_answered_journaled_and_told(
    profile: int, folder: str | None, payload: dict[str, Any], says: str, pki: Path
) -> None:
    async def story() -> None:
        async with port(None if folder is None else pki / folder, profile) as p:
            station = await p.dial()
            answer = (await station.call("SignCertificate", {"csr": csr("cs1"), **payload}))[2]
            assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidCSR")
            validator("v201", "SignCertificateResponse").validate(answer)
            assert p.events() == ["CertificateRequestRefused"]
            assert says in p.sink.of(AlarmRaised)[0].text
            await station.close()

    play(story)


def test_a_station_gets_one_certificate_a_minute(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 2) as p:
            station = await p.dial()
            answers = [(await station.call("SignCertificate", {"csr": csr("cs1")}))[2]["status"] for _ in range(3)]
            assert answers == ["Accepted", "Rejected", "Rejected"]
            await station.close()

    play(story)


def test_a_certificate_that_we_signed_for_one_station_opens_for_no_other(pki: Path, tmp_path: Path) -> None:
    """Two stations of different makers may have the same serial number."""

    async def story() -> None:
        signer = station_signer(
            OcppSettings(tls_station_root=pki / "ours/root.pem", tls_station_root_key=pki / "ours/root.key")
        )
        assert signer is not None
        signed = signer.sign(StationId("cs2"), ("cs2", "cs1"), csr("cs1"), NOW)
        async with port(pki / "ours", 3) as p:
            assert await p.shut_out(keep(tmp_path, signed.chain), secret=None)
            await p.until("LoginRefused")

    play(story)


# A higher profile -----------------------------------------------------------------------------------------

PRIORITY = VariableSetting(component="OCPPCommCtrlr", variable="NetworkConfigurationPriority", value="2,1")
HIGHER = SetNetworkProfile(slot=2, url="wss://localhost:9000/ocpp", security_profile=3)


async def told_to_rise(p: Port, station: HandStation, word: str = "Accepted") -> Answer:
    station.reactions["SetNetworkProfile"] = {"status": word}
    return await p.upgrade.tell(ST, HIGHER, lambda: p.server.carry_out(ST, HIGHER))


@case(
    "TC_A_19_CSMS",
    steps="before: certificate renewed; 1-6 slot, priority, reset; 7-9 in by 3; 10-11 by 2 refused",
)
def test_tc_a_19(pki: Path, tmp_path: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 2) as p:
            station = await p.dial()
            _, given = await ask_for_one(p, station, csr("A1"), {"status": "Accepted"})
            own = keep(tmp_path, given["certificateChain"])
            assert await p.shut_out(own, secret=None)  # not told yet
            assert (await told_to_rise(p, station)).status == "accepted"
            stored = await station.until_asked("SetNetworkProfile")
            validator("v201", "SetNetworkProfileRequest").validate(stored)
            data = stored["connectionData"]
            assert (data["securityProfile"], data["ocppTransport"], data["ocppVersion"]) == (3, "JSON", "OCPP20")
            assert (await p.server.carry_out(ST, WriteVariables(settings=(PRIORITY,)))).status == "accepted"
            assert (await p.server.carry_out(ST, ResetStation(when="now"))).status == "accepted"
            await (await p.dial()).close()  # it has not restarted yet: both open
            await (await p.dial(own, secret=None)).close()
            await p.until("SecurityProfileRaised")
            assert await p.shut_out()
            assert await p.shut_out(own, user="nobody") is False  # the certificate is what counts
            kept = p.book.stations[ST]
            assert (kept.security_profile, kept.next_security_profile) == (3, None)
        async with port(pki / "ours", 2, book=p.book) as later:  # a restart of ours
            assert await later.shut_out()
            await (await later.dial(own, secret=None)).close()

    play(story)


def test_a_station_that_was_told_to_rise_comes_in_either_way_after_our_restart(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 2) as p:
            await told_to_rise(p, await p.dial())
        async with port(pki / "ours", 2, book=p.book) as later:
            await (await later.dial()).close()
            await (await later.dial(pki / "ours/stations/cs1", secret=None)).close()
            await later.until("SecurityProfileRaised")
            assert await later.shut_out()

    play(story)


def test_a_station_that_refuses_to_rise_stays_where_it_is(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 2) as p:
            assert (await told_to_rise(p, await p.dial(), "Rejected")).status == "rejected"
            assert await p.shut_out(pki / "ours/stations/cs1", secret=None)
            await (await p.dial()).close()
            assert p.book.stations[ST].next_security_profile is None

    play(story)


def test_no_order_lowers_a_profile(pki: Path) -> None:
    async def story() -> None:
        async with port(pki / "ours", 3) as p:
            lower = msgspec.structs.replace(HIGHER, security_profile=2)
            with pytest.raises(Refused, match="does not fall"):
                await p.upgrade.tell(ST, lower, lambda: p.server.carry_out(ST, lower))

    play(story)


def test_a_declined_certificate_s_alarm_ends_with_one_that_is_taken(
    pki: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revere.links.ocppj.signing.SIGN_EVERY_S", 0.0)

    def declined(facts: list[Fact]) -> list[str]:
        return [type(f).__name__ for f in facts if "certificate-declined" in getattr(f, "key", "")]

    async def story() -> None:
        async with port(pki / "ours", 2) as p:
            station = await p.dial()
            await ask_for_one(p, station, csr("cs1"), {"status": "Rejected"})
            await p.until("CertificateDeclined")
            station.asked.clear()
            await ask_for_one(p, station, csr("cs1"), {"status": "Accepted"})
            await p.until("CertificateTaken")
            assert declined(p.sink.facts) == [AlarmRaised.__name__, AlarmCleared.__name__]
            await station.close()

    play(story)
