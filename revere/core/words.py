"""Figures as people say them."""

from __future__ import annotations


def count(number: int, one: str, many: str = "") -> str:
    """``1 home``, ``30 homes``, ``1,200 buses`` (``many`` where it is not ``one`` with an s)."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
