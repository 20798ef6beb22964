"""Sharing a site's discharge: the sum is kept, chargers are left alone, the fuller gives more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.plan.even import even_discharge


def test_one_who_was_to_give_all_shares_with_the_others() -> None:
    got = even_discharge(
        np.array([-60.0, 0.0, 0.0, 20.0, -9.0]),
        np.array([0, 0, 0, 0, 1]),
        2,
        np.array([30.0, 60.0, 30.0, 90.0, 5.0]),
        np.array([60.0, 60.0, 60.0, 60.0, 10.0]),
    )
    assert got == pytest.approx([-15.0, -30.0, -15.0, 20.0, -9.0])


def test_unknown_energy_gives_nothing_and_no_plan_stays_no_plan() -> None:
    got = even_discharge(
        np.array([-10.0, -10.0, np.nan]), np.zeros(3, np.int64), 1, np.array([np.nan, 8.0, 9.0]), np.full(3, 15.0)
    )
    assert got[0] == 0.0
    assert got[1] == pytest.approx(-15.0)
    assert np.isnan(got[2])


@given(st.data())
def test_a_site_never_gives_more_than_it_was_asked(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 10))
    floats = st.floats(-60.0, 60.0)
    plan = np.array(data.draw(st.lists(floats, min_size=n, max_size=n)))
    site = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    spare = np.array(data.draw(st.lists(st.floats(0.0, 200.0), min_size=n, max_size=n)))
    power = np.array(data.draw(st.lists(st.floats(0.0, 60.0), min_size=n, max_size=n)))
    got = even_discharge(plan, site, 3, spare, power)
    assert (got >= -power - 1e-9).all() or (np.minimum(plan, 0) >= -power).all()
    for s in range(3):
        mine = site == s
        asked = np.maximum(-plan[mine], 0).sum()
        gives = np.maximum(-got[mine], 0).sum()
        room = power[mine & (plan <= 0) & (spare > 0)].sum()
        assert gives == pytest.approx(min(asked, room), rel=1e-6, abs=1e-3)
        assert (got[mine & (plan > 0)] == plan[mine & (plan > 0)]).all()
