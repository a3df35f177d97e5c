"""The plot of the stages of a fit: ELBO and k against what was spent."""

from __future__ import annotations

import matplotlib.colors
import numpy as np
import pytest
from matplotlib import pyplot as plt
from problems import conjugate_normal

import vi
from vi.diagnostics.stages import Stage

STAGES = (
    Stage("search", -4.0, 0.2, 0.9, gradients=100, seconds=1.0),
    Stage("match", -9.0, 0.5, 1.5, gradients=200, seconds=2.0, kept=False),
    Stage("climb", -3.0, 0.1, 0.6, gradients=300, seconds=4.0),
    Stage("check", -3.1, 0.1, np.nan, gradients=400, seconds=8.0),
    Stage("chains", gradients=9_000, seconds=16.0),
)


@pytest.fixture
def five(with_record):
    return with_record(stages=STAGES)


def drawn(axes):
    return {c.get_label(): np.array(c.lines[0].get_data()) for c in axes.containers}


@pytest.mark.parametrize(
    ("against", "costs"),
    [("gradients", [100, 300, 600, 1_000, 10_000]), ("seconds", [1, 3, 7, 15, 31])],
)
def test_what_is_drawn_are_the_elbos_against_the_sum_of_what_was_spent(five, against, costs):
    axes = vi.plots.plot_stages(five, against)
    points = drawn(axes)
    bottom = axes.get_ylim()[0]
    np.testing.assert_allclose(
        points["went on from here"], [[costs[0], costs[2], costs[3]], [-1.0, 0.0, -0.1]]
    )
    np.testing.assert_allclose(points["left out"], [[costs[1]], [-6.0]])
    np.testing.assert_allclose(points["no ELBO"], [[costs[4]], [bottom]])
    assert "-3" in axes.get_ylabel()
    assert against in axes.get_xlabel()
    left_out = next(c for c in axes.containers if c.get_label() == "left out")
    assert matplotlib.colors.same_color(left_out.lines[0].get_markerfacecolor(), "white")
    (bar,) = left_out.lines[2]
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [-7.0, -5.0])  # two standard errors
    assert [text.get_text() for text in axes.texts] == [
        "search\nk = 0.90",
        "match\nk = 1.50",
        "climb\nk = 0.60",
        "check",
        "chains",
    ]


def test_elbos_of_any_size_are_in_view(with_record):
    stages = (Stage("search", -1e6, 10.0, 5.0, gradients=10), Stage("climb", -3.0, 0.1, 0.1, 10))
    axes = vi.plots.plot_stages(with_record(stages=stages))
    low, high = axes.get_ylim()
    assert low < -1e6
    assert 0.5 < high < 1e3
    assert axes.get_yscale() == "symlog"
    axes.figure.canvas.draw()


@pytest.mark.parametrize(
    "stages",
    [
        (Stage("search", -np.inf, np.nan, np.nan, 10), Stage("chains", gradients=10)),
        (Stage("climb", gradients=10),),
        (Stage("chains"),),
    ],
    ids=["infinite", "streamed", "free"],
)
def test_stages_without_any_elbo(with_record, stages):
    axes = vi.plots.plot_stages(with_record(stages=stages))
    assert list(drawn(axes)) == ["no ELBO"]
    axes.figure.canvas.draw()


@pytest.mark.slow
def test_of_a_real_fit_on_given_axes():
    model = conjugate_normal().model
    approx = vi.fit(method="auto", model=model, random_seed=1, progressbar=False)
    _, axes = plt.subplots()
    assert vi.plots.plot_stages(approx, ax=axes) is axes
    assert axes.get_title() == "good"
    points = drawn(axes)["went on from here"]
    np.testing.assert_allclose(points[0], np.cumsum(approx.stages["gradients"]))
    assert points[1].max() == 0.0


def test_refusals(conjugate, five):
    with pytest.raises(TypeError, match="takes an approximation"):
        vi.plots.plot_stages(conjugate.stages)
    with pytest.raises(ValueError, match=r"not fitted in stages: vi\.fit\(method='auto'\)"):
        vi.plots.plot_stages(conjugate)
    with pytest.raises(ValueError, match="against='steps' is unknown; use 'gradients' or"):
        vi.plots.plot_stages(five, "steps")
    assert not plt.get_fignums()
