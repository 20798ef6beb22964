"""A station's own list of tokens: taken from the central system by strict rules, used while it is offline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

ENTRIES_MAX: Final = 500
PER_MESSAGE: Final = 20


class TokenList:
    """Tokens with the status word that they were given. Version 0 is no list at all."""

    def __init__(self) -> None:
        self.version = 0
        self.held: dict[str, str] = {}

    def take(self, version: int, entries: Iterable[tuple[str, str | None]], *, full: bool) -> str:
        """Take a message, (token, status; None takes it out); the status word of the answer. All of it, or nothing."""
        given = [(token.casefold(), status) for token, status in entries]
        if version <= 0 or len(given) > PER_MESSAGE or len({token for token, _ in given}) < len(given):
            return "Failed"
        if not full and version <= self.version:
            return "VersionMismatch"
        held = {} if full else dict(self.held)
        for token, status in given:
            if status is not None:
                held[token] = status
            elif full:
                return "Failed"
            else:
                held.pop(token, None)
        if len(held) > ENTRIES_MAX:
            return "Failed"
        self.version, self.held = version, held
        return "Accepted"

    def lets_charge(self, token: str) -> bool:
        """Whether a vehicle may charge while nobody can be asked. Without a list anybody may: it is heard later."""
        return self.version == 0 or self.held.get(token.casefold()) == "Accepted"
