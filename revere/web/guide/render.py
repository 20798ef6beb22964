"""Setting the guide: chapters to an accessible PDF (PDF/UA-1) by typst, offline, with the fonts that it carries."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Literal

import msgspec
import typst

from revere.core.errors import RevereError
from revere.web.guide.chapters import document

if TYPE_CHECKING:
    from pathlib import Path

    from revere.web.guide.shapes import GuideFigures

STANDARD: Literal["ua-1"] = "ua-1"
"""PDF/UA-1: refuses an image without alternative text, a document without title, headings that skip a level."""
DOC_MAX_BYTES = 20_000_000


def render(figures: GuideFigures, out: Path) -> Path:
    """Write the guide to ``out`` (a .pdf, replaced whole); returns it.

    Raises ``RevereError`` for a name that is not a PDF's, a folder that is not there, or a document too large.
    """
    if out.suffix.lower() != ".pdf":
        raise RevereError("the guide is a PDF", where="--out", got=out.name, expected="a name that ends in .pdf")
    if not out.parent.is_dir():
        raise RevereError(
            "there is no such folder", where="--out", got=str(out.parent), remedy="Make it, or name another."
        )
    partial = out.with_name(f".{out.name}.part")
    partial.write_bytes(pdf_bytes(figures))
    partial.replace(out)
    return out


def pdf_bytes(figures: GuideFigures) -> bytes:
    """The guide as PDF bytes; the same figures give the same bytes."""
    pages = _compiler(figures).compile(
        format="pdf", pdf_standards=[STANDARD], timestamp=int(figures.made_at.timestamp())
    )
    assert isinstance(pages, bytes)
    return pages


def png_pages(figures: GuideFigures, ppi: float = 80.0) -> list[bytes]:
    """The guide's pages as PNG, to be looked at."""
    pages = _compiler(figures).compile(format="png", ppi=ppi)
    assert pages is not None
    return pages if isinstance(pages, list) else [pages]


def _compiler(figures: GuideFigures) -> typst.Compiler:
    text = msgspec.json.encode(document(figures))
    if len(text) > DOC_MAX_BYTES:
        raise RevereError("the guide is too large", where="guide", got=len(text), expected=DOC_MAX_BYTES)
    template = resources.files("revere.web.guide").joinpath("guide.typ").read_bytes()
    return typst.Compiler(template, ignore_system_fonts=True, sys_inputs={"doc": text.decode()})
