"""The mark of a running server in the state folder: how the command line of this machine finds and trusts it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "running.json"
MARK_MAX_BYTES = 16 * 1024


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs and how to reach it. Holds secrets: mode 0600, gone when the server stops."""

    pid: int
    web_url: str
    token: str
    dsn: str
    owner_dsn: str
    bin_dir: str | None
    durable: bool = True
    """False for a demonstration: its database may lose what it acknowledged."""


@contextmanager
def running_mark(folder: Path, mark: Running) -> Iterator[None]:
    """Keep the mark while the server runs."""
    path = folder / MARK
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(mark))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_running(folder: Path) -> Running | None:
    """The server that runs over this state folder, None when none does (a mark left by a crash is ignored)."""
    path = folder / MARK
    try:
        mark = msgspec.json.decode(path.read_bytes()[:MARK_MAX_BYTES], type=Running)
        os.kill(mark.pid, 0)
    except (FileNotFoundError, ProcessLookupError, msgspec.DecodeError):
        return None
    except PermissionError:
        return None
    return mark
