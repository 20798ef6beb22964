"""Orders: what an operator may ask of one station, in the house's words; links translate them.

Each is checked where it comes in: every text, list and number has its bound here. An edition or a charger that cannot
carry one out answers ``rejected`` with the reason. ``evse_id`` left out means the whole station.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from revere.core.order_base import EvseId as EvseId
from revere.core.order_base import Moment as Moment
from revere.core.order_base import OrderBase as OrderBase
from revere.core.order_base import words_of
from revere.core.v2x_orders import (
    AllowTransfer,
    ClearDerControls,
    EndOperationMode,
    ListChargingProfiles,
    ListDerControls,
    SendFrequencySignal,
    SetDerControl,
    SetOperationMode,
    UsePriority,
)

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
Address = Annotated[str, Meta(min_length=8, max_length=512, pattern=r"^[!-~]+\Z")]
Retries = Annotated[int, Meta(ge=0, le=10)]
Seconds = Annotated[int, Meta(ge=0, le=86_400)]
Pem = Annotated[
    str, Meta(max_length=10_000, pattern=r"^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n-]+ CERTIFICATE-----\n?\Z")
]
CertificateUse = Literal["csms-root", "manufacturer-root", "v2g-root", "mo-root", "oem-root", "v2g-chain"]
MonitorKind = Literal[
    "upper-threshold",
    "lower-threshold",
    "delta",
    "periodic",
    "periodic-clock-aligned",
    "target-delta",
    "target-delta-relative",
]
MonitorGroup = Literal["threshold", "delta", "periodic"]
Severity = Annotated[int, Meta(ge=0, le=9)]
MonitorId = Annotated[int, Meta(ge=0, le=2_147_483_647)]
CertificateHash = Annotated[
    str, Meta(pattern=r"^(SHA256|SHA384|SHA512):[0-9A-Za-z]{1,128}:[0-9A-Za-z]{1,128}:[0-9A-Za-z]{1,40}\Z")
]
"""``ALGORITHM:issuer name hash:issuer key hash:serial number``, letter by letter as a station tells it."""


class ResetStation(OrderBase, frozen=True, kw_only=True):
    """Start the station, or one EVSE, anew: at once, or when no session runs any more.

    ``resume`` (OCPP 2.1): at once, and the session goes on afterwards.
    """

    when: Literal["idle", "now", "resume"] = "idle"
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


class QueryDeviceModel(OrderBase, frozen=True, kw_only=True):
    """Have the station report a part of its device model: some variables, or all of the components named.

    ``state`` picks components that are in one of these states; both together must hold.
    """

    variables: Annotated[tuple[VariableName, ...], Meta(max_length=64)] = ()
    components: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    state: Annotated[tuple[Literal["active", "available", "enabled", "problem"], ...], Meta(max_length=4)] = ()


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


class SendLocalList(OrderBase, frozen=True, kw_only=True):
    """Give the station its list of tokens, for when it is offline: all of it, or what has changed since the last."""

    update: Literal["full", "differences"] = "full"


class AskTransaction(OrderBase, frozen=True, kw_only=True):
    """Ask whether a session still runs and its messages wait in the station; with none named, whether any wait."""

    session_id: Annotated[str, Meta(max_length=100, pattern=r"^[ -~]*\Z")] = ""


class SetNetworkProfile(OrderBase, frozen=True, kw_only=True):
    """Store a way to reach us in one of the station's slots; which slot counts is a variable of its own."""

    slot: Annotated[int, Meta(ge=0, le=99)]
    url: Annotated[str, Meta(min_length=6, max_length=512, pattern=r"^wss?://[!-~]+\Z")]
    security_profile: Annotated[int, Meta(ge=1, le=3)]
    interface: Literal["Wired0", "Wired1", "Wired2", "Wired3", "Wireless0", "Wireless1", "Wireless2", "Wireless3"] = (
        "Wired0"
    )
    answer_within_s: Annotated[int, Meta(ge=1, le=300)] = 30


class FileOrder(OrderBase, frozen=True, kw_only=True):
    """An order that has the station fetch or bring a file: only with hosts that the settings name."""

    location: Address


class UpdateFirmware(FileOrder, frozen=True, kw_only=True):
    """Fetch new firmware and install it. With ``signature`` (Base64) and its certificate the station checks it first.

    A station finishes its sessions before it installs. For more than one station: a campaign.
    """

    retrieve_at: Moment | None = None
    install_at: Moment | None = None
    signing_certificate: Annotated[str, Meta(max_length=5500)] = ""
    signature: Annotated[str, Meta(max_length=800, pattern=r"^[A-Za-z0-9+/=]*\Z")] = ""
    retries: Retries | None = None
    retry_interval_s: Seconds | None = None
    request_id: Annotated[int, Meta(ge=1, le=2_147_483_647)] | None = None
    """The number in the station's reports; made here where it is left out."""

    def __post_init__(self) -> None:
        """Refuse a signature without its certificate, or the other way round."""
        if bool(self.signing_certificate) != bool(self.signature):
            raise ValueError("a signature and its certificate come together, or neither where firmware is not signed")


class PublishFirmware(FileOrder, frozen=True, kw_only=True):
    """Have a local controller fetch firmware and offer it to the stations of its site; ``checksum`` is its MD5."""

    checksum: Annotated[str, Meta(min_length=32, max_length=32, pattern=r"^[0-9a-fA-F]+\Z")]


class UnpublishFirmware(OrderBase, frozen=True, kw_only=True):
    """Have a local controller offer it no more."""

    checksum: Annotated[str, Meta(min_length=32, max_length=32, pattern=r"^[0-9a-fA-F]+\Z")]


class FetchLog(FileOrder, frozen=True, kw_only=True):
    """Have the station bring a log to ``location``; a newer order ends an older one."""

    log: Literal["diagnostics", "security", "data-collector"] = "diagnostics"
    oldest: Moment | None = None
    newest: Moment | None = None
    retries: Retries | None = None
    retry_interval_s: Seconds | None = None


class Monitor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bound (or a pace) at which a station tells of a variable; ``severity`` 0 is danger, 9 debugging.

    With ``id`` it takes the place of one that is set.
    """

    component: Name
    variable: Name
    what: MonitorKind
    value: float
    severity: Severity
    component_instance: Name | None = None
    variable_instance: Name | None = None
    evse_id: EvseId | None = None
    in_session: bool = False
    id: MonitorId | None = None


class SetMonitors(OrderBase, frozen=True, kw_only=True):
    """Have the station watch variables."""

    monitors: Annotated[tuple[Monitor, ...], Meta(min_length=1, max_length=32)]


class ClearMonitors(OrderBase, frozen=True, kw_only=True):
    """Have the station watch no more, by the numbers that it gave."""

    ids: Annotated[tuple[MonitorId, ...], Meta(min_length=1, max_length=64)]


class ListMonitors(OrderBase, frozen=True, kw_only=True):
    """What the station watches: all, or these kinds, or these variables."""

    of: Annotated[tuple[MonitorGroup, ...], Meta(max_length=3)] = ()
    variables: Annotated[tuple[VariableName, ...], Meta(max_length=32)] = ()


class SetMonitoringBase(OrderBase, frozen=True, kw_only=True):
    """Go back to the monitors that the maker set, or to those of the hardware alone; ``all`` keeps ours."""

    base: Literal["all", "factory", "hardware"]


class SetMonitoringLevel(OrderBase, frozen=True, kw_only=True):
    """Be told of what is at least so severe: 0 danger alone, 9 everything."""

    severity: Severity


class AskCustomer(OrderBase, frozen=True, kw_only=True):
    """What a station keeps of a person: report it, erase it, or both. Told to who asks; never in the journal.

    Exactly one of ``token`` (with its type), ``customer`` and ``certificate``.
    """

    report: bool = True
    clear: bool = False
    token: Annotated[str, Meta(max_length=36, pattern=r"^[ -~]*\Z")] = ""
    token_type: Annotated[str, Meta(min_length=1, max_length=20, pattern=r"^[ -~]*\Z")] = "Central"  # noqa: S105  # a kind of token
    customer: Annotated[str, Meta(max_length=64)] = ""
    certificate: CertificateHash | None = None


class InstallCertificate(OrderBase, frozen=True, kw_only=True):
    """Have the station trust another root."""

    use: CertificateUse
    certificate: Pem


class ListCertificates(OrderBase, frozen=True, kw_only=True):
    """Which certificates the station holds, as the hashes by which they can be deleted."""

    uses: Annotated[tuple[CertificateUse, ...], Meta(max_length=6)] = ()


class DeleteCertificate(OrderBase, frozen=True, kw_only=True):
    """Have the station forget a certificate, by the hashes that it has told."""

    certificate: CertificateHash


class SendVendorMessage(OrderBase, frozen=True, kw_only=True):
    """A message that only its vendor knows."""

    vendor: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[ -~]*\Z")]
    message: Annotated[str, Meta(max_length=50, pattern=r"^[ -~]*\Z")] = ""
    content: Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00]*\Z")] = ""


Order = (
    ResetStation
    | ReadVariables
    | WriteVariables
    | TakeInventory
    | QueryDeviceModel
    | SetAvailability
    | ClearCache
    | StartSession
    | StopSession
    | TriggerReport
    | UnlockConnector
    | SetNetworkProfile
    | UpdateFirmware
    | PublishFirmware
    | UnpublishFirmware
    | FetchLog
    | SetMonitors
    | ClearMonitors
    | ListMonitors
    | SetMonitoringBase
    | SetMonitoringLevel
    | AskCustomer
    | InstallCertificate
    | ListCertificates
    | DeleteCertificate
    | SendVendorMessage
    | AskTransaction
    | SendLocalList
    | SetOperationMode
    | EndOperationMode
    | UsePriority
    | SendFrequencySignal
    | AllowTransfer
    | ListChargingProfiles
    | SetDerControl
    | ListDerControls
    | ClearDerControls
)
"""All of them, told apart by ``kind``."""


def kind_of(order: OrderBase | type[OrderBase]) -> str:
    """An order's word on the wire and in the journal: ``reset-station``."""
    return words_of((order if isinstance(order, type) else type(order)).__name__)
