"""The plot of several starts: their ELBOs, and which agree."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from problems import conjugate_normal

import vi
from vi.diagnostics.agreement import compared
from vi.plots.starts import kinds


def found(layout, elbo, mean, error=0.1):
    elbo = np.array(elbo)
    runs = len(elbo)
    return compared(
        {
            "elbo": elbo,
            "elbo_error": np.full(runs, error),
            "mean": np.array(mean, float)[:, None],
            "std": np.ones((runs, 1)),
        },
        layout,
    )


@pytest.fixture
def four(with_record, conjugate):
    """The best, one that is as good elsewhere, a worse one, one that has diverged."""
    starts = found(conjugate.layout, [-3.0, -3.1, -9.0, np.nan], [0.0, 5.0, 1.0, 0.0])
    return with_record(starts=starts)


def test_kinds(four):
    assert kinds(four.record.starts).tolist() == ["agrees", "elsewhere", "worse", "diverged"]


def test_what_is_drawn_are_the_elbos(four):
    axes = vi.plots.starts(four)
    drawn = {c.get_label(): c for c in axes.containers}
    expected = {
        "agree with the best": (0, 0.0),
        "as good, but elsewhere": (1, -0.1),
        "worse": (2, -6.0),
        "diverged": (3, axes.get_ylim()[0]),
    }
    assert drawn.keys() == expected.keys()
    for label, point in expected.items():
        np.testing.assert_allclose(np.ravel(drawn[label].lines[0].get_data()), point)
    (bar,) = drawn["worse"].lines[2]
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [-6.2, -5.8])  # two standard errors
    assert [text.get_text() for text in axes.texts] == ["5 sd", "1 sd"]
    assert axes.get_title() == "1 of 4 starts agree"
    assert "-3" in axes.get_ylabel()


def test_gaps_of_any_size_are_in_view(with_record, conjugate):
    gaps = [0.0, -1.0, -100.0, -1e6]
    axes = vi.plots.starts(with_record(starts=found(conjugate.layout, gaps, [0, 0, 0, 0])))
    low, high = axes.get_ylim()
    assert low < -1e6
    assert high > 0.2
    assert axes.get_yscale() == "symlog"
    axes.figure.canvas.draw()


def test_of_a_real_fit_on_given_axes():
    model = conjugate_normal().model
    approx = vi.fit(2_000, method="advi", model=model, restarts=3, random_seed=1, progressbar=False)
    _, axes = plt.subplots()
    assert vi.plots.starts(approx, ax=axes) is axes
    assert axes.get_title() == "3 of 3 starts agree"
    (container,) = axes.containers
    assert container.lines[0].get_xdata().tolist() == [0, 1, 2]


def test_refusals(conjugate):
    with pytest.raises(TypeError, match="takes an approximation"):
        vi.plots.starts(conjugate.record)
    with pytest.raises(ValueError, match=r"one start: vi\.fit\(\.\.\., restarts=8\)"):
        vi.plots.starts(conjugate)
    assert not plt.get_fignums()
