"""The list of tokens in a station, for when it is offline: what to send so that it holds exactly ours.

::

    the station's version is ours    nothing
    it holds what we sent last       the differences, where their version can be the higher one
    anything else                    all of it, in as many messages as it must be

A list's version is made of its content, so that no memory of ours is needed to know whether a station's list is in
step. Versions on the way are lower than the last, and no list's own.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.assets import ListedToken
from revere.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from revere.core.commands import Answer
    from revere.core.orders import SendLocalList
    from revere.links.ocppj.line import Line

STEPS_MAX: Final = 1_000
"""Messages for one list."""
PER_MESSAGE: Final = 20
"""Where a station does not say how many it takes at once."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One SendLocalList: entries to put, tokens to take out; a ``full`` one replaces all there is."""

    full: bool
    version: int
    put: tuple[ListedToken, ...] = ()
    out: tuple[ListedToken, ...] = ()


def version_of(entries: Sequence[ListedToken]) -> int:
    """The version of a list: positive, of 31 bits, the same for the same content."""
    return STEPS_MAX + (zlib.crc32(msgspec.json.encode(entries)) & 0x3FFF_FFFF)


def batches(
    entries: Sequence[ListedToken], per_message: int, *, before: Sequence[ListedToken] = (), differences: bool = False
) -> list[Batch]:
    """What leads a station to ``entries``: by ``differences`` from ``before``, which it holds, else anew."""
    version, size = version_of(entries), max(1, per_message)
    old = {entry.token: entry for entry in before}
    new = {entry.token: entry for entry in entries}
    put = [entry for entry in entries if not differences or old.get(entry.token) != entry]
    out = [entry for entry in before if differences and entry.token not in new]
    changes = [*((True, entry) for entry in put), *((False, entry) for entry in out)]
    parts = [changes[start : start + size] for start in range(0, len(changes), size)] or [[]]
    if differences and version_of(before) > version - len(parts):
        return batches(entries, per_message)
    return [
        Batch(
            full=not differences and step == 0,
            version=version - len(parts) + 1 + step,
            put=tuple(entry for putting, entry in part if putting),
            out=tuple(entry for putting, entry in part if not putting),
        )
        for step, part in enumerate(parts[:STEPS_MAX])
    ]


def per_message(variables: Mapping[str, str], name: str) -> int:
    """How many entries a station takes at once, as it says under ``name``."""
    said = variables.get(name, "")
    return min(int(said), STEPS_MAX) if said.isdecimal() and len(said) < 6 and int(said) > 0 else PER_MESSAGE


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A station's list in its edition's words: ``give`` says why a message was not taken, empty when it was."""

    line: Line
    version: Callable[[], Awaitable[int]]
    give: Callable[[Batch], Awaitable[str]]
    per_message: int
    longest: int
    """Characters of a token; a longer one cannot be listed."""


async def keep(words: Words) -> list[str]:
    """At boot: make the station's list ours; what was wrong."""
    why = await _bring(words, anew=False)
    return [why] if why else []


async def send(words: Words, order: SendLocalList) -> Answer:
    """For a person: all of the list, or what has changed since the station was told last."""
    memory = words.line.memory
    if order.update == "differences" and memory.tokens_held is None:
        raise Refused("what the station holds is not known", remedy="Send all of it: update = full")
    why = await _bring(words, anew=order.update == "full")
    details = (("tokens", str(len(memory.tokens_held or ()))), ("version", str(await words.version())))
    return words.line.answer("Rejected" if why else "Accepted", why, details=details)


async def _bring(words: Words, *, anew: bool) -> str:
    """Bring the list in step; what was wrong, empty when it is in step."""
    line, memory = words.line, words.line.memory
    listed = line.directory.local_list(line.config.station_id, line.clock.now())
    entries = tuple(entry for entry in listed if len(entry.token) <= words.longest)
    at, held = await words.version(), memory.tokens_held
    if at == version_of(entries) and not anew:
        memory.tokens_held = entries
        return ""
    differences = not anew and held is not None and at == version_of(held)
    memory.tokens_held = None
    for batch in batches(entries, words.per_message, before=held or (), differences=differences):
        why = await words.give(batch)
        if why:
            return f"list of tokens at version {batch.version}: {why}"
    memory.tokens_held = entries
    return ""
