"""Charts as SVG, drawn by hand: charge blue, discharge amber, told apart in grey by tone and hatching.

Each chart comes with the sentence that stands in for it (alternative text). Sizes are in points of the page.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

BLUE, AMBER, INK, GREY, PALE = "#2563a8", "#c77700", "#1d2733", "#5c6773", "#d9dee4"
WIDTH, HEIGHT = 480.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 24.0, 34.0
LABELS = 20.0
FONT = "Libertinus Serif"


class Chart(NamedTuple):
    """A drawing and the words that say the same."""

    svg: str
    alt: str


def _text(x: float, y: float, words: str, *, anchor: str = "middle", size: float = 9.5, colour: str = GREY) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{FONT}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = PALE, width: float = 0.7, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashes}/>'
    )


def _bar(x: float, y: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0.1):.2f}" height="{max(height, 0.1):.2f}" fill="{fill}"/>'
    )


def _svg(parts: Sequence[str], height: float = HEIGHT) -> str:
    hatch = (
        f'<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect width="5" height="5" fill="#ffffff"/><rect width="2" height="5" fill="{GREY}"/></pattern></defs>'
    )
    size = f'viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return head + hatch + "".join(parts) + "</svg>"


def nice_step(span: float, steps: int = 5) -> float:
    """A round step (1, 2 or 5 times a power of ten) that cuts ``span`` into about ``steps``."""
    if span <= 0:
        return 1.0
    raw = span / steps
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * 0.999)


def relief_chart(
    values_kw: Sequence[float | None], labels: Sequence[str], *, nominated_kw: float | None, alt: str
) -> Chart:
    """Relief by five minutes as bars, with the promise as a dashed line; a hatched column is not measured.

    ``labels`` belong to the bars; an empty one prints nothing. A negative bar (the fleet charged) is blue.
    """
    known = [value for value in values_kw if value is not None]
    top = max([*known, nominated_kw or 0.0, 1.0])
    low = min([*known, 0.0])
    step = nice_step(top - low)
    high, base = math.ceil(top / step) * step, math.floor(low / step) * step
    plot = HEIGHT - TOP - LABELS

    def y_of(kw: float) -> float:
        return TOP + plot * (high - kw) / (high - base)

    parts = [_text(LEFT - 6, 10, "kW", anchor="end")]
    for number in range(round((high - base) / step) + 1):
        kw = base + number * step
        parts.append(_line(LEFT, y_of(kw), WIDTH - RIGHT, y_of(kw), INK if kw == 0 else PALE))
        parts.append(_text(LEFT - 6, y_of(kw) + 3, f"{kw:,.0f}", anchor="end"))
    slot = (WIDTH - LEFT - RIGHT) / max(len(values_kw), 1)
    for number, (value, label) in enumerate(zip(values_kw, labels, strict=True)):
        x = LEFT + number * slot
        if value is None:
            parts.append(_bar(x + slot * 0.1, TOP, slot * 0.8, plot, "url(#hatch)"))
        else:
            colour = AMBER if value >= 0 else BLUE
            parts.append(_bar(x + slot * 0.1, y_of(max(value, 0.0)), slot * 0.8, abs(y_of(value) - y_of(0.0)), colour))
        if label:
            parts.append(_line(x, y_of(base), x, y_of(base) + 4, GREY))
            parts.append(_text(x, TOP + plot + 14, label))
    if nominated_kw is not None:
        y = y_of(nominated_kw)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, INK, 1.3, "5 3"))
        words = f"promised {nominated_kw:,.0f} kW"
        right = WIDTH - RIGHT
        parts.append(_text(right, 10, words, anchor="end", size=10, colour=INK))
        legend = right - 4.9 * len(words) - 6
        parts.append(_line(legend - 22, 7, legend, 7, INK, 1.3, "5 3"))
    return Chart(_svg(parts), alt)


def spare_chart(bins: Sequence[tuple[float, int]], *, alt: str) -> Chart:
    """Departures by how much battery was to spare: short ones (below 0) hatched, the others blue."""
    counts = dict(bins)
    first = min([round(low * 10) for low in counts] + [0])
    last = max([round(low * 10) for low in counts] + [7])
    highest = max(counts.values(), default=1)
    step = max(nice_step(highest), 1.0)
    high = math.ceil(highest / step) * step
    plot = HEIGHT - TOP - BOTTOM
    parts = [_text(6, 10, "departures", anchor="start")]
    for number in range(round(high / step) + 1):
        y = TOP + plot * (1 - number * step / high)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, PALE if number else INK))
        parts.append(_text(LEFT - 6, y + 3, f"{number * step:,.0f}", anchor="end"))
    slot = (WIDTH - LEFT - RIGHT) / (last - first + 1)
    by_tenth = {round(low * 10): count for low, count in counts.items()}
    for number, tenth in enumerate(range(first, last + 1)):
        x = LEFT + number * slot
        count = by_tenth.get(tenth, 0)
        if count:
            height = plot * count / high
            fill = BLUE if tenth >= 0 else "url(#hatch)"
            parts.append(_bar(x + slot * 0.08, TOP + plot - height, slot * 0.84, height, fill))
            parts.append(_text(x + slot / 2, TOP + plot - height - 4, f"{count:,}", colour=INK))
        parts.append(_text(x + slot / 2, HEIGHT - BOTTOM + 13, f"{tenth * 10} to {tenth * 10 + 10}"))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 4, "battery above the need, % of a full battery"))
    return Chart(_svg(parts), alt)


def share_chart(parts_of: Sequence[tuple[str, float, str]], *, mark: float, mark_words: str, alt: str) -> Chart:
    """One bar cut into shares (label, 0 to 1, ``blue``, ``pale`` or ``hatch``), with a mark to be passed."""
    height = 78.0
    fills = {"blue": BLUE, "pale": PALE, "hatch": "url(#hatch)"}
    parts = []
    x = 0.0
    for label, share, tone in parts_of:
        width = WIDTH * share
        parts.append(_bar(x, 22, width, 26, fills[tone]))
        if share > 0.12:
            colour = "#ffffff" if tone == "blue" else INK
            if tone == "hatch":
                parts.append(_bar(x + 5, 27, 5.0 * len(label) + 6, 16, "#ffffff"))
            parts.append(_text(x + 8, 39, label, anchor="start", size=10.5, colour=colour))
        x += width
    at = WIDTH * mark
    parts.append(_line(at, 14, at, 56, INK, 1.3, "3 2"))
    parts.append(_text(at, 68, mark_words, size=10, colour=INK))
    return Chart(_svg(parts, height), alt)
