"""Block M of the list: roots put into a station, listed and deleted again."""

from __future__ import annotations

from typing import Any

import pytest
from oca.cases import case
from oca.station import Scene, scene
from ocpp_rig import BOOT, bench, config, play

from revere.core.facts import MessageKept
from revere.core.orders import CertificateUse, DeleteCertificate, InstallCertificate, ListCertificates

PEM = "-----BEGIN CERTIFICATE-----\nUm9vdA==\n-----END CERTIFICATE-----\n"
HASHES = {
    "SHA256": {"issuerNameHash": "aB" * 32, "issuerKeyHash": "0c" * 32, "serialNumber": "5F03"},
    "SHA384": {"issuerNameHash": "dE" * 48, "issuerKeyHash": "1c" * 48, "serialNumber": "5F04"},
    "SHA512": {"issuerNameHash": "Ff" * 64, "issuerKeyHash": "2c" * 64, "serialNumber": "0"},
}


def installs(use: CertificateUse, word: str, reaction: str = "Accepted") -> None:
    async def story() -> None:
        async with scene() as s:
            order = InstallCertificate(use=use, certificate=PEM)
            answer, asked = await s.ordered(order, "InstallCertificate", {"status": reaction})
            assert asked == {"certificateType": word, "certificate": PEM}
            assert answer.status == ("accepted" if reaction == "Accepted" else "rejected")
            assert answer.why == ("" if reaction == "Accepted" else reaction)

    play(story)


@case("TC_M_01_CSMS", steps="1 a CSMS root is sent and accepted")
def test_tc_m_01() -> None:
    installs("csms-root", "CSMSRootCertificate")


@case("TC_M_02_CSMS", steps="1 a manufacturer root is sent and accepted")
def test_tc_m_02() -> None:
    installs("manufacturer-root", "ManufacturerRootCertificate")


@case("TC_M_05_CSMS", steps="1-2 a CSMS root is sent and fails: told to who asked")
def test_tc_m_05() -> None:
    installs("csms-root", "CSMSRootCertificate", "Failed")


def chain(word: str, algorithm: str, **more: Any) -> dict[str, Any]:
    data = {"hashAlgorithm": algorithm, **HASHES[algorithm]}
    return {"certificateType": word, "certificateHashData": data, **more}


def text(algorithm: str) -> str:
    return ":".join((algorithm, *HASHES[algorithm].values()))


async def listed(s: Scene, uses: tuple[CertificateUse, ...], reaction: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return await s.ordered(ListCertificates(uses=uses), "GetInstalledCertificateIds", reaction)


@case("TC_M_13_CSMS", steps="1 manufacturer roots are asked for; their hashes come back as they were told")
def test_tc_m_13() -> None:
    async def story() -> None:
        async with scene() as s:
            found = [chain("ManufacturerRootCertificate", "SHA256")]
            reaction = {"status": "Accepted", "certificateHashDataChain": found}
            answer, asked = await listed(s, ("manufacturer-root",), reaction)
            assert asked == {"certificateType": ["ManufacturerRootCertificate"]}
            assert (answer.status, answer.details) == ("accepted", (("manufacturer-root", text("SHA256")),))

    play(story)


@case("TC_M_18_CSMS", steps="1-2 all are asked for, no type named; roots, a chain and what is below it come back")
def test_tc_m_18() -> None:
    async def story() -> None:
        async with scene() as s:
            below = [chain("", "SHA512")["certificateHashData"]]
            found = [
                chain("CSMSRootCertificate", "SHA256"),
                chain("V2GCertificateChain", "SHA384", childCertificateHashData=below),
            ]
            answer, asked = await listed(s, (), {"status": "Accepted", "certificateHashDataChain": found})
            assert asked == {}
            assert answer.details == (
                ("csms-root", text("SHA256")),
                ("v2g-chain", text("SHA384")),
                ("v2g-chain, below", text("SHA512")),
            )

    play(story)


@case("TC_M_19_CSMS", steps="1-2 manufacturer roots are asked for, none is found: no fault, nothing listed")
def test_tc_m_19() -> None:
    async def story() -> None:
        async with scene() as s:
            answer, asked = await listed(s, ("manufacturer-root",), {"status": "NotFound"})
            assert asked == {"certificateType": ["ManufacturerRootCertificate"]}
            assert (answer.status, answer.why, answer.details) == ("accepted", "it holds none of these", ())

    play(story)


def deletes(algorithm: str, reaction: str) -> str:
    said: list[str] = []

    async def story() -> None:
        async with scene() as s:
            install = InstallCertificate(use="csms-root", certificate=PEM)
            await s.ordered(install, "InstallCertificate", {"status": "Accepted"})
            found = chain("CSMSRootCertificate", algorithm)
            reply = {"status": "Accepted", "certificateHashDataChain": [found]}
            answer, asked = await listed(s, ("csms-root",), reply)
            assert asked == {"certificateType": ["CSMSRootCertificate"]}
            order = DeleteCertificate(certificate=answer.details[0][1])
            answer, asked = await s.ordered(order, "DeleteCertificate", {"status": reaction})
            assert asked == {"certificateHashData": found["certificateHashData"]}
            said.append(f"{answer.status} {answer.why}".strip())

    play(story)
    return said[0]


@case("TC_M_20_CSMS", steps="1-5 for each hash algorithm: installed, listed, deleted by the very hashes that were told")
@pytest.mark.parametrize("algorithm", sorted(HASHES))
def test_tc_m_20(algorithm: str) -> None:
    assert deletes(algorithm, "Accepted") == "accepted"


@case("TC_M_21_CSMS", steps="1-4 listed, deletion fails: told to who asked")
@pytest.mark.parametrize("reaction", ["Failed", "NotFound"])
def test_tc_m_21(reaction: str) -> None:
    assert deletes("SHA256", reaction) == f"rejected {reaction}"


OCSP = {"hashAlgorithm": "SHA256", **HASHES["SHA256"], "responderURL": "http://ann:word@ocsp.example.org"}
CHAIN_STATUS = {
    "certificateHashData": {"hashAlgorithm": "SHA256", **HASHES["SHA256"]},
    "source": "OCSP",
    "urls": ["http://ann:word@ocsp.example.org"],
}
CONTRACT = {
    "iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef",
    "action": "Install",
    "exiRequest": "gJgCc2VjcmV0",
}


@pytest.mark.parametrize(
    ("protocol", "action", "payload", "kept"),
    [
        ("ocpp2.0.1", "GetCertificateStatus", {"ocspRequestData": OCSP}, HASHES["SHA256"]["serialNumber"]),
        ("ocpp2.1", "GetCertificateStatus", {"ocspRequestData": OCSP}, HASHES["SHA256"]["serialNumber"]),
        ("ocpp2.1", "GetCertificateChainStatus", {"certificateStatusRequests": [CHAIN_STATUS]}, "5F03"),
        ("ocpp2.0.1", "Get15118EVCertificate", CONTRACT, '"action":"Install"'),
        (
            "ocpp2.1",
            "Get15118EVCertificate",
            CONTRACT | {"maximumContractCertificateChains": 2, "prioritizedEMAIDs": ["DE8AACA2B3C4D5"]},
            '"maximumContractCertificateChains":2',
        ),
    ],
)
def test_what_we_do_not_relay_is_answered_with_that_and_kept(
    protocol: Any, action: str, payload: dict[str, Any], kept: str
) -> None:
    """Without what the vehicle says of itself and its contract, and without names in addresses."""

    async def story() -> None:
        async with bench(config(protocol=protocol)) as b:
            station = await b.station(protocol=protocol)
            await station.call("BootNotification", BOOT)
            answer = (await station.call(action, payload))[2]
            if action == "GetCertificateChainStatus":  # it has no word for why
                assert [one["status"] for one in answer["certificateStatus"]] == ["Failed"]
            else:
                assert answer["status"] == "Failed"
                assert answer["statusInfo"]["reasonCode"] == "NotSupported"
                assert "not relayed" in answer["statusInfo"]["additionalInfo"]
            (fact,) = b.sink.of(MessageKept)
            assert (fact.station_id, fact.action) == ("ST-1", action)
            assert kept in fact.text
            for hidden in ("gJgC", "DE8AAC", "ann", "word"):
                assert hidden not in fact.text

    play(story)
