"""When the last decision may stand, and what ends that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from revere.control.calm import Calm
from revere.control.ticker import Decision
from revere.core import facts as f
from revere.core.ids import CommandId, SiteId, VehicleId
from revere.plan.dispatch import Setpoints, Why
from tests.control.scenes import NOON, dropped, reading, seconds, unplug

if TYPE_CHECKING:
    from revere.core.facts import Fact

SCHOOL = SiteId("school")


def decision(why: Why = Why.TARIFF) -> Decision:
    nothing = np.zeros(2)
    setpoints = Setpoints(
        kw=nothing, why=np.array([Why.TARIFF, why]), low_kw=nothing, high_kw=nothing, direction=np.zeros(2, np.int64),
        follows=np.ones(2, bool), relief_kw=np.zeros(0), missing_kw=np.zeros(0),
    )  # fmt: skip
    return Decision(("cs1/1", "cs2/1"), setpoints, setpoints.reasons(), None)


def at_rest(*, why: Why = Why.TARIFF, changed: bool = False, busy: bool = False) -> Calm:
    calm = Calm()
    calm.note(reading("cs1", power_kw=20.0))
    calm.decided(NOON, None, decision(why), np.array([False, changed]), busy=busy)
    return calm


def test_a_decision_at_rest_stands_for_half_a_minute() -> None:
    assert [at_rest().holds(NOON + seconds(s), None) for s in (5, 10, 29, 30, 60)] == [True, True, True, False, False]


def test_nothing_stands_before_a_first_decision() -> None:
    assert not Calm().holds(NOON, None)


@pytest.mark.parametrize(
    ("name", "calm"),
    [
        ("a setpoint changed", at_rest(changed=True)),
        ("an event, an island or a return runs", at_rest(busy=True)),
        ("it is on a ramp", at_rest(why=Why.RAMP)),
        ("it waits before reversing", at_rest(why=Why.DWELL)),
    ],
)
def test_what_is_under_way_is_decided_anew(name: str, calm: Calm) -> None:
    assert not calm.holds(NOON + seconds(5), None), name


@pytest.mark.parametrize(
    ("fact", "stands"),
    [
        (reading("cs1", power_kw=20.4), True),  # half a kW is no news
        (reading("cs1", power_kw=20.6), False),
        (reading("cs1", power_kw=-20.0), False),
        (reading("cs2", power_kw=0.0), False),  # first heard of
        (f.CommandEnded(at=NOON, command_id=CommandId("c"), outcome="confirmed", why=""), True),
        (f.DischargeStopped(at=NOON, by="ann"), False),
        (f.GridLost(at=NOON, site_id=SCHOOL, ts=NOON), False),
        (dropped("cs1"), False),
        (f.AlarmRaised(at=NOON, key="not-following:cs1/1", severity="warning", subject="cs1", text=""), False),
        (unplug("cs1", NOON), False),
        (
            f.DepartureSet(
                at=NOON, vehicle_id=VehicleId("v"), departs=NOON + seconds(3600), soc_required=0.8, by="ann"
            ),
            False,
        ),
    ],
)
def test_news_ends_it(fact: Fact, stands: bool) -> None:
    calm = at_rest()
    calm.note(fact)
    assert calm.holds(NOON + seconds(5), None) is stands


def test_a_slow_drift_adds_up_to_news() -> None:
    calm = at_rest()
    for step in range(1, 4):
        calm.note(reading("cs1", power_kw=20.0 + 0.2 * step))
    assert not calm.holds(NOON + seconds(5), None)
