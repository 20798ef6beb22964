"""The guide as people get it: an accessible PDF with the headline numbers, and no home shown alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec
import pytest
import typst

from revere.core.errors import RevereError
from revere.web.guide.chapters import document, headlines
from revere.web.guide.charts import nice_step, relief_chart, share_chart, spare_chart
from revere.web.guide.render import pdf_bytes, png_pages, render
from revere.web.guide.words import percent, usd
from tests.web.guide_scene import figures_of

if TYPE_CHECKING:
    from pathlib import Path

    from revere.web.guide.shapes import GuideFigures

TEXT_TOOL = shutil.which("pdftotext")


@pytest.fixture
def figures(pg_dsn: str) -> GuideFigures:
    return figures_of(pg_dsn)


def test_the_guide_is_an_accessible_pdf_and_the_same_each_time(figures: GuideFigures, tmp_path: Path) -> None:
    out = render(figures, tmp_path / "guide.pdf")
    raw = out.read_bytes()
    assert raw.startswith(b"%PDF-")
    assert b"pdfuaid:part" in _unpacked(raw)
    assert b"/StructTreeRoot" in _unpacked(raw)
    assert [path.name for path in tmp_path.iterdir()] == ["guide.pdf"]
    assert pdf_bytes(figures) == raw
    pages = png_pages(figures, ppi=20)
    assert 6 <= len(pages) <= 30
    assert all(page.startswith(b"\x89PNG") for page in pages)


def _unpacked(raw: bytes) -> bytes:
    """The file with its compressed streams opened."""
    opened = [raw]
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", raw, re.DOTALL):
        try:
            opened.append(zlib.decompress(match.group(1)))
        except zlib.error:
            continue
    return b"\n".join(opened)


def test_the_headline_numbers_are_the_figures(figures: GuideFigures) -> None:
    power, departures, equity = headlines(figures)
    assert power["number"] == "107 kW"
    assert "Promised: 100 kW" in power["detail"]
    assert "32 homes at 3.33 kW" in power["detail"]
    assert departures["number"] == "6 of 9"
    assert departures["detail"].startswith("1 short; 2 could not be judged")
    assert equity["number"] == "42.9 %"
    assert "6 participants of unknown status" in equity["detail"]


@pytest.mark.skipif(TEXT_TOOL is None, reason="pdftotext is not on PATH")
def test_the_printed_text_has_the_headline_numbers(figures: GuideFigures, tmp_path: Path) -> None:
    out = render(figures, tmp_path / "guide.pdf")
    text = subprocess.run([str(TEXT_TOOL), str(out), "-"], capture_output=True, text=True, check=True).stdout
    for number in ("107 kW", "6 of 9", "42.9 %"):
        assert number in text
    assert "Secret" not in text


def test_no_home_or_resident_s_vehicle_is_named(figures: GuideFigures) -> None:
    said = msgspec.json.encode(document(figures)).decode() + msgspec.json.encode(figures).decode()
    assert "Town hall" in said
    assert "Bus 2" in said
    assert "Secret" not in said
    assert not re.search(r'"h[1-6]"|home[1-6]|p-home', said)


def test_expected_money_is_never_shown_as_confirmed_and_absence_is_said(figures: GuideFigures) -> None:
    (money,) = [c for c in document(figures)["chapters"] if c["title"].startswith("Money")]
    tables = {b["caption"]: b for b in money["blocks"] if b["kind"] == "table"}
    totals = tables["Participants' payments over all events"]
    assert totals["head"] == ["Expected", "Confirmed", "Paid"]
    assert totals["rows"] == [["$8,935.00", "$8,000.00", "none yet"]]
    day = "Thursday 7 September 2023"
    assert tables["By event and group"]["rows"][1] == [day, "Homes", "6", "$540.00", "none yet", "none yet"]


def test_a_simulation_says_so_on_its_title_page(figures: GuideFigures) -> None:
    assert "come from a simulation" in document(figures)["banner"]
    real = msgspec.structs.replace(figures, simulated=False)
    assert document(real)["banner"] == ""
    assert "does not say" in document(msgspec.structs.replace(figures, simulated=None))["banner"]


def test_a_guide_without_events_equity_or_departures_still_renders_and_says_so(figures: GuideFigures) -> None:
    empty = msgspec.structs.replace(
        figures,
        events=(),
        equity=None,
        readiness=msgspec.structs.replace(figures.readiness, groups=(), sites=(), short=(), spare_bins=()),
    )
    assert pdf_bytes(empty).startswith(b"%PDF-")
    assert [item["number"] for item in headlines(empty)] == ["–", "–", "–"]
    said = msgspec.json.encode(document(empty)).decode()
    assert "No utility called" in said
    assert "the share cannot be told" in said


def test_markup_in_a_name_is_printed_and_not_obeyed(figures: GuideFigures) -> None:
    name = '#panic("x") $ *a* <b>&"'
    programme = msgspec.structs.replace(figures.programme, name=name)
    assert pdf_bytes(msgspec.structs.replace(figures, programme=programme)).startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["guide.html", "nowhere/guide.pdf"])
def test_a_place_that_cannot_hold_the_guide_is_refused_before_work(
    figures: GuideFigures, tmp_path: Path, name: str
) -> None:
    with pytest.raises(RevereError):
        render(figures, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_standard_refuses_an_image_without_alternative_text() -> None:
    svg = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
    page = f'#set document(title: "t")\n#image(bytes("{svg}"))'.encode()
    with pytest.raises(typst.TypstError, match="alt"):
        typst.Compiler(page).compile(format="pdf", pdf_standards=["ua-1"])


def test_bars_have_the_height_of_their_power_and_a_gap_is_hatched() -> None:
    drawn = relief_chart([100.0, None, -50.0], ["16:00", "", "16:10"], nominated_kw=80.0, alt="words")
    bars = [e for e in ET.fromstring(drawn.svg) if e.tag.endswith("rect")]
    heights = [float(bar.get("height", "0")) for bar in bars]
    assert [bar.get("fill") for bar in bars] == ["#c77700", "url(#hatch)", "#2563a8"]
    assert heights[0] == pytest.approx(2 * heights[2], rel=1e-2)
    assert drawn.alt == "words"


def test_charts_are_whole_xml_whatever_they_are_given() -> None:
    for drawn in (
        relief_chart([], [], nominated_kw=None, alt="a"),
        relief_chart([0.0], ["<&>"], nominated_kw=None, alt="a"),
        spare_chart([], alt="a"),
        spare_chart([(-0.1, 3), (0.9, 400)], alt="a"),
        share_chart([("<a>", 0.5, "blue"), ("b", 0.5, "hatch")], mark=1 / 3, mark_words="&", alt="a"),
    ):
        ET.fromstring(drawn.svg)


@pytest.mark.parametrize(("span", "step"), [(1100.0, 500.0), (10.0, 2.0), (0.0, 1.0), (4.9, 1.0)])
def test_steps_are_round(span: float, step: float) -> None:
    assert nice_step(span) == step


@pytest.mark.parametrize(
    ("part", "text"),
    [(None, "not measured"), (0.99999, "over 99.9 %"), (1.0, "100.0 %"), (0.00001, "under 0.1 %"), (0.0, "0.0 %")],
)
def test_nearly_all_is_never_shown_as_all(part: float | None, text: str) -> None:
    assert percent(part) == text
    assert usd(None) == "none yet"
