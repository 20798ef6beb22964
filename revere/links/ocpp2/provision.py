"""What must hold at a 2.1 station before it is trusted: measurands, intervals, the fallback profile.

Everything is set, then read back: a station that answers Accepted and keeps another value is named
in the problems of :class:`StationProvisioned`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.samples import EXPORT_POWER, EXPORT_REGISTER, MEASURANDS

if TYPE_CHECKING:
    from revere.core.ports import StationConfig

VARIABLES_MAX: Final = 500
"""Variables of a device-model report that are kept."""
VALUE_MAX_CHARS: Final = 500
PER_REQUEST: Final = 8
"""Variables set or read in one message: below the smallest ItemsPerMessage seen."""
REPORT_WAIT_S: Final = 60.0

CHARGE_ONLY_MEASURANDS: Final = tuple(m for m in MEASURANDS if m not in (EXPORT_REGISTER, EXPORT_POWER))


class Setting(msgspec.Struct, frozen=True):
    """A variable to set and read back; ``fallback`` is tried where the first value is refused."""

    component: str
    variable: str
    value: str
    fallback: str = ""

    @property
    def name(self) -> str:
        """``Component.Variable``."""
        return f"{self.component}.{self.variable}"


READ_ONLY: Final = (
    ("SmartChargingCtrlr", "UpdateRateLimit"),
    ("SmartChargingCtrlr", "SupportsDynamicProfiles"),
)
"""Read at boot where the station has them: (component, variable)."""
TX_INTERVAL: Final = ("SampledDataCtrlr", "TxUpdatedInterval")
UPDATE_RATE_LIMIT: Final = "SmartChargingCtrlr.UpdateRateLimit"


def settings(config: StationConfig) -> list[Setting]:
    """What this station must sample: both registers, power and soc, in sessions and clock-aligned.

    A station that only charges may refuse the export measurands and is then asked without them.
    """
    measurands = ",".join(MEASURANDS)
    fallback = "" if config.discharge_kw > 0 else ",".join(CHARGE_ONLY_MEASURANDS)
    return [
        Setting("SampledDataCtrlr", "TxUpdatedMeasurands", measurands, fallback),
        Setting("SampledDataCtrlr", "TxUpdatedInterval", str(config.sample_interval_s)),
        Setting("AlignedDataCtrlr", "Measurands", measurands, fallback),
        Setting("AlignedDataCtrlr", "Interval", str(config.aligned_interval_s)),
    ]


def set_request(wanted: list[tuple[str, str, str]]) -> wire.SetVariablesRequest:
    """SetVariables of (component, variable, value)."""
    return wire.SetVariablesRequest(
        setVariableData=tuple(
            wire.SetVariableData(
                attributeValue=value, component=wire.Component(name=component), variable=wire.Variable(name=variable)
            )
            for component, variable, value in wanted
        )
    )


def get_request(wanted: list[tuple[str, str]]) -> wire.GetVariablesRequest:
    """GetVariables of (component, variable)."""
    return wire.GetVariablesRequest(
        getVariableData=tuple(
            wire.GetVariableData(component=wire.Component(name=component), variable=wire.Variable(name=variable))
            for component, variable in wanted
        )
    )


def variable_name(component: wire.Component, variable: wire.Variable) -> str:
    """``Component.Variable``, with instance and EVSE where they are said: ``V2X@1.Modes[DC]``."""
    where = "" if component.evse is None else f"@{component.evse.id}"
    part = "" if component.instance is None else f"({component.instance})"
    which = "" if variable.instance is None else f"[{variable.instance}]"
    return f"{component.name}{part}{where}.{variable.name}{which}"


def same_value(wanted: str, found: str) -> bool:
    """Whether two values mean the same; lists of members in any order, spaces aside."""
    if wanted == found:
        return True
    if "," not in wanted:
        return False
    return sorted(part.strip() for part in wanted.split(",")) == sorted(part.strip() for part in found.split(","))
