"""What a 2.x station must be set to at its boot, and is read back for: by the house, and by its charger model.

::

    both registers, power, soc     SampledDataCtrlr, AlignedDataCtrlr          every station
    the same for a mode            V2XChargingCtrlr@1.TxUpdatedMeasurands[Idle]    each mode that its EVSE supports
    what its maker needs           any component, EVSE and instance            its model's ``variables``

Sources: appendix of 2.1 (variables and components); the project's OCPP facts, section 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

import msgspec

from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.samples import EXPORT_POWER, EXPORT_REGISTER, MEASURANDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from revere.core.ports import StationConfig
    from revere.links.models import ChargerModel, Variable

Place = tuple[wire.Component, wire.Variable]
CHARGE_ONLY_MEASURANDS: Final = tuple(m for m in MEASURANDS if m not in (EXPORT_REGISTER, EXPORT_POWER))
TX_INTERVAL: Final = ("SampledDataCtrlr", "TxUpdatedInterval")
MODES: Final[tuple[str, ...]] = get_args(wire.OperationModeEnum)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A variable to set and read back; ``fallback`` is tried where the first value is refused.

    ``optional``: a station that does not have it is none the worse. ``paced``: how often the meter is sampled in a
    session, which the house changes while an event runs.
    """

    component: str
    variable: str
    value: str
    fallback: str = ""
    component_instance: str = ""
    instance: str = ""
    evse_id: int | None = None
    optional: bool = False
    paced: bool = False

    @property
    def place(self) -> Place:
        """Where it is, in the standard's words."""
        return place(self.component, self.variable, self.evse_id, self.instance, self.component_instance)

    @property
    def name(self) -> str:
        """As in :func:`variable_name`."""
        return variable_name(*self.place)

    def allows(self, found: str) -> bool:
        """Whether a value is as it must be."""
        return same_value(self.value, found) or bool(self.fallback and same_value(self.fallback, found))


def place(
    component: str, variable: str, evse_id: int | None = None, instance: str = "", component_instance: str = ""
) -> Place:
    """A variable in the standard's words."""
    evse = None if evse_id is None else wire.EVSE(id=evse_id)
    return (
        wire.Component(name=component, instance=component_instance or None, evse=evse),
        wire.Variable(name=variable, instance=instance or None),
    )


def variable_name(component: wire.Component, variable: wire.Variable) -> str:
    """``Component.Variable``, with instance, EVSE and connector where they are said: ``Connector@1/2.Type``."""
    where = ""
    if component.evse is not None:
        connector = component.evse.connectorId
        where = f"@{component.evse.id}" if connector is None else f"@{component.evse.id}/{connector}"
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


def mode_lists(model: ChargerModel) -> list[Place]:
    """Which EVSEs must say their modes before the model's variables are known."""
    evses = sorted({own.evse for own in model.variables if own.per_mode and own.evse is not None})
    return [place("V2XChargingCtrlr", "SupportedOperationModes", evse_id) for evse_id in evses]


def settings(
    config: StationConfig, model: ChargerModel, said: Mapping[str, str], interval_s: int | None = None
) -> dict[str, Setting]:
    """What this station must hold, by name: both registers, power and soc at each point of a session and clock-aligned.

    A station that only charges may refuse the export measurands and is then asked without them. What its ``model``
    says besides comes last. ``said``: its variables as it has told them. ``interval_s`` in a session, if not its own.
    """
    interval = str(config.sample_interval_s if interval_s is None else interval_s)
    measurands = ",".join(MEASURANDS)
    fallback = "" if config.discharge_kw > 0 else ",".join(CHARGE_ONLY_MEASURANDS)
    sampled, tx_interval = TX_INTERVAL
    found = [
        *(
            Setting(component=sampled, variable=f"Tx{point}Measurands", value=measurands, fallback=fallback)
            for point in ("Started", "Updated", "Ended")
        ),
        Setting(component=sampled, variable=tx_interval, value=interval, paced=True),
        Setting(component="AlignedDataCtrlr", variable="Measurands", value=measurands, fallback=fallback),
        Setting(component="AlignedDataCtrlr", variable="Interval", value=str(config.aligned_interval_s)),
    ]
    words = {"{measurands}": (measurands, fallback), "{interval_s}": (interval, "")}
    for own in model.variables:
        value, less = words.get(own.value, (own.value, ""))
        found += [
            Setting(
                component=own.component,
                variable=own.variable,
                value=value,
                fallback=less,
                component_instance=own.component_instance,
                instance=instance,
                evse_id=own.evse,
                optional=own.optional,
                paced=own.value == "{interval_s}",
            )
            for instance in _instances(own, said)
        ]
    return {setting.name: setting for setting in found}


def _instances(own: Variable, said: Mapping[str, str]) -> Iterator[str]:
    """The instances of a model's variable: each mode that its EVSE supports, or the one that it names."""
    if not own.per_mode:
        yield own.instance
        return
    listed = said.get(variable_name(*place("V2XChargingCtrlr", "SupportedOperationModes", own.evse)), "")
    supported = {word.strip() for word in listed.split(",")}
    yield from (mode for mode in MODES if mode in supported)
