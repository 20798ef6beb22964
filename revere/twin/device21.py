"""A 2.x station's device model: what can be read, set and reported, and what is refused.

Names are those of the standard's appendix; reading, setting and reporting are real: the station obeys
the values that stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from revere.links.ocpp2.wire import v21 as wire
from revere.twin.profiles21 import PROFILES_MAX, STACK_LEVEL_MAX, Abilities
from revere.twin.tokens import ENTRIES_MAX, PER_MESSAGE

Payload = dict[str, Any]
Kind = Literal["string", "integer", "boolean", "OptionList", "MemberList", "decimal"]
Access = Literal["ReadOnly", "ReadWrite", "WriteOnly"]

CONTROLS: Final[tuple[str, ...]] = get_args(wire.DERControlEnum)
REPORT_CHUNK: Final = 20
V2X: Final = "V2XChargingCtrlr"
MEASURANDS: Final = (
    "Energy.Active.Import.Register",
    "Energy.Active.Export.Register",
    "Power.Active.Import",
    "Power.Active.Export",
    "SoC",
)
INTERVAL_MAX_S: Final = 86_400


@dataclass(slots=True, kw_only=True)
class Entry:
    """One variable: its value as text, who may change it, what values it takes."""

    component: str
    name: str
    value: str
    kind: Kind = "string"
    access: Access = "ReadWrite"
    evse_id: int | None = None
    instance: str | None = None
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = INTERVAL_MAX_S

    def fault(self, value: str) -> str | None:
        """Why ``value`` cannot be set, or None."""
        match self.kind:
            case "integer":
                good = value.isdigit() and self.least <= int(value) <= self.most
                return None if good else f"an integer from {self.least} to {self.most}"
            case "boolean":
                return None if value in ("true", "false") else "true or false"
            case "MemberList":
                unknown = [word for word in value.split(",") if word and word not in self.choices]
                return f"unknown members: {', '.join(unknown)}" if unknown else None
            case _:
                return None if len(value) <= 1000 else "too long"


class DeviceModel:
    """The variables of one station with one EVSE."""

    def __init__(self, station: Any, abilities: Abilities, changed: Callable[[str, str], None]) -> None:
        """``changed(component, variable)`` is called after each accepted change."""
        self._changed = changed
        self._entries: dict[tuple[str, str, int | None, str | None], Entry] = {}
        for entry in (*_controllers(station), *_smart_charging(station, abilities), *_hardware(station, abilities)):
            self._entries[entry.component, entry.name, entry.evse_id, entry.instance] = entry

    def integer(self, component: str, name: str) -> int:
        """A variable's whole number."""
        return int(self._entries[component, name, None, None].value)

    def members(self, component: str, name: str) -> tuple[str, ...]:
        """A variable's list of members."""
        return tuple(word for word in self._entries[component, name, None, None].value.split(",") if word)

    def of_mode(self, name: str, mode: str) -> Entry | None:
        """A variable of :data:`V2X` for a session in that mode, where the station keeps one."""
        return self._entries.get((V2X, name, 1, mode))

    def flag(self, component: str, name: str) -> bool:
        """A variable's truth."""
        return self._entries[component, name, None, None].value == "true"

    def put(self, component: str, name: str, value: str) -> None:
        """The station itself sets a variable."""
        self._entries[component, name, None, None].value = value

    def _meets(self, entry: Entry, criterion: str) -> bool:
        state = self._entries.get((entry.component, criterion, entry.evse_id, None))
        return criterion != "Problem" if state is None else state.value == "true"

    def _find(self, wanted: Payload) -> Entry | str:
        component, variable = wanted["component"], wanted["variable"]
        evse = component.get("evse")
        key = (component["name"], variable["name"], evse["id"] if evse else None, variable.get("instance"))
        entry = self._entries.get(key)
        if entry is not None:
            return entry
        known = any(name == component["name"] for name, *_ in self._entries)
        return "UnknownVariable" if known else "UnknownComponent"

    def get(self, request: Payload) -> Payload:
        """Answer GetVariables."""
        results = []
        for wanted in request["getVariableData"]:
            out: Payload = {"component": wanted["component"], "variable": wanted["variable"]}
            found = self._find(wanted)
            if isinstance(found, str):
                out["attributeStatus"] = found
            elif wanted.get("attributeType", "Actual") != "Actual":
                out["attributeStatus"] = "NotSupportedAttributeType"
            elif found.access == "WriteOnly":
                out["attributeStatus"] = "Rejected"
            else:
                out |= {"attributeStatus": "Accepted", "attributeValue": found.value}
            results.append(out)
        return {"getVariableResult": results}

    def set(self, request: Payload) -> Payload:
        """Answer SetVariables."""
        results = []
        for wanted in request["setVariableData"]:
            out: Payload = {"component": wanted["component"], "variable": wanted["variable"]}
            status, why = self._set_one(wanted)
            out["attributeStatus"] = status
            if why:
                out["attributeStatusInfo"] = {"reasonCode": "InvalidValue", "additionalInfo": why[:1024]}
            results.append(out)
        return {"setVariableResult": results}

    def _set_one(self, wanted: Payload) -> tuple[str, str]:
        found = self._find(wanted)
        if isinstance(found, str):
            return found, ""
        if wanted.get("attributeType", "Actual") != "Actual":
            return "NotSupportedAttributeType", ""
        if found.access == "ReadOnly":
            return "Rejected", "read only"
        value = str(wanted["attributeValue"])
        why = found.fault(value)
        if why is not None:
            return "Rejected", why
        found.value = value
        self._changed(found.component, found.name)
        return "Accepted", ""

    def report(
        self,
        request_id: int,
        base: str,
        generated_at: str,
        *,
        wanted: list[tuple[str, str | None]] | None = None,
        criteria: Sequence[str] = (),
    ) -> list[Payload]:
        """The NotifyReport messages of a report, in chunks of ``REPORT_CHUNK``; none where nothing is to be told.

        ``wanted``: (component, variable or None for all of them). ``criteria``: a component is told when any of these
        is a variable of it and true; one without the variable counts as active, available and enabled.
        """
        writable = base == "ConfigurationInventory"
        rows = [
            _row(entry)
            for entry in self._entries.values()
            if (not writable or entry.access != "ReadOnly")
            and (wanted is None or any(name == entry.component and part in (None, entry.name) for name, part in wanted))
            and (not criteria or any(self._meets(entry, criterion) for criterion in criteria))
        ]
        chunks = [rows[i : i + REPORT_CHUNK] for i in range(0, len(rows), REPORT_CHUNK)]
        return [
            {
                "requestId": request_id,
                "generatedAt": generated_at,
                "seqNo": number,
                "tbc": number < len(chunks) - 1,
                "reportData": chunk,
            }
            for number, chunk in enumerate(chunks)
        ]


def _row(entry: Entry) -> Payload:
    component: Payload = {"name": entry.component}
    if entry.evse_id is not None:
        component["evse"] = {"id": entry.evse_id}
    variable: Payload = {"name": entry.name}
    if entry.instance is not None:
        variable["instance"] = entry.instance
    attribute: Payload = {"type": "Actual", "mutability": entry.access}
    if entry.access != "WriteOnly":
        attribute["value"] = entry.value
    characteristics: Payload = {"dataType": entry.kind, "supportsMonitoring": False}
    if entry.choices:
        characteristics["valuesList"] = ",".join(entry.choices)
    return {
        "component": component,
        "variable": variable,
        "variableAttribute": [attribute],
        "variableCharacteristics": characteristics,
    }


def _controllers(station: Any) -> list[Entry]:
    every = ",".join(MEASURANDS)
    sampled, aligned, comm = "SampledDataCtrlr", "AlignedDataCtrlr", "OCPPCommCtrlr"
    return [
        Entry(component=comm, name="HeartbeatInterval", value="300", kind="integer", least=1),
        Entry(component=comm, name="RetryBackOffWaitMinimum", value="5", kind="integer"),
        Entry(component=comm, name="RetryBackOffRandomRange", value="10", kind="integer"),
        Entry(component=comm, name="OfflineThreshold", value="60", kind="integer"),
        Entry(component="SecurityCtrlr", name="BasicAuthPassword", value="", access="WriteOnly"),
        Entry(component="SecurityCtrlr", name="Identity", value=station.id, access="ReadOnly"),
        Entry(component=sampled, name="Enabled", value="true", kind="boolean"),
        Entry(component=sampled, name="TxUpdatedInterval", value="60", kind="integer"),
        _list(sampled, "TxStartedMeasurands", every),
        _list(sampled, "TxUpdatedMeasurands", "Energy.Active.Import.Register"),
        _list(sampled, "TxEndedMeasurands", every),
        Entry(component=aligned, name="Enabled", value="true", kind="boolean"),
        Entry(component=aligned, name="Interval", value="900", kind="integer"),
        _list(aligned, "Measurands", "Energy.Active.Import.Register"),
        Entry(component="LocalAuthListCtrlr", name="Enabled", value="true", kind="boolean"),
        Entry(component="LocalAuthListCtrlr", name="ItemsPerMessage", value=str(PER_MESSAGE), access="ReadOnly"),
        Entry(component="LocalAuthListCtrlr", name="Entries", value=str(ENTRIES_MAX), access="ReadOnly"),
        Entry(component="ClockCtrlr", name="TimeSource", value="Heartbeat", access="ReadOnly"),
        Entry(component="TxCtrlr", name="TxStartPoint", value="EVConnected", access="ReadOnly"),
        Entry(component="TxCtrlr", name="TxStopPoint", value="EVConnected", access="ReadOnly"),
    ]


def _list(component: str, name: str, value: str) -> Entry:
    return Entry(component=component, name=name, value=value, kind="MemberList", choices=MEASURANDS)


def _fixed(component: str, name: str, value: str, kind: Kind = "string", evse_id: int | None = None) -> Entry:
    return Entry(component=component, name=name, value=value, kind=kind, access="ReadOnly", evse_id=evse_id)


def _smart_charging(station: Any, abilities: Abilities) -> list[Entry]:
    smart = "SmartChargingCtrlr"

    def truth(flag: bool) -> str:
        return "true" if flag else "false"

    entries = [
        _fixed(smart, "Enabled", "true", "boolean"),
        _fixed(smart, "RateUnit", "W", "MemberList"),
        _fixed(smart, "ProfileStackLevel", str(STACK_LEVEL_MAX), "integer"),
        _fixed(smart, "PeriodsPerSchedule", "1024", "integer"),
        Entry(component=smart, name="Entries", instance="ChargingProfiles", value=str(PROFILES_MAX), access="ReadOnly"),
    ]
    if station.protocol != "ocpp2.1":
        return entries
    return [
        *entries,
        _fixed(smart, "UpdateRateLimit", f"{abilities.update_rate_s:g}", "integer"),
        _fixed(smart, "SupportsDynamicProfiles", truth(abilities.dynamic), "boolean"),
        _fixed(smart, "SupportsMaxOfflineDuration", "true", "boolean"),
        _fixed(smart, "SupportsRandomizedDelay", truth(abilities.randomized_delay), "boolean"),
        _fixed(smart, "SupportsUseLocalTime", truth(abilities.use_local_time), "boolean"),
        _fixed(smart, "SupportsLimitAtSoC", truth(abilities.limit_at_soc), "boolean"),
        _fixed(smart, "SupportsEvseSleep", truth(abilities.evse_sleep), "boolean"),
        _fixed(smart, "SupportedAdditionalPurposes", "PriorityCharging", "MemberList"),
        _fixed(smart, "ExternalControlSignalsEnabled", "true", "boolean"),
        _fixed(smart, "MaxExternalConstraintsId", str(abilities.external_id_max), "integer"),
        _fixed(smart, "LimitChangeSignificance", "1", "decimal"),
    ]


def _hardware(station: Any, abilities: Abilities) -> list[Entry]:
    v2x, modes = V2X, ",".join(abilities.modes)
    both_ways = station.discharge_kw > 0
    transfer = "DC,DC_BPT" if both_ways else "DC"
    entries = [
        _fixed("ChargingStation", "Model", station.model),
        _fixed("ChargingStation", "VendorName", station.vendor),
        _fixed("ChargingStation", "SerialNumber", station.serial or f"SN-{station.id}"),
        _fixed("EVSE", "Power", f"{abilities.charge_w:g}", "decimal", evse_id=1),
        _fixed("Connector", "ConnectorType", station.connector, evse_id=1),
    ]
    if station.protocol != "ocpp2.1":
        return entries
    return [
        *entries,
        _fixed(v2x, "Available", "true" if both_ways else "false", "boolean", evse_id=1),
        Entry(component=v2x, name="Enabled", value="true" if both_ways else "false", kind="boolean", evse_id=1),
        _fixed(v2x, "SupportedOperationModes", modes, "MemberList", evse_id=1),
        _fixed(v2x, "SupportedEnergyTransferModes", transfer, "MemberList", evse_id=1),
        *(entry for mode in abilities.modes if mode != "ChargingOnly" for entry in _of_mode(mode)),
        *(_inverter(abilities) if both_ways else []),
    ]


def _of_mode(mode: str) -> list[Entry]:
    """What is sampled while a session is in a two-way mode; as it leaves the factory, little.

    That a session which only charges is sampled by SampledDataCtrlr is inferred.
    """
    lists = ("TxStartedMeasurands", "TxUpdatedMeasurands", "TxEndedMeasurands")
    paces = (("TxUpdatedInterval", "60"), ("TxEndedInterval", "0"))
    return [
        *(replace(_list(V2X, name, "Energy.Active.Import.Register"), evse_id=1, instance=mode) for name in lists),
        *(Entry(component=V2X, name=name, value=s, kind="integer", evse_id=1, instance=mode) for name, s in paces),
    ]


def _inverter(abilities: Abilities) -> list[Entry]:
    """The nameplate of a DC EVSE's inverter and the controls that it knows."""
    return [
        _fixed("DCDERCtrlr", "Available", "true", "boolean", evse_id=1),
        _fixed("DCDERCtrlr", "ModesSupported", ",".join(CONTROLS), "MemberList", evse_id=1),
        _fixed("DCDERCtrlr", "MaxW", f"{abilities.discharge_w:g}", "decimal", evse_id=1),
        _fixed("DCDERCtrlr", "MaxVA", f"{abilities.discharge_w:g}", "decimal", evse_id=1),
        _fixed("DCDERCtrlr", "MaxChargeRateW", f"{abilities.charge_w:g}", "decimal", evse_id=1),
    ]
