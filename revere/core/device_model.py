"""A station's device model as it told it: every variable with what may be done with it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

import msgspec

VARIABLES_MAX: Final = 2_000
"""Variables that are kept of one station; the largest model seen has about 1,000."""
VALUES_MAX_CHARS: Final = 200_000
"""Letters of all their values together."""


class VariableKind(msgspec.Struct, frozen=True, kw_only=True):
    """What a variable may be, in the station's own words; the same for all chargers of a kind."""

    access: str = ""
    data_type: str = ""
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: str = ""


UNTOLD: Final = VariableKind()


class DeviceVariable(msgspec.Struct, frozen=True, kw_only=True):
    """One variable: its value, its target, the range that is set for it. None is not told."""

    value: str | None = None
    target: str | None = None
    least_set: str | None = None
    most_set: str | None = None
    kind: VariableKind = UNTOLD

    def letters(self) -> int:
        """How many letters its values have."""
        return sum(len(text) for text in (self.value, self.target, self.least_set, self.most_set) if text is not None)


kind_of_variable = lru_cache(maxsize=10_000)(VariableKind)
"""One object for each kind: chargers of a maker share thousands."""


class DeviceModel(Mapping[str, str]):
    """The variables of one station by name, such as ``EVSE@1.Power``; as a mapping, their values.

    Bounded: beyond :data:`VARIABLES_MAX` or :data:`VALUES_MAX_CHARS` a variable is dropped and counted.
    """

    def __init__(self) -> None:
        self._rows: dict[str, DeviceVariable] = {}
        self._letters = 0
        self.dropped = 0

    def __getitem__(self, name: str) -> str:
        row = self._rows.get(name)
        if row is None or row.value is None:
            raise KeyError(name)
        return row.value

    def __iter__(self) -> Iterator[str]:
        return (name for name, row in self._rows.items() if row.value is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def tell(self, name: str, row: DeviceVariable) -> bool:
        """Take a variable as the station tells it; False where there is no room for it."""
        known = self._rows.get(name)
        letters = self._letters + row.letters() - (0 if known is None else known.letters())
        if letters > VALUES_MAX_CHARS or (known is None and len(self._rows) >= VARIABLES_MAX):
            self.dropped += 1
            return False
        self._letters = letters
        self._rows[sys.intern(name)] = row
        return True

    def row(self, name: str) -> DeviceVariable | None:
        """All that is kept of a variable."""
        return self._rows.get(name)

    def put(self, name: str, value: str) -> bool:
        """Take a value that was read or set by name; the rest of the variable stays."""
        return self.tell(name, msgspec.structs.replace(self._rows.get(name, DeviceVariable()), value=value))

    def keep(self, names: Iterable[str]) -> None:
        """Forget what an earlier report told and a whole one does not; what was read by name alone stays."""
        told = set(names)
        self._rows = {name: row for name, row in self._rows.items() if name in told or row.kind == UNTOLD}
        self._letters = sum(row.letters() for row in self._rows.values())

    def rows(self) -> tuple[tuple[str, DeviceVariable], ...]:
        """All of it, by name."""
        return tuple(sorted(self._rows.items()))
