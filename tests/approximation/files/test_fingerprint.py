"""A model of the same names and shapes that is another one is refused, by what differs."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor
import pytest
import zoo

import vi
from vi.approximation.files.fingerprint import differences, fingerprint


def model(sd=2.0, observed=0.0, data=1.0, weight=1.0, family=pm.Normal):
    with pm.Model() as built:
        x = pm.Data("x", data)
        z = family("z", 0.0, sd)
        pm.Normal("y", z * x, 1.0, observed=np.array([observed, 1.0]))
        pm.Potential("p", -weight * z**2)
    return built


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "fit.npz"
    vi.fit(5, method="advi", model=model(), random_seed=1, progressbar=False).save(path)
    return path


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"sd": 3.0}, "the distribution of 'z'"),
        ({"family": pm.Laplace}, "the distribution of 'z'"),
        ({"observed": 2.0}, "the data of 'y'"),
        ({"data": 2.0}, "the data of 'x'"),
        ({"weight": 2.0}, "the potential 'p'"),
    ],
    ids=str,
)
def test_another_model_is_refused(changed, what, path):
    with pytest.raises(ValueError, match=rf"not the one that was fitted; {what} differ"):
        vi.load(path, model(**changed))
    assert vi.load(path, model(**changed), check_model=False).status.step == 5


def test_the_same_is_read(path):
    assert vi.load(path, model()).status.step == 5


def test_what_another_version_built_is_not_compared():
    stored = fingerprint(model()) | {"built_by": "pymc 5"}
    assert not differences(stored, fingerprint(model(sd=3.0)), data=True)


@pytest.mark.few(12)
@pytest.mark.parametrize("entry", zoo.entries(), ids=lambda entry: entry.name)
def test_a_model_that_is_built_again_is_the_same(entry):
    assert fingerprint(entry.build()) == fingerprint(entry.build())


def test_minibatches_are_the_same_however_many_there_were():
    def build():
        with pm.Model() as built:
            y = vi.Minibatch(np.arange(60.0), batch_size=10)
            pm.Normal("y", pm.Normal("mu"), observed=y, total_size=60)
        return built

    assert fingerprint(build()) == fingerprint(build())


def of_shared(value):
    with pm.Model() as built:
        pm.Normal("y", pm.Normal("mu"), pytensor.shared(1.0), observed=pytensor.shared(value))
    return built


def of_shared_sd(value):
    with pm.Model() as built:
        pm.Normal("y", pm.Normal("mu"), pytensor.shared(value[0]), observed=np.zeros(2))
    return built


def of_batches(value):
    with pm.Model() as built:
        batch = vi.Minibatch(value, batch_size=2)
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=batch, total_size=4)
    return built


def of_a_density(value):
    return vi.targets.from_function(
        lambda params, data: -0.5 * jnp.sum((data - params["mu"]) ** 2),
        {"mu": np.zeros(())},
        data=value,
    )


def of_a_custom_density(value):
    with pm.Model() as built:
        pm.CustomDist("x", logp=lambda x: -0.5 * (x - value[0]) ** 2)
    return built


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "build", [of_shared, of_shared_sd, of_batches, of_a_density, of_a_custom_density]
)
def test_data_behind_shared_values_batches_and_densities_count(build, tmp_path):
    value = np.array([1.0, 2.0, 3.0, 4.0])
    vi.fit(5, method="advi", model=build(value), random_seed=1, progressbar=False).save(
        tmp_path / "fit.npz"
    )
    assert vi.load(tmp_path / "fit.npz", build(value.copy())).status.step == 5
    with pytest.raises(ValueError, match="not the one that was fitted"):
        vi.load(tmp_path / "fit.npz", build(value + 1.0))


def test_arguments_of_a_numpyro_model_count(tmp_path):
    numpyro = pytest.importorskip("numpyro")

    def normal(y, sd):
        mu = numpyro.sample("mu", numpyro.distributions.Normal(0.0, 1.0))
        numpyro.sample("y", numpyro.distributions.Normal(mu, sd), obs=y)

    def build(y, sd=1.0):
        return vi.targets.from_numpyro(normal, y, sd=sd)

    y = np.array([1.0, 2.0])
    vi.fit(5, method="advi", model=build(y), random_seed=1, progressbar=False).save(
        tmp_path / "fit.npz"
    )
    assert vi.load(tmp_path / "fit.npz", build(y.copy())).status.step == 5
    for other in (build(y + 1.0), build(y, 2.0)):
        with pytest.raises(ValueError, match=r"data of .the arguments"):
            vi.load(tmp_path / "fit.npz", other)
