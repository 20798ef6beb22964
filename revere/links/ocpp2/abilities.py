"""What a 2.1 station says that it can do, and the sentence for what it would refuse: asked before it is.

Names are those of the standard's appendix; a variable that was not reported forbids nothing but what rests on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from revere.links.ocpp2 import translate_der, translate_v2x

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.v2x_orders import SetDerControl, SetOperationMode

MODES: Final = "V2XChargingCtrlr@{}.SupportedOperationModes"
ENABLED: Final = ("V2XChargingCtrlr@{}.Available", "V2XChargingCtrlr@{}.Enabled", "ISO15118Ctrlr.Enabled")
DYNAMIC: Final = "SmartChargingCtrlr.SupportsDynamicProfiles"
SLEEP: Final = "SmartChargingCtrlr.SupportsEvseSleep"
LEVEL: Final = "SmartChargingCtrlr.ProfileStackLevel"
PURPOSES: Final = "SmartChargingCtrlr.SupportedAdditionalPurposes"
CONTROLS: Final = (".ModesSupported", ("DCDERCtrlr", "ACDERCtrlr"))
GIVES_NOTHING: Final = frozenset({"charging-only", "idle", "external-limits"})


def _members(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def mode_refusal(variables: Mapping[str, str], order: SetOperationMode) -> str:
    """Why the station would refuse the mode, empty where nothing that it reported speaks against it."""
    word = translate_v2x.MODES[order.mode]
    said = variables.get(MODES.format(order.evse_id))
    if said is None:
        return "the station has not reported its operation modes: take its inventory first"
    if word not in _members(said):
        return f"the station knows no {word}; its modes are {', '.join(sorted(_members(said))) or 'none'}"
    off = [name.format(order.evse_id) for name in ENABLED if variables.get(name.format(order.evse_id)) == "false"]
    if off and order.mode not in GIVES_NOTHING:
        return f"two-way charging is off at the station: {off[0]} is false"
    if translate_v2x.moves(order) and variables.get(DYNAMIC) == "false":
        return f"the station takes no profile whose values move: {DYNAMIC} is false"
    if order.sleep and variables.get(SLEEP, "false") != "true":
        return f"the station's electronics cannot sleep: {SLEEP} is not true"
    level = variables.get(LEVEL, "")
    if level.isdigit() and int(level) < translate_v2x.MODE_STACK_LEVEL:
        return (
            f"the station keeps profiles up to stack level {level}, a mode stands at {translate_v2x.MODE_STACK_LEVEL}"
        )
    return ""


def der_types(variables: Mapping[str, str]) -> frozenset[str]:
    """The types of DER control that any EVSE of the station supports, in OCPP's words."""
    ending, components = CONTROLS
    found: frozenset[str] = frozenset()
    for name, value in variables.items():
        if name.endswith(ending) and name.split("@", 1)[0].split(".", 1)[0] in components:
            found |= _members(value)
    return found


def der_refusal(variables: Mapping[str, str], order: SetDerControl) -> str:
    """The same for a DER control."""
    word = translate_der.set_request(order).controlType
    known = der_types(variables)
    if not known:
        return "the station reports no inverter with DER controls (ModesSupported)"
    if word not in known:
        return f"the station's inverter knows no {word}; its controls are {', '.join(sorted(known))}"
    return ""


def priority_refusal(variables: Mapping[str, str]) -> str:
    """The same for priority charging."""
    said = variables.get(PURPOSES)
    if said is not None and "PriorityCharging" not in _members(said):
        return f"the station knows no PriorityCharging ({PURPOSES} is {said or 'empty'})"
    return ""
