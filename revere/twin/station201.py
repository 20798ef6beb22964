"""A strict OCPP 2.0.1 station: what it cannot say of a 2.1 station's day, and what it does instead.

It has no setpoint, no Dynamic profile, no operation mode and no DER alarm. One that discharges takes a limit below 0
in a profile of a transaction as such, in a whole profile each time, no more than one a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from revere.links.ocpp2.wire import v201
from revere.twin.profiles21 import Abilities, Bounds
from revere.twin.station21 import Station21

if TYPE_CHECKING:
    from revere.twin.line import Payload
    from revere.twin.plant import EvseReading

T = TypeVar("T", bound=msgspec.Struct)


class Station201(Station21):
    """One 2.0.1 station, charging profiles from its own memory, whole ones alone."""

    subprotocol = "ocpp2.0.1"

    def start_protocol(self) -> None:
        """Lay out profiles and device model; the messages of 2.1 are not known."""
        super().start_protocol()
        self._handlers = {action: take for action, take in self._handlers.items() if action in v201.CALLS}

    def nameplate(self) -> Abilities:
        """What the station can do: discharge by limits below 0, where its hardware discharges at all."""
        return Abilities(
            charge_w=self.asset.charge_kw * 1000,
            discharge_w=self.asset.discharge_kw * 1000,
            modes=("ChargingOnly",),
            dynamic=False,
            randomized_delay=False,
            negative_limits=self.asset.discharge_kw > 0,
        )

    def asked(self, payload: Payload, kind: type[T]) -> T:
        """Read strictly as 2.0.1: a field or word of 2.1 is a fault."""
        own: Any = getattr(v201, kind.__name__)
        msgspec.convert(payload, own)
        return super().asked(payload, kind)

    def needs(self, reading: EvseReading) -> Payload:
        """The vehicle's ChargingNeeds, whole numbers; whether it gives cannot be said."""
        vehicle = self.vehicle
        return {
            "requestedEnergyTransfer": "DC",
            "dcChargingParameters": {
                "evMaxCurrent": round(vehicle.charge_kw * 1000 / 400),
                "evMaxVoltage": 800,
                "evMaxPower": round(vehicle.charge_kw * 1000),
                "evEnergyCapacity": round(vehicle.capacity_kwh * 1000),
                "stateOfCharge": round(reading.soc * 100),
            },
        }

    def stamped(self) -> Payload:
        """Needs carry no time."""
        return {}

    def worded(self, _bounds: Bounds) -> Payload:
        """A composite period is its limit."""
        return {}

    def grid_changed(self, *, dead: bool, stamp: str) -> None:
        """The site-metering station reports its feed dead, or alive again."""
        self.notify("ElectricalFeed", "Active", "false" if dead else "true", stamp)
