"""How often a station is given profiles: one of a purpose in a minute, whoever asks for them (its flash wears)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from oca.cases import own
from ocpp_rig import BOOT, NOW, Bench, HandStation, bench
from test_k_limits import needs, plugged_in, setpoint
from v2x_orders import GOOD
from v2x_rig import ABLE, ST, STARTED, reported

from revere.core.facts import StationProvisioned
from revere.core.v2x_orders import UsePriority
from revere.twin.loop import TwinClock, run_twin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.orders import Order

PROFILE = "SetChargingProfile"
EARLY = {"status": "Rejected", "statusInfo": {"reasonCode": "RateLimitExceeded"}}
EVERY_S = 62.0
"""A minute, and the margin for the way there."""
AFTER_S = 10.0
"""How much longer an offer waits than a setpoint does."""


class Scene:
    """A plugged-in station in twin time; ``sent`` is when each profile came, s from the story's start."""

    def __init__(self, b: Bench, station: HandStation, start_s: float) -> None:
        self.b, self.station, self.start_s = b, station, start_s
        self.sent: list[tuple[float, str]] = []
        self.attach(station)

    def attach(self, station: HandStation) -> None:
        self.station = station
        station.live[PROFILE] = self._take

    def _take(self, payload: dict[str, Any]) -> dict[str, Any]:
        purpose = payload["chargingProfile"]["chargingProfilePurpose"]
        self.sent.append((round(asyncio.get_running_loop().time() - self.start_s), purpose))
        return self.station.reactions.get(PROFILE) or {"status": "Accepted"}

    async def need(self, tuples: int = 12, evse_id: int = 1) -> str:
        """A vehicle in scheduled control says what it needs; how that is answered."""
        payload = needs("DC", maxScheduleTuples=tuples, evseId=evse_id)
        payload["chargingNeeds"]["controlMode"] = "ScheduledControl"
        return str((await self.station.call("NotifyEVChargingNeeds", payload))[2]["status"])

    async def order(self, order: Order) -> tuple[str, str]:
        answer = await self.b.server.carry_out(ST, order)
        return answer.status, answer.why

    def periods(self) -> int:
        """How many periods the newest profile has."""
        [newest] = [asked for action, asked in self.station.asked if action == PROFILE][-1:]
        return len(newest["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"])

    def times(self, purpose: str = "TxProfile") -> list[float]:
        return [at_s for at_s, of in self.sent if of == purpose]


def scene(story: Callable[[Scene], Awaitable[None]]) -> None:
    async def whole(clock: TwinClock) -> None:
        async with bench() as b:
            station = await plugged_in(b)
            await b.sink.until(lambda: bool(b.sink.of(StationProvisioned)))
            await station.call("NotifyReport", reported(ABLE))
            s = Scene(b, station, clock.monotonic_s())
            await story(s)
            assert s.station.errors == []

    run_twin(whole, NOW)


# Priority -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then_kw", "after_s", "status", "profiles"),
    [(5.0, 0.0, "rejected", 1), (30.0, 0.0, "accepted", 1), (5.0, EVERY_S, "accepted", 2), (30.0, 90.0, "accepted", 1)],
    ids=["another limit too early", "the same limit", "another limit", "the same limit later"],
)
def test_a_second_priority_sends_a_profile_only_for_another_limit_and_not_within_the_minute(
    then_kw: float, after_s: float, status: str, profiles: int
) -> None:
    async def story(s: Scene) -> None:
        assert await s.order(UsePriority(active=True, charge_limit_kw=30.0)) == ("accepted", "")
        await asyncio.sleep(after_s)
        told, why = await s.order(UsePriority(active=True, charge_limit_kw=then_kw))
        assert (told, "may be sent in 62 s" in why) == (status, status == "rejected")
        assert len(s.times("PriorityCharging")) == profiles

    scene(story)


@own("K21", rule="a priority profile refused as too early is told as refused", source="facts section 5 (K01.FR.56)")
def test_a_priority_profile_that_the_station_refuses_as_too_early_is_told_as_refused() -> None:
    async def story(s: Scene) -> None:
        s.station.reactions[PROFILE] = EARLY
        assert await s.order(UsePriority(active=True, charge_limit_kw=5.0)) == ("rejected", "RateLimitExceeded")
        assert [action for action, _ in s.station.asked if action == "UsePriorityCharging"] == []

    scene(story)


def test_a_priority_profile_that_the_station_has_lost_is_given_again() -> None:
    async def story(s: Scene) -> None:
        await s.order(UsePriority(active=True, charge_limit_kw=30.0))
        s.station.reactions["UsePriorityCharging"] = {"status": "NoProfile"}
        assert await s.order(UsePriority(active=True, charge_limit_kw=30.0)) == ("rejected", "NoProfile")
        del s.station.reactions["UsePriorityCharging"]
        await asyncio.sleep(EVERY_S)
        assert await s.order(UsePriority(active=True, charge_limit_kw=30.0)) == ("accepted", "")
        assert s.times("PriorityCharging") == [0, EVERY_S]

    scene(story)


# What a station or a vehicle could drive ----------------------------------------------------------------


@own(
    "K18",
    rule="no more than one schedule a minute; the newest need is offered then; Processing until then",
    source="facts section 5 (UpdateRateLimit, K01.FR.56); schema NotifyEVChargingNeedsResponse.status, inferred",
)
def test_of_many_needs_within_a_minute_the_last_one_gets_its_schedule_when_the_minute_is_over() -> None:
    async def story(s: Scene) -> None:
        said = [await s.need(tuples) for tuples in (5, 4, 3, 2, 1, 3)]
        assert said == ["Accepted", *["Processing"] * 5]
        await asyncio.sleep(300)
        assert s.times() == [0, EVERY_S + AFTER_S]
        assert s.periods() == 3

    scene(story)


def test_a_vehicle_that_never_stops_asking_gets_no_more_than_one_schedule_a_minute() -> None:
    async def story(s: Scene) -> None:
        for second in range(600):
            await s.need(1 + second % 5)
            await asyncio.sleep(1)
        gaps = [after - before for before, after in zip(s.times(), s.times()[1:], strict=False)]
        assert len(gaps) >= 600 // (EVERY_S + AFTER_S) - 1
        assert min(gaps) >= EVERY_S

    scene(story)


def test_a_setpoint_that_waits_goes_before_a_schedule_that_waits() -> None:
    """It is told as too early, which is no fault of the charger's."""

    async def story(s: Scene) -> None:
        await s.need()
        await s.need()
        assert (await s.b.server.set_power(setpoint(7.0))).status == "too_early"
        await asyncio.sleep(EVERY_S + 1)
        assert (await s.b.server.set_power(setpoint(7.0))).status == "accepted"
        await asyncio.sleep(300)
        assert s.times() == [0, EVERY_S + 1, 2 * EVERY_S + 1]

    scene(story)


def test_a_mode_that_was_just_ordered_puts_a_schedule_off() -> None:
    async def story(s: Scene) -> None:
        assert (await s.order(GOOD["charging-only"]))[0] == "accepted"
        assert await s.need() == "Processing"
        await asyncio.sleep(300)
        assert s.times() == [0, EVERY_S + AFTER_S]

    scene(story)


def test_a_schedule_that_the_station_refuses_as_too_early_is_offered_again() -> None:
    async def story(s: Scene) -> None:
        s.station.reactions[PROFILE] = EARLY
        await s.need()
        await asyncio.sleep(1)
        del s.station.reactions[PROFILE]
        await asyncio.sleep(300)
        assert s.times() == [0, EVERY_S + AFTER_S]

    scene(story)


@pytest.mark.parametrize("away_s", [5.0, 200.0])
def test_a_schedule_that_waits_outlives_the_connection(away_s: float) -> None:
    async def story(s: Scene) -> None:
        await s.need(5)
        await s.need(2)
        await s.station.close()
        await asyncio.sleep(away_s)
        s.attach(await s.b.station())
        await s.station.call("Heartbeat", {})
        await asyncio.sleep(100)
        assert s.times() == [0, max(EVERY_S + AFTER_S, away_s)]
        assert s.periods() == 2

    scene(story)


def test_nothing_is_offered_to_a_session_that_has_ended() -> None:
    async def story(s: Scene) -> None:
        await s.need()
        await s.need()
        await s.station.call("TransactionEvent", STARTED | {"eventType": "Ended", "seqNo": 1})
        await asyncio.sleep(300)
        assert s.times() == [0]

    scene(story)


def test_a_station_that_boots_all_the_time_gets_no_more_profiles_for_it() -> None:
    """One that boots gets its fallback anew, and a setpoint may follow; but not once for each boot of a minute."""

    async def story(s: Scene) -> None:
        for _ in range(30):
            await s.station.call("BootNotification", BOOT)
            await s.b.server.set_power(setpoint(7.0))
            s.b.server._memories[ST].profile_of.clear()
            await asyncio.sleep(20)
        await asyncio.sleep(100)
        for purpose in ("TxDefaultProfile", "TxProfile"):
            gaps = [after - before for before, after in zip(s.times(purpose), s.times(purpose)[1:], strict=False)]
            assert len(gaps) >= 5
            assert min(gaps) >= 60.0, (purpose, s.times(purpose))

    scene(story)


def test_a_refused_fallback_is_not_sent_at_each_heartbeat() -> None:
    async def story(s: Scene) -> None:
        s.station.reactions[PROFILE] = {"status": "Rejected"}
        await asyncio.sleep(100)
        await s.station.call("BootNotification", BOOT)
        await asyncio.sleep(1)
        for _ in range(120):
            await s.station.call("Heartbeat", {})
            await asyncio.sleep(1)
        assert s.times("TxDefaultProfile") == [100, 160, 220]

    scene(story)
