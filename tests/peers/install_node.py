"""Install the npm peers of the lock into a folder, with the Node that builds the console."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(folder: Path) -> None:
    """Copy the lock into ``folder`` and install just that."""
    home, npm = runpy.run_path(str(HERE.parents[1] / "console" / "build.py"))["node_and_npm"]()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "node" / name, folder / name)
    environment = {**os.environ, "PATH": f"{home}{os.pathsep}{os.environ['PATH']}"}
    words = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run([*npm, *words], cwd=folder, env=environment, check=True)
    (folder / "node").unlink(missing_ok=True)
    (folder / "node").symlink_to(home / "node")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
