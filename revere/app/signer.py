"""Signs stations' certificates with our own root: a new one over OCPP, before the old one ends.

Whoever asks is let in already. What is signed is the key that it shows and the name that we give: nothing else of its
request is taken over, and the certificate says in its own words which station it is for.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from revere.app.pki import Authority, read_authority, sign_for
from revere.core.errors import Refused
from revere.core.ports import STATION_URI, SignedCertificate

if TYPE_CHECKING:
    from pathlib import Path

    from revere.core.ids import StationId

DAYS: Final = 397
RSA_BITS: Final = range(2048, 8193)
EC_BITS_MIN: Final = 224
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class RootSigner:
    """Fills the ``CertificateSigner`` port with a root on this machine."""

    def __init__(self, root: Authority) -> None:
        self._root = root

    @classmethod
    def open(cls, cert: Path, key: Path) -> RootSigner:
        """The signer of a root's two files. Raises :class:`RevereError` where they do not belong together."""
        return cls(read_authority(cert, key))

    def sign(
        self,
        station_id: StationId,
        names: tuple[str, ...],
        csr: str,
        now: dt.datetime,
        after: dt.datetime | None = None,
    ) -> SignedCertificate:
        """A certificate for the key of ``csr``, whose common name is one of ``names``. Raises :class:`Refused`."""
        request = _read(csr)
        common = _common_name(request)
        if common not in names:
            raise Refused("a certificate is asked for another name", got=common, expected=" or ".join(names))
        _check_key(request)
        if now >= self._root.certificate.not_valid_after_utc:
            raise Refused("our root has ended", got=f"{self._root.certificate.not_valid_after_utc:%Y-%m-%d}")
        made = sign_for(
            self._root,
            common,
            request.public_key(),  # type: ignore[arg-type]
            [
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
                (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"{STATION_URI}{station_id}")]), False),
            ],
            now,
            DAYS,
            after,
        )
        return SignedCertificate(
            chain=made.public_bytes(serialization.Encoding.PEM).decode(),
            serial=f"{made.serial_number:x}",
            begins=made.not_valid_before_utc,
            ends=made.not_valid_after_utc,
        )


def _read(csr: str) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        good = request.is_signature_valid
        algorithm = request.signature_hash_algorithm
    except Exception as error:  # the parser raises many kinds for hostile bytes, and none is ours
        raise Refused("no certificate request", got=type(error).__name__, expected="PKCS #10 in PEM") from error
    if not good:
        raise Refused("a certificate request that its own key did not sign")
    if not isinstance(algorithm, _HASHES):
        raise Refused(
            "a certificate request signed too weakly",
            got=algorithm.name if algorithm else "none",
            expected="SHA-256 or better",
        )
    return request


def _common_name(request: x509.CertificateSigningRequest) -> str:
    try:
        names = [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError as error:
        raise Refused("a certificate request without a readable name", got=str(error)) from error
    if len(names) != 1:
        raise Refused("a certificate request must have one common name", got=len(names))
    return names[0]


def _check_key(request: x509.CertificateSigningRequest) -> None:
    """The whitepaper's least: RSA from 2,048 bits, elliptic curves from 224."""
    try:
        key = request.public_key()
    except Exception as error:  # an unknown kind of key
        raise Refused("a key of an unknown kind", got=type(error).__name__) from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in RSA_BITS:
        return
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= EC_BITS_MIN:
        return
    raise Refused(
        "a key that is too weak or of another kind",
        got=f"{type(key).__name__}, {getattr(key, 'key_size', '?')} bits",
        expected="RSA from 2048 to 8192 bits, or an elliptic curve from 224",
    )
