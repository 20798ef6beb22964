"""The server's key: the stations' secrets are kept as digests under it, and without it no station gets in."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from revere.app.settings import secret_file
from revere.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from revere.store.store import Store

KEY_FILE = "server.key"
MARK_BYTES = 16


def mark_of(key: bytes) -> bytes:
    """What tells a key from any other and gives nothing of it away."""
    return hmac.digest(key, b"revere server.key", "sha256")[:MARK_BYTES]


async def key_fault(store: Store, folder: Path, stations: Collection[str]) -> Refused | None:
    """Why the registered stations' secrets cannot be checked with the key of this folder; None where they can."""
    marks = {station: mark for station, mark in (await store.key_marks()).items() if station in stations}
    if not marks:
        return None
    path = folder / KEY_FILE
    if not path.exists():
        got, others = "no such file", len(marks)
    else:
        mine = mark_of(secret_file(folder, KEY_FILE))
        got, others = "another key", sum(mark is not None and mark != mine for mark in marks.values())
    if not others:
        return None
    return Refused(
        "the key is lacking under which stations' secrets are kept: none of them could come in",
        where=str(path),
        got=got,
        expected=f"the key of {others} of {len(marks)} secrets",
        remedy=f"Put back the {KEY_FILE} of the old state folder (or of its backup); or give all stations new secrets, "
        "and set them at the stations: revere station add --all --out FILE",
    )


async def server_key(store: Store, folder: Path, stations: Collection[str]) -> bytes:
    """The key under which the stations' secrets are kept; made where no station has one yet.

    Raises :class:`Refused` with the way out where the key at hand is another, or none.
    """
    fault = await key_fault(store, folder, stations)
    if fault is not None:
        raise fault
    key = secret_file(folder, KEY_FILE)
    await store.mark_keys(mark_of(key))
    return key
