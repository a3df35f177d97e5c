"""The scales of the users' local linear trend: exact moments, and those of ``vi.fit(model)``.

    python tests/benchmarks/local_trend_exact.py

Given its three scales the model is a normal of the data, so that walk and slopes are integrated out
by hand and the scales by quadrature. A scale that may be 0 has a long tail in its logarithm, of
which quantiles say more than the standard deviation.
"""

from __future__ import annotations

import time

import numpy as np
from user_models.series import local_trend

import vi

NAMES = ("sd_slope", "sd_level", "sigma")

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)

GRID = ((-9.0, 1.5, 46), (-7.0, 1.5, 46), (-5.0, 1.0, 36))
"""From where to where logarithms of the scales go, beside that of the data's steps, and points."""


def main() -> None:
    model = local_trend()
    exact = moments(np.asarray(model.rvs_to_values[model["y"]].data))
    began = time.process_time()
    approx = vi.fit(model=model, random_seed=1, progressbar=False)
    seconds = time.process_time() - began
    layout, draws = approx.record.layout, approx.sample(10_000, random_seed=1)["posterior"]
    mean, std = approx.mean.eval(), approx.std.eval()
    print(f"{approx.diagnosis}\n{seconds:.0f} processor seconds")
    for name, (exact_mean, exact_sd, quantiles) in zip(NAMES, exact, strict=True):
        at = layout[name].start
        off = (mean[at] - exact_mean) / exact_sd, np.log(std[at] / exact_sd)
        print(f"log {name}: {exact_mean:.2f} +- {exact_sd:.2f}; off by {off[0]:.2f} / {off[1]:.2f}")
        drawn = np.quantile(np.log(draws[name].to_numpy().ravel()), QUANTILES)
        told = ", ".join(f"{a:.2f} ({b:.2f})" for a, b in zip(drawn, quantiles, strict=True))
        print(f"    quantiles at {', '.join(map(str, QUANTILES))}, exact in brackets: {told}")


def moments(y: np.ndarray) -> list[tuple[float, float, np.ndarray]]:
    """Mean, sd and quantiles of the logarithm of each scale."""
    n, steps = len(y), np.diff(y).std()
    level = np.tril(np.ones((n, n)), -1)[:, : n - 1]  # a level from the steps before it
    slopes = level @ np.tril(np.ones((n - 1, n - 1)))  # and from the steps of slopes
    first = np.var(y) * np.ones((n, n)) + steps**2 * np.outer(slopes[:, 0], slopes[:, 0])
    of_slopes, of_levels = slopes[:, 1:] @ slopes[:, 1:].T, level @ level.T
    widest = np.array([0.5 * steps, steps, steps])

    def log_p(at: np.ndarray) -> float:
        squares = np.exp(2 * at)
        cov = first + squares[0] * of_slopes + squares[1] * of_levels + squares[2] * np.eye(n)
        factor = np.linalg.cholesky(cov / steps**2)
        left = np.linalg.solve(factor, (y - y[0]) / steps)
        prior = at.sum() - 0.5 * np.sum(squares / widest**2)
        return float(prior - 0.5 * left @ left - np.log(np.diag(factor)).sum())

    axes = [np.log(steps) + np.linspace(*ends) for ends in GRID]
    values = np.array(
        [[[log_p(np.array([a, b, c])) for c in axes[2]] for b in axes[1]] for a in axes[0]]
    )
    density = np.exp(values - values.max())
    found = []
    for number, axis in enumerate(axes):
        others = tuple(i for i in range(3) if i != number)
        weight = density.sum(axis=others) / density.sum()
        mean = float(weight @ axis)
        quantiles = np.interp(QUANTILES, np.cumsum(weight) - 0.5 * weight, axis)
        found.append((mean, float(np.sqrt(weight @ (axis - mean) ** 2)), quantiles))
    return found


if __name__ == "__main__":
    main()
