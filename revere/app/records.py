"""The store as the web sees it: accounts, series and statements, read from the web thread's own loop."""

from __future__ import annotations

import datetime as dt
from itertools import groupby
from typing import TYPE_CHECKING

from revere.core.money import usd_text
from revere.core.time import at_local, wall_now
from revere.settle.ledger import PARTICIPANT_KINDS
from revere.web.ports import Account, FleetSeries, LedgerState, Role, Statement, StatementLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.core.assets import Fleet
    from revere.store.access import User
    from revere.store.ledger import PostedLine
    from revere.store.reader import AccessDesk, Reader

WEAKEST: tuple[LedgerState, ...] = ("expected", "confirmed", "paid")
ROLES: dict[str, Role] = {
    "operator": "operator",
    "site_manager": "site_manager",
    "resident": "resident",
    "analyst": "analyst",
    "auditor": "auditor",
}


class StoreAccounts:
    """Fills the web's ``Accounts`` port from the access tables."""

    def __init__(self, access: AccessDesk, fleet: Fleet) -> None:
        self._access = access
        stations = {station.id: station.site_id for station in fleet.stations}
        self._vehicles: dict[str, list[str]] = {}
        for vehicle in fleet.vehicles:
            self._vehicles.setdefault(stations[vehicle.station_id], []).append(vehicle.id)

    async def user(self, name: str) -> Account | None:
        """The account of that name, None when unknown or disabled."""
        found = await self._access.user(name)
        return None if found is None or found.disabled else self._account(found)

    async def by_token(self, digest: str) -> Account | None:
        """The owner of the API token with this SHA-256 (hex)."""
        try:
            raw = bytes.fromhex(digest)
        except ValueError:
            return None
        found = await self._access.find_token_digest(raw, wall_now())
        return self._account(found[1]) if found is not None and found[0].kind == "api" else None

    def _account(self, user: User) -> Account | None:
        role = ROLES.get(user.role)
        if role is None:
            return None
        sites = (user.site_id,) if user.site_id else ()
        vehicles = tuple(vehicle for site in sites for vehicle in self._vehicles.get(site, []))
        return Account(name=user.name, role=role, password_hash=user.password_hash, sites=sites, vehicles=vehicles)


class StoreHistory:
    """Fills the web's ``History`` port from series and ledger."""

    def __init__(self, reader: Reader, fleet: Fleet) -> None:
        self._reader = reader
        self._fleet = fleet
        self._names = {person.id: person.name for person in fleet.participants}

    async def fleet_series(self, start: dt.datetime, end: dt.datetime, step_s: int) -> FleetSeries:
        """Fleet power by step; a step without any value is a gap."""
        rows = await self._reader.fleet_power(start, end, step_s)
        by_ts = {row.ts: row.power_kw for row in rows}
        steps = int((end - start).total_seconds() // step_s)
        stamps = tuple(start + dt.timedelta(seconds=step_s * i) for i in range(steps))
        power = tuple(by_ts.get(ts) for ts in stamps)
        return FleetSeries(
            step_s=step_s,
            timestamps=stamps,
            power_kw=power,
            relief_kw=tuple(None if kw is None else -kw for kw in power),
        )

    async def statements(self) -> Sequence[Statement]:
        """All statements, newest first, without lines."""
        lines = [line for line in await self._lines(None) if line.entry.kind in PARTICIPANT_KINDS]
        lines.sort(key=lambda line: (line.entry.statement_id, line.seq))
        found = [
            self._statement(statement_id, list(group), with_lines=False)
            for statement_id, group in groupby(lines, key=lambda line: line.entry.statement_id)
        ]
        return sorted(found, key=lambda s: (s.start, s.id), reverse=True)

    async def statement(self, statement_id: str) -> Statement | None:
        """One statement with its lines."""
        lines = [line for line in await self._lines(statement_id) if line.entry.kind in PARTICIPANT_KINDS]
        return self._statement(statement_id, lines, with_lines=True) if lines else None

    async def _lines(self, statement_id: str | None) -> list[PostedLine]:
        found: list[PostedLine] = []
        after = 0
        while page := await self._reader.ledger(statement_id=statement_id, after_seq=after):
            found += page
            after = page[-1].seq
        return found

    def _statement(self, statement_id: str, lines: list[PostedLine], *, with_lines: bool) -> Statement:
        participant_id, period = statement_id.rsplit(":", 1)
        first = dt.date.fromisoformat(f"{period}-01")
        after = (first + dt.timedelta(days=32)).replace(day=1)
        zone = self._fleet.programme.zone
        states = {line.entry.state for line in lines}
        return Statement(
            id=statement_id,
            participant_id=participant_id,
            participant=next((name for key, name in self._names.items() if key == participant_id), participant_id),
            site_ids=tuple(sorted({line.entry.site_id for line in lines if line.entry.site_id})),
            start=at_local(first, dt.time(0, 0), zone),
            end=at_local(after, dt.time(0, 0), zone),
            total_cents=sum(line.entry.cents for line in lines),
            state=next(state for state in WEAKEST if state in states),
            lines=tuple(_line(line) for line in lines) if with_lines else (),
        )


def _line(posted: PostedLine) -> StatementLine:
    entry = posted.entry
    net_kwh = ((entry.export_wh or 0) - (entry.import_wh or 0)) / 1000
    readings = len(entry.evidence.get("readings", []))
    return StatementLine(
        text=f"{entry.kind} of {entry.grid_event_id} under {entry.rule}: {net_kwh:,.3f} kWh, {usd_text(entry.cents)}",
        amount_cents=entry.cents,
        state=entry.state,
        evidence=f"ledger line {posted.seq}, {readings} register readings, hash {posted.hash[:12]}",
    )
