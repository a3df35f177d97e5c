"""``beta`` as in PyMC: the divergence from the prior is weighed, not the entropy alone."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.files.encoding import decode

BETA = 5.0
# y = 2 with sd 1, prior N(0, 1): the likelihood to the power 1 / beta has the precision 1 / beta
PRECISION = 1.0 + 1.0 / BETA
EXACT = (2.0 / BETA / PRECISION, PRECISION**-0.5)
ROWS = np.full(40, 2.0)


def plain():
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("z"), 1.0, observed=[2.0])
    return model


def as_a_potential():
    with pm.Model() as model:
        z = pm.Normal("z")
        pm.Potential("y", -0.5 * (z - 2.0) ** 2)
    return model


def of_batches():
    with pm.Model() as model:
        batch = vi.Minibatch(ROWS, batch_size=10)
        pm.Normal("y", pm.Normal("z"), np.sqrt(40.0), observed=batch, total_size=40)
    return model


def pair():
    return vi.targets.from_function(
        lambda z: (-0.5 * z**2, -0.5 * (z - 2.0) ** 2), init=np.float64(0.0)
    )


def pair_of_batches():
    return vi.targets.from_function(
        lambda z, y: (-0.5 * z**2, -0.5 * jnp.sum((z - y) ** 2) / 40.0),
        init=np.float64(0.0),
        data=ROWS,
        batch_size=10,
    )


def numpyro_model():
    numpyro = pytest.importorskip("numpyro")

    def model(y):
        z = numpyro.sample("z", numpyro.distributions.Normal(0.0, 1.0))
        numpyro.sample("y", numpyro.distributions.Normal(z, 1.0), obs=y)

    return vi.targets.from_numpyro(model, np.array(2.0))


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "build", [plain, as_a_potential, of_batches, pair, pair_of_batches, numpyro_model]
)
def test_the_likelihood_is_tempered(build):
    """Sticking the landing has no noise at this optimum: the exact numbers, to its last steps."""
    q = vi.ADVI(model=build(), beta=BETA, estimator="sticking_the_landing", random_seed=1)
    approx = q.fit(4000, progressbar=False)
    np.testing.assert_allclose(
        [approx.mean.eval().item(), approx.std.eval().item()], EXACT, rtol=0.01
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_jacobians_belong_to_the_prior(backend):
    """log z with z ~ HalfNormal: the tempered model's fit, but for a factor beta of the loss.

    Steps do not depend on the units of the loss, so that the two take the same path.
    """
    with pm.Model() as model:
        pm.Normal("y", pm.HalfNormal("z"), 1.0, observed=[2.0])
    q = vi.ADVI(model=model, beta=BETA, estimator="sticking_the_landing", random_seed=1)
    approx = q.fit(4000, backend=backend, progressbar=False)
    with pm.Model() as tempered:  # the same posterior, written as a model of its own
        z = pm.HalfNormal("z")
        pm.Potential("y", -0.5 * (z - 2.0) ** 2 / BETA)
    q = vi.ADVI(model=tempered, estimator="sticking_the_landing", random_seed=1)
    same = q.fit(4000, backend=backend, progressbar=False)
    np.testing.assert_allclose(approx.mean.eval(), same.mean.eval(), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(approx.std.eval(), same.std.eval(), rtol=1e-3)


def test_logp_of_draws_is_the_models():
    approx = vi.ADVI(model=plain(), beta=BETA, random_seed=1).fit(10, progressbar=False)
    z = np.array([[0.3], [-1.0]])
    expected = -0.5 * z[:, 0] ** 2 - 0.5 * (z[:, 0] - 2.0) ** 2 - np.log(2 * np.pi)
    np.testing.assert_allclose(approx.logp(z), expected)


def test_a_density_without_a_known_prior():
    model = vi.targets.from_function(lambda z: -0.5 * z**2, init=np.float64(0.0))
    with pytest.raises(ValueError, match=r"pair \(log_prior, log_likelihood\).*entropy_weight=5"):
        vi.ADVI(model=model, beta=BETA)
    weighed = vi.objectives.MonteCarlo(entropy_weight=4.0)
    approx = vi.ADVI(model=model, estimator=weighed, random_seed=1).fit(3000, progressbar=False)
    assert approx.std.eval().item() == pytest.approx(2.0, rel=0.1)


def test_files_of_0_1_0_keep_what_beta_meant():
    spec = {"kind": "objective", "name": "closed_form", "settings": {"beta": 0.5}}
    assert decode(spec) == vi.objectives.ClosedFormEntropy(entropy_weight=0.5)


def test_a_flows_estimators_are_those_that_there_are_now():
    @vi.objectives.ESTIMATORS.register
    @dataclass(frozen=True)
    class Later(vi.objectives.MonteCarlo):
        short_name = "later"

    try:
        assert "later" in vi.NFVI.estimators
        assert "closed_form" not in vi.NFVI.estimators
        assert set(vi.NFVI.estimators) == set(vi.objectives.ESTIMATORS) - {"closed_form"}
    finally:
        vi.objectives.ESTIMATORS.unregister("later")
    assert "later" not in vi.NFVI.estimators
