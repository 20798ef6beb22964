"""Carries firmware campaigns out: looks at each every half minute, asks the stations, journals every step.

What to do next is :func:`revere.control.campaign.next_moves`; all that it knows is folded from the journal, so that a
restart goes on where the last life ended.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Final, Literal

import structlog

from revere.control.bounds import fed
from revere.control.campaign import Call, Campaign, Move, StationNow, held, next_moves, sites_under_way
from revere.control.desk import Receipt, StartCampaign, TellCampaign
from revere.control.snapshot import read_slots
from revere.control.view import CampaignRow, CampaignView
from revere.core import facts as f
from revere.core.assets import StationIdentity
from revere.core.commands import SCHEDULE_READ_S
from revere.core.errors import Refused, RevereError
from revere.core.ids import CampaignId, StationId
from revere.core.orders import UpdateFirmware
from revere.core.time import floor_to
from revere.core.words import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.control.image import EvseImage, Image
    from revere.control.inbox import Inbox
    from revere.control.sender import Sender
    from revere.core.ids import SiteId
    from revere.core.ports import ChargingLink
    from revere.core.time import Clock

log = structlog.get_logger()

Step = Literal["accepted", "put_off", "let_go", "restored", "passed", "failed"]

LOOK_S: Final = 30
SHOWN_MAX: Final = 20
"""The newest campaigns that are shown."""
WHY_MAX_CHARS: Final = 400


class Campaigns:
    """Starts campaigns, takes people's word to them, moves them on. ``follows``: whether an EVSE does as told."""

    def __init__(
        self,
        image: Image,
        inbox: Inbox,
        link: ChargingLink,
        sender: Sender,
        clock: Clock,
        follows: Callable[[str], bool],
    ) -> None:
        self._image = image
        self._inbox = inbox
        self._link = link
        self._sender = sender
        self._clock = clock
        self._follows = follows
        self._busy: set[tuple[CampaignId, StationId | None]] = set()
        self._starting = asyncio.Lock()
        self._serial = 0
        self.views: tuple[CampaignView, ...] = ()

    async def run(self) -> None:
        """Look every :data:`LOOK_S` until cancelled."""
        while True:
            now = self._clock.now()
            await asyncio.sleep((floor_to(now, LOOK_S) + dt.timedelta(seconds=LOOK_S) - now).total_seconds())
            self.look(self._clock.now())

    def look(self, now: dt.datetime) -> None:
        """Do what each campaign does now, beside; what is still being done for a station is not begun again."""
        live = [campaign for campaign in self._image.campaigns.values() if campaign.live(now)]
        stations = self._stations(now) if live else {}
        taken: set[SiteId] = set().union(*(sites_under_way(campaign, stations) for campaign in live))
        for campaign in live:
            for move in next_moves(campaign, stations, now, taken - sites_under_way(campaign, stations)):
                if move.kind == "ask" and move.station_id is not None:
                    taken.add(stations[move.station_id].site_id)
                key = (campaign.started.campaign_id, move.station_id)
                if key not in self._busy:
                    self._busy.add(key)
                    self._sender.chore(self._do(campaign, move, key))
        self._show(stations, now)

    def _stations(self, now: dt.datetime) -> dict[StationId, StationNow]:
        """What the rule needs of every station."""
        departs: dict[str, dt.datetime] = {}
        for slot in read_slots(self._image, now):
            if slot.presence.journeys:
                departs[slot.evse.station.id] = slot.presence.journeys[0].depart
        found = {}
        for asset_id, evse in self._image.evses.items():
            site = self._image.sites[evse.station.site_id]
            found[evse.station.id] = StationNow(
                site_id=site.site.id,
                reachable=evse.commanded() and not evse.locks,
                fed=fed(site) and site.silent_since is None,
                session=evse.session_id is not None,
                departs=departs.get(evse.station.id),
                calls=tuple(
                    Call(start=event.start, end=event.end, called=site.site.id in self._image.members(event))
                    for event in self._image.events.values()
                    if event.live() and event.end > now
                ),
                firmware=evse.firmware,
                booted_at=evse.booted_at,
                provisioned_at=evse.provisioned_at,
                problems=evse.problems,
                metered_at=evse.last_reading,
                schedule_at=evse.schedule_at,
                follows=self._follows(asset_id),
                told=evse.firmware_told,
            )
        return found

    # ---- the moves ------------------------------------------------------------------------------

    async def _do(self, campaign: Campaign, move: Move, key: tuple[CampaignId, StationId | None]) -> None:
        try:
            if move.station_id is None:
                await self._end(campaign, move)
            else:
                await self._step(campaign, move, move.station_id)
        except RevereError as error:  # a database that is away, a station that just left: looked at again
            log.warning("a campaign waits", campaign=key[0], station=key[1], why=error.text())
        finally:
            self._busy.discard(key)

    async def _end(self, campaign: Campaign, move: Move) -> None:
        now, campaign_id = self._clock.now(), campaign.started.campaign_id
        done = move.kind == "done"
        facts: list[f.Fact] = [
            f.CampaignEnded(
                at=now,
                campaign_id=campaign_id,
                outcome="done" if done else "stopped",
                why=move.why[:WHY_MAX_CHARS],
            )
        ]
        if not done:
            text = f"Firmware {campaign.started.version} has stopped itself: {move.why}"
            facts.append(_alarm(now, f"campaign:{campaign_id}", campaign_id, text))
        await self._inbox.record(facts)

    async def _step(self, campaign: Campaign, move: Move, station_id: StationId) -> None:
        evse = next(iter(self._image.stations_of(station_id)), None)
        match move.kind:
            case "ask" if evse is not None:
                await self._ask(campaign, evse)
            case "let_go" if evse is not None and evse.session_id is not None:
                answer = await self._link.remote_stop(station_id, evse.session_id)
                if answer.status == "accepted":
                    await self._record(campaign, station_id, "let_go")
            case "restore" if evse is not None:
                why = "no vehicle is registered there"
                if evse.vehicle is not None:
                    answer = await self._link.remote_start(station_id, 1, evse.vehicle.token)
                    why = "" if answer.status == "accepted" else f"{answer.status}: {answer.why}"
                await self._record(campaign, station_id, "restored", why)
            case "read":
                steps = await self._link.composite_limits_kw(station_id, 1, SCHEDULE_READ_S)
                now = self._clock.now()
                await self._inbox.record([f.ScheduleRead(at=now, station_id=station_id, evse_id=1, steps=tuple(steps))])
            case "put_off":
                await self._record(campaign, station_id, "put_off", move.why)
            case "pass":
                key = f"firmware:{station_id}"
                over = [f.AlarmCleared(at=self._clock.now(), key=key)] if key in self._image.alarms else []
                await self._record(campaign, station_id, "passed", "", *over)
            case "fail":
                text = f"{station_id} did not take firmware {campaign.started.version}: {move.why}"
                alarm = _alarm(self._clock.now(), f"firmware:{station_id}", station_id, text)
                await self._record(campaign, station_id, "failed", move.why, alarm)

    async def _ask(self, campaign: Campaign, evse: EvseImage) -> None:
        """Journal that a station is asked, then ask it, then journal its answer: none is lost, whenever we crash."""
        started, station_id = campaign.started, evse.station.id
        now = self._clock.now()
        asked = f.CampaignStep(
            at=now,
            campaign_id=started.campaign_id,
            station_id=station_id,
            step="asked",
            request_id=int(now.timestamp()),
            problems=evse.problems,
        )
        await self._inbox.record([asked])
        order = _order(started.location, started.signing_certificate, started.signature, asked.request_id)
        answer = await self._link.carry_out(station_id, order)
        if answer.status == "rejected":
            await self._step(campaign, Move("fail", station_id, f"it refuses: {answer.why}"), station_id)
        elif answer.status == "accepted":
            await self._record(campaign, station_id, "accepted")
        else:
            await self._record(campaign, station_id, "put_off", f"{answer.status}: {answer.why}")

    async def _record(
        self, campaign: Campaign, station_id: StationId, step: Step, why: str = "", *more: f.Fact
    ) -> None:
        fact = f.CampaignStep(
            at=self._clock.now(),
            campaign_id=campaign.started.campaign_id,
            station_id=station_id,
            step=step,
            why=why[:WHY_MAX_CHARS],
        )
        await self._inbox.record([fact, *more])

    # ---- people ---------------------------------------------------------------------------------

    async def start(self, request: StartCampaign, now: dt.datetime) -> Receipt:
        """Begin a campaign; with its first station at the next look."""
        self._link.check_file(request.location)
        try:
            _order(request.location, request.signing_certificate, request.signature, 1)
        except ValueError as error:
            raise Refused(str(error)) from error
        async with self._starting:  # each sees the stations that the one before it has taken
            return await self._start(request, now)

    async def _start(self, request: StartCampaign, now: dt.datetime) -> Receipt:
        evses, left_out = self._chosen(request)
        kind = _identity(evses[0])
        self._serial += 1
        fact = f.CampaignStarted(
            at=now,
            campaign_id=CampaignId(f"firmware-{int(now.timestamp())}-{self._serial}"),
            by=request.by,
            vendor=kind.vendor,
            model=kind.model,
            version=request.version,
            location=request.location,
            stations=tuple(evse.station.id for evse in evses),
            signing_certificate=request.signing_certificate,
            signature=request.signature,
        )
        stages = ", ".join(str(len(stage)) for stage in Campaign(fact).stages())
        await self._inbox.record([fact])
        self.look(now)
        left = f" {left_out} have it already or cannot be told." if left_out else ""
        which = f"{count(len(evses), 'station')} ({kind.vendor} {kind.model})"
        detail = f"Firmware {request.version} for {which}, in stages of {stages}.{left}"
        return Receipt(accepted=True, detail=detail, reference=fact.campaign_id)

    def _chosen(self, request: StartCampaign) -> tuple[list[EvseImage], int]:
        """The stations of a campaign, of one kind and in their order; how many need none or cannot be told."""
        evses = self._image.evses.values()
        if request.stations:
            by_id = {str(evse.station.id): evse for evse in evses}
            unknown = [station_id for station_id in request.stations if station_id not in by_id]
            if unknown:
                raise Refused("no such station", got=", ".join(unknown[:5]), remedy="revere station list shows all")
            named = [by_id[station_id] for station_id in dict.fromkeys(request.stations)]
        else:
            wanted = (request.vendor.casefold(), request.model.casefold())
            named = sorted((e for e in evses if _kind(e) == wanted), key=lambda e: e.station.id)
        kinds = sorted({" ".join(_kind(evse)) for evse in named})
        if len(kinds) > 1:
            raise Refused("firmware is for one kind of station", got=", ".join(kinds), expected="one vendor and model")
        chosen = [evse for evse in named if evse.controllable and evse.firmware != request.version]
        if not chosen:
            raise Refused(
                "no station needs that firmware",
                got=f"{count(len(named), 'station')} of that kind",
                expected=f"one that can be told and does not run {request.version}",
            )
        taken = {i for c in self._image.campaigns.values() if c.open() for i in c.progress}
        both = [str(evse.station.id) for evse in chosen if evse.station.id in taken]
        if both:
            raise Refused("another campaign has stations of it", got=", ".join(both[:5]), remedy="Abort that one first")
        return chosen, len(named) - len(chosen)

    async def tell(self, request: TellCampaign, now: dt.datetime) -> Receipt:
        """Take a person's word to a campaign."""
        campaign = self._image.campaigns.get(CampaignId(request.campaign_id))
        if campaign is None:
            raise Refused("no such campaign", got=request.campaign_id, remedy="revere campaign list shows all")
        if not campaign.open():
            raise Refused("the campaign is over", where=request.campaign_id, got=campaign.state)
        fact = f.CampaignTold(
            at=now,
            campaign_id=campaign.started.campaign_id,
            order=request.order,
            by=request.by,
            why=request.why[:WHY_MAX_CHARS],
        )
        await self._inbox.record([fact])
        self.look(now)
        under_way = sum(1 for progress in campaign.progress.values() if progress.step == "asked")
        ends = f"; {under_way} under way go on to their end, since OCPP cannot call them back" if under_way else ""
        ends = "" if request.order == "resume" else ends
        return Receipt(accepted=True, detail=f"{request.campaign_id} is {campaign.state}{ends}.")

    def _show(self, stations: dict[StationId, StationNow], now: dt.datetime) -> None:
        newest = list(self._image.campaigns.values())[-SHOWN_MAX:]
        self.views = tuple(_view(campaign, stations, now) for campaign in reversed(newest))


def _view(campaign: Campaign, stations: dict[StationId, StationNow], now: dt.datetime) -> CampaignView:
    started, stages, running = campaign.started, campaign.stages(), campaign.stage()
    rows = []
    for number, members in enumerate(stages, 1):
        for station_id in members:
            progress, why = campaign.progress[station_id], campaign.progress[station_id].why
            if progress.step == "waiting" and campaign.state == "running" and number == running:
                why = held(stations[station_id], now) if station_id in stations else why
            rows.append(CampaignRow(station_id=station_id, stage=number, step=progress.step, why=why))
    steps = [row.step for row in rows]
    return CampaignView(
        campaign_id=started.campaign_id,
        by=started.by,
        since=started.at,
        vendor=started.vendor,
        model=started.model,
        version=started.version,
        location=started.location,
        state=campaign.state,
        why=campaign.why,
        waits_for=next((row.why for row in rows if row.step == "waiting" and row.why and row.stage == running), ""),
        stage=min(running, len(stages)),
        stages=len(stages),
        waiting=steps.count("waiting"),
        under_way=steps.count("asked"),
        passed=steps.count("passed"),
        failed=steps.count("failed"),
        stations=tuple(row for row in rows if campaign.open() or row.step == "failed"),
    )


def _identity(evse: EvseImage) -> StationIdentity:
    """Which charger stands there, by its own word where it has spoken."""
    return evse.identity or StationIdentity(vendor=evse.station.vendor, model=evse.station.model)


def _kind(evse: EvseImage) -> tuple[str, str]:
    said = _identity(evse)
    return said.vendor.casefold(), said.model.casefold()


def _order(location: str, certificate: str, signature: str, request_id: int | None) -> UpdateFirmware:
    return UpdateFirmware(
        location=location, signing_certificate=certificate, signature=signature, request_id=request_id
    )


def _alarm(now: dt.datetime, key: str, subject: str, text: str) -> f.AlarmRaised:
    return f.AlarmRaised(at=now, key=key, severity="critical", subject=subject, text=text[:WHY_MAX_CHARS])
