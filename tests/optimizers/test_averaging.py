"""Every registered average of iterates: it starts at the parameters and stays in their hull."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi
from vi.optimizers import AVERAGINGS, PolynomialAverage


@pytest.mark.parametrize("name", list(AVERAGINGS))
def test_contract(name, rng):
    average = AVERAGINGS[name]()
    assert average == AVERAGINGS[name]()
    assert hash(average) == hash(AVERAGINGS[name]())
    iterates = rng.normal(size=(50, 3)).astype(np.float32)
    state = average.init({"mu": jnp.asarray(iterates[0])})
    np.testing.assert_array_equal(average.value(state)["mu"], iterates[0])
    for iterate in iterates:
        state = average.update(state, {"mu": jnp.asarray(iterate)})
    value = np.asarray(average.value(state)["mu"])
    assert value.dtype == np.float32
    assert np.all((iterates.min(axis=0) <= value) & (value <= iterates.max(axis=0)))


@pytest.mark.parametrize("eta", [0.0, 3.0])
def test_polynomial_weights(eta, rng):
    """Iterate t ends with a weight proportional to Gamma(t + eta) / Gamma(t), here for t <= 6."""
    iterates = rng.normal(size=6)
    average = PolynomialAverage(eta=eta)
    state = average.init({"mu": jnp.zeros(())})
    for iterate in iterates:
        state = average.update(state, {"mu": jnp.asarray(iterate)})
    weights = np.array([np.prod(t + np.arange(int(eta))) for t in range(1, 7)], float)
    expected = np.average(iterates, weights=weights)
    np.testing.assert_allclose(average.value(state)["mu"], expected, rtol=1e-5)


@pytest.mark.parametrize("eta", [-1.0, np.nan, np.inf, "8"])
def test_bad_settings(eta):
    with pytest.raises(ValueError, match=r"PolynomialAverage\(eta=.*at least 0"):
        PolynomialAverage(eta=eta)


def test_names_classes_and_objects():
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    fits = [
        vi.fit(5, "advi", model, averaging=given, random_seed=1, progressbar=False)
        for given in ("auto", "polynomial", PolynomialAverage, PolynomialAverage(), None)
    ]
    for fit in fits[1:4]:
        np.testing.assert_array_equal(fit.mean.eval(), fits[0].mean.eval())
    assert not np.array_equal(fits[4].mean.eval(), fits[0].mean.eval())
    with pytest.raises(ValueError, match=r"averaging='mean' is unknown; use 'auto', None, 'poly"):
        vi.fit(5, "advi", model, averaging="mean")
