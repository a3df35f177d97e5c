"""Verdicts against true errors: fits that are right, and fits made bad on purpose.

    python verdicts.py [--seeds 1 2 3] [--only NAME ...]

Every target has known moments, in closed form, from a grid or from many exact draws. The error of a
fit is the largest, over the unconstrained coordinates, of the means' in standard deviations of the
target and of the logarithms of the standard deviations. No fit with an error above 0.3 may be good,
none with one above 1 "means only" (whose sds are not claimed: the error of means counts there);
of those with errors below 0.1 at least four fifths should be good.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pymc as pm

import vi


class Moments(NamedTuple):
    """Means and standard deviations of the unconstrained coordinates."""

    mean: np.ndarray
    sd: np.ndarray


class Case(NamedTuple):
    """A target with its moments, and the fits of it by name: functions of a seed."""

    truth: Callable[[], Moments]
    model: Callable[[], pm.Model]
    fits: dict[str, Callable[[pm.Model, int], vi.Approximation]]


def by(method: str, n: int | None = None, **options: object) -> Callable[..., vi.Approximation]:
    """A fit by ``vi.fit``."""

    def fit(model: pm.Model, seed: int) -> vi.Approximation:
        steps = {} if n is None else {"n": n}
        return vi.fit(
            method=method, model=model, random_seed=seed, progressbar=False, **steps, **options
        )

    return fit


def at(mean: object, sd: object) -> Callable[..., vi.Approximation]:
    """Independent normals that are put somewhere rather than fitted."""

    def fit(model: pm.Model, seed: int) -> vi.Approximation:
        approx = vi.MeanField(model=model, random_seed=seed)
        sds = np.broadcast_to(np.asarray(sd, float), (approx.ndim,))
        means = np.broadcast_to(np.asarray(mean, float), (approx.ndim,))
        return approx.set_params({"mu": means, "rho": np.log(np.expm1(sds))})

    return fit


def collapsed(sd: float) -> Callable[..., vi.Approximation]:
    """A right fit of which one standard deviation has been made small."""

    def fit(model: pm.Model, seed: int) -> vi.Approximation:
        approx = by("advi")(model, seed)
        rho = np.array(approx.reported["rho"])
        rho[0] = np.log(np.expm1(sd * float(approx.std.eval()[0])))
        return approx.set_params({"rho": rho})

    return fit


GOOD = {"advi": by("advi"), "fullrank_advi": by("fullrank_advi"), "laplace": by("laplace")}
SHORT = {f"{m}, 100 steps": by(m, 100) for m in ("advi", "fullrank_advi")}
SHORT |= {"advi, 1000 steps": by("advi", 1000)}
ALL = GOOD | SHORT | {"dadvi": by("dadvi"), "pathfinder": by("pathfinder")}


def normal(dim: int, correlation: float) -> Case:
    """Equicorrelated, with scales over three orders of magnitude."""
    scale, mean = np.logspace(-1, 2, dim), np.arange(dim) - 1.0
    cov = np.full((dim, dim), correlation) + (1 - correlation) * np.eye(dim)

    def model() -> pm.Model:
        with pm.Model() as built:
            pm.MvNormal("x", mean, cov * np.outer(scale, scale))
        return built

    return Case(lambda: Moments(mean, scale), model, ALL | {"collapsed sd": collapsed(0.05)})


def grid_moments(model: pm.Model, centre: np.ndarray, width: np.ndarray, points: int) -> Moments:
    """Of a target in two dimensions, by its values on a grid."""
    axes = [np.linspace(c - w, c + w, points) for c, w in zip(centre, width, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    log_p = vi.MeanField(model=model).logp(grid)
    weights = np.exp(log_p - log_p.max())
    weights /= weights.sum()
    mean = weights @ grid
    return Moments(mean, np.sqrt(weights @ (grid - mean) ** 2))


def logistic() -> Case:
    """Regression of 80 rows on two columns that go together."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 2)) @ np.array([[1.0, 0.3], [0.0, 1.0]])
    y = rng.binomial(1, 1 / (1 + np.exp(-x @ np.array([1.0, -0.5]))))

    def model() -> pm.Model:
        with pm.Model() as built:
            beta = pm.Normal("beta", 0.0, 2.0, shape=2)
            pm.Bernoulli("y", logit_p=(x * beta).sum(axis=-1), observed=y)
        return built

    return Case(
        lambda: grid_moments(model(), np.array([1.0, -0.5]), np.array([5.0, 5.0]), 301), model, ALL
    )


def mean_and_scale() -> Case:
    """Fifty rows of a normal of unknown mean and scale."""
    y = np.random.default_rng(2).normal(3.0, 2.0, 50)

    def model() -> pm.Model:
        with pm.Model() as built:
            mu = pm.Normal("mu", 0.0, 10.0)
            sigma = pm.HalfNormal("sigma", 5.0)
            pm.Normal("y", mu, sigma, observed=y)
        return built

    centre, width = np.array([3.0, np.log(2.0)]), np.array([3.0, 1.2])
    return Case(lambda: grid_moments(model(), centre, width, 301), model, ALL)


def modes(left: float, apart: float) -> Case:
    """Two normals in three dimensions, of weights left and 1 - left."""
    places = np.zeros((2, 3))
    places[:, 0] = -apart, apart
    weights = np.array([left, 1 - left])

    def model() -> pm.Model:
        with pm.Model() as built:
            parts = [pm.MvNormal.dist(place, np.eye(3)) for place in places]
            pm.Mixture("x", weights, parts)
        return built

    mean = weights @ places
    variance = 1.0 + weights @ (places - mean) ** 2
    fits = {
        "at the left mode": at(places[0], 1.0),
        "at the right mode": at(places[1], 1.0),
        "over both": at(mean, np.sqrt(variance)),
        "at the saddle": at(0.0, 1.0),
        "advi": by("advi"),
        "advi, 4 restarts": by("advi", restarts=4),
        "laplace": by("laplace"),
    }
    return Case(lambda: Moments(mean, np.sqrt(variance)), model, fits)


def funnel() -> Case:
    """Neal's, with the scale on log tau: its sds are 1.5 and those of a normal's scale mixture."""

    def model() -> pm.Model:
        with pm.Model() as built:
            v = pm.Normal("v", 0.0, 1.5)
            pm.Normal("x", 0.0, pm.math.exp(v / 2), shape=5)
        return built

    sd = np.r_[1.5, np.full(5, np.exp(1.5**2 / 4))]
    return Case(
        lambda: Moments(np.zeros(6), sd), model, ALL | {"deep down": at([-4, *[0] * 5], 0.13)}
    )


def ridge() -> Case:
    """A product of a scale and offsets known well, the parts of it not; non-centred, 20 groups."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(20), 25)
    y = 5.0 + 2.0 * rng.normal(size=20)[groups] + 0.3 * rng.normal(size=500)

    def model() -> pm.Model:
        with pm.Model() as built:
            a, s = pm.Normal("a", 0.0, 10.0), pm.HalfNormal("s", 5.0)
            z = pm.Normal("z", 0.0, 1.0, shape=20)
            pm.Normal("y", a + s * z[groups], 0.3, observed=y)
        return built

    # given a and s, the means of the groups are normal: a grid over both, offsets in closed form
    m, v = np.array([y[groups == g].mean() for g in range(20)]), 0.3**2 / 25

    def truth() -> Moments:
        a, log_s = (
            grid.ravel() for grid in np.meshgrid(np.linspace(0, 10, 401), np.linspace(-1, 3, 401))
        )
        s2 = np.exp(2 * log_s)
        log_p = -0.5 * (a / 10) ** 2 - 0.5 * s2 / 25 + log_s
        log_p -= 0.5 * np.sum((m[:, None] - a) ** 2, axis=0) / (s2 + v) + 10 * np.log(s2 + v)
        w = np.exp(log_p - log_p.max())
        w /= w.sum()
        z = np.sqrt(s2) * (m[:, None] - a) / (s2 + v)
        parts = np.vstack([a, log_s, z])
        mean = parts @ w
        variance = (parts - mean[:, None]) ** 2 @ w
        variance[2:] += w @ (v / (s2 + v))
        return Moments(mean, np.sqrt(variance))

    fits = ALL | {
        "advi, 3000 steps": by("advi", 3000),
        "full rank, 1000": by("fullrank_advi", 1000),
    }
    return Case(truth, model, fits)


def wide_exponent() -> Case:
    """A log-normal of sd 3 in a normal's place: x = exp(3 z), seen through its value."""

    def model() -> pm.Model:
        with pm.Model() as built:
            z = pm.Normal("z", 0.0, 3.0)
            w = pm.Normal("w", 0.0, 1.0)
            pm.Normal("y", pm.math.exp(z) * 0.1 + w, 0.1, observed=0.5)
        return built

    centre, width = np.array([-3.0, 0.0]), np.array([11.0, 5.0])
    return Case(lambda: grid_moments(model(), centre, width, 1001), model, ALL)


def skewed() -> Case:
    """Independent logarithms of Gamma(2, 1)."""
    from scipy.special import digamma, polygamma

    def model() -> pm.Model:
        with pm.Model() as built:
            pm.Gamma("x", 2.0, 1.0, shape=5)
        return built

    truth = Moments(np.full(5, digamma(2.0)), np.full(5, np.sqrt(polygamma(1, 2.0))))
    return Case(lambda: truth, model, ALL)


def hierarchy() -> Case:
    """Centred, eight groups of one row: the density has no bound where the group sd goes to 0."""
    y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    s = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

    def model() -> pm.Model:
        with pm.Model() as built:
            mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfCauchy("tau", 5.0)
            theta = pm.Normal("theta", mu, tau, shape=8)
            pm.Normal("y", theta, s, observed=y)
        return built

    def truth() -> Moments:
        mu, log_t = (
            grid.ravel()
            for grid in np.meshgrid(np.linspace(-25, 30, 401), np.linspace(-12, 6, 601))
        )
        t2 = np.exp(2 * log_t)
        log_p = -0.5 * (mu / 5) ** 2 - np.log1p(t2 / 25) + log_t
        total = t2 + s[:, None] ** 2
        log_p -= 0.5 * np.sum((y[:, None] - mu) ** 2 / total + np.log(total), axis=0)
        w = np.exp(log_p - log_p.max())
        w /= w.sum()
        theta = mu + t2 / total * (y[:, None] - mu)
        parts = np.vstack([mu, log_t, theta])
        mean = parts @ w
        variance = (parts - mean[:, None]) ** 2 @ w
        variance[2:] += (t2 * s[:, None] ** 2 / total) @ w
        return Moments(mean, np.sqrt(variance))

    pit = at([4.0, -5.0, *[4.0] * 8], [3.0, 0.3, *[np.exp(-5.0)] * 8])
    fits = {name: fit for name, fit in ALL.items() if name != "laplace"}
    return Case(truth, model, fits | {"in the pit": pit})


CASES: dict[str, Callable[[], Case]] = {
    "normal, D=1": lambda: normal(1, 0.0),
    "normal, D=5": lambda: normal(5, 0.0),
    "normal, D=30": lambda: normal(30, 0.0),
    "correlated, D=5": lambda: normal(5, 0.8),
    "correlated, D=20": lambda: normal(20, 0.9),
    "logistic": logistic,
    "mean and scale": mean_and_scale,
    "skewed": skewed,
    "two modes": lambda: modes(0.3, 6.0),
    "a far small mode": lambda: modes(0.02, 8.0),
    "near modes": lambda: modes(0.5, 2.0),
    "funnel": funnel,
    "ridge": ridge,
    "wide exponent": wide_exponent,
    "centred hierarchy": hierarchy,
}


def errors(approx: vi.Approximation, truth: Moments) -> tuple[float, float]:
    """The largest errors of means, in standard deviations, and of log sds."""
    mean, sd = approx.mean.eval(), approx.std.eval()
    return (
        float(np.max(np.abs(mean - truth.mean) / truth.sd)),
        float(np.max(np.abs(np.log(sd / truth.sd)))),
    )


def main() -> None:
    """Print a line a fit, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", nargs="+", default=list(CASES))
    options = parser.parse_args()
    logging.getLogger("vi").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    rows = []
    print("| target | fit | seed | mean off by | log sd off by | verdict | gradients | s | why |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.only:
        case = CASES[name]()
        model, truth = case.model(), case.truth()
        for label, fit in case.fits.items():
            for seed in options.seeds:
                try:
                    approx = fit(model, seed)
                except (ValueError, FloatingPointError) as error:
                    print(
                        f"| {name} | {label} | {seed} | | | refused: {type(error).__name__} | | | |"
                    )
                    continue
                mean, sd = errors(approx, truth)
                begin = time.perf_counter()
                found = approx.diagnose()
                seconds = time.perf_counter() - begin
                rows.append((mean, sd, found.verdict))
                print(
                    f"| {name} | {label} | {seed} | {mean:.2f} | {sd:.2f} | {found.verdict} | "
                    f"{found.gradients:,} | {seconds:.1f} | {found.why} |",
                    flush=True,
                )
    worst = [max(mean, sd) for mean, sd, _ in rows]
    good = [verdict == "good" for *_, verdict in rows]
    right = [g for w, g in zip(worst, good, strict=True) if w < 0.1]
    print()
    print("wrong 'good':", sum(g and w > 0.3 for w, g in zip(worst, good, strict=True)))
    print("wrong 'means only':", sum(v == "means only" and mean > 1 for mean, _, v in rows))
    print(f"of {len(right)} with errors below 0.1 are good: {sum(right)}")


if __name__ == "__main__":
    main()
