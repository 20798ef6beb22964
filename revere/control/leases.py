"""When a setpoint must be told again, and when it must wait: some stations take leases, and few of them.

::

    2.1         told when it changes; kept while the line lives
    2.0.1, 1.6  told again before it lapses; what may discharge, and all of 2.0.1, at most once a minute (its memory
                wears), but the end of a discharge is told at once
"""

from __future__ import annotations

import datetime as dt

from revere.core.commands import LEASED_PROTOCOLS, lease_s

LEASE_KEPT = dt.timedelta(hours=6)
"""OCPP 2.1 profiles lapse only when the link is lost (maxOfflineDuration)."""
RENEWED_AT = 0.6
"""The share of a lease after which it is told again: a refused renewal leaves time for others."""
PACE = dt.timedelta(seconds=65)
"""Beyond the minute that a station counts, and what the link adds for the way."""
PACED_PROTOCOLS = frozenset({"ocpp2.0.1"})


def renew_after(protocol: str, setpoint_kw: float) -> dt.timedelta:
    """How long after it was told an unchanged setpoint is told again."""
    if protocol not in LEASED_PROTOCOLS:
        return LEASE_KEPT
    return RENEWED_AT * dt.timedelta(seconds=lease_s(protocol, setpoint_kw))


def must_wait(protocol: str, since_told: dt.timedelta, told_kw: float, setpoint_kw: float, *, gives: bool) -> bool:
    """Whether a setpoint has to wait for its turn at a station that ``gives`` or not; the end of giving never has."""
    paced = protocol in PACED_PROTOCOLS or (gives and protocol in LEASED_PROTOCOLS)
    if not paced or told_kw < 0 <= setpoint_kw:
        return False
    return since_told < PACE
