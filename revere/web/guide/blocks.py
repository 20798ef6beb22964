"""The pieces that a page is set from: paragraphs, tables, charts and notes, as plain data for the template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.web.guide.charts import Chart

Block = dict[str, Any]


def para(text: str) -> Block:
    """A paragraph."""
    return {"kind": "para", "text": text}


def heading(text: str) -> Block:
    """A section inside a chapter."""
    return {"kind": "heading", "text": text}


def note(text: str) -> Block:
    """A caveat that must not be missed."""
    return {"kind": "note", "text": text}


def bullets(items: Sequence[str]) -> Block:
    """A list."""
    return {"kind": "bullets", "items": list(items)}


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> Block:
    """A table whose first ``words`` columns hold words and take the room; the others hold figures, set right."""
    assert all(len(row) == len(head) for row in rows), f"{caption}: a row does not fit its head"
    return {
        "kind": "table",
        "caption": caption,
        "head": list(head),
        "rows": [list(row) for row in rows],
        "words": words,
    }


def chart(drawn: Chart, caption: str) -> Block:
    """A drawing with its alternative text."""
    return {"kind": "chart", "svg": drawn.svg, "alt": drawn.alt, "caption": caption}


def chapter(title: str, blocks: Sequence[Block]) -> Block:
    """A chapter."""
    return {"title": title, "blocks": list(blocks)}
