"""The plot of the loss: what is drawn against the losses, and what one looks at."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import pyplot as plt

import vi
from vi.diagnostics.status import Status
from vi.plots.loss import DOTS, POINTS, running


def test_the_running_mean_is_a_mean_of_losses(rng):
    losses = rng.normal(size=1_000)
    found = running(losses)
    assert found.window == 50
    assert found.steps[0] == 50
    assert found.steps[-1] == 1_000
    for at in (0, 7, -1):
        part = losses[found.steps[at] - 50 : found.steps[at]]
        np.testing.assert_allclose(found.mean[at], part.mean())
        np.testing.assert_allclose([found.low[at], found.high[at]], np.quantile(part, [0.05, 0.95]))


def test_what_is_drawn_are_the_losses(with_record, rng):
    losses = rng.normal(size=400)
    axes = vi.plots.loss(with_record(losses=losses))
    dots, mean = axes.lines
    np.testing.assert_array_equal(dots.get_xdata(), np.arange(1, 401))
    np.testing.assert_array_equal(dots.get_ydata(), losses)
    np.testing.assert_array_equal(mean.get_ydata(), running(losses).mean)
    assert len(axes.collections) == 1  # the band
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["single steps", "90 % of the losses", "mean of 20 steps"]


def test_a_long_history_is_thinned(with_record, rng):
    axes = vi.plots.loss(with_record(losses=rng.normal(size=1_000_001)))
    dots, mean = axes.lines
    assert len(dots.get_xdata()) <= DOTS
    assert len(mean.get_xdata()) <= POINTS
    assert axes.get_legend().get_texts()[0].get_text() == "one step in 501"


@pytest.mark.parametrize("first", [1e3, 1e300, np.inf, np.nan])
def test_a_huge_beginning_does_not_set_the_view(with_record, rng, first):
    losses = 5.0 + rng.normal(size=1_000)
    settled = vi.plots.loss(with_record(losses=losses)).get_ylim()
    losses[:30] = first
    axes = vi.plots.loss(with_record(losses=losses))
    low, high = axes.get_ylim()
    # at most two heights of the second half are added
    assert low == pytest.approx(settled[0], abs=0.5)
    assert high - low < 4 * (settled[1] - settled[0])
    assert low < 5.0 < high
    texts = [text.get_text() for text in axes.texts]
    # 30 of 1,000 are more than one in a hundred, and NaN lies nowhere
    assert any(text.startswith("↑ 3") for text in texts) == (not np.isnan(first))


def test_a_descent_is_in_view(with_record):
    losses = np.linspace(10.0, 0.0, 500)
    low, high = vi.plots.loss(with_record(losses=losses)).get_ylim()
    assert low < 0.0
    assert high > 9.0


@pytest.mark.parametrize("losses", [[3.0], [3.0, 3.0], [0.0] * 100])
def test_few_and_equal_losses(with_record, losses):
    axes = vi.plots.loss(with_record(losses=np.array(losses)))
    low, high = axes.get_ylim()
    assert low < losses[0] < high
    axes.figure.canvas.draw()


def test_the_title_says_how_it_ended(with_record, rng):
    noise = 0.1 * rng.normal(size=400)
    status = Status("stopped", 1_400, "by a callback")
    axes = vi.plots.loss(with_record(losses=noise, status=status))
    assert axes.get_title().startswith("stopped at step 1,400: ")
    falling = vi.plots.loss(with_record(losses=noise + np.linspace(9, 0, 400), status=status))
    assert falling.get_title().startswith("stopped at step 1,400, still falling: ")
    assert axes.get_ylabel() == "loss (minus the ELBO)"


def test_the_title_is_of_the_last_stage(with_record, rng):
    losses = np.append(rng.normal(90.0, 1.0, 400), rng.normal(10.0, 0.1, 100))
    title = vi.plots.loss(with_record(losses=losses, losses_before=400)).get_title()
    assert "falling" not in title
    last = losses[-25:]  # a quarter of its hundred
    assert float(title.split(": ")[1].split(" ")[0]) == pytest.approx(last.mean(), abs=0.05)


def test_it_draws_where_it_is_told(conjugate):
    _, axes = plt.subplots()
    assert vi.plots.loss(conjugate, ax=axes) is axes
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes"):
        vi.plots.loss(conjugate, ax="here")


def test_refusals(with_record, conjugate, no_package):
    with pytest.raises(TypeError, match=r"vi\.plots\.loss takes an approximation.*ndarray"):
        vi.plots.loss(np.zeros(3))
    with pytest.raises(ValueError, match="no losses: it has done no steps"):
        vi.plots.loss(with_record(losses=np.empty(0)))
    with pytest.raises(ValueError, match="score=False keeps none"):
        vi.plots.loss(with_record(losses=np.empty(0), keep_losses=False))
    assert not plt.get_fignums()
    no_package("matplotlib")
    with pytest.raises(ImportError, match=r"pymc-vi\[plots\]"):
        vi.plots.loss(conjugate)


def test_steps_that_were_left_out_leave_no_hole():
    losses = np.random.default_rng(0).normal(size=400)
    losses[[30, 31, 200]] = np.nan
    means = running(losses)
    assert np.isfinite(means.mean).all()
    window = losses[means.steps[-1] - means.window : means.steps[-1]]
    np.testing.assert_allclose(means.mean[-1], np.nanmean(window))
