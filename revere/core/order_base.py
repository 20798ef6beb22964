"""What all orders have in common."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

EvseId = Annotated[int, Meta(ge=1, le=999)]
Moment = Annotated[dt.datetime, Meta(tz=True)]


def words_of(name: str) -> str:
    """A class's name in small letters: ``ResetStation`` is ``reset-station``."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


class OrderBase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=words_of):
    """Common to all orders. ``kind`` on the wire is the class's name in small letters: ``reset-station``."""
