"""The plot of shifts: the table's numbers, the worst first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.colors import same_color

import vi
from vi.diagnostics import Diagnosis
from vi.diagnostics.evidence import SMALL


def diagnosis(rng, dim=5, *, k=0.3, scale=0.1, sources=("weights", "chains")):
    table = xr.Dataset(
        {
            f"{kind}_{what}": ("unconstrained", scale * rng.normal(size=dim))
            for kind in sources
            for what in ("mean", "sd")
        },
        coords={"unconstrained": [f"x[{i}]" for i in range(dim)]},
    )
    return Diagnosis("good", "", "", -1.0, 0.1, k, 900.0, table, 0.8, 1_000, ("chains: none",))


def largest(table):
    return np.max([np.abs(table[name]) for name in table.data_vars], axis=0)


def test_what_is_drawn_is_the_table_worst_first(rng):
    found = diagnosis(rng)
    left, right = vi.plots.shifts(found)
    order = np.argsort(-largest(found.table))
    for axes, what in ((left, "mean"), (right, "sd")):
        _, weights, chains = axes.lines  # the first is that of 0
        for line, kind in ((weights, "weights"), (chains, "chains")):
            np.testing.assert_array_equal(line.get_xdata(), found.table[f"{kind}_{what}"][order])
            np.testing.assert_array_equal(line.get_ydata(), np.arange(5))
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == [f"x[{i}]" for i in order]
    assert left.get_title(loc="left") == "good"


def test_the_band_is_what_passes(rng):
    for axes in vi.plots.shifts(diagnosis(rng)):
        (band,) = axes.patches
        np.testing.assert_allclose(
            band.get_extents().transformed(axes.transData.inverted()).intervalx, [-SMALL, SMALL]
        )


def test_the_worst_of_many(rng):
    found = diagnosis(rng, 100)
    left, _ = vi.plots.shifts(found, most=7)
    assert len(left.get_yticks()) == 7
    assert left.get_title(loc="left") == "good, the worst 7 of 100"
    shown = {text.get_text() for text in left.get_yticklabels()}
    assert shown == {f"x[{i}]" for i in np.argsort(-largest(found.table))[:7]}


def test_unreliable_weights_are_hollow(rng):
    for k, color in ((0.9, "white"), (0.3, None)):
        left, right = vi.plots.shifts(diagnosis(rng, k=k))
        weights = left.lines[1]
        assert same_color(weights.get_markerfacecolor(), "white") == (color == "white")
        assert ("(k = 0.9)" in right.get_legend().get_texts()[0].get_text()) == (k == 0.9)


@pytest.mark.parametrize("scale", [0.1, 10.0, 1e4])
def test_all_is_in_view(rng, scale):
    found = diagnosis(rng, scale=scale)
    for axes, what in zip(vi.plots.shifts(found), ("mean", "sd"), strict=True):
        low, high = axes.get_xlim()
        for kind in ("weights", "chains"):
            assert low < float(found.table[f"{kind}_{what}"].min())
            assert high > float(found.table[f"{kind}_{what}"].max())
        axes.figure.canvas.draw()


def test_one_source_and_what_is_no_number(rng):
    found = diagnosis(rng, sources=("chains",))
    found.table["chains_mean"][2] = np.nan
    left, right = vi.plots.shifts(found)
    assert len(left.lines) == len(right.lines) == 2
    assert left.get_yticklabels()[0].get_text() == "x[2]"  # as bad as can be


def test_of_a_real_fit_on_given_axes(conjugate):
    _, pair = plt.subplots(1, 2)
    found = conjugate.diagnose(500, chains=64)
    drawn = vi.plots.shifts(found, ax=pair)
    assert list(drawn) == list(pair)
    assert pair[0].get_yticklabels()[0].get_text() == "mu"


def test_entries_have_the_labels_of_the_model():
    with pm.Model(coords={"place": ["here", "there"]}) as model:
        pm.Normal("x", 0.0, [1.0, 0.1], dims="place")
    found = vi.Approximation("mean_field", model=model, random_seed=1).diagnose(200, chains=0)
    left, _ = vi.plots.shifts(found)
    assert {text.get_text() for text in left.get_yticklabels()} == {"x[here]", "x[there]"}


def test_labels_are_no_formulas():
    with pm.Model(coords={"place": [r"$\frac$", "there"]}) as model:
        pm.Normal("x", 0.0, [1.0, 0.1], dims="place")
    found = vi.Approximation("mean_field", model=model, random_seed=1).diagnose(200, chains=0)
    left, _ = vi.plots.shifts(found)
    left.figure.canvas.draw()
    assert r"x[$\frac$]" in {text.get_text() for text in left.get_yticklabels()}


def test_of_an_approximation_with_a_verdict(rng, with_record):
    left, _ = vi.plots.shifts(with_record(diagnosis=diagnosis(rng)))
    assert left.get_title(loc="left") == "good"


def test_refusals(rng, with_record):
    with pytest.raises(TypeError, match=r"what approx\.diagnose\(\) gives; this is str"):
        vi.plots.shifts("good")
    with pytest.raises(ValueError, match=r"no verdict yet: give what approx\.diagnose\(\)"):
        vi.plots.shifts(with_record(diagnosis=None))
    found = diagnosis(rng)
    with pytest.raises(ValueError, match="most=0"):
        vi.plots.shifts(found, most=0)
    with pytest.raises(ValueError, match="have looked at this fit: chains: none"):
        vi.plots.shifts(replace(found, table=found.table.drop_vars(list(found.table.data_vars))))
    _, one = plt.subplots()
    with pytest.raises(TypeError, match="a sequence of 2 matplotlib Axes"):
        vi.plots.shifts(found, ax=one)
