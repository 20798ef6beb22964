"""Water-filling: nothing is lost, nothing overfilled, and nobody waits while another takes more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.plan.fill import fill


@pytest.mark.parametrize(
    ("want", "weight", "room", "expected"),
    [
        ([60.0] * 4, [2.0, 2.0, 1.0, 1.0], 120.0, [40.0, 40.0, 20.0, 20.0]),
        ([10.0, 60.0, 60.0], [1.0, 1.0, 1.0], 100.0, [10.0, 45.0, 45.0]),
        ([10.0, 20.0, 60.0], [1.0, 1.0, 1.0], 15.0, [5.0, 5.0, 5.0]),
        ([10.0, 20.0], [1.0, 1.0], 50.0, [10.0, 20.0]),
        ([10.0, 20.0], [1.0, 1.0], 0.0, [0.0, 0.0]),
    ],
)
def test_shares_by_hand(want: list[float], weight: list[float], room: float, expected: list[float]) -> None:
    got = fill(np.array(want), np.array(weight), np.zeros(len(want), np.int64), np.array([room]))
    assert got == pytest.approx(expected, rel=1e-9)


@given(st.data())
def test_all_of_the_room_is_used_and_the_water_stands_level(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    number = st.floats(0.0, 100.0, allow_nan=False)
    want = np.array(data.draw(st.lists(number, min_size=n, max_size=n)))
    weight = np.array(data.draw(st.lists(st.floats(0.01, 50.0), min_size=n, max_size=n)))
    group = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    room = np.array(data.draw(st.lists(number, min_size=3, max_size=3)))
    share = fill(want, weight, group, room)
    assert (share >= 0).all()
    assert (share <= want).all()
    for g in range(3):
        mine = group == g
        assert share[mine].sum() == pytest.approx(min(want[mine].sum(), room[g]), rel=1e-6, abs=1e-6)
        thirsty = mine & (share < want - 1e-6)
        if thirsty.any():
            level = (share / weight)[thirsty]
            assert level.max() - level.min() <= 1e-6 * max(1.0, level.max())
            assert ((share / weight)[mine] <= level.max() * (1 + 1e-6) + 1e-6).all()
