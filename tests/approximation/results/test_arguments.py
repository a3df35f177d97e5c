"""What is handed to summaries, predictions and files in the place of draws, names and paths."""

from __future__ import annotations

import io

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import vi


@pytest.fixture(scope="module")
def approx():
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=np.ones(3))
    return vi.MeanField(model=model, random_seed=1)


@pytest.mark.parametrize("given", [3, "x", {"mu": 1.0}, [1.0]], ids=repr)
@pytest.mark.parametrize("verb", ["compute_log_likelihood", "sample_posterior_predictive"])
def test_draws_are_draws(approx, verb, given):
    with pytest.raises(TypeError, match=rf"{verb}\(idata\) takes draws, a DataTree from approx"):
        getattr(approx, verb)(given)
    other = xr.DataTree.from_dict({"/prior": xr.Dataset({"mu": 1.0})})
    with pytest.raises(ValueError, match=r"no group 'posterior' \(groups: prior\)"):
        getattr(approx, verb)(other)


def test_log_likelihoods_are_of_draws_that_are_given(approx):
    with pytest.raises(TypeError, match="got nothing"):
        approx.compute_log_likelihood(None)


@pytest.mark.parametrize("names", [3, [3], {"mu": 1}])
def test_names_to_show_are_names(approx, names):
    with pytest.raises(TypeError, match=r"var_names=.*list of names"):
        approx.summary(10, var_names=names)


def test_names_to_show_are_known(approx):
    with pytest.raises(ValueError, match=r"var_names has 'nu'; the draws have 'mu'"):
        approx.summary(10, var_names=["mu", "nu"])


@pytest.mark.parametrize("path", [None, 3, io.BytesIO(), b"fit"], ids=lambda x: type(x).__name__)
def test_paths_are_paths(approx, path):
    with pytest.raises(TypeError, match=r"save\(\) takes the path of a file"):
        approx.save(path)
    with pytest.raises(TypeError, match=r"load\(\) takes the path of a file"):
        vi.load(path, model=approx.model)


def test_a_folder_is_no_file(approx, tmp_path):
    with pytest.raises(IsADirectoryError, match=r"is a folder: add a name"):
        approx.save(tmp_path)
    with pytest.raises(IsADirectoryError, match=r"is a folder: add a name"):
        vi.load(tmp_path, model=approx.model)
