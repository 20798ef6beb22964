"""A test PKI for the stations' port: one root, the server's certificate, one for each station.

Elliptic keys on P-256, signed with SHA-256, as OCPP's security whitepaper allows. For benches and trials: the root's
key lies beside the others, so whoever reads the folder can make a station of his own.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from revere.core.errors import Refused, RevereError
from revere.core.ids import check_id
from revere.core.ports import CERTIFICATES_BEGIN_EARLIER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ROOT, SERVER, STATIONS = "root", "server", "stations"
CERT, KEY = ".pem", ".key"
DEFAULT_HOSTS = ("localhost", "127.0.0.1")
ORGANISATION = "Revere test PKI"
DAYS_MAX = 3_650
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs: a root certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_pki(
    folder: Path, hosts: Sequence[str] | None, stations: Sequence[str], *, days: int, now: dt.datetime
) -> list[Path]:
    """Make what ``folder`` lacks of root and server certificate, and a certificate for each of ``stations``.

    The paths of the files written, each with mode 0600. Nothing is overwritten: raises :class:`Refused`, before
    anything is written, for a certificate that is asked for and there already, and for half a pair.
    """
    if not 1 <= days <= DAYS_MAX:
        raise Refused("the certificates' days", got=days, expected=f"1 to {DAYS_MAX}")
    if len(set(stations)) != len(stations):
        raise Refused("a station is named twice", got=", ".join(stations))
    for station in stations:
        check_id(station, "the station's id")
        if _pair_exists(folder / STATIONS / station):
            raise _there_already("the station", folder / STATIONS / station)
    has_root, has_server = _pair_exists(folder / ROOT), _pair_exists(folder / SERVER)
    if has_server and not has_root:
        raise Refused("a server's certificate without its root", where=str(folder), remedy="Name another folder")
    if has_server and hosts:
        raise _there_already("the server", folder / SERVER)
    hosts = hosts or DEFAULT_HOSTS
    names = [_host_name(host) for host in hosts]
    span = (now - CERTIFICATES_BEGIN_EARLIER, now + dt.timedelta(days=days))
    written: list[Path] = []
    if not has_root:
        written += _make_root(folder, span)
    root = _read_root(folder)
    if not has_server:
        subject = _name(hosts[0])
        extensions = [
            (x509.SubjectAlternativeName(names), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        ]
        written += _issue(root, folder / SERVER, subject, extensions, span)
    for station in stations:
        use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        written += _issue(root, folder / STATIONS / station, _name(station), [(use, False)], span)
    return written


def _there_already(whose: str, stem: Path) -> Refused:
    return Refused(
        f"{whose} has its certificate already",
        where=str(_file(stem, CERT)),
        remedy="Move the old pair away to make a new one",
    )


def _pair_exists(stem: Path) -> bool:
    """Whether certificate and key are there. Raises for one without the other."""
    found = [path for path in (_file(stem, CERT), _file(stem, KEY)) if path.exists()]
    if len(found) == 1:
        raise Refused("half a pair of certificate and key", where=str(found[0]), remedy="Move it away or add the other")
    return bool(found)


def _file(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)  # an id may have dots


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise Refused("no host's name", got=host, expected="such as csms.example.org or 192.0.2.7") from error


def _name(common: str) -> x509.Name:
    try:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
                x509.NameAttribute(NameOID.COMMON_NAME, common),
            ]
        )
    except ValueError as error:
        raise Refused("no name for a certificate", got=common, expected="1 to 64 characters") from error


def _make_root(folder: Path, span: tuple[dt.datetime, dt.datetime]) -> list[Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{ORGANISATION} root")
    certificate = (
        _builder(name, name, key.public_key(), span)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _write(folder / ROOT, certificate, key)


def _issue(
    root: Authority,
    stem: Path,
    subject: x509.Name,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    span: tuple[dt.datetime, dt.datetime],
) -> list[Path]:
    """Make a key and have the root sign for it; no certificate outlives its root."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _write(stem, _certify(root, subject, key.public_key(), extensions, span), key)


def sign_for(
    root: Authority,
    common: str,
    key: PublicKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    now: dt.datetime,
    days: int,
    after: dt.datetime | None = None,
) -> x509.Certificate:
    """A certificate for somebody else's key, in our own name form; it begins a little before ``now``.

    Yet later than ``after``: certificates tell whole seconds.
    """
    begins = now - CERTIFICATES_BEGIN_EARLIER
    if after is not None:
        begins = max(begins, after + dt.timedelta(seconds=1))
    return _certify(root, _name(common), key, extensions, (begins, now + dt.timedelta(days=days)))


def _certify(
    root: Authority,
    subject: x509.Name,
    key: PublicKey,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    span: tuple[dt.datetime, dt.datetime],
) -> x509.Certificate:
    until = min(span[1], root.certificate.not_valid_after_utc)
    builder = (
        _builder(subject, root.certificate.subject, key, (span[0], until))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(root.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, span: tuple[dt.datetime, dt.datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _read_root(folder: Path) -> Authority:
    return read_authority(_file(folder / ROOT, CERT), _file(folder / ROOT, KEY))


def read_authority(cert: Path, key: Path) -> Authority:
    """Who signs, from two files. Raises where they cannot be read or do not belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(cert.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise RevereError("the root cannot be read", where=str(cert), got=str(error)) from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != certificate.public_key():
        raise RevereError("the root's key is another's", where=str(key), remedy="Name another folder")
    return Authority(certificate, private)


def _write(stem: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> list[Path]:
    """Both files, mode 0600, in a folder with mode 0700; fails where one exists."""
    stem.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = {_file(stem, KEY): private, _file(stem, CERT): certificate.public_bytes(serialization.Encoding.PEM)}
    for path, content in files.items():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    return list(files)
