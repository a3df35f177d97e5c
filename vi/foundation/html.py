"""Small tables and curves for notebooks, as HTML that is read in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

__all__ = ["card", "sparkline", "table"]

WIDTH, HEIGHT = 180, 36
"""Of a curve, in pixels: as high as two lines of a table."""

FAINT = "opacity:0.7"
"""What is said besides: paler than text, whatever the text's colour is."""


def card(title: str, colour: str | None, *parts: str) -> str:
    """A title over parts of HTML; a bar of a colour at its left says the same as the title.

    All other colours are the page's own.

    Parameters
    ----------
    title : str
        Plain text.
    colour : str or None
        Of CSS; none for a bar as pale as lines are.
    *parts : str
        HTML.
    """
    bar = colour or "rgba(128,128,128,0.5)"
    return (
        f'<div style="border-left:4px solid {bar};padding:2px 0 2px 10px;margin:4px 0">'
        f'<div style="font-weight:600">{escape(title)}</div>{"".join(parts)}</div>'
    )


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """A table of plain text; the first column is the name of each row."""
    cell = "text-align:left;padding:1px 14px 1px 0;background:none;vertical-align:top"
    lines = []
    if head:
        style = f"{cell};{FAINT};white-space:nowrap"
        names = "".join(f'<th style="{style}">{escape(name)}</th>' for name in head)
        lines.append(f'<tr style="background:none">{names}</tr>')
    for name, *values in rows:
        first = f'<th style="{cell};font-weight:500">{escape(name)}</th>'
        rest = "".join(f'<td style="{cell}">{escape(value)}</td>' for value in values)
        lines.append(f'<tr style="background:none">{first}{rest}</tr>')
    return f'<table style="border-collapse:collapse;margin:4px 0">{"".join(lines)}</table>'


def sparkline(values: np.ndarray, label: str) -> str:
    """A curve of numbers in the colour of the text; without those that are not finite.

    Of many, each point is the median of its share. The curve may leave the picture at the top with
    its largest twentieth, as a loss does that begins far away.

    Parameters
    ----------
    values : numpy.ndarray
        ``(S,)``.
    label : str
        What it shows: read aloud, and shown where the mouse rests.
    """
    values = np.asarray(values, float).ravel()
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return ""
    heights = np.array([np.median(part) for part in np.array_split(finite, min(len(finite), 120))])
    low, high = heights.min(), np.quantile(heights, 0.95)
    span = high - low if high > low else 1.0
    x = np.linspace(1, WIDTH - 1, len(heights))
    y = HEIGHT - 2 - (HEIGHT - 4) * np.clip((heights - low) / span, -1.0, 1.05)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return (
        f'<svg role="img" width="{WIDTH}" height="{HEIGHT}" style="display:block;margin:4px 0">'
        f"<title>{escape(label)}</title>"
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.2"/></svg>'
    )
