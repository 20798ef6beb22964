"""Chapters on money, equity, quality, barriers, and on what all of it rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revere.core.words import count
from revere.web.guide.blocks import bullets, chapter, chart, heading, note, para, table
from revere.web.guide.charts import share_chart
from revere.web.guide.groups import LABELS, SIMPLIFIED_MOST_KW
from revere.web.guide.shapes import HOME_KW, HOMES_LEAST
from revere.web.guide.words import ABSENT, day, hours, kwh, percent, share_of, stamp, usd, usd_round

if TYPE_CHECKING:
    from revere.web.guide.blocks import Block
    from revere.web.guide.shapes import Commands, EventFigures, GuideFigures

_STATUS_WORDS = {"yes": "yes", "no": "no", "unknown": "not known"}
_CONNECTORS = {"cCCS1": "CCS 1", "cCCS2": "CCS 2", "cCHAdeMO": "CHAdeMO", "cType1": "Type 1", "cType2": "Type 2"}
_CRITERIA = {"I": "income", "M": "minority", "E": "limited English"}


def money_chapter(figures: GuideFigures) -> Block:
    """Grants, and energy payments by whose figure they are."""
    money = figures.money
    blocks = [
        heading("Grants"),
        table(
            "Grants by group",
            ("Group", "Participants", "with a grant", "Grants"),
            [(g.label, f"{g.participants:,}", f"{g.granted:,}", usd_round(g.grants_cents)) for g in money.grants]
            + [("All", "", "", usd_round(money.grants_cents))],
        ),
        heading("Payments for events"),
        para(
            "Three parties put a figure on a payment. Expected is ours, from the meters and the published rule. "
            "Confirmed is the utility's. Paid is the remittance. They are never added up or shown for one another."
        ),
        table(
            "Participants' payments over all events",
            ("Expected", "Confirmed", "Paid"),
            [(usd(money.expected_cents), usd(money.confirmed_cents), usd(money.paid_cents))],
            words=0,
        ),
    ]
    calls = [event for event in figures.events if event.state == "over" and not event.drill]
    blocks += _event_money(calls, figures.programme.zone)
    blocks.append(
        para(
            "Not in this guide: electricity bills, the cost of equipment beyond grants, and the wear of batteries. "
            "Nothing that was bought for them is recorded here."
        )
    )
    only_ours = money.confirmed_cents is None and money.paid_cents is None
    return chapter("Money: expected, not yet confirmed" if only_ours else "Money: whose figure is which", blocks)


def _event_money(over: list[EventFigures], zone: str) -> list[Block]:
    """Each event's payments by group, what such an amount means, and the rules behind them."""
    rows = [
        (
            day(event.start, zone),
            p.label,
            f"{p.sites:,}",
            usd(p.expected_cents),
            usd(p.confirmed_cents),
            usd(p.paid_cents),
        )
        for event in over
        for p in event.payments
    ]
    if not rows:
        return [para("No event is over yet, so nothing is expected.")]
    rules = {rule.key: rule for event in over for rule in event.rules}
    return [
        table("By event and group", ("Event", "Group", "Sites", "Expected", "Confirmed", "Paid"), rows, words=2),
        note(
            "A season pays the mean over all of its events, once, after it ends. An amount here is what an event "
            "changed in the season's expected payment so far: with one event it is what the season would pay if no "
            "other were called, and each further event moves it."
        ),
        *(
            para(
                f"Rule {rule.key} ({rule.programme}): {rule.rate_usd_per_kw} $ a kW of the season's mean; "
                + ("confirmed at its source." if rule.verified else "not verified.")
            )
            for rule in rules.values()
        ),
    ]


def equity_chapter(figures: GuideFigures) -> Block:
    """How much reaches environmental-justice communities."""
    equity = figures.equity
    if equity is None or equity.share is None:
        text = "No census data or no grants were given to this guide, so the share cannot be told."
        return chapter("Equity", [para(text)])
    parts = [
        ("environmental justice", equity.ej_cents / equity.total_cents, "blue"),
        ("elsewhere", equity.not_ej_cents / equity.total_cents, "pale"),
        ("not known", equity.unknown_cents / equity.total_cents, "hatch"),
    ]
    told = ", ".join(f"{label} {percent(share)}" for label, share, _ in parts)
    drawn = share_chart(
        parts, mark=1 / 3, mark_words="one third", alt=f"Shares of all grants: {told}; mark at one third."
    )
    verdict = "more than" if equity.more_than_one_third else "not more than"
    rows = [
        (row.name, _STATUS_WORDS[row.status], _letters(row.criteria), usd_round(row.grant_cents)) for row in equity.rows
    ]
    return chapter(
        "Equity",
        [
            para(
                f"{percent(equity.share)} of {usd_round(equity.total_cents)} in grants goes to participants in "
                f"environmental-justice communities: {verdict} one third. {equity.unknown:,} of "
                f"{count(equity.participants, 'participant')} have no known status "
                f"({usd_round(equity.unknown_cents)}); their money counts as elsewhere."
            ),
            chart(drawn, "Grants by the status of the participant's census block group."),
            table("Schools and towns", ("Participant", "Community", "By", "Grant"), rows, words=3),
            para(equity.homes_text),
            para(
                "A census block group counts when any one of these holds: household income at most 65 % of the "
                "state's; minorities at least 40 % of the people; at least a quarter of households with limited "
                "English; or minorities at least 25 % where the town's income is at most 150 % of the state's. The "
                "status is worked out here from those inputs, never read from a flag. A school or town counts by the "
                f"block group that it stands in; {count(equity.block_groups, 'block group')} are on record."
            ),
        ],
    )


def _letters(criteria: str) -> str:
    return ", ".join(_CRITERIA[letter] for letter in criteria) or "–"


def quality_chapter(figures: GuideFigures) -> Block:
    """Availability, commands, completeness, efficiency, clocks, alarms."""
    q = figures.quality
    span_s = (figures.end - figures.start).total_seconds()
    blocks = [
        para(f"Watched for {hours(span_s)}, from the first fact in the journal to the end of the period."),
        table(
            "Stations connected to the control system",
            ("Group", "Stations", "Never seen", "Connected", "of", "Share", "Least station", "Drops"),
            [
                (
                    a.label,
                    f"{a.stations:,}",
                    f"{a.never:,}",
                    hours(a.connected_s),
                    hours(a.asked_s),
                    share_of(a.connected_s, a.asked_s, 2),
                    "–" if a.label == LABELS["home"] else percent(a.least),
                    f"{a.drops:,}",
                )
                for a in q.availability
            ],
        ),
        _commands(q.commands),
        para("A command is confirmed when the meter shows it, not when the station says yes."),
        table(
            "Five-minute register values, and the energy that they count",
            ("Group", "Due", "Present", "Share", "Charged", "Given back"),
            [
                (
                    d.label,
                    f"{d.expected:,}",
                    f"{d.present:,}",
                    share_of(d.present, d.expected, 2),
                    kwh(d.import_wh),
                    kwh(d.export_wh),
                )
                for d in q.data
            ],
        ),
        para(
            f"{count(q.quarantined, 'value')} set aside as unfit for settlement; registers went back "
            f"{count(q.register_steps_back, 'time')}. {_clocks(figures)}"
        ),
        heading("Round trip"),
        _round_trip(figures),
        heading("Alarms"),
        table(
            "Alarms by severity",
            ("Severity", "Raised", "Still open"),
            [(name, f"{raised:,}", f"{still:,}") for name, raised, still in q.alarms],
        ),
        para(
            f"A person stopped discharge {count(q.stops, 'time')}. The fleet's schedule was computed "
            f"{count(q.plans, 'time')}."
        ),
    ]
    return chapter("Availability and quality of data", blocks)


def _commands(commands: Commands) -> Block:
    """Commands by how they ended, in one row."""
    return table(
        "Commands to stations, by how they ended",
        ("Issued", "Confirmed by meter", "Superseded", "Rejected", "Expired", "Still open"),
        [
            tuple(
                f"{n:,}"
                for n in (
                    commands.issued,
                    commands.confirmed,
                    commands.superseded,
                    commands.rejected,
                    commands.expired,
                    commands.open,
                )
            )
        ],
        words=0,
    )


def _clocks(figures: GuideFigures) -> str:
    q = figures.quality
    if q.skew_worst_s is None:
        return "No station's clock was measured."
    return f"The worst station clock was off by {q.skew_worst_s:.1f} s; {q.skew_stations:,} were off by over a minute."


def _round_trip(figures: GuideFigures) -> Block:
    trip = figures.quality.round_trip
    basis = (
        f"{count(trip.sessions, 'session')} of vehicles that can give ({trip.left_out:,} left out for want of "
        f"readings): {kwh(trip.import_wh)} in, {kwh(trip.export_wh)} out, {kwh(trip.stored_wh)} kept in the batteries"
    )
    if trip.efficiency is None:
        return para(f"Too little was given back to say how much is lost on the way. Seen: {basis}.")
    return para(
        f"Of the energy put into a battery, {percent(trip.efficiency)} comes back to the grid, at the AC side. From "
        f"{basis}. With r the loss factor each way, what the batteries kept is in × r − out ÷ r; the round trip is r²."
    )


def barriers_chapter(figures: GuideFigures) -> Block:
    """What stands in the way, with this programme's own counts."""
    b = figures.programme.barriers
    connectors = ", ".join(f"{_CONNECTORS.get(name, name)} ({number})" for name, number in b.connectors)
    protocols = ", ".join(f"{name.upper().replace('OCPP', 'OCPP ')} ({number})" for name, number in b.protocols)
    return chapter(
        "Costs and barriers",
        [
            para("What others who plan such a programme should know. The counts are this programme's own."),
            heading("Interconnection"),
            para(
                f"Massachusetts' Simplified path admits inverters up to 15 kW on one phase and "
                f"{SIMPLIFIED_MOST_KW:g} kW "
                f"on three. {b.over_simplified:,} of {count(b.stations, 'station')} here give more and need the "
                f"Expedited "
                "or the Standard path; a downtown network usually means Standard."
            ),
            heading("Municipal light plants"),
            para(
                f"{b.not_enrolled:,} of "
                f"{count(b.public_sites, 'school or municipal site', 'school and municipal sites')} "
                "cannot enrol in a program that pays. A "
                "municipal light plant's customer is not a customer of an investor-owned utility. Its value is in "
                "cutting the plant's own peaks, by a contract that must be made locally."
            ),
            heading("Permission to export"),
            para(
                f"What may be given is bounded by each interconnection agreement: {b.no_export:,} of "
                f"{count(b.public_sites, 'school or municipal site', 'school and municipal sites')} may export "
                f"nothing, "
                f"{b.export_below_nameplate:,} less than their stations "
                "could. For energy charged from the grid and sent back no credit on the bill was found."
            ),
            heading("Chargers, vehicles and protocols"),
            para(
                f"A charger must fit the vehicle, the vehicle must allow discharge, and both must speak to the control "
                f"system. Connectors here: {connectors}. Protocols: {protocols}. {count(b.charge_only, 'station')} "
                f"can only "
                "charge."
            ),
            heading("Rules that nobody could verify"),
            para(
                "Rates, windows and baselines were taken from public pages of various age. What no source confirms is "
                "listed in the next chapter. A real programme must have them confirmed by its utility first."
            ),
        ],
    )


def unverified_chapter(figures: GuideFigures) -> Block:
    """Everything assumed, each with its assumption."""
    rows = [(item.what, item.assumption) for item in figures.unverified]
    return chapter(
        "Unverified and assumed",
        [
            para(f"{count(len(rows), 'point')} on which this guide rests and which no source confirms."),
            table("What is not verified, and what was assumed", ("What", "Assumption"), rows, words=2),
        ],
    )


def method_chapter(figures: GuideFigures) -> Block:
    """How each figure came about, and how to check it."""
    zone = figures.programme.zone
    span = f"{stamp(figures.start, zone)} to {stamp(figures.end, zone)}"
    return chapter(
        "Method",
        [
            bullets(
                [
                    (
                        f"Period: {span}. Facts come from the journal, meter values from the series, money from the "
                        f"ledger."
                    ),
                    (
                        "Power in an event: register differences over five minutes at each station's AC side, no "
                        "baseline, "
                        "summed over the stations of enrolled sites; the same function settles payments."
                    ),
                    f"Homes equivalent: kW ÷ {HOME_KW}, as the programme announced it (about 300 homes for 1 MW).",
                    (
                        "Readiness: the last battery reading within a quarter of an hour before plug-out, or before "
                        "the "
                        "roster's time if that is earlier, against floor + trip energy × margin; half a percent is "
                        "allowed "
                        "for the battery's own rounding. Without such a reading the departure is unknown."
                    ),
                    (
                        "Availability: time with an open connection over the whole period, the time before a station's "
                        "first connection included."
                    ),
                    (
                        "Completeness: values within two seconds of each five-minute mark; both registers where a "
                        "station "
                        "can give."
                    ),
                    (
                        f"Privacy: homes in groups of {HOMES_LEAST} or more, else left out of every figure, totals "
                        "included; no resident's vehicle is listed."
                    ),
                ]
            ),
            para(
                "Two fingerprints stand for the record behind this guide. A copy that gives others is another record."
            ),
            table(
                "Fingerprints (SHA-256)",
                ("Record", "Fingerprint"),
                [
                    ("Journal", _broken(figures.journal_hash)),
                    ("Ledger", _broken(figures.money.ledger_hash) if figures.money.lines else ABSENT),
                ],
                words=2,
            ),
        ],
    )


def _broken(digest: str) -> str:
    """A long hash in eights, so that it can wrap and be read aloud."""
    return " ".join(digest[i : i + 8] for i in range(0, len(digest), 8))
