"""Roots in a strict station: put in, listed by their real hashes, taken out again, in each edition's words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.ocsp import OCSPRequestBuilder

from revere.core.time import UTC
from revere.links.ocpp2.wire import v21
from revere.links.ocpp16 import wire as v16

if TYPE_CHECKING:
    from revere.twin.line import Payload
    from revere.twin.station16 import Station16
    from revere.twin.station21 import Station21

    Handlers = dict[str, Callable[[Payload], Payload]]

ROOTS_MAX: Final = 8
"""Beyond that a station fails to install another."""


def hashes_of(certificate: x509.Certificate) -> dict[str, str]:
    """OCPP's CertificateHashData of a root, which is its own issuer: what one asks after a certificate with."""
    asked = OCSPRequestBuilder().add_certificate(certificate, certificate, hashes.SHA256()).build()
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": asked.issuer_name_hash.hex(),
        "issuerKeyHash": asked.issuer_key_hash.hex(),
        "serialNumber": f"{asked.serial_number:x}",
    }


class Trust:
    """What a station trusts, by the use of each."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._roots: dict[str, tuple[str, dict[str, str]]] = {}

    def install(self, use: str, pem: str) -> str:
        """The answer in OCPP's words: a root that is not one, or not in force, is rejected."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            certificate.verify_directly_issued_by(certificate)
        except Exception:  # noqa: BLE001  # whatever is wrong with it, it is no root
            return "Rejected"
        now = dt.datetime.fromtimestamp(self._now_s(), UTC)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            return "Rejected"
        found = hashes_of(certificate)
        if found["serialNumber"] not in self._roots and len(self._roots) >= ROOTS_MAX:
            return "Failed"
        self._roots[found["serialNumber"]] = (use, found)
        return "Accepted"

    def listed(self, uses: Iterable[str] | None) -> list[tuple[str, dict[str, str]]]:
        """(use, hashes) of the uses that were asked for, of all where none was named."""
        wanted = None if uses is None else set(uses)
        return [(use, found) for use, found in self._roots.values() if wanted is None or use in wanted]

    def delete(self, asked: dict[str, Any]) -> str:
        """The answer in OCPP's words."""
        found = self._roots.get(asked["serialNumber"])
        if found is None or found[1] != asked:
            return "NotFound"
        del self._roots[asked["serialNumber"]]
        return "Accepted"


class TrustDesk21(Trust):
    """Of a 2.x station."""

    def __init__(self, station: Station21) -> None:
        super().__init__(station.time.now_s)
        self._station = station
        self.handlers: Handlers = {
            "InstallCertificate": self._install,
            "GetInstalledCertificateIds": self._list,
            "DeleteCertificate": self._delete,
        }

    def _install(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, v21.InstallCertificateRequest)
        return {"status": self.install(request.certificateType, request.certificate)}

    def _list(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, v21.GetInstalledCertificateIdsRequest)
        found = self.listed(request.certificateType)
        if not found:
            return {"status": "NotFound"}
        chains = [{"certificateType": use, "certificateHashData": data} for use, data in found]
        return {"status": "Accepted", "certificateHashDataChain": chains}

    def _delete(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, v21.DeleteCertificateRequest)
        return {"status": self.delete(msgspec.to_builtins(request.certificateHashData))}


class TrustDesk16(Trust):
    """Of a 1.6 charge point with the security extension."""

    def __init__(self, station: Station16) -> None:
        super().__init__(station.time.now_s)
        self.handlers: Handlers = {
            "InstallCertificate": self._install,
            "GetInstalledCertificateIds": self._list,
            "DeleteCertificate": self._delete,
        }

    def _install(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, v16.InstallCertificate)
        return {"status": self.install(request.certificateType, request.certificate)}

    def _list(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, v16.GetInstalledCertificateIds)
        found = self.listed([request.certificateType])
        if not found:
            return {"status": "NotFound"}
        return {"status": "Accepted", "certificateHashData": [data for _, data in found]}

    def _delete(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, v16.DeleteCertificate)
        return {"status": self.delete(msgspec.to_builtins(request.certificateHashData))}
