"""How long targets are kept: with their model, and no longer."""

import copy
import gc
import weakref

import numpy as np
import pymc as pm
import pytest
from pymc.distributions.transforms import Interval

import vi
from vi.approximation.record.log_density import target_of
from vi.targets import from_pymc
from vi.targets.cache import MOST_TARGETS, cache_of

BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])


def plain():
    with pm.Model() as model:
        x = pm.Data("x", np.arange(6.0))
        slope = pm.Normal("slope")
        pm.Normal("y", slope * x, 1.0, observed=np.ones(6))
    return model


def with_a_transform_that_mentions_it():
    """A model that what is built for it holds: through the bounds of a transform."""
    with pm.Model() as model:

        def bounds(*parameters):
            assert isinstance(model, pm.Model)
            return 0.0, 1.0

        mean = pm.Uniform("mean", default_transform=Interval(bounds_fn=bounds))
        pm.Normal("y", mean, 1.0, observed=np.ones(3))
    return model


@pytest.mark.slow
@BACKENDS
@pytest.mark.parametrize("build", [plain, with_a_transform_that_mentions_it])
def test_models_go_with_all_that_was_built_for_them(build, backend):
    models, targets = [], []
    for _ in range(3):
        model = build()
        fit = vi.fit(
            5, method="advi", model=model, backend=backend, random_seed=1, progressbar=False
        )
        fit.sample(2, random_seed=1)
        models.append(weakref.ref(model))
        targets.append(weakref.ref(from_pymc(model, backend=backend)))
        assert targets[-1]() in {entry.target for entry in cache_of(model).values()}
    del model, fit
    gc.collect()
    gc.collect()  # the models go first, with them their caches, then what these held
    assert [reference() for reference in [*models, *targets]] == [None] * 6


def test_a_copy_of_a_model_has_targets_of_its_own():
    model = plain()
    target = from_pymc(model)
    other = copy.copy(model)
    other.__dict__ = copy.copy(model.__dict__) | {"_vi_targets": copy.copy(cache_of(model))}
    assert not cache_of(other)
    assert from_pymc(model) is target


@pytest.mark.slow
def test_fits_on_other_data_do_not_pile_up():
    model = plain()
    for i in range(MOST_TARGETS + 2):
        with_data = {"x": np.arange(6.0) + i}
        vi.fit(2, method="advi", model=model, data=with_data, random_seed=1, progressbar=False)
    assert len(cache_of(model)) == MOST_TARGETS


def test_streams_of_equal_rows_share_a_target():
    with pm.Model() as model:
        x = pm.Data("x", np.arange(6.0))
        pm.Normal("y", pm.Normal("mean"), 1.0, observed=x)
    targets = set()
    for first in range(3):
        source = vi.data.source_from({"x": np.arange(12.0) + first})
        approx = vi.ADVI(model=model, random_seed=1)
        approx.fit(3, data=vi.data.Stream(source, 6), progressbar=False)
        targets.add(id(target_of(approx.approx.record, "steps")))
    assert len(targets) == 1
