"""When a setpoint is told again and when it waits."""

from __future__ import annotations

import datetime as dt

import pytest

from revere.control.leases import LEASE_KEPT, must_wait, renew_after
from revere.core.commands import LIMIT_LEASE_S, OFFLINE_LEASE_S, lease_s

MINUTE = dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("protocol", "kw", "lease", "renewed"),
    [
        ("ocpp2.1", -10.0, OFFLINE_LEASE_S, LEASE_KEPT),
        ("ocpp2.1", 10.0, OFFLINE_LEASE_S, LEASE_KEPT),
        ("ocpp2.0.1", -10.0, OFFLINE_LEASE_S, 3 * MINUTE),
        ("ocpp2.0.1", 0.0, LIMIT_LEASE_S, 9 * MINUTE),
        ("ocpp1.6", 7.0, LIMIT_LEASE_S, 9 * MINUTE),
    ],
)
def test_leases(protocol: str, kw: float, lease: int, renewed: dt.timedelta) -> None:
    assert lease_s(protocol, kw) == lease <= 15 * 60
    assert renew_after(protocol, kw) == renewed


@pytest.mark.parametrize(
    ("protocol", "gives", "since_s", "told_kw", "kw", "waits"),
    [
        ("ocpp2.0.1", True, 30, 5.0, -5.0, True),
        ("ocpp2.0.1", True, 30, -5.0, -6.0, True),
        ("ocpp2.0.1", True, 30, -5.0, 0.0, False),
        ("ocpp2.0.1", True, 70, 5.0, -5.0, False),
        ("ocpp2.0.1", False, 30, 5.0, 6.0, True),
        ("ocpp2.1", True, 5, 5.0, -5.0, False),
        ("ocpp1.6", False, 5, 5.0, 7.0, False),
        ("ocpp1.6", True, 5, 5.0, -7.0, True),
    ],
)
def test_turns(protocol: str, gives: bool, since_s: float, told_kw: float, kw: float, waits: bool) -> None:
    assert must_wait(protocol, dt.timedelta(seconds=since_s), told_kw, kw, gives=gives) is waits
