"""What the web asks of the store: who may come in (``Accounts``) and what was (``History``).

Both are called on the web thread's own loop. Either may raise :class:`revere.core.errors.Unavailable`:
pages then go on from memory and say that they are stale.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Role = Literal["operator", "site_manager", "resident", "analyst", "auditor"]
ROLES: tuple[Role, ...] = ("operator", "site_manager", "resident", "analyst", "auditor")
LedgerState = Literal["expected", "confirmed", "paid"]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may come in. ``password_hash`` is argon2's encoded text, empty where only tokens are used.

    ``sites`` and ``vehicles`` are what a site manager or a resident owns; the other roles see the whole.
    """

    name: str
    role: Role
    password_hash: str = ""
    sites: tuple[str, ...] = ()
    vehicles: tuple[str, ...] = ()


class Accounts(Protocol):
    """The access tables: users and bearer tokens."""

    async def user(self, name: str) -> Account | None:
        """The account of that name, None when unknown or disabled."""
        ...

    async def by_token(self, digest: str) -> Account | None:
        """The owner of the bearer token whose SHA-256 is ``digest`` (hex), None when unknown or revoked."""
        ...


class FleetSeries(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet's past in equal steps. Power charging positive, relief positive to the grid; a gap is null."""

    step_s: int
    timestamps: tuple[dt.datetime, ...]
    power_kw: tuple[float | None, ...]
    relief_kw: tuple[float | None, ...]


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One posting as people read it. ``amount_cents`` positive: paid to the participant."""

    text: str
    amount_cents: int
    state: LedgerState
    evidence: str = ""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's account of a period. ``state`` is the weakest state of its lines."""

    id: str
    participant_id: str
    participant: str
    site_ids: tuple[str, ...]
    start: dt.datetime
    end: dt.datetime
    total_cents: int
    state: LedgerState
    lines: tuple[StatementLine, ...] = ()


class History(Protocol):
    """What the store remembers, for pages."""

    async def fleet_series(self, start: dt.datetime, end: dt.datetime, step_s: int) -> FleetSeries:
        """Means of ``[start, end)`` in steps of ``step_s`` seconds."""
        ...

    async def statements(self) -> Sequence[Statement]:
        """All statements, newest first, without their lines."""
        ...

    async def statement(self, statement_id: str) -> Statement | None:
        """One statement with its lines."""
        ...
