"""Each family of Bambi: its predictions from our draws are the PyMC model's own parameters."""

from __future__ import annotations

import numpy as np
import pytest

import vi

bmb = pytest.importorskip("bambi")
pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.neighbour

FORMULAS = {
    "asymmetriclaplace": "real ~ x",
    "bernoulli": "won ~ x * kind",
    "beta": "unit ~ x",
    "beta_binomial": "p(wins, of) ~ x",
    "binomial": "p(wins, of) ~ x",
    "categorical": "choice ~ x + kind",
    "cumulative": "grade ~ x",
    "dirichlet_multinomial": "c(first, second, third) ~ x",
    "exgaussian": "real ~ x",
    "exponential": "positive ~ x",
    "gamma": "positive ~ x",
    "gaussian": "real ~ x + z + kind",
    "hurdle_gamma": "some_zero ~ x",
    "hurdle_lognormal": "some_zero ~ x",
    "hurdle_negativebinomial": "count ~ x",
    "hurdle_poisson": "count ~ x",
    "laplace": "real ~ x",
    "lognormal": "positive ~ x",
    "multinomial": "c(first, second, third) ~ x",
    "negativebinomial": "count ~ x",
    "poisson": "count ~ x + (x|g)",
    "sratio": "grade ~ x",
    "t": "real ~ x",
    "vonmises": "angle ~ x",
    "wald": "positive ~ x",
    "weibull": "positive ~ x",
    "zero_inflated_binomial": "p(wins, of) ~ x",
    "zero_inflated_negativebinomial": "count ~ x",
    "zero_inflated_poisson": "count ~ x",
}

START = {"gamma": {"Intercept": 1.0}, "wald": {"Intercept": 1.0}}
"""Of families whose default link is 1 / mu at a start of 0."""


def below(p):
    """Probabilities of each grade and those below it, but the last."""
    return np.cumsum(p, -1)[..., :-1]


IN_THE_MODEL = {
    "cumulative": below,
    "sratio": lambda p: p.values[..., :-1] / (1.0 - below(p) + p.values[..., :-1]),
}
"""What the PyMC model has of these families under the name of the probabilities."""


def rows(n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 1.0, n)
    positive = np.exp(0.2 + 0.3 * x + rng.normal(0.0, 0.3, n))
    wins = rng.binomial(10, 0.4, n)
    return pd.DataFrame(
        {
            "x": x,
            "z": rng.normal(-1.0, 2.0, n),
            "g": [f"g{i % 6}" for i in range(n)],
            "kind": pd.Categorical(rng.choice(list("abc"), n)),
            "real": 1.0 + 0.5 * x + rng.normal(0.0, 0.5, n),
            "positive": positive,
            "some_zero": np.where(rng.random(n) < 0.3, 0.0, positive),
            "unit": 1.0 / (1.0 + np.exp(-rng.normal(0.2, 0.5, n))),
            "count": rng.poisson(positive),
            "won": rng.integers(0, 2, n),
            "choice": pd.Categorical(rng.choice(list("uvw"), n)),
            "grade": pd.Categorical(rng.choice([1, 2, 3], n), ordered=True),
            "wins": wins,
            "of": 10,
            "angle": rng.vonmises(0.0, 2.0, n),
            "first": wins,
            "second": 10 - wins,
            "third": 5,
        }
    )


def test_the_formulas_are_those_of_bambis_families():
    from bambi.defaults.families import BUILTIN_FAMILIES

    assert FORMULAS.keys() == BUILTIN_FAMILIES.keys()


@pytest.mark.few(2)
@pytest.mark.parametrize("family", FORMULAS)
def test_predictions_are_the_models_own(family):
    model = bmb.Model(FORMULAS[family], rows(), family=family)
    draws = vi.bambi.fit(
        model,
        method="advi",
        n=30,
        draws=10,
        start=START.get(family),
        random_seed=1,
        progressbar=False,
    )
    name = model.family.likelihood.parent
    raw = model.backend.vi_approx.sample(10, random_seed=1)["posterior"]
    model.predict(draws)
    predicted = draws["posterior"][name]
    if name in raw:
        assert np.allclose(IN_THE_MODEL.get(family, np.asarray)(predicted), raw[name])
    assert np.isfinite(predicted).all()
