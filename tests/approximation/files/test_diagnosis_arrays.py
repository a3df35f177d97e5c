"""A verdict goes into a file and comes back; files without one are read as before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from problems import correlated_gaussian

import vi


@pytest.fixture
def judged():
    approx = vi.fit(method="laplace", model=correlated_gaussian().model, random_seed=1)
    approx.diagnose(starts=0)  # as in test_diagnose.py, for which it is compiled
    return approx


def test_there_and_back(judged, tmp_path):
    judged.save(tmp_path / "fit.npz")
    read = vi.load(tmp_path / "fit.npz", judged.model)
    assert str(read.diagnosis) == str(judged.diagnosis)
    assert read.diagnosis.to_dataset().identical(judged.diagnosis.to_dataset())
    assert read.status == judged.status


def test_tables_of_modes_too(judged, tmp_path):
    modes = xr.Dataset(
        {
            "mode_elbo": ("mode", np.array([0.0, -1.0])),
            "mode_mean": (("mode", "unconstrained"), np.arange(6.0).reshape(2, 3)),
        },
        coords={"mode": ["q", "another"], "unconstrained": judged.diagnosis.table.unconstrained},
    )
    judged.keep(replace(judged.diagnosis, modes=modes), judged.record)
    judged.save(tmp_path / "fit.npz")
    read = vi.load(tmp_path / "fit.npz", judged.model).diagnosis
    assert read.modes.identical(modes)
    assert read.table.identical(judged.diagnosis.table)
    assert read.skipped == judged.diagnosis.skipped


def test_a_file_without(judged, tmp_path):
    judged.set_params({"mu": np.zeros(3)})
    judged.save(tmp_path / "fit.npz")
    assert vi.load(tmp_path / "fit.npz", judged.model).diagnosis is None
