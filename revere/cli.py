"""The command line. Thin: each command reads its words, calls a room and prints what came of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

import revere
from revere.app.bench import BENCHES
from revere.cli_campaign import campaign_app
from revere.cli_card import card_app
from revere.cli_event import event_app
from revere.cli_plan import plan_app
from revere.cli_shared import Config, admin, err, out, say
from revere.cli_station import station_app
from revere.core.errors import RevereError

app = App(name="revere", version=revere.__version__, help=(revere.__doc__ or "").strip())
user_app = App(name="user", help="People who may sign in.")
token_app = App(name="token", help="API tokens: what scripts send instead of a password.")
site_app = App(name="site", help="The programme's sites.")
for sub in (user_app, token_app, station_app, card_app, site_app, event_app, campaign_app, plan_app):
    app.command(sub)


def main() -> None:
    """Entry point: errors are for the person who meets them, one line, exit code 2.

    What the system refuses (a file, a folder, a port) is such an error; any other exception is a bug of ours and keeps
    its traceback.
    """
    try:
        app(exit_on_error=False, print_error=False)
    except (RevereError, CycloptsError) as error:
        _complain(str(error))
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}" if error.filename is not None else str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(text: str) -> None:
    err.print(Text("revere: ", style="bold") + Text(" ".join(text.split())), soft_wrap=True)
    sys.exit(2)


# ---- the twin ---------------------------------------------------------------------------------------


@app.command
def run(
    scenario: Path,
    *,
    days: float | None = None,
    seed: int | None = None,
    event_day: dt.date | None = None,
    data: Path | None = None,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    guide_file: Annotated[Path | None, Parameter(name="--guide")] = None,
) -> None:
    """Play SCENARIO in twin time, as fast as it goes, and print what it has shown.

    Ends with 1 where a criterion that any run must meet fails: a missed departure, back-feed, a limit passed, less
    delivered than promised, registers that the plant denies, set-points too slow.

    Args:
        scenario: a programme's TOML file, or the name of one that comes with Revere, such as massachusetts.
        days: days from 00:00 local time of the day before the event (default: the scenario's).
        seed: one seed replays one run (default: the scenario's).
        event_day: another event day, such as 2024-07-16.
        data: folder of published files that take the place of the synthetic series.
        json_file: write the summary there as JSON.
        guide_file: write the guide (PDF) of this run there.
    """
    from revere.app.files import check_output
    from revere.app.play import PlayOptions, load_scenario, play

    check_output(json_file)
    check_output(guide_file)
    loaded = load_scenario(scenario)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
    )
    progress = _teller(bar)

    def tell(summary: dict[str, Any]) -> None:
        if bar.live.is_started:
            bar.stop()
        say(summary_table(summary))
        say(f"Journal hash {summary['journal_hash']} over {_shown(summary['facts'])} facts")
        for line in summary["failed"]:
            say(f"FAILED  {line}")
        if json_file is not None:
            json_file.write_text(json.dumps(summary, indent=2, sort_keys=True, default=str) + "\n")

    options = PlayOptions(
        days=days, seed=seed, event_day=event_day, data_dir=data, progress=progress, guide_file=guide_file, tell=tell
    )
    try:
        summary = play(loaded, options)
    finally:
        if bar.live.is_started:
            bar.stop()
    if summary["failed"]:
        sys.exit(1)


LINE_EACH_S = 6 * 3600
"""Where no terminal shows a bar, progress is a line each simulated quarter of a day."""


def _teller(bar: Progress) -> Callable[[float, float], None]:
    """Who is told (seconds done, of how many): the bar, or lines where there is no terminal."""
    task = bar.add_task("playing", total=None)
    told = {0}

    def progress(done_s: float, total_s: float) -> None:
        where = f"day {done_s / 86400:.2f} of {total_s / 86400:g}"
        if err.is_terminal:
            bar.start()
            bar.update(task, total=total_s, completed=done_s, description=where)
            return
        quarters = int(done_s // LINE_EACH_S)
        if quarters not in told or done_s >= total_s:
            err.print(where)
        told.add(quarters)

    return progress


ROWS: tuple[tuple[str, str, str], ...] = (
    ("performance_kw", "delivered in the event, kW by registers", ""),
    ("performance_unmeasured_evse_h", "time that no register proves, EVSE hours", ""),
    ("performance_plant_kw", "the same by the plant itself", ""),
    ("lowest_5min_kw", "its lowest five minutes, kW by registers", ""),
    ("nominated_kw", "promised at the notice", ""),
    ("nameplate_discharge_kw", "discharge nameplate", ""),
    ("usable_kwh_at_start", "usable energy above the floors at the event's start, kWh", ""),
    ("hours_at_1mw", "which lasts, at 1 MW, hours", ""),
    ("missed_departures", "missed departures", "departures"),
    ("backfeed_on_dead_grid_s", "back-feed on a dead grid, s", "outage_site_s"),
    ("limit_violation_s", "limit violation, s", "sampled_s"),
    ("building_over_limit_s", "building alone above its limit, s", "sampled_s"),
    ("energy_balance_residual_pct", "energy balance residual of the fleet, %", ""),
    ("energy_balance_worst_station_pct", "the same, worst station, %", "energy_balance_stations"),
    ("setpoint_sent_p99_ms", "set-point sent, p99, ms wall", "setpoints"),
    ("setpoint_met_p99_s", "last station met a fleet change, p99, s", "fleet_changes_in_events"),
    ("fleet_changes_unmet", "fleet changes that a station never met", "fleet_changes_in_events"),
    ("setpoints_superseded_in_events", "set-points replaced before they were met, in events", "setpoints_in_events"),
    ("setpoints_expired_in_events", "set-points that no meter confirmed in time, in events", "setpoints_in_events"),
    ("expected_usd", "expected season payments so far", "ledger_lines"),
    ("equity_share", "share of funds to environmental-justice participants", ""),
    ("messages", "OCPP messages", ""),
    ("simulated_s", "simulated, s", ""),
    ("wall_s", "wall, s", ""),
)


def summary_table(summary: dict[str, Any]) -> Table:
    """The summary as a table: figure, value, exposure."""
    table = Table(title=f"{summary['scenario']}, event day {summary['event_day']}, seed {summary['seed']}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("of", justify="right")
    for key, words, exposure in ROWS:
        if key in summary:
            of = f"{exposure} {_shown(summary.get(exposure))}" if exposure else ""
            table.add_row(words, _shown(summary[key]), of)
    return table


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


@app.command
def demo(
    scenario: Path = Path("massachusetts"),
    *,
    speed: float = 60.0,
    port: int = 8080,
    ocpp_port: int = 9000,
    keep: Path | None = None,
) -> None:
    """Show SCENARIO from 14:30 of its event day with three days of history, a minute a second.

    Args:
        scenario: a programme's TOML file.
        speed: simulated seconds a second.
        port: the console's port on 127.0.0.1.
        ocpp_port: the stations' port on 127.0.0.1.
        keep: a new state folder in which the record stays; `REVERE_STATE=FOLDER revere guide` reads it later.
    """
    from revere.app.demo import DemoOptions, show
    from revere.app.play import load_scenario

    options = DemoOptions(speed=speed, port=port, ocpp_port=ocpp_port, keep=keep, say=say)
    show(load_scenario(scenario), options)


@app.command
def twin(
    scenario: Path,
    *,
    connect: str,
    secrets_file: Path,
    seed: int | None = None,
) -> None:
    """Run SCENARIO's stations as a process of their own, in wall time, against a server.

    Args:
        scenario: a programme's TOML file; its stations must be in the server's registry.
        connect: the server's station address, such as ws://127.0.0.1:9000/ocpp.
        secrets_file: what ``revere station add --all --out FILE`` wrote.
        seed: the twin's seed (default: the scenario's).
    """
    from revere.app.apart import run_apart
    from revere.app.play import load_scenario

    run_apart(load_scenario(scenario), connect, secrets_file, seed=seed, say=say)


# ---- production -------------------------------------------------------------------------------------


@app.command
def serve(*, config: Config = None) -> None:
    """Serve the registered programme: stations, console, API. Ends with Ctrl-C or SIGTERM."""
    from revere.app.serve import serve as serve_house
    from revere.app.settings import load_settings, state_folder

    asyncio.run(serve_house(load_settings(config), state_folder(), say))


@site_app.command(name="add")
def site_add(
    scenario: Path,
    *,
    block_groups: Path | None = None,
    replace: Annotated[bool, Parameter(negative="")] = False,
    lower_security: Annotated[bool, Parameter(negative="")] = False,
    config: Config = None,
) -> None:
    """Register the sites, stations, vehicles and contracts of a scenario file beside those that are registered.

    What has the same id takes the file's values. A running server takes it up at its next start.

    Args:
        scenario: a programme's TOML file, or the name of one that comes with Revere, such as massachusetts.
        block_groups: the state's CSV of census block groups, for the equity share (else the scenario's own).
        replace: make the registry equal to the file; what is not in it is removed, and named.
        lower_security: let stations' security profiles fall to the file's.
    """
    from revere.app.play import load_scenario, with_block_groups
    from revere.app.register import add_fleet

    fleet = load_scenario(scenario).fleet
    if block_groups is not None:
        fleet = with_block_groups(fleet, block_groups)
    say(admin(config, lambda desk: add_fleet(desk, fleet, replace=replace, lower=lower_security), make=True))


@app.command
def commission(
    site: str | None = None,
    *,
    all_sites: Annotated[bool, Parameter(name="--all", negative="")] = False,
    waive_until: dt.datetime | None = None,
    why: str = "",
) -> None:
    """Check that a site can be left to its stations' fallback; until that is recorded it is not discharged.

    The sum of the defaults and the worst building load has to stay within the import limit in every quarter hour, and
    every route has to be met from the defaults alone. Where both cannot hold, a waiver says who takes that, and why.

    Args:
        site: the site's id.
        all_sites: every site; stops at the first that is not clean.
        waive_until: let it discharge until then all the same, at most 90 days, such as 2026-07-15T16:00-04:00.
        why: the waiver's reason; kept in the journal.
    """
    from revere.app.remote import commission as ask
    from revere.app.remote import site_ids
    from revere.app.settings import state_folder

    if all_sites == (site is not None):
        raise RevereError("name one site, or --all", got=site or "nothing")
    for one in [site] if site is not None else site_ids(state_folder()):
        say(ask(state_folder(), one, waive_until, why))


@site_app.command(name="lock")
def site_lock(site_id: str, *, why: str) -> None:
    """Lock all stations of a site for a technician: 0 kW, then nothing but a stop reaches them.

    Args:
        site_id: the site's id.
        why: what is done there; kept in the journal.
    """
    from revere.app.remote import lock
    from revere.app.settings import state_folder

    say(lock(state_folder(), "sites", site_id, why))


@site_app.command(name="unlock")
def site_unlock(site_id: str, *, why: str) -> None:
    """Lift the locks that others set on a site, as the person whose token is in REVERE_TOKEN.

    Args:
        site_id: the site's id.
        why: why it is safe now; kept in the journal.
    """
    from revere.app.remote import unlock
    from revere.app.settings import state_folder

    say(unlock(state_folder(), "sites", site_id, why))


@site_app.command(name="list")
def site_list(*, config: Config = None) -> None:
    """List sites with their limits and what they are enrolled in."""
    from revere.app.admin import list_sites

    say(admin(config, list_sites))


@app.command
def pki(
    folder: Path,
    *,
    host: Annotated[list[str] | None, Parameter(negative="")] = None,
    station: Annotated[list[str] | None, Parameter(negative="")] = None,
    days: int = 365,
) -> None:
    """Make a test PKI in FOLDER: a root, the server's certificate, one for each station; nothing is overwritten.

    Args:
        folder: where the files go, each with mode 0600; what it has already stays as it is.
        host: name or address by which stations reach the server; may be repeated (default: localhost and 127.0.0.1).
        station: id of a station that gets a certificate of its own, the id being its common name; may be repeated.
        days: how long the certificates hold.
    """
    from revere.app.pki import make_pki
    from revere.core.time import WallClock

    written = make_pki(folder, host, station or [], days=days, now=WallClock().now())
    out.print("\n".join(str(path) for path in written) or "Nothing was lacking.", soft_wrap=True)


@user_app.command(name="add")
def user_add(
    name: str, *, role: str, site: str | None = None, participant: str | None = None, config: Config = None
) -> None:
    """Add a person; the password is asked for (or read from standard input).

    Args:
        name: sign-in name.
        role: operator, site_manager, resident, analyst or auditor.
        site: the site of a site manager or resident.
        participant: the participant of a resident.
    """
    from revere.app.people import add_user, ask_password

    password = ask_password()
    say(admin(config, lambda desk: add_user(desk, name, role, password, site, participant)))


@user_app.command(name="list")
def user_list(*, config: Config = None) -> None:
    """List people and roles."""
    from revere.app.people import list_users

    say(admin(config, list_users))


@user_app.command(name="remove")
def user_remove(name: str, *, config: Config = None) -> None:
    """Remove a person with all tokens; open pages of theirs close within a minute.

    Args:
        name: sign-in name; `revere user list` shows all.
    """
    from revere.app.people import remove_user

    out.print(admin(config, lambda desk: remove_user(desk, name)))


@token_app.command(name="add")
def token_add(user: str, *, days: float = 90.0, label: str = "", config: Config = None) -> None:
    """Give a user an API token, shown once; it may do what the user may.

    Args:
        user: whose token; `revere user list` shows all.
        days: in force so long, up to 400 days.
        label: what it is for.
    """
    from revere.app.people import add_token

    out.print(admin(config, lambda desk: add_token(desk, user, days, label)), markup=False, soft_wrap=True)


@token_app.command(name="list")
def token_list(*, config: Config = None) -> None:
    """List the API tokens in force, by a name that is not the token."""
    from revere.app.people import list_tokens

    out.print(admin(config, list_tokens))


@token_app.command(name="revoke")
def token_revoke(token: str, *, config: Config = None) -> None:
    """End an API token within a minute.

    Args:
        token: the name that `revere token list` gives it.
    """
    from revere.app.people import revoke_token

    out.print(admin(config, lambda desk: revoke_token(desk, token)))


@app.command
def stop_discharge(*, site: str | None = None, why: str = "") -> None:
    """Stop all discharge now (or at one site). One person is enough.

    Args:
        site: the site's id; without it, everywhere.
        why: the reason, for the journal and for whoever releases it.
    """
    from revere.app.remote import stop_discharge as stop
    from revere.app.settings import state_folder

    say(stop(state_folder(), site, why))


@app.command
def guide(*, to: Annotated[Path, Parameter(name="--out")], config: Config = None) -> None:
    """Write the public guide (PDF) from the ledger and series.

    Args:
        to: the PDF to write.
    """
    from revere.app.admin import write_guide
    from revere.app.files import check_output

    check_output(to)
    say(admin(config, lambda desk: write_guide(desk, to)))


@app.command
def audit(statement: str | None = None, *, config: Config = None) -> None:
    """Recompute STATEMENT from raw readings and print each step; exits 1 where it does not agree.

    Args:
        statement: the statement's id, such as p-boston:2023-09; without it, all are listed.
    """
    from revere.app.admin import audit_statement, list_statements

    if statement is None:
        say(admin(config, list_statements))
        return
    agrees, text = admin(config, lambda desk: audit_statement(desk, statement))
    say(text)
    if not agrees:
        sys.exit(1)


@app.command
def migrate(*, config: Config = None) -> None:
    """Bring the database up to this release and give the application's role its rights, as the tables' owner.

    `revere serve` does the same at its start where it may.
    """
    from revere.app.admin import bring_up

    say(admin(config, bring_up))


@app.command
def backup(file: Path, *, config: Config = None) -> None:
    """Dump everything to FILE (pg_dump, custom format).

    Args:
        file: the dump to write, mode 0600.
    """
    from revere.app.admin import back_up
    from revere.app.files import check_output

    check_output(file)
    say(admin(config, lambda desk: back_up(desk, file)))


@app.command
def restore(file: Path, *, config: Config = None) -> None:
    """Restore FILE into an empty store; every line of the ledger is computed again, and its hash printed.

    Args:
        file: what `revere backup` wrote, with this release or an earlier one.
    """
    from revere.app.admin import restore_from
    from revere.app.settings import load_settings, state_folder

    say(asyncio.run(restore_from(load_settings(config), state_folder(), file)))


@app.command
def doctor(*, to: Annotated[Path | None, Parameter(name="--out")] = None, config: Config = None) -> None:
    """Check this installation and write a redacted bundle for a report of trouble.

    Args:
        to: write the bundle (a zip without secrets) there.
    """
    from revere.app.doctor import examine
    from revere.app.files import check_output
    from revere.app.settings import state_folder

    check_output(to)
    say(examine(config, state_folder(), to))


@app.command
def bench(
    name: Annotated[str | None, Parameter(help=f"{', '.join(BENCHES)} (default: all).")] = None,
    *,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """Measure; without NAME, everything.

    Args:
        json_file: write the figures there as JSON.
    """
    from revere.app.bench import measure
    from revere.app.files import check_output

    check_output(json_file)
    figures = measure(name, say=err.print)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    table = Table(title="revere bench" + (f" {name}" if name else f" ({', '.join(BENCHES)})"))
    table.add_column("figure")
    table.add_column("value", justify="right")
    for key, value in figures.items():
        table.add_row(key, _shown(value))
    say(table)


if __name__ == "__main__":
    main()
