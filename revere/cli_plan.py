"""``revere plan``: planning problems as files. Thin, as all of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from revere.cli_shared import say
from revere.core.words import count

plan_app = App(name="plan", help="Plans for fleets from files.")


@plan_app.command(name="solve")
def plan_solve(
    problem: Path,
    *,
    gap: float = 5e-4,
    seconds: float | None = None,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    plan_file: Annotated[Path | None, Parameter(name="--plan")] = None,
) -> None:
    """Plan the fleet of PROBLEM and prove how near to the best plan that is.

    Args:
        problem: an .npz file; docs/explanation/planner.md names its arrays.
        gap: go on until no plan can be cheaper by more than this share.
        seconds: stop after so many with the best plan so far.
        json_file: write the figures there as JSON.
        plan_file: write the plan there as .npz, array net_kw [vehicle, step], charging positive.
    """
    import numpy as np

    from revere.app.files import check_output
    from revere.app.planning import in_file_order, load_problem, summary
    from revere.plan.coordinate import compile_kernels, plan_fleet

    check_output(json_file)
    check_output(plan_file)
    fleet, order = load_problem(problem)
    compile_kernels()
    plan = plan_fleet(fleet, gap=gap, seconds_max=seconds)
    figures = summary(plan, order)
    if plan_file is not None:
        with plan_file.open("wb") as file:
            np.savez_compressed(file, net_kw=in_file_order(plan, order))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")
    table = Table(
        title=f"{count(fleet.vehicles, 'vehicle')} at {count(fleet.sites, 'site')}, {count(fleet.steps, 'step')}"
    )
    table.add_column("")
    table.add_column("value", justify="right")
    for name, value in (
        ("cost", f"{figures['objective']:,.2f} USD"),
        ("no plan can cost less than", f"{figures['bound']:,.2f} USD"),
        ("so the gap is at most", f"{100 * figures['gap']:.4f} %"),
        ("over a limit by", f"{figures['worst_violation_kw']:.2g} kW"),
        ("targets missed", str(figures["missed"])),
        ("missing of the call", f"{figures['shortfall_kwh']:,.1f} kWh"),
        ("time", f"{figures['seconds']:.2f} s"),
    ):
        table.add_row(name, value)
    say(table)
