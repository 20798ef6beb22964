"""What a link can show of one station to a person who looks into it. Secrets are masked before they come here."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from revere.core.device_model import DeviceVariable


class FrameShown(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it passed the socket.

    ``text`` is its JSON with secrets masked, empty where it was too long to keep or no OCPP message. ``action`` of an
    answer is that of the call it answers, where that is still known.
    """

    at: dt.datetime
    incoming: bool
    kind: Literal["call", "answer", "refusal", "send", "unreadable"]
    action: str
    size_bytes: int
    text: str


class StationPortrait(msgspec.Struct, frozen=True, kw_only=True):
    """What the link knows of a station: the kind of charger and why, its certificate, its device model.

    ``way`` says how it is given power; ``certificate_ends`` is None where it came in without one.
    """

    model: str = ""
    model_why: str = ""
    way: str = ""
    profile_interval_s: float = 0.0
    certificate_ends: dt.datetime | None = None
    variables: tuple[tuple[str, DeviceVariable], ...] = ()
