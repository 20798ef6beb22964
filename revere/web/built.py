"""Whether the built console is there, and whether it was built from the sources that lie beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from revere.web.settings import STATIC_FOLDER

SOURCES = STATIC_FOLDER.parents[2] / "console"
"""There in a checkout, not in an installed package."""
STAMP = "built-from"
_SINGLE = ("index.html", "package.json", "package-lock.json", "svelte.config.js", "tsconfig.json", "vite.config.ts")
REMEDY = "run make setup, start again, and reload the page"


def sources_hash(sources: Path = SOURCES) -> str:
    """SHA-256 (hex) over the names and bytes of all that the console is built from."""
    digest = hashlib.sha256()
    files = [sources / name for name in _SINGLE] + sorted(one for one in (sources / "src").rglob("*") if one.is_file())
    for file in files:
        body = file.read_bytes()
        digest.update(f"{file.relative_to(sources).as_posix()}\0{len(body)}\0".encode())
        digest.update(body)
    return digest.hexdigest()


def stamp(built: Path = STATIC_FOLDER, sources: Path = SOURCES) -> None:
    """Note in the built console what it was built from."""
    (built / STAMP).write_text(sources_hash(sources) + "\n", encoding="ascii")


def complaint(built: Path = STATIC_FOLDER, sources: Path = SOURCES) -> str:
    """What is wrong with the built console and what to do; empty where nothing is, or no sources can tell."""
    if not (built / "index.html").is_file():
        return f"the console is not built, so there are no pages: {REMEDY}"
    if not (sources / "src").is_dir():
        return ""
    try:
        of = (built / STAMP).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        of = ""
    if of == sources_hash(sources):
        return ""
    return f"the console was built from other sources than these, so pages may be wrong: {REMEDY}"
