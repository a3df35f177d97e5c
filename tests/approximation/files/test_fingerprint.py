"""A model of the same names and shapes that is another one is refused, by what differs."""

from __future__ import annotations

import numpy as np
import pymc as pm
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
    vi.fit(5, model=model(), random_seed=1, progressbar=False).save(path)
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
