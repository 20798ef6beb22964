"""Roots in a strict station, by the real hashes of real certificates; and through our own orders, end to end."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from revere.twin.loop import TwinClock
from revere.twin.trust import ROOTS_MAX, hashes_of
from revere.twin.world import World

from .central import Central
from .small import SMALL, small
from .test_schemas import check
from .test_stations import BUS, HALL, play

CALM = small(SMALL.split("[[outages]]")[0])


def root(serial: int = 0x5F03, year: int = 2023, *, curve: bool = True) -> x509.Certificate:
    """A root in force for a year, signed by itself."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    key = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
    begin = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"root {serial}")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )


def pem(found: x509.Certificate) -> str:
    return found.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("curve", [True, False])
def test_the_hashes_are_of_the_name_and_of_the_keys_bits_alone(curve: bool) -> None:
    found = root(curve=curve)
    form = (Encoding.X962, PublicFormat.UncompressedPoint) if curve else (Encoding.DER, PublicFormat.PKCS1)
    assert hashes_of(found) == {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hashlib.sha256(found.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": hashlib.sha256(found.public_key().public_bytes(*form)).hexdigest(),
        "serialNumber": "5f03",
    }


def test_a_root_is_installed_listed_and_deleted() -> None:
    said: list[Any] = []

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        ours, maker = root(0x5F03), root(0x5F04)
        for kind, certificate in (("CSMSRootCertificate", ours), ("ManufacturerRootCertificate", maker)):
            asked = {"certificateType": kind, "certificate": pem(certificate)}
            said.append((await central.call(BUS, "InstallCertificate", asked))["status"])
        listed = await central.call(BUS, "GetInstalledCertificateIds", {})
        check("v21", "GetInstalledCertificateIds", listed, "Response")
        said.append([chain["certificateType"] for chain in listed["certificateHashDataChain"]])
        assert [chain["certificateHashData"] for chain in listed["certificateHashDataChain"]] == [
            hashes_of(ours),
            hashes_of(maker),
        ]
        said.extend(
            [
                (await central.call(BUS, "DeleteCertificate", {"certificateHashData": data}))["status"]
                for data in (hashes_of(ours), hashes_of(ours), {**hashes_of(maker), "issuerKeyHash": "00"})
            ]
        )
        wanted = {"certificateType": ["CSMSRootCertificate"]}
        said.append((await central.call(BUS, "GetInstalledCertificateIds", wanted))["status"])

    play(body, CALM)
    assert said[:3] == ["Accepted", "Accepted", ["CSMSRootCertificate", "ManufacturerRootCertificate"]]
    assert said[3:] == ["Accepted", "NotFound", "NotFound", "NotFound"]


def test_what_is_no_root_is_rejected_and_a_full_store_fails() -> None:
    said: list[str] = []

    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        bad = ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", pem(root(year=2021))]
        for text in (*bad, *(pem(root(serial)) for serial in range(1, ROOTS_MAX + 2))):
            asked = {"certificateType": "CSMSRootCertificate", "certificate": text}
            said.append((await central.call(BUS, "InstallCertificate", asked))["status"])

    play(body, CALM)
    assert said == ["Rejected", "Rejected", *["Accepted"] * ROOTS_MAX, "Failed"]


def test_a_16_charge_point_in_its_own_words() -> None:
    async def body(world: World, central: Central, clock: TwinClock) -> None:
        await asyncio.sleep(60)
        maker = root()
        kind = {"certificateType": "ManufacturerRootCertificate"}
        assert await central.call(HALL, "GetInstalledCertificateIds", kind) == {"status": "NotFound"}
        await central.call(HALL, "InstallCertificate", {**kind, "certificate": pem(maker)})
        listed = await central.call(HALL, "GetInstalledCertificateIds", kind)
        assert listed == {"status": "Accepted", "certificateHashData": [hashes_of(maker)]}
        gone = await central.call(HALL, "DeleteCertificate", {"certificateHashData": hashes_of(maker)})
        assert gone == {"status": "Accepted"}

    play(body, CALM)
