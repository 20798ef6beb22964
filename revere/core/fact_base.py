"""What all facts have in common."""

from __future__ import annotations

import datetime as dt

import msgspec


class FactBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="fact"):
    """Common to all facts. The tag on the wire is the class's name."""

    at: dt.datetime
