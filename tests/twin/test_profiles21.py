"""What a strict 2.1 station refuses, as a table, and what profiles come to."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from revere.links.ocpp2.wire import v21 as wire
from revere.twin.profiles21 import Abilities, Moment, ProfileStore, Refusal

T = 1_694_059_200.0  # 2023-09-07 04:00:00 UTC
MOMENT = Moment(now_s=T, transaction_id="tx-1", transaction_start_s=T - 60)
BOTH = Abilities(charge_w=60_000, discharge_w=60_000, modes=("ChargingOnly", "CentralSetpoint", "Idle"))
ALL = Abilities(
    charge_w=60_000,
    discharge_w=60_000,
    modes=(
        "ChargingOnly",
        "CentralSetpoint",
        "CentralFrequency",
        "LocalFrequency",
        "ExternalSetpoint",
        "ExternalLimits",
        "LocalLoadBalancing",
        "Idle",
    ),
)
PHASES = Abilities(charge_w=22_000, discharge_w=11_000, modes=ALL.modes, phases=True)
CHARGES = Abilities(charge_w=11_000, discharge_w=0, modes=("ChargingOnly", "Idle"))
DEFAULT_START = "2023-09-06T04:00:00Z"


def central(**period: Any) -> dict[str, Any]:
    """A good Dynamic CentralSetpoint TxProfile; ``period`` replaces fields of its one period."""
    values = {"operationMode": "CentralSetpoint", "setpoint": -42_000, "limit": 60_000, "dischargeLimit": -60_000}
    return {
        "id": 101,
        "stackLevel": 10,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Dynamic",
        "transactionId": "tx-1",
        "chargingSchedule": [
            {
                "id": 101,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, **{k: v for k, v in (values | period).items() if v is not None}}
                ],
            }
        ],
    }


def default(**fields: Any) -> dict[str, Any]:
    """A good recurring daily ChargingOnly TxDefaultProfile."""
    return {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
        "chargingSchedule": [
            {
                "id": 1,
                "chargingRateUnit": "W",
                "duration": 86_400,
                "startSchedule": DEFAULT_START,
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": 20_000},
                    {"startPeriod": 21_600, "limit": 5_000},
                ],
            }
        ],
    } | fields


def with_schedule(profile: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The profile with fields of its schedule replaced (None removes)."""
    schedule = {k: v for k, v in (profile["chargingSchedule"][0] | fields).items() if v is not None}
    return profile | {"chargingSchedule": [schedule]}


def put(store: ProfileStore, profile: dict[str, Any], evse: int = 1, moment: Moment = MOMENT, **named: Any) -> None:
    """Set a profile as read from the wire."""
    store.set(evse, msgspec.convert(profile, wire.ChargingProfile), moment, 0.0, **named)


CURVE = [{"frequency": 59.8, "power": -9.0}, {"frequency": 60.2, "power": 9.0}]
SIGNALS = [{"signal": -1, "power": -9.0}, {"signal": 1, "power": 9.0}]
BARE = {"setpoint": None, "limit": None, "dischargeLimit": None}


def bare(mode: str, **period: Any) -> dict[str, Any]:
    """A TxProfile whose one period has just its mode and ``period``."""
    return central(operationMode=mode, **(BARE | period))


def local(**period: Any) -> dict[str, Any]:
    """A good LocalFrequency TxProfile."""
    return bare("LocalFrequency", **({"v2xBaseline": 0.0, "v2xFreqWattCurve": CURVE} | period))


def placed(purpose: str, profile: dict[str, Any]) -> dict[str, Any]:
    """The same profile for another purpose."""
    return {key: value for key, value in profile.items() if key != "transactionId"} | {
        "chargingProfilePurpose": purpose
    }


GOOD = [
    ("each mode with what it must have", central(), 1, ALL),
    ("central frequency", bare("CentralFrequency", setpoint=-5.0), 1, ALL),
    ("central frequency in limits", central(operationMode="CentralFrequency"), 1, ALL),
    ("local frequency", local(), 1, ALL),
    ("local frequency with a signal curve", local(v2xSignalWattCurve=SIGNALS), 1, ALL),
    ("external setpoint", bare("ExternalSetpoint", limit=9.0, dischargeLimit=-9.0), 1, ALL),
    ("external limits", bare("ExternalLimits"), 1, ALL),
    ("local balancing", bare("LocalLoadBalancing"), 1, ALL),
    ("idle", bare("Idle"), 1, ALL),
    ("reactive", central(setpointReactive=-9.0), 1, ALL),
    ("priority", placed("PriorityCharging", default()), 0, ALL),
    ("phases in a transaction", central(setpoint_L2=-5.0, setpoint_L3=0.0, setpoint=-7.0, limit=9.0), 1, PHASES),
]
V2X_MODES = ("CentralSetpoint", "CentralFrequency", "LocalFrequency", "LocalLoadBalancing", "Idle")
REFUSED = [
    *(
        (f"{value} in {mode}", bare(mode, **{value: 0.0}), 1, ALL, "InvalidSchedule")
        for mode in ("ExternalLimits", "LocalLoadBalancing", "Idle")
        for value in ("limit", "dischargeLimit", "setpoint", "setpointReactive")
    ),
    *((f"{v} in LocalFrequency", local(**{v: 0.0}), 1, ALL, "InvalidSchedule") for v in ("limit", "setpoint")),
    (
        "reactive in CentralFrequency",
        bare("CentralFrequency", setpoint=1.0, setpointReactive=1.0),
        1,
        ALL,
        "InvalidSchedule",
    ),
    ("setpoint in ExternalSetpoint", bare("ExternalSetpoint", setpoint=1.0), 1, ALL, "InvalidSchedule"),
    ("CentralFrequency without setpoint", bare("CentralFrequency"), 1, ALL, "InvalidSchedule"),
    ("no baseline", local(v2xBaseline=None), 1, ALL, "NoFreqWattCurve"),
    ("no curve", local(v2xFreqWattCurve=None), 1, ALL, "NoFreqWattCurve"),
    ("a curve of one point", local(v2xFreqWattCurve=CURVE[:1]), 1, ALL, "NoFreqWattCurve"),
    ("two powers for one frequency", local(v2xFreqWattCurve=[CURVE[0], CURVE[0]]), 1, ALL, "InvalidSchedule"),
    ("a signal curve of one point", local(v2xSignalWattCurve=SIGNALS[:1]), 1, ALL, "InvalidSchedule"),
    ("evseSleep unsupported", bare("Idle", evseSleep=True), 1, ALL, "InvalidSchedule"),
    *(
        (f"{mode} for {purpose}", placed(purpose, bare(mode)), 0, ALL, "InvalidOperationMode")
        for purpose in ("PriorityCharging", "ChargingStationMaxProfile")
        for mode in (*V2X_MODES, "ExternalSetpoint", "ExternalLimits")
    ),
    ("another system's purpose", placed("ChargingStationExternalConstraints", default()), 0, ALL, "InvalidProfile"),
    ("phases in a default", placed("TxDefaultProfile", central(setpoint_L2=-5.0)), 1, PHASES, "PhaseConflict"),
    ("a phase without its sum", bare("CentralSetpoint", setpoint=1.0, limit_L2=5.0), 1, PHASES, "InvalidSchedule"),
    ("one phase charges, one gives", central(setpoint=5.0, setpoint_L2=-5.0, limit=9.0), 1, PHASES, "InvalidSchedule"),
    ("setpoint below dischargeLimit", central(setpoint=-60_001), 1, BOTH, "InvalidSchedule"),
    ("setpoint above limit", central(setpoint=61_000), 1, BOTH, "InvalidSchedule"),
    ("no setpoint", central(setpoint=None), 1, BOTH, "InvalidSchedule"),
    ("limit below 0", central(limit=-1, setpoint=-2), 1, BOTH, "InvalidSchedule"),
    ("phases", central(setpoint_L2=-5), 1, BOTH, "PhaseConflict"),
    ("mode unknown to a charger", central(), 1, CHARGES, "InvalidOperationMode"),
    ("mode unknown here", central(operationMode="CentralFrequency"), 1, BOTH, "InvalidOperationMode"),
    ("local balancing", central(operationMode="LocalLoadBalancing"), 1, BOTH, "UnsupportedParam"),
    ("setpoint in ChargingOnly", central(operationMode="ChargingOnly"), 1, BOTH, "InvalidSchedule"),
    ("evseSleep outside Idle", central(evseSleep=True), 1, BOTH, "InvalidSchedule"),
    ("TxProfile on evse 0", central(), 0, BOTH, "InvalidProfile"),
    ("TxProfile without transaction", central() | {"transactionId": None}, 1, BOTH, "InvalidProfile"),
    ("other transaction", central() | {"transactionId": "tx-2"}, 1, BOTH, "TxNotFound"),
    ("unknown evse", central(), 2, BOTH, "UnknownEvse"),
    ("an id kept for others", central(), 1, replace(BOTH, external_id_max=500), "InvalidProfileId"),
    ("stack level", central() | {"stackLevel": 21}, 1, BOTH, "InvalidStackLevel"),
    (
        "V2X in a max profile",
        central() | {"chargingProfilePurpose": "ChargingStationMaxProfile", "transactionId": None},
        0,
        BOTH,
        "InvalidOperationMode",
    ),
    (
        "purpose",
        default() | {"chargingProfilePurpose": "LocalGeneration"},
        0,
        BOTH,
        "UnsupportedPurpose",
    ),
    ("amperes", with_schedule(default(), chargingRateUnit="A"), 0, BOTH, "UnsupportedRateUnit"),
    ("recurring without start", with_schedule(default(), startSchedule=None), 0, BOTH, "InvalidSchedule"),
    (
        "absolute without start",
        with_schedule(default(chargingProfileKind="Absolute") | {"recurrencyKind": None}, startSchedule=None),
        0,
        BOTH,
        "InvalidSchedule",
    ),
    (
        "relative with start",
        default(chargingProfileKind="Relative") | {"recurrencyKind": None},
        0,
        BOTH,
        "InvalidSchedule",
    ),
    ("recurring without recurrency", default() | {"recurrencyKind": None}, 0, BOTH, "InvalidProfile"),
    ("dynUpdateInterval, not dynamic", default(dynUpdateInterval=30), 0, BOTH, "InvalidProfile"),
    ("transaction on a default", default(transactionId="tx-1"), 0, BOTH, "InvalidProfile"),
    ("local time", with_schedule(default(), useLocalTime=True), 0, BOTH, "InvalidSchedule"),
    ("limit at soc", with_schedule(default(), limitAtSoC={"soc": 80, "limit": 1}), 0, BOTH, "InvalidSchedule"),
    (
        "first period not at 0",
        with_schedule(default(), chargingSchedulePeriod=[{"startPeriod": 5, "limit": 1}]),
        0,
        BOTH,
        "InvalidSchedule",
    ),
    (
        "ChargingOnly without limit",
        with_schedule(default(), chargingSchedulePeriod=[{"startPeriod": 0}]),
        0,
        BOTH,
        "InvalidSchedule",
    ),
    (
        "two periods in a dynamic one",
        with_schedule(
            central(),
            chargingSchedulePeriod=[{"startPeriod": 0, "limit": 1}, {"startPeriod": 5, "limit": 1}],
        ),
        1,
        BOTH,
        "InvalidSchedule",
    ),
]


@pytest.mark.parametrize(("profile", "evse", "abilities"), [g[1:] for g in GOOD], ids=[g[0] for g in GOOD])
def test_good_ones_are_taken(profile: dict[str, Any], evse: int, abilities: Abilities) -> None:
    store = ProfileStore(abilities=abilities)
    put(store, profile, evse)
    assert list(store.installed) == [profile["id"]]


@pytest.mark.parametrize(
    ("profile", "evse", "abilities", "code"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_refusals(profile: dict[str, Any], evse: int, abilities: Abilities, code: str) -> None:
    store = ProfileStore(abilities=abilities)
    with pytest.raises(Refusal) as refused:
        put(store, profile, evse)
    assert refused.value.code == code
    assert not store.installed


@pytest.mark.parametrize("schedules", [0, 4], ids=["none", "four"])
def test_the_schema_bounds_schedules(schedules: int) -> None:
    profile = default()
    profile["chargingSchedule"] = profile["chargingSchedule"] * schedules
    with pytest.raises(msgspec.ValidationError):
        put(ProfileStore(abilities=BOTH), profile, 0)


def test_the_schema_bounds_periods() -> None:
    periods = [{"startPeriod": i, "limit": 1} for i in range(1025)]
    with pytest.raises(msgspec.ValidationError):
        put(ProfileStore(abilities=BOTH), with_schedule(default(), chargingSchedulePeriod=periods), 0)
    put(ProfileStore(abilities=BOTH), with_schedule(default(), chargingSchedulePeriod=periods[:1024]), 0)


def test_dynamic_needs_support_and_v2x_needs_permission() -> None:
    plain = Abilities(charge_w=60_000, discharge_w=60_000, modes=BOTH.modes, dynamic=False)
    with pytest.raises(Refusal, match="UnsupportedKind"):
        put(ProfileStore(abilities=plain), central())
    with pytest.raises(Refusal, match="InvalidOperationMode"):
        put(ProfileStore(abilities=BOTH), central(), v2x_allowed=False)


def test_the_same_purpose_is_limited_in_rate_and_dynamic_updates_too() -> None:
    store = ProfileStore(abilities=BOTH)
    put(store, central())
    with pytest.raises(Refusal, match="RateLimitExceeded"):
        put(store, central(), moment=Moment(now_s=T + 59, transaction_id="tx-1"))
    put(store, central(), moment=Moment(now_s=T + 60, transaction_id="tx-1"))
    store.update(101, wire.ChargingScheduleUpdate(setpoint=-1.0), T + 70)
    with pytest.raises(Refusal, match="RateLimitExceeded"):
        store.update(101, wire.ChargingScheduleUpdate(setpoint=-2.0), T + 70.9)
    store.update(101, wire.ChargingScheduleUpdate(setpoint=-2.0), T + 71)


@pytest.mark.parametrize(
    ("profile_id", "update", "code"),
    [
        (7, {"setpoint": 1.0}, "InvalidProfileId"),
        (101, {"setpoint": 99_000.0}, "InvalidSchedule"),
        (101, {"dischargeLimit": -10_000.0}, "InvalidSchedule"),
        (101, {"setpoint_L2": 1.0}, "PhaseConflict"),
    ],
)
def test_bad_updates_change_nothing(profile_id: int, update: dict[str, float], code: str) -> None:
    store = ProfileStore(abilities=BOTH)
    put(store, central())
    with pytest.raises(Refusal, match=code):
        store.update(profile_id, wire.ChargingScheduleUpdate(**update), T + 5)
    assert store.in_force(MOMENT)[0].setpoint_w == -42_000


def test_a_second_profile_of_the_same_level_is_a_duplicate_unless_it_replaces_or_is_apart_in_time() -> None:
    later = Moment(now_s=T + 100, transaction_id="tx-1")
    store = ProfileStore(abilities=BOTH)
    put(store, default(validTo="2023-09-08T00:00:00Z"), 0)
    with pytest.raises(Refusal, match="DuplicateProfile"):
        put(store, default(id=2), 0, later)
    put(store, default(id=3, validFrom="2023-09-08T00:00:00Z"), 0, later)


@pytest.mark.parametrize(
    ("hour", "kw"),
    [(0, 20.0), (5.999, 20.0), (6, 5.0), (23.99, 5.0), (24, 20.0), (54, 5.0)],
)
def test_the_daily_default_turns_with_the_clock(hour: float, kw: float) -> None:
    store = ProfileStore(abilities=BOTH)
    put(store, default(), 0)
    bounds, until_s = store.in_force(Moment(now_s=T + hour * 3600, transaction_id="tx-1"))
    assert store.wanted_kw(bounds) == kw
    assert T + hour * 3600 < until_s <= T + (hour + 18.01) * 3600


def test_setpoints_stand_above_the_default_and_lapse_offline_for_good() -> None:
    store = ProfileStore(abilities=BOTH)
    put(store, default(), 0)
    put(store, central() | {"maxOfflineDuration": 900, "invalidAfterOfflineDuration": True})

    def wanted(after_s: float, offline_s: float | None) -> float:
        moment = Moment(now_s=T + after_s, transaction_id="tx-1", offline_since_s=offline_s)
        store.lapse(moment)
        return store.wanted_kw(store.in_force(moment)[0])

    assert wanted(0, None) == -42.0
    assert wanted(899, T) == -42.0
    assert store.in_force(Moment(now_s=T + 1, transaction_id="tx-1", offline_since_s=T))[1] == T + 900
    assert wanted(900, T) == 20.0
    assert wanted(901, None) == 20.0, "invalid for good"
    assert 101 not in store.installed


def test_a_profile_only_suspended_offline_comes_back() -> None:
    store = ProfileStore(abilities=BOTH)
    put(store, central() | {"maxOfflineDuration": 900})
    offline = Moment(now_s=T + 1000, transaction_id="tx-1", offline_since_s=T)
    assert store.wanted_kw(store.in_force(offline)[0]) == 60.0
    assert store.wanted_kw(store.in_force(Moment(now_s=T + 1001, transaction_id="tx-1"))[0]) == -42.0


def test_without_any_profile_a_station_charges_at_full_power() -> None:
    bounds, until_s = ProfileStore(abilities=BOTH).in_force(MOMENT)
    assert ProfileStore(abilities=BOTH).wanted_kw(bounds) == 60.0
    assert until_s == math.inf


def test_the_stations_maximum_caps_both_modes() -> None:
    store = ProfileStore(abilities=BOTH)
    cap = with_schedule(
        default(id=9, chargingProfilePurpose="ChargingStationMaxProfile"),
        chargingSchedulePeriod=[{"startPeriod": 0, "limit": 7_000}],
    )
    put(store, cap, 0)
    put(store, central(setpoint=30_000))
    assert store.wanted_kw(store.in_force(MOMENT)[0]) == 7.0
    store.update(101, wire.ChargingScheduleUpdate(setpoint=-30_000.0), T + 5)
    assert store.wanted_kw(store.in_force(MOMENT)[0]) == -30.0


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        ({"chargingProfilePurpose": "TxProfile"}, {1}),
        ({"stackLevel": 0}, {101}),
        ({"evseId": 0}, {101}),
        ({"evseId": 0, "stackLevel": 3}, {1, 101}),
    ],
)
def test_clearing_by_criteria(criteria: dict[str, Any], left: set[int]) -> None:
    store = ProfileStore(abilities=BOTH)
    put(store, default(), 0)
    put(store, central())
    store.clear(None, msgspec.convert(criteria, wire.ClearChargingProfile))
    assert set(store.installed) == left


def test_valid_from_and_to_are_half_open() -> None:
    start = dt.datetime.fromtimestamp(T + 100, dt.UTC).isoformat()
    end = dt.datetime.fromtimestamp(T + 200, dt.UTC).isoformat()
    store = ProfileStore(abilities=BOTH)
    put(store, central() | {"validFrom": start, "validTo": end})
    wanted = [
        store.wanted_kw(store.in_force(Moment(now_s=T + s, transaction_id="tx-1"))[0]) for s in (99, 100, 199.9, 200)
    ]
    assert wanted == [60.0, -42.0, -42.0, 60.0]
