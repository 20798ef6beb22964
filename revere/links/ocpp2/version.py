"""The editions of OCPP 2 that one session speaks: 2.0.1 read strictly as 2.0.1, handled in 2.1's words.

::

    station ─ bytes ─ strict 2.0.1 ─ lift ─▶ 2.1 struct ─▶ block ─▶ 2.1 struct ─ lower ─ strict 2.0.1 ─▶ station

2.1's types hold all that 2.0.1's do, so that a lift loses nothing; the few numbers that 2.1 bounds and 2.0.1
leaves open (a negative EVSE id) are refused by name. What 2.0.1 has no word for cannot be lowered: that is our
own bug and never leaves the house.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from revere.core.errors import Refused
from revere.links.ocpp2.wire import v21, v201
from revere.links.ocppj.framing import CallFailed
from revere.links.ocppj.payload import PayloadReader

if TYPE_CHECKING:
    from types import ModuleType

    from revere.core.assets import Protocol
    from revere.links.ocppj.bounds import Counters

T = TypeVar("T", bound=msgspec.Struct)


_DRAFT_MODE: Final = re.compile(rb'("controlMode"\s*:\s*)"(Dynamic|Scheduled)"')
"""The draft's words for a control mode; quotes inside a JSON text are escaped, so that this is always the field."""


def _monitors(value: Any) -> Any:
    """2.0.1 does not say what kind of monitor each is."""
    report = msgspec.to_builtins(value, builtin_types=(dt.datetime,))
    for item in report.get("monitor", ()):
        for one in item["variableMonitoring"]:
            one["eventNotificationType"] = "CustomMonitor"
    return report


_UNSAID: Final[dict[type, Callable[[Any], Any]]] = {v21.NotifyMonitoringReportRequest: _monitors}
"""Messages in which 2.1 asks for more than 2.0.1 can say, and what stands there instead; no block reads it."""


class Reader(Generic[T]):
    """Reads one message of an edition as its 2.1 struct."""

    def __init__(self, version: Version, kind: type[T]) -> None:
        self._kind = kind
        self._draft = version.draft and kind is v21.NotifyEVChargingNeedsRequest
        own = version.own(kind)
        self._lifts = own is not kind
        self._read = PayloadReader(own).read

    def read(self, payload: bytes | msgspec.Raw, counters: Counters) -> T:
        """The payload as its 2.1 struct; raises :class:`CallFailed` with the standard's code."""
        if self._draft:
            payload = _DRAFT_MODE.sub(rb'\1"\2Control"', bytes(payload))
        value: Any = self._read(payload, counters)
        return self.lift(value) if self._lifts else value

    def lift(self, value: msgspec.Struct) -> T:
        """An edition's struct as 2.1's."""
        fill = _UNSAID.get(self._kind)
        try:
            if fill is not None:
                return msgspec.convert(fill(value), self._kind)
            return msgspec.convert(value, self._kind, from_attributes=True)
        except msgspec.ValidationError as error:
            raise CallFailed("PropertyConstraintViolation", str(error)) from error


class Version:
    """One edition: its wire module is all that makes the difference."""

    def __init__(self, name: str, wire: ModuleType, *, draft: bool = False) -> None:
        self.name = name
        self.wire = wire
        self.draft = draft
        self.actions: frozenset[str] = frozenset(wire.CALLS)
        self._native = wire is v21

    def own(self, kind: type[T]) -> type[msgspec.Struct]:
        """The edition's own struct of the same name. Raises :class:`Refused` where it has none."""
        own: type[msgspec.Struct] | None = getattr(self.wire, kind.__name__, None)
        if own is None:
            raise Refused(f"{self.name} has no such message", got=kind.__name__)
        return own

    def lift(self, value: msgspec.Struct, kind: type[T]) -> T:
        """An answer in this edition's words as 2.1's; raises :class:`CallFailed`."""
        if isinstance(value, kind):
            return value
        return Reader(self, kind).lift(value)

    def lower(self, payload: msgspec.Struct) -> msgspec.Struct:
        """What we say in 2.1's words in this edition's own; fails where it has no word for it."""
        if self._native:
            return payload
        return msgspec.convert(msgspec.to_builtins(payload, builtin_types=(dt.datetime,)), self.own(type(payload)))


V21: Final = Version("ocpp2.1", v21)
V201: Final = Version("ocpp2.0.1", v201)
DRAFT21: Final = Version("draft 2.1 over 2.0.1", v21, draft=True)
"""2.1's smart charging as a draft over 2.0.1: all of 2.0.1 is in 2.1, and one word reads otherwise."""
VERSIONS: Final[dict[Protocol, Version]] = {"ocpp2.1": V21, "ocpp2.0.1": V201}
