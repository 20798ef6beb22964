"""Even shares within a site: who gives how much of what the schedule asks of the site.

Vehicles at one site are often alike, and then the schedule's optimum is one of many: from one plan to the next it
may let another of them give everything. Sharing by what each can spare costs nothing, lasts longest and stands still.
"""

from __future__ import annotations

import numpy as np

from revere.plan.fill import fill
from revere.plan.problem import Floats, Ints


def even_discharge(plan_kw: Floats, site: Ints, sites: int, spare_kwh: Floats, discharge_max_kw: Floats) -> Floats:
    """``plan_kw`` with each site's planned discharge shared over its vehicles by ``spare_kwh`` (>= 0, nan: none).

    Charging stays as planned, and a vehicle that is to charge gives nothing. The site's sum is kept as far as its
    vehicles' power allows. NaN (no plan) stays NaN.
    """
    planned = np.where(np.isfinite(plan_kw), plan_kw, 0.0)
    asked: Floats = np.bincount(site, np.maximum(-planned, 0.0), sites).astype(np.float64)
    spare = np.where(np.isfinite(spare_kwh), np.maximum(spare_kwh, 0.0), 0.0)
    able = np.isfinite(plan_kw) & (planned <= 0) & (spare > 0)
    want = np.where(able, discharge_max_kw, 0.0)
    given = fill(want, np.maximum(spare, 1e-9), site, asked)
    shared: Floats = np.where(able | (planned < 0), -given, plan_kw)
    return np.where(np.isfinite(plan_kw), shared, np.nan)
