"""What every part of the command line uses: where it prints, and the desk of the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)

Config = Annotated[Path | None, Parameter(name="--config", help="Settings file (default: revere.toml here).")]


def say(answer: object) -> None:
    """Print an answer; a text unbroken, so that its addresses and hashes can be copied."""
    out.print(answer, soft_wrap=isinstance(answer, str))


def admin(config: Path | None, work: Any, *, make: bool = False) -> Any:
    """Do some work over the store of these settings; a new one is made only where ``make`` says so."""
    from revere.app.admin import at_desk
    from revere.app.settings import load_settings, state_folder

    return asyncio.run(at_desk(load_settings(config), state_folder(), work, make=make))
