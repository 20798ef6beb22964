"""Settings of a production server: ``revere.toml``, the environment, and secrets in the state folder."""

from __future__ import annotations

import os
import secrets
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from revere.core.errors import RevereError, ScenarioError
from revere.web.settings import WebSettings

SETTINGS_FILE = "revere.toml"
SETTINGS_MAX_BYTES = 64 * 1024
STATE_VARIABLE = "REVERE_STATE"
DSN_VARIABLE = "REVERE_DSN"
OWNER_DSN_VARIABLE = "REVERE_OWNER_DSN"
UTILITY_SECRET_VARIABLE = "REVERE_UTILITY_SECRET"  # noqa: S105  # the variable's name, not a secret
KEY_BYTES = 32


class OcppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where stations connect: beyond loopback only by TLS (OCPP security profiles 2 and 3).

    With ``tls_cert`` and ``tls_key`` (PEM files) we speak it ourselves; ``behind_tls_proxy`` says that a proxy in front
    ends it and that nobody else reaches this port. ``tls_station_root`` signs the certificates of profile 3 stations;
    with its key beside it, ``tls_station_root_key``, stations get new ones over OCPP.
    ``bench`` lets stations of profile 0 in, who prove nothing. ``file_hosts`` names where stations may fetch firmware
    and bring logs, such as ``https://files.example.org``: nowhere unless it is named. ``inspect_first`` holds a charger
    that boots for the first time (Pending) until it is set and its device model is read. ``models`` is a folder of the
    operator's own charger models, beside those that come with Revere.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 9000
    models: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_station_root: Path | None = None
    tls_station_root_key: Path | None = None
    behind_tls_proxy: bool = False
    bench: bool = False
    file_hosts: tuple[str, ...] = ()
    inspect_first: bool = False

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


def state_folder() -> Path:
    """Where data and secrets live: ``REVERE_STATE``, else the system's place for such things. Nothing is made."""
    named = os.environ.get(STATE_VARIABLE)
    if named:
        return Path(named)
    if os.getuid() == 0:
        return Path("/var/lib/revere")
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "revere"


def make_state_folder(folder: Path) -> None:
    """Make the state folder where there is none, with mode 0700.

    As root 0711, because PostgreSQL, which refuses to run as root, must pass through it to its own folder. Every file
    with a secret is 0600 by itself.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o711 if os.getuid() == 0 else 0o700)


def secret_file(folder: Path, name: str) -> bytes:
    """A secret of our own, made at first need with mode 0600. Raises for one that others may read."""
    path = folder / name
    make_state_folder(folder)
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
