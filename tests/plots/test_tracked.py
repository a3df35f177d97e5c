"""The plot of tracked quantities: the values, over the steps after which they were recorded."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from matplotlib import pyplot as plt

import vi
from vi.plots.tracked import LINES, POINTS


@pytest.fixture(scope="module")
def fit():
    """A fit with labels, what was tracked of it, and the tracker."""
    with pm.Model(coords={"site": ["north", "south"], "row": range(LINES + 3)}):
        mu = pm.Normal("mu", 0.0, 1.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("effect", mu, sigma, dims="site")
        pm.Normal("z", 0.0, 1.0, dims="row")
        advi = vi.ADVI(random_seed=1)
    tracker = vi.callbacks.Tracker(
        every=10,
        std=advi.approx.std.eval,
        mean=lambda approx, losses, i: approx.mean_data,
        effect=lambda approx, losses, i: approx.mean_data["effect"],
        loss=lambda approx, losses, i: losses[-1],
    )
    approx = advi.fit(100, callbacks=[tracker], progressbar=False)
    return approx, tracker


def labels(axes):
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_a_number_is_a_line_over_the_steps(fit):
    approx, tracker = fit
    (axes,) = vi.plots.plot_tracked(tracker, var_names=["loss"])
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(10, 101, 10))
    np.testing.assert_array_equal(line.get_ydata(), np.asarray(approx.hist)[9::10])
    assert (axes.get_title(), axes.get_xlabel(), labels(axes)) == ("loss", "step", [])


def test_entries_are_named_by_their_coordinates(fit):
    _, tracker = fit
    (axes,) = vi.plots.plot_tracked(tracker, var_names="effect")
    assert labels(axes) == ["north", "south"]
    for i, line in enumerate(axes.lines):
        np.testing.assert_array_equal(line.get_ydata(), [v[i] for v in tracker["effect"]])
        assert line.get_label() == labels(axes)[i]


def test_a_dataset_is_cut_into_its_variables(fit):
    _, tracker = fit
    panels = {axes.get_title(): axes for axes in vi.plots.plot_tracked(tracker, var_names=["mean"])}
    assert list(panels) == ["mean", "mean: effect", "mean: z"]
    assert labels(panels["mean"]) == ["mu", "sigma_log__"]
    assert labels(panels["mean: effect"]) == ["north", "south"]
    np.testing.assert_array_equal(
        panels["mean"].lines[1].get_ydata(), [v["sigma_log__"] for v in tracker["mean"]]
    )


def test_a_flat_vector_is_cut_where_the_approximation_is_given(fit):
    approx, tracker = fit
    (alone,) = vi.plots.plot_tracked(tracker, var_names=["std"])
    assert labels(alone)[-1] == "median"
    panels = {a.get_title(): a for a in vi.plots.plot_tracked(tracker, approx, var_names=["std"])}
    assert list(panels) == ["std", "std: effect", "std: z"]
    assert labels(panels["std: effect"]) == ["north", "south"]
    np.testing.assert_array_equal(
        panels["std: effect"].lines[1].get_ydata(),
        [v[approx.layout["effect"].slice][1] for v in tracker["std"]],
    )


def test_many_entries_are_quantiles(rng):
    values = rng.normal(size=(40, 3, 100))
    (axes,) = vi.plots.plot_tracked({"x": list(values)})
    (median,) = axes.lines
    flat = values.reshape(40, -1)
    np.testing.assert_allclose(median.get_ydata(), np.median(flat, axis=1))
    assert labels(axes) == ["90 % of 300 entries", "50 % of 300 entries", "median"]
    for band, levels in zip(axes.collections, ([0.05, 0.95], [0.25, 0.75]), strict=True):
        heights = band.get_paths()[0].vertices[:, 1]
        low, high = np.quantile(flat, levels, axis=1)
        np.testing.assert_allclose([heights.min(), heights.max()], [low.min(), high.max()])


def test_lines_are_told_apart():
    (axes,) = vi.plots.plot_tracked({"x": np.zeros((4, 3, LINES // 3))})
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(axes.lines) == len(looks) == LINES
    assert labels(axes)[:4] == ["0, 0", "0, 1", "0, 2", "1, 0"]


def test_a_mapping_has_steps_of_its_own():
    (axes,) = vi.plots.plot_tracked({"x": [1.0, 2.0, 4.0]}, steps=[5, 7, 70])
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [5, 7, 70])
    (axes,) = vi.plots.plot_tracked({"x": [True, False]})
    np.testing.assert_array_equal(axes.lines[0].get_data(), [[1, 2], [1.0, 0.0]])


def test_a_long_record_is_thinned():
    values = np.arange(10 * POINTS)
    (axes,) = vi.plots.plot_tracked({"x": values})
    steps, drawn = axes.lines[0].get_data()
    assert len(steps) == POINTS
    assert (steps[0], steps[-1]) == (1, 10 * POINTS)
    np.testing.assert_array_equal(drawn, steps - 1)


def test_steps_go_on_after_a_refinement_and_from_anew_after_clear(fit):
    _, tracker = fit
    assert tracker.steps == list(range(10, 101, 10))
    with pm.Model():
        pm.Normal("x")
        advi = vi.ADVI(random_seed=1)
    own = vi.callbacks.Tracker(every=5, std=lambda approx, losses, i: i)
    advi.fit(5, progressbar=False)
    advi.refine(10, callbacks=[own], progressbar=False)
    assert own.steps == own["std"] == [10, 15]
    own.clear()
    assert own.steps == []


def test_where_it_is_drawn(fit):
    _, tracker = fit
    _, pair = plt.subplots(1, 2)
    drawn = vi.plots.plot_tracked(tracker, var_names=["loss", "effect"], ax=pair)
    assert list(drawn) == list(pair)
    with pytest.raises(TypeError, match="a sequence of 2 matplotlib Axes"):
        vi.plots.plot_tracked(tracker, var_names=["loss", "effect"], ax=pair[0])
    plt.close("all")
    seven = vi.plots.plot_tracked(tracker)
    assert len(seven) == len(seven[0].figure.axes) == 6  # nothing is left of the third row
    assert {axes.get_subplotspec().colspan.start for axes in seven} == {0, 1, 2}


def test_what_is_not_finite_leaves_a_gap():
    (axes,) = vi.plots.plot_tracked({"x": [1.0, np.nan, 3.0, np.inf]})
    axes.figure.canvas.draw()
    assert axes.get_ylim()[1] < 4.0
    (axes,) = vi.plots.plot_tracked({"x": np.full((3, 20), np.nan)})
    axes.figure.canvas.draw()


WRONG = {
    "no tracker": (lambda t: "loss", {}, TypeError, "must be a vi.callbacks.Tracker.*this is str"),
    "nothing yet": (
        lambda t: vi.callbacks.Tracker(every=7, a=lambda: 1),
        {},
        ValueError,
        r"without a record, for every 7 steps: give it to a fit",
    ),
    "no names": (lambda t: {}, {}, ValueError, "tracker={}: give what"),
    "unknown": (lambda t: t, {"var_names": ["sd"]}, ValueError, "'sd'; what was tracked is 'std'"),
    "none": (lambda t: t, {"var_names": []}, ValueError, "var_names is empty"),
    "a number": (lambda t: {"x": 3.0}, {}, TypeError, "'x' must be a list of values"),
    "no records": (lambda t: {"x": []}, {}, ValueError, "Nothing was recorded of 'x'"),
    "texts": (lambda t: {"x": ["a", "b"]}, {}, TypeError, "'x' has values of <U1: only real"),
    "complex": (lambda t: {"x": [1j]}, {}, TypeError, "only real numbers"),
    "other shape": (
        lambda t: {"x": [np.zeros(2), np.zeros(3)]},
        {},
        ValueError,
        r"changes its shape: \(2,\) at first, \(3,\) in record 2",
    ),
    "no entries": (lambda t: {"x": [np.zeros(0)]}, {}, ValueError, "'x' has no entries"),
    "no variables": (lambda t: {"x": [xr.Dataset()]}, {}, ValueError, "'x' has no variables"),
    "other kind": (lambda t: {"x": [{"a": 1}, 2]}, {}, TypeError, "a dict at first, and then int"),
    "other names": (lambda t: {"x": [{"a": 1}, {"b": 1}]}, {}, ValueError, "{'a'} at first"),
    "its own steps": (lambda t: t, {"steps": [1]}, TypeError, "a Tracker knows its steps"),
    "few steps": (lambda t: {"x": [1, 2]}, {"steps": [1]}, ValueError, "2 values.* are 1 steps"),
    "no steps": (lambda t: {"x": [1]}, {"steps": ["a"]}, TypeError, "list of whole numbers"),
    "back": (
        lambda t: {"x": [1, 2, 3]},
        {"steps": [5, 9, 1]},
        ValueError,
        r"step 9 is followed by 1\. .*tracker\.clear\(\)",
    ),
    "approx": (lambda t: t, {"approx": "mean"}, TypeError, "approx must be what was tracked"),
    "columns": (lambda t: t, {"columns": 0}, ValueError, "columns=0"),
}


@pytest.mark.parametrize("what", WRONG)
def test_refusals(fit, what):
    given, options, kind, message = WRONG[what]
    with pytest.raises(kind, match=message):
        vi.plots.plot_tracked(given(fit[1]), **options)
    assert not plt.get_fignums()


def test_names_stand_as_they_are_written():
    """A dollar begins no formula, and an underscore hides no entry."""
    sites = ["_a", r"$5 \frac$", "c"]
    record = xr.DataArray([1.0, 2.0, 3.0], coords={"site": sites})
    axes, scalars = vi.plots.plot_tracked({"cost $x_{$": [record], "y": [{"$a_{": 1.0, "b": 2.0}]})
    axes.figure.canvas.draw()
    assert [label.strip() for label in labels(axes)] == sites
    assert axes.get_title() == "cost $x_{$"
    assert labels(scalars) == ["$a_{", "b"]


def test_rows_of_several_lengths_are_refused():
    with pytest.raises(TypeError, match=r"'x' has a value \[\[1\], \[1, 2\]\], whose rows are of"):
        vi.plots.plot_tracked({"x": [[[1], [1, 2]]]})
