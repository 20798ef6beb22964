"""The image: what is last known, whatever the order, the doubles and the gaps in which it arrives."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.control.image import Image
from revere.control.registers import Registers
from revere.core import facts as f
from revere.core.ids import GridEventId, SiteId
from tests.control.scenes import (
    NOON,
    aligned,
    called,
    connected,
    dropped,
    fleet,
    minutes,
    opted,
    plug,
    program,
    reading,
    seconds,
    site,
    station,
    unplug,
)

if TYPE_CHECKING:
    from revere.control.image import EvseImage

SCHOOL = SiteId("school")


def image_of(*facts: f.Fact, **parts: Any) -> Image:
    image = Image(fleet(**parts))
    for fact in facts:
        image.apply(fact)
    return image


def evse_of(image: Image) -> EvseImage:
    return image.evses["cs1/1"]


# ---- readings -------------------------------------------------------------------------------------


def test_the_newest_stamp_wins_in_any_order_of_arrival() -> None:
    told = [
        reading("cs1", NOON + seconds(s), power_kw=float(s), soc=s / 100, import_wh=s, export_wh=0) for s in (1, 2, 3)
    ]
    for order in itertools.permutations([*told, told[1]]):
        evse = evse_of(image_of(plug("cs1"), *order))
        assert (evse.power_kw, evse.soc, evse.power_at) == (3.0, 0.03, NOON + seconds(3))


def test_a_quarantined_reading_changes_nothing_and_is_counted() -> None:
    image = image_of(plug("cs1"), reading("cs1", NOON, power_kw=5.0, soc=0.9, quarantined="clock skew"))
    assert (evse_of(image).power_kw, evse_of(image).soc, image.readings_refused) == (None, None, 1)


@pytest.mark.parametrize("asset", ["nobody/1", "cs1/2", "nowhere"])
def test_a_meter_that_nobody_knows_is_left_out(asset: str) -> None:
    image = image_of(f.MeterReading(at=NOON, asset_id=asset, place="ac_inlet", ts=NOON, context="clock", power_kw=1.0))
    assert evse_of(image).power_kw is None


def test_the_dc_side_is_not_taken_for_the_inlet() -> None:
    assert evse_of(image_of(reading("cs1", NOON, place="dc_outlet", power_kw=50.0))).power_kw is None


# ---- connections and sessions ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "online"),
    [
        ([connected("cs1", generation=1)], True),
        ([connected("cs1", generation=1), dropped("cs1", generation=1)], False),
        ([connected("cs1", generation=1), connected("cs1", generation=2), dropped("cs1", generation=1)], True),
        ([connected("cs1", generation=2), dropped("cs1", generation=1), dropped("cs1", generation=2)], False),
        ([dropped("cs1", generation=7)], False),
        # A restart counts generations anew.
        ([connected("cs1", generation=9), dropped("cs1", generation=9), connected("cs1", generation=1)], True),
    ],
)
def test_the_end_of_an_old_socket_does_not_take_the_new_one(facts: list[f.Fact], online: bool) -> None:
    assert evse_of(image_of(*facts)).online is online


def test_another_session_forgets_what_belonged_to_the_last_vehicle() -> None:
    image = image_of(plug("cs1"), reading("cs1", NOON, soc=0.9), unplug("cs1", NOON + minutes(1)))
    assert evse_of(image).power_kw == 0.0
    image.apply(plug("cs1", NOON + minutes(2), "s2"))
    assert evse_of(image).soc is None
    assert not evse_of(image).soc_fresh(NOON + minutes(2))


def test_a_plug_in_told_twice_or_late_changes_nothing() -> None:
    image = image_of(plug("cs1", NOON, "s2"), reading("cs1", NOON, soc=0.9))
    for late in (plug("cs1", NOON, "s2"), plug("cs1", NOON - minutes(90), "s1"), unplug("cs1", NOON, "s1")):
        image.apply(late)
        assert (evse_of(image).session_id, evse_of(image).soc) == ("s2", 0.9)


def test_the_last_values_of_a_session_do_not_flow_on_after_it() -> None:
    image = image_of(plug("cs1"), unplug("cs1", NOON + minutes(5)))
    image.apply(reading("cs1", NOON + minutes(4), power_kw=40.0))
    assert evse_of(image).power_kw == 0.0


def test_a_token_of_another_bus_brings_its_battery_along() -> None:
    both = {"stations": (station("cs1", "school"), station("cs2", "school"))}
    assert evse_of(image_of(plug("cs1", token="EV-cs2"), **both)).vehicle == fleet(**both).vehicles[1]
    assert evse_of(image_of(plug("cs1", token="unknown"), **both)).vehicle == fleet(**both).vehicles[0]


# ---- registers and the building --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_s", "resting", "expected"),
    [
        (0, False, 1000.0),
        (150, False, 1050.0),
        (300, False, 1100.0),
        (301, False, None),
        (301, True, 1100.0),
        (-1, False, None),
        (-1, True, 1000.0),
    ],
)
def test_a_register_between_and_beyond_its_readings(at_s: float, resting: bool, expected: float | None) -> None:
    registers = Registers()
    registers.add(NOON, 1000)
    registers.add(NOON + seconds(300), 1100)
    registers.add(NOON + seconds(300), 9999)  # the first word for a moment stands
    assert registers.at(NOON + seconds(at_s), resting=resting) == expected


def test_a_late_register_finds_its_place() -> None:
    registers = Registers()
    for at_s, wh in ((0, 0), (300, 900), (200, 100), (-100, -50)):
        registers.add(NOON + seconds(at_s), wh)
    assert [registers.at(NOON + seconds(s), resting=False) for s in (-100, -50, 100, 250)] == [-50, -25, 50, 500]


def test_over_a_long_gap_a_register_that_moved_is_unknown() -> None:
    registers = Registers()
    registers.add(NOON, 0)
    registers.add(NOON + minutes(20), 500)
    assert registers.at(NOON + minutes(10), resting=False) is None
    registers = Registers()
    registers.add(NOON, 500)
    registers.add(NOON + minutes(20), 500)
    assert registers.at(NOON + minutes(10), resting=False) == 500


def charged(from_s: float, to_s: float, import_wh: tuple[int, int], export_wh: Any = (0, 0)) -> list[f.Fact]:
    """Two register readings of cs1."""
    return [
        reading("cs1", NOON + seconds(at), import_wh=wh, export_wh=out)
        for at, wh, out in zip((from_s, to_s), import_wh, export_wh, strict=True)
    ]


FIVE_MINUTES = [aligned("school", NOON, 10_000, 0), aligned("school", NOON + minutes(5), 14_000, 0)]


@pytest.mark.parametrize(
    ("facts", "building_kw"),
    [
        pytest.param([], 48.0, id="an empty plug draws nothing"),
        pytest.param([plug("cs1"), *charged(0, 300, (500, 3000))], 18.0, id="charging is taken off"),
        pytest.param([plug("cs1"), *charged(0, 300, (0, 0), (0, 2000))], 72.0, id="discharge is added"),
        pytest.param([plug("cs1"), *charged(-30, 330, (0, 3600))], 12.0, id="edges between readings"),
        pytest.param([plug("cs1", NOON + seconds(120)), *charged(120, 300, (500, 2500))], 24.0, id="began inside"),
        pytest.param([plug("cs1"), *charged(0, 120, (500, 2500))], None, id="fell silent while charging"),
        pytest.param([plug("cs1"), reading("cs1", NOON, power_kw=30.0)], None, id="no registers at all"),
        pytest.param([plug("cs1"), *charged(0, 300, (900_000, 10))], None, id="its meter was reset"),
        pytest.param(
            [plug("cs1"), *charged(0, 240, (500, 2500)), unplug("cs1", NOON + seconds(240))], 24.0, id="left inside"
        ),
    ],
)
def test_the_building_is_exact_from_registers(facts: list[f.Fact], building_kw: float | None) -> None:
    found = image_of(*facts, *FIVE_MINUTES).sites[SCHOOL].building_kw
    assert found == (None if building_kw is None else pytest.approx(building_kw))


def test_the_building_does_not_care_which_meter_speaks_first() -> None:
    facts = [*charged(0, 300, (500, 3000)), *FIVE_MINUTES]
    for order in itertools.permutations(facts):
        assert image_of(plug("cs1", NOON - minutes(1)), *order).sites[SCHOOL].building_kw == pytest.approx(18.0)


def test_a_charge_only_station_needs_no_export_register() -> None:
    parts = {"stations": (station("cs1", "school", discharge_kw=0.0),)}
    facts = [plug("cs1"), *charged(0, 300, (500, 3000), (None, None)), *FIVE_MINUTES]
    assert image_of(*facts, **parts).sites[SCHOOL].building_kw == pytest.approx(18.0)
    assert image_of(*facts).sites[SCHOOL].building_kw is None, "one that can give must say what it gave"


def test_a_main_meter_that_was_replaced_makes_no_building() -> None:
    facts = [aligned("school", NOON, 9_000_000, 0), aligned("school", NOON + minutes(5), 12, 0)]
    assert image_of(*facts).sites[SCHOOL].building_kw is None


@given(st.lists(st.integers(0, 5000), min_size=2, max_size=12), st.floats(-100, 4000))
def test_a_register_never_leaves_the_span_of_its_readings(steps: list[int], at_s: float) -> None:
    registers, wh = Registers(), 0
    for number, step in enumerate(steps):
        wh += step
        registers.add(NOON + seconds(300 * number), wh)
    found = registers.at(NOON + seconds(at_s), resting=True)
    assert found is not None
    assert steps[0] <= found <= wh


# ---- events, grid, orders ---------------------------------------------------------------------------


def test_the_highest_modification_counts_and_keeps_what_was_decided() -> None:
    image = image_of(
        called(modification=1, hours=2.0),
        opted(),
        f.Nominated(at=NOON, grid_event_id=GridEventId("e1"), nominated_kw=90.0, lowest_mean_kw=100.0, by_site_kw={}),
        called(modification=0, hours=3.0),
    )
    event = image.events[GridEventId("e1")]
    assert (event.end, event.opt, event.nominated_kw) == (NOON + minutes(120), "in", 90.0)
    image.apply(called(modification=2, hours=1.0))
    event = image.events[GridEventId("e1")]
    assert (event.end, event.opt, event.nominated_kw) == (NOON + minutes(60), "in", 90.0)


def test_a_cancelled_event_is_not_live_and_an_older_word_does_not_revive_it() -> None:
    image = image_of(called(), opted(), called(modification=1, cancelled=True), called())
    assert image.event_at(NOON) is None
    image.apply(called(modification=2))
    assert image.event_at(NOON) is image.events[GridEventId("e1")]


@pytest.mark.parametrize(
    ("minute", "expected"), [(-60, "e1"), (0, "e1"), (179, "e1"), (180, "e2"), (240, "e2"), (2000, None)]
)
def test_running_before_next_before_last(minute: float, expected: str | None) -> None:
    image = image_of(called("e1"), called("e2", NOON + minutes(200), hours=1.0))
    event = image.event_at(NOON + minutes(minute))
    assert (event.grid_event_id if event else None) == expected


def test_members_are_the_utilitys_customers_of_every_contract_behind_one_openadr_program() -> None:
    sites = (
        site("school"),
        site("house", kind="home"),
        site("light", utility="Concord Light", utility_kind="municipal_light_plant"),
        site("other", utility="Unitil"),
    )
    programs = (program("cs-daily"), program("cs-res", site_kinds=("home",)), program("else", "Other"))
    image = image_of(
        called(), called("e2", program_id="else"), called("e3", program_id="?"), sites=sites, programs=programs
    )
    members = [sorted(image.members(image.events[GridEventId(e)])) for e in ("e1", "e2", "e3")]
    assert members == [["house", "school"], [], []]


def restored(at: dt.datetime) -> f.GridRestored:
    return f.GridRestored(at=at, site_id=SCHOOL, ts=at)


def test_the_return_counts_from_the_first_word_of_it() -> None:
    image = image_of(restored(NOON))
    assert image.sites[SCHOOL].restored_at is None, "a grid that was never lost does not come back"
    image.apply(f.GridLost(at=NOON, site_id=SCHOOL, ts=NOON))
    image.apply(restored(NOON + minutes(30)))
    image.apply(restored(NOON + minutes(31)))
    assert image.sites[SCHOOL].restored_at == NOON + minutes(30)
    image.apply(f.GridLost(at=NOON + minutes(32), site_id=SCHOOL, ts=NOON + minutes(32)))
    assert (image.sites[SCHOOL].grid, image.sites[SCHOOL].restored_at) == ("dead", None)


@pytest.mark.parametrize(("left_after", "kept"), [(-45, True), (-20, False), (10, False)])
def test_leaving_near_its_time_uses_a_departure_order(left_after: float, kept: bool) -> None:
    bus = fleet().vehicles[0].id
    order = f.DepartureSet(at=NOON, vehicle_id=bus, departs=NOON + minutes(60), soc_required=0.9, by="x")
    image = image_of(plug("cs1"), order, unplug("cs1", NOON + minutes(60 + left_after)))
    assert (bus in image.overrides) is kept


def test_a_stop_of_one_site_is_not_a_stop_of_all() -> None:
    image = image_of(f.DischargeStopped(at=NOON, by="x", site_id=SCHOOL))
    assert (image.stopped, image.sites[SCHOOL].stopped) == (False, True)
    image.apply(f.DischargeReleased(at=NOON, by="x", site_id=SCHOOL))
    assert not image.sites[SCHOOL].stopped


@pytest.mark.parametrize(
    ("closed_after_min", "end_min"), [(5, 35), (None, 30), (45, 30)], ids=["closed", "never told", "told too late"]
)
def test_an_outage_lasts_until_the_islands_switch_has_closed(closed_after_min: int | None, end_min: int) -> None:
    image = Image(fleet())

    def at(minute: int) -> dict[str, Any]:
        return {"at": NOON + minutes(minute), "ts": NOON + minutes(minute), "site_id": SCHOOL}

    for fact in (f.GridLost(**at(0)), f.TransferSwitchReported(open=True, **at(1)), f.GridRestored(**at(30))):
        image.apply(fact)
    if closed_after_min is not None:
        image.apply(f.TransferSwitchReported(open=False, **at(30 + closed_after_min)))
    assert image.sites[SCHOOL].outages == [(NOON, NOON + minutes(end_min))]
