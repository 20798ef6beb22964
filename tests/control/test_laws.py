"""Laws of a tick on any image: no limit passed, nobody discharged who may not be."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from revere.control.islands import Islands
from revere.control.ticker import Standing, Ticker
from revere.control.tracking import CommandTracker
from revere.core import facts as f
from revere.core.ids import GridEventId, SiteId
from tests.control.scenes import NOON, called, fleet, minutes, opted, ready_image, site, station

if TYPE_CHECKING:
    from revere.control.image import Image

FLEET = fleet(
    (
        site("school", transfer_switch=True, critical_load_kw=15.0),
        site("other", import_limit_kw=90.0, export_limit_kw=30.0),
    ),
    tuple(station(f"cs{n}", "school" if n < 3 else "other") for n in range(6)),
)

bays = st.fixed_dictionaries(
    {
        "soc": st.one_of(st.none(), st.floats(0, 1)),
        "age_min": st.integers(0, 30),
        "power_kw": st.one_of(st.none(), st.floats(-60, 60)),
        "online": st.booleans(),
        "plugged": st.booleans(),
        "leaves_min": st.one_of(st.none(), st.integers(-10, 600)),
        "needed_kwh": st.floats(0, 200),
    }
)
places = st.fixed_dictionaries(
    {
        "building_kw": st.one_of(st.none(), st.floats(-50, 220)),
        "grid": st.sampled_from(["unknown", "live", "dead"]),
        "islanded": st.booleans(),
        "stopped": st.booleans(),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(bays, min_size=6, max_size=6),
    st.lists(places, min_size=2, max_size=2),
    st.booleans(),
    st.floats(0, 500),
    st.integers(1, 4),
)
def test_no_tick_passes_a_limit_or_takes_what_it_may_not(
    drawn: list[dict[str, Any]], grounds: list[dict[str, Any]], stopped: bool, promise_kw: float, ticks: int
) -> None:
    image = ready_image(FLEET)
    for fact in (called(), opted()):
        image.apply(fact)
    image.events[GridEventId("e1")].nominated_kw = promise_kw
    if stopped:
        image.apply(f.DischargeStopped(at=NOON, by="x"))
    ticker, islands = Ticker(image, CommandTracker()), Islands(image)
    for evse, bay in zip(image.evses.values(), drawn, strict=True):
        assert evse.vehicle is not None
        evse.soc, evse.soc_at = bay["soc"], NOON - minutes(bay["age_min"])
        evse.power_kw, evse.online = bay["power_kw"], bay["online"]
        if not bay["plugged"]:
            evse.session_id = None
        if bay["leaves_min"] is not None:
            due = NOON + minutes(bay["leaves_min"])
            ticker.standing[evse.vehicle.id] = Standing(due, bay["needed_kwh"])
    for item, ground in zip(image.sites.values(), grounds, strict=True):
        item.building_kw, item.grid = ground["building_kw"], ground["grid"]
        item.islanded, item.stop_kept = ground["islanded"], ground["stopped"]
    now = NOON
    for _ in range(ticks):
        now += dt.timedelta(seconds=5)
        island_kw = islands.refresh(now, ticker.standing)
        events = [image.events[GridEventId("e1")]]
        decision = ticker.decide(now, None, None, events, island_kw, islands.return_shares(now))
        ticker.accept(decision, np.ones(6, dtype=bool), now)
        _check(image, decision.setpoints.kw, now)


def _check(image: Image, kw: np.ndarray, now: dt.datetime) -> None:
    assert np.isfinite(kw).all()
    for power_kw, evse in zip(kw, image.evses.values(), strict=True):
        item = image.sites[evse.station.site_id]
        assert -60 <= power_kw <= 60
        if evse.session_id is None or not evse.online:
            assert power_kw == 0
        if image.stopped or item.stopped or not evse.soc_fresh(now):
            assert power_kw >= 0
        if item.grid == "dead" and not item.islanded:
            assert power_kw == 0
        if power_kw < 0:
            assert evse.soc is not None
            assert evse.soc > 0.2
    for site_id, item in image.sites.items():
        if item.grid == "dead":
            continue
        mine = [p for p, e in zip(kw, image.evses.values(), strict=True) if e.station.site_id == site_id]
        building_kw = item.building_kw if item.building_kw is not None else item.site.load_peak_kw
        charging_kw = sum(p for p in mine if p > 0)
        flowing_kw = sum(max(-(e.power_kw or 0.0), 0.0) for e in image.site_evses[SiteId(site_id)])
        if charging_kw:
            assert building_kw + charging_kw - flowing_kw <= item.site.import_limit_kw
        if sum(mine) < 0:
            assert building_kw + sum(p for p in mine if p < 0) >= -item.site.export_limit_kw
            assert item.building_kw is not None, "nothing is exported behind a silent meter"


def test_the_check_itself_can_fail() -> None:
    image = ready_image(FLEET)
    image.apply(f.DischargeStopped(at=NOON, by="x"))
    try:
        _check(image, np.full(6, -5.0), NOON)
    except AssertionError:
        return
    raise RuntimeError("the law let a stopped station discharge")
