"""Orders: what an operator may ask of one station, in the house's words; links translate them.

Each is checked where it comes in: every text, list and number has its bound here. An edition or a charger that cannot
carry one out answers ``rejected`` with the reason. ``evse_id`` left out means the whole station.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

EvseId = Annotated[int, Meta(ge=1, le=999)]
ConnectorId = Annotated[int, Meta(ge=1, le=99)]
Name = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[ -~]*\Z")]
Value = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*\Z")]
Attribute = Literal["actual", "target", "least", "most"]
Inventory = Literal["configuration", "full", "summary"]
Report = Literal[
    "boot",
    "heartbeat",
    "status",
    "meter-values",
    "transaction",
    "log-status",
    "firmware-status",
    "published-firmware-status",
    "certificate-request",
]


def _kind(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


class OrderBase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=_kind):
    """Common to all orders. ``kind`` on the wire is the class's name in small letters: ``reset-station``."""


class ResetStation(OrderBase, frozen=True, kw_only=True):
    """Start the station, or one EVSE, anew: at once, or when no session runs any more."""

    when: Literal["idle", "now"] = "idle"
    evse_id: EvseId | None = None


class VariableName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variable of a station's device model; a key of OCPP 1.6 has no ``component``."""

    variable: Name
    component: Annotated[str, Meta(max_length=50, pattern=r"^[ -~]*\Z")] = ""
    variable_instance: Name | None = None
    component_instance: Name | None = None
    evse_id: EvseId | None = None
    connector_id: ConnectorId | None = None
    attribute: Attribute = "actual"


class VariableSetting(VariableName, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same with the value that it shall have."""

    value: Value


class ReadVariables(OrderBase, frozen=True, kw_only=True):
    """Ask for variables by name."""

    variables: Annotated[tuple[VariableName, ...], Meta(min_length=1, max_length=64)]


class WriteVariables(OrderBase, frozen=True, kw_only=True):
    """Set variables. Secrets are not set this way: nobody is to see them."""

    settings: Annotated[tuple[VariableSetting, ...], Meta(min_length=1, max_length=64)]


class TakeInventory(OrderBase, frozen=True, kw_only=True):
    """Have the station report its device model: what can be set, all of it, or what is wrong."""

    base: Inventory = "full"


class SetAvailability(OrderBase, frozen=True, kw_only=True):
    """Put the station, an EVSE or a connector in or out of service; a session that runs there ends first."""

    operative: bool
    evse_id: EvseId | None = None
    connector_id: ConnectorId | None = None


class ClearCache(OrderBase, frozen=True, kw_only=True):
    """Have the station forget which tokens it has seen accepted."""


class StartSession(OrderBase, frozen=True, kw_only=True):
    """Start a session for a token of the programme: at one EVSE, or at whichever the station chooses."""

    token: Annotated[str, Meta(min_length=1, max_length=36, pattern=r"^[!-~]*\Z")]
    evse_id: EvseId | None = None


class StopSession(OrderBase, frozen=True, kw_only=True):
    """End a session of the station, by our id of it. The vehicle stays plugged."""

    session_id: Annotated[str, Meta(min_length=1, max_length=96, pattern=r"^[!-~]*\Z")]


class TriggerReport(OrderBase, frozen=True, kw_only=True):
    """Have the station send one of its own messages now."""

    report: Report
    evse_id: EvseId | None = None
    connector_id: ConnectorId | None = None


class UnlockConnector(OrderBase, frozen=True, kw_only=True):
    """Let go of a cable that is stuck. Refused by the station while a session of its own is authorised there."""

    evse_id: EvseId
    connector_id: ConnectorId = 1


class SetNetworkProfile(OrderBase, frozen=True, kw_only=True):
    """Store a way to reach us in one of the station's slots; which slot counts is a variable of its own."""

    slot: Annotated[int, Meta(ge=0, le=99)]
    url: Annotated[str, Meta(min_length=6, max_length=512, pattern=r"^wss?://[!-~]+\Z")]
    security_profile: Annotated[int, Meta(ge=1, le=3)]
    interface: Literal["Wired0", "Wired1", "Wired2", "Wired3", "Wireless0", "Wireless1", "Wireless2", "Wireless3"] = (
        "Wired0"
    )
    answer_within_s: Annotated[int, Meta(ge=1, le=300)] = 30


Order = (
    ResetStation
    | ReadVariables
    | WriteVariables
    | TakeInventory
    | SetAvailability
    | ClearCache
    | StartSession
    | StopSession
    | TriggerReport
    | UnlockConnector
    | SetNetworkProfile
)
"""All of them, told apart by ``kind``."""


def kind_of(order: OrderBase | type[OrderBase]) -> str:
    """An order's word on the wire and in the journal: ``reset-station``."""
    return _kind((order if isinstance(order, type) else type(order)).__name__)
