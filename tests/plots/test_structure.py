"""The picture of a model's structure: which cells have which colour, and names beside them."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

import vi
from vi.plots.drawing import palette


def pairs(groups):
    """Groups of two, (a_i, b_i), whose scale is not known."""
    with pm.Model() as model:
        a = pm.Normal("a", shape=groups)
        scale = pm.HalfNormal("scale")
        b = pm.Normal("b", a, scale, shape=groups)
        pm.Normal("y", b, 1.0, observed=np.linspace(-1.0, 1.0, groups))
    return vi.structure(model)


def cells(axes, colour):
    shown = np.asarray(axes.images[0].get_array())
    return np.all(np.isclose(shown, to_rgb(colour)), axis=-1)


def test_every_coordinate_has_a_cell_where_there_are_few():
    """Globals first: cell 0 is the scale's, then those of a and of b."""
    groups = 12
    axes = vi.plots.plot_structure(pairs(groups))
    dim = 2 * groups + 1
    inner, globals_ = np.zeros((2, dim, dim), bool)
    a, b = 1 + np.arange(groups), 1 + groups + np.arange(groups)
    inner[a, b] = inner[b, a] = True
    globals_[0, 1:] = globals_[1:, 0] = True
    np.testing.assert_array_equal(cells(axes, palette(axes).blue), inner)
    np.testing.assert_array_equal(cells(axes, palette(axes).red), globals_)
    np.testing.assert_array_equal(cells(axes, palette(axes).faint), np.eye(dim, dtype=bool))
    names = dict(
        zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True)
    )
    assert names == {"scale": 0.0, "a": a.mean(), "b": b.mean()}
    assert axes.get_title() == "groups: 12 of 2 given 1 global"


def test_of_many_several_share_a_cell_and_globals_are_wide():
    axes = vi.plots.plot_structure(pairs(300))
    blue, orange = cells(axes, palette(axes).blue), cells(axes, palette(axes).red)
    side = len(blue)
    assert side < 300
    wide = int(orange[0].argmax())  # the first cells are the scale's own
    assert 0.1 < wide / side < 0.2
    assert orange[:wide, wide:].all()
    # a_i and b_i are half of the others apart, each three to a cell
    np.testing.assert_array_equal(blue[wide:, wide:], np.roll(np.eye(200, dtype=bool), 100, 1))
    np.testing.assert_array_equal(blue, blue.T)


def test_names_that_would_overlap_are_one():
    with pm.Model() as model:
        names = ("one", "two")
        one, two = (pm.Normal(name) for name in names)
        z = pm.Normal("z$_{$", one, pm.math.exp(two), shape=50)
        pm.Normal("y", z, 1.0, observed=np.linspace(-1.0, 1.0, 50))
    axes = vi.plots.plot_structure(vi.structure(model))
    axes.figure.canvas.draw()
    assert [t.get_text() for t in axes.get_yticklabels()] == ["one, two", "z$_{$"]


def test_dense_on_given_axes():
    with pm.Model() as model:
        z = pm.Normal("z", shape=4)
        pm.Normal("y", z.sum() ** 3, 1.0, observed=0.0)
    _, axes = plt.subplots()
    assert vi.plots.plot_structure(vi.structure(model), ax=axes) is axes
    np.testing.assert_array_equal(cells(axes, palette(axes).blue), ~np.eye(4, dtype=bool))


def test_refusals():
    with pytest.raises(TypeError, match=r"give what vi\.structure\(model\) returns"):
        vi.plots.plot_structure(vi.structure)
    with pytest.raises(TypeError, match="matplotlib Axes"):
        vi.plots.plot_structure(pairs(3), ax=3)
    assert not plt.get_fignums()
