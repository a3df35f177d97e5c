"""Tables and curves for notebooks: well formed, escaped, in the page's own colours."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from vi.foundation.html import HEIGHT, WIDTH, card, sparkline, table
from vi.foundation.layout import Layout, Slot


def parsed(html):
    return ET.fromstring(f"<div>{html}</div>")


def points(html):
    """The points of a curve, ``(S, 2)``."""
    drawn = parsed(html).find(".//polyline").get("points")
    return np.array([[float(v) for v in pair.split(",")] for pair in drawn.split()])


def test_text_stays_text():
    html = card("<b>&", None, table([("<x>", "a & b")], head=("<i>", "")))
    tree = parsed(html)
    assert "".join(tree.itertext()) == "<b>&<i><x>a & b"
    assert not tree.findall(".//b")


def test_no_colour_of_text_or_ground_is_fixed():
    html = card("t", "#0072b2", table([("a", "b")]), sparkline(np.arange(9.0), "loss"))
    styles = ";".join(re.findall(r'style="([^"]*)"', html))
    assert re.findall(r"(?:^|;)\s*color:", styles) == []
    assert set(re.findall(r"background:(\w+)", styles)) == {"none"}


@pytest.mark.parametrize("count", [2, 119, 120, 121, 100_000])
def test_a_curve_falls_as_its_values_do(count):
    drawn = points(sparkline(np.linspace(5.0, 1.0, count), "loss"))
    assert len(drawn) == min(count, 120)
    assert (np.diff(drawn[:, 0]) > 0).all()
    assert (np.diff(drawn[:, 1]) >= 0).all()  # pixels are counted downwards
    assert drawn.min() >= 0
    assert drawn[:, 0].max() <= WIDTH
    assert drawn[:, 1].max() <= HEIGHT


def test_a_far_beginning_does_not_flatten_the_rest():
    values = np.r_[np.full(40, 1e12), np.tile([1.0, 2.0], 480)]
    drawn = points(sparkline(values, "loss"))
    assert drawn[0, 1] <= 2  # above all others, and still in the picture
    assert np.ptp(drawn[10:, 1]) == HEIGHT - 4


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, np.inf, 3.0]])
def test_too_few_values_are_no_curve(values):
    assert sparkline(np.array(values), "loss") == ""


def test_equal_values_are_a_level_line():
    drawn = points(sparkline(np.ones(50), "loss"))
    assert np.ptp(drawn[:, 1]) == 0


def test_many_variables_are_counted():
    slots = tuple(Slot(f"v{i}", f"v{i}", i, i + 1, (), ()) for i in range(30))
    text = "".join(parsed(Layout(slots)._repr_html_()).itertext())
    assert "v11" in text
    assert "v12" not in text
    assert "and 18 more" in text
