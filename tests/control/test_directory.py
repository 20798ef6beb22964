"""Who may connect: one answer for every way of being wrong."""

from __future__ import annotations

import pytest

from revere.app.summary import percentile
from revere.control.building import fallback_profiles
from revere.control.directory import Directory, new_station_secret, secret_mac
from revere.control.image import Image
from tests.control.scenes import fleet

KEY = b"k" * 32
SECRET = "a" * 40


def directory() -> Directory:
    of = fleet()
    profiles, _short = fallback_profiles(of)
    macs = {"cs1": secret_mac(KEY, "cs1", SECRET), "gone": secret_mac(KEY, "gone", SECRET)}
    return Directory(of, KEY, macs, profiles, Image(of))


def test_the_right_secret_opens() -> None:
    config = directory().authenticate("cs1", SECRET)
    assert config is not None
    assert (config.station_id, config.site_id, config.discharge_kw) == ("cs1", "school", 60.0)


@pytest.mark.parametrize(
    ("station_id", "password"),
    [
        ("cs1", ""),
        ("cs1", "wrong"),
        ("cs1", SECRET[:-1]),
        ("cs1", SECRET + "a"),
        ("cs1", "a" * 1_000_000),
        ("cs1", "\0"),
        ("cs1", "\ud800"),  # a lone surrogate is a wrong password, not an accident
        ("\ud800", SECRET),
        ("nobody", SECRET),
        ("", ""),
        ("gone", SECRET),  # a secret is kept, the station is not registered any more
        ("CS1", SECRET),
    ],
)
def test_every_way_of_being_wrong_gets_the_same_answer_and_is_counted(station_id: str, password: str) -> None:
    door = directory()
    assert door.authenticate(station_id, password) is None
    assert door.refused == 1


def test_secrets_are_160_bits_and_bound_to_their_station() -> None:
    first, second = new_station_secret(), new_station_secret()
    assert first != second
    assert len(bytes.fromhex(first)) == 20
    assert secret_mac(KEY, "cs1", SECRET) != secret_mac(KEY, "cs2", SECRET)
    assert secret_mac(KEY, "cs1", "x") != secret_mac(b"other" * 8, "cs1", "x")


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [
        (0, 0.99, None),
        (1, 0.99, 1),
        (100, 0.99, 99),
        (100, 0.5, 50),
        (101, 0.99, 100),
        (1000, 0.99, 990),
        (10, 1.0, 10),
    ],
)
def test_percentile_is_the_nearest_rank(count: int, share: float, expected: float | None) -> None:
    assert percentile([float(n) for n in range(count, 0, -1)], share) == expected
