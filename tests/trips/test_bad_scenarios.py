"""A scenario that cannot be played: one error that says file, key, both values and the way out, and nothing starts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from revere.control import building
from revere.core import assets
from revere.core.errors import ScenarioError
from revere.core.scenario import parse_scenario
from revere.settle.rules import load_rulebook
from revere.twin import inputs, realdata
from tests.trips.rig import SMALL, small

GOOD = SMALL.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Bad:
    """An edit of the small programme, and the words that its error must hold."""

    what: str
    old: str
    new: str
    says: tuple[str, ...]


BAD = (
    Bad("an unknown key", 'load_shape = "school"', 'load_shap = "school"', ("sites[0]", "load_shap", "spelling")),
    Bad(
        "no import limit",
        "import_limit_kw = 190.0\n",
        "",
        ("sites[0] 'school'", "import_limit_kw is missing", "import limit in kW", "service agreement"),
    ),
    Bad(
        "a limit in watts",
        "import_limit_kw = 190.0",
        "import_limit_kw = 190000.0",
        ("import_limit_kw", "190000.0", "100000"),
    ),
    Bad(
        "a negative limit", "export_limit_kw = 120.0", "export_limit_kw = -120.0", ("export_limit_kw", "-120.0", "0 to")
    ),
    Bad(
        "a reserve in per cent",
        "backup_reserve_soc = 0.3",
        "backup_reserve_soc = 30",
        ("backup_reserve_soc", "30", "0 to 1"),
    ),
    Bad(
        "a limit that is no number",
        "import_limit_kw = 190.0",
        "import_limit_kw = nan",
        ("import_limit_kw", "nan", "0.1 to"),
    ),
    Bad(
        "serial numbers of other chargers",
        'station = "fleet20"\n',
        'station = "fleet20"\nserials = ["A1", "A2"]\n',
        ("sites[1] 'fire-station'", "chargers.serials", "A1, A2", "1 different serial numbers", "first boot"),
    ),
    Bad("an infinite limit", "export_limit_kw = 120.0", "export_limit_kw = inf", ("export_limit_kw", "inf", "0 to")),
    Bad(
        "an impossible bus",
        "energy_kwh = 27.0",
        "energy_kwh = 270.0",
        ("school-bus01", "'morning'", "270 kWh", "192.1 usable kWh", "larger battery"),
    ),
    Bad("a battery of nothing", "capacity_kwh = 226.0", "capacity_kwh = 0.0", ("school-bus01", "at most 0.0 usable")),
    Bad("TOML that is none", "[run]", "[run", ("TOML", "line")),
    Bad("a word for a number", "load_peak_kw = 90.0", 'load_peak_kw = "ninety"', ("load_peak_kw", "ninety")),
    Bad(
        "a feeder that is not there",
        'feeder = "f-light"',
        'feeder = "f-dark"',
        ("feeder", "f-dark", "f-light", "f-town"),
    ),
    Bad(
        "a zone of no place", "America/New_York", "Mars/Base", ("programme", "zone", "Mars/Base", "IANA", "Europe/Rome")
    ),
    Bad("a zone outside the list", "America/New_York", "../../etc/passwd", ("zone", "passwd")),
    Bad(
        "a building of no kind",
        'load_shape = "school"',
        'load_shape = "moon"',
        ("sites[0] 'school'", "load_shape", "moon", "home, office, school, warehouse"),
    ),
    Bad(
        "a rule that is in no book",
        'rule = "connectedsolutions_ci_daily"',
        'rule = "nope"',
        ("programs 'cs-daily'", "rule", "nope", "connectedsolutions_res"),
    ),
    Bad(
        "a price that is no number",
        'base_usd_per_kwh = "0.16"',
        'base_usd_per_kwh = "NaN"',
        ("tariffs[0]", "NaN", "0 to 10"),
    ),
    Bad(
        "a price below nothing",
        'base_usd_per_kwh = "0.16"',
        'base_usd_per_kwh = "-9.9"',
        ("tariffs[0]", "-9.9", "0 to 10"),
    ),
    Bad(
        "a window's price in cents",
        'price_usd_per_kwh = "0.19"',
        'price_usd_per_kwh = "19"',
        ("windows[0]", "19", "0 to 10"),
    ),
    Bad(
        "a window that never opens",
        "start = 08:00:00\nend = 21:00:00",
        "start = 21:00:00\nend = 08:00:00",
        ("tariffs 'g2'", "21:00:00 to 08:00:00", "two"),
    ),
    Bad("a window on no day", 'days = "weekday"', 'days = "never"', ("windows[0].days", "never", "scenario.md")),
    Bad("a seed below nothing", "seed = 1\n", "seed = -1\n", ("run", "seed", "-1", "0 to")),
    Bad("no feeder limit", "import_limit_kw = 320.0\n", "", ("feeders[0]", "import_limit_kw is missing", "utility")),
    Bad(
        "a feeder limit in watts",
        "import_limit_kw = 320.0",
        "import_limit_kw = 320000.0",
        ("feeders[0]", "320000.0", "100000"),
    ),
    Bad("no zone", 'zone = "America/New_York"\n', "", ("programme", "zone is missing", "scenario.md")),
    Bad("an event of no length", "event_hours = 3.0", "event_hours = 0.0", ("run", "event_hours", "0.25 to 6")),
    Bad(
        "a number in words that is none", "load_peak_kw = 90.0", 'load_peak_kw = "nan"', ("load_peak_kw", "nan", "0 to")
    ),
    Bad("a night above its day", "low_c = 22.0", "low_c = 42.0", ("plant", "low_c", "42", "at most 33")),
    Bad("an outage of no length", "hours = 1.0", "hours = 0.0", ("outages[0]", "hours", "got 0.0", "0.01 to 336")),
    Bad(
        "an outage after the run",
        "start = 16:20:00\nhours",
        "day = 1\nstart = 16:20:00\nhours",
        ("outages[0].day", "got day 1 at 16:20", "2 days of run.days", "Move the outage, or raise run.days"),
    ),
    Bad(
        "an outage before the run",
        "start = 16:20:00\nhours",
        "day = -2\nstart = 23:59:59\nhours",
        ("outages[0].day and start", "got day -2 at 23:59", "00:00 of day -1", "Move the outage"),
    ),
    Bad("an outage nowhere", 'site = "fire-station"', 'site = "elsewhere"', ("outages.site", "elsewhere")),
    Bad(
        "a contract that is not there",
        'program = "cs-daily"',
        'program = "cs-none"',
        ("run.program", "cs-none", "cs-daily"),
    ),
    Bad("a journey that is no number", "energy_kwh = 27.0", "energy_kwh = nan", ("energy_kwh", "nan")),
    Bad("a journey that gives energy", "energy_kwh = 27.0", "energy_kwh = -27.0", ("energy_kwh", "-27")),
    Bad(
        "a charger of minus 60 kW", "discharge_kw = 60.0\ncan_form", "discharge_kw = -60.0\ncan_form", ("discharge_kw",)
    ),
    Bad("a battery that is no number", "capacity_kwh = 226.0", "capacity_kwh = nan", ("capacity_kwh", "nan")),
    Bad("a floor in per cent", "soc_min = 0.2", "soc_min = 20", ("soc_min", "20")),
    Bad("a critical load that is no number", "critical_load_kw = 9.0", "critical_load_kw = nan", ("critical_load_kw",)),
)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.what)
def test_a_bad_scenario_is_refused_with_file_key_values_and_a_way_out(bad: Bad) -> None:
    assert bad.old in GOOD
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(GOOD.replace(bad.old, bad.new, 1), "bad.toml")
    text = caught.value.text()
    assert text.startswith("bad.toml")
    assert "\n" not in text
    for words in bad.says:
        assert words in text


def test_a_missing_export_limit_means_no_export() -> None:
    changed = small(edit=lambda text: text.replace("export_limit_kw = 120.0\n", "", 1))
    assert changed.fleet.sites[0].export_limit_kw == 0.0
    assert small().fleet.sites[0].export_limit_kw == 120.0


@pytest.mark.parametrize("bad", [BAD[0], BAD[1], BAD[7]], ids=lambda bad: bad.what)
def test_the_command_says_it_in_one_line_exits_2_and_starts_nothing(bad: Bad, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(GOOD.replace(bad.old, bad.new, 1))
    state = tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-m", "revere.cli", "run", str(file)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"REVERE_STATE": str(state), "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(said) == 1
    for words in bad.says:
        assert words in said[0]
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"], "a database or a state folder was made"


def test_the_names_that_a_scenario_may_use_are_those_of_the_rulebook_and_of_the_shapes() -> None:
    assert set(assets.RULES) == {rule.program for rule in load_rulebook().rules}
    assert set(assets.LOAD_SHAPES) == set(inputs.LOAD_SHAPES) == set(realdata.SHAPES) == set(building._HOURLY)
