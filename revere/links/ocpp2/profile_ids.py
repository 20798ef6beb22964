"""The ids of our charging profiles at a station, above those that it keeps for limits of others.

::

    1 … reserved                  ChargingStationExternalConstraints, whose ids the station gives out itself
    reserved + 1                  the fallback
    reserved + 100, 200, 300, 400 + EVSE      setpoint, mode, offered schedule, priority

Source: appendix, SmartChargingCtrlr.MaxExternalConstraintsId; that ids of ours in that range are refused is inferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

RESERVED: Final = ("SmartChargingCtrlr", "MaxExternalConstraintsId")
RESERVED_MAX: Final = 2_000_000_000
"""A station that says more leaves no ids of 32 bits; what it says is then taken for nonsense."""


class ProfileIds(msgspec.Struct, frozen=True):
    """One id for each purpose and EVSE: the same id replaces, so that there is only one of each."""

    reserved: int = 0

    @property
    def fallback(self) -> int:
        """The charge-only default of the whole station."""
        return self.reserved + 1

    def central(self, evse_id: int) -> int:
        """Our setpoints."""
        return self.reserved + 100 + evse_id

    def mode(self, evse_id: int) -> int:
        """The mode that a person ordered."""
        return self.reserved + 200 + evse_id

    def schedule(self, evse_id: int) -> int:
        """What a vehicle was offered that follows a schedule."""
        return self.reserved + 300 + evse_id

    def priority(self, evse_id: int) -> int:
        """What a session that goes first may draw."""
        return self.reserved + 400 + evse_id


FROM_ONE: Final = ProfileIds()


def profile_ids(variables: Mapping[str, str]) -> ProfileIds:
    """Our ids at a station that has reported these variables."""
    said = variables.get(".".join(RESERVED), "")
    reserved = int(said) if said.isascii() and said.isdigit() and len(said) <= 10 else 0
    return ProfileIds(reserved) if reserved <= RESERVED_MAX else FROM_ONE
