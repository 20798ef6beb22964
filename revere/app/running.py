"""The mark of a running server in the state folder: how the command line of this machine finds and trusts it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import msgspec

from revere.app.files import fresh_secret_file
from revere.core.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MARK = "running.json"
LOCK = "running.lock"
MARK_MAX_BYTES = 16 * 1024
LOCK_TRIES_S = (0.05, 0.1, 0.2, 0.4, 0.0)


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs and how to reach it. Holds secrets: mode 0600, gone when the server stops.

    ``web_url`` is the server's own door on this machine, whatever the settings say of the front door.
    """

    pid: int
    web_url: str
    token: str
    dsn: str
    owner_dsn: str
    bin_dir: str | None
    durable: bool = True
    """False for a demonstration: its database may lose what it acknowledged."""


@asynccontextmanager
async def only_server(folder: Path) -> AsyncIterator[None]:
    """Be the one server over this state folder: a lock that ends with the process, however it ends.

    The kernel keeps it, so neither a crash nor another process that got our number can leave it behind. Those who
    only ask hold it for an instant; therefore we try for ``LOCK_TRIES_S`` before we give up.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await _take(handle, folder)
        yield
    finally:
        os.close(handle)


async def _take(handle: int, folder: Path) -> None:
    for pause_s in LOCK_TRIES_S:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(pause_s)
        else:
            return
    raise Refused("a server runs over this state folder already", where=str(folder), remedy="Stop it first")


@contextmanager
def running_mark(folder: Path, mark: Running) -> Iterator[None]:
    """Keep the mark while the server, which is :func:`only_server`, serves."""
    with fresh_secret_file(folder / MARK) as file:
        file.write(msgspec.json.encode(mark))
    try:
        yield
    finally:
        (folder / MARK).unlink(missing_ok=True)


def find_running(folder: Path) -> Running | None:
    """The server that runs over this state folder, None when none does (a mark left by a crash is ignored).

    Raises :class:`Unavailable` for one that is starting or stopping, and for one that runs as another user.
    """
    try:
        if not _held(folder / LOCK):
            return None
        return msgspec.json.decode((folder / MARK).read_bytes()[:MARK_MAX_BYTES], type=Running)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise Unavailable(
            "the server over this state folder is starting or stopping",
            where=str(folder),
            remedy="Try again in a few seconds",
        ) from error
    except PermissionError as error:
        raise Unavailable(
            "the server over this state folder is another user's",
            where=str(folder),
            remedy="Give this command as that user, for example with sudo -u",
        ) from error


def _held(path: Path) -> bool:
    """Whether a living server holds the lock."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)
