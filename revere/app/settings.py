"""Settings of a production server: ``revere.toml``, the environment, and secrets in the state folder."""

from __future__ import annotations

import os
import secrets
import ssl
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from revere.core.errors import RevereError, ScenarioError
from revere.web.settings import WebSettings, is_loopback

SETTINGS_FILE = "revere.toml"
SETTINGS_MAX_BYTES = 64 * 1024
STATE_VARIABLE = "REVERE_STATE"
DSN_VARIABLE = "REVERE_DSN"
OWNER_DSN_VARIABLE = "REVERE_OWNER_DSN"
UTILITY_SECRET_VARIABLE = "REVERE_UTILITY_SECRET"  # noqa: S105  # the variable's name, not a secret
KEY_BYTES = 32


class OcppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where stations connect: beyond loopback only by TLS (OCPP security profile 2).

    With ``tls_cert`` and ``tls_key`` (PEM files) we speak it ourselves; ``behind_tls_proxy`` says that a proxy in front
    ends it and that nobody else reaches this port.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 9000
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_tls_proxy: bool = False

    def address(self, port: int) -> str:
        """Where a station finds us."""
        return f"{'wss' if self.tls_cert else 'ws'}://{self.host}:{port}/ocpp/{{station_id}}"


class UtilitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The utility's OpenADR 3 server; the client's secret comes from the environment or the state folder."""

    base_url: str
    client_id: str
    poll_s: float = 60.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of ``revere.toml``. ``programme`` is the tenant whose registry is served.

    ``clock``: nothing settles unless the kernel says that its clock is synchronised (``kernel``), or a person vouches
    for it where the kernel cannot say, as in some containers (``trusted``).
    """

    programme: str = "masscec"
    clock: Literal["kernel", "trusted"] = "kernel"
    web: WebSettings = WebSettings()
    ocpp: OcppSettings = OcppSettings()
    utility: UtilitySettings | None = None


def load_settings(path: Path | None = None) -> Settings:
    """Settings from ``path`` (default ``revere.toml`` beside us; all defaults where there is none).

    Raises :class:`ScenarioError` naming file, key and way out.
    """
    file = path or Path(SETTINGS_FILE)
    if not file.exists():
        if path is not None:
            raise ScenarioError("no such settings file", where=str(path), remedy="Correct --config or leave it out")
        return Settings()
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ScenarioError(f"cannot be read: {error.strerror}", where=str(file)) from error
    if len(raw) > SETTINGS_MAX_BYTES:
        raise ScenarioError(
            "the settings file is too large", where=str(file), got=len(raw), expected=SETTINGS_MAX_BYTES
        )
    try:
        return msgspec.convert(tomllib.loads(raw.decode()), Settings, strict=False, dec_hook=_path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ScenarioError(
            str(error), where=str(file), remedy="docs/how-to/install.md shows a settings file"
        ) from error


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError


def station_tls(settings: OcppSettings) -> ssl.SSLContext | None:
    """What the stations' port speaks TLS with, None for clear text on loopback or behind a proxy.

    Raises :class:`ScenarioError` for clear text beyond loopback, half a certificate, or files that are none.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if cert is None and key is None:
        if settings.behind_tls_proxy or is_loopback(settings.host):
            return None
        raise ScenarioError(
            "stations beyond this machine need TLS: their passwords and commands would pass in clear text",
            where="ocpp.host",
            got=settings.host,
            expected="127.0.0.1, ::1 or localhost",
            remedy="Set ocpp.tls_cert and ocpp.tls_key, or ocpp.behind_tls_proxy = true where a proxy ends TLS",
        )
    if cert is None or key is None:
        raise ScenarioError(
            "TLS needs both a certificate and a key",
            where="ocpp.tls_cert, ocpp.tls_key",
            got="one of them",
            expected="both or none",
            remedy="Name the missing file",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:  # an SSLError is one
        raise ScenarioError(
            "the certificate and its key cannot be used",
            where="ocpp.tls_cert, ocpp.tls_key",
            got=f"{cert}, {key}: {error.strerror or error}",
            expected="two PEM files that belong together",
            remedy="Correct the paths, or make the pair anew",
        ) from error
    return context


def state_folder() -> Path:
    """Where data and secrets live: ``REVERE_STATE``, else the system's place for such things.

    Made with mode 0700; as root 0711, because PostgreSQL, which refuses to run as root, must pass through it to its
    own folder. Every file with a secret is 0600 by itself.
    """
    named = os.environ.get(STATE_VARIABLE)
    if named:
        folder = Path(named)
    elif os.getuid() == 0:
        folder = Path("/var/lib/revere")
    else:
        folder = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "revere"
    folder.mkdir(parents=True, exist_ok=True, mode=0o711 if os.getuid() == 0 else 0o700)
    return folder


def secret_file(folder: Path, name: str) -> bytes:
    """A secret of our own, made at first need with mode 0600. Raises for one that others may read."""
    path = folder / name
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise RevereError(
                "a secret file may be read by others",
                where=str(path),
                got=oct(path.stat().st_mode & 0o777),
                expected="0o600",
                remedy=f"Run: chmod 600 {path}",
            ) from None
        return path.read_bytes()
    secret = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
    return secret
