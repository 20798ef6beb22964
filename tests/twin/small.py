"""A programme of five stations for the twin's tests: a school with an island, a hall, a home without."""

from __future__ import annotations

import datetime as dt

import numpy as np

from revere.core.scenario import Scenario, parse_scenario
from revere.twin.inputs import PlantInputs, synthetic_inputs

START = dt.datetime(2023, 9, 7, 4, tzinfo=dt.UTC)
"""Midnight local time of the event day, a Thursday."""

SMALL = """
[programme]
id = "small"
name = "Small"
zone = "America/New_York"
[run]
event_day = 2023-09-07
event_start = 16:00:00
event_hours = 3.0
program = "p"
[plant]
latency_s = 0.1
link_drops_per_station_day = 0.0
[[programs]]
id = "p"
name = "P"
rule = "connectedsolutions_ci_daily"
utilities = ["Eversource"]
site_kinds = ["school"]
openadr_program = "CS"
[[tariffs]]
id = "t"
name = "T"
source = "assumption"
verified = false
base_usd_per_kwh = "0.2"
[[feeders]]
id = "f"
name = "F"
import_limit_kw = 400.0
export_limit_kw = 300.0
[station_models.bus60]
vendor = "V"
model = "B60"
protocol = "ocpp2.1"
connector = "cCCS1"
charge_kw = 60.0
discharge_kw = 60.0
can_form_grid = true
[station_models.town11]
vendor = "G"
model = "AC-11"
protocol = "ocpp1.6"
connector = "cType1"
charge_kw = 11.0
[station_models.home10]
vendor = "H"
model = "H10"
protocol = "ocpp2.1"
connector = "cCCS1"
charge_kw = 11.3
discharge_kw = 9.6
can_form_grid = true
[vehicle_models.bus]
make = "Bus"
kind = "bus"
capacity_kwh = 226.0
charge_kw = 60.0
discharge_kw = 60.0
[vehicle_models.car]
make = "Car"
kind = "car"
capacity_kwh = 60.0
charge_kw = 11.0
[vehicle_models.v2h]
make = "Car that gives"
kind = "car"
capacity_kwh = 60.0
charge_kw = 11.0
discharge_kw = 9.6
[[sites]]
id = "school"
name = "School"
kind = "school"
town = "X"
utility = "Eversource"
utility_kind = "investor_owned"
feeder = "f"
tariff = "t"
import_limit_kw = 250.0
export_limit_kw = 150.0
load_shape = "school"
load_peak_kw = 100.0
transfer_switch = true
critical_load_kw = 40.0
[[sites.chargers]]
station = "bus60"
vehicle = "bus"
count = 3
trips = [ { name = "morning", days = "school", depart = 06:00:00, back = 08:00:00, energy_kwh = 30.0 } ]
[[sites]]
id = "hall"
name = "Hall"
kind = "municipal"
town = "X"
utility = "Eversource"
utility_kind = "investor_owned"
feeder = "f"
tariff = "t"
import_limit_kw = 100.0
load_shape = "office"
load_peak_kw = 40.0
[[sites.chargers]]
station = "town11"
vehicle = "car"
trips = [ { name = "pool", days = "weekday", depart = 09:00:00, back = 16:00:00, energy_kwh = 12.0 } ]
[[sites]]
id = "home"
name = "Home"
kind = "home"
town = "X"
utility = "Eversource"
utility_kind = "investor_owned"
feeder = "f"
tariff = "t"
import_limit_kw = 15.0
export_limit_kw = 10.0
load_shape = "home"
load_peak_kw = 4.0
transfer_switch = true
critical_load_kw = 1.2
[[sites.chargers]]
station = "home10"
vehicle = "v2h"
trips = []
[[outages]]
site = "school"
start = 02:00:00
hours = 1.0
[[outages]]
site = "home"
start = 02:00:00
hours = 1.0
switch_works = false
"""


def small(text: str = SMALL) -> Scenario:
    """The small programme."""
    return parse_scenario(text, "small.toml")


def inputs_of(scenario: Scenario, days: float = 1.0, start: dt.datetime = START) -> PlantInputs:
    """Synthetic inputs for it."""
    return synthetic_inputs(scenario, start, days, np.random.default_rng(5))
