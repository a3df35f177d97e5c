"""Libraries on top of PyMC, by their own calls: their VI, ours inside `vi.as_pm_fit`, and NUTS.

python neighbours.py hssm        (mmm, clv, marginal or statespace; each in an environment that
                                  has the library: make test-neighbours makes them)
"""

# %%
import argparse
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

import vi

NUTS = {"draws": 1000, "tune": 1000, "chains": 2, "cores": 1}
type Draws = xr.DataTree


# %% what is fitted, and in which ways
@dataclass(frozen=True)
class Case:
    """A model of a neighbour's, what is compared, and its fits by what the table calls them.

    A way takes further arguments of the neighbour's call (`draws=`); NUTS is the first one.
    """

    names: list[str]
    ways: dict[str, Callable[..., Draws]]
    after: Callable[[], None] | None = None
    model: pm.Model | None = None


# %% the comparison: in standard deviations of NUTS, at the worst parameter
def worst(draws: Draws, reference: Draws, names: list[str]) -> tuple[float, float, float]:
    """The largest error of a mean, and the smallest and largest ratio of standard deviations."""
    shift, ratio = [], []
    for name in names:
        ours, theirs = (tree["posterior"][name] for tree in (draws, reference))
        over = ("chain", "draw")
        shift.append((abs(ours.mean(over) - theirs.mean(over)) / theirs.std(over)).max())
        ratio += [*np.ravel(ours.std(over) / theirs.std(over))]
    return float(max(shift)), float(min(ratio)), float(max(ratio))


def compare(case: Case) -> None:
    """Run each way, NUTS first, and print what the others come to beside it."""
    reference, lines = None, [f"{'':<34}{'means off by':>14}{'sds times':>16}"]
    for label, run in case.ways.items():
        start = time.perf_counter()
        draws = run()
        seconds = time.perf_counter() - start
        if reference is None:
            reference = draws
            lines.append(f"{label:<34}{'':>14}{'':>16}{seconds:8.0f} s")
            continue
        shift, low, high = worst(draws, reference, case.names)
        lines.append(f"{label:<34}{shift:14.2f}{f'{low:.2f} to {high:.2f}':>16}{seconds:8.0f} s")
        if "verdict" in draws.attrs:
            lines.append(f"its verdict: {draws.attrs['verdict']}")
    print(*lines, sep="\n")
    if case.after is not None:
        case.after()


def judged(draws: Draws, approx: object) -> Draws:
    """Draws that carry the verdict of a fit that has one."""
    if getattr(approx, "diagnosis", None) is not None:
        draws.attrs["verdict"] = approx.diagnosis.verdict
    return draws


# %% HSSM: a drift diffusion model of 500 decisions
def hssm() -> Case:
    import hssm

    data = hssm.simulate_data(
        model="ddm", theta={"v": 0.5, "a": 1.5, "z": 0.5, "t": 0.3}, size=500, random_state=1
    )

    def fitted(method: str = "advi", **options: object) -> Draws:
        return hssm.HSSM(data=data, model="ddm").vi(
            method=method, random_seed=1, progressbar=False, **options
        )

    def ours(*args: object, **options: object) -> Draws:
        with vi.as_pm_fit(*args, backend="auto") as fits:
            draws = fitted(**options)
        return judged(draws, fits[-1])

    def nuts(**options: object) -> Draws:
        model = hssm.HSSM(data=data, model="ddm")
        return model.sample(**NUTS | {"random_seed": 1, "progressbar": False} | options)

    return Case(
        ["v", "a", "z", "t"],
        {
            "NUTS": nuts,
            '.vi("advi"), PyMC': fitted,
            '.vi("advi"), vi': ours,
            '.vi("fullrank_advi"), vi': partial(ours, method="fullrank_advi"),
            'as_pm_fit("auto")': partial(ours, "auto"),
        },
    )


# %% pymc-marketing: a media mix of two channels over 120 weeks
def mmm() -> Case:
    from pymc_marketing.mmm import MMM, GeometricAdstock, LogisticSaturation

    rng = np.random.default_rng(0)
    n, lags = 120, np.arange(8)
    X = pd.DataFrame({"date": pd.date_range("2022-01-03", periods=n, freq="W-MON")})
    for channel in ("tv", "radio"):
        X[channel] = rng.gamma(2, 1, n)

    def carried(spend: np.ndarray, rate: float) -> np.ndarray:
        return np.convolve(spend / spend.max(), rate**lags / (rate**lags).sum())[:n]

    y = 2 + 1.5 * np.tanh(1.5 * carried(X["tv"], 0.4)) + 0.8 * np.tanh(carried(X["radio"], 0.6))
    y = pd.Series(y + rng.normal(0, 0.1, n), name="y")
    fitted = Marketing(
        lambda: MMM(
            date_column="date",
            channel_columns=["tv", "radio"],
            adstock=GeometricAdstock(l_max=8),
            saturation=LogisticSaturation(),
        ),
        lambda model, options: model.fit(X, y, **options),
    )
    names = ["intercept_contribution", "adstock_alpha", "saturation_lam", "saturation_beta"]

    def predict() -> None:
        predicted = fitted.last.sample_posterior_predictive(X, random_seed=1, progressbar=False)
        means = predicted["y"].mean("sample").values
        print(f"correlation of predictions and data {np.corrcoef(means, y)[0, 1]:.2f}")

    return Case([*names, "y_sigma"], _ways(fitted), predict)


# %% pymc-marketing: which of 200 customers are still alive
def clv() -> Case:
    from pymc_marketing.clv import BetaGeoModel

    rng = np.random.default_rng(0)
    n = 200
    rate, leave = rng.gamma(1.2, 1 / 4.0, n), rng.beta(0.8, 2.4, n)
    rows = []
    for i in range(n):
        length, at, count = rng.uniform(20, 40), 0.0, 0
        while True:
            wait = rng.exponential(1 / rate[i])
            if at + wait > length:
                break
            at, count = at + wait, count + 1
            if rng.random() < leave[i]:
                break
        rows.append({"customer_id": i, "frequency": count, "recency": at, "T": length})
    data = pd.DataFrame(rows)
    fitted = Marketing(BetaGeoModel, lambda model, options: model.fit(data, **options))

    def predict() -> None:
        alive = fitted.last.expected_probability_alive(data).mean()
        print(f"alive {float(alive):.3f}")

    return Case(["alpha", "r", "a", "b"], _ways(fitted), predict)


class Marketing:
    """Fits one model of pymc-marketing after the other, and keeps the last."""

    def __init__(self, make: Callable, fit: Callable) -> None:
        self.make, self.fit, self.last = make, fit, None

    def __call__(self, **options: object) -> Draws:
        self.last = self.make()
        return self.fit(self.last, {"progressbar": False, "random_seed": 1} | options)


def _ways(fitted: Marketing) -> dict[str, Callable[..., Draws]]:
    def ours(*args: object, method: str = "advi", **options: object) -> Draws:
        with vi.as_pm_fit(*args) as fits:
            draws = fitted(method=method, **options)
        return judged(draws, fits[-1])

    return {
        "NUTS": lambda **options: fitted(**NUTS | options),
        '.fit(method="advi"), PyMC': partial(fitted, method="advi"),
        '.fit(method="advi"), vi': ours,
        '.fit(method="fullrank_advi"), vi': partial(ours, method="fullrank_advi"),
        'as_pm_fit("auto")': partial(ours, "auto"),
    }


# %% pymc-extras: models that it makes are PyMC models
def marginal() -> Case:
    """Two normals: the component of each of 100 rows is summed out."""
    from pymc_extras import marginalize

    rng = np.random.default_rng(0)
    y = np.where(rng.random(100) < 0.3, rng.normal(-1, 0.5, 100), rng.normal(2, 0.5, 100))
    with pm.Model() as model:
        p = pm.Beta("p", 1, 1)
        mu = pm.Normal("mu", [-1.0, 2.0], 0.5, shape=2)
        sigma = pm.HalfNormal("sigma", 1)
        component = pm.Bernoulli("component", p, shape=100)
        pm.Normal("y", mu[component], sigma, observed=y)
    return of_model(marginalize(model, ["component"]), ["p", "mu", "sigma"])


def statespace() -> Case:
    """A level that walks, through a Kalman filter."""
    from pymc_extras.statespace import structural

    rng = np.random.default_rng(0)
    y = pd.DataFrame(
        {"y": np.cumsum(rng.normal(0, 0.3, 100)) + rng.normal(0, 0.5, 100)},
        index=pd.date_range("2020-01-01", periods=100, freq="D"),
    )
    level = structural.LevelTrend(order=1, innovations_order=1)
    built = (level + structural.MeasurementError(name="noise")).build(verbose=False)
    with pm.Model(coords=built.coords) as model:
        pm.Normal("initial_level_trend", 0, 1, dims=built.param_dims["initial_level_trend"])
        pm.HalfNormal("sigma_level_trend", 1, dims=built.param_dims["sigma_level_trend"])
        pm.HalfNormal("sigma_noise", 1)
        pm.Deterministic("P0", pt.eye(built.k_states) * 10.0, dims=built.param_dims["P0"])
        built.build_statespace_graph(y)
    return of_model(model, ["initial_level_trend", "sigma_level_trend", "sigma_noise"])


def of_model(model: pm.Model, names: list[str]) -> Case:
    """A PyMC model by itself: `pm.fit` and `vi.fit`."""

    def fitted(fit: Callable, draws: int = 2000, **options: object) -> Draws:
        with model:
            approx = fit(random_seed=1, progressbar=False, **options)
        return judged(approx.sample(draws, random_seed=1), approx)

    def nuts(**options: object) -> Draws:
        return pm.sample(
            **NUTS | {"model": model, "random_seed": 1, "progressbar": False} | options
        )

    return Case(
        names,
        {
            "NUTS": nuts,
            "pm.fit()": partial(fitted, pm.fit),
            'vi.fit(method="fullrank_advi")': partial(fitted, vi.fit, method="fullrank_advi"),
            "vi.fit()": partial(fitted, vi.fit),
        },
        model=model,
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for noisy in ("vi", "pymc", "hssm", "pymc_extras"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__)
    PROGRAMS = {f.__name__: f for f in (hssm, mmm, clv, marginal, statespace)}
    parser.add_argument("name", choices=PROGRAMS)
    compare(PROGRAMS[parser.parse_args().name]())
