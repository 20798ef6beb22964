"""What firmware and logs have in common in all editions: the words of their progress, and what an order must have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from revere.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.facts import FirmwareStatus
    from revere.core.orders import UpdateFirmware

REQUEST: Final = "request"
"""The name under which an order's number is told: the station's reports carry it."""
CANCELS: Final = ("AcceptedCanceled",)
"""Also yes: what ran before is given up for it."""
FIRMWARE_STATUS: Final[Mapping[str, FirmwareStatus]] = {
    "Idle": "idle",
    "DownloadScheduled": "download_scheduled",
    "Downloading": "downloading",
    "DownloadPaused": "download_paused",
    "Downloaded": "downloaded",
    "DownloadFailed": "download_failed",
    "SignatureVerified": "signature_verified",
    "InvalidSignature": "invalid_signature",
    "InstallScheduled": "install_scheduled",
    "Installing": "installing",
    "InstallRebooting": "install_rebooting",
    "InstallVerificationFailed": "install_verification_failed",
    "InstallationFailed": "installation_failed",
    "Installed": "installed",
}
"""OCPP's words, in 1.6 a part of them, as ours."""


def check_signed(order: UpdateFirmware) -> None:
    """Raise :class:`Refused` for a signature without its certificate, or the other way round."""
    if bool(order.signing_certificate) != bool(order.signature):
        raise Refused(
            "a signature and its certificate come together",
            got="signature" if order.signature else "signing_certificate",
            expected="both, or none for firmware that is not signed",
        )


class CertificateHashes(Protocol):
    """A certificate as every edition names it."""

    @property
    def hashAlgorithm(self) -> str: ...  # noqa: N802  # the standard's names
    @property
    def issuerNameHash(self) -> str: ...  # noqa: N802
    @property
    def issuerKeyHash(self) -> str: ...  # noqa: N802
    @property
    def serialNumber(self) -> str: ...  # noqa: N802


def hash_text(found: CertificateHashes) -> str:
    """A certificate's hashes as one text, with which it can be deleted."""
    return f"{found.hashAlgorithm}:{found.issuerNameHash}:{found.issuerKeyHash}:{found.serialNumber}"


def hash_fields(text: str) -> dict[str, str]:
    """The same back in the standard's fields, letter by letter as it was told; ``text`` is checked by its order."""
    algorithm, name_hash, key_hash, serial = text.split(":")
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": name_hash,
        "issuerKeyHash": key_hash,
        "serialNumber": serial,
    }
