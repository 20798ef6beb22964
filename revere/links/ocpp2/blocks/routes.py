"""From a message's name, or a person's order, to the function that takes it: what every block's tables are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from revere.core.orders import OrderBase
from revere.links.ocppj import security
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog
    from revere.links.ocpp2.wire import v21 as wire

T = TypeVar("T", bound=msgspec.Struct)


class Route(msgspec.Struct, Generic[T], frozen=True):
    """The 2.1 struct of a message and what takes it."""

    kind: type[T]
    take: Callable[[Dialog, T], Awaitable[Answered]]


Routes = dict[str, Route[Any]]
Orders = dict[type[OrderBase], "Callable[[Dialog, Any], Awaitable[Answer]]"]
"""What a person may ask, and what of the block asks the station."""


def reason(info: wire.StatusInfo | None) -> str:
    """A status's reason as one line, empty when none was given."""
    if info is None:
        return ""
    return f"{info.reasonCode}: {security.quoted(info.additionalInfo)}" if info.additionalInfo else info.reasonCode
