"""Typed identifiers. All are short printable ASCII; ``check_id`` is the gate for outside input."""

from __future__ import annotations

import re
from typing import NewType

from revere.core.errors import RevereError

TenantId = NewType("TenantId", str)
SiteId = NewType("SiteId", str)
FeederId = NewType("FeederId", str)
StationId = NewType("StationId", str)
VehicleId = NewType("VehicleId", str)
ParticipantId = NewType("ParticipantId", str)
ProgramId = NewType("ProgramId", str)
GridEventId = NewType("GridEventId", str)
SessionId = NewType("SessionId", str)
CommandId = NewType("CommandId", str)
CampaignId = NewType("CampaignId", str)

ID_MAX_CHARS = 48
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,47}\Z")


def check_id(text: str, what: str) -> str:
    """Return ``text`` if it is a usable identifier, else raise :class:`RevereError`."""
    if not _ID.match(text):
        raise RevereError(
            f"{what} is not a usable identifier",
            got=repr(text[:ID_MAX_CHARS]),
            expected=f"1 to {ID_MAX_CHARS} letters, digits or . _ : -, a letter or digit first",
        )
    return text
