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
    """The access tables: users, bearer tokens and one-time links."""

    async def user(self, name: str) -> Account | None:
        """The account of that name, None when unknown or disabled."""
        ...

    async def by_token(self, token: str) -> Account | None:
        """The owner of a bearer token, None when unknown, expired or revoked."""
        ...

    async def by_link(self, token: str) -> Account | None:
        """Spend a one-time link that another process issued: its account the first time, None for ever after."""
        ...

    async def close(self) -> None:
        """Let go of its connections, in the web's loop."""
        ...


class FleetSeries(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet's past in equal steps. Power and baseline charging positive, relief positive to the grid.

    A gap is null, and so is a baseline that the rules do without or that is not computed. Relief here is that of the
    whole fleet; an event's performance counts its enrolled sites alone.
    """

    step_s: int
    timestamps: tuple[dt.datetime, ...]
    power_kw: tuple[float | None, ...]
    baseline_kw: tuple[float | None, ...]
    relief_kw: tuple[float | None, ...]


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One posting as people read it; ``says`` explains its state."""

    site_id: str
    grid_event_id: str
    kind: str
    import_wh: int
    export_wh: int
    cents: int
    state: LedgerState
    says: str
    rule: str


class StatementView(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's month. The three sums stand side by side and are never added; None is unknown, not zero.

    They are sums over all of its ``line_count`` lines; ``lines`` may be a page of them, and ``more_after`` says after
    which the next begins (None: there is none). ``state`` is how far the money has come. ``unverified`` names what
    behind it no source proves.
    """

    id: str
    participant_id: str
    participant: str
    period: str
    site_ids: tuple[str, ...]
    state: LedgerState
    expected_cents: int | None
    confirmed_cents: int | None
    paid_cents: int | None
    unverified: tuple[str, ...] = ()
    line_count: int = 0
    lines: tuple[StatementLine, ...] = ()
    more_after: int | None = None


class SecurityRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something of security at a station: told by itself, or refused by our door under its id."""

    ts: dt.datetime
    type: str
    source: str
    detail: str
    count: int


class History(Protocol):
    """What the store remembers, for pages."""

    async def fleet_series(
        self, start: dt.datetime, end: dt.datetime, step_s: int, *, public: bool = False
    ) -> FleetSeries:
        """Means of ``[start, end)`` in steps of ``step_s`` seconds; for the ``public`` without a handful of homes."""
        ...

    async def security_events(self, station_id: str) -> Sequence[SecurityRow]:
        """A station's security events of late, the newest first."""
        ...

    async def statements(self, sites: Sequence[str] | None, after: str | None, limit: int) -> Sequence[StatementView]:
        """Statements without their lines, newest first, those after one of them; with ``sites``, of these alone."""
        ...

    async def statement(self, statement_id: str, after_seq: int) -> StatementView | None:
        """One statement with the first lines after ``after_seq``."""
        ...

    async def close(self) -> None:
        """Let go of its connections, in the web's loop."""
        ...
