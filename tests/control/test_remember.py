"""A restart folds what still matters: orders for ever, sessions a year, commands a day, readings an hour."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from revere.app.house import abandoned, remember
from revere.control.building import fallback_profiles
from revere.control.directory import Directory
from revere.control.image import Image
from revere.control.told import NUMBERS_MAX
from revere.core import facts as f
from revere.core.ids import CampaignId, CommandId, StationId
from tests.control.scenes import NOON, called, fleet, plug, reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


class KeptJournal:
    """Facts with the filter of the store's journal (fills ``JournalReader``)."""

    def __init__(self, facts: list[f.Fact]) -> None:
        self.facts = facts

    async def journal(
        self, since: dt.datetime | None = None, kinds: Iterable[str] | None = None
    ) -> AsyncIterator[f.Fact]:
        wanted = set(kinds or ())
        for fact in self.facts:
            if type(fact).__name__ in wanted and (since is None or fact.at >= since):
                yield fact


def remembered(*facts: f.Fact) -> Image:
    image = Image(fleet())
    asyncio.run(remember(KeptJournal(list(facts)), image, NOON))
    return image


def issued(at: dt.datetime, command_id: str = "sp-1") -> f.CommandIssued:
    return f.CommandIssued(at=at, command_id=CommandId(command_id), station_id=StationId("cs1"), kind="setpoint")


@pytest.mark.parametrize("years", [0.01, 5])
def test_a_stop_holds_until_somebody_releases_it(years: float) -> None:
    long_ago = NOON - dt.timedelta(days=365 * years)
    stop = f.DischargeStopped(at=long_ago, by="x")
    assert remembered(stop).stopped
    assert not remembered(stop, f.DischargeReleased(at=long_ago, by="y", why="done")).stopped


def test_sessions_and_events_of_the_year_readings_of_the_hour() -> None:
    summer = NOON - dt.timedelta(days=90)
    image = remembered(
        called("e1", NOON - dt.timedelta(days=60)),
        called("old", NOON - dt.timedelta(days=500)),
        plug("cs1", summer),
        reading("cs1", NOON - dt.timedelta(hours=2), soc=0.2),
        reading("cs1", NOON - dt.timedelta(minutes=2), soc=0.7),
    )
    evse = image.evses["cs1/1"]
    assert evse.session_id == "s1"
    assert evse.soc == 0.7
    assert not evse.online, "nobody is online before it came back"
    assert list(image.events) == ["e1"]


def test_commands_of_an_earlier_life_end() -> None:
    image = remembered(issued(NOON - dt.timedelta(days=2), "old"), issued(NOON - dt.timedelta(minutes=1)))
    facts = abandoned(image, NOON)
    for fact in facts:
        image.apply(fact)
    assert [fact.command_id for fact in facts if isinstance(fact, f.CommandEnded)] == ["sp-1"]
    assert image.open_commands == {}


def test_which_charger_cannot_be_told_is_known_from_the_start_however_long_it_has_been_away() -> None:
    who = {"station_id": StationId("cs1"), "model": "vendor-cloud"}
    said = f.StationRecognised(at=NOON - dt.timedelta(days=900), controllable=False, **who)
    changed = f.StationRecognised(at=NOON - dt.timedelta(days=800), model="native-2.1", station_id=StationId("cs1"))
    for facts, tell in (((), True), ((said,), False), ((said, changed), True)):
        evse = remembered(*facts).evses["cs1/1"]
        assert (evse.controllable, evse.discharges) == (tell, tell)


def test_a_station_reports_under_the_numbers_of_a_month_and_under_those_of_a_campaign() -> None:
    def given(number: int, days: float, station: str = "cs1") -> f.NumberGiven:
        at = NOON - dt.timedelta(days=days)
        return f.NumberGiven(at=at, station_id=StationId(station), request_id=number)

    long_ago = NOON - dt.timedelta(days=90)
    campaign = {"campaign_id": CampaignId("c1"), "at": long_ago}
    image = remembered(
        given(1, 32),
        given(2, 30),
        given(3, 1, "cs2"),
        f.CampaignStarted(
            **campaign,
            by="op",
            vendor="V",
            model="M",
            version="2",
            location="https://h/m",
            stations=(StationId("cs1"),),
        ),
        f.CampaignStep(**campaign, station_id=StationId("cs1"), step="asked", request_id=9),
    )
    of = fleet()
    directory = Directory(of, b"k" * 32, {}, fallback_profiles(of)[0], image)
    assert [directory.gave(StationId("cs1"), number) for number in (1, 2, 3, 9)] == [False, True, False, True]
    assert [directory.gave(StationId("cs2"), number) for number in (2, 3, 9)] == [False, True, False]


def test_of_a_stations_numbers_the_newest_are_known() -> None:
    image = remembered(
        *(f.NumberGiven(at=NOON, station_id=StationId("cs1"), request_id=number) for number in range(NUMBERS_MAX + 1))
    )
    assert [image.told.gave(StationId("cs1"), number) for number in (0, 1, NUMBERS_MAX)] == [False, True, True]
