"""What firmware and logs have in common in all editions: words of their progress, and the name of a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.facts import FirmwareStatus

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
