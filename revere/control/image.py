"""The site image: the latest of everything, folded from facts in the order in which they were committed.

Messages only update the image; the tick reads it. A restart folds the journal again and is where it was.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

import msgspec

from revere.control.campaign import Campaign
from revere.control.event_image import EventImage, event_at, fold_call
from revere.control.external import ExternalLimits
from revere.control.held import Held
from revere.control.registers import Registers, building_mean, keep_aligned, net_wh_of
from revere.control.screen import building_range_kw, told_once
from revere.control.told import Told
from revere.core import facts as f
from revere.core.assets import VENDOR_CLOUD, StationIdentity, program_of
from revere.core.commands import NOT_CONNECTED
from revere.core.ids import CampaignId, GridEventId, ProgramId, SessionId, SiteId, StationId, VehicleId

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.core.assets import Fleet, Site, Station, Vehicle
    from revere.core.commands import LockState

SOC_FRESH = dt.timedelta(minutes=15)
OUT_COUNTS_AFTER = dt.timedelta(minutes=10)
"""A restart or an update is over sooner; what lasts longer is counted on no more."""
MOVING_KW = 0.3
"""Less than this at an EVSE's meter counts as rest."""
RECLOSES_WITHIN = dt.timedelta(minutes=30)
"""A switch that is told to have closed later than this after the grid's return was told late."""
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FOR_EVER = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Lock:
    """One technician's lock; ``whole_site`` where it hangs on all stations of the site."""

    by: str
    why: str
    at: dt.datetime
    whole_site: bool


@dataclass(slots=True)
class EvseImage:
    """One EVSE and the vehicle behind it, as last reported."""

    station: Station
    vehicle: Vehicle | None
    online: bool = False
    generation: int = 0
    booted: bool = False
    protocol: str = ""
    status: str = "unknown"
    out_since: dt.datetime | None = None
    occupied_since: dt.datetime | None = None
    """Since when it says that it is unavailable or faulted; that a cable is in."""
    session_id: SessionId | None = None
    session_since: dt.datetime = EPOCH
    session_heard_at: dt.datetime = EPOCH
    """The same by our own clock: no setpoint of this session was given before."""
    power_kw: float | None = None
    power_at: dt.datetime = EPOCH
    rested_at: dt.datetime = EPOCH
    offline_at: dt.datetime | None = None
    soc: float | None = None
    soc_at: dt.datetime = EPOCH
    registers: Registers = field(default_factory=lambda: Registers())
    skew_s: float | None = None
    charge_max_kw: float | None = None
    discharge_max_kw: float | None = None
    least_kwh: float | None = None
    most_kwh: float | None = None
    last_reading: dt.datetime | None = None
    problems: tuple[str, ...] = ()
    identity: StationIdentity | None = None
    controllable: bool = True
    """Whether anybody but its vendor can give it power."""
    discharges: bool = True
    """Whether we can make it give, where its hardware does."""
    stranger: StationIdentity | None = None
    """The other charger that answers in its place, until a person accepts it or the right one is back."""
    told: tuple[tuple[dt.datetime, float], ...] = ()
    """Setpoints of this session that it may follow, (when, kW): the last one, and the one before until that is met."""
    back_at: dt.datetime = EPOCH
    silent: dt.timedelta = dt.timedelta.max
    """How long it had been out of reach when it came back at ``back_at``."""
    schedules_read: int = 0
    schedule_at: dt.datetime | None = None
    booted_at: dt.datetime | None = None
    firmware: str = ""
    firmware_told: f.FirmwareReported | None = None
    provisioned_at: dt.datetime | None = None
    held: frozenset[type[f.TakesAway]] = frozenset()
    """What was heard of it that takes a permission away and is not committed yet."""
    external: ExternalLimits = field(default_factory=ExternalLimits)
    priority: bool = False
    """Whether its session charges by its driver's priority: no setpoint is followed until that ends."""
    scheduled: bool = False
    """Whether the vehicle follows a schedule that it was offered, and gives nothing by a setpoint of the moment."""
    mode: f.OperationModeSet | None = None
    """The mode of its own in which a person has put its session: no setpoint of ours is followed until it ends."""
    mode_told: f.OperationModeReported | None = None
    """The mode in force in its session, by the station's own word."""
    commissioned_until: dt.datetime = FOR_EVER
    """Until when it may discharge, by its site's commissioning."""
    locks: tuple[Lock, ...] = ()
    """Technicians' locks, one a person and place: it stays shut until the last of them is lifted."""
    rest_proven_at: dt.datetime | None = None
    """When its meter first showed 0 kW under a lock."""

    def lock_state(self) -> LockState:
        """Whether it is locked, and whether its meter has shown since that it rests."""
        if not self.locks:
            return "free"
        return "closing" if self.rest_proven_at is None else "locked"

    def out_of_service(self, now: dt.datetime) -> bool:
        """Whether it says that nobody can charge there, and that for longer than a restart takes."""
        since = self.out_since
        return since is not None and self.session_id is None and now - since >= OUT_COUNTS_AFTER

    def sits_idle(self) -> bool:
        """Whether a vehicle is at its plug without a session: a stopped one, say, whose cable is still in."""
        return self.online and self.session_id is None and self.status == "occupied"

    def commanded(self) -> bool:
        """Whether setpoints may be sent: it is on the line, ours to tell, the charger that we take it to be."""
        ours = self.online and self.controllable and self.stranger is None
        return ours and not self.priority and self.mode is None and not self.held

    def gives(self) -> bool:
        """Whether the last reading is of discharge."""
        return self.power_kw is not None and self.power_kw < -MOVING_KW

    def soc_fresh(self, now: dt.datetime) -> bool:
        """Whether the state of charge may be trusted for a discharge (at most 15 minutes old)."""
        return self.soc is not None and self.session_id is not None and now - self.soc_at <= SOC_FRESH


@dataclass(slots=True)
class SiteImage:
    """One grid connection, as last reported. ``building_kw`` is what is left without the stations."""

    site: Site
    net_kw: float | None = None
    net_at: dt.datetime = EPOCH
    building_kw: float | None = None
    building_at: dt.datetime = EPOCH
    aligned_net_wh: dict[dt.datetime, int] = field(default_factory=dict)
    grid: str = "unknown"
    lost_at: dt.datetime | None = None
    restored_at: dt.datetime | None = None
    silent_since: dt.datetime | None = None
    """Since when its grid is suspected to be dead: until it is proven live, or known to be dead."""
    heard_at: dt.datetime | None = None
    """When the first link was back after such a silence."""
    islanded: bool = False
    switched_at: dt.datetime | None = None
    outages: list[tuple[dt.datetime, dt.datetime | None]] = field(default_factory=list)
    """When the site was without the grid: from its loss to its return, or to the switch's closing after it."""
    commissioned: f.SiteCommissioned | None = None
    """The last commissioning; whether it still holds is another's to say."""
    stop_kept: bool = False
    """Whether a committed order of a person stops its discharge."""
    held: frozenset[type[f.TakesAway]] = frozenset()
    """What was heard of it that takes a permission away and is not committed yet."""

    @property
    def stopped(self) -> bool:
        """Whether a person has stopped its discharge."""
        return self.stop_kept or f.DischargeStopped in self.held

    @property
    def dead(self) -> bool:
        """Whether its grid is known to be dead."""
        return self.grid == "dead" or f.GridLost in self.held

    @property
    def suspected(self) -> bool:
        """Whether its grid may be dead: nothing has proven it live since a silence."""
        return self.silent_since is not None or f.OutageSuspected in self.held


@dataclass(slots=True)
class Override:
    """A departure that somebody asked for."""

    departs: dt.datetime
    soc_required: float
    by: str


class Image:
    """Everything last known: the journal, folded fact by fact with ``apply``; and what is held until it is folded."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        by_station = {vehicle.station_id: vehicle for vehicle in fleet.vehicles}
        self.by_token = {vehicle.token: vehicle for vehicle in fleet.vehicles}
        self.evses: dict[str, EvseImage] = {
            f.evse_asset(station.id, 1): _unheard(station, by_station.get(station.id)) for station in fleet.stations
        }
        self.sites: dict[SiteId, SiteImage] = {site.id: SiteImage(site) for site in fleet.sites}
        self.site_evses: dict[SiteId, list[EvseImage]] = {site.id: [] for site in fleet.sites}
        for evse in self.evses.values():
            self.site_evses[evse.station.site_id].append(evse)
        self.events: dict[GridEventId, EventImage] = {}
        self.overrides: dict[VehicleId, Override] = {}
        self.alarms: dict[str, f.AlarmRaised] = {}
        self.acknowledged: dict[str, str] = {}
        """Open alarms that somebody has seen, and who."""
        self.open_commands: dict[str, f.CommandIssued] = {}
        self.campaigns: dict[CampaignId, Campaign] = {}
        self.told = Told()
        self._members: dict[ProgramId, frozenset[SiteId]] = {}
        self.held = Held(self.sites, self.stations_of)
        self._stopped_at: dt.datetime | None = None
        self.facts_seen = 0
        self.readings_refused = 0
        self.refused: dict[str, tuple[dt.datetime, str]] = {}
        """When a meter last said what is not believed, and why not."""
        self.last_fact_at: dt.datetime = EPOCH
        self.on_building: Callable[[SiteId, dt.datetime, float], None] | None = None

    def members(self, event: EventImage) -> frozenset[SiteId]:
        """The sites that an event calls: enrolled in a program of the same OpenADR program.

        A municipal light plant's customer is in no program, so never counted.
        """
        found = self._members.get(event.program_id)
        if found is None:
            openadr = {p.openadr_program for p in self.fleet.programs if p.id == event.program_id}
            programs = {site.id: program_of(site, self.fleet.programs) for site in self.fleet.sites}
            found = frozenset(s for s, program in programs.items() if program and program.openadr_program in openadr)
            self._members[event.program_id] = found
        return found

    def stations_of(self, station_id: StationId) -> list[EvseImage]:
        """The EVSEs of a station (one in this release); empty for an unknown id."""
        evse = self.evses.get(f.evse_asset(station_id, 1))
        return [evse] if evse else []

    @property
    def stopped_at(self) -> dt.datetime | None:
        """Since when a person has stopped all discharge."""
        return self._stopped_at or self.held.stopped_at()

    @property
    def stopped(self) -> bool:
        """Whether a person has stopped all discharge."""
        return self.stopped_at is not None

    def apply(self, fact: f.Fact) -> None:
        """Fold one committed fact."""
        if isinstance(fact, f.TakesAway):
            self.held.drop(fact)
        self.facts_seen += 1
        self.last_fact_at = fact.at
        if isinstance(fact, f.StationFact):
            self._station(fact)
            return
        if isinstance(fact, f.RecordFact):
            if isinstance(fact, f.StationOrdered | f.NumberGiven):
                self.told.apply(fact)
            return
        match fact:
            case f.MeterReading():
                self._reading(fact)
            case f.CommandIssued() | f.CommandEnded():
                self._command(fact)
            case f.PlanMade() | f.EventReported():
                self._outcome(fact)
            case f.GridEventReceived() | f.Nominated() | f.OptDecided():
                fold_call(self.events, fact)
            case f.GridLost() | f.GridRestored() | f.TransferSwitchReported():
                self._grid(fact)
            case f.OutageSuspected() | f.GridProven():
                self._silence(fact)
            case f.DepartureSet():
                self.overrides[fact.vehicle_id] = Override(fact.departs, fact.soc_required, fact.by)
            case f.DischargeStopped() | f.DischargeReleased():
                stopped = isinstance(fact, f.DischargeStopped)
                if fact.site_id is None:
                    self._stopped_at = (self._stopped_at or fact.at) if stopped else None
                elif fact.site_id in self.sites:
                    self.sites[fact.site_id].stop_kept = stopped
            case f.SiteCommissioned():
                if fact.site_id in self.sites:
                    self.sites[fact.site_id].commissioned = fact
            case f.Locked() | f.Unlocked() | f.LockProven():
                self._lock(fact)
            case f.AlarmRaised() | f.AlarmCleared() | f.AlarmAcknowledged():
                self._alarm(fact)
            case f.CampaignStarted() | f.CampaignTold() | f.CampaignStep() | f.CampaignEnded():
                self._campaign(fact)
            case _:
                assert_never(fact)

    def _campaign(self, fact: f.CampaignFact) -> None:
        if isinstance(fact, f.CampaignStarted):
            self.campaigns[fact.campaign_id] = Campaign(fact)
            return
        campaign = self.campaigns.get(fact.campaign_id)
        match fact:
            case _ if campaign is None:
                return
            case f.CampaignTold():
                campaign.told(fact)
            case f.CampaignStep():
                campaign.stepped(fact)
            case f.CampaignEnded():
                campaign.ended(fact)

    def _command(self, fact: f.CommandIssued | f.CommandEnded) -> None:
        self.told.apply(fact)
        if isinstance(fact, f.CommandIssued):
            self.open_commands[fact.command_id] = fact
            for evse in self.stations_of(fact.station_id) if fact.kind == "setpoint" else ():
                if evse.session_id is not None and fact.at >= evse.session_heard_at:
                    evse.told = (*evse.told[-1:], (fact.at, float(fact.detail.get("setpoint_kw", 0.0))))
            return
        issued = self.open_commands.pop(fact.command_id, None)
        if issued is None:
            return
        for evse in self.stations_of(issued.station_id):
            if not evse.told or evse.told[-1][0] != issued.at:
                continue
            if fact.outcome == "confirmed":
                evse.told = evse.told[-1:]
            elif fact.outcome == "rejected" and not _may_have_heard(fact.why):
                evse.told = evse.told[:-1]

    def _lock(self, fact: f.Locked | f.Unlocked | f.LockProven) -> None:
        """Hang a lock on, take others' locks off, or note that the station rests; the same fact twice is one."""
        if isinstance(fact, f.LockProven):
            for evse in self.stations_of(fact.station_id):
                evse.rest_proven_at = (evse.rest_proven_at or fact.at) if evse.locks else None
            return
        whole_site = fact.site_id is not None
        for evse in self.locked_by(fact.station_id, fact.site_id):
            mine = [lock for lock in evse.locks if lock.whole_site == whole_site and lock.by == fact.by]
            others = [lock for lock in evse.locks if lock.whole_site != whole_site]
            if isinstance(fact, f.Unlocked):
                evse.locks = (*others, *mine)
            elif not mine:
                evse.locks = (*evse.locks, Lock(fact.by, fact.why, fact.at, whole_site))
            if not evse.locks:
                evse.rest_proven_at = None

    def locked_by(self, station_id: StationId | None, site_id: SiteId | None) -> list[EvseImage]:
        """The EVSEs that a lock on a station or on a site means; empty where there is no such place."""
        return self.stations_of(station_id) if station_id else self.site_evses.get(site_id, []) if site_id else []

    def _alarm(self, fact: f.AlarmRaised | f.AlarmCleared | f.AlarmAcknowledged) -> None:
        """An open alarm keeps its first moment and takes the newest words."""
        key = fact.key
        if isinstance(fact, f.AlarmRaised):
            self.alarms[key] = msgspec.structs.replace(fact, at=self.alarms.get(key, fact).at)
        elif isinstance(fact, f.AlarmCleared) or told_once(key):
            self.alarms.pop(key, None)
            self.acknowledged.pop(key, None)
        elif key in self.alarms:
            self.acknowledged[key] = fact.by

    def _outcome(self, fact: f.PlanMade | f.EventReported) -> None:
        if isinstance(fact, f.EventReported) and fact.grid_event_id in self.events:
            event = self.events[fact.grid_event_id]
            event.performance_kw, event.reported, event.held = fact.performance_kw, True, fact.held

    def _reading(self, fact: f.MeterReading) -> None:
        if fact.quarantined not in ("", f.OTHER_CHARGER):
            self.readings_refused += 1
            self.refused[fact.asset_id] = (fact.at, fact.quarantined)
            return
        evse = self.evses.get(fact.asset_id)
        net_wh = net_wh_of(fact, evse.station if evse else None)
        if fact.place == "site":
            site = self.sites.get(SiteId(fact.asset_id))
            if site is None:
                return
            if fact.power_kw is not None and fact.ts >= site.net_at:
                site.net_kw, site.net_at = fact.power_kw, fact.ts
            if fact.context == "clock" and net_wh is not None:
                keep_aligned(site.aligned_net_wh, fact.ts, net_wh)
                self._building(site)
            return
        if evse is None or fact.place != "ac_inlet":
            return
        evse.last_reading = fact.at
        if fact.power_kw is not None and fact.ts >= evse.power_at:
            if evse.gives() and fact.power_kw >= -MOVING_KW:
                evse.rested_at = fact.ts
            evse.power_kw, evse.power_at = fact.power_kw, fact.ts
        if fact.soc is not None and fact.ts >= evse.soc_at:
            evse.soc, evse.soc_at = fact.soc, fact.ts
        if net_wh is not None:
            evse.registers.add(fact.ts, net_wh)
            self._building(self.sites[evse.station.site_id])

    def _building(self, site: SiteImage) -> None:
        """Take the building's newest mean load, where one is known and can be."""
        found = building_mean(site, self.site_evses[site.site.id])
        if found is None:
            return
        end, building_kw = found
        low_kw, high_kw = building_range_kw(site.site)
        if not low_kw <= building_kw <= high_kw:
            why = f"a building of {building_kw:.1f} kW by its registers, its range is {low_kw:g} to {high_kw:g} kW"
            self.refused[site.site.id] = (self.last_fact_at, why)
            return
        site.building_kw, site.building_at = building_kw, end
        if self.on_building is not None:
            self.on_building(site.site.id, end, building_kw)

    def _station(self, fact: f.StationFact) -> None:
        for evse in self.stations_of(fact.station_id):
            match fact:
                case f.StationConnected():
                    evse.silent, evse.back_at = _spell(evse, fact.at), fact.at
                    evse.online, evse.protocol, evse.generation = True, fact.protocol, fact.generation
                    self._heard(evse, fact.at)
                case f.StationDisconnected():
                    # The end of an older socket does not take the newer one away.
                    if fact.generation >= evse.generation and evse.online:
                        evse.online, evse.offline_at = False, fact.at
                        self._heard(evse, fact.at)
                case f.StationBooted():
                    evse.booted, evse.booted_at, evse.firmware = True, fact.at, fact.firmware
                case f.IdentityAccepted():
                    evse.identity, evse.stranger = _identity(fact), None
                case f.IdentityRefused():
                    evse.stranger = _identity(fact)
                case f.StationProvisioned():
                    evse.problems, evse.provisioned_at = fact.problems, fact.at
                case f.StationRecognised():
                    evse.controllable = fact.controllable
                    evse.discharges = fact.controllable and fact.discharges
                case f.ScheduleRead():
                    evse.schedules_read += 1
                    evse.schedule_at = fact.at
                case f.FirmwareReported():
                    evse.firmware_told = fact
                case f.StatusReported():
                    evse.status = fact.status
                    out = fact.status in ("unavailable", "faulted")
                    evse.out_since = (evse.out_since or fact.at) if out else None
                    evse.occupied_since = (evse.occupied_since or fact.ts) if fact.status == "occupied" else None
                case f.ClockSkewMeasured():
                    evse.skew_s = fact.skew_s
                case f.SessionStarted():
                    self._arrived(evse, fact)
                case f.SessionEnded():
                    if evse.session_id == fact.session_id:
                        evse.session_id = None
                        evse.told = ()
                        evse.priority = evse.scheduled = False
                        evse.mode = evse.mode_told = None
                        evse.power_kw, evse.power_at = 0.0, max(evse.power_at, fact.ts)
                        self._left(evse, fact.ts)
                case f.EnergyNeeds():
                    evse.charge_max_kw, evse.discharge_max_kw = fact.charge_max_kw, fact.discharge_max_kw
                    evse.scheduled = fact.scheduled
                    if fact.soc is not None:
                        evse.soc, evse.soc_at = fact.soc, fact.at
                    energy_kwh = self.energy_kwh(evse)
                    evse.least_kwh, evse.most_kwh = (
                        None if to_kwh is None or energy_kwh is None else energy_kwh + to_kwh
                        for to_kwh in (fact.to_least_kwh, fact.to_most_kwh)
                    )
                case f.ExternalLimitReported():
                    evse.external.take(fact)
                case f.ExternalLimitLifted():
                    evse.external.lift(fact)
                case f.PriorityChargingReported():
                    evse.priority = fact.active and fact.session_id == evse.session_id
                case f.OperationModeSet():
                    evse.mode = fact if fact.session_id == evse.session_id else None
                case f.OperationModeEnded():
                    evse.mode = None
                case f.OperationModeReported():
                    evse.mode_told = fact if fact.session_id == evse.session_id else evse.mode_told
                case f.VehicleScheduleReported() | f.DerControlReported():
                    pass  # records: what the station then does, its meter tells

    def _arrived(self, evse: EvseImage, fact: f.SessionStarted) -> None:
        """A plug-in; one told twice, or late out of a backlog, changes nothing of what is known since."""
        if fact.session_id == evse.session_id or (evse.session_id is not None and fact.ts < evse.session_since):
            return
        evse.session_id, evse.session_since, evse.session_heard_at = fact.session_id, fact.ts, fact.at
        evse.vehicle = self.by_token.get(fact.token, evse.vehicle)
        evse.soc = None
        evse.told = ()
        evse.priority = evse.scheduled = False
        evse.mode = evse.mode_told = None
        evse.charge_max_kw = evse.discharge_max_kw = evse.least_kwh = evse.most_kwh = None

    def _left(self, evse: EvseImage, ts: dt.datetime) -> None:
        """A vehicle that left has used its departure order."""
        if evse.vehicle is not None:
            override = self.overrides.get(evse.vehicle.id)
            if override is not None and override.departs <= ts + dt.timedelta(minutes=30):
                del self.overrides[evse.vehicle.id]

    def _silence(self, fact: f.OutageSuspected | f.GridProven) -> None:
        site = self.sites.get(fact.site_id)
        if site is None:
            return
        if isinstance(fact, f.OutageSuspected):
            online = any(evse.online for evse in self.site_evses[fact.site_id])
            site.silent_since, site.heard_at = fact.ts, fact.at if online else None
        else:
            site.silent_since = None

    def _heard(self, evse: EvseImage, at: dt.datetime) -> None:
        """A link came up or went down: note since when a suspected site is heard again."""
        site = self.sites[evse.station.site_id]
        if site.silent_since is None:
            return
        if evse.online:
            site.heard_at = site.heard_at or at
        elif not any(other.online for other in self.site_evses[evse.station.site_id]):
            site.heard_at = None

    def _grid(self, fact: f.GridLost | f.GridRestored | f.TransferSwitchReported) -> None:
        site = self.sites.get(fact.site_id)
        if site is None:
            return
        match fact:
            case f.GridLost():
                if site.grid != "dead":
                    site.lost_at = fact.at
                    site.outages.append((fact.ts, None))
                site.grid, site.restored_at, site.silent_since = "dead", None, None
            case f.GridRestored():
                if site.silent_since is not None:  # its loss was never told: then it was the silence
                    site.outages.append((site.silent_since, None))
                if site.grid == "dead" or site.silent_since is not None:  # told again, or at first, it is no return
                    site.restored_at = fact.at
                    if site.outages:
                        site.outages[-1] = (site.outages[-1][0], fact.ts)
                site.grid, site.silent_since = "live", None
            case f.TransferSwitchReported():
                if site.switched_at is None or fact.open != site.islanded:
                    site.switched_at = fact.at
                if site.islanded and not fact.open:
                    self._reconnected(site, fact.ts)
                site.islanded = fact.open

    def _reconnected(self, site: SiteImage, ts: dt.datetime) -> None:
        """The island ends with its switch, minutes after the grid is back: until then it relieves nobody."""
        if site.outages and site.grid == "live":
            lost, back = site.outages[-1]
            if back is not None and back < ts <= back + RECLOSES_WITHIN:
                site.outages[-1] = (lost, ts)

    def event_at(self, now: dt.datetime) -> EventImage | None:
        """The live event that runs now, else the next one, else the last one that ended today."""
        return event_at(self.events.values(), now)

    def energy_kwh(self, evse: EvseImage) -> float | None:
        """Energy in the plugged vehicle's battery by its last soc, None where nothing was reported.

        How old it is must be asked beside it (:meth:`EvseImage.soc_fresh`): nothing is given on an old one.
        """
        if evse.vehicle is None or evse.soc is None:
            return None
        return evse.soc * evse.vehicle.capacity_kwh


def _unheard(station: Station, vehicle: Vehicle | None) -> EvseImage:
    """An EVSE of which nothing was heard; one that only its vendor's cloud reaches is never ours to tell."""
    ours = station.charger_model != VENDOR_CLOUD
    return EvseImage(station, vehicle, controllable=ours, discharges=ours)


def _identity(fact: f.IdentityAccepted | f.IdentityRefused) -> StationIdentity:
    return StationIdentity(vendor=fact.vendor, model=fact.model, serial=fact.serial)


def _may_have_heard(why: str) -> bool:
    """Whether a setpoint that got no answer may have arrived: the link was there when it was sent."""
    return why.startswith("timeout") or (why.startswith("offline") and NOT_CONNECTED not in why)


def _spell(evse: EvseImage, at: dt.datetime) -> dt.timedelta:
    """How long a station that is back at ``at`` was out of reach; unknown (an earlier life) counts as for ever."""
    if evse.online:
        return dt.timedelta(0)
    heard = [moment for moment in (evse.offline_at, evse.last_reading) if moment is not None]
    return at - max(heard) if heard else dt.timedelta.max
