"""Retail tariffs: energy price by local window, demand charge, export credit."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

import msgspec

MIDNIGHT = dt.time(0, 0)


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price in force on some days in ``[start, end)`` local time; an end of 00:00 is midnight."""

    days: Literal["weekday", "weekend", "daily"]
    start: dt.time
    end: dt.time
    price_usd_per_kwh: Decimal

    def covers(self, ts_local: dt.datetime, holiday: bool) -> bool:
        """Whether the local moment lies in the window; a holiday counts as a weekend."""
        weekday = ts_local.weekday() < 5 and not holiday
        if self.days == "weekday" and not weekday:
            return False
        if self.days == "weekend" and weekday:
            return False
        clock = ts_local.timetz().replace(tzinfo=None)
        return self.start <= clock and (self.end == MIDNIGHT or clock < self.end)


class Tariff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a site pays. ``export_credit_usd_per_kwh`` defaults to 0: none was found for V2G export."""

    id: str
    name: str
    source: str
    verified: bool
    base_usd_per_kwh: Decimal
    windows: tuple[Window, ...] = ()
    demand_usd_per_kw_month: Decimal = Decimal(0)
    export_credit_usd_per_kwh: Decimal = Decimal(0)

    def price_usd_per_kwh(self, ts_local: dt.datetime, holiday: bool = False) -> Decimal:
        """Energy price at a local moment: the first window that covers it, else the base price."""
        for window in self.windows:
            if window.covers(ts_local, holiday):
                return window.price_usd_per_kwh
        return self.base_usd_per_kwh
