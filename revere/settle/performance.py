"""Performance of a grid event from cumulative registers, in exact arithmetic.

::

    register   r0      r1      r2      --      r4     r5 < r4      r6
    edge       |-------|-------|-------|-------|-------|-----------|
    interval     good    good    gap     gap     quarantined  claimed

What a rule pays is the mean over good intervals; a gap stays a gap (its time is stated as not covered, never filled
with 0), what a meter cannot have done is quarantined with a reason, and what counts for another call is left to it.
Relief to the grid is positive: performance is baseline minus actual.
"""

from __future__ import annotations

import bisect
import datetime as dt
import itertools
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import msgspec

from revere.core.errors import Refused, RevereError
from revere.core.facts import Place
from revere.core.ids import GridEventId, SiteId
from revere.core.time import floor_to, iso
from revere.settle.baseline import BASELINES, none_wh

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from revere.core.assets import Station
    from revere.settle.baseline import Computed

INTERVAL_S = 300
EVENT_MAX_S = 24 * 3600
EDGE_TOLERANCE = dt.timedelta(seconds=2)
"""A clock-aligned value stamped this near to an interval's edge is the value at the edge (2 s of 3 h is 0.02 %)."""
RATING_MARGIN = Fraction(11, 10)
"""A good meter at full power stays below rating × time × this; above it the reading is not believed."""
REGISTER_STEP_WH = 100
"""Coarsest step of a register in the field: one step more than the rating allows is rounding, not a fault."""
SHOWN_KW = Decimal("0.000001")

Quality = Literal["good", "gap", "quarantined", "claimed"]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Time ``[start, end)`` of a site whose energy counts for another call; ``by`` says for which."""

    start: dt.datetime
    end: dt.datetime
    by: str


class RegisterReading(msgspec.Struct, frozen=True, kw_only=True):
    """Both registers of an asset at one moment, each as stored under its own revision. Missing is None, never 0."""

    asset_id: str
    ts: dt.datetime
    import_wh: int | None
    export_wh: int | None
    import_rev: int | None = 0
    export_rev: int | None = 0
    place: Place = "ac_inlet"
    quarantined: str = ""

    def age(self) -> tuple[int, int]:
        """Order of the revisions of one moment: a later pair has no lower revision in either register."""
        return (
            -1 if self.import_rev is None else self.import_rev,
            -1 if self.export_rev is None else self.export_rev,
        )


class MeteredAsset(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured, and the AC watts that it cannot pass in each direction (magnitudes)."""

    asset_id: str
    import_rating_w: int
    export_rating_w: int

    @classmethod
    def of_station(cls, station: Station, evse_id: int = 1) -> MeteredAsset:
        """The asset of a station's EVSE, with the nameplate as rating."""
        return cls(
            asset_id=f"{station.id}/{evse_id}",
            import_rating_w=round(station.charge_kw * 1000),
            export_rating_w=round(station.discharge_kw * 1000),
        )


class IntervalEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one asset's meter shows of ``[start, end)``: energy each way in Wh.

    ``rev_start`` and ``rev_end`` are the (import, export) revisions of the readings at its edges. A quantity is None
    where a reading is missing or the interval counts elsewhere; ``reason`` says why an interval is not good.
    """

    asset_id: str
    start: dt.datetime
    end: dt.datetime
    import_wh: int | None
    export_wh: int | None
    rev_start: tuple[int | None, int | None] | None
    rev_end: tuple[int | None, int | None] | None
    quality: Quality
    reason: str = ""

    @property
    def length_s(self) -> int:
        """Seconds of the interval."""
        return int((self.end - self.start).total_seconds())


class AssetPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """One asset's good intervals of an event added up."""

    asset_id: str
    import_wh: int
    export_wh: int
    baseline_wh: int
    covered_s: int

    def relief_wh(self) -> int:
        """Energy by which the grid was relieved in good intervals."""
        return self.baseline_wh - (self.import_wh - self.export_wh)

    def mean_kw(self) -> Fraction | None:
        """Mean relief over the covered time in kW, exact; None where nothing is covered."""
        return Fraction(self.relief_wh() * 3600, 1000 * self.covered_s) if self.covered_s else None


class EventPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """What a site gave in a grid event, and how much of the event that rests on.

    ``mean_kw`` is for reading (six places); money is made from :meth:`exact_kw`. ``covered_s`` counts asset
    seconds in good intervals of the ``asked_s`` there were.
    """

    site_id: SiteId
    grid_event_id: GridEventId
    start: dt.datetime
    end: dt.datetime
    mean_kw: Decimal | None
    assets: tuple[AssetPerformance, ...]
    intervals: tuple[IntervalEvidence, ...]
    readings: tuple[RegisterReading, ...]
    covered_s: int
    asked_s: int

    def exact_kw(self) -> Fraction | None:
        """What a rule pays: sum of the assets' means over their covered time in kW, relief positive.

        None where no asset was measured at all.
        """
        means = [mean for asset in self.assets if (mean := asset.mean_kw()) is not None]
        return sum(means, Fraction(0)) if means else None

    def delivered_kw(self) -> Fraction:
        """What the registers prove: measured relief over the event's whole length in kW, relief positive.

        Nothing is made up for time that was not measured: it adds nothing here and is stated by ``unmeasured_s``.
        """
        length_s = int((self.end - self.start).total_seconds())
        return Fraction(sum(asset.relief_wh() for asset in self.assets) * 3600, 1000 * length_s)

    def unmeasured_s(self) -> int:
        """Asset seconds without a good interval (those that count for another call left out)."""
        return self.asked_s - self.covered_s - self.claimed_s()

    def claimed_s(self) -> int:
        """Asset seconds that count for another call."""
        return sum(item.length_s for item in self.intervals if item.quality == "claimed")

    def coverage(self) -> Fraction:
        """Part of the event's asset time in good intervals, 0 to 1."""
        return Fraction(self.covered_s, self.asked_s) if self.asked_s else Fraction(0)

    def import_wh(self) -> int:
        """Energy taken in good intervals."""
        return sum(asset.import_wh for asset in self.assets)

    def export_wh(self) -> int:
        """Energy given in good intervals."""
        return sum(asset.export_wh for asset in self.assets)

    def faults(self) -> list[str]:
        """Intervals that do not count, in words, one a line."""
        return [
            f"{item.asset_id} {iso(item.start)} to {iso(item.end)}: {item.quality}, {item.reason}"
            for item in self.intervals
            if item.quality != "good"
        ]


def interval_edges(start: dt.datetime, end: dt.datetime, interval_s: int = INTERVAL_S) -> list[dt.datetime]:
    """Moments at which registers are wanted: the event's own edges and every aligned one between.

    Raises ``RevereError`` for naive times, an end before the start, or an event over ``EVENT_MAX_S``.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise RevereError("an event needs times with a zone", got=f"{start} to {end}", remedy="Give UTC times")
    if not dt.timedelta(0) < end - start <= dt.timedelta(seconds=EVENT_MAX_S):
        raise RevereError(
            "an event's length is impossible",
            got=f"{iso(start)} to {iso(end)}",
            expected=f"an end after the start, at most {EVENT_MAX_S} s",
        )
    edges = [start]
    step = dt.timedelta(seconds=interval_s)
    edge = floor_to(start, interval_s) + step
    while edge < end:
        edges.append(edge)
        edge += step
    return [*edges, end]


class ReadingIndex:
    """Readings of the place that a rule names, by asset and moment, the highest revision of each.

    Copies and the order of arrival do not matter. A season is indexed once.
    """

    def __init__(self, readings: Iterable[RegisterReading], place: Place = "ac_inlet") -> None:
        latest: dict[str, dict[dt.datetime, RegisterReading]] = {}
        for reading in readings:
            if reading.place != place:
                continue
            of_asset = latest.setdefault(reading.asset_id, {})
            held = of_asset.get(reading.ts)
            if held is None or reading.age() > held.age():
                of_asset[reading.ts] = reading
        self._latest = latest
        self._moments = {asset_id: sorted(of_asset) for asset_id, of_asset in latest.items()}

    def at(self, asset_id: str, edge: dt.datetime) -> RegisterReading | None:
        """The asset's reading at ``edge``, or the nearest within ``EDGE_TOLERANCE_S`` (the earlier of two as near)."""
        of_asset = self._latest.get(asset_id)
        if of_asset is None:
            return None
        exact = of_asset.get(edge)
        if exact is not None:
            return exact
        moments = self._moments[asset_id]
        place = bisect.bisect_left(moments, edge)
        nearest = min(moments[max(place - 1, 0) : place + 1], key=lambda ts: abs(ts - edge))
        return of_asset[nearest] if abs(nearest - edge) <= EDGE_TOLERANCE else None


def interval_evidence(
    asset: MeteredAsset, edges: Sequence[dt.datetime], readings: ReadingIndex, claims: Sequence[Claim] = ()
) -> list[IntervalEvidence]:
    """An asset's intervals between ``edges``: good, a gap, quarantined, or claimed even in part by another call."""
    return [
        _claimed(asset, start, end, claim)
        if (claim := _claim_on(start, end, claims))
        else _interval(asset, start, end, readings.at(asset.asset_id, start), readings.at(asset.asset_id, end))
        for start, end in itertools.pairwise(edges)
    ]


def _claim_on(start: dt.datetime, end: dt.datetime, claims: Sequence[Claim]) -> Claim | None:
    """The first claim on any part of ``[start, end)``."""
    return next((claim for claim in claims if claim.start < end and start < claim.end), None)


def _claimed(asset: MeteredAsset, start: dt.datetime, end: dt.datetime, claim: Claim) -> IntervalEvidence:
    """An interval whose energy is left to another call."""
    return IntervalEvidence(
        asset_id=asset.asset_id,
        start=start,
        end=end,
        import_wh=None,
        export_wh=None,
        rev_start=None,
        rev_end=None,
        quality="claimed",
        reason=f"counts for {claim.by}",
    )


def _interval(
    asset: MeteredAsset,
    start: dt.datetime,
    end: dt.datetime,
    first: RegisterReading | None,
    last: RegisterReading | None,
) -> IntervalEvidence:
    """Judge one interval from the readings at its edges."""
    import_wh = _step_wh(first.import_wh if first else None, last.import_wh if last else None)
    export_wh = _step_wh(first.export_wh if first else None, last.export_wh if last else None)
    quality: Quality = "good"
    reason = ""
    if first is None or last is None:
        missing = [iso(ts) for ts, reading in ((start, first), (end, last)) if reading is None]
        quality, reason = "gap", f"no reading at {' and '.join(missing)}"
    elif first.quarantined or last.quarantined:
        quality, reason = "quarantined", first.quarantined or last.quarantined
    elif import_wh is None or export_wh is None:
        absent = "import" if import_wh is None else "export"
        quality, reason = "gap", f"the {absent} register is missing in a reading"
    else:
        reason = _impossible(asset, import_wh, export_wh, int((end - start).total_seconds()))
        quality = "quarantined" if reason else "good"
    return IntervalEvidence(
        asset_id=asset.asset_id,
        start=start,
        end=end,
        import_wh=import_wh,
        export_wh=export_wh,
        rev_start=(first.import_rev, first.export_rev) if first else None,
        rev_end=(last.import_rev, last.export_rev) if last else None,
        quality=quality,
        reason=reason,
    )


def _step_wh(first_wh: int | None, last_wh: int | None) -> int | None:
    """Difference of two register values, None where one is missing."""
    return None if first_wh is None or last_wh is None else last_wh - first_wh


def _impossible(asset: MeteredAsset, import_wh: int, export_wh: int, length_s: int) -> str:
    """Why a meter cannot have counted this in ``length_s``, or nothing."""
    for name, step_wh, rating_w in (
        ("import", import_wh, asset.import_rating_w),
        ("export", export_wh, asset.export_rating_w),
    ):
        if step_wh < 0:
            return f"the {name} register went back by {-step_wh} Wh: reset, rollover or exchange; check the meter"
        most_wh = rating_w * RATING_MARGIN * length_s / 3600 + REGISTER_STEP_WH
        if step_wh > most_wh:
            return (
                f"the {name} register rose by {step_wh} Wh, the rating allows {int(most_wh)} Wh; check meter and rating"
            )
    return ""


def performance_kw(interval: IntervalEvidence, baseline: Computed = none_wh) -> Fraction | None:
    """Mean relief of one good interval in kW, relief positive: baseline − (Δimport − Δexport) over Δt; else None."""
    if interval.quality != "good" or interval.import_wh is None or interval.export_wh is None:
        return None
    baseline_wh = baseline(interval.asset_id, interval.start, interval.end)
    relief_wh = baseline_wh - (interval.import_wh - interval.export_wh)
    return Fraction(relief_wh * 3600, 1000 * interval.length_s)


def _add_up(asset: MeteredAsset, intervals: Sequence[IntervalEvidence], baseline: Computed) -> AssetPerformance:
    """An asset's good intervals as one."""
    good = [item for item in intervals if item.quality == "good"]
    return AssetPerformance(
        asset_id=asset.asset_id,
        import_wh=sum(item.import_wh or 0 for item in good),
        export_wh=sum(item.export_wh or 0 for item in good),
        baseline_wh=sum(baseline(item.asset_id, item.start, item.end) for item in good),
        covered_s=sum(item.length_s for item in good),
    )


def measure_event(
    *,
    site_id: SiteId,
    grid_event_id: GridEventId,
    start: dt.datetime,
    end: dt.datetime,
    assets: Sequence[MeteredAsset],
    readings: ReadingIndex,
    baseline: str = "none",
    claims: Sequence[Claim] = (),
) -> EventPerformance:
    """What a site's assets gave over a grid event, from register readings at its five-minute edges.

    What ``claims`` name counts for another call: neither its energy nor its readings come into the result.
    """
    edges = interval_edges(start, end)
    ordered = sorted(assets, key=lambda asset: asset.asset_id)
    by_asset = [interval_evidence(asset, edges, readings, claims) for asset in ordered]
    sums = tuple(_add_up(asset, items, BASELINES[baseline]) for asset, items in zip(ordered, by_asset, strict=True))
    own = [pair for pair in itertools.pairwise(edges) if not _claim_on(*pair, claims)]
    wanted = sorted({edge for pair in own for edge in pair})
    found = (readings.at(asset.asset_id, edge) for asset in ordered for edge in wanted)
    used = tuple(reading for reading in found if reading is not None)
    performance = EventPerformance(
        site_id=site_id,
        grid_event_id=grid_event_id,
        start=start,
        end=end,
        mean_kw=None,
        assets=sums,
        intervals=tuple(item for items in by_asset for item in items),
        readings=used,
        covered_s=sum(asset.covered_s for asset in sums),
        asked_s=int((end - start).total_seconds()) * len(ordered),
    )
    exact_kw = performance.exact_kw()
    return performance if exact_kw is None else msgspec.structs.replace(performance, mean_kw=shown_kw(exact_kw))


def outside_outages(
    readings: Iterable[RegisterReading], outages: Sequence[tuple[dt.datetime, dt.datetime | None]]
) -> list[RegisterReading]:
    """A site's readings with those of a dead grid set aside: what an island's vehicles give is no relief to the grid.

    ``outages`` are ``(lost, restored)``, None for one that goes on. A value stamped within ``EDGE_TOLERANCE`` of either
    is the grid's: the clocks of meter and switch differ by as much.
    """
    dead = [(lost + EDGE_TOLERANCE, None if back is None else back - EDGE_TOLERANCE) for lost, back in outages]
    return [
        msgspec.structs.replace(reading, quarantined="outage")
        if any(lost < reading.ts and (back is None or reading.ts < back) for lost, back in dead)
        else reading
        for reading in readings
    ]


def require_synchronised(clock_synchronised: bool) -> None:
    """Refuse to settle while our own clock is not known to be right."""
    if not clock_synchronised:
        raise Refused(
            "nothing settles while our own clock is unsynchronised",
            got="unsynchronised",
            expected="synchronised",
            remedy="Bring the machine's time service back; settlement then continues from the stored readings",
        )


def fleet_performance_kw(performances: Iterable[EventPerformance]) -> Fraction:
    """Relief that the registers prove over an event, kW, positive; what was not measured adds nothing."""
    return sum((item.delivered_kw() for item in performances), Fraction(0))


def shown_kw(exact_kw: Fraction) -> Decimal:
    """A power for reading: six places, half to even."""
    micro_kw = round(exact_kw * 1_000_000)
    return Decimal(micro_kw).scaleb(-6).quantize(SHOWN_KW)
