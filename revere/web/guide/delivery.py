"""Chapters on what happened: the events, the power, the departures, the outages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core.time import local
from revere.core.words import count
from revere.web.guide.blocks import bullets, chapter, chart, heading, note, para, table
from revere.web.guide.charts import relief_chart, spare_chart
from revere.web.guide.groups import LABELS
from revere.web.guide.shapes import HOME_KW, HOMES_LEAST
from revere.web.guide.words import clock, day, kw, kwh, points, share_of, stamp

if TYPE_CHECKING:
    from revere.web.guide.blocks import Block
    from revere.web.guide.shapes import EventFigures, GuideFigures

CHARTED_EVENTS_MOST = 12
"""A season of up to 60 events gets one table; the first dozen get a chart each."""
_STATE_WORDS = {
    "over": "over",
    "running": "under way",
    "coming": "not begun",
    "cancelled": "cancelled",
    "withdrawn": "withdrawn",
}


def events_chapter(figures: GuideFigures) -> Block:
    """What utilities asked for, and what we answered."""
    if not figures.events:
        return chapter("The events", [para("No utility called in this time.")])
    zone = figures.programme.zone
    blocks = [
        para(
            "A utility calls its customers when the grid is strained. Here is each call, when it came, and what was "
            "promised before it began. The promise is the plan's weakest five minutes less ten per cent. A drill is "
            "our own exercise: it is measured, and no utility pays for it."
        ),
        table(
            "Events called",
            ("Event", "State", "Notice", "Answer", "Promised", "Mean given"),
            [
                (
                    f"{_drill(event)}{day(event.start, zone)}, {clock(event.start, zone)}–{clock(event.end, zone)}",
                    _STATE_WORDS[event.state],
                    f"{event.notice_h:.1f} h",
                    {"in": "took part", "out": "declined"}.get(event.opt, event.opt),
                    "none" if event.nominated_kw is None else kw(event.nominated_kw),
                    kw(event.performance_kw) if event.state in {"over", "withdrawn"} else "–",
                )
                for event in figures.events
            ],
        ),
    ]
    for event in figures.events[:CHARTED_EVENTS_MOST]:
        came = "by hand" if event.source == "by hand" else f"over {_protocol(event.source)}"
        promised = (
            f" The promise was recorded on {stamp(event.nominated_at, zone)}."
            if event.nominated_at is not None
            else " No promise was recorded."
        )
        blocks.append(
            para(
                f"The {'drill' if event.drill else 'call'} for {day(event.start, zone)} came {came} on "
                f"{stamp(event.called_at, zone)} and reached {count(event.sites, 'enrolled site')} with "
                f"{count(event.meters, 'station')}, which can give up to {kw(event.discharge_kw)} by nameplate."
                f"{promised}{_withdrawal(event, zone)}"
            )
        )
    return chapter("The events", blocks)


def _drill(event: EventFigures) -> str:
    return "Drill: " if event.drill else ""


def _withdrawal(event: EventFigures, zone: str) -> str:
    """What became of a call that was taken back: it is not paid, whatever was given."""
    if event.withdrawn_at is None:
        return ""
    said = f" It was withdrawn on {stamp(event.withdrawn_at, zone)} ({event.why})"
    if event.performance_kw is None:
        return f"{said}; nothing had been given for it."
    return f"{said}; what had been given until then, {kw(event.performance_kw)} on average, is not paid."


def _protocol(source: str) -> str:
    return {"openadr3": "OpenADR 3"}.get(source, source)


def delivered_chapter(figures: GuideFigures) -> Block:
    """Power in each event that is over, by five minutes, from registers."""
    over = [event for event in figures.events if event.state == "over"]
    if not over:
        return chapter("What was delivered", [para("No event is over yet, so nothing was measured.")])
    blocks = [
        para(
            "Power is not read from a dial but worked out from the energy registers of each station's meter: what it "
            "counted out less what it counted in over five minutes. Charging in an event therefore counts against us."
        )
    ]
    for event in over[:CHARTED_EVENTS_MOST]:
        blocks += _delivered(event, figures.programme.zone)
    if len(over) > CHARTED_EVENTS_MOST:
        blocks.append(para(f"{len(over) - CHARTED_EVENTS_MOST} later events are in the table of events alone."))
    return chapter("What was delivered", blocks)


def _delivered(event: EventFigures, zone: str) -> list[Block]:
    title = heading(f"{_drill(event)}{day(event.start, zone)}, {clock(event.start, zone)} to {clock(event.end, zone)}")
    if event.performance_kw is None:
        return [title, note("No meter has readings for this event, so nothing can be said about what was given.")]
    homes = event.homes_equivalent
    assert homes is not None  # a figure that was measured has one
    promise = "No promise was recorded."
    if event.nominated_kw is not None:
        verdict = "kept" if event.performance_kw >= event.nominated_kw else "not kept"
        promise = f"The promise was {kw(event.nominated_kw)}: {verdict}, by the mean."
    covered = share_of(event.covered_s, event.asked_s)
    blocks = [
        title,
        para(
            f"The fleet gave {kw(event.performance_kw)} on average over the whole event. {promise} Its weakest five "
            f"minutes were {kw(event.lowest_kw)}. At {HOME_KW} kW a home, the mean is about {count(homes, 'home')}."
        ),
        para(
            f"This rests on good readings for {covered} of the time of {count(event.meters, 'meter')}; stations gave "
            f"{kwh(event.export_wh)} and took {kwh(event.import_wh)} in it."
        ),
        relief_block(event, zone),
        _half_hours(event, zone),
    ]
    if event.groups:
        rows = [(g.label, f"{g.sites:,}", kw(g.performance_kw)) for g in event.groups]
        blocks.append(table("Mean power by group", ("Group", "Sites", "Mean given"), rows))
    return blocks


def relief_block(event: EventFigures, zone: str) -> Block:
    """The event's power by five minutes as a chart; the event must have been measured."""
    values = [item.relief_kw for item in event.intervals]
    labels = [clock(item.start, zone) if local(item.start, zone).minute % 30 == 0 else "" for item in event.intervals]
    missing = sum(value is None for value in values)
    promised = f" against a promise of {kw(event.nominated_kw)}" if event.nominated_kw is not None else ""
    known = [value for value in values if value is not None]
    alt = (
        f"Bars of the power given in each of {len(values)} intervals of five minutes{promised}: from "
        f"{min(known):,.0f} to {max(known):,.0f} kW, mean {event.performance_kw:,.0f} kW; "
        f"{missing} intervals not measured."
    )
    caption = "Power given to the grid by five minutes, from meter registers; dashed: the promise" + (
        "; hatched: not measured." if missing else "."
    )
    return chart(relief_chart(values, labels, nominated_kw=event.nominated_kw, alt=alt), caption)


def _half_hours(event: EventFigures, zone: str) -> Block:
    """The chart's figures for reading: mean, least and most of each half hour, and the meters behind them."""
    halves: dict[tuple[int, int, int], list[int]] = {}
    for number, item in enumerate(event.intervals):
        here = local(item.start, zone)
        halves.setdefault((here.day, here.hour, here.minute // 30), []).append(number)
    rows = []
    for numbers in halves.values():
        items = [event.intervals[number] for number in numbers]
        known = [item.relief_kw for item in items if item.relief_kw is not None]
        rows.append(
            (
                clock(items[0].start, zone),
                kw(sum(known) / len(known)) if known else kw(None),
                kw(min(known, default=None)),
                kw(max(known, default=None)),
                f"{sum(item.meters for item in items):,} of {sum(item.of_meters for item in items):,}",
            )
        )
    head = ("From", "Mean", "Least 5 min", "Most 5 min", "Meter intervals")
    return table("The same in figures, by half hour", head, rows)


def readiness_chapter(figures: GuideFigures) -> Block:
    """Departures against the roster."""
    ready = figures.readiness
    due = sum(group.departures for group in ready.groups)
    if not due:
        return chapter("Will the buses leave?", [para("No departure of the roster came due in this time.")])
    short = sum(group.short for group in ready.groups)
    unknown = sum(group.unknown for group in ready.groups)
    blocks = [
        para(
            "A vehicle is ready when its battery, at the moment it is unplugged, holds the energy of the trip, a "
            "quarter more, and the floor that is never touched. The roster says when; the station's last reading says "
            "how much. A vehicle that leaves late is judged at the roster's time."
        ),
        para(
            f"Of {count(due, 'departure')}, {sum(g.ready for g in ready.groups):,} were ready, {short:,} were short, "
            f"and {unknown:,} cannot be judged."
            + (f" People gave {count(ready.orders, 'order')} to be ready beside the roster." if ready.orders else "")
        ),
        table(
            "Departures by group",
            ("Group", "Due", "Ready", "Short", "Unknown", "Least to spare", "Median"),
            [
                (
                    g.label,
                    f"{g.departures:,}",
                    f"{g.ready:,}",
                    f"{g.short:,}",
                    f"{g.unknown:,}",
                    "–" if g.label == LABELS["home"] else points(g.least_spare),
                    points(g.median_spare),
                )
                for g in ready.groups
                if g.departures
            ],
        ),
    ]
    if ready.spare_bins:
        total = sum(number for _, number in ready.spare_bins)
        spelt = ", ".join(
            f"{number} at {round(low * 100)} to {round(low * 100) + 10} %" for low, number in ready.spare_bins
        )
        alt = f"Histogram of {total} school bus departures by battery above the need: {spelt}."
        blocks.append(
            chart(
                spare_chart(ready.spare_bins, alt=alt),
                f"School buses: battery above the need at {count(total, 'departure')}.",
            )
        )
    blocks += _readiness_details(figures)
    return chapter("Will the buses leave?", blocks)


def _readiness_details(figures: GuideFigures) -> list[Block]:
    ready = figures.readiness
    zone = figures.programme.zone
    blocks = []
    if ready.sites:
        rows = [
            (s.name, f"{s.departures:,}", f"{s.ready:,}", f"{s.short:,}", f"{s.unknown:,}", points(s.least_spare))
            for s in ready.sites
        ]
        head = ("Site", "Due", "Ready", "Short", "Unknown", "Least to spare")
        blocks.append(table("Schools and towns, in points of a full battery", head, rows))
    if ready.short:
        rows_short = [
            (s.site, s.vehicle, stamp(s.departs, zone), f"{s.needed_kwh:,.1f} kWh", f"{s.had_kwh:,.1f} kWh")
            for s in ready.short
        ]
        head_short = ("Site", "Vehicle", "Due", "Needed", "Had")
        blocks.append(table("Departures with less than was needed", head_short, rows_short, words=2))
    if ready.why_unknown:
        blocks.append(heading("Not judged"))
        blocks.append(bullets([f"{number:,}: {why}." for why, number in ready.why_unknown]))
    unseen = sum(group.unseen for group in ready.groups)
    if unseen:
        text = (
            f"{count(unseen, 'departure')} judged above stayed plugged in: the battery was ready, the vehicle stayed."
        )
        blocks.append(para(text))
    return blocks


def outage_chapter(figures: GuideFigures) -> Block:
    """What happened when the grid failed."""
    outages = figures.outages
    zone = figures.programme.zone
    blocks = [
        para(
            f"A vehicle may feed a building only after its transfer switch has reported that the building is cut off "
            f"from the grid. {outages.with_switch:,} of {outages.site_count:,} school and municipal sites have one."
        )
    ]
    if outages.sites:
        rows = [
            (
                o.site,
                stamp(o.lost, zone),
                "still out" if o.restored is None else f"{(o.restored - o.lost).total_seconds() / 60:,.0f} min",
                "not reported" if o.switch_open_s is None else f"after {o.switch_open_s:,.0f} s",
                kwh(o.given_wh, 1),
            )
            for o in outages.sites
        ]
        head = ("Site", "Grid lost", "For", "Switch open", "Given by vehicles")
        blocks.append(table("Losses of the grid at schools and towns", head, rows))
        blocks.append(para("Energy is that of the whole five minutes inside the outage: at least this much was given."))
    else:
        blocks.append(para("No school or municipal site reported a loss of the grid in this time."))
    if outages.homes_lost is not None:
        few = 0 < outages.homes_lost < HOMES_LEAST
        words = f"fewer than {HOMES_LEAST} losses" if few else f"{outages.homes_lost or 'no'} losses"
        blocks.append(para(f"Homes reported {words} of the grid."))
    return chapter("Buildings in an outage", blocks)
