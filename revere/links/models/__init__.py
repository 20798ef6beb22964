"""Charger models: what a maker's charger needs of us that the standard does not say, as TOML beside this file.

A model is chosen at boot by protocol, vendor, model and firmware (shell patterns, case aside); the one that says
most about the charger wins. One without ``vendor`` is chosen by name alone, for a station that names it.

::

    native21        2.1: Dynamic profiles, moved by UpdateDynamicSchedule
    draft21         the same messages as a draft over 2.0.1
    negative-limit  1.6 and 2.0.1: whole profiles that end by themselves, a limit below 0 discharges
    charge-only     the same, and no limit is ever below 0
    data-transfer   the vendor's own DataTransfer, from a template
    vendor-cloud    only its vendor commands it: metered, never told, never promised
"""

from __future__ import annotations

import fnmatch
import functools
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from revere.core.assets import Protocol
from revere.core.errors import RevereError
from revere.core.facts import Place

FOLDER: Final = Path(__file__).parent
HOW: Final = "docs/how-to/connect-a-station.md says what a model holds"
Way = Literal["native21", "draft21", "negative-limit", "charge-only", "data-transfer", "vendor-cloud"]
WAYS_OF: Final[dict[Protocol, frozenset[Way]]] = {
    "ocpp2.1": frozenset({"native21", "data-transfer", "vendor-cloud"}),
    "ocpp2.0.1": frozenset({"draft21", "negative-limit", "charge-only", "data-transfer", "vendor-cloud"}),
    "ocpp1.6": frozenset({"negative-limit", "charge-only", "data-transfer", "vendor-cloud"}),
}
"""How power is given by each protocol."""


class Variable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variable of the device model to set and read back at boot; of 1.6 a key, which is a ``variable`` alone.

    ``value``: as it is, but ``{measurands}`` is all that the house must hear, ``{interval_s}`` the station's own
    interval in a session. ``per_mode``: once for each operation mode that ``evse`` supports, as the instance.
    ``optional``: a charger that does not have it is none the worse.
    """

    variable: str
    value: str
    component: str = ""
    component_instance: str = ""
    evse: Annotated[int, msgspec.Meta(ge=1, le=99)] | None = None
    instance: str = ""
    per_mode: bool = False
    optional: bool = False


class DataTransfer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vendor's own setpoint; in ``data`` stand ``{setpoint_w}``, ``{evse_id}`` and ``{transaction_id}``."""

    vendor_id: str
    message_id: str
    data: str

    def filled(self, *, setpoint_w: float, evse_id: int, transaction_id: str) -> str:
        """The template with its values; other braces (JSON) stay as they are."""
        text = self.data.replace("{setpoint_w}", f"{setpoint_w:.0f}").replace("{evse_id}", str(evse_id))
        return text.replace("{transaction_id}", transaction_id)


class ChargerModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of charger.

    ``profile_interval_s``: the least time between two SetChargingProfile (they wear its flash).
    ``refused``: why such a charger may not work here at all, such as a firmware that is known to be dangerous.
    ``places``: where a sample was taken that the charger calls Inlet, Outlet or nothing (``unsaid``).
    """

    name: str
    protocols: tuple[Protocol, ...]
    way: Way
    vendor: str = ""
    model: str = "*"
    firmware: str = "*"
    profile_interval_s: Annotated[float, msgspec.Meta(ge=0.0, le=86_400.0)] = 60.0
    places: dict[Literal["Inlet", "Outlet", "unsaid"], Place] = {}
    variables: tuple[Variable, ...] = ()
    data_transfer: DataTransfer | None = None
    refused: str = ""

    @property
    def controllable(self) -> bool:
        """Whether we can give it power at all."""
        return self.way != "vendor-cloud"

    @property
    def discharges(self) -> bool:
        """Whether we can make it give power, where its hardware does."""
        return self.way not in ("charge-only", "vendor-cloud")

    @property
    def dynamic(self) -> bool:
        """Whether it speaks 2.1's smart charging."""
        return self.way in ("native21", "draft21")

    def matches(self, protocol: Protocol, who: tuple[str, str, str]) -> bool:
        """Whether a charger of this vendor, model and firmware is one of these."""
        if protocol not in self.protocols or not self.vendor:
            return False
        return all(
            fnmatch.fnmatchcase(said.casefold(), pattern.casefold())
            for said, pattern in zip(who, (self.vendor, self.model, self.firmware), strict=True)
        )

    def says(self) -> tuple[int, int, int]:
        """How much it says about a charger: letters of the vendor, model and firmware that must be there."""
        vendor, model, firmware = (
            len(pattern.replace("*", "")) for pattern in (self.vendor, self.model, self.firmware)
        )
        return vendor, model, firmware


def load_models(folder: Path = FOLDER) -> tuple[ChargerModel, ...]:
    """Every model of a folder, a file each; raises :class:`RevereError` for what cannot be one."""
    models = [_load(path) for path in sorted(folder.glob("*.toml"))]
    twice = {m.name for m in models if sum(m.name == other.name for other in models) > 1}
    if twice:
        raise RevereError("two charger models of one name", where=str(folder), got=", ".join(sorted(twice)))
    return tuple(models)


def models_with(folder: Path | None) -> tuple[ChargerModel, ...]:
    """Ours, and those of an operator's own folder. Raises :class:`RevereError` with the file and the key."""
    if folder is None:
        return our_models()
    if not folder.is_dir():
        raise RevereError("no folder of charger models", where="ocpp.models", got=str(folder), expected="a folder")
    theirs = load_models(folder)
    if not theirs:
        raise RevereError("no charger model in it", where="ocpp.models", got=str(folder), expected="files NAME.toml")
    ours = {model.name for model in our_models()}
    taken = sorted(model.name for model in theirs if model.name in ours)
    if taken:
        raise RevereError("a charger model of Revere's own name", where=str(folder), got=", ".join(taken))
    return (*our_models(), *theirs)


@functools.cache
def our_models() -> tuple[ChargerModel, ...]:
    """The models that come with this release."""
    return load_models()


def _load(path: Path) -> ChargerModel:
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ChargerModel)
    except OSError as error:
        raise RevereError("a charger model cannot be read", where=str(path), got=error.strerror) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise RevereError(f"no charger model: {error}", where=str(path), remedy=HOW) from error
    if not found.name or not found.protocols:
        raise RevereError("a charger model needs a name and protocols", where=str(path), remedy=HOW)
    for protocol in found.protocols:
        if found.way not in WAYS_OF[protocol]:
            expected = ", ".join(sorted(WAYS_OF[protocol]))
            raise RevereError(f"way: {protocol} has no such way", where=str(path), got=found.way, expected=expected)
    if (found.way == "data-transfer") != (found.data_transfer is not None):
        raise RevereError("data_transfer belongs to way data-transfer, and it needs one", where=str(path))
    for own in found.variables:
        _check_variable(own, found, path)
    return found


def _check_variable(own: Variable, model: ChargerModel, path: Path) -> None:
    """Refuse a variable that one of the model's protocols has no words for."""
    where = f"{path}: {own.component}.{own.variable}"
    placed = bool(own.component or own.component_instance or own.evse or own.instance or own.per_mode)
    if "ocpp1.6" in model.protocols and placed:
        raise RevereError("a key of OCPP 1.6 has a name alone", where=where, expected="variable and value", remedy=HOW)
    if model.protocols != ("ocpp1.6",) and not own.component:
        raise RevereError("a variable of OCPP 2 has a component", where=where, remedy=HOW)
    if own.per_mode and (own.evse is None or own.instance):
        raise RevereError("per_mode needs an evse, and no instance: that is the mode", where=where, remedy=HOW)


WAY_WORDS: Final[dict[Way, str]] = {
    "native21": "OCPP 2.1 set-points, both ways",
    "draft21": "the draft of OCPP 2.1's set-points over 2.0.1",
    "negative-limit": "limits below 0 mean giving",
    "charge-only": "limits; it only charges",
    "data-transfer": "its vendor's own message",
    "vendor-cloud": "not at all: only its vendor's cloud commands it",
}


def why(model: ChargerModel, who: tuple[str, str, str], named: str = "") -> str:
    """Why a charger that says it is ``who`` was taken for this model, for people."""
    if named == model.name:
        return "named in the registry"
    said = ", ".join(part for part in who if part) or "nothing of itself"
    if not model.says()[0]:
        return f"nothing narrower fits what it said: {said}"
    wanted = ", ".join((model.vendor, model.model, model.firmware))
    return f"it said {said}, which fits {wanted}"


def choose(
    models: tuple[ChargerModel, ...], protocol: Protocol, who: tuple[str, str, str], named: str = ""
) -> ChargerModel:
    """The model of a charger that says it is ``who`` (vendor, model, firmware), or the one that is ``named``.

    Raises :class:`RevereError` where the name is unknown or belongs to another protocol.
    """
    if named:
        found = [m for m in models if m.name == named and protocol in m.protocols]
        if not found:
            known = ", ".join(m.name for m in models if protocol in m.protocols)
            raise RevereError("no such charger model", where="charger_model", got=named, expected=known)
        return found[0]
    return max((m for m in models if m.matches(protocol, who)), key=ChargerModel.says)
