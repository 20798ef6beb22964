"""What somebody else allows at a station, and who goes first there, as the image keeps it."""

from __future__ import annotations

import datetime as dt
from math import inf
from typing import Any

import pytest

from revere.control.bounds import power_bounds_kw
from revere.control.external import ExternalLimits
from revere.control.image import Image
from revere.core import facts as f
from revere.core.ids import SessionId, StationId
from tests.control.scenes import NOON, fleet, minutes

CS = StationId("cs1")


def limit(kw: float | None, give_kw: float | None = None, source: str = "EMS", **more: Any) -> f.ExternalLimitReported:
    steps = more.pop("steps", ((NOON, kw, give_kw),))
    return f.ExternalLimitReported(
        at=NOON, station_id=CS, evse_id=more.pop("evse_id", 1), source=source, steps=steps, **more
    )


def lifted(source: str, evse_id: int) -> f.ExternalLimitLifted:
    return f.ExternalLimitLifted(at=NOON, station_id=CS, evse_id=evse_id, source=source)


@pytest.mark.parametrize(
    ("what", "facts", "after_min", "held"),
    [
        ("nobody limits", [], 0, (inf, inf)),
        ("charging alone", [limit(20.0)], 0, (20.0, inf)),
        ("the tighter of two sources", [limit(20.0, 9.0), limit(30.0, 4.0, "SO")], 0, (20.0, 4.0)),
        ("a source replaces its own", [limit(20.0), limit(30.0)], 0, (30.0, inf)),
        ("the station's and an EVSE's both hold", [limit(20.0), limit(10.0, evse_id=0)], 0, (10.0, inf)),
        ("not before its start", [limit(None, steps=((NOON + minutes(5), 7.0, None),))], 4, (inf, inf)),
        (
            "a step at its moment",
            [limit(None, steps=((NOON, 9.0, None), (NOON + minutes(5), 7.0, None)))],
            5,
            (7.0, inf),
        ),
        ("half-open: over at its end", [limit(20.0, until=NOON + minutes(5))], 5, (inf, inf)),
        ("how much nobody said", [limit(None, steps=())], 0, (inf, inf)),
        ("lifted at its EVSE", [limit(20.0), lifted("EMS", 1)], 0, (inf, inf)),
        ("lifted for the station", [limit(20.0), lifted("EMS", 0)], 0, (inf, inf)),
        ("lifted elsewhere", [limit(20.0), lifted("EMS", 2)], 0, (20.0, inf)),
        ("another source's is lifted", [limit(20.0), lifted("SO", 0)], 0, (20.0, inf)),
    ],
)
def test_limits_hold_by_source_and_time(
    what: str, facts: list[Any], after_min: float, held: tuple[float, float]
) -> None:
    limits = ExternalLimits()
    for fact in facts:
        (limits.take if isinstance(fact, f.ExternalLimitReported) else limits.lift)(fact)
    assert limits.held_kw(NOON + minutes(after_min)) == held


def started(session: str = "s1") -> f.SessionStarted:
    return f.SessionStarted(at=NOON, station_id=CS, evse_id=1, session_id=SessionId(session), token="EV-cs1", ts=NOON)


def test_plan_and_tick_stay_below_a_limit_from_outside() -> None:
    image = Image(fleet())
    evse = image.evses["cs1/1"]
    assert evse.vehicle is not None
    for fact in (started(), limit(20.0, 5.0)):
        image.apply(fact)
    assert power_bounds_kw(evse, evse.vehicle, NOON) == (20.0, 5.0)
    image.apply(lifted("EMS", 1))
    assert power_bounds_kw(evse, evse.vehicle, NOON) == (60.0, 60.0)


def test_a_scheduled_vehicle_is_not_counted_to_give() -> None:
    image = Image(fleet())
    evse = image.evses["cs1/1"]
    assert evse.vehicle is not None
    image.apply(started())
    image.apply(f.EnergyNeeds(at=NOON, station_id=CS, evse_id=1, scheduled=True))
    assert power_bounds_kw(evse, evse.vehicle, NOON) == (60.0, 0.0)
    image.apply(started("s2"))
    assert power_bounds_kw(evse, evse.vehicle, NOON) == (60.0, 60.0)


@pytest.mark.parametrize(
    ("what", "then", "commanded"),
    [
        ("it lasts", [], False),
        ("until it ends", [("s1", False)], True),
        ("another session's word", [("s0", False)], True),
    ],
)
def test_who_charges_by_priority_is_told_nothing(what: str, then: list[tuple[str, bool]], commanded: bool) -> None:
    image = Image(fleet())
    evse = image.evses["cs1/1"]
    image.apply(f.StationConnected(at=NOON, station_id=CS, protocol="ocpp2.1", generation=1))
    image.apply(started())
    for session, active in [("s1", True), *then]:
        image.apply(f.PriorityChargingReported(at=NOON, station_id=CS, session_id=SessionId(session), active=active))
    assert evse.commanded() == commanded


def test_priority_ends_with_its_session() -> None:
    image = Image(fleet())
    evse = image.evses["cs1/1"]
    image.apply(f.StationConnected(at=NOON, station_id=CS, protocol="ocpp2.1", generation=1))
    image.apply(started())
    image.apply(f.PriorityChargingReported(at=NOON, station_id=CS, session_id=SessionId("s1"), active=True))
    image.apply(f.SessionEnded(at=NOON, station_id=CS, session_id=SessionId("s1"), ts=NOON + dt.timedelta(hours=1)))
    assert evse.commanded()
