"""Moments of q by name, with dims and labels."""

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi
from vi.families import FullRank


@pytest.fixture(scope="module")
def approx():
    with pm.Model(coords={"g": ["a", "b", "c"], "k": [1, 2]}) as model:
        pm.Dirichlet("p", np.ones(3), dims="g")
        pm.HalfNormal("s", dims=("k", "g"))
        pm.Normal("x", shape=4)
        pm.Normal("mu")
    made = vi.FullRank(model=model, random_seed=1, dtype="float32")
    cov = np.diag(np.arange(1.0, 14.0) ** 2) + 0.5
    params = FullRank().at(jnp.arange(13.0), jnp.asarray(np.linalg.cholesky(cov)))
    return made.set_params(params), cov


@pytest.mark.parametrize("moment", ["mean", "std"])
def test_values_lie_where_the_layout_has_them(approx, moment):
    made, cov = approx
    found = getattr(made, f"{moment}_data")
    expected = np.arange(13.0) if moment == "mean" else np.sqrt(np.diag(cov))
    assert set(found) == {"p_simplex__", "s_log__", "x", "mu"}
    for slot in made.layout:
        value = found[slot.value_name]
        assert value.shape == slot.shape
        assert value.dtype == np.float32
        np.testing.assert_allclose(value.values.ravel(), expected[slot.slice], rtol=1e-6)


def test_labels_are_those_of_the_model_where_they_fit(approx):
    found = approx[0].mean_data
    assert found["s_log__"].dims == ("k", "g")
    assert found["s_log__"].sel(k=2, g="c").item() == found["s_log__"].values[1, 2]
    assert found["p_simplex__"].dims == ("p_simplex___dim_0",)  # an entry less than g
    assert found["x"].dims == ("x_dim_0",)
    assert found["mu"].dims == ()
