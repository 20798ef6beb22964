"""The built console is told from one that is missing or of other sources."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from revere.app.serve import warn_of_console
from revere.web.built import SOURCES, complaint, sources_hash, stamp
from revere.web.settings import WebSettings


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the console's sources."""
    return Path(shutil.copytree(SOURCES, tmp_path / "console", ignore=shutil.ignore_patterns("node_modules")))


@pytest.fixture
def built(tmp_path: Path, sources: Path) -> Path:
    """A console that was built from them."""
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html>")
    stamp(folder, sources)
    return folder


def test_a_build_of_these_sources_is_fine(built: Path, sources: Path) -> None:
    assert complaint(built, sources) == ""


@pytest.mark.parametrize("name", ["src/App.svelte", "package-lock.json", "index.html", "vite.config.ts"])
def test_every_source_counts(built: Path, sources: Path, name: str) -> None:
    with (sources / name).open("a") as file:
        file.write(" ")
    assert "built from other sources" in complaint(built, sources)


def test_a_renamed_or_added_source_counts(sources: Path) -> None:
    before = sources_hash(sources)
    (sources / "src" / "main.ts").rename(sources / "src" / "first.ts")
    renamed = sources_hash(sources)
    (sources / "src" / "second.ts").touch()
    assert len({before, renamed, sources_hash(sources)}) == 3


def test_a_build_without_a_stamp_is_one_of_other_sources(built: Path, sources: Path) -> None:
    (built / "built-from").unlink()
    assert "make setup" in complaint(built, sources)


def test_an_installed_package_has_no_sources_to_compare(built: Path, tmp_path: Path) -> None:
    assert complaint(built, tmp_path / "none") == ""


def test_who_starts_a_server_without_pages_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    warn_of_console(WebSettings(static_folder=tmp_path / "none"), said.append)
    assert said == [
        "WARNING: the console is not built, so there are no pages: run make setup, start again, and reload the page"
    ]
