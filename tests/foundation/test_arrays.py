"""Arrays of data: what compiled code can hold, in the machine's byte order."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
import scipy.sparse

import vi
from vi.foundation.arrays import plain_array, refuse_masked

SPARSE = scipy.sparse.eye(4).tocsr()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (SPARSE, r"x is a sparse csr_matrix; .*\.toarray\(\)"),
        (np.array([1.0, None], object), r"x has the type object; .*\.astype\(float\)"),
        (["a", "b"], r"x has the type <U1; real numbers"),
        (np.array(["2020-01-01"], "M8[D]"), "dates as numbers"),
        pytest.param(
            np.ones(2, np.longdouble),
            r"x has the type float\d+, which neither .*\.astype\('float64'\)",
            marks=pytest.mark.skipif(np.longdouble(0).itemsize == 8, reason="no longer floats"),
        ),
    ],
    ids=["sparse", "object", "text", "date", "long"],
)
def test_what_is_no_plain_array(value, says):
    with pytest.raises(TypeError, match=says):
        plain_array("x", value)


@pytest.mark.parametrize("kind", [">f8", ">i4", "<f4", "bool"])
def test_bytes_come_in_the_order_of_the_machine(kind):
    array = plain_array("x", np.array([0, 1], kind))
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, [0, 1])


def test_native_arrays_are_not_copied():
    array = np.ones(3)
    assert plain_array("x", array) is array


@pytest.fixture(scope="module")
def model():
    with pm.Model() as built:
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=pm.Data("d", np.ones(4)))
    return built


def test_every_way_for_data_refuses_sparse_ones(model):
    for use in (
        lambda: vi.fit(1, method="advi", model=model, data={"d": SPARSE}, batch_size=2),
        lambda: vi.fit(1, model=model, more_replacements={model["d"]: SPARSE}),
        lambda: vi.Minibatch(SPARSE, batch_size=2),
        lambda: vi.data.source_from({"x": SPARSE}),
        lambda: vi.targets.from_function(lambda z, d: -z @ z, np.zeros(4), data=SPARSE),
    ):
        with pytest.raises(TypeError, match=r"is a sparse csr_matrix.*toarray"):
            use()
    with pm.Model() as sparse:
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=SPARSE)
    with pytest.raises(TypeError, match=r"Observed as sparse matrices: y.*toarray"):
        vi.MeanField(model=sparse)


def test_every_way_for_data_takes_other_orders_of_bytes(model):
    swapped = np.arange(4, dtype=">f8")
    np.testing.assert_array_equal(np.sort(vi.Minibatch(swapped, batch_size=4).eval()), swapped)
    for options in ({"data": {"d": swapped}}, {"more_replacements": {model["d"]: swapped}}):
        vi.MeanField(model=model)
        vi.KLqp(vi.MeanField(model=model)).fit(0, **options)


MASKED = np.ma.masked_array([1.0, 999.0], [False, True])


def test_masks():
    refuse_masked([1.0], "x")
    refuse_masked(np.ma.masked_array([1.0, 2.0]), "x")  # nothing is masked
    with pytest.raises(ValueError, match=r"^x is a masked array"):
        refuse_masked(MASKED, "x")


def _normal():
    with pm.Model() as model:
        x = pm.Data("x", np.ones(2))
        pm.Normal("y", pm.Normal("mu", shape=2), 1.0, observed=x)
    return model


def _density(p, d=None):
    return -0.5 * jnp.sum((p - 1.0) ** 2)


FITTED = {"progressbar": False, "method": "advi", "n": 1}
# every place where users give arrays: what is under a mask is never read
PLACES = {
    "data": lambda: vi.fit(_density, method="advi", init=np.zeros(2), data=MASKED),
    "init": lambda: vi.fit(_density, method="advi", init=MASKED),
    "start": lambda: vi.MeanField(model=_normal(), start={"mu": MASKED}),
    "start_sigma": lambda: vi.MeanField(model=_normal(), start_sigma={"mu": MASKED}),
    "replacement": lambda: vi.fit(
        model=(model := _normal()), more_replacements={model["x"]: MASKED}, **FITTED
    ),
    "points": lambda: vi.MeanField(model=_normal()).logq(MASKED),
    "log p": lambda: vi.MeanField(model=_normal()).logp(MASKED),
    "parameters": lambda: vi.MeanField(model=_normal()).set_params({"mu": MASKED}),
    "trace": lambda: vi.Empirical({"mu": np.ma.masked_array(np.ones((3, 2)), 1)}, model=_normal()),
    "node": lambda: (approx := vi.MeanField(model=_normal())).sample_node(
        approx.model["mu"] + approx.model["x"], more_replacements={approx.model["x"]: MASKED}
    ),
    "minibatch": lambda: vi.Minibatch(MASKED, batch_size=1),
}


@pytest.mark.parametrize("place", PLACES)
def test_no_place_reads_under_a_mask(place):
    with pytest.raises((ValueError, TypeError), match=r"is a masked array\. Fill its gaps"):
        PLACES[place]()


def test_a_numpyro_model_reads_none():
    pytest.importorskip("numpyro")
    with pytest.raises(ValueError, match="argument of the NumPyro model is a masked array"):
        vi.targets.from_numpyro(lambda y: None, MASKED)
