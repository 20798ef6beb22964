"""New firmware in a strict station: fetched, verified, installed between sessions, in force after a restart.

::

    order ─▶ Downloading ─▶ Downloaded ─▶ SignatureVerified ─▶ (a session runs: InstallScheduled) ─▶ Installing
          ─▶ InstallRebooting ─▶ the station is away, boots with the new version ─▶ Installed

What is fetched is known by its address alone: ``.../anything_VERSION.bin`` holds :func:`image` of that version, and a
signature is real: RSA or ECDSA with SHA-256 over those bytes, by a certificate that the maker's root has issued.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, get_args

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from revere.core.time import UTC
from revere.twin.seeds import stream

if TYPE_CHECKING:
    from revere.twin.station import Station

FIRST_VERSION: Final = "twin-1"
DOWNLOAD_S: Final = (60.0, 180.0)
VERIFY_S: Final = 10.0
INSTALL_S: Final = (60.0, 150.0)
REBOOT_S: Final = (40.0, 90.0)
LAST_WORD_S: Final = 3.0
"""Between its last word and its going away."""
CANCELS: Final = "AcceptedCanceled"

Fate = Literal[
    "well",
    "download_fails",
    "does_not_verify",
    "install_fails",
    "other_version",
    "no_fallback",
    "mute",
]
"""How an update ends: ``no_fallback`` takes no default profile any more, ``mute`` never speaks of it again."""


def image(version: str) -> bytes:
    """The firmware of a version, as its maker signs it."""
    return f"revere twin firmware {version}".encode()


def version_in(location: str) -> str:
    """The version of the file at an address."""
    return location.rsplit("/", 1)[-1].removesuffix(".bin").rpartition("_")[2]


class Updater:
    """One station's firmware. ``say`` tells the central system how far it is; ``fate`` may be set, else the seed rules.

    ``root`` is the maker's certificate that the station trusts; without one every certificate that is valid is good.
    """

    def __init__(self, station: Station, say: Callable[[str, int | None], None]) -> None:
        self.version = FIRST_VERSION
        self.fate: Fate | None = None
        self.root: x509.Certificate | None = None
        self.refuses_default = False
        self._station = station
        self._say = say
        self._failing = station.nature.firmware_failure_share
        self._rng = stream(station.seed, "firmware", station.asset.id)
        self._state: Literal["idle", "fetching", "waiting", "installing", "rebooting"] = "idle"
        self._number: int | None = None
        self._new = ""
        self._install_at_s = 0.0
        self._signed: tuple[x509.Certificate, bytes] | None = None
        self._drawn: Fate = "well"
        self._ending = ""
        self._word = "Idle"

    @property
    def installing(self) -> bool:
        """Whether no session may begin."""
        return self._state in ("installing", "rebooting")

    def order(
        self, location: str, number: int | None, retrieve_s: float, install_s: float, certificate: str, signature: str
    ) -> str:
        """A new order; moments in seconds from now. The answer in OCPP's words."""
        if self.installing:
            return "Rejected"
        self._signed = None
        if certificate:
            try:
                found = self._checked(certificate)
                self._signed = (found, base64.b64decode(signature, validate=True))
            except (ValueError, TypeError, InvalidSignature, binascii.Error):
                return "InvalidCertificate"
        answer = "Accepted" if self._state == "idle" else CANCELS
        self._state, self._number, self._new = "fetching", number, version_in(location)
        self._install_at_s = self._station.time.true_s() + install_s
        self._drawn = self.fate or self._draw()
        if retrieve_s > 0:
            self._tell("DownloadScheduled")
        self._later(retrieve_s, self._fetch)
        return answer

    def _draw(self) -> Fate:
        failing = [fate for fate in get_args(Fate) if fate != "well"]
        if float(self._rng.random()) >= self._failing:
            return "well"
        drawn: Fate = failing[int(self._rng.integers(len(failing)))]
        return drawn

    def _checked(self, pem: str) -> x509.Certificate:
        """The signing certificate, in force by the station's clock and of its maker."""
        certificate = x509.load_pem_x509_certificate(pem.encode())
        now = dt.datetime.fromtimestamp(self._station.time.now_s(), UTC)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise ValueError("not in force")
        if self.root is not None:
            certificate.verify_directly_issued_by(self.root)
        return certificate

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._station.later("firmware", delay_s, action)

    def tell_again(self) -> bool:
        """Say how far it is, as it is asked to: idle where nothing is under way."""
        if self._state == "idle":
            self._say("Idle", None)
        else:
            self._tell(self._word)
        return True

    def _tell(self, word: str) -> None:
        self._word = word
        if self._drawn != "mute":
            self._say(word, self._number)

    def _fail(self, word: str) -> None:
        self._tell(word)
        self._state = "idle"

    def _fetch(self) -> None:
        self._tell("Downloading")
        self._later(float(self._rng.uniform(*DOWNLOAD_S)), self._fetched)

    def _fetched(self) -> None:
        if self._drawn == "download_fails":
            self._fail("DownloadFailed")
            return
        self._tell("Downloaded")
        if self._signed is None:
            self._wait()
        else:
            self._later(VERIFY_S, self._verify)

    def _verify(self) -> None:
        assert self._signed is not None
        try:
            _verify(self._signed[0], self._signed[1], image(self._new))
        except (InvalidSignature, ValueError):
            self._fail("InvalidSignature")
            return
        self._tell("SignatureVerified")
        self._wait()

    def _wait(self) -> None:
        """Install when the time has come and no session runs."""
        self._state = "waiting"
        early_s = self._install_at_s - self._station.time.true_s()
        if early_s > 0 or self._station.in_session():
            self._tell("InstallScheduled")
        if early_s > 0:
            self._later(early_s, self.session_ended)
        else:
            self.session_ended()

    def session_ended(self) -> None:
        """Install what waits for that."""
        early = self._station.time.true_s() < self._install_at_s
        if self._state != "waiting" or early or self._station.in_session():
            return
        self._state = "installing"
        self._tell("Installing")
        self._later(float(self._rng.uniform(*INSTALL_S)), self._installed)

    def _installed(self) -> None:
        if self._drawn == "does_not_verify":
            self._fail("InstallVerificationFailed")
            return
        self._state = "rebooting"
        self._tell("InstallRebooting")
        self._later(LAST_WORD_S, self._reboot)

    def _reboot(self) -> None:
        match self._drawn:
            case "install_fails" | "mute":
                self._ending = "InstallationFailed"
            case "other_version":
                self.version, self._ending = f"{self._new}-beta", "Installed"
            case drawn:
                self.refuses_default = drawn == "no_fallback"
                self.version, self._ending = self._new, "Installed"
        self._station.upkeep.reboot("FirmwareUpdate", float(self._rng.uniform(*REBOOT_S)))

    def booted(self) -> None:
        """The station is back and accepted: say how it ended."""
        if self._state == "rebooting":
            self._state = "idle"
            self._tell(self._ending)


def _verify(certificate: x509.Certificate, signature: bytes, content: bytes) -> None:
    """Raise ``InvalidSignature`` or ``ValueError`` unless the certificate's key has signed the content."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
    else:
        raise ValueError("neither RSA nor elliptic")
