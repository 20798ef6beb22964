"""A firmware campaign end to end in twin time: stages, installing between sessions, tests after, our own restart."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import pytest

from revere.control.desk import CallEvent, StartCampaign, TellCampaign
from revere.core import facts as f
from revere.core.errors import Refused
from revere.twin.station16 import Station16
from revere.twin.station21 import Station21
from tests.trips.rig import FILES, Trip, small, take_trip

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.control.view import CampaignView
    from revere.core.scenario import Scenario
    from revere.twin.firmware import Fate

NEW = "2.0"
FRIDAY_EVENING, SATURDAY = dt.time(21, 30), 2
"""A day after the event, and two: nobody leaves before Monday."""


def one_kind(protocol: str = "ocpp2.1") -> Scenario:
    """The small programme with five chargers of one maker at four sites; the buses speak ``protocol``."""

    def edit(text: str) -> str:
        for model in ("bus60", "fleet20", "home10"):
            text = re.sub(
                rf'(\[station_models\.{model}\]\n)vendor = ".*"\nmodel = ".*"\n',
                r'\1vendor = "Acme"\nmodel = "One"\n',
                text,
            )
        return text.replace(
            'model = "One"\nprotocol = "ocpp2.1"\nconnector = "cCCS1"\ncharge_kw = 60.0',
            f'model = "One"\nprotocol = "{protocol}"\nconnector = "cCCS1"\ncharge_kw = 60.0',
        )

    return small(edit=edit)


def start(**changes: Any) -> StartCampaign:
    asked: dict[str, Any] = {"version": NEW, "location": f"{FILES}/one_{NEW}.bin", "vendor": "Acme", "model": "One"}
    return StartCampaign(**{**asked, "by": "op", **changes})


def shown(trip: Trip) -> CampaignView:
    return trip.house.heart.campaigns.views[0]


def steps(trip: Trip) -> dict[str, str]:
    campaign = next(reversed(trip.house.image.campaigns.values()))
    return {station_id: progress.step for station_id, progress in campaign.progress.items()}


def versions(trip: Trip) -> dict[str, str]:
    found = {}
    for station_id, station in trip.world.stations.items():
        assert isinstance(station, Station21 | Station16)
        found[station_id] = station.files.updater.version
    return found


def fate(trip: Trip, station_id: str, what: Fate) -> None:
    station = trip.world.stations[station_id]
    assert isinstance(station, Station21)
    station.files.updater.fate = what


def sessions(trip: Trip) -> dict[str, bool]:
    return {str(e.station.id): e.session_id is not None for e in trip.house.image.evses.values() if e.vehicle}


async def ready(trip: Trip) -> None:
    """All stations are known: booted, provisioned, their vehicles in session."""
    await trip.until_true(lambda: all(sessions(trip).values()), within_s=600)
    await asyncio.sleep(120)


def flown(scenario: Scenario, dsn: str, clock: dt.time, work: Callable[[Trip], Any], day: int = 1) -> Any:
    return take_trip(scenario, dsn, clock, work, day=day)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1"])
def test_one_then_a_tenth_then_all_over_a_restart_of_ours(fresh_dsn: Callable[[], str], protocol: str) -> None:
    async def work(trip: Trip) -> list[Any]:
        await ready(trip)
        receipt = await trip.house.office.do(start())
        assert "5 stations (Acme One), in stages of 1, 1, 3" in receipt.detail
        await trip.until_true(lambda: list(steps(trip).values()).count("passed") == 1, within_s=2 * 3600)
        await trip.crash_and_restart()
        await trip.until_true(
            lambda: bool(trip.house.heart.campaigns.views) and shown(trip).state == "done", within_s=6 * 3600
        )
        assert set(steps(trip).values()) == {"passed"}
        await trip.until_true(lambda: all(sessions(trip).values()), within_s=600)
        new = {station_id for station_id, version in versions(trip).items() if version == NEW}
        assert new == set(steps(trip))
        return await trip.facts(f.CampaignStep, f.CampaignEnded, f.StationBooted, f.AlarmRaised, f.SessionEnded)

    facts = flown(one_kind(protocol), fresh_dsn(), FRIDAY_EVENING, work)
    made = [fact for fact in facts if isinstance(fact, f.CampaignStep)]
    told = [(fact.station_id, fact.step) for fact in made if fact.step in ("asked", "passed", "failed")]
    order = list(dict.fromkeys(told))  # our crash may have come between an order and its answer: it is given again
    first, second = order[0][0], order[2][0]
    assert order[:4] == [(first, "asked"), (first, "passed"), (second, "asked"), (second, "passed")]
    assert [fact.step for fact in made].count("let_go") == 5
    assert [fact.outcome for fact in facts if isinstance(fact, f.CampaignEnded)] == ["done"]
    assert not [fact for fact in facts if isinstance(fact, f.AlarmRaised) and fact.key.startswith("firmware")]
    assert len([fact for fact in facts if isinstance(fact, f.SessionEnded)]) == 5
    under_way: set[str] = set()
    for fact in made:  # two stations of the school are never under way together
        if fact.step == "asked":
            under_way.add(fact.station_id)
        elif fact.step in ("passed", "failed", "put_off"):
            under_way.discard(fact.station_id)
        assert len([i for i in under_way if i.startswith("school")]) <= 1


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("download_fails", "download failed"),
        ("does_not_verify", "install verification failed"),
        ("install_fails", "installation failed"),
        ("other_version", "2.0-beta, expected 2.0"),
        ("no_fallback", "default profile refused"),
        ("mute", "not started again"),
    ],
)
def test_a_station_that_fails_stops_it_and_its_vehicle_charges_on(
    fresh_dsn: Callable[[], str], how: Fate, why: str
) -> None:
    async def work(trip: Trip) -> list[Any]:
        await ready(trip)
        await trip.house.office.do(start())
        first = shown(trip).stations[0].station_id
        fate(trip, first, how)
        await trip.until_true(lambda: shown(trip).state == "stopped", within_s=3 * 3600)
        assert steps(trip)[first] == "failed"
        assert set(steps(trip).values()) == {"failed", "waiting"}
        await trip.until_true(lambda: all(sessions(trip).values()), within_s=900)
        assert trip.house.image.alarms[f"firmware:{first}"].severity == "critical"
        await trip.until(trip.clock.now() + dt.timedelta(hours=1))
        return await trip.facts(f.CampaignStep, f.CampaignEnded)

    facts = flown(one_kind(), fresh_dsn(), FRIDAY_EVENING, work)
    [ended] = [fact for fact in facts if isinstance(fact, f.CampaignEnded)]
    assert ended.outcome == "stopped"
    assert [fact.step for fact in facts if isinstance(fact, f.CampaignStep)].count("asked") == 1
    [failed] = [fact for fact in facts if isinstance(fact, f.CampaignStep) and fact.step == "failed"]
    assert why in failed.why, failed.why


def test_nobody_is_asked_in_an_event_nor_before_a_departure(fresh_dsn: Callable[[], str]) -> None:
    async def work(trip: Trip) -> tuple[list[Any], Any]:
        await ready(trip)
        begin = trip.clock.now() + dt.timedelta(hours=1)
        end = begin + dt.timedelta(hours=1)
        await trip.house.office.do(CallEvent(program_id="cs-daily", start=begin, end=end, by="op"))
        await trip.house.office.do(start())
        why = {row.why for row in shown(trip).stations if row.stage == 1}
        assert why == {"a grid event runs or begins soon"}
        await trip.until_true(lambda: "asked" in steps(trip).values(), within_s=3 * 3600)
        assert trip.clock.now() >= end
        receipt = await trip.house.office.do(
            TellCampaign(campaign_id=shown(trip).campaign_id, order="abort", by="op", why="enough")
        )
        assert "cannot call them back" in receipt.detail
        with pytest.raises(Refused, match="is over"):
            await trip.house.office.do(TellCampaign(campaign_id=shown(trip).campaign_id, order="resume", by="op"))
        return await trip.facts(f.CampaignStep), end

    steps_made, end = flown(one_kind(), fresh_dsn(), dt.time(9, 0), work, SATURDAY)
    assert steps_made
    assert min(fact.at for fact in steps_made) >= end

    async def school_night(trip: Trip) -> None:
        await asyncio.sleep(900)
        await trip.house.office.do(start(stations=("school-cs01", "school-cs02"), vendor="", model=""))
        await trip.until(trip.at(dt.time(23, 0), 0))
        assert set(steps(trip).values()) == {"waiting"}
        assert shown(trip).stations[0].why == "its vehicle leaves within 12 h"

    flown(one_kind(), fresh_dsn(), dt.time(20, 30), school_night, 0)


def test_a_campaign_of_two_kinds_or_from_a_strange_host_never_begins(fresh_dsn: Callable[[], str]) -> None:
    async def work(trip: Trip) -> None:
        await ready(trip)
        do = trip.house.office.do
        for asked, why in [
            (start(location="https://evil.example.org/one_2.0.bin"), "file_hosts"),
            (start(stations=("school-cs01", "fire-station-cs02"), vendor="", model=""), "one kind"),
            (start(vendor="Nobody"), "no station needs"),
            (start(version="twin-1"), "no station needs"),
            (start(stations=("nowhere",)), "no such station"),
        ]:
            with pytest.raises(Refused, match=why):
                await do(asked)
        at_once = await asyncio.gather(
            *(do(start(stations=("school-cs01",))) for _ in range(2)),
            do(start(vendor="Generic", model="AC-11")),
            return_exceptions=True,
        )
        refused = [found for found in at_once if isinstance(found, Refused)]
        assert len(refused) == 1, "two at once cannot have the same station"
        with pytest.raises(Refused, match="another campaign"):
            await do(start())
        assert not await trip.facts(f.CampaignEnded)
        started = await trip.facts(f.CampaignStarted)
        assert len({fact.campaign_id for fact in started}) == len(started) == 2

    flown(one_kind(), fresh_dsn(), FRIDAY_EVENING, work)


def test_a_16_charge_point_is_updated_by_its_own_messages(fresh_dsn: Callable[[], str]) -> None:
    async def work(trip: Trip) -> None:
        await ready(trip)
        await trip.house.office.do(start(vendor="Generic", model="AC-11"))
        await trip.until_true(lambda: shown(trip).state == "done", within_s=2 * 3600)
        assert steps(trip) == {"fire-station-cs02": "passed"}
        assert versions(trip)["fire-station-cs02"] == NEW
        await trip.until_true(lambda: all(sessions(trip).values()), within_s=600)

    flown(one_kind(), fresh_dsn(), FRIDAY_EVENING, work)
