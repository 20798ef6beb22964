"""The days before a demonstration opens: the plant without the wire, and what control would have known and promised."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from revere.control.building import BuildingHistory, fallback_profiles
from revere.control.contracts import Contracts
from revere.control.events import EventDesk
from revere.control.image import Image
from revere.control.inbox import Inbox
from revere.control.snapshot import take_snapshot
from revere.core import facts as f
from revere.core.ids import ProgramId, SessionId, SiteId
from revere.core.time import at_local
from revere.links.openadr3.book import SOURCE
from revere.links.openadr3.translate import grid_event_id
from revere.plan.schedule import Scheduler
from revere.settle.rules import load_rulebook
from revere.store.series import HistoryRow
from revere.twin.inputs import synthetic_inputs
from revere.twin.world import fast_history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from revere.core.scenario import Scenario
    from revere.store.store import Store
    from revere.twin.utility import Utility

HISTORY_DAYS = 3
DAYS_AHEAD = 6


class Past:
    """Three days of the plant without the wire."""

    def __init__(self, scenario: Scenario, opens: dt.datetime) -> None:
        zone = scenario.fleet.programme.zone
        start = at_local(scenario.run.event_day - dt.timedelta(days=HISTORY_DAYS), dt.time(0, 0), zone)
        rng = np.random.default_rng([scenario.run.seed, 1])
        self.inputs = synthetic_inputs(scenario, start, HISTORY_DAYS + DAYS_AHEAD, rng)
        defaults, _short = fallback_profiles(scenario.fleet)
        self.history = fast_history(scenario, self.inputs, start, opens, seed=scenario.run.seed, defaults=defaults)
        self._scenario = scenario
        self._fleet = scenario.fleet
        self.readings = list(self.history)

    async def keep(self, store: Store) -> None:
        """Store the readings as history: series only, no facts, because nobody reported them."""
        await store.load_history(row for reading in self.readings for row in _rows(reading))

    def remind(self, image: Image, until: dt.datetime | None = None) -> None:
        """Let control know what it would have heard: each vehicle's last state of charge, on the road too."""
        last: dict[str, f.MeterReading] = {}
        for reading in self.readings:
            if reading.soc is not None and (until is None or reading.ts <= until):
                last[reading.asset_id] = reading
        for reading in last.values():
            image.apply(reading)

    async def promise(self, store: Store, utility: Utility) -> None:
        """Journal the call and the promise as of the utility's notice.

        Control's own code decides and plans on the image of that moment: who was plugged in with which charge, the
        buildings as far as they were known. No station was on the wire, so all had charged by their own profiles.
        """
        (event_id,) = utility.events
        notice, run = utility.call_at, self._scenario.run
        image, buildings = Image(self._fleet), BuildingHistory(self._fleet)
        self._gather(image, notice)
        self.teach(buildings, notice)
        inbox = Inbox(store, image)
        contracts = Contracts(self._fleet, load_rulebook())
        desk = EventDesk(image, inbox, None, contracts, None)
        await inbox.record(
            [
                f.GridEventReceived(
                    at=notice,
                    grid_event_id=grid_event_id(event_id),
                    program_id=ProgramId(run.program),
                    start=utility.event_start,
                    end=utility.event_start + dt.timedelta(hours=run.event_hours),
                    source=SOURCE,
                )
            ]
        )
        await desk.decide(notice)
        snapshot = take_snapshot(image, notice, buildings.forecast, contracts)
        await desk.nominate(snapshot, Scheduler().plan(snapshot.problem), notice)

    def _gather(self, image: Image, at: dt.datetime) -> None:
        """Connect every station and plug in the vehicles that were there."""
        for station in self._fleet.stations:
            image.apply(f.StationConnected(at=at, station_id=station.id, protocol=station.protocol, generation=1))
        for reading in self.readings:
            if reading.ts == at and reading.soc is not None and reading.place == "ac_inlet":
                evse = image.evses[reading.asset_id]
                assert evse.vehicle is not None
                image.apply(
                    f.SessionStarted(
                        at=at,
                        station_id=evse.station.id,
                        evse_id=1,
                        session_id=SessionId(f"past-{reading.asset_id}"),
                        token=evse.vehicle.token,
                        ts=at,
                    )
                )
        self.remind(image, at)

    def teach(self, buildings: BuildingHistory, until: dt.datetime | None = None) -> None:
        """Let the load forecast learn the days before ``until``."""
        site_of = {f"{station.id}/1": station.site_id for station in self._fleet.stations}
        net: dict[tuple[str, dt.datetime], int] = {}
        for reading in self.readings:
            wh = (reading.import_wh or 0) - (reading.export_wh or 0)
            site_id = reading.asset_id if reading.place == "site" else site_of[reading.asset_id]
            key = (site_id, reading.ts)
            net[key] = net.get(key, 0) + (wh if reading.place == "site" else -wh)
        for (site_id, ts), wh in net.items():
            if until is not None and ts > until:
                continue
            before = net.get((site_id, ts - dt.timedelta(minutes=5)))
            if before is not None:
                buildings.add(SiteId(site_id), ts, (wh - before) * 12 / 1000)


def _rows(reading: f.MeterReading) -> Iterator[HistoryRow]:
    for quantity in ("import_wh", "export_wh", "power_kw", "soc"):
        value = getattr(reading, quantity)
        if value is not None:
            yield HistoryRow(
                asset_id=reading.asset_id, place=reading.place, quantity=quantity, ts=reading.ts, value=float(value)
            )
