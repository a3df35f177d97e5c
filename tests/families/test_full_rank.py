"""The frame of a dense covariance: steps in it do not depend on the covariance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vi
from vi.families import FullRank, Laplace, MultivariateT, Normal
from vi.families.full_rank import LARGEST_FRAME
from vi.foundation.precision import precision
from vi.objectives import ESTIMATORS

DIM = 4


def _params(seed, base=None):
    rng = np.random.default_rng(seed)
    factor = np.tril(rng.normal(size=(DIM, DIM)))
    np.fill_diagonal(factor, np.exp(rng.normal(size=DIM)))
    family = FullRank() if base is None else FullRank(base)
    return family, family.at(jnp.asarray(rng.normal(size=DIM)), jnp.asarray(factor))


@pytest.mark.parametrize("base", [None, MultivariateT(df=5.0)])
def test_a_step_in_the_frame_moves_q_alike_whatever_its_covariance(base):
    """Standardised by the old q, the new one depends on the step alone: mu + s L d, L (I + T)."""
    rng = np.random.default_rng(5)
    step = {"mu": rng.normal(size=DIM), "L_tril": 0.1 * rng.normal(size=DIM * (DIM + 1) // 2)}
    step = {name: jnp.asarray(value) for name, value in step.items()}
    seen = []
    with precision(np.dtype("float64")):
        for seed in range(3):
            family, params = _params(seed, base)
            change = family.frame(params).change(step)
            new = {name: value + change[name] for name, value in params.items()}
            old = family.base.std * family.scale_tril(params)
            shift = jax.scipy.linalg.solve_triangular(old, new["mu"] - params["mu"], lower=True)
            turn = jax.scipy.linalg.solve_triangular(
                old, family.base.std * family.scale_tril(new), lower=True
            )
            seen.append((np.asarray(shift), np.asarray(turn)))
    for shift, turn in seen:
        np.testing.assert_allclose(shift, step["mu"], rtol=1e-9)
        np.testing.assert_allclose(turn, seen[0][1], rtol=1e-8, atol=1e-10)


def test_large_dimensions_have_no_frame():
    family = FullRank()
    size = LARGEST_FRAME + 1
    with precision(np.dtype("float64")):
        params = family.init(jnp.zeros(size), jnp.ones(size), jax.random.key(0))
    assert family.frame(params) is None


def test_diagonals_stay_positive_however_long_the_step():
    with precision(np.dtype("float64")):
        family, params = _params(0)
        steps = jnp.full(DIM * (DIM + 1) // 2, -50.0)
        change = family.frame(params).change({"mu": jnp.zeros(DIM), "L_tril": steps})
        new = family.scale_tril({name: params[name] + change[name] for name in params})
    assert np.all(np.diag(new) > 0)


@pytest.mark.few(1)
@pytest.mark.parametrize("correlation", [0.0, 0.999])
def test_full_rank_is_as_exact_with_correlation_as_without(correlation):
    """Iterates in the frame take the same path with either correlation.

    Sticking the landing has no noise at a normal posterior, so that iterates end there; their
    average still holds those of the way, with weights of (t / n)^8: of a way of 1,500 steps 2e-3.
    """
    cov = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
    scales = np.array([1e-2, 1.0, 1e3])
    cov *= np.outer(scales, scales)
    precision_matrix, centre = np.linalg.inv(cov), np.array([0.03, -2.0, 500.0])

    def log_p(x):
        return -0.5 * (x - centre) @ (jnp.asarray(precision_matrix) @ (x - centre))

    approx = vi.fit(
        log_p,
        3000,
        "fullrank_advi",
        init=np.zeros(3),
        random_seed=1,
        progressbar=False,
        dtype="float64",
    )
    sd = np.sqrt(np.diag(cov))
    np.testing.assert_allclose((approx.mean.eval() - centre) / sd, 0.0, atol=1e-2)
    np.testing.assert_allclose(
        approx.cov.eval() / np.outer(sd, sd), cov / np.outer(sd, sd), atol=2e-2
    )


ALL = [*ESTIMATORS.values()]


@pytest.mark.few(5)
@pytest.mark.parametrize("base", [Normal(), MultivariateT(df=5.0), Laplace()])
@pytest.mark.parametrize("estimator", ALL, ids=[kind.short_name for kind in ALL])
def test_a_gradient_taken_within_the_frame_is_the_turned_one(estimator, base):
    """Both are the same function's: they differ by the rounding of a solve of cond(L) < 1e3."""
    objective = estimator()
    draws = objective.fewest_draws * 2
    with precision(np.dtype("float64")):
        family, params = _params(7, base)
        assert np.linalg.cond(family.scale_tril(params)) < 1e3
        noises = jax.vmap(lambda key: family.noise(key, params))(
            jax.random.split(jax.random.key(3), draws)
        )
        frame = family.frame(params)
        within = frame.within()

        def log_p(points):
            return -jnp.sum((points - 0.3) ** 4 + jnp.sin(points), axis=-1)

        def loss_within(own):
            return objective.loss(
                within.family, own, noises, lambda z: log_p(jax.vmap(within.place)(z))
            )

        loss, slope = jax.value_and_grad(lambda own: objective.loss(family, own, noises, log_p))(
            params
        )
        same, inside = jax.value_and_grad(loss_within)(within.params)
        turned, found = frame.gradient(slope), within.gradient(inside)
    np.testing.assert_allclose(same, loss, rtol=1e-11)
    for name, expected in turned.items():
        allowed = 1e-11 * np.abs(expected).max()
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=allowed)


def test_within_the_frame_a_draw_stands_for_the_familys(rng):
    with precision(np.dtype("float64")):
        family, params = _params(2)
        within = family.frame(params).within()
        noise = jnp.asarray(rng.normal(size=DIM))
        place = within.place(within.family.draw(within.params, noise))
        np.testing.assert_allclose(place, family.draw(params, noise), rtol=1e-12)
        log_q = within.family.log_prob(within.params, noise)
        np.testing.assert_allclose(log_q, family.log_prob(params, place), rtol=1e-10)
        entropy = within.family.entropy(within.params)
        np.testing.assert_allclose(entropy, family.entropy(params), rtol=1e-12)


def test_steps_are_the_same_whichever_way_the_gradient_is_taken():
    """A norm that is never reached leaves the gradient to be turned; 20 steps add up rounding."""

    def params(norm):
        approx = vi.fit(
            lambda x: -jnp.sum((x - 1.0) ** 2) - x[0] * x[1],
            20,
            "fullrank_advi",
            init=np.zeros(3),
            random_seed=1,
            progressbar=False,
            dtype="float64",
            inf_kwargs={"warm_start": False},
            total_grad_norm_constraint=norm,
        )
        return approx.iterate

    within, turned = params(None), params(1e100)
    for name, value in turned.items():
        np.testing.assert_allclose(within[name], value, rtol=1e-8, atol=1e-10)
