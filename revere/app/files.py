"""Files that commands write: secrets into a file closed from its first byte, outputs checked before the work."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from revere.core.errors import RevereError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def check_output(path: Path | None) -> None:
    """Raise, before any work is done, for a file that could not be written after it."""
    if path is None:
        return
    if path.is_dir():
        raise _unwritable(path, "a folder", "the name of a file")
    if not path.parent.is_dir():
        raise _unwritable(path, "no such folder", f"{path.parent} to be a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise _unwritable(path, "no right to write", "a place that you may write to")


def _unwritable(path: Path, got: str, expected: str) -> RevereError:
    return RevereError("cannot write", where=str(path), got=got, expected=expected, remedy="Name another file")


@contextmanager
def fresh_secret_file(path: Path) -> Iterator[BinaryIO]:
    """Write ``path`` anew with mode 0600, whole or not at all, whoever could read what stood there before.

    The new file takes the old one's name when the block ends; where it ends badly, the old one stays.
    """
    check_output(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(handle)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
