"""Log densities that cannot be differentiated, and models in their place, are said to be such."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vi


def called_back(z):
    return jax.pure_callback(lambda x: np.float32(-x @ x), jax.ShapeDtypeStruct((), jnp.float32), z)


def looped(z):
    def more(carry):
        return carry[0] + 1, carry[1] - z @ z

    return jax.lax.while_loop(lambda carry: carry[0] < 3, more, (0, jnp.zeros(())))[1]


@pytest.mark.parametrize("function", [called_back, looped])
def test_what_jax_cannot_differentiate(function):
    with pytest.raises(
        ValueError, match=r"JAX cannot differentiate the log density: .*lax\.scan.*custom_vjp"
    ):
        vi.targets.from_function(function, jnp.zeros(2))


def test_a_derivative_of_its_own_is_one():
    @jax.custom_vjp
    def own(z):
        return called_back(z)

    own.defvjp(lambda z: (called_back(z), z), lambda z, g: (-2 * g * z,))
    vi.targets.from_function(own, jnp.zeros(2, "float32"))
    vi.targets.from_function(
        lambda z: jax.lax.fori_loop(0, 3, lambda i, s: s - z @ z, jnp.zeros(())), jnp.zeros(2)
    )


def test_a_numpyro_model_is_no_log_density():
    numpyro = pytest.importorskip("numpyro")

    def model(params):
        numpyro.sample("mu", numpyro.distributions.Normal(0, 1))

    with pytest.raises(TypeError, match=r"is a NumPyro model.*from_numpyro\(model"):
        vi.targets.from_function(model, {"mu": jnp.zeros(())})
