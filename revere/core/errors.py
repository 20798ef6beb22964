"""Errors for the person who meets them: what is wrong, where, both values and the way out."""

from __future__ import annotations


class RevereError(Exception):
    """A fault of the world (input, device, network), never of our own code.

    ``what`` says what is wrong, ``where`` names the file and key or the device, ``got`` and
    ``expected`` hold both values, ``remedy`` is the way out. All are safe to show and to log.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        got: object = None,
        expected: object = None,
        remedy: str = "",
    ) -> None:
        self.what = what
        self.where = where
        self.got = got
        self.expected = expected
        self.remedy = remedy
        super().__init__(self.text())

    def text(self) -> str:
        """One line: ``where: what (got X, expected Y). Remedy.``"""
        parts = [f"{self.where}: " if self.where else "", self.what]
        if self.got is not None or self.expected is not None:
            got = "nothing" if self.got is None else str(self.got)
            expected = "" if self.expected is None else f", expected {self.expected}"
            parts.append(f" (got {got}{expected})")
        if self.remedy:
            parts.append(f". {self.remedy}")
        return "".join(parts)


class ScenarioError(RevereError):
    """A scenario or settings file that must not start anything."""


class Refused(RevereError):
    """A request that is understood and declined: a rule, a limit or a lock forbids it."""


class Unavailable(RevereError):
    """Something outside (database, station, utility) did not answer in time."""
