"""The store as the web asks for it: accounts out of its access tables, history out of series and ledger."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Sequence
from typing import get_args

import msgspec

from revere.control.view import shown
from revere.core.assets import Fleet
from revere.core.facts import SecurityEventReported, evse_asset
from revere.core.ids import ParticipantId
from revere.core.time import wall_now
from revere.settle.ledger import PARTICIPANT_KINDS, LedgerLine, from_fields
from revere.settle.rules import Rulebook
from revere.settle.statement import STATE_WORDS, STATES, unverified_rules
from revere.store.access import User
from revere.store.ledger import LEDGER_PAGE_LINES, StatementSums
from revere.store.reader import AccessDesk, Reader
from revere.web.guide.groups import shown_of
from revere.web.ports import ROLES, Account, FleetSeries, LedgerState, SecurityRow, StatementLine, StatementView

SECURITY_MAX = 200
SECURITY_FOR = dt.timedelta(days=31)


class StoreAccounts:
    """Users and tokens of the store. What belongs to a person follows from the fleet, not from the user's row."""

    def __init__(self, desk: AccessDesk, fleet: Callable[[], Fleet]) -> None:
        self._desk = desk
        self._fleet = fleet

    async def user(self, name: str) -> Account | None:
        """The account of that name, None when unknown or disabled."""
        return self._account(await self._desk.user(name))

    async def by_token(self, token: str) -> Account | None:
        """The owner of an API token (sessions and links of the table do not count as such)."""
        found = await self._desk.find_token(token, wall_now())
        if found is None or found[0].kind != "api":
            return None
        return self._account(found[1])

    async def by_link(self, token: str) -> Account | None:
        """Spend a one-time link of the table."""
        return self._account(await self._desk.use_link(token, wall_now()))

    async def close(self) -> None:
        """Close the pool, in the loop that used it."""
        await self._desk.close()

    def _account(self, user: User | None) -> Account | None:
        if user is None or user.disabled or user.role not in ROLES:
            return None
        sites, vehicles = self._own(user)
        return Account(
            name=user.name,
            role=user.role,
            password_hash=user.password_hash,
            sites=sites,
            vehicles=vehicles,
        )

    def _own(self, user: User) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Sites by name or participant; the vehicles of a home belong to its resident, those of a school do not."""
        fleet = self._fleet()
        sites = [
            site
            for site in fleet.sites
            if site.id == user.site_id
            or (user.participant_id is not None and site.participant_id == user.participant_id)
        ]
        homes = {site.id for site in sites if site.kind == "home"}
        stations = {station.id for station in fleet.stations if station.site_id in homes}
        vehicles = tuple(vehicle.id for vehicle in fleet.vehicles if vehicle.station_id in stations)
        return tuple(site.id for site in sites), vehicles


class StoreHistory:
    """Series and statements of the store, read on the web's own connections."""

    def __init__(self, reader: Reader, fleet: Callable[[], Fleet], book: Rulebook) -> None:
        self._reader = reader
        self._fleet = fleet
        self._book = book

    async def fleet_series(
        self, start: dt.datetime, end: dt.datetime, step_s: int, *, public: bool = False
    ) -> FleetSeries:
        """Means by step; a step without a reading is a gap. No rule's baseline is computed in this release."""
        step = dt.timedelta(seconds=step_s)
        steps = -(-(end - start) // step)
        power: list[float | None] = [None] * steps
        fleet = shown_of(self._fleet())
        left_out = public and fleet.homes_left_out
        assets = [evse_asset(station.id, 1) for station in fleet.fleet.stations] if left_out else None
        for row in await self._reader.fleet_power(start, end, step_s, assets):
            power[(row.ts - start) // step] = shown(row.power_kw, 2)
        return FleetSeries(
            step_s=step_s,
            timestamps=tuple(start + step * i for i in range(steps)),
            power_kw=tuple(power),
            baseline_kw=(None,) * steps,
            relief_kw=tuple(None if kw is None else shown(-kw, 2) for kw in power),
        )

    async def security_events(self, station_id: str) -> Sequence[SecurityRow]:
        """Those of the last month, at most 200, the newest first."""
        found: deque[SecurityRow] = deque(maxlen=SECURITY_MAX)
        since = wall_now() - SECURITY_FOR
        async for fact in self._reader.journal(since=since, kinds=("SecurityEventReported",)):
            if isinstance(fact, SecurityEventReported) and fact.station_id == station_id:
                found.append(
                    SecurityRow(ts=fact.ts, type=fact.type, source=fact.source, detail=fact.detail, count=fact.count)
                )
        return tuple(reversed(found))

    async def statements(self, sites: Sequence[str] | None, after: str | None, limit: int) -> Sequence[StatementView]:
        """A page of statements without their lines, newest month first; the sums are the database's, over all lines."""
        found = await self._reader.statements(PARTICIPANT_KINDS, sites=sites, after=after, limit=limit)
        return [self._view(one) for one in found]

    async def statement(self, statement_id: str, after_seq: int) -> StatementView | None:
        """One statement with a page of its lines; its sums are those of all of them."""
        found = await self._reader.statements(PARTICIPANT_KINDS, statement_id=statement_id)
        if not found:
            return None
        page = await self._reader.ledger(statement_id=statement_id, after_seq=after_seq)
        lines = tuple(_line(from_fields(msgspec.structs.asdict(posted.entry))) for posted in page)
        more = page[-1].seq if len(page) == LEDGER_PAGE_LINES else None
        return msgspec.structs.replace(self._view(found[0]), lines=lines, more_after=more)

    async def close(self) -> None:
        """Close the pool, in the loop that used it."""
        await self._reader.close()

    def _view(self, sums: StatementSums) -> StatementView:
        names = {one.id: one.name for one in self._fleet().participants}
        reached = [state for state in STATES if state in sums.cents]
        return StatementView(
            id=sums.statement_id,
            participant_id=sums.participant_id,
            participant=names.get(ParticipantId(sums.participant_id), sums.participant_id),
            period=sums.statement_id.rpartition(":")[2],
            site_ids=sums.site_ids,
            state=reached[-1] if reached else "expected",
            expected_cents=sums.cents.get("expected"),
            confirmed_cents=sums.cents.get("confirmed"),
            paid_cents=sums.cents.get("paid"),
            unverified=tuple(unverified_rules(sums.rules, self._book)),
            line_count=sums.lines,
        )


def _line(line: LedgerLine) -> StatementLine:
    return StatementLine(
        site_id=line.site_id,
        grid_event_id=line.grid_event_id,
        kind=line.kind,
        import_wh=line.import_wh,
        export_wh=line.export_wh,
        cents=line.cents,
        state=line.state,
        says=STATE_WORDS[line.state],
        rule=line.rule,
    )


assert set(get_args(LedgerState)) == set(STATES), "the web's states are the ledger's"
