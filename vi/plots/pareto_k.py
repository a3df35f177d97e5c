"""The tail of the importance weights, whose slope is Pareto k."""

from __future__ import annotations

from typing import Any

import numpy as np

from vi.approximation import Approximation
from vi.diagnostics.importance import Weights, largest_reliable, smoothed
from vi.foundation.numbers import whole
from vi.foundation.seeds import resolve_seed
from vi.plots.drawing import approximation, axes_for, dress, palette

__all__ = ["importance_weights", "pareto_k"]

LEAST_DRAWS = 100
"""Below this many draws there is no tail to speak of."""

TAIL = 3.0
"""The tail is the 3 sqrt(S) largest of S weights, a fifth of them at most."""

LOWEST = 1e-2
"""The smallest weight that is in view, where 1 is the mean."""


def pareto_k(
    approx: Approximation, draws: int = 2000, *, random_seed: Any = 0, ax: Any = None
) -> Any:
    r"""Draw the largest importance weights :math:`p / q`, whose tail says how far they hold.

    Over the share :math:`s` of draws that have a larger weight, on logarithmic axes, the tail of a
    generalised Pareto distribution approaches a line of slope :math:`k`: weights grow like
    :math:`s^{-k}`. Above 0.7 a few draws stand for all, however many there are.

    Parameters
    ----------
    approx : vi.Approximation
        A fit whose q has a density.
    draws : int
        How many draws of q are weighed, one evaluation of log p each.
    random_seed : int, optional
        Seed of the draws.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on; its title has k and the effective number of draws.

    Raises
    ------
    TypeError
        If this is no approximation, if q has no density (particles), or if rows are streamed.
    ValueError
        If log p is finite at fewer than half of the draws, or there are fewer than 100 draws.
    ImportError
        If matplotlib is missing (the extra ``plots``).

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024). Pareto smoothed importance sampling. JMLR 25.

    Examples
    --------
    >>> import matplotlib, pymc as pm, vi
    >>> matplotlib.use("Agg")
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(2_000, method="advi", model=model, random_seed=1, progressbar=False)
    >>> vi.plots.pareto_k(approx).get_xscale()
    'log'
    """
    whole("draws", draws, LEAST_DRAWS)
    log_ratios, weights = importance_weights(
        approximation(approx, "pareto_k"), draws, resolve_seed(random_seed)
    )
    (axes,) = axes_for(ax)
    colors = palette(axes)
    share = np.arange(1, draws + 1) / draws
    # the mean weight is 1
    raw, smooth = (
        draws * np.exp(np.sort(values)[::-1]) for values in (log_ratios, weights.log_weights)
    )
    tail = min(draws // 5, int(np.ceil(TAIL * np.sqrt(draws))))
    smooth *= raw[tail] / smooth[tail]  # just below the tail they are the same
    limit = largest_reliable(draws)
    axes.plot(
        share,
        raw,
        linestyle="none",
        marker=".",
        markersize=4,
        color=colors.text,
        label="draws of q",
    )
    axes.plot(share[:tail], smooth[:tail], color=colors.blue, linewidth=2, label="smoothed tail")
    as_steep = raw[tail - 1] * (share[:tail] / share[tail - 1]) ** -limit
    axes.plot(
        share[:tail],
        as_steep,
        color=colors.red,
        linestyle="--",
        label=f"as steep as k = {limit:.2g}",
    )
    axes.set(xscale="log", yscale="log", xlim=(1.3, 0.7 / draws))
    axes.set_ylim(LOWEST, 2 * max(raw[0], as_steep[0]))
    axes.set(xlabel="share of draws with a larger weight", ylabel="weight p / q (mean 1)")
    verdict = "reliable" if weights.reliable else "not reliable"
    axes.set_title(f"k = {weights.k:.2f}, {verdict}: {weights.ess:,.0f} of {draws:,} draws count")
    dress(axes, colors, loc="upper left")
    return axes


def importance_weights(approx: Approximation, draws: int, seed: int) -> tuple[np.ndarray, Weights]:
    """Logarithms of the weights ``(S,)`` as they are, and smoothed; both sum to 1."""
    if not approx.family.has_density:
        raise TypeError(
            "vi.plots.pareto_k weighs draws by p / q, and this q has no density (particles, or "
            "chains): vi.plots.marginals(approx) shows its draws, approx.diagnosis what was seen."
        )
    if approx.record.data.stream is not None:
        raise TypeError(
            "vi.plots.pareto_k: the rows are streamed, and log p needs all of them. Give data= as "
            "arrays in memory."
        )
    names = [approx.layout.names[0]]
    tree = approx.sample(
        draws,
        random_seed=seed,
        log_prob=True,
        store_data=False,
        rows=False,
        var_names=names,
        resample=None,
    )
    log_p, log_q = (tree["sample_stats"][name].to_numpy().ravel() for name in ("log_p", "log_q"))
    finite = np.isfinite(log_p) & np.isfinite(log_q)
    if finite.mean() < 0.5:
        raise ValueError(
            f"log p is finite at {finite.mean():.0%} of the draws of q: there are no weights to "
            "draw. Fit on, or from another start."
        )
    log_ratios = np.where(finite, log_p - log_q, -np.inf)
    return log_ratios - np.logaddexp.reduce(log_ratios), smoothed(log_p, log_q)
