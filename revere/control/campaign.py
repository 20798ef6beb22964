"""A firmware campaign: one station, then a tenth, then all. What may happen next, as a pure function of what is known.

::

    one ──▶ a tenth ──▶ all        a stage waits for the last to have passed; too many failures end the campaign

    waiting ─ask─▶ asked ── downloads ── its session ends ── installs ── boots ── tests ──▶ passed
       ▲             │                                                              │
       └──put off────┴────── fails, says nothing for long, is not itself after ─────┴─────▶ failed, session restored

The tests are those of its commissioning: it boots with the version that was meant, its settings and its charge-only
fallback are in place, its meter is believed, and what it says that it follows is what it was told.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from revere.core.words import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from revere.core import facts as f
    from revere.core.ids import SiteId, StationId

TENTH: Final = 0.1
FAILURE_SHARE_MAX: Final = 0.05
"""Of a stage's stations, rounded down: none of the first two stages of a small fleet may fail."""
AT_ONCE_MAX: Final = 10
"""Stations under way at a time; of one site only one, or a restart looks like an outage."""
ASKS_MAX: Final = 3
DEPARTURE_ROOM: Final = dt.timedelta(hours=12)
"""Time to bring a vehicle to another charger, should this one not come back."""
EVENT_ROOM: Final = dt.timedelta(hours=2)
"""An update that begins is over by then."""
SILENT_MAX: Final = dt.timedelta(minutes=30)
"""Longer than this without a word of its own, a station has failed."""
TESTS_WITHIN: Final = dt.timedelta(minutes=20)
"""From its boot to the last of its commissioning tests: a clock-aligned meter value comes every five minutes."""
RESTORE_AFTER: Final = dt.timedelta(minutes=2)
"""A station that started anew begins the session of a plugged vehicle by itself."""
RESTORE_WITHIN: Final = dt.timedelta(hours=6)
FAILED: Final[frozenset[f.FirmwareStatus]] = frozenset(
    {"download_failed", "invalid_signature", "install_verification_failed", "installation_failed"}
)
HAS_IT: Final[frozenset[f.FirmwareStatus]] = frozenset({"downloaded", "signature_verified", "install_scheduled"})
"""It has the firmware and waits for its session to end."""

State = Literal["running", "paused", "aborted", "stopped", "done"]


@dataclass(slots=True)
class Progress:
    """One station in a campaign, folded from the campaign's facts."""

    step: Literal["waiting", "asked", "passed", "failed"] = "waiting"
    why: str = ""
    at: dt.datetime | None = None
    """When the step was made."""
    asks: int = 0
    accepted: bool = False
    """Whether its answer to the order is known; an earlier life of ours may have ended before."""
    request_id: int | None = None
    problems: tuple[str, ...] = ()
    """What was wrong with it already when it was asked."""
    let_go_at: dt.datetime | None = None
    restored: bool = False


@dataclass(slots=True)
class Campaign:
    """A campaign as the journal has it."""

    started: f.CampaignStarted
    state: State = "running"
    why: str = ""
    progress: dict[StationId, Progress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """All stations wait at first, in the order of the campaign."""
        self.progress = {station_id: Progress() for station_id in self.started.stations}

    def open(self) -> bool:
        """Whether it may still begin with a station."""
        return self.state in ("running", "paused")

    def live(self, now: dt.datetime) -> bool:
        """Whether there may be anything to do for it: it is open, or a station of it is under way or owed a session."""
        return self.open() or any(
            progress.step == "asked" or (progress.at is not None and now - progress.at < RESTORE_WITHIN)
            for progress in self.progress.values()
        )

    def told(self, fact: f.CampaignTold) -> None:
        """Fold a person's word; one that comes too late changes nothing."""
        if self.open():
            states: dict[str, State] = {"pause": "paused", "resume": "running", "abort": "aborted"}
            self.state, self.why = states[fact.order], f"{fact.by}: {fact.why}" if fact.why else fact.by

    def ended(self, fact: f.CampaignEnded) -> None:
        """Fold the end."""
        self.state, self.why = fact.outcome, fact.why

    def stepped(self, fact: f.CampaignStep) -> None:
        """Fold what became of a station."""
        progress = self.progress.get(fact.station_id)
        if progress is None:
            return
        match fact.step:
            case "asked":
                progress.step, progress.why = "asked", ""
                progress.asks += 1
                progress.request_id, progress.problems = fact.request_id, fact.problems
                progress.let_go_at, progress.accepted = None, False
            case "accepted":
                progress.accepted = True
                return
            case "put_off":
                progress.step, progress.why = "waiting", fact.why
            case "let_go":
                progress.let_go_at = fact.at
                return
            case "restored":
                progress.restored = True
                return
            case "passed" | "failed":
                progress.step, progress.why = fact.step, fact.why
        progress.at = fact.at

    def stages(self) -> list[list[StationId]]:
        """The stations of each stage: the first, the next up to a tenth (one at least), the others."""
        order = list(self.progress)
        ends = [1, max(2, math.ceil(TENTH * len(order))), len(order)]
        found, begin = [], 0
        for end in ends:
            if order[begin:end]:
                found.append(order[begin:end])
                begin = end
        return found

    def stage(self) -> int:
        """The stage that runs, counted from 1; one more than there are where all are over."""
        stages = self.stages()
        over = ("passed", "failed")
        running = (n for n, ids in enumerate(stages, 1) if any(self.progress[i].step not in over for i in ids))
        return next(running, len(stages) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A live GridEvent as a station sees it: ``called`` where its own site is meant."""

    start: dt.datetime
    end: dt.datetime
    called: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StationNow:
    """What the rule needs to know of a station. Moments are by our own clock, None where there was none."""

    site_id: SiteId
    reachable: bool
    fed: bool = True
    session: bool = False
    departs: dt.datetime | None = None
    calls: tuple[Call, ...] = ()
    firmware: str = ""
    booted_at: dt.datetime | None = None
    provisioned_at: dt.datetime | None = None
    problems: tuple[str, ...] = ()
    metered_at: dt.datetime | None = None
    schedule_at: dt.datetime | None = None
    follows: bool = True
    told: f.FirmwareReported | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What to do next. ``let_go`` ends a session, ``restore`` starts it again, ``read`` asks for the schedule."""

    kind: Literal["ask", "put_off", "let_go", "restore", "read", "pass", "fail", "done", "stop"]
    station_id: StationId | None = None
    why: str = ""


def held(station: StationNow, now: dt.datetime) -> str:
    """Why no update may begin at a station now, empty where it may."""
    if not station.reachable:
        return "it is out of reach, or not the charger that it was"
    if not station.fed:
        return "its site is without the grid"
    for call in station.calls:
        if call.start - EVENT_ROOM <= now < call.end:
            return "a grid event runs or begins soon"
        if call.called and station.session and now < call.start:
            return "its vehicle is being filled for a grid event"
    if station.departs is not None and now >= station.departs - DEPARTURE_ROOM:
        return "its vehicle leaves within 12 h"
    return ""


def sites_under_way(campaign: Campaign, stations: Mapping[StationId, StationNow]) -> set[SiteId]:
    """The sites at which a station of the campaign has its order and is not through."""
    asked = (station_id for station_id, progress in campaign.progress.items() if progress.step == "asked")
    return {stations[station_id].site_id for station_id in asked if station_id in stations}


def next_moves(
    campaign: Campaign,
    stations: Mapping[StationId, StationNow],
    now: dt.datetime,
    elsewhere: Set[SiteId] = frozenset(),
) -> list[Move]:
    """What a campaign does now; ``elsewhere``: sites under way in others. A station not registered any more fails."""
    moves: list[Move] = []
    for station_id, progress in campaign.progress.items():
        station = stations.get(station_id)
        if station is None:
            if progress.step in ("waiting", "asked") and campaign.open():
                moves.append(Move("fail", station_id, "it is not registered any more"))
        elif progress.step == "asked":
            moves += _follow(campaign, station_id, station, now)
        elif progress.step in ("passed", "failed"):
            moves += _restore(progress, station_id, station, now)
    if campaign.state != "running" or any(move.kind == "fail" for move in moves):
        return moves  # a failure is first told, then counted
    for stage in campaign.stages():
        steps = [campaign.progress[station_id].step for station_id in stage]
        failed = steps.count("failed")
        if failed > FAILURE_SHARE_MAX * len(stage):
            first = next(i for i in stage if campaign.progress[i].step == "failed")
            why = f"{failed} of {count(len(stage), 'station')} of a stage failed, the first {first}: "
            return [*moves, Move("stop", None, why + campaign.progress[first].why)]
        if failed + steps.count("passed") < len(stage):
            return moves + _begin(campaign, stage, stations, now, elsewhere)
    return [*moves, Move("done")]


def _begin(
    campaign: Campaign,
    stage: Sequence[StationId],
    stations: Mapping[StationId, StationNow],
    now: dt.datetime,
    elsewhere: Set[SiteId],
) -> list[Move]:
    """The stations of the running stage that may begin now, one of a site at a time."""
    sites = sites_under_way(campaign, stations) | elsewhere
    moves: list[Move] = []
    for station_id in stage:
        progress, station = campaign.progress[station_id], stations.get(station_id)
        if station is None or progress.step != "waiting":
            continue
        if progress.asks >= ASKS_MAX:
            moves.append(Move("fail", station_id, f"it did not hear {ASKS_MAX} orders: {progress.why}"))
        elif station.site_id not in sites and len(sites) < AT_ONCE_MAX and not held(station, now):
            sites.add(station.site_id)
            moves.append(Move("ask", station_id))
    return moves


def _follow(campaign: Campaign, station_id: StationId, station: StationNow, now: dt.datetime) -> list[Move]:
    """A station that has its order: let it install, test it, or give it up."""
    progress = campaign.progress[station_id]
    assert progress.at is not None
    told = _told(progress, station)
    if told is not None and told.status in FAILED:
        return [Move("fail", station_id, f"it says: {told.status.replace('_', ' ')}{told.why and f', {told.why}'}")]
    missing = tests_missing(campaign, station_id, station)
    if not missing:
        return [Move("pass", station_id)]
    if not progress.accepted and told is None:
        return _ask_again(campaign, station_id, station, now)
    if missing == [NOT_READ]:
        return [Move("read", station_id)]
    waits = told is not None and told.status in HAS_IT and station.session
    if waits:
        free = campaign.state == "running" and progress.let_go_at is None and not held(station, now)
        return [Move("let_go", station_id)] if free else []
    back = _after(progress, station.booted_at)
    words = (told.at if told is not None else None, back, progress.let_go_at)
    heard = [moment for moment in words if moment is not None]
    finished = (back is not None and station.firmware == campaign.started.version) or (
        told is not None and told.status == "installed"
    )
    patience = TESTS_WITHIN if finished else SILENT_MAX
    if now - max(heard, default=progress.at) > patience:
        said = told.status.replace("_", " ") if told is not None else "nothing"
        return [Move("fail", station_id, f"{'; '.join(missing)} (it said last: {said})")]
    return []


def _ask_again(campaign: Campaign, station_id: StationId, station: StationNow, now: dt.datetime) -> list[Move]:
    """What becomes of an order whose answer nobody knows: a second one takes the place of the first."""
    progress = campaign.progress[station_id]
    if progress.asks >= ASKS_MAX:
        return [Move("fail", station_id, f"it did not answer {ASKS_MAX} orders")]
    if campaign.state != "running" or held(station, now):
        return [Move("put_off", station_id, "its answer is not known")]
    return [Move("ask", station_id)]


NOT_READ: Final = "what it follows is not read back"


def tests_missing(campaign: Campaign, station_id: StationId, station: StationNow) -> list[str]:
    """Which of the commissioning tests have not passed since the station was asked, in words."""
    progress = campaign.progress[station_id]
    booted_at = _after(progress, station.booted_at)
    if booted_at is None:
        return ["it has not started again"]
    version = campaign.started.version
    if station.firmware != version:
        return [f"it started with version {station.firmware or '(none)'}, expected {version}"]
    provisioned_at = station.provisioned_at
    if provisioned_at is None or provisioned_at < booted_at:
        return ["its settings and its fallback are not in place"]
    missing = [problem for problem in station.problems if problem not in progress.problems]
    if station.metered_at is None or station.metered_at < booted_at:
        missing.append("no believable meter value has come")
    if station.schedule_at is None or station.schedule_at < provisioned_at:
        missing.append(NOT_READ)
    elif not station.follows:
        missing.append("it follows something else than it was told")
    return missing


def _restore(progress: Progress, station_id: StationId, station: StationNow, now: dt.datetime) -> list[Move]:
    """Start the session again that was ended for an update, where it has not begun by itself: no vehicle shall pay."""
    assert progress.at is not None
    owed = progress.let_go_at is not None and not progress.restored
    due = RESTORE_AFTER <= now - progress.at < RESTORE_WITHIN
    return [Move("restore", station_id)] if owed and due and station.reachable and not station.session else []


def _told(progress: Progress, station: StationNow) -> f.FirmwareReported | None:
    """The station's last word about this order; None before it, or where it speaks of another."""
    told = station.told
    if told is None or _after(progress, told.at) is None:
        return None
    return told if told.request_id in (None, progress.request_id) else None


def _after(progress: Progress, moment: dt.datetime | None) -> dt.datetime | None:
    """The moment, if it lies after the station was asked."""
    return moment if moment is not None and progress.at is not None and moment >= progress.at else None
